"""The ledger's tables. Every column is bounded and checked, so that no column fits a value.

``ledger`` holds the records, and ``run_requests`` what does not fit into their columns; both are append-only, and the
chains, whose ends are in ``heads``, cover them. ``current`` is made of the records, and compared with them. ``meta``
says what the ledger is, sealed. ``leases``, ``item_state`` (which plan items are in sync), ``checks`` and ``drift``
(the last look for drift, and what it found) say how things stand now: they change all the time, and are no part of the
chains. ``places`` says which place the name of a destination is bound to, and is made of the records too; ``positions``
says how far the server at a place had got when a run last asked it.

A version has the form that ``model.versions`` gives it. Records from before that rule keep what they have, since their
hashes cover it.

The length and the characters of a column are checked by the database itself: also a mistake in this program, or in
one that does not exist yet, cannot put a secret's value into the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from secretsync_core.audit.database import Dialect

VERSION = 5
"""The version of the tables below; a program that knows only older ones must not touch the ledger."""

USABLE = 1
"""The oldest version that this program works with as it is: ``migrations`` has what came since."""

WITH_RUNS = 3
"""The first version with ``run_requests``, ``item_state``, ``checks`` and ``drift``; older ones keep none of that."""

WITH_PLACES = 4
"""The first version with ``places`` and ``positions``, and with records that move and forget keys."""


def revision(version: int) -> str:
    """Alembic's name of a version of the tables."""
    return f"{version:04}"


COLUMNS = ("job", "seq", "time", *(name for name in Draft._fields if name != "requests"), "previous", "hash")
"""The columns of ``ledger``, in the order of a Record."""

REQUESTS = ("job", "seq", "store", "kind", "requests")
"""The columns of ``run_requests``; ``seq`` is that of the ``run-finished`` that tells of them."""

STATE = (
    *("dest", "key", "seq", "source_version", "dest_version", "definition", "owned"),
    *("item", "fingerprint", "fields"),
)
"""The columns of ``current`` besides ``job``: the facts of a key that a sync asks for."""

DIGESTS = frozenset({"definition", "fingerprint", "fields", "previous", "hash"})
"""The columns that are hex digits in a Record and bytes in the table, which is half as large and checked at no cost."""

ACTIONS = ("", "create", "update", "delete")
DRIFT_KINDS = ("changed", "removed")
OUTCOMES = (Event.DONE, Event.FAILED, Event.SKIPPED)

MAX_NAME = 128
MAX_KEY = 2048
MAX_VERSION = 256
MAX_REASON = 40
MAX_COUNTS = 400
MAX_FIELDS = 1024  # fields of one secret, at 16 hex digits, 8 bytes, each

SAME_VALUE, MOVED, FORGOTTEN, PLACED = "same-value", "moved", "forgotten", "placed"
"""What a ``skipped`` record may say of the state: the secret is what we would write; a key is known under this name
now; it is no longer ours to keep; and, of a destination, this is its place, with the place's text as the key."""

STATEFUL = (
    "(event = 'done' AND action IN ('create', 'update', 'delete')"
    f" OR event = 'skipped' AND reason IN ('{SAME_VALUE}', '{MOVED}', '{FORGOTTEN}'))"
)
"""The records that say what the state of a key is."""

ENDING = f"(event = 'done' AND action = 'delete' OR event = 'skipped' AND reason = '{FORGOTTEN}')"
"""Those after which there is none."""

RUN_EVENTS = "event IN ('run-started', 'run-finished')"
"""The records that have an index of their own. A query must say this word for word for SQLite to use it."""


