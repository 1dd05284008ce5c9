"""Which host an address leads to, and whether that is this machine: the one place that says so. Pure, asks no DNS."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_ODD = re.compile(r"[\\\s\x00-\x1f]")
_NUMBERS = re.compile(r"[0-9a-fx]+(?:\.[0-9a-fx]+){0,3}")
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")  # an underscore is common inside of clusters
_LONGEST_NAME = 253


class Host(NamedTuple):
    """Where an address leads.

    Attributes:
        scheme: in lower case; empty where the address has none.
        name: in lower case, as it was written: a name, or an address without brackets.
        port: None where neither the address nor its scheme tells.
    """

    scheme: str
    name: str
    port: int | None = None

    @property
    def canonical(self) -> str:
        """The name in one form: no dot at its end, and of an address the usual one, however it was written."""
        return canonical(self.name)


def host_of(address: str) -> Host | None:
    """Where an address (``https://vault:8200/x``, or ``vault:8200``) leads; None where it cannot be told for sure.

    Nothing before an ``@`` is taken for a host. What different programs read differently is no address at all, such as
    a backslash, or letters beyond ASCII, of which many stand for one.
    """
    address = address.strip()
    if _ODD.search(address):
        return None
    whole = address if _SCHEME.match(address) else f"//{address}"
    try:
        parts = urlsplit(whole)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or "%" in name or not name.isascii():
        return None
    return Host(parts.scheme, name, port or PORTS.get(parts.scheme))


def name_fault(name: str) -> str:
    """Why something is no host's name, and no address of one; empty where it is. Quotes nothing of it."""
    if not name.isascii():
        return "the host's name has letters beyond ASCII; write it in its form with xn--"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        bare = name.removesuffix(".")
        if len(bare) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, bare.split("."))):
            return "it names no host, such as vault.example.com or 10.0.0.7"
    return ""


def address_fault(address: str) -> str:
    """Why an ``http://`` or ``https://`` address leads nowhere; empty where it may. Quotes nothing of it."""
    host = host_of(address)
    rest = address.partition("://")[2]
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    port = re.search(r":([^:\]]*)\Z", place)
    if port is not None and not (port[1].isascii() and port[1].isdigit() and 1 <= int(port[1][:6]) <= MAX_PORT):
        return f"its port is not a number from 1 to {MAX_PORT}"
    if not place.isascii():
        return name_fault(place)
    if host is None:
        return "it names no host, such as vault.example.com or 10.0.0.7"
    return name_fault(host.name)


def is_plain_http(address: str) -> bool:
    """Whether what is sent to an address crosses a network unencrypted; also where its host cannot be told for sure."""
    if not address.strip().lower().startswith("http://"):
        return False
    host = host_of(address)
    return host is None or not is_loopback(host.name)


def is_loopback(name: str) -> bool:
    """Whether a host is this machine for certain: ``localhost``, or an address of 127.0.0.0/8 or ::1 written out.

    Any other name, also ``127.evil.example`` or ``localhost.``, is whatever DNS says. Short forms such as ``127.1``
    are read differently by different programs, and do not count.
    """
    name = name.lower()
    if name == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return False
    return ip in _LOOPBACK if isinstance(ip, ipaddress.IPv4Address) else ip == ipaddress.IPv6Address("::1")


_OF_MACHINES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_THEIRS = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")))


def tells_of_the_machine(name: str) -> bool:
    """Whether a host is where a cloud gives a machine its own credentials, by its address or the names in use for it.

    All addresses of the link count, for no service of others is there.
    """
    name = canonical(name)
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return name in _OF_MACHINES or name.startswith("instance-data.")
    return ip.is_link_local or ip in _THEIRS


def canonical(name: str) -> str:
    """A host's name in one form, so that no other spelling of it gets past a rule."""
    name = name.lower().rstrip(".")
    try:
        ip = ipaddress.ip_address(name)
    except ValueError:
        return _of_numbers(name)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).compressed


def _of_numbers(name: str) -> str:
    """An IPv4 address in one of its other forms (``127.1``, ``0x7f000001``) as everybody writes it."""
    if _NUMBERS.fullmatch(name) and any(char.isdigit() for char in name):
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            pass
    return name
