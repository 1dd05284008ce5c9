"""Who can read what the sops store writes: those of the document, or of the creation rules, and nobody else."""

from __future__ import annotations

import contextlib
import re
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from run.world import World
from support import sops
from support.sops_store import DB, KEY, RECIPIENT, SAMPLES, copy_samples, fields, held, opened

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry
from secretsync_core.secret import SecretValue
from secretsync_core.stores.sops.comments import MOST_TRIES, sealed_anew
from secretsync_core.stores.sops.config import SopsConfig
from secretsync_core.stores.sops.document import DOTENV, JSON, YAML, Cipher, Sealed, new_file
from secretsync_core.stores.sops.layout import form_of
from secretsync_core.stores.sops.metadata import Scope, data_key_of, identities_of, new_key, new_key_for
from secretsync_core.stores.sops.values import Broken, open_text, seal_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = pyrage.x25519.Identity.generate()
THEIRS = str(OTHER.to_public())
BOTH = f"{KEY}\n{OTHER}\n"


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


def key_in(file: Path, identities: str = BOTH) -> bytes:
    """The data key of a file."""
    return data_key_of(Sealed(file.read_text(), YAML).section, identities_of(identities))


def put(file: Path, recipients: list[str], plain: dict[str, Any], form: str = YAML) -> bytes:
    """Write a file as somebody else would; gives the data key that they know then."""
    made = new_key(recipients, Scope.of({}))
    file.write_text(new_file(form, made, plain, NOW).text)
    return made.key


@pytest.mark.parametrize("theirs", [[RECIPIENT, THEIRS], [THEIRS]], ids=["one more", "another"])
@pytest.mark.parametrize("by", ["document", "rules"])
async def test_others_lose_the_file_with_its_next_change(directory: Path, theirs: list[str], by: str) -> None:
    """Who is not among the recipients knows the data key: there is a new one, and nothing by the former one is left."""
    file = directory / "a.yaml"
    known = put(file, theirs, {"a": "b", "kept": "x", "list": ["y"], "n": {"m": 1}})
    bound = {"recipients": [RECIPIENT]} if by == "document" else {}
    notes: list[str] = []
    store = await opened({"path": str(directory), "ageKey": {"value": BOTH}, **bound}, notes)
    before = Sealed(file.read_text(), YAML)
    assert [each async for each in store.stat(["a", "typed"])]
    assert [each async for each in store.stat(["a", "typed"])]
    assert len(notes) == 1
    assert "a.yaml" in notes[0]
    assert "recipients change" in notes[0]
    await store.check_write("a", SecretValue({"a": "new"}), None)
    assert file.read_text() == before.text
    await store.write("a", SecretValue({"a": "new", "kept": "x", "list": ["y"], "n": {"m": 1}}))
    assert held(file) == {"a": "new", "kept": "x", "list": ["y"], "n": {"m": 1}}
    after = Sealed(file.read_text(), YAML)
    assert [each["recipient"] for each in after.section["age"]] == [RECIPIENT]
    assert key_in(file) != known
    assert not {str(each) for each in before.data.values()} & {str(each) for each in after.data.values()}
    with pytest.raises(Broken):
        Cipher(known, after.scope).unsealed(after.data, ())


async def test_recipients_that_are_right_keep_the_data_key(directory: Path) -> None:
    """A change of a file that is for just those leaves every other line as it is, and a plan has nothing to tell."""
    for bound in ({"recipients": [RECIPIENT]}, {}):
        notes: list[str] = []
        store = await opened({"path": str(directory), **bound}, notes)
        known = key_in(directory / "typed.yaml")
        assert [each async for each in store.stat(["typed"])]
        await store.write("typed", SecretValue({**await fields(store, "typed"), "more": str(len(bound))}))
        assert (key_in(directory / "typed.yaml"), notes) == (known, [])


