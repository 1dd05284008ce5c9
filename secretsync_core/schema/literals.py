"""Credentials that stand in a document themselves: where, and the document without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pydantic
from pydantic import AliasChoices, AliasPath, BaseModel, SecretBytes, SecretStr

from secretsync_core.schema.base import Credential, Spec
from secretsync_core.schema.notify import NOT_SHOWN, hide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from secretsync_core.schema.positions import Path

_SECRETS = (SecretStr, SecretBytes, pydantic.Secret)
_MISSING = object()
_TELLING = 4


def literals(value: object, path: Path = ()) -> Iterator[Path]:
    """Where in a checked part of a document a credential stands; ``path`` is that of the part.

    Of a third party's provider also what its own model keeps as pydantic's secrets.
    """
    return (found.path for found in _find(value, path, _MISSING))


class _Literal(NamedTuple):
    """A credential: the narrowest part of the document that is sure to hold it, and what it is, in texts."""

    path: Path
    text: str


def _find(value: object, path: Path, data: object) -> Iterator[_Literal]:
    """The credentials in a checked part, whose own text is ``data``."""
    if isinstance(value, Credential):
        if value.value is not None:
            yield _Literal(_below(path, data, ["value"])[0], value.value)
    elif isinstance(value, _SECRETS):
        yield _Literal(path, _text(value.get_secret_value()))
    elif isinstance(value, pydantic.RootModel):
        yield from _find(value.root, path, data)
    elif isinstance(value, BaseModel):
        for name in sorted(value.model_fields_set & type(value).model_fields.keys()):  # a default is in no document
            names = _names(type(value).model_fields[name], name)
            yield from _find(getattr(value, name), *_below(path, data, names))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _find(getattr(value, field.name, None), *_below(path, data, [field.name]))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _find(part, *_below(path, data, [str(key)]))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _find(part, *_below(path, data, [index]))
    elif isinstance(value, Collection) and not isinstance(value, (str, bytes)):  # a set: its order is its own
        for part in value:
            yield from (found._replace(path=path) for found in _find(part, (), None))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _names(field: FieldInfo, name: str) -> list[str | int]:
    """What a field may be called in a document: the first step to it, where there are several."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice.path[0] if isinstance(choice, AliasPath) else choice for choice in choices if choice] + [name]


def _below(path: Path, data: object, names: list[str | int]) -> tuple[Path, object]:
    """Where a part stands that goes by one of ``names``, and its text; what holds it, where that has none of them."""
    if data is _MISSING:
        return (*path, names[0]), data
    for name in names:
        if isinstance(data, list) and isinstance(name, int) and name < len(data):
            return (*path, name), data[name]
        if isinstance(data, dict):
            for key, part in data.items():
                if str(key) == name:
                    return (*path, name), part
    return path, None


def without_credentials(document: dict[str, Any], config: BaseModel, path: Path) -> dict[str, Any]:
    """A SecretStore as people may see it: without the credentials that stand in its provider's part, at ``path``."""
    part: Any = document
    for name in path:
        part = part[name]
    found = [*_find(config, (), part)]
    shown = _without(part, (), frozenset(each.path for each in found), {each.text for each in found} - {""})
    return _put(document, path, shown if isinstance(config, Spec) else hide(shown))


def _put(document: dict[str, Any], path: Path, part: Any) -> dict[str, Any]:
    return {
        key: inner if key != path[0] else _put(inner, path[1:], part) if path[1:] else part
        for key, inner in document.items()
    }


def _without(part: Any, path: Path, paths: Collection[Path], texts: Collection[str]) -> Any:
    """A part without what stands at ``paths``, and without what is, or has in it, one of ``texts``."""
    if path in paths:
        return NOT_SHOWN
    if isinstance(part, dict):
        return {key: _without(inner, (*path, str(key)), paths, texts) for key, inner in part.items()}
    if isinstance(part, list):
        return [_without(inner, (*path, index), paths, texts) for index, inner in enumerate(part)]
    # A model may have moved it here from elsewhere. What is as short as `a` would be found in anything.
    said = str(part)
    return NOT_SHOWN if any(said == text or (len(text) >= _TELLING and text in said) for text in texts) else part
