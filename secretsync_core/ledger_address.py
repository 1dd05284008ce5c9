"""Where a ledger is, as it was written: which database that names, and what may be said of it to people.

Whatever names a ledger's place says it by :func:`name_of`. An address may hold a password, and not only where one
belongs: a scheme may be mistyped, an ``@`` not escaped, a URL be given where a path is wanted. So of a URL the host,
the port and the database are told where it is plain which they are, and else the scheme alone; of a path that could
be anything else, nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from secretsync_core.errors import LedgerError

HOW_TO_WRITE = "write postgresql://user:password@host:5432/database; encode special characters as %XX (@ is %40)"
"""What to do about a URL of PostgreSQL that is none."""

_KNOWN = "use a path, sqlite:///path or postgresql://…"

_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg")
"""The schemes of PostgreSQL; SQLAlchemy's name the driver too, as in Dagster's files. All of them lead to ours."""


class Address(NamedTuple):
    """Which database, and where: a file's path as it was written, or a URL as libpq takes it."""

    kind: Literal["sqlite", "postgresql"]
    where: str


def address_of(place: str | Path) -> Address:
    """What a ledger's URL or path leads to. Raises LedgerError, without a word of it, where that is not plain."""
    text = str(place).strip()
    scheme, found, rest = _split(text)
    if scheme in _POSTGRES and found == "://":
        _check(rest)
        return Address("postgresql", f"postgresql://{rest}")
    if scheme == "sqlite" and found == "://":
        path = rest.removeprefix("/")
        if not path:
            raise LedgerError("the ledger's URL names no file", hint="write sqlite:///path/to/ledger.db")
        if _is_doubtful(rest):
            raise LedgerError("the ledger's URL names more than a file", hint="give the file by its path alone")
        return Address("sqlite", path)
    if scheme in _POSTGRES:
        raise LedgerError("the ledger's URL does not begin as one does", hint=HOW_TO_WRITE)
    if scheme or "://" in text:
        raise LedgerError("the ledger's URL has a scheme that is not known", hint=_KNOWN)
    if _is_doubtful(text) and (not text.startswith(_EXPLICIT) or text.startswith("//")):
        raise LedgerError(
            "the ledger's place is neither a URL that is known nor surely a path",
            hint=f"{_KNOWN}; begin a path with / or ./",
        )
    if not text:
        raise LedgerError("the ledger's place is empty", hint=_KNOWN)
    if _LIKE_A_KEY.fullmatch(text) and not text.startswith(_EXPLICIT):
        raise LedgerError(
            "the ledger's place looks like a key, and not like a path",
            hint=f"{_KNOWN}; the ledger's key goes into SECRETSYNC_KEY; begin a path with / or ./",
        )
    return Address("sqlite", text)


def name_of(place: str | Path) -> str:
    """What to call a ledger, whether or not there is one: never a user, a password or a part of one."""
    text = str(place).strip()
    scheme, found, rest = _split(text)
    if scheme in _POSTGRES:
        return (found == "://" and _server(rest)) or "postgresql://…"
    if scheme == "sqlite":
        path = rest.removeprefix("/")
        is_plain = found == "://" and path and not _is_doubtful(rest) and not _LIKE_A_KEY.fullmatch(path)
        return path if is_plain else "sqlite://…"
    if scheme:
        return f"{scheme.partition('+')[0]}://…"
    is_path = text and not _is_doubtful(text) and not _LIKE_A_KEY.fullmatch(text)
    is_plain = is_path and ("@" not in text or text.startswith(_EXPLICIT))
    return str(place) if is_plain else UNSAID


UNSAID = "(at a place that is not shown)"

# Names that somebody means as a scheme, however it goes on: only these are ever told.
_SCHEME = re.compile(
    r"(sqlite|(?:postgres(?:ql)?|mysql|mariadb|oracle|mssql|cockroachdb|redshift)(?:\+[a-z0-9_]{1,20})?)"
    r"(://|:|//)(.*)",
    re.IGNORECASE | re.DOTALL,
)

_LIKE_A_KEY = re.compile(r"(?:.*/)?[A-Za-z0-9+_-]{40,}={0,2}|.*[A-Za-z0-9+/]{38,}={1,2}", re.DOTALL)
"""The ledger's key, in base64 or hex, where its place is asked for: alone, or below a directory by now."""

