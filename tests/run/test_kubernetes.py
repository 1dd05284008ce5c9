"""Syncs from a real OpenBao to Kubernetes (a fake API server, the official client) and back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp

from run.pair import DOWN, UP
from run.test_orphans import end
from run.test_saved_plans import carry_out, save
from run.world import actions, counted, reasons, wrote
from secretsync_core.endurance import MIB, Endurance
from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.report import Result
from secretsync_core.run import carry_out as carrying
from secretsync_core.run import reconcile
from secretsync_core.schema import store

if TYPE_CHECKING:
    from run.pair import Pair

BYTES = b"\xfe\xed\x00\xff"


async def test_there_and_back(pair: Pair) -> None:
    """Fields become the data of Secrets named by a keyTransform, and come back as the same fields elsewhere."""
    secrets: dict[str, dict[str, Any]] = {
        "app/db": {"user": "ada", "password": "pässwörd\n", "empty": ""},
        "app/deep/er": {"tls.crt": "-----BEGIN", "_x": "1"},
    }
    for key, fields in secrets.items():
        pair.put(key, fields)
    assert counted(await pair.up()) == {"created": 2}
    assert pair.names() == ["app-db", "app-deep-er"]
    assert pair.secret("app-db") == {"user": b"ada", "password": "pässwörd\n".encode(), "empty": b""}
    assert counted(await pair.down()) == {"created": 2}
    assert pair.get("back/db") == secrets["app/db"]
    assert pair.get("back/deep-er") == secrets["app/deep/er"]
    assert pair.world.sound()


async def test_nothing_to_do_reads_and_writes_nothing(pair: Pair) -> None:
    """A second sync asks the destination for one list without values, and as a source Kubernetes costs one too."""
    for number in range(20):
        pair.put(f"app/{number}", {"x": str(number)})
    await pair.up()
    pair.kube.requests.clear()
    report = await pair.world.sync()
    assert (counted(report), report.requests["k8s"]) == ({"unchanged": 20}, {"stat": 1, "list": 1})
    first, *listing = pair.kube.requests
    assert first.path == "/api/v1/namespaces/kube-system"  # which cluster it is
    assert all("PartialObjectMetadataList" in request.headers["accept"] for request in listing)
    await pair.down()
    assert (await pair.world.sync()).requests["k8s"] == {"stat": 1, "list": 1}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [600, pytest.param(5000, marks=pytest.mark.nightly)])
async def test_thousands_of_unchanged_secrets_cost_a_few_requests(pair: Pair, count: int) -> None:
    """Where nothing changed, a job from one namespace to another asks each for a page of 500 at a time, and writes
    nothing; so it does where one Secret changed, but for that one."""
    pair.world.store(
        "other", f"kubernetes: {{namespace: team-b, server: '{pair.kube.address}', auth: {pair.kube_auth}}}"
    )
    for number in range(count):
        pair.create(f"s-{number:05}", {"x": str(number).encode()})
    pair.world.job("- {name: all, query: {}}", source="k8s", dest="other")
    assert counted(await pair.world.sync()) == {"created": count}
    most = count / 500 + 5
    pair.kube.requests.clear()
    report = await pair.world.sync()
    assert counted(report) == {"unchanged": count}
    for side in ("team-a", "team-b"):
        asked = [request for request in pair.kube.requests if f"/namespaces/{side}/" in request.path]
        assert count / 500 <= len(asked) <= most
        assert {request.method for request in asked} == {"GET"}
        assert all("PartialObjectMetadataList" in request.headers["accept"] for request in asked)
    assert len(pair.kube.requests) <= 2 * most
    pair.patch("s-00432", {"data": {"x": base64.b64encode(b"new").decode()}})
    pair.kube.requests.clear()
    assert counted(await pair.world.sync()) == {"updated": 1, "unchanged": count - 1}
    assert len([request for request in pair.kube.requests if request.method != "GET"]) == 1
    assert len(pair.kube.requests) <= 2 * most


async def test_without_a_ledger_nothing_is_written_either(pair: Pair) -> None:
    """What is there already as it should be is read, compared and left alone."""
    pair.put("app/a", {"x": "1"})
    pair.create("app-a", {"x": b"1"}, metadata={"labels": {"theirs": "y"}})
    report = await pair.up()
    assert (counted(report), wrote(report, "k8s")) == ({"unchanged": 1}, 0)


async def test_bytes_with_and_without_base64(pair: Pair) -> None:
    """Bytes that are not text need encoding: base64 on the way to OpenBao, and then come back as they were."""
    pair.create("app-keystore", {"store.jks": BYTES, "text": b"plain"})
    report = await pair.down()
    (failure,) = report.failures
    assert failure.code == "invalid-secret"
    assert "encoding: base64" in failure.hint
    assert counted(await pair.down(DOWN + "  encoding: base64\n")) == {"created": 1}
    assert pair.get("back/keystore") == {
        "store.jks": base64.b64encode(BYTES).decode(),
        "text": base64.b64encode(b"plain").decode(),
    }
    again = UP.replace("path: app", "path: back") + "  encoding: base64\n"
    assert counted(await pair.up(again)) == {"created": 1}
    assert pair.secret("back-keystore") == {"store.jks": BYTES, "text": b"plain"}
    pair.put("back/keystore", {"x": "not base64!"})
    (failure,) = (await pair.world.sync()).failures
    assert "is not base64" in failure.message


async def test_numbers(pair: Pair) -> None:
    """A number is refused with the way to send it, and that way works."""
    pair.put("app/a", {"port": 5432, "on": True, "list": [1, "x"], "name": "db"})
    (failure,) = (await pair.up()).failures
    assert failure.code == "invalid-secret"
    assert "fields: {asText: true}" in failure.hint
    assert pair.names() == []
    as_text = UP + "  valueTransform: [{fields: {asText: true}}]\n"
    assert counted(await pair.up(as_text)) == {"created": 1}
    assert pair.secret("app-a") == {"port": b"5432", "on": b"true", "list": b'[1,"x"]', "name": b"db"}


async def test_names_are_refused_before_anything_is_written(pair: Pair) -> None:
    """A key that no Secret can have is refused in the plan, with the rule and the way out; the others go on."""
    for key in ("app/Upper", "app/fine"):
        pair.put(key, {"x": "1"})
    pair.world.job(UP, source="bao", dest="k8s")
    planned = await pair.world.plan()
    assert actions(planned) == {"app-Upper": "refuse", "app-fine": "create"}
    (refused,) = [change for change in planned.changes if change.key == "app-Upper"]
    assert "lower-case" in refused.detail
    assert "keyTransform" in refused.detail
    assert counted(await pair.world.sync()) == {"created": 1, "refused": 1}


async def test_field_names_and_sizes(pair: Pair) -> None:
    """Names of fields that no Secret can have, and more than fits, are refused with what to do."""
    pair.put("app/names", {"a b": "1"})
    pair.put("app/large", {f"f{number}": "x" * 524_289 for number in range(1)})
    pair.put("app/most", {"x": "y" * 900_000})
    report = await pair.up()
    assert counted(report) == {"created": 2, "failed": 1}
    (failure,) = report.failures
    assert "rename" in failure.hint
    combined = """
