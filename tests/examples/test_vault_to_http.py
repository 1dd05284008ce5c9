"""The examples for Vercel, Netlify, Cloudflare and Doppler, against fakes that the services' own descriptions judge."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cli.conftest import Cli
from run.world import World, actions, counted, reasons, wrote
from support.rest.services import TOKEN, Cloudflare, Doppler, Netlify, Service, Vercel

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = EXAMPLES / "vault-to-http"
DOCUMENTS: dict[str, dict[str, Any]] = {
    document["metadata"]["name"]: document for document in yaml.safe_load_all((EXAMPLE / "secretsync.yaml").read_text())
}


def test_they_are_valid() -> None:
    """As they stand the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLE)
    assert sorted(documents.jobs) == ["vault-to-cloudflare", "vault-to-doppler", "vault-to-netlify", "vault-to-vercel"]
    assert list(documents.warnings) == []


def _set(service: Service, key: str, value: str) -> None:
    """Write at the service, as somebody else."""
    if isinstance(service, Vercel):
        found = next((env for env in service.envs.values() if env["key"] == key), None)
        if found is None:
            service.put(key, value, "production")
        else:
            found.update(value=value, updatedAt=found["updatedAt"] + 1)
    elif isinstance(service, Netlify):
        service.put({"key": key, "values": [{"context": "production", "value": value}]})
    elif isinstance(service, Cloudflare):
        service.put(key, value)
    elif isinstance(service, Doppler):
        service.secrets[key] = value


def _remove(service: Service, key: str) -> None:
    if isinstance(service, Vercel):
        service.envs = {one: env for one, env in service.envs.items() if env["key"] != key}
    elif isinstance(service, Netlify):
        del service.envs[key]
    elif isinstance(service, Cloudflare):
        service.held = {one: told for one, told in service.held.items() if told[0]["name"] != key}
    elif isinstance(service, Doppler):
        del service.secrets[key]


KINDS: dict[str, tuple[type[Service], Callable[[Any], dict[str, str]]]] = {
    "vercel-production": (Vercel, lambda service: service.values("production")),
    "netlify-site": (Netlify, lambda service: service.values("production")),
    "cloudflare-store": (Cloudflare, lambda service: service.values()),
    "doppler-production": (Doppler, lambda service: service.secrets),
}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A source in memory in place of Vault, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    for store in world._handles.values():
        await store.aclose()
    world.close()


@pytest.mark.parametrize("name", KINDS)
async def test_plan_sync_drift_delete_and_undo(world: World, name: str) -> None:
    """All of it with the example as it stands, but for the host: only what the service describes is asked."""
    kind, held = KINDS[name]
    section = json.loads(json.dumps(DOCUMENTS[name]["spec"]["provider"]["http"]))
    plan = DOCUMENTS[f"vault-to-{name.partition('-')[0]}"]["spec"]["plan"]
    with kind() as service:
        scheme, _, rest = section["address"].partition("://")
        section |= {"address": service.address + rest[len(rest.partition("/")[0]) :]}
        section["auth"] = {"token": {"value": TOKEN}}
        world.store("dst", f"http: {json.dumps(section)}")
        world.job(json.dumps(plan), deletionPolicy="Delete", maxDelete="100%")
        assert scheme == "https"
        _set(service, "THEIRS", "x")
        await world.seed("src", {"web/db": {"user": "u", "password": 'p"w\n'}, "web/api": {"key": "k"}})

        planned = await world.plan()
        assert actions(planned) == dict.fromkeys(("WEB_DB_USER", "WEB_DB_PASSWORD", "WEB_API_KEY"), "create")
        assert service.changes() == 0

        first = await world.sync()
        assert first.ok, first.failures
        ours = {"WEB_DB_USER": "u", "WEB_DB_PASSWORD": 'p"w\n', "WEB_API_KEY": "k"}
        assert held(service) == {"THEIRS": "x", **ours}
        changes = service.changes()
        again = await world.sync()
        assert (again.ok, wrote(again), service.changes()) == (True, 0, changes)

        _set(service, "WEB_DB_USER", "by hand")
        _remove(service, "WEB_API_KEY")
        assert reasons((await world.check()).drifted) == {"WEB_DB_USER": "drifted", "WEB_API_KEY": "removed-outside"}
        assert (await world.sync()).ok
        assert held(service) == {"THEIRS": "x", **ours}

        await world.put("src", "web/db", {"user": "u2", "more": "m"})
        second = await world.sync()
        assert counted(second) == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
        assert held(service) == {"THEIRS": "x", "WEB_DB_USER": "u2", "WEB_DB_MORE": "m", "WEB_API_KEY": "k"}

        undone = await world.undo(second.run)
        assert counted(undone)["deleted"] == 1
        assert not undone.ok, "no service keeps what was there before"
        assert held(service) == {"THEIRS": "x", "WEB_DB_USER": "u2", "WEB_API_KEY": "k"}
        assert service.wrongs == []


