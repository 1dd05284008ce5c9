"""The way in that one context of a kubeconfig file describes.

The file is read here, and not by the official client's loader: that one writes client keys into temporary files, logs
what a failing exec plugin said and goes on without a credential, and quotes whole entries in its errors. Its exec
plugins are used as they are.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.hosts import address_fault
from secretsync_core.known import named
from secretsync_core.plain_files import UnfitFileError, content_of
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.yaml_tree import read_documents
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.http import sendable
from secretsync_core.stores.kubernetes.access import Proof
from secretsync_core.stores.tls import of_the_system

if TYPE_CHECKING:
    from secretsync_core.policy.bounds import Bounds

EXPIRY_SLACK_SECONDS = 60.0
"""A plugin's credential is fetched anew this long before it expires, or halfway where it lives but shortly."""

_TRY_AGAIN_SECONDS = 10.0
_SERVER = re.compile(r"https?://[^?#@\s\\]+")
_MOST_BYTES = 2**20
_MAX_PEM = 60_000  # bytes; what a pipe holds without anybody reading


class _Found(NamedTuple):
    """What a context comes to. ``expires`` is in seconds since the epoch."""

    server: str
    server_name: str | None
    proxy: str | None
    authority: str | None  # PEM
    header: str
    pair: tuple[bytes, bytes] | None  # certificate and key, PEM
    expires: float | None