- name: both
  key: both
  combine: [{name: a, secret: {key: app/large}}, {name: b, secret: {key: app/most}}]
  valueTransform: [{template: {data: {a: "{{ a.f0 }}", b: "{{ b.x }}"}}}]
"""
    (failure,) = [each for each in (await pair.up(combined)).failures if each.change.key == "both"]
    assert "1,048,576 fit" in failure.message


async def test_merge_keeps_foreign_fields(pair: Pair) -> None:
    """With Merge, our fields are put beside those of others, changed and taken away again, and theirs stay."""
    pair.put("app/a", {"ours": "1", "too": "2"})
    pair.create("app-a", {"theirs": BYTES}, metadata={"labels": {"team": "x"}}, type="example.com/kind")
    spec = {"writePolicy": "Merge", "deletionPolicy": "Delete", "maxDelete": "9"}
    assert counted(await pair.up(**spec)) == {"updated": 1}
    assert pair.secret("app-a") == {"theirs": BYTES, "ours": b"1", "too": b"2"}
    pair.put("app/a", {"ours": "3"})
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert pair.secret("app-a") == {"theirs": BYTES, "ours": b"3"}
    whole = pair.kube.cluster.get("team-a", "app-a")
    assert (whole["type"], whole["metadata"]["labels"]) == ("example.com/kind", {"team": "x"})
    assert counted(await pair.world.sync()) == {"unchanged": 1}


async def test_deletes_only_what_it_created(pair: Pair) -> None:
    """What this job created goes with its source; what was there before, and what others made, stays."""
    pair.put("app/new", {"x": "1"})
    pair.put("app/old", {"x": "1"})
    pair.create("app-old", {"x": b"0"})
    pair.create("other", {"x": b"0"})
    spec = {"deletionPolicy": "Delete", "maxDelete": "9", "writePolicy": "Replace"}
    assert counted(await pair.up(**spec)) == {"created": 1, "updated": 1}
    pair.remove("app/new")
    pair.remove("app/old")
    report = await pair.world.sync()
    assert report.counts["app"].get(Result.DELETED) == 1
    assert pair.names() == ["app-old", "other"]


async def test_a_source_namespace_that_is_gone_deletes_nothing(pair: Pair) -> None:
    """A namespace that disappeared is an error of the source, and no reason to delete what was made from it."""
    pair.create("app-a", {"x": b"1"})
    spec = {"deletionPolicy": "Delete", "maxDelete": "100%"}
    assert counted(await pair.down(**spec)) == {"created": 1}
    pair.kube.cluster.delete_namespace("team-a")
    report = await pair.world.sync()
    assert any("has no namespace team-a" in error.message for error in report.errors)
    assert pair.get("back/a") == {"x": "1"}


async def test_only_labels_changed(pair: Pair) -> None:
    """Somebody who only sets a label causes one comparison, no write, and no talk of drift."""
    pair.put("app/a", {"x": "1"})
    await pair.up()
    pair.patch("app-a", {"metadata": {"labels": {"x": "y"}}})
    report = await pair.world.sync()
    assert (counted(report), wrote(report, "k8s"), report.drifted_count) == ({"unchanged": 1}, 0, 0)
    assert "read" not in (await pair.world.sync()).requests["k8s"]


@pytest.mark.parametrize("late", [False, True])
async def test_labels_do_not_keep_a_secret_from_being_deleted(pair: Pair, late: bool) -> None:
    """A label or annotation that somebody sets, long before the delete or right before, leaves the copy ours."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    pair.remove("app/a")
    changed = {"metadata": {"labels": {"x": "y"}, "annotations": {"example.com/x": "y"}}}
    if late:
        # After the survey, and before the last look.
        survey = reconcile.decide_changes

        async def decide(*args: Any, **given: Any) -> Any:
            found = await survey(*args, **given)
            pair.patch("app-a", changed)
            return found

        pair.world.patch.setattr(carrying, "decide_changes", decide)
    else:
        pair.patch("app-a", changed)
        assert actions(await pair.world.plan())["app-a"] == "delete"
    report = await pair.world.sync()
    assert (counted(report), report.drifted_count) == ({"deleted": 1, "unchanged": 1}, 0)
    assert pair.names() == ["app-b"]


