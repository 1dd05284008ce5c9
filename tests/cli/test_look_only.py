"""A destination that shows no values, on the command line: what is said of it claims no comparison of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli

THEIRS = "it exists, is not managed by this job, and its value cannot be read to compare"


def test_what_is_not_the_jobs_is_refused_until_it_is_taken_over(troubled: Callable[..., Cli]) -> None:
    """Plan and sync say why, and which command takes it over; what others wrote stays until then."""
    cli = troubled(2, values=False)
    theirs = cli.write("dest/key-001", "theirs")
    planned = cli("plan")
    assert planned.code == 1
    assert THEIRS in planned.out
    assert "`secretsync sync copy --adopt key-001` takes it over and writes it" in planned.err
    assert (
        "dest holds 1 secret that this job does not manage, and whose values cannot be read to compare" in planned.err
    )
    synced = cli("sync")
    assert (synced.code, theirs.read_text()) == (1, "theirs")
    assert THEIRS in synced.out
    assert "takes it over and writes it, whatever it holds" in synced.out
    for text in (planned.out, planned.err, synced.out, synced.err):
        assert "another value" not in text
    adopted = cli("sync", "--adopt", "key-001")
    assert (adopted.code, theirs.read_text()) == (0, "value-1")


def test_drift_is_found_shown_and_put_right(troubled: Callable[..., Cli]) -> None:
    """Check ends as for any other store; the next sync writes what was changed, and creates what was deleted."""
    cli = troubled(3, values=False)
    assert cli("sync").code == 0
    changed, deleted = (cli.directory / "dest" / key for key in ("key-000", "key-001"))
    changed.write_text("by hand")
    deleted.unlink()
    checked = cli("check")
    assert checked.code == 10
    assert "2 of 3 keys drifted" in checked.out
    planned = cli("plan")
    assert (planned.code, "1 to create, 1 to update" in planned.out) == (0, True)
    assert "changed outside SecretSync: its value cannot be read to compare" in planned.out
    assert "removed outside SecretSync" in planned.out
    assert cli("sync").code == 0
    assert (changed.read_text(), deleted.read_text()) == ("value-0", "value-1")
    again = cli("sync", "--verify")
    assert (again.code, "3 unchanged" in again.out) == (0, True)
    assert "dest shows no values: versions were compared there" in again.err
    assert cli("check").code == 0


def test_health_looks_at_a_key(troubled: Callable[..., Cli]) -> None:
    """It can be looked at, so that is what is tried, and what health says."""
    told = troubled(1, values=False)("health")
    assert (told.code, "trouble, ReadWrite: look at secretsync-health" in told.out) == (0, True)
