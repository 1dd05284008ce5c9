"""A fake of one key vault over HTTPS. It keeps state, is strict, and is no part of the product.

Every request is held to the contract (:mod:`support.azure.contract`), and so is every answer: a test whose client sends
something else fails at its end. What the contract does not tell names its source where it is written.

The client checks that a vault is in the domain that its challenge names. So the vault at ``127.0.0.1:PORT`` says that
it is one of ``0.0.1:PORT``, as ``unit.vault.azure.net`` is one of ``vault.azure.net``.

::

    with KeyVault(tls) as azure:
        azure.entra.identities.append(Identity(secret="..."))
        azure.refuse("^PUT ", throttled(), times=1)
        ... open a store at azure.address ...
        assert azure.vault.values() == {"a": "1"}
"""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from support.azure.contract import NotDescribedError, Operation, check_answer, check_request, operation_of
from support.azure.entra import TENANT, Entra, Identity
from support.azure.refusals import RefusedError, bad, by_policy, by_role, failing
from support.azure.vault import RETENTION_DAYS, Held, Vault, Version
from support.serving import Seen, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

# The permissions, by the texts of the operations in routes.tsp.
_RIGHTS = {
    "get_secret": "get",
    "get_deleted_secret": "get",
    "get_secrets": "list",
    "get_secret_versions": "list",
    "get_deleted_secrets": "list",
    "set_secret": "set",
    "update_secret": "set",
    "delete_secret": "delete",
    "recover_deleted_secret": "recover",
    "purge_deleted_secret": "purge",
}


@dataclass
class _Fault:
    match: re.Pattern[str]
    times: int | None
    refused: RefusedError | None = None
    raw: tuple[int, dict[str, str], bytes] | None = None
    action: Callable[[], object] | None = None


