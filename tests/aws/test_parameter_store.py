"""What the store for Parameter Store does there, seen from the service's side (moto)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretNotFound, StoreUnavailable
from secretsync_core.key_rules import key_fault, new_key_fault
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from support.aws import Microburst, Region

    from aws.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

TEXT, OTHER = SecretValue(b"text"), SecretValue(b"other")
DENIED = {"code": "AccessDeniedException"}


def fill(region: Region, *names: str, **options: Any) -> None:
    """Make parameters whose values are their names."""
    for name in names:
        region.parameters.put_parameter(**{"Name": name, "Value": name, "Type": "String", **options})


def about(region: Region, name: str) -> Any:
    """What the service says of a parameter."""
    found = region.parameters.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"]
    return found[0]


def tags(region: Region, name: str) -> dict[str, str]:
    """The tags of a parameter."""
    answer = region.parameters.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
    return {tag["Key"]: tag["Value"] for tag in answer["TagList"]}


async def listed(store: Any, prefix: str = "", *, recursive: bool = True, metadata: bool = False) -> list[Any]:
    """A listing, in the order of keys."""
    found = [each async for each in store.list(prefix, recursive=recursive, metadata=metadata)]
    return sorted(found, key=lambda each: str(each[0]))


async def read_all(store: Any, keys: list[str]) -> dict[str, Any]:
    """Read many at once; errors stand for themselves."""
    found = await asyncio.gather(*(store.read(key) for key in keys), return_exceptions=True)
    values = [each if isinstance(each, BaseException) else each.value.reveal().decode() for each in found]
    return dict(zip(keys, values, strict=True))


# -- what is written


async def test_created_parameters_are_as_the_document_says(parameter_store: OpenStore, region: Region) -> None:
    """Type, key, tier and description are those of the document, and the mark goes with the tags."""
    store = await parameter_store(
        mark="job.1", path="/prod", kmsKeyId="alias/mine", tier="Advanced", tags={"team": "a"}, description="by us"
    )
    await store.create("db/main", TEXT)
    found = about(region, "/prod/db/main")
    assert (found["Type"], found["KeyId"], found["Tier"], found["Description"]) == (
        "SecureString",
        "alias/mine",
        "Advanced",
        "by us",
    )
    assert tags(region, "/prod/db/main") == {"team": "a", MARK_KEY: "job.1"}
    answer = region.parameters.get_parameter(Name="/prod/db/main", WithDecryption=True)
    assert answer["Parameter"]["Value"] == "text"


async def test_a_plain_write_brings_the_tags_after_it(
    parameter_store: OpenStore, region: Region, gate: CountingGate
) -> None:
    """The service takes no tags with an overwriting write: what that has created is tagged by a request of its own."""
    store = await parameter_store(mark="job.1", tags={"team": "a"})
    await store.write("a", TEXT)
    assert gate.counts == {"write": 1, "tag": 1, "stat": 2}  # what there is, and the version that it was given
    assert tags(region, "a") == {"team": "a", MARK_KEY: "job.1"}
    await store.write("a", OTHER)
    assert gate.counts == {"write": 2, "tag": 1, "stat": 4}


async def test_strings_where_the_document_says_so(parameter_store: OpenStore, region: Region) -> None:
    """type: String writes plain parameters."""
    store = await parameter_store(type="String")
    await store.create("a", TEXT)
    assert about(region, "a")["Type"] == "String"


async def test_a_parameter_of_another_type_is_left_alone(parameter_store: OpenStore, region: Region) -> None:
    """A String is not overwritten by a SecureString, nor the other way round: its type would have to change."""
    fill(region, "/a/plain")
    fill(region, "/a/list", Type="StringList", Value="x,y")
    store = await parameter_store(path="/a")
    for key in ("plain", "list"):
        with pytest.raises(InvalidSecret, match="a parameter of another type stands there") as caught:
            await store.write(key, TEXT)
        assert "type" in caught.value.hint
    assert region.parameters.get_parameter(Name="/a/plain")["Parameter"]["Value"] == "/a/plain"
    assert (await store.read("list")).value.reveal() == b"x,y"


@pytest.mark.parametrize(("tier", "limit"), [("Standard", 4096), ("Advanced", 8192), ("IntelligentTiering", 8192)])
async def test_a_value_fits_to_the_byte(parameter_store: OpenStore, tier: str, limit: int) -> None:
    """The largest value of a tier goes through; one byte more is refused without a request."""
    store = await parameter_store(tier=tier)
    assert store.facts.limits.max_bytes == limit
    await store.create("a", SecretValue(b"x" * limit))
    with pytest.raises(InvalidSecret, match=f"{limit + 1:,} bytes, and {limit:,} fit"):
        await store.create("b", SecretValue(b"x" * (limit + 1)))
    assert await listed(store) == [entry async for entry in store.stat(["a"])]


async def test_an_advanced_parameter_stays_one(parameter_store: OpenStore, region: Region) -> None:
    """A write keeps its tier, whatever the document says for new ones: the service knows no way back from it."""
    fill(region, "a", Type="SecureString", Tier="Advanced")
    store = await parameter_store()
    await store.write("a", TEXT)
    assert about(region, "a")["Tier"] == "Advanced"


@pytest.mark.parametrize("blob", [b"", b"\xff", b"{{ssm:other}}", b"a {{ x }}\nb"])
async def test_values_that_no_parameter_can_have(parameter_store: OpenStore, blob: bytes) -> None:
    """Nothing, bytes that are no text, and references to others: each is refused with the reason."""
    store = await parameter_store()
    with pytest.raises(InvalidSecret) as caught:
        await store.create("a", SecretValue(blob))
    told = f"{caught.value.message} {caught.value.hint}"
    assert any(reason in told for reason in ("it is empty", "not text in UTF-8", "it holds {{…}}"))
    with pytest.raises(InvalidSecret):
        await store.write("a", SecretValue(blob))
    assert await listed(store) == []


async def test_braces_that_refer_to_nothing(parameter_store: OpenStore) -> None:
    """Nested JSON has such braces too, in the other order, and goes through."""
    store = await parameter_store()
    await store.create("a", SecretValue(b'{"a":{"b":{}}}'))
    assert (await store.read("a")).value.reveal() == b'{"a":{"b":{}}}'


async def test_creating_never_replaces(parameter_store: OpenStore, region: Region) -> None:
    """What somebody has made meanwhile is a conflict, and stays."""
    store = await parameter_store()
    fill(region, "a", Type="SecureString")
    with pytest.raises(Conflict):
        await store.create("a", TEXT)
    assert (await store.read("a")).value.reveal() == b"a"


# -- versions


async def test_a_version_is_a_number_and_a_time(parameter_store: OpenStore, gate: CountingGate) -> None:
    """A parameter that was deleted and made again starts at 1, and is told from the first one by its time."""
    store = await parameter_store()
    first = await store.create("a", TEXT)
    second = await store.write("a", OTHER)
    assert (first[:2], second[:2]) == ("1@", "2@")
    await store.delete("a")
    again = await store.create("a", TEXT)
    assert again.startswith("1@")
    assert again != first
    assert gate.counts == {"write": 3, "stat": 4, "delete": 1}


async def test_times_are_asked_for_together(parameter_store: OpenStore, gate: CountingGate) -> None:
    """Writing tells the number only; the times of writes at once come ten a request."""
    store = await parameter_store(concurrency=40)
    tokens = await asyncio.gather(*(store.create(f"k{number}", TEXT) for number in range(40)))
    assert gate.counts["write"] == 40
    assert gate.counts["stat"] <= 20
    assert {entry.version async for entry in store.stat([f"k{number}" for number in range(40)])} == set(tokens)


async def test_a_write_that_was_overtaken_has_a_version_that_nothing_shows(
    parameter_store: OpenStore, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where somebody writes right after us, our token is not his, so that the next run looks at the value."""
    store = await parameter_store()
    real = store._calls.put

    async def overtaken(*args: Any, **options: Any) -> int:
        number: int = await real(*args, **options)
        fill(region, "a", Type="SecureString", Value="theirs", Overwrite=True)
        return number

    monkeypatch.setattr(store._calls, "put", overtaken)
    token = await store.create("a", TEXT)
    (entry,) = [each async for each in store.stat(["a"])]
    assert token == "1@"
    assert entry.version.startswith("2@")


