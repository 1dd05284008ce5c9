"""What stores have in common whose SDK sends by ``requests``: TLS, proxies, connections that can be cut, and errors."""

from __future__ import annotations

import http.client
import socket
import ssl
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from secretsync_core.endurance import CONNECT_SECONDS, READ_SECONDS
from secretsync_core.stores.cutting import cuttable
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.http import errors_behind, proxy_failure, unreachable
from secretsync_core.stores.tls import tls_failure

if TYPE_CHECKING:
    from secretsync_core.errors import StoreError


class TlsAdapter(HTTPAdapter):
    """Uses our TLS context as it is, where requests would add CA files of its own and of the environment."""

    def __init__(self, tls: ssl.SSLContext, server_name: str | None, width: int) -> None:
        self._tls, self._server_name = tls, server_name
        super().__init__(pool_connections=8, pool_maxsize=width)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let connections be cut."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = cuttable(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """The same for those through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = cuttable(manager.pool_classes_by_scheme)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Our context in place of what requests makes of its settings."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        return host, {"ssl_context": self._tls, "server_hostname": self._server_name}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context verifies."""


class PlainSession(requests.Session):
    """One attempt a request, no redirect followed, no cookie kept. Threads may share it.

    Nothing is taken from the environment but the proxy, as for every other store.
    """

    def __init__(self, store: str) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.store = store

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request. Raises StoreError for a proxy that is none, and what requests raises."""
        proxy = proxy_for(str(url), self.store)
        kwargs["proxies"] = {"https": proxy} if proxy else {}
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, READ_SECONDS)
        return super().request(method, url, *args, **kwargs)


def requests_failure(error: BaseException, store: str, *, hint: str) -> StoreError:
    """The error for a request of requests that got no answer. ``hint``: what to check where nothing tells more."""
    if isinstance(error, requests.exceptions.ProxyError):
        return proxy_failure(store)
    if isinstance(error, requests.exceptions.SSLError):
        root = next((each for each in errors_behind(error) if isinstance(each, ssl.SSLError)), ssl.SSLError())
        return tls_failure(root, store)
    if isinstance(error, requests.exceptions.Timeout):
        return unreachable(store, "it does not answer in time")
    for behind in errors_behind(error):
        if isinstance(behind, socket.gaierror):
            return unreachable(store, "its name is not known", hint=hint)
        if isinstance(behind, ConnectionRefusedError):
            return unreachable(store, "the connection is refused", hint=hint)
        if isinstance(behind, (ConnectionError, http.client.HTTPException)):
            return unreachable(store, "the connection was cut")
    return unreachable(store, "the connection fails", hint=hint)
