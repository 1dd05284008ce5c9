"""Where variables of GitLab are: server, project and environment scope, under every path that a project has had."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from policy.test_flows import denied
from pydantic import ValidationError

from secretsync_core.model.place import Place
from secretsync_core.stores.gitlab_variables import PROVIDER
from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

if TYPE_CHECKING:
    from pathlib import Path

    from support.gitlab.service import GitLab

    from gitlab_variables.conftest import OpenStore

AUTH = {"auth": {"token": {"env": "T"}}}


def _config(**given: Any) -> GitlabVariablesConfig:
    return GitlabVariablesConfig.model_validate_json(json.dumps({**AUTH, **given}))


def _place(**given: Any) -> Place:
    assert PROVIDER.place is not None
    place = PROVIDER.place(_config(**given))
    assert isinstance(place, Place)
    return place


def test_by_the_documents() -> None:
    """Paths count in any case and scopes as they are; no scope lies within another, and no group is a project."""
    assert _place(project="Acme/App").is_same(_place(project="acme/app", address="https://GITLAB.com:443/"))
    ways: list[dict[str, Any]] = [
        {"project": "a/b"},
        {"project": "a/b", "environmentScope": "review"},
        {"project": "a/b", "environmentScope": "review/*"},
        {"project": "a/b", "environmentScope": "Review"},
        {"project": "a/b", "environmentScope": "c"},
        {"project": "a/bc"},
        {"project": "a/b/c"},
        {"project": "instance/a"},
        {"group": "a"},
        {"group": "a/b"},
        {"instance": True},
        {"project": "a/b", "address": "https://example.com/gitlab"},
    ]
    for index, way in enumerate(ways):
        for other_index, other in enumerate(ways):
            assert _place(**way).overlaps(_place(**other)) is (index == other_index), (way, other)


async def test_an_open_store_is_known_by_gitlabs_number(gitlab: GitLab, opened: OpenStore) -> None:
    """A renamed project is the same place, and a namesake made later is another one; a scope is within it."""
    before = (await opened()).facts.place
    gitlab.holders.rename("acme/app", "beta/app")
    after = (await opened(project="beta/app")).facts.place
    gitlab.holders.project("acme/app")
    namesake = (await opened()).facts.place
    scope = (await opened(project="beta/app", environmentScope="x")).facts.place
    assert before.is_same(after)
    assert not before.is_on_server_of(namesake)
    assert scope.is_on_server_of(before)
    assert not scope.overlaps(before)


def test_a_policy_knows_host_and_path(tmp_path: Path) -> None:
    """GitLab's own host counts where the document leaves it out; a path begins with that of the project."""
    app = "gitlabVariables: {project: Acme/App, environmentScope: review/*, auth: {token: {env: T}}}"
    assert denied(tmp_path, app, "{hosts: [gitlab.com]}")
    assert not denied(tmp_path, app, "{hosts: [gitlab.example]}")
    assert denied(tmp_path, app, '{paths: ["acme/app/**"]}', "DB")
    assert denied(tmp_path, app, '{paths: ["acme/app/-/review%2F*/DB"]}', "DB")
    assert not denied(tmp_path, app, '{paths: ["acme/app/-/production/**"]}', "DB")
    everywhere = "gitlabVariables: {instance: true, auth: {token: {env: T}}}"
    assert denied(tmp_path, everywhere, '{paths: ["-/instance/**"]}', "DB")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "exactly one of project, group or instance"),
        ({"project": "a/b", "group": "a"}, "exactly one of project, group or instance"),
        ({"instance": True, "environmentScope": "x"}, "no environmentScope"),
        ({"instance": True, "visibility": "Hidden"}, "cannot be hidden"),
        ({"project": "a/b", "address": "https://gitlab.com/api/v4"}, "without the API's path"),
        ({"project": "a/b", "description": "two\nlines"}, "one line"),
        ({"project": "a/b", "environmentScope": " x"}, "match pattern"),
        ({"project": "a/../b"}, "match pattern"),
        ({"project": "app"}, "match pattern"),
        ({"group": "groups/acme"}, "leave out groups/"),
        ({"project": "a/b", "auth": {}}, "token"),
        ({"project": "a/b", "description": "x" * 170}, "at most 169"),
    ],
)
def test_documents_that_are_refused(given: dict[str, Any], said: str) -> None:
    """What cannot be is refused by the document alone."""
    with pytest.raises(ValidationError, match=said):
        _config(**given)