def made_anew(pair: Pair, value: bytes = b"1", **metadata: Any) -> None:
    """Somebody deletes our Secret and creates another one of the same name, and of this data."""
    pair.kube.cluster.delete("team-a", "app-a", {})
    pair.create("app-a", {"x": value}, metadata=metadata)


@pytest.mark.parametrize("late", [False, True])
async def test_a_secret_that_was_made_anew_where_no_value_may_be_read(pair: Pair, late: bool) -> None:
    """It is written again, as the job's key, and is not the job's own: once its source is gone it stays."""
    pair.k8s(permissions="Write\n  look: true")
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    if late:
        pair.patch("app-a", {"metadata": {"labels": {"x": "y"}}})
        survey = reconcile.decide_changes

        async def decide(*args: Any, **given: Any) -> Any:
            found = await survey(*args, **given)
            made_anew(pair)
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(carrying, "decide_changes", decide)
            assert counted(await pair.world.sync()) == {"updated": 1, "unchanged": 1}
    else:
        made_anew(pair)
        assert counted(await pair.world.sync()) == {"updated": 1, "unchanged": 1}
    assert not pair.world.state()["k8s", "app-a"].owned
    pair.remove("app/a")
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    assert pair.names() == ["app-a", "app-b"]


async def test_a_saved_plan_takes_over_what_it_saw_where_no_value_may_be_read(pair: Pair) -> None:
    """Our mark would make another version, so the key is written at the one that the plan names, or not at all."""
    pair.k8s(permissions="Write\n  look: true")
    pair.create("app-a", {"x": b"theirs"})
    pair.put("app/a", {"x": "1"})
    pair.world.job(UP, source="bao", dest="k8s")
    data = await save(pair.world, adopt=frozenset({"app-a"}))
    pair.patch("app-a", {"data": {"x": base64.b64encode(b"newer").decode()}})
    assert reasons((await carry_out(pair.world, data)).failures) == {"app-a": "moved-since-plan"}
    assert pair.secret("app-a") == {"x": b"newer"}
    data = await save(pair.world, adopt=frozenset({"app-a"}))
    assert counted(await carry_out(pair.world, data)) == {"updated": 1}
    assert (pair.secret("app-a"), pair.world.state()["k8s", "app-a"].owned) == ({"x": b"1"}, True)


