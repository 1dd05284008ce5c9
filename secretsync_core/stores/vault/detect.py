"""Finds out which version of the KV engine a mount runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.stores.vault.answers import Request, nonsense
from secretsync_core.stores.vault.keys import encoded

if TYPE_CHECKING:
    from secretsync_core.stores.vault.transport import Transport


async def kv_version(transport: Transport) -> Literal[1, 2]:
    """The KV version of the transport's mount, by one request that any token with a policy on the mount may make.

    Raises AccessDenied where there is no such mount or we may not see it (the server does not tell which), and
    StoreError where what is mounted there is not KV.
    """
    store, mount = transport.store, transport.mount
    request = Request(store, mount, f"tell what is mounted at {mount!r}", namespace=transport.namespace)
    answer = await transport.system("stat", f"sys/internal/ui/mounts/{encoded(mount)}", request)
    if answer.status == 403:
        where = f" in namespace {transport.namespace!r}" if transport.namespace else ""
        raise AccessDenied(
            f"{store} has no mount {mount!r}{where}, or does not let us see it",
            store=store,
            hint="check the mount's name and our token's policies, or pin kvVersion",
        )
    if answer.status != 200:
        raise answer.refusal(request)
    kind, path, options = (answer.data.get(name) for name in ("type", "path", "options"))
    if not isinstance(kind, str) or not isinstance(path, str):
        raise nonsense(store)
    if path.strip("/") != mount:
        raise StoreError(
            f"{store} has no mount {mount!r}: that is a folder in the mount {path.strip('/')!r}",
            store=store,
            hint="put the mount in the SecretStore, and the folder in the SyncJob's paths",
        )
    if kind not in ("kv", "generic"):
        raise StoreError(f"{store} has {kind!r} mounted at {mount!r}, and not KV", store=store)
    if options is None:
        return 1  # a mount from before there were versions
    version = options.get("version", "1") if isinstance(options, dict) else None
    if version not in ("1", "2"):
        # Version 2 taken for 1 would write beside the secrets, and see none of them.
        raise nonsense(store)
    return 2 if version == "2" else 1
