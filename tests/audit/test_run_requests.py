"""A run's requests by store and kind: as much a part of the chain as the record that tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audit.lab import finished, started
from secretsync_core.audit.counts import requests_of, results_of
from secretsync_core.audit.export import export, parse, verify_export
from secretsync_core.model.report import Report

if TYPE_CHECKING:
    from audit.lab import OtherHand
    from secretsync_core.audit.ledger import Ledger

LONGEST = "z9-" * 20 + "k8s"
ASKED = (("failed", "list", 1), ("failed", "read", 2), ("k8s-prod", "write", 5), (LONGEST, "list", 1))


def _fill(ledger: Ledger) -> None:
    ledger.append("job", [started()])
    ledger.runs.finish("job", "run-1", reason="", counts="created=5", requests=ASKED)
    ledger.append("other", [started("run-2"), finished("run-2", counts="created=1")])
    ledger.append("job", [started("run-3"), finished("run-3", counts="")._replace(requests=ASKED[:1])])


def test_what_a_report_counted_is_what_the_ledger_tells(ledger: Ledger) -> None:
    """However many stores, whatever they are called; the results beside them stay what they were."""
    report = Report("run", "job", 0.0)
    report.requests = {LONGEST: {"list": 1}, "k8s-prod": {"write": 5, "read": 0}, "failed": {"read": 2, "list": 1}}
    assert report.asked == ASKED
    ledger.runs.start("job", "run")
    assert ledger.runs.finish("job", "run", reason=report.verdict, counts=report.counted, requests=report.asked)
    run = ledger.runs.summary("job").last_run
    assert run is not None
    assert run.ok
    assert run.counts == {}
    assert run.requests == {"failed": 3, "k8s-prod": 5, LONGEST: 1}
    assert ledger.verify()[0].sound


def test_records_have_them_however_they_are_read(ledger: Ledger) -> None:
    """Forwards and backwards, of one job or all; given in any order, they come back in one."""
    _fill(ledger)
    ledger.append("job", [started("run-4"), finished("run-4")._replace(requests=ASKED[::-1])])
    everything = [(record.job, record.draft.run, record.draft.requests) for record in ledger.records()]
    told = [each for each in everything if each[2]]
    assert told == [("job", "run-1", ASKED), ("job", "run-3", ASKED[:1]), ("job", "run-4", ASKED)]
    assert sorted(ledger.records(newest_first=True)) == sorted(ledger.records())
    assert list(ledger.records(job="job", newest_first=True)) == list(ledger.records(job="job"))[::-1]
    assert [record.draft.requests for record in ledger.records(run="run-3")] == [(), ASKED[:1]]
    assert all(report.sound for report in ledger.verify())


def test_an_export_has_them_and_proves_them(ledger: Ledger) -> None:
    """By store and kind; the export alone tells when they were changed."""
    _fill(ledger)
    lines = list(export(ledger.records()))
    assert list(parse(lines)) == list(ledger.records())
    assert all(report.sound for report in verify_export(lines))
    assert b'"requests":{"failed":{"list":1,"read":2}' in lines[1]
    changed = [line.replace(b'"read":2', b'"read":3') for line in lines]
    (fault,) = verify_export(changed)[0].faults
    assert (fault.seq, "edited" in fault.what) == (2, True)


def test_an_export_from_before_is_still_one(ledger: Ledger) -> None:
    """Its lines have no requests, and their hashes never covered any."""
    ledger.append("job", [started(), finished()])
    lines = [line.replace(b',"requests":{}', b"") for line in export(ledger.records())]
    assert b"requests" not in b"".join(lines)
    assert all(report.sound for report in verify_export(lines))


@pytest.mark.parametrize(
    ("change", "seq", "what"),
    [
        ("UPDATE run_requests SET requests = 3 WHERE kind = 'read'", 2, "edited"),
        ("DELETE FROM run_requests WHERE seq = 2", 2, "edited"),
        ("INSERT INTO run_requests VALUES ('job', 2, 'vault', 'read', 1)", 2, "edited"),
        ("INSERT INTO run_requests VALUES ('job', 1, 'vault', 'read', 1)", 1, "edited"),
        ("INSERT INTO run_requests VALUES ('job', 99, 'vault', 'read', 1)", 99, "a record that is not there"),
    ],
)
def test_another_hand_is_found(ledger: Ledger, other_hand: OtherHand, change: str, seq: int, what: str) -> None:
    """Requests that were changed, taken away or added show as the record that they belong to."""
    _fill(ledger)
    other_hand(change)
    report, other = ledger.verify()
    assert [(fault.seq, what in fault.what) for fault in report.faults] == [(seq, True)]
    assert other.sound


def test_counts_of_before_are_still_read() -> None:
    """Where requests stood among the results, escaped: names with digits, with z, and longer than an entry."""
    counts = (
        "created=12 not-reached=3 part-a-store-zzone-zc-w=0 store-ith-a-long-name=1 store-kzis-prod=4 store-vault=6"
    )
    assert results_of(counts) == {"created": 12, "not-reached": 3}
    told = finished(counts=counts)
    assert requests_of(told) == {"a-store-zone-2-with-a-long-name": 1, "k8s-prod": 4, "vault": 6}
    assert requests_of(finished(counts="created=1 errors=2")) == {}
