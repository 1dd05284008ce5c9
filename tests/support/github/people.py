"""Who asks: tokens of every kind, and what each may do.

Which permission an operation takes: https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
and .../permissions-required-for-github-apps. Scopes are in the description's own texts ("need the `repo` scope").
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.github.refusals import RefusedError, bad_credentials, needs_sso, not_accessible, not_found

_numbers = itertools.count(1)
TOKEN_SECONDS = 3600  # "Generating an installation access token": it expires after one hour

NEEDED = {
    ("repository", "actions", "secrets"): "secrets",
    ("repository", "dependabot", "secrets"): "dependabot_secrets",
    ("repository", "codespaces", "secrets"): "codespaces_secrets",
    ("repository", "actions", "variables"): "actions_variables",
    ("environment", "actions", "secrets"): "environments",
    ("environment", "actions", "variables"): "environments",
    ("organization", "actions", "secrets"): "organization_secrets",
    ("organization", "dependabot", "secrets"): "organization_dependabot_secrets",
    ("organization", "codespaces", "secrets"): "organization_codespaces_secrets",
    ("organization", "actions", "variables"): "organization_actions_variables",
}


@dataclass
class Caller:
    """One token. ``scopes``: a classic one; else ``permissions``, each with ``read`` or ``write``."""

    by: str
    scopes: frozenset[str] | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    repositories: frozenset[str] | None = None  # None: all
    sso: bool = True
    expires: float | None = None

    def sees(self, repository: str) -> bool:
        """Whether a private repository exists for it."""
        if self.scopes is not None:
            return "repo" in self.scopes
        return self.repositories is None or repository in self.repositories

    def check(self, holder: str, use: str, what: str, *, writes: bool, organisation: str) -> None:
        """Raise what an operation is refused with, where it is."""
        if not self.sso:
            raise needs_sso(organisation)
        if self.scopes is not None:
            if ("admin:org" if holder == "organization" else "repo") not in self.scopes:
                raise not_found()
            return
        needed = NEEDED[holder, use, what]
        has = self.permissions.get(needed, "")
        if has != "write" and (writes or has != "read"):
            raise not_accessible(self.by, f"{needed}={'write' if writes else 'read'}")


class App:
    """A GitHub App with one installation."""

    def __init__(self, permissions: dict[str, str], clock: _Seconds) -> None:
        self.client_id = f"Iv23li{next(_numbers):014d}"
        self.installation = next(_numbers)
        self.permissions = permissions
        self.repositories: frozenset[str] | None = None
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._clock = clock

    @property
    def pem(self) -> str:
        """The private key, as GitHub gives it for download."""
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self._private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def check(self, token: str) -> None:
        """Raise what a JWT is refused with, by "Generating a JSON Web Token (JWT) for a GitHub App"."""
        try:
            claims = jwt.decode(
                token,
                self._private.public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise RefusedError(401, "A JSON web token could not be decoded") from None
        now = self._clock()
        if claims["iss"] != self.client_id:
            raise RefusedError(401, "'Issuer' claim ('iss') must be an Integer or a client ID")
        if claims["iat"] > now:
            raise RefusedError(401, "'Issued at' claim ('iat') must be an Integer representing a time in the past")
        if not now < claims["exp"] <= now + 600:
            raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")


class _Seconds:
    """The seconds of now, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class People:
    """Everybody who may ask."""

    def __init__(self) -> None:
        self.seconds = _Seconds()
        self.callers: dict[str, Caller] = {}
        self.apps: dict[int, App] = {}

    def classic(self, *scopes: str, sso: bool = True) -> str:
        """A personal access token (classic)."""
        return self._keep(
            f"ghp_classic{next(_numbers):026d}", Caller("personal access token", frozenset(scopes), sso=sso)
        )

    def fine_grained(self, *repositories: str, **permissions: str) -> str:
        """A fine-grained personal access token: for all repositories where it names none."""
        caller = Caller("personal access token", None, permissions, frozenset(repositories) or None)
        return self._keep(f"github_pat_{next(_numbers):026d}", caller)

    def app(self, **permissions: str) -> App:
        """A GitHub App, installed once."""
        app = App(permissions, self.seconds)
        self.apps[app.installation] = app
        return app

    def revoke(self, token: str) -> None:
        """Know a token no longer."""
        del self.callers[token]

    def caller(self, header: str) -> Caller:
        """Who sends this header."""
        found = self.callers.get(_bearer(header))
        if found is None or (found.expires is not None and found.expires <= self.seconds()):
            raise bad_credentials()
        return found

    def app_of(self, header: str) -> App:
        """The App whose JWT this is."""
        token = _bearer(header)
        try:
            issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
        except jwt.InvalidTokenError:
            raise RefusedError(401, "A JSON web token could not be decoded") from None
        app = next((each for each in self.apps.values() if each.client_id == issuer), None)
        if app is None:
            raise RefusedError(401, "Integration not found")
        app.check(token)
        return app

    def install(self, app: App, repositories: list[str] | None) -> tuple[str, float]:
        """An installation's token, and when it ends; for some repositories where they are named."""
        expires = self.seconds() + TOKEN_SECONDS
        only = frozenset(repositories) if repositories is not None else app.repositories
        caller = Caller("integration", None, app.permissions, only, expires=expires)
        return self._keep(f"ghs_installation{next(_numbers):020d}", caller), expires

    def _keep(self, token: str, caller: Caller) -> str:
        self.callers[token] = caller
        return token


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() not in ("bearer", "token") or not token:
        raise RefusedError(401, "Requires authentication")
    return token
