"""Values planted everywhere are found nowhere but at the destination, whatever goes wrong."""

from __future__ import annotations

import gc
import itertools
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support.slow import one_in

from run.test_conflicts import _Failing
from secretsync_core.audit.export import export
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.stores import memory
from secretsync_core.stores.memory import MemoryStore
from secretsync_core.testing.canaries import Canary, canary, find_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from run.world import World
    from secretsync_core.model.capabilities import Shape
    from secretsync_core.stores.base import StoreContext

PLAN = """
- {name: fields, query: {path: app, recursive: true}}
- {name: blobs, source: files, query: {path: raw}}
- name: made
  key: made
  combine: [{name: db, secret: {key: app/a}}, {name: rest, query: {path: app}}]
  valueTransform: [{template: {data: {dsn: "{{ db.password }}", all: "{{ rest | tojson }}"}}}]
"""
NAMES = ("field", "name", "nested", "blob", "other", "foreign")


class Planted:
    """A world with canaries in fields, names of fields, nested values, files and at the destination."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.canaries = {name: canary(name) for name in NAMES}
        self.traces: list[str] = []
        self.results: list[str] = []

    async def plant(self) -> None:
        """Write them."""
        world, text = self.world, {name: each.text for name, each in self.canaries.items()}
        world.files("files")
        world.store("dst")
        world.job(PLAN, deletionPolicy="Delete", maxDelete="9", writePolicy="Replace")
        await world.put("src", "app/a", {"password": text["field"], text["name"]: {"deep": [text["nested"]]}})
        await world.put("src", "app/b", {"token": text["other"]})
        await world.put("files", "raw/c", self.canaries["blob"].data)
        await world.put("dst", "app/b", {"token": text["foreign"]})

    async def run(self) -> None:
        """Plan, sync, check and sync again, keeping everything that anybody could see of it."""
        world = self.world
        for step in (world.plan, world.sync, world.check, world.sync, world.plan):
            try:
                self.results.append(repr(await step(verify=True)))
            except Exception as error:  # noqa: BLE001  whatever comes out is looked through
                self.keep(error)
            gc.collect()

    def keep(self, error: BaseException) -> None:
        """Keep all that an error says and drags along."""
        self.traces.append("".join(traceback.format_exception(error)))
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            each = waiting.pop()
            if each is None or id(each) in seen:
                continue
            seen.add(id(each))
            self.traces.append(f"{each!s} {each!r} {each.args!r} {vars(each)!r}")
            waiting += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                waiting += each.exceptions

    def search(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        """Look through everything that was left behind."""
        wanted: list[Canary] = list(self.canaries.values())
        # A plan names the fields that differ from somebody else's secret, and nothing else ever does.
        told = [each for name, each in self.canaries.items() if name != "name"]
        assert [find for each in self.results for find in find_in(each, told)] == []
        printed = capfd.readouterr()
        exported = b"".join(export(self.world.ledger.records()))
        everything: list[bytes | str] = [*self.traces, caplog.text, printed.out, printed.err, exported]
        assert [find for each in everything for find in find_in(each, wanted)] == []
        for file in self.world.path.iterdir():
            if file.name != "files":
                assert find_in(file, wanted) == []


@pytest.fixture
async def planted(world: World) -> Planted:
    """A world full of canaries."""
    full = Planted(world)
    await full.plant()
    return full


@pytest.fixture(autouse=True)
def _talkative(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


async def test_success(planted: Planted, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """After syncs that went well the values are at the destination, and in no report, record, log or file."""
    await planted.run()
    held = repr(await planted.world.all("dst"))
    found = {find.canary for find in find_in(held, list(planted.canaries.values()))}
    assert found == {"field", "name", "nested", "other", "blob"}
    assert planted.world.ledger.runs.summary("job").last_run is not None
    planted.search(caplog, capfd)


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "denied": lambda _: AccessDenied("no"),
    "down": lambda _: StoreUnavailable("down"),
    "value error": lambda text: ValueError(text),
    "key error": lambda text: KeyError(text, {"value": text}),
    "unicode error": lambda text: UnicodeDecodeError("utf-8", text.encode(), 0, 1, text),
    "chained": lambda text: _chained(text),
}


def _chained(text: str) -> BaseException:
    try:
        raise ValueError(text)  # noqa: TRY301
    except ValueError as error:
        outer = RuntimeError("outer")
        outer.__cause__ = error
        return outer


ANYWHERE = ("src read", "src list", "src stat", "dst stat", "dst read", "dst write_if")


@pytest.mark.parametrize(
    ("where", "level", "error"), one_in(11, itertools.product(ANYWHERE, ("above", "below"), ERRORS))
)
async def test_stores_that_fail(
    planted: Planted, where: str, level: str, error: str, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whatever a store raises, above the request gate or below it: nobody hears what it said, and runs end orderly."""
    world = planted.world
    store, operation = where.split()
    faults = world.fault(store) if level == "above" else world.gate_fault(store)
    kind = operation if level == "above" else operation.removesuffix("_if")
    faults.fail(kind, ERRORS[error](planted.canaries["field"].text + planted.canaries["foreign"].text))
    await planted.run()
    assert sys.exc_info() == (None, None, None)
    assert not any("ExceptionGroup" in trace for trace in planted.traces)
    planted.search(caplog, capfd)


