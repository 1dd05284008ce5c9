"""Strict, stateful fakes of Vercel, Netlify, Cloudflare and Doppler: the services' descriptions judge all they say."""

from __future__ import annotations

import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from support.rest.contract import Asked, Contract, NotDescribedError
from support.serving import Seen, Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    Answered = tuple[int, Any]

TOKEN = "a-token-of-the-example"


class Service:
    """What the fakes have in common."""

    NAME: ClassVar[str]

    def __init__(self) -> None:
        self._contract = Contract(self.NAME)
        self._server = Server(self._handle, None)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.requests: list[Asked] = []
        self.wrongs: list[str] = []

    @property
    def address(self) -> str:
        """Where it is."""
        return self._server.address

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def changes(self) -> int:
        """How many requests have changed something, or tried to."""
        return sum(asked.method != "GET" for asked in self.requests)

    def answer(self, asked: Asked) -> Answered:
        """A status and a body."""
        raise NotImplementedError

    def _handle(self, seen: Seen) -> tuple[int, Mapping[str, str], bytes]:
        with self._lock:
            if seen.headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, {}, b"{}"
            try:
                asked = self._contract.asked(seen.method, seen.path, seen.body, seen.headers.get("content-type", ""))
                self.requests.append(asked)
                status, body = self.answer(asked)
                self._contract.check_answer(asked, status, body)
            except (NotDescribedError, AssertionError) as error:
                self.wrongs.append(str(error))
                return 400, {}, b"{}"
            return status, {"Content-Type": "application/json"}, b"" if body is None else json.dumps(body).encode()


class Vercel(Service):
    """The environment variables of one project. Sensitive ones are not shown."""

    NAME = "vercel"

    def __init__(self) -> None:
        super().__init__()
        self.envs: dict[str, dict[str, Any]] = {}

    def values(self, target: str) -> dict[str, str]:
        """What a target has."""
        return {env["key"]: env["value"] for env in self.envs.values() if target in env["target"]}

    def put(self, key: str, value: str, *target: str) -> dict[str, Any]:
        """Add one, as somebody else."""
        one = f"env{next(self._numbers)}"
        moment = 1_790_000_000_000 + next(self._numbers)
        about = {"type": "sensitive", "createdAt": moment, "updatedAt": moment}
        self.envs[one] = {"id": one, "key": key, "value": value, "target": list(target), **about}
        return self.envs[one]

    def answer(self, asked: Asked) -> Answered:
        """By Vercel's documentation one key is there once for each target: another is a 400 (``ENV_CONFLICT``)."""
        if asked.path["idOrName"] != "prj_example" or asked.query.get("teamId") != "team_example":
            return 403, {}
        if asked.method == "GET":
            return 200, {"envs": [_shown(env) for env in self.envs.values()]}
        if asked.method == "POST":
            new = asked.body
            if any(env["key"] == new["key"] and {*env["target"]} & {*new["target"]} for env in self.envs.values()):
                return 400, {"error": {"code": "ENV_CONFLICT"}}
            made = self.put(new["key"], new["value"], *new["target"])
            made["type"] = new["type"]
            return 201, {"created": _shown(made), "failed": []}
        found = self.envs.get(asked.path["id"])
        if found is None:
            return 404, {}
        if asked.method == "DELETE":
            return 200, _shown(self.envs.pop(found["id"]))
        found.update(asked.body, updatedAt=1_790_000_000_000 + next(self._numbers))
        return 200, _shown(found)


def _shown(env: dict[str, Any]) -> dict[str, Any]:
    return {**env, "value": ""} if env["type"] == "sensitive" else dict(env)


