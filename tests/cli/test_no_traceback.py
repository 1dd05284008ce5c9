"""Whatever goes wrong, nobody sees a traceback, or the text of an exception that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli, Ran

CANARY = "hunter2-canary"


def _clean(ran: Ran) -> None:
    for text in (ran.out, ran.err):
        assert "Traceback" not in text
        assert 'File "' not in text
        assert CANARY not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "\t- x",
        "kind: SyncJob",
        "[1, 2, 3]",
        "apiVersion: secretsync.io/v1alpha1\nkind: Frobnicator\n",
        "a: &a [*a]",
        "!!python/object/apply:os.system [echo]",
        f"apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {{name: x}}\nspec: {CANARY}\n",
        "\x00\x01",
        "- " * 2000,
    ],
)
def test_bad_documents(cli: Cli, text: str) -> None:
    """A file that is no document, or no YAML, is an error with its place."""
    cli.write("secretsync/bad.yaml", text)
    for command in ("validate", "plan", "sync", "check", "status"):
        ran = cli(command)
        assert ran.code == 2, (command, ran)
        _clean(ran)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--config", "/dev/null"],
        ["plan", "--config", "\udcff"],
        *[[command, "--config", "a" * 300] for command in ("validate", "plan", "status")],
        ["plan", "--config", "a/" * 2500],
        ["plan", "--source", "a" * 300, "--dest", "a" * 300, "--job", "a" * 300],
        ["plan", "--out", "a" * 300],
        ["init", "/proc/nowhere"],
        ["init", "/dev/null/x"],
        ["audit", "log", "--since", "99999999999999999999d"],
        ["audit", "log", "--since", "-1"],
        ["audit", "log", "--limit", "-3"],
        ["audit", "log", "--ledger", "mysql://user:hunter2-canary@host/db"],
        ["sync", "--ledger", "/proc/nowhere/ledger.db"],
        ["sync", "--ledger", "postgresql://user:hunter2-canary@127.0.0.1:1/db"],
        ["schema", "--kind", "Nothing"],
        ["demo", "--secrets", "1"],
        ["audit", "export", "--file", "/proc/nowhere"],
        ["audit", "export", "--job", "\x1b[31m"],
    ],
)
def test_bad_calls(started: Cli, arguments: list[str]) -> None:
    """A call with nonsense in it ends with 2 or 3 and a sentence."""
    ran = started(*arguments)
    assert ran.code in (0, 2, 3), ran
    assert ran.code or "audit" in arguments
    _clean(ran)
    assert "internal error" not in ran.err


@pytest.mark.parametrize("where", ["open", "list", "write key-001"])
@pytest.mark.parametrize("command", ["plan", "sync"])
def test_a_bug_in_a_store(troubled: Callable[..., Cli], where: str, command: str) -> None:
    """A store with a bug that quotes a value in its exception leaks nothing."""
    ran = troubled(3, fail={where: "bug"})(command)
    _clean(ran)
    assert ran.code in (0, 1, 3, 70)


def test_an_internal_error_names_type_and_place(started: Cli) -> None:
    """A fault of ours is told by type and line, without its message, with a code of its own."""
    started.write(
        "sitecustomize.py",
        "import secretsync_core.cli.plan_view as view\n"
        f"def broken(*_, **__): raise ZeroDivisionError('{CANARY}')\n"
        "view.show = broken\n",
    )
    path = f"{started.directory}:{started.environ['PYTHONPATH']}"
    ran = started("plan", PYTHONPATH=path)
    assert ran.code == 70
    assert ran.err.startswith("internal error: ZeroDivisionError at secretsync_core/cli/commands/plan.py:")
    assert "report it" in ran.err
    _clean(ran)
    ran = started("plan", "--quiet", PYTHONPATH=path)
    assert ran.code == 0


def test_a_bug_outside_of_every_command(started: Cli) -> None:
    """Threads, event loops and finalizers that fail say no more than that."""
    started.write(
        "sitecustomize.py",
        "import secretsync_core.cli.plan_view as view, threading, asyncio\n"
        f"def broken(*_): raise ValueError('{CANARY}')\n"
        "class Final:\n    def __del__(self): broken()\n"
        "async def task(): broken()\n"
        "async def loop():\n"
        "    asyncio.ensure_future(task())\n    await asyncio.sleep(0.01)\n    import gc; gc.collect()\n"
        "def show(*_, **__):\n"
        "    from secretsync_core.cli import event_loop\n"
        "    thread = threading.Thread(target=broken); thread.start(); thread.join()\n"
        "    Final()\n    event_loop.run(loop)\n"
        "view.show = show\n",
    )
    ran = started("plan", PYTHONPATH=f"{started.directory}:{started.environ['PYTHONPATH']}")
    _clean(ran)
    assert ran.code == 0
    assert ran.err.count("internal error: ValueError at sitecustomize.py") + ran.err.count("sitecustomize.py:2") >= 3


@pytest.mark.slow
def test_a_closed_pipe_is_quiet(started: Cli) -> None:
    """``| head`` gets what it wants, and nobody complains."""
    for number in range(3000):
        started.write(f"secretsync/example/source/payments/many-{number}", "x")
    ran = started.shell("secretsync plan | head -n 1")
    assert (ran.out, ran.err) == ("example: example-source -> example-dest\n", "")
    started("sync")
    ran = started.shell("secretsync audit export | head -n 1 | wc -l; secretsync --help | head -n 1")
    assert ran.out.split()[0] == "1"
    assert ran.err.replace("note: ", "") == ""
    ran = started.shell("secretsync plan --output json >&-; echo $?")
    _clean(ran)
