"""What services say of new names is told to people only if it is a name, and asked for only at the very server."""

from __future__ import annotations

import re

import pytest

from secretsync_core.stores.renamed import path_by_number, tellable

ADDRESS = "https://api.example.com"
PLAIN = re.compile(r"/repositories/[0-9]{1,19}")
BELOW = re.compile(r"/api/v4(/projects/[0-9]{1,19})")
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}(?:/[A-Za-z0-9._-]{1,100})?")
SECRET = "a-token-of-ours"


@pytest.mark.parametrize(
    ("status", "location", "pattern", "path"),
    [
        (301, f"{ADDRESS}/repositories/7", PLAIN, "/repositories/7"),
        (308, f"{ADDRESS}/api/v4/projects/7", BELOW, "/projects/7"),
        (200, f"{ADDRESS}/repositories/7", PLAIN, ""),
        (303, f"{ADDRESS}/repositories/7", PLAIN, ""),
        (301, f"{ADDRESS}.evil.example/repositories/7", PLAIN, ""),
        (301, "https://evil.example/repositories/7", PLAIN, ""),
        (301, "/repositories/7", PLAIN, ""),
        (301, f"{ADDRESS}/repositories/7/../x", PLAIN, ""),
        (301, f"{ADDRESS}/repositories/7?a=b", PLAIN, ""),
        (301, f"{ADDRESS}/repositories/{SECRET}", PLAIN, ""),
        (301, "", PLAIN, ""),
    ],
)
def test_only_a_number_at_the_very_server_is_asked_for(
    status: int, location: str, pattern: re.Pattern[str], path: str
) -> None:
    """A redirect that leads anywhere else, or is none, leads nowhere."""
    assert path_by_number(status, location, ADDRESS, pattern) == path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acme/shop", True),
        (f"acme/{SECRET}", False),
        ("acme/ghp_0123456789abcdefABCDEF0123456789abcd", False),
        ("acme/shop\n", False),
        ("a b", False),
        ("", False),
    ],
)
def test_only_a_name_is_told(name: str, told: bool) -> None:
    """What may be what we sent, or is no name, is not shown."""
    assert tellable(name, NAME, SECRET) == (name if told else "")
