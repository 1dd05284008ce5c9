"""What one secret is or does stops no other, and deletes come late: in Dagster as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dagster_jobs.lab import Lab, failures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MORE = "- {name: more, query: {path: more}, keyTransform: [{regexp: {source: '^more/', target: 'app/'}}]}"
PLAN = f"- {{name: app, query: {{path: app}}}}\n{MORE}"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A job without secrets."""
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    lab.close()
    lab.instance.dispose()


def test_odd_secrets_are_named_and_the_others_copied(lab: Lab) -> None:
    """More fields than the ledger can name, and a key that two secrets claim: the run fails and says which they are."""
    lab.job(PLAN, writePolicy="Merge")
    lab.fill("src", {"app/a": {f"f{number}": "1" for number in range(1100)}, "app/b": {"x": "1"}, "app/c": {"x": "1"}})
    lab.fill("src", {"more/c": {"x": "2"}, "more/d": {"x": "1"}})
    lab.fill("dst", {"app/a": {"theirs": "1"}})
    result = lab.run()
    assert not result.success
    told = str(failures(result))
    assert "app/a" in told
    assert "app/c" in told
    assert lab.held() == {"app/a": {"theirs": "1"}, "app/b": {"x": "1"}, "app/d": {"x": "1"}}


def test_what_comes_back_or_is_written_late_is_not_deleted(lab: Lab) -> None:
    """A source that is there again by the time of its delete keeps its copy, and so does what somebody wrote there."""
    lab.job(PLAN, deletionPolicy="Delete", maxDelete="5")
    lab.fill("src", {f"app/{name}": {"x": "1"} for name in "abcd"})
    assert lab.run().success
    for name in "abc":
        lab.take("src", f"app/{name}")
    lab.fault("src").run("read", lambda key: lab.put("src", key, {"x": "1"}), key="app/a", first=2)
    lab.fault("dst").run("delete", lambda key: lab.put("dst", key, {"x": "theirs"}), key="app/b")
    assert not lab.run().success
    assert lab.held() == {"app/a": {"x": "1"}, "app/b": {"x": "theirs"}, "app/d": {"x": "1"}}
