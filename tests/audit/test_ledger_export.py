"""JSON lines: what is in them, and that they can be checked by themselves."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import orjson
import pytest

from audit.lab import SEAL_KEY, digest, done, finished, started
from secretsync_core.audit.export import NAMES, export, parse, to_document, verify_export
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of two jobs."""
    with Ledger.open(tmp_path / "ledger.db", seal_key=SEAL_KEY) as ledger:
        for job in ("a", "b"):
            ledger.append(job, [started(), done("x ü"), done("y", source_version=None), finished()])
        yield ledger


def test_a_line_has_stable_names_and_a_readable_time(filled: Ledger) -> None:
    """As in documents: camelCase; times in ISO 8601, UTC; nothing left out."""
    record = list(filled.records(job="a"))[1]
    line = b"".join(export([record]))
    assert line.endswith(b"}\n")
    document = orjson.loads(line)
    assert tuple(document) == NAMES == tuple(to_document(record))
    assert document["sourceVersion"] == "1"
    assert document["time"].endswith("Z")
    assert len(document["time"]) == len("2026-01-01T00:00:00.000000Z")


def test_an_export_comes_back_as_the_same_records(filled: Ledger) -> None:
    """Nothing is lost on the way, and empty lines do no harm."""
    records = list(filled.records())
    assert list(parse(itertools.chain(export(records), [b"\n", ""]))) == records


def test_a_whole_export_is_sound(filled: Ledger) -> None:
    """With the heads that verifying the ledger gives."""
    heads = {report.job: (report.last, report.head) for report in filled.verify()}
    reports = verify_export(export(filled.records()), expected=heads)
    assert {report.job: (report.last, report.head) for report in reports} == heads
    assert all(report.sound for report in reports)


def test_jobs_may_be_mixed(filled: Ledger) -> None:
    """As in an export by time."""
    lines = list(export(filled.records()))
    mixed = [line for pair in zip(lines[:4], lines[4:], strict=True) for line in pair]
    assert all(report.sound for report in verify_export(mixed))


@pytest.mark.parametrize("index", range(3))
def test_a_removed_line_is_found(filled: Ledger, index: int) -> None:
    """Anywhere but at the end; there only a head that was noted elsewhere proves it."""
    lines = list(export(filled.records(job="a")))
    del lines[index]
    (report,) = verify_export(lines)
    assert report.faults[0].seq == index + 1


def test_a_cut_end_is_found_by_a_noted_head(filled: Ledger) -> None:
    """And so is a chain that is not there at all."""
    head = filled.verify("a")[0]
    noted = {"a": (head.last, head.head)}
    lines = list(export(filled.records(job="a")))[:-1]
    assert verify_export(lines)[0].sound
    assert not verify_export(lines, expected=noted)[0].sound
    assert not verify_export([], expected=noted)[0].sound


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_field_is_found(filled: Ledger, name: str) -> None:
    """Every field of a line is part of its hash."""
    lines = list(export(filled.records(job="a")))
    document = orjson.loads(lines[1])
    others: dict[str, object] = {
        "seq": 7,
        "time": "2020-01-01T00:00:00.000000Z",
        "owned": False,
        "event": "failed",
        "job": "c",
    }
    others["requests"] = {"vault": {"read": 1}}
    document[name] = others.get(name, digest("other"))
    lines[1] = orjson.dumps(document)
    assert any(not report.sound for report in verify_export(lines))


def test_a_part_can_be_checked_as_a_part(filled: Ledger) -> None:
    """An export since some day begins in the middle of a chain."""
    lines = list(export(filled.records(job="a")))[2:]
    assert not verify_export(lines)[0].sound
    (report,) = verify_export(lines, whole=False)
    assert report.sound
    assert report.first == 3


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", "{}", '{"job": "a"}', b"\xff", '"text"'],
    ids=["word", "list", "empty", "part", "bytes", "text"],
)
def test_a_line_that_is_no_record_is_named(filled: Ledger, line: str | bytes) -> None:
    """By its number, without its content."""
    lines: list[bytes | str] = [*export(filled.records(job="a")), line]
    with pytest.raises(LedgerBroken, match=r"^line 5 of the export is not a record$"):
        list(parse(lines))


@pytest.mark.parametrize(
    ("name", "value"), [("event", "sang"), ("time", "yesterday"), ("seq", "1"), ("time", "2026-01-01")]
)
def test_a_field_that_cannot_be_is_no_record(filled: Ledger, name: str, value: str) -> None:
    """A line with the right names and impossible content is named too."""
    line = next(export(filled.records()))
    with pytest.raises(LedgerBroken, match="line 1"):
        list(parse([orjson.dumps({**orjson.loads(line), name: value})]))
