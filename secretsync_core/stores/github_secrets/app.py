"""Logs in as an installation of a GitHub App, and anew before its token ends.

By https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app: a JSON web token, signed with the
App's key and good for ten minutes at most, is changed for a token of the installation, which is good for an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import jwt

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import AccessDenied, SecretSyncError, StoreError
from secretsync_core.stores.answers import Part
from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.transport import CREATED, DONE, SHOWN
from secretsync_core.stores.http import CredentialsRefused, RefusedLogin, date_of, sendable

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.github_secrets.config import AppAuth
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Answer, Transport

CLOCK_SECONDS = 60
"""So far our clock may go ahead of GitHub's, which takes no token of the future."""

JWT_SECONDS = 540
"""How long a JSON web token is good for, from now on; with the above, ten minutes."""

SPARE_SECONDS = 300.0
"""So long before its end a token is replaced; a shorter-lived one after half its life."""


class AppLogin:
    """The token of an installation, for as long as a store is open."""

    def __init__(self, app: AppAuth, context: StoreContext, transport: Transport, scope: Scope) -> None:
        self._app = app
        self._context = context
        self._transport = transport
        self._scope = scope.whole
        self._installation = app.installation_id
        self._token = ""
        self._due = 0.0  # time.monotonic
        self._refused = RefusedLogin()
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """The token, a new one where its time comes. Whoever comes meanwhile waits for it."""
        if time.monotonic() >= self._due:
            async with self._lock:
                self._refused.check()
                if time.monotonic() >= self._due:
                    await self._login()
        return self._token

    async def another_than(self, refused: str) -> None:
        """Log in anew, unless somebody has. Raises CredentialsRefused where that token is refused as well."""
        async with self._lock:
            self._refused.check()
            if self._token == refused:
                await self._login()

    async def aclose(self) -> None:
        """Give the token back."""
        token, self._token, self._due = self._token, "", 0.0
        if token:
            # It ends by itself within the hour, so a GitHub that has gone away is no reason to fail now.
            with contextlib.suppress(SecretSyncError):
                request = self._request("end our session")
                await self._transport.as_app("DELETE", "/installation/token", request, DONE, lambda: token, _whole)

    async def _login(self) -> None:
        try:
            await self._begin()
        except AccessDenied as error:
            raise self._refused.note(error) from None

    async def _begin(self) -> None:
        if self._installation is None:
            self._installation = await self._find()
        # For an organization it may have to be good for the repositories that are selected.
        payload = {"repositories": [self._scope.repository]} if self._scope.repository else None
        request = self._request("log in")
        path = f"/app/installations/{self._installation}/access_tokens"
        found = await self._transport.as_app("POST", path, request, CREATED, self._signed, _whole, payload)
        if not found.done:
            raise self._why_not(request, found)
        part = Part.of_body(request, found.body)
        token, expires = part.text("token"), part.time("expires_at")
        self._token = sendable(token, self._context.name)
        seconds = _seconds_until(expires, found)
        self._due = time.monotonic() + seconds - min(SPARE_SECONDS, seconds / 2)

    async def _find(self) -> int:
        """The installation at our repository or organization."""
        request = self._request("find the App's installation")
        path = f"{self._scope.home}/installation"
        found = await self._transport.as_app("GET", path, request, SHOWN, self._signed, _whole)
        if not found.done:
            raise self._why_not(request, found)
        return Part.of_body(request, found.body).number("id", least=1)

    def _why_not(self, request: Request, answer: Answer) -> StoreError:
        store = self._context.name
        if answer.status == 401:
            return CredentialsRefused(
                f"{store} does not take the JSON web token of our App",
                store=store,
                hint=f"check auth.app.clientId, the {describe(self._app.private_key)}, and this machine's clock",
            )
        if answer.status in (404, 422):
            field = self._scope.field
            return AccessDenied(
                f"{store} knows no installation of our App at the {self._scope.holder}",
                store=store,
                hint=f"install the App there, and check {field} in the SecretStore, which may have another name by now"
                ", and auth.app.installationId",
            )
        return answer.refusal(request)

    def _request(self, action: str) -> Request:
        return Request(self._context.name, self._scope, action)

    def _signed(self) -> str:
        """A JSON web token. Raises StoreError where the key is none."""
        store = self._context.name
        key = resolve(self._app.private_key, self._context.environ, store=store)
        now = int(time.time())
        claims = {"iss": self._app.client_id, "iat": now - CLOCK_SECONDS, "exp": now + JWT_SECONDS}
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except Exception:  # noqa: BLE001, S110  of several libraries, and a text of theirs may show the key
            pass
        raise StoreError(
            f"the {describe(self._app.private_key)} holds no private key of RSA",
            store=store,
            hint="it is the PEM file that GitHub gives for download, from BEGIN RSA PRIVATE KEY on",
        )


def _whole(answer: Answer) -> Answer:
    return answer


def _seconds_until(expires: str, answer: Answer) -> float:
    """How long a token lives, by GitHub's own clock where it tells the time."""
    now = date_of(answer.headers.get("Date", "")) or datetime.now(UTC)
    return max(1.0, (datetime.fromisoformat(expires) - now).total_seconds())
