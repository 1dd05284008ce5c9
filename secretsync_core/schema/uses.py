"""Finds all that a part of a document names: by the types of its fields, so that no field is forgotten.

Our own models say by their types what a field names: ``Credential``, and ``Names`` in ``Annotated``, as ``LocalPath``
has it. Of another package's model a URL is taken for a host as well, for it may know nothing of that.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from secretsync_core.schema.base import Credential
from secretsync_core.schema.named import Kind, Names, Use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.schema.positions import Path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s]")
_OURS = __name__.partition(".")[0] + "."


def uses_of(part: object, path: Path = ()) -> Iterator[Use]:
    """All that a part of a document names, with the way to each field below ``path``."""
    if isinstance(part, Credential):
        if part.env is not None:
            yield Use(Kind.VARIABLE, part.env, (*path, "env"))
        if part.file is not None:
            yield Use(Kind.FILE, part.file, (*path, "file"))
    elif isinstance(part, BaseModel):
        for field, (alias, named) in _fields(type(part)).items():
            value = getattr(part, field)
            if named is not None and named.port and value and (port := getattr(part, named.port)) is not None:
                value = f"{value}:{port}"
            kind = named.kind if named is not None else None
            yield from _below(value, kind, (*path, alias), guess=not _is_ours(type(part)))
    elif isinstance(part, (list, tuple)):
        for index, inner in enumerate(part):
            yield from uses_of(inner, (*path, index))


def _below(value: object, kind: Kind | None, path: Path, *, guess: bool) -> Iterator[Use]:
    if isinstance(value, str):
        if kind is not None:
            yield Use(kind, value, path)
        elif guess and _URL.match(value):
            yield Use(Kind.HOST, value, path)
    elif isinstance(value, PurePath):
        yield Use(kind or Kind.FILE, str(value), path)
    elif isinstance(value, BaseModel):
        yield from uses_of(value, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _below(inner, kind, (*path, str(name)), guess=guess)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, inner in enumerate(value):
            yield from _below(inner, kind, (*path, index), guess=guess)
    elif guess and value is not None and _URL.match(text := str(value)):
        yield Use(Kind.HOST, text, path)  # a type of pydantic's own; one for secrets shows nothing of them


@lru_cache(maxsize=256)
def _fields(model: type[BaseModel]) -> dict[str, tuple[str, Names | None]]:
    """Of each field of a model its name in documents, and what its text names."""
    return {
        name: (field.alias or name, _names([*_markers(field.annotation), *field.metadata]))
        for name, field in model.model_fields.items()
    }


def _markers(annotation: Any) -> Iterator[object]:
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _markers(inner)


def _names(markers: list[object]) -> Names | None:
    """The last one counts: it stands around those before it."""
    return next((marker for marker in reversed(markers) if isinstance(marker, Names)), None)


def _is_ours(model: type[BaseModel]) -> bool:
    return model.__module__.startswith(_OURS)
