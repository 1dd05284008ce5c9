"""The demo itself: starts the servers, plays the story, shows each command and its real output."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import secretsync_core
from secretsync_core.counting import plural
from secretsync_core.demo import documents
from secretsync_core.demo.lifelike import company
from secretsync_core.demo.openbao import OpenBaoServer, bao_binary, start_openbao
from secretsync_core.demo.ui import is_installed
from secretsync_core.demo.ui_story import StepFailed, UiStory
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType

    from secretsync_core.demo.vault import Administrator

T = TypeVar("T")

JOB = "vault-to-k8s-vault"


class Screen(NamedTuple):
    """Where the demo's words go."""

    line: Callable[[str], None]
    flush: Callable[[], None]
    paint: Callable[[str, str], str]


def play(
    line: Callable[[str], None],
    flush: Callable[[], None],
    paint: Callable[[str, str], str],
    *,
    once: bool,
    secrets: int,
) -> int:
    """Play the demo, and wait for Ctrl-C afterwards unless ``once``. Gives the exit code."""
    # What the demo's own client and SecretSync's Vault store work with.
    missing = [name for name in ("aiohttp", "hvac") if importlib.util.find_spec(name) is None]
    if missing:
        raise SecretSyncError(f"the demo needs {' and '.join(missing)}", hint=extra_hint("demo", "vault"))
    screen = Screen(line, flush, paint)
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="secretsync-demo-") as folder:
        home = Path(folder)
        with contextlib.ExitStack() as stack:
            try:
                _Demo(home, screen, stack).play(secrets, once=once)
            except KeyboardInterrupt:
                return 128 + signal.SIGINT
            if not once:
                _wait(screen)
    return 0


