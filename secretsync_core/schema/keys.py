"""Which keys a query takes, and what they are called at the destination."""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING

from secretsync_core.errors import TransformFailed
from secretsync_core.expression.errors import RenderError
from secretsync_core.expression.regexp import Rewrite, compile_regexp
from secretsync_core.expression.template import compile_template
from secretsync_core.schema.job import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.schema.job import KeyTransform, QuerySelector


def folder(path: str) -> str:
    """A query's path as a listing prefix: no slash in front, one behind; empty for the whole store."""
    inner = path.strip("/")
    return f"{inner}/" if inner else ""


class QueryMatcher:
    """Says whether a listed secret belongs to a query.

    The expressions are matched, unanchored, against the key below the query's path.
    """

    __slots__ = ("_exclude", "_folder", "_include", "_metadata", "_prefix", "_recursive")

    def __init__(self, query: QuerySelector) -> None:
        self._folder = folder(query.path)
        self._prefix = len(self._folder)
        self._recursive = query.recursive
        self._include = compile_regexp(query.key.regexp) if query.key.regexp is not None else None
        self._exclude = [compile_regexp(pattern) for pattern in query.key.exclude]
        self._metadata = tuple(query.metadata.items())

    def takes(self, entry: Entry) -> bool:
        """Whether the query selects this secret; a deleted one never is."""
        if entry.deleted:
            return False
        relative = entry.key[self._prefix :]
        if self._include is not None and not self._include.found(relative):
            return False
        for pattern in self._exclude:
            if pattern.found(relative):
                return False
        if self._metadata:
            have = entry.metadata or {}
            return all(have.get(name) == value for name, value in self._metadata)
        return True

    def reaches(self, key: str) -> bool:
        """Whether the query would select a secret with this key, if it had the metadata that the query asks for.

        It asks nothing that ``takes`` and the listing before it do not ask.
        """
        if not key.startswith(self._folder):
            return False
        relative = key[self._prefix :]
        if not relative or (not self._recursive and "/" in relative):
            return False
        if self._include is not None and not self._include.found(relative):
            return False
        return not any(pattern.found(relative) for pattern in self._exclude)


class KeyMapper:
    """Maps source keys to destination keys: the steps of ``keyTransform`` one after the other."""

    __slots__ = ("_item", "_steps")

    def __init__(self, steps: Sequence[KeyTransform], *, item: str) -> None:
        self._item = item
        self._steps: list[Callable[[str], str]] = [self._compile(step) for step in steps]

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
