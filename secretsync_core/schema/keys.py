"""Which keys a query takes, and what they are called at the destination."""

from __future__ import annotations

from itertools import takewhile
from operator import methodcaller
from typing import TYPE_CHECKING

from secretsync_core.errors import TransformFailed
from secretsync_core.expression.errors import RenderError
from secretsync_core.expression.glob import parts_of
from secretsync_core.expression.regexp import Rewrite, compile_regexp
from secretsync_core.expression.template import compile_template
from secretsync_core.schema.job import Case
from secretsync_core.selection import Exclusion, Rule, pattern_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.schema.job import KeyTransform, QuerySelector


def folder(path: str) -> str:
    """The folder that holds all that a query may take: no slash in front, one behind; empty for the whole store.

    With a glob in the path it is that of the folders before it.
    """
    literals = takewhile(lambda part: part.literal is not None, parts_of(path))
    return "".join(f"{part.literal}/" for part in literals)


class QueryMatcher:
    """Says whether a listed secret belongs to a query.

    The expressions are matched, unanchored, against the key below the query's :func:`folder`.
    """

    __slots__ = ("_metadata", "_whole", "rule")

    def __init__(self, query: QuerySelector) -> None:
        self.rule = Rule(
            pattern_of(query.path, recursive=query.recursive),
            tuple(Exclusion(text) for text in query.exclude),
            compile_regexp(query.key.regexp) if query.key.regexp is not None else None,
            tuple(compile_regexp(pattern) for pattern in query.key.exclude),
        )
        self._whole = self.rule.pattern.chooses  # else the listing has answered for the folder, and for nothing else
        self._metadata = tuple(query.metadata.items())

    def takes(self, entry: Entry) -> bool:
        """Whether the query selects this secret; a deleted one never is."""
        if entry.deleted or not self.rule.admits(entry.key):
            return False
        if self._whole and not self.rule.pattern.matches(entry.key):
            return False
        if self._metadata:
            have = entry.metadata or {}
            return all(have.get(name) == value for name, value in self._metadata)
        return True

    def reaches(self, key: str) -> bool:
        """Whether the query would select a secret with this key, if it had the metadata that the query asks for.

        It asks nothing that ``takes`` and the listing before it do not ask.
        """
        return not key.endswith("/") and self.rule.takes(key)


class KeyMapper:
    """Maps source keys to destination keys: the steps of ``keyTransform`` one after the other.

    ``prefix`` is what all of them together put in front of a key; None where they do more than that.
    """

    __slots__ = ("_item", "_steps", "prefix")

    def __init__(self, steps: Sequence[KeyTransform], *, item: str) -> None:
        self._item = item
        self._steps: list[Callable[[str], str]] = [self._compile(step) for step in steps]
        prefixes = [step.prefix for step in reversed(steps) if step.prefix is not None]
        self.prefix = "".join(prefixes) if len(prefixes) == len(steps) else None

    def _compile(self, step: KeyTransform) -> Callable[[str], str]:
        if step.regexp is not None:
            return Rewrite(step.regexp.source, step.regexp.target).apply
        if step.case is not None:
            return str.lower if step.case is Case.LOWER else str.upper
        if step.replace is not None:
            return methodcaller("translate", str.maketrans(dict.fromkeys(step.replace.characters, step.replace.with_)))
        if step.prefix is not None:
            return step.prefix.__add__
        template = compile_template(step.template or "")

        def render(key: str) -> str:
            parts = key.split("/")
            return template.render(
                {"key": key, "name": parts[-1], "folder": "/".join(parts[:-1]), "parts": parts, "item": self._item}
            )

        return render

    def map(self, key: str) -> str:
        """The destination's key. Raises TransformFailed where a step fails or leaves nothing."""
        result = key
        for number, step in enumerate(self._steps):
            try:
                result = step(result)
            except RenderError as error:
                raise TransformFailed(f"keyTransform[{number}] of item {self._item} failed: {error}") from None
        if not result:
            raise TransformFailed(f"keyTransform of item {self._item} leaves an empty key")
        return result
