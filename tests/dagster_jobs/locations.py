"""Code locations in this process: whose a run or a tick is, is what the test says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from secretsync_dagster.location_signs import renew_sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster_jobs.lab import Lab

REPOSITORY = "__repository__"


def label(location: str) -> str:
    """What a code location's repository is called."""
    return f"{REPOSITORY}@{location}"


def job_origin(location: str, job: str) -> Any:
    """Where a run of a code location comes from."""
    return RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), REPOSITORY), job)


@contextlib.contextmanager
def runs_of(location: str) -> Iterator[None]:
    """What runs meanwhile is of this code location; of none, where it is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secretsync_dagster.shared_assets.location_of_run", lambda _: label(location) if location else "")
        yield


def another_signs(lab: Lab, location: str, *keys: dg.AssetKey) -> None:
    """Another code location says that it has these assets."""
    renew_sign(lab.instance, label(location), "", keys, newest=True)


class Ticks:
    """Evaluates a sensor as the daemon does for one code location: each tick gets the last one's cursor."""

    def __init__(self, lab: Lab, location: str, name: str) -> None:
        self.lab = lab
        self.origin = RegisteredCodeLocationOrigin(location)
        self.name = name
        self.cursor: str | None = None

    def tick(self) -> Any:
        """One tick."""
        repository = self.lab.definitions.get_repository_def()
        sensor = repository.get_sensor_def(self.name)
        resources = {
            key: made
            for key, made in repository.get_top_level_resources().items()
            if key in sensor.required_resource_keys
        }
        with (
            pytest.MonkeyPatch.context() as patch,
            dg.build_sensor_context(
                self.lab.instance,
                cursor=self.cursor,
                repository_def=repository,
                repository_name=REPOSITORY,
                resources=resources,
            ) as context,
        ):
            patch.setattr(dg.SensorEvaluationContext, "code_location_origin", self.origin)
            found = sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return found