async def test_one_that_is_missing_gets_the_file(directory: Path) -> None:
    """By the document files have all of its recipients; by rules, those that a file has may be fewer."""
    put(directory / "a.yaml", [RECIPIENT], {"a": "b"})
    (directory / ".sops.yaml").write_text(f"creation_rules:\n  - age: '{RECIPIENT},{THEIRS}'\n")
    known = key_in(directory / "a.yaml")
    await (await opened({"path": str(directory)})).write("a", SecretValue({"a": "c"}))
    assert key_in(directory / "a.yaml") == known
    store = await opened({"path": str(directory), "recipients": [RECIPIENT, THEIRS]})
    await store.write("a", SecretValue({"a": "d"}))
    assert held(directory / "a.yaml", str(OTHER)) == {"a": "d"}
    assert key_in(directory / "a.yaml") != known


async def test_no_rule_and_no_recipients_bound_nobody(directory: Path) -> None:
    """Without either a file stays for those that it is for; so it does by a rule without keys, or anybody's."""
    (directory / ".sops.yaml").unlink()
    known = put(directory / "a.yaml", [RECIPIENT, THEIRS], {"a": "b"})
    await (await opened({"path": str(directory)})).write("a", SecretValue({"a": "c"}))
    assert key_in(directory / "a.yaml") == known
    (directory / ".sops.yaml").write_text("creation_rules:\n  - encrypted_regex: ^a$\n")
    await (await opened({"path": str(directory)})).write("a", SecretValue({"a": "d"}))
    assert key_in(directory / "a.yaml") == known
    (directory / "in").mkdir()
    known = put(directory / "in" / "a.yaml", [RECIPIENT, THEIRS], {"a": "b"})
    (directory / ".sops.yaml").write_text(f"creation_rules:\n  - age: {THEIRS}\n")
    (directory / ".sops.yaml").chmod(0o666)
    store = await opened({"path": str(directory / "in")})
    await store.write("a", SecretValue({"a": "c"}))
    assert key_in(directory / "in" / "a.yaml") == known


async def test_keys_of_other_kinds_go_too(directory: Path) -> None:
    """Who is named by a key of KMS or PGP is no recipient of the document; a rule that names them cannot be kept to."""
    file = directory / "a.yaml"
    put(file, [RECIPIENT], {"a": "b"})
    entry = "    pgp:\n        - fp: '0123'\n          enc: x\n"
    file.write_text(file.read_text().replace("sops:\n", f"sops:\n{entry}"))
    text = file.read_text()
    (directory / ".sops.yaml").write_text(f"creation_rules:\n  - age: {RECIPIENT}\n    pgp: 0123\n")
    known = key_in(file)
    await (await opened({"path": str(directory)})).write("a", SecretValue({"a": "c"}))
    assert key_in(file) == known
    assert entry in file.read_text()
    (directory / ".sops.yaml").write_text(f"creation_rules:\n  - age: {THEIRS}\n    pgp: 0123\n")
    with pytest.raises(InvalidSecret, match="names pgp"):
        await (await opened({"path": str(directory)})).write("a", SecretValue({"a": "d"}))
    file.write_text(text)
    await (await opened({"path": str(directory), "recipients": [RECIPIENT]})).write("a", SecretValue({"a": "c"}))
    assert key_in(file) != known
    assert "pgp" not in file.read_text()
    assert held(file) == {"a": "c"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace(THEIRS, RECIPIENT), "stands twice"),
        (lambda text: text.replace(f"recipient: {THEIRS}", 'recipient: ""'), "no recipient"),
        (lambda text: text.replace(f"- recipient: {THEIRS}\n          enc", "- enc"), "no recipient"),
        (lambda text: text.replace("    age:\n", "    age:\n        - x\n"), "no recipient"),
        (lambda text: text.replace("    age:\n", "    age: x\n    was:\n"), "no recipient"),
    ],
    ids=["twice", "empty", "nameless", "no object", "no list"],
)
async def test_entries_that_hide_somebody(directory: Path, spoil: Any, told: str) -> None:
    """An age key that says not whose it is, or the same as another, is refused: what stands there may be anybody's."""
    file = directory / "a.yaml"
    put(file, [RECIPIENT, THEIRS], {"a": "b"})
    text = file.read_text().replace(
        f"        -\n            recipient: {THEIRS}\n            enc", f"        - recipient: {THEIRS}\n          enc"
    )
    spoiled = spoil(text)
    assert spoiled != text
    file.write_text(spoiled)
    for bound in ({}, {"recipients": [RECIPIENT]}):
        store = await opened({"path": str(directory), **bound})
        for call in (store.read("a"), store.write("a", SecretValue({"a": "c"}))):
            with pytest.raises(InvalidSecret, match=told) as caught:
                await call
            assert caught.value.hint
    assert file.read_text() == spoiled


