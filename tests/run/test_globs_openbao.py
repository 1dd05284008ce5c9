"""A query with globs asks a real OpenBao for what it selects, and for nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from support.faulty_http import FaultyHttp

from run.world import counted, reasons
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry
from secretsync_core.schema.job import QuerySelector
from secretsync_core.schema.keys import QueryMatcher
from secretsync_core.selection import Selection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import MakeToken, Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer

NARROW = """
path "{mount}/data/teams/+/prod/*" {{ capabilities = ["read"] }}
path "{mount}/metadata/teams/" {{ capabilities = ["list"] }}
path "{mount}/metadata/teams/+/prod/*" {{ capabilities = ["read", "list"] }}
"""
SCAN = 'path "{mount}/detailed-metadata/teams/+/prod/*" {{ capabilities = ["list", "scan"] }}\n'

WANTED = ("teams/a/prod/db", "teams/a/prod/deep/er/api", "teams/b/prod/db")
OTHERS = ("teams/a/dev/db", "teams/c/dev/prod/db", "teams/c/notes", "teams/db", "else/prod/db")


class Source:
    """The store ``src`` of a world: a mount of a real server, behind a proxy that keeps what was asked."""

    def __init__(
        self, world: World, server: OpenBaoServer, api: Api, mount: str, proxy: FaultyHttp, version: int
    ) -> None:
        self.world, self.server, self.api, self.mount, self.proxy, self.version = (
            world,
            server,
            api,
            mount,
            proxy,
            version,
        )
        for key in (*WANTED, *OTHERS):
            self.put(key)

    def put(self, key: str) -> None:
        self.api.put(self.mount, key, {"v": key}, version=self.version)

    def use(self, token: str) -> None:
        """Read with this token."""
        section = f"address: '{self.proxy.address}', auth: {{token: {{value: '{token}'}}}}, mount: {self.mount}"
        self.world.store("src", f"vault: {{{section}, kvVersion: {self.version}}}")
        self.token = token

    def asked(self, *, but: str = "^$") -> list[str]:
        """What was asked of the mount since the last time, ``but`` for what matches this."""
        paths = sorted(
            f"{each.method} {each.path.removeprefix(f'/v1/{self.mount}/')}"
            for each in self.proxy.requests
            if each.path.startswith(f"/v1/{self.mount}/") and not re.search(but, f"{each.method} {each.path}")
        )
        self.proxy.requests.clear()
        return paths

    def refused(self, asked: list[str]) -> list[str]:
        """Which of these requests the server denies to the token."""
        own = type(self.api)(self.server.address, self.token)
        denied = [line for line in asked if own.ask(line.split()[0], f"{self.mount}/{line.split()[1]}").status == 403]
        own.close()
        return denied


@pytest.fixture
async def proxy(openbao: OpenBaoServer) -> AsyncIterator[FaultyHttp]:
    """What stands before the server and keeps what was asked."""
    async with FaultyHttp(openbao.address) as running:
        yield running


@pytest.fixture
def source(world: World, openbao: OpenBaoServer, api: Api, mount: Mount, proxy: FaultyHttp) -> Source:
    """A mount of version 2 with secrets of three teams."""
    return Source(world, openbao, api, mount(openbao), proxy, 2)


@pytest.mark.parametrize(
    ("policy", "listing"),
    [
        (
            NARROW + SCAN,
            ["LIST metadata/teams/", *(f"SCAN detailed-metadata/teams/{team}/prod/" for team in "abc")],
        ),
        (
            NARROW,
            ["GET metadata/teams/a/prod/db", "GET metadata/teams/a/prod/deep/er/api", "GET metadata/teams/b/prod/db",
             *(f"LIST metadata/teams/{path}" for path in ("", "a/prod/", "a/prod/deep/", "a/prod/deep/er/", "b/prod/",
                                                          "c/prod/"))],
        ),
    ],
    ids=["scan", "list"],
)  # fmt: skip
async def test_the_least_privilege_is_enough(
    source: Source, openbao: OpenBaoServer, make_token: MakeToken, policy: str, listing: list[str]
) -> None:
    """With a token for ``teams/+/prod/*`` alone the run is green, and asks for no team's other folders."""
    source.use(make_token(openbao, policy.format(mount=source.mount)))
    if "scan" not in policy:  # as HashiCorp Vault, which has no SCAN
        source.proxy.answer("^SCAN |scan=true", 405)
    source.world.job("- {name: prod, query: {path: 'teams/*/prod/**'}}")
    report = await source.world.sync()
    assert report.ok
    assert counted(report) == {"created": 3}
    assert sorted(await source.world.all("dst")) == sorted(WANTED)
    assert source.refused(source.asked(but="SCAN|scan=" if "scan" not in policy else "^$")) == []
    assert counted(await source.world.sync()) == {"unchanged": 3}
    assert source.asked(but="SCAN|scan=" if "scan" not in policy else "^$") == sorted(listing)


async def test_scan_is_tried_once_where_it_is_denied(
    source: Source, openbao: OpenBaoServer, make_token: MakeToken
) -> None:
    """A SCAN needs a right of its own; without it one request is denied, however many folders there are."""
    source.use(make_token(openbao, NARROW.format(mount=source.mount)))
    source.world.job("- {name: prod, query: {path: 'teams/*/prod/**'}}")
    assert (await source.world.sync()).ok
    assert len([line for line in source.asked() if line.startswith("SCAN")]) == 1


async def test_a_name_at_the_end_is_looked_at_and_not_listed(
    source: Source, openbao: OpenBaoServer, make_token: MakeToken
) -> None:
    """``teams/*/prod/db`` needs the right to list the teams, and to read that one key of each."""
    policy = """
