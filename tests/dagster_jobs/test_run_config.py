"""The config of a run: plain values that are checked by the Launchpad, of which no message shows what one was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.slow import one_in

from dagster_jobs.lab import KEY, TWO_ITEMS, failures
from secretsync_core.testing.canaries import canary, find_in
from secretsync_dagster.run_config import MOST_CHOICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster_jobs.lab import Lab

TOKEN = "hvs.CAESIJcanaryTOKEN0123456789"
NAMED = {"env": "TOK_SRC"}

FIELDS: dict[str, dict[str, Any]] = {
    "items": {"items": [NAMED]},
    "dryRun": {"dryRun": NAMED},
    "verify": {"verify": NAMED},
    "adopt": {"adopt": [NAMED]},
    "restored": {"restored": [NAMED]},
    "undo.run": {"undo": {"run": NAMED}},
    "undo.keys": {"undo": {"run": "r", "keys": [NAMED]}},
    "undo.apply": {"undo": {"run": "r", "apply": NAMED}},
}


@pytest.mark.parametrize("config", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("of_asset", [False, True], ids=["job", "asset"])
def test_no_field_takes_an_environment_variable(
    lab: Lab, config: dict[str, Any], of_asset: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``{env: NAME}`` is refused before a run begins, for a job's run and an asset's, and nothing shows its content."""
    monkeypatch.setenv("TOK_SRC", TOKEN)
    lab.two_items()
    definitions = lab.definitions
    if of_asset:
        job = definitions.resolve_implicit_global_asset_job_def()
        config = {"ops": {"job": {"ops": {"expand": {"config": config}}}}}
    else:
        job = definitions.resolve_job_def("job")
    with pytest.raises(dg.DagsterInvalidConfigError) as raised:
        dg.validate_run_config(job, config)
    assert TOKEN not in str(raised.value)


GIVEN: dict[str, dict[str, Any]] = {
    "items": {"items": [TOKEN]},
    "restored": {"restored": [TOKEN]},
    "adopt": {"adopt": [TOKEN]},
    "undo.run": {"undo": {"run": TOKEN}},
    "undo.keys": {"undo": {"run": "RUN", "keys": [TOKEN]}},
}


@pytest.mark.parametrize("dry", [{}, {"dryRun": True}], ids=["sync", "dry run"])
@pytest.mark.parametrize("config", one_in(3, GIVEN.values()), ids=GIVEN)
def test_no_event_quotes_what_a_run_was_given(
    lab: Lab, config: dict[str, Any], dry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed into the Launchpad is in the run's config, and in no event, log or failure of the run."""
    # More items than the schema names, so that the step has to check them.
    monkeypatch.setattr("secretsync_dagster.run_config.MOST_CHOICES", 1)
    lab.two_items()
    run = lab.run().run_id
    if "keys" in (undo := config.get("undo", {})):
        config = {"undo": {**undo, "run": run}}
    result = lab.run(**config, **dry)
    if "adopt" not in config:
        assert failures(result)
    assert TOKEN not in str(lab.instance.all_logs(result.run_id))


def test_an_item_that_there_is_not_is_told_by_the_nearest(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step suggests a known item, and names the one that was given nowhere."""
    monkeypatch.setattr("secretsync_dagster.run_config.MOST_CHOICES", 1)
    lab.two_items()
    (failed,) = failures(lab.run(items=["alhpa"])).values()
    assert failed["told"] == "SyncJob job has no item of that name"
    assert failed["what to do"].value == "did you mean alpha? its items are: alpha, beta"


def test_the_launchpad_knows_the_items(lab: Lab) -> None:
    """Few items are an enum of the schema, so that the Launchpad completes them and refuses any other."""
    lab.two_items()
    job = lab.definitions.resolve_job_def("job")
    dg.validate_run_config(job, {"items": ["alpha", "beta"]})
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, {"items": ["gamma"]})
    lab.job("- {name: other, query: {path: a}}")
    dg.validate_run_config(lab.definitions.resolve_job_def("job"), {"items": ["other"]})
    many = "\n".join(f"- {{name: item-{number}, query: {{path: 'p{number}'}}}}" for number in range(MOST_CHOICES + 1))
    lab.job(many)
    dg.validate_run_config(lab.definitions.resolve_job_def("job"), {"items": ["gamma"]})


def test_a_worker_of_a_run_leaves_the_items_to_the_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item may go between the launch and the run: the step says so, and not Dagster, which quotes its name."""
    monkeypatch.setattr("sys.argv", ["/usr/bin/dagster", "api", "execute_run", "{}"])
    lab.two_items()
    (failed,) = failures(lab.run(items=["gamma"])).values()
    assert failed["told"] == "SyncJob job has no item of that name"


def _sources(kind: Any, path: str = "") -> Iterator[str]:
    """Where a config type takes ``{env: NAME}``."""
    if type(kind).__name__ in ("StringSourceType", "IntSourceType", "BoolSourceType"):
        yield path
    fields = getattr(kind, "fields", None)
    for name, field in (fields if isinstance(fields, dict) else {}).items():
        yield from _sources(field.config_type, f"{path}.{name}")
    for inner in ("inner_type", "non_scalar_type"):
        if hasattr(kind, inner):
            yield from _sources(getattr(kind, inner), f"{path}[]")


def test_nothing_of_a_code_location_takes_an_environment_variable(lab: Lab) -> None:
    """Neither ops nor resources, executors or loggers of any job: only Dagster's usual IO manager, which none uses."""
    lab.job(TWO_ITEMS, schedule="'@hourly'", driftCheck="{schedule: '@daily'}", onChange="{interval: 1m}")
    (lab.config / "broken.yaml").write_text("kind: SyncJob\n")
    jobs = lab.definitions.get_repository_def().get_all_jobs()
    assert len(jobs) == 6
    found = {job.name: set(_sources(job.run_config_schema.config_type)) for job in jobs}
    assert set().union(*found.values()) == {".resources.io_manager.config.base_dir"}
    assert not [node for job in jobs for node in job.all_node_defs if _uses_the_usual_io_manager(node)]


def _uses_the_usual_io_manager(node: Any) -> bool:
    if not isinstance(node, dg.OpDefinition) or node.name.startswith("BROKEN"):
        return False  # of those that are broken no step has anything to hand on
    return any(out.io_manager_key == "io_manager" for out in node.output_defs)


def test_no_run_says_where_its_steps_hand_on(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory that Dagster's usual IO manager takes as config has no effect: what steps hand on is where the
    instance keeps files, and no variable's text is in a path or an event."""
    credential = canary("a credential")
    monkeypatch.setenv("VAULT_TOKEN", credential.text)
    monkeypatch.chdir(tmp_path)
    lab.two_items()
    usual = {"io_manager": {"config": {"base_dir": {"env": "VAULT_TOKEN"}}}}
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        {"resources": usual}, instance=lab.instance, asset_selection=[KEY], partition_key="alpha"
    )
    events = "".join(dg.serialize_value(entry) for entry in lab.instance.all_logs(result.run_id))
    assert "expand" in events
    assert find_in(events, [credential]) == []
    assert [path for path in tmp_path.rglob("*") if credential.text in str(path)] == []
    assert any(Path(lab.instance.storage_directory()).rglob("manifest"))