class _Demo:
    def __init__(self, home: Path, screen: Screen, stack: contextlib.ExitStack) -> None:
        self._home = home
        self._screen = screen
        self._stack = stack
        self._began = time.monotonic()
        self._number = 0

    def play(self, secrets: int, *, once: bool) -> None:
        main, local = self._servers()
        self._say(f"Two OpenBao servers: main at {main.address}, the cluster's local one at {local.address}.")
        self._environment = self._prepare(main, local, secrets)
        self._say(f"The main server now holds {plural(secrets, 'secret')}. The documents:")
        self._show_files()

        self._step("Check the documents.", "secretsync validate")
        # A plan has a line for each key: the beginning and the end of it say enough here.
        self._step("Preview the sync. Nothing is written yet.", "secretsync plan | sed -n '1,12p;$p'")
        self._step("Sync.", "secretsync sync")
        copied = asyncio.run(_as_administrator(local, lambda vault: vault.count()))
        if not copied:
            raise StepFailed("the sync succeeded, but the local server is empty")
        self._say(f"The local server itself counts {plural(copied, 'secret')}.")
        self._step("Sync again: nothing changed, so nothing is read or written.", "secretsync sync")

        asyncio.run(_as_administrator(main, _change_main))
        asyncio.run(_as_administrator(local, _change_local))
        self._say(
            "Meanwhile a password was rotated and an API key removed in main, and somebody edited a copy by hand.",
            gap=True,
        )
        self._step("Check for drift (exit code 10: found).", "secretsync check", expect=10)
        self._step("Preview how a sync fixes it.", "secretsync plan")
        self._step("Sync.", "secretsync sync")
        self._step("Check again.", "secretsync check")
        self._step("Show what was done, and when. No values anywhere.", f"secretsync audit log --job {JOB} --limit 6")
        self._step("Verify that nobody edited the ledger.", "secretsync audit verify --quiet && echo untouched")
        self._step("Show the status of all jobs.", "secretsync status")
        left = asyncio.run(_as_administrator(local, lambda vault: vault.count()))
        if left != copied - 1:
            raise StepFailed(f"the local server holds {plural(left, 'secret')} instead of {copied - 1:,}")
        shown = self._in_the_ui(main)
        self._say(f"All steps passed in {time.monotonic() - self._began:.0f} s.", gap=True)
        if once:
            self._say("`secretsync demo` without --once keeps everything running, to explore.")
            return
        self._tell_how_to_look_further(main, local)
        if shown is not None:
            shown.tell(self._home / "bin" / "mend")

    def _in_the_ui(self, main: OpenBaoServer) -> UiStory | None:
        if not is_installed():
            self._say(f"The web UI is not installed: {extra_hint('dagster')}.", gap=True)
            return None
        asyncio.run(_as_administrator(main, _change_for_the_ui))
        token = asyncio.run(_as_administrator(main, lambda vault: vault.token("mender", documents.MEND_POLICY)))
        self._keep("mender.token", token)
        self._program(
            "mend",
            f'BAO_ADDR={main.address} BAO_TOKEN="$(cat {shlex.quote(str(self._home / "mender.token"))})"'
            f" exec {shlex.quote(bao_binary())} kv patch -mount=secret {documents.LACKS_A_PORT} port=5432 >/dev/null",
        )
        (self._home / "secretsync" / "reports.yaml").write_text(documents.REPORTS_JOB)
        story = UiStory(self._say, self._screen.paint)
        story.play(self._home / "dagster", self._home / "secretsync", self._environment, self._stack)
        return story

    # -- Setting up

    def _servers(self) -> tuple[OpenBaoServer, OpenBaoServer]:
        self._say("Starting two OpenBao servers ...")
        with ThreadPoolExecutor(2) as pool:
            starting = [pool.submit(start_openbao, self._home / name) for name in ("main", "local")]
            servers = []
            failed: BaseException | None = None
            for future in starting:
                try:
                    servers.append(self._stack.enter_context(future.result()))
                except BaseException as error:  # noqa: BLE001  the other one must be stopped all the same
                    failed = failed or error
        if failed is not None:
            raise failed
        return servers[0], servers[1]

    def _prepare(self, main: OpenBaoServer, local: OpenBaoServer, secrets: int) -> dict[str, str]:
        """Fill main, make the two tokens, write the documents and a ``secretsync`` to run them with."""
        asyncio.run(_as_administrator(main, lambda vault: vault.fill(company(secrets))))
        reading = asyncio.run(_as_administrator(main, lambda vault: vault.token("reader", documents.READ_POLICY)))
        writing = asyncio.run(_as_administrator(local, lambda vault: vault.token("writer", documents.WRITE_POLICY)))
        for name, token in (("main.token", reading), ("local.token", writing)):
            self._keep(name, token)
        config = self._home / "secretsync"
        config.mkdir()
        token_file = self._home / "local.token"
        stores = documents.STORES.format(main=main.address, local=local.address, token_file=token_file)
        (config / "stores.yaml").write_text(stores)
        (config / "job.yaml").write_text(documents.JOB)
        return self._path_with_us() | {"MAIN_VAULT_TOKEN": reading, "SECRETSYNC_CONFIG": str(config)}

    def _path_with_us(self) -> dict[str, str]:
        """The environment of the steps: ours, with this very SecretSync first, and none of its settings."""
        programs = self._home / "bin"
        programs.mkdir()
        package = str(Path(secretsync_core.__file__).parents[1])
        self._program(
            "secretsync",
            f'PYTHONPATH={shlex.quote(package)}"${{PYTHONPATH:+:$PYTHONPATH}}"'
            f' exec {shlex.quote(sys.executable)} -m secretsync_core.cli.main "$@"',
        )
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SECRETSYNC_")}
        environment = ours | {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
            environment["FORCE_COLOR"] = "1"  # for the step that goes through a pipe
        return environment

    def _program(self, name: str, line: str) -> None:
        program = self._home / "bin" / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o700)

    def _keep(self, name: str, token: str) -> None:
        descriptor = os.open(self._home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token)

    # -- Telling

    def _say(self, text: str, *, gap: bool = False) -> None:
        self._screen.line(("\n" if gap else "") + text)
        self._screen.flush()

    def _show_files(self) -> None:
        for name in ("stores.yaml", "job.yaml"):
            path = self._home / "secretsync" / name
            self._say(self._screen.paint(f"  {path}", "cyan"))

    def _step(self, about: str, command: str, *, expect: int = 0) -> None:
        self._number += 1
        paint = self._screen.paint
        self._say(paint(f"{self._number}. {about}", "bold"), gap=True)
        self._say(f"{paint('$', 'dim')} {paint(command, 'green')}")
        done = subprocess.run(["/bin/sh", "-c", command], env=self._environment, cwd=self._home, check=False)  # noqa: S603
        if done.returncode in (-signal.SIGINT, 128 + signal.SIGINT):
            raise KeyboardInterrupt
        if done.returncode != expect:
            raise StepFailed(
                f"step {self._number} ({command}) ended with {done.returncode} instead of {expect}",
                hint="its output is above",
            )

    def _tell_how_to_look_further(self, main: OpenBaoServer, local: OpenBaoServer) -> None:
        home = self._home
        self._say("To explore while this runs, use another terminal:", gap=True)
        for text in (
            f"export PATH={home / 'bin'}:$PATH SECRETSYNC_CONFIG={home / 'secretsync'}",
            f"export MAIN_VAULT_TOKEN=$(cat {home / 'main.token'})",
            "secretsync plan --all                # every key",
            "secretsync sync --verify             # compare the values too",
            "secretsync audit log --key apps/payments/ledger/database",
            "secretsync sync --output json | python3 -m json.tool",
            f"export BAO_ADDR={local.address} BAO_TOKEN=$(cat {home / 'local.token'})",
            f"{bao_binary()} kv get secret/apps/orders/env",
        ):
            self._say(f"  {text}")
        self._say(f"Server logs: {main.log_file} and {local.log_file}")


async def _as_administrator(server: OpenBaoServer, work: Callable[[Administrator], Awaitable[T]]) -> T:
    from secretsync_core.demo.vault import Administrator

    async with Administrator(server) as vault:
        return await work(vault)


async def _change_main(vault: Administrator) -> None:
    made = dict(company(len(documents.JOB)))
    await vault.put("payments/prod/ledger/database", made["payments/prod/ledger/database"])
    await vault.remove("payments/prod/ledger/partner-api")


async def _change_for_the_ui(vault: Administrator) -> None:
    made = dict(company(len(documents.JOB)))
    for key in ("payments/prod/ledger/database", "checkout/prod/orders/database", "shared/smtp"):
        await vault.put(key, made[key])
    without_port = {name: text for name, text in made["checkout/prod/orders/database"].items() if name != "port"}
    await vault.put(documents.LACKS_A_PORT, without_port | {"host": "archive-db.internal", "username": "archive"})


async def _change_local(vault: Administrator) -> None:
    await vault.put("apps/identity/login/webhook", {"signing_secret": "edited-by-hand"})


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the demo like Ctrl-C, so that the servers are stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(screen: Screen) -> None:
    screen.line("\nPress Ctrl-C to stop everything and remove it.")
    screen.flush()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()
    screen.line("\nStopping.")
    screen.flush()
