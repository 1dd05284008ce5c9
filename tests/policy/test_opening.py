"""What is only known once a store is opened is held to the bounds as well."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.credentials import resolve
from secretsync_core.errors import PolicyDenied
from secretsync_core.policy.bounds import bounds_of
from secretsync_core.schema.base import Credential
from secretsync_core.stores.aws.profiles import check_profile
from secretsync_core.stores.kubernetes.kubeconfig import KubeconfigAccess

if TYPE_CHECKING:
    from pathlib import Path


def test_a_kubeconfig_with_plain_http_is_said_aloud(tmp_path: Path) -> None:
    """The server stands in the kubeconfig, so only opening it tells; a server on this machine is no news."""
    for server, told in (("http://k8s.example", 1), ("http://127.0.0.1:1", 0), ("http://127.0.0.1.nip.example", 1)):
        part = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x"}}]}
        part |= {"clusters": [{"name": "x", "cluster": {"server": server}}]}
        (tmp_path / "config").write_text(json.dumps(part))
        notes: list[str] = []
        KubeconfigAccess(str(tmp_path / "config"), None, "k8s", bounds_of({}), notes)
        assert len(notes) == told
        assert all("not https" in note and note.startswith("k8s: ") for note in notes)


class Session:
    """A session of botocore, as far as its profiles go."""

    def __init__(self, **profiles: dict[str, Any]) -> None:
        services = {"far": {"sts": {"endpoint_url": "https://b.example"}}}
        self.full_config = {"profiles": profiles, "services": services}


@pytest.mark.parametrize(
    "profile",
    [
        {"credential_process": "/bin/true"},
        {"role_arn": "arn:aws:iam::123456789012:role/x", "source_profile": "other"},
        {"web_identity_token_file": "/proc/self/environ"},
    ],
)
def test_a_profile_leads_no_further(profile: dict[str, Any]) -> None:
    """A program, also of the profile behind it, and a file of what is ours are refused before they are used."""
    session: Any = Session(work=profile, other={"credential_process": "/bin/true", "source_profile": "work"})
    with pytest.raises(PolicyDenied):
        check_profile(session, "work", bounds_of({}), "aws")
    if "web_identity_token_file" not in profile:
        check_profile(session, "work", bounds_of({"SECRETSYNC_ALLOW_EXEC": "1"}), "aws")
    check_profile(session, "nobody", bounds_of({}), "aws")


@pytest.mark.parametrize(("rule", "runs"), [("", True), ("exec: Allow", True), ("exec: Deny", False)])
def test_a_program_of_the_operators_own_profile(tmp_path: Path, rule: str, *, runs: bool) -> None:
    """A program of the profile that boto3 finds by itself runs unless a policy denies programs."""
    (tmp_path / "p.yaml").write_text(
        f"apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {{name: p}}\nspec: {{{rule}}}\n"
    )
    session: Any = Session(default={"credential_process": "/bin/true"})
    with contextlib.nullcontext() if runs else pytest.raises(PolicyDenied, match="does not let"):
        check_profile(session, "default", bounds_of({"SECRETSYNC_POLICY": str(tmp_path)}), "aws", named=False)
    check_profile(session, "default", bounds_of({}), "aws", named=False)


def test_a_credential_that_became_a_link(tmp_path: Path) -> None:
    """A file of a credential is looked at anew for every read: a server that refuses us has it read again."""
    key = tmp_path / "the.key"
    key.write_text("the-ledger-key")
    (tmp_path / "token").symlink_to(key)
    (tmp_path / ".secretsync").mkdir()
    (tmp_path / ".secretsync" / "ledger.key").write_text("another-key")
    (tmp_path / "state").symlink_to(tmp_path / ".secretsync" / "ledger.key")
    os.link(key, tmp_path / "hard")
    for name in ("token", "hard", "state"):
        with pytest.raises(PolicyDenied, match="holds the ledger, its key or the policy"):
            resolve(Credential(file=str(tmp_path / name)), {"SECRETSYNC_KEY_FILE": str(key)})
    assert resolve(Credential(file=str(tmp_path / "token")), {}) == "the-ledger-key"


def test_a_profiles_endpoints_are_hosts(tmp_path: Path) -> None:
    """Endpoints of a profile, of one service too, wherever they stand, are held to the policy's hosts."""
    (tmp_path / "p.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: p}\nspec: {hosts: [a.example]}\n"
    )
    bounds = bounds_of({"SECRETSYNC_POLICY": str(tmp_path / "p.yaml")})
    profiles: list[dict[str, Any]] = [
        {"endpoint_url": "https://b.example"},
        {"ssm": {"endpoint_url": "https://b.example"}},
        {"services": "far"},
        {"source_profile": "base"},
    ]
    for profile in profiles:
        session: Any = Session(work=profile, base={"services": "far"})
        with pytest.raises(PolicyDenied, match="does not permit this host"):
            check_profile(session, "work", bounds, "aws")
