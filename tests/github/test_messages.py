"""What people are told to do: which field of the SecretStore to look at, and which permission to grant to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.github import refusals

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from support.github.service import GitHub

    from github.conftest import OpenStore

VALUE = SecretValue(b"s3cret")


async def _raised(call: Awaitable[object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


def _app(github: GitHub, **permissions: str) -> dict[str, Any]:
    app = github.people.app(**permissions)
    return {"app": {"clientId": app.client_id, "privateKey": {"value": app.pem}}}


@pytest.mark.parametrize(
    ("given", "permission"),
    [
        ({}, "Secrets: Read and write (secrets=write)"),
        ({"kind": "Variables"}, "Variables: Read and write (actions_variables=write)"),
        ({"kind": "Dependabot"}, "Dependabot secrets: Read and write (dependabot_secrets=write)"),
        ({"environment": "prod"}, "Environments: Read and write (environments=write)"),
        (
            {"organization": "acme", "visibility": "All"},
            "organization Secrets: Read and write (organization_secrets=write)",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("told", [True, False])
async def test_a_permission_that_is_missing(
    github: GitHub, opened: OpenStore, given: dict[str, Any], permission: str, *, told: bool
) -> None:
    """By GitHub's word, or where it gives none by its documentation: for an App what is to be done there, for a token
    also the scope of a classic one."""
    github.accounts.repository("acme/app").environment("prod")
    name = permission.partition("(")[2].rstrip(")")
    writes = "^(PUT|PATCH|POST) .*/(secrets|variables)"
    github.refuse(writes, refusals.not_accessible("integration", name if told else ""))
    store = await opened(auth=_app(github, **{name.partition("=")[0]: "write"}), **given)
    refused = await _raised(store.write("A", VALUE))
    assert isinstance(refused, AccessDenied)
    assert f"grant the App of auth.app the permission {permission}" in refused.hint
    assert "have its installation accept that" in refused.hint
    assert "classic" not in refused.hint
    github.heal()
    github.refuse(writes, refusals.not_accessible("personal access token", name if told else ""))
    refused = await _raised((await opened(**given)).write("A", VALUE))
    assert f"grant the token of auth.token the permission {permission}" in refused.hint
    scope = "admin:org" if "organization" in given else "repo"
    assert refused.hint.endswith(f"where it is a classic one the scope {scope}")


async def test_the_token_of_a_workflow(github: GitHub, opened: OpenStore) -> None:
    """It is an App's, without a right to secrets that anybody could grant."""
    store = await opened()
    github.refuse("^PUT ", refusals.not_accessible("integration", "secrets=write"))
    assert "GITHUB_TOKEN" in (await _raised(store.write("A", VALUE))).hint


@pytest.mark.parametrize(
    ("given", "what", "field"),
    [
        ({"repository": "acme/none"}, "repository acme/none", "repository"),
        ({"repository": "acme/none", "environment": "prod"}, "repository acme/none", "repository"),
        ({"organization": "none", "visibility": "All"}, "organization none", "organization"),
        ({"environment": "none"}, "environment none of acme/app", "environment"),
        ({"environment": "none", "kind": "Variables"}, "environment none of acme/app", "environment"),
        (
            {"organization": "acme", "visibility": "Selected", "selectedRepositories": ["none"]},
            "repository acme/none",
            "selectedRepositories",
        ),
    ],
    ids=str,
)
async def test_what_is_not_there(
    github: GitHub, opened: OpenStore, given: dict[str, Any], what: str, field: str
) -> None:
    """Or may not be seen: the field that names it, and what to grant if it is right."""

    async def write() -> None:
        await (await opened(**given)).write("A", VALUE)

    error = await _raised(write())
    assert isinstance(error, AccessDenied)
    assert f"there is no {what}, or our token may not see it" in error.message
    told = f"check {field} in the SecretStore"
    assert error.hint.startswith("make the environment" if field == "environment" else told)
    assert "grant the token of auth.token the permission" in error.hint


@pytest.mark.parametrize("given", [{}, {"environment": "prod"}], ids=["repository", "environment"])
async def test_a_repository_that_was_renamed(github: GitHub, opened: OpenStore, given: dict[str, Any]) -> None:
    """It is the repository that has another name, also where an environment of it is written to."""
    github.accounts.repository("acme/app").environment("prod")
    store = await opened(**given)
    github.accounts.rename("acme/app", "acme/new")
    error = await _raised(store.write("A", VALUE))
    assert "the repository acme/app was renamed or transferred" in error.hint
    assert "as repository in the SecretStore" in error.hint
    error = await _raised(opened(**given))
    assert "the repository acme/app is called acme/new now: give that as repository" in error.hint


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acme/new", True),
        ("acme/opaque-4711-x", False),
        ("opaque-4711/app", False),
        ("acme/ghp_16C7e42F292c6912E7710c838347Ae178B4a", False),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a/app", False),
        ("acme/a b", False),
        ("acme/a/b", False),
        ("acme/a\n", False),
    ],
)
async def test_a_new_name_is_told_only_if_it_is_one(
    github: GitHub, opened: OpenStore, name: str, *, told: bool
) -> None:
    """What an answer gives in its place may be our own token, or somebody's."""
    github.answer("^GET /repos/acme/app$", 200, json.dumps({"id": 7, "full_name": name}).encode())
    error = await _raised(opened(auth={"token": {"value": "opaque-4711"}}))
    assert "has another name" in error.message
    assert (name in f"{error.message} {error.hint}") is told
