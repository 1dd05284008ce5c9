"""Odd forms of sops files are read as sops reads them, or refused with what to do; nothing in them is lost."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support import sops
from support.sops_store import DB, KEY, RECIPIENT, SAMPLES, copy_samples, fields, held, listed, opened

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.sops.document import YAML, Sealed, new_file
from secretsync_core.stores.sops.metadata import Scope, identities_of, new_key
from secretsync_core.stores.sops.rules import rule_for_new
from secretsync_core.stores.sops.values import Broken, seal_text
from secretsync_core.stores.sops.yaml_text import MAX_ALIASED, changed, parse

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = (
    "ENC[AES256_GCM,data:ZhQ9WEyEydWwvQBlnA==,iv:ZM/Ot7DVJ/Z1Wv41CNm8bXlDapx2EG4WhQWEbgfGikg=,"
    "tag:vJKduxmZ47GfxfJpjzxj9w==,type:{}]"
)
ODD: dict[str, Any] = {
    "notes": [LOOKS.format("comment"), "real", LOOKS.format("str")],
    "data": {
        "hosts": ["one", "two", {"a": 1, "b": "x"}, ["nested"]],
        "text": LOOKS.format("str"),
        "list": [LOOKS.format("comment"), "z"],
    },
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A file that sops made of plain texts that look encrypted, and of comments in lists."""
    shutil.copy(SAMPLES / "more" / "odd.yaml", tmp_path)
    return tmp_path / "odd.yaml"


async def test_plain_texts_may_look_encrypted(odd: Path) -> None:
    """Where values are not encrypted, what looks so is text: in lists as well, and in the checksum."""
    store = await opened({"path": str(odd.parent), "recipients": [RECIPIENT]})
    assert await fields(store, "odd") == ODD
    changed_value = {**ODD, "data": {**ODD["data"], "text": "other", "list": [LOOKS.format("comment"), "y"]}}
    await store.write("odd", SecretValue(changed_value))
    assert await fields(store, "odd") == changed_value
    assert held(odd) == changed_value


async def test_comments_in_lists_stay(odd: Path) -> None:
    """Those that sops has encrypted and those in plain text stay with their items, whatever changes in the list."""
    store = await opened({"path": str(odd.parent)})
    await odd_written(store, hosts=["zero", "one", "two", {"a": 2, "b": "x"}, ["nested", "more"], "last"])
    text = sops.run("decrypt", str(odd), identity=KEY)
    assert text.split("    text:")[0].split("data:\n")[1] == (
        "    # above\n    hosts:\n        - zero\n        # first\n        - one\n        # inline\n        - two\n"
        "        # object\n        # number\n        - a: 2\n          # below\n          b: x\n"
        "        - - nested\n          - more\n        - last\n"
    )


