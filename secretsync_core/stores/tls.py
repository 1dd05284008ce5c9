"""Whom we trust and who we are, as one TLS context for the secrets' way and for logins."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError
from secretsync_core.plain_files import MOST_PEM, fault_of
from secretsync_core.schema.base import Tls
from secretsync_core.stores import environment
from secretsync_core.stores.http import unreachable

if TYPE_CHECKING:
    from secretsync_core.errors import StoreUnavailable

_CLIENT_CERTIFICATE = "it may ask for a client certificate: tls.certFile and tls.keyFile"

_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def context_for(address: str, tls: Tls, store: str) -> ssl.SSLContext:
    """The context for a store. Without TLS nobody is trusted, and the system's certificates are not even loaded."""
    if address.startswith("http://") and tls == Tls():
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context_of(tls, store)


def context_of(tls: Tls, store: str) -> ssl.SSLContext:
    """The context for a ``tls`` section. Without ``caFile`` it trusts whom the system trusts, or ``SSL_CERT_FILE``.

    Raises StoreError where a file of it is missing or is not what it should be.
    """
    context = of_the_system(store) if tls.ca_file is None else _trusting(tls.ca_file, store)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file is not None:
        for file in filter(None, (tls.cert_file, tls.key_file)):
            _check(file, store, "client certificate")
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        except OSError as error:  # ssl.SSLError is one
            raise StoreError(
                f"the client certificate {tls.cert_file} cannot be used: {_reason(error)}",
                store=store,
                hint="tls.certFile and tls.keyFile name PEM files that belong together",
            ) from None
    return context


def of_the_system(store: str) -> ssl.SSLContext:
    """A context that trusts whom the system trusts, or those that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name.

    Raises StoreError where they name what is not there.
    """
    environment.ca_file(store)
    return ssl.create_default_context(ssl.Purpose.SERVER_AUTH)


def _check(file: str, store: str, what: str) -> None:
    """Raise StoreError for a file that the TLS library would read for ever: it does so in the event loop."""
    if fault := fault_of(file, MOST_PEM):
        raise StoreError(f"the {what} {file} cannot be used: it {fault}", store=store, hint="name a PEM file")


def _trusting(ca_file: str, store: str) -> ssl.SSLContext:
    _check(ca_file, store, "file of CA certificates")
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    except OSError as error:
        raise StoreError(
            f"the CA certificates {ca_file} cannot be used: {_reason(error)}",
            store=store,
            hint="tls.caFile names a PEM file",
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "not a PEM file of the right kind"
    return error.strerror or type(error).__name__


def tls_failure(error: ssl.SSLError, store: str) -> StoreUnavailable:
    """The error for a handshake that failed. Trying again does not help, so it is not retryable."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return unreachable(store, "its certificate has expired", hint="renew it", permanent=True)
        if error.verify_code in _WRONG_NAME:
            return unreachable(
                store,
                "its certificate is for another name",
                hint="use the name in the certificate, or set tls.serverName",
                permanent=True,
            )
        return unreachable(
            store, "its certificate is not trusted", hint="set tls.caFile to the CA that signed it", permanent=True
        )
    if "ALERT" in (error.reason or ""):
        return unreachable(
            store,
            "it refuses our TLS handshake",
            hint=_CLIENT_CERTIFICATE,
            permanent=True,
        )
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return unreachable(
            store, "it does not speak TLS", hint="should its address start with http://?", permanent=True
        )
    # A server that closes right after its alert may be seen as just closing: a write fails before the alert is read.
    return unreachable(store, "the TLS connection was cut", hint=_CLIENT_CERTIFICATE)
