"""The store of sops files reads what sops writes, writes what sops reads, and changes nothing besides."""

from __future__ import annotations

import json
import random
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from run.world import World
from support import sops
from support.sops_store import DB, KEY, RECIPIENT, copy_samples, fields, keys, listed, opened

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, PolicyDenied, SecretNotFound, StoreError
from secretsync_core.model.change import Action
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.sops import PROVIDER
from secretsync_core.stores.sops.config import SopsConfig
from secretsync_core.stores.sops.document import new_file, same
from secretsync_core.stores.sops.metadata import Scope, new_key
from secretsync_core.testing.canaries import canary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from secretsync_core.testing.canaries import Canary


def find_in_files(directory: Path, secret: Canary) -> list[str]:
    return [file.name for file in directory.rglob("*") if file.is_file() and secret.text.encode() in file.read_bytes()]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the samples, and a rule for new files."""
    copy_samples(tmp_path)
    return tmp_path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


async def test_what_sops_wrote_is_read(directory: Path) -> None:
    """Types, lists, comments and files of which a part is in plain text come out as they went in."""
    store = await opened({"path": str(directory)})
    assert await keys(store) == {"typed", "regex", "mac_only"}
    assert await fields(store, "typed") == {"db": DB, "api": {"token": "line\nline\n"}}
    assert type((await fields(store, "typed"))["db"]["whole"]) is float
    assert await fields(store, "regex") == {"kind": "Secret", "data": {"user": "alice", "password": "s3cret"}}
    assert await fields(store, "mac_only") == {"user_unencrypted": "alice", "password": "s3cret"}
    one = await opened({"file": str(directory / "typed.yaml")})
    assert await fields(one, "db") == DB
    assert await keys(one) == {"db", "api"}
    of_json = await opened({"path": str(directory), "ending": ".json"})
    assert (await fields(of_json, "typed"))["hosts"] == ["one", {"a": "b"}]


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_sops_reads_what_we_wrote(directory: Path, form: str) -> None:
    """A new file, one that we changed in every way, and one that sops changed in between are whole to sops."""
    store = await opened({"path": str(directory), "ending": f".{form}"})
    file = directory / "team" / f"new.{form}"
    value: dict[str, Any] = {
        "text": "it's \"s3cret\"\n", "yes": "no", "a b": 1, "n": -5, "f": 1.5, "big": 1e300, "t": True, "none": None,
        "": "x", "list": ["a", 1, {"b": []}, [None]], "deep": {"a": {"b": "c"}}, "key: # 'x'": "\u0000\u2028🔑",
    }  # fmt: skip
    await store.create("team/new", SecretValue(value))
    assert sops.decrypted(file, KEY) == value
    changed = {
        **value,
        "list": ["a", 2, {"b": []}, [None]],
        "deep": {"a": {"c": "d"}},
        "text": "other",
        "more": {"x": ["y"]},
    }
    del changed["a b"]
    await store.write("team/new", SecretValue(changed))
    assert sops.decrypted(file, KEY) == changed
    sops.run("set", "--value-stdin", str(file), '["n"]', identity=KEY, given='"six"')
    assert await fields(store, "team/new") == {**changed, "n": "six"}
    await store.write("team/new", SecretValue({"n": "seven"}))
    assert sops.decrypted(file, KEY) == {"n": "seven"}
    await store.write("team/new", SecretValue({}))
    assert sops.decrypted(file, KEY) == {}


async def test_a_change_rewrites_only_what_changed(directory: Path) -> None:
    """Of all lines of a file those differ whose values changed, the checksum and its time; comments and form stay."""
    file = directory / "typed.yaml"
    before = file.read_text().splitlines()
    store = await opened({"file": str(file)})
    await store.write("db", SecretValue({**DB, "password": "new", "hosts": ["one", "three"]}))
    after = file.read_text().splitlines()
    assert len(after) == len(before)
    different = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [old.strip().partition(" ")[0] for old, _ in different] == ["password:", "-", "lastmodified:", "mac:"]
    await store.write("team/cache", SecretValue({"token": "t"}))
    grown = file.read_text().splitlines()
    at = grown.index("team:")
    assert grown[at + 1 : at + 3] == ["    cache:", grown[at + 2]]
    assert grown[at + 2].startswith("        token: ENC[")
    assert sum(old != new for old, new in zip(after, grown[:at] + grown[at + 3 :], strict=True)) <= 2
    await store.delete("team/cache")
    assert "team:" not in file.read_text().splitlines()
    assert sops.decrypted(file, KEY)["db"] == {**DB, "password": "new", "hosts": ["one", "three"]}


@pytest.mark.parametrize("seed", range(4))
def test_any_change_of_any_file(seed: int) -> None:
    """Objects, lists and odd names that come, go and change in a YAML file are what they were to be, and no more."""
    dice = random.Random(seed)
    names = [
        "a",
        "b",
        "user",
        "pass word",
        "x.y",
        "yes",
        "1",
        "é",
        "🔑",
        "a:b",
        "- q",
        "#h",
        "",
        "'",
        "&b",
        "*a",
        "~",
        "{x}",
    ]
    texts = ["", "x", "line\nline\n", "  ", "null", "- a", ": #", "\0", "\u0085\u2028", "ENC[x]"]

    def value(depth: int) -> Any:
        kind = dice.random()
        if depth < 3 and kind < 0.25:
            return {dice.choice(names): value(depth + 1) for _ in range(dice.randint(0, 3))}
        if depth < 3 and kind < 0.4:
            return [value(depth + 1) for _ in range(dice.randint(0, 3))]
        return dice.choice([dice.choice(texts), dice.choice(texts), dice.randint(-5, 10**6), 0.5, True, None])

    def changed(old: Any, depth: int = 0) -> Any:
        if not isinstance(old, dict):
            return value(depth)
        kept = {name: changed(each, depth + 1) if dice.random() < 0.4 else each for name, each in old.items()}
        kept = {name: each for name, each in kept.items() if dice.random() < 0.8}
        return {**kept, dice.choice(names): value(depth + 1)}

    identity, now = pyrage.x25519.Identity.from_str(KEY), datetime.now(UTC)
    for _ in range(10):
        plain = {dice.choice(names): value(0) for _ in range(dice.randint(0, 5))}
        file = new_file("yaml", new_key([RECIPIENT], Scope.of({})), plain, now)
        for _ in range(4):
            opened_file = file.opened([identity])
            assert same(opened_file.plain, plain)
            plain = changed(plain)
            file = opened_file.with_values(plain, now)


async def test_a_json_file_keeps_its_form(directory: Path) -> None:
    """Only the lines of changed values differ in a JSON file."""
    file = directory / "typed.json"
    before = file.read_text().splitlines()
    store = await opened({"path": str(directory), "ending": ".json"})
    await store.write("typed", SecretValue({**await fields(store, "typed"), "password": "new"}))
    after = file.read_text().splitlines()
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 3


async def test_dotenv_files(directory: Path) -> None:
    """sops reads in them what we wrote and changed, and other lines stay; what is no text or no name is refused."""
    file = directory / "team" / "web.env"
    store = await opened({"path": str(directory), "ending": ".env"})
    value: dict[str, Any] = {"A": 'it\'s "x"', "B": "two\nlines\\n", "EMPTY": "", "C": "${A} # x"}
    await store.create("team/web", SecretValue(value))
    assert sops.decrypted(file, KEY) == value
    assert await keys(store) == {"team/web"}
    before = f"#ours\n\n{file.read_text()}"
    file.write_text(before)
    del value["A"]
    await store.write("team/web", SecretValue({**value, "C": "new", "D": "more"}))
    assert sops.decrypted(file, KEY) == {**value, "C": "new", "D": "more"}
    old, new = (text.splitlines() for text in (before, file.read_text()))
    names = [line.partition("=")[0] for line in new if line not in old]
    assert names == ["C", "D", "sops_lastmodified", "sops_mac"] or names == ["C", "D", "sops_mac"]
    assert new[:4] == [*old[:2], *old[3:5]]
    sops.run("set", "--value-stdin", str(file), '["D"]', identity=KEY, given='"six"')
    assert (await fields(store, "team/web"))["D"] == "six"
    refused: list[dict[str, Any]] = [{"A": 1}, {"a-b": "x"}, {"sops_mac": "x"}, {"A_unencrypted": "x"}]
    for each in refused:
        with pytest.raises(InvalidSecret):
            await store.write("team/web", SecretValue(each))
    for text in (
        "A\n",
        "A=x\n",
        "A=\nA=\nsops_mac=x\n",
        "sops_age__list_5__map_enc=x\n",
        "sops_age=x\nsops_age__list_0=y\n",
    ):
        file.write_text(text)
        with pytest.raises(InvalidSecret):
            await store.read("team/web")


async def test_versions_are_of_ciphertexts(directory: Path) -> None:
    """They need no key and no file times, stay where nothing changes, and never come back."""
    file = directory / "typed.yaml"
    store, blind = await opened({"file": str(file)}), await opened({"file": str(file), "ageKey": None})

    async def tokens() -> dict[str, str | None]:
        return {each.key: each.version for each in await listed(blind) if isinstance(each, Entry)}

    first = await tokens()
    shutil.copy(file, directory / "copy")
    (directory / "copy").rename(file)
    assert await tokens() == first
    assert await store.write("db", SecretValue(DB)) == first["db"]
    await store.write("api", SecretValue({"token": "x", "note": ""}))
    second = await tokens()
    assert (second["db"], second["api"] != first["api"]) == (first["db"], True)
    await store.write("api", SecretValue({"token": "x", "note": "y"}))
    await store.write("api", SecretValue({"token": "x", "note": ""}))
    assert (await tokens())["api"] not in (first["api"], second["api"])
    with pytest.raises(Conflict):
        await store.write_if("api", SecretValue({"token": "z"}), second["api"])
    with pytest.raises(AccessDenied) as caught:
        await blind.read("db")
    assert "sops updatekeys" in caught.value.hint
    with pytest.raises(AccessDenied):
        await blind.check_write("db", SecretValue({"a": "b"}), None)
    (directory / "created").mkdir()
    writer = await opened({"path": str(directory / "created"), "ageKey": None})
    await writer.write("new", SecretValue({"a": "b"}))
    assert sops.decrypted(directory / "created" / "new.yaml", KEY) == {"a": "b"}


async def test_what_was_tampered_with_is_not_read(directory: Path) -> None:
    """A value that was moved, replaced by plain text or taken away is noticed; errors show nothing of it."""
    file = directory / "typed.yaml"
    text = file.read_text()
    store = await opened({"file": str(file)})
    lines = {line.strip().partition(":")[0]: line for line in text.splitlines()}
    sealed = lines["password"].partition(": ")[2]
    for spoiled in (
        text.replace(lines["user"].partition(": ")[2].partition(" #")[0], sealed),
        text.replace(sealed, "pl4in-s3cret"),
        text.replace(sealed, '""'),
        text.replace(lines["password"] + "\n", ""),
        text.replace(lines["mac"], "    mac: x"),
        text.replace("AES256_GCM,data:", "AES256_GCM,data:AA", 3),
    ):
        assert spoiled != text
        file.write_text(spoiled)
        for call in (store.read("db"), store.write("db", SecretValue({"a": "b"})), store.delete("db")):
            with pytest.raises(InvalidSecret) as caught:
                await call
            assert "s3cret" not in f"{caught.value.message} {caught.value.hint} {caught.value.__context__!r}"
        assert file.read_text() == spoiled


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: b\n", "not encrypted"),
        ("[a]\n", "no object"),
        ("a: &x b\nsops: {}\n", "an anchor, an alias or a tag (line 1)"),
        ("a: 1\na: 2\nsops: {}\n", "a name stands twice (line 2)"),
        ("sops: {}\n---\nsops: {}\n", "several YAML documents"),
        ("a: '\n", "not YAML"),
        ("[" * 5000, "nested too deeply"),
        ("a: \xff\n", "UTF-8"),
        ("sops: {pgp: [{fp: x}], version: 3.9.0}\n", "encrypted for pgp, and for no age key"),
        ("sops: {key_groups: [{}], version: 3.9.0}\n", "key_groups"),
        ("sops: {encrypted_comment_regex: x}\n", "comment_regex"),
        ("sops: {encrypted_regex: '('}\n", "encrypted_regex is no expression"),
    ],
    ids=lambda text: text[:20],
)
async def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    """Neither read nor written nor deleted, and a listing says that it could not be seen."""
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="latin-1")
    store = await opened({"path": str(tmp_path)})
    for call in (store.read("a"), store.write("a", SecretValue({"a": "b"}))):
        with pytest.raises(InvalidSecret) as caught:
            await call
        assert told in caught.value.message
    if not text.startswith("sops: {pgp") and "key_groups" not in text:  # those are somebody's whole files
        with pytest.raises(InvalidSecret):
            await store.delete("a")
        assert [each.prefix for each in await listed(store) if isinstance(each, Gap)] == ["a"]
        assert file.read_text(encoding="latin-1") == text


async def test_nothing_is_written_in_plain_text(directory: Path) -> None:
    """What the rules of a file leave unencrypted is refused, by the plan too; what stands there so may stay."""
    secret = canary()
    store = await opened({"path": str(directory)})
    plain: tuple[tuple[str, dict[str, Any]], ...] = (
        ("regex", {"kind": secret.text, "data": {}}),
        ("mac_only", {"user_unencrypted": secret.text}),
        ("new", {"a": {"b_unencrypted": [secret.text]}}),
    )
    for key, value in plain:
        for call in (store.check_write(key, SecretValue(value), None), store.write(key, SecretValue(value))):
            with pytest.raises(InvalidSecret, match="in plain text"):
                await call
    kept = await fields(store, "regex")
    await store.write("regex", SecretValue({**kept, "data": {"user": "bob"}}))
    assert sops.decrypted(directory / "regex.yaml", KEY) == {"kind": "Secret", "data": {"user": "bob"}}
    await store.write("mac_only", SecretValue({"user_unencrypted": "alice", "password": secret.text}))
    assert sops.decrypted(directory / "mac_only.yaml", KEY)["password"] == secret.text
    await store.write("new", SecretValue({"a": secret.text}))
    assert find_in_files(directory, secret) == []


async def test_new_files_follow_the_creation_rules(tmp_path: Path) -> None:
    """The first rule of the nearest .sops.yaml whose path fits says for whom a file is, and what of it is encrypted."""
    other = str(pyrage.x25519.Identity.generate().to_public())
    (tmp_path / ".sops.yaml").write_text(
        "creation_rules:\n"
        f"  - path_regex: prod/.*\\.yaml$\n    age: '{RECIPIENT}, {other}'\n    encrypted_suffix: _secret\n"
        "  - path_regex: kms/\n    kms: arn:aws:kms:eu-central-1:123456789012:key/1\n    age: x\n"
        f"  - path_regex: groups/\n    key_groups: [{{age: [{RECIPIENT}]}}]\n"
        "  - path_regex: bad/\n    age: age1nobody\n"
        "  - path_regex: pgp/\n    pgp: 0123\n"
    )
    store = await opened({"path": str(tmp_path / "secrets")})
    await store.write("prod/a", SecretValue({"a_secret": "x"}))
    section = sops.run("filestatus", str(tmp_path / "secrets/prod/a.yaml"))
    assert json.loads(section) == {"encrypted": True}
    text = (tmp_path / "secrets/prod/a.yaml").read_text()
    assert RECIPIENT in text
    assert other in text
    assert "encrypted_suffix: _secret" in text
    with pytest.raises(InvalidSecret, match="in plain text"):
        await store.write("prod/a", SecretValue({"a": "x"}))
    await store.write("groups/a", SecretValue({"a": "x"}))
    assert sops.decrypted(tmp_path / "secrets/groups/a.yaml", KEY) == {"a": "x"}
    for key, told in (("kms/a", "kms"), ("pgp/a", "pgp"), ("bad/a", "age recipients"), ("none/a", "no creation rule")):
        for call in (store.check_write(key, SecretValue({"a": "b"}), None), store.write(key, SecretValue({"a": "b"}))):
            with pytest.raises(InvalidSecret, match=told):
                await call
    assert await keys(store) == {"prod/a", "groups/a"}
    (tmp_path / ".sops.yaml").chmod(0o666)
    with pytest.raises(InvalidSecret, match="others can write it"):
        await store.write("groups/b", SecretValue({"a": "b"}))


async def test_recipients_of_the_document_are_the_only_ones(directory: Path) -> None:
    """With them no file says for whom it is written: not .sops.yaml, and not a file that is for others too."""
    mine = pyrage.x25519.Identity.generate()
    config = {"path": str(directory), "recipients": [str(mine.to_public())]}
    store = await opened({**config, "ageKey": {"value": f"# two\n{KEY}\n{mine}\n"}})
    await store.write("new", SecretValue({"a": "b"}))
    assert sops.decrypted(directory / "new.yaml", str(mine)) == {"a": "b"}
    assert RECIPIENT not in (directory / "new.yaml").read_text()
    assert await fields(store, "typed")
    await store.write("typed", SecretValue({"a": "b"}))
    assert sops.decrypted(directory / "typed.yaml", str(mine)) == {"a": "b"}
    assert RECIPIENT not in (directory / "typed.yaml").read_text()


async def test_in_one_file_a_key_is_a_path(directory: Path) -> None:
    """An object that holds a value is a secret, others are folders; neither takes the place of the other."""
    store = await opened({"file": str(directory / "all.yaml")})
    assert await listed(store) == []
    with pytest.raises(SecretNotFound):
        await store.read("a")
    await store.write("a/b", SecretValue({"x": "1", "inner": {"y": "2"}}))
    await store.write("a/c/d", SecretValue({"x": "3"}))
    assert await keys(store) == {"a/b", "a/c/d"}
    assert sops.decrypted(directory / "all.yaml", KEY) == {
        "a": {"b": {"x": "1", "inner": {"y": "2"}}, "c": {"d": {"x": "3"}}}
    }
    for key in ("a", "a/c", "a/b/x", "a/b/inner", "a/b/new", "sops", "sops/x"):
        for call in (store.check_write(key, SecretValue({"x": "4"}), None), store.write(key, SecretValue({"x": "4"}))):
            with pytest.raises(InvalidSecret):
                await call
        with pytest.raises((SecretNotFound, InvalidSecret)):
            await store.read(key)
    values: list[dict[str, Any]] = [{}, {"x": {"y": "z"}}, {"x": ""}, {"x": None}]
    for value in values:
        with pytest.raises(InvalidSecret):
            await store.write("new", SecretValue(value))
    await store.delete("a/b/inner")
    await store.delete("a/c/d")
    assert sops.decrypted(directory / "all.yaml", KEY) == {"a": {"b": {"x": "1", "inner": {"y": "2"}}}}


async def test_git_and_its_rules_are_no_secrets(directory: Path) -> None:
    """Neither .sops.yaml nor what is in .git is listed, read or written."""
    (directory / ".git" / "refs").mkdir(parents=True)
    shutil.copy(directory / "typed.yaml", directory / ".git" / "refs" / "branch.yaml")
    store = await opened({"path": str(directory)})
    assert await keys(store) == {"typed", "regex", "mac_only"}
    for key in (".sops", ".git/refs/branch"):
        for call in (store.read(key), store.write(key, SecretValue({"a": "b"})), store.delete(key)):
            with pytest.raises(InvalidSecret):
                await call


async def test_its_place_and_bounds(tmp_path: Path) -> None:
    """Keys in a file are at places within the file's own, and a policy bounds where it is."""
    assert PROVIDER.place is not None
    one, many = {"file": str(tmp_path / "all.yaml")}, {"path": str(tmp_path)}
    stores = [await opened(config) for config in (one, many)]
    for store, config in zip(stores, (one, many), strict=True):
        assert store.facts.place == PROVIDER.place(SopsConfig.model_validate(config))
    inner, outer = (store.facts.place for store in stores)
    assert outer is not None
    assert inner is not None
    assert outer.key_at(inner, "db") == "all.yaml/db"
    with pytest.raises(PolicyDenied):
        await opened({"file": str(tmp_path / "ledger.yaml")}, SECRETSYNC_KEY_FILE=str(tmp_path / "ledger.yaml"))