class KeyVault:
    """See the module.

    Attributes:
        vault: what it holds, for tests to set up and look at without a request.
        entra: where one logs in.
        domain: which it says that it is in, in place of its own.
        known_as: the address that it is known by, where a proxy leads to it.
        roles: whether it goes by roles of Azure, or by access policies.
        requests: every request so far that came with a token.
        wrong: what clients sent that the contract does not allow, and defects of the fake; fails the test.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.entra = Entra(tls)
        self.forget()
        self._lock = threading.Lock()
        self._server = Server(self._handle, tls)

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.entra.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.entra.__exit__()
        self._server.__exit__()

    def forget(self) -> None:
        """Be as new."""
        self.vault = Vault()
        self.entra.forget()
        self.roles = True
        self.domain = ""
        self.known_as = ""
        self.requests: list[Seen] = []
        self.wrong: list[str] = []
        self._faults: list[_Fault] = []

    def check(self) -> None:
        """Fail where a request or an answer so far was wrong."""
        assert not self.wrong, self.wrong
        assert not self.entra.wrong, self.entra.wrong

    @property
    def address(self) -> str:
        """The vault's."""
        return self._server.address

    @property
    def resource(self) -> str:
        """What tokens for it are for."""
        return f"https://{self.domain or self._shown.partition('.')[2]}"

    @property
    def _shown(self) -> str:
        return self.known_as or self.address

    def refuse(self, match: str, error: RefusedError, *, times: int | None = None) -> None:
        """Refuse requests whose method and path match, so often, or until ``heal``."""
        self._faults.append(_Fault(re.compile(match), times, refused=error))

    def answer(
        self, match: str, status: int, body: bytes, *, times: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Answer them with this."""
        told = {"Content-Type": "application/json; charset=utf-8"} if headers is None else headers
        self._faults.append(_Fault(re.compile(match), times, raw=(status, told, body)))

    def before(self, match: str, action: Callable[[], object], *, times: int | None = 1) -> None:
        """Do something right before the next of them is carried out."""
        self._faults.append(_Fault(re.compile(match), times, action=action))

    def heal(self) -> None:
        """End all of that."""
        self._faults.clear()

    def made(self, method: str) -> list[str]:
        """The paths, without query, of the requests of one method so far."""
        return [urlsplit(each.path).path for each in self.requests if each.method == method]

    # -- one request

    def _handle(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            try:
                return self._judged(seen)
            except NotDescribedError as wrong:
                self.wrong.append(f"{seen.method} {seen.path}: {wrong.reason}")
                return self._refused(bad("not described"))
            except Exception as defect:  # noqa: BLE001  it fails the test
                self.wrong.append(f"{seen.method} {seen.path}: {type(defect).__name__}: {defect}")
                return self._refused(failing())

    def _judged(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        identity = self.entra.who(token, self.resource) if scheme == "Bearer" else None
        if identity is None:
            return self._challenge()
        self.requests.append(seen)
        line = f"{seen.method} {seen.path}"
        for fault in [each for each in self._faults if each.match.search(line)]:
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            if fault.action is not None:
                fault.action()
            if fault.raw is not None:
                return fault.raw
            if fault.refused is not None:
                return self._refused(fault.refused)
        parts = urlsplit(seen.path)
        operation = operation_of(seen.method, parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        body = check_request(operation, query, seen.body, seen.headers.get("content-type", ""))
        try:
            self._check_may(identity, operation)
            answer = self._done(operation, query, body)
        except RefusedError as refused:
            check_answer(operation, refused.status, refused.body)
            return self._refused(refused)
        status = 204 if answer is None else 200
        check_answer(operation, status, answer)
        return status, self._headers(), b"" if answer is None else json.dumps(answer).encode()

    def _challenge(self) -> tuple[int, dict[str, str], bytes]:
        """Recorded; of ``login.windows.net`` there it has the tenant's login."""
        where = f'Bearer authorization="{self.entra.address}/{TENANT}", resource="{self.resource}"'
        refused = RefusedError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        return 401, {**self._headers(), "WWW-Authenticate": where}, json.dumps(refused.body).encode()

    def _refused(self, refused: RefusedError) -> tuple[int, dict[str, str], bytes]:
        return refused.status, {**self._headers(), **refused.headers}, json.dumps(refused.body).encode()

    def _headers(self) -> dict[str, str]:
        now = format_datetime(datetime.fromtimestamp(self.vault.now, UTC), usegmt=True)
        return {"Content-Type": "application/json; charset=utf-8", "Date": now}

    def _check_may(self, identity: Identity, operation: Operation) -> None:
        right = _RIGHTS[operation.name]
        if right not in identity.rights:
            raise by_role() if self.roles else by_policy(right)

    # -- the operations

    def _done(self, operation: Operation, query: dict[str, str], body: dict[str, Any]) -> Any:
        name, version = operation.secret, operation.version
        match operation.name:
            case "get_secret":
                held, found = self.vault.get(name, version)
                return {**self._bundle(held, found), "value": found.value}
            case "set_secret":
                held, found = self.vault.set(name, body)
                return {**self._bundle(held, found), "value": found.value}
            case "update_secret":
                return self._bundle(*self.vault.update(name, version, body))
            case "delete_secret":
                return self._gone(self.vault.delete(name), versioned=True)
            case "get_deleted_secret":
                return self._gone(self.vault.deleted(name), versioned=True)
            case "recover_deleted_secret":
                held = self.vault.recover(name)
                return self._bundle(held, held.current)
            case "purge_deleted_secret":
                return self.vault.purge(name)
            case "get_secrets":
                items = [self._item(each) for _, each in sorted(self.vault.live.items())]
            case "get_deleted_secrets":
                kept = [each for _, each in sorted(self.vault.gone.items()) if not each.looks]
                items = [self._gone(each, versioned=False) for each in kept]
            case "get_secret_versions":
                found_here = self.vault.versions(name)
                every = sorted(found_here.versions, key=lambda each: each.id) if found_here is not None else []
                items = [self._bundle(found_here, each) for each in every] if found_here is not None else []
        return self._page(operation, query, items)

    def _page(self, operation: Operation, query: dict[str, str], items: list[dict[str, Any]]) -> dict[str, Any]:
        """A page, and where the next one is: at the vault's address with its port, as was recorded."""
        size = int(query.get("maxresults", 25))
        start = int(base64.urlsafe_b64decode(query["$skiptoken"])) if "$skiptoken" in query else 0
        link = None
        if start + size < len(items):
            token = base64.urlsafe_b64encode(str(start + size).encode()).decode()
            path = operation.described["path"].format(secret_name=operation.secret)
            where = f"{self.known_as}:443" if self.known_as else self.address
            asked = f"api-version={query['api-version']}&$skiptoken={quote(token)}&maxresults={size}"
            link = f"{where}{path}?{asked}"
        return {"value": items[start : start + size], "nextLink": link}

    def _attributes(self, version: Version) -> dict[str, Any]:
        level = "Recoverable" if self.vault.purge_protected else "Recoverable+Purgeable"
        return {
            "enabled": version.enabled,
            **({"nbf": version.nbf} if version.nbf is not None else {}),
            **({"exp": version.exp} if version.exp is not None else {}),
            "created": version.created,
            "updated": version.updated,
            "recoveryLevel": level,
            "recoverableDays": RETENTION_DAYS,
        }

    def _bundle(self, held: Held, version: Version) -> dict[str, Any]:
        """A version, without its value."""
        return self._item(held, version, f"/{version.id}")

    def _item(self, held: Held, version: Version | None = None, behind: str = "") -> dict[str, Any]:
        """What a listing of secrets has: an id without a version, and the attributes of the current version."""
        version = version or held.current
        return {
            "id": f"{self._shown}/secrets/{held.name}{behind}",
            "attributes": self._attributes(version),
            **({"tags": version.tags} if version.tags else {}),
            **({"contentType": version.content_type} if version.content_type else {}),
            **({"managed": True} if held.managed else {}),
        }

    def _gone(self, held: Held, *, versioned: bool) -> dict[str, Any]:
        return {
            **self._item(held, behind=f"/{held.current.id}" if versioned else ""),
            "recoveryId": f"{self._shown}/deletedsecrets/{held.name}",
            "deletedDate": held.deleted_at,
            "scheduledPurgeDate": held.deleted_at + RETENTION_DAYS * 86400,
        }
