"""The documents that the tests press buttons for: a SyncJob each, from files to files; none disturbs another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = ("team-a", "team-b", "team-c")
PER_ITEM = 3

_STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec:
  permissions: {permissions}
  provider: {{file: {{path: {name}}}}}
---
"""

_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: source
  dest: {name}-dest
  schedule: "{schedule}"
  limits: {{{limits}}}
  plan:
"""

_ITEM = """\
    - name: {item}
      query: {{path: {top}{item}, recursive: true}}
      valueTransform: [{{template: {{data: {{url: "https://{{{{ host }}}}:{{{{ port }}}}"}}}}}}]
"""

BROKEN = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: typed-in-a-hurry}
spec:
  source: source
  dest: press-dest
  plan:
    - secret: {key: team-a/key-0}
      keyTransfrom: []
"""

LABELS = {"team": "payments", "example.com/tier": "gold"}
OWNERS = ("team:payments", "ann@example.com")
GROUP = "money"
TWICE = ("twice-dest", "twice-second")
_TWICE = f"""\
# To two destinations, and with all that says whose it is.
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata:
  name: twice
  labels: {json.dumps(LABELS)}
  annotations: {{dagster.io/owners: "{", ".join(OWNERS)}", dagster.io/group: {GROUP}}}
spec:
  source: source
  dest: [{", ".join(TWICE)}]
  plan:
    - name: team-a
      query: {{path: team-a, recursive: true}}
"""

SLOW = "rate: 4/s, concurrency: 1"
ITEMS_OF = {
    # Secrets of their own: of some jobs one that lacks a port; of another, one that a test spoils on the way.
    **{job: (*ITEMS, f"{job}-broken") for job in ("retry", "again", "refill", "forged")},
    "trend": ("trend-own",),
}
QUERY_OF = {"ends": "ends/"}
# A busy browser needs seconds to press two buttons while the run goes on.
LIMITS_OF = {"crash": SLOW, "stop": "rate: 2/s, concurrency: 1", "ends": SLOW}
_PRESSED = ("press", "dry", "retry", "fill", "refill", "drift", "clock", "trend", "late", "stop", "crash", "again")
JOBS = (*_PRESSED, "undo", "forged", "ends", "group-a", "group-b")


def _schedule(job: str) -> str:
    """Nearly never, so that nothing starts by itself; of one job hourly, and not while the tests run."""
    return f"{(datetime.now(UTC).minute + 30) % 60} * * * *" if job == "late" else "@yearly"


class Stage:
    """A directory of documents, and the files that they speak of."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        stores = _STORE.format(name="source", permissions="Read")
        dests = [*(f"{job}-dest" for job in JOBS), *TWICE]
        stores += "".join(_STORE.format(name=dest, permissions="ReadWrite") for dest in dests)
        (directory / "stores.yaml").write_text(stores.removesuffix("---\n"))
        for dest in dests:
            (directory / dest).mkdir()
        for job in JOBS:
            plan = "".join(_ITEM.format(item=item, top=QUERY_OF.get(job, "")) for item in ITEMS_OF.get(job, ITEMS))
            head = _JOB.format(name=job, schedule=_schedule(job), limits=LIMITS_OF.get(job, ""))
            (directory / f"{job}.yaml").write_text(head + plan)
        (directory / "broken.yaml").write_text(BROKEN)
        (directory / "twice.yaml").write_text(_TWICE)
        for item in (*ITEMS, "trend-own"):
            for number in range(PER_ITEM):
                self.write(f"{item}/key-{number}", {"host": f"{item}.internal", "port": str(8000 + number)})
        for job in ("retry", "again", "refill", "forged"):
            self.write(f"{job}-broken/key-0", {"host": "broken.internal"})
            self.write(f"{job}-broken/key-1", {"host": "whole.internal", "port": "1"})

    def write(self, key: str, fields: dict[str, str]) -> None:
        """Put a secret into the source."""
        path = self.directory / "source" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields))

    def tamper(self, job: str, key: str) -> None:
        """Edit a copy by hand."""
        (self.directory / f"{job}-dest" / key).write_text('{"url": "edited by hand"}')

    def dest(self, job: str) -> dict[str, str]:
        """What a job's destination holds: text by key."""
        top = self.directory / f"{job}-dest"
        return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}
