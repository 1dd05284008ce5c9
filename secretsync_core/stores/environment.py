"""What every store takes from the environment of the process, by one rule for all of them, and what none takes.

A document says where a store is. The environment says what is the same for every program of a machine: whom it trusts,
and the proxy on the way out. Through a proxy goes only what is encrypted to the store itself: it learns the name of the
host, and neither a credential nor a value. docs/design/0017-environment.md has the whole of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from secretsync_core.errors import StoreError

KEY_LOG = "SSLKEYLOGFILE"
"""Names a file into which TLS libraries write the keys of every connection, by which it can be decrypted."""

CA_FILE = "SSL_CERT_FILE"
_CA_DIRECTORY = "SSL_CERT_DIR"
_PORT = 443

PROXY_HINT = "check HTTPS_PROXY, and NO_PROXY, which names the hosts to be reached without it"


def keep_no_key_log() -> None:
    """Take the variable that makes TLS libraries write keys to a file out of this process, and of those it starts.

    There is no other way to say it to all of the libraries: each of them looks for it by itself.
    """
    os.environ.pop(KEY_LOG, None)


def ca_file(store: str) -> str | None:
    """The file of ``SSL_CERT_FILE``, where it is set; the TLS library reads it by itself, and the AWS SDK does not.

    Raises StoreError where it, or the folder of ``SSL_CERT_DIR``, is not there: then nobody would be trusted.
    """
    for name, there in ((CA_FILE, Path.is_file), (_CA_DIRECTORY, Path.is_dir)):
        # A list of folders is all right where one of them is there.
        if (given := os.environ.get(name)) and not any(there(Path(each)) for each in given.split(os.pathsep)):
            raise StoreError(f"{store}: what {name} names is not there", store=store, hint="correct it, or unset it")
    return os.environ.get(CA_FILE) or None


def proxy_for(address: str, store: str) -> str | None:
    """The proxy through which a server is reached; None where it is reached directly, as any http:// address is.

    ``HTTPS_PROXY`` names it, and ``NO_PROXY`` the hosts that are none of its business: names with their subdomains,
    addresses, ranges such as 10.0.0.0/8, each with or without a port, or ``*``. The machine itself is always reached
    directly. Raises StoreError for a variable that holds something else than the address of an HTTP proxy.
    """
    proxy = _variable("HTTPS_PROXY")
    if not proxy or not address.lower().startswith("https://") or _is_direct(address, _variable("NO_PROXY")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_http(proxy):
        raise StoreError(
            f"{store}: HTTPS_PROXY is not the address of an HTTP proxy",
            store=store,
            hint=f"write it as http://proxy.example.com:3128; {PROXY_HINT}",
        )
    return proxy


def _variable(name: str) -> str:
    """A variable that is known in either case; of both, in lower case, as most programs have it."""
    return os.environ.get(name.lower()) or os.environ.get(name, "")


def _is_direct(address: str, exceptions: str) -> bool:
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORT
    except ValueError:
        return True  # opening a connection there will say what is wrong
    if f".{host}".endswith(".localhost"):
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        ip = None
    if ip is not None and ip.is_loopback:
        return True
    return any(_names(each.strip().lower(), host, port, ip) for each in exceptions.split(","))


def _names(exception: str, host: str, port: int, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    """Whether one exception from the proxy names a host."""
    if not exception or exception == "*":
        return bool(exception)
    if ip is not None:
        with contextlib.suppress(ValueError):
            return ip in ipaddress.ip_network(exception.strip("[]"), strict=False)
    name, _, its_port = exception.rpartition(":")
    if not its_port.isdecimal():
        name, its_port = exception, ""
    elif name.endswith("]") and ip is not None:
        return name == f"[{ip}]" and int(its_port) == port
    name = name.removeprefix("*").strip(".")
    return bool(name) and f".{host}".endswith(f".{name}") and its_port in ("", str(port))


def _is_http(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
