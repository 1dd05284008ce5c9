"""What python-gitlab sends its requests by, and what goes wrong there. Here, for it imports requests."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.by_requests import PlainSession, TlsAdapter, requests_failure
from secretsync_core.stores.cutting import TooLargeError
from secretsync_core.stores.tls import context_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.gitlab_variables.answers import Request
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig


class RefusedAnswer(Exception):
    """An answer other than success, whole."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__("refused")
        self.status = status
        self.headers = headers
        self.body = body


class Way(PlainSession):
    """Sends to the document's server and to no other, and raises RefusedAnswer for what is no success."""

    def __init__(self, config: GitlabVariablesConfig, store: str, width: int) -> None:
        """Raises StoreError for certificates that cannot be used."""
        super().__init__(store)
        self._origin = _origin(config.address)
        tls = context_for(config.address, config.tls, store)
        for scheme in ("http://", "https://"):
            self.mount(scheme, TlsAdapter(tls, config.tls.server_name, width))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """One request. Raises StoreError for one that would go to another host, and what requests raises."""
        if _origin(str(url)) != self._origin:
            raise StoreError(
                f"{self.store}: a request would have gone to another host than the SecretStore names, and was not sent",
                store=self.store,
            )
        answer = super().request(method, url, *args, **kwargs)
        if not 200 <= answer.status_code < 300:
            raise RefusedAnswer(answer.status_code, answer.headers, answer.content)
        return answer


def failures() -> tuple[type[Exception], ...]:
    """What a request may raise, besides RefusedAnswer and our own."""
    return (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        TooLargeError,
        OSError,
        # Of the code of these, for the headers of an odd answer.
        ValueError,
        LookupError,
        TypeError,
    )


def failure(request: Request, error: Exception) -> StoreError:
    """The error that one of :func:`failures` stands for. To be raised after its handler: that one may hold values."""
    if isinstance(error, (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)):
        return requests_failure(error, request.store, hint="check the address in the SecretStore")
    return malformed(request, "it is not HTTP")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
