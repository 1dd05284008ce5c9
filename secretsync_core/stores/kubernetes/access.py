"""Where the API server is, whom we trust, and how we show who we are. Everything here blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import StoreError
from secretsync_core.schema.base import Credential, Tls
from secretsync_core.stores.http import sendable
from secretsync_core.stores.tls import context_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and the cluster's CA."""

READ_AGAIN_SECONDS = 60.0
"""How old a token from a file gets before the file is read again: Kubernetes replaces it well before it expires."""


class Proof(NamedTuple):
    """What shows who we are: an Authorization header, and a mark of the client certificate; either may be empty."""

    header: str = ""
    certificate: str = ""


class Access(Protocol):
    """One way into one cluster. ``proxy`` is a URL or ``None``; ``server_name`` what its certificate is to say."""

    server: str
    tls: ssl.SSLContext
    server_name: str | None
    proxy: str | None

    def proof(self) -> Proof:
        """What to show now. Raises StoreError where it cannot be had."""
        ...

    def another(self, refused: Proof) -> bool:
        """After a 401: look for another proof than the one refused; whether there is one."""
        ...

    def advice(self) -> str:
        """What a person can do where there is no proof that works."""
        ...


class GivenAccess:
    """A server by its address, with a token from the document or a pod, or with the certificate in ``tls`` alone."""

    def __init__(
        self,
        server: str,
        tls: Tls,
        token: Credential | None,
        *,
        environ: Mapping[str, str],
        store: str,
        proxy: str | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self.proxy = proxy
        self.tls = context_for(self.server, tls, store)
        self.server_name = tls.server_name
        self._token = token
        self._environ = environ
        self._store = store
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._proof = self._read()

    def proof(self) -> Proof:
        """The token as it now is in its file, give or take a minute."""
        with self._lock:
            if self._is_file and time.monotonic() - self._read_at > READ_AGAIN_SECONDS:
                with contextlib.suppress(StoreError):  # the old one may still do; a 401 tells
                    self._proof = self._read()
            return self._proof

    def another(self, refused: Proof) -> bool:
        """Read the token anew."""
        with self._lock:
            if self._proof == refused:
                self._proof = self._read()
            return self._proof != refused

    def advice(self) -> str:
        """Where the token is."""
        return (
            "renew the client certificate" if self._token is None else f"put a new one in the {describe(self._token)}"
        )

    @property
    def _is_file(self) -> bool:
        return self._token is not None and self._token.file is not None

    def _read(self) -> Proof:
        self._read_at = time.monotonic()
        if self._token is None:
            return Proof()
        return Proof(f"Bearer {sendable(resolve(self._token, self._environ, store=self._store), self._store)}")


def in_cluster(environ: Mapping[str, str], store: str) -> GivenAccess:
    """The way in that a pod has to its own cluster. Raises StoreError where we run in none."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token, authority = SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt"
    if not host or not port or not os.path.exists(token):  # noqa: PTH110  pathlib raises where it may not look
        raise StoreError(
            f"{store} is the cluster that we run in, and we do not run in a pod with a service account's token",
            store=store,
            hint="set auth.kubeconfig, or server and auth.token; a pod must not turn automountServiceAccountToken off",
        )
    address = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    tls = Tls.model_validate({"caFile": str(authority)})
    return GivenAccess(address, tls, Credential(file=str(token)), environ=environ, store=store)
