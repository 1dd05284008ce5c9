"""The whole topology, with real processes: nothing of what secrets and credentials hold is left anywhere.

A webserver, a daemon, a code location and their run workers, over SQLite and over PostgreSQL, between real servers,
through a proxy that repeats in its errors what it was sent. What is searched: every file of DAGSTER_HOME (the event
log, run storage, IO manager, compute logs, and what each program prints), the documents and the ledger beside them,
every table of PostgreSQL, what the UI's own GraphQL tells, and the command lines of all programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from support.faulty_http import proxy_before
from support.http import Api
from support.postgres import postgres

from secretsync_core.demo.ui import WebUi
from secretsync_core.testing.canaries import Canary, canary, find_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import MakeToken, Mount
    from support.postgres import Postgres

    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "cli" / "plugin"
ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "scan"] }'
ERRORS = {"denied": 403, "down": 503, "limited": 429, "conflict": 400, "large": 413, "html": 200}
"""How the proxy answers writes, by the plan item that meets it: a body that repeats the value, with this status."""
PLAIN = ("one", "two")
_ENTRIES = """metadataEntries { label description
    ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr } ... on JsonMetadataEntry { jsonString }
    ... on TableMetadataEntry { table { records } } }"""
_EVENTS = f"""query($run: ID!) {{ logsForRun(runId: $run) {{ ... on EventConnection {{ events {{ __typename
  ... on MessageEvent {{ stepKey message }}
  ... on ErrorEvent {{ error {{ message stack className causes {{ message stack }} }} }}
  ... on ExecutionStepFailureEvent {{ failureMetadata {{ label description {_ENTRIES} }} }}
  ... on DisplayableEvent {{ label description {_ENTRIES} }}
}} }} }} runOrError(runId: $run) {{ ... on Run {{ runConfigYaml tags {{ key value }} }} }} }}"""
_PAGES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  jobs { name description metadataEntries { label description ... on TextMetadataEntry { text } } }
  schedules { name description } sensors { name description }
  assetNodes { assetKey { path } description metadataEntries { label ... on TextMetadataEntry { text } } } } } } }"""
_RUNS = """{ runsOrError { ... on Runs { results { runId status jobName } } } }"""


