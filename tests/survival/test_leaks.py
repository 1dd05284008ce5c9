"""No value and no credential turns up anywhere but in the servers, whatever goes wrong and however much is logged."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import secrets
import tempfile
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from support.slow import one_in

from secretsync_core.errors import SecretSyncError
from secretsync_core.testing.canaries import Canary, canary, find_in
from survival.watcher import Watcher
from survival.world import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from survival.world import World

KEYS = tuple(f"app/{number}" for number in range(4))
ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "scan"] }'


class Trap:
    """Canaries in every value and every credential of a world, and everything that a run says or leaves behind."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.said = io.StringIO()
        values = {
            f"{key} {field}": canary(f"{key} {field}") for key in KEYS for field in ("password", "nested", "list")
        }
        credentials = {
            name: Canary(name, f"xx{secrets.token_hex(16)}xxxx")
            for name in ("token", "role id", "secret id", "password")
        }
        self.canaries = list((values | credentials).values())
        for key in KEYS:
            one, two, three = (values[f"{key} {field}"].text for field in ("password", "nested", "list"))
            world.source.put(key, {"password": one, "nested": {"deep": {"er": two}}, "list": [1, three], "number": 7})
        self._by_app_role(credentials)
        self._by_password(credentials["password"])
        self.token = credentials["token"]
        world.source.api.call("POST", "sys/policies/acl/canary", {"policy": ALL})
        world.source.api.call("POST", "auth/token/create", {"id": self.token.text, "policies": ["canary"]})

    def _by_app_role(self, credentials: dict[str, Canary]) -> None:
        """Let the destination be logged in to by AppRole."""
        api, mount = self.world.dest.api, f"approle-{self.world.dest.mount}"
        api.call("POST", f"sys/auth/{mount}", {"type": "approle"})
        api.call("POST", "sys/policies/acl/canary", {"policy": ALL})
        role = credentials["role id"].text, credentials["secret id"].text
        api.call("POST", f"auth/{mount}/role/r", {"token_policies": ["canary"], "role_id": role[0]})
        api.call("POST", f"auth/{mount}/role/r/custom-secret-id", {"secret_id": role[1]})
        self.world.environ["ROLE"], self.world.environ["SECRET"] = role
        parts = {"roleId": {"env": "ROLE"}, "secretId": {"env": "SECRET"}, "mount": mount}
        self.app_role = {"appRole": parts}
        self.world.dest.section["auth"] = self.app_role

    def _by_password(self, password: Canary) -> None:
        """Let the source be logged in to by user name and password."""
        api, mount = self.world.source.api, f"userpass-{self.world.source.mount}"
        api.call("POST", f"sys/auth/{mount}", {"type": "userpass"})
        api.call("POST", f"auth/{mount}/users/u", {"password": password.text, "token_policies": ["canary"]})
        self.world.environ["PASSWORD"] = password.text
        self.user = {"userPass": {"username": "u", "password": {"env": "PASSWORD"}, "mount": mount}}
        self.world.source.section["auth"] = self.user

    def by_token(self) -> None:
        """Use a token from the environment for the source instead."""
        self.world.environ["SOURCE_TOKEN"] = self.token.text
        self.world.source.section["auth"] = {"token": {"env": "SOURCE_TOKEN"}}

    async def run(self, *, verify: bool = False) -> Any:
        """Plan, sync and check, whatever comes of it; all that they give or raise is kept. Gives the sync's report."""
        report: Any = None
        for name in ("plan", "sync", "check"):
            try:
                found = await (self.world.sync(verify=verify) if name == "sync" else getattr(self.world, name)())
            except SecretSyncError as error:
                self.said.write("".join(traceback.format_exception(error)))
                self.said.write(f"{error!r} {vars(error)} {error.__context__!r} {error.__cause__!r}")
            else:
                self.said.write(repr(found))
                report = found if name == "sync" else report
        return report

    def assert_nothing(self, *texts: str) -> None:
        """No canary in what was said, in any file of the test, or in ``texts``."""
        for text in (self.said.getvalue(), *texts):
            assert find_in(text, self.canaries) == []
        assert find_in(self.world.root, self.canaries) == []


class _Everything(logging.Handler):
    """Writes down every record of every library, with its arguments and its traceback."""

    def __init__(self, into: io.StringIO) -> None:
        super().__init__(logging.NOTSET)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.write(f"{record.name} {record.getMessage()} {record.args!r}\n")
        if record.exc_info:
            self._into.write("".join(traceback.format_exception(*record.exc_info)))


