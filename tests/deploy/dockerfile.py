"""The instructions of a Dockerfile, as far as ours goes: continued lines are joined, comments left out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Instruction(NamedTuple):
    """One instruction, such as ``USER`` and ``10001:10001``, and which stage (from 0) it is in."""

    name: str
    text: str
    stage: int


def instructions(path: Path) -> list[Instruction]:
    """All of them; what stands before the first FROM is in stage -1."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = -1
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, text = line.strip().partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, " ".join(text.split()), stage))
    return found


def settings(found: list[Instruction], name: str, stage: int) -> dict[str, str]:
    """What all ``ENV`` or ``LABEL`` instructions of a stage set."""
    texts = [one.text for one in found if one.name == name and one.stage == stage]
    return dict(part.split("=", 1) for text in texts for part in shlex.split(text))
