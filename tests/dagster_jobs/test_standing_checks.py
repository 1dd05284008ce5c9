"""``ledger_intact`` of every SyncJob and ``reachable`` of every store, by a button and on a schedule."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import KEY
from secretsync_core.errors import AccessDenied
from secretsync_core.run.health import Places, check_stores
from secretsync_core.schema.loader import examine
from secretsync_dagster.naming import LEDGER_INTACT, REACHABLE
from secretsync_dagster.resources import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from dagster_jobs.lab import Lab
    from secretsync_core.audit.opening import OpenLedger

STORE = dg.AssetKey(["store", "dst"])


def _looked(lab: Lab) -> Mapping[tuple[str, str], dg.AssetCheckEvaluation]:
    """What the schedule's run finds, by check and asset."""
    repository = lab.definitions.get_repository_def()
    schedule = repository.get_schedule_def("secretsync_ledger_and_stores")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    result = repository.get_job(schedule.job_name).execute_in_process(instance=lab.instance, raise_on_error=False)
    assert result.success
    found = result.get_asset_check_evaluations()
    return {(each.check_name, each.asset_key.path[-1]): each for each in found}


def _value(found: dg.AssetCheckEvaluation, name: str) -> Any:
    return found.metadata[name].value


def test_all_is_looked_at_by_one_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs and two stores are four checks; the ledger is opened once for both, and each store is asked once."""
    lab.two_items()
    text = (lab.config / "job.yaml").read_text()
    (lab.config / "other.yaml").write_text(text.replace("name: job", "name: other"))
    assert lab.run().success
    opened: list[bool] = []
    ledger = Runtime.ledger

    def count(self: Runtime, *, write: bool = True) -> AbstractContextManager[OpenLedger]:
        opened.append(write)
        return ledger(self, write=write)

    monkeypatch.setattr(Runtime, "ledger", count)
    found = _looked(lab)
    assert opened == [False]
    assert set(found) == {(LEDGER_INTACT, "job"), (LEDGER_INTACT, "other"), (REACHABLE, "src"), (REACHABLE, "dst")}
    good, empty = found[LEDGER_INTACT, "job"], found[LEDGER_INTACT, "other"]
    records = lab.records()
    assert (good.passed, _value(good, "records"), _value(good, "looked at")) == (True, len(records), len(records))
    assert _value(good, "head") == f"job={len(records)}:{records[-1].hash}"
    assert (empty.passed, empty.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found[REACHABLE, "dst"].passed


def test_a_ledger_that_another_hand_was_at_is_red_for_its_job(lab: Lab) -> None:
    """One edited record: what is wrong is told, and what to do with the ledger."""
    lab.two_items()
    assert lab.run().success
    (path,) = lab.config.rglob("ledger.db")
    file = sqlite3.connect(path)
    file.executescript("DROP TRIGGER IF EXISTS ledger_no_update; DELETE FROM current WHERE key = 'alpha/1';")
    file.close()
    found = _looked(lab)[LEDGER_INTACT, "job"]
    assert not found.passed
    assert "not what the last run left" in str(found.description)
    assert "audit verify" in _value(found, "what to do")


AWAY = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: away}
spec: {provider: {vault: {address: "http://127.0.0.1:9", mount: secret, auth: {token: {env: AWAY_TOKEN}}}}}
"""


@pytest.mark.parametrize("environ", [{}, {"AWAY_TOKEN": "t"}], ids=["no-token", "no-server"])
def test_a_store_that_is_away_is_red_and_says_what_to_do(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    """The message and the hint, where there is one, are those of `secretsync health`; other stores are green."""
    lab.two_items()
    (lab.config / "away.yaml").write_text(AWAY)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = _looked(lab)
    (told,) = asyncio.run(check_stores(examine([lab.config])[0], {"away": Places()}, environ=environ, seconds=20))
    red = found[REACHABLE, "away"]
    assert told.error is not None
    assert bool(told.error.hint) == (not environ)
    shown = red.metadata.get("what to do")
    assert (red.passed, red.description) == (False, told.error.message)
    assert "asked" not in red.metadata  # nothing was, of a store that cannot even be opened
    assert (shown.value if shown is not None else "") == told.error.hint
    assert found[REACHABLE, "src"].passed


def test_each_run_says_it_too(lab: Lab) -> None:
    """Or the check would count as not evaluated from its materializations on, whether it went well or failed."""
    lab.two_items()
    for fails in (False, True):
        if fails:
            lab.fill("src", {"alpha/1": {"x": "new"}})
            lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
        result = lab.run()
        said = [each for each in result.get_asset_check_evaluations() if each.check_name == LEDGER_INTACT]
        assert (result.success, [each.passed for each in said]) == (not fails, [True])


def test_one_check_alone_is_executed_by_its_button(lab: Lab) -> None:
    """Of the op that looks at all, only what was asked for is looked at."""
    lab.two_items()
    assert lab.run().success
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    for key in (dg.AssetCheckKey(KEY, LEDGER_INTACT), dg.AssetCheckKey(STORE, REACHABLE)):
        subset = job.get_subset(asset_selection=set(), asset_check_selection={key})
        result = subset.execute_in_process(instance=lab.instance, raise_on_error=False)
        assert [(each.asset_check_key, each.passed) for each in result.get_asset_check_evaluations()] == [(key, True)]
