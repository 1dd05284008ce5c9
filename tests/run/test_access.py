"""What a policy does not permit is found before a sync fails of it: by ``health``, and key by key by ``plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.faulty_http import FaultyHttp

from run.test_health import documents, look, vault
from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run import access, steps
from secretsync_core.run.options import Options
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conftest import MakeToken, Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.run.done import Planned

QUERY = {"query": {"path": "app/", "recursive": True}}
READS = """
path "{0}/data/app/*" {{ capabilities = ["read"] }}
path "{0}/metadata/app/*" {{ capabilities = ["read", "list"] }}
"""
BLIND = """
path "{0}/data/app/*" {{ capabilities = ["read"] }}
path "{0}/metadata/app/*" {{ capabilities = ["list"] }}
"""
WRITES_ONE = """
path "{0}/data/app/*" {{ capabilities = ["create", "read"] }}
path "{0}/data/app/k1" {{ capabilities = ["read"] }}
path "{0}/metadata/app/*" {{ capabilities = ["read"] }}
"""
NO_QUESTIONS = """
path "sys/capabilities-self" {{ capabilities = ["deny"] }}
"""


class Pair:
    """A source and a destination in OpenBao, and tokens for them."""

    def __init__(self, path: Path, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken) -> None:
        self.path, self.openbao, self.api = path, openbao, api
        self.source, self.dest = mount(openbao), mount(openbao)
        self._make_token = make_token

    def token(self, mount: str, policy: str) -> str:
        return self._make_token(self.openbao, policy.format(mount))

    def documents(self, source: str = "", dest: str = "", *plan: dict[str, Any], **spec: Any) -> Any:
        """The documents, with tokens of these policies; as root where there is none."""
        permissions = spec.pop("permissions", "ReadWrite")
        address = spec.pop("address", self.openbao.address)
        stores = {
            name: vault(address, mount, self.token(mount, policy) if policy else self.openbao.root_token)
            for name, mount, policy in (("source", self.source, source), ("dest", self.dest, dest))
        }
        stores["source"]["permissions"] = "Read"
        stores["dest"]["permissions"] = permissions
        return documents(self.path, stores, *(plan or (QUERY,)), **spec)

    async def plan(self, found: Any, *, render: bool = True) -> Planned:
        return await steps.plan(found.jobs["job"], found, None, environ={}, options=Options(render=render))


@pytest.fixture
def pair(tmp_path: Path, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken) -> Pair:
    """With two secrets at the source."""
    pair = Pair(tmp_path, openbao, api, mount, make_token)
    for key in ("app/k1", "app/k2"):
        api.put(pair.source, key, {"a": "1"})
    return pair


async def test_health_finds_a_destination_that_may_only_be_read(pair: Pair) -> None:
    """It lists and looks, and still a sync would fail: the error says what is missing, and where."""
    found = await look(pair.documents(dest=READS, deletionPolicy="Delete"))
    error = found["dest"].error
    assert error is not None
    assert error.code == "access-denied"
    assert error.message == "dest would not let us create, update and delete app/*"
    grants = [f"{act} on {pair.dest}/data/app/*" for act in ("create", "update", "delete")]
    assert error.hint == f"grant {', '.join(grants)}"
    assert found["source"].error is None
    assert found["source"].warnings == []
    assert sum(found["dest"].requests.values()) <= 5


async def test_health_asks_only_for_what_the_jobs_do(pair: Pair) -> None:
    """Without deletes, updates or reads in the documents, nobody misses their permissions; nor where we may not ask."""
    plan = {"secret": {"key": "app/k1"}, "writePolicy": "IfNotExists"}
    policy = 'path "{0}/data/app/k1" {{ capabilities = ["create"] }}\n'
    assert (await look(pair.documents("", policy, plan, permissions="Write")))["dest"].error is None
    plan["writePolicy"] = "Managed"
    error = (await look(pair.documents("", policy, plan, permissions="Write")))["dest"].error
    assert error is not None
    assert error.hint == f"grant update on {pair.dest}/data/app/k1"
    silent = policy + NO_QUESTIONS
    assert (await look(pair.documents("", silent, plan, permissions="Write")))["dest"].error is None


async def test_health_tells_of_hidden_versions(pair: Pair) -> None:
    """A source whose metadata may not be read is well, with a warning: every run reads all of it."""
    found = await look(pair.documents(source=BLIND))
    assert found["source"].error is None
    (warning,) = found["source"].warnings
    assert warning == (
        "source does not let us see the versions of its secrets, so that every run reads their values"
        f" (grant read on {pair.source}/metadata/app/*)"
    )
    scans = BLIND + 'path "{0}/detailed-metadata/app/*" {{ capabilities = ["list", "scan"] }}'
    assert (await look(pair.documents(source=scans)))["source"].warnings == []


async def test_a_plan_refuses_what_the_destination_would_refuse(pair: Pair) -> None:
    """Key by key, with what to grant, by one request; the rest of the plan stays as it is."""
    async with FaultyHttp(pair.openbao.address) as proxy:
        planned = await pair.plan(pair.documents(dest=WRITES_ONE, address=proxy.address))
        assert proxy.count("capabilities-self") == 2  # one for each store
    assert [(change.key, change.action.value, change.reason.value, change.detail) for change in planned.changes] == [
        ("app/k1", "refuse", "not-permitted", f"grant create on {pair.dest}/data/app/k1 in dest"),
        ("app/k2", "create", "new", ""),
    ]
    assert (planned.warnings, planned.errors) == ([], [])
    planned = await pair.plan(pair.documents())
    assert [change.action.value for change in planned.changes] == ["create", "create"]


async def test_a_plan_asks_the_source_for_what_it_has_not_read(pair: Pair) -> None:
    """A value that only the sync would read is found to be out of reach."""
    policy = 'path "{0}/metadata/app/*" {{ capabilities = ["read", "list"] }}'
    planned = await pair.plan(pair.documents(source=policy), render=False)
    assert [change.detail for change in planned.changes] == [
        f"grant read on {pair.source}/data/app/{key} in source" for key in ("k1", "k2")
    ]


async def test_a_plan_tells_of_hidden_versions_once(pair: Pair) -> None:
    """One warning, however many secrets there are; with the versions shown there is none."""
    (warning,) = (await pair.plan(pair.documents(source=BLIND))).warnings
    assert warning == (
        "source does not let us see the versions of 2 secrets, so that every run reads their values"
        f" (grant read on {pair.source}/metadata/app/*)"
    )
    assert (await pair.plan(pair.documents(source=READS))).warnings == []


async def test_hidden_versions_of_a_glob_are_told_where_they_are(pair: Pair) -> None:
    """What to grant is where the glob has led to, and not all that is beside it."""
    top = 'path "{0}/metadata/" {{ capabilities = ["list"] }}'
    query = {"query": {"path": "*/k?"}}
    (warning,) = (await pair.plan(pair.documents(BLIND + top, "", query))).warnings
    assert warning.endswith(
        f"the versions of 2 secrets, so that every run reads their values (grant read on {pair.source}/metadata/app/*)"
    )
    assert (await pair.plan(pair.documents(READS + top, "", query))).warnings == []


async def test_a_plan_believes_a_server_that_does_not_tell(pair: Pair) -> None:
    """Where we may not ask, or something else answers, it is as before: nothing is known, nothing refused."""
    planned = await pair.plan(pair.documents(dest=WRITES_ONE + NO_QUESTIONS))
    assert [change.action.value for change in planned.changes] == ["create", "create"]
    for status, body in ((200, b"<html>"), (200, b'{"data":{"x":5}}'), (404, b"")):
        async with FaultyHttp(pair.openbao.address) as proxy:
            proxy.answer("capabilities-self", status, body)
            planned = await pair.plan(pair.documents(dest=WRITES_ONE, address=proxy.address))
            assert planned.errors == []


def test_the_most_telling_come_first() -> None:
    """One of each act in each folder comes before the second of any; none twice, and so many at the most."""
    keys = [f"{folder}/{number}" for folder in "ab" for number in range(80)]
    wanted = [Access(act, key) for key in keys for act in (Act.CREATE, Act.READ)]
    asked = access.most_telling([*wanted, *wanted])
    assert len(asked) == access.MOST == len(set(asked))
    assert {(act, key) for act, key in asked[:4]} == {
        (act, f"{folder}/0") for folder in "ab" for act in (Act.CREATE, Act.READ)
    }


class Checked(memory.MemoryStore):
    """A store in memory; called ``dst``, it permits nothing at keys with an ``x``, and may not be there to be asked."""

    down = False
    asked: ClassVar[list[Access]] = []

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        if self.facts.name != "dst":
            return []
        self.asked.extend(wanted)
        if self.down:
            raise StoreUnavailable("dst is down", store="dst")
        return [Missing(each, f"{each.act} on {each.key}") for each in wanted if "x" in each.key]


@pytest.fixture
def checked(world: World, monkeypatch: pytest.MonkeyPatch) -> type[Checked]:
    """The stores of the world tell what they permit."""
    monkeypatch.setattr(memory, "MemoryStore", Checked)
    monkeypatch.setattr(Checked, "asked", [])
    return Checked


async def test_a_plan_of_many_keys_asks_for_some(world: World, checked: type[Checked]) -> None:
    """What was not asked about is not refused, and the plan says so."""
    world.job("- {name: all, query: {}}")
    await world.seed("src", {f"x{number:03}": {"a": "1"} for number in range(150)})
    planned = await world.plan()
    assert len(checked.asked) == access.MOST
    assert [change.action.value for change in planned.changes].count("refuse") == access.MOST
    (warning,) = planned.warnings
    assert warning == "dst was asked what it permits for 100 of 150 requests: it may refuse others too"


async def test_a_plan_with_nothing_to_do_asks_nothing(world: World, checked: type[Checked]) -> None:
    """It costs what it did; nor does a sync ask, which finds out by itself."""
    world.job("- {name: all, query: {}}")
    await world.seed("src", {"a": {"a": "1"}})
    assert (await world.sync()).ok
    assert (await world.plan()).changes[0].action.value == "unchanged"
    assert checked.asked == []


async def test_a_plan_is_incomplete_where_nobody_could_be_asked(
    world: World, checked: type[Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that has gone away by then is an error of the plan, which is shown all the same."""
    world.job("- {name: all, query: {}}")
    await world.seed("src", {"x": {"a": "1"}})
    monkeypatch.setattr(checked, "down", True)
    planned = await world.plan()
    assert [change.action.value for change in planned.changes] == ["create"]
    assert [(error.code, error.message) for error in planned.errors] == [("unavailable", "dst is down")]


async def test_a_plan_asks_for_what_each_change_does(world: World, checked: type[Checked]) -> None:
    """An update and a delete are asked for as such; where others' fields stay, a delete is a write."""
    for policy, act in (("Managed", Act.DELETE), ("Merge", Act.UPDATE)):
        world.job("- {name: all, query: {}}", deletionPolicy="Delete", maxDelete="9", writePolicy=policy)
        await world.seed("src", {"gone": {"a": "1"}, "moved": {"a": "1"}, "stays": {"a": "1"}})
        assert (await world.sync()).ok
        await world.remove("src", "gone")
        await world.put("src", "moved", {"a": policy})
        await world.plan()
        assert set(checked.asked) == {Access(act, "gone"), Access(Act.UPDATE, "moved")}
        checked.asked.clear()
        assert (await world.sync()).ok


async def test_what_sets_metadata_alone_is_not_asked_about() -> None:
    """It writes and reads no value, so that a right to do so is not missed."""
    change = Change("item", "dst", "key", Action.UPDATE, Reason.METADATA, (SourceRef("src", "key"),))
    opened: Any = None  # nobody is asked
    assert await access.ask_before([change], (), (), opened) == ([change], [], [])