async def test_without_the_right_to_look_a_write_succeeds(parameter_store: OpenStore, burst: Microburst) -> None:
    """A policy for writing only gives no time: the write counts, and its token is a number."""
    store = await parameter_store(endpointUrl=burst.address)
    burst.rules({"operation": "GetParameters", "error": DENIED})
    assert await store.create("a", TEXT) == "1@"


async def test_pins_are_numbers_and_labels(parameter_store: OpenStore, region: Region) -> None:
    """A pin reads a version by its number or its label; what there is not is not found."""
    store = await parameter_store(path="/p")
    await store.create("a", TEXT)
    await store.write("a", OTHER)
    region.parameters.label_parameter_version(Name="/p/a", ParameterVersion=1, Labels=["stable"])
    for pin, value in (("1", b"text"), ("2", b"other"), ("stable", b"text")):
        assert (await store.read("a", pin)).value.reveal() == value
    for missing in ("3", "unstable"):
        with pytest.raises(SecretNotFound):
            await store.read("a", missing)


# -- names


async def test_single_names_and_paths(parameter_store: OpenStore, region: Region) -> None:
    """At the root, ``db`` is the parameter of that name (which AWS takes for ``/db``), and ``a/b`` is ``/a/b``."""
    fill(region, "db", "/a/b")
    store = await parameter_store()
    assert [entry.key for entry in await listed(store)] == ["a/b", "db"]
    assert [entry.key for entry in await listed(store, recursive=False)] == ["db"]
    assert await read_all(store, ["db", "a/b"]) == {"db": "db", "a/b": "/a/b"}
    assert sorted([entry.key async for entry in store.stat(["db", "a/b", "b", "a"])]) == ["a/b", "db"]
    await store.delete("db")
    assert [entry.key for entry in await listed(store)] == ["a/b"]


