"""A run's requests by store, as they stand in the counts of its ``run-finished``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.audit.record import Draft, Event
from secretsync_core.model.report import Report
from secretsync_core.model.told import MAX_COUNTS, requests_of, results_of, with_requests
from secretsync_core.schema.base import NAME_PATTERN

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
RESULTS = "created=12 not-reached=3 errors=1"


@given(requests=st.dictionaries(NAMES, st.integers(1, 10**15 - 1), max_size=2))
def test_any_name_of_a_store_comes_back(requests: dict[str, int]) -> None:
    """However long, with digits and dashes wherever they are; and the results beside it stay what they were."""
    text = with_requests(RESULTS, requests)
    assert requests_of(text) == requests
    assert results_of(text) == {"created": 12, "not-reached": 3, "errors": 1}


@given(requests=st.dictionaries(NAMES, st.integers(0, 10**9), max_size=40))
def test_the_text_never_grows_too_long(requests: dict[str, int]) -> None:
    """Stores that do not fit are left out, whole; what is told is true and sorted."""
    text = with_requests(RESULTS, requests)
    assert len(text) <= MAX_COUNTS
    found = requests_of(text)
    assert found.items() <= requests.items()
    assert list(found) == sorted(found)


def test_the_busiest_stores_are_told() -> None:
    """Where there are more than fit."""
    found = requests_of(with_requests("", {f"store-number-{number}": number for number in range(1, 100)}))
    assert len(found) > 8
    assert set(found.values()) == set(range(100 - len(found), 100))


def test_a_run_without_requests_tells_none() -> None:
    """As all runs did before there was such a thing."""
    assert with_requests(RESULTS, {}) == RESULTS
    assert requests_of(RESULTS) == requests_of("") == {}


def test_the_ledger_takes_them(ledger: Ledger) -> None:
    """Its tables as they are: also of a store that is called like a result, or has as long a name as there is."""
    report = Report("run", "job", 0.0)
    longest = "z9-" * 20 + "k8s"
    report.requests = {"failed": {"read": 2, "list": 1}, "k8s-prod": {"write": 5}, longest: {"list": 1}}
    ledger.append("job", [Draft(Event.RUN_STARTED, run="run")])
    ledger.append("job", [Draft(Event.RUN_FINISHED, run="run", reason=report.verdict, counts=report.told)])
    run = ledger.runs.summary("job").last_run
    assert run is not None
    assert run.ok
    assert run.counts == {}
    assert run.requests == {"failed": 3, "k8s-prod": 5, longest: 1}
    assert ledger.verify()[0].sound
