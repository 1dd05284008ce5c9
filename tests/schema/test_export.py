"""The exported JSON Schema: it is one, it takes what loads, and it refuses what it can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from yaml_samples import DESIGN, STORES, job, problems, store

from secretsync_core.schema.export import json_schema, json_schema_for
from secretsync_core.schema.yaml_tree import read_documents

if TYPE_CHECKING:
    from pathlib import Path


def valid(data: Any, schema: dict[str, Any] | None = None) -> bool:
    validator = Draft202012Validator(schema or json_schema())
    return bool(validator.is_valid(data))


def documents(text: str) -> list[dict[str, Any]]:
    return [document.data for document in read_documents("f.yaml", text)[0]]


@pytest.mark.parametrize("schema", [json_schema(), json_schema_for("SecretStore"), json_schema_for("SyncJob")])
def test_it_is_a_json_schema(schema: dict[str, Any]) -> None:
    """Each exported schema is a valid one of draft 2020-12, is plain JSON, and refers to nothing outside of itself."""
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["$defs"]) >= {
        part.rpartition("/")[2] for part in json.dumps(schema).replace('"', " ").split() if part.startswith("#/$defs/")
    }


def test_the_design_s_example_is_valid() -> None:
    """The example of the design is valid by the schema of both kinds, and by that of its own kind only."""
    for data in documents(DESIGN):
        assert valid(data)
        own, other = ("SecretStore", "SyncJob") if data["kind"] == "SecretStore" else ("SyncJob", "SecretStore")
        assert valid(data, json_schema_for(own))
        assert not valid(data, json_schema_for(other))


@pytest.mark.parametrize(
    "text",
    [
        job("- secret: {key: a, version: 3}", dest="[two]", more="maxDelete: 5\nschedule: '*/5 * * * *'"),
        job(more="maxDelete: 12.5%\nschedule: '@every 15m'\nonChange: {interval: 1h30m}\nlimits: {rate: 1.5/s}"),
        job(more="driftCheck: {schedule: '@every 30m'}"),
        store("a", provider="file: {path: x}"),
    ],
)
def test_what_loads_is_valid(tmp_path: Path, text: str) -> None:
    """The forms that loading takes are valid by the schema too."""
    assert valid(documents(text)[0])


@pytest.mark.parametrize(
    "text",
    [
        store("A"),
        store("a", permissions="read"),
        store("a", provider=""),
        store("a", provider="file: {path: a}, memory: {}"),
        store("a", provider="valt: {}"),
        store("a", provider="file: {}"),
        store("a", provider="vault: {address: 'https://v', auth: {}}"),
        store("a", provider="vault: {address: 'https://v', auth: {token: {env: A, file: b}}}"),
        store("a", provider="vault: {address: v, auth: {token: {env: A}}}"),
        store("a").replace("v1alpha1", "v1"),
        store("a").replace("SecretStore", "Store"),
        job("- {}"),
        job("[]"),
        job("- secret: {key: 1}"),
        job("- {secret: {key: a}, query: {}}"),
        job("- {key: k, combine: []}"),
        job("- {query: {}, keyTransform: [{}]}"),
        job("- {query: {}, valueTransform: [{template: {}}]}"),
        job("- {secret: {key: a}, encoding: hex}"),
        job(dest="[]"),
        job(dest="[two, two]"),
        job(more="shards: 3"),
        job(more="maxDelete: 200%"),
        job(more="maxDelete: -1"),
        job(more="schedule: hourly"),
        job(more="driftCheck: {}"),
        job(more="driftCheck: '@daily'"),
        job(more="driftCheck: {schedule: hourly}"),
        job(more="onChange: {interval: 60}"),
        job(more="onChange: {interval: 0s}"),
        job(more="limits: {rate: 0/s}"),
        job(more="limits: {concurrency: 0}"),
        job(more="suspend: 'yes'"),
    ],
)
def test_what_is_broken_is_refused_by_both(tmp_path: Path, text: str) -> None:
    """What a schema can say is refused by the schema and by loading alike."""
    assert not valid(documents(text)[0])
    assert problems(tmp_path, STORES.replace("name: a}", "name: b}") + text)
