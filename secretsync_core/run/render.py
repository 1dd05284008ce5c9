"""From source values to the value that a destination gets: property, fields, templates, combine.

Runs between the read and the write, for this is the only place that sees values. An error names the step and the
field names that the document itself holds, never anything that it was given.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, SecretNotFound, TransformFailed
from secretsync_core.expression.errors import RenderError
from secretsync_core.expression.template import compile_template
from secretsync_core.known import looks_like_a_name
from secretsync_core.model.field_names import listed, quoted
from secretsync_core.run.convert import VALUE, Base64, blob_to_fields, encoded, is_lone_object, is_text, opened
from secretsync_core.schema.encoding import Encoding, encoding_of
from secretsync_core.secret import OBJECT, SecretValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.expression.template import Template
    from secretsync_core.model.plan import SourceRef
    from secretsync_core.run.items import Item, Part
    from secretsync_core.schema.job import FieldsTransform, TemplateTransform
    from secretsync_core.secret import FieldValue, JsonValue

Fields = dict[str, "FieldValue"]


def render(item: Item, found: Sequence[tuple[SourceRef, SecretValue]]) -> SecretValue:
    """The value that the item makes of its sources' values, in whichever shape its last step gives.

    Raises TransformFailed where a step fails, InvalidSecret where a conversion would lose something and
    SecretNotFound where a ``property`` is not there.
    """
    found = [(ref, opened(value, item.encoding)) for ref, value in found]
    if item.combined:
        return _render_combined(item, found)
    ((ref, value),) = found
    secret = item.parts[0].secret
    if secret is not None and secret.property is not None:
        value = _property(_as_fields(value, item), secret.property, ref)
    return _apply(item, value, None)


def _render_combined(item: Item, found: Sequence[tuple[SourceRef, SecretValue]]) -> SecretValue:
    context: dict[str, JsonValue] = {part.name: {} for part in item.parts if part.query is not None}
    parts = {part.name: part for part in item.parts}
    templated = bool(item.steps) and item.steps[0].template is not None
    everything: list[Fields] = []
    for ref, value in found:
        part = parts[ref.part]
        if part.secret is not None and part.secret.property is not None:
            value = _property(_as_fields(value, item), part.secret.property, ref)
        fields = _as_fields(value, item, ref.key.rpartition("/")[2] if not templated else VALUE)
        if not templated:
            everything.append(_named(fields, part, ref))
        elif part.secret is not None:
            context[part.name] = _for_template(fields, item)
        else:
            group = context[part.name]
            assert isinstance(group, dict)  # noqa: S101  made above
            group[ref.relative] = _for_template(fields, item)
    if templated:
        return _apply(item, SecretValue({}), context)
    return _apply(item, SecretValue(_union(item, everything)), None)


def _named(fields: Fields, part: Part, ref: SourceRef) -> Fields:
    """A secret without fields of its own stands under its name: what ``split: fields`` took apart is one again."""
    if set(fields) != {VALUE} or (part.secret is not None and part.secret.property is not None):
        return fields
    return {ref.key.rpartition("/")[2]: fields[VALUE]}


def _union(item: Item, everything: Sequence[Fields]) -> Fields:
    union: Fields = {}
    for fields in everything:
        for name, value in fields.items():
            if name in union:
                raise TransformFailed(
                    f"combine of item {item.name}: two of its secrets have a field with the same name: {quoted(name)}",
                    hint="use a template to say which of them goes where",
                )
            union[name] = value
    return union


def _apply(item: Item, value: SecretValue, context: Mapping[str, JsonValue] | None) -> SecretValue:
    """Run the item's steps; ``context`` is what the first template sees instead of the fields."""
    for number, step in enumerate(item.steps):
        where = f"valueTransform[{number}] of item {item.name}"
        if step.template is not None:
            if context is None:
                fields = _for_template(_as_fields(value, item), item)
                context = {**fields, "fields": fields}
            value = _fill(step.template, context, where)
            context = None
        elif step.fields_ is not None:
            value = SecretValue(_pick(step.fields_, _as_fields(value, item), where), _kind_of_fields(value, item))
    return value


