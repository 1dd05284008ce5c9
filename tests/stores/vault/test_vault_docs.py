"""The pages for users on Vault and on files: their documents are valid, and their policies are enough."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from run.world import World, counted, reasons
from support.slow import one_in

from secretsync_core.schema.loader import load_files
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakeToken, Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.model.report import Report

PAGES = Path(__file__).parents[3] / "docs" / "stores"
PAGE = (PAGES / "vault.md").read_text()
POLICIES = dict(re.findall(r"```hcl\n *# ([a-z0-9-]+)\n(.*?)```", PAGE, re.DOTALL))

SOURCE = ("secretsync-source",)
DEST = ("secretsync-destination", "secretsync-destination-delete", "secretsync-destination-mark")
# What is used of each policy in KV version 2. `read` on a source's metadata has a test of its own: without it all
# goes well, at a higher price.
NEEDED = [
    ("source", "data", "read"),
    ("source", "metadata", "list"),
    ("destination", "data", "create"),
    ("destination", "data", "read"),
    ("destination", "data", "update"),
    ("destination", "data", "delete"),
    ("destination", "metadata", "read"),
    ("destination", "metadata", "patch"),
]
PLAN = "- {name: payments, query: {path: payments/, recursive: true}}"


class Life:
    """A source and a destination on one server, reached by tokens that may do what policies of the page say."""

    def __init__(self, world: World, api: Api, apps: str, copies: str, tokens: Callable[..., str], version: int):
        self.world, self.api, self.apps, self.copies, self.version = world, api, apps, copies, version
        self._token_for = tokens

    def grant(
        self, side: str, *names: str, without: tuple[str, str] = ("", ""), permissions: str = "ReadWrite", **token: Any
    ) -> None:
        """Write the store of one side, with a token that the named policies hold, but for one capability of a path."""
        part, capability = without
        lines = "".join(POLICIES[name] for name in names).splitlines()
        kept = [
            line.replace(f'"{capability}", ', "").replace(f', "{capability}"', "").replace(f'"{capability}"', "")
            if part and re.search(f"/{part}/", line)
            else line
            for line in lines
        ]
        policy = "\n".join(kept).replace('"apps/', f'"{self.apps}/').replace('"copies/', f'"{self.copies}/')
        value = self._token_for(policy, **token)
        mount = self.apps if side == "src" else self.copies
        provider = f"vault: {{address: '{self.api.address}', mount: {mount}, auth: {{token: {{value: {value}}}}}}}"
        self.world.store(side, provider, permissions)

    def put(self, key: str, number: str) -> None:
        self.api.put(self.apps, key, {"x": number}, version=self.version)

    def drop(self, key: str) -> None:
        self.api.call("DELETE", f"{self.apps}/{'data/' if self.version == 2 else ''}{key}")

    async def sync(self, plan: str = PLAN, **spec: str) -> Report:
        self.world.job(plan, **{"deletionPolicy": "Delete", "maxDelete": "100%", **spec})
        return await self.world.sync()


@pytest.fixture(params=[2])
def life(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openbao: OpenBaoServer,
    api: Api,
    mount: Mount,
    make_token: MakeToken,
) -> Iterator[Life]:
    """Two mounts, of KV version 2 unless a test asks for another."""
    version = request.param
    with contextlib.closing(World(tmp_path, monkeypatch)) as world:
        yield Life(world, api, mount(openbao, version), mount(openbao, version), partial(make_token, openbao), version)


@pytest.mark.parametrize("page", ["vault.md", "file.md"])
def test_the_documents_load(page: str, tmp_path: Path) -> None:
    """Each page's own SecretStores and SyncJob are valid, beside a store vault-main where the page has none."""
    text, *_ = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
        if "kind: SyncJob" in block
    ]
    if "name: vault-main}" not in text:
        text += "---\napiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: vault-main}\n"
        text += "spec: {provider: {memory: {}}}\n"
    file = tmp_path / "documents.yaml"
    file.write_text(text)
    found = load_files([file])
    assert (len(found.stores), len(found.jobs)) == (2, 1)


