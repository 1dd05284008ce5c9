"""What the page for users says of rights and documents is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.kube_api import Rule

from kube.making import OTHER, VALUE, put
from secretsync_core.errors import AccessDenied
from secretsync_core.schema.loader import load_files

if TYPE_CHECKING:
    from support.kube_api import KubeApi

    from kube.conftest import KubeStores

PAGE = Path(__file__).parents[3] / "docs" / "stores" / "kubernetes.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def rules(name: str) -> list[Rule]:
    """The rights of a Role on the page."""
    parts: list[dict[str, Any]] = [part for block in BLOCKS for part in yaml.safe_load_all(block)]
    (role,) = [part for part in parts if part["kind"] == "Role" and part["metadata"]["name"] == name]
    return [Rule(frozenset(rule["verbs"]), "team-a", rule["resources"][0]) for rule in role["rules"]]


def test_the_documents_load(tmp_path: Path) -> None:
    """The page's own SecretStore and SyncJob are valid beside a store called vault."""
    file = tmp_path / "documents.yaml"
    vault = "---\napiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: vault}\n"
    file.write_text(BLOCKS[0] + vault + "spec: {provider: {memory: {}}}\n")
    assert sorted(load_files([file]).stores) == ["team-a", "vault"]


async def test_a_source_needs_no_more(kube: KubeApi, kube_store: KubeStores) -> None:
    """With the source's Role everything can be listed, looked at and read, and nothing written."""
    put(kube, "a", {"x": b"1"})
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(*rules("secretsync-source"))}})
    assert len([entry async for entry in store.list("", recursive=True, metadata=True)]) == 1
    assert len([entry async for entry in store.stat(["a", *(f"b{n}" for n in range(9))])]) == 1
    assert (await store.read("a")).value.reveal() == {"x": b"1"}
    for call in (store.write("b", VALUE), store.write("a", VALUE), store.delete("a")):
        with pytest.raises(AccessDenied):
            await call


async def test_a_destination_needs_all_of_it(kube: KubeApi, kube_store: KubeStores) -> None:
    """With the destination's Role a Secret is created, marked, updated and deleted; without any one verb it is not."""

    async def life(granted: list[Rule]) -> None:
        store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(*granted)}}, mark="job.1")
        assert [entry async for entry in store.stat([f"b{n}" for n in range(9)])] == []
        assert [entry async for entry in store.list("", recursive=True, metadata=False)] == []
        token = await store.write_if("a", VALUE, None)
        await store.write_if("a", OTHER, token)
        await store.mark("a")
        await store.delete("a")

    (whole,) = rules("secretsync-destination")
    await life([whole])
    for verb in whole.verbs:
        with pytest.raises(AccessDenied) as raised:
            await life([Rule(whole.verbs - {verb}, "team-a")])
        assert f"the verb {verb} on secrets" in raised.value.hint
        for each in kube.cluster.list("team-a").items:
            kube.cluster.delete("team-a", each["metadata"]["name"], {})
