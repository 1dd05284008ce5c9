"""Data keys of sops files by AWS KMS, which moto stands in for: read, written, bounded, and whole to sops."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from run.world import World
from support import sops
from support.aws import KEYS, Microburst
from support.sops_store import KEY, RECIPIENT, fields, listed

from secretsync_core.errors import AccessDenied, InvalidSecret, StoreError, StoreUnavailable
from secretsync_core.model.change import Action
from secretsync_core.model.inventory import Entry
from secretsync_core.schema.named import Kind
from secretsync_core.schema.providers import uses_of_store
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws.answers import Refusal, Request, refusal
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.sops import open_store
from secretsync_core.stores.sops.config import SopsConfig
from secretsync_core.stores.sops.document import YAML, Sealed, new_file
from secretsync_core.stores.sops.metadata import KmsKey, NoKey, Scope, Wrapped, identities_of, new_key
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.aws import Region

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:kms:eu-central-1:123456789012:key/x"
OTHER = pyrage.x25519.Identity.generate()


class Shop:
    """Stores on a directory, with keys of a region; each is closed after the test."""

    def __init__(self, region: Region, directory: Path) -> None:
        self.region, self.directory = region, directory
        self.gate = CountingGate()
        self.notes: list[str] = []
        self.stores: list[Any] = []

    def key(self) -> str:
        """A new key of KMS."""
        return str(self.region.client("kms").create_key()["KeyMetadata"]["Arn"])

    async def open(self, *keys: str, environ: dict[str, str] | None = None, **config: Any) -> Any:
        """A store that may use these keys, and no other one; without any those of the creation rules."""
        given = config.pop("kms", {})
        kms: dict[str, Any] | None = {
            **({"keys": keys} if keys else {}),
            "endpointUrl": self.region.address,
            "auth": {"accessKey": KEYS},
            **(given or {}),
        }
        whole = {"path": str(self.directory), "kms": kms if given is not None else None, **config}
        whole = {name: each for name, each in whole.items() if each is not None}
        context = StoreContext("files", self.gate, environ or {}, 4, notes=self.notes)
        store = await open_store(SopsConfig.model_validate_json(json.dumps(whole)), context)
        self.stores.append(store)
        return store

    def sops(self, *arguments: str, given: str = "", identity: str = "") -> str:
        """Run sops with moto as its KMS."""
        return sops.run(
            *arguments, given=given, identity=identity, AWS_ENDPOINT_URL=self.region.address, AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b",
        )  # fmt: skip

    def decrypted(self, name: str) -> Any:
        """What sops reads in a file by KMS; what is to be there where there is no sops."""
        return json.loads(self.sops("decrypt", "--output-type", "json", str(self.directory / name)))

    def section(self, name: str = "a.yaml") -> dict[str, Any]:
        """The section of a file."""
        return Sealed((self.directory / name).read_text(), YAML).section


@pytest.fixture
async def shop(region: Region, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(region, tmp_path)
    yield shop
    for store in shop.stores:
        await store.aclose()


async def test_a_file_for_keys_of_kms(shop: Shop) -> None:
    """A new one has all of them, by which it is read and changed; the data key is asked for once."""
    one, two = shop.key(), shop.key()
    store = await shop.open(one, two)
    await store.write("a", SecretValue({"x": "1", "y": [2]}))
    assert [each["arn"] for each in shop.section()["kms"]] == [one, two]
    assert "age" not in shop.section()
    reader = await shop.open(one, two)
    assert await fields(reader, "a") == {"x": "1", "y": [2]}
    before = shop.region.counts()["Decrypt"]
    await reader.write("a", SecretValue({"x": "1", "y": [3]}))
    assert await fields(reader, "a") == {"x": "1", "y": [3]}
    assert shop.region.counts()["Decrypt"] == before
    await reader.delete("a")
    assert await listed(reader) == []


@pytest.mark.parametrize("ending", [".yaml", ".json", ".env", ".ini"])
async def test_sops_and_we_read_each_others(shop: Shop, ending: str) -> None:
    """What either has made is whole to the other one, in each form."""
    arn = shop.key()
    store = await shop.open(arn, ending=ending, recipients=[RECIPIENT])
    await store.write("ours", SecretValue({"x": "1"}))
    found = shop.decrypted(f"ours{ending}")
    assert found == ({"DEFAULT": {"x": "1"}} if ending == ".ini" else {"x": "1"})
    plain = shop.directory / "plain" / f"theirs{ending}"
    plain.parent.mkdir()
    plain.write_text({".json": '{"x": "y"}', ".yaml": "x: y\n"}.get(ending, "x=y\n"))
    options = ("--kms", arn, "--age", RECIPIENT, "--encryption-context", "Team:shop,For:web")
    file = shop.directory / f"theirs{ending}"
    file.write_text(shop.sops("encrypt", *options, str(plain)))
    assert await fields(store, "theirs") == {"x": "y"}
    await store.write("theirs", SecretValue({"x": "z"}))
    assert shop.decrypted(f"theirs{ending}")[("DEFAULT" if ending == ".ini" else "x")] in ("z", {"x": "z"})


async def test_a_look_and_a_plan_ask_nobody(shop: Shop) -> None:
    """Versions need no key, and what only a write can tell is left to it; a plan of a change reads what is there."""
    arn = shop.key()
    store = await shop.open(arn)
    await store.check_write("a", SecretValue({"x": "1"}), None)
    assert shop.region.counts().get("Encrypt", 0) == 0
    await store.write("a", SecretValue({"x": "1"}))
    counted = shop.region.counts()
    one = await shop.open(arn, path=None, file=str(shop.directory / "a.yaml"))
    assert [type(each) for each in await listed(await shop.open(arn))] == [Entry]
    assert await listed(one) == []
    assert shop.region.counts() == counted
    await (await shop.open(arn)).check_write("a", SecretValue({"x": "2"}), None)
    assert shop.region.counts()["Encrypt"] == counted["Encrypt"]


async def test_only_the_keys_of_the_document_are_used(shop: Shop) -> None:
    """A file is written by others: a key that it names, a role or a profile of its own is not what we use."""
    mine, theirs = shop.key(), shop.key()
    await (await shop.open(theirs)).write("a", SecretValue({"x": "1"}))
    counted = shop.region.counts()
    store = await shop.open(mine)
    for call in (store.read("a"), store.write("a", SecretValue({"x": "2"}))):
        with pytest.raises(InvalidSecret, match="encrypted for kms, and for no age key"):
            await call
    assert shop.region.counts().get("Decrypt", 0) == counted.get("Decrypt", 0)
    await store.write("b", SecretValue({"x": "1"}))
    file = shop.directory / "b.yaml"
    spoiled = file.read_text().replace('aws_profile: ""', "aws_profile: evil\n            role: arn:aws:iam::1:role/x")
    file.write_text(spoiled)
    assert await fields(await shop.open(mine), "b") == {"x": "1"}
    assert "AssumeRole" not in shop.region.counts()


async def test_of_several_keys_only_those_of_the_document_are_asked(shop: Shop) -> None:
    """A file that is for another key as well is opened by ours, and nothing of it is sent to the other one."""
    mine, theirs = shop.key(), shop.key()
    await (await shop.open(theirs, mine)).write("a", SecretValue({"x": "1"}))
    async with Microburst(shop.region.address) as burst:
        error = {"code": "AccessDeniedException", "status": 400}
        burst.rules({"operation": "Decrypt", "body": f"KeyId == '{theirs}'", "error": error})
        assert await fields(await shop.open(mine, kms={"endpointUrl": burst.address}), "a") == {"x": "1"}
        assert (burst.fired(), burst.seen) == (0, 1)


async def test_what_kms_authenticated_besides(shop: Shop) -> None:
    """The encryption context of a file goes with its data key; without it KMS would not open that."""
    arn, kms = shop.key(), shop.region.client("kms")
    made, context = new_key([], Scope.of({})), {"Team": "shop", "For": "web"}
    sealed = kms.encrypt(KeyId=arn, Plaintext=made.key, EncryptionContext=context)["CiphertextBlob"]
    entry = KmsKey(arn, context=tuple(context.items())).entry(base64.b64encode(sealed).decode())
    file = new_file(YAML, made._replace(section={**made.section, "kms": [entry]}), {"x": "1"}, NOW)
    (shop.directory / "a.yaml").write_text(file.text)
    assert await fields(await shop.open(arn), "a") == {"x": "1"}
    (shop.directory / "a.yaml").write_text(file.text.replace("Team: shop", "Team: other"))
    with pytest.raises(AccessDenied):
        await (await shop.open(arn)).read("a")


async def test_a_data_key_of_another_size(shop: Shop) -> None:
    """What KMS decrypts is no data key then, and the file is one that no key opens."""
    arn = shop.key()
    sealed = shop.region.client("kms").encrypt(KeyId=arn, Plaintext=b"0" * 16)["CiphertextBlob"]
    made = new_key([], Scope.of({}))
    section = {**made.section, "kms": [KmsKey(arn).entry(base64.b64encode(sealed).decode())]}
    (shop.directory / "a.yaml").write_text(new_file(YAML, made._replace(section=section), {"x": "1"}, NOW).text)
    with pytest.raises(AccessDenied, match="no key of files opens"):
        await (await shop.open(arn)).read("a")


async def test_others_lose_the_file_with_its_next_change(shop: Shop) -> None:
    """A key of KMS or a recipient that the document does not name, or one that it names and the file has not."""
    mine, theirs = shop.key(), shop.key()
    cases: list[tuple[list[str], list[str]]] = [
        ([mine, theirs], [RECIPIENT]), ([mine], [RECIPIENT, str(OTHER.to_public())]), ([mine], []), ([], [RECIPIENT]),
    ]  # fmt: skip
    for arns, recipients in cases:
        if arns:
            maker = await shop.open(*arns, recipients=recipients or None)
            await maker.write("a", SecretValue({"x": "1"}))
        else:
            made = new_key(recipients, Scope.of({}))
            (shop.directory / "a.yaml").write_text(new_file(YAML, made, {"x": "1"}, NOW).text)
        before = Sealed((shop.directory / "a.yaml").read_text(), YAML)
        shop.notes.clear()
        store = await shop.open(mine, recipients=[RECIPIENT], ageKey={"value": KEY})
        assert [each async for each in store.stat(["a"])]
        assert "recipients change" in shop.notes[0]
        await store.write("a", SecretValue({"x": "2"}))
        section = shop.section()
        assert [each["arn"] for each in section["kms"]] == [mine]
        assert [each["recipient"] for each in section["age"]] == [RECIPIENT]
        assert section["kms"][0]["enc"] not in json.dumps(before.section)
        assert await fields(await shop.open(mine, recipients=[RECIPIENT]), "a") == {"x": "2"}
        assert await fields(await shop.open(theirs, ageKey={"value": KEY}), "a") == {"x": "2"}
        (shop.directory / "a.yaml").unlink()


async def test_rotate_makes_a_key_at_kms(shop: Shop) -> None:
    """With rotate each change is by a data key that KMS encrypts anew."""
    arn = shop.key()
    store = await shop.open(arn, rotate=True)
    await store.write("a", SecretValue({"x": "1"}))
    before = shop.section()["kms"][0]["enc"]
    await store.write("a", SecretValue({"x": "2"}))
    assert shop.section()["kms"][0]["enc"] != before
    assert await fields(await shop.open(arn), "a") == {"x": "2"}


@pytest.mark.parametrize("layout", ["file", pytest.param("path", marks=pytest.mark.slow)])
async def test_a_whole_job(shop: Shop, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    """With one request at a time KMS gets its turn; a file that was for others is for ours after one run."""
    mine, theirs = shop.key(), shop.key()
    world, directory = World(shop.directory, monkeypatch), shop.directory / "out"
    directory.mkdir()
    where: dict[str, Any] = {layout: str(directory / ("all.yaml" if layout == "file" else ""))}
    names = ["a", "b", "c"]
    maker = await shop.open(theirs, mine, **{"path": None, **where})
    for name in names:
        await maker.write(name, SecretValue({"x": "old"}))
    kms = {"keys": [mine], "endpointUrl": shop.region.address, "auth": {"accessKey": KEYS}}
    world.store("dst", f"sops: {json.dumps({**where, 'kms': kms})}")
    world.job("- {name: all, query: {recursive: true}}", writePolicy="Replace", limits="{concurrency: 1}")
    await world.seed("src", {name: {"x": "new"} for name in names})
    assert [each for each in (await world.plan()).warnings if "recipients change" in each]
    report = await world.sync()
    assert report.ok, report
    assert await world.all("dst") == {name: {"x": "new"} for name in names}
    assert theirs not in "".join(file.read_text() for file in directory.iterdir())
    again = await world.plan()
    assert {change.action for change in again.changes} == {Action.UNCHANGED}
    assert not any("recipients change" in each for each in again.warnings)
    world.close()


@pytest.mark.parametrize("code", ["DisabledException", "AccessDeniedException"])
async def test_a_key_that_is_refused(shop: Shop, code: str) -> None:
    """One that may not be used is told by its secret, with what to do, and another one of the same file will do."""
    one, two = shop.key(), shop.key()
    await (await shop.open(one, two)).write("a", SecretValue({"x": "1"}))
    async with Microburst(shop.region.address) as burst:
        way = {"endpointUrl": burst.address}
        rule = {"operation": "Decrypt", "error": {"code": code, "status": 400}}
        burst.rules({**rule, "body": f"KeyId == '{one}'"})
        assert await fields(await shop.open(one, two, kms=way), "a") == {"x": "1"}
        assert burst.fired() == 1
        burst.rules(rule, {**rule, "operation": "Encrypt"})
        store = await shop.open(one, two, kms=way)
        for call in (
            store.read("a"), store.write("a", SecretValue({"x": "2"})), store.write("b", SecretValue({"x": "2"})),
        ):  # fmt: skip
            with pytest.raises(AccessDenied) as caught:
                await call
            assert caught.value.key in ("a", "b")
            assert "kms" in caught.value.hint.lower() or "key" in caught.value.hint
    assert [each.key for each in await listed(await shop.open(one)) if isinstance(each, Entry)] == ["a"]


@pytest.mark.parametrize(
    "code", ["NotFoundException", "KMSInvalidStateException", "InvalidCiphertextException", "IncorrectKeyException",
             "InvalidKeyUsageException"],
)  # fmt: skip
def test_refusals_of_a_key(code: str) -> None:
    """Whatever is wrong with a key of KMS is told as that, for another one may do."""
    told = refusal(Request("files", "decrypt the data key of its file", "a", "kms:Decrypt"), Refusal(code))
    assert isinstance(told, AccessDenied)
    assert code in told.message
    assert "key" in told.hint


async def test_an_answer_of_kms_that_is_lost_leaves_no_doubt(shop: Shop) -> None:
    """Whatever became of a request to KMS, no file was written: the run need not look."""
    arn = shop.key()
    await (await shop.open(arn)).write("a", SecretValue({"x": "1"}))

    async def lost(*_: object) -> None:
        error = StoreUnavailable("no answer", store="files")
        error.unanswered = True
        raise error

    store = await shop.open(arn)
    store._kms.decrypt = store._kms.encrypt = lost
    for key in ("a", "b"):
        with pytest.raises(StoreUnavailable) as caught:
            await store.write(key, SecretValue({"x": "2"}))
        assert not caught.value.unanswered


@pytest.mark.parametrize("enc", ["!", "AAAA", ""], ids=["no base64", "no ciphertext", "empty"])
async def test_what_is_no_data_key(shop: Shop, enc: str) -> None:
    """A file whose entry is not one of KMS is refused, and no other error hides that."""
    arn = shop.key()
    store = await shop.open(arn)
    await store.write("a", SecretValue({"x": "1"}))
    file = shop.directory / "a.yaml"
    old = shop.section()["kms"][0]["enc"]
    file.write_text(file.read_text().replace(f'"{old}"' if f'"{old}"' in file.read_text() else old, f'"{enc}"'))
    with pytest.raises(StoreError):
        await (await shop.open(arn)).read("a")


# -- Keys that the creation rules name


def ruled(shop: Shop, *rules: str) -> None:
    """Write the rules of the directory."""
    (shop.directory / ".sops.yaml").write_text("creation_rules:\n" + "".join(f"  - {{{each}}}\n" for each in rules))


@pytest.mark.parametrize("by_rule", ["text", "texts", "group"])
async def test_rules_name_the_keys(shop: Shop, by_rule: str) -> None:
    """A new file is for the keys and recipients of its rule, with what sops is to do to use them; both read it."""
    one, two = shop.key(), shop.key()
    role = "arn:aws:iam::123456789012:role/x"
    rule = {
        "text": f"kms: '{one}, {two}+{role}', age: {RECIPIENT}, aws_profile: people",
        "texts": f"kms: ['{one}', '{two}+{role}'], age: [{RECIPIENT}], aws_profile: people",
        "group": f"key_groups: [{{kms: [{{arn: '{one}', context: {{Team: shop}}}}, {{arn: '{two}', role: '{role}', "
        f"aws_profile: people}}], age: [{RECIPIENT}]}}]",
    }[by_rule]
    ruled(shop, rule)
    store = await shop.open()
    counted = shop.region.counts()
    await store.check_write("a", SecretValue({"x": "1"}), None)
    assert shop.region.counts() == counted
    await store.write("a", SecretValue({"x": "1"}))
    first, second = shop.section()["kms"]
    assert (first["arn"], first.get("context"), first.get("role")) == (
        one, {"Team": "shop"} if by_rule == "group" else None, None,
    )  # fmt: skip
    assert (second["arn"], second["role"], second["aws_profile"]) == (two, role, "people")
    assert [each["recipient"] for each in shop.section()["age"]] == [RECIPIENT]
    reader = await shop.open()
    await reader.write("a", SecretValue({"x": "2"}))
    assert await fields(reader, "a") == {"x": "2"}
    assert await fields(await shop.open(ageKey={"value": KEY}), "a") == {"x": "2"}
    assert "AssumeRole" not in shop.region.counts()
    assert not shop.notes


@pytest.mark.parametrize("ending", [".yaml", ".json", ".env", ".ini"])
async def test_sops_and_we_follow_the_same_rules(shop: Shop, ending: str) -> None:
    """What sops makes by the rules of a directory is read and changed by them, and what we make is whole to sops."""
    arn = shop.key()
    ruled(shop, f"path_regex: 'theirs|ours', kms: '{arn}', age: {RECIPIENT}")
    store = await shop.open(ending=ending)
    await store.write("ours", SecretValue({"x": "1"}))
    wanted = {"DEFAULT": {"x": "1"}} if ending == ".ini" else {"x": "1"}
    assert shop.decrypted(f"ours{ending}") == wanted
    file = shop.directory / f"theirs{ending}"
    file.write_text({".json": '{"x": "y"}', ".yaml": "x: y\n"}.get(ending, "x=y\n"))
    shop.sops("--config", str(shop.directory / ".sops.yaml"), "encrypt", "--in-place", str(file))
    assert await fields(store, "theirs") == {"x": "y"}
    await store.write("theirs", SecretValue({"x": "1"}))
    assert shop.decrypted(f"theirs{ending}") == wanted
    assert not shop.notes


async def test_each_file_is_opened_by_the_keys_of_its_own_rule(shop: Shop) -> None:
    """What a file names itself, or another rule, is neither asked nor kept to; where the rule changes, so do keys."""
    dev, prod = shop.key(), shop.key()
    ruled(shop, f"path_regex: prod/, kms: '{prod}'", f"kms: '{dev}'")
    store = await shop.open()
    for name, arn in (("prod/a", prod), ("dev/a", dev)):
        await store.write(name, SecretValue({"x": "1"}))
        assert [each["arn"] for each in shop.section(f"{name}.yaml")["kms"]] == [arn]
    (shop.directory / "dev" / "b.yaml").write_bytes((shop.directory / "prod" / "a.yaml").read_bytes())
    counted = shop.region.counts().get("Decrypt", 0)
    for call in (store.read("dev/b"), store.write("dev/b", SecretValue({"x": "2"}))):
        with pytest.raises(InvalidSecret, match="encrypted for kms, and for no age key"):
            await call
    assert shop.region.counts().get("Decrypt", 0) == counted
    ruled(shop, f"kms: '{dev}', age: {RECIPIENT}")
    moved = await shop.open(ageKey={"value": KEY})
    await (await shop.open(prod, recipients=[RECIPIENT])).write("c", SecretValue({"x": "1"}))
    assert [each async for each in moved.stat(["c"])]
    assert "recipients change" in shop.notes[0]
    await moved.write("c", SecretValue({"x": "2"}))
    assert [each["arn"] for each in shop.section("c.yaml")["kms"]] == [dev]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("kms: alias/x", "no whole ARN"),
        ("kms: 'arn:aws:kms:eu-central-1:1:key/x'", "no whole ARN"),
        ("kms: 'arn:aws:kms:eu-central-1.evil.example:123456789012:key/x'", "no whole ARN"),
        ("kms: [7]", "no whole ARN"),
        (f"kms: '{ARN},{ARN}'", "stands twice"),
        (f"kms: '{ARN}', aws_profile: [x]", "aws_profile is no text"),
        (f"key_groups: [{{kms: [{{arn: '{ARN}', context: {{a: [x]}}}}]}}]", "context"),
        (f"key_groups: [{{kms: [{{arn: '{ARN}'}}]}}, {{age: [{RECIPIENT}]}}]", "several key_groups"),
        (f"kms: '{ARN}', pgp: '0123'", "names pgp"),
        ("kms: ' , '", "no age recipient and no key of AWS KMS"),
    ],
)
async def test_rules_that_cannot_be_used(shop: Shop, rule: str, why: str) -> None:
    """Told in the plan, with the rule; KMS is asked for nothing, and nothing is written."""
    ruled(shop, rule)
    store = await shop.open()
    for call in (store.check_write("a", SecretValue({"x": "1"}), None), store.write("a", SecretValue({"x": "1"}))):
        with pytest.raises(InvalidSecret, match=why) as caught:
            await call
        assert "the creation rule 1 in" in caught.value.message
    assert [each.name for each in shop.directory.iterdir()] == [".sops.yaml"]


async def test_a_rule_with_kms_and_a_document_without(shop: Shop) -> None:
    """It is said what to add to the SecretStore."""
    ruled(shop, f"kms: '{ARN}', age: {RECIPIENT}")
    store = await shop.open(kms=None)
    with pytest.raises(InvalidSecret, match="names kms") as caught:
        await store.write("a", SecretValue({"x": "1"}))
    assert "kms: {}" in caught.value.hint


async def test_no_variable_leads_the_keys_of_rules_elsewhere(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that is known only from a rule is at AWS, as any other."""
    ruled(shop, f"kms: '{ARN}'")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "https://evil.example.com")
    store = await shop.open(kms={"endpointUrl": None})
    with pytest.raises(StoreError, match="another server than the SecretStore says"):
        await store.write("a", SecretValue({"x": "1"}))


