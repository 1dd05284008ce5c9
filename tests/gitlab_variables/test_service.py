"""What stores at GitLab make of what it answers: one fact of its protocol each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.gaps import without_faults
from support.gitlab import refusals
from support.gitlab.service import GitLab

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    RateLimited,
    SecretNotFound,
    StoreError,
)
from secretsync_core.model.inventory import Entry
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.secret import SecretValue
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from gitlab_variables.conftest import OpenStore, Section

VALUE = SecretValue(b"s3cret-value")
OTHER = SecretValue(b"another-value")


async def _listed(store: Any) -> list[str]:
    return sorted([found.key async for found in store.list("", recursive=True, metadata=False)])


async def _seen(store: Any, *keys: str) -> list[str]:
    return sorted([found.key for found in await without_faults(store.stat(keys)) if isinstance(found, Entry)])


async def _notes(store: Any, key: str) -> dict[str, str]:
    (found,) = [each async for each in store.describe([key])]
    return {slot.words: text for slot, text in found.notes.items()}


# -- scopes


@pytest.mark.parametrize(
    "given",
    [{}, {"environmentScope": "review/*"}, {"group": "acme", "environmentScope": "production"}, {"instance": True}],
    ids=str,
)
async def test_each_scope_has_its_own(gitlab: GitLab, opened: OpenStore, given: dict[str, Any]) -> None:
    """What is written stands where the document says, with its settings, and nowhere else."""
    holders = gitlab.holders
    all_of_them = (holders.project("acme/app"), holders.group("acme"), holders.instance)
    holder = all_of_them[1] if "group" in given else all_of_them[2] if "instance" in given else all_of_them[0]
    scope = given.get("environmentScope", "*")
    store = await opened(protected=True, type="File", description="from the vault", **given)
    await store.write("TOKEN", VALUE)
    (made,) = [each for one in all_of_them for each in one.variables]
    assert made is holder.get("TOKEN", scope)
    assert (made.value, made.masked, made.raw, made.protected) == ("s3cret-value", True, True, True)
    assert (made.variable_type, made.description) == ("file", "from the vault")
    assert await _listed(store) == await _seen(store, "TOKEN") == ["TOKEN"]
    await store.delete("TOKEN")
    assert await _listed(store) == []
    assert all_of_them[0].variables == []


async def test_no_other_scope_is_read_written_or_deleted(gitlab: GitLab, opened: OpenStore) -> None:
    """One name in three scopes: each request reaches the one of the document, also where that one is absent."""
    project = gitlab.holders.project("acme/app")
    for scope in ("*", "production", "prod*"):
        project.put("A", f"value-of-{scope}", environment_scope=scope)
    store = await opened(environmentScope="production")
    assert (await store.read("A")).value.reveal() == b"value-of-production"
    assert [each.key async for each in store.list("", recursive=True, metadata=True)] == ["A"]
    await store.write("A", VALUE)
    await store.delete("A")
    await store.delete("A")
    assert await _seen(store, "A") == []
    with pytest.raises(SecretNotFound):
        await store.read("A")
    await store.create("A", VALUE)
    assert project.values("*") == {"A": "value-of-*"}
    assert project.values("prod*") == {"A": "value-of-prod*"}
    assert project.values("production") == {"A": "s3cret-value"}


async def test_an_answer_about_another_variable_is_none(gitlab: GitLab, opened: OpenStore) -> None:
    """Another name, or another scope, is nonsense for a read, a look, a write and a change of settings."""
    store = await opened(environmentScope="production")
    shown = {"variable_type": "env_var", "value": "theirs", "raw": True, "masked": True}
    for key, scope in (("B", "production"), ("A", "*")):
        body = json.dumps({**shown, "key": key, "environment_scope": scope}).encode()
        gitlab.answer("/variables/A", 200, body)
        raw = {Slot(Kind.RAW): "true"}
        for call in (store.read("A"), _seen(store, "A"), store.write("A", VALUE), store.set_metadata("A", raw, None)):
            with pytest.raises(MalformedAnswer):
                await call


async def test_a_group_without_scopes_gets_no_variable_for_all(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab Free drops the scope and creates the variable for every environment: that one is removed again."""
    group = gitlab.holders.group("acme")
    group.scoped = False
    theirs = group.put("B", "theirs")
    store = await opened(group="acme", environmentScope="production")
    with pytest.raises(
        InvalidSecret, match="for every environment, not for 'production'; it was removed again"
    ) as caught:
        await store.write("A", VALUE)
    assert "Premium" in caught.value.hint
    with pytest.raises(Conflict):
        await store.write("B", VALUE)
    assert group.variables == [theirs]


