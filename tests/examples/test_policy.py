"""The example of a policy permits what the other examples name, and denies what its comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from secretsync_core.policy.loading import examine
from secretsync_core.policy.reading import read_policies

EXAMPLES = Path(__file__).parents[2] / "examples"
STORE = "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: s}\nspec: {provider: %s}\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that has the example as its policy, as an operator copies it."""
    place = tmp_path / "policy.yaml"
    place.write_text((EXAMPLES / "policy" / "policy.yaml").read_text())
    place.chmod(0o600)
    return {"SECRETSYNC_POLICY": str(place)}


def test_it_is_whole(environ: dict[str, str]) -> None:
    """It loads without a problem, as two policies."""
    assert read_policies(environ).problems == ()
    assert [policy.name for policy in read_policies(environ).found] == ["platform", "production"]


def test_it_permits_the_other_examples(environ: dict[str, str]) -> None:
    """The documents of vault-to-aws are within it."""
    assert examine([EXAMPLES / "vault-to-aws"], environ=environ)[1] == ()


@pytest.mark.parametrize(
    "provider",
    [
        "{file: {path: /data}}",
        "{vault: {address: 'https://vault.example.com', auth: {token: {env: HOME}}}}",
        "{vault: {address: 'https://vault.other.example', auth: {token: {env: VAULT_TOKEN}}}}",
        "{vault: {address: 'http://vault.example.com', auth: {token: {env: VAULT_TOKEN}}}}",
        "{vault: {address: 'https://vault.example.com', auth: {token: {file: /etc/passwd}}}}",
        "{awsSecretsManager: {region: eu-central-1, auth: {profile: admin}}}",
    ],
)
def test_it_refuses_what_it_says(environ: dict[str, str], tmp_path: Path, provider: str) -> None:
    """Each line of it keeps something out."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "s.yaml").write_text(STORE % provider)
    _, problems = examine([tmp_path / "docs"], environ=environ)
    assert any("of the policy platform" in problem.message and not problem.warning for problem in problems)
