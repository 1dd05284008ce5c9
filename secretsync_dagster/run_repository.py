"""What the process of one run needs of a code location: the one job that it asks for, compiled when it does.

Loading a thousand jobs for one of them is most of what a short run takes. And the job that a run was started with may
be gone from the documents since: the run has them, so there is a job for it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REPOSITORY = "__repository__"
"""What Dagster calls the repository of a code location that has one."""

_OF_ALL = "__"  # begins the names of the jobs that Dagster makes of all assets


class RunRepository(dg.RepositoryData):
    """Compiles the one job that is asked for; all of them where something else is.

    Args:
        one: compiles a SyncJob by Dagster's name of its job, as far as its documents are there.
        everything: compiles all documents.
        gone: makes a job of this name that runs with the documents that the run has.
    """

    def __init__(
        self,
        one: Callable[[str], dg.Definitions],
        everything: Callable[[], dg.Definitions],
        gone: Callable[[str], dg.Definitions],
    ) -> None:
        self._one, self._everything, self._gone = one, everything, gone

    def get_job(self, job_name: str) -> dg.JobDefinition:
        """The job; made for a name that no document has as well, for the run was started with one."""
        if not job_name.startswith(_OF_ALL):
            alone = self._one(job_name).get_repository_def()
            if alone.has_job(job_name):
                return alone.get_job(job_name)
        if self._all.has_job(job_name) or job_name.startswith(_OF_ALL):
            return self._all.get_job(job_name)
        return self._gone(job_name).get_repository_def().get_job(job_name)

    @cached_property
    def _all(self) -> dg.RepositoryDefinition:
        return self._everything().get_repository_def()

    def has_job(self, job_name: str) -> bool:
        """Whether there is a job: there is one for every name."""
        return True

    def get_all_jobs(self) -> Sequence[dg.JobDefinition]:
        """Every job."""
        return self._all.get_all_jobs()

    def get_top_level_resources(self) -> Mapping[str, dg.ResourceDefinition]:
        """The resources."""
        return self._all.get_top_level_resources()

    def get_env_vars_by_top_level_resource(self) -> Mapping[str, Any]:
        """None: resources take no variables."""
        return {}

    def get_all_schedules(self) -> Sequence[dg.ScheduleDefinition]:
        """Every schedule."""
        return self._all.schedule_defs

    def get_all_sensors(self) -> Sequence[dg.SensorDefinition]:
        """Every sensor."""
        return self._all.sensor_defs

    def get_source_assets_by_key(self) -> Mapping[dg.AssetKey, dg.SourceAsset]:
        """Assets that are somebody else's."""
        return self._all.source_assets_by_key

    def get_assets_defs_by_key(self) -> Mapping[dg.AssetKey, dg.AssetsDefinition]:
        """Every asset."""
        return self._all.assets_defs_by_key

    def get_asset_checks_defs_by_key(self) -> Mapping[dg.AssetCheckKey, dg.AssetChecksDefinition]:
        """Every check."""
        return self._all.asset_checks_defs_by_key
