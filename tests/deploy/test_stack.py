"""What the compose file describes, brought up as processes: a schedule ticks, and a secret is copied."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from support.http import Api

from deploy.stack import Stack
from deploy.test_compose_file import configuration, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.image import Image

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy"), pytest.mark.timeout(900)]

VALUE = "the-secret-of-the-payments"
_RUNS = """{ runsOrError { ... on Runs { results { runId status jobName tags { key value } } } } }"""


def test_a_schedule_runs_through(image: Image, tmp_path: Path) -> None:
    """Webserver, daemon, code location and PostgreSQL come up by their health checks; the schedule starts a run by
    itself; the secret is in the second OpenBao server, and the run in Dagster's database, the ledger and the UI."""
    directory = prepare(tmp_path)
    secrets = {path.name: path.read_text().strip() for path in (directory / "secrets").iterdir()}
    (work := tmp_path / "stack").mkdir()
    with Stack(image, configuration(directory), work) as stack:
        stack.up()
        source = Api(f"http://{stack.addresses['source']}:8200", secrets["source-token"])
        dest = Api(f"http://{stack.addresses['dest']}:8200", secrets["dest-token"])
        source.put("secret", "payments/api", {"token": VALUE})
        run = _finished(stack)
        copied = dest.call("GET", "secret/data/prod/payments/api")["data"]["data"]
        assert copied == {"token": VALUE}

        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        assert tags["dagster/schedule_name"]
        assert run["jobName"] == "every_minute"
        at: dict[str, Any] = {
            "host": stack.addresses["postgres"],
            "user": "secretsync",
            "password": secrets["postgres-password"],
        }
        with psycopg.connect(dbname="dagster", **at) as database:
            row = database.execute("SELECT status FROM runs WHERE run_id = %s", [run["runId"]]).fetchone()
            assert row == ("SUCCESS",)
        with psycopg.connect(dbname="ledger", **at) as database:
            query = "SELECT event FROM secretsync.ledger WHERE run = %s AND key = 'prod/payments/api' ORDER BY seq"
            assert [event for (event,) in database.execute(query, [run["runId"]])] == ["intended", "done"]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(dbname="ledger", **(at | {"password": "guessed"}))
        # The command line of the same image tells the same.
        done = stack.run("code", "secretsync", "audit", "log", "--run", run["runId"], "--output", "json")
        assert done.returncode == 0, done.stderr
        assert {one["key"] for one in json.loads(done.stdout)["records"] if one["event"] == "done"} == {
            "prod/payments/api"
        }
        assert stack.run("code", "secretsync", "audit", "verify").returncode == 0
    # A server in development mode shows its root token itself.
    for text in (stack.log(name) for name in stack.addresses if name not in ("source", "dest")):
        assert not [name for name, value in secrets.items() if value in text]
        assert VALUE not in text


def _finished(stack: Stack) -> dict[str, Any]:
    """The first run that had something to copy, once it is over: two ticks of a minute at most, on a quiet machine."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        for run in _ask(stack, _RUNS)["runsOrError"]["results"]:
            assert run["status"] not in ("FAILURE", "CANCELED"), stack.log("code")
            if run["status"] == "SUCCESS" and _copied(stack, run["runId"]):
                return dict(run)
        time.sleep(1)
    raise AssertionError(f"no run went through\n{stack.log('daemon')}\n{stack.log('code')}")


def _copied(stack: Stack, run: str) -> bool:
    query = """query($run: ID!) { runOrError(runId: $run) { ... on Run { assetMaterializations {
      metadataEntries { label ... on IntMetadataEntry { intValue } } } } } }"""
    found = _ask(stack, query, run=run)["runOrError"]["assetMaterializations"]
    return any(entry["label"] == "copied" and entry["intValue"] for one in found for entry in one["metadataEntries"])


def _ask(stack: Stack, query: str, **variables: Any) -> dict[str, Any]:
    """A question to the webserver."""
    request = urllib.request.Request(
        f"http://{stack.addresses['webserver']}:3000/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        body = json.load(answer)
    assert not body.get("errors"), body
    return dict(body["data"])