@contextlib.contextmanager
def _all_logged(into: io.StringIO) -> Iterator[None]:
    """Log everything at DEBUG."""
    handler, root = _Everything(into), logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("_pytest")]
    before = {name: logging.getLogger(name).level for name in names}
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in (*names, "aiohttp", "aiohttp.client", "asyncio", "hvac", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


@pytest.fixture
async def trap(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> AsyncIterator[Trap]:
    """A world full of canaries; at the end nothing of them may be anywhere."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    made = Trap(world)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.set_exception_handler(lambda _, context: made.said.write(repr(context)) and None)
    with _all_logged(made.said), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield made
        await asyncio.sleep(0)
    made.said.write(repr([warning.message for warning in warned]))
    made.assert_nothing(*capfd.readouterr())


async def test_success(trap: Trap) -> None:
    """A sync that goes well leaves every value in the destination, and nowhere else."""
    report = await trap.run()
    assert report.ok, (report.errors, report.failures)
    assert trap.world.dest.contents() == trap.world.source.contents()
    assert "urllib3" in trap.said.getvalue()  # the trap hears what libraries say
    trap.by_token()
    trap.world.source.put(KEYS[0], {"password": trap.canaries[0].text, "changed": "1"})
    assert (await trap.run(verify=True)).ok


@pytest.mark.parametrize("status", one_in(8, [200, 302, 400, 413, 403, 404, 429, 500, 503]))
async def test_stores_that_echo(trap: Trap, source_proxy: Watcher, dest_proxy: Watcher, status: int) -> None:
    """Servers and proxies that repeat what they were sent, or what they hold, in their errors are not quoted."""
    if status in (400, 403):
        trap.by_token()
    shown = " ".join(each.text for each in trap.canaries).encode()
    dest_proxy.answer("^POST .*/data/", status, b'{"errors":["check-and-set parameter refused: ', echo=True)
    source_proxy.answer(
        f"^GET .*/data/{KEYS[1]}$", status, b'{"errors":["' + shown, headers={"Location": "/" + trap.token.text}
    )
    assert not (await trap.run()).ok
    source_proxy.answer("^SCAN ", status, b'{"data":{"keys":["' + shown + b'"]}}')
    assert not (await trap.run()).ok
    for proxy in (source_proxy, dest_proxy):
        proxy.answer("/auth/", status, shown, echo=True)
    await trap.run()


@pytest.mark.slow
async def test_values_that_do_not_fit(trap: Trap) -> None:
    """Values in places where a server's answer has none, and answers that are no JSON, are not quoted."""
    texts = [each.text for each in trap.canaries]
    for number, body in enumerate(
        (
            f'{{"data":{{"data":"{texts[0]}","metadata":{{}}}}}}',
            f'{{"data":{{"data":["{texts[0]}"],"metadata":{{"version":1}}}}}}',
            f'{{"data":"{texts[2]}"}}',
            f"<html>{texts[3]}</html>",
        )
    ):
        trap.world.spec["plan"] = [{**EVERYTHING, "name": f"item-{number}"}]
        async with Watcher(trap.world.source.api.address) as proxy:
            trap.world.source.section["address"] = proxy.address
            proxy.answer("^GET .*/data/", 200, body.encode())
            report = await trap.run()
        assert not report.ok


TRANSFORMS: dict[str, dict[str, Any]] = {
    "undefined": {"template": {"data": {"x": "{{ password }} {{ missing }}"}}},
    "not base64": {"template": {"data": {"x": "{{ password | b64dec }}"}}},
    "not JSON": {"template": {"data": {"x": "{{ password | fromjson }}"}}},
    "wrong types": {"template": {"data": {"x": "{{ password + 1 }}"}}},
    "no attribute": {"template": {"data": {"x": "{{ password.nothing.there }}"}}},
    "no item": {"template": {"data": {"x": "{{ fields[password] }}"}}},
    "no number": {"template": {"data": {"x": "{{ password | int(default=password.y) }}"}}},
    "no field left": {"fields": {"include": ["nothing"]}},
    "rename onto another": {"fields": {"rename": {"password": "nested"}}},
}


@pytest.mark.parametrize("transform", one_in(4, TRANSFORMS))
async def test_transforms_that_fail(trap: Trap, transform: str) -> None:
    """A transform that fails is named by its step, never by what it was given."""
    trap.world.spec["plan"] = [{**EVERYTHING, "valueTransform": [TRANSFORMS[transform]]}]
    try:
        report = await trap.run()
    finally:
        assert trap.world.dest.contents() == {}
    assert report is None or not report.ok


async def test_values_that_a_store_refuses(trap: Trap) -> None:
    """A value that the destination cannot hold is refused without being shown."""
    text = trap.canaries[0].text
    trap.world.source.put("large", {"value": text * 30_000})
    trap.world.source.put("many", {f"{text}-{number}": text for number in range(499)})
    trap.world.source.put("names", {text: text, "x": [text] * 600})
    report = await trap.run()
    assert report.failures


@pytest.mark.slow
async def test_commands(trap: Trap) -> None:
    """No command shows a value: neither what it prints, nor what it exports, nor the files that it leaves."""
    world = trap.world
    environ = world.process_environ | {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1", "TMPDIR": os.environ["TMPDIR"]}
    world.jobs["fails"] = {"plan": [{**EVERYTHING, "valueTransform": [TRANSFORMS["not JSON"]]}]}
    outputs: list[bytes] = []
    for arguments in (
        ("plan", "--all"),
        ("sync", "--output", "json"),
        ("sync", "job", "--verify"),
        ("check",),
        ("status",),
        ("audit", "log", "--limit", "0"),
        ("audit", "export"),
        ("audit", "verify"),
    ):
        process = await asyncio.create_subprocess_exec(
            *world.command(*arguments), env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        outputs += await process.communicate()
        assert process.returncode in (0, 1), (arguments, outputs[-1])
    assert all(b"internal error" not in output for output in outputs)
    assert len(world.dest.contents()) == len(KEYS)
    for output in outputs:
        assert find_in(output, trap.canaries) == []


async def test_trap_works(world: World) -> None:
    """A canary that does get out is found, in files and in words."""
    trap = Trap(world)
    trap.assert_nothing()
    for leak in (trap.canaries[0].text, trap.token.text):
        with pytest.raises(AssertionError):
            trap.assert_nothing(f"value: {leak!r}")
        (world.root / "leak").write_bytes(leak.encode().hex().encode())
        with pytest.raises(AssertionError):
            trap.assert_nothing()
        (world.root / "leak").unlink()
