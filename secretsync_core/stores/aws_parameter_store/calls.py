"""The calls of the service that the store makes, one request each."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from secretsync_core.endurance import Progress
from secretsync_core.errors import SecretNotFound, StoreError
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.aws.answers import Request, another_type
from secretsync_core.stores.aws.home import Home
from secretsync_core.stores.aws_parameter_store.names import plain
from secretsync_core.stores.aws_parameter_store.settings import options_of, settings_of
from secretsync_core.stores.unseen import Odd, one_by_one

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_ssm import SSMClient

    from secretsync_core.stores.aws.connection import Service
    from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
    from secretsync_core.stores.aws_parameter_store.names import Names
    from secretsync_core.stores.aws_parameter_store.settings import Settings

PAGE = 50
"""How many parameters one page of descriptions holds, and how many can be asked for by name."""

BATCH = 10
"""How many parameters one request reads, and one page of a listing by path holds."""


class Found(NamedTuple):
    """A parameter that there is: its version token, and whether it is of our type.

    ``description`` is empty where it has none, and None where that was not told.
    """

    version: str
    fits: bool
    description: str | None = None


class Page(NamedTuple):
    """A part of a listing, by the names of parameters, and where it goes on."""

    found: list[tuple[str, Found | Odd]]
    token: str | None


class Batch(NamedTuple):
    """The answer about several parameters: what was read, by what it was asked for, and what there is not."""

    read: dict[str, Secret]
    absent: frozenset[str]


class Calls:
    """One request each; ``key`` is what a person calls the parameter, and what errors name."""

    def __init__(
        self,
        service: Service[SSMClient],
        tagging: Service[ResourceGroupsTaggingAPIClient] | None,
        config: AwsParameterStoreConfig,
        names: Names,
    ) -> None:
        """``tagging``: the service that knows the tags of many resources; ``None`` where it cannot be asked."""
        self.store = service.account.store
        self.endurance = service.account.endurance
        self._service = service
        self._tagging = tagging
        self._config = config
        self._names = names
        self._home = Home()

    # -- reading

    async def get(self, key: str, pin: str | None) -> Secret:
        """One value: the current one, or that of a version's number or label."""
        request = self._request("read", key, "GetParameter")
        name = self._names.name(key) + (f":{pin}" if pin else "")

        def ask(client: SSMClient) -> Secret:
            about = _part(request, client.get_parameter(Name=name, WithDecryption=True)).part("Parameter")
            if plain(about.text("Name")) != self._names.name(key):
                raise malformed(request, "it is another parameter than the one that was asked for")
            self._home.check(about)
            return _secret(about)

        return await self._service.call("read", request, ask)

    async def get_many(self, keys: Sequence[str]) -> Batch:
        """Several current values, by key. Some keys may be in neither half of the answer."""
        request = Request(self.store, "read several parameters at once", None, "ssm:GetParameters")
        by_name = {self._names.name(key): key for key in keys}
        asked = list(by_name)

        def ask(client: SSMClient) -> tuple[dict[str, Secret], set[str]]:
            answer = _part(request, client.get_parameters(Names=asked, WithDecryption=True))
            invalid = answer.texts("InvalidParameters") if answer.has("InvalidParameters") else []
            told = answer.parts("Parameters")
            for each in told:
                self._home.check(each)
            taken = one_by_one(told, _name, _secret)
            read = {plain(name): each for name, each in taken if not isinstance(each, Odd)}
            return read, {plain(name) for name in invalid}

        read, absent = await self._service.call("read-many", request, ask)
        return Batch(
            {key: read[name] for name, key in by_name.items() if name in read},
            frozenset(key for name, key in by_name.items() if name in absent),
        )

    async def versions(self, keys: Sequence[str]) -> dict[str, Found | Odd]:
        """What there is at some keys, without decrypting anything."""
        request = Request(self.store, "look at what was written", None, "ssm:GetParameters")
        by_name = {self._names.name(key): key for key in keys}
        asked = list(by_name)

        def ask(client: SSMClient) -> dict[str, Found | Odd]:
            answer = _part(request, client.get_parameters(Names=asked, WithDecryption=False))
            return {plain(name): each for name, each in self._told(answer)}

        found = await self._service.call("stat", request, ask)
        return {key: found[name] for name, key in by_name.items() if name in found}

    async def page(self, folder: str, token: str | None, *, recursive: bool) -> Page:
        """A page of the parameters of a folder (empty: all that there are)."""
        filters = (
            [{"Key": "Path", "Option": "Recursive" if recursive else "OneLevel", "Values": [folder]}] if folder else []
        )
        return await self._describe("list", "list parameters", filters, token)

    async def page_by_path(self, folder: str, token: str | None, *, recursive: bool) -> Page:
        """The same by the request that needs a right on the folder alone, ten at once. It decrypts nothing."""
        request = Request(
            self.store, "list parameters", None, "ssm:GetParametersByPath on the path, or ssm:DescribeParameters on *"
        )
        options: Any = {"NextToken": token} if token else {}

        def ask(client: SSMClient) -> Page:
            answer = client.get_parameters_by_path(
                Path=folder or "/", Recursive=recursive, WithDecryption=False, MaxResults=BATCH, **options
            )
            return self._page(_part(request, answer))

        return await self._service.call("list", request, ask)

    async def some(self, keys: Sequence[str], token: str | None) -> Page:
        """A page of those of some parameters that there are."""
        names = [self._names.name(key) for key in keys]
        return await self._describe(
            "stat", "look at parameters", [{"Key": "Name", "Option": "Equals", "Values": names}], token
        )

    async def _describe(self, kind: str, action: str, filters: Any, token: str | None) -> Page:
        request = Request(self.store, action, None, "ssm:DescribeParameters")
        options: Any = {"NextToken": token} if token else {}
        if filters:
            options["ParameterFilters"] = filters

        def ask(client: SSMClient) -> Page:
            answer = _part(request, client.describe_parameters(MaxResults=PAGE, **options))
            return self._page(answer, described=True)

        return await self._service.call(kind, request, ask)

    def _page(self, answer: Part, *, described: bool = False) -> Page:
        return Page(
            self._told(answer, described=described), answer.text("NextToken") if answer.has("NextToken") else None
        )

    def _told(self, answer: Part, *, described: bool = False) -> list[tuple[str, Found | Odd]]:
        told = answer.parts("Parameters")
        for each in told:
            self._home.check(each)
        return one_by_one(told, _name, lambda each: self._found(each, described=described))

    def _found(self, about: Part, *, described: bool = False) -> Found:
        fits = not about.has("Type") or about.text("Type") == self._config.type
        description = (about.text_or_none("Description") or "") if described else None
        return Found(version_of(about), fits, description)

    def refuse_type(self, key: str) -> NoReturn:
        """Raise what the service would say to a write over a parameter of another type."""
        raise another_type(self._request("write", key, "PutParameter"))

    async def settings(self, keys: Sequence[str]) -> dict[str, Settings]:
        """What those of some parameters that there are have besides their values."""
        by_name = {self._names.name(key): key for key in keys}
        request = Request(self.store, "look at parameters", None, "ssm:DescribeParameters")
        filters: Any = [{"Key": "Name", "Option": "Equals", "Values": list(by_name)}]
        found: dict[str, Settings] = {}
        progress = Progress(self.store, self.endurance)
        options: Any = {}
        while True:

            def ask(client: SSMClient, given: Any = options) -> tuple[dict[str, Settings], str]:
                answer = _part(request, client.describe_parameters(MaxResults=PAGE, ParameterFilters=filters, **given))
                told = {plain(each.text("Name")): settings_of(each) for each in answer.parts("Parameters")}
                return told, answer.text_or_none("NextToken") or ""

            told, token = await self._service.call("stat", request, ask)
            found |= {by_name[name]: each for name, each in told.items() if name in by_name}
            progress.showed(told)
            if not token:
                return found
            if options.get("NextToken") == token:
                raise StoreError(f"{self.store} gives the same page again and again", store=self.store)
            options = {"NextToken": token}

    # -- writing

    async def put(
        self,
        key: str,
        text: str,
        *,
        overwrite: bool,
        there: Settings | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
    ) -> int:
        """Write a parameter; gives the number of its version. Without ``overwrite``, raises Conflict where it exists.

        ``there`` is what is known of the one that is overwritten. Only what is created can be given tags. What is
        created has the document's description, unless one is given; what is overwritten keeps its own.
        """
        config = self._config
        request = self._request("write", key, "PutParameter, ssm:AddTagsToResource" if tags else "PutParameter")
        options: Any = {"Name": self._names.new_name(key), "Value": text, "Overwrite": overwrite}
        options |= options_of(config, there)
        description = description or (None if overwrite else config.description)
        if description:
            options["Description"] = description
        if tags:
            options["Tags"] = _tags(tags)

        def ask(client: SSMClient) -> int:
            return _part(request, client.put_parameter(**options)).count("Version", least=1)

        return await self._service.call("write", request, ask)

    async def delete(self, key: str) -> None:
        """Delete a parameter with all its versions."""
        request = self._request("delete", key, "DeleteParameter")
        name = self._names.name(key)
        await self._service.call("delete", request, lambda client: client.delete_parameter(Name=name))

    # -- tags

    async def tags(self, key: str) -> dict[str, str]:
        """The tags of one parameter. Raises SecretNotFound where it is absent."""
        request = self._request("read the tags of", key, "ListTagsForResource")
        name = self._names.name(key)

        def ask(client: SSMClient) -> dict[str, str]:
            answer = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
            return _tags_of(_part(request, answer), "TagList")

        return await self._service.call("tags", request, ask)

    async def add_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Put tags on a parameter that is there."""
        request = self._request("tag", key, "AddTagsToResource")
        name = self._names.name(key)
        given: Any = _tags(tags)
        await self._service.call(
            "tag",
            request,
            lambda client: client.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=given),
        )

    @property
    def knows_all_tags(self) -> bool:
        """Whether there is a service that tells the tags of many parameters at once."""
        return self._tagging is not None

    async def all_tags(self, marked: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
        """The tags of every parameter that has any, by name, or of those with a tag: a page for a hundred of them."""
        assert self._tagging is not None  # noqa: S101
        request = Request(self.store, "read the tags of all parameters", None, "tag:GetResources")
        found: dict[str, dict[str, str]] = {}
        progress = Progress(self.store, self.endurance)
        options: Any = {}
        filters: Any = {"TagFilters": [{"Key": name, "Values": [text]} for name, text in (marked or {}).items()]}
        while True:

            def ask(
                client: ResourceGroupsTaggingAPIClient, given: Any = options
            ) -> tuple[dict[str, dict[str, str]], str]:
                answer = _part(
                    request,
                    client.get_resources(
                        ResourceTypeFilters=["ssm:parameter"],
                        ResourcesPerPage=100,
                        **(filters if marked else {}),
                        **given,
                    ),
                )
                tagged = {
                    plain(each.text("ResourceARN").partition(":parameter")[2]): _tags_of(each, "Tags")
                    for each in answer.parts("ResourceTagMappingList")
                }
                return tagged, answer.text_or_none("PaginationToken") or ""

            tagged, token = await self._tagging.call("tags", request, ask)
            found |= tagged
            progress.showed(tagged)
            if not token or options.get("PaginationToken") == token:
                return found
            options = {"PaginationToken": token}

    def absent(self, key: str) -> SecretNotFound:
        """The error for a parameter that there is not."""
        return SecretNotFound(f"{key} is not in {self.store}", store=self.store, key=key)

    def _request(self, action: str, key: str, needs: str) -> Request:
        return Request(self.store, f"{action} {key}", key, f"ssm:{needs}")


def version_of(about: Part) -> str:
    """A version token: the number, and when it was written. A number alone begins at 1 again after a deletion."""
    written = about.date("LastModifiedDate").astimezone(UTC)
    return f"{about.count('Version', least=1)}@{written.isoformat(timespec='milliseconds')}"


def _part(request: Request, answer: Mapping[str, Any]) -> Part:
    return Part(request, "", answer)


def _name(about: Part) -> str:
    return about.text("Name")


def _secret(about: Part) -> Secret:
    text = about.text_or_none("Value")
    if text is None:
        raise about.wrong("Value", "a text")
    try:
        return Secret(SecretValue(text.encode()), version_of(about))
    except UnicodeEncodeError:
        pass
    raise malformed(about.call, "the value is not Unicode")


def _tags_of(about: Part, name: str) -> dict[str, str]:
    return {tag.text("Key"): tag.text_or_none("Value") or "" for tag in about.parts(name)}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]
