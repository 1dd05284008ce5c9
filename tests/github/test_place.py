"""Where secrets at GitHub are: server, repository, environment and kind, under every name that a repository has had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from policy.test_flows import denied
from pydantic import ValidationError

from secretsync_core.model.place import Place
from secretsync_core.stores.github_secrets import PROVIDER
from secretsync_core.stores.github_secrets.config import GithubSecretsConfig

if TYPE_CHECKING:
    from pathlib import Path

    from support.github.service import GitHub

    from github.conftest import OpenStore

AUTH = {"auth": {"token": {"env": "T"}}}


def _config(**given: Any) -> GithubSecretsConfig:
    return GithubSecretsConfig.model_validate_json(json.dumps({**AUTH, **given}))


def _place(**given: Any) -> Place:
    assert PROVIDER.place is not None
    place = PROVIDER.place(_config(**given))
    assert isinstance(place, Place)
    return place


def test_by_the_documents() -> None:
    """Names count in any case; each repository, environment and kind is a place of its own."""
    assert _place(repository="Acme/App", environment="Prod").is_same(_place(repository="acme/app", environment="prod"))
    assert _place(repository="a/b").is_same(_place(repository="a/b", address="https://API.github.com:443/"))
    ways: list[dict[str, Any]] = [
        {"repository": "a/b"},
        {"repository": "a/b", "kind": "Variables"},
        {"repository": "a/b", "kind": "Dependabot"},
        {"repository": "a/b", "environment": "x"},
        {"repository": "a/b", "environment": "x", "kind": "Variables"},
        {"repository": "a/bc"},
        {"repository": "a/actions"},
        {"organization": "a", "visibility": "All"},
        {"repository": "a/b", "address": "https://ghe.example/api/v3"},
    ]
    for index, way in enumerate(ways):
        for other_index, other in enumerate(ways):
            assert _place(**way).overlaps(_place(**other)) is (index == other_index), (way, other)


async def test_an_open_store_is_known_by_githubs_number(github: GitHub, opened: OpenStore) -> None:
    """A renamed repository is the same place, and a namesake made later is another one; an environment is within it."""
    before = (await opened()).facts.place
    github.accounts.rename("acme/app", "beta/app")
    after = (await opened(repository="beta/app")).facts.place
    assert after.is_same(before)
    assert after.server != before.server
    github.accounts.repository("acme/app")
    assert not (await opened()).facts.place.overlaps(before)
    environment = (await opened(repository="Beta/App", environment="x")).facts.place
    assert environment.is_on_server_of(after)
    assert not environment.overlaps(after)


def test_a_policy_knows_host_and_path(tmp_path: Path) -> None:
    """GitHub's own host counts where the document leaves it out; a path begins with owner and repository."""
    app = "githubSecrets: {repository: Acme/App, environment: Prod, auth: {token: {env: T}}}"
    assert denied(tmp_path, app, "{hosts: [api.github.com]}")
    assert not denied(tmp_path, app, "{hosts: [ghe.example]}")
    assert denied(tmp_path, app, '{paths: ["acme/app/**"]}', "DB")
    assert denied(tmp_path, app, '{paths: ["acme/app/environments/prod/actions/DB"]}', "DB")
    assert not denied(tmp_path, app, '{paths: ["acme/other/**"]}', "DB")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "exactly one of repository or organization"),
        ({"repository": "a/b", "organization": "a"}, "exactly one of repository or organization"),
        ({"organization": "a"}, "visibility goes with an organization"),
        ({"repository": "a/b", "visibility": "All"}, "visibility goes with an organization"),
        ({"organization": "a", "visibility": "Selected"}, "selectedRepositories goes with"),
        ({"organization": "a", "visibility": "All", "selectedRepositories": ["b"]}, "selectedRepositories goes with"),
        ({"organization": "a", "visibility": "All", "environment": "x"}, "environment needs a repository"),
        ({"repository": "a/b", "environment": "x", "kind": "Dependabot"}, "no secrets of Dependabot"),
        ({"repository": "a/b", "address": "https://github.com/"}, "the API is at https://api.github.com"),
        ({"repository": "a/b", "address": "https://ghe.example/../x"}, "address"),
        ({"repository": "a/.."}, "repository"),
        ({"repository": "a/b/c"}, "repository"),
        ({"repository": "a b/c"}, "repository"),
        ({"repository": "a/b", "environment": ".."}, "environment"),
        ({"repository": "a/b", "auth": {}}, "exactly one of token or app"),
    ],
    ids=str,
)
def test_a_document_that_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    """With what to write in its place."""
    with pytest.raises(ValidationError) as caught:
        _config(**given)
    assert said in str(caught.value)
