"""A discovery document, and what it says of a request and of an answer."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from support.google.statuses import Refused

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
# What every method takes; the SDK asks by `$alt` for enums as numbers, which the document has as `alt`.
# https://cloud.google.com/apis/docs/system-parameters
_OF_THE_SYSTEM = {"$alt": ("json", "json;enum-encoding=int")}


class Asked(NamedTuple):
    """A request, taken apart."""

    method: str  # the id, less the service and the part for locations: "projects.secrets.get"
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    numbers: bool  # whether enums are to be numbers in the answer


class Discovery:
    """One service's document."""

    def __init__(self, name: str) -> None:
        self._document = json.loads(Path(__file__).with_name(f"{name}.json").read_text())
        self._methods = []
        for method in self._document["methods"].values():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", f"/{method['flatPath']}")
            self._methods.append((re.compile(pattern), method))

    def ask(self, http: str, path: str, query: dict[str, list[str]], body: bytes) -> Asked:
        """Take a request apart. Raises Refused for one that the document does not have."""
        for pattern, method in self._methods:
            if method["httpMethod"] == http and (found := pattern.fullmatch(path)):
                return self._asked(method, found.groupdict(), query, body)
        raise Refused("NOT_FOUND", f"no method for {http} {path}")

    def _asked(self, method: dict[str, Any], parts: dict[str, str], query: dict[str, list[str]], body: bytes) -> Asked:
        numbers = False
        given: dict[str, str] = {}
        for name, values in query.items():
            if len(values) != 1:
                raise Refused("INVALID_ARGUMENT", f"{name} is given {len(values)} times")
            if name in _OF_THE_SYSTEM:
                if values[0] not in _OF_THE_SYSTEM[name]:
                    raise Refused("INVALID_ARGUMENT", f"{name} is {values[0]}")
                numbers = "int" in values[0]
            elif method["parameters"].get(name, {}).get("location") == "query":
                given[name] = values[0]
                self._check(method["parameters"][name], _of_query(method["parameters"][name], values[0]), name)
            else:
                raise Refused("INVALID_ARGUMENT", f"{method['id']} has no parameter {name}")
        sent: Any = {}
        if "request" in method:
            try:
                sent = json.loads(body or b"{}")
            except ValueError:
                raise Refused("INVALID_ARGUMENT", "Invalid JSON payload received.") from None
            self._check(method["request"], sent, method["request"]["$ref"])
        elif body:
            raise Refused("INVALID_ARGUMENT", f"{method['id']} takes no body")
        service, _, name = method["id"].partition(".")
        del service
        return Asked(name.replace(".locations", ""), parts, given, sent, numbers)

    def answer(self, asked: Asked, given: dict[str, Any]) -> dict[str, Any]:
        """An answer as it is sent, once it is checked too: enums by name become numbers where those are asked for."""
        method = next(
            each for _, each in self._methods if each["id"].partition(".")[2].replace(".locations", "") == asked.method
        )
        self._check(method["response"], given, method["response"]["$ref"])
        return self._numbered(method["response"], given) if asked.numbers else given

    def _schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self._document["schemas"][schema["$ref"]] if "$ref" in schema else schema

    def _numbered(self, schema: dict[str, Any], given: Any) -> Any:
        schema = self._schema(schema)
        if "enum" in schema:
            return schema["enum"].index(given)
        if schema.get("type") == "array":
            return [self._numbered(schema["items"], each) for each in given]
        if schema.get("type") == "object" and "properties" in schema:
            return {name: self._numbered(schema["properties"][name], each) for name, each in given.items()}
        return given

    def _check(self, schema: dict[str, Any], given: Any, where: str) -> None:
        """Raise Refused where something is not of its schema."""
        schema = self._schema(schema)
        kind, form = schema["type"], schema.get("format", "")
        if "enum" in schema:
            if given not in schema["enum"] and not (type(given) is int and 0 <= given < len(schema["enum"])):
                raise _unfit(where, "no such enum")
        elif kind == "object":
            if not isinstance(given, dict):
                raise _unfit(where, "no object")
            for name, each in given.items():
                inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
                if inner is None:
                    raise _unfit(where, f"no field {name}")
                if each is not None:  # which counts as left out: https://protobuf.dev/programming-guides/json/
                    self._check(inner, each, f"{where}.{name}")
        elif kind == "array":
            if not isinstance(given, list):
                raise _unfit(where, "no array")
            for each in given:
                self._check(schema["items"], each, where)
        elif kind == "boolean":
            if not isinstance(given, bool):
                raise _unfit(where, "no boolean")
        elif kind == "integer":
            if type(given) is not int:
                raise _unfit(where, "no integer")
        elif form in ("int64", "uint64"):
            if not (type(given) is int or (isinstance(given, str) and re.fullmatch(r"-?\d+", given))):
                raise _unfit(where, "no int64")
        elif not isinstance(given, str) or not _is_of(form, given):
            raise _unfit(where, f"no {form or 'string'}")


def _of_query(schema: dict[str, Any], text: str) -> Any:
    return int(text) if schema["type"] == "integer" and text.isdecimal() else text


def _is_of(form: str, text: str) -> bool:
    if form == "byte":
        try:
            base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            return False
        return True
    if form == "google-datetime":
        return _TIME.fullmatch(text) is not None
    return form != "google-duration" or _DURATION.fullmatch(text) is not None


def _unfit(where: str, what: str) -> Refused:
    return Refused("INVALID_ARGUMENT", f"Invalid value at '{where}': {what}")
