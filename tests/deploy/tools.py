"""The real tools that render and check deployments."""

from __future__ import annotations

import functools
import subprocess
import sysconfig
from pathlib import Path

import pytest

from deploy.image import ROOT
from deploy.manifests import Object, read

KUSTOMIZE = ROOT / "deploy" / "kustomize"
CHART = ROOT / "deploy" / "helm" / "secretsync"


@functools.cache
def _helm() -> str:
    done = subprocess.run(["bash", "tools/helm.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def helm(*arguments: str | Path, values: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm; ``values`` is the YAML of a values file."""
    more = ["--values", "-"] if values else []
    return subprocess.run(
        [_helm(), *map(str, arguments), *more], input=values, capture_output=True, text=True, check=False
    )


def render(values: str = "", file: Path | None = None, release: str = "secretsync") -> list[Object]:
    """The objects that the chart makes of values, in the namespace ``sync``."""
    files: list[str | Path] = ["--values", file] if file else []
    done = helm("template", release, CHART, "--namespace", "sync", *files, values=values)
    assert done.returncode == 0, done.stderr
    return read(done.stdout)


def refusal(values: str) -> str:
    """What helm says of values that the chart does not take."""
    done = helm("template", "secretsync", CHART, "--namespace", "sync", values=values)
    assert done.returncode != 0, done.stdout
    assert done.stdout == ""
    return done.stderr


def script(name: str) -> str:
    """The path of a program that came with a package of the development environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def kustomize(directory: Path) -> list[Object]:
    """What kubectl builds of a kustomization."""
    done = subprocess.run([script("kubectl"), "kustomize", directory], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return read(done.stdout)
