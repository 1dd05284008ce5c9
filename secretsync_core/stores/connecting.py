"""What every store that asks by aiohttp has in common: its session, and why there is no answer."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from typing import TYPE_CHECKING

import aiohttp

from secretsync_core.endurance import CONNECT_SECONDS, READ_SECONDS
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.environment import PROXY_HINT
from secretsync_core.stores.http import proxy_failure, unreachable
from secretsync_core.stores.tls import tls_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.answers import Call
    from secretsync_core.stores.base import StoreContext

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
"""Bounds silence; how long a request may take in all is the gate's business."""


def open_session(
    context: StoreContext, tls: ssl.SSLContext, *, proxy: str | None, headers: Mapping[str, str]
) -> aiohttp.ClientSession:
    """A session that keeps no cookies, and takes nothing from the environment but ``proxy``."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=context.concurrency, ssl=tls),
        timeout=TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # what a variable brings in is said by stores.environment alone
        proxy=proxy,
        headers=headers,
    )


def connection_failure(error: Exception, call: Call, *, proxied: bool) -> StoreError:
    """The error for a request that got no answer; one of ours is given as it is. ``proxied``: it goes by a proxy."""
    store = call.store
    if isinstance(error, StoreError):
        return error
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return proxy_failure(store)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        certificate = error.certificate_error
        return tls_failure(certificate if isinstance(certificate, ssl.SSLError) else ssl.SSLError(), store)
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ssl.SSLError):
        return tls_failure(error.os_error, store)
    # A server that wants another client certificate says so only after the handshake.
    if isinstance(alert := error.__cause__ or error, ssl.SSLError):
        return tls_failure(alert, store)
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return unreachable(store, "it does not answer in time")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        if proxied:  # it looks the server's name up itself
            return unreachable(store, "the proxy's name is not known", hint=PROXY_HINT)
        return unreachable(store, "its name is not known", hint="check the address in the SecretStore")
    if isinstance(error, aiohttp.ClientConnectorError):
        return unreachable(store, _why(error.os_error))
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, OSError)):
        return unreachable(store, "the connection was cut")
    if isinstance(error, aiohttp.ClientResponseError):
        return malformed(call, "it is not HTTP")
    return unreachable(store, "the connection fails")


def _why(error: OSError) -> str:
    """Why there is no connection; asyncio's own words for it are those of its code."""
    if error.errno == errno.ECONNREFUSED:
        return "the connection is refused"
    return os.strerror(error.errno) if error.errno else "the connection fails"