path "{mount}/data/teams/+/prod/db" {{ capabilities = ["read"] }}
path "{mount}/metadata/teams/" {{ capabilities = ["list"] }}
path "{mount}/metadata/teams/+/prod/db" {{ capabilities = ["read"] }}
"""
    source.use(make_token(openbao, policy.format(mount=source.mount)))
    source.world.job("- {name: db, query: {path: 'teams/*/prod/db'}}")
    report = await source.world.sync()
    assert report.ok
    assert sorted(await source.world.all("dst")) == ["teams/a/prod/db", "teams/b/prod/db"]
    asked = source.asked()
    assert source.refused(asked) == []
    assert [line for line in asked if "data/teams" in line and "metadata" in line] == [
        *(f"GET metadata/teams/{team}/prod/db" for team in "abc"), "LIST metadata/teams/",
    ]  # fmt: skip


async def test_what_is_excluded_is_neither_listed_nor_looked_at(source: Source) -> None:
    """A folder that ``exclude`` covers is not listed, a key not looked at, and one SCAN of it all is not made."""
    source.use(source.server.root_token)
    source.world.job(
        "- {name: rest, query: {path: teams, recursive: true, exclude: ['teams/*/prod', '**/notes', teams/db]}}"
    )
    assert (await source.world.sync()).ok
    assert sorted(await source.world.all("dst")) == ["teams/a/dev/db", "teams/c/dev/prod/db"]
    asked = source.asked()
    assert [line for line in asked if re.search("^SCAN|/teams/./prod|notes|teams/db", line)] == []


async def test_an_expression_that_rules_out_a_folder_keeps_the_walk_out_of_it(
    source: Source, openbao: OpenBaoServer, make_token: MakeToken
) -> None:
    """Where folders are walked, expressions that rule out a whole folder prune it, and the run is green."""
    policy = NARROW.replace('/metadata/teams/"', '/metadata/teams/+/"') + NARROW
    source.use(make_token(openbao, policy.format(mount=source.mount)))
    source.world.job("- {name: a, query: {path: teams, recursive: true, key: {regexp: ^a/prod/}}}")
    report = await source.world.sync()
    assert (report.ok, report.errors) == (True, [])
    assert sorted(await source.world.all("dst")) == ["teams/a/prod/db", "teams/a/prod/deep/er/api"]
    source.world.job("- {name: a, query: {path: teams, recursive: true, key: {exclude: ['/dev/', ^c/, '^[^/]+$']}}}")
    report = await source.world.sync()
    assert (report.ok, report.errors) == (True, [])
    assert len(await source.world.all("dst")) == 3


async def test_a_folder_that_may_not_be_listed_is_told_once(
    source: Source, openbao: OpenBaoServer, make_token: MakeToken
) -> None:
    """However many folders are closed, an item has one error about them; it names some and says what to do."""
    for team in "defgh":
        source.put(f"teams/{team}/prod/db")
    policy = NARROW.replace("+/prod", "a/prod")
    source.use(make_token(openbao, policy.format(mount=source.mount)))
    source.world.job("- {name: prod, query: {path: 'teams/*/prod/**'}}")
    report = await source.world.sync()
    (error,) = report.errors
    assert error.code == "access-denied"
    assert "teams/b/prod/" in error.message
    assert "teams/c/prod/, teams/d/prod/, teams/e/prod/ and 3 more" in error.message
    assert "exclude" in error.hint
    assert counted(report) == {"created": 2}


async def test_a_hole_keeps_all_of_its_item(source: Source, openbao: OpenBaoServer, make_token: MakeToken) -> None:
    """While a folder may not be listed nothing of the item is deleted; a query that keeps out of it has no hole."""
    world = source.world
    source.use(source.server.root_token)
    source.put("teams/b/dev/db")  # so that the team's folder stays
    world.job("- {name: prod, query: {path: 'teams/*/prod/**'}}", deletionPolicy="Delete", maxDelete="5")
    assert (await world.sync()).ok
    policy = NARROW.replace("metadata/teams/+", "metadata/teams/a")
    source.use(make_token(openbao, policy.format(mount=source.mount)))
    for key in ("teams/a/prod/db", "teams/b/prod/db"):
        source.api.call("DELETE", f"{source.mount}/metadata/{key}")
    report = await world.sync()
    assert not report.ok
    assert sorted(await world.all("dst")) == list(WANTED)
    world.job("- {name: prod, query: {path: 'teams/a/prod/**'}}", deletionPolicy="Delete", maxDelete="5")
    assert (await world.sync()).ok
    assert sorted(await world.all("dst")) == ["teams/a/prod/deep/er/api"]


@pytest.mark.parametrize("path", ["teams/*/prod/**", "teams/*/prod/db", "teams/?/prod/"])
async def test_version_1_walks_as_version_2_does(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, proxy: FaultyHttp, make_token: MakeToken, path: str
) -> None:
    """In KV version 1, too, no folder is listed that cannot match, and the rights to those that can are enough."""
    source = Source(world, openbao, api, mount(openbao, 1), proxy, 1)
    policy = f"""