def _as_fields(value: SecretValue, item: Item, name: str = VALUE) -> Fields:
    """A secret's fields; ``name`` is what a blob without any is called. Bytes that are no text stay bytes."""
    payload = value.reveal()
    if not isinstance(payload, bytes):
        return payload
    if not is_text(payload) and encoding_of(item.encoding, name) is not Encoding.BASE64:
        return {VALUE: payload}
    return dict(blob_to_fields(payload, item.encoding, name))


def _kind_of_fields(value: SecretValue, item: Item) -> str:
    """The kind that a secret's fields have: a blob's own is of no use to them."""
    payload = value.reveal()
    if not isinstance(payload, bytes):
        return value.kind
    whole = encoding_of(item.encoding, VALUE) is Encoding.BASE64
    return OBJECT if not whole and is_lone_object(payload) else ""


def _for_template(fields: Fields, item: Item) -> dict[str, JsonValue]:
    """Fields that a template can work with."""
    kept = _only_json(fields)
    if len(kept) < len(fields):
        raise InvalidSecret(
            f"a template of item {item.name} is given bytes that are not UTF-8 text: {listed(fields.keys() - kept)}",
            hint="set encoding: base64 on the plan item, for all fields or as {base64: [NAME]}, or exclude them before "
            "the template",
        )
    return {name: str(field) if isinstance(field, Base64) else field for name, field in kept.items()}


def _property(fields: Fields, name: str, ref: SourceRef) -> SecretValue:
    """One field, under its own name; a dotted path reaches into nested objects where no field has that very name."""
    if name in fields:
        return SecretValue({name: fields[name]})
    inner: FieldValue = _only_json(fields)
    for step in name.split("."):
        if not isinstance(inner, dict) or step not in inner:
            raise SecretNotFound(f"the secret has no property {quoted(name)}", store=ref.store, key=ref.key)
        inner = inner[step]
    return SecretValue({name.rpartition(".")[2]: inner})


def _pick(step: FieldsTransform, fields: Fields, where: str) -> Fields:
    names = [name for name in fields if not (step.drop_null and fields[name] is None)]
    names = [name for name in names if step.include is None or name in step.include]
    kept = [name for name in names if name not in step.exclude]
    if fields and not kept:
        raise TransformFailed(f"{where} leaves no field")
    picked: Fields = {}
    for name in kept:
        new = step.rename.get(name, name)
        if new in picked:
            raise TransformFailed(f"{where}: rename gives two fields the same name: {quoted(new)}")
        picked[new] = _text(fields[name]) if step.as_text else fields[name]
    return picked


def _text(field: FieldValue) -> FieldValue:
    """A number, true, null, a list or an object as its JSON text; text and bytes as they are."""
    if isinstance(field, (str, bytes)):
        return field
    return json.dumps(field, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _only_json(fields: Fields) -> dict[str, JsonValue]:
    return {name: field for name, field in fields.items() if not isinstance(field, bytes)}


def _fill(step: TemplateTransform, context: Mapping[str, JsonValue], where: str) -> SecretValue:
    if step.text is not None:
        blob = encoded(_rendered(step.text, context, f"{where}, text"))
        if blob is None:
            raise InvalidSecret(f"{where}, text: what it gives is not valid Unicode")
        return SecretValue(blob)
    return SecretValue(
        {name: _rendered(source, context, _within(where, name)) for name, source in (step.data or {}).items()}
    )


def _within(where: str, name: str) -> str:
    return f"{where}, data.{name}" if looks_like_a_name(name) else f"{where}, a field of data"


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Template:
    return compile_template(source)


def _rendered(source: str, context: Mapping[str, JsonValue], where: str) -> str:
    try:
        return _compiled(source).render(context)
    except RenderError as error:
        raise TransformFailed(f"{where}: {error}") from None
