"""Says in plain English, with file and line, what pydantic found wrong. What stood in the document is never quoted."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from secretsync_core.errors import Problem
from secretsync_core.known import nearest
from secretsync_core.schema.base import NAME_PATTERN
from secretsync_core.schema.known_fields import is_known
from secretsync_core.schema.metadata import FORMATS
from secretsync_core.schema.positions import Path, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

    from secretsync_core.schema.yaml_tree import RawDocument

_KINDS = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(error: ValidationError, model: type[BaseModel], raw: RawDocument, prefix: Path = ()) -> list[Problem]:
    """One Problem for each error of one document's validation; ``prefix`` is where ``model`` starts in it."""
    problems = [
        _explain_one(dict(detail), model, raw, prefix)
        for detail in error.errors(include_url=False, include_input=False)
    ]
    return [problem for problem in problems if problem is not None]


def _explain_one(detail: Mapping[str, Any], model: type[BaseModel], raw: RawDocument, prefix: Path) -> Problem | None:
    kind, loc, context = str(detail["type"]), tuple(detail["loc"]), detail.get("ctx") or {}
    path = (*prefix, *loc)
    known = raw.positions.known(path)
    # Beyond what stands in the document only the name of a missing field belongs into the path.
    where = dotted((*known, loc[-1]) if kind == "missing" else known) or "the document"
    value = _value(raw.data, known)
    if kind == "too_short" and isinstance(value, (list, dict)) and len(value) >= int(context.get("min_length", 1)):
        return None  # it only got too short by the elements that were wrong, and each of those is told by itself
    owner = _model_at(model, loc[:-1])
    field = _field(owner, loc[-1]) if owner is not None and loc else None
    message, hint = _words(kind, where, path, value, context, field, owner)
    if kind in ("value_error", "assertion_error"):
        reason = _reason(context, detail)
        # The model of a third party may put into its message whatever it was given.
        ours = owner is None or owner.__module__.startswith(__name__.partition(".")[0] + ".")
        message = f"{where}: {reason}" if ours or not _quotes(reason, value) else f"{where} is not valid"
    return Problem(raw.file, raw.positions.line(known), message, hint)


def _words(
    kind: str,
    where: str,
    path: Path,
    value: object,
    context: Mapping[str, Any],
    field: FieldInfo | None,
    owner: type[BaseModel] | None,
) -> tuple[str, str]:
    described = (field.description or "") if field is not None else ""
    if kind == "missing":
        return f"{where} is missing", described
    if kind == "extra_forbidden":
        within = dotted(path[:-1]) or "the document"
        name = str(path[-1])
        return f"unknown field {where}" if is_known(name) else f"unknown field in {within}", _known_names(name, owner)
    if kind in _KINDS:
        numeric = isinstance(value, (int, float)) and _KINDS[kind] == "text"
        hint = "Put it in quotes." if numeric else "It is empty." if value is None else described
        return f"{where} must be {_KINDS[kind]}", hint
    if kind in ("enum", "literal_error"):
        expected = str(context.get("expected", ""))
        return f"{where} must be {expected}", _closest(value, expected.replace(" or ", ", ").split(", "))
    if kind == "string_pattern_mismatch":
        if context.get("pattern") == NAME_PATTERN:
            return f"{where} is not a name", "Lower-case letters, digits and dashes, at most 63; no dash at the ends."
        return f"{where} has an invalid format", FORMATS.get(str(context.get("pattern")), described)
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{where} must be {words} {context.get(key)}", described
    if kind in ("string_too_short", "too_short", "string_too_long", "too_long"):
        return _length(kind, where, context), described
    return f"{where} is not valid ({kind.replace('_', ' ')})", described


def _length(kind: str, where: str, context: Mapping[str, Any]) -> str:
    if kind.endswith("short"):
        least = context.get("min_length", 1)
        return f"{where} must not be empty" if least == 1 else f"{where} is too short: at least {least}"
    unit = " characters" if kind.startswith("string") else ""
    return f"{where} is too long: at most {context.get('max_length')}{unit}"


def _reason(context: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    return str(context.get("error") or detail["msg"])


def _known_names(name: str, owner: type[BaseModel] | None) -> str:
    if owner is None:
        return ""
    names = sorted(field.alias or own for own, field in owner.model_fields.items())
    close = nearest(name, names)
    return f"Did you mean {close}?" if close else f"There are: {', '.join(names)}."


def _closest(value: object, expected: Iterable[str]) -> str:
    close = nearest(value, [word.strip("'") for word in expected])
    return f"Did you mean {close}?" if close else ""


def _quotes(message: str, value: object) -> bool:
    return any(len(text) > 2 and text in message for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend(part)
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
        elif part is not None and not isinstance(part, bool):
            yield str(part)


def _value(data: object, path: Path) -> object:
    for part in path:
        try:
            data = data[part]  # type: ignore[index]  # the path was found in this very data
        except (TypeError, LookupError):
            return None
    return data


# Which model, and which field of it, a path leads to


def _field(model: type[BaseModel], name: object) -> FieldInfo | None:
    return next((field for own, field in model.model_fields.items() if name in (field.alias, own)), None)


def _model_at(model: type[BaseModel], loc: tuple[object, ...]) -> type[BaseModel] | None:
    annotation: Any = model
    for part in loc:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = _field(annotation, part)
            annotation = field.annotation if field is not None else None
        else:
            inner = get_args(annotation)
            # The elements of a list, or the values of a mapping.
            annotation = inner[1] if get_origin(annotation) is dict and len(inner) > 1 else inner[0] if inner else None
    annotation = _bare(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """A type without ``Annotated`` and without ``None``."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            others = [arg for arg in get_args(annotation) if arg is not type(None)]
            annotation = others[0] if others else None
        else:
            return annotation
