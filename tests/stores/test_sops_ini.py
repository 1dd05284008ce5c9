"""INI files of sops: read as sops reads them, and changed so that it reads what we wrote."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from support import sops
from support.sops_store import KEY, RECIPIENT, SAMPLES, fields, held, keys, listed, opened

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.sops import ini_text
from secretsync_core.stores.sops.document import INI, new_file
from secretsync_core.stores.sops.metadata import Scope, new_key

if TYPE_CHECKING:
    from pathlib import Path

ODD: dict[str, Any] = {
    "user": "alice",
    "db": {"password": "s3 cret", "port": "5432", "empty": "", "hash": "a#b", "long_name_here": "x"},
    "a/b": {"x_unencrypted": "a#b", "y_unencrypted": "q"},
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file web.ini that sops made, with comments, quotes and a section in plain text."""
    shutil.copy(SAMPLES / "more" / "odd.ini", tmp_path / "web.ini")
    return tmp_path


async def store_at(directory: Path, **config: Any) -> Any:
    return await opened({"path": str(directory), "ending": ".ini", "recipients": [RECIPIENT], **config})


async def test_what_sops_wrote_is_read(directory: Path) -> None:
    """Sections are objects of texts, and what stands above the first one is at the top."""
    store = await store_at(directory)
    assert [each[0] for each in await listed(store)] == ["web"]
    assert await fields(store, "web") == ODD


async def test_a_change_rewrites_only_what_changed(directory: Path) -> None:
    """Lines of other values stay, with comments and alignment; new ones come where their section ends."""
    file = directory / "web.ini"
    store = await store_at(directory)
    before = file.read_text().splitlines()
    await store.write("web", SecretValue({**ODD, "db": {**ODD["db"], "password": "new", "more": "x"}}))
    after = file.read_text().splitlines()
    (new,) = [line for line in after if line.startswith("more")]
    assert new.startswith("more           = ENC[")
    assert after.index(new) == before.index("[a/b]") - 1
    after.remove(new)
    changed = [old.split()[0] for old, line in zip(before, after, strict=True) if old != line]
    assert changed in (["password", "lastmodified", "mac"], ["password", "mac"])
    assert await fields(store, "web") == {**ODD, "db": {**ODD["db"], "password": "new", "more": "x"}}


async def test_sops_reads_what_we_wrote(directory: Path) -> None:
    """Sections and values come, go and change; a new file, a change, and one by a new data key are whole to sops."""
    file = directory / "web.ini"
    store = await store_at(directory)
    steps: list[dict[str, Any]] = [
        {**ODD, "top": "y", "new sec": {"a": "b", "none": ""}},
        {"a/b": ODD["a/b"], "z": {"q": "two\nlines\n", "r": "`#;`"}},
        {"first": "now", "a/b": ODD["a/b"], "z": {}},
        {"z": {"x": "y"}},
        {},
        {"x": "y"},
    ]
    for name in ("web", "new"):
        for value in steps if name == "web" else steps[3:]:
            await store.write(name, SecretValue(value))
            assert await fields(store, name) == value
            found = held(directory / f"{name}.ini")
            assert ini_text.fields_of(found) == value
    if sops.is_there():
        sops.run("set", "--value-stdin", str(file), '["DEFAULT"]["x"]', identity=KEY, given='"six"')
        assert await fields(store, "web") == {"x": "six"}


async def test_a_new_data_key_is_for_comments_too(directory: Path) -> None:
    """What sops decrypts for the new recipient has every comment and value that it had."""
    file = directory / "web.ini"
    other = pyrage.x25519.Identity.generate()
    before = sops.run("decrypt", str(file), identity=KEY)
    store = await store_at(directory, recipients=[RECIPIENT, str(other.to_public())])
    await store.write("web", SecretValue({**ODD, "user": "bob"}))
    assert sops.run("decrypt", str(file), identity=str(other)) == before.replace("alice", "bob")


