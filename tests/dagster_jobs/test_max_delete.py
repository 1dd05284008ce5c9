"""``maxDelete`` holds back deletes: only their items are red, and the first line says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_jobs.lab import evaluations, failures
from dagster_jobs.test_item_state import _shown as shown

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

FIVE = ("a", "b", "c", "d", "e")
HELD = (
    "maxDelete held back 2 deletes; if the plan is what you want, run `secretsync sync job --max-delete 2` once,"
    " or raise maxDelete"
)


def _five(lab: Lab, *names: str) -> None:
    plan = "\n".join(f"- {{name: {name}, query: {{path: {name}}}}}" for name in names)
    lab.job(plan, deletionPolicy="Delete", maxDelete="1")


def test_only_the_items_whose_deletes_were_held_are_red(lab: Lab) -> None:
    """Two of five; the others are green, also one that something was copied of; and the next run that may puts it
    right."""
    _five(lab, *FIVE)
    lab.fill("src", {f"{name}/{at}": {"x": "1"} for name in FIVE for at in (1, 2)})
    assert lab.run().success
    lab.take("src", "a/1")
    lab.take("src", "b/1")
    lab.fill("src", {"c/1": {"x": "new"}})
    result = lab.run()
    assert not result.success
    assert shown(lab) == {"green": {"c", "d", "e"}, "red": {"a", "b"}}
    (said,) = evaluations(result)
    assert said.description == "out of sync: a, b"
    assert [each.item for each in lab.ledger.items.out_of_sync("job")] == ["a", "b"]
    assert failures(result)["audit"]["told"].startswith(f"{HELD}. 2 of ")
    lab.fill("src", {"a/1": {"x": "1"}, "b/1": {"x": "1"}})
    assert lab.run().success
    assert shown(lab) == {"green": set(FIVE)}


def test_deletes_of_an_item_that_left_the_document_are_the_jobs(lab: Lab) -> None:
    """No item is to blame: the job as a whole is out of sync, and all of its items are green."""
    _five(lab, *FIVE)
    lab.fill("src", {f"{name}/{at}": {"x": "1"} for name in FIVE for at in (1, 2)})
    assert lab.run().success
    _five(lab, *FIVE[:4])
    result = lab.run()
    assert not result.success
    assert shown(lab) == {"green": set(FIVE[:4])}
    assert evaluations(result)[-1].description == "out of sync: the job as a whole"
    assert failures(result)["audit"]["told"].startswith(HELD)
