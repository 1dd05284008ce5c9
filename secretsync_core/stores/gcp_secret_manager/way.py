"""The way to Google: TLS by the document and the machine, the proxy of the environment, connections that can be cut.

One session for the service and for logins. It takes nothing else from the environment, follows no redirect, keeps no
cookie, and makes one attempt a request.
"""

from __future__ import annotations

import contextlib
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from secretsync_core.stores.cutting import cuttable
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.gcp_secret_manager.place import endpoint
from secretsync_core.stores.tls import context_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig

CONNECT_SECONDS = 10
READ_SECONDS = 60


class UnfitAnswerError(Exception):
    """An answer of success that is not what the service sends. ``what``: a sentence without anything of it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class _Adapter(HTTPAdapter):
    """Uses our TLS context as it is, where requests would add CA files of its own and of the environment."""

    def __init__(self, tls: ssl.SSLContext, server_name: str | None, width: int) -> None:
        self._tls, self._server_name = tls, server_name
        super().__init__(pool_connections=8, pool_maxsize=width)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = cuttable(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = cuttable(manager.pool_classes_by_scheme)
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        return host, {"ssl_context": self._tls, "server_hostname": self._server_name}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context verifies."""


class Way(requests.Session):
    """What the SDK and the logins send their requests by. Threads may share it."""

    def __init__(self, config: GcpSecretManagerConfig, store: str, width: int) -> None:
        """Raises StoreError for certificates that cannot be used."""
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._store = store
        self._service = endpoint(config)
        self._proof = threading.local()
        tls = context_of(config.tls, store)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(tls, None, width))
        if config.tls.server_name:
            self.mount(self._service, _Adapter(tls, config.tls.server_name, width))

    @contextlib.contextmanager
    def acting_as(self, proof: Mapping[str, str]) -> Iterator[None]:
        """Send these headers with the requests of this thread: to the service alone, and while it lasts."""
        self._proof.headers = dict(proof)
        try:
            yield
        finally:
            self._proof.headers = None

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request. Raises StoreError for a proxy that is none, and what requests raises."""
        address = str(url)
        proxy = proxy_for(address, self._store)
        kwargs["proxies"] = {"https": proxy} if proxy else {}
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT_SECONDS, READ_SECONDS)
        proof = getattr(self._proof, "headers", None)
        if proof and address.startswith(f"{self._service}/v1/projects/"):
            kwargs["headers"] = {**(kwargs.get("headers") or {}), **proof}
        answer = super().request(method, url, *args, **kwargs)
        if proof and answer.status_code < 400:
            _check(str(method).upper(), address, answer)
        return answer


def _check(method: str, address: str, answer: requests.Response) -> None:
    """Raise UnfitAnswerError for what the SDK takes for an answer that holds nothing: it passes over unknown fields.

    Nobody looks at the answer to a delete, and any object without secrets would be an empty listing.
    """
    if method == "DELETE":
        _keys(answer)
    is_listing = method == "GET" and address.endswith("/secrets")
    if is_listing and b'"secrets"' not in answer.content and not _keys(answer) <= {"totalSize", "nextPageToken"}:
        raise UnfitAnswerError("it has not the fields of a listing")


def _keys(answer: requests.Response) -> set[str]:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnfitAnswerError("the body is not a JSON object")
    return set(found)
