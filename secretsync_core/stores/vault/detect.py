"""Finds out which version of the KV engine a mount runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.known import named
from secretsync_core.stores.vault.answers import NO_NAMESPACE, Request
from secretsync_core.stores.vault.keys import encoded
from secretsync_core.stores.vault.transport import Answer

if TYPE_CHECKING:
    from secretsync_core.stores.vault.transport import Received, Transport


class Kv(NamedTuple):
    """The version of a mount. ``stated``: the server names it; where it does not, the mount is of the first one."""

    version: Literal[1, 2]
    stated: bool = True


async def kv_version(transport: Transport) -> Kv:
    """The KV version of the transport's mount, by one request that any token with a policy on the mount may make.

    Raises AccessDenied where there is no such mount or we may not see it (the server does not tell which), and
    StoreError where what is mounted there is not KV.
    """
    found = await _look(transport)
    store, mount = transport.store, transport.mount
    if isinstance(found, Answer):
        if found.status == 403:
            where = f" in namespace {named(transport.namespace)}" if transport.namespace else ""
            raise AccessDenied(
                f"{store} has no mount {named(mount)}{where}, or does not let us see it",
                store=store,
                hint="check the mount's name and our token's policies, or pin kvVersion",
            )
        raise found.refusal(_request(transport))
    kv = _kv(found, transport)
    if found.path != mount:
        raise _is_folder(found, transport)
    return kv


async def version_for_pin(transport: Transport, pinned: Literal[1, 2]) -> Literal[1, 2] | None:
    """The KV version of a mount whose version the document pins; ``None`` where the server does not let us know.

    With version 1, ``mount`` may name a folder too: its paths are the same. Raises StoreError as ``kv_version`` does.
    """
    found = await _look(transport)
    if isinstance(found, Answer):
        if NO_NAMESPACE in found.body:
            raise found.refusal(_request(transport))
        return None
    version = _kv(found, transport).version
    if found.path != transport.mount and version == pinned == 2:
        raise _is_folder(found, transport)
    return version


def _request(transport: Transport) -> Request:
    store, mount = transport.store, transport.mount
    return Request(store, mount, f"tell what is mounted at {named(mount)}", namespace=transport.namespace)


async def _look(transport: Transport) -> _Mount | Answer:
    """What is mounted there, or the refusal to tell."""
    path = f"sys/internal/ui/mounts/{encoded(transport.mount)}"
    found = await transport.system("stat", path, _request(transport), _mount)
    if isinstance(found, Answer):
        return found
    return found._replace(path=_within(found.path, transport.namespace, transport.mount))


def _within(path: str, namespace: str | None, mount: str) -> str:
    """A mount's path without slashes at its ends, and as the document's namespace has it.

    Of a mount in a namespace below that one the server gives the whole path, from the root.
    """
    path, whole = path.strip("/"), f"{(namespace or '').strip('/')}/"
    inside = f"{mount}/".startswith(f"{path}/")  # that namespace may hold a mount of its own name
    return path if inside else path.removeprefix(whole)


def _kv(found: _Mount, transport: Transport) -> Kv:
    if found.kv is None:
        store, mount = transport.store, transport.mount
        raise StoreError(f"{store} has {named(found.kind)} mounted at {named(mount)}, and not KV", store=store)
    return found.kv


def _is_folder(found: _Mount, transport: Transport) -> StoreError:
    store = transport.store
    return StoreError(
        f"{store} has no mount {named(transport.mount)}: that is a folder in the mount {named(found.path)}",
        store=store,
        hint="put the mount in the SecretStore, and the folder in the SyncJob's paths",
    )


class _Mount(NamedTuple):
    """What is mounted: its kind, where, and the version where it is KV."""

    kind: str
    path: str
    kv: Kv | None


def _mount(received: Received) -> _Mount:
    data = received.data()
    kind, path = data.text("type"), data.text("path")
    if kind not in ("kv", "generic"):
        return _Mount(kind, path, None)
    version = data.text_map("options").get("version")
    if version not in (None, "1", "2"):
        # Version 2 taken for 1 would write beside the secrets, and see none of them.
        raise data.part("options").wrong("version", "1 or 2, as a text")
    # Without options it is a mount from before there were versions.
    return _Mount(kind, path, Kv(2 if version == "2" else 1, version is not None))
