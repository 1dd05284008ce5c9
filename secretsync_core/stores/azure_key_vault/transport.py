"""The way to the vault and to its login: aiohttp below the SDK, which may send to one host each, and nowhere else."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport

from secretsync_core.errors import AnswerTooLarge, RateLimited, StoreError
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.http import retry_after, unreachable

if TYPE_CHECKING:
    import ssl

    from secretsync_core.stores.base import StoreContext

CONNECT_SECONDS = 10
READ_SECONDS = 60
_MOST_TOKEN_BYTES = 256 * 1024
_CHUNK = 16 * 1024

OTHER_LOGIN = "check authorityHost in the SecretStore, and proxies on the way: something else answers there"
OTHER_MACHINE = "check IDENTITY_ENDPOINT and its like in the environment: something else answers there"
"""What to do where the login service, or what a machine has in its place, answers as neither does."""


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; the port of the scheme where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", "", None
    return parts.scheme.lower(), (parts.hostname or "").lower().rstrip("."), port


class VaultTransport(AioHttpTransport):  # type: ignore[misc]  # it is exported without its type
    """To the vault. Answers are left on the wire, for whoever asked to count what comes in."""

    def __init__(
        self, address: str, context: StoreContext, tls: ssl.SSLContext, *, server_name: str | None = None
    ) -> None:
        self._origin = origin_of(address)
        self._store = context.name
        self._server_name = server_name
        self.proxy = proxy_for(address, context.name)
        super().__init__(session=_session(context, tls, self.proxy, decompress=False), use_env_settings=False)

    async def send(self, request: Any, **config: Any) -> Any:
        """Send one request of the SDK. Raises StoreError for one that would go to another host."""
        if origin_of(request.url) != self._origin:
            raise _astray(self._store)
        if self._server_name is not None:
            config["server_hostname"] = self._server_name
        config["stream"] = True
        response = await super().send(request, **config)
        if response.status_code == 401:
            await response.close()  # what counts is its challenge, and the SDK would never take its body in
        return response


class LoginTransport(AioHttpTransport):  # type: ignore[misc]  # see above
    """To the login service, or to what the machine has in its place. Answers are small, and taken in here."""

    def __init__(self, address: str | None, context: StoreContext, tls: ssl.SSLContext) -> None:
        """``address`` of the service; None for a machine's own, which is the machine or on a link of it."""
        self._origin = origin_of(address) if address is not None else None
        self._store = context.name
        self._hint = OTHER_LOGIN if address is not None else OTHER_MACHINE
        self.proxy = proxy_for(address, context.name) if address is not None else None
        kind = _small_response(context.name, self._hint)
        super().__init__(session=_session(context, tls, self.proxy, kind=kind), use_env_settings=False)

    async def send(self, request: Any, **config: Any) -> Any:
        """Send one request of the SDK. Raises our errors where it would go astray, or the service is failing."""
        origin = origin_of(request.url)
        if origin != self._origin and not (self._origin is None and _is_of_this_machine(origin[1])):
            raise _astray(self._store)
        response = await super().send(request, **config)
        status = response.status_code
        if status == 429:
            raise RateLimited(
                f"{self._store}: its login service asks us to wait",
                store=self._store,
                retry_after=retry_after(response.headers.get("Retry-After")),
            )
        if 300 <= status < 400:  # not followed: it would hand our secret to whatever the answer names
            why = f"its login service answers with a redirect (HTTP {status})"
            raise unreachable(self._store, why, hint=self._hint, permanent=True)
        if status >= 500:
            raise unreachable(self._store, f"its login service answers with HTTP {status}")
        return response


def _small_response(store: str, hint: str) -> type[aiohttp.ClientResponse]:
    """Answers that may hold a token, and no more than that."""

    class SmallResponse(aiohttp.ClientResponse):
        async def read(self) -> bytes:
            parts, size = [], 0
            while chunk := await self.content.read(_CHUNK):
                size += len(chunk)
                if size > _MOST_TOKEN_BYTES:
                    self.close()
                    raise AnswerTooLarge(
                        f"{store}: its login service answers with more than {_MOST_TOKEN_BYTES // 1024} KiB, which is "
                        "no token",
                        store=store,
                        hint=hint,
                    )
                parts.append(chunk)
            self._body = b"".join(parts)
            return self._body

    return SmallResponse


def _session(
    context: StoreContext,
    tls: ssl.SSLContext,
    proxy: str | None,
    kind: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
    *,
    decompress: bool = True,
) -> aiohttp.ClientSession:
    """``decompress``: where the SDK does not, which does so for what it is to stream, and for nothing else."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=context.concurrency, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # what a variable brings in is said by stores.environment alone
        proxy=proxy,
        response_class=kind,
        auto_decompress=decompress,
    )


def _astray(store: str) -> StoreError:
    return StoreError(
        f"{store}: a request would have gone to another host than the SecretStore names, and was not sent",
        store=store,
        hint="check vaultUrl and authorityHost, and for a managed identity IDENTITY_ENDPOINT and its like",
    )


def _is_of_this_machine(host: str) -> bool:
    """Whether an address is this machine's own, or one that leaves no link, as those of managed identities are."""
    if host == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_link_local
