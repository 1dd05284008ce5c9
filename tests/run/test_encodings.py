"""An encoding for each field, base64 as tools write it, and what is null or no text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from run.world import counted, wrote
from secretsync_core.errors import DocumentError, InvalidSecret
from secretsync_core.run.convert import binary_fields
from secretsync_core.schema.encoding import Encoding
from secretsync_core.testing.canaries import canary, find_in

if TYPE_CHECKING:
    from run.world import World

BYTES = "memory: {shape: binary-fields}"
STORE = b"\xfe\xed\xfe\xed\x00\x03"
MIXED = {"keystore.jks": base64.b64encode(STORE).decode(), "password": "changeit"}
HELD = {"keystore.jks": STORE, "password": b"changeit"}
ENCODED = "encoding: {base64: [keystore.jks, not-there]}"


async def test_an_encoding_for_each_field(world: World) -> None:
    """A keystore in base64 beside a password that happens to be base64: each arrives as it is meant, and comes back."""
    world.store("bytes", BYTES)
    world.store("back")
    await world.put("src", "a", MIXED)
    world.job(f"- {{name: all, {ENCODED}, query: {{}}}}", dest="bytes")
    assert (await world.sync()).ok
    assert await world.all("bytes") == {"a": HELD}
    again = await world.sync(verify=True)
    assert (counted(again), wrote(again, "bytes")) == ({"unchanged": 1}, 0)
    world.job(f"- {{name: all, {ENCODED}, query: {{}}}}", source="bytes", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": MIXED}
    kept: Any = await world.get("back", "a")
    assert {type(field) for field in kept.values()} == {str}, "a store of JSON does not know what is base64"


@pytest.mark.parametrize("shape", ["fields", "binary-fields"])
@pytest.mark.parametrize("dest", ["binary-fields", "blob"])
async def test_it_stays_with_a_field_that_is_split_off(world: World, shape: str, dest: str) -> None:
    """A field of bytes is bytes as a secret of its own too."""
    world.store("src", f"memory: {{shape: {shape}}}")
    world.store("dst", f"memory: {{shape: {dest}}}")
    await world.put("src", "a", MIXED if shape == "fields" else HELD)
    world.job(f"- {{name: all, {ENCODED}, split: fields, query: {{}}}}")
    assert (await world.sync()).ok
    made: Any = {f"a/{name}": value if dest == "blob" else {"value": value} for name, value in HELD.items()}
    assert await world.all("dst") == made


async def test_bytes_stay_bytes_under_a_new_name(world: World) -> None:
    """Between stores of bytes a field need only be named as the source has it, for it is not decoded by its name."""
    world.store("src", BYTES)
    world.store("dst", BYTES)
    await world.put("src", "a", HELD)
    world.job(
        f"- {{name: all, {ENCODED}, query: {{}}, valueTransform: [{{fields: {{rename: {{keystore.jks: store}}}}}}]}}"
    )
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"store": STORE, "password": b"changeit"}}


async def test_files_of_both_kinds_become_one_secret(world: World) -> None:
    """combine names each file's field by its key; the encoding says which of them is bytes in a store of JSON."""
    world.files("src")
    world.store("bytes", BYTES)
    for name, value in HELD.items():
        await world.put("src", f"app/{name}", value)
    item = f"- {{name: all, {ENCODED}, key: app, combine: [{{name: files, query: {{path: app}}}}]}}"
    world.job(item, dest="[dst, bytes]")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"app": MIXED}
    assert await world.all("bytes") == {"app": HELD}


async def test_a_binary_file_is_a_field_by_another_name(world: World) -> None:
    """Bytes that are no text can be renamed on the way to fields of bytes, without any encoding."""
    world.files("src")
    world.store("dst", BYTES)
    await world.put("src", "a", STORE)
    world.job("- {name: all, query: {}, valueTransform: [{fields: {rename: {value: keystore.jks}}}]}")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"keystore.jks": STORE}}


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("{base64: []}", "base64 must be a list of the names of fields, at least one"),
        ("{base64: [1]}", "base64 must be a list of the names of fields, at least one"),
        ("{base64: a}", "{base64: [NAME]}"),
        ("{hex: [a]}", "{base64: [NAME]}"),
        ("latin-1", "must be utf-8, base64"),
        ("[base64]", "{base64: [NAME]}"),
    ],
)
def test_what_is_no_encoding(world: World, encoding: str, told: str) -> None:
    """The document's error says what there is."""
    world.job(f"- {{name: all, encoding: {encoding}, query: {{}}}}")
    with pytest.raises(DocumentError) as caught:
        _ = world.documents
    (problem,) = caught.value.problems
    assert told in problem.message
    assert "spec.plan[0].encoding" in problem.message


WRAPPED = "".join(f"{line}\n" for line in ("AAEC", "AwQF", "  Bgc=  "))


@pytest.mark.parametrize("text", [WRAPPED, WRAPPED.replace("\n", "\r\n"), "AAECAwQFBgc=\n", "\tAAECAwQFBgc="])
def test_base64_as_tools_write_it(text: str) -> None:
    """White space in base64 is nothing, as in RFC 2045: `base64` breaks its lines, and ends the last one."""
    assert binary_fields({"a": text}, Encoding.BASE64) == {"a": bytes(range(8))}


@pytest.mark.parametrize("text", ["AAE", "AA=E", "ä", "AAEC-_", "changeit!"])
def test_what_is_no_base64_is_told_by_its_field(text: str) -> None:
    """The message has the field's name and nothing of its value, nor does anything that hangs on to it."""
    secret = canary()
    with pytest.raises(InvalidSecret, match="the field 'store' is not base64") as caught:
        binary_fields({"store": f"{secret.text}{text}!"}, Encoding.BASE64)
    error: BaseException | None = caught.value
    while error is not None:
        assert find_in(f"{error} {error!r} {error.args!r} {vars(error)!r}", [secret]) == []
        error = error.__cause__ or error.__context__


async def test_fields_that_bytes_cannot_hold_are_named(world: World) -> None:
    """Number, null and list: each by its name, with what to do; the names of too many are counted."""
    world.store("dst", BYTES)
    await world.seed(
        "src",
        {
            "a": {"user": "u", "port": 5432, "session": None},
            "b": {"session": None},
            "c": {f"n{number}": number for number in range(8)},
        },
    )
    world.job("- {name: all, query: {}}")
    told = {each.change.key: (each.message, each.hint) for each in (await world.sync()).failures}
    what = "the secret has what is not text, and the destination holds bytes: "
    assert told["a"][0] == f"{what}the fields 'port' (a number), 'session' (null)"
    assert "asText: true" in told["a"][1]
    assert "dropNull: true" in told["a"][1]
    assert told["b"][0] == f"{what}the field 'session' (null)"
    assert "dropNull: true" in told["b"][1]
    assert told["c"][0].endswith("'n4' (a number) and 3 more")


async def test_null_is_dropped_on_purpose(world: World) -> None:
    """dropNull leaves out what is null, and asText makes text of the rest; a secret of nothing but null is refused."""
    world.store("dst", BYTES)
    await world.seed("src", {"a": {"user": "u", "port": 5432, "session": None}, "b": {"session": None}})
    world.job("- {name: all, query: {}, valueTransform: [{fields: {dropNull: true, asText: true}}]}")
    (failure,) = (await world.sync()).failures
    assert failure.change.key == "b"
    assert "leaves no field" in failure.message
    assert await world.all("dst") == {"a": {"user": b"u", "port": b"5432"}}
