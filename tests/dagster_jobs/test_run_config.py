"""What whoever may launch runs can say in their config: nothing that reads a variable of the process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import KEY
from secretsync_core.testing.canaries import canary, find_in
from secretsync_dagster.ops import SyncConfig
from secretsync_dagster.run_config import plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster_jobs.lab import Lab

VARIABLE = {"env": "VAULT_TOKEN"}
FIELDS: list[dict[str, Any]] = [
    {"items": [VARIABLE]},
    {"adopt": [VARIABLE]},
    {"restored": [VARIABLE]},
    {"undo": {"run": VARIABLE}},
    {"undo": {"run": "a run", "keys": [VARIABLE]}},
    {"dryRun": VARIABLE},
    {"verify": VARIABLE},
    {"undo": {"apply": VARIABLE}},
]


@pytest.mark.parametrize("config", FIELDS, ids=str)
def test_no_field_looks_up_a_variable(lab: Lab, config: dict[str, Any]) -> None:
    """``{env: NAME}`` in place of a text or a switch is refused before a run begins: in the Launchpad, and where people
    materialize items, which configures the op itself."""
    lab.two_items()
    with pytest.raises(dg.DagsterInvalidConfigError):
        lab.run(**config)
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    ops = {"job": {"ops": {"expand": {"config": config}}}}
    with pytest.raises(dg.DagsterInvalidConfigError):
        job.execute_in_process({"ops": ops}, instance=lab.instance, asset_selection=[KEY], partition_key="alpha")


def test_no_run_says_where_its_steps_hand_on(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory that Dagster's usual IO manager takes as config has no effect: what steps hand on is where the
    instance keeps files, and no variable's text is in a path or an event."""
    credential = canary("a credential")
    monkeypatch.setenv("VAULT_TOKEN", credential.text)
    monkeypatch.chdir(tmp_path)
    lab.two_items()
    usual = {"io_manager": {"config": {"base_dir": VARIABLE}}}
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        {"resources": usual}, instance=lab.instance, asset_selection=[KEY], partition_key="alpha"
    )
    events = "".join(dg.serialize_value(entry) for entry in lab.instance.all_logs(result.run_id))
    assert "expand" in events
    assert find_in(events, [credential]) == []
    assert [path for path in tmp_path.rglob("*") if credential.text in str(path)] == []
    assert any(Path(lab.instance.storage_directory()).rglob("manifest"))


def test_no_config_of_ours_looks_up_a_variable(lab: Lab) -> None:
    """Neither the jobs, the drift checks, the asset's ops, the executors nor the resources take ``{env: NAME}``: only
    Dagster's usual IO manager does, which none of them uses."""
    lab.two_items(driftCheck="{schedule: '@daily'}")
    (lab.config / "broken.yaml").write_text("kind: Nonsense\n")
    found: dict[str, set[str]] = {}
    careless = SyncConfig.to_config_schema().as_field().config_type
    assert ".items" in set(_variables(careless, "")), "the search finds nothing"
    for job in lab.definitions.get_repository_def().get_all_jobs():
        found[job.name] = set(_variables(job.run_config_schema.config_type, ""))
        assert not [node for node in job.all_node_defs if _uses_the_usual_io_manager(node)]
    assert {"job", "job_drift", "__ASSET_JOB"} < found.keys()
    assert any(name.startswith("BROKEN") for name in found)
    assert set().union(*found.values()) <= {".resources.io_manager.config.base_dir"}


def _uses_the_usual_io_manager(node: Any) -> bool:
    if not isinstance(node, dg.OpDefinition) or node.name.startswith("BROKEN"):
        return False  # of those that are broken no step has anything to hand on
    return any(out.io_manager_key == "io_manager" for out in node.output_defs)


def _variables(kind: Any, path: str) -> Iterator[str]:
    """The paths of all that takes the name of a variable, by what a config type is made of."""
    if type(kind).__name__.endswith("SourceType"):
        yield path
    for name, field in getattr(kind, "fields", {}).items():
        yield from _variables(field.config_type, f"{path}.{name}")
    for inner in ("inner_type", "scalar_type", "non_scalar_type"):
        if hasattr(kind, inner):
            yield from _variables(getattr(kind, inner), path)


def test_only_plain_types_make_a_schema() -> None:
    """A field of a type that this cannot declare plain is a defect of ours, found when the package is imported."""

    class Counted(dg.Config):
        count: int = 0
        by_name: dict[str, str]

    with pytest.raises(TypeError, match="dict"):
        plain_schema(Counted)
