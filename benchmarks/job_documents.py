"""The documents of many SyncJobs: each copies a folder of one source, as the teams of a company would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks import secret_data

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.servers import Mount

INTERVAL = 30
SENSOR = "source_changes"
_A_FILE = 20

_STORES = """\
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
"""
_JOB = """\
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: job-{job:04}}}
spec:
  source: source
  dest: dest
  schedule: "{minute} {hour} * * *"
  timezone: Europe/Berlin
  onChange: {{interval: {interval}s}}
  deletionPolicy: Delete
  plan:
    - name: all
      query: {{path: {folder}, recursive: true}}
    - name: database
      query:
        path: {folder}
        key: {{regexp: "^database", exclude: ["-{job}$", "-replica$"]}}
      keyTransform:
        - regexp: {{source: "^{folder}(.*)$", target: "apps/{job:04}/$1"}}
      valueTransform:
        - {transform}
"""
_FIELDS = "fields: {exclude: [debug]}"
_TEMPLATE = "template: {{data: {{job: job-{job:04}, value: '{{{{ fields | tojson }}}}'}}}}"


def numbers(job: int) -> range:
    """The secrets of a job's folder, by their numbers."""
    return range(job * secret_data.A_FOLDER, (job + 1) * secret_data.A_FOLDER)


def write(config: Path, source: Mount, dest: Mount, count: int) -> None:
    """Write ``count`` jobs, twenty to a file. One in four has a template, all have expressions of their own.

    Each has a schedule and is watched for changes. The schedules are half a day away: no run is to start while
    something is measured.
    """
    config.mkdir(parents=True)
    (config / "stores.yaml").write_text(
        _STORES.format(
            source=source.server.address, source_mount=source.name, dest=dest.server.address, dest_mount=dest.name
        )
    )
    for start in range(0, count, _A_FILE):
        jobs = range(start, min(start + _A_FILE, count))
        (config / f"jobs-{start:04}.yaml").write_text("".join(_job(job) for job in jobs))


def _job(job: int) -> str:
    return _JOB.format(
        job=job,
        minute=job % 60,
        hour=(datetime.now(UTC).hour + 12) % 24,
        interval=INTERVAL,
        folder=secret_data.key(numbers(job)[0]).rpartition("/")[0] + "/",
        transform=_FIELDS if job % 4 else _TEMPLATE.format(job=job),
    )