async def whole_life(life: Life, **spec: str) -> list[dict[str, int]]:
    """Create two secrets, change one, have one drift, delete one; gives what each of four syncs did."""
    for key in ("payments/a", "payments/deep/b"):
        life.put(key, "1")
    told = [await life.sync(**spec)]
    life.put("payments/a", "2")
    told.append(await life.sync(**spec))
    # Somebody else writes the same value: the version differs, and only a read tells that the value does not.
    life.api.put(life.copies, "payments/a", {"x": "2"}, version=life.version)
    told.append(await life.sync(**spec))
    life.drop("payments/deep/b")
    told.append(await life.sync(**spec))
    return [counted(report) | ({"failed": 1} if report.failures or report.errors else {}) for report in told]


WELL = [
    {"created": 2},
    {"updated": 1, "unchanged": 1},
    {"unchanged": 2},
    {"unchanged": 1, "deleted": 1},
]


@pytest.mark.parametrize("scan", [False, True])
async def test_the_policies_are_enough(life: Life, scan: bool) -> None:
    """With the policies of the page secrets are created, marked, updated, compared and deleted; with its SCAN a look
    at the source is one request."""
    life.grant("src", *SOURCE, *(["secretsync-source-scan"] if scan else []))
    life.grant("dst", *DEST, *(["secretsync-destination-scan"] if scan else []))
    assert await whole_life(life, ownership="{mark: true}") == WELL
    metadata = life.api.call("GET", f"{life.copies}/metadata/payments/a")["data"]["custom_metadata"]
    assert metadata[MARK_KEY].startswith("job.")
    requests = (await life.sync(ownership="{mark: true}")).requests["src"]
    assert (requests == {"stat": 2, "list": 1}) is scan  # the version of the mount, the cluster, and the SCAN
    assert not requests.keys() & {"read", "write", "delete"}


@pytest.mark.parametrize(("side", "part", "capability"), one_in(4, NEEDED))
async def test_the_policies_are_not_more(life: Life, side: str, part: str, capability: str) -> None:
    """Without any one of the capabilities something of that fails."""
    without = (part, capability)
    life.grant("src", *SOURCE, without=without if side == "source" else ("", ""))
    life.grant("dst", *DEST, without=without if side == "destination" else ("", ""))
    told = await whole_life(life, ownership="{mark: true}")
    assert told != WELL
    assert any(counts.keys() & {"failed", "refused", "not-reached"} or not counts for counts in told)


async def test_without_a_delete_and_marks(life: Life) -> None:
    """A job that deletes nothing and marks nothing needs the first policy of a destination alone."""
    life.grant("src", *SOURCE)
    life.grant("dst", "secretsync-destination")
    assert (await whole_life(life, deletionPolicy="Retain"))[:3] == WELL[:3]


@pytest.mark.parametrize("undo", [True, False])
async def test_the_policy_for_undo(life: Life, undo: bool) -> None:
    """With the policy for undo a run that updated, created and deleted goes back whole; without it the delete stays."""
    life.grant("src", *SOURCE)
    life.grant("dst", *DEST[:2], *(["secretsync-destination-undo"] if undo else []))
    for key in ("payments/a", "payments/b"):
        life.put(key, "1")
    await life.sync()
    life.put("payments/a", "2")
    life.put("payments/c", "2")
    life.drop("payments/b")
    run = (await life.sync()).run
    expected = {"updated": 1, "deleted": 1, "created" if undo else "failed": 1}
    assert counted(await life.world.undo(run)) == expected
    back = {"x": "1"} if undo else None
    assert [life.api.get(life.copies, f"payments/{name}") for name in "abc"] == [{"x": "1"}, back, None]


@pytest.mark.parametrize("life", [1], indirect=True)
async def test_the_policies_for_version_1(life: Life) -> None:
    """The same life in KV version 1, which has no marks."""
    life.grant("src", "secretsync-source-v1")
    life.grant("dst", "secretsync-destination-v1")
    assert await whole_life(life) == WELL


