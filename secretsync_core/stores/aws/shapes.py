"""Holds an answer against the service's own description of it, before the SDK makes anything of it.

The SDK takes what comes: of a text where a list belongs it makes the list of its letters, of a page of HTML an answer
without fields. So each answer in JSON is looked at as it came, with every field of it that the description knows.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson

from secretsync_core.endurance import is_too_deep, may_be_too_deep
from secretsync_core.stores.answers import TOO_DEEP, kind_of
from secretsync_core.stores.http import refuses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel, Shape

    Fits = Callable[[Any], bool]

_DONE = 200  # the protocol has no other status for it
_REQUEST_ID = "x-amzn-requestid"
_LATEST = 253_402_300_799  # the last second of the year 9999, beyond which there is no time


class UnfitError(Exception):
    """An answer that is not what its description says. Holds one sentence, without anything of the answer."""


def check(operation_model: OperationModel, response_dict: dict[str, Any], **_: object) -> None:
    """What botocore calls before it parses an answer. Raises UnfitError; takes away the body of what is no refusal."""
    if operation_model.service_model.resolved_protocol != "json":
        return
    body, status = response_dict["body"], response_dict["status_code"]
    if not refuses(status) and status != _DONE:  # a proxy's, or a promise
        raise UnfitError(f"HTTP {status} says neither that it is done nor that it is refused")
    try:
        found = orjson.loads(body) if body else {}
    except ValueError:
        found = None
    if status != _DONE:
        if not _is_refusal(found) or (
            may_be_too_deep(body) and is_too_deep(found)
        ):  # a page of a proxy, perhaps: its status says enough
            response_dict["body"] = b""
        return
    if type(found) is not dict:
        raise UnfitError("the body is not a JSON object")
    if not found and not response_dict["headers"].get(_REQUEST_ID):
        raise UnfitError("it says nothing, and has no request id as each answer of AWS has")
    if may_be_too_deep(body) and is_too_deep(found):
        raise UnfitError(TOO_DEEP)
    if (shape := operation_model.output_shape) is not None and not _test_of(operation_model, shape)(found):
        raise UnfitError(_fault(shape, found, "") or "it does not fit the service's description")


def _is_refusal(found: object) -> bool:
    """Whether this is a refusal as services write it, which names its error."""
    if type(found) is not dict or not found.get("__type"):
        return False
    return all(type(found.get(name, "")) is str for name in ("__type", "message", "Message"))


_tests: dict[tuple[str, str], Fits] = {}


def _test_of(operation_model: OperationModel, shape: Shape) -> Fits:
    """The test for the answers of one operation; made once, for there may be a hundred thousand secrets to look at."""
    name = (operation_model.service_model.service_name, operation_model.name)
    if name not in _tests:
        _tests[name] = _fits_of(shape)
    return _tests[name]


def _fits_of(shape: Shape) -> Fits:
    """A test for one shape, which no longer needs the shape. None of ours holds itself."""
    part: Any = shape
    if shape.type_name == "structure":
        members = {name: _fits_of(each) for name, each in _by_json_name(shape).items()}
        return lambda found: type(found) is dict and _each_fits(found, members)
    if shape.type_name == "list":
        member = _fits_of(part.member)
        return lambda found: type(found) is list and all(map(member, found))
    if shape.type_name == "map":
        member = _fits_of(part.value)
        return lambda found: type(found) is dict and all(map(member, found.values()))
    return _SCALARS.get(shape.type_name, lambda _: True)


def _by_json_name(shape: Shape) -> dict[str, Shape]:
    part: Any = shape
    return {member.serialization.get("name", name): member for name, member in part.members.items()}


def _each_fits(found: dict[str, Any], members: Mapping[str, Fits]) -> bool:
    for name, value in found.items():
        # Null is as good as nothing; what the description does not know, the SDK leaves out.
        if value is not None and (member := members.get(name)) is not None and not member(value):
            return False
    return True


def _fault(shape: Shape, found: Any, way: str) -> str:
    """What does not fit, and where; empty where all fits."""
    if _fits_of(shape)(found):
        return ""
    part: Any = shape
    inner: list[tuple[str, Shape, Any]] = []
    if shape.type_name == "structure" and type(found) is dict:
        known = _by_json_name(shape)
        inner = [(name, known[name], each) for name, each in found.items() if name in known and each is not None]
    elif shape.type_name == "list" and type(found) is list:
        inner = [("*", part.member, each) for each in found]
    elif shape.type_name == "map" and type(found) is dict:
        inner = [("*", part.value, each) for each in found.values()]
    for name, member, each in inner:
        if fault := _fault(member, each, f"{way}.{name}" if way else name):
            return fault
    return f"{way or 'the body'} is {kind_of(found)}, not {_WORDS.get(shape.type_name, 'a ' + shape.type_name)}"


def _is_blob(found: Any) -> bool:
    try:
        return type(found) is str and bool(base64.b64decode(found, validate=True) or True)
    except ValueError:
        return False


def _is_time(found: Any) -> bool:
    return type(found) in (int, float) and 0 <= found <= _LATEST


_SCALARS: dict[str, Fits] = {
    "string": lambda found: type(found) is str,
    "boolean": lambda found: type(found) is bool,
    "integer": lambda found: type(found) is int,
    "long": lambda found: type(found) is int,
    "float": lambda found: type(found) in (int, float),
    "double": lambda found: type(found) in (int, float),
    "timestamp": _is_time,
    "blob": _is_blob,
}
_WORDS = {
    "structure": "an object",
    "map": "an object",
    "string": "a text",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "timestamp": "a time in seconds",
    "blob": "a text in base64",
}
