"""Which keys a job holds: by plan item, and found by a part of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.lab import digest, done, finished, started
from secretsync_core.audit.record import Draft, Event

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger


def _failed(key: str, run: str = "run-1") -> Draft:
    """A write of ``key`` that was refused."""
    intent = f"{run}:{digest(key)[:12]}"
    return Draft(Event.FAILED, run, intent, "payments", "k8s", key, "create", "access-denied", "vault", key)


def test_an_items_keys_come_with_their_source_versions_and_run(ledger: Ledger) -> None:
    """The first of them in order, and how many there are; what another item or job holds is left out."""
    ledger.append("job", [started(), *(done(f"key-{at}", source_key=f"from/{at}") for at in (2, 0, 1)), finished()])
    ledger.append("job", [started("run-2"), done("key-0", action="update", run="run-2", version="2")])
    ledger.append("job", [done("other", item="else"), done("key-2", action="delete")])
    ledger.append("second", [done("key-9")])
    held, count = ledger.held.of_item("job", "payments", 1)
    assert count == 2
    (first,) = held
    assert (first.dest, first.key, first.source, first.source_key) == ("k8s", "key-0", "vault", "key-0")
    assert (first.source_version, first.dest_version, first.run, first.written) == ("2", "2@2e", "run-2", True)
    assert first.time > 0
    assert [key.key for key in ledger.held.of_item("job", "payments", 9)[0]] == ["key-0", "key-1"]
    assert ledger.held.of_item("job", "none", 9) == ([], 0)


def test_a_key_is_found_by_a_part_of_its_name_here_or_there(ledger: Ledger) -> None:
    """Whatever the case of its letters; ``*`` is anything, and no other sign means more than itself."""
    ledger.append("job", [started(), done("prod/Orders_DB", source_key="team-a/db"), done("prod/ordersXdb")])
    ledger.append("second", [started(), done("elsewhere", source_key="team-a/DB")])

    def keys(text: str, *jobs: str) -> list[str]:
        return [key.key for key in ledger.held.find(jobs or ("job", "second"), text, 9).held]

    assert keys("orders_db") == ["prod/Orders_DB"]
    assert keys("TEAM-A/db") == ["prod/Orders_DB", "elsewhere"]
    assert keys("team-a/db", "second") == ["elsewhere"]
    assert keys("prod*db") == ["prod/Orders_DB", "prod/ordersXdb"]
    ledger.append("second", [done("Ärger/Größe")])
    assert keys("Ärger/G") == keys("Ärger/g") == ["Ärger/Größe"]
    assert keys("100%") == keys("!") == []
    found = ledger.held.find(["job"], "prod/", 1)
    assert (len(found.held), found.total) == (1, 2)


def test_what_the_last_run_failed_at_is_found_too(ledger: Ledger) -> None:
    """Also a key that was never written; what an earlier run failed at is over."""
    ledger.append("job", [started(), _failed("old"), finished()])
    ledger.append("job", [started("run-2"), _failed("new", run="run-2")])
    (only,) = ledger.held.find(["job"], "", 9).failed
    assert (only.key, only.run) == ("new", "run-2")
    assert only.code == "access-denied"
