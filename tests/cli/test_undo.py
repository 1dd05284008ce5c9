"""``secretsync undo`` on a real OpenBao: it plans, asks where somebody is there to ask, and does what was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pexpect
import pytest

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from cli.conftest import Cli
    from secretsync_core.demo.openbao import OpenBaoServer

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: source}}
spec:
  permissions: Read
  provider: {{file: {{path: source}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: bao}}
spec:
  provider:
    vault: {{address: '{address}', mount: {mount}, auth: {{token: {{env: TOKEN}}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: copy}}
spec:
  source: source
  dest: bao
  deletionPolicy: Delete
  maxDelete: 5
  plan:
    - name: everything
      query: {{path: "", recursive: true}}
"""


class Rotated:
    """A job whose last run updated ``db``, deleted ``old`` and created ``new``."""

    def __init__(self, cli: Cli, api: Api, mount: str) -> None:
        self.cli, self._api, self._mount = cli, api, mount
        cli.environ["TOKEN"] = api.token
        cli.write("secretsync/documents.yaml", DOCUMENTS.format(address=api.address, mount=mount))
        for name in ("db", "old"):
            cli.write(f"secretsync/source/{name}", '{"password": "canary-first"}')
        assert cli("sync").code == 0
        cli.write("secretsync/source/db", '{"password": "canary-second"}')
        cli.write("secretsync/source/new", '{"password": "canary-second"}')
        (cli.directory / "secretsync/source/old").unlink()
        assert cli("sync").code == 0
        records = cli("audit", "log", "--event", "run-started", "--output", "json").json["records"]
        self.run: str = records[-1]["run"]

    def held(self) -> list[str]:
        """What the destination holds: each key, and whether it is the first value."""
        found = {name: self._api.get(self._mount, name) for name in ("db", "new", "old")}
        return [f"{name} {fields['password'][7:]}" for name, fields in found.items() if fields]


AFTER, BEFORE = ["db second", "new second"], ["db first", "old first"]


@pytest.fixture
def rotated(cli: Cli, openbao: OpenBaoServer, api: Api, mount: Mount) -> Rotated:
    """A run to undo, in a fresh mount."""
    return Rotated(cli, api, mount(openbao))


def _rows(jobs: list[dict[str, Any]], rows: str, result: str) -> dict[str, str]:
    return {row["key"]: row[result] for row in jobs[0][rows]}


def test_json_plans_and_does_nothing_without_yes(rotated: Rotated) -> None:
    """In JSON nobody is asked: without --yes the plan is all there is, with it what was done."""
    ran = rotated.cli("undo", rotated.run, "--output", "json")
    assert (ran.code, ran.json["applied"], ran.json["undoes"]) == (0, False, rotated.run)
    assert _rows(ran.json["jobs"], "changes", "action") == {"db": "update", "old": "create", "new": "delete"}
    assert "makes these changes again" in ran.json["jobs"][0]["warnings"][0]
    assert rotated.held() == AFTER
    ran = rotated.cli("undo", rotated.run, "--yes", "--output", "json")
    assert (ran.code, ran.json["applied"]) == (0, True)
    assert _rows(ran.json["jobs"], "outcomes", "result") == {"db": "updated", "old": "created", "new": "deleted"}
    assert rotated.held() == BEFORE
    assert rotated.cli("audit", "verify").code == 0
    assert "canary" not in ran.out + ran.err
    kept = [path for path in (rotated.cli.directory / "secretsync/.secretsync").iterdir() if path.is_file()]
    assert kept
    assert not [path for path in kept if b"canary" in path.read_bytes()]


def test_a_key_alone(rotated: Rotated) -> None:
    """--key undoes that key and no other."""
    ran = rotated.cli("undo", rotated.run, "--key", "db", "--key", "new", "--yes")
    assert ran.code == 0, ran.err
    assert "Plan: 0 to create, 1 to update, 1 to delete, 0 unchanged." in ran.out
    assert "copy: source -> bao: undone" in ran.out
    assert rotated.held() == ["db first"]


@pytest.mark.parametrize(("answer", "held"), [("y", BEFORE), ("n", AFTER), ("", AFTER)])
def test_it_asks_on_a_terminal(rotated: Rotated, answer: str, held: list[str]) -> None:
    """On a terminal the plan is shown, and only a yes does it."""
    cli = rotated.cli
    child = pexpect.spawn(
        cli.quick[0],
        ["undo", rotated.run],
        cwd=str(cli.directory),
        env={**cli.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        dimensions=(24, 100),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("as before the run: version 1")
    child.expect("makes these changes again")
    child.expect(r"Undo 3 changes\? \[y/N\] ")
    assert rotated.held() == AFTER
    child.sendline(answer)
    child.expect("bao: undone" if answer == "y" else "nothing was changed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert rotated.held() == held


def test_status_and_metrics_tell_of_it(rotated: Rotated) -> None:
    """After an undo the job is out of sync until the next sync, and its runs are counted by how they ended."""
    assert rotated.cli("undo", rotated.run, "--yes").code == 0
    (job,) = rotated.cli("status", "--output", "json").json["jobs"]
    assert (job["lastRun"]["reason"], job["lastRun"]["ok"]) == ("undo", False)
    assert [each["item"] for each in job["outOfSync"]] == ["everything"]
    told = rotated.cli("metrics").out
    assert 'outcome="undo"' in told.replace(" ", "")
    assert rotated.cli("sync").code == 0
    (job,) = rotated.cli("status", "--output", "json").json["jobs"]
    assert (job["lastRun"]["ok"], job["outOfSync"]) == (True, [])
    assert rotated.held() == AFTER


def test_a_job_that_left_the_documents(rotated: Rotated) -> None:
    """A run of a SyncJob that the documents do not define any more cannot be undone, and the error names it."""
    path = rotated.cli.directory / "secretsync/documents.yaml"
    path.write_text(path.read_text().replace("name: copy", "name: other"))
    ran = rotated.cli("undo", rotated.run)
    assert ran.code == 2
    assert f"run {rotated.run} was of copy, which the documents do not define" in ran.err
