"""Label and field selectors, as the fake API server takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from support.kube_status import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Test = Callable[[Mapping[str, Any]], bool]

_FIELDS = {"metadata.name", "metadata.namespace", "type"}


def by_labels(selector: str) -> Test:
    """A test for Secrets that a label selector takes. Raises Refused (400)."""
    tests = [_label_test(part.strip()) for part in re.split(r",(?![^(]*\))", selector) if part.strip()]
    return lambda secret: all(test(secret["metadata"].get("labels") or {}) for test in tests)


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    if found := re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", part):
        name, values = found[1], {value.strip() for value in found[3].split(",")}
        if found[2] == "in":
            return lambda labels: labels.get(name) in values
        return lambda labels: labels.get(name) not in values
    if found := re.fullmatch(r"([^=!\s]+)\s*(==|=|!=)\s*(\S*)", part):
        name, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(name) != value
        return lambda labels: labels.get(name) == value
    if found := re.fullmatch(r"(!?)\s*([^=!\s]+)", part):
        absent, name = found.groups()
        return lambda labels: (name in labels) != bool(absent)
    raise bad_request(f"unable to parse requirement: {part}")


def by_fields(selector: str) -> Test:
    """A test for Secrets that a field selector takes. Raises Refused (400)."""
    tests: list[tuple[str, bool, str]] = []
    for part in filter(None, selector.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", part)
        if found is None:
            raise bad_request(f"invalid field selector: {selector}")
        if found[1] not in _FIELDS:
            raise bad_request(
                f'Unable to find "/v1, Resource=secrets" that match: field label not supported: {found[1]}'
            )
        tests.append((found[1], found[2] != "!=", found[3]))

    def test(secret: Mapping[str, Any]) -> bool:
        values = {"type": secret.get("type"), **{f"metadata.{n}": v for n, v in secret["metadata"].items()}}
        return all((values.get(name) == value) is wanted for name, wanted, value in tests)

    return test
