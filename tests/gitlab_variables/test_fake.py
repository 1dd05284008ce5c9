"""The fake is as strict as what is known of GitLab's API: what that does not allow fails whoever sends it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest
from support.gitlab.service import GitLab

VARIABLES = "/api/v4/projects/acme%2Fapp/variables"
ADMIN = "/api/v4/admin/ci/variables"


def _ask(gitlab: GitLab, method: str, path: str, body: object, token: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(gitlab.address).netloc, timeout=10)
    headers = {"PRIVATE-TOKEN": token}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", f"{VARIABLES}?perpage=100", None, "no parameter"),
        ("GET", f"{VARIABLES}?page=two", None, "page is no number"),
        ("GET", f"{VARIABLES}/A?filter[scope]=x", None, "no parameter"),
        ("GET", f"{ADMIN}/A?filter[environment_scope]=x", None, "no parameter"),
        ("PATCH", f"{VARIABLES}/A", {"value": "x"}, "no operation"),
        ("POST", VARIABLES, {"key": "A"}, "attributes are missing"),
        ("POST", VARIABLES, {"key": "A", "value": "x", "hidden": True}, "no attributes"),
        ("POST", VARIABLES, {"key": "A", "value": "x", "masked": "true"}, "masked is of another type"),
        ("POST", VARIABLES, {"key": "A", "value": "x", "variable_type": "File"}, "neither env_var nor file"),
        ("POST", ADMIN, {"key": "A", "value": "x", "environment_scope": "*"}, "no attributes"),
        ("POST", ADMIN, {"key": "A", "value": "x", "masked_and_hidden": True}, "no attributes"),
        ("PUT", f"{VARIABLES}/A", {"masked_and_hidden": True}, "no attributes"),
        ("DELETE", f"{VARIABLES}/A", {"x": 1}, "takes no body"),
    ],
)
def test_what_is_not_described_fails_the_test(method: str, path: str, body: object, said: str) -> None:
    """Another parameter, another attribute, or another operation than python-gitlab and the documentation know."""
    gitlab = GitLab()
    gitlab.holders.project("acme/app")
    gitlab.__enter__()
    assert _ask(gitlab, method, path, body, gitlab.token()) == 400
    with pytest.raises(AssertionError, match=said):
        gitlab.__exit__()


def test_names_without_a_filter_are_ambiguous() -> None:
    """Two variables of one name: 409 for whoever does not say which, and the right one for whoever does."""
    with GitLab() as gitlab:
        project = gitlab.holders.project("acme/app")
        for scope in ("*", "production"):
            project.put("A", scope, environment_scope=scope)
        token = gitlab.token()
        assert _ask(gitlab, "DELETE", f"{VARIABLES}/A", None, token) == 409
        assert _ask(gitlab, "DELETE", f"{VARIABLES}/A?filter[environment_scope]=*", None, token) == 204
        assert project.values("production") == {"A": "production"}
