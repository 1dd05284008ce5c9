"""What stores at GitHub make of what it answers: one fact of its protocol each."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.gaps import without_faults
from support.github import refusals
from support.github.service import GitHub

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    QuotaReached,
    RateLimited,
    SecretNotFound,
    StoreError,
)
from secretsync_core.model.inventory import Entry
from secretsync_core.secret import SecretValue
from secretsync_core.stores.github_secrets import times
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from support.gate import CountingGate

    from github.conftest import OpenStore, Section

VALUE = SecretValue(b"s3cret")


async def _listed(store: Any) -> dict[str, str]:
    return {found.key: found.version async for found in store.list("", recursive=True, metadata=False)}


async def _seen(store: Any, *keys: str) -> dict[str, str]:
    found = await without_faults(store.stat(keys))
    return {each.key: each.version or "" for each in found if isinstance(each, Entry)}


# -- scopes


@pytest.mark.parametrize(
    ("given", "use", "what"),
    [
        ({}, "actions", "secrets"),
        ({"kind": "Dependabot"}, "dependabot", "secrets"),
        ({"kind": "Codespaces"}, "codespaces", "secrets"),
        ({"kind": "Variables"}, "actions", "variables"),
        ({"environment": "Prod / EU"}, "actions", "secrets"),
        ({"environment": "Prod / EU", "kind": "Variables"}, "actions", "variables"),
        ({"organization": "acme", "visibility": "All"}, "actions", "secrets"),
        ({"organization": "acme", "visibility": "All", "kind": "Dependabot"}, "dependabot", "secrets"),
        ({"organization": "acme", "visibility": "Private", "kind": "Codespaces"}, "codespaces", "secrets"),
        ({"organization": "acme", "visibility": "Private", "kind": "Variables"}, "actions", "variables"),
    ],
    ids=str,
)
async def test_each_scope_has_its_own(
    github: GitHub, opened: OpenStore, given: dict[str, Any], use: str, what: str
) -> None:
    """Repositories, environments and organizations each hold what is written to them, for the use that is named."""
    repository = github.accounts.repository("acme/app")
    environment = repository.environment("prod / eu")
    holder = github.accounts.organisation("acme") if "organization" in given else repository
    holder = environment if "environment" in given else holder
    store = await opened(**given)
    version = await store.write("TOKEN", VALUE)
    assert holder.shelf(use, what).values() == {"TOKEN": "s3cret"}
    assert await _listed(store) == await _seen(store, "TOKEN") == {"TOKEN": version}
    held = sum(
        len(shelf.held) for each in (repository, environment, github.accounts.organisation("acme")) for shelf in each
    )
    assert held == 1, "it went elsewhere too"
    await store.delete("TOKEN")
    assert await _listed(store) == {}


@pytest.mark.parametrize("kind", ["Actions", "Dependabot", "Codespaces", "Variables"])
async def test_selected_repositories_go_along_by_number(github: GitHub, opened: OpenStore, kind: str) -> None:
    """Names in the document become ids, asked for once; each write says them again."""
    one, two = (github.accounts.repository(f"acme/{name}") for name in ("one", "two"))
    store = await opened(organization="acme", kind=kind, visibility="Selected", selectedRepositories=["one", "Two"])
    for key in ("A", "B"):
        await store.write(key, VALUE)
    shelf = ("actions", "variables") if kind == "Variables" else (kind.lower(), "secrets")
    held = github.accounts.organisation("acme").shelf(*shelf).held
    assert {(each.visibility, tuple(each.repositories)) for each in held.values()} == {("selected", (one.id, two.id))}
    assert github.count("^GET /repos/acme/") == 2
    missing = await opened(organization="acme", visibility="Selected", selectedRepositories=["none"])
    with pytest.raises(AccessDenied, match="repository acme/none"):
        await missing.write("A", VALUE)


# -- versions


async def test_a_version_is_when_it_was_written(github: GitHub, opened: OpenStore) -> None:
    """To the second: two writes within one are one version, which the documentation says."""
    store = await opened()
    first, second = [await store.write("A", VALUE) for _ in range(2)]
    assert first < second == github.accounts.repository("acme/app").shelf().get("A").updated_at
    github.accounts.clock.still = True
    assert await store.write("A", VALUE) == await store.write("A", SecretValue(b"other"))


async def test_what_others_write_before_our_look_is_none_of_ours(
    github: GitHub, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look after a write may have to wait for a limit: the version that is kept is not that of others."""
    store = await opened()
    ticks = itertools.count()
    monkeypatch.setattr(times, "monotonic", lambda: 30.0 * next(ticks))
    shelf, clock = github.accounts.repository("acme/app").shelf(), github.accounts.clock

    def others() -> None:
        clock.now += clock.now.resolution * 30_000_000
        shelf.put("A", "theirs")

    github.before("^GET .*/secrets/A$", others)
    assert await store.write("A", VALUE) != shelf.get("A").updated_at
    assert await store.write("A", VALUE) == shelf.get("A").updated_at


