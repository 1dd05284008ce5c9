"""Which keys of a store are wanted, and which of its folders there is any reason to look into. Pure.

A :class:`Rule` is what one query says of names. A :class:`Selection` is what one listing is for: the rules of all
queries that it answers. A store may ask it before each request, so that what nobody wants is neither listed nor looked
at. See docs/design/0012-what-a-query-selects.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from secretsync_core.expression.glob import ANY, DEEP, escaped, is_glob, parts_of, regexp_of
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.key_rules import common_beginning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsync_core.expression.glob import Part
    from secretsync_core.expression.regexp import RegExp
    from secretsync_core.model.inventory import Gap


class Pattern:
    """A glob for whole keys: folders, and then a name."""

    def __init__(self, folders: Sequence[Part], name: Part, *, chooses: bool) -> None:
        """``chooses``: the path had a glob, so that this is not just a folder, or a folder and all below it."""
        self.folders = tuple(folders)
        self.name = name
        self.chooses = chooses
        self.fixed = 0
        """How many folders stand before the first that may be several."""
        while self.fixed < len(self.folders) and self.folders[self.fixed].literal is not None:
            self.fixed += 1
        self.folder = "".join(f"{part.literal}/" for part in self.folders[: self.fixed])
        """The folder that all of its keys are in, ending in ``/``; empty for the top."""
        following = self.name if self.fixed == len(self.folders) else self.folders[self.fixed]
        self.beginning = self.folder + following.beginning
        """How all of its keys begin."""
        self.recursive = self.fixed < len(self.folders)
        """Whether some of its keys are in folders below ``folder``."""

    @cached_property
    def _whole(self) -> RegExp:
        return compile_regexp(f"^{regexp_of(self.folders)}{self.name.regexp}$")

    def folder_with(self, text: str) -> str:
        """A folder that it leads to, with ``text`` where it leaves a choice, and no folder for ``**``."""
        return "".join(f"{part.filled(text)}/" for part in self.folders if not part.deep)

    def key_with(self, text: str) -> str:
        """A key that it stands for, made in the same way; ``text`` is one character, or the glob may not take it."""
        return self.folder_with(text) + self.name.filled(text)

    def matches(self, key: str) -> bool:
        """Whether it stands for this key."""
        return key.startswith(self.beginning) and self._whole.found(key)

    def places(self, folder: str) -> frozenset[int]:
        """Where in its folders one may be, having come to ``folder``; nowhere where that cannot be on the way."""
        at = self._with_deep({0})
        for text in folder.split("/")[:-1]:
            at = self._with_deep(
                {
                    place if self.folders[place].deep else place + 1
                    for place in at
                    if place < len(self.folders) and self.folders[place].matches(text)
                }
            )
        return at

    def _with_deep(self, places: Iterable[int]) -> frozenset[int]:
        """The same, having passed every ``**``, which may stand for no folder at all."""
        found = set()
        for place in places:
            found.add(place)
            while place < len(self.folders) and self.folders[place].deep:
                place += 1
                found.add(place)
        return frozenset(found)


def pattern_of(path: str, *, recursive: bool) -> Pattern:
    """What a query's path stands for: a folder's keys, or with a glob whole keys.

    ``recursive`` takes the keys of all folders below as well. Raises ExpressionError where the two do not go together,
    and for what is no glob.
    """
    parts = parts_of(path)
    chooses = is_glob(parts)
    if names_keys(path):
        return Pattern(parts[:-1], parts[-1], chooses=chooses)
    if recursive and not (parts and parts[-1].deep):
        parts = (*parts, DEEP)
    return Pattern(parts, ANY, chooses=chooses)


def names_keys(path: str) -> bool:
    """Whether a path stands for keys by their whole names, and not for all that is in a folder, or below it."""
    parts = parts_of(path)
    return is_glob(parts) and not path.endswith("/") and not parts[-1].deep


class Exclusion:
    """A glob for what is left out: a folder with all that is below it, or a key."""

    def __init__(self, text: str) -> None:
        parts = parts_of(text)
        self._folders_only = text.endswith("/") or bool(parts and parts[-1].deep)
        if parts and parts[-1].deep:
            parts = parts[:-1]
        # A folder stands for all that is below it, so what comes behind it need not be looked at.
        ending = "/" if self._folders_only else "(?:/|$)"
        self._any = not parts
        self._regexp = compile_regexp(f"^{regexp_of(parts)[:-1]}{ending}" if parts else "")

    def covers(self, path: str) -> bool:
        """Whether it leaves out a key, or a folder (ending in ``/``) with all that may be below it."""
        return self._any or self._regexp.found(path)


_DEPENDS_ON_THE_END = re.compile(r"\$|\\[zZbB]")


@dataclass(frozen=True)
class Rule:
    """What one query says of names: its path, its globs of what to leave out, and its expressions.

    The expressions see what follows ``pattern.folder``.
    """

    pattern: Pattern
    globs: tuple[Exclusion, ...] = ()
    include: RegExp | None = None
    exclude: tuple[RegExp, ...] = ()

    @property
    def is_selective(self) -> bool:
        """Whether it leaves out whole folders, so that they need not be listed."""
        return self.pattern.chooses or bool(self.globs)

    def takes(self, key: str) -> bool:
        """Whether the query selects a secret of this name."""
        return self.pattern.matches(key) and self.admits(key)

    def admits(self, key: str) -> bool:
        """The same for a key that the path is known to stand for."""
        # Asked for every key of every run: loops are twice as quick as generators here.
        for glob in self.globs:
            if glob.covers(key):
                return False
        relative = key[len(self.pattern.folder) :]
        if self.include is not None and not self.include.found(relative):
            return False
        for each in self.exclude:  # noqa: SIM110
            if each.found(relative):
                return False
        return True

    def enters(self, folder: str) -> bool:
        """Whether it may select something in this folder (ending in ``/``; empty for the top) or below it."""
        return bool(self.pattern.places(folder)) and not self._leaves_out(folder)

    def _leaves_out(self, folder: str) -> bool:
        """Whether nothing below a folder can be selected, whatever it is called: as far as that is sure."""
        if any(glob.covers(folder) for glob in self.globs):
            return True
        above = self.pattern.folder
        if not folder.startswith(above):
            return False
        relative = folder[len(above) :]
        if not (relative.startswith(self._beginning) or self._beginning.startswith(relative)):
            return True
        return any(each.found(relative) for each in self._lasting)

    @cached_property
    def _lasting(self) -> list[RegExp]:
        """Those of ``exclude`` that go on to be found, whatever follows what they were found in."""
        return [each for each in self.exclude if not _DEPENDS_ON_THE_END.search(each.pattern)]

    @cached_property
    def _beginning(self) -> str:
        return beginning_of(self.include.pattern) if self.include is not None else ""


def beginning_of(regexp: str) -> str:
    """How every text begins in which an RE2 expression is found, as far as it is easily told; else empty."""
    if not regexp.startswith("^") or "|" in regexp or "(?" in regexp:
        return ""
    found, at = "", 1
    while at < len(regexp):
        if regexp[at] == "\\" and at + 1 < len(regexp) and not regexp[at + 1].isalnum():
            letter, after = regexp[at + 1], at + 2
        elif regexp[at] in r".^$*+?()[]{}\\":
            break
        else:
            letter, after = regexp[at], at + 1
        if regexp[after : after + 1] in ("*", "?", "{"):
            break
        found, at = found + letter, after
    return found


def folder_rule(prefix: str, *, recursive: bool) -> Rule:
    """The rule for a folder (ending in ``/``; empty for the top), as it is, or with all that is below it."""
    parts = parts_of(escaped(prefix))
    return Rule(Pattern((*parts, DEEP) if recursive else parts, ANY, chooses=False))


class Selection:
    """What one listing is for: all that any of some rules selects."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """There is at least one rule."""
        self.rules = tuple(rules)

    @cached_property
    def beginning(self) -> str:
        """How the keys of all rules begin, letter by letter."""
        return common_beginning([rule.pattern.beginning for rule in self.rules])

    @property
    def folder(self) -> str:
        """The deepest folder that holds all of it, ending in ``/``; empty for the top."""
        return self.beginning[: self.beginning.rfind("/") + 1]

    @property
    def recursive(self) -> bool:
        """Whether some of it may be in folders below ``folder``."""
        return any(rule.pattern.recursive or rule.pattern.folder != self.folder for rule in self.rules)

    def takes(self, key: str) -> bool:
        """Whether it wants a secret of this name, if there is one."""
        return any(rule.takes(key) for rule in self.rules)

    def enters(self, folder: str) -> bool:
        """Whether it may want something in this folder (ending in ``/``; empty for the top) or below it."""
        return any(rule.enters(folder) for rule in self.rules)

    def takes_all_folders(self, folder: str) -> bool:
        """Whether it may want keys of every folder below this one, so that to list them all is to list none too many.

        Expressions do not count: they choose among names, and not among folders.
        """
        return any(
            not rule.globs and any(rule.pattern.folders[place].deep for place in places if place < rule_length(rule))
            for rule, places in self._entering(folder)
        )

    def needs_list(self, folder: str) -> bool:
        """Whether it can be known only by listing this folder what it wants there."""
        return any(
            (place == rule_length(rule) and rule.pattern.name.literal is None)
            or (place < rule_length(rule) and rule.pattern.folders[place].literal is None)
            for rule, places in self._entering(folder)
            for place in places
        )  # fmt: skip

    def is_level(self, folder: str) -> bool:
        """Whether it wants keys that are directly in this folder, and nothing that is in folders below it."""
        found = {place == rule_length(rule) for rule, places in self._entering(folder) for place in places}
        return found == {True}

    def named_folders(self, folder: str) -> list[str]:
        """Where that is not so: the folders in this one that it goes on in, each ending in ``/``."""
        found = {
            f"{folder}{rule.pattern.folders[place].literal}/"
            for rule, places in self._entering(folder)
            for place in places
            if place < rule_length(rule)
        }
        return sorted(inner for inner in found if self.enters(inner))

    def named_keys(self, folder: str) -> list[str]:
        """Where that is not so: the keys in this folder that it wants, if they are there."""
        found = {
            f"{folder}{rule.pattern.name.literal}"
            for rule, places in self._entering(folder)
            if rule_length(rule) in places
        }
        return sorted(key for key in found if self.takes(key))

    def _entering(self, folder: str) -> Iterator[tuple[Rule, frozenset[int]]]:
        for rule in self.rules:
            if rule.enters(folder):
                yield rule, rule.pattern.places(folder)

    def concerns(self, gap: Gap) -> bool:
        """Whether something that it wants may be in what a listing could not see."""
        if gap.is_key:
            return self.takes(gap.prefix)
        folder = gap.prefix if not gap.prefix or gap.prefix.endswith("/") else f"{gap.prefix}/"
        return self.enters(folder) or self.takes(gap.prefix)


def rule_length(rule: Rule) -> int:
    """How many folders a rule's pattern has."""
    return len(rule.pattern.folders)
