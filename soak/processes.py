"""The processes below one, as Linux tells of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path


def below(pid: int) -> dict[int, str]:
    """The command lines of all that a process started, and of what those started, by id. Zombies do not count."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # gone meanwhile
                continue
            if state != "Z":
                children[int(parent)].append(int(entry.name))
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for child in children[todo.pop()]:
            todo.append(child)
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
    return found
