"""An in-house service, as a company may have one: secrets of teams, with ids, ETags, pages of several kinds, and rules.

It is strict: what it does not know in a request is a 400, and is noted in ``wrongs``, which a test looks at in the end.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from support.serving import Seen, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import Self

    Answered = tuple[int, Mapping[str, str], bytes]

TOKEN = "in-house-token-0123456789"
BASE = "/api/v1/teams/"
PAGE = 50


@dataclass
class Secret:
    """One secret."""

    name: str
    value: str
    id: str
    etag: str
    comment: str = ""

    def shown(self, *, value: bool = False) -> dict[str, Any]:
        """As answers have it; a comment that is empty is left out."""
        told: dict[str, Any] = {"name": self.name, "id": self.id, "etag": self.etag}
        if self.comment:
            told["comment"] = self.comment
        return {**told, "value": self.value} if value else told


class InHouse:
    """The service. ``teams`` has the secrets of each team, by their ids."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = Server(self.handle, tls)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.teams: dict[str, dict[str, Secret]] = {}
        self.requests: list[Seen] = []
        self.wrongs: list[str] = []
        self._refused: list[tuple[re.Pattern[str], Callable[[Seen], Answered | None]]] = []

    @property
    def address(self) -> str:
        """Where it is."""
        return self._server.address

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def forget(self) -> None:
        """Be as new."""
        self.teams.clear()
        self.requests.clear()
        self.wrongs.clear()
        self._refused.clear()

    def answer(
        self,
        where: str,
        status: int,
        body: bytes = b"{}",
        headers: Mapping[str, str] | None = None,
        *,
        does: bool = False,
    ) -> None:
        """Answer so to requests such as ``^GET .*/a$``; ``does``: having done what they ask for."""

        def given(seen: Seen) -> Answered:
            if does:
                self._do(seen)
            return status, headers or {}, body

        self._refused.append((re.compile(where), given))

    def before(self, where: str, do: Callable[[], object]) -> None:
        """Do something once, right before such a request."""
        left = [do]

        def given(_: Seen) -> None:
            if left:
                left.pop()()

        self._refused.append((re.compile(where), given))

    def heal(self) -> None:
        """Answer as ever."""
        self._refused.clear()

    def held(self, team: str = "web") -> dict[str, str]:
        """Names and values; fails where a name is there twice."""
        found = [(secret.name, secret.value) for secret in self.teams.get(team, {}).values()]
        assert len(dict(found)) == len(found), "a name is there twice"
        return dict(found)

    def put(self, name: str, value: str, team: str = "web") -> Secret:
        """Write as somebody else."""
        of_team = self.teams.setdefault(team, {})
        for secret in of_team.values():
            if secret.name == name:
                secret.value, secret.etag = value, self._etag()
                return secret
        return self.add(name, value, team)

    def add(self, name: str, value: str, team: str = "web") -> Secret:
        """Add one, also under a name that is taken."""
        made = Secret(name, value, f"sec_{next(self._numbers)}", self._etag())
        self.teams.setdefault(team, {})[made.id] = made
        return made

    def remove(self, name: str, team: str = "web") -> None:
        """Delete as somebody else."""
        of_team = self.teams.get(team, {})
        for each in [one for one, secret in of_team.items() if secret.name == name]:
            del of_team[each]

    def count(self, where: str = "") -> int:
        """How many such requests there were."""
        return sum(re.search(where, f"{seen.method} {seen.path}") is not None for seen in self.requests)

    def handle(self, seen: Seen) -> Answered:
        """Answer a request."""
        with self._lock:
            self.requests.append(seen)
            for pattern, given in self._refused:
                if pattern.search(f"{seen.method} {seen.path}") and (told := given(seen)) is not None:
                    return told
            return self._do(seen)

    # -- the service itself

    def _etag(self) -> str:
        return f'"{next(self._numbers)}"'

    def _do(self, seen: Seen) -> Answered:
        path, _, query = seen.path.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return _told(401, {"error": "who are you?"})
        if not path.startswith(BASE):
            return self._wrong(f"no such path: {path}", 404)
        team, *rest = [unquote(part) for part in path.removeprefix(BASE).split("/")]
        of_team = self.teams.setdefault(team, {})
        body = json.loads(seen.body) if seen.body else None
        if (body is not None) != (seen.method in ("POST", "PUT", "PATCH")):
            return self._wrong(f"a body does not go with {seen.method}", 400)
        if body is not None and seen.headers.get("content-type") != "application/json":
            return self._wrong("not JSON", 400)
        match seen.method, rest:
            case "GET", ["secrets"]:
                return self._list(of_team, given, path)
            case "POST", ["secrets"] if body is not None and body.keys() - {"comment"} == {"name", "value"}:
                if any(secret.name == body["name"] for secret in of_team.values()):
                    return _told(409, {"error": "taken", "value": body["value"]})
                made = self.add(body["name"], body["value"], team)
                made.comment = body.get("comment", "")
                return _told(201, {"secret": made.shown()})
            case method, ["secrets", name, *more] if name:
                found = next((secret for secret in of_team.values() if secret.name == name), None)
                return self._one(method, more, found, of_team, body, seen)
            case method, ["by-id", one]:
                return self._one(method, [], of_team.get(one), of_team, body, seen)
        return self._wrong(f"{seen.method} {path} is not described", 404)

    def _one(
        self, method: str, more: list[str], found: Secret | None, of_team: dict[str, Secret], body: Any, seen: Seen
    ) -> Answered:
        if found is None:
            return _told(404, {"error": "there is none"})
        wanted = seen.headers.get("if-match")
        if wanted is not None and wanted != found.etag:
            return _told(412, {"error": "it is another one"})
        match method, more:
            case "GET", []:
                return _told(200, found.shown(), {"ETag": found.etag})
            case "GET", ["value"]:
                return _told(200, found.shown(value=True), {"ETag": found.etag})
            case "PUT" | "PATCH", [] if body and body.keys() <= {"value", "comment"}:
                found.value, found.comment = body.get("value", found.value), body.get("comment", found.comment)
                found.etag = self._etag()
                return _told(200, {"secret": found.shown()}, {"ETag": found.etag})
            case "DELETE", []:
                del of_team[found.id]
                return 204, {}, b""
        return self._wrong(f"{method} of one is not described", 404)

    def _list(self, of_team: dict[str, Secret], given: dict[str, str], path: str) -> Answered:
        """By a cursor, or by the number of a page; every answer also has the address of the next one."""
        if unknown := given.keys() - {"cursor", "page"}:
            return self._wrong(f"parameters {sorted(unknown)}", 400)
        all_of_it = sorted(of_team.values(), key=lambda secret: int(secret.id.removeprefix("sec_")))
        cursor = int(given.get("cursor", "c0").removeprefix("c"))
        start = (int(given["page"]) - 1) * PAGE if "page" in given else cursor
        page, more = all_of_it[start : start + PAGE], start + PAGE < len(all_of_it)
        link = f"{self.address}{path}?cursor=c{start + PAGE}" if more else None
        told = {
            "secrets": [secret.shown() for secret in page],
            "next": f"c{start + PAGE}" if more else None,
            "link": link,
            "total": len(all_of_it),
        }
        return _told(200, told, {"Link": f'<{path}>; rel="self", <{link}>; rel="next"'} if link else {})

    def _wrong(self, why: str, status: int) -> Answered:
        self.wrongs.append(why)
        return _told(status, {"error": why})


def _told(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answered:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()