async def test_without_metadata_all_is_read(life: Life) -> None:
    """Without `read` on a source's metadata a sync goes well, and reads every secret though nothing changed."""
    life.grant("src", *SOURCE, without=("metadata", "read"))
    life.grant("dst", "secretsync-destination")
    for key in ("payments/a", "payments/b"):
        life.put(key, "1")
    assert counted(await life.sync(deletionPolicy="Retain")) == {"created": 2}
    again = await life.sync(deletionPolicy="Retain")
    assert (counted(again), again.requests["src"]["read"]) == ({"unchanged": 2}, 2)


async def test_single_keys_need_no_list(life: Life) -> None:
    """A plan of single keys needs no `list`."""
    life.grant("src", *SOURCE, without=("metadata", "list"))
    life.grant("dst", "secretsync-destination")
    life.put("payments/a", "1")
    report = await life.sync("- {name: one, secret: {key: payments/a}}", deletionPolicy="Retain")
    assert (counted(report), report.errors) == ({"created": 1}, [])


async def test_a_destination_that_may_only_be_written(life: Life) -> None:
    """With `permissions: Write`, `create` and `update` on the data are enough to create and to update."""
    life.grant("src", *SOURCE)
    policy = ("secretsync-destination",)
    life.grant("dst", *policy, without=("(data|metadata)", "read"), permissions="Write")
    life.put("payments/a", "1")
    assert counted(await life.sync(deletionPolicy="Retain")) == {"created": 1}
    life.put("payments/a", "2")
    assert counted(await life.sync(deletionPolicy="Retain")) == {"updated": 1}
    assert life.api.get(life.copies, "payments/a") == {"x": "2"}


async def test_a_destination_that_may_only_be_written_and_looked_at(life: Life) -> None:
    """With `look: true` as well, `read` on the metadata is enough to refuse, see and put right what others did."""
    life.grant("src", *SOURCE)
    policy = ("secretsync-destination",)
    life.grant("dst", *policy, without=("data", "read"), permissions="Write\n  look: true")
    for key in ("a", "b", "c"):
        life.put(f"payments/{key}", "1")
    life.api.put(life.copies, "payments/c", {"x": "theirs"})
    report = await life.sync(deletionPolicy="Retain")
    assert (counted(report), report.errors) == ({"created": 2, "refused": 1}, [])
    life.api.put(life.copies, "payments/a", {"x": "by hand"})
    life.api.call("DELETE", f"{life.copies}/data/payments/b")
    checked = await life.world.check()
    assert reasons(checked.drifted) == {
        "payments/a": "drifted",
        "payments/b": "removed-outside",
    }
    assert counted(await life.sync(deletionPolicy="Retain")) == {"updated": 1, "created": 1, "refused": 1}
    told = {key: life.api.get(life.copies, f"payments/{key}") for key in ("a", "b", "c")}
    assert told == {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"x": "theirs"}}


@pytest.mark.parametrize("life", [1], indirect=True)
async def test_version_1_shows_only_what_is_there(life: Life) -> None:
    """Without versions, `look: true` shows which keys there are: nothing is deleted there."""
    life.grant("src", "secretsync-source-v1")
    life.grant("dst", "secretsync-destination-v1", permissions="Write\n  look: true")
    for key in ("a", "b"):
        life.put(f"payments/{key}", "1")
    life.api.put(life.copies, "payments/b", {"x": "theirs"}, version=1)
    for told in ({"created": 1, "refused": 1}, {"unchanged": 1, "refused": 1}):
        assert counted(await life.sync()) == told
    life.drop("payments/a")
    life.drop("payments/b")
    report = await life.sync()
    assert {each.change.key: each.code for each in report.failures}["payments/a"] == "cannot-see"
    assert "there is no telling whether it has changed since this job wrote it" in str(report.failures)
    life.put("payments/a", "1")
    life.api.call("DELETE", f"{life.copies}/payments/a")
    assert reasons((await life.world.check()).drifted) == {"payments/a": "removed-outside"}
    assert counted(await life.sync()) == {"created": 1}


async def test_without_the_policy_default(life: Life) -> None:
    """A token without the policy `default` does all of it with what the page says to grant instead."""
    without = "secretsync-without-default"
    life.grant("src", *SOURCE, without, no_default_policy=True)
    life.grant("dst", *DEST, without, no_default_policy=True)
    assert await whole_life(life, ownership="{mark: true}") == WELL
