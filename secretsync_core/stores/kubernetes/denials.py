"""Who in a cluster refused a request: RBAC, an admission policy or webhook, or a quota. By name, and nothing else.

The API server says it in the text of its answer, behind which stands what the policy or webhook itself has to say. That
may be anything, also what it was sent, so it is never shown. What is taken is what the API server, Gatekeeper and
Kyverno put before it by themselves: names, each of the letters that the API has for names, and counts of Secrets.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple


class By(Enum):
    """What kind of thing refused."""

    NOBODY = auto()  # it is not said
    RBAC = auto()  # a lack of rights
    POLICY = auto()  # an admission policy or webhook that answered
    BROKEN = auto()  # an admission webhook that did not answer
    QUOTA = auto()
    OTHER = auto()  # something of the API server that is none of these


class Denial(NamedTuple):
    """Who refused. ``who`` is its name in words, safe to print; empty where there is none."""

    by: By
    who: str = ""


NOT_SAID = Denial(By.NOBODY)

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
# The API server wants three parts in the name of a webhook. What is one word, and may be a value, is none.
_HOOK = r"[a-z0-9][-a-z0-9]{0,62}(?:\.[a-z0-9][-a-z0-9]{0,62}){2,8}"
_COUNT = r"[-a-z0-9./]{1,128}=[0-9]{1,18}[A-Za-z]{0,2}"
_COUNTS = rf"{_COUNT}(?:,{_COUNT}){{0,20}}"
_FORBIDDEN = r'secrets(?: "[^"\s]{0,253}")? is forbidden: '

_RBAC = re.compile(rf'{_FORBIDDEN}User "[^"\n]{{0,1000}}" cannot ')
_POLICY = re.compile(
    rf"(?:{_FORBIDDEN})?ValidatingAdmissionPolicy '({_NAME})'(?: with binding '({_NAME})')? denied request: "
)
_WEBHOOK = re.compile(rf'admission webhook "({_HOOK})" denied the request(?::| without explanation)')
_BROKEN = re.compile(rf'(?:Internal error occurred: )?failed calling webhook "({_HOOK})": ')
_QUOTA = re.compile(
    rf"{_FORBIDDEN}exceeded quota: ({_NAME}), requested: {_COUNTS}, used: ({_COUNTS}), limited: ({_COUNTS})"
)
_GATEKEEPER = re.compile(rf"[^\n:]*: \[({_NAME})\] ")
_KYVERNO = re.compile(rf"[^\n:]*:\s{{1,9}}[^\n]{{0,400}} the following policies\s{{1,9}}({_NAME}):\s")


def denial_in(text: str) -> Denial:
    """Who refused, by the text of an answer or of one of its causes."""
    if _RBAC.match(text):
        return Denial(By.RBAC)
    if found := _QUOTA.match(text):
        return Denial(By.QUOTA, f"the quota {found[1]} is used up{_counted(found[2], found[3])}")
    if found := _POLICY.match(text):
        binding = f" (binding {found[2]})" if found[2] else ""
        return Denial(By.POLICY, f"the ValidatingAdmissionPolicy {found[1]}{binding}")
    if found := _WEBHOOK.match(text):
        return Denial(By.POLICY, _told_by(found[1], text))
    if found := _BROKEN.match(text):
        return Denial(By.BROKEN, f"the admission webhook {found[1]}")
    return Denial(By.OTHER) if re.match(_FORBIDDEN, text) else NOT_SAID


def _told_by(webhook: str, text: str) -> str:
    """A webhook that serves many policies puts the name of the one that denies before its message."""
    if webhook.endswith("gatekeeper.sh") and (found := _GATEKEEPER.match(text)):
        return f"the Gatekeeper constraint {found[1]}"
    if ".kyverno.svc" in webhook and (found := _KYVERNO.match(text)):
        return f"the Kyverno policy {found[1]}"
    return f"the admission webhook {webhook}"


def _counted(used: str, limited: str) -> str:
    """How much of it is used, for the resources that Secrets are counted by."""
    limits, uses = (dict(each.split("=") for each in counts.split(",")) for counts in (limited, used))
    told = [
        f"{uses[name]} of {limits[name]} {name}"
        for name in ("secrets", "count/secrets")
        if name in uses.keys() & limits
    ]
    return f" ({', '.join(told)})" if told else ""
