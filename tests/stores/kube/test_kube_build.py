"""`make test-kube` says what it lacks, and does not pass without a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import kube_build


def test_without_go_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was built yet and there is no Go to build it, the test fails with that, and is not left out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(kube_build, "GO", tmp_path / "nowhere")
    with pytest.raises(pytest.fail.Exception, match="there is no Go here"):
        kube_build.programs.__wrapped__()


def test_what_cannot_be_built_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Go says of a build that fails is told, and nothing is left that would pass for what was built."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    go.chmod(0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.which", lambda _: str(go))
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match="cannot build kube-apiserver and etcd here: no such module"):
            kube_build.programs.__wrapped__()
    assert [path.name for path in Path(tmp_path, "cache", "secretsync-tests").iterdir()] == [
        f"kube-1.{kube_build.MINOR}.lock"
    ]
