"""What a request may say, as the judge of every request to the fake.

No registry has GitLab's own OpenAPI description. What there is in its place is python-gitlab, which declares for each
resource its path and the attributes that creating and updating take: they are read from the installed package, so that
the two cannot part. Their types, the parameters of a query and the form of answers are documentation's alone
(doc/api/project_level_variables.md, group_level_variables.md, instance_level_ci_variables.md, doc/api/rest).
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from gitlab.v4 import objects

MANAGERS: dict[str, Any] = {
    "project": objects.ProjectVariableManager,
    "group": objects.GroupVariableManager,
    "instance": objects.VariableManager,
}
HOMES: dict[str, Any] = {"project": objects.ProjectManager, "group": objects.GroupManager}
BOOLEANS = frozenset({"masked", "masked_and_hidden", "protected", "raw"})
TYPES = ("env_var", "file")
PAGING = frozenset({"page", "per_page"})
FILTER = "filter[environment_scope]"


class Operation(NamedTuple):
    """What is asked: of which ``kind`` of holder, of which one, and of which variable."""

    kind: str
    method: str
    holder: str
    key: str | None
    home: bool = False


class NotDescribedError(Exception):
    """A request that the description does not allow; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def operation_of(method: str, path: str) -> Operation:
    """The operation that a request is for, by its path below ``/api/v4``. Raises NotDescribedError."""
    for kind, manager in HOMES.items():
        if (match := re.fullmatch(rf"{manager._path}/([^/]+)", path)) and method == "GET":
            return Operation(kind, method, unquote(match[1]), None, home=True)
    for kind, manager in MANAGERS.items():
        template = re.sub(r"\{\w+\}", "([^/]+)", manager._path)
        if (match := re.fullmatch(rf"{template}(?:/([^/]+))?", path)) is None:
            continue
        *holder, key = match.groups()
        if method in ({"GET", "PUT", "DELETE"} if key else {"GET", "POST"}):
            return Operation(kind, method, unquote(holder[0]) if holder else "", unquote(key) if key else None)
    raise NotDescribedError(f"no operation is {method} {path}")


def query_of(operation: Operation, query: str) -> dict[str, str]:
    """The parameters of a query."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    known: frozenset[str] = frozenset()
    if not operation.home:
        known = PAGING if operation.key is None and operation.method == "GET" else frozenset()
        if operation.key is not None and operation.kind != "instance":
            known = frozenset({FILTER})
    if unknown := given.keys() - known:
        raise NotDescribedError(f"{operation.method} takes no parameter {sorted(unknown)}")
    for name in PAGING & given.keys():
        if not given[name].isdecimal() or int(given[name]) < 1:
            raise NotDescribedError(f"{name} is no number of a page")
    return given


def body_of(operation: Operation, body: bytes, content_type: str) -> dict[str, Any]:
    """The attributes that a request sets."""
    if operation.method not in ("POST", "PUT"):
        if body:
            raise NotDescribedError(f"{operation.method} takes no body")
        return {}
    if content_type.partition(";")[0].strip() != "application/json":
        raise NotDescribedError(f"the body is said to be {content_type or 'nothing'}")
    given = json.loads(body)
    manager = MANAGERS[operation.kind]
    attributes = manager._create_attrs if operation.method == "POST" else manager._update_attrs
    # The key of an update is in its path.
    required = set(attributes.required) if operation.method == "POST" else set()
    if missing := required - given.keys():
        raise NotDescribedError(f"attributes are missing: {sorted(missing)}")
    if unknown := given.keys() - required - set(attributes.optional):
        raise NotDescribedError(f"there are no attributes {sorted(unknown)}")
    for name, value in given.items():
        if not isinstance(value, bool if name in BOOLEANS else str):
            raise NotDescribedError(f"{name} is of another type")
    if given.get("variable_type", TYPES[0]) not in TYPES:
        raise NotDescribedError("variable_type is neither env_var nor file")
    return dict(given)
