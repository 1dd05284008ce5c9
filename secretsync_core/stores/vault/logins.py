"""Logs in, renews, looks up and gives back tokens, by hvac in a worker thread: what happens seldom, and once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from secretsync_core.credentials import describe, resolve
from secretsync_core.distribution import extra_hint
from secretsync_core.endurance import too_large
from secretsync_core.errors import StoreError
from secretsync_core.known import looks_like_a_token
from secretsync_core.stores.answers import Part
from secretsync_core.stores.cutting import TooLargeError, answers_up_to
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.threads import in_thread
from secretsync_core.stores.vault.answers import (
    NO_NAMESPACE,
    NO_ROUTE,
    Request,
    refusal,
)
from secretsync_core.stores.vault.wrapping import Unwrapping, looks_wrapped, unwrapped

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.vault.config import VaultConfig

SECONDS = (10, 60)  # to connect, to answer
_BARE_DENIAL = b'["permission denied"]'  # what a token that is unknown gets; a policy's denial says "1 error occurred"


def knows_no_token(body: bytes) -> bool:
    """Whether a 403 is said of a token that the server does not know, or not any more, and not of a policy."""
    return _BARE_DENIAL in body or b"invalid token" in body


class Lease(NamedTuple):
    """A token, the seconds it still lives (0: for ever), whether it can be renewed, and for how many requests it is.

    ``uses`` is None where their number is not limited.
    """

    token: str
    seconds: float
    renewable: bool
    uses: int | None = None


class Logins:
    """The administrative calls of one store. Every one goes through the gate, as ``login``."""

    def __init__(self, config: VaultConfig, context: StoreContext, tls: ssl.SSLContext) -> None:
        self._config = config
        self._context = context
        self._tls = tls

    @property
    def method(self) -> str:
        """The name of the login method in the document."""
        auth = self._config.auth
        return next((name for name, field in _FIELD.items() if getattr(auth, field) is not None), "token")

    async def login(self) -> Lease:
        """A new token by the configured method. Credential files are read anew. Raises CredentialsRefused."""
        method, credentials = self.method, self._credentials()
        app_role = self._config.auth.app_role
        wrapped = app_role is not None and app_role.wrapped
        if wrapped:
            credentials["secret_id"] = await self._unwrap(credentials["secret_id"])

        def ask(client: Any) -> Any:
            return _ASK[method](client, self._config, credentials)

        status, body, headers = await self._call("", ask)
        if status == 200:
            return self._lease(f"log us in by {method}", body, "auth")
        request = self._request(f"log us in by {method}")
        if status not in (400, 401, 403, 404) or NO_NAMESPACE in body:
            raise refusal(request, status, body, headers)
        mount = getattr(getattr(self._config.auth, _FIELD[method]), "mount", method)
        mount = "…" if looks_like_a_token(mount) else mount
        hint = f"check the credentials and the role at auth/{mount}"
        if status == 404 or NO_ROUTE in body:
            hint = f"is {method} mounted at auth/{mount}?"
        elif not wrapped and looks_wrapped(credentials.get("secret_id", "")):
            hint = "the secretId looks like a token: if it is a wrapping token, set wrapped: true next to it"
        raise CredentialsRefused(
            f"{self._context.name} refuses to log us in by {method}", store=self._context.name, hint=hint
        )

    async def _unwrap(self, token: str) -> str:
        """The secret id that a wrapping token gives; from memory where this process has it already."""
        app_role = self._config.auth.app_role
        assert app_role is not None  # noqa: S101
        assert app_role.secret_id is not None  # noqa: S101
        request = self._request("unwrap our secretId")
        unwrapping = Unwrapping(request, self._config.address, describe(app_role.secret_id))

        def ask(wrapping_token: str) -> tuple[int, bytes, dict[str, str]]:
            return self._blocking(wrapping_token, lambda client: client.sys.unwrap())

        return await self._context.gate("login", lambda: in_thread(lambda: unwrapped(token, unwrapping, ask)))

    async def renew(self, token: str) -> Lease | None:
        """The token with a longer life; ``None`` where the server does not renew it."""
        status, body, _ = await self._call(token, lambda client: client.auth.token.renew_self())
        return self._lease("renew our token", body, "auth") if status == 200 else None

    def renewed(self, body: bytes) -> Lease:
        """What a server answers that has renewed a token."""
        return self._lease("renew our token", body, "auth")

    async def look_up(self, token: str) -> Lease | None:
        """What the server knows of the token; ``None`` where it knows no such token."""
        status, body, headers = await self._call(token, lambda client: client.auth.token.lookup_self())
        if status == 200:
            return self._lease("look up our token", body, "data")
        if status == 403:
            if knows_no_token(body):
                return None
            return Lease(token, 0, renewable=False)  # it lives, and may not look at itself
        raise refusal(self._request("look up our token"), status, body, headers)

    async def give_back(self, token: str) -> None:
        """Revoke a token that we logged in for."""
        await self._call(token, lambda client: client.auth.token.revoke_self())

    def _request(self, action: str) -> Request:
        return Request(self._context.name, self._config.mount.strip("/"), action, namespace=self._config.namespace)

    def _credentials(self) -> dict[str, str]:
        auth, environ, store = self._config.auth, self._context.environ, self._context.name
        pointers = {}
        if auth.app_role is not None:
            pointers = {"role_id": auth.app_role.role_id, "secret_id": auth.app_role.secret_id}
        elif auth.kubernetes is not None:
            pointers = {"jwt": auth.kubernetes.token}
        elif auth.jwt is not None:
            pointers = {"jwt": auth.jwt.token}
        elif auth.user_pass is not None:
            pointers = {"password": auth.user_pass.password}
        return {name: resolve(where, environ, store=store) for name, where in pointers.items() if where is not None}

    def _lease(self, action: str, body: bytes, part: str) -> Lease:
        found = Part.of_body(self._request(action), body).part(part)
        login = part == "auth"
        return Lease(
            found.text("client_token" if login else "id"),
            found.number("lease_duration" if login else "ttl"),
            "renewable" in found.fields and found.flag("renewable"),
            (found.number("num_uses") or None) if login and "num_uses" in found.fields else None,
        )

    async def _call(self, token: str, ask: Callable[[Any], Any]) -> tuple[int, bytes, dict[str, str]]:
        return await self._context.gate("login", lambda: in_thread(lambda: self._blocking(token, ask)))

    def _blocking(self, token: str, ask: Callable[[Any], Any]) -> tuple[int, bytes, dict[str, str]]:
        store = self._context.name
        try:
            import hvac

            from secretsync_core.stores.by_requests import PlainSession, TlsAdapter, requests_failure
        except ImportError:
            raise StoreError("the login to Vault needs hvac", store=store, hint=extra_hint("vault")) from None

        with PlainSession(store) as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, TlsAdapter(self._tls, self._config.tls.server_name, 1))
            client = hvac.Client(
                url=self._config.address.rstrip("/"),
                token=token,  # never None, which would make hvac look into the environment and the home
                verify=True,
                cert=(),
                timeout=SECONDS,
                allow_redirects=False,
                session=session,
                namespace=self._config.namespace,
                adapter=hvac.adapters.RawAdapter,
                ignore_exceptions=True,  # they hold the body; the answers are for us to judge
            )
            most = self._context.endurance.most("login")
            try:
                with answers_up_to(most):
                    answer = ask(client)
                return answer.status_code, answer.content, dict(answer.headers)
            except TooLargeError:
                raise too_large(store, "log us in", most) from None
            except OSError as error:  # as which requests raises all that it does
                raise requests_failure(error, store, hint="") from None


_FIELD = {
    "appRole": "app_role",
    "kubernetes": "kubernetes",
    "jwt": "jwt",
    "userPass": "user_pass",
    "cert": "cert",
}


def _app_role(client: Any, config: VaultConfig, credentials: dict[str, str]) -> Any:
    assert config.auth.app_role is not None  # noqa: S101
    return client.auth.approle.login(**credentials, use_token=False, mount_point=config.auth.app_role.mount)


def _kubernetes(client: Any, config: VaultConfig, credentials: dict[str, str]) -> Any:
    part = config.auth.kubernetes
    assert part is not None  # noqa: S101
    return client.auth.kubernetes.login(role=part.role, jwt=credentials["jwt"], use_token=False, mount_point=part.mount)


def _jwt(client: Any, config: VaultConfig, credentials: dict[str, str]) -> Any:
    part = config.auth.jwt
    assert part is not None  # noqa: S101
    return client.auth.jwt.jwt_login(role=part.role or "", jwt=credentials["jwt"], use_token=False, path=part.mount)


def _user_pass(client: Any, config: VaultConfig, credentials: dict[str, str]) -> Any:
    part = config.auth.user_pass
    assert part is not None  # noqa: S101
    return client.auth.userpass.login(
        username=part.username, password=credentials["password"], use_token=False, mount_point=part.mount
    )


def _cert(client: Any, config: VaultConfig, _: dict[str, str]) -> Any:
    part = config.auth.cert
    assert part is not None  # noqa: S101
    # hvac's own method for this insists on loading the certificate by itself; ours is in the TLS context.
    body = {"name": part.role} if part.role else {}
    return client.login(f"/v1/auth/{quote(part.mount)}/login", use_token=False, json=body)


_ASK: dict[str, Callable[[Any, VaultConfig, dict[str, str]], Any]] = {
    "appRole": _app_role,
    "kubernetes": _kubernetes,
    "jwt": _jwt,
    "userPass": _user_pass,
    "cert": _cert,
}