async def test_a_look_that_is_behind_is_made_again(github: GitHub, opened: OpenStore) -> None:
    """What shows the version before our own write has not heard of it."""
    store = await opened()
    first = await store.write("A", VALUE)
    shelf = github.accounts.repository("acme/app").shelf()
    late: list[str] = []

    def behind() -> None:
        late.append(shelf.held["A"].updated_at)
        shelf.held["A"].updated_at = first

    def caught_up() -> None:
        shelf.held["A"].updated_at = late[0]

    github.before("^GET .*/secrets/A$", caught_up)
    github.before("^GET .*/secrets/A$", behind)
    assert await store.write("A", VALUE) == late[0] > first


# -- values


async def test_a_key_that_was_replaced_is_asked_for_anew(github: GitHub, opened: OpenStore) -> None:
    """A write that is refused because GitHub has another key by now is sealed again, once."""
    store = await opened()
    shelf = github.accounts.repository("acme/app").shelf()
    await store.write("A", VALUE)
    shelf.rotate()
    await store.write("A", SecretValue("neu ü".encode()))
    assert shelf.values() == {"A": "neu ü"}
    assert github.count("public-key") == 2
    github.before("^PUT ", shelf.rotate, times=None)
    with pytest.raises(InvalidSecret, match="refuses B"):
        await store.write("B", VALUE)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("a/b", b"x", "case: Upper"),
        ("1A", b"x", "begin with no digit"),
        ("GITHUB_TOKEN", b"x", "prefix"),
        ("A", b"", "it is empty"),
        ("A", b"\xff", "not text in UTF-8"),
        ("A", b"x" * 49_153, "49,152 fit"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_asked(
    github: GitHub, opened: OpenStore, key: str, value: bytes, said: str
) -> None:
    """Names, emptiness, bytes and sizes: in a plan and at a write by the same words."""
    store = await opened()
    asked = github.count()
    errors = []
    for call in (store.check_write(key, SecretValue(value), None), store.write(key, SecretValue(value))):
        with pytest.raises(InvalidSecret) as caught:
            await call
        errors.append(caught.value)
    assert {(error.message, error.hint) for error in errors} == {(errors[0].message, errors[0].hint)}
    assert said in f"{errors[0].message} {errors[0].hint}"
    assert github.count() == asked


@pytest.mark.parametrize(
    "given", [{}, {"organization": "acme", "visibility": "All"}], ids=["repository", "organization"]
)
async def test_when_there_is_no_more_room_the_error_says_the_limit(
    github: GitHub, opened: OpenStore, given: dict[str, Any]
) -> None:
    """100 for a repository and 1,000 for an organization: told by a plan that has listed, and by a write."""
    holder = github.accounts.organisation("acme") if given else github.accounts.repository("acme/app")
    most = 1000 if given else 100
    for number in range(most):
        holder.shelf().put(f"K{number}", "x", "all" if given else "")
    store = await opened(**given)
    with pytest.raises(QuotaReached, match=f"has {most} secrets, and GitHub allows {most}"):
        await store.write("NEW", VALUE)
    with pytest.raises(QuotaReached, match=f"GitHub allows {most}"):
        await store.check_write("NEW", VALUE, None)
    await store.write("K1", VALUE)


async def test_pages_are_followed_to_the_end(github: GitHub, opened: OpenStore) -> None:
    """250 secrets are three pages of 100, and 65 variables three of 30."""
    organisation = github.accounts.organisation("acme")
    for number in range(250):
        organisation.shelf().put(f"K{number}", "x", "all")
    for number in range(65):
        organisation.shelf("actions", "variables").put(f"K{number}", "x", "all")
    for kind, count in (("Actions", 250), ("Variables", 65)):
        github.requests.clear()
        assert len(await _listed(await opened(organization="acme", visibility="All", kind=kind))) == count
        assert github.count("page=") == 3


async def test_a_listing_that_changes_while_it_is_made_is_made_again(github: GitHub, opened: OpenStore) -> None:
    """A secret that is deleted between two pages would hide another one: what is gathered is held against the count."""
    shelf = github.accounts.organisation("acme").shelf()
    for number in range(150):
        shelf.put(f"K{number:03}", "x", "all")
    store = await opened(organization="acme", visibility="All")
    github.before("page=2", lambda: shelf.remove("K000"))
    assert len(await _listed(store)) == 149


# -- who we are


async def test_a_token_is_read_again_when_it_is_refused(github: GitHub, opened: OpenStore) -> None:
    """A new one in its variable is taken; the same one again is an error that says where to put another."""
    old, new = (github.people.classic("repo") for _ in range(2))
    environ = {"GH": old}
    store = await opened(environ=environ, auth={"token": {"env": "GH"}})
    github.people.revoke(old)
    environ["GH"] = new
    assert await _listed(store) == {}
    github.people.revoke(new)
    with pytest.raises(CredentialsRefused) as caught:
        await _listed(store)
    assert "environment variable GH" in caught.value.hint
    assert new not in f"{caught.value!r} {caught.value.hint}"


async def test_an_app_logs_in_and_gives_its_token_back(github: GitHub, opened: OpenStore) -> None:
    """A JSON web token finds the installation; its token is for our repository alone, and ends with the store."""
    app = github.people.app(secrets="write")
    github.accounts.repository("acme/other")
    store = await opened(
        environ={"PEM": app.pem}, auth={"app": {"clientId": app.client_id, "privateKey": {"env": "PEM"}}}
    )
    await store.write("A", VALUE)
    (caller,) = (each for each in github.people.callers.values() if each.by == "integration")
    assert caller.repositories == frozenset({"acme/app"})
    await store.aclose()
    assert not any(each.by == "integration" for each in github.people.callers.values())


async def test_an_apps_token_is_renewed_before_it_ends(
    github: GitHub, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has five minutes left is replaced before it is used; one that GitHub refuses earlier is replaced too."""
    app = github.people.app(secrets="write")
    auth = {"app": {"clientId": app.client_id, "privateKey": {"env": "PEM"}, "installationId": app.installation}}
    store = await opened(environ={"PEM": app.pem}, auth=auth)
    logins = "^POST /app/installations"
    assert (github.count(logins), github.count("/installation$")) == (1, 0)
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 3310)
    await asyncio.gather(*(store.write(key, VALUE) for key in ("A", "B", "C")))
    assert github.count(logins) == 2
    github.people.callers.clear()
    await store.write("A", VALUE)
    assert github.count(logins) == 3


async def test_an_app_that_cannot_log_in_is_told_why(github: GitHub, opened: OpenStore) -> None:
    """Another key, no key at all, and an App that is installed nowhere: an error each, which shows nothing of a key."""
    app, other = github.people.app(secrets="write"), github.people.app(secrets="write")

    async def said(pem: str, **more: Any) -> StoreError:
        auth = {"app": {"clientId": app.client_id, "privateKey": {"env": "PEM"}, **more}}
        with pytest.raises(StoreError) as caught:
            await opened(environ={"PEM": pem}, auth=auth)
        assert not any(line in f"{caught.value} {caught.value.hint}" for line in pem.splitlines())
        return caught.value

    assert isinstance(await said(other.pem), CredentialsRefused)
    curve = ec.generate_private_key(ec.SECP256R1())
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for key in ("s3cret-not-a-key", curve.private_bytes(*form).decode()):
        assert "no private key of RSA" in (await said(key)).message
    assert "no installation" in (await said(app.pem, installationId=999)).message
    github.accounts.rename("acme/app", "acme/new")
    assert "renamed or transferred" in (await said(app.pem)).hint
    assert "another name by now" in (await said(app.pem, installationId=app.installation)).hint


# -- what is refused


async def test_a_missing_permission_is_named(github: GitHub, opened: OpenStore) -> None:
    """What GitHub says would do is told, as far as it is words that we know."""
    token = github.people.fine_grained(secrets="read")
    store = await opened(auth={"token": {"value": token}})
    assert await _listed(store) == {}
    with pytest.raises(AccessDenied) as caught:
        await store.write("A", VALUE)
    assert "the permission Secrets: Read and write (secrets=write)" in caught.value.hint
    error = refusals.not_accessible("integration", f"secrets={token}")
    github.refuse("^PUT", error)
    with pytest.raises(AccessDenied) as caught:
        await store.write("A", VALUE)
    assert token not in caught.value.hint
    assert "secrets=write" in caught.value.hint


async def test_what_a_token_may_not_see_is_not_absent(github: GitHub, opened: OpenStore) -> None:
    """GitHub says 404 for both: of all of a place it is a refusal, and of one name only where the place is shown."""
    with pytest.raises(AccessDenied, match="no repository acme/app, or our token may not see it"):
        await opened(auth={"token": {"value": github.people.classic("admin:org")}})
    store = await opened(kind="Variables")
    with pytest.raises(SecretNotFound):
        await store.read("A")
    await store.delete("A")
    del github.accounts.repositories["acme/app"]
    for call in (store.read("A"), store.delete("A"), _seen(store, "A"), _listed(store), store.write("A", VALUE)):
        with pytest.raises(AccessDenied):
            await call
    github.accounts.repository("acme/other")
    store = await opened(repository="acme/other", environment="nowhere")
    with pytest.raises(AccessDenied, match="environment nowhere of acme/other"):
        await _listed(store)


async def test_single_sign_on_is_named(github: GitHub, opened: OpenStore) -> None:
    """A token that is not authorised for it is told where that is done; the link in the answer is nobody's business."""
    token = github.people.classic("repo", sso=False)
    with pytest.raises(AccessDenied) as caught:
        await _listed(await opened(auth={"token": {"value": token}}))
    assert "Configure SSO" in caught.value.hint
    assert "AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJ" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    ("refused", "seconds"),
    [
        (refusals.secondary_limit(17), 18),
        (refusals.secondary_limit(None), 60),
        (refusals.primary_limit(0), 0),
        (refusals.RefusedError(429, "Too many requests"), 60),
    ],
    ids=["retry-after", "secondary", "primary, over by now", "429"],
)
async def test_limits_say_how_long_to_wait(
    github: GitHub, opened: OpenStore, refused: refusals.RefusedError, seconds: float
) -> None:
    """By Retry-After, by the end of the hour, or else a minute: the gate knows what to do with it."""
    store = await opened()
    github.refuse("/secrets", refused)
    with pytest.raises(RateLimited) as caught:
        await _listed(store)
    assert caught.value.retry_after == seconds


async def test_the_hours_limit_counts_by_githubs_clock(github: GitHub, opened: OpenStore) -> None:
    """Ours may be wrong by any time."""
    store = await opened()
    github.accounts.clock.now = github.accounts.clock.now.replace(year=2031)
    github.refuse("/secrets", refusals.primary_limit(int(github.accounts.clock.now.timestamp()) + 30))
    with pytest.raises(RateLimited) as caught:
        await _listed(store)
    assert caught.value.retry_after == 31


async def test_variables_are_created_only_where_they_are_absent(github: GitHub, opened: OpenStore) -> None:
    """Which GitHub knows of variables, and not of secrets."""
    store = await opened(kind="Variables")
    await store.create("A", VALUE)
    with pytest.raises(Conflict):
        await store.create("A", SecretValue(b"other"))
    assert (await store.read("A")).value.reveal() == VALUE.reveal()


# -- other names, other hosts


async def test_a_renamed_repository_is_told_and_not_followed(github: GitHub, opened: OpenStore) -> None:
    """The new name is asked for at GitHub itself. Nothing is written: somebody else may own it now."""
    store = await opened()
    github.accounts.rename("acme/app", "beta/app-2")
    with pytest.raises(StoreError) as caught:
        await opened()
    assert "called beta/app-2 now" in caught.value.hint
    for call in (store.write("A", VALUE), store.delete("A"), _listed(store), _seen(store, "A")):
        with pytest.raises(StoreError) as caught:
            await call
        assert caught.value.code == "store"
        assert "renamed or transferred" in caught.value.hint
    assert github.accounts.repository("beta/app-2").shelf().values() == {}


async def test_a_redirect_elsewhere_gets_neither_a_token_nor_a_value(
    github: GitHub, opened: OpenStore, section: Section, gate: CountingGate
) -> None:
    """Whatever an answer names, no request goes to another server."""
    store = await opened()
    with GitHub() as elsewhere:
        for path in ("/repositories/1", "/repos/acme/app/actions/secrets/A"):
            headers = {"Location": f"{elsewhere.address}{path}"}
            for status in (301, 302, 307, 308):
                github.answer(".", status, b'{"message": "Moved"}', headers=headers)
                for call in (store.write("A", VALUE), _listed(store), opened()):
                    with pytest.raises(StoreError):
                        await call
        assert elsewhere.requests == []


async def test_enterprise_server_has_its_api_below_a_path(opened: OpenStore) -> None:
    """As in https://ghe.example/api/v3."""
    with GitHub(prefix="/api/v3") as github:
        github.accounts.repository("acme/app")
        token = {"token": {"value": github.people.classic("repo")}}
        store = await opened(address=github.address, auth=token)
        await store.write("A", VALUE)
        assert github.accounts.repository("acme/app").shelf().values() == {"A": "s3cret"}
        github.accounts.rename("acme/app", "acme/new")
        with pytest.raises(StoreError) as caught:
            await opened(address=github.address, auth=token)
        assert "acme/new" in caught.value.hint


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502])
async def test_nothing_of_an_answer_is_shown(github: GitHub, opened: OpenStore, status: int) -> None:
    """A server may send back what it was sent: value, token and box stay out of every error."""
    token = github.people.classic("repo")
    store = await opened(auth={"token": {"value": token}})
    echo = f'{{"message": "{token} s3cret", "documentation_url": "s3cret"}}'.encode()
    headers = {"X-Accepted-GitHub-Permissions": token, "X-Accepted-OAuth-Scopes": token, "X-GitHub-SSO": token}
    github.answer("^PUT ", status, echo, headers=headers)
    with pytest.raises(StoreError) as caught:
        await store.write("A", VALUE)
    shown = f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert token not in shown
    assert "s3cret" not in shown
