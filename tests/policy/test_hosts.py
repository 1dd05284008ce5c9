"""Which host an address leads to, and whether that is this machine."""

from __future__ import annotations

import pytest

from secretsync_core.hosts import address_fault, canonical, host_of, is_loopback, is_plain_http


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("http://127.0.0.1:8200", False),
        ("http://127.255.0.9", False),
        ("http://localhost:8200/x", False),
        ("HTTP://LOCALHOST", False),
        ("http://[::1]:8200", False),
        ("https://vault.example.com", False),
        ("http://127.evil.example", True),
        ("http://127.1", True),
        ("http://0.0.0.0:8200", True),
        ("http://localhost.evil.example", True),
        ("http://evil.localhost", True),
        ("http://localhost.", True),
        ("http://127.0.0.1.", True),
        ("http://127.0.0.1@evil.example/", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://0127.0.0.1", True),
        ("HTTP://Vault.Example.COM", True),
    ],
)
def test_what_is_plain_http_to_another_host(address: str, plain: bool) -> None:
    """Only localhost and addresses of 127.0.0.0/8 and ::1, written out, are this machine."""
    assert host_of(address) is not None
    assert is_plain_http(address) is plain


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1\\@evil.example/", "http://a b", "http://", "http://[::1", "http://ｅvil.example", "", "x:y"],
)
def test_what_names_no_host_for_sure(address: str) -> None:
    """What programs read differently is no address, and nothing that is trusted."""
    assert host_of(address) is None
    assert is_plain_http(address) is address.startswith("http://")


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("2852039166", "169.254.169.254"),
        ("0xa9.0xfe.0xa9fe", "169.254.169.254"),
        ("::ffff:169.254.169.254", "169.254.169.254"),
        ("Vault.Example.COM.", "vault.example.com"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("cafe", "cafe"),
    ],
)
def test_other_spellings_of_a_host(name: str, usual: str) -> None:
    """Another spelling of an address does not get past a rule for it."""
    assert canonical(name) == usual


def test_a_name_is_not_this_machine() -> None:
    """A zone makes an address another one, and no name but localhost is trusted."""
    assert not any(map(is_loopback, ("::1%lo", "ip6-localhost", "127.0.0.1.nip.io", "128.0.0.1", "")))


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://127.0.0.1:99999", "port"),
        ("http://127.0.0.1:0", "port"),
        ("http://127.0.0.1:", "port"),
        ("http://127.0.0.1:abc", "port"),
        ("http://127.0.0.1:-1", "port"),
        ("http://vault:\u0663", "port"),
        (f"http://{'a' * 300}", "names no host"),
        (f"http://{'.'.join(['a' * 60] * 5)}", "names no host"),
        (f"http://{'a' * 64}.example", "names no host"),
        ("http://.", "names no host"),
        ("http://..", "names no host"),
        ("http://a..b", "names no host"),
        ("http://-a", "names no host"),
        ("http://xn--", "names no host"),
        ("http://%zz", "names no host"),
        ("http://[x]", "names no host"),
        ("http://[::1", "names no host"),
        ("http://[fe80::1%25eth0]:1", "names no host"),
        ("http://a:1:2", "names no host"),
        ("http://a\\b", "names no host"),
        ("https://exa\u00e4mple.test", "xn--"),
    ],
)
def test_what_leads_nowhere(address: str, fault: str) -> None:
    """An address that no program could connect to says what of it is wrong, and quotes nothing."""
    assert fault in address_fault(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:8200",
        "https://vault.example.com./vault",
        "https://[::1]:65535/",
        "http://a_b:1",
        "http://127.1",
        f"https://{'a' * 63}.example",
        "https://xn--exmple-cua.test/a:b",
    ],
)
def test_what_leads_somewhere(address: str) -> None:
    """Names, addresses of both kinds, ports from 1 to 65535 and paths are fine."""
    assert address_fault(address) == ""
