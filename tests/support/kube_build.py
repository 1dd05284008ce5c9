"""A kube-apiserver and its etcd, which `make test-kube` builds once outside the repository."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

MINOR = "34.4"
"""Kubernetes 1.34.4; its modules apart from the main one have versions that begin with 0."""

REAL = "SECRETSYNC_TEST_REAL_KUBE"
"""Set by `make test-kube`: tests of Kubernetes run against a real API server, which Go may build."""

MODULES = (
    *("api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider"),
    *("cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api"),
    *("cri-client", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt", "kms"),
    *("kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics"),
    *("mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller"),
)
"""What the module k8s.io/kubernetes replaces by folders beside it, which its published archive does not have."""

GO = Path("/usr/local/go/bin/go")
"""Where Go is that is not on the PATH."""

SECONDS = 3 * 3600  # on a small machine that has other things to do; what was compiled is kept for the next attempt


class Programs(NamedTuple):
    """Paths of what was built."""

    apiserver: str
    etcd: str


def wanted() -> bool:
    """Whether tests of Kubernetes are to run against a real API server."""
    return bool(os.environ.get(REAL))


@cache
def programs() -> Programs:
    """The programs, built where they are not there yet. Where they cannot be built the test fails."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "secretsync-tests")
    built = caches / f"kube-1.{MINOR}"
    if not built.exists():
        go = shutil.which("go") or str(GO)
        if not Path(go).exists():
            pytest.fail("there is no Go here, which `make test-kube` needs to build kube-apiserver and etcd")
        _build(go, built)
    return Programs(str(built / "kube-apiserver"), str(built / "etcd"))


def _build(go: str, built: Path) -> None:
    built.parent.mkdir(parents=True, exist_ok=True)
    with built.with_name(f"{built.name}.lock").open("w") as lock, TemporaryDirectory(dir=built.parent) as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if built.exists():  # another worker has built them meanwhile
            return
        directory = Path(name)
        (directory / "go.mod").write_text(_module())
        (directory / "bin").mkdir()
        # One process for each of two cores, and out of the way of whatever else runs. The versions of all other
        # modules, etcd's too, are those that this version of Kubernetes asks for; Go checks their sums.
        polite = ["nice", "-n", str(max(0, 10 - os.nice(0)))]  # in all, whoever started us was polite already
        command = [*polite, go, "build", "-mod=mod", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o", "bin/"]
        command += ["k8s.io/kubernetes/cmd/kube-apiserver", "go.etcd.io/etcd/server/v3"]
        done = subprocess.run(command, cwd=directory, capture_output=True, check=False, timeout=SECONDS)
        if done.returncode:
            told = done.stderr.decode(errors="replace")[-500:]
            pytest.fail(f"Go cannot build kube-apiserver and etcd here: {told}")
        # The command of the module etcd/server/v3 is named after its folder.
        (directory / "bin" / "server").rename(directory / "bin" / "etcd")
        (directory / "bin").rename(built)


def _module() -> str:
    replaced = "".join(f"\tk8s.io/{name} => k8s.io/{name} v0.{MINOR}\n" for name in MODULES)
    return (
        "module secretsync.invalid/kube\n\ngo 1.24.0\n\ngodebug default=go1.24\n\n"
        f"require k8s.io/kubernetes v1.{MINOR}\n\nreplace (\n{replaced})\n"
    )
