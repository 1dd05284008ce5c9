"""The way to Google: TLS by the document and the machine, the proxy of the environment, connections that can be cut.

One session for the service and for logins. It takes nothing else from the environment, follows no redirect, keeps no
cookie, and makes one attempt a request.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from secretsync_core.stores.by_requests import PlainSession, TlsAdapter
from secretsync_core.stores.gcp_secret_manager.place import endpoint
from secretsync_core.stores.tls import context_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig


class UnfitAnswerError(Exception):
    """An answer of success that is not what the service sends. ``what``: a sentence without anything of it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Way(PlainSession):
    """What the SDK and the logins send their requests by. Threads may share it."""

    def __init__(self, config: GcpSecretManagerConfig, store: str, width: int) -> None:
        """Raises StoreError for certificates that cannot be used."""
        super().__init__(store)
        self._service = endpoint(config)
        self._proof = threading.local()
        tls = context_of(config.tls, store)
        for scheme in ("http://", "https://"):
            self.mount(scheme, TlsAdapter(tls, None, width))
        if config.tls.server_name:
            self.mount(self._service, TlsAdapter(tls, config.tls.server_name, width))

    @contextlib.contextmanager
    def acting_as(self, proof: Mapping[str, str]) -> Iterator[None]:
        """Send these headers with the requests of this thread: to the service alone, and while it lasts."""
        self._proof.headers = dict(proof)
        try:
            yield
        finally:
            self._proof.headers = None

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request. Raises StoreError for a proxy that is none, UnfitAnswerError, and what requests raises."""
        address = str(url)
        proof = getattr(self._proof, "headers", None)
        if proof and address.startswith(f"{self._service}/v1/projects/"):
            kwargs["headers"] = {**(kwargs.get("headers") or {}), **proof}
        answer = super().request(method, url, *args, **kwargs)
        if answer.status_code < 400 and answer.status_code != 200:
            # What the SDK takes for success, whatever it holds. Google's services answer with 200.
            raise UnfitAnswerError(f"HTTP {answer.status_code}, which is neither success nor a refusal there")
        if proof and answer.status_code == 200:
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
        raise UnfitAnswerError("it lacks the fields of a listing")


def _keys(answer: requests.Response) -> set[str]:
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnfitAnswerError("the body is not a JSON object")
    return set(found)