@pytest.mark.parametrize(
    "value",
    [
        {"port": 5432}, {"s": {"port": 5432}}, {"s": ["x"]}, {"s": {"o": {"a": "b"}}}, {"s": None},
        {"DEFAULT": {"a": "b"}},
        {"default": {"a": "b"}}, {"sops": {"a": "b"}}, {"a=b": "x"}, {"s": {"a:b": "x"}}, {"[s]": {}}, {"#a": "x"},
        {"": "x"}, {" a": "x"}, {"a ": "x"}, {"s": {"-": "x"}}, {"a\nb": "x"}, {'"a"': "x"}, {"`": "x"}, {"é": "x"},
        {"a": "end\\"}, {"a": '"x"'}, {"a": "'x'"}, {"a": '"""x'}, {"a": 'x\n"""'}, {"a": "x\ry"},
        {"a_unencrypted": "x"}, {"s_unencrypted": {"a": "x"}},
    ],
    ids=ascii,
)  # fmt: skip
async def test_what_an_ini_file_cannot_hold_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    """The plan says so, and nothing is written: names and texts that sops, or others, would read differently."""
    store = await store_at(tmp_path)
    for call in (store.check_write("a", SecretValue(value), None), store.write("a", SecretValue(value))):
        with pytest.raises(InvalidSecret) as caught:
            await call
        assert caught.value.hint
    assert await listed(store) == []


async def test_texts_that_are_taken_are_the_same_to_sops(tmp_path: Path) -> None:
    """What it has decrypted and encrypts again, as an editor of its would have it, is what was written."""
    texts = ["a#b", "a;b", " around ", "`x`", "a`b;c", 'say "hi"', "it's", "", "two\nlines", "\nfirst", "last\n",
             "a=b:c",
             "é 🔑", "\ttab", "[x]", "; x", "%(user)s", "\u00a0", "#", '"', "'", '"a" "b"', "x\\y",
             '`"""`']  # fmt: skip
    store = await store_at(tmp_path)
    value: dict[str, Any] = {"s": {f"n{number}": text for number, text in enumerate(texts)}}
    await store.write("a", SecretValue(value))
    plain = tmp_path / "plain" / "again.ini"
    plain.parent.mkdir()
    plain.write_text(sops.run("decrypt", str(tmp_path / "a.ini"), identity=KEY))
    again = tmp_path / "again.ini"
    again.write_text(sops.run("encrypt", "--age", RECIPIENT, str(plain)))
    assert await fields(store, "again") == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = b\n", "not encrypted"),
        ("a\n[sops]\nmac = x\n", "line 1 is not NAME"),
        ("[]\nb = c\n", "section in line 1"),
        ("[x\n", "section in line 1"),
        ("[x] y\n", "section in line 1"),
        ("- = x\n", "line 1 is not NAME"),
        ("`a` = x\n", "line 1 is not NAME"),
        ('"a" = x\n', "line 1 is not NAME"),
        ("= x\n", "line 1 is not NAME"),
        ("a = x\\\ny\n", "several lines (line 1)"),
        ('a = """x\ny"""\n', "several lines (line 1)"),
        ("a = `x\ny`\n", "several lines (line 1)"),
        ("a = `\n", "several lines (line 1)"),
        ('a = """\n', "several lines (line 1)"),
        ("a = x\na = y\n", "stands twice in a section"),
        ("[x]\n[y]\n[x]\n", "section stands twice"),
        ("a = b\n[DEFAULT]\n", "section stands twice"),
        ("[sops]\nage__list_3__map_enc = x\n", "makes no sense"),
    ],
)
async def test_what_is_no_file_of_ours_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    """Neither read nor written, with what to do; a listing says that it could not be seen."""
    file = tmp_path / "a.ini"
    file.write_text(text)
    store = await store_at(tmp_path)
    for call in (store.read("a"), store.write("a", SecretValue({"a": "b"}))):
        with pytest.raises(InvalidSecret) as caught:
            await call
        assert told in caught.value.message
        assert caught.value.hint
    assert [type(each) for each in await listed(store)] == [Gap]
    assert file.read_text() == text


async def test_a_value_and_a_section_of_one_name(directory: Path) -> None:
    """Fields have one name each: a file with both is refused."""
    file = directory / "web.ini"
    file.write_text(file.read_text().replace("user = ", "db = ", 1))
    with pytest.raises(InvalidSecret):
        await (await store_at(directory)).read("web")
    with pytest.raises(Exception, match="has the name of a section"):
        ini_text.fields_of({"DEFAULT": {"a": "b"}, "a": {}})


@pytest.mark.parametrize("seed", range(3))
def test_any_change_of_any_file(seed: int) -> None:
    """Sections and values that come, go and change are what they were to be, and comments of others stay."""
    dice = random.Random(seed)
    own = {"mac": "x", "age": [{"enc": "a\nb\n", "recipient": "y"}], "mac_only_encrypted": True}

    def some() -> dict[str, str]:
        return {dice.choice("abcdef"): dice.choice(["", "x", "a#b", "`", " y "]) for _ in range(dice.randint(0, 3))}

    for _ in range(40):
        text = ""
        for _ in range(4):
            top = some()
            value: dict[str, Any] = {"DEFAULT": top} if top else {}
            value |= {dice.choice(["s", "t", "u v", "w/x"]): some() for _ in range(dice.randint(0, 3))}
            text = ini_text.changed(text, {**value, "sops": own})
            found = ini_text.parse(text)
            assert found == {**value, "sops": own}
            if dice.random() < 0.5:
                text = text.replace("[sops]", "; about sops\n[sops]") if "; about" not in text else text
        assert text.endswith("\n")


