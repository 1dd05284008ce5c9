"""A SecretValue shows its value to reveal() and to nothing else."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from secretsync_core.secret import Secret, SecretValue
from secretsync_core.testing.canaries import canary, find_in

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = canary()
VALUES = [SecretValue({"password": CANARY.text}), SecretValue(CANARY.data)]

FORMS: dict[str, Callable[[Any], object]] = {
    "str": str,
    "format": "{}".format,
    "f-string with width": lambda value: f"{value:>30}",
    "percent": lambda value: "%s" % value,  # noqa: UP031
    "bytes": bytes,
    "bool": bool,
    "len": len,
    "iter": iter,
    "list": list,
    "dict": dict,
    "contains": lambda value: "x" in value,
    "index": lambda value: value["password"],
    "equal": lambda value: value == value,
    "not equal": lambda value: value != SecretValue(b""),
    "equal to text": lambda value: value == "text",
    "hash": hash,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "vars": vars,
    "json": json.dumps,
    "orjson": orjson.dumps,
    "set attribute": lambda value: setattr(value, "more", 1),
    **{f"pickle {number}": partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("value", VALUES, ids=["fields", "blob"])
@pytest.mark.parametrize("name", FORMS)
def test_it_has_no_other_form(name: str, value: SecretValue) -> None:
    """Every way to turn it into something else raises, and the error does not show it either."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        FORMS[name](value)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert find_in(text.replace(repr(CANARY), ""), [CANARY]) == []


@pytest.mark.parametrize("value", VALUES, ids=["fields", "blob"])
def test_its_repr_hides_it(value: SecretValue) -> None:
    """A debugger, a traceback with locals and the repr of what holds it show a placeholder."""
    assert repr(value) == "<SecretValue: hidden>"
    assert find_in(repr([Secret(value, "3")]) + f"{value!r}", [CANARY]) == []


def test_reveal_shows_it() -> None:
    """What was put in comes out, as fields or as bytes."""
    assert SecretValue({"a": [1]}).reveal() == {"a": [1]}
    assert SecretValue(b"x").reveal() == b"x"
    assert SecretValue(b"").is_blob
    assert not SecretValue({}).is_blob


def test_fields_are_copied_in() -> None:
    """Adding a field to the mapping that was handed in adds none to the value."""
    fields = {"a": "1"}
    value = SecretValue(fields)
    fields["b"] = "2"
    assert value.reveal() == {"a": "1"}
