"""What only a value or a destination can tell is refused in the plan already, as the sync would refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.kube_api import Rule

from run.truth import compare, reads
from run.world import actions, counted, wrote
from secretsync_core.errors import StoreUnavailable
from secretsync_core.run.foresee import NOT_RENDERED
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from conftest import MakeToken, Mount
    from support.http import Api

    from run.pair import Pair
    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer

ALL = "- {name: all, query: {recursive: true}}"
BROKEN = """
- {name: pin, secret: {key: k, version: '99'}, keyTransform: [{prefix: pin/}]}
- {name: property, secret: {key: k, property: nope}, keyTransform: [{prefix: property/}]}
- {name: template, secret: {key: k}, keyTransform: [{prefix: t/}], valueTransform: [{template: {text: '{{ nope }}'}}]}
- {name: fine, secret: {key: k}}
"""


async def test_what_the_source_cannot_give(world: World) -> None:
    """A version, a property and a template's name that are not there; before the first sync, and after it failed."""
    await world.put("src", "k", {"a": "1"})
    world.job(BROKEN)
    both = await compare(world)
    assert both.refused == {
        "pin/k": "k has no version 99",
        "property/k": "the secret has no property 'nope'",
        "t/k": "valueTransform[0] of item template, text: line 1: 'nope' is undefined",
    }
    assert both.hints.keys() == both.refused.keys()
    again = await compare(world)
    assert again.refused == both.refused
    assert actions(again.planned)["k"] == "unchanged"


async def test_what_fails_otherwise_is_refused_too(world: World) -> None:
    """A source that is out of reach, and a defect in a store, which is told by its type alone."""
    await world.seed("src", {"down": {"x": "1"}, "broken": {"x": "1"}})
    world.job(ALL)
    world.fault("src").fail("read", StoreUnavailable("down", hint="wait"), key="down")
    world.fault("src").fail("read", ValueError("hunter2"), key="broken")
    both = await compare(world)
    assert both.refused["down"] == "down"
    assert both.hints["down"] == "wait"
    assert "hunter2" not in repr(both.planned)


@pytest.mark.parametrize("version", [1, 2])
async def test_what_vault_cannot_hold(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, version: int
) -> None:
    """Bytes, a number beyond 2^53 (in version 2) and a secret over the limit are refused before they are sent."""
    store = f"address: '{api.address}', mount: {mount(openbao, version)}, auth: {{token: {{value: {api.token}}}}}"
    world.store("dst", f"vault: {{{store}}}")
    world.files("src")
    await world.seed("src", {"bytes": b"\xff\xfe", "number": b'{"n": 12345678901234567890}', "fits": b"x"})
    await world.put("src", "large", b"x" * 1_000_000)
    world.job(ALL)
    both = await compare(world)
    assert both.refused.keys() == {"bytes", "large"} | ({"number"} if version == 2 else set())
    assert "and 1,000,000 fit" in both.refused["large"]
    assert "write" not in both.planned.requests["dst"]
    assert counted(both.report)["created"] == 4 - len(both.refused)


async def test_a_mark_that_vault_does_not_let_us_set(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken
) -> None:
    """Where what is created is to be marked, and must not be, the plan says so for the one question of the sync."""
    at = mount(openbao)
    token = make_token(
        openbao,
        f'''path "{at}/data/*" {{ capabilities = ["create", "update", "read"] }}
        path "{at}/metadata/*" {{ capabilities = ["read", "list"] }}''',
    )
    world.store("dst", f"vault: {{address: '{api.address}', mount: {at}, auth: {{token: {{value: {token}}}}}}}")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    world.job(ALL, ownership="{mark: true}")
    both = await compare(world)
    assert set(both.refused.values()) == {"dst does not let us mark what we create"}