@pytest.mark.parametrize("when", ["before", "late", "a sync between"])
async def test_a_secret_that_somebody_made_anew_is_not_deleted(pair: Pair, when: str) -> None:
    """Another Secret of the same name and value is not ours, whenever it came: it stays once its source is gone."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    if when == "a sync between":
        made_anew(pair)
        assert counted(await pair.world.sync()) == {"unchanged": 2}
        assert not pair.world.state()["k8s", "app-a"].owned
        pair.remove("app/a")
        assert counted(await pair.world.sync()) == {"unchanged": 1}
    else:
        pair.remove("app/a")
        if when == "late":
            survey = reconcile.decide_changes

            async def decide(*args: Any, **given: Any) -> Any:
                found = await survey(*args, **given)
                made_anew(pair)
                return found

            pair.world.patch.setattr(carrying, "decide_changes", decide)
        else:
            made_anew(pair)
            assert actions(await pair.world.plan())["app-a"] == "refuse"
        report = await pair.world.sync()
        assert (counted(report), reasons(report.failures)) == (
            {"refused": 1, "unchanged": 1},
            {"app-a": "changed-outside"},
        )
    assert pair.names() == ["app-a", "app-b"]


async def test_a_secret_that_is_made_anew_while_it_is_compared(pair: Pair) -> None:
    """Between the survey and the look at its value it may become somebody else's too."""
    pair.put("app/a", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    pair.patch("app-a", {"metadata": {"labels": {"x": "y"}}})
    survey = reconcile.decide_changes

    async def decide(*args: Any, **given: Any) -> Any:
        found = await survey(*args, **given)
        made_anew(pair)
        return found

    pair.world.patch.setattr(carrying, "decide_changes", decide)
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    assert not pair.world.state()["k8s", "app-a"].owned


async def test_a_secret_that_was_restored_with_our_mark_stays_ours(pair: Pair) -> None:
    """A restore from a backup makes it anew as well, with its labels: it is deleted once its source is gone."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    made_anew(pair, labels=pair.kube.cluster.get("team-a", "app-a")["metadata"]["labels"])
    assert counted(await pair.world.sync()) == {"unchanged": 2}
    pair.remove("app/a")
    assert counted(await pair.world.sync()) == {"deleted": 1, "unchanged": 1}


async def test_what_somebody_made_anew_is_no_orphan_to_delete(pair: Pair) -> None:
    """``orphans --delete`` leaves it as well, and deletes the one of which only a label has changed."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up()
    for key in ("a", "b"):
        pair.remove(f"app/{key}")
    made_anew(pair)
    pair.patch("app-b", {"metadata": {"labels": {"x": "y"}}})
    orphans = (await pair.world.plan()).orphans
    assert len(orphans) == 2
    report = (await end(pair.world, orphans)).done.report
    assert (counted(report), reasons(report.failures)) == (
        {"deleted": 1, "refused": 1},
        {"app-a": "changed-outside"},
    )
    assert pair.names() == ["app-a"]


async def test_marks_that_cannot_be_had_of_what_was_made_anew(pair: Pair) -> None:
    """Whose it is stays open then: the key is refused, and the next run asks again."""
    pair.put("app/a", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    made_anew(pair, labels=pair.kube.cluster.get("team-a", "app-a")["metadata"]["labels"])
    pair.world.fault("k8s").fail("marks", StoreUnavailable("no answer", store="k8s"))
    report = await pair.world.sync()
    assert (counted(report), reasons(report.failures)) == ({"refused": 1}, {"app-a": "cannot-see"})
    pair.world.faults.clear()
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    assert pair.world.state()["k8s", "app-a"].owned


async def test_a_secret_that_is_made_anew_right_after_an_update_without_answer(pair: Pair) -> None:
    """Where the answer is lost, another Secret of the value that was written does not count as the one updated."""
    async with FaultyHttp(pair.kube.address) as proxy:
        pair.k8s(proxy.address)
        pair.put("app/a", {"x": "1"})
        await pair.up(deletionPolicy="Delete", maxDelete="9")
        pair.put("app/a", {"x": "2"})

        def theirs(_: bytes) -> bytes:
            made_anew(pair, b"2")
            return b"?"

        proxy.alter("^PUT ", theirs, times=1)
        assert counted(await pair.world.sync()) == {"unchanged": 1}
        assert not pair.world.state()["k8s", "app-a"].owned


async def test_what_somebody_made_anew_is_not_undone(pair: Pair) -> None:
    """An undo deletes what the run created, and not another Secret of the same name and value."""
    pair.put("app/a", {"x": "1"})
    run = (await pair.up()).run
    made_anew(pair)
    report = await pair.world.undo(run)
    assert (counted(report), reasons(report.failures)) == ({"refused": 1}, {"app-a": "changed-outside"})
    assert pair.names() == ["app-a"]


async def test_labels_do_not_keep_a_run_from_being_undone(pair: Pair) -> None:
    """What a run created can be undone though somebody has set a label since; not so what has another value."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    run = (await pair.up()).run
    pair.patch("app-a", {"metadata": {"labels": {"x": "y"}}})
    pair.patch("app-b", {"metadata": {"labels": {"x": "y"}}, "data": {"x": "AAAA"}})
    planned = await pair.world.plan_undo(run)
    assert {change.key: change.reason.value for change in planned.changes} == {
        "app-a": "undone",
        "app-b": "changed-outside",
    }
    report = await pair.world.undo(run)
    assert (counted(report), pair.names()) == ({"deleted": 1, "refused": 1}, ["app-b"])
    assert pair.world.sound()


async def test_another_value_keeps_a_secret_from_being_deleted(pair: Pair) -> None:
    """What somebody changed the value of stays, in plan and sync, and is told as drift."""
    pair.put("app/a", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    pair.remove("app/a")
    pair.patch("app-a", {"data": {"x": "AAAA"}, "metadata": {"labels": {"x": "y"}}})
    (planned,) = (await pair.world.plan()).changes
    assert (planned.action.value, planned.reason.value) == ("refuse", "changed-outside")
    report = await pair.world.sync()
    assert (counted(report), report.drifted_count) == ({"refused": 1}, 1)
    assert pair.names() == ["app-a"]


async def test_written_right_before_the_delete(pair: Pair) -> None:
    """What somebody writes between the last look and the delete stays."""
    pair.put("app/a", {"x": "1"})
    await pair.up(deletionPolicy="Delete", maxDelete="9")
    pair.remove("app/a")

    async def theirs(_: str) -> None:
        pair.patch("app-a", {"data": {"x": "AAAA"}})

    pair.world.fault("k8s").run("delete", theirs)
    report = await pair.world.sync()
    assert (counted(report), reasons(report.failures)) == ({"refused": 1}, {"app-a": "changed-outside"})
    assert pair.secret("app-a") == {"x": b"\0\0\0"}


async def test_drift_is_put_right(pair: Pair) -> None:
    """What somebody changed or deleted in the cluster is named as drift, and is again what the source says."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    await pair.up()
    pair.patch("app-a", {"data": {"x": "AAAA"}})
    pair.kube.cluster.delete("team-a", "app-b", {})
    report = await pair.world.sync()
    assert {change.key: change.drift.value for change in report.drifted} == {"app-a": "changed", "app-b": "removed"}
    assert (pair.secret("app-a"), pair.secret("app-b")) == ({"x": b"1"}, {"x": b"1"})


async def test_changed_between_look_and_write(pair: Pair) -> None:
    """Somebody's write between our GET and our PUT is seen, decided about, and not lost unnoticed."""
    pair.put("app/a", {"x": "1"})
    await pair.up(writePolicy="Merge")
    pair.put("app/a", {"x": "2"})
    pair.kube.before("^PUT ", lambda: pair.patch("app-a", {"data": {"theirs": "eA=="}}))
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert pair.secret("app-a") == {"x": b"2", "theirs": b"x"}
    assert pair.kube.count("^PUT ") == 2


async def test_an_answer_that_is_lost(pair: Pair) -> None:
    """Where the answer to a create or an update is cut off, what was written is found, and done once."""
    async with FaultyHttp(pair.kube.address) as proxy:
        pair.k8s(proxy.address)
        pair.put("app/a", {"x": "1"})
        proxy.cut("^POST ", times=1)
        assert counted(await pair.up()) == {"created": 1}
        pair.put("app/a", {"x": "2"})
        proxy.cut("^PUT ", times=1)
        report = await pair.world.sync()
        assert (counted(report), report.drifted_count) == ({"updated": 1}, 0)
    pair.k8s()
    assert pair.secret("app-a") == {"x": b"2"}
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    assert pair.world.sound()


@pytest.mark.parametrize("made", [True, False])
async def test_a_write_whose_answer_is_too_large(pair: Pair, made: bool) -> None:
    """It may have been made: it is uncertain until a look settles that, and is ours then."""
    async with FaultyHttp(pair.kube.address) as proxy:
        pair.k8s(proxy.address)
        pair.put("app/a", {"x": "1"})

        def swell(_: bytes) -> bytes:
            if not made:
                pair.kube.cluster.delete("team-a", "app-a", {})
            proxy.answer("^GET .*/app-a", 503)
            return b" " * (MIB + 1)

        proxy.alter("^POST ", swell)
        pair.world.patch.setattr(store, "of_limits", lambda _: Endurance(answer=MIB))
        assert counted(await pair.up(deletionPolicy="Delete", maxDelete="9")) == {"uncertain": 1}
        proxy.heal()
        assert counted(await pair.world.sync()) == ({"unchanged": 1} if made else {"created": 1})
        assert pair.world.state()["k8s", "app-a"].owned
        assert pair.world.sound()


async def test_if_not_exists(pair: Pair) -> None:
    """What is there is left alone, also where somebody creates it in that moment."""
    for key in ("a", "b", "c"):
        pair.put(f"app/{key}", {"x": "1"})
    pair.create("app-a", {"x": b"0"})
    pair.kube.before("^POST ", lambda: pair.create("app-b", {"x": b"0"}))
    pair.world.job(UP, source="bao", dest="k8s", writePolicy="IfNotExists", limits="{concurrency: 1}")
    report = await pair.world.sync()
    assert counted(report) == {"skipped": 2, "created": 1}
    assert (pair.secret("app-a"), pair.secret("app-b"), pair.secret("app-c")) == ({"x": b"0"}, {"x": b"0"}, {"x": b"1"})


async def test_what_cannot_be_written_fails_alone(pair: Pair) -> None:
    """An immutable Secret, and one in a namespace that refuses, fail by themselves with what to do."""
    for key in ("a", "b"):
        pair.put(f"app/{key}", {"x": "1"})
    pair.create("app-a", {"x": b"0"}, immutable=True)
    report = await pair.up(writePolicy="Replace")
    assert counted(report) == {"created": 1, "failed": 1}
    (failure,) = report.failures
    assert (failure.change.key, failure.code) == ("app-a", "invalid-secret")
    assert "immutable" in failure.message
    assert "delete it" in failure.hint


async def test_write_only(pair: Pair) -> None:
    """A destination that may only be written gets its Secrets, and is compared by the ledger alone."""
    pair.k8s(permissions="Write")
    pair.put("app/a", {"x": "1"})
    assert counted(await pair.up()) == {"created": 1}
    pair.put("app/a", {"x": "2"})
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert pair.secret("app-a") == {"x": b"2"}
    assert counted(await pair.world.sync()) == {"unchanged": 1}


async def test_all_namespaces(pair: Pair) -> None:
    """Without a namespace one job writes into several, and reads all of them or one."""
    pair.world.store(
        "k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {{token: {{value: {pair.kube.admin}}}}}}}"
    )
    for key in ("app/team-a/x", "app/team-b/x", "app/nowhere/x"):
        pair.put(key, {"k": key})
    report = await pair.up(UP.replace('source: "/", target: "-"', 'source: "^app/", target: ""'))
    assert counted(report) == {"created": 2, "failed": 1}
    (failure,) = report.failures
    assert "has no namespace nowhere" in failure.message
    assert counted(await pair.down("- {name: one, query: {path: team-b}}")) == {"created": 1}
    assert pair.get("team-b/x") == {"k": "app/team-b/x"}


async def test_by_label(pair: Pair) -> None:
    """A query selects Secrets by their labels."""
    for name, team in (("a", "x"), ("b", "y")):
        pair.create(name, {"k": b"1"}, metadata={"labels": {"team": team}})
    assert counted(await pair.down("- {name: one, query: {path: '', metadata: {team: x}}}")) == {"created": 1}
    assert pair.get("a") == {"k": "1"}


async def test_denied(pair: Pair) -> None:
    """Without rights the job fails with what to grant."""
    pair.put("app/a", {"x": "1"})
    token = pair.kube.token()
    pair.k8s(auth=f"{{token: {{value: {token}}}}}")
    report = await pair.up()
    assert not report.ok
    told = [error.hint for error in report.errors] + [failure.hint for failure in report.failures]
    assert any("on secrets in the namespace team-a by a Role" in hint for hint in told), (report.errors, told)


TLS, PULL = "kubernetes.io/tls", "kubernetes.io/dockerconfigjson"


def _two_clusters(pair: Pair, **more: str) -> None:
    inner = "".join(f", {name}: {value}" for name, value in more.items())
    pair.world.store(
        "other", f"kubernetes: {{namespace: team-b, server: '{pair.kube.address}', auth: {pair.kube_auth}{inner}}}"
    )
    pair.create("site", {"tls.crt": b"c", "tls.key": b"k"}, type=TLS)
    pair.create("pull", {".dockerconfigjson": b"{}"}, type=PULL)
    pair.create("own", {"a": b"1"}, type="example.com/own")
    pair.create("plain", {"a": b"1"})
    pair.create(
        "robot",
        {"token": b"t"},
        type="kubernetes.io/service-account-token",
        metadata={"annotations": {"kubernetes.io/service-account.name": "robot"}},
    )


def _types(pair: Pair) -> dict[str, str]:
    return {name: pair.kube.cluster.get("team-b", name)["type"] for name in ("site", "pull", "own", "plain", "robot")}


async def test_the_type_of_a_secret_goes_with_it(pair: Pair) -> None:
    """A certificate stays one for an Ingress; the token of a service account is plain data in another cluster."""
    _two_clusters(pair)
    pair.world.job("- {name: all, query: {}}", source="k8s", dest="other")
    assert counted(await pair.world.sync()) == {"created": 5}
    assert _types(pair) == {
        "site": TLS,
        "pull": PULL,
        "own": "example.com/own",
        "plain": "Opaque",
        "robot": "Opaque",
    }
    again = await pair.world.sync(verify=True)
    assert (counted(again), wrote(again, "other")) == ({"unchanged": 5}, 0)


async def test_a_type_in_the_document_goes_before_it(pair: Pair) -> None:
    """`type: Opaque` makes plain Secrets of all."""
    _two_clusters(pair, type="Opaque")
    pair.world.job("- {name: all, query: {}}", source="k8s", dest="other")
    assert counted(await pair.world.sync()) == {"created": 5}
    assert set(_types(pair).values()) == {"Opaque"}


async def test_a_type_that_a_document_changes_is_told_of(pair: Pair) -> None:
    """The type of a Secret that is there cannot change: the plan of its next update says which it keeps."""
    pair.put("app/l", {"username": "1"})
    await pair.up()
    pair.k8s(type="kubernetes.io/basic-auth")
    pair.put("app/l", {"username": "2"})
    (change,) = (await pair.world.plan()).changes
    assert (change.action, change.detail) == (
        "update",
        "its type stays Opaque, and the SecretStore says kubernetes.io/basic-auth: delete it and sync again",
    )
    pair.kube.cluster.delete("team-a", "app-l", {})
    assert counted(await pair.world.sync()) == {"created": 1}
    pair.put("app/l", {"username": "3"})
    assert [change.detail for change in (await pair.world.plan()).changes] == [""]


async def test_what_loses_the_fields_of_its_type_loses_the_type(pair: Pair) -> None:
    """The API server would refuse a certificate without its key; renamed, it is two fields like others."""
    _two_clusters(pair)
    pair.world.job(
        f"- {{name: all, query: {{type: {TLS}}}, valueTransform: [{{fields: {{rename: {{tls.key: key}}}}}}]}}",
        source="k8s",
        dest="other",
    )
    assert counted(await pair.world.sync()) == {"created": 1}
    assert pair.kube.cluster.get("team-b", "site")["type"] == "Opaque"


async def test_a_query_by_type_is_asked_of_the_server(pair: Pair) -> None:
    """The API server selects by type, so that one listing without values is enough; several types take one each."""
    _two_clusters(pair)
    plan = f"- {{name: certificates, query: {{type: {TLS}}}}}\n- {{name: pulls, query: {{type: {PULL}}}}}"
    pair.world.job(plan, source="k8s", dest="other")
    assert counted(await pair.world.sync()) == {"created": 2}
    report = await pair.world.sync()
    assert (counted(report), report.requests["k8s"]) == ({"unchanged": 2}, {"stat": 1, "list": 2})


async def test_a_type_that_matches_nothing_is_named(pair: Pair) -> None:
    """The warning says which one it was."""
    _two_clusters(pair)
    pair.world.job("- {name: all, query: {type: kubernetes.io/tsl}}", source="k8s", dest="other")
    assert (await pair.world.plan()).warnings == [
        "item all: the query for all keys of type kubernetes.io/tsl in k8s matches nothing"
    ]


async def test_a_query_of_the_top_of_a_cluster_names_recursive(pair: Pair) -> None:
    """There are namespaces, and nothing beside them: nothing is asked for, and the warning says what to set."""
    pair.create("site", {"a": b"1"})
    pair.world.store("k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {pair.kube_auth}}}")
    pair.world.job("- {name: all, query: {}}", source="k8s", dest="bao")
    planned = await pair.world.plan()
    told = ": there are folders below, which recursive: true searches too"
    assert planned.warnings == [f"item all: the query for all keys in k8s matches nothing{told}"]
    assert "list" not in planned.requests["k8s"]
    pair.world.job("- {name: all, query: {path: none}}", source="k8s", dest="bao")
    assert (await pair.world.plan()).warnings == ["item all: the query for none/ in k8s matches nothing"]


async def test_globs_choose_of_what_the_server_selects_by_type(pair: Pair) -> None:
    """A query with a type and globs takes what both say, by one listing of that type."""
    _two_clusters(pair)
    pair.create("shop", {"tls.crt": b"c", "tls.key": b"k"}, type=TLS)
    pair.create("site2", {"a": b"1"})
    pair.world.job(f"- {{name: some, query: {{path: 's*', exclude: [sho?], type: {TLS}}}}}", source="k8s", dest="other")
    report = await pair.world.sync()
    assert (counted(report), report.requests["k8s"]["list"]) == ({"created": 1}, 1)
    assert pair.kube.cluster.get("team-b", "site")["type"] == TLS
