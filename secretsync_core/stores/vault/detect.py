"""Finds out which version of the KV engine a mount runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.stores.vault.answers import Request
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
    store, mount = transport.store, transport.mount
    request = Request(store, mount, f"tell what is mounted at {mount!r}", namespace=transport.namespace)
    found = await transport.system("stat", f"sys/internal/ui/mounts/{encoded(mount)}", request, _mount)
    if isinstance(found, Answer):
        if found.status == 403:
            where = f" in namespace {transport.namespace!r}" if transport.namespace else ""
            raise AccessDenied(
                f"{store} has no mount {mount!r}{where}, or does not let us see it",
                store=store,
                hint="check the mount's name and our token's policies, or pin kvVersion",
            )
        raise found.refusal(request)
    if found.path.strip("/") != mount:
        raise StoreError(
            f"{store} has no mount {mount!r}: that is a folder in the mount {found.path.strip('/')!r}",
            store=store,
            hint="put the mount in the SecretStore, and the folder in the SyncJob's paths",
        )
    if found.kv is None:
        raise StoreError(f"{store} has {found.kind!r} mounted at {mount!r}, and not KV", store=store)
    return found.kv


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