async def test_a_version_that_vault_does_not_have_is_named(pair: Pair) -> None:
    """The secret is there, and its version 99 is not: the message says which."""
    pair.put("k", {"a": "1"})
    pair.world.job("- {name: pin, secret: {key: k, version: '99'}}", source="bao")
    both = await compare(pair.world)
    assert both.refused == {"k": "version 99 of k is not in bao"}


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("kubernetes.io/tls", {"tls.crt": "x"}, "tls.key"),
        ("kubernetes.io/dockerconfigjson", {"auth": "x"}, ".dockerconfigjson"),
        ("kubernetes.io/basic-auth", {"token": "x"}, "password, username"),
        ("kubernetes.io/ssh-auth", {"key": "x"}, "ssh-privatekey"),
    ],
)
async def test_what_a_type_of_secret_needs(pair: Pair, kind: str, fields: dict[str, str], told: str) -> None:
    """A Secret without what its type needs is refused, new or not, in the words that the API server's answer gets."""
    pair.k8s(type=kind)
    pair.put("app/new", fields)
    pair.put("app/fine", {"tls.crt": "x", "tls.key": "x", ".dockerconfigjson": "{}", "username": "x",
                          "ssh-privatekey": "x"})  # fmt: skip
    pair.world.job(
        "- {name: app, query: {path: app}, keyTransform: [{regexp: {source: '/', target: '-'}}]}",
        source="bao", dest="k8s",
    )  # fmt: skip
    both = await compare(pair.world)
    assert both.refused.keys() == {"app-new"}
    assert told in both.refused["app-new"]
    pair.put("app/fine", fields)
    both = await compare(pair.world)
    assert both.refused.keys() == {"app-new", "app-fine"}


async def test_what_no_docker_config_is(pair: Pair) -> None:
    """Where a Secret must hold JSON, other bytes are refused in the plan."""
    pair.k8s(type="kubernetes.io/dockerconfigjson")
    pair.put("bad", {".dockerconfigjson": "no JSON"})
    pair.put("good", {".dockerconfigjson": "{}"})
    pair.world.job(ALL, source="bao", dest="k8s")
    both = await compare(pair.world)
    assert both.refused == {"bad": "k8s refuses bad: what is in .dockerconfigjson does not fit"}


async def test_a_secret_that_is_immutable(pair: Pair) -> None:
    """Nobody can change it: refused, with the way out; where it holds the value already, all is well."""
    pair.put("same", {"x": "1"})
    pair.put("other", {"x": "1"})
    pair.create("same", {"x": b"1"}, immutable=True)
    pair.create("other", {"x": b"2"}, immutable=True)
    pair.world.job(ALL, source="bao", dest="k8s", writePolicy="Replace")
    both = await compare(pair.world)
    assert both.refused == {"other": "k8s refuses other: that Secret is immutable"}
    assert actions(both.planned)["same"] == "unchanged"


async def test_a_namespace_that_is_not_there_or_goes(pair: Pair) -> None:
    """What would be created there is refused, for one look at each namespace; what stands there can be updated."""
    pair.kube.cluster.create_namespace("going")
    pair.world.store("k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {pair.kube_auth}}}")
    for key in ("team-a/fine", "going/there"):
        pair.put(key, {"x": "1"})
    pair.world.job(ALL, source="bao", dest="k8s")
    assert (await pair.world.sync()).ok
    pair.kube.cluster.terminate("going")
    pair.put("going/there", {"x": "2"})
    for number in range(3):
        pair.put(f"going/new-{number}", {"x": "1"})
        pair.put(f"absent/new-{number}", {"x": "1"})
    before = len(pair.kube.requests)
    planned = await pair.world.plan()
    looks = [seen.path for seen in pair.kube.requests[before:] if seen.path.startswith("/api/v1/namespaces/")]
    assert sum(path.count("/") == 4 and not path.endswith("kube-system") for path in looks) == 2
    both = await compare(pair.world)
    assert actions(planned) == actions(both.planned)
    assert both.refused == {
        **{f"absent/new-{number}": "k8s has no namespace absent" for number in range(3)},
        **{
            f"going/new-{number}": "k8s takes nothing new in the namespace going: it is being deleted"
            for number in range(3)
        },
    }
    assert counted(both.report)["updated"] == 1


async def test_the_one_namespace_of_a_store(pair: Pair) -> None:
    """A store of one namespace that is not there, or that goes and shows nothing, fails as a whole."""
    pair.put("new", {"x": "1"})
    pair.world.job(ALL, source="bao", dest="k8s")
    pair.k8s(namespace="absent")
    both = await compare(pair.world)
    assert [error.message for error in both.planned.errors] == ["k8s has no namespace absent"]
    pair.k8s()
    pair.kube.cluster.terminate("team-a")
    both = await compare(pair.world)
    assert [error.message for error in both.planned.errors] == [
        "k8s shows nothing in the namespace team-a: it is being deleted"
    ]


