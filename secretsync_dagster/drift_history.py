"""What has been said of drift, the newest first, as far as it was this code that said it.

Whoever may launch runs may report a check as passed without any run. Such an entry stands among the others and is no
word of ours: if it were taken for the last one, a later run would say it again, as its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.colours import is_red
from secretsync_dagster.naming import DRIFT

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "run"
"""The run that found what is said of drift, where it is not the one that says so."""

NOT_LOOKED = "this run did not look"
_BEFORE = f"{NOT_LOOKED}; before: "
_WHAT_TO_DO = "execute this check"

_AT_ONCE = 20
_AT_MOST = 1000


def words(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Iterator[tuple[Any, dg.AssetCheckEvaluation]]:
    """The entries of the check, the newest first, with what they say; those that say nothing are left out."""
    key, cursor = dg.AssetCheckKey(asset, DRIFT), None
    for _ in range(0, _AT_MOST, _AT_ONCE):  # somebody may have reported any number of them
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=_AT_ONCE, cursor=cursor)
        for record in records:
            said = record.event.asset_check_evaluation if record.event is not None else None
            if said is not None and _is_ours(record, said):
                yield record, said
        if len(records) < _AT_ONCE:
            return
        cursor = records[-1].id


def has_entry(instance: dg.DagsterInstance, asset: dg.AssetKey, run: str) -> bool:
    """Whether the check has an entry of this run already, if only that it was planned."""
    key = dg.AssetCheckKey(asset, DRIFT)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=_AT_ONCE)
    return any(record.run_id == run for record in records)


def _is_ours(record: Any, said: dg.AssetCheckEvaluation) -> bool:
    """Whether a run of ours says so; what is red is taken from anybody, as it makes nothing look better than it is.

    A report cannot name a run: the webserver takes texts, numbers and JSON, and no link.
    """
    return bool(record.run_id) or is_red(said) or isinstance(said.metadata.get(RUN), dg.DagsterRunMetadataValue)


def found_in(record: Any, said: dg.AssetCheckEvaluation) -> str:
    """The run that found what is said; empty where none is known."""
    told = said.metadata.get(RUN)
    return told.run_id or "" if isinstance(told, dg.DagsterRunMetadataValue) else record.run_id


def last_word(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dg.AssetCheckEvaluation | None:
    """What was last said of drift, to be said again by somebody who did not look; None where nothing was."""
    for record, said in words(instance, asset):
        if not said.passed and not is_red(said):
            continue  # which says that nothing was known
        told = str(said.description or "").removeprefix(_BEFORE)
        run = found_in(record, said)
        return dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=DRIFT,
            passed=said.passed,
            severity=said.severity,
            description=f"{_BEFORE}{told}" if told else NOT_LOOKED,
            metadata={
                **said.metadata,
                **({RUN: dg.MetadataValue.dagster_run(run)} if run else {}),
                **({} if said.passed else {"what to do": _WHAT_TO_DO}),
            },
        )
    return None
