"""The fake is as strict as GitHub's own description of its API: what that does not allow fails whoever sends it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from support.github import contract, reduce
from support.github.service import GitHub

SECRETS = "/repos/acme/app/actions/secrets"


def _ask(github: GitHub, method: str, path: str, body: object = None, token: str = "") -> int:
    connection = http.client.HTTPConnection(urlsplit(github.address).netloc, timeout=10)
    headers = {"User-Agent": "test", "Accept": "application/vnd.github+json", "Authorization": f"Bearer {token}"}
    payload = None if body is None else json.dumps(body)
    if payload is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, payload, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", f"{SECRETS}?perpage=100", None, "no parameter perpage"),
        ("GET", f"{SECRETS}?page=two", None, "parameter page is not as described"),
        ("POST", SECRETS, {"name": "A"}, "no operation"),
        ("PUT", f"{SECRETS}/A", None, "a body is missing"),
        ("PUT", f"{SECRETS}/A", {"encrypted_value": "!", "key_id": "1"}, "not as described at encrypted_value"),
        ("PUT", f"{SECRETS}/A", {"encrypted_value": "AAAA"}, "not as described: required"),
        ("PUT", f"{SECRETS}/A", {"encrypted_value": "AAAA", "key_id": "1", "visibility": "all"}, "unknown fields"),
        ("PUT", "/orgs/acme/actions/secrets/A", {"visibility": "Private"}, "not as described at visibility"),
        ("DELETE", f"{SECRETS}/A", {"x": 1}, "takes no body"),
    ],
)
def test_what_is_not_described_fails_the_test(method: str, path: str, body: object, said: str) -> None:
    """Another parameter, another body, or another operation than GitHub has."""
    github = GitHub()
    github.accounts.repository("acme/app")
    github.__enter__()
    assert _ask(github, method, path, body, github.people.classic("repo")) == 422
    with pytest.raises(AssertionError, match=said):
        github.__exit__()


def test_answers_are_held_to_the_same() -> None:
    """A field that is missing, or of another type, is no answer of GitHub's."""
    operation = contract.operation_of("GET", SECRETS)
    good = {"name": "A", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    contract.check_answer(operation, 200, {"total_count": 1, "secrets": [good]})
    for bad in (
        {"secrets": [good]},
        {"total_count": "1", "secrets": []},
        {"total_count": 1, "secrets": [{"name": "A"}]},
    ):
        with pytest.raises(AssertionError):
            contract.check_answer(operation, 200, bad)
    with pytest.raises(AssertionError):
        contract.check_answer(operation, 202, {})


def test_the_description_says_where_it_is_from() -> None:
    """Its package and version stand in the file, which holds no more than what is used."""
    described = json.loads(contract.FILE.read_text())
    assert described["x-source"].startswith("@octokit/openapi 23.")
    assert contract.FILE.stat().st_size < 400_000
    assert not [path for path in described["paths"] if not reduce.USED.fullmatch(path)]