async def test_with_rotate_nobody_keeps_the_data_key(directory: Path) -> None:
    """A file with the right names in it may still be by a data key that its maker knows: each change makes one."""
    file = directory / "a.yaml"
    known = put(file, [RECIPIENT], {"a": "b"})
    store = await opened({"path": str(directory), "recipients": [RECIPIENT], "rotate": True})
    token = await store.write("a", SecretValue({"a": "b"}))
    assert key_in(file) == known  # nothing changed
    assert await store.write("a", SecretValue({"a": "c"})) != token
    assert key_in(file) != known
    assert held(file) == {"a": "c"}
    by_rules = await opened({"path": str(directory), "rotate": True})
    known = key_in(file)
    await by_rules.write("a", SecretValue({"a": "d"}))
    assert key_in(file) != known
    with pytest.raises(ValueError, match="rotate is for path"):
        SopsConfig.model_validate({"file": "/x/a.yaml", "rotate": True})


@pytest.mark.parametrize("form", [YAML, JSON, DOTENV])
def test_a_new_key_is_for_all_of_a_file(form: str) -> None:
    """Values keep their types, and comments are encrypted by the new key as well."""
    made = new_key([THEIRS, RECIPIENT], Scope.of({}))
    plain: dict[str, Any] = {"a": "x", "b": "", "C": "two\nlines"}
    if form != DOTENV:
        plain |= {"n": 1, "f": 1.0, "t": True, "none": None, "l": [1, ["x", {"y": "z"}], {}], "o": {"p": {"q": "r"}}}
    file = new_file(form, made, plain, NOW)
    identities = identities_of(KEY)
    opened_file = file.opened(identities)
    again = opened_file.with_values(plain, NOW, new_key=new_key([RECIPIENT], Scope.of({})))
    assert again.opened(identities).plain == plain
    assert data_key_of(again.section, identities) != made.key
    assert len(again.text.splitlines()) < len(file.text.splitlines()) or form != YAML


async def test_comments_are_encrypted_anew(directory: Path) -> None:
    """sops reads every comment of a file that has a new key, also in lists; what it cannot open stays as it is."""
    file = directory / "typed.yaml"
    before = sops.run("decrypt", str(file), identity=KEY)
    assert before.count("# ") >= 3
    foreign = seal_text(b" theirs", "comment", b"0" * 32, ":")
    file.write_text(f"#{foreign}\n{file.read_text()}")
    store = await opened({"file": str(file), "recipients": [RECIPIENT, THEIRS]})
    await store.write("db", SecretValue({**DB, "password": "new"}))
    after = sops.run("decrypt", str(file), identity=str(OTHER))
    assert after == f"#{foreign}\n" + before.replace('"s3cret \\U0001F511"', "new")
    dotenv = directory / "c.env"
    plain = directory / "plain.env"
    plain.write_text("# a note\nA=b\n#other\nB=c\n")
    dotenv.write_text(sops.run("encrypt", "--age", RECIPIENT, str(plain)))
    assert "a note" not in dotenv.read_text()
    of_lines = await opened({"path": str(directory), "ending": ".env", "recipients": [RECIPIENT, THEIRS]})
    await of_lines.write("c", SecretValue({"A": "d", "B": "c"}))
    assert sops.run("decrypt", str(dotenv), identity=str(OTHER)) == "# a note\nA=d\n#other\nB=c\n"


