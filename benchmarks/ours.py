"""SecretSync as its users run it: ``secretsync sync --config DIR``, one process, its start included."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.child import measure
from secretsync_core.audit import home
from secretsync_core.audit.opening import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.child import Usage
    from benchmarks.servers import Mount

COMMAND = str(Path(sys.executable).with_name("secretsync"))

_DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: source}}
spec:
  permissions: Read
  provider:
    vault: {{address: "{source}", mount: {source_mount}, auth: {{token: {{env: SOURCE_TOKEN}}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: dest}}
spec:
  provider:
    vault: {{address: "{dest}", mount: {dest_mount}, auth: {{token: {{env: DEST_TOKEN}}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: everything}}
spec:
  source: source
  dest: dest
  plan:
    - name: everything
      query: {{path: "", recursive: true}}
"""


class Sync:
    """The documents of one sync and its ledger, in a directory of their own."""

    def __init__(self, source: Mount, dest: Mount, work: Path, *, ledger: str = "") -> None:
        """``ledger``: a URL; the default, SQLite beside the documents, where it is empty."""
        self._source, self._dest, self._work = source, dest, work
        self._config = work / "config"
        self._config.mkdir(parents=True)
        (self._config / "sync.yaml").write_text(
            _DOCUMENTS.format(
                source=source.server.address,
                source_mount=source.name,
                dest=dest.server.address,
                dest_mount=dest.name,
            )
        )
        self._ledger = ledger

    def run(self, *, with_scan: bool = True) -> Usage:
        """Sync once."""
        source, dest = self._source.server, self._dest.server
        return measure(
            [COMMAND, "sync", "--config", str(self._config), "--quiet"],
            work=self._work / "run",
            environ={
                "SOURCE_TOKEN": source.token if with_scan else source.token_without_scan,
                "DEST_TOKEN": dest.token if with_scan else dest.token_without_scan,
                **({"SECRETSYNC_LEDGER": self._ledger} if self._ledger else {}),
            },
        )

    def state(self) -> Iterator[tuple[str, str | None, str | None]]:
        """Key, source version and destination version of every secret, as the ledger (SQLite) holds them."""
        with open_ledger(self._config / home.DIRECTORY, environ={}, write=False) as opened:
            for (_, key), state in opened.ledger.state.keys("everything"):
                yield key, state.source_version, state.dest_version