async def test_a_gitlab_that_heeds_no_scope_of_groups_is_not_written_to(gitlab: GitLab, opened: OpenStore) -> None:
    """Older ones reach whichever variable has the name: another scope's is neither overwritten, set nor deleted."""
    group = gitlab.holders.group("acme")
    group.filters = False
    theirs = group.put("A", "theirs", environment_scope="production")
    for visibility in ("Masked", "Hidden"):
        store = await opened(group="acme", visibility=visibility)
        raw = {Slot(Kind.RAW): "true"}
        for call in (store.write("A", VALUE), store.delete("A"), store.set_metadata("A", raw, None), store.mark("A")):
            with pytest.raises(MalformedAnswer):
                await call
    assert group.variables == [theirs]
    assert gitlab.count("^(PUT|POST|DELETE)") == 0


async def test_an_update_for_a_group_reaches_no_other_scope(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab updates whichever variable of a group has the name where none has the scope: it is not asked to."""
    group = gitlab.holders.group("acme")
    theirs = group.put("A", "theirs")
    store = await opened(group="acme", environmentScope="production")
    for call in (store.mark("A"), store.set_metadata("A", {Slot(Kind.RAW): "true"}, None)):
        with pytest.raises(SecretNotFound):
            await call
    await store.delete("A")
    assert gitlab.count("^(PUT|DELETE)") == 0
    await store.write("A", VALUE)
    await store.write("A", OTHER)
    assert group.get("A") is theirs
    assert (group.values("*"), group.values("production")) == ({"A": "theirs"}, {"A": "another-value"})


@pytest.mark.parametrize("scope", ["*", "staging"])
async def test_an_answer_alone_has_nothing_removed(gitlab: GitLab, opened: OpenStore, scope: str) -> None:
    """An answer that says to have created another variable than we sent has that one looked at, and left alone."""
    group = gitlab.holders.group("acme")
    theirs = group.put("A", "theirs-since-long", environment_scope=scope)
    store = await opened(group="acme", environmentScope="production")
    shown = {
        "key": "A",
        "variable_type": "env_var",
        "environment_scope": scope,
        "masked": True,
        "value": "s3cret-value",
    }
    gitlab.answer("^POST", 201, json.dumps(shown).encode())
    with pytest.raises(StoreError) as caught:
        await store.create("A", VALUE)
    assert caught.value.unanswered
    assert group.variables == [theirs]
    assert gitlab.count("^DELETE") == 0


# -- hidden variables


async def test_a_hidden_variable_has_no_value_and_is_not_absent(gitlab: GitLab, opened: OpenStore) -> None:
    """Its null is neither: a store that reads says so, and one for hidden variables reads nothing."""
    project = gitlab.holders.project("acme/app")
    project.put("A", "hidden-from-all", masked=True, hidden=True)
    store = await opened()
    with pytest.raises(AccessDenied, match="A in gl is hidden"):
        await store.read("A")
    assert await _seen(store, "A") == ["A"]
    store = await opened(visibility="Hidden")
    assert not hasattr(store, "read")
    await store.write("A", VALUE)
    await store.write("B", VALUE)
    assert [(each.value, each.hidden, each.masked) for each in project.variables] == [("s3cret-value", True, True)] * 2


async def test_a_null_that_is_not_hidden_is_nonsense(gitlab: GitLab, opened: OpenStore) -> None:
    """A variable whose value is missing is neither empty nor absent."""
    store = await opened()
    for value in ({"value": None}, {}, {"value": 5}):
        shown = {"key": "A", "variable_type": "env_var", "environment_scope": "*", "hidden": False, **value}
        gitlab.answer("/variables/A", 200, json.dumps(shown).encode())
        with pytest.raises(MalformedAnswer):
            await store.read("A")


async def test_what_is_there_cannot_be_hidden(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab hides a variable as it is made, or never: refused in the plan and at the write, and left as it is."""
    theirs = gitlab.holders.project("acme/app").put("A", "readable-by-all")
    store = await opened(visibility="Hidden")
    for call in (store.check_write("A", VALUE, None), store.write("A", VALUE)):
        with pytest.raises(InvalidSecret, match="cannot hide A, which is there and can be read"):
            await call
    assert theirs.value == "readable-by-all"
    store = await opened(visibility="Visible")
    gitlab.holders.project("acme/app").put("B", "hidden-from-all", masked=True, hidden=True)
    with pytest.raises(InvalidSecret) as caught:
        await store.write("B", VALUE)
    assert "is hidden in GitLab, and stays so" in caught.value.hint


async def test_an_old_gitlab_hides_nothing(gitlab: GitLab, opened: OpenStore) -> None:
    """Before 17.4 what was to be hidden would be shown to everybody: it is removed again."""
    project = gitlab.holders.project("acme/app")
    project.version = (17, 3)
    store = await opened(visibility="Hidden")
    with pytest.raises(InvalidSecret, match="does not hide or mask A; it was removed again"):
        await store.write("A", VALUE)
    assert project.variables == []
    gitlab.refuse("^DELETE", refusals.RefusedError(502, b""))
    with pytest.raises(InvalidSecret, match="not removed again: delete it in GitLab") as caught:
        await store.write("A", VALUE)
    assert caught.value.unanswered
    assert project.get("A").masked, "nobody reads it in a log, at least"


async def test_what_is_as_it_was_asked_for_stays_whatever_the_answer_says(gitlab: GitLab, opened: OpenStore) -> None:
    """An answer that leaves out that the new variable is masked does not remove it: a look shows that it is."""
    store = await opened(visibility="Masked")
    project = gitlab.holders.project("acme/app")
    made = project.put("A", "s3cret-value", masked=True, raw=True)
    told = {"key": "A", "value": "s3cret-value", "variable_type": "env_var", "raw": True, "environment_scope": "*"}
    gitlab.answer("^POST", 201, json.dumps(told).encode())
    await store.create("A", VALUE)
    assert project.variables == [made]
    made.masked = False
    with pytest.raises(InvalidSecret, match="it was removed again"):
        await store.create("A", VALUE)
    assert project.variables == []


# -- values and settings


@pytest.mark.parametrize(
    ("given", "key", "value", "said"),
    [
        ({}, "a/b", b"long-enough", "case: Upper"),
        ({}, "A" * 256, b"long-enough", "255"),
        ({}, "A", b"", "it is empty"),
        ({}, "A", b"\xff" * 8, "not text in UTF-8"),
        ({}, "A", b"short", "shorter than 8"),
        ({}, "A", "kürzer!".encode(), "shorter than 8"),
        ({}, "A", b"with a space", "visibility: Visible"),
        ({}, "A", b"two\nlines", "visibility: Visible"),
        ({"visibility": "Hidden"}, "A", b"with a space", "cannot mask"),
        ({"raw": False}, "A", b"dollar$sign", "raw: true"),
        ({"visibility": "Visible"}, "A", b"nul\0in-it", "NUL"),
        ({"instance": True}, "A", b"x" * 10_001, "10,001 characters, and 10,000 fit"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_before_anything_is_asked(
    gitlab: GitLab, opened: OpenStore, given: dict[str, Any], key: str, value: bytes, said: str
) -> None:
    """Names, and what cannot be masked: in a plan and at a write by the same words."""
    store = await opened(**given)
    asked = gitlab.count()
    errors = []
    for call in (store.check_write(key, SecretValue(value), None), store.write(key, SecretValue(value))):
        with pytest.raises(InvalidSecret) as caught:
            await call
        errors.append(caught.value)
    assert {(error.message, error.hint) for error in errors} == {(errors[0].message, errors[0].hint)}
    assert said in f"{errors[0].message} {errors[0].hint}"
    assert gitlab.count() == asked


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "value", ["12345678", "a-b_c+d=e/f@g:h.i~", "größer als", "größer-8", "{$€!}\u00a0xyz", "a\vbcdefgh"]
)
async def test_what_is_called_maskable_gitlab_takes(gitlab: GitLab, opened: OpenStore, raw: bool, value: str) -> None:
    """The rule in the plan is the rule of GitLab: no value passes the one and fails the other."""
    store = await opened(raw=raw)
    project = gitlab.holders.project("acme/app")
    gitlab.holders.project("acme/app").put("THERE", "maskable-value", masked=True, raw=raw)
    try:
        await store.check_write("A", SecretValue(value.encode()), None)
    except InvalidSecret:
        with pytest.raises(refusals.RefusedError):
            project.create({"key": "A", "value": value, "masked": True, "raw": raw})
    else:
        await store.write("A", SecretValue(value.encode()))
        assert project.get("A").value == value


async def test_settings_are_told_and_set(gitlab: GitLab, opened: OpenStore) -> None:
    """One request without the value sets them; what GitLab does not keep is an error and not asked for for ever."""
    project = gitlab.holders.project("acme/app")
    project.put("A", "maskable-value", description="mine [secretsync.io/owner=job.1]")
    store = await opened(protected=True, description="from the vault", mark="job.2")
    asked = dict(store.facts.metadata.asked)
    assert await _notes(store, "A") == {
        **dict.fromkeys(("hidden", "masked", "raw", "protected"), "false"),
        "variable type": "Variable",
        "description": "mine",
    }
    await store.set_metadata("A", asked, None)
    assert (await _notes(store, "A")).items() >= {slot.words: text for slot, text in asked.items()}.items()
    assert project.get("A").description == "from the vault [secretsync.io/owner=job.1]"
    assert await store.marks(["A"]) == {"A": "job.1"}
    assert all(b"value" not in seen.body.replace(b"variable_type", b"") for seen in gitlab.requests)
    project.version = (16, 1)
    with pytest.raises(StoreError, match="does not keep of A: description"):
        await store.set_metadata("A", {Slot(Kind.DESCRIPTION): "new"}, None)


async def test_no_new_value_stands_unmasked(gitlab: GitLab, opened: OpenStore) -> None:
    """A value goes with the document's settings in one request: until the next one it would be shown in logs."""
    project = gitlab.holders.project("acme/app")
    project.put("A", "visible to all", variable_type="file")
    store = await opened()
    await store.write("A", VALUE)
    assert gitlab.count("^PUT") == 1
    there = project.get("A")
    assert (there.value, there.masked, there.raw, there.variable_type) == ("s3cret-value", True, True, "env_var")


async def test_a_mark_fits_beside_any_description(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab takes 255 characters in all: of a longer text of others the end is cut off, and ours always fits."""
    project = gitlab.holders.project("acme/app")
    project.put("A", "maskable-value", description="x" * 255)
    mark = "j" * 63
    store = await opened(mark=mark, description="d" * 169)
    await store.mark("A")
    await store.mark("A")
    assert len(project.get("A").description or "") == 255
    await store.set_metadata("A", store.facts.metadata.asked, None)
    await store.write("B", VALUE)
    assert await store.marks(["A", "B"]) == {"A": mark, "B": mark}
    assert project.get("B").description == f"{'d' * 169} [secretsync.io/owner={mark}]"


# -- creating, pages


async def test_creating_never_replaces(gitlab: GitLab, opened: OpenStore) -> None:
    """A variable that somebody makes between the look and the write stays, whichever way we write."""
    project = gitlab.holders.project("acme/app")
    store = await opened()
    await store.create("A", VALUE)
    with pytest.raises(Conflict, match="A is in gl already"):
        await store.create("A", OTHER)
    gitlab.before("^POST", lambda: project.put("B", "theirs"))
    with pytest.raises(Conflict):
        await store.write("B", OTHER)
    assert project.values() == {"A": "s3cret-value", "B": "theirs"}


async def test_a_full_project_says_so(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab's own bound, which it names in its answer."""
    gitlab.holders.project("acme/app").most = 1
    store = await opened()
    await store.write("A", VALUE)
    with pytest.raises(QuotaReached, match="no room for B"):
        await store.write("B", VALUE)


@pytest.mark.parametrize("totals", [True, False])
async def test_pages_are_followed_to_the_end(gitlab: GitLab, opened: OpenStore, totals: bool) -> None:
    """250 rows are three pages; without their number they are listed twice, for they may have moved meanwhile."""
    project = gitlab.holders.project("acme/app")
    for number in range(250):
        project.put(f"K{number:03}", "x", environment_scope="*" if number % 2 else "other")
    gitlab.totals = totals
    store = await opened()
    gitlab.requests.clear()
    assert len(await _listed(store)) == 125
    assert gitlab.count("page=") == (3 if totals else 6)
    gitlab.before("page=2", lambda: project.remove("K000", "other"))
    assert len(await _listed(store)) == 125
    assert gitlab.count("elsewhere") == 0


async def test_pages_that_name_another_next_one_are_nonsense(gitlab: GitLab, opened: OpenStore) -> None:
    """So are counts that are no numbers, more than was asked for, and what is no list."""
    store = await opened()
    row = {"key": "A", "variable_type": "env_var", "environment_scope": "*"}
    for body, headers in (
        ([row], {"X-Next-Page": "3"}),
        ([row], {"X-Next-Page": "one"}),
        ([row], {"X-Total": "-1"}),
        ([row], {"X-Total": "7", "X-Next-Page": ""}),
        ([row] * 101, {}),
        ({"key": "A"}, {}),
        (["A"], {}),
        (None, {}),
    ):
        gitlab.answer(r"page=", 200, json.dumps(body).encode(), headers=headers)
        with pytest.raises(MalformedAnswer):
            await _listed(store)


@pytest.mark.parametrize(
    ("method", "status"),
    [("PUT", 201), ("PUT", 202), ("PUT", 204), ("POST", 200), ("POST", 204), ("DELETE", 200), ("DELETE", 202)],
)
async def test_another_success_is_none(gitlab: GitLab, opened: OpenStore, method: str, status: int) -> None:
    """What answers a write with another status than GitLab does has perhaps done it: only a look can tell."""
    store = await opened()
    gitlab.answer(f"^{method} ", status, b"")
    calls = {"PUT": store.write, "POST": store.create}
    with pytest.raises(MalformedAnswer) as caught:
        await (store.delete("A") if method == "DELETE" else calls[method]("A", VALUE))
    assert caught.value.unanswered


# -- who we are, and what is refused


async def test_a_token_is_read_again_when_it_is_refused(gitlab: GitLab, opened: OpenStore) -> None:
    """A new one in its variable is taken; the same one again is an error that says where to put another."""
    old, new = gitlab.token(), gitlab.token()
    environ = {"GL": old}
    store = await opened(environ=environ, auth={"token": {"env": "GL"}})
    gitlab.expire(old)
    environ["GL"] = new
    assert await _listed(store) == []
    gitlab.expire(new)
    with pytest.raises(CredentialsRefused) as caught:
        await _listed(store)
    assert "environment variable GL" in caught.value.hint
    assert new not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    ("role", "scopes", "given", "said"),
    [
        ("developer", (), {}, "the role Maintainer in it"),
        ("maintainer", (), {"group": "acme"}, "the role Owner in it"),
        ("owner", (), {"instance": True}, "administrators' role"),
        ("admin", ("read_user",), {"instance": True}, "the scope api"),
    ],
)
async def test_what_is_missing_is_named(
    gitlab: GitLab, opened: OpenStore, role: str, scopes: tuple[str, ...], given: dict[str, Any], said: str
) -> None:
    """A 403 is told with the role, or the scope, that would do."""
    store = await opened(auth={"token": {"value": gitlab.token(role, *scopes)}}, **given)
    with pytest.raises(AccessDenied) as caught:
        await _listed(store)
    assert said in caught.value.hint


async def test_a_token_that_may_only_read(gitlab: GitLab, opened: OpenStore) -> None:
    """read_api is enough for a source, and a write says what it takes."""
    gitlab.holders.project("acme/app").put("A", "x")
    store = await opened(auth={"token": {"value": gitlab.token("maintainer", "read_api")}})
    assert (await store.read("A")).value.reveal() == b"x"
    with pytest.raises(AccessDenied) as caught:
        await store.write("A", VALUE)
    assert caught.value.hint == "our token needs the scope api"


async def test_what_a_token_may_not_see_is_not_absent(gitlab: GitLab, opened: OpenStore) -> None:
    """GitLab says 404 for both: of all of a place it is a refusal, and of one name only where the place is shown."""
    with pytest.raises(AccessDenied, match="no project acme/app, or our token may not see it"):
        await opened(auth={"token": {"value": gitlab.token(sees=frozenset())}})
    store = await opened()
    with pytest.raises(SecretNotFound):
        await store.read("A")
    await store.delete("A")
    del gitlab.holders.projects["acme/app"]
    for call in (
        store.read("A"),
        store.delete("A"),
        _seen(store, "A"),
        _listed(store),
        store.write("A", VALUE),
        store.mark("A"),
        store.marks(["A"]),
        store.set_metadata("A", {Slot(Kind.RAW): "true"}, None),
    ):
        with pytest.raises(AccessDenied):
            await call


@pytest.mark.parametrize(
    "body", [b"", b"<html>404</html>", b"{}", b"[]", b'{"key":"A","value":"x"}', b'{"message":"x"}', b'{"message":5}']
)
async def test_a_404_that_is_not_gitlabs_says_nothing(gitlab: GitLab, opened: OpenStore, body: bytes) -> None:
    """A proxy's answer for one name is neither absence nor a reason to create, though the place is shown."""
    gitlab.holders.project("acme/app").put("A", "theirs")
    store = await opened()
    gitlab.answer("/variables/A", 404, body)
    for call in (
        store.read("A"),
        _seen(store, "A"),
        store.write("A", VALUE),
        store.delete("A"),
        store.set_metadata("A", {Slot(Kind.RAW): "true"}, None),
    ):
        with pytest.raises(AccessDenied):
            await call
    assert gitlab.count("^POST") == 0


@pytest.mark.parametrize(
    ("refused", "seconds"),
    [
        (refusals.throttled(retry_after=17), 18),
        (refusals.throttled(reset=0), 0),
        (refusals.throttled(), None),
    ],
    ids=["retry-after", "over by now", "not said"],
)
async def test_limits_say_how_long_to_wait(
    gitlab: GitLab, opened: OpenStore, refused: refusals.RefusedError, seconds: float | None
) -> None:
    """By Retry-After or RateLimit-Reset; the client waits for nothing by itself."""
    store = await opened()
    gitlab.refuse("/variables", refused)
    began = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        await _listed(store)
    assert caught.value.retry_after == seconds
    assert time.monotonic() - began < 5
    assert gitlab.count("/variables") == 1


async def test_the_client_repeats_nothing(gitlab: GitLab, opened: OpenStore) -> None:
    """One attempt a request: repeating is the gate's business."""
    store = await opened()
    gitlab.answer("/variables", 503, b"")
    with pytest.raises(StoreError):
        await store.write("A", VALUE)
    assert gitlab.count("/variables") == 1


# -- other paths, other hosts


async def test_a_renamed_project_is_told_and_not_followed(gitlab: GitLab, opened: OpenStore) -> None:
    """The new path is asked for at GitLab itself. An open store goes on, for it knows its project by its number."""
    store = await opened()
    gitlab.holders.rename("acme/app", "beta/app-2")
    with pytest.raises(StoreError) as caught:
        await opened()
    assert "is at beta/app-2 now" in caught.value.hint
    await store.write("A", VALUE)
    assert gitlab.holders.project("beta/app-2").values() == {"A": "s3cret-value"}
    gitlab.holders.project("acme/app")
    await store.write("B", VALUE)
    assert gitlab.holders.project("acme/app").variables == []


async def test_a_redirect_elsewhere_gets_neither_a_token_nor_a_value(gitlab: GitLab, opened: OpenStore) -> None:
    """Whatever an answer names, no request goes to another server."""
    store = await opened()
    with GitLab() as elsewhere:
        for path in ("/api/v4/projects/1", "/api/v4/projects/1/variables/A"):
            for status in (301, 302, 307, 308):
                gitlab.answer(".", status, b"moved", headers={"Location": f"{elsewhere.address}{path}"})
                for call in (store.write("A", VALUE), store.create("A", VALUE), _listed(store), opened()):
                    with pytest.raises(StoreError):
                        await call
        assert elsewhere.requests == []


async def test_gitlab_may_stand_below_a_path(opened: OpenStore) -> None:
    """As in https://example.com/gitlab, a relative URL root."""
    with GitLab(prefix="/gitlab") as gitlab:
        gitlab.holders.project("acme/sub/app")
        token = {"token": {"value": gitlab.token()}}
        store = await opened(address=gitlab.address, project="acme/sub/app", auth=token)
        await store.write("A", VALUE)
        assert gitlab.holders.project("acme/sub/app").values() == {"A": "s3cret-value"}
        gitlab.holders.rename("acme/sub/app", "acme/new")
        with pytest.raises(StoreError) as caught:
            await opened(address=gitlab.address, project="acme/sub/app", auth=token)
        assert "acme/new" in caught.value.hint


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 409, 422, 429, 500, 502])
async def test_nothing_of_an_answer_is_shown(gitlab: GitLab, opened: OpenStore, status: int) -> None:
    """A server may send back what it was sent: value and token stay out of every error, and of what hangs on to it."""
    token = gitlab.token()
    store = await opened(auth={"token": {"value": token}})
    echo = json.dumps({"message": f"{token} s3cret-value", "error": token, "key": "s3cret-value"}).encode()
    headers = {"Retry-After": token, "RateLimit-Reset": token, "Location": f"{gitlab.address}/{token}"}
    gitlab.answer("/variables", status, echo, headers=headers)
    for call in (store.write("A", VALUE), store.create("A", VALUE), store.read("A"), store.delete("A")):
        with pytest.raises(StoreError) as caught:
            await call
        error: BaseException | None = caught.value
        while error is not None:
            shown = f"{error!r} {error} {getattr(error, 'hint', '')}"
            assert token not in shown
            assert "s3cret" not in shown
            error = error.__cause__ or error.__context__


async def test_the_environment_says_nothing_of_who_we_are(
    gitlab: GitLab, opened: OpenStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, section: Section
) -> None:
    """No netrc, no configuration of python-gitlab's, no token of a job: the document alone."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login x password netrc-password\n")
    (tmp_path / "gitlab.cfg").write_text("[global]\ndefault = x\n[x]\nurl = http://127.0.0.1:1\nprivate_token = y\n")
    for name, value in {
        "NETRC": str(tmp_path / "netrc"),
        "PYTHON_GITLAB_CFG": str(tmp_path / "gitlab.cfg"),
        "CI_JOB_TOKEN": "job-token",
        "CI_SERVER_URL": "http://127.0.0.1:1",
        "GITLAB_PRIVATE_TOKEN": "another",
    }.items():
        monkeypatch.setenv(name, value)
    store = await opened()
    await store.write("A", VALUE)
    sent = {seen.headers["private-token"] for seen in gitlab.requests}
    assert sent == {section()["auth"]["token"]["value"]}