async def test_a_namespace_that_cannot_be_looked_at_refuses_nothing(pair: Pair) -> None:
    """The look may be refused, or fail: what it would tell, the write will."""
    verbs = {"get", "list", "create", "update", "delete"}
    blind = pair.kube.token(Rule(verbs))
    pair.put("team-a/new", {"x": "1"})
    pair.world.job(ALL, source="bao", dest="k8s")
    pair.world.store("k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {{token: {{value: {blind}}}}}}}")
    assert actions(await pair.world.plan()) == {"team-a/new": "create"}
    pair.world.store("k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {pair.kube_auth}}}")
    pair.kube.answer("GET /api/v1/namespaces/team-a$", 500, times=None)
    assert actions(await pair.world.plan()) == {"team-a/new": "create"}
    assert (await pair.world.sync()).ok


async def test_files_beside_folders(world: World) -> None:
    """Of two new keys of which one is in the other neither is written; what stands in the way there is told, too."""
    world.files("dst")
    await world.seed("src", {key: {"value": "1"} for key in ("app", "app/db", "file/below", "folder", "fine/a")})
    world.job(ALL)
    await world.put("dst", "file", b"x")
    await world.put("dst", "folder/inner", b"x")
    both = await compare(world)
    assert both.refused.keys() == {"app", "app/db", "file/below", "folder"}
    assert both.refused["file/below"] == "file/below cannot be created: one of its folders is a file"
    assert both.refused["folder"] == "folder is a folder"
    assert all("keyTransform" in hint for hint in both.hints.values())
    assert (await world.all("dst")).keys() == {"file", "folder/inner", "fine/a"}
    assert wrote(both.report) <= 2  # the one that is fine, and the one that only the directory refuses


async def test_a_folder_may_be_a_key_elsewhere(world: World) -> None:
    """Other stores hold a secret and a folder of one name."""
    await world.seed("src", {key: {"value": "1"} for key in ("app", "app/db")})
    world.job(ALL)
    assert (await compare(world)).refused == {}


async def test_a_plan_costs_no_more_reads_than_its_sync(world: World) -> None:
    """Each source is read once for all destinations, and nothing at all where there is nothing to do."""
    world.store("second")
    world.job(ALL, dest="[dst, second]")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(5)})
    both = await compare(world)
    assert reads(both.planned.requests) == reads(both.report.requests) == {"src": 5, "dst": 0, "second": 0}
    both = await compare(world)
    assert not any(reads(both.planned.requests).values())
    assert both.planned.requests == both.report.requests
    await world.put("src", "k1", {"x": "2"})
    both = await compare(world)
    assert reads(both.planned.requests) == reads(both.report.requests) == {"src": 1, "dst": 1, "second": 1}


async def test_without_rendering_no_value_is_read(world: World) -> None:
    """What only values tell stays open, and the plan says so once."""
    broken = "- {name: t, secret: {key: k0}, keyTransform: [{prefix: t/}], encoding: base64}"
    world.job(f"{ALL}\n{broken}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(3)})
    await world.put("dst", "k1", {"x": "theirs"})
    planned = await world.plan(render=False)
    assert not any(reads(planned.requests).values())
    assert actions(planned) == {"k0": "create", "k1": "compare", "k2": "create", "t/k0": "create"}
    assert planned.warnings == [NOT_RENDERED]
    assert NOT_RENDERED not in (await world.plan()).warnings


async def test_a_plan_holds_few_values_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many secrets there are, values live only while their key is looked at."""
    world.job(ALL, limits="{concurrency: 2}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(120)})
    alive = most = 0
    original = SecretValue.__init__

    def born(self: SecretValue, *arguments: Any) -> None:
        nonlocal alive, most
        original(self, *arguments)
        alive += 1
        most = max(most, alive)

    def gone(_: SecretValue) -> None:
        nonlocal alive
        alive -= 1

    monkeypatch.setattr(SecretValue, "__init__", born)
    monkeypatch.setattr(SecretValue, "__del__", gone, raising=False)
    planned = await world.plan()
    monkeypatch.undo()
    assert set(actions(planned).values()) == {"create"}
    assert 0 < most <= 30