class KubeconfigAccess:
    """See :class:`~secretsync_core.stores.kubernetes.access.Access`. The file is read again when it may help."""

    def __init__(self, file: str, context: str | None, store: str, bounds: Bounds, notes: list[str]) -> None:
        """``bounds`` are asked about what the file names; ``notes`` takes what is to be said of it."""
        self._file = Path(file)
        self._context = context
        self._store = store
        self._bounds = bounds
        self._lock = threading.Lock()
        self._stale_at: float | None = None  # when to fetch the credential anew, and when that must have worked
        self._expires = 0.0
        found = self._load()
        if note := bounds.warning_of(found.server):
            notes.append(f"{store}: the server in the kubeconfig is {note}")
        self.server = found.server
        self.server_name = found.server_name
        self.proxy = found.proxy or proxy_for(found.server, store)
        self.tls = self._trust(found)
        self._use(found)

    def proof(self) -> Proof:
        """The token or certificate; a plugin's is fetched anew shortly before it expires."""
        with self._lock:
            if self._stale_at is not None and time.time() > self._stale_at:
                try:
                    self._use(self._load())
                except StoreError:
                    if time.time() > self._expires:
                        raise
                    self._stale_at = time.time() + _TRY_AGAIN_SECONDS  # it lives a little longer
            return self._proof

    def another(self, refused: Proof) -> bool:
        """Read the file, or run the plugin, anew."""
        with self._lock:
            if self._proof == refused:
                self._use(self._load())
            return self._proof != refused

    def advice(self) -> str:
        """Where the credential is."""
        return f"log in again, so that the kubeconfig {self._file} works with kubectl"

    def _use(self, found: _Found) -> None:
        mark = ""
        if found.pair is not None:
            mark = hashlib.sha256(b"\0".join(found.pair)).hexdigest()
            try:
                _load_pair(self.tls, *found.pair)
            except (OSError, ValueError):  # ssl.SSLError is an OSError
                mark = ""
            if not mark:
                self._refuse("its client certificate and key do not fit together, or are not PEM")
        self._proof = Proof(found.header, mark)
        self._stale_at = None
        if found.expires is not None:
            left = found.expires - time.time()
            self._expires = found.expires
            self._stale_at = found.expires - min(EXPIRY_SLACK_SECONDS, left / 2)

    def _trust(self, found: _Found) -> ssl.SSLContext:
        try:
            context = (
                of_the_system(self._store)
                if found.authority is None
                else ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=found.authority)
            )
        except (ssl.SSLError, ValueError):
            context = None
        if context is None:
            self._refuse("its certificate authority is not PEM")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    # -- The file -------------------------------------------------------------------------------------------------

    def _load(self) -> _Found:
        config = self._read()
        name = self._context or config.get("current-context")
        if not isinstance(name, str) or not name:
            self._refuse("it has no current context", "name one: auth.kubeconfig.context")
        chosen = self._entry(config, "context", name)
        cluster = self._entry(config, "cluster", chosen.get("cluster"))
        user = self._entry(config, "user", chosen["user"]) if chosen.get("user") else {}
        server = cluster.get("server")
        if not isinstance(server, str) or not server.startswith(("https://", "http://")):
            self._refuse(f"the cluster of its context {name} has no server")
        if not _SERVER.fullmatch(server):
            self._refuse(f"the server of its context {name} holds more than an address: a user, a query or a space")
        if fault := address_fault(server):
            self._refuse(f"the server of its context {name}: {fault}")
        if cluster.get("insecure-skip-tls-verify"):
            self._refuse(
                "it turns the verification of the server off, and whoever answers would get every secret",
                "give certificate-authority instead of insecure-skip-tls-verify",
            )
        proxy = _text(cluster.get("proxy-url"))
        self._permit(Use(Kind.HOST, server))
        if proxy:
            refusal = self._bounds.judge_proxy(proxy)
            self._bounds.check(refusal, self._store, f"the proxy in the kubeconfig {self._file}")
        authority = self._content(cluster, "certificate-authority")
        header, pair, expires = self._credential(user, cluster)
        return _Found(
            server=server.rstrip("/"),
            server_name=_text(cluster.get("tls-server-name")) or None,
            proxy=proxy or None,
            authority=None if authority is None else authority.decode("ascii", "ignore"),  # what is not is a comment
            header=header,
            pair=pair,
            expires=expires,
        )

    def _read(self) -> dict[str, Any]:
        try:
            text = content_of(self._file, _MOST_BYTES).decode("utf-8-sig")
        except UnfitFileError as error:
            why = error.what
        except OSError as error:
            why = f"cannot be read: {error.strerror or type(error).__name__}"
        except UnicodeDecodeError:
            why = "is not UTF-8 text"
        else:
            # As documents are read: no depth, no number and no alias of it can bring us down, and nothing is quoted.
            documents, problems = read_documents(str(self._file), text)
            if not problems and len(documents) == 1:
                return documents[0].data
            why = "is not one document"
            if problems:
                what = "is not YAML" if problems[0].message.startswith("not readable") else "cannot be used"
                why = f"{what} (line {problems[0].line}): {problems[0].message}"
        raise StoreError(f"the kubeconfig {self._file} {why}", store=self._store)  # not within, where it would hang on

    def _entry(self, config: dict[str, Any], what: str, name: object) -> dict[str, Any]:
        """The part of that kind (``context``, ``cluster`` or ``user``) and name."""
        listed = config.get(f"{what}s")
        entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        found = next((each.get(what) for each in entries if each.get("name") == name), None)
        if not isinstance(found, dict):
            self._refuse(f"it has no {what} {named(name)}" if isinstance(name, str) else f"its context names no {what}")
        return found

    def _content(self, part: dict[str, Any], field: str) -> bytes | None:
        """What stands under ``<field>-data`` in base64, or in the file that ``<field>`` names; ``None`` for neither."""
        given = part.get(f"{field}-data")
        if given:
            content = None
            with contextlib.suppress(binascii.Error, ValueError, TypeError):
                content = base64.b64decode(given, validate=True)
            if content is None:
                self._refuse(f"its {field}-data is not base64")
            return content
        path = part.get(field)
        return self._of_file(path, field) if isinstance(path, str) and path else None

    def _permit(self, *uses: Use) -> None:
        """Raise PolicyDenied for what the file names and the bounds do not permit."""
        self._bounds.check_uses(uses, self._store, f"the kubeconfig {self._file}")

    def _of_file(self, path: str, field: str) -> bytes:
        if "\0" in path:
            self._refuse(f"its {field} is no path")
        whole = self._file.parent.joinpath(path)
        self._permit(Use(Kind.FILE, str(whole)))
        try:
            return content_of(whole, _MOST_BYTES)
        except UnfitFileError as error:
            self._refuse(f"its {field} {path} {error.what}")
        except OSError as error:
            self._refuse(f"its {field} {path} cannot be read: {error.strerror or type(error).__name__}")

    # -- The credential -------------------------------------------------------------------------------------------

    def _credential(
        self, user: dict[str, Any], cluster: dict[str, Any]
    ) -> tuple[str, tuple[bytes, bytes] | None, float | None]:
        """Header, client certificate with key, and expiry."""
        if "auth-provider" in user:
            self._refuse(
                "its user has an auth-provider, which kubectl no longer supports", "use an exec plugin instead"
            )
        certificate, key = (self._content(user, field) for field in ("client-certificate", "client-key"))
        pair = (certificate, key) if certificate is not None and key is not None else None
        if user.get("token"):
            return self._bearer(user["token"]), pair, None
        if isinstance(path := user.get("tokenFile"), str) and path:
            token = self._of_file(path, "tokenFile").decode("utf-8", "replace").strip()
            return self._bearer(token), pair, time.time() + 2 * EXPIRY_SLACK_SECONDS
        if isinstance(plugin := user.get("exec"), dict):
            return self._from_plugin(plugin, cluster, pair)
        if user.get("username") and user.get("password"):
            both = f"{user['username']}:{user['password']}".encode()
            return f"Basic {base64.b64encode(both).decode('ascii')}", pair, None
        return "", pair, None

    def _bearer(self, token: object) -> str:
        return f"Bearer {sendable(_text(token), self._store)}"

    def _from_plugin(
        self, plugin: dict[str, Any], cluster: dict[str, Any], pair: tuple[bytes, bytes] | None
    ) -> tuple[str, tuple[bytes, bytes] | None, float | None]:
        status = self._run(plugin, cluster)
        certificate, key, token = (status.get(f) for f in ("clientCertificateData", "clientKeyData", "token"))
        if isinstance(certificate, str) and isinstance(key, str):
            pair = certificate.encode(), key.encode()
        elif not token:
            self._no_credential("gives neither a token nor a certificate with its key")
        header = self._bearer(token) if token else ""
        return header, pair, _seconds(status.get("expirationTimestamp"))

    def _run(self, plugin: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
        from secretsync_core.stores.kubernetes.plugin import PluginError, status_of

        status = None
        what = f"the exec plugin of the kubeconfig {self._file}"
        self._bounds.check(self._bounds.judge_exec(what), self._store, "the kubeconfig")
        try:
            status = status_of(plugin, cluster, str(self._file.parent))
        except PluginError as error:
            why = str(error)
        else:
            why = "gives no credential"
        if not isinstance(status, dict):
            self._no_credential(why)
        return status

    def _no_credential(self, why: str) -> NoReturn:
        raise AccessDenied(
            f"the exec plugin of the kubeconfig {self._file} {why}",
            store=self._store,
            hint="run kubectl with it as the same user, to see what is wrong",
        )

    def _refuse(self, why: str, hint: str = "") -> NoReturn:
        raise StoreError(f"the kubeconfig {self._file} cannot be used: {why}", store=self._store, hint=hint)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(moment: object) -> float | None:
    """An RFC 3339 time in seconds since the epoch; YAML and JSON may have made a date of it already."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate and its key that are in memory. The library reads files only, so these are pipes."""
    if max(len(certificate), len(key)) > _MAX_PEM:
        raise ValueError("too large for a certificate")
    readers = []
    try:
        for content in (certificate, key):
            reader, writer = os.pipe()
            readers.append(reader)
            try:
                os.write(writer, content)
            finally:
                os.close(writer)
        context.load_cert_chain(*(f"/dev/fd/{reader}" for reader in readers))
    finally:
        for reader in readers:
            os.close(reader)
