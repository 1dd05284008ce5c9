"""TAB completes names, in a real bash, and is silent about everything else."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli, Ran

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")

# What bash does when TAB is pressed: it loads the script, sets the words, calls the function, and shows COMPREPLY.
_PRESS = """
eval "$(_SECRETSYNC_COMPLETE=source_bash secretsync)"
COMP_WORDS=({words}) COMP_CWORD={last}
_secretsync_completion secretsync
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def press(cli: Cli, line: str, **environ: str) -> Ran:
    """Type a line and press TAB."""
    from cli.conftest import Ran

    words = [*line.split(), ""] if line.endswith(" ") else line.split()
    script = _PRESS.format(words=" ".join(map(shlex.quote, words)), last=len(words) - 1)
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        cwd=cli.directory,
        env=cli.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def offered(cli: Cli, line: str, **environ: str) -> list[str]:
    """What TAB offers; it says nothing else."""
    ran = press(cli, line, **environ)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.split()


SECOND = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: extra}
spec:
  source: example-source
  dest: nowhere
  plan:
    - {secret: {key: a/b}}
    - {query: {path: team/}}
    - {name: broken, nonsense: 1}
"""


def test_jobs_and_items(started: Cli) -> None:
    """Jobs are offered by what was typed, and items of the jobs on the line, derived names too."""
    started.write("secretsync/second.yaml", SECOND)
    assert offered(started, "secretsync sync ") == ["example", "extra"]
    assert offered(started, "secretsync plan exa") == ["example"]
    assert offered(started, "secretsync plan example ") == ["extra"]
    assert offered(started, "secretsync plan example --item ") == ["app-env", "mail", "payments"]
    assert offered(started, "secretsync plan extra --item ") == ["a-b", "broken", "team"]
    assert offered(started, "secretsync plan --item mail --item ma") == []
    assert offered(started, "secretsync audit log --job ex") == ["example", "extra"]


@pytest.mark.slow
def test_where_the_documents_are(cli: Cli) -> None:
    """The directory is that of --config, of SECRETSYNC_CONFIG, or the file of --job."""
    assert cli("init", "elsewhere", "--quiet").code == 0
    assert offered(cli, "secretsync sync ") == []
    assert offered(cli, "secretsync sync --config elsewhere ") == ["example"]
    assert offered(cli, "secretsync sync ", SECRETSYNC_CONFIG="elsewhere") == ["example"]
    assert "mail" in offered(cli, "secretsync plan --job elsewhere/jobs.yaml --item ")


@pytest.mark.slow
def test_documents_with_errors_are_no_reason_to_speak(started: Cli, tmp_path: Path) -> None:
    """Whatever lies in the directory, TAB offers what it can make out, and prints nothing else."""
    started.write("secretsync/broken.yaml", "kind: SyncJob\nmetadata: {name: half}\nspec: [")
    started.write("secretsync/odd.yaml", "kind: SyncJob\nmetadata: {name: '$(touch pwned)'}\nspec: 7\n---\n- 1\n")
    started.write("secretsync/more.yaml", "kind: SyncJob\nmetadata: {name: bare}\nspec: {plan: [1, {name: x}]}\n")
    (started.directory / "secretsync/binary.yaml").write_bytes(b"\xff\x00")
    assert offered(started, "secretsync sync ") == ["bare", "example"]
    assert offered(started, "secretsync sync bare --item ") == ["x"]
    assert not (tmp_path / "pwned").exists()
    assert offered(started, "secretsync sync --config /nowhere ") == []
    assert offered(started, "secretsync sync --config /dev/null ") == []


def test_commands_and_options(cli: Cli) -> None:
    """Commands and options are offered as Typer does it, and --install-completion sets bash up."""
    assert offered(cli, "secretsync st") == ["status", "stores"]
    assert offered(cli, "secretsync plan --det") == ["--detailed-exitcode"]
    script = "secretsync --install-completion && . ~/.bashrc && complete -p secretsync; exit $?"
    ran = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=cli.directory,
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("complete -o default -F _secretsync_completion secretsync\n")


@pytest.mark.slow
def test_no_store_is_asked_and_no_plugin_is_loaded(cli: Cli) -> None:
    """A store that would fail to load, or to be reached, plays no part."""
    cli.write(
        "secretsync/all.yaml",
        "kind: SecretStore\nmetadata: {name: s}\nspec: {provider: {trouble: {path: x}}}\n---\n"
        "kind: SyncJob\nmetadata: {name: j}\nspec: {source: s, dest: s, plan: [{secret: {key: k}}]}\n",
    )
    cli.write(
        "sitecustomize.py",
        "import socket, importlib.metadata as m\n"
        "def no(*_, **__): raise SystemExit('touched')\n"
        "socket.socket.connect = socket.getaddrinfo = m.EntryPoint.load = no\n",
    )
    path = f"{cli.directory}:{cli.environ['PYTHONPATH']}"
    assert offered(cli, "secretsync sync j --item ", PYTHONPATH=path) == ["k"]