# -- One file with a section for each secret

MANY = """; of all
top = x

# of the shop
[shop/db]
user = alice ; who
password = s3cret

[web]
token = t
"""


@pytest.fixture
async def many(tmp_path: Path) -> Any:
    """A store on one file in which sops encrypted ``MANY``, or which we made where there is no sops."""
    file = tmp_path / "all.ini"
    store = await opened({"file": str(file), "recipients": [RECIPIENT]})
    if sops.is_there():
        plain = tmp_path / "plain.ini"
        plain.write_text(MANY)
        file.write_text(sops.run("encrypt", "--age", RECIPIENT, str(plain)))
    else:
        made = new_key([RECIPIENT], Scope.of({}))
        sections = {"DEFAULT": {"top": "x"}, "shop/db": {"user": "alice", "password": "s3cret"}, "web": {"token": "t"}}
        file.write_text(new_file(INI, made, sections, datetime(2026, 1, 1, tzinfo=UTC)).text)
    yield store
    await store.aclose()


async def test_a_section_is_a_secret(many: Any, tmp_path: Path) -> None:
    """Each by its whole name, also with slashes; what stands above the first one is no secret, and no gap."""
    assert await keys(many) == {"shop/db", "web"}
    assert [each.key async for each in many.list("shop/", recursive=True, metadata=False)] == ["shop/db"]
    assert [each.key async for each in many.list("", recursive=False, metadata=False)] == ["web"]
    assert await fields(many, "shop/db") == {"user": "alice", "password": "s3cret"}
    for key in ("DEFAULT", "default", "sops"):
        with pytest.raises(InvalidSecret):
            await many.read(key)


async def test_a_section_comes_changes_and_goes(many: Any, tmp_path: Path) -> None:
    """Others keep their lines and their versions, and the file is whole to sops after each step."""
    file = tmp_path / "all.ini"
    before = {each[0]: each[1] for each in await listed(many)}
    kept = [line for line in file.read_text().splitlines() if line.startswith(("token", "top"))]
    rest = {"DEFAULT": {"top": "x"}, "web": {"token": "t"}}
    await many.write("new/a b", SecretValue({"x": "two\nlines", "empty": ""}))
    assert held(file)["new/a b"] == {"x": "two\nlines", "empty": ""}
    await many.write("shop/db", SecretValue({"password": "other"}))
    assert held(file) == {**rest, "shop/db": {"password": "other"}, "new/a b": {"x": "two\nlines", "empty": ""}}
    await many.delete("new/a b")
    await many.delete("shop/db")
    assert held(file) == rest
    lines = file.read_text().splitlines()
    assert all(line in lines for line in kept)
    assert [each[:2] for each in await listed(many)] == [("web", before["web"])]
    await many.delete("web")
    assert held(file) == {"DEFAULT": {"top": "x"}}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("a", {"x": 1}, "no text: the field 'x'"),
        ("a", {"x": {"y": "z"}}, "no text: the field 'x'"),
        ("a", {"x=y": "z"}, "a name of letters"),
        ("a]", {"x": "z"}, "names of letters"),
        ("a", {"x": ""}, "no value to encrypt"),
        ("a", {"x_unencrypted": "z"}, "in plain text"),
    ],
)
async def test_sections_that_cannot_be(many: Any, tmp_path: Path, key: str, value: dict[str, Any], why: str) -> None:
    """What would not be read as what it is is refused ahead of the write, and the file stays."""
    before = (tmp_path / "all.ini").read_text()
    for call in (many.check_write(key, SecretValue(value), None), many.write(key, SecretValue(value))):
        with pytest.raises(InvalidSecret, match=why):
            await call
    assert (tmp_path / "all.ini").read_text() == before


async def test_a_new_file_with_sections(tmp_path: Path) -> None:
    """The first secret makes the file, and there is nothing above its section."""
    store = await opened({"file": str(tmp_path / "all.ini"), "recipients": [RECIPIENT]})
    await store.write("db", SecretValue({"x": "1"}))
    assert held(tmp_path / "all.ini") == {"db": {"x": "1"}}
    assert await fields(store, "db") == {"x": "1"}
    await store.aclose()
