"""The contract of Key Vault's secrets, as the judge of every request to the fake and of every answer that it gives.

``contract.json`` is made by ``reduce.py``, and says itself from what. The bounds of ``maxresults`` and the pattern of
names are in the specification's ``routes.tsp``, and not in what is generated from it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("contract.json")

VERSIONS = ("7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")

_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_VERSION = re.compile(r"[0-9a-f]{0,32}")


class NotDescribedError(Exception):
    """A request that the contract does not allow; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Operation(NamedTuple):
    """One operation, and the name and version that the request's path says."""

    name: str
    described: dict[str, Any]
    secret: str
    version: str


def operation_of(method: str, path: str) -> Operation:
    """The operation that a request is for. Raises NotDescribedError where there is none."""
    for name, described, pattern in _routes():
        match = pattern.fullmatch(path)
        if match is not None and described["method"] == method:
            found = match.groupdict()
            return Operation(name, described, found.get("secret_name", ""), found.get("secret_version") or "")
    raise NotDescribedError(f"no operation is {method} {path}")


def check_request(operation: Operation, query: dict[str, str], body: bytes, content_type: str) -> dict[str, Any]:
    """The body, once parameters and body are seen to be as described; empty where there is none."""
    known = (
        {*operation.described["query"], "$skiptoken"} if operation.described["listed"] else operation.described["query"]
    )
    if unknown := query.keys() - set(known):
        raise NotDescribedError(f"{operation.name} knows no parameter {sorted(unknown)}")
    if query.get("api-version") not in VERSIONS:
        raise NotDescribedError(f"there is no api-version {query.get('api-version')}")
    if "maxresults" in query and not 1 <= int(query["maxresults"]) <= 25:
        raise NotDescribedError("maxresults is from 1 to 25")
    if operation.secret and not _NAME.fullmatch(operation.secret):
        raise NotDescribedError("the name of the secret is none")
    if not _VERSION.fullmatch(operation.version):
        raise NotDescribedError("the version is none")
    model = operation.described["body"]
    if not model:
        if body:
            raise NotDescribedError(f"{operation.name} takes no body")
        return {}
    if content_type.partition(";")[0].strip() != "application/json":
        raise NotDescribedError(f"the body is said to be {content_type or 'nothing'}")
    given: dict[str, Any] = json.loads(body)
    _judge(given, model, sent=True)
    if model == "SecretSetParameters" and "value" not in given:
        raise NotDescribedError("a value is missing")
    return given


def check_answer(operation: Operation, status: int, body: Any) -> None:
    """Raise AssertionError for an answer that the contract does not have."""
    if status >= 400:
        assert set(body) == {"error"}
        assert set(body["error"]) <= {"code", "message", "innererror"}
        return
    model = operation.described["answer"]
    if not model:
        assert (status, body) == (204, None)
        return
    try:
        for each in body["value"] if operation.described["listed"] else [body]:
            _judge(each, model, sent=False)
    except NotDescribedError as wrong:
        raise AssertionError(f"{operation.name}: {wrong.reason}") from None


def _judge(given: Any, model: str, *, sent: bool) -> None:
    fields = _contract()["models"][model]
    if not isinstance(given, dict):
        raise NotDescribedError(f"{model} is an object")
    for name, value in given.items():
        if name not in fields:
            raise NotDescribedError(f"{model} has no field {name}")
        if sent and not fields[name]["sent"]:
            raise NotDescribedError(f"{model}.{name} is never sent")
        kind = fields[name]["type"]
        if kind == "SecretAttributes":
            _judge(value, kind, sent=sent)
        elif not _FITS[kind](value):
            raise NotDescribedError(f"{model}.{name} is no {kind}")


_FITS = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: type(value) is int,
    "texts": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
}


@cache
def _contract() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def _routes() -> list[tuple[str, dict[str, Any], re.Pattern[str]]]:
    """The operations, those with a fixed word in a place before those with a parameter: ``versions`` is no version."""
    described = sorted(_contract()["operations"].items(), key=lambda each: each[1]["path"].count("{"))
    return [(name, each, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", each["path"]))) for name, each in described]
