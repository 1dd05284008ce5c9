"""A service's own description, as the judge of every request to its fake and of every answer that the fake gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import jsonschema  # type: ignore[import-untyped]

FOLDER = Path(__file__).parent


class Asked(NamedTuple):
    """A request that is as described."""

    template: str
    method: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any


class NotDescribedError(Exception):
    """A request that the description does not allow; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Contract:
    """One description, by the name of its file."""

    def __init__(self, name: str) -> None:
        described = json.loads((FOLDER / f"{name}.json").read_text())
        self._base: str = described["base"]
        self._paths: dict[str, Any] = described["paths"]

    def asked(self, method: str, target: str, body: bytes, content_type: str) -> Asked:
        """What is asked for. Raises NotDescribedError where it is not as described."""
        path, _, text = target.partition("?")
        for template, operations in self._paths.items():
            pattern = re.sub(
                r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
            )
            match = re.fullmatch(re.escape(self._base) + pattern, path)
            if match and method.lower() in operations:
                operation = operations[method.lower()]
                query = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
                self._check_query(operation, query)
                names = {name: unquote(each) for name, each in match.groupdict().items()}
                return Asked(template, method, names, query, self._checked_body(operation, body, content_type))
        raise NotDescribedError(f"no operation is {method} {path}")

    def check_answer(self, asked: Asked, status: int, body: Any) -> None:
        """Raise AssertionError for an answer that the description does not have."""
        answers = self._paths[asked.template][asked.method.lower()]["answers"]
        assert str(status) in answers or (status >= 400 and "default" in answers), f"{asked.template}: {status}"
        schema = answers.get(str(status), answers.get("default"))
        if schema is None:
            assert body is None, f"{asked.template}: {status} has no body"
            return
        errors = list(jsonschema.Draft7Validator(schema).iter_errors(body))
        assert not errors, f"{asked.template} {status}: {errors[0].message}"

    def _check_query(self, operation: dict[str, Any], query: dict[str, str]) -> None:
        for name, value in query.items():
            if name not in operation["query"]:
                raise NotDescribedError(f"there is no parameter {name}")
            _judge(value, operation["query"][name], f"the parameter {name}")
        if missing := set(operation["required"]) - query.keys():
            raise NotDescribedError(f"parameters are missing: {sorted(missing)}")

    def _checked_body(self, operation: dict[str, Any], body: bytes, content_type: str) -> Any:
        schema = operation["body"]
        if (schema is None) != (not body):
            raise NotDescribedError("a body is missing, or is none of its business")
        if schema is None:
            return None
        if content_type.partition(";")[0].strip() != "application/json":
            raise NotDescribedError(f"the body is said to be {content_type or 'nothing'}")
        given = json.loads(body)
        _judge(given, _closed(schema), "the body")
        return given


def _closed(schema: Any) -> Any:
    """A schema that takes no fields that it does not know: what a client means by them, the service does not."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(each) for key, each in schema.items()}
    return {"additionalProperties": False, **made} if "properties" in made and "type" in made else made


def _judge(given: Any, schema: Any, what: str) -> None:
    for error in jsonschema.Draft7Validator(schema).iter_errors(given):
        where = ".".join(map(str, error.absolute_path))
        raise NotDescribedError(f"{what} is not as described{f' at {where}' if where else ''}: {error.validator}")
