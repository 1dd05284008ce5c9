"""How a document describes a service: its address, a credential, and one request template for each operation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from secretsync_core.endurance import is_too_deep
from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.hosts import host_of, tells_of_the_machine
from secretsync_core.known import looks_like_a_token
from secretsync_core.schema.addresses import PlainPathAddress
from secretsync_core.schema.base import Choice, Credential, Spec, Tls
from secretsync_core.stores.rest.jsonpath import parse
from secretsync_core.stores.rest.templates import (
    CURSOR,
    ID,
    KEY,
    MARK,
    NAME,
    OURS,
    PAGE,
    VALUE,
    VERSION,
    UnfitError,
    is_header,
    names_in,
    names_in_body,
    path_fault,
    path_of,
    text_fault,
    text_of,
    unknown_fault,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
_PARAMETER = re.compile(r"[A-Za-z0-9._~\[\]-]{1,100}")
_FRAMING = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "http2-settings", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-http-method",
    "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url",
})  # fmt: skip
"""Headers that say how a request is to be taken; no document does."""

_CREDENTIALS = frozenset({
    "authorization", "cookie", "proxy-authorization", "private-token", "api-key", "apikey", "token", "secret",
    "password", "passwd", "x-api-key", "x-apikey", "x-auth-key", "x-auth-token", "x-access-token",
    "x-vault-token", "x-amz-security-token", "access_token", "api_key", "auth_token", "client_secret", "auth",
})  # fmt: skip
"""Headers and parameters that carry credentials; only ``auth`` gives one."""

_MOST = 50


def _json_path(source: str) -> str:
    if parse(source).is_of_many:
        raise ValueError("it may find one thing alone, so it has no [*]")
    return source


def _json_path_of_many(source: str) -> str:
    parse(source)
    return source


def _json_path_or_name(source: str) -> str:
    return source if source == ITS_NAME else _json_path(source)


ITS_NAME = "$~"
"""In place of a path to a key: the name under which the entry stands in the object around it."""

Path = Annotated[str, AfterValidator(_json_path)]
PathOfMany = Annotated[str, AfterValidator(_json_path_of_many)]
PathOrName = Annotated[str, AfterValidator(_json_path_or_name)]
Good = Annotated[int, Field(ge=200, le=299)]
Refusal = Annotated[int, Field(ge=400, le=499)]
Method = Annotated[
    Literal["POST", "PUT", "PATCH", "DELETE"],
    Field(description="Default: PUT for write and update, POST for create, DELETE for delete."),
]


class HttpAuth(Spec):
    """The one credential, and the header that it is sent in."""

    token: Credential
    header: str = Field(default="Authorization", pattern=_HEADER_NAME, description="Default: Authorization.")
    prefix: str = Field(
        default="Bearer ",
        max_length=100,
        pattern=r"^[\x21-\x7e]*(?: [\x21-\x7e]*)* ?$",
        description="What stands before the credential; empty for nothing.",
    )

    @field_validator("header")
    @classmethod
    def _carries_credentials(cls, header: str) -> str:
        if header.lower() in _FRAMING:
            raise ValueError("no credential is sent in this header")
        return header


class Request(Spec):
    """What every operation has: a request, and which statuses say that it was carried out."""

    KNOWN: ClassVar[frozenset[str]] = frozenset()
    BODY: ClassVar[frozenset[str]] = frozenset()
    HEADERS: ClassVar[frozenset[str]] = frozenset()

    path: str = Field(description="Below the address, such as /v1/teams/{{ team }}/secrets.")
    query: dict[str, str] = Field(default={}, max_length=_MOST, description="Parameters behind the path.")
    headers: dict[str, str] = Field(default={}, max_length=_MOST, description="Beside those for all requests.")
    expect: tuple[Good, ...] = Field(
        default=(200, 201, 204),
        min_length=1,
        description="The statuses that say that it was done. Default: 200, 201, 204.",
    )

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if fault := path_fault(path):
            raise ValueError(fault)
        return path

    @field_validator("query")
    @classmethod
    def _are_parameters(cls, query: dict[str, str]) -> dict[str, str]:
        for name, template in query.items():
            if not _PARAMETER.fullmatch(name):
                raise ValueError("the name of a parameter is made of letters, digits and . _ ~ - [ ]")
            if name.lower() in _CREDENTIALS:
                raise ValueError("a credential stands in no address: give it by auth")
            if fault := text_fault(template):
                raise ValueError(fault)
        return query

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        return headers_checked(headers)

    @property
    def verb(self) -> str:
        """The method: what only looks is a GET, for a plan changes nothing, whatever its document says."""
        return "GET"

    @property
    def payload(self) -> Any:
        """The body, with its placeholders; None for none."""
        return None

    def placeholder_fault(self, given: Collection[str]) -> str:
        """Why its placeholders cannot be filled in, by these vars; empty where they can."""
        known = self.KNOWN | set(given)
        in_body = list(names_in_body(self.payload))
        elsewhere = OURS
        return (
            unknown_fault("path", names_in(self.path), known - {CURSOR, PAGE}, elsewhere)
            or unknown_fault(
                "query", [name for each in self.query.values() for name in names_in(each)], known, elsewhere
            )
            or unknown_fault("headers", _names(self.headers), self.HEADERS | set(given), elsewhere)
            or unknown_fault("body", [name for name, _ in in_body], known | self.BODY, elsewhere)
            or unknown_fault("the name of a field in body", [n for n, of in in_body if of], {KEY, *given}, elsewhere)
        )

    def uses(self, name: str) -> bool:
        """Whether a placeholder stands in it."""
        texts = [self.path, *self.query.values(), *self.headers.values()]
        return any(name in names_in(text) for text in texts) or any(name == n for n, _ in names_in_body(self.payload))


class Next(Choice):
    """How a listing goes on: exactly one."""

    cursor: Path | None = Field(
        default=None,
        description="Where an answer has the text for {{ cursor }} of the next request; absent or null ends.",
    )
    page: int | None = Field(
        default=None, ge=0, le=1, description="The number of the first page, for {{ page }}; a page of nothing ends."
    )
    link: Path | None = Field(
        default=None, description="Where an answer has the address of the next page; absent or null ends."
    )
    link_header: Literal[True] | None = Field(default=None, description="The Link header has it, with rel=next.")


class ListRequest(Request):
    """Lists all that there is: keys, and what stands beside them."""

    KNOWN = frozenset({CURSOR, PAGE})
    PAGED: ClassVar = {CURSOR: "cursor", PAGE: "page"}

    items: PathOfMany = Field(description="The entries in an answer, such as $.envs[*].")
    key: PathOrName = Field(description="The key, in an entry; $~ where it is the entry's own name in an object.")
    id: Path | None = Field(default=None, description="What an entry is called there, for {{ id }}.")
    version: Path | None = Field(default=None, description="What changes with every write, such as $.updatedAt.")
    mark: PathOfMany | None = Field(
        default=None, description="Where an entry has our mark, in a text: $.comment, $.tags[*]."
    )
    where: dict[PathOfMany, str | int | bool] = Field(
        default={}, max_length=_MOST, description="Only entries in which each path finds just this."
    )
    next: Next | None = Field(default=None, description="Default: one answer has all of it.")
    total: Path | None = Field(default=None, description="Where an answer says how many entries there are in all.")

    @model_validator(mode="after")
    def _goes_on(self) -> ListRequest:
        if not parse(self.items).is_of_many:
            raise ValueError("items has no [*], which stands for each entry")
        for placeholder, field in self.PAGED.items():
            has = self.next is not None and getattr(self.next, field) is not None
            if has != self.uses(placeholder):
                raise ValueError(f"next.{field} and {{{{ {placeholder} }}}} in query go together")
        return self


class LookRequest(Request):
    """Looks whether one key is there, and at which version."""

    KNOWN = frozenset({KEY})

    key: Path | None = Field(
        default=None, description="Where the answer has the key, which has to be the one asked for."
    )
    id: Path | None = Field(default=None, description="What it is called there, for {{ id }}.")
    version: Path | None = Field(default=None, description="What changes with every write, such as $.updatedAt.")
    version_header: str | None = Field(
        default=None, pattern=_HEADER_NAME, description="In place of version: the header that has it, such as ETag."
    )
    mark: PathOfMany | None = Field(default=None, description="Where the answer has our mark, in a text: $.comment.")
    absent: tuple[Refusal, ...] = Field(
        default=(), description="The statuses that say that there is no such key, such as 404; any other is an error."
    )

    @model_validator(mode="after")
    def _has_one_version(self) -> LookRequest:
        if self.version is not None and self.version_header is not None:
            raise ValueError("give version or versionHeader, and not both")
        return self

    @property
    def tells_versions(self) -> bool:
        """Whether it shows a version."""
        return self.version is not None or self.version_header is not None


class ReadRequest(LookRequest):
    """Reads one value."""

    KNOWN = frozenset({KEY, ID})

    value: Path = Field(description="Where the answer has the value, a text.")


class ChangeRequest(Request):
    """Changes one key."""

    KNOWN = frozenset({KEY, ID})
    BODY = frozenset({VALUE, VERSION})
    HEADERS = frozenset({VERSION})

    method: Method = "PUT"
    body: Any = Field(default=None, description="JSON, sent as such, with placeholders in its texts.")
    failed: PathOfMany | None = Field(
        default=None, description="What is found by it says, whatever the status, that nothing was done: $.errors[*]."
    )
    conflict: tuple[Refusal, ...] = Field(
        default=(409, 412), description="The statuses that say that it changed meanwhile. Default: 409, 412."
    )

    @field_validator("body")
    @classmethod
    def _is_a_body(cls, body: Any) -> Any:
        if is_too_deep(body, 20):
            raise ValueError("its objects and lists stand more than 20 deep in each other")
        for part in _parts_of(body):
            if isinstance(part, str) and (fault := text_fault(part)):
                raise ValueError(fault)
            if _is_too_large(part):
                raise ValueError("a number in it has more than 15 digits; write it as a text")
        return body

    @model_validator(mode="after")
    def _sends_it(self) -> ChangeRequest:
        if self.body is not None and self.method == "DELETE":
            raise ValueError("DELETE is sent without a body")
        return self

    @property
    def verb(self) -> str:
        """The method that the document says."""
        return self.method

    @property
    def payload(self) -> Any:
        """The body that the document says."""
        return self.body


class WriteRequest(ChangeRequest):
    """Writes one value."""

    version: Path | None = Field(
        default=None, description="Where the answer has the new version. Default: it is looked at after the write."
    )
    version_header: str | None = Field(
        default=None, pattern=_HEADER_NAME, description="In place of version: the header that has it, such as ETag."
    )
    id: Path | None = Field(
        default=None, description="Where the answer has its id. Default: what is new is looked at for it."
    )

    @model_validator(mode="after")
    def _sends_the_value(self) -> WriteRequest:
        if self.body is None or VALUE not in {name for name, _ in names_in_body(self.body)}:
            raise ValueError("body has no {{ value }}, so that nothing would be written")
        if self.version is not None and self.version_header is not None:
            raise ValueError("give version or versionHeader, and not both")
        return self


class PutRequest(WriteRequest):
    """Creates a key, or replaces its value."""

    KNOWN = frozenset({KEY})
    BODY = frozenset({VALUE})
    HEADERS = frozenset()


class CreateRequest(WriteRequest):
    """Creates a key that is not there."""

    KNOWN = frozenset({KEY})
    BODY = frozenset({VALUE, MARK})
    HEADERS = frozenset()

    method: Method = "POST"
    exists: tuple[Refusal, ...] = Field(
        default=(), description="The statuses by which the service refuses a key that is there, such as 409."
    )


class UpdateRequest(WriteRequest):
    """Replaces the value of a key that is there. Its ``{{ mark }}`` is the mark that is there."""

    BODY = frozenset({VALUE, VERSION, MARK})

    absent: tuple[Refusal, ...] = Field(default=(), description="The statuses that say that there is no such key.")


class DeleteRequest(ChangeRequest):
    """Deletes one key."""

    BODY = frozenset({VERSION})

    method: Method = "DELETE"
    absent: tuple[Refusal, ...] = Field(
        default=(), description="The statuses that say that there is no such key, such as 404; any other is an error."
    )


class MarkRequest(ChangeRequest):
    """Puts our mark on a key that is there, and leaves its value alone."""

    BODY = frozenset({VERSION, MARK})

    method: Method = "PATCH"
    absent: tuple[Refusal, ...] = Field(
        default=(), description="The statuses that say that there is no such key, such as 404; any other is an error."
    )

    @model_validator(mode="after")
    def _sends_the_mark(self) -> MarkRequest:
        if self.body is None or MARK not in {name for name, _ in names_in_body(self.body)}:
            raise ValueError("body has no {{ mark }}, so that nothing would be marked")
        return self


class HttpKeys(Spec):
    """Which keys the service takes, besides what holds for every one."""

    pattern: str | None = Field(default=None, max_length=500, description="RE2 that a whole key has to match.")
    rule: str | None = Field(
        default=None, min_length=1, max_length=300, description="What the pattern demands, in words, for the error."
    )
    max_bytes: int | None = Field(default=None, ge=1, le=1024, description="How long a key may be.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                compile_regexp(f"^(?:{pattern})$")
            except ExpressionError:
                raise ValueError("it is no regular expression of RE2") from None
        return pattern


class HttpValues(Spec):
    """Which values the service takes, and how they are sent."""

    max_bytes: int | None = Field(default=None, ge=1, description="How large a value may be.")
    empty: bool = Field(default=True, description="Whether it takes an empty value.")
    encoding: Literal["Text", "Base64"] = Field(
        default="Text", description="Base64: {{ value }} is sent so, and what is read is decoded; any bytes go."
    )


class HttpConfig(Spec):
    """Any service with a REST API in JSON, by templates of its requests. Those that are left out it cannot do."""

    address: PlainPathAddress = Field(description="Where the service is: every request goes there, below its path.")
    auth: HttpAuth | None = None
    tls: Tls = Tls()
    vars: dict[str, str | int | bool] = Field(
        default={},
        max_length=_MOST,
        description="Texts, numbers and booleans for placeholders, such as a project's id.",
    )
    headers: dict[str, str] = Field(default={}, max_length=_MOST, description="Of every request.")
    keys: HttpKeys = HttpKeys()
    values: HttpValues = HttpValues()
    lists: ListRequest | None = Field(default=None, alias="list", description="Without it there are no queries.")
    look: LookRequest | None = Field(default=None, description="Default: looked at by list.")
    read: ReadRequest | None = Field(default=None, description="Without it no value is read: a destination alone.")
    write: PutRequest | None = Field(default=None, description="In place of create and update.")
    create: CreateRequest | None = None
    update: UpdateRequest | None = None
    delete: DeleteRequest | None = Field(default=None, description="Without it nothing is ever deleted.")
    mark: MarkRequest | None = Field(
        default=None, description="Marks what is taken over. Without it there are no marks: the ledger alone knows."
    )

    @field_validator("address")
    @classmethod
    def _is_a_service(cls, address: str) -> str:
        host = host_of(address)
        if host is not None and tells_of_the_machine(host.name):
            raise ValueError("that is where a machine asks for its own credentials, and no service")
        return address

    @field_validator("vars")
    @classmethod
    def _are_vars(cls, given: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for name, value in given.items():
            if not re.fullmatch(NAME, name) or name in OURS:
                raise ValueError(
                    f"a var's name is made of letters, digits and _, and is none of {', '.join(sorted(OURS))}"
                )
            if _is_too_large(value):
                raise ValueError("a var that is a number has 15 digits at the most; write it as a text")
            if isinstance(value, str) and (len(value) > 1000 or not value.isprintable()):
                raise ValueError("a var is one line of text")
        return given

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        headers_checked(headers)
        given = info.data.get("vars", {})
        if fault := unknown_fault("headers", _names(headers), given, OURS) or _header_fault(headers, given):
            raise ValueError(fault)
        return headers

    @field_validator("lists", "look", "read", "write", "create", "update", "delete", "mark")
    @classmethod
    def _can_be_filled_in(cls, request: Request | None, info: ValidationInfo) -> Request | None:
        given = info.data.get("vars")
        if request is None or given is None:
            return request
        if (
            fault := request.placeholder_fault(given)
            or _path_fault(request.path, given)
            or _header_fault(request.headers, given)
        ):
            raise ValueError(fault)
        auth = info.data.get("auth")
        if auth is not None and auth.header.lower() in map(str.lower, request.headers):
            raise ValueError("headers has the header of auth")
        return request

    @model_validator(mode="after")
    def _fits_together(self) -> HttpConfig:
        if self.auth is not None and self.auth.header.lower() in map(str.lower, self.headers):
            raise ValueError("headers has the header of auth")
        if self.write is not None and (self.create is not None or self.update is not None):
            raise ValueError("give write, or create and update")
        if (self.create is None) != (self.update is None):
            raise ValueError("create and update go together; one request that does both is write")
        looks = [each for each in (self.lists, self.look, self.read) if each is not None]
        if not looks and self.write is None and self.create is None:
            raise ValueError("give at least one of list, look, read, write, or create and update")
        if self.create is not None and self.look is None and self.lists is None:
            raise ValueError("create and update need look or list, to know which of them it is")
        if self.read is not None and self.look is None and self.lists is None:
            raise ValueError("read needs look or list: whether a key is there is asked without its value")
        if len({_tells_versions(each) for each in looks}) > 1:
            raise ValueError("all of list, look and read that are given show a version, or none of them does")
        self._check_ids()
        self._check_filter()
        self._check_marks()
        return self

    def _check_ids(self) -> None:
        """Raise ValueError where something is needed that nothing shows."""
        users = [each for each in (self.read, self.update, self.delete, self.mark) if each is not None]
        shown = {name: each for name, each in (("list", self.lists), ("look", self.look)) if each is not None}
        if any(each.uses(ID) for each in users) and not shown:
            raise ValueError("{{ id }} is used, and needs list or look, which show it")
        if self.read is not None and not self.read.uses(ID):
            shown["read"] = self.read
        if self.has_ids or any(each.uses(ID) for each in users):
            for name, each in shown.items():
                if each.id is None:
                    raise ValueError(f"ids are shown or used, and {name} says not where an answer has it: give its id")
        if (
            any(each.uses(VERSION) for each in (self.update, self.delete, self.mark) if each is not None)
            and not self.versioned
        ):
            raise ValueError("{{ version }} is used, and nothing shows a version: give version to list, look and read")

    def _check_filter(self) -> None:
        """Raise ValueError where a key that a filter leaves out could be looked at or changed all the same."""
        if self.lists is None or not self.lists.where:
            return
        if self.look is not None or self.write is not None:
            raise ValueError("list.where chooses among entries of one key: leave out look, and give create and update")
        users = {"read": self.read, "update": self.update, "delete": self.delete, "mark": self.mark}
        for name, each in users.items():
            if each is not None and (not each.uses(ID) or each.uses(KEY)):
                raise ValueError(f"list.where chooses among entries of one key: {name} has to name one by {{{{ id }}}}")

    def _check_marks(self) -> None:
        """Raise ValueError where some of what marks take is there, and some is not."""
        looks = {name: each.mark for name, each in (("list", self.lists), ("look", self.look)) if each is not None}
        creates = self.create is not None and self.create.uses(MARK)
        if self.read is not None and self.read.mark is not None:
            raise ValueError("a mark is looked for where no value is: give mark to list and look, and not to read")
        updates = self.update is not None and self.update.uses(MARK)
        if not (any(looks.values()) or creates or updates or self.mark):
            return
        missing = [f"{name}.mark, where an answer has it" for name, path in looks.items() if path is None]
        missing += [] if creates else ["{{ mark }} in the body of create, which is not there with write"]
        missing += [] if self.mark is not None else ["mark, the request that marks what is taken over"]
        if missing:
            raise ValueError(f"marks take all of their parts, and there is no {'; no '.join(missing)}")

    @property
    def requests(self) -> Iterator[tuple[str, Request]]:
        """The operations that are described, by their names in a document."""
        for name in ("list", "look", "read", "write", "create", "update", "delete", "mark"):
            found = self.lists if name == "list" else getattr(self, name)
            if found is not None:
                yield name, found

    @property
    def versioned(self) -> bool:
        """Whether it shows versions."""
        return any(_tells_versions(each) for each in (self.lists, self.look) if each is not None)

    @property
    def has_ids(self) -> bool:
        """Whether it shows ids."""
        return any(each.id is not None for each in (self.lists, self.look) if each is not None)

    @property
    def marks(self) -> bool:
        """Whether what it creates can carry our mark."""
        return self.mark is not None

    @property
    def compares(self) -> bool:
        """Whether an update is made of what was seen alone, and a create of what is absent alone."""
        return (
            self.update is not None
            and self.update.uses(VERSION)
            and self.create is not None
            and bool(self.create.exists)
        )


def headers_checked(headers: dict[str, str]) -> dict[str, str]:
    """Headers of a document. Raises ValueError for those that it may not give."""
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is given twice")
    for name, template in headers.items():
        if not re.fullmatch(_HEADER_NAME, name):
            raise ValueError("the name of a header is made of letters, digits and dashes")
        if name.lower() in _FRAMING:
            raise ValueError("it has a header that says how a request is sent, which is not the document's to say")
        if name.lower() in _CREDENTIALS or looks_like_a_token(template):
            raise ValueError("a credential stands in no document: give it by auth, which has a header too")
        if fault := text_fault(template):
            raise ValueError(fault)
        if not is_header(template):
            raise ValueError("a header is printable ASCII in one line")
    return headers


def _tells_versions(request: object) -> bool:
    if isinstance(request, LookRequest):
        return request.tells_versions
    return isinstance(request, ListRequest) and request.version is not None


def _path_fault(path: str, given: dict[str, Any]) -> str:
    """Why a path would be none with these vars, whatever the key is."""
    try:
        path_of(path, {**given, KEY: "key", ID: "id"})
    except UnfitError:
        return "path has a var that cannot stand in a path"
    return ""


def _header_fault(headers: dict[str, str], given: dict[str, Any]) -> str:
    fits = all(is_header(text_of(given[name])) for name in _names(headers) if name in given)
    return "" if fits else "headers has a var that cannot stand in a header"


def _names(headers: dict[str, str]) -> list[str]:
    return [name for each in headers.values() for name in names_in(each)]


def _parts_of(body: Any) -> Iterator[Any]:
    """The texts, numbers and the like in a body, with the names of fields."""
    if isinstance(body, list):
        for each in body:
            yield from _parts_of(each)
    elif isinstance(body, dict):
        yield from body
        for each in body.values():
            yield from _parts_of(each)
    else:
        yield body


def _is_too_large(part: object) -> bool:
    """Whether something is a number that JSON's readers do not agree about."""
    return isinstance(part, int | float) and not abs(part) < 10**15
