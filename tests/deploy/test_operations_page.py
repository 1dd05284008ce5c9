"""What the page on operations shows for a cluster is valid, and does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from deploy.image import ROOT, USER
from deploy.manifests import Object, check, check_restricted, of_kind, pods, read
from deploy.tools import CHART, render

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.image import Image

PAGE = (ROOT / "docs" / "operations.md").read_text()
PROFILE = CHART / "ci" / "vault-kubernetes-auth-values.yaml"


def metrics() -> list[Object]:
    """The Deployment that gives metrics."""
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "kind: Deployment" in block]
    return read(block)


def test_the_metrics_pod_is_restricted_and_fits_the_chart() -> None:
    """The Deployment fits the API's schemas and *restricted*, and mounts what the chart has by these names."""
    objects = metrics()
    check(objects)
    (template,) = pods(objects).values()
    check_restricted(template)
    sync = next(iter(pods(render(file=PROFILE)).values()))
    named = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    for volume in sync["spec"]["volumes"]:
        if volume["name"] in ("documents", "ledger-key"):
            assert named[volume["name"]] == volume
    ledger = {entry["name"]: entry for entry in template["spec"]["containers"][0]["env"]}
    ours = {entry["name"]: entry for entry in sync["spec"]["containers"][0]["env"]}
    assert all(ours[name] == entry for name, entry in ledger.items())


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
@pytest.mark.timeout(300)
def test_the_metrics_pod_writes_and_stops(image: Image, tmp_path: Path) -> None:
    """Its loop writes the file that the node exporter reads, in the image, and ends at once when it is told to."""
    documents, written = tmp_path / "documents", tmp_path / "metrics"
    for directory in (documents, written):
        directory.mkdir()
    os.chown(written, USER, USER)
    (documents / "all.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: main}\n"
        "spec: {provider: {memory: {}}}\n"
    )
    (template,) = pods(metrics()).values()
    env = {
        "SECRETSYNC_LEDGER": "/tmp/state/ledger.db",
        "SECRETSYNC_KEY": "of-thirty-two-characters-or-more-by-all-means",
    }
    log, file = tmp_path / "log", written / "secretsync.prom"
    mounts = {"/etc/secretsync": documents, "/metrics": written}
    process = image.start(*template["spec"]["containers"][0]["args"], env=env, mounts=mounts, log=log)
    try:
        deadline = time.monotonic() + 60
        while not file.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert "secretsync_ledger_up 1.0" in file.read_text()
    finally:
        process.terminate()
        status = process.wait(20)
    assert status == 0


def test_health_as_a_cron_job() -> None:
    """The command that makes a CronJob for `health` of one of the chart's gives a valid, restricted one."""
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq is not installed")
    (program,) = re.findall(r"jq '(.*?)'", PAGE, re.DOTALL)
    made = of_kind(render(file=PROFILE), "CronJob")["secretsync-main-to-cluster"]
    made["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    made["spec"]["suspend"] = True
    done = subprocess.run([jq, program], input=json.dumps(made), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    health = json.loads(done.stdout)
    check([health])
    (template,) = pods([health]).values()
    check_restricted(template)
    assert health["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert health["spec"]["suspend"] is False
    (container,) = template["spec"]["containers"]
    assert container["args"] == ["secretsync", "health", "--quiet"]
    assert {**container, "args": None} == {
        **made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0],
        "args": None,
    }
