"""Secret ids that come in a wrapping token: unwrapped once, kept in memory, and told when somebody was there before."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import AccessDenied
from secretsync_core.stores.vault import wrapping

if TYPE_CHECKING:
    from conftest import Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

_numbers = itertools.count(1)


class Role:
    """An AppRole that may read ``k`` of a mount, and gives out secret ids in wrapping tokens."""

    def __init__(self, openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
        self.api, self.mount, self.path = api, mount(openbao), f"approle-w{next(_numbers)}"
        api.put(self.mount, "k", {"a": "1"})
        policy = {"policy": f'path "{self.mount}/*" {{ capabilities = ["read"] }}'}
        api.call("POST", f"sys/policies/acl/{self.mount}", policy)
        api.call("POST", f"sys/auth/{self.path}", {"type": "approle"})
        api.call("POST", f"auth/{self.path}/role/r", {"token_policies": [self.mount]})
        self.role_id = api.call("GET", f"auth/{self.path}/role/r/role-id")["data"]["role_id"]

    def wrap(self, what: str = "secret-id") -> str:
        """A wrapping token around a fresh secret id, or around the role's id."""
        self.api.wrap_ttl = "60s"
        method = "POST" if what == "secret-id" else "GET"
        token: str = self.api.call(method, f"auth/{self.path}/role/r/{what}")["wrap_info"]["token"]
        self.api.wrap_ttl = ""
        return token

    def auth(self, token: str, **more: Any) -> dict[str, Any]:
        """The ``auth`` section with this as the secret id."""
        parts = {"roleId": {"value": self.role_id}, "secretId": {"value": token}, "mount": self.path}
        return {"appRole": {**parts, "wrapped": True, **more}}


@pytest.fixture
def role(openbao: OpenBaoServer, api: Api, mount: Mount) -> Role:
    """A role of its own for each test."""
    return Role(openbao, api, mount)


async def test_a_wrapped_secret_id_logs_in(vault_store_factory: VaultStores, role: Role) -> None:
    """It is unwrapped once, for every store of this process that has the same token, and for the logins after that."""
    token = role.wrap()
    stores = await asyncio.gather(*(vault_store_factory(mount=role.mount, auth=role.auth(token)) for _ in range(4)))
    role.api.call("POST", f"sys/leases/revoke-prefix/auth/{role.path}/login")
    for store in stores:
        assert (await store.read("k")).value.reveal() == {"a": "1"}


async def test_a_wrapping_token_that_was_used(vault_store_factory: VaultStores, role: Role) -> None:
    """In another process it is used up: the error says that, and what that may mean, and shows nothing of it."""
    token = role.wrap()
    role.api.call("POST", "sys/wrapping/unwrap", {"token": token})
    for given in (token, "s.nonsense"):
        with pytest.raises(AccessDenied, match="used before, or has expired") as raised:
            await vault_store_factory(mount=role.mount, auth=role.auth(given))
        assert raised.value.hint.startswith("put a fresh one in the")
        assert "somebody else may have the secret id" in raised.value.hint
        assert given not in f"{raised.value} {raised.value.hint}"


async def test_a_wrapping_token_of_something_else(vault_store_factory: VaultStores, role: Role) -> None:
    """What it gives is no secret id: that is said, and it is neither used nor shown."""
    with pytest.raises(AccessDenied, match="wraps something else") as raised:
        await vault_store_factory(mount=role.mount, auth=role.auth(role.wrap("role-id")))
    assert role.role_id not in f"{raised.value} {raised.value.hint}"


async def test_a_wrapping_token_that_is_not_said_to_be_one(vault_store_factory: VaultStores, role: Role) -> None:
    """The refused login has a hint at ``wrapped``; an ordinary secret id that is wrong has none. It stays unused."""
    token = role.wrap()
    with pytest.raises(AccessDenied, match="refuses to log us in by appRole") as raised:
        await vault_store_factory(mount=role.mount, auth=role.auth(token, wrapped=False))
    assert "set wrapped: true" in raised.value.hint
    assert await vault_store_factory(mount=role.mount, auth=role.auth(token))
    wrong = role.auth("11111111-2222-3333-4444-555555555555", wrapped=False)
    with pytest.raises(AccessDenied, match="refuses to log us in by appRole") as raised:
        await vault_store_factory(mount=role.mount, auth=wrong)
    assert "wrapped" not in raised.value.hint


async def test_what_was_unwrapped_is_kept_by_a_digest(vault_store_factory: VaultStores, role: Role) -> None:
    """The memory of this process names no token."""
    token = role.wrap()
    await vault_store_factory(mount=role.mount, auth=role.auth(token))
    assert token not in repr(list(wrapping._unwrapped))
