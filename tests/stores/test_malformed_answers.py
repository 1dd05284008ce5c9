"""Answers of real servers that a relay spoils in one field: an error of the store, and never a fact."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.altered import GONE, MALFORMED, REMOTE, altered, codes, with_value
from support.slow import one_in

from secretsync_core.model.report import Result

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from support.altered import Altered


class Case(NamedTuple):
    """One field of one answer, by the store, a pattern for the request, the way to it and what it becomes."""

    peer: str
    match: str
    path: tuple[str | int, ...]
    value: object
    hide: str = ""  # what the server seems not to know, so that it is asked in another way

    @property
    def name(self) -> str:
        """What pytest calls it."""
        way = ".".join(map(str, self.path)) or "all"
        return f"{self.peer}: {self.match} {way} = {'missing' if self.value is GONE else json.dumps(self.value)}"


def each(peer: str, match: str, path: tuple[str | int, ...], *values: object, hide: str = "") -> list[Case]:
    """The same field with each of these values in its place."""
    return [Case(peer, match, path, value, hide) for value in values]


DETAILS = "^SCAN .*detailed-metadata"
MOUNT = "sys/internal/ui/mounts"
K1 = ("data", "key_info", "k1")
FIRST = (*K1, "versions", "1")
PAGE = "Secrets|^GET /api/v1/namespaces/[^/]*/secrets.limit"
FOUR = "^GET /api/v1/namespaces/[^/]*/secrets/k4"
META = ("items", 0, "metadata")
SECRETS, PARAMETERS = "secretsmanager.ListSecrets", "AmazonSSM.DescribeParameters"
LISTED = r"^GET .*/variables\?"
NO_TOKENS = ("\0", "é", "x" * 300)
"""Texts that the ledger takes for no version."""
ELSEWHERE = ("arn:aws:secretsmanager:x-1:999999999999:secret:k", "arn:aws:secretsmanager:x-9:123456789012:secret:k")
CANARIES = ("canary-7f3a", "canary 7f3a canary 7f3a canary 7f3a")
"""Texts that would be versions to the ledger of before, and are none of any service."""
STAGES = ("SecretList", 0, "SecretVersionsToStages")
NOTHINGS: list[object] = [None, {}, {"keys": None}, {"keys": []}, {"keys": [], "key_info": {}}]
NOTHING_BUT_WARNINGS = [
    {"request_id": "r", "data": data, "warnings": ["Endpoint is not what you think"]} for data in NOTHINGS
]
"""What a server says of a path that it does not have, with a success: no empty folder."""

WRITTEN = {"created_time": "2026-01-01T00:00:00.1Z", "deletion_time": "", "destroyed": False}

CASES = [
    *each("vault-v2", DETAILS, (*FIRST, "destroyed"), "false", 0, None, GONE),
    *each("vault-v2", DETAILS, (*FIRST, "deletion_time"), "0", "2026-02-31", 0, None, GONE),
    *each("vault-v2", DETAILS, (*FIRST, "created_time"), "now", 5, GONE),
    *each("vault-v2", DETAILS, (*K1, "current_version"), 10**10, 7, 0, -1, "1", 1.0, True, None, GONE),
    *each("vault-v2", DETAILS, (*K1, "versions"), {}, [], None, {"1": None}, GONE),
    *each("vault-v2", DETAILS, (*K1, "versions"), {"1": WRITTEN, "2": WRITTEN}),  # the latest is the current one
    *each("vault-v2", DETAILS, K1, None, [], "x", {}),
    *each("vault-v2", DETAILS, ("data", "key_info"), None, [], {}, GONE),
    *each("vault-v2", DETAILS, ("data",), None, [], "x", GONE),
    *each("vault-v2", DETAILS, (), None, [], {}, {"data": {}}, {"data": None}, *NOTHING_BUT_WARNINGS),
    *each("vault-v2", "^LIST .*/metadata/", (), *NOTHING_BUT_WARNINGS, hide="^SCAN|detailed"),
    *each("vault-v2", "^GET .*/(meta)?data/k4", (), *NOTHING_BUT_WARNINGS[:2]),
    *each("vault-v1", "^SCAN ", (), *NOTHING_BUT_WARNINGS),
    *each("vault-v1", "^LIST ", (), *NOTHING_BUT_WARNINGS, hide="^SCAN"),
    *each("vault-v1", "^GET .*/k[1-4]$", (), *NOTHING_BUT_WARNINGS[:2]),
    *(
        Case("vault-v2", "^LIST .*/metadata/", path, value, hide="^SCAN|detailed")
        for path, value in [
            ((), {"data": None}),
            ((), {"data": {}}),
            (("data",), {}),
            (("data", "keys"), None),
            (("data", "keys"), {"k1": 1}),
            (("data", "keys"), "k1"),
            (("data", "keys", 0), 5),
            (("data", "keys", 0), ""),
        ]
    ),
    *(
        Case("vault-v2", "^GET .*/metadata/k1", path, value, hide="^SCAN|detailed")
        for path, value in [
            (("data", "versions"), {}),
            (("data", "versions", "1", "destroyed"), "true"),
            (("data", "current_version"), 0),
            (("data",), None),
        ]
    ),
    *(
        Case("vault-v2", "^GET .*/data/k4", path, value)
        for path, value in [
            (("data", "data"), []),
            (("data", "data"), "x"),
            (("data", "data"), GONE),
            (("data", "metadata"), None),
            (("data", "metadata", "version"), "2"),
            (("data", "metadata", "version"), 0),
            (("data", "metadata", "version"), 10**10),
            (("data", "metadata", "created_time"), "x"),
            (("data",), None),
        ]
    ),
    *each("vault-v2", MOUNT, ("data", "options", "version"), 2, "3", None, True),
    *(Case("vault-v2", MOUNT, path, value) for path, value in [(("data", "options"), []), (("data", "type"), 5)]),
    *(Case("vault-v1", "^SCAN ", path, value) for path, value in [((), {"data": None}), (("data", "keys"), None)]),
    *each("vault-v1", "^SCAN ", ("data", "keys"), "k1", [5], {"k1": 1}),
    *each("vault-v1", "^LIST ", ("data",), None, {}, [], hide="^SCAN"),
    *each("vault-v1", "^GET .*/k[1-4]$", ("data",), None, {}, [], "x"),
    *each("kubernetes", PAGE, ("metadata", "continue"), False, 0, [], {}),
    *each("kubernetes", PAGE, ("metadata", "remainingItemCount"), 3, "3", -1, False),
    *each("kubernetes", PAGE, ("items",), GONE, {}, "x", [None], [{}]),
    *each("kubernetes", PAGE, ("kind",), "Status", 5, GONE),
    *each("kubernetes", PAGE, (*META, "uid"), 5, "", None, GONE, *NO_TOKENS, *CANARIES),
    *each("kubernetes", PAGE, (*META, "resourceVersion"), 5, "", None, GONE, *NO_TOKENS, *CANARIES),
    *each("kubernetes", PAGE, (*META, "name"), 5, "", None, GONE),
    *each("kubernetes", PAGE, (*META, "namespace"), "another"),
    *each("kubernetes", PAGE, (*META, "labels"), ["x"], "x", {"x": 5}),
    *each("kubernetes", FOUR, ("data",), [], "x", {"password": 5}, {"password": "%%%"}),
    *each("kubernetes", FOUR, ("metadata", "name"), "k1", 5, GONE),
    *each("kubernetes", FOUR, ("metadata", "namespace"), "another"),
    *each("kubernetes", FOUR, ("kind",), "ConfigMap", None),
    *each("secrets-manager", SECRETS, ("SecretList",), None, "x", {}, GONE),
    *each("secrets-manager", SECRETS, STAGES, "AWSCURRENT", ["AWSCURRENT"], {"v": "AWSCURRENT"}),
    *each("secrets-manager", SECRETS, STAGES, {"v": None}, {"v": [5]}, {"v": {}}),
    *each("secrets-manager", SECRETS, STAGES, *({text: ["AWSCURRENT"]} for text in (*NO_TOKENS, *CANARIES))),
    *each("secrets-manager", SECRETS, ("SecretList", 0, "DeletedDate"), "x", [], -1, True),
    *each("secrets-manager", SECRETS, ("SecretList", 0, "Name"), 5, None, "", GONE),
    *each("secrets-manager", SECRETS, ("SecretList", 0, "Tags"), "x", [None], [{"Value": "x"}]),
    *each("secrets-manager", SECRETS, ("NextToken",), 5, [], ""),
    *each("secrets-manager", SECRETS, ("SecretList", 0, "ARN"), *ELSEWHERE),
    *each("secrets-manager", SECRETS, (), None, [], "x", {}),
    *(
        Case("secrets-manager", "secretsmanager.GetSecretValue", path, value)
        for path, value in [
            (("SecretString",), 5),
            (("SecretString",), GONE),
            (("SecretBinary",), "%%%"),
            (("VersionId",), None),
            *((("VersionId",), text) for text in (*NO_TOKENS, *CANARIES)),
            (("Name",), "another"),
            (("ARN",), ELSEWHERE[0]),
            ((), {}),
        ]
    ),
    *each("parameter-store", PARAMETERS, ("Parameters",), None, "x", {}, GONE),
    *each("parameter-store", PARAMETERS, ("Parameters", 0, "Version"), 10**10, "1", 0, 1.5, GONE),
    *each("parameter-store", PARAMETERS, ("Parameters", 0, "LastModifiedDate"), "x", -1, GONE),
    *each("parameter-store", PARAMETERS, ("Parameters", 0, "Name"), 5, None, "", GONE),
    *each("parameter-store", PARAMETERS, ("NextToken",), 5, [], ""),
    *each("parameter-store", PARAMETERS, (), None, [], "x", {}),
    *each("github-variables", LISTED, ("variables",), None, "x", {}, GONE, [None], [{}]),
    *each("github-variables", LISTED, ("total_count",), 3, 5, "4", -1, None, GONE),
    *each("github-variables", LISTED, ("variables", 0, "name"), 5, None, "", GONE),
    *each("github-variables", LISTED, ("variables", 0, "updated_at"), 5, "now", "2026-02-31", None, GONE, *NO_TOKENS),
    *each("github-variables", LISTED, (), None, [], "x", {}),
    *each("github-variables", "^GET /repos/[^/]*/[^/]*$", ("id",), 0, "1", None, GONE),
    *each("github-variables", "^GET /repos/[^/]*/[^/]*$", ("full_name",), 5, None, GONE),
    *each("github-variables", "^GET .*/variables/K4", ("value",), 5, None, GONE),
    *each("github-variables", "^GET .*/variables/K4", ("name",), "K1", "k4", None),
    *each("github-variables", "^GET .*/variables/K4", ("updated_at",), 5, "now", None, *CANARIES),
    *each("github-variables", "^GET .*/variables/K4", (), None, [], {}),
    *(
        Case("parameter-store", "AmazonSSM.GetParameter", path, value)
        for path, value in [
            (("Parameter", "Value"), 5),
            (("Parameter", "Value"), GONE),
            (("Parameter", "Version"), "2"),
            (("Parameter", "Name"), "another"),
            (("Parameter",), None),
            ((), {}),
        ]
    ),
]


GITLAB_LIST, GITLAB_ONE, GITLAB_PROJECT = (
    r"^GET .*/variables\?",
    "^GET .*/variables/K4",
    r"^GET /api/v4/projects/[^/]*$",
)
CASES += [
    *each("gitlab", GITLAB_LIST, (), None, {}, "x", [None], [{}], []),
    *each("gitlab", GITLAB_LIST, (0, "key"), 5, None, "", GONE, "K2"),
    *each("gitlab", GITLAB_LIST, (0, "environment_scope"), 5, None, "", GONE),
    *each("gitlab", GITLAB_LIST, (0, "variable_type"), 5, None, "x", GONE),
    *each("gitlab", GITLAB_LIST, (0, "hidden"), 5, "false"),
    *each("gitlab", GITLAB_ONE, (), None, [], {}),
    *each("gitlab", GITLAB_ONE, ("value",), 5, None, GONE),
    *each("gitlab", GITLAB_ONE, ("key",), "K1", "k4", None),
    *each("gitlab", GITLAB_ONE, ("environment_scope",), "production", None, GONE),
    *each("gitlab", GITLAB_ONE, ("hidden",), 1, "true"),
    *each("gitlab", GITLAB_PROJECT, ("id",), 0, "1", None, GONE),
    *each("gitlab", GITLAB_PROJECT, ("path_with_namespace",), 5, None, GONE),
]


GOOGLE_LIST, GOOGLE_LOOK = "^GET .*/secrets.pageSize", "^GET .*/versions/latest.[$%]"
CASES += [
    *each("google", GOOGLE_LIST, ("secrets",), None, [], "x", {}, GONE),
    *each("google", GOOGLE_LIST, ("secrets", 0), None, "x", {}),
    *each("google", GOOGLE_LIST, ("secrets", 0, "name"), 5, None, "", GONE, "projects/9/secrets/m", *NO_TOKENS),
    *each("google", GOOGLE_LIST, ("secrets", 0, "etag"), 5, None, "", GONE),
    *each("google", GOOGLE_LIST, ("nextPageToken",), 5, [], {}),
    *each("google", GOOGLE_LIST, (), None, [], "x", {"status": "ok"}),  # an empty object is an empty project
    *each("google", GOOGLE_LOOK, ("state",), 0, 7, -1, "x", None, GONE),
    *each("google", GOOGLE_LOOK, ("createTime",), 5, "now", "2026-02-31T00:00:00Z", None, GONE),
    *each("google", GOOGLE_LOOK, ("name",), 5, None, "", GONE, *NO_TOKENS, *CANARIES),
    *each("google", GOOGLE_LOOK, (), None, [], "x", {}),
    *each("google", "^GET .*:access", ("payload",), None, [], {}, GONE),
    *each("google", "^GET .*:access", ("payload", "data"), 5, "%%%", GONE),
    *each("google", "^GET .*:access", ("payload", "dataCrc32c"), 5, "1", "x", None, GONE),
    *each("google", "^GET .*:access", ("name",), 5, None, "", GONE, *CANARIES),
]


HTTP_LIST, HTTP_READ = r"^GET .*/secrets(\?|$)", "^GET .*/secrets/k4/value"
CASES += [
    *each("http", HTTP_LIST, ("secrets",), None, "x", {}, GONE, [None], [{}]),
    *each("http", HTTP_LIST, ("total",), 3, 5, "4", None, GONE),
    *each("http", HTTP_LIST, ("secrets", 0, "name"), 5, None, "", GONE),
    *each("http", HTTP_LIST, ("secrets", 0, "etag"), None, "", True, 1.5, [], GONE, *NO_TOKENS),
    *each("http", HTTP_LIST, ("next",), True, [], {}, 1.5),
    *each("http", HTTP_LIST, (), None, [], "x", {}),
    *each("http", HTTP_READ, ("value",), 5, None, [], GONE),
    *each("http", HTTP_READ, ("name",), "k1", 5, None, GONE),
    *each("http", HTTP_READ, ("etag",), None, "", True, GONE, *NO_TOKENS),
    *each("http", HTTP_READ, (), None, [], {}),
]

FIELDS = list({(case.peer, case.match, case.path, case.hide): case for case in CASES}.values())
"""Each field once, with the last of its values."""


@pytest.mark.parametrize("cases", [FIELDS, pytest.param(CASES, marks=pytest.mark.slow)], ids=["fields", "all"])
@pytest.mark.parametrize("peer", one_in(3, REMOTE))
async def test_a_field_that_makes_no_sense_at_the_source(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: str, cases: list[Case]
) -> None:
    """Whatever field is spoiled, the run says so, and no copy is deleted or overwritten; then all goes on."""
    async with altered(request, monkeypatch, tmp_path, peer, role="src") as it:
        await it.start()
        newest = "k4-old"
        for number, case in enumerate(one for one in cases if one.peer == peer):
            if (await it.contents())["k4"] == newest:  # so that there is something to read
                await it.put("k4", newest := f"new-{number}")
            if case.hide:
                it.relay.answer(case.hide, 404)
            it.relay.alter(case.match, partial(with_value, path=case.path, value=case.value))
            report = await it.world.sync()
            assert MALFORMED in codes(report), case.name
            assert report.total(Result.DELETED) == 0, case.name
            assert report.total(Result.CREATED) == 0, case.name
            it.relay.heal()
            await it.check_kept()
        assert (await it.world.sync()).ok
        assert (await it.contents())["k4"] == newest


LOOKS: dict[str, tuple[str, tuple[str | int, ...], object]] = {
    "vault-v1": ("^(SCAN|LIST) ", ("data", "keys"), None),
    "vault-v2": ("^GET .*/metadata/k4", ("data", "versions", "1", "destroyed"), "false"),
    "kubernetes": (FOUR, ("metadata", "uid"), None),
    "google": (GOOGLE_LOOK, ("state",), 7),
    "secrets-manager": ("secretsmanager.DescribeSecret", ("VersionIdsToStages",), "AWSCURRENT"),
    "parameter-store": (PARAMETERS, ("Parameters", 0, "Version"), "1"),
    "github-variables": ("^GET .*/variables/K4", ("updated_at",), None),
    "gitlab": ("^GET .*/variables/K4", ("key",), "K1"),
    "http": (HTTP_LIST, ("secrets", "k4", "etag"), None),
}
WRITES: dict[str, tuple[str, tuple[str | int, ...], object]] = {
    "vault-v1": ("^POST ", (), None),
    "vault-v2": ("^POST .*/data/k4", ("data", "version"), "2"),
    "kubernetes": ("^PUT .*/secrets/k4", ("metadata", "uid"), None),
    "google": ("^POST .*:addVersion", ("name",), 5),
    "secrets-manager": ("secretsmanager.PutSecretValue", ("VersionId",), 5),
    "parameter-store": ("AmazonSSM.PutParameter", ("Version",), "2"),
    "github-variables": ("^GET .*/variables/K4", ("updated_at",), "x"),  # which it is asked right after the write
    "gitlab": ("^PUT .*/variables/K4", ("key",), "K1"),
    "http": ("^PUT .*/secrets/k4", ("secret", "name"), 5),  # nothing of it is asked for: the version is in a header
}


@pytest.mark.parametrize("peer", one_in(3, REMOTE))
async def test_a_field_that_makes_no_sense_at_the_destination(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: str
) -> None:
    """A look that is spoiled writes nothing; a write whose answer is spoiled is settled by the next run."""
    async with altered(request, monkeypatch, tmp_path, peer, role="dst") as it:
        await it.start()
        match, path, value = LOOKS[peer]
        await it.put("k4", "once")
        it.relay.alter(match, partial(with_value, path=path, value=value))
        assert MALFORMED in codes(await it.world.sync())
        it.relay.heal()
        await it.check_kept()
        assert (await it.contents())["k4"] == "k4-old"
        assert (await it.world.sync()).ok
        match, path, value = WRITES[peer]
        await it.put("k4", "twice")
        it.relay.alter(match, lambda body: with_value(body, path, value) if body else b"<html></html>")
        await it.world.sync()
        it.relay.heal()
        await it.check_kept()
        assert (await it.world.sync()).ok
        assert (await it.contents())["k4"] == "twice"


ODD: list[object] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    1.5,
    10**18,
    "",
    "x",
    "0",
    " ",
    "\u0000",
    "é",
    [],
    {},
    [None],
    ["x"],
    {"x": "y"},
    [{}],
]
BODIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"<html></html>",
    b"\xff\xfe",
    b'{"data":null}',
    b'{"data":{}}',
    b"[" * 3000,
    b"9" * 5000,
]


class Spoiler:
    """Spoils one answer of a run, by chance, or all from there on; what it did is told for a test that fails."""

    def __init__(self, dice: random.Random, it: Altered) -> None:
        self._dice = dice
        self._it = it
        self._left = dice.randrange(8)
        self._once = dice.random() < 0.3
        self.did: list[str] = []

    def __call__(self, body: bytes) -> bytes:
        self._left -= 1
        if self._left >= 0 or (self._once and self.did):
            return body
        if not body or self._dice.random() < 0.2:
            made = self._dice.choice([*BODIES, body[: len(body) // 2], body * 2])
            made = b"null" if made == b"{}" and self._it.may_be_empty else made
            self.did.append(f"{made[:40]!r}")
            return made
        whole = json.loads(body)
        # What the value of a secret is, nobody can say.
        ways = [way for way, part in parts(whole) if not way or not self._it.holds_value(part)]
        way, value = self._dice.choice(ways), self._dice.choice([*ODD, GONE])
        value = None if not way and (value is GONE or (value == {} and self._it.may_be_empty)) else value
        self.did.append(f"{way} = {'missing' if value is GONE else value!r}")
        return with_value(body, way, value)


def parts(part: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every part of an answer, and the way to it."""
    yield way, part
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, found in inner:
        yield from parts(found, (*way, step))


@pytest.mark.parametrize("role", ["src", "dst"])
@pytest.mark.parametrize("peer", one_in(4, REMOTE))
@pytest.mark.parametrize("rounds", [2, pytest.param(300, marks=pytest.mark.nightly)])
async def test_answers_that_are_spoiled_by_chance(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    dice: random.Random,
    peer: str,
    role: str,
    rounds: int,
) -> None:
    """Whatever a server says, no copy is lost or gets a value that its source never had, and the next run goes on."""
    async with altered(request, monkeypatch, tmp_path, peer, role=role) as it:
        await it.start()
        for number in range(rounds):
            await it.put("k4", newest := f"new-{number}")
            spoiler = Spoiler(dice, it)
            it.relay.alter(".", spoiler)
            report = await it.world.sync()
            it.relay.heal()
            said = f"{spoiler.did}: {[error.message for error in report.errors]}"
            assert "unexpected" not in said, said
            assert report.total(Result.DELETED) == 0, said
            await it.check_kept()
            assert (await it.world.sync()).ok, said
            assert (await it.contents())["k4"] == newest, said
