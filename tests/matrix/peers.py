"""The stores of the matrix: for each the section of a document that opens an empty one, and what its keys look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


@dataclass(frozen=True)
class Peer:
    """One kind of store. ``section`` gives the ``provider`` of a document for an empty store of that kind."""

    name: str
    section: Callable[[pytest.FixtureRequest, Path], str]


def _vault(version: int) -> Callable[[pytest.FixtureRequest, Path], str]:
    def section(request: pytest.FixtureRequest, path: Path) -> str:
        server: Any = request.getfixturevalue("openbao")
        mount: str = request.getfixturevalue("mount")(server, version)
        token = path / "vault-token"
        token.write_text(server.root_token)
        return f"vault: {{address: '{server.address}', mount: {mount}, auth: {{token: {{file: {token}}}}}}}"

    return section


def _memory(shape: str) -> Callable[[pytest.FixtureRequest, Path], str]:
    return lambda request, path: f"memory: {{shape: {shape}}}"


def _file(request: pytest.FixtureRequest, path: Path) -> str:
    made = path / f"files-{len(list(path.glob('files-*')))}"
    made.mkdir()
    return f"file: {{path: {made}}}"


PEERS = (
    Peer("vault-v1", _vault(1)),
    Peer("vault-v2", _vault(2)),
    Peer("file", _file),
    Peer("memory-fields", _memory("fields")),
    Peer("memory-binary", _memory("binary-fields")),
    Peer("memory-blob", _memory("blob")),
)
