"""``automation: Eager``: a SyncJob whose source is another one's destination is synced after that one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.naming import scoped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsync_core.schema.documents import JobDocument

NAME = "secretsync_eager"


def automation_condition(document: JobDocument) -> dg.AutomationCondition[Any] | None:
    """When Dagster is to sync a job because of other jobs; None where its document asks for nothing like it.

    Between two syncs there is the store that one writes and the other reads. It is nothing that Dagster materializes,
    so that its own ``eager()`` would wait for ever: what counts is what the store is made from.
    """
    if document.spec.automation is None or document.spec.suspend:
        return None
    condition = dg.AutomationCondition
    made_from = condition.any_deps_match(condition.newly_updated())
    return (condition.any_deps_match(made_from).since_last_handled() & ~condition.in_progress()).with_label("eager")


def make_eager_sensor(
    jobs: Mapping[str, JobDocument], key_of: Callable[[str], dg.AssetKey], scope: str
) -> list[dg.AutomationConditionSensorDefinition]:
    """The sensor that evaluates all of these conditions, on from the start; none where no document asks for one.

    ``key_of`` gives the asset of a SyncJob by its name; ``scope`` is that of the documents.
    """
    keys = [key_of(name) for name, job in jobs.items() if job.spec.automation and not job.spec.suspend]
    if not keys:
        return []
    return [
        dg.AutomationConditionSensorDefinition(
            scoped(NAME, scope),
            target=dg.AssetSelection.assets(*keys),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Starts SyncJobs with automation: Eager after others have synced to a store that they read.",
        )
    ]
