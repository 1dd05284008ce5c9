"""Documents made of the JSON Schema: every kind of store, every field, each of them right, but for what is put in."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from secretsync_core.schema.export import json_schema

if TYPE_CHECKING:
    from random import Random

HERE = "@@HERE@@"
"""Stands where something wrong is to be put."""

_DEEPEST = 9
_RIGHT = (
    "a", "team", "team-a", "a/b", "/a/b", "apps/", "a_", "eu-central-1", "europe-west3", "10s", "1h", "5/s", "10%", "3",
    "@hourly", "*/5 * * * *", "UTC", "acme-test", "a@b.iam.gserviceaccount.com", "a@example.com", "a/b/", "$.a",
    "$.a[*]", "/{{ key }}", "00000000-0000-0000-0000-000000000000", "arn:aws:iam::123456789012:role/x", "A_B",
    "{{ value }}", "arn:aws:kms:eu-central-1:123456789012:key/x", "projects/p/topics/t", "http://127.0.0.1:1",
    "https://127.0.0.1:1", "projects/p/locations/l/keyRings/r/cryptoKeys/k", "https://a.vault.azure.net", "name.yaml",
    "a.env", "application/json", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "^a$", "b$1", "X-Y",
    "ETag", ".json", "smtp.test", "{{ VALUE }}", "1000:2000", "*", "**/x", "acme", "TOKEN",
)  # fmt: skip
"""Texts, of which each pattern in the schema is met by one at least; where there is none, the first that fits."""


_BY_NAME: dict[str, tuple[Any, ...]] = {
    "vaultUrl": ("https://a.vault.azure.net", "https://127.0.0.1:1"), "authorityHost": ("https://127.0.0.1:1",),
    "expires": ("2030-01-01T00:00:00Z",), "notBefore": ("2020-01-01T00:00:00Z",), "ending": (".yaml", ".json"),
    "items": ("$[*]", "$.a[*]"), "id": ("$.id",), "version": ("$.version",), "next": ({"link": "$.next"},),
    "body": ({"value": "{{ value }}"},), "query": ({"a": "{{ team }}"}, {}), "vars": ({"team": "a"},),
    "total": ("$.n",), "headers": ({"X-Y": "a"}, {}), "failed": ("$.errors[*]",), "where": ({"$.a": 1},),
    "recipients": ([_RIGHT[37]],),
}  # fmt: skip
"""What some fields are, by their names."""

_OF_REQUESTS: dict[str, tuple[Any, ...]] = {"path": ("/one/{{ key }}",), "key": ("$.key",), "value": ("$.value",)}
"""The same in the requests of an HTTP service."""


@functools.cache
def _schema() -> tuple[dict[str, Any], dict[str, Any]]:
    whole = json_schema()
    return whole["$defs"], whole["$defs"]["SecretStoreSpec"]["properties"]["provider"]["properties"]


def providers() -> list[str]:
    """The kinds of stores."""
    return list(_schema()[1])


def store(random: Random) -> str:
    """A SecretStore with something to be put in at ``HERE``, as JSON, which is YAML too; and a job that reads it."""
    kind = random.choice(providers())
    spec: dict[str, Any] = {"provider": {kind: _made(random, _schema()[1][kind], 0)}}
    for name, often in (("permissions", 0.2), ("look", 0.02), ("limits", 0.2)):
        if random.random() < often:
            spec[name] = _made(random, _schema()[0]["SecretStoreSpec"]["properties"][name], 0)
    return _document("SecretStore", "a", _marked(random, spec)) + _document(
        "SyncJob", "j", {"source": "a", "dest": "b", "plan": [{"secret": {"key": "k"}}]}
    )


def job(random: Random) -> str:
    """A SyncJob with something to be put in at ``HERE``, and the store that it may read."""
    spec = _made(random, _schema()[0]["SyncJobSpec"], 0)
    spec["source"], spec["dest"] = "a", "b"
    return _document("SecretStore", "a", {"provider": {"memory": {}}}) + _document(
        "SyncJob", "j", _marked(random, spec)
    )


def _document(kind: str, name: str, spec: object) -> str:
    told = {"apiVersion": "secretsync.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return f"---\n{json.dumps(told, indent=1)}\n"


def _marked(random: Random, spec: dict[str, Any]) -> dict[str, Any]:
    """The same with ``HERE`` in the place of one value or of the name of one field."""
    places = list(_places(spec))
    holder, step = random.choice(places)
    if isinstance(holder, dict) and random.random() < 0.15:
        holder[HERE] = holder.pop(step)
    else:
        holder[step] = HERE
    return spec


def _places(part: Any) -> Any:
    for step, inner in part.items() if isinstance(part, dict) else enumerate(part):
        yield part, step
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _made(random: Random, schema: Any, depth: int) -> Any:
    """Something that fits a part of the schema, as far as a schema says."""
    if "$ref" in schema:
        return _made(random, _schema()[0][schema["$ref"].rpartition("/")[2]], depth)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema and "properties" not in schema:
            return _made(random, random.choice(schema[several]), depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kind = random.choice(kind)
    match kind:
        case "object":
            return _object(random, schema, depth)
        case "array":
            most = 0 if depth > _DEEPEST else random.choice((1, 1, 2))
            return [
                _made(random, schema.get("items", {}), depth + 1) for _ in range(max(most, schema.get("minItems", 0)))
            ]
        case "boolean":
            return random.random() < 0.5
        case "integer" | "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return min(least + random.choice((0, 0, 1, 5)), schema.get("maximum", 10**9))
    return _text(random, schema.get("pattern"))


def _object(random: Random, schema: dict[str, Any], depth: int) -> dict[str, Any]:
    fields = schema.get("properties", {})
    needed = list(schema.get("required", ()))
    if schema.get("maxProperties") == 1:
        needed = [random.choice(list(fields))]
    elif depth <= _DEEPEST:
        often = random.choice((0.1, 0.3, 0.8))
        needed += [name for name in fields if name not in needed and random.random() < often]
    if choice := [each["required"] for each in schema.get("oneOf", ()) if "required" in each]:  # one, and no other
        one = random.choice(choice)
        needed = [name for name in needed if not any(name in each for each in choice)] + one
    made = {
        name: _named(random, name, fields[name], depth + 1, str(schema.get("title")))
        for name in needed
        if name in fields
    }
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and not fields and random.random() < 0.8:
        names = schema.get("propertyNames", {})
        made[_text(random, names.get("pattern"))] = _made(random, more, depth + 1)
    return made


def _named(random: Random, name: str, schema: dict[str, Any], depth: int, of: str) -> Any:
    """A field; a text of some fields has a form that no schema tells, or another one than elsewhere."""
    known = _BY_NAME.get(name, ())
    if of.endswith("Request"):
        known = _OF_REQUESTS.get(name, known)
        if of == "ListRequest" and name == "path":
            known = ("/all",)
    if known and random.random() < 0.9:
        return random.choice(known)
    return _made(random, schema, depth)


def _text(random: Random, pattern: str | None) -> str:
    if pattern is None:
        return random.choice(_RIGHT)
    fitting = _fitting(pattern)
    return random.choice(fitting) if fitting else "a"


@functools.cache
def _fitting(pattern: str) -> list[str]:
    try:
        return [text for text in _RIGHT if re.search(pattern, text)]
    except re.error:
        return []