@pytest.mark.parametrize("sample", ["typed.yaml", "more/odd.yaml", "more/odd.ini"])
def test_no_comment_is_left_by_the_former_key(sample: str) -> None:
    """Every encrypted comment of a file says the same by the new data key, where it stood."""
    text, form = (SAMPLES / sample).read_text(), form_of(sample)
    file, identities = Sealed(text, form), identities_of(KEY)
    before, after = data_key_of(file.section, identities), new_key_for(file.section, [RECIPIENT])
    again = file.opened(identities)
    made = again.with_values(again.plain, NOW, new_key=after)
    paths = [":", "db:", "data:", "data:hosts:", "DEFAULT:", "a/b:"]

    def said(lines: str, key: bytes) -> list[str]:
        found = []
        for each in re.findall(r"ENC\[[^\]]*,type:comment\]", lines):
            for path in paths:
                with contextlib.suppress(Broken):
                    found.append(open_text(each, key, path)[0].decode())
        return found

    assert said(made.text, after.key) == said(text, before) != []
    assert said(made.text, before) == []


@pytest.mark.slow
def test_comments_without_end_are_refused() -> None:
    """A file with more comments than can be tried in time is refused, and not half done."""
    foreign = seal_text(b"x", "comment", b"0" * 32, ":")
    paths = [(str(number),) for number in range(1000)]
    with pytest.raises(Broken, match="too many comments"):
        sealed_anew(f"#{foreign}\n" * (MOST_TRIES // 1000 + 1), paths, b"1" * 32, b"2" * 32)


def test_a_plain_text_that_holds_a_comment_is_not_changed() -> None:
    """An encrypted comment that somebody has copied into a value in plain text is no comment: the file is refused."""
    made = new_key([RECIPIENT], Scope.of({}))
    comment = seal_text(b" x", "comment", made.key, ":")
    text = new_file(YAML, made, {"a": "b"}, NOW).text
    file = Sealed(f'x_unencrypted: "#{comment}"\n{text}', YAML)
    with pytest.raises(Broken, match="in plain text"):
        file.with_comments(made.key, b"1" * 32)
    assert Sealed(f"#{comment}\n{text}", YAML).with_comments(made.key, b"1" * 32).data == Sealed(text, YAML).data


async def test_in_one_file_its_other_secrets_are_still_what_was_seen(directory: Path) -> None:
    """A new data key gives every secret of a file another token; to the run that looked before, they are the same."""
    file = directory / "all.yaml"
    put(file, [RECIPIENT, THEIRS], {"a": {"x": "1"}, "b": {"x": "2"}})
    store = await opened({"file": str(file), "recipients": [RECIPIENT]})
    seen = {each.key: each.version async for each in store.stat(["a", "b"]) if isinstance(each, Entry)}
    await store.write_if("a", SecretValue({"x": "3"}), seen["a"])
    assert {each.version async for each in store.stat(["b"]) if isinstance(each, Entry)} != {seen["b"]}
    await store.write_if("b", SecretValue({"x": "4"}), seen["b"])
    assert held(file) == {"a": {"x": "3"}, "b": {"x": "4"}}


async def test_the_plan_tells_that_recipients_change(world: World, directory: Path) -> None:
    """Before anything is written a warning of the plan names the file."""
    (directory / "out").mkdir()
    config = f"path: {directory}/out, recipients: [{RECIPIENT}], ageKey: {{file: {directory}/age.txt}}"
    world.store("dst", f"sops: {{{config}}}")
    put(directory / "out" / "app.yaml", [RECIPIENT, THEIRS], {"a": "1"})
    await world.seed("src", {"app": {"a": "2"}})
    world.job("- {name: all, query: {recursive: true}}", writePolicy="Replace")
    warnings = (await world.plan()).warnings
    assert [each for each in warnings if "app.yaml is encrypted for others" in each]


@pytest.mark.parametrize("kind", ["kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "pgp"])
async def test_every_other_kind_of_key_is_seen(directory: Path, kind: str) -> None:
    """A file that is for a key of any other kind as well is for others than the recipients of the document."""
    file = directory / "a.yaml"
    put(file, [RECIPIENT], {"a": "b"})
    file.write_text(file.read_text().replace("sops:\n", f"sops:\n    {kind}:\n        - {{enc: x, arn: y}}\n"))
    notes: list[str] = []
    store = await opened({"path": str(directory), "recipients": [RECIPIENT]}, notes)
    assert [each async for each in store.stat(["a"])]
    assert "recipients change" in notes[0]


async def test_rules_of_somebody_else_count_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of rules outside of the store that another user owns neither makes files nor takes recipients away."""
    copy_samples(tmp_path)
    (tmp_path / "in").mkdir()
    known = put(tmp_path / "in" / "a.yaml", [RECIPIENT, THEIRS], {"a": "b"})
    monkeypatch.setattr("secretsync_core.trusted_files._trusted", lambda: {4_000_000})
    store = await opened({"path": str(tmp_path / "in")})
    with pytest.raises(InvalidSecret, match="others can write it"):
        await store.write("new", SecretValue({"a": "b"}))
    await store.write("a", SecretValue({"a": "c"}))
    assert key_in(tmp_path / "in" / "a.yaml") == known


async def test_a_file_that_is_rewritten_is_for_its_owner_alone(directory: Path) -> None:
    """Whatever mode it had: what is written is a new file."""
    (directory / "typed.yaml").chmod(0o664)
    await (await opened({"path": str(directory)})).write("typed", SecretValue({"a": "c"}))
    assert stat.S_IMODE((directory / "typed.yaml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("kind", "named", "rule", "allowed"),
    [
        ("kms", "arn", "'arn:a, arn:b+arn:role'", True),
        ("kms", "arn", "[{arn: arn:a}, {arn: arn:b, role: x}]", True),
        ("kms", "arn", "[arn:a, arn:c]", False),
        ("pgp", "fp", "'arn:a,arn:b'", True),
        ("pgp", "fp", "'arn:a'", False),
        ("gcp_kms", "resource_id", "[{resource_id: arn:a}]", False),
    ],
)
async def test_a_rule_bounds_keys_of_other_kinds_by_name(
    directory: Path, kind: str, named: str, rule: str, allowed: bool
) -> None:
    """Another key of a kind that the rule has is one too many, and no change is made by its data key."""
    file = directory / "a.yaml"
    put(file, [RECIPIENT], {"a": "b"})
    entries = "".join(f"        - {{enc: x, {named}: arn:{each}}}\n" for each in "ab")
    file.write_text(file.read_text().replace("sops:\n", f"sops:\n    {kind}:\n{entries}"))
    (directory / ".sops.yaml").write_text(
        f"creation_rules:\n  - key_groups:\n      - age: [{RECIPIENT}]\n        {kind}: {rule}\n"
    )
    store, before = await opened({"path": str(directory)}), file.read_text()
    if allowed:
        await store.write("a", SecretValue({"a": "c"}))
        assert entries in file.read_text()
        return
    with pytest.raises(InvalidSecret, match=f"names {kind}"):
        await store.write("a", SecretValue({"a": "c"}))
    assert file.read_text() == before


async def test_one_file_for_others_alone_is_listed(directory: Path) -> None:
    """To look needs no key: a file that we cannot open has its secrets all the same."""
    file = directory / "all.yaml"
    put(file, [THEIRS], {"a": {"x": "1"}})
    text = file.read_text()
    for spoiled in (text, text.replace("    age:\n", "    pgp:\n")):
        file.write_text(spoiled)
        store = await opened({"file": str(file), "recipients": [THEIRS]})
        assert [each.key async for each in store.list("", recursive=True, metadata=False)] == ["a"]