class Place:
    """Documents full of canaries, the servers that they speak of, and everywhere that a canary must not be."""

    def __init__(self, root: Path, source: OpenBaoServer, dest: OpenBaoServer, mount: Mount, token: MakeToken) -> None:
        self.root, self.config = root, root / "secretsync"
        self.config.mkdir(parents=True)
        self.mounts = mount(source), mount(dest)
        items = (*ERRORS, *PLAIN)
        self.canaries = [canary(item) for item in items]
        api = Api(source.address, source.root_token)
        for item, each in zip(items, self.canaries, strict=True):
            api.call("POST", f"{self.mounts[0]}/data/{item}/key", {"data": {"password": each.text}})
        self.canaries += [self._token(api, "read"), self._token(Api(dest.address, dest.root_token), "write")]
        hook = Canary("hook", f"xx{secrets.token_hex(16)}xxxx")
        # Against all advice, in a document itself; whoever may read that file sees it, and nobody else.
        self.literal = Canary("literal", f"xx{secrets.token_hex(16)}xxxx")
        reading, writing = self.canaries[-2:]
        self.canaries += [hook, self.literal]
        (root / "write.token").write_text(writing.text)
        (root / "write.token").chmod(0o600)
        # Nobody listens there: the notification is tried, and its failure is told.
        self.environ = {"READ_TOKEN": reading.text, "HOOK_URL": f"http://127.0.0.1:9/{hook.text}"}
        self.addresses = source.address, dest.address

    def _token(self, api: Api, label: str) -> Canary:
        """A token that is a canary."""
        made = Canary(label, f"xx{secrets.token_hex(16)}xxxx")
        api.call("POST", "sys/policies/acl/canary", {"policy": ALL})
        api.call("POST", "auth/token/create", {"id": made.text, "policies": ["canary"]})
        api.close()
        return made

    def write(self, echoing_source: str, echoing_dest: str) -> None:
        """Write the documents."""
        read, write = {"env": "READ_TOKEN"}, {"file": str(self.root / "write.token")}
        stores = {
            "main": _vault(self.addresses[0], self.mounts[0], read),
            "main-echoing": _vault(echoing_source, self.mounts[0], read),
            "local": _vault(self.addresses[1], self.mounts[1], write),
            "local-echoing": _vault(echoing_dest, self.mounts[1], write),
            "slow": {"trouble": {"path": str(self.root / "slow"), "delay": 2.0}},
            "buggy": {"trouble": {"path": str(self.root / "buggy"), "fail": {"write one/key": "quote"}}},
        }
        for name in ("slow", "buggy"):
            (self.root / name).mkdir()
        plain = [_item(item) for item in PLAIN]
        jobs: dict[str, dict[str, Any]] = {
            "good": {"source": "main", "dest": "local", "plan": plain, "driftCheck": {"schedule": "* * * * *"}},
            "echoes": {"source": "main", "dest": "local-echoing", "plan": [_item(item) for item in ERRORS]},
            "unreadable": {"source": "main-echoing", "dest": "local", "plan": [_item("one", "unreadable/{{ name }}")]},
            "crashes": {"source": "main", "dest": "slow", "plan": plain, "limits": {"concurrency": 1}},
            "buggy": {"source": "main", "dest": "buggy", "plan": plain},
        }
        for spec in jobs.values():
            headers = {"Authorization": {"value": self.literal.text}}
            spec["notify"] = [{"webhook": {"url": {"env": "HOOK_URL"}, "headers": headers}}]
        documents = [_document("SecretStore", name, {"provider": provider}) for name, provider in stores.items()]
        documents += [_document("SyncJob", name, spec) for name, spec in jobs.items()]
        (self.config / "all.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "secretsync.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _vault(address: str, mount: str, token: dict[str, str]) -> dict[str, Any]:
    return {"vault": {"address": address, "mount": mount, "auth": {"token": token}}}


def _item(name: str, template: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "query": {"path": name}}
    return made | ({"keyTransform": [{"template": template}]} if template else {})


class Running:
    """The programs, and what goes on in them."""

    def __init__(self, ui: WebUi, place: Place) -> None:
        self.ui, self.place = ui, place

    def run_everything(self) -> dict[str, str]:
        """Let everything go well and wrong that can; gives how each run ended, by what it was."""
        first = self.ui.launch("good")
        runs = {name: self.ui.launch(name) for name in ("echoes", "crashes", "buggy", "unreadable")}
        self._kill_in_the_middle(runs["crashes"])
        ended = {"good": self.ui.wait_for(first, 300)}
        for name, config in (("dry", {"dryRun": True}), ("verify", {"verify": True})):
            ended[name] = self.ui.wait_for(self.ui.launch("good", **config), 300)
        ended |= {name: self.ui.wait_for(run, 300) for name, run in runs.items()}
        ended["drift check"] = self._wait_for_a_run_of("good_drift")
        return ended

    def _kill_in_the_middle(self, run: str) -> None:
        """Kill a run's worker once it has written something."""
        wrote = self.place.root / "slow"
        deadline = time.monotonic() + 240
        while not list(wrote.rglob("key")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        events = self.ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
        pids = [re.search(r"pid: (\d+)", str(event.get("message"))) for event in events]
        (pid,) = {int(found[1]) for found in pids if found}
        os.kill(pid, signal.SIGKILL)

    def _wait_for_a_run_of(self, job: str) -> str:
        """The daemon starts it, every minute."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            for run in self.ui.graphql(_RUNS)["runsOrError"]["results"]:
                if run["jobName"] == job and run["status"] in ("SUCCESS", "FAILURE"):
                    return str(run["status"])
            time.sleep(1)
        raise AssertionError(f"the daemon started no {job}")

    def told(self) -> str:
        """All that the UI is told of all runs, jobs and assets, as one text."""
        runs = self.ui.graphql(_RUNS)["runsOrError"]["results"]
        found = [self.ui.graphql(_EVENTS, run=run["runId"]) for run in runs]
        return json.dumps([*found, self.ui.graphql(_PAGES)], ensure_ascii=False)

    def command_lines(self) -> str:
        """The command line of every program on this machine."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return "\n".join(found)


@contextlib.contextmanager
def _topology(place: Place, database: Postgres | None) -> Iterator[Running]:
    """Start everything. Over SQLite compute logs are kept, so that what steps print is looked through as well."""
    settings = yaml.safe_load((ROOT / ("deploy/dagster" if database else "") / "dagster.yaml").read_text())
    environ = os.environ | place.environ | {"PYTHONPATH": str(PLUGIN)}
    if database:
        environ |= database.environ | {"SECRETSYNC_LEDGER": database.url}
    else:
        del settings["compute_logs"]
    with contextlib.ExitStack() as stack:
        source, dest = (stack.enter_context(proxy_before(address)) for address in place.addresses)
        for item, status in ERRORS.items():
            busy = {"Retry-After": "3600"} if status == 429 else None  # longer than anybody waits
            dest.answer(f"^(POST|PUT) .*/data/{item}/", status, b'{"errors":["refused: ', headers=busy, echo=True)
        shown = " ".join(each.text for each in place.canaries).encode()
        source.answer("^GET .*/data/", 403, b'{"errors":["' + shown + b'"]}', echo=True)
        place.write(source.address, dest.address)
        ui = stack.enter_context(
            WebUi(place.root / "home", config=place.config, environ=environ, settings=yaml.safe_dump(settings))
        )
        running = Running(ui.wait(), place)
        yield running
        assert dest.count("^(POST|PUT) .*/data/") >= len(ERRORS)
        assert source.count("^GET .*/data/")


@pytest.fixture
def place(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, make_token: MakeToken
) -> Place:
    """Documents and servers."""
    return Place(tmp_path / "place", openbao, openbao_dest, mount, make_token)


ENDED = {
    "good": "SUCCESS", "dry": "SUCCESS", "verify": "SUCCESS", "drift check": "SUCCESS",
    "echoes": "FAILURE", "crashes": "FAILURE", "buggy": "FAILURE", "unreadable": "FAILURE",
}  # fmt: skip


def _search(place: Place, running: Running, told: str, lines: str) -> None:
    home = place.root / "home"
    assert find_in(told, place.canaries) == []
    assert find_in(lines, place.canaries) == []
    assert find_in(home, place.canaries) == []
    assert {found.canary for found in find_in(place.config / "all.yaml", place.canaries)} == {"literal"}
    assert find_in(place.config / ".secretsync", place.canaries) == []
    # There was something to look through, and each of the faults was met.
    assert (home / "code.log").stat().st_size > 0
    assert any((home / "storage").rglob("shards/*")), "the IO manager kept nothing"
    assert "store buggy failed with an unexpected ValueError" in told
    in_tables = set(re.findall(r"(\w+)/key\W+result\W+(?:failed|refused|uncertain)", told))
    assert set(ERRORS) <= in_tables


@pytest.mark.nightly
def test_over_sqlite(place: Place) -> None:
    """SQLite under DAGSTER_HOME, with compute logs kept."""
    with _topology(place, None) as running:
        assert running.run_everything() == ENDED
        told, lines = running.told(), running.command_lines()
    _search(place, running, told, lines)
    home = place.root / "home"
    assert list(home.rglob("*.db"))
    assert list(home.rglob("compute_logs/*")), "no compute logs were kept"
    assert (place.config / ".secretsync" / "ledger.db").exists()


def test_over_postgres(place: Place) -> None:
    """Dagster's storage and the ledger in PostgreSQL, with the settings under deploy/: no table holds anything."""
    with postgres() as database:
        with _topology(place, database) as running:
            assert running.run_everything() == ENDED
            told, lines = running.told(), running.command_lines()
        _search(place, running, told, lines)
        dump = database.dump()
        held = {name: len(rows.splitlines()) for name, rows in dump.items()}
        assert held["public.event_logs"] > 100
        assert held["public.runs"] >= len(ENDED)
        assert held["secretsync.ledger"] > 10
        assert {name: found for name, rows in dump.items() if (found := find_in(rows, place.canaries))} == {}
        # A control: what a table holds is found, as text and as bytes.
        with psycopg.connect(database.url) as connection:
            connection.execute("CREATE TABLE leak (a text, b bytea)")
            for text, data in ((place.canaries[0].text, b""), ("", place.canaries[0].data)):
                connection.execute("TRUNCATE leak")
                connection.execute("INSERT INTO leak VALUES (%s, %s)", (text, data))
                connection.commit()
                assert find_in(database.dump()["public.leak"], place.canaries)
