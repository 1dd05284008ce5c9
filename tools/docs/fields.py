"""The page of all fields of the documents, from the JSON Schema that `secretsync schema` prints."""

from __future__ import annotations

import json
import re
from typing import Any

from secretsync_core.schema.export import json_schema, json_schema_for
from tools.docs.markdown import code, prose, table
from tools.docs.markdown import page as whole_page

Schema = dict[str, Any]

ABOUT = (
    "Every field of `SecretStore`, `SyncJob` and `SyncPolicy`, with its type, its default and what it does. [The "
    "documents](../documents.md) explains how the first two work together, and [the policy](../policy.md) what bounds "
    "them. A field in **bold** is required. `secretsync schema` prints the JSON Schema that this page is made of, for "
    "[completion in an editor](../documents.md#in-an-editor)."
)


def _of(schema: Schema) -> str:
    """The page for a schema."""
    definitions: dict[str, Schema] = schema["$defs"]
    order: list[str] = []
    for name in ("SyncJob", "SecretStore", "SyncPolicy"):
        _collect(name, definitions, order)
    return whole_page("Fields", ABOUT, *(_section(name, definitions) for name in order))


def undescribed() -> list[str]:
    """The fields, as ``Part.field``, that nothing describes."""
    definitions: dict[str, Schema] = _schema()["$defs"]
    return [
        f"{name}.{field}"
        for name, part in definitions.items()
        for field, about in part.get("properties", {}).items()
        if not _meaning(about, definitions)
    ]


def page() -> str:
    """The page for the schema of this version."""
    return _of(_schema())


def _schema() -> Schema:
    """The schema of the documents, with the parts of a policy."""
    return {"$defs": {**json_schema()["$defs"], **json_schema_for("SyncPolicy")["$defs"]}}


def _collect(name: str, definitions: dict[str, Schema], order: list[str]) -> None:
    """Add a part and all parts that it refers to, depth first, each once. Enumerations get no section."""
    part = definitions[name]
    if name in order or "enum" in part:
        return
    order.append(name)
    for reference in re.findall(r'"#/\$defs/([A-Za-z0-9]+)"', json.dumps(part.get("properties", {}))):
        _collect(reference, definitions, order)


def _section(name: str, definitions: dict[str, Schema]) -> str:
    part = definitions[name]
    required = set(part.get("required", ()))
    about = "\n\n".join(prose(text) for text in [part.get("description", "")] if text)
    rows = [
        [
            f"**`{field}`**" if field in required else code(field),
            _type(described, definitions),
            _default(described),
            _meaning(described, definitions),
        ]
        for field, described in part.get("properties", {}).items()
    ]
    body = table(["field", "type", "default", "meaning"], rows) if rows else "It has no fields: write `{}`."
    return "\n\n".join(part for part in (f"## {name}", about, _choice(part), body) if part)


def _choice(part: Schema) -> str:
    names = [each["required"][0] for each in part.get("oneOf", ()) if each.get("required")]
    told = "exactly one" in part.get("description", "").lower()
    return f"Exactly one of {', '.join(code(name) for name in names)}." if names and not told else ""


def _type(described: Schema, definitions: dict[str, Schema]) -> str:
    if "$ref" in described:
        return _named(described["$ref"], definitions)
    if "allOf" in described:
        return _type(described["allOf"][0], definitions)
    if "anyOf" in described:
        return " or ".join(_type(each, definitions) for each in described["anyOf"])
    if "const" in described:
        return code(str(described["const"]))
    if "enum" in described:
        return ", ".join(code(str(value)) for value in described["enum"])
    kind = described.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_type(described.get('items', {}), definitions)}"
    if kind == "object":
        values = described.get("additionalProperties")
        properties = described.get("properties") or {}
        if properties and not all("$ref" in each for each in properties.values()):
            return "map of " + ", ".join(code(name) for name in properties)
        if properties:
            return "one of " + ", ".join(_named(each["$ref"], definitions, name)
                                         for name, each in described["properties"].items())  # fmt: skip
        return f"map to {_type(values, definitions)}" if isinstance(values, dict) and values else "map"
    return f"{kind}{_bounds(described)}"


def _bounds(described: Schema) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    return f", {low:,} to {high:,}" if low is not None and high is not None else ""


def _named(reference: str, definitions: dict[str, Schema], label: str = "") -> str:
    name = reference.rpartition("/")[2]
    if "enum" in definitions[name]:
        return _type({"enum": definitions[name]["enum"]}, definitions)
    return f"[{label or name}](#{name.lower()})"


def _default(described: Schema) -> str:
    value = described.get("default")
    if value in (None, "") or isinstance(value, list | dict):
        return ""  # that of a part is told by the fields of the part
    return code(value if isinstance(value, str) else json.dumps(value))


def _meaning(described: Schema, definitions: dict[str, Schema]) -> str:
    if "description" in described:
        return prose(described["description"])
    if "$ref" in described:
        return prose(definitions[described["$ref"].rpartition("/")[2]].get("description", ""))
    if "const" in described:
        return "Always this."
    return ""
