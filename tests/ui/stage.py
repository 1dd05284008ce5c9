"""The documents that the tests press buttons for: a SyncJob each, from files to files; none disturbs another."""

from __future__ import annotations

import json
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
  schedule: "@yearly"
  limits: {{{limits}}}
  plan:
"""

_ITEM = """\
    - name: {item}
      query: {{path: {item}, recursive: true}}
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

JOBS = ("press", "dry", "retry", "fill", "drift", "clock", "crash", "again")
SLOW = "rate: 4/s, concurrency: 1"


class Stage:
    """A directory of documents, and the files that they speak of."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        stores = _STORE.format(name="source", permissions="Read")
        stores += "".join(_STORE.format(name=f"{job}-dest", permissions="ReadWrite") for job in JOBS)
        (directory / "stores.yaml").write_text(stores.removesuffix("---\n"))
        for job in JOBS:
            # The jobs that are to fail have a secret of their own that lacks a port.
            items = [*ITEMS, f"{job}-broken"] if job in ("retry", "again") else ITEMS
            plan = "".join(_ITEM.format(item=item) for item in items)
            limits = SLOW if job == "crash" else ""
            (directory / f"{job}.yaml").write_text(_JOB.format(name=job, limits=limits) + plan)
            (directory / f"{job}-dest").mkdir()
        (directory / "broken.yaml").write_text(BROKEN)
        for item in ITEMS:
            for number in range(PER_ITEM):
                self.write(f"{item}/key-{number}", {"host": f"{item}.internal", "port": str(8000 + number)})
        for job in ("retry", "again"):
            self.write(f"{job}-broken/key-0", {"host": "broken.internal"})
            self.write(f"{job}-broken/key-1", {"host": "whole.internal", "port": "1"})

    def write(self, key: str, fields: dict[str, str]) -> None:
        """Put a secret into the source."""
        path = self.directory / "source" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields))

    def dest(self, job: str) -> dict[str, str]:
        """What a job's destination holds: text by key."""
        top = self.directory / f"{job}-dest"
        return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}
