"""No value and no token gets out of the Kubernetes store, whatever goes wrong and however much is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import traceback
from typing import TYPE_CHECKING

import pytest
from support.faulty_http import FaultyHttp
from support.slow import one_in

from run.pair import DOWN, UP
from secretsync_core.errors import SecretSyncError
from secretsync_core.testing.canaries import Canary, canary, find_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from run.pair import Pair


class Trap:
    """Everything that runs say or leave behind, and what must not be among it."""

    def __init__(self, pair: Pair, token_file: Path) -> None:
        self.pair = pair
        self.said: list[str] = []
        self.values = [canary(name) for name in ("one", "two", "three", "theirs")]
        self.token = Canary("token", f"xx{secrets.token_hex(16)}xxxx")
        token_file.write_text(self.token.text)
        pair.kube.adopt(self.token.text)
        pair.k8s(auth=f"{{token: {{file: {token_file}}}}}", labels="{a: b}")
        one, two, three, theirs = (each.text for each in self.values)
        pair.put("app/a", {"password": one, "nested": {"deep": two}})
        pair.put("app/b", {"password": three})
        pair.create("app-b", {"password": theirs.encode()})

    async def run(self, plan: str = UP, *, down: bool = False, **spec: str) -> None:
        """Plan, sync, check and sync again, keeping everything that anybody could see of it."""
        world = self.pair.world
        source, dest = ("k8s", "bao") if down else ("bao", "k8s")
        world.job(plan, source=source, dest=dest, **{"writePolicy": "Replace", **spec})
        for step in (world.plan, world.sync, world.check):
            try:
                self.said.append(repr(await step(verify=True)))
            except SecretSyncError as error:
                self.keep(error)

    def keep(self, error: BaseException | None) -> None:
        """Keep all that an error says and drags along."""
        while error is not None:
            self.said.append("".join(traceback.format_exception(error)))
            self.said.append(f"{error!r} {error.args!r} {vars(error)!r} {error.__cause__!r}")
            error = error.__context__

    def emit(self, record: logging.LogRecord) -> None:
        """Hear what is logged."""
        self.said.append(f"{record.name} {record.getMessage()} {record.args!r} {record.__dict__!r}")

    def assert_nothing(self, *texts: str) -> None:
        """Nothing of it anywhere but in the stores."""
        hidden = [*self.values, self.token]
        for text in (*self.said, *texts):
            assert find_in(text, hidden) == []
        assert find_in(self.pair.world.path, hidden) == []


class _Everything(logging.Handler):
    def __init__(self, trap: Trap) -> None:
        super().__init__(logging.NOTSET)
        self.trap = trap

    def emit(self, record: logging.LogRecord) -> None:
        self.trap.emit(record)


@pytest.fixture
def trap(
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trap]:
    """Every logger logs everything: also those whose level the official client sets."""
    made = Trap(pair, tmp_path_factory.mktemp("credentials") / "token")
    monkeypatch.setattr(logging.Logger, "isEnabledFor", lambda *_: True)
    handler = _Everything(made)
    logging.getLogger().addHandler(handler)
    yield made
    logging.getLogger().removeHandler(handler)
    made.assert_nothing(*capfd.readouterr())


async def test_success(trap: Trap) -> None:
    """Syncs that go well, there and back, put every value into the stores and nowhere else."""
    asyncio.get_running_loop().set_debug(True)
    as_text = UP + "  valueTransform: [{fields: {asText: true}}]\n"
    await trap.run(as_text, deletionPolicy="Delete", maxDelete="100%")
    assert trap.pair.secret("app-a")["password"].decode() == trap.values[0].text
    await trap.run(DOWN, down=True)
    assert trap.pair.get("back/a") is not None
    trap.pair.remove("app/a")
    await trap.run(as_text, deletionPolicy="Delete", maxDelete="100%")
    assert trap.pair.names() == ["app-b"]
    assert any(said.startswith("urllib3.connectionpool") for said in trap.said)  # the trap hears what libraries say


@pytest.mark.parametrize("status", one_in(4, [200, 302, 400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503]))
async def test_servers_that_echo(trap: Trap, status: int) -> None:
    """Servers and proxies that repeat what they were sent, or what they hold, are not quoted."""
    kube, (one, two, *_) = trap.pair.kube, trap.values
    shown = " ".join(each.text for each in (*trap.values, trap.token)).encode()
    details = {"kind": "secrets", "causes": [{"reason": two.core, "field": f"data[{one.core}]"}]}
    blamed = {"kind": "Status", "reason": "Invalid", "message": one.text, "details": details}
    headers = {"Location": f"/{trap.token.core}", "Retry-After": trap.token.core}
    for body in (shown, json.dumps(blamed).encode()):
        kube.answer("^(POST|PUT|DELETE) ", status, body, headers=headers, echo=body is shown)
        await trap.run(UP + "  valueTransform: [{fields: {asText: true}}]\n")
        kube.heal()
        for match in ("^GET .*/secrets/", "^GET .*/secrets[?]"):
            kube.answer(match, status, body, headers=headers)
            await trap.run(DOWN, down=True)
            kube.heal()


async def test_values_that_do_not_fit(trap: Trap) -> None:
    """Values that are refused before they are sent, and data that is no data, are not shown."""
    text = trap.values[0].text
    trap.pair.put("app/large", {"x": text * 30_000})
    trap.pair.put("app/names", {text: text})
    trap.pair.put("app/number", {"x": [text]})
    await trap.run()
    for data in (
        f'{{"x": "{trap.values[1].core}"}}',
        f'"{trap.values[1].core}"',
        f'{{"x": ["{trap.values[1].core}"]}}',
    ):
        whole = f'{{"metadata":{{"name":"app-b","uid":"u","resourceVersion":"1"}},"data":{data}}}'
        trap.pair.kube.answer("^GET .*/secrets/", 200, whole.encode())
        await trap.run(DOWN, down=True)
        trap.pair.kube.heal()


async def test_connections_that_break(trap: Trap) -> None:
    """What a cut connection leaves behind does not show what was on it."""
    async with FaultyHttp(trap.pair.kube.address) as proxy:
        trap.pair.k8s(proxy.address, auth=f"{{token: {{value: {trap.pair.kube.admin}}}}}")
        for after in (0, 10, 200):
            proxy.cut("^(POST|PUT|GET) .*/secrets", after=after)
            await trap.run(UP + "  valueTransform: [{fields: {asText: true}}]\n")
            await trap.run(DOWN, down=True)
            proxy.heal()


async def test_trap_works(trap: Trap) -> None:
    """A canary that does get out is found, in words, in a log and in a file."""
    trap.assert_nothing()
    said = list(trap.said)
    logging.getLogger("kubernetes.client.rest").debug("response body: %s", trap.values[0].text)
    with pytest.raises(AssertionError):
        trap.assert_nothing()
    trap.said = said
    (trap.pair.world.path / "leak").write_bytes(trap.token.data)
    with pytest.raises(AssertionError):
        trap.assert_nothing()
    (trap.pair.world.path / "leak").unlink()
