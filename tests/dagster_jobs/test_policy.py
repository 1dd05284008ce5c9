"""The operator's policy in Dagster: what it refuses is shown where people look, and no run goes beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dagster_jobs.lab import failures, rows
from secretsync_core.audit.record import Event
from secretsync_core.policy import loading
from secretsync_dagster.load import load

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from dagster_jobs.lab import Lab

HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: ours}\nspec:\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The policy that the environment of this process names."""
    place = tmp_path / "policy" / "ours.yaml"
    place.parent.mkdir(mode=0o700)
    monkeypatch.setenv("SECRETSYNC_POLICY", str(place))
    return place


def _policy(place: Path, spec: str) -> None:
    place.write_text(HEAD + spec + "\n")
    place.chmod(0o600)


def _loaded(lab: Lab) -> dg.Definitions:
    return load([lab.config], directory=lab.config)


def test_a_document_that_is_refused_is_shown_as_broken(lab: Lab, place: Path) -> None:
    """A job of a store that the policy refuses only fails; beside it stands one that says rule and line."""
    lab.two_items()
    _policy(place, "  stores: {kinds: [vault]}")
    assert _loaded(lab).resolve_job_def("job").tags["secretsync/broken"] == "true"
    names = {job.name for job in _loaded(lab).resolve_all_job_defs()}
    broken = next(name for name in names if name.startswith("BROKEN") and "store_dst" in name)
    told = str(_loaded(lab).resolve_job_def(broken).description)
    assert f"spec.stores.kinds of the policy ours ({place}:5)" in told


def test_a_policy_that_cannot_be_read_lets_nothing_run(lab: Lab, place: Path) -> None:
    """Nothing of a code location is permitted where its policy is not there, or wrong."""
    lab.two_items()
    for spec in (None, "  exec: Perhaps"):
        if spec is not None:
            _policy(place, spec)
        names = {job.name for job in _loaded(lab).resolve_all_job_defs()}
        assert _loaded(lab).resolve_job_def("job").tags["secretsync/broken"] == "true"
        assert any(name.startswith("BROKEN") for name in names)


def test_both_faces_load_by_one_rule(lab: Lab, place: Path) -> None:
    """The command line and Dagster have the same problems of the same documents."""
    lab.two_items()
    _policy(place, "  stores: {requiredLabels: [env]}")
    _, problems = loading.examine([lab.config], environ={"SECRETSYNC_POLICY": str(place)})
    told = str(_loaded(lab).resolve_job_def("BROKEN_1_store_dst_yaml").description)
    assert all(problem.message in told for problem in problems if problem.file.endswith("dst.yaml"))


def test_a_run_copies_nothing_that_may_not_go_there(lab: Lab, place: Path) -> None:
    """Keys that a flow denies are refused in the run, the rest is copied, and the ledger has no write of them."""
    lab.two_items()
    _policy(place, "  flows: [{name: no-beta, deny: {from: {keys: [beta/]}, to: {stores: [dst]}}}]")
    result = lab.run()
    assert not result.success
    assert set(lab.held()) == {"alpha/1", "alpha/2"}
    told = rows(failures(result)["transfer[beta]"]["failed secrets"])
    assert {row["key"] for row in told} == {"beta/1", "beta/2"}
    assert all("no-beta" in str(row) for row in told)
    announced = {record.draft.key for record in lab.ledger.records() if record.draft.event is Event.INTENDED}
    assert announced == {"alpha/1", "alpha/2"}


def test_a_policy_that_comes_within_a_run(lab: Lab, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step asks the policy of its own process: what was decided before it is refused where it is to be written."""
    from secretsync_core.run.transfer import Transfer

    lab.two_items()
    _policy(place, "  exec: Deny")
    init = Transfer.__init__

    def later(self: Transfer, plan: object, opened: object, *args: object, **named: object) -> None:
        from secretsync_core.policy.flows import Flows, rules_of
        from secretsync_core.policy.reading import read_policies

        _policy(place, "  flows: [{name: late, deny: {from: {keys: [alpha/]}}}]")
        rules = rules_of(read_policies({"SECRETSYNC_POLICY": str(place)}).found)
        opened.flows = Flows(rules, {})  # type: ignore[attr-defined]
        init(self, plan, opened, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Transfer, "__init__", later)
    lab.run()
    assert set(lab.held()) == {"beta/1", "beta/2"}
