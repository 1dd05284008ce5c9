"""GitHub's own description of its API, as the judge of every request to the fake and of every answer that it gives.

``openapi.json`` is made by :mod:`support.github.reduce`, and names its source and version itself.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema  # type: ignore[import-untyped]

FILE = Path(__file__).parent / "openapi.json"


class Operation(NamedTuple):
    """One operation of the description, and what the request's path says."""

    template: str
    method: str
    described: dict[str, Any]
    path: dict[str, str]


class NotDescribedError(Exception):
    """A request that the description does not allow; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def operation_of(method: str, path: str) -> Operation:
    """The operation that a request is for. Raises NotDescribedError where there is none."""
    for template, pattern in _routes():
        if match := pattern.fullmatch(path):
            described = _description()["paths"][template].get(method.lower())
            if described is None:
                break
            return Operation(
                template, method, described, {name: unquote(each) for name, each in match.groupdict().items()}
            )
    raise NotDescribedError(f"no operation is {method} {path}")


def check_request(operation: Operation, query: dict[str, str], body: bytes, content_type: str) -> Any:
    """The body, once parameters and body are seen to be as described; None where there is none."""
    known = {each["name"]: each for each in map(_resolved, operation.described.get("parameters", []))}
    for name, value in query.items():
        if name not in known or known[name]["in"] != "query":
            raise NotDescribedError(f"{operation.template} knows no parameter {name}")
        _judge(int(value) if value.isdecimal() else value, known[name]["schema"], f"the parameter {name}")
    described = operation.described.get("requestBody")
    if not body:
        if described is not None and described.get("required"):
            raise NotDescribedError("a body is missing")
        return None
    if described is None:
        raise NotDescribedError(f"{operation.method} {operation.template} takes no body")
    if content_type.partition(";")[0].strip() != "application/json":
        raise NotDescribedError(f"the body is said to be {content_type or 'nothing'}")
    given = json.loads(body)
    schema = described["content"]["application/json"]["schema"]
    # No schema here forbids further fields; a client that sends some means something that GitHub does not know.
    if unknown := given.keys() - _translated(schema).get("properties", {}).keys():
        raise NotDescribedError(f"the body has unknown fields: {sorted(unknown)}")
    _judge(given, schema, "the body")
    return given


def check_answer(operation: Operation | None, status: int, body: Any) -> None:
    """Raise AssertionError for an answer that the description does not have.

    A refusal that it does not list has the form of its errors.
    """
    responses = operation.described["responses"] if operation is not None else {}
    described = _resolved(responses[str(status)]) if str(status) in responses else None
    if described is None:
        assert status >= 300, f"{operation and operation.template} does not answer with {status}"
        name = "validation-error" if isinstance(body, dict) and "errors" in body else "basic-error"
        schema: Any = {"$ref": f"#/components/schemas/{name}"}
    elif "content" not in described:
        assert body is None, f"{status} has no body"
        return
    else:
        schema = described["content"]["application/json"]["schema"]
    errors = list(_validator(json.dumps(schema)).iter_errors(body))
    assert not errors, f"{operation and operation.template} {status}: {errors[0].message}"


def least(schema: str, /, **fields: Any) -> dict[str, Any]:
    """The least that a schema of this name allows, with these fields in it."""
    made: dict[str, Any] = {**_least(_components()["schemas"][schema]), **fields}
    return made


def _judge(given: Any, schema: dict[str, Any], what: str) -> None:
    for error in _validator(json.dumps(schema)).iter_errors(given):
        where = ".".join(map(str, error.absolute_path))
        raise NotDescribedError(f"{what} is not as described{f' at {where}' if where else ''}: {error.validator}")


@cache
def _validator(schema: str) -> jsonschema.Draft7Validator:
    whole = {**_translated(json.loads(schema)), "components": _components()}
    return jsonschema.Draft7Validator(whole)


@cache
def _description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def _components() -> dict[str, Any]:
    found: dict[str, Any] = _translated(_description()["components"])
    return found


@cache
def _routes() -> list[tuple[str, re.Pattern[str]]]:
    """The paths, those without a parameter in a place before those with one: ``public-key`` is no secret's name."""
    templates = sorted(_description()["paths"], key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [(each, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each))) for each in templates]


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    _, _, kind, name = reference.split("/")
    return _resolved(_description()["components"][kind][name])


def _translated(part: Any) -> Any:
    """A schema of OpenAPI 3.0 as one of JSON Schema: they differ in how a null is allowed."""
    if isinstance(part, list):
        return [_translated(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {key: _translated(value) for key, value in part.items() if key != "nullable"}
    if part.get("nullable") is not True:
        return made
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
        return made
    return {"anyOf": [made, {"type": "null"}]}


def _least(schema: Any) -> Any:
    if "$ref" in schema:
        return _least(_components()["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema and "type" not in schema:
            return _least(schema[choice][0])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return None
    if kinds == "object":
        return {name: _least(schema["properties"][name]) for name in schema.get("required", ())}
    if kinds == "string":
        return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x"
    return {"integer": 1, "number": 1, "boolean": False, "array": []}[kinds]
