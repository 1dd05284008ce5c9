"""The variables of one project of GitLab, as far as a sync asks for them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from fuzz.fake_server import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"/api/v4/projects/81/variables(?:/(\w+))?")


@dataclass
class Variable:
    """One of them, for every environment."""

    value: str
    masked: bool = False
    raw: bool = False
    variable_type: str = "env_var"
    description: str | None = None


class FakeGitlab:
    """A project with no variables."""

    def __init__(self) -> None:
        """An empty project."""
        self.variables: dict[str, Variable] = {}
        self.writes: list[tuple[str, str]] = []
        self._plain = {"Content-Type": "application/json", "Date": "Sat, 28 Nov 2026 02:00:00 GMT"}
        self.headers = self._plain

    def put_variable(self, key: str, value: str) -> None:
        """Set one, as whoever else does."""
        self.variables[key] = Variable(value, masked=True, raw=True)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        del headers
        self.headers = self._plain
        parts = urlsplit(path)
        if unquote(parts.path) == "/api/v4/projects/acme/app":
            return Answer("project", 200, {"id": 81, "path_with_namespace": "acme/app"})
        found = _VARIABLE.fullmatch(parts.path)
        if found is None:
            return Answer("unknown", 404, {"error": "404 Not Found"})
        key = found[1]
        sent = json.loads(body or b"{}")
        if key is None:
            return self._list(parse_qs(parts.query)) if method == "GET" else self._create(sent)
        if key not in self.variables:
            return Answer(f"none {method}", 404, {"message": "404 Variable Not Found"})
        if method == "DELETE":
            del self.variables[key]
            self.writes.append(("delete", key))
            return Answer("delete", 204, None)
        if method == "GET":
            return Answer(f"read {key}", 200, self._shown(key))
        self._set(key, sent)
        self.writes.append(("write", key))
        return Answer("update", 200, self._shown(key))

    def _list(self, query: Mapping[str, list[str]]) -> Answer:
        names = sorted(self.variables)
        half = len(names) // 2
        page, size = int(query["page"][0]), int(query["per_page"][0])
        if size == 1:
            self.headers = {**self._plain, "X-Total": str(len(names)), "X-Next-Page": ""}
            return Answer("list one", 200, [self._shown(name) for name in names[:1]])
        # Two pages, as a server with a bound of its own makes them.
        self.headers = {**self._plain, "X-Total": str(len(names)), "X-Next-Page": "2" if page == 1 else ""}
        shown = names[:half] if page == 1 else names[half:] if page == 2 else []
        return Answer(f"list {page}", 200, [self._shown(name) for name in shown])

    def _create(self, sent: dict[str, object]) -> Answer:
        key = str(sent["key"])
        if key in self.variables:
            return Answer("create exists", 400, {"message": {"key": [f"({key}) has already been taken"]}})
        self.variables[key] = Variable("")
        self._set(key, sent)
        self.writes.append(("write", key))
        return Answer("create", 201, self._shown(key))

    def _set(self, key: str, sent: dict[str, object]) -> None:
        for name in ("value", "masked", "raw", "variable_type", "description"):
            if name in sent:
                setattr(self.variables[key], name, sent[name])

    def _shown(self, key: str) -> dict[str, object]:
        return {"key": key, "environment_scope": "*", "hidden": False, "protected": False, **vars(self.variables[key])}