path "{source.mount}/teams/" {{ capabilities = ["list"] }}
path "{source.mount}/teams/+/prod/*" {{ capabilities = ["read", "list", "scan"] }}
"""
    source.use(make_token(openbao, policy))
    world.job(f"- {{name: prod, query: {{path: '{path}'}}}}")
    report = await world.sync()
    assert (report.ok, report.errors) == (True, [])
    taken = [key for key in WANTED if "deep" not in key or path.endswith("**")]
    assert sorted(await world.all("dst")) == taken
    assert source.refused(source.asked()) == []


async def test_queries_of_one_place_are_one_walk(source: Source) -> None:
    """Two items whose globs begin in one folder list it once; each takes its own."""
    source.use(source.server.root_token)
    source.world.job("- {name: prod, query: {path: 'teams/*/prod/**'}}\n- {name: dev, query: {path: 'teams/*/dev/*'}}")
    report = await source.world.sync()
    assert {item: dict(counts) for item, counts in report.counts.items()} == {
        "prod": {"created": 3}, "dev": {"created": 1},
    }  # fmt: skip
    assert source.asked().count("LIST metadata/teams/") == 1
    assert reasons(report.failures) == {}


OUT = (
    "..", ".", "../sys", "a/..", "a/../..", "teams/../../sys", "teams/./a", "teams//a", "*/../sys", "teams/*/../x",
    "teams/*/..", "teams/*/../*", "teams/*/../x/", "*/../**", "teams/*/./x", "teams/*//prod", "../*", "a/../*",
    "../**", "**/../x", "teams/a\0b", "*/a\0b/c",
)  # fmt: skip


async def test_what_leads_out_of_the_mount_is_not_asked_for(source: Source) -> None:
    """Folders that no key can be in are refused by name: a proxy might resolve ``..``. So are documents with them."""
    source.use(source.server.root_token)
    store = await source.world.handle("src")
    for path in OUT:
        query = QuerySelector(path=path, recursive=not set(path) & set("*?"))
        selection = Selection([QueryMatcher(query).rule])
        if path == "**/../x":  # what is there is listed, and nothing of it is called so
            found = [each async for each in store.select(selection, metadata=False)]
            assert [each for each in found if isinstance(each, Entry) and selection.takes(each.key)] == []
        else:
            with pytest.raises(InvalidSecret, match=r"^src (has no folder|cannot hold the key) "):
                assert not [each async for each in store.select(selection, metadata=False)]
    for line in source.asked():
        parts = unquote(line.split(" ")[1].partition("?")[0]).removesuffix("/").split("/")
        assert not {"", ".", "..", "a\0b"} & set(parts), line
