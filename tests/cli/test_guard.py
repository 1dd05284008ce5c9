"""What nobody caught is told by its type and its place, and only where it is anybody's fault."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from secretsync_core.cli import guard
from secretsync_core.testing.canaries import canary

if TYPE_CHECKING:
    import pytest


def _on_loop(**context: object) -> None:
    loop = asyncio.new_event_loop()
    try:
        guard.on_loop(loop, {"message": "Fatal error", **context})
    finally:
        loop.close()


def test_what_a_callback_raises_is_told_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An event loop has nobody to hand it to."""
    secret = canary("guard")
    _on_loop(exception=ValueError(secret.text))
    said = capsys.readouterr().err
    assert said.startswith("internal error: ValueError at ")
    assert secret.text not in said


def test_more_on_a_closed_connection_is_nothing_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    """uvloop raises where TLS goes on after a connection was closed; what waited for it was told already."""
    _on_loop(exception=RuntimeError("the handler is closed"), transport=object(), protocol=object())
    assert capsys.readouterr().err == ""
    _on_loop(exception=RuntimeError("something else"))
    assert capsys.readouterr().err.startswith("internal error: RuntimeError at ")
