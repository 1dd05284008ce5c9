"""What PostgreSQL's refusals mean, and what to do about them: by the SQLSTATE, or by the words of a failed connection.

A connection that fails has no SQLSTATE, only a text. It is compared with what servers and poolers write, each phrase as
a whole and at its place: the name of a role, a database or a host in it may be any of the words. None of it is shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from secretsync_core.audit.database import LOCK_SECONDS


class Meaning(NamedTuple):
    """What continues the sentence ``the ledger <name>``, and what to do."""

    what: str
    hint: str


_LOGIN = Meaning("refuses the login", "check the user name and the password in the URL, PGPASSWORD or ~/.pgpass")
_NO_DATABASE = Meaning("does not exist", "create the database first")
_NOT_ALLOWED = Meaning("may not be used", "let its role create in the database, or give it the schema `secretsync`")
_FULL = Meaning("has too many connections", "raise max_connections, or use a connection pooler")
_FULL_FOR_ROLE = Meaning(
    "has too many connections of its role", "raise the role's limit (ALTER ROLE … CONNECTION LIMIT), or use a pooler"
)
_FULL_FOR_DATABASE = Meaning(
    "has too many connections to its database",
    "raise the database's limit (ALTER DATABASE … CONNECTION LIMIT), or use a pooler",
)
_FULL_POOLER = Meaning("has too many connections at its pooler", "raise the pooler's max_client_conn or pool size")
_NOT_UP = Meaning("is stopping or starting", "run again when it is up")
_NOT_LET_IN = Meaning(
    "refuses connections from here", "pg_hba.conf names the users, databases, addresses and TLS that may connect"
)
_NO_PASSWORD = Meaning("refuses the login without a password", "put it into the URL, PGPASSWORD or ~/.pgpass")
_NO_TLS = Meaning("cannot be reached by TLS as sslmode asks for it", "check sslmode and sslrootcert in the URL")

_BY_STATE = {
    "28": _LOGIN,
    "3D000": _NO_DATABASE,
    "42501": _NOT_ALLOWED,
    "53100": Meaning("cannot grow: the disk is full", "free some space on the database's machine"),
    "53300": _FULL,
    "53": Meaning("has run out of resources", "look into the server's log"),
    "55P03": Meaning(
        f"was locked by another process for {LOCK_SECONDS} seconds",
        "see which one in pg_stat_activity (application_name `secretsync`)",
    ),
    "57014": Meaning("took too long to answer", "look into the server's log"),
    "57P": _NOT_UP,
    "25P03": Meaning(
        "rolled its transaction back, because this process was stopped in the middle of it",
        "run again; nothing half-written was kept",
    ),
    "25006": Meaning("is read-only", "connect to the primary, not to a standby"),
    "42P01": Meaning("is missing a table", "restore it from a backup"),
}

_NAME = '"[^\n]*"'
_BY_WORDS = tuple(
    (re.compile(rf"(?:FATAL|ERROR):\s+(?:{said})"), meaning)
    for said, meaning in (
        ("sorry, too many clients already|remaining connection slots are reserved", _FULL),
        (rf"too many connections for role {_NAME}", _FULL_FOR_ROLE),
        (rf"too many connections for database {_NAME}", _FULL_FOR_DATABASE),
        ("no more connections allowed|query_wait_timeout|too many connections", _FULL_POOLER),
        ("the database system is (?:starting|shutting|in recovery|not )", _NOT_UP),
        ("terminating connection due to administrator command", _NOT_UP),
        (rf"database {_NAME} does not exist", _NO_DATABASE),
        (rf"permission denied for database {_NAME}", _NOT_ALLOWED),
        (r"no pg_hba\.conf entry|pg_hba\.conf rejects", _NOT_LET_IN),
        (rf"role {_NAME} does not exist|role {_NAME} is not permitted to log in", _LOGIN),
        (rf"[^\n]{{0,40}}authentication failed(?: for user {_NAME})?", _LOGIN),
        ("password authentication|no such user|wrong password|server login failed", _LOGIN),
    )
)
# What libpq says by itself; it begins the text, or what follows the address.
_BY_LIBPQ = (
    (re.compile(r"(?:^|failed: )fe_sendauth: no password supplied"), _NO_PASSWORD),
    (
        re.compile(
            r'(?:^|failed: )(?:server does not support SSL|SSL error: |certificate |root certificate file "[^\n]*" )'
        ),
        _NO_TLS,
    ),
)


def meaning_of_state(state: str) -> Meaning | None:
    """What a SQLSTATE means; ``None`` where there is nothing to say of it."""
    return next((found for length in (5, 3, 2) if (found := _BY_STATE.get(state[:length]))), None)


def meaning_of_words(text: str) -> Meaning | None:
    """What the text of a connection that failed means; ``None`` where it says nothing that we know."""
    return next((meaning for said, meaning in (*_BY_WORDS, *_BY_LIBPQ) if said.search(text)), None)