_EXPLICIT = ("./", "../", "~/", "/")

_DOUBTFUL = re.compile(
    r"://"
    r"|:.*@"  # user:password@host, or the scheme and all of that
    r"|^/?/[^/]*@"  # //user@host
    r"|\b(?:postgres(?:ql)?|mysql|mariadb|sqlite)(?:\+\w+)?:"
    r"|(?:pass(?:word|wd|file|phrase)?|pwd|user(?:name)?|secret|token|key|host(?:addr)?|dbname|service)\s*="
    r"|[\x00-\x1f\x7f]",
    re.IGNORECASE | re.DOTALL,
)
"""What a path may be, and a URL or a connection string more likely is."""


def _split(text: str) -> tuple[str, str, str]:
    """The scheme in lower case, what follows it, and the rest; empty texts where none that we know stands there."""
    found = _SCHEME.fullmatch(text)
    return (found[1].lower(), found[2], found[3]) if found else ("", "", text)


def _is_doubtful(text: str) -> bool:
    return any(_DOUBTFUL.search(each) for each in (text, unquote(text)))


_HOST = re.compile(r"[0-9A-Za-z_.-]*|\[[0-9A-Fa-f:.]+\]|/[0-9A-Za-z_./-]*")
_NAME = re.compile(r"[0-9A-Za-z_.-]*")


class _Parts(NamedTuple):
    """A URL's rest as libpq takes it apart; texts are not decoded."""

    hosts: list[tuple[str, str]]
    database: str
    query: str


def _parts(rest: str) -> _Parts | None:
    """The parts; None where an ``@``, a ``:`` or a ``/`` that is not escaped makes it doubtful which is which."""
    before, _, query = rest.partition("?")
    authority, _, database = before.partition("/")
    if before.count("@") > 1 or "@" in database or "/" in database:
        return None
    _, _, servers = authority.rpartition("@")
    hosts = [_host(each) for each in servers.split(",")]
    if not all(not port or (port.isascii() and port.isdecimal() and len(port) <= 5) for _, port in hosts):
        return None
    return _Parts(hosts, database, query)


def _host(text: str) -> tuple[str, str]:
    """Host and port of one server; a host in brackets holds colons of its own."""
    if text.startswith("["):
        host, _, after = text.partition("]")
        return f"{host}]", after.removeprefix(":") if after.startswith(":") or not after else "?"
    host, _, port = text.partition(":")
    return host, port


def _check(rest: str) -> None:
    """Raise LedgerError for a URL of which libpq could take a part of the password for the host."""
    if _parts(rest) is None:
        raise LedgerError("the ledger's URL is not one that PostgreSQL understands", hint=HOW_TO_WRITE)


def _server(rest: str) -> str:
    """``postgresql://host:port/database``; empty where any of that could be something else."""
    parts = _parts(rest)
    if parts is None or "@" in parts.query or ("@" not in rest and not parts.database and not parts.query):
        return ""
    asked = dict(parse_qsl(parts.query))
    hosts = ",".join(f"{unquote(host)}{f':{port}' if port else ''}" for host, port in parts.hosts)
    each = [unquote(host) for host, _ in parts.hosts]
    if not any(each):
        each = asked.get("host", "").split(",")
        hosts = ",".join(each) + (f":{asked['port']}" if asked.get("port", "").isdecimal() else hosts)
    database = unquote(parts.database) or asked.get("dbname", "")
    if not all(_HOST.fullmatch(host) for host in each) or not _NAME.fullmatch(database):
        return ""
    return f"postgresql://{hosts}/{database}"


def beside(place: str, directory: Path) -> str:
    """The same place, where a path is taken from ``directory`` on; what is no path is left as it was written."""
    try:
        kind, where = address_of(place)
    except LedgerError:
        return place  # opening it says what is wrong with it
    return str(directory / Path(where).expanduser()) if kind == "sqlite" and "://" not in place else place


def file_of(place: str | Path) -> Path | None:
    """The file that holds the ledger; None for a server, and for a place that leads nowhere."""
    try:
        kind, where = address_of(place)
        return Path(where).expanduser() if kind == "sqlite" else None
    except (LedgerError, RuntimeError):  # the latter of ~ for nobody we know
        return None


BESIDE = ("", "-wal", "-shm", "-journal")
"""The names of the files that SQLite keeps a database in, by what follows the first."""
