"""In which order and under which headings people see a plan, on a terminal, in Markdown and in Dagster.

What takes something away or cannot be done comes first, and is never cut.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe
from secretsync_core.cli.wording import ALWAYS_COUNTED, TO_DO
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Action
from secretsync_core.model.inventory import display_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.schema.documents import JobDocument

FIRST = (Action.DELETE, Action.REFUSE)
"""What comes first, and is never cut."""

_STILL = (Action.UNCHANGED, Action.SKIP)


def to_show(changes: Iterable[Change]) -> list[Change]:
    """What something is to be done with, and what cannot be done."""
    return [change for change in changes if change.action not in _STILL or change.adopt]


def parts(changes: Iterable[Change]) -> list[list[Change]]:
    """Deletes, refusals and everything else, in this order; those that are empty are left out."""
    found: dict[Action | None, list[Change]] = {**{action: [] for action in FIRST}, None: []}
    for change in changes:
        found[change.action if change.action in FIRST else None].append(change)
    return [part for part in found.values() if part]


def counts_line(changes: Sequence[Change]) -> str:
    """``Plan: 3 to create, 1 to update, 0 to delete, 1,204 unchanged, 1 refused``."""
    counts = Counter(change.action for change in changes)
    words = [f"{number(counts[a])} {word}" for a, word in TO_DO.items() if counts[a] or a in ALWAYS_COUNTED]
    return f"Plan: {', '.join(words)}."


def title(changes: Iterable[Change]) -> str:
    """What a part has, in words: ``To delete (2)``, ``To create (3), to update (250)``."""
    counts = Counter(change.action for change in changes)
    words = ", ".join(f"{word} ({number(counts[action])})" for action, word in TO_DO.items() if counts[action])
    return words[:1].upper() + words[1:]


class Pairs:
    """Between which two stores each change of a job is; named once, in a heading."""

    def __init__(self, job: JobDocument) -> None:
        self._default = job.spec.source
        self._sources = {item.name: item.source or job.spec.source for item in job.spec.plan}
        used = dict.fromkeys(self._sources.values())
        self._only = next(iter(used)) if len(used) == 1 else ""
        self.heading = f"{', '.join(used)} -> {', '.join(job.spec.dest)}"
        self.one_dest = len(job.spec.dest) == 1
        self.one_source = len(used) == 1
        self.one = self.one_source and self.one_dest

    def of(self, change: Change) -> str:
        """``source -> destination``; the source of what an item made that is gone may be unknown."""
        stores = list(dict.fromkeys(ref.store for ref in change.sources))
        source = ", ".join(stores) or self._sources.get(change.item) or self._only
        return f"{source} -> {change.dest}".lstrip()

    def key_of(self, change: Change) -> str:
        """The destination's key, and the source's where it is another one; with the store's name if there are several.

        A name that would stand in every row says nothing.
        """
        return key_of(change) if self.one_dest else f"{change.dest}: {key_of(change)}"


def key_of(change: Change) -> str:
    """The destination's key, and the source's where it is another one."""
    key = safe(change.key)
    if len(change.sources) == 1:
        ref = change.sources[0]
        return key if ref.key == change.key else f"{key} <- {safe(ref.key)}"
    return f"{key} <- {plural(len(change.sources), 'source')}" if change.sources else key


def prefix_of(change: Change) -> str:
    """The first part of a key, by which many keys are counted: ``payments/``; all of a key that has one part."""
    head, slash, _ = change.key.strip("/").partition("/")
    return f"{head}/" if slash else "(no folder)"


def by_prefix(changes: Iterable[Change], most: int) -> list[tuple[str, str]]:
    """How many changes there are below each prefix, in words, the most first; beyond ``most`` prefixes all together."""
    counts = Counter((prefix_of(change), change.action) for change in changes)
    prefixes = Counter[str]()
    for (prefix, _), count in counts.items():
        prefixes[prefix] += count
    ordered = [prefix for prefix, _ in sorted(prefixes.items(), key=lambda each: (-each[1], each[0]))]
    shown = ordered[:most]

    def words(chosen: Iterable[str]) -> str:
        total: Counter[Action] = Counter()
        for prefix in chosen:
            total.update({action: counts[prefix, action] for action in Action})
        return ", ".join(f"{number(total[action])} {word}" for action, word in TO_DO.items() if total[action])

    found = [(prefix, words([prefix])) for prefix in shown]
    if rest := ordered[most:]:
        found.append((f"{plural(len(rest), 'more prefix', 'more prefixes')}", words(rest)))
    return found


def versions_of(dest: str | None, source: str | None, *, whole: bool = False) -> str:
    """The destination's version, and the source's that it is a copy of: as the keys are put, in half the room.

    A long one is cut, for beside it there is no room left for the key; ``whole`` where people look for just that.
    """
    shown = (display_version(token) for token in (dest, source))
    return " <- ".join(shown if whole else map(_cut, shown))


_LONGEST = 20


def _cut(version: str) -> str:
    return version if len(version) <= _LONGEST else f"{version[: _LONGEST - 1]}…"
