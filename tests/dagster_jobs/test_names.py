"""Whatever a document, a store or a plan item is called: the code location loads, and its runs run."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.slow import one_in

from dagster_jobs.lab import KEY, failures, succeeded
from secretsync_core.run import shards
from secretsync_core.run.shards import Shard
from secretsync_core.schema.base import NAME_PATTERN
from secretsync_dagster.naming import dagster_name, drift_name, mapping_key

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

# What Dagster refuses as a name: here in full, so that none that it takes back or adds goes by unseen.
KEPT = [
    *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"),
    *("int", "str", "float", "bool", "input", "output", "type"),
    *(word for word in keyword.kwlist if word.islower()),
]
RESERVED = [word.replace("_", "-") for word in KEPT]
OURS = [
    "expand",
    "transfer",
    "audit",
    "shards",
    "manifest",
    "result",
    "all",
    "none",
    "true",
    "0",
    "a--b",
    "a-b",
    "x" * 63,
]
NAMES = st.one_of(
    st.from_regex(NAME_PATTERN, fullmatch=True),
    st.sampled_from(RESERVED),
    st.builds("{}-{}".format, st.sampled_from(["a", "config", "0"]), st.sampled_from(["drift", "part-1-of-2", "1"])),
)
PARTS = st.one_of(st.just((0, 1)), st.integers(2, 4).flatmap(lambda of: st.tuples(st.integers(0, of - 1), st.just(of))))


def _refused(name: str) -> bool:
    try:
        dg.GraphDefinition(name=name)
    except dg.DagsterInvalidDefinitionError:
        return True
    return False


def test_the_reserved_names_are_those_of_dagster() -> None:
    """A control of the tests below: Dagster refuses each of these names as it is."""
    assert [word for word in KEPT if not _refused(word)] == []


@pytest.mark.slow
def test_items_of_every_reserved_name_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real run items that are called what Dagster keeps for itself, by their name or by one that is derived, have
    a step each, are copied, and are shown as in sync."""
    monkeypatch.setattr(shards, "STEPS", 1000)
    names = [*RESERVED[1:18], "expand", "audit", "shards"]
    named = "\n".join(f"- {{name: '{name}', query: {{path: 'q/{name}'}}}}" for name in names)
    lab.job(f"{named}\n- secret: {{key: context}}")
    keys = {f"q/{name}/1" for name in names} | {"context"}
    lab.fill("src", {key: {"x": key} for key in keys})
    result = lab.run()
    assert failures(result) == {}
    assert set(lab.held()) == keys
    assert lab.materialized() == {*names, "context"}
    assert len(succeeded(result)) == len(names) + 1 + 2
    assert {"transfer[config_]", "transfer[context_]", "transfer[shards]"} <= succeeded(result)


def test_an_item_of_a_reserved_name_fails_and_is_materialized_alone(lab: Lab) -> None:
    """Its source cannot be listed: it fails in a step of its own; then it is materialized as a partition."""
    lab.job("- {name: config, query: {path: config}}\n- {name: other, query: {path: other}}")
    lab.fill("src", {"config/1": {"x": "1"}, "other/1": {"x": "1"}})
    lab.fault("src").fail("list", PermissionError(), key="config/")
    assert set(failures(lab.run())) == {"transfer[config_]"}
    lab.faults["src"].clear()
    assert lab.materialize("config").success
    assert set(lab.instance.get_materialized_partitions(KEY)) == {"config", "other"}


def _shard(item: str, part: int, parts: int) -> Shard:
    return Shard("job", item, number=part + 1, siblings=parts)


@given(NAMES, PARTS, NAMES, PARTS)
def test_mapping_keys_are_allowed_and_never_shared(
    item: str, part: tuple[int, int], other: str, others_part: tuple[int, int]
) -> None:
    """Dagster takes every mapping key, and two shards of different items or parts never have the same one."""
    first, second = mapping_key(_shard(item, *part)), mapping_key(_shard(other, *others_part))
    assert not _refused(first)
    dg.DynamicOutput(None, mapping_key=first)
    assert (first == second) is ((item, part) == (other, others_part))


@given(NAMES, NAMES)
def test_names_are_allowed_and_never_shared(name: str, other: str) -> None:
    """Dagster takes every job's and store's name, and neither another job nor its drift check is ever called so."""
    assert not _refused(dagster_name(name))
    assert (dagster_name(name) == dagster_name(other)) is (name == other)
    assert dagster_name(name) != drift_name(dagster_name(other))


@pytest.mark.parametrize(
    "names",
    one_in(
        3,
        [
            RESERVED,
            OURS,
            ["x", "x-drift", "x-drift-drift", "x-schedule", "x-drift-schedule", "src-changes"],
            ["x", "sync--x-in-sync", "sync--x-drift", "check-drift-of-x"],
            ["x", "expand-x", "transfer-to-dst", "audit"],
            ["secretsync", "secretsync-changes", "secretsync-endings", "secretsync-notifications", "asset-job"],
        ],
    ),
    ids=["reserved", "ours", "schedules", "checks", "ops", "sensors"],
)
def test_any_name_that_a_document_may_have_loads_and_runs(lab: Lab, names: list[str]) -> None:
    """Jobs of such names and a store, with schedules, sensors and checks, load; the first job and its check run."""
    lab.store(names[0])
    (lab.config / "jobs.yaml").write_text(
        "---\n".join(
            f"apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {{name: '{name}'}}\nspec:\n"
            f"  source: '{names[0] if number else 'src'}'\n  dest: '{'dst' if number else names[0]}'\n"
            "  schedule: '0 * * * *'\n  onChange: {interval: 1m}\n  driftCheck: {schedule: '@daily'}\n"
            "  notify: [{webhook: {url: {env: HOOK}}}]\n  plan:\n    - {name: all, query: {}}\n"
            for number, name in enumerate(names)
        )
    )
    definitions = lab.definitions
    dg.Definitions.validate_loadable(definitions)
    assert (
        len(list(definitions.resolve_all_job_defs())) == 2 * len(names) + 3
    )  # the assets' own, and what finds keys and looks at the ledger
    lab.fill("src", {"key": {"x": "1"}})
    for name in (dagster_name(names[0]), drift_name(dagster_name(names[0]))):
        done = definitions.resolve_job_def(name).execute_in_process(instance=lab.instance, raise_on_error=False)
        assert failures(done) == {}
    assert set(lab.held(names[0])) == {"key"}
