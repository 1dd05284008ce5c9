"""Addresses with a path, as behind a reverse proxy: every request goes there, and two paths are two places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from support.faulty_http import FaultyHttp

from secretsync_core.secret import SecretValue
from secretsync_core.stores.vault import PROVIDER
from secretsync_core.stores.vault.config import VaultConfig

if TYPE_CHECKING:
    from conftest import Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


def _config(address: str) -> VaultConfig:
    return VaultConfig.model_validate({"address": address, "auth": {"token": {"env": "T"}}})


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("prefix", ["/vault", "/team-a/open_bao.v2"])
async def test_a_server_below_a_path(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, prefix: str, slash: str
) -> None:
    """Opening, logging in, listing, reading, writing and giving the token back: nothing leaves the path."""
    name = mount(openbao)
    api.call(
        "POST",
        f"sys/policies/acl/{name}",
        {"policy": f'path "{name}/*" {{ capabilities = ["sudo", "create", "read", "update", "list", "scan"] }}'},
    )
    api.call("POST", f"sys/auth/{name}", {"type": "userpass"})
    api.call("POST", f"auth/{name}/users/u", {"password": "pw", "token_policies": [name]})
    auth = {"userPass": {"username": "u", "password": {"value": "pw"}, "mount": name}}
    async with FaultyHttp(openbao.address, prefix=prefix) as proxy:
        store = await vault_store_factory(mount=name, address=proxy.address + slash, auth=auth)
        await store.write("a/k", SecretValue({"a": "1"}))
        assert [entry.key async for entry in store.list("", recursive=True, metadata=False)] == ["a/k"]
        assert (await store.read("a/k")).value.reveal() == {"a": "1"}
        assert store.facts.place.server == proxy.address
        await store.aclose()
        assert all(request.path.startswith(f"{prefix}/v1/") for request in proxy.requests)
        assert proxy.count("revoke-self") == 1


@pytest.mark.parametrize(
    "address",
    [
        "https://v/v1", "https://v/vault/v1/", "https://v/a//b", "https://v/..", "https://v/a/../b", "https://v/.",
        "https://v/a?b=c", "https://v/a#b", "https://u:p@v/a", "https://v/a b", "https://v/%2e%2e", "https://v//",
    ],
)  # fmt: skip
def test_a_path_that_is_none(address: str) -> None:
    """What would be another path on the way, or holds more than a path, is refused."""
    with pytest.raises(ValidationError):
        _config(address)


def test_two_paths_of_a_host_are_two_places() -> None:
    """Each may be a server of its own; a trailing slash makes no difference."""
    assert PROVIDER.place is not None
    places = [PROVIDER.place(_config(f"https://V{path}")) for path in ("", "/", "/a", "/a/", "/b")]
    assert places[0] == places[1] != places[2] == places[3] != places[4]