def test_entries_that_hide_something() -> None:
    """One without an ARN or a data key, two of one key, and a context that is no text are refused."""
    good = {"arn": "arn:x", "enc": "AA", "created_at": "", "aws_profile": ""}
    for entries in ([{**good, "arn": ""}], [{**good, "enc": None}], [good, good], ["x"], "x",
                    [{**good, "context": ["x"]}],
                    [{**good, "context": {"a": 1}}]):  # fmt: skip
        made = new_key([RECIPIENT], Scope.of({}), Wrapped(b"0" * 32, []))
        section = {**made.section, "kms": entries}
        file = new_file(YAML, made._replace(section=section), {"a": "b"}, NOW)
        with pytest.raises(Exception, match="KMS") as caught:
            file.opened(identities_of(KEY))
        assert not isinstance(caught.value, NoKey)


def test_recipients_and_keys_of_rules_do_not_go_together() -> None:
    """A document says all of who reads, or leaves all of it to the rules."""
    whole = {"path": "/x", "kms": {}, "recipients": [RECIPIENT]}
    with pytest.raises(ValueError, match=r"give kms\.keys, or leave out recipients"):
        SopsConfig.model_validate_json(json.dumps(whole))


def test_a_policy_sees_where_kms_is() -> None:
    """The server, the profile and the role that a document names are asked about, as those of the stores of AWS are."""
    auth = {"profile": "p", "assumeRole": {"roleArn": "arn:aws:iam::123456789012:role/x"}}
    kms = {"keys": [ARN], "endpointUrl": "https://kms.example.com", "stsEndpointUrl": "https://sts.example.com"}
    config = SopsConfig.model_validate_json(json.dumps({"path": "/x", "kms": {**kms, "auth": auth}}))
    named = {(use.kind, use.text) for use in uses_of_store("sops", config)}
    assert named >= {
        (Kind.HOST, "https://kms.example.com"),
        (Kind.HOST, "https://sts.example.com"),
        (Kind.AWS_PROFILE, "p"),
        (Kind.AWS_ROLE, "arn:aws:iam::123456789012:role/x"),
    }


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"])
async def test_no_variable_leads_elsewhere(shop: Shop, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Data keys go to AWS, or to where the document says."""
    monkeypatch.setenv(variable, "https://evil.example.com")
    with pytest.raises(StoreError, match="another server than the SecretStore says"):
        await shop.open(ARN, kms={"endpointUrl": None})
    monkeypatch.setenv(variable, "https://vpce-1.kms.eu-central-1.vpce.amazonaws.com")
    await shop.open(ARN, kms={"endpointUrl": None})


async def test_without_boto3(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install, when the store is opened."""
    monkeypatch.setattr("secretsync_core.stores.sops.kms.find_spec", lambda _: None)
    with pytest.raises(StoreError, match="need boto3") as caught:
        await shop.open(ARN)
    assert "[aws]" in caught.value.hint


@pytest.mark.parametrize(
    "kms",
    [
        {"keys": []}, {"keys": ["alias/x"]}, {"keys": ["arn:aws:kms:eu-central-1:1:key/x"]},
        {"keys": ["arn:aws:s3:eu-central-1:123456789012:key/x"]}, {"keys": ["arn:aws:kms:eu-central-1:123456789012:x"]},
    ],
)  # fmt: skip
def test_documents_that_cannot_be(kms: dict[str, Any]) -> None:
    """A key is told by its whole ARN, as files have it."""
    with pytest.raises(ValueError, match="validation error"):
        SopsConfig.model_validate_json(json.dumps({"path": "/x", "kms": kms}))
