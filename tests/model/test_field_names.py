"""Which names of fields are shown in messages: those that look like names, and none that may be a credential."""

from __future__ import annotations

import pytest

from secretsync_core.model.field_names import listed, quoted

SHOWN = [
    "password", "user", "DB_PASSWORD", "db.password", "tls.crt", "tls.key", "ca.pem", "id_rsa", "id_rsa.pub",
    ".dockerconfigjson", "tls-key-2024", "application-v2.properties", "my field", "a", "_", "s3", "s.host",
    "b.port", "jdbc-url", "camelCaseName", "key1", "eyes", "AKI", "sk", "github", "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY", "config-2024-01-01.json", "a-very-long-name-of-a-field-of-40-letter",
]  # fmt: skip
HIDDEN = [
    "", " ", " leading", "-----BEGIN RSA PRIVATE KEY-----", "1password", "a\nb", "a\tb", "a\x1b[31m", "päss",
    "пароль", "パスワード", "a\u202eb", "https://user:pass@host", "user@host", "a=b", "a+b", "a/b",
    "p@ssw0rd", "x" * 41,
    "hvs.CAESIJlWh3", "hvb.AAAAAQ", "hvr.AAAAAQ", "s.0123456789abcdefghijABCD", "b.AAAAAQJ0123456789abcd",
    "r.0123456789abcdefghijABCD", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AROAEXAMPLE", "AIDAEXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "gho_16C7e42F292c", "ghs_16C7", "github_pat_11ABC",
    "glpat-abcdefghij", "xoxb-1234-abcd", "sk_live_abcdef", "pk_test_abcdef", "rk_live_abcdef",
    "eyJhbGciOiJIUzI1NiJ9", "eyJ0", "d41d8cd98f00b204e9800998ecf8427e", "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
    "deadbeefdeadbee5", "dGhpcyBpcyBhIHNlY3JldDEy", "c2VjcmV0MTIzNDU2Nzg", "value-Zm9vYmFyMTIzNDU2Nzg5",
    "bebf56b4-8257-2b06-2fc5-9b6600e1668c", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
    "id-bebf56b4-8257-2b06-2fc5-9b6600e1668c",
]  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_a_name_is_shown(name: str) -> None:
    """Letters, digits, dots, dashes and blanks, as names of fields and files have them."""
    assert quoted(name) == repr(name)


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_be_a_credential_is_not_shown(name: str) -> None:
    """Known beginnings, long runs of letters and digits, UUIDs, and what no name has: only its length is told."""
    assert quoted(name) == f"of an unusual name, which is not shown ({len(name):,} long)"


def test_in_a_list_the_others_are_shown() -> None:
    """A sentence about several fields holds none that is not shown by itself."""
    told = listed({"hvs.CAESIJlWh3", "port"}, {"hvs.CAESIJlWh3": "null", "port": "a number"})
    assert "'port' (a number)" in told
    assert "hvs" not in told