def statements(dialect: Dialect) -> list[str]:
    """The statements that make an empty ledger, in order."""
    text = dialect.text
    checks = _checks(dialect)

    def column(name: str, kind: str, *, null: bool = False, check: str | None = None) -> str:
        return f"{name} {kind}{'' if null else ' NOT NULL'} CONSTRAINT {name} CHECK ({check or checks[name]})"

    kinds = dict.fromkeys(("seq", "time", "requests", "since", "found", "drifted"), "BIGINT")
    kinds |= dict.fromkeys(("owned", "in_sync"), "SMALLINT")
    kinds |= dict.fromkeys(DIGESTS, dialect.binary)
    ledger = [column(name, kinds.get(name, text), null=name in _NULLABLE) for name in COLUMNS]
    bounds = {"job": MAX_NAME, "dest": MAX_NAME, "key": MAX_KEY, "item": MAX_NAME}  # copies of what was checked above
    bounds |= dict.fromkeys(_NULLABLE, MAX_VERSION)
    current = [
        column(
            name,
            kinds.get(name, text),
            null=name in _NULLABLE,
            check=f"length({name}) <= {bounds[name]}" if name in bounds else None,
        )
        for name in ("job", *STATE)
    ]
    heads = [
        column("job", text),
        "ordinal BIGINT NOT NULL",
        column("seq", "BIGINT", check="seq >= 0"),
        column("hash", dialect.binary),
        column("seal", dialect.binary),
    ]
    leases = [column("job", text), column("holder", text), "acquired BIGINT NOT NULL", "expires BIGINT NOT NULL"]

    def columns(*names: str, **checks: str) -> str:
        return ", ".join(column(name, kinds.get(name, text), check=checks.get(name)) for name in names)

    places = columns("job", "dest", "place", "seq")
    positions = columns("place", "position", "time")
    drift = columns("job", "dest", "key", "item", "kind", "run", "found", kind=_one_of("kind", *DRIFT_KINDS))
    alembic = "version_num VARCHAR(32) NOT NULL"
    meta = [column("name", text), column("value", text), column("seal", dialect.binary)]
    return [
        f"CREATE TABLE ledger ({', '.join(ledger)}, PRIMARY KEY (job, seq))",
        f"CREATE INDEX runs ON ledger (job, event, seq) WHERE {RUN_EVENTS}",
        *dialect.guarding,
        *dialect.guards("ledger"),
        *(dialect.require("ledger", name, lambda column: version_rule(dialect, column)) for name in VERSIONS),
        f"CREATE TABLE heads ({', '.join(heads)}, PRIMARY KEY (job))",
        f"CREATE TABLE current ({', '.join(current)}, PRIMARY KEY (job, dest, key)){dialect.clustered}",
        f"CREATE TABLE leases ({', '.join(leases)}, PRIMARY KEY (job))",
        f"CREATE TABLE meta ({', '.join(meta)}, PRIMARY KEY (name))",
        "CREATE INDEX items ON current (job, item)",
        f"CREATE TABLE run_requests ({columns(*REQUESTS)}, PRIMARY KEY (job, seq, store, kind))",
        *dialect.guards("run_requests"),
        f"CREATE TABLE item_state ({columns('job', 'item', 'in_sync', 'run', 'since')}, PRIMARY KEY (job, item))",
        f"CREATE TABLE checks ({columns('job', 'run', 'time', 'drifted')}, PRIMARY KEY (job))",
        f"CREATE TABLE drift ({drift}, PRIMARY KEY (job, dest, key))",
        f"CREATE TABLE places ({places}, PRIMARY KEY (job, dest))",
        f"CREATE TABLE positions ({positions}, PRIMARY KEY (place))",
        # Alembic's own, as it makes it, so that later migrations know where they begin.
        f"CREATE TABLE alembic_version ({alembic}, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        f"INSERT INTO alembic_version (version_num) VALUES ('{revision(VERSION)}')",  # noqa: S608  our own number
    ]


VERSIONS = ("source_version", "dest_version")
"""The columns that hold what a server called a version."""

_NULLABLE = frozenset(VERSIONS)


def version_rule(dialect: Dialect, column: str) -> str:
    """The form of a version, as ``model.versions.is_kept`` has it; records from before version 5 may have another."""
    ours = f"replace(replace({column}, '@fields=', '@'), 'all:', '')"
    plain = dialect.forbid(ours, "[^0-9A-Fa-fTZ@.:+-]")
    pin = f"substr({column}, 1, 4) = 'pin:' AND {dialect.forbid(column, '[^0-9A-Za-z._/+=@:-]')}"
    return f"{column} IS NULL OR {plain} OR {pin}"


def _one_of(name: str, *values: str) -> str:
    return " OR ".join(f"{name} = '{value}'" for value in values)  # SQLite is slower with IN