async def odd_written(store: Any, **data: Any) -> None:
    await store.write("odd", SecretValue({**ODD, "data": {**ODD["data"], **data}}))


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        (
            "l:\n  # a\n  - 1\n  # b\n  - 2 # c\n  # d\n",
            [1, 3, 2],
            "l:\n  # a\n  - 1\n  - 3\n  # b\n  - 2 # c\n  # d\n",
        ),
        ("l:\n  # a\n  - 1\n  # b\n  - 2 # c\n", [2], "l:\n  # a\n  # b\n  - 2 # c\n"),
        ("l:\n- 1 # c\n- 2\n", [1, 2, 3], "l:\n- 1 # c\n- 2\n- 3\n"),
        ("l:\n- 1\n# c\n- 2", [0, 1, 2], "l:\n- 0\n- 1\n# c\n- 2"),
        ("l:\n- 1\n# c\n- 2", [1, 2, 3], "l:\n- 1\n# c\n- 2\n- 3\n"),
        ("l:\n  - a: 1 # c\n    b: 2\n  -\n    # d\n    c: 3\n", [{"a": 1, "b": 5}, {"c": 4}], None),
        (
            "l:\n  # 0\n  - a: 1 # a\n    # b\n    b: 2 # b\n    # c\n    c: 3\n  - d: 4\n",
            [{"c": 5, "e": 6}, {"d": 4}],
            "l:\n  # 0\n  # b\n  # c\n  - c: 5\n    e: 6\n  - d: 4\n",
        ),
        ("l:\n  - a: 1\n    b: 2\n", [{"b": 2}], "l:\n  - b: 2\n"),
        ("l:\n  - {a: 1, b: 2} # c\n", [{"b": 2}], None),
        ("l:\n  - - 1 # c\n    - 2\n  - 3\n", [[1, 4], 3], "l:\n  - - 1 # c\n    - 4\n  - 3\n"),
        ("l:\n  - - 1 # c\n    - 2\n  # d\n  - 3 # e\n", [[2], 3], "l:\n  -\n      - 2\n  # d\n  - 3 # e\n"),
        ("l: [1, 2] # c\n", [1, 3], "l: [1, 3] # c\n"),
        ("l: [1, 2] # c\n", [1, 2, 3], None),
        ("l:\n  - |\n    x\n    y\n  # c\n  - 2\n", ["x\ny\n", 2, "z"], None),
        ("l:\n  # c\n  - 1\nm: 2\n", [], None),
    ],
)
def test_edits_of_lists(before: str, value: Any, after: str | None) -> None:
    """Items come, go and change in the lines of a list, and the comments between them stay."""
    section = {"mac": "x"}
    text = f"{before}\n".replace("\n\n", "\n") + "sops:\n    mac: x\n"
    root = parse(text)
    made, _ = changed(text, root, {**root.plain(), "l": value, "sops": section})
    assert parse(made).plain()["l"] == value
    if after is not None:
        assert made.removesuffix("sops:\n    mac: x\n") == (after if after.endswith("\n") else f"{after}\n")
    elif value and not before.startswith("l: ["):
        assert before.count("#") == made.count("#") or before.startswith("l:\n  - - 1")


async def test_a_comment_that_is_none_of_the_file_is_noticed(odd: Path) -> None:
    """sops reads no list with an encrypted comment of another file in it, and neither do we."""
    file = odd.parent / "odd.yaml"
    text = file.read_text()
    comments = [line for line in text.splitlines() if "- ENC" in line and line.endswith("type:comment]")]
    first = next(line for line in comments if LOOKS[:40] not in line)
    file.write_text(text.replace(first, f"        - {LOOKS.format('comment')}"))
    with pytest.raises(InvalidSecret, match="cannot be decrypted"):
        await (await opened({"path": str(odd.parent)})).read("odd")


async def test_versions_are_of_the_checksum_too(tmp_path: Path) -> None:
    """Who forges the checksum, its time or what is encrypted makes another version of a file."""
    copy_samples(tmp_path)
    file = tmp_path / "typed.yaml"
    text = file.read_text()
    blind = await opened({"path": str(tmp_path), "ageKey": None})

    async def token() -> str | None:
        (entry,) = [each async for each in blind.stat(["typed"])]
        return entry.version if isinstance(entry, Entry) else None

    seen = {await token()}
    for old, new in (
        ("2026-11-29T23:35:00Z", "2026-11-29T23:35:01Z"),
        ("mac: ENC[AES256_GCM,data:R", "mac: ENC[AES256_GCM,data:S"),
        ("unencrypted_suffix: _unencrypted", "unencrypted_suffix: _plain"),
        ("    unencrypted_suffix", "    mac_only_encrypted: true\n    unencrypted_suffix"),
    ):
        assert old in text
        file.write_text(text.replace(old, new))
        seen.add(await token())
    assert len(seen) == 5
    assert None not in seen


async def test_a_file_of_many_secrets_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    """A secret whose neighbours or checksum were forged is a gap where there is a key to tell; else it is there."""
    copy_samples(tmp_path)
    file = tmp_path / "typed.yaml"
    text = file.read_text()
    store, blind = await opened({"file": str(file)}), await opened({"file": str(file), "ageKey": None})
    assert [type(each) async for each in store.stat(["db"])] == [Entry]
    forged = text.replace("23:35:00Z", "23:35:01Z")
    file.write_text(forged)
    assert [type(each) async for each in blind.stat(["db"])] == [Entry]
    gaps = [each async for each in store.stat(["db", "api", "none"])]
    assert len(gaps) == 3
    assert all(isinstance(gap, Gap) and "checksum" in gap.message for gap in gaps)
    with pytest.raises(InvalidSecret, match="checksum"):
        await listed(store)
    file.write_text(text)
    assert [type(each) async for each in store.stat(["db", "api"])] == [Entry, Entry]
    assert await fields(store, "db") == DB


