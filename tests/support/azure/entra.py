"""A fake of Microsoft Entra ID's token endpoint, and of the one that a machine has in its place.

What it checks is in https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
https://learn.microsoft.com/entra/identity-platform/certificate-credentials, of the machine's in
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token. Error codes:
https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import Encoding

from support.serving import Seen, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

    from cryptography.x509 import Certificate

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
ALL = frozenset({"get", "list", "set", "delete", "recover"})
_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Identity:
    """Somebody: by what it logs in, and what it may do in the vault."""

    client: str = CLIENT
    secret: str = ""
    certificate: Certificate | None = None
    federated: str = ""
    rights: frozenset[str] = ALL


class Entra:
    """The token endpoint of one tenant, and that of a machine.

    Attributes:
        identities: the applications of the tenant.
        machine: who the machine is; None where it has no identity.
        lifetime: of a token, in seconds.
        logins: how many tokens were given.
        wrong: what was asked in a way that no document has.
        answer: in place of every answer of the service.
        before: gives such an answer, to each request.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._service = Server(self._log_in, tls)
        self._machine = Server(self._on_machine, None)
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.identities: list[Identity] = []
        self.machine: Identity | None = None
        self.lifetime = 3599
        self.logins = 0
        self.wrong: list[str] = []
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        self.before: Callable[[], tuple[int, dict[str, str], bytes]] | None = None
        self._given: dict[str, tuple[Identity, str]] = {}

    def __enter__(self) -> Self:
        self._service.__enter__()
        self._machine.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._service.__exit__()
        self._machine.__exit__()

    @property
    def address(self) -> str:
        """Where one logs in."""
        return self._service.address

    @property
    def machine_address(self) -> str:
        """Where the machine asks for itself."""
        return self._machine.address

    def who(self, token: str, resource: str) -> Identity | None:
        """Whose token it is, if it is one for this resource."""
        found = self._given.get(token)
        return found[0] if found is not None and found[1] == resource else None

    def revoke(self) -> None:
        """Take back every token."""
        self._given.clear()

    def _give(self, identity: Identity, resource: str) -> str:
        token = secrets.token_urlsafe(32)
        self._given[token] = (identity, resource)
        self.logins += 1
        return token

    # -- applications

    def _log_in(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if self.answer is not None:
            return self.answer
        if self.before is not None:
            return self.before()
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        tenant = seen.path.split("/")[1]
        if seen.method != "POST" or seen.path != f"/{tenant}/oauth2/v2.0/token":
            self.wrong.append(f"{seen.method} {seen.path}")
            return _refuse(404, "invalid_request", "AADSTS900144: no such endpoint")
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            self.wrong.append("the form is not that of client credentials")
        if tenant != TENANT:
            return _refuse(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
        known = [each for each in self.identities if each.client == form.get("client_id")]
        if not known:
            return _refuse(400, "unauthorized_client", "AADSTS700016: Application was not found in the directory.")
        refused = ""
        for identity in known:
            refused = self._why_not(identity, form, f"{self.address}{seen.path}")
            if not refused:
                resource = form["scope"].removesuffix("/.default")
                told = {"token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime}
                return _give({**told, "access_token": self._give(identity, resource)})
        return _refuse(401, "invalid_client", refused)

    def _why_not(self, identity: Identity, form: dict[str, str], endpoint: str) -> str:
        if "client_secret" in form:
            same = identity.secret and form["client_secret"] == identity.secret
            return (
                ""
                if same
                else "AADSTS7000215: Invalid client secret provided. It was echoed here: " + form["client_secret"]
            )
        if form.get("client_assertion_type") != _BEARER:
            return "AADSTS900144: The request body must contain the parameter 'client_assertion'."
        assertion = form.get("client_assertion", "")
        if identity.certificate is None:
            same = identity.federated and assertion == identity.federated
            return "" if same else "AADSTS700213: No matching federated identity record found for presented assertion."
        return self._why_not_signed(identity, assertion, endpoint)

    def _why_not_signed(self, identity: Identity, assertion: str, endpoint: str) -> str:
        assert identity.certificate is not None
        key: Any = identity.certificate.public_key()
        thumb = hashlib.sha256(identity.certificate.public_bytes(Encoding.DER)).digest()
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, key, algorithms=["PS256"], audience=endpoint)
        except jwt.InvalidTokenError:
            return "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered."
        expected = base64.urlsafe_b64encode(thumb).rstrip(b"=").decode()
        if header.get("x5t#S256", "").rstrip("=") != expected or claims["iss"] != claims["sub"] != identity.client:
            return "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered."
        return ""

    # -- the machine

    def _on_machine(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(seen.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if (seen.method, parts.path) != ("GET", "/metadata/identity/oauth2/token") or query.get(
            "api-version"
        ) != "2018-02-01":
            self.wrong.append(f"{seen.method} {seen.path}")
        if seen.headers.get("metadata") != "true":
            return _refuse(400, "invalid_request", "Required metadata header not specified")
        wanted = query.get("client_id")
        if self.machine is None or (wanted and wanted != self.machine.client):
            return _refuse(400, "invalid_request", "Identity not found")
        return _give(
            {
                "access_token": self._give(self.machine, query["resource"]),
                "client_id": self.machine.client,
                "expires_in": str(self.lifetime),
                "expires_on": str(int(time.time()) + self.lifetime),
                "resource": query["resource"],
                "token_type": "Bearer",
            }
        )


def _give(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()


def _refuse(status: int, error: str, text: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"error": error, "error_description": text}).encode()
    return status, {"Content-Type": "application/json; charset=utf-8"}, body
