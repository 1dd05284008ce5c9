"""Credentials that stand in a document themselves: where, and the document without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr

from secretsync_core.schema.base import Credential
from secretsync_core.schema.notify import NOT_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from secretsync_core.schema.positions import Path


def literals(value: object, path: Path = ()) -> Iterator[Path]:
    """Where in a checked part of a document a credential stands; ``path`` is that of the part.

    Of a third party's provider also what its own model keeps as pydantic's secrets.
    """
    if isinstance(value, Credential):
        if value.value is not None:
            yield (*path, "value")
    elif isinstance(value, SecretStr | SecretBytes):
        yield path
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from literals(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from literals(part, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from literals(part, (*path, index))


def without(document: dict[str, Any], paths: Collection[Path]) -> dict[str, Any]:
    """A document with something else in these places."""
    return _without(document, (), frozenset(paths)) if paths else document


def _without(part: Any, path: Path, paths: frozenset[Path]) -> Any:
    if path in paths:
        return NOT_SHOWN
    if isinstance(part, dict):
        return {key: _without(inner, (*path, str(key)), paths) for key, inner in part.items()}
    if isinstance(part, list):
        return [_without(inner, (*path, index), paths) for index, inner in enumerate(part)]
    return part
