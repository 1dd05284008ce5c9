"""Lists and tooltips of the web UI show descriptions as they are: there is no markup in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_jobs.lab import TWO_ITEMS

if TYPE_CHECKING:
    import pytest

    from dagster_jobs.lab import Lab

MARKUP = ("`", "**", "[", "](", "#", "\n- ")


def test_what_lists_show_has_no_markup(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptions of jobs, assets, checks, schedules, sensors and resources, of a job that has everything."""
    monkeypatch.setenv("HOOK", "http://127.0.0.1:1/")
    lab.job(
        TWO_ITEMS,
        schedule="'*/5 * * * *'",
        onChange="{interval: 30s}",
        driftCheck="{schedule: '@daily'}",
        deletionPolicy="Delete",
        notify="[{webhook: {url: {env: HOOK}}}]",
    )
    repository = lab.definitions.get_repository_def()
    told = {f"job {job.name}": job.description for job in repository.get_all_jobs()}
    told |= {f"asset {node.key}": node.description for node in repository.asset_graph.asset_nodes}
    told |= {
        f"check {key}": repository.asset_graph.get_check_spec(key).description
        for key in repository.asset_graph.asset_check_keys
    }
    told |= {f"schedule {each.name}": each.description for each in repository.schedule_defs}
    told |= {f"sensor {each.name}": each.description for each in repository.sensor_defs}
    told |= {f"resource {name}": each.description for name, each in repository.get_top_level_resources().items()}
    assert {name.partition(" ")[0] for name in told} == {"job", "asset", "check", "schedule", "sensor", "resource"}
    assert "src to dst on */5 * * * * (UTC), and when the source changes" in str(told["job job"])
    assert not {name: text for name, text in told.items() if any(mark in (text or "") for mark in MARKUP)}


def test_the_resource_has_a_name(lab: Lab) -> None:
    """It is listed by what makes it, and that is no lambda."""
    lab.two_items()
    resources = lab.definitions.get_repository_def().get_top_level_resources()
    assert resources["secretsync"].resource_fn.__name__ == "secretsync_documents"