@pytest.mark.parametrize(
    "config",
    [
        {"path": "/x", "ending": ".toml"},
        {"file": "/x/a.env"},
        {"path": "/x", "ending": "/a.yaml"},
        {"file": "/x/a.txt"},
        {"path": "/x", "file": "/x/a.yaml"},
        {},
    ],
)
def test_documents_that_cannot_be(config: dict[str, str]) -> None:
    """A file of another kind, a name that leads elsewhere, both ways at once and none are refused by the document."""
    with pytest.raises(ValueError, match="validation error"):
        SopsConfig.model_validate(config)


@pytest.mark.parametrize("text", ["s3cret", "AGE-SECRET-KEY-1S3CRET", "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret"])
async def test_a_text_that_is_no_key(tmp_path: Path, text: str) -> None:
    """It is refused when the store is opened, and not shown."""
    with pytest.raises(StoreError, match="no age identity") as caught:
        await opened({"path": str(tmp_path), "ageKey": {"value": text}})
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint} {caught.value.__context__!r}".lower()


async def test_the_plan_says_what_will_not_fit(world: World, directory: Path) -> None:
    """What a file's rules would leave in plain text, and a name of sops' own, are refused in time."""
    world.store("dst", f"sops: {{path: {directory}, ageKey: {{file: {directory / 'age.txt'}}}}}")
    secrets: dict[str, Any] = {
        "fine": {"a": 1, "b": ["x"]},
        "plain": {"x_unencrypted": "y"},
        "named": {"sops": "x"},
        "typed": {"a": "b"},
    }
    await world.seed("src", secrets)
    world.job("- {name: all, query: {recursive: true}}")
    refused = {change.key: change.detail for change in (await world.plan()).changes if change.action is Action.REFUSE}
    assert refused.keys() == {"plain", "named", "typed"}
    assert "in plain text" in refused["plain"]
    await world.sync()
    assert sops.decrypted(directory / "fine.yaml", KEY) == secrets["fine"]
    written = (directory / "fine.yaml").read_bytes()
    await world.sync(verify=True)
    assert (directory / "fine.yaml").read_bytes() == written


def test_sops_that_cannot_be_built_fails_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test-sops` is red where it has no sops to ask; all other runs leave those tests out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(sops, "PACKAGE", "no such package")
    monkeypatch.delenv(sops.BUILDS, raising=False)
    with pytest.raises(pytest.skip.Exception):
        sops.program.__wrapped__()
    monkeypatch.setenv(sops.BUILDS, "1")
    with pytest.raises(pytest.fail.Exception):
        sops.program.__wrapped__()