async def test_a_variable_of_two_targets_is_not_the_stores(world: World) -> None:
    """What Vercel's previews share is neither overwritten nor deleted: it is refused by Vercel, and stays."""
    section = json.loads(json.dumps(DOCUMENTS["vercel-production"]["spec"]["provider"]["http"]))
    with Vercel() as service:
        world.store(
            "dst", f"http: {json.dumps({**section, 'address': service.address, 'auth': {'token': {'value': TOKEN}}})}"
        )
        world.job("- {name: all, query: {}}", deletionPolicy="Delete", maxDelete="100%")
        service.put("SHARED", "theirs", "production", "preview")
        await world.seed("src", {"SHARED": {"value": "1"}, "OWN": {"value": "1"}})
        report = await world.sync()
        assert {failure.change.key: failure.code for failure in report.failures} == {"SHARED": "invalid-secret"}
        await world.remove("src", "SHARED")
        await world.remove("src", "OWN")
        await world.sync()
        assert service.values("production") == {"SHARED": "theirs"}
        assert service.wrongs == []


async def test_what_a_description_does_not_allow_is_refused_by_the_fakes(world: World) -> None:
    """The judge judges: an unknown field, a parameter that there is not, a value of another type."""
    section = json.loads(json.dumps(DOCUMENTS["netlify-site"]["spec"]["provider"]["http"]))
    with Netlify() as service:
        section |= {"address": f"{service.address}/api/v1", "auth": {"token": {"value": TOKEN}}}
        await world.seed("src", {"A": {"value": "1"}})
        for field, wrong in (("query", {"sites": "x"}), ("body", [{"key": "{{ key }}", "valu": "{{ value }}"}])):
            create = {**section["create"], field: wrong}
            world.store("dst", f"http: {json.dumps({**section, 'create': create})}")
            world.job("- {name: all, query: {}}")
            assert not (await world.sync()).ok
        assert [wrong.partition(":")[0] for wrong in service.wrongs][:1] == ["there is no parameter sites"]
        assert any("the body is not as described" in wrong for wrong in service.wrongs)


class _Services:
    """What all four services have, each behind its name."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    def held(self) -> dict[str, str]:
        return {
            f"{name}:{key}": value
            for name, service in self._services.items()
            for key, value in KINDS[name][1](service).items()
        }

    def change(self, name: str) -> None:
        service, _, key = name.partition(":")
        _set(self._services[service], key, "by hand")

    def remove(self, name: str) -> None:
        service, _, key = name.partition(":")
        _remove(self._services[service], key)


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> None:
    """By its own commands, all four services at once. None of them keeps what was replaced or deleted."""
    mounted = mount(openbao)
    with ExitStack() as stack:
        services = {name: stack.enter_context(kind()) for name, (kind, _) in KINDS.items()}
        replaced = {VAULT: openbao.address, "mount: secret": f"mount: {mounted}"}
        for name, service in services.items():
            address = DOCUMENTS[name]["spec"]["provider"]["http"]["address"]
            replaced["/".join(address.split("/")[:3])] = service.address
        tokens = {f"{name.partition('-')[0].upper()}_TOKEN": TOKEN for name in services}
        first: dict[str, dict[str, Any]] = {"web/db": {"user": "u", "password": "p"}, "web/api": {"key": "k"}}
        ours = {"WEB_DB_USER": "u", "WEB_DB_PASSWORD": "p", "WEB_API_KEY": "k"}
        later = ours | {"WEB_DB_PASSWORD": "new", "WEB_MORE_X": "1"}

        def everywhere(held: dict[str, str], *, without: str = "") -> dict[str, str]:
            return {f"{name}:{key}": value for name in services for key, value in held.items() if key != without}

        Life(
            Example(Cli(tmp_path), "vault-to-http", replaced, {"VAULT_TOKEN": openbao.root_token, **tokens}),
            _Services(services),
            (api, mounted),
            first=first,
            made=everywhere(ours),
            changed=("vercel-production:WEB_DB_USER", "cloudflare-store:WEB_DB_USER"),
            removed=("netlify-site:WEB_API_KEY", "doppler-production:WEB_API_KEY"),
            later={"web/db": {"user": "u", "password": "new"}, "web/more": {"x": "1"}},
            then=everywhere(later),
            undone=everywhere(later, without="WEB_MORE_X"),
            kept=frozenset(f"vault-to-{name.partition('-')[0]}" for name in services),
            last={"web/api": None},
            left=everywhere(ours, without="WEB_API_KEY"),
            rows=("Vercel, Netlify, Cloudflare", "Doppler"),
        ).live()
        assert [service.wrongs for service in services.values()] == [[], [], [], []]
