"""What the names of secrets at AWS are made of: letters, digits and a few more, in folders."""

from __future__ import annotations


def segment(letters: str) -> str:
    """An expression for one folder or name of these letters (as they stand in brackets), neither ``.`` nor ``..``."""
    return rf"(?:\.{{0,2}}[{letters}]|\.\.\.)[.{letters}]*"


ANOTHER_ACCOUNT = "For another account, use a SecretStore that logs in there by auth.assumeRole"
"""What to do where an ARN was given for a key because it tells the account."""
