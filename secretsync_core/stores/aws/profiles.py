"""What the AWS profile that a login uses leads to: a program, a file, a server. Looked at before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.credentials import MAX_BYTES
from secretsync_core.plain_files import MOST_PEM
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.policy import Exec
from secretsync_core.stores.aws.surroundings import check_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.session import Session

    from secretsync_core.policy.bounds import Bounds

_FILES = {"web_identity_token_file": MAX_BYTES, "ca_bundle": MOST_PEM}
"""The files that a profile names, and how large they may be."""


def check_profile(session: Session, name: str, bounds: Bounds, store: str, *, named: bool = True) -> None:
    """Raise PolicyDenied where a profile, or one that it takes its credentials from, leads beyond the bounds.

    ``named``: whether the document names it. One that boto3 finds by itself is the operator's own: a program of it
    runs unless a policy denies programs.
    """
    services = session.full_config.get("services", {})
    for profile in _chain(session.full_config.get("profiles", {}), name):
        if profile.get("credential_process") and (named or _denies_programs(bounds)):
            what = "the credential_process of the AWS profile"
            bounds.check(bounds.judge_exec(what), store, "the AWS profile")
        bounds.check_uses(_uses(profile), store, "the AWS profile")
        for field, most in _FILES.items():
            if path := profile.get(field):
                check_file(str(path), store, f"{field} of the AWS profile", most)
        if isinstance(own := services.get(str(profile.get("services", ""))), dict):
            bounds.check_uses((Use(Kind.HOST, address) for address in _addresses(own)), store, "the AWS profile")


def _denies_programs(bounds: Bounds) -> bool:
    return bool(bounds.problems) or any(policy.spec.exec is Exec.DENY for policy in bounds.policies)


def _chain(profiles: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    while name not in seen and isinstance(profile := profiles.get(name), dict):
        seen.add(name)
        yield profile
        name = str(profile.get("source_profile", ""))


def _uses(profile: dict[str, Any]) -> Iterator[Use]:
    yield from (Use(Kind.FILE, str(profile[field])) for field in _FILES if profile.get(field))
    if role := profile.get("role_arn"):
        yield Use(Kind.AWS_ROLE, str(role))
    for address in _addresses(profile):
        yield Use(Kind.HOST, address)


def _addresses(part: dict[str, Any]) -> Iterator[str]:
    """Every address in a profile, also of a single service below it."""
    for field, value in part.items():
        if isinstance(value, dict):
            yield from _addresses(value)
        elif field == "endpoint_url":
            yield str(value)