def test_one_rule_at_most() -> None:
    """A file without a rule has that of sops, a suffix; one with two is refused, as sops refuses it."""
    assert Scope.of({}).unencrypted_suffix == "_unencrypted"
    assert Scope.of({"mac_only_encrypted": True}).section() == {
        "unencrypted_suffix": "_unencrypted",
        "mac_only_encrypted": True,
    }
    assert Scope.of({"encrypted_regex": "^a$"}).unencrypted_suffix == ""
    rules = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
    comments = ("unencrypted_comment_regex", "encrypted_comment_regex")
    for one in rules:
        for other in {*rules, *comments} - {one}:
            with pytest.raises(Broken, match=" and ") as caught:
                Scope.of({one: "x", other: "x"})
            assert one in str(caught.value)
            assert other in str(caught.value)
            assert caught.value.hint


async def test_a_file_without_a_rule(tmp_path: Path) -> None:
    """What sops leaves in plain text there is in plain text to us, and is not written."""
    made = new_key([RECIPIENT], Scope.of({}))
    file = tmp_path / "a.yaml"
    text = new_file(YAML, made, {"a": "b"}, NOW).text
    file.write_text(text.replace("    unencrypted_suffix: _unencrypted\n", ""))
    assert file.read_text() != text
    store = await opened({"path": str(tmp_path)})
    with pytest.raises(InvalidSecret, match="in plain text"):
        await store.write("a", SecretValue({"a": "b", "x_unencrypted": "y"}))
    await store.write("a", SecretValue({"a": "c"}))
    assert held(file) == {"a": "c"}


BAD = [
    ("\ufeffa: b\nsops: {}\n", ".yaml", "byte order mark"),
    ('\ufeff{"sops": {}}', ".json", "byte order mark"),
    ("\ufeffA=b\nsops_mac=x\n", ".env", "byte order mark"),
    ("A=b\r\nsops_mac=x\r\n", ".env", "CRLF"),
    ("a: b\r\nc: d\nsops: {}\r\n", ".yaml", "some with LF"),
    ("a:\n    <<: {b: c}\nsops: {}\n", ".yaml", "merge key, << (line 2)"),
    ("a:\n    !!merge <<: {b: c}\nsops: {}\n", ".yaml", "a tag (line 2)"),
    ("x_unencrypted: .inf\nsops: {}\n", ".yaml", "infinite"),
    ("x_unencrypted: -.INF\nsops: {}\n", ".yaml", "infinite"),
    ("x_unencrypted: .nan\nsops: {}\n", ".yaml", "infinite"),
    ("x_unencrypted: 017\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: 1_000\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: 1_0.5\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: 0b11\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: -0x1f\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: 2020-01-01\nsops: {}\n", ".yaml", "line 1"),
    ("x_unencrypted: 2020-01-01T00:00:00Z\nsops: {}\n", ".yaml", "line 1"),
    ("1: x\nsops: {}\n", ".yaml", "no text (line 1)"),
    ("true: x\nsops: {}\n", ".yaml", "no text (line 1)"),
    ("? [a]\n: x\nsops: {}\n", ".yaml", "no text (line 1)"),
    ('{"a": NaN, "sops": {}}', ".json", "JSON does not have"),
    ('{"a": 1, "a": 2, "sops": {}}', ".json", "stands twice"),
    ("{", ".json", "not JSON"),
    ("[]", ".json", "no object"),
    ("a: b\n", ".yaml", "not encrypted"),
    ("a: &x b\nsops: {}\n", ".yaml", "an anchor"),
    ("sops: {}\n---\nsops: {}\n", ".yaml", "several"),
    ("a: '\n", ".yaml", "not YAML"),
    ("sops: {encrypted_regex: '(', version: 3.9.0}\n", ".yaml", "no expression"),
    ("sops: {encrypted_regex: [a]}\n", ".yaml", "no texts"),
    ("sops: {key_groups: [{}]}\n", ".yaml", "key_groups"),
    ("sops: {pgp: [{fp: x}]}\n", ".yaml", "for pgp"),
    ("A=b\nA=c\nsops_mac=x\n", ".env", "stands twice"),
    ("sops_age__list_5__map_enc=x\n", ".env", "makes no sense"),
]