def _checks(dialect: Dialect) -> dict[str, str]:
    """A condition for every column, by the column's name."""
    forbid = dialect.forbid

    def word(name: str, longest: int = MAX_NAME) -> str:
        return f"length({name}) <= {longest} AND {forbid(name, '[^0-9A-Za-z._:/@-]')}"

    def some_word(name: str) -> str:
        return f"length({name}) >= 1 AND {word(name)}"

    def key(name: str) -> str:
        return f"length({name}) <= {MAX_KEY} AND {dialect.forbid_control(name)}"

    def version(name: str) -> str:
        return f"{name} IS NULL OR length({name}) <= {MAX_VERSION} AND {forbid(name, '[^ -~]')}"

    def digest(name: str, *lengths: int) -> str:
        return f"{dialect.is_binary(name)} AND ({' OR '.join(f'length({name}) = {length}' for length in lengths)})"

    # "name=number name=number": what may not follow what, with a space before and after. Together these say exactly
    # the pattern ([a-z][a-z-]*=[0-9]+)( ...)*, which SQLite has no regular expressions to say in one.
    padded = "(' ' || counts || ' ')"
    never = ("[ ][^a-z]", "[a-z-][^a-z=-]", "[=][^0-9]", "[0-9][^0-9 ]", "[0-9]" * 16, "[a-z-]" * 25)
    counts = " AND ".join(forbid(padded, pattern) for pattern in never)

    return {
        **{name: some_word(name) for name in ("job", "run", "holder", "name", "value", "store")},
        **{name: word(name) for name in ("intent", "item", "dest", "source")},
        **{name: key(name) for name in ("key", "source_key", "place")},
        **{name: version(name) for name in ("source_version", "dest_version")},
        **{name: digest(name, 32) for name in ("hash", "previous", "seal")},
        **{name: digest(name, 0, 32) for name in ("definition", "fingerprint")},
        "seq": "seq >= 1",
        "time": "time > 0",
        "event": _one_of("event", *Event),
        "action": _one_of("action", *ACTIONS),
        "reason": f"length(reason) <= {MAX_REASON} AND {forbid('reason', '[^a-z-]')}",
        **{name: f"{name} IN (0, 1)" for name in ("owned", "in_sync")},
        **{name: f"{name} > 0" for name in ("requests", "since", "found")},
        "drifted": "drifted >= 0",
        "position": f"length(position) <= {MAX_VERSION} AND {forbid('position', '[^ -~]')}",
        "kind": f"length(kind) >= 1 AND length(kind) <= {MAX_REASON} AND {forbid('kind', '[^a-z-]')}",
        "fields": f"{dialect.is_binary('fields')} AND length(fields) % 8 = 0 AND length(fields) <= {8 * MAX_FIELDS}",
        "counts": f"counts = '' OR length(counts) <= {MAX_COUNTS} AND {counts}",
    }


RULES = {
    **dict.fromkeys(
        ("job", "run", "intent", "item", "dest", "source", "holder"),
        f"at most {MAX_NAME} letters, digits and . _ : / @ -",
    ),
    **dict.fromkeys(("key", "source_key"), f"at most {MAX_KEY} characters, none of them a control character"),
    **dict.fromkeys(VERSIONS, f"at most {MAX_VERSION} characters of numbers, times, UUIDs and hex digits, or a pin"),
    **dict.fromkeys(("definition", "fingerprint"), "64 hex digits or nothing"),
    "event": "one of " + ", ".join(Event),
    "action": "create, update, delete or nothing",
    "reason": f"at most {MAX_REASON} lower-case letters and dashes",
    "owned": "true or false",
    "fields": f"16 hex digits a field, at most {MAX_FIELDS} fields",
    "store": f"1 to {MAX_NAME} letters, digits and . _ : / @ -",
    "kind": f"1 to {MAX_REASON} lower-case letters and dashes",
    "requests": "a number greater than 0",
    "counts": f"name=number separated by spaces, at most {MAX_COUNTS} characters",
}
"""What a column may hold, in words, for the error that refuses a record."""


def refused_column(column: str) -> LedgerError:
    """The error for a record that a column's rule refuses: names both, and never what was to go there."""
    rule = RULES.get(column)
    if rule is None:
        return LedgerError("the ledger refused a record")
    return LedgerError(f"the ledger refused a record: {column} must be {rule}")