class Netlify(Service):
    """The environment variables of one site. Those that are secret are not shown."""

    NAME = "netlify"

    def __init__(self) -> None:
        super().__init__()
        self.envs: dict[str, dict[str, Any]] = {}

    def values(self, context: str) -> dict[str, str]:
        """What a deploy context has."""
        return {
            key: value["value"]
            for key, env in self.envs.items()
            for value in env["values"]
            if value["context"] == context
        }

    def put(self, new: dict[str, Any]) -> dict[str, Any]:
        """Set one."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=next(self._numbers))
        self.envs[new["key"]] = {**new, "updated_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        return self.envs[new["key"]]

    def answer(self, asked: Asked) -> Answered:
        """Absent is a 404; a POST of a key that is there is refused. Neither status is in the description."""
        if asked.path["account_id"] != "acme" or asked.query.get("site_id") != "site-example":
            return 404, {"message": "Not Found"}
        if asked.template.endswith("/env"):
            if asked.method == "GET":
                return 200, [_secret(env) for env in self.envs.values()]
            if any(new["key"] in self.envs for new in asked.body):
                return 422, {"message": "taken"}
            return 201, [_secret(self.put(new)) for new in asked.body]
        if asked.path["key"] not in self.envs:
            return 404, {"message": "Not Found"}
        if asked.method == "DELETE":
            del self.envs[asked.path["key"]]
            return 204, None
        if asked.method == "PUT":
            self.put(asked.body)
        return 200, _secret(self.envs[asked.path["key"]])


def _secret(env: dict[str, Any]) -> dict[str, Any]:
    if not env.get("is_secret"):
        return env
    return {**env, "values": [{**value, "value": ""} for value in env["values"]]}


class Cloudflare(Service):
    """The secrets of one Secrets Store, which are never shown; two for each page."""

    NAME = "cloudflare"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, tuple[dict[str, Any], str]] = {}

    def values(self) -> dict[str, str]:
        """Names and values."""
        return {about["name"]: value for about, value in self.held.values()}

    def put(self, name: str, value: str) -> dict[str, Any]:
        """Write one, as somebody else."""
        one = next(
            (one for one, (about, _) in self.held.items() if about["name"] == name), f"{next(self._numbers):032x}"
        )
        moment = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=next(self._numbers))).isoformat()
        about = {"id": one, "created": moment, "modified": moment.replace("+00:00", "Z"), "name": name}
        self.held[one] = ({**about, "status": "active", "store_id": "store-example"}, value)
        return self.held[one][0]

    def answer(self, asked: Asked) -> Answered:
        """By its documentation a name is there once: another is a 409."""
        if (asked.path["account_id"], asked.path["store_id"]) != ("account-example", "store-example"):
            return 404, {}
        if asked.method == "GET":
            page = int(asked.query.get("page", "1"))
            shown = [about for about, _ in self.held.values()][(page - 1) * 2 : page * 2]
            info = {"count": len(shown), "page": page, "per_page": 2, "total_count": len(self.held)}
            return 200, {**_enveloped(shown), "result_info": info}
        if asked.method == "POST":
            if any(new["name"] in self.values() for new in asked.body):
                return 409, {}
            return 200, _enveloped([self.put(new["name"], new["value"]) for new in asked.body])
        if asked.path["secret_id"] not in self.held:
            return 404, {}
        if asked.method == "DELETE":
            del self.held[asked.path["secret_id"]]
            return 200, _enveloped(None)
        return 200, _enveloped(self.put(self.held[asked.path["secret_id"]][0]["name"], asked.body["value"]))


def _enveloped(result: Any) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result}


class Doppler(Service):
    """The secrets of one config."""

    NAME = "doppler"

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}

    def answer(self, asked: Asked) -> Answered:
        """One is there under its name, without a version."""
        where = asked.body if asked.template == "/secrets" else asked.query
        if (where["project"], where["config"]) != ("app", "prd"):
            return 403, {}
        if asked.template == "/secrets/names":
            managed = [] if asked.query.get("include_managed_secrets") == "false" else ["DOPPLER_CONFIG"]
            return 200, {"names": [*managed, *self.secrets]}
        if asked.template == "/secrets":
            self.secrets.update(asked.body["secrets"])
            return 200, {
                "secrets": {name: {"raw": text, "computed": text} for name, text in asked.body["secrets"].items()}
            }
        name = asked.query["name"]
        if name not in self.secrets:
            return 404, {}
        if asked.method == "DELETE":
            del self.secrets[name]
            return 204, None
        return 200, {"name": name, "value": {"raw": self.secrets[name], "computed": self.secrets[name], "note": ""}}