@pytest.mark.parametrize(("text", "ending", "told"), BAD, ids=[each[2] + each[1] for each in BAD])
async def test_what_is_refused_comes_with_what_to_do(tmp_path: Path, text: str, ending: str, told: str) -> None:
    """Reading, the plan and the write refuse it in the same words, say what helps, and leave the file as it is."""
    file = tmp_path / f"a{ending}"
    file.write_bytes(text.encode())
    store = await opened({"path": str(tmp_path), "ending": ending, "recipients": [RECIPIENT]})
    value = SecretValue({"a": "b"})
    for call in (store.read("a"), store.check_write("a", value, None), store.write("a", value)):
        with pytest.raises(InvalidSecret) as caught:
            await call
        assert told in caught.value.message
        assert caught.value.hint
        assert caught.value.key == "a"
    assert file.read_bytes() == text.encode()


@pytest.mark.parametrize("name", ["typed.yaml", "typed.json"])
async def test_lines_that_end_with_crlf_stay_so(tmp_path: Path, name: str) -> None:
    """A clone of Git on Windows has such files: they are read, and changed without a line that ends otherwise."""
    copy_samples(tmp_path)
    file = tmp_path / name
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    before = file.read_bytes()
    store = await opened({"path": str(tmp_path), "ending": file.suffix})
    value = await fields(store, "typed")
    await store.write("typed", SecretValue({**value, "more": {"a": ["line\nline\n", "x"]}}))
    after = file.read_bytes()
    assert after.count(b"\r\n") == after.count(b"\n") > before.count(b"\n")
    assert len(set(before.split(b"\r\n")) - set(after.split(b"\r\n"))) <= 4
    assert held(file) == {**value, "more": {"a": ["line\nline\n", "x"]}}


async def test_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    """sops encrypts .inf and .nan; they are refused, since no other store could hold them."""
    made = new_key([RECIPIENT], Scope.of({}))
    for text in (b"+Inf", b"-Inf", b"NaN"):
        file = new_file(YAML, made, {"a": "b"}, NOW)
        forged = file.text.replace(file.data["a"], seal_text(text, "float", made.key, "a:"))
        with pytest.raises(Broken, match="infinite") as caught:
            Sealed(forged, YAML).opened(identities_of(KEY))
        assert caught.value.hint


def test_rules_may_have_anchors(tmp_path: Path) -> None:
    """As most files of rules name people by anchors; no text can stand for very much more than it is."""
    config = tmp_path / ".sops.yaml"
    path = str(tmp_path / "a.yaml")
    config.write_text(
        f"keys:\n  - &me {RECIPIENT}\n  - &all [*me]\ncreation_rules:\n  - path_regex: x\n    age: *all\n"
        "  - key_groups:\n      - age:\n          - *me\n    encrypted_regex: ^(data)$\n"
    )
    readers, scope = rule_for_new(path, str(tmp_path)).for_new()
    assert (readers.recipients, scope.encrypted_regex) == ([RECIPIENT], "^(data)$")
    many = ", ".join(["x"] * 1000)
    for text in (
        f"a: &a [{many}]\nb: [{', '.join(['*a'] * (MAX_ALIASED // 1000 + 1))}]\n",
        "a: &a [&b [x], *b]\nc: *a\n",
        "a: &a {b: c}\nd: *a\n",
        "a: &a [*a]\n",
        "a: *b\n",
    ):
        config.write_text(text)
        with pytest.raises(Broken, match=r"alias|not YAML"):
            rule_for_new(path, str(tmp_path))