@pytest.mark.parametrize(
    ("plan", "code"),
    one_in(3, [
        ("- {name: t, query: {path: app}, valueTransform: [{template: {text: '{{ nope }}'}}]}", "transform-failed"),
        ("- {name: t, query: {path: app}, valueTransform: [{template: {text: '{{ fields }}'}}]}", "transform-failed"),
        ("- {name: t, secret: {key: app/a, property: password.deep}}", "not-found"),
        ("- {name: t, secret: {key: app/a}, encoding: base64}", "invalid-secret"),
        ("- {name: t, source: files, query: {path: bad}}", "invalid-secret"),
        ("- {name: t, key: k, combine: [{name: a, secret: {key: app/a}}, {name: q, query: {path: app}}]}",
         "transform-failed"),
    ]),
    ids=range(6),
)  # fmt: skip
async def test_transforms_that_fail(
    planted: Planted, plan: str, code: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Templates, properties and conversions that cannot be done say where, and never what they were given."""
    world = planted.world
    if "base64" in plan:
        world.store("dst", "memory: {shape: blob}")
        del memory._stores["dst"]
        world._handles.pop("dst")
    await world.put("files", "bad/x", planted.canaries["blob"].data + b"\xff")
    world.job(plan)
    report = await world.sync()
    assert report.failures[0].code == code
    await planted.run()
    planted.search(caplog, capfd)


@pytest.mark.slow
async def test_a_ledger_that_fails(
    planted: Planted, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A ledger that fails in the middle says so, and drags no value along."""
    whole = planted.world.ledger
    planted.world.fault("dst").fail("write_if", ValueError(planted.canaries["field"].text))
    for first in range(4):
        planted.world.ledger = _Failing(whole, first)  # type: ignore[assignment]
        await planted.run()
    planted.world.ledger = whole
    assert any("disk full" in trace for trace in planted.traces)
    planted.search(caplog, capfd)


@pytest.mark.slow
async def test_others_who_write_all_the_time(
    planted: Planted, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Conflicts and drift are told by names and versions."""
    world, text = planted.world, planted.canaries["foreign"].text
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"t": text}), times=None)
    await planted.run()
    world.job(PLAN, writePolicy="Merge")
    await planted.run()
    world.fault("dst").clear()
    await planted.run()
    planted.search(caplog, capfd)


@pytest.mark.slow
async def test_opening_a_store_that_is_defective(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What a provider raises while it opens is an error of its store, told by its type."""
    honest = MemoryStore.__init__

    def broken(store: MemoryStore, shape: Shape, context: StoreContext, *more: Any) -> None:
        if context.name == "dst":
            raise RuntimeError(planted.canaries["field"].text)
        honest(store, shape, context, *more)

    monkeypatch.setattr(MemoryStore, "__init__", broken)
    report = await planted.world.sync()
    assert [error.message for error in report.errors] == ["store dst failed with an unexpected RuntimeError"]
    await planted.run()
    planted.search(caplog, capfd)


def test_the_search_finds_what_is_there(world: World) -> None:
    """The search itself is not blind."""
    secret = canary()
    (world.path / "leak").write_text(secret.text)
    assert find_in(world.path, [secret])