@pytest.mark.parametrize("key", ["aws/x", "AWSome", "ssm-agent", "Ssm/x"])
async def test_names_that_belong_to_aws(parameter_store: OpenStore, key: str) -> None:
    """Names that begin with aws or ssm can be read, and not written; below a path they are names like any other."""
    store = await parameter_store()
    for write in (store.write, store.create):
        with pytest.raises(InvalidSecret, match="belong to AWS"):
            await write(key, TEXT)
    with pytest.raises(SecretNotFound):
        await store.read(key)
    assert key_fault(key, store.facts.limits) == ""
    assert "belong to AWS" in new_key_fault(key, store.facts.limits)
    below = await parameter_store(path="/mine")
    assert new_key_fault(key, below.facts.limits) == ""
    await below.create(key, TEXT)
    theirs = await parameter_store(path="/Aws/service")
    assert "belong to AWS" in new_key_fault("mine", theirs.facts.limits)
    with pytest.raises(InvalidSecret, match="belong to AWS"):
        await theirs.create("mine", TEXT)


async def test_at_most_fifteen_levels(parameter_store: OpenStore, region: Region) -> None:
    """The levels of the path count."""
    store = await parameter_store(path="/one/two")
    deep = "/".join("abcdefghijklm")
    await store.create(deep, TEXT)
    with pytest.raises(InvalidSecret, match="cannot hold the key"):
        await store.create(f"{deep}/n", TEXT)
    before = f"arn:aws:ssm:{region.name}:123456789012:parameter/one/two/"
    assert store.facts.limits.max_key_bytes == 1011 - len(before)


async def test_a_path_is_a_folder(parameter_store: OpenStore, region: Region) -> None:
    """``/prod`` holds nothing of ``/prod-2`` and not itself, with or without a slash at its end."""
    fill(region, "/prod/a", "/prod-2/b", "/prod", "/x/prod/c")
    for path in ("/prod", "/prod/"):
        assert [entry.key for entry in await listed(await parameter_store(path=path))] == ["a"]


# -- requests


async def test_reads_at_once_share_requests(parameter_store: OpenStore, region: Region, gate: CountingGate) -> None:
    """Twenty-five reads at once are three requests of up to ten; one that comes alone is read by itself."""
    keys = [f"k{number}" for number in range(25)]
    fill(region, *keys)
    store = await parameter_store()
    assert await read_all(store, keys) == {key: key for key in keys}
    assert gate.counts == {"read-many": 3}
    await store.read("k0")
    assert gate.counts == {"read-many": 3, "read": 1}


async def test_absent_ones_among_many(parameter_store: OpenStore, region: Region, gate: CountingGate) -> None:
    """What the service calls an invalid parameter is not found; the others are read."""
    fill(region, "a", "b")
    store = await parameter_store()
    found = await read_all(store, ["a", "absent", "b"])
    assert (found["a"], found["b"]) == ("a", "b")
    assert isinstance(found["absent"], SecretNotFound)
    assert found["absent"].key == "absent"
    assert gate.counts == {"read-many": 1}


