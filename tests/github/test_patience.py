"""Logins that end in the middle of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import counted

from secretsync_core.cli.results import of_sync
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from run.world import World
    from support.github.people import App
    from support.github.service import GitHub

    from github.conftest import Section

MANY = 40
LOGINS = "^POST /app/installations"


@pytest.fixture
def app(github: GitHub) -> App:
    """An App that may read variables."""
    return github.people.app(actions_variables="write", variables="write")


@pytest.fixture
def synced(world: World, section: Section, github: GitHub, app: App) -> World:
    """A job that copies many variables, by the App."""
    auth = {"app": {"clientId": app.client_id, "privateKey": {"value": app.pem}}}
    world.store("src", f"githubSecrets: {json.dumps(section(kind='Variables', auth=auth))}")
    world.job("- {name: all, query: {}}", limits="{concurrency: 4}")
    for number in range(MANY):
        github.accounts.repository("acme/app").shelf("actions", "variables").create(f"K{number:02}", str(number))
    return world


def _end_session(github: GitHub) -> None:
    for token in [each for each in github.people.callers if each.startswith("ghs_")]:
        github.people.revoke(token)


async def test_an_app_that_is_uninstalled_in_mid_run(synced: World, github: GitHub, app: App) -> None:
    """It logs in once more, and the store is lost: no further login for each variable, and exit code 3."""

    def uninstall() -> None:
        _end_session(github)
        app.installation = 999

    github.before("GET .*/variables/K1", uninstall)
    report = await synced.sync()
    assert github.count(LOGINS) <= 2
    assert report.total(Result.NOT_REACHED) >= MANY - 18 - 8
    assert [error.code for error in report.errors] == ["locked-out"]
    assert of_sync(report) == 3


async def test_a_session_that_is_ended_in_mid_run(synced: World, github: GitHub) -> None:
    """Another one is begun, once, and nothing is lost."""
    github.before("GET .*/variables/K1", lambda: _end_session(github))
    report = await synced.sync()
    assert counted(report) == {"created": MANY}
    assert github.count(LOGINS) == 2
