"""Dagster as our values for its official chart set it up, with a Kubernetes API server of the test's."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import yaml

from deploy import official
from deploy.image import ROOT
from deploy.tools import script
from secretsync_core.demo.openbao import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.manifests import Object

VALUES: Object = yaml.safe_load((ROOT / "deploy" / "helm" / "dagster-values.yaml").read_text())

NAMESPACE = {"SECRETSYNC_NAMESPACE": official.NAMESPACE}
"""What the pods learn of themselves: where they are."""


def settings(home: Path, kubeconfig: Path, storage: Object | None = None) -> None:
    """Write Dagster's settings by the values: with another API server, and runs that are not queued."""
    made = official.instance(VALUES)
    made["run_launcher"]["config"] |= {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    for name in ("run_queue", "concurrency"):
        del made[name]
    made["run_coordinator"] = {"module": "dagster.core.run_coordinator", "class": "DefaultRunCoordinator"}
    if storage is not None:
        made["storage"] = storage
    (home / "dagster.yaml").write_text(json.dumps(made))


def launch(home: Path, job: str, given: Mapping[str, str]) -> None:
    """Start a code server as the chart does, and a run of a job of it. ``given``: variables for both."""
    port = str(free_port())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER_")}
    environ |= {"DAGSTER_HOME": str(home), **NAMESPACE, **given}
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    told = {"DAGSTER_CURRENT_IMAGE": official.image_of(deployment)}
    with (home / "code.log").open("wb") as log:
        server = subprocess.Popen(
            [script("dagster"), "code-server", "start", "-h", "127.0.0.1", "-p", port, *deployment["codeServerArgs"]],
            env=environ | told, cwd=home, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 200
        while (done := _dagster(environ, "api", "grpc-health-check", "-p", port)).returncode != 0:
            assert server.poll() is None, (home / "code.log").read_text()
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)
        done = _dagster(environ, "job", "launch", "--grpc-host", "127.0.0.1", "--grpc-port", port, "-j", job)
        assert done.returncode == 0, done.stderr
    finally:
        server.terminate()
        server.wait(120)


def _dagster(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script("dagster"), *arguments], env=environ, capture_output=True, text=True, check=False, timeout=120
    )