async def test_a_denied_one_among_many(
    parameter_store: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """The service refuses the whole batch; read one by one, the denied one fails by itself."""
    fill(region, "a", "b", "c")
    store = await parameter_store(endpointUrl=burst.address)
    burst.rules(
        {"operation": "GetParameters", "error": DENIED},
        {"operation": "GetParameter", "body": "Name == 'b'", "error": DENIED},
    )
    found = await read_all(store, ["a", "b", "c"])
    assert (found["a"], found["c"]) == ("a", "c")
    assert isinstance(found["b"], AccessDenied)
    assert found["b"].hint == "our identity must be allowed ssm:GetParameter"
    assert gate.counts == {"read-many": 1, "read": 3}


async def test_a_listing_is_a_page_for_fifty(parameter_store: OpenStore, region: Region, gate: CountingGate) -> None:
    """120 parameters are three pages, to list and to look at alike, and every key comes once."""
    keys = sorted(f"k{number:03}" for number in range(120))
    fill(region, *(f"/p/{key}" for key in keys))
    fill(region, *(f"/q/{key}" for key in keys))
    store = await parameter_store(path="/p")
    assert [entry.key for entry in await listed(store)] == keys
    assert gate.counts == {"list": 3}
    gate.counts.clear()
    assert sorted([entry.key async for entry in store.stat(keys)]) == keys
    assert gate.counts == {"list": 3}
    gate.counts.clear()
    assert len([entry async for entry in store.stat([*keys[:40], "absent"])]) == 40
    assert gate.counts == {"stat": 1}


@pytest.mark.slow
async def test_a_listing_that_does_not_pay_is_given_up(
    parameter_store: OpenStore, region: Region, gate: CountingGate
) -> None:
    """Among six hundred others, sixty are looked for in a few pages, and then by name, fifty a request."""
    mine = [f"z{number:02}" for number in range(60)]
    fill(region, *(f"/p/k{number:03}" for number in range(600)), *(f"/p/{key}" for key in mine))
    store = await parameter_store(path="/p")
    assert sorted([entry.key async for entry in store.stat([*mine, "a-absent"])]) == mine
    assert gate.counts == {"list": 6, "stat": 2}


async def test_without_the_right_to_describe(
    parameter_store: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """stat makes do with GetParameters, undecrypted, and what that may not see is a Gap."""
    keys = [f"k{number:02}" for number in range(60)]
    fill(region, *keys)
    store = await parameter_store(endpointUrl=burst.address)
    burst.rules(
        {"operation": "DescribeParameters", "error": DENIED},
        {"operation": "GetParameters", "body": "contains(Names, 'k33')", "error": DENIED},
        {"operation": "GetParameters", "body": "WithDecryption", "error": {"code": "InternalServerError"}},
    )
    found = [each async for each in store.stat(keys)]
    assert sorted(each.key for each in found if isinstance(each, Entry)) == [key for key in keys if key != "k33"]
    assert [each.prefix for each in found if isinstance(each, Gap)] == ["k33"]
    assert gate.counts == {"list": 1, "stat": 6 + 10}


async def test_a_listing_without_the_right_to_describe(
    parameter_store: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """Folders are listed by their paths then, undecrypted, ten parameters a request, with the same versions."""
    fill(region, *(f"/p/k{number:02}" for number in range(12)), *(f"/p/f/k{number}" for number in range(9)), "/q/x")
    store = await parameter_store(path="/p", endpointUrl=burst.address)
    known = {each.key: each async for each in store.list("", recursive=True, metadata=False)}
    burst.rules(
        {"operation": "DescribeParameters", "error": DENIED},
        {"operation": "GetParametersByPath", "body": "WithDecryption", "error": {"code": "InternalServerError"}},
    )
    gate.counts.clear()
    assert {each.key: each async for each in store.list("", recursive=True, metadata=False)} == known
    assert gate.counts == {"list": 1 + 3}
    assert [each.key async for each in store.list("f/", recursive=False, metadata=False)] == sorted(
        key for key in known if key.startswith("f/")
    )
    assert {each.key async for each in store.list("", recursive=False, metadata=False)} == {
        key for key in known if "/" not in key
    }
    assert gate.counts == {"list": 1 + 3 + 1 + 2}
    assert burst.fired("DescribeParameters") == 1


async def test_a_listing_that_is_denied_in_both_ways(parameter_store: OpenStore, burst: Microburst) -> None:
    """Then it says what either way needs; it is never taken for an empty folder."""
    store = await parameter_store(path="/p", endpointUrl=burst.address)
    burst.rules({"error": DENIED})
    with pytest.raises(AccessDenied) as caught:
        await listed(store)
    assert "ssm:GetParametersByPath on the path, or ssm:DescribeParameters on *" in caught.value.hint


async def test_what_aws_publishes(parameter_store: OpenStore, burst: Microburst, gate: CountingGate) -> None:
    """Public parameters, which DescribeParameters does not show, are listed by their path at once."""
    store = await parameter_store(path="/aws/service/canonical", endpointUrl=burst.address)
    burst.rules({"operation": "DescribeParameters", "error": {"code": "ValidationException"}})
    assert await listed(store) == []
    assert [each async for each in store.stat(["a"])] == []
    assert gate.counts == {"list": 1, "stat": 1}


async def test_a_page_that_fails_is_never_the_end(
    parameter_store: OpenStore, region: Region, burst: Microburst
) -> None:
    """A listing that fails at its second page raises: half of it must not pass for all."""
    fill(region, *(f"k{number}" for number in range(70)))
    store = await parameter_store(endpointUrl=burst.address)
    burst.rules({"operation": "DescribeParameters", "body": "NextToken", "error": {"code": "InternalServerError"}})
    listing = store.list("", recursive=True, metadata=False)
    for _ in range(50):
        await anext(listing)
    with pytest.raises(StoreUnavailable):
        await anext(listing)


# -- tags


async def test_the_tags_of_many_come_together(parameter_store: OpenStore, region: Region, gate: CountingGate) -> None:
    """A listing with metadata asks once for the tags of a hundred parameters, and not each for its own."""
    fill(region, *(f"/p/k{number:02}" for number in range(30)))
    fill(region, "/p/tagged", Tags=[{"Key": "team", "Value": "payments"}])
    fill(region, "single", Tags=[{"Key": "team", "Value": "other"}])
    store = await parameter_store()
    found = {entry.key: entry.metadata for entry in await listed(store, metadata=True)}
    assert found.pop("p/tagged") == {"team": "payments"}
    assert found.pop("single") == {"team": "other"}
    assert list(found.values()) == [{}] * 30
    assert gate.counts == {"list": 1, "tags": 1}


async def test_the_tags_of_few_are_asked_for_one_by_one(
    parameter_store: OpenStore, region: Region, gate: CountingGate
) -> None:
    """The region may hold ten thousand others."""
    fill(region, "/p/a", "/p/b", Tags=[{"Key": "team", "Value": "payments"}])
    store = await parameter_store(path="/p")
    assert [entry.metadata for entry in await listed(store, metadata=True)] == [{"team": "payments"}] * 2
    assert gate.counts == {"list": 1, "tags": 2}


async def test_without_the_right_to_all_tags(
    parameter_store: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """Each parameter is asked for its own then, and one whose tags are denied is a Gap: a query might select it."""
    fill(region, *(f"k{number:02}" for number in range(25)), Tags=[{"Key": "team", "Value": "payments"}])
    store = await parameter_store(endpointUrl=burst.address, taggingEndpointUrl=burst.address)
    burst.rules(
        {"operation": "GetResources", "error": DENIED},
        {"operation": "ListTagsForResource", "body": "ResourceId == 'k07'", "error": DENIED},
    )
    found = await listed(store, metadata=True)
    assert [each.prefix for each in found if isinstance(each, Gap)] == ["k07"]
    assert [each.metadata for each in found if isinstance(each, Entry)] == [{"team": "payments"}] * 24
    assert gate.counts == {"list": 1, "tags": 26}


async def test_with_an_endpoint_of_ones_own_no_other_is_asked(
    parameter_store: OpenStore, region: Region, gate: CountingGate
) -> None:
    """In a network with a VPC endpoint for this service alone, tags come from it, one by one."""
    fill(region, *(f"k{number:02}" for number in range(25)))
    store = await parameter_store(taggingEndpointUrl=None)
    assert len(await listed(store, metadata=True)) == 25
    assert gate.counts == {"list": 1, "tags": 25}


async def test_marks_cost_a_request_each(parameter_store: OpenStore, region: Region, gate: CountingGate) -> None:
    """They are read before deletes only, and never from where they may be old; what is absent has none."""
    store = await parameter_store(mark="job.1")
    await store.create("a", TEXT)
    fill(region, "b")
    gate.counts.clear()
    assert await store.marks(["a", "b", "absent", "no key!"]) == {"a": "job.1"}
    assert gate.counts == {"tags": 3}
    await store.mark("b")
    assert await store.marks(["b"]) == {"b": "job.1"}
    with pytest.raises(SecretNotFound):
        await store.mark("absent")
