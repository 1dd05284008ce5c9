"""Several processes at once, and processes that are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.processes import FORKSERVER
from support.slow import one_in

from audit.lab import (
    SEAL_KEY,
    append_forever,
    append_many,
    done,
    intended,
    replay,
    started,
    try_lease,
    write_everywhere,
)
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LeaseHeld

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from secretsync_core.audit.record import Draft

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.parametrize("same_job", one_in(2, [True, False]), ids=["one-chain", "a-chain-each"])
def test_processes_that_append_at_once_keep_every_chain_whole(url: str, same_job: bool) -> None:
    """Eight processes, which also make the ledger at the same moment, lose nothing and break nothing."""
    processes = [
        FORKSERVER.Process(target=append_many, args=(url, "job" if same_job else f"job-{number}", 15, 5, f"p{number}"))
        for number in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        reports = ledger.verify()
        assert sum(report.records for report in reports) == 600
        assert all(report.sound for report in reports)
        assert len(reports) == (1 if same_job else 8)
        for report in reports:
            drafts: list[Draft] = [record.draft for record in ledger.records(job=report.job)]
            assert dict(ledger.state.keys(report.job)) == replay(drafts)


@pytest.mark.slow
def test_eight_processes_that_write_to_many_chains_leave_a_ledger_that_verifies(url: str, tmp_path: Path) -> None:
    """Chains of one process, of two and of all eight at once, leases between: `audit verify` finds nothing wrong."""
    key = load_key(environ={"SECRETSYNC_KEY": KEY}, directory=tmp_path, create=False)
    processes = [FORKSERVER.Process(target=write_everywhere, args=(url, key.seal, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    ran = subprocess.run(
        [sys.executable, "-m", "secretsync_core.cli.main", "audit", "verify", "--ledger", url, "--output", "json"],
        env={"SECRETSYNC_KEY": KEY, "PATH": os.defpath},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert found["sound"] is True
    expected = {f"own-{number}": 45 for number in range(8)} | {f"pair-{number}": 90 for number in range(4)}
    assert {chain["job"]: chain["records"] for chain in found["chains"]} == expected | {"all": 360}


@pytest.mark.slow
@pytest.mark.parametrize("times", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_killed_process_loses_nothing_that_it_was_told_is_durable(url: str, dice: random.Random, times: int) -> None:
    """Kill -9 in the middle of appends, many times: the chain is whole and holds every acknowledged append."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        acknowledged = 0
        for _ in range(times):
            ours, theirs = FORKSERVER.Pipe(duplex=False)
            process = FORKSERVER.Process(target=append_forever, args=(url, "job", theirs))
            process.start()
            theirs.close()
            assert ours.poll(60)
            time.sleep(dice.uniform(0, 0.05))
            process.kill()
            process.join()
            try:
                while True:
                    acknowledged = ours.recv()
            except (EOFError, OSError):
                ours.close()
            (report,) = ledger.verify()
            assert report.faults == []
            assert acknowledged <= report.last <= acknowledged + 7
            assert report.last % 7 == 0
        assert ledger.append("job", [done("after")]) == [report.last + 1]


@pytest.mark.slow
def test_only_one_of_many_gets_the_lease(url: str) -> None:
    """Four processes ask for the same lease at the same moment."""
    Ledger.open(url, seal_key=SEAL_KEY).close()
    ours, theirs = FORKSERVER.Pipe(duplex=False)
    processes = [
        FORKSERVER.Process(target=try_lease, args=(url, "job", f"holder-{number}", 60, theirs)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(ours.recv() for _ in processes) == [False, False, False, True]
    ours.close()
    theirs.close()


def test_a_lease_says_who_holds_it(ledger: Ledger) -> None:
    """Whoever comes second is told by whom and since when; other jobs are free."""
    lease = ledger.leases.acquire("job", "run-1", 60)
    assert (lease.job, lease.holder, lease.expires - lease.acquired) == ("job", "run-1", 60_000_000)
    with pytest.raises(LeaseHeld, match=r"job is being synced already, by run-1 since 20\d\d-") as caught:
        ledger.leases.acquire("job", "run-2", 60)
    assert "its lease expires at" in caught.value.hint
    assert ledger.leases.find("job") == lease
    other = ledger.leases.acquire("other", "run-2", 60)
    ledger.leases.acquire("expired", "run-3", -1)
    assert sorted(ledger.leases.live()) == [lease, other]
    assert {each.job for each in ledger.leases.held()} == {"job", "other", "expired"}
    again = ledger.leases.acquire("job", "run-1", 90)
    assert again.acquired == lease.acquired
    assert again.expires > lease.expires


def test_a_lease_that_expired_is_taken_over_and_cannot_be_renewed(ledger: Ledger) -> None:
    """A dead run does not stop the job for ever, and one that was only slow learns that it lost."""
    ledger.leases.acquire("job", "slow", 0.05)
    time.sleep(0.1)
    assert ledger.leases.find("job") is None
    assert ledger.leases.renew("job", "slow", 0.05).holder == "slow"
    time.sleep(0.1)
    taken = ledger.leases.acquire("job", "next", 60)
    assert taken.holder == "next"
    with pytest.raises(LeaseHeld, match="by next"):
        ledger.leases.renew("job", "slow", 60)
    ledger.leases.release("job", "slow")
    assert ledger.leases.find("job") == taken
    ledger.leases.release("job", "next")
    with pytest.raises(LeaseHeld, match="was lost"):
        ledger.leases.renew("job", "next", 60)


def test_only_the_holder_announces(ledger: Ledger) -> None:
    """A record that asks for the lease is appended while its holder has it, expired or not, and never afterwards."""
    with pytest.raises(LeaseHeld, match="was lost"):
        ledger.append("job", [intended("k")], holder="slow")
    ledger.leases.acquire("job", "slow", 0.05)
    time.sleep(0.1)
    assert ledger.append("job", [started(), intended("k")], holder="slow") == [1, 2]
    ledger.leases.acquire("job", "next", 60)
    with pytest.raises(LeaseHeld, match="by next"):
        ledger.append("job", [intended("l")], holder="slow")
    assert ledger.append("job", [done("k")]) == [3]
    assert [lease.holder for lease in ledger.leases.held()] == ["next"]
    (report,) = ledger.verify()
    assert report.sound


def test_a_run_is_started_and_finished_once(ledger: Ledger) -> None:
    """Who comes second adds nothing; a run that goes on after its end was recorded is started again."""
    assert not ledger.runs.finish("job", "run-1", reason="failed", counts="")
    assert [ledger.runs.start("job", "run-1") for _ in range(2)] == [True, False]
    assert [ledger.runs.finish("job", "run-1", reason="failed", counts="failed=1") for _ in range(2)] == [True, False]
    assert ledger.runs.unfinished("job") == []
    assert ledger.runs.start("job", "run-1")
    assert ledger.runs.start("job", "run-2")
    assert ledger.runs.unfinished("job") == ["run-1", "run-2"]
    assert [record.draft.event for record in ledger.records(job="job")] == [
        *("run-started", "run-finished", "run-started", "run-started"),
    ]
