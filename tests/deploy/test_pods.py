"""Pods that the chart and the kustomizations make, run in the image: they really sync, with nothing but what they mount."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from deploy.manifests import of_kind, pods
from deploy.pod import Kubelet
from deploy.tools import CHART, render

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.image import Image

pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(600)]

KEY = {"ledger.key": base64.b64encode(os.urandom(32)).decode()}


def test_a_cronjob_of_the_chart_syncs(image: Image, tmp_path: Path) -> None:
    """A CronJob's pod copies what is there, keeps its ledger on the volume, and finds nothing to do the next time."""
    objects = render(file=CHART / "ci" / "cronjob-values.yaml")
    claims = {name: tmp_path / name for name in ("in", "out", "secretsync-ledger")}
    for path in claims.values():
        path.mkdir()
    (claims["in"] / "password").write_text("something secret")
    kubelet = Kubelet(
        image,
        tmp_path / "volumes",
        config_maps={name: one["data"] for name, one in of_kind(objects, "ConfigMap").items()},
        secrets={"secretsync-ledger-key": KEY},
        claims=claims,
    )
    template = pods(objects)["CronJob/secretsync-hourly"]
    done = kubelet.run(template)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (claims["out"] / "password").read_text() == "something secret"
    assert "1 created" in done.stdout
    assert "something secret" not in done.stdout + done.stderr
    assert (claims["secretsync-ledger"] / "ledger.db").stat().st_size
    done = kubelet.run(template)
    assert done.returncode == 0, done.stderr
    assert "1 unchanged" in done.stdout
