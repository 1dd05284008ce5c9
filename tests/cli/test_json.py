"""``--output json``: one document on stdout, with the fields that ``cli/json_output.py`` documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli

CHANGE = {
    "item", "dest", "key", "action", "reason", "why", "sources", "sourceVersion", "destVersion", "owned", "drift",
    "detail", "adopt", "failure", "fields", "metadata",
}  # fmt: skip
OUTCOME = CHANGE | {"result", "code", "message", "hint", "newVersion"}
REPORT = {
    "job", "run", "started", "finished", "seconds", "ok", "stopped", "counts", "items", "outcomes", "drifted",
    "driftedCount", "driftUnknown", "warnings", "errors", "requests", "plan", "error",
}  # fmt: skip


def test_plan_lists_every_change(started: Cli) -> None:
    """A plan in JSON has every change, unchanged ones too, with all that is documented."""
    started("sync")
    found = started("plan", "--output", "json").json
    assert set(found) == {"jobs", "warnings", "exitCode"}
    job = found["jobs"][0]
    assert set(job) == {"job", "source", "dest", "counts", "changes", "warnings", "errors", "requests", "error"}
    assert job["counts"] == {"unchanged": 4}
    assert len(job["changes"]) == 4
    assert all(set(change) == CHANGE for change in job["changes"])


def test_sync_gives_outcomes_and_not_what_is_unchanged(started: Cli) -> None:
    """A sync in JSON has a line for each secret that it touched, and only counts of the rest."""
    job = started("sync", "--output", "json").json["jobs"][0]
    assert set(job) == REPORT
    assert job["counts"] == {"created": 4}
    assert {outcome["key"] for outcome in job["outcomes"]} == {"app/env", "mail/smtp", "prod/db", "prod/api-key"}
    assert all(set(outcome) == OUTCOME for outcome in job["outcomes"])
    again = started("sync", "--output", "json").json["jobs"][0]
    assert (again["counts"], again["outcomes"], again["ok"]) == ({"unchanged": 4}, [], True)


def test_check_names_what_drifted(started: Cli) -> None:
    """A check in JSON has every drifted key with how it drifted."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    ran = started("check", "--output", "json")
    job = ran.json["jobs"][0]
    assert (ran.code, ran.json["exitCode"], job["driftedCount"]) == (10, 10, 1)
    assert [(change["key"], change["drift"]) for change in job["drifted"]] == [("mail/smtp", "changed")]


def test_status_has_numbers_as_numbers(started: Cli) -> None:
    """A status in JSON says when, how it went, and what is due next."""
    assert started("status", "--output", "json").json["jobs"][0]["lastRun"] is None
    started("sync")
    job = started("status", "--output", "json").json["jobs"][0]
    assert (job["keys"], job["failed"], job["schedule"], job["suspended"]) == (4, 0, "@hourly", False)
    assert job["lastRun"]["counts"] == {"created": 4}
    assert job["lastRun"]["ok"] is True
    assert job["nextRun"].endswith(":00:00.000000Z")
    assert job["overdue"] is False


def test_audit_log_has_whole_records(started: Cli) -> None:
    """The log in JSON gives the records as the export does, and says whether there are more."""
    started("sync")
    found = started("audit", "log", "--output", "json", "--limit", "3").json
    assert (len(found["records"]), found["more"]) == (3, True)
    exported = [line for line in started("audit", "export").out.splitlines() if line]
    assert len(exported) == found["records"][-1]["seq"]


def test_stores_and_schema_are_json(cli: Cli) -> None:
    """The providers and both schemas can be read by machines."""
    providers = {info["provider"] for info in cli("stores", "--output", "json").json["stores"]}
    assert {"vault", "file", "memory", "trouble"} <= providers
    lines = cli("stores").out.splitlines()
    assert lines[0].split() == ["PROVIDER", "VARIANT", "ABILITIES", "MAX", "SIZE", "PACKAGE"]
    assert {line.split()[0] for line in lines[2:]} == providers
    assert "oneOf" in cli("schema").json
    assert "$defs" in cli("schema", "--kind", "SyncJob").json


@pytest.mark.parametrize(
    ("arguments", "code", "slug"),
    [
        (["plan", "--config", "nowhere"], 2, "usage"),
        (["plan", "--frobnicate"], 2, "usage"),
        (["check"], 3, "ledger-missing"),
    ],
)
def test_an_error_is_an_object(started: Cli, arguments: list[str], code: int, slug: str) -> None:
    """A command that fails as a whole says so on stdout as JSON, and on stderr in words."""
    ran = started(*arguments, "--output", "json")
    assert ran.code == code
    assert ran.json["error"]["code"] == slug
    assert set(ran.json["error"]) >= {"code", "message", "hint"}
    assert ran.err.startswith("error: ")


def test_stdout_is_clean_where_there_are_notes_and_failures(troubled: Callable[..., Cli]) -> None:
    """Warnings, notes and errors go to stderr and leave the JSON on stdout alone."""
    cli = troubled(3, fail={"write key-001": "denied", "read key-002": "denied"})
    ran = cli("sync", "--output", "json")
    failed = [outcome for outcome in ran.json["jobs"][0]["outcomes"] if outcome["result"] == "failed"]
    assert ran.code == 1
    # This store cannot be told to create only: each key is read once more before it is created.
    assert {(each["key"], each["code"]) for each in failed} == {
        ("key-001", "access-denied"),
        ("key-002", "access-denied"),
    }
    cli.write("secretsync/job.yaml", (cli.directory / "secretsync/job.yaml").read_text() + "  suspend: true\n")
    ran = cli("plan", "--output", "json")
    assert ran.json["jobs"] == []
    assert "suspended" in ran.err
