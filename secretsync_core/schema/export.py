"""The JSON Schema of the documents, by which editors complete and check them.

It says what a schema can: names, types, forms, and what excludes what. What only loading can tell (names that dangle,
expressions that do not compile, groups that are not there) it leaves open, so it never refuses what would load, but for
one thing: a field that is written without a value, which loading takes as left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from secretsync_core.schema.candidates import KINDS
from secretsync_core.schema.policy import SyncPolicy
from secretsync_core.schema.providers import built_in_models

if TYPE_CHECKING:
    from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a document of either kind. A policy is none of them: it stands elsewhere."""
    refs, definitions = _definitions()
    either = [refs[model] for model in KINDS.values()]
    return {
        "$schema": DIALECT,
        "title": "SecretSync",
        "description": "A SecretStore or a SyncJob.",
        "oneOf": either,
        "$defs": _reachable(either, definitions),
    }


def json_schema_for(kind: str) -> dict[str, Any]:
    """The schema of one kind, ``SecretStore``, ``SyncJob`` or ``SyncPolicy``. Raises KeyError for any other."""
    refs, definitions = _definitions()
    ref = refs[{**KINDS, "SyncPolicy": SyncPolicy}[kind]]
    return {"$schema": DIALECT, **ref, "$defs": _reachable(ref, definitions)}


def _definitions() -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, Any]]:
    providers = built_in_models()
    models: list[type[BaseModel]] = [*KINDS.values(), SyncPolicy, *providers.values()]
    by_model, schema = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_WithoutNull, ref_template="#/$defs/{model}"
    )
    refs: dict[type[BaseModel], dict[str, Any]] = {model: by_model[model, "validation"] for model in models}
    definitions: dict[str, Any] = schema["$defs"]
    definitions["SecretStoreSpec"]["properties"]["provider"] = {
        "type": "object",
        "title": "Provider",
        "description": "Exactly one provider, by its name, with its configuration.",
        "properties": {name: refs[model] for name, model in providers.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return refs, definitions


class _WithoutNull(GenerateJsonSchema):
    """Leaves out that optional fields may be null, and their default of null: it only clutters what editors offer."""

    def nullable_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Any:
        described = super().default_schema(schema)
        if described.get("default", ...) is None:
            del described["default"]
        return described


def _reachable(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pending = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = definitions[name]
                pending.append(definitions[name])
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
    return dict(sorted(found.items()))
