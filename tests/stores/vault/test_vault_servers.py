"""The servers that the other tests stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.http import Api
from support.servers import ConfiguredServer

from secretsync_core.demo.openbao import start_openbao

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeToken, Mount

    from secretsync_core.demo.openbao import OpenBaoServer


def test_dev_server_stays_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dev server writes nothing into the user's home, ignores their environment, and is gone after stop()."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BAO_DEV_ROOT_TOKEN_ID", "from-outside")
    with start_openbao(tmp_path / "server") as server:
        assert Api(server.address, server.root_token).ask("GET", "sys/mounts").status == 200
        assert Api(server.address, "from-outside").ask("GET", "sys/mounts").status == 403
    assert not server.running
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_persistent_server_survives_kill(tmp_path: Path) -> None:
    """A server with raft storage comes back after kill -9 with the same address, token and secrets."""
    server = ConfiguredServer(tmp_path, persistent=True)
    try:
        api = server.api()
        api.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
        api.put("kv", "a/b", {"x": "1"}, version=1)
        server.kill()
        server.start()
        assert server.api().get("kv", "a/b", version=1) == {"x": "1"}
        server.seal()
        assert server.api().ask("GET", "kv/a/b").status == 503
    finally:
        server.stop()


@pytest.mark.parametrize("kv_version", [1, 2])
def test_mounts_are_fresh(
    openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken, kv_version: int
) -> None:
    """Each mount is empty and usable at once, and a token may do what its policy says only."""
    name = mount(openbao, kv_version)
    assert name != mount(openbao, kv_version)
    api.put(name, "k", {"x": "1"}, version=kv_version)
    assert api.get(name, "k", version=kv_version) == {"x": "1"}
    token = make_token(openbao, f'path "{name}/*" {{ capabilities = ["read"] }}')
    limited = Api(openbao.address, token)
    assert limited.get(name, "k", version=kv_version) == {"x": "1"}
    assert limited.ask("DELETE", f"{name}/data/k").status == 403
