"""The API server that tests of Kubernetes get: the fake one, or for `make test-kube` a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.kube_api import KubeApi
from support.kube_build import wanted

if TYPE_CHECKING:
    from pathlib import Path


def kube_api(*, certificate: tuple[Path, Path] | None = None, client_ca: Path | None = None) -> KubeApi:
    """One that begins empty."""
    if not wanted():
        return KubeApi(certificate=certificate, client_ca=client_ca)
    from support.kube_relay import RealKubeApi  # with what only that needs

    return RealKubeApi(certificate=certificate, client_ca=client_ca)
