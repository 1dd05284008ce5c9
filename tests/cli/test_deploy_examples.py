"""The examples in ``deploy`` and ``docs`` hold what the documentation says of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PROXIES = {path.stem: tomllib.loads(path.read_text()) for path in (ROOT / "deploy/oauth2-proxy").glob("*.cfg")}


def test_two_proxies_that_share_nothing() -> None:
    """A viewer's cookie, port or client must not open the operators' door; operators may look, viewers not launch."""
    viewers, operators = PROXIES["viewers"], PROXIES["operators"]
    for field in ("cookie_name", "client_id", "redirect_url", "https_address", "upstreams"):
        assert viewers[field] != operators[field]
    assert operators["allowed_groups"] == ["secretsync-operators"]
    assert set(viewers["allowed_groups"]) == {"secretsync-viewers", "secretsync-operators"}
    threats = (ROOT / "docs/threats.md").read_text()
    port = urlsplit(viewers["upstreams"][0]).port
    assert re.search(rf"-h 127\.0\.0\.1 -p {port} --read-only", threats)
    port = urlsplit(operators["upstreams"][0]).port
    assert re.search(rf"-h 127\.0\.0\.1 -p {port} +#", threats)


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)
def test_a_proxy_lets_nobody_around_it(proxy: dict[str, Any]) -> None:
    """It speaks TLS to the outside and loopback to the inside, asks for a group, and holds no secret itself."""
    assert [urlsplit(upstream).hostname for upstream in proxy["upstreams"]] == ["127.0.0.1"]
    assert proxy["http_address"] == ""
    assert proxy["tls_cert_file"]
    assert proxy["allowed_groups"]
    assert (proxy["cookie_secure"], proxy["cookie_samesite"], proxy["insecure_oidc_skip_nonce"]) == (True, "lax", False)
    assert proxy["cookie_name"].startswith("__Host-")
    assert not {"client_secret", "cookie_secret", "skip_auth_routes", "skip_auth_preflight", "trusted_ips"} & set(proxy)
