"""Reading records back, by whatever is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit import requests, rows
from secretsync_core.audit.record import Event, Record
from secretsync_core.audit.schema import COLUMNS, RUN_EVENTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from secretsync_core.audit.database import Transaction

_EVENT = COLUMNS.index("event")


def select(
    transaction: Transaction,
    *,
    job: str | None,
    run: str | None,
    key: str | None,
    dest: str | None,
    since: int | None,
    events: Collection[Event] | None,
    limit: int | None,
    newest_first: bool,
) -> Iterator[Record]:
    """Stream the records that :meth:`secretsync_core.audit.ledger.Ledger.records` is asked for."""
    conditions: list[str] = []
    parameters: list[object] = []
    for column, value in (("job", job), ("run", run), ("key", key), ("dest", dest)):
        if value is not None:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    if since is not None:
        conditions.append("time >= ?")
        parameters.append(since)
    if events is not None:
        if not events:
            return
        if set(events) <= {Event.RUN_STARTED, Event.RUN_FINISHED}:
            conditions.append(RUN_EVENTS)  # says the same, in the words that the index of runs goes by
        conditions.append(f"event IN ({', '.join('?' * len(events))})")
        parameters.extend(str(event) for event in events)
    order = "job, seq"
    if newest_first:
        order = "seq DESC" if job is not None else "time DESC, job, seq DESC"
    sql = f"SELECT {rows.SELECT} FROM ledger WHERE {' AND '.join(conditions) or '1 = 1'} ORDER BY {order}"  # noqa: S608
    if limit is not None:
        sql += " LIMIT ?"
        parameters.append(limit)
    alongside = None if newest_first else requests.Alongside(transaction, job)
    for row in transaction.rows(sql, parameters):
        if row[_EVENT] != Event.RUN_FINISHED:
            yield rows.decode(row)
        else:
            place = str(row[0]), cast("int", row[1])
            yield rows.decode(row, alongside.of(*place) if alongside else requests.of(transaction, *place))
