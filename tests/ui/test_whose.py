"""Whose a SyncJob is and where it is from, on its pages: labels, owners, group, icons, places and lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import secretsync_core
from secretsync_core.demo.ui import LOCATION
from ui.stage import GROUP, LABELS, OWNERS, TWICE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]

_ASSET = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { groupName kinds
  tags { key value } owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
  metadataEntries { label ... on TextMetadataEntry { text }
    ... on CodeReferencesMetadataEntry { codeReferences { ... on LocalFileCodeReference { filePath lineNumber } } } } }
  } }"""
_LIBRARIES = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  ... on RepositoryLocation { dagsterLibraryVersions { name version } } } } } } }"""
_TAGS = """query($run: ID!) { runOrError(runId: $run) { ... on Run { tags { key value } } } }"""


def test_labels_and_annotations_are_on_the_pages(page: Page, ui: WebUi) -> None:
    """As tags, owners and group of the asset and the job; and runs are found by a label."""
    asset = ui.graphql(_ASSET, key={"path": ["sync", "twice"]})["assetNodeOrError"]
    assert asset["groupName"] == GROUP
    assert LABELS.items() <= {tag["key"]: tag["value"] for tag in asset["tags"]}.items()
    assert {f"team:{one['team']}" if one.get("team") else one["email"] for one in asset["owners"]} == {*OWNERS}
    run = ui.launch("twice")
    assert ui.wait_for(run) == "SUCCESS"
    tags = {tag["key"]: tag["value"] for tag in ui.graphql(_TAGS, run=run)["runOrError"]["tags"]}
    assert LABELS.items() <= tags.items()

    page.goto("/assets/sync/twice?view=overview")
    for shown in (GROUP, "ann@example.com", "payments", "example.com/tier: gold"):
        expect(page.get_by_text(shown, exact=True).first).to_be_visible()
    page.goto(f"/locations/{LOCATION}/jobs/twice")
    for shown in ("ann@example.com", "example.com/tier: gold"):
        expect(page.get_by_text(shown, exact=True).first).to_be_visible()
    page.goto("/runs?q[0]=tag%3Ateam%3Dpayments")
    expect(page.get_by_text(run[:8]).first).to_be_visible()
    expect(page.get_by_text("secretsync/worker")).to_have_count(0)


def test_a_store_says_what_and_where_it_is(page: Page, ui: WebUi, stage: Stage) -> None:
    """Its icon, its directory and the line of its document."""
    for at, dest in enumerate(TWICE):
        asset = ui.graphql(_ASSET, key={"path": ["store", dest.replace("-", "_")]})["assetNodeOrError"]
        entries = {entry["label"]: entry for entry in asset["metadataEntries"]}
        assert asset["kinds"] == ["file"]
        assert entries["path"]["text"] == str(stage.directory / dest)
        (line,) = entries["dagster/code_references"]["codeReferences"]
        assert line["filePath"] == str(stage.directory / "stores.yaml")
        lines = (stage.directory / "stores.yaml").read_text().splitlines()
        assert f"name: {dest}}}" in "".join(lines[line["lineNumber"] - 1 :][:3]), at
    page.goto("/assets/store/twice_dest?view=overview")
    expect(page.get_by_text(str(stage.directory / TWICE[0])).first).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Open .*stores.yaml in editor")).first).to_be_visible()


def test_the_code_location_says_which_version_it_has(ui: WebUi) -> None:
    """Under Deployment, beside those of Dagster's own libraries."""
    (entry,) = ui.graphql(_LIBRARIES)["workspaceOrError"]["locationEntries"]
    found = {each["name"]: each["version"] for each in entry["locationOrLoadError"]["dagsterLibraryVersions"]}
    assert found["secretsync"] == secretsync_core.__version__
