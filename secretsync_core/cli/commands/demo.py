"""``secretsync demo``: the whole of it, on this machine, with two real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.demo.show import play

if TYPE_CHECKING:
    from secretsync_core.cli.output import Output


def run(output: Output, *, once: bool, secrets: int) -> int:
    """Play the demo; gives its exit code."""
    return play(output.line, output.flush, output.paint, once=once, secrets=secrets)
