"""What readable and hidden variables have in common: they are looked at, listed, described, written and deleted.

There are no versions, and nothing can be made a condition. What is written is looked at by whoever asks for it, right
before; creating never replaces, and updating never creates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, SecretNotFound, SecretSyncError, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Gap
from secretsync_core.model.metadata import Kind, MetadataFacts, Slot
from secretsync_core.stores.fit import blob_of, check_folder, check_key, check_new_key, sort_out_keys
from secretsync_core.stores.gitlab_variables.answers import Request
from secretsync_core.stores.gitlab_variables.config import EVERY_SCOPE
from secretsync_core.stores.gitlab_variables.connection import Answer
from secretsync_core.stores.gitlab_variables.listing import Listing
from secretsync_core.stores.gitlab_variables.marks import marked, text_of
from secretsync_core.stores.gitlab_variables.names import (
    HIDDEN_RULE,
    INSTANCE_CHARACTERS,
    KEY_LIMITS,
    LIMITS,
    limits_of,
)
from secretsync_core.stores.gitlab_variables.place import SERVICE
from secretsync_core.stores.gitlab_variables.seen import about, asked_of, sent
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import must_be_seen, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.place import Place
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig
    from secretsync_core.stores.gitlab_variables.connection import Connection
    from secretsync_core.stores.gitlab_variables.scope import Scope
    from secretsync_core.stores.gitlab_variables.seen import About


class Shelf:
    """See the module."""

    LIMITS = LIMITS

    def __init__(
        self, config: GitlabVariablesConfig, connection: Connection, scope: Scope, place: Place | None, mark: str
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._mark = mark
        self._hides = config.hides
        self._listing = Listing(connection, scope)
        self.facts = StoreFacts(
            name=connection.store,
            provider=SERVICE,
            shape=Shape.BLOB,
            versioned=False,
            limits=limits_of(config),
            place=place,
            metadata=MetadataFacts(asked=asked_of(config), only_created={Kind.HIDDEN: HIDDEN_RULE}),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    # -- looking

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists: one by one, or by a listing where that is fewer requests."""
        async for found in self._some(keys):
            yield found if isinstance(found, Gap) else found.described._replace(metadata=None, notes=None)

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``; ``notes`` are the settings and the description. Costs no more."""
        async for found in self._some(keys):
            yield found if isinstance(found, Gap) else found.described

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield all that there is. There are no folders, and nothing that a query could select by."""
        check_folder(prefix, self.facts.name)
        if not prefix:
            for found in await self._listing.all():
                yield (
                    found
                    if isinstance(found, Gap)
                    else found.described
                    if metadata
                    else found.described._replace(metadata=None, notes=None)
                )

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one, at the end of their descriptions."""
        marks = {}
        async for found in self._some(keys):
            if isinstance(found, Gap):
                must_be_seen(found, self.facts.name)
            elif found.mark:
                marks[found.key] = found.mark
        return marks

    async def _some(self, keys: Collection[str]) -> AsyncIterator[About | Gap]:
        good, bad = sort_out_keys(keys, self.facts.name, KEY_LIMITS)
        for gap in bad:
            yield gap
        if len(good) <= self._listing.pages:
            for key in good:
                try:
                    one = await self._listing.one(key)
                except StoreError as error:
                    yield unseen(key, error)
                    continue
                if one is not None:
                    yield one
            return
        wanted = frozenset(good)
        for found in await self._listing.all():
            if (found.prefix if isinstance(found, Gap) else found.key) in wanted:
                yield found

    # -- changing

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, its form, its size, or that it cannot be masked."""
        self._text(key, value)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Replace the variable's value, with the document's settings, or create it."""
        text = self._text(key, value)
        if not await self._may_update(key):
            await self._create(key, text)
            return None
        request = self._listing.request("write", key)
        answer = await self._put(request, {"value": text, **sent(self._settings())})
        if answer is None:
            return None
        if not answer.says_absent:
            raise answer.refusal(request)
        await Doubt(unanswered=answer.unanswered).of(self._create(key, text))
        return None

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Create the variable. Raises Conflict where it is there."""
        await self._create(key, self._text(key, value))
        return None

    async def delete(self, key: str) -> None:
        """Delete it for good."""
        check_key(key, self.facts.name, KEY_LIMITS)
        if not await self._may_update(key):
            return
        request = self._listing.request("delete", key)
        answer = await self._connection.delete(self._scope.path(key), request)
        if answer is None:
            return
        doubt = Doubt(unanswered=answer.unanswered)
        if answer.says_absent and await doubt.of(self._listing.one(key)) is None:
            return
        raise answer.refusal(request)

    async def mark(self, key: str) -> None:
        """Put this store's mark on a variable that is there, at the end of its description."""
        there = await self._there(key)
        await self._set(key, {"description": marked(text_of(there.description), self._mark)})

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set settings and the description, in one request without the value. A mark stays."""
        fields = sent(wanted)
        if "description" in fields:
            there = await self._there(key)
            fields["description"] = marked(wanted[Slot(Kind.DESCRIPTION)], there.mark)
        kept = (await self._set(key, fields)).described.notes or {}
        if lost := sorted(slot.words for slot, text in wanted.items() if kept.get(slot) != text):
            raise StoreError(
                f"{self.facts.name} does not keep of {key}: {', '.join(lost)}",
                store=self.facts.name,
                key=key,
                hint="that GitLab is too old for it: see docs/stores/gitlab-variables.md",
            )
        return version

    def _settings(self) -> Described:
        """What is sent with each new value, so that none stands unmasked until the request after it."""
        return {slot: text for slot, text in self.facts.metadata.asked.items() if slot.kind is not Kind.DESCRIPTION}

    async def _may_update(self, key: str) -> bool:
        """Whether an update or a delete would reach our variable, as far as it has to be looked at before.

        Where GitLab does not heed our environment scope, it would reach another one of that name, and whose answer that
        is we would know only afterwards. Raises MalformedAnswer where it shows us another one by now.
        """
        return self._scope.heeds or await self._listing.one(key) is not None

    async def _there(self, key: str) -> About:
        check_key(key, self.facts.name, KEY_LIMITS)
        found = await self._listing.one(key)
        if found is None:
            raise self._absent(key)
        return found

    async def _set(self, key: str, fields: Mapping[str, object]) -> About:
        check_key(key, self.facts.name, KEY_LIMITS)
        if not await self._may_update(key):
            raise self._absent(key)
        request = Request(self.facts.name, self._scope, f"set the metadata of {key}", key)
        found = await self._connection.ask(
            "metadata", "put", self._scope.path(key), request, lambda part: self._listing.checked(part, key), fields
        )
        if not isinstance(found, Answer):
            return found
        if found.says_absent:
            await self._listing.confirm()
            raise self._absent(key)
        raise found.refusal(request)

    async def _put(self, request: Request, fields: Mapping[str, object]) -> Answer | None:
        """Update the variable; None where that is done."""
        key = request.key or ""
        found = await self._connection.ask(
            "write", "put", self._scope.path(key), request, lambda part: self._listing.checked(part, key), fields
        )
        return found if isinstance(found, Answer) else None

    async def _create(self, key: str, text: str) -> None:
        request = self._listing.request("write", key)
        asked = self.facts.metadata.asked
        fields = {"key": key, "value": text, **sent(asked)}
        description = marked(asked.get(Slot(Kind.DESCRIPTION), ""), self._mark)
        if description:
            fields["description"] = description
        if self._scope.environment is not None:
            fields["environment_scope"] = self._scope.environment
        if self._hides:  # a GitLab that does not know the second at least masks it
            fields |= {"masked": True, "masked_and_hidden": True}

        def made(part: Part) -> About:
            found = about(part, scoped=self._scope.environment is not None)
            if found.key != key:
                raise part.wrong("key", "the name that was sent")
            if found.scope not in (self._scope.environment, None if self._scope.heeds else EVERY_SCOPE):
                raise part.wrong("environment_scope", "the scope that was sent")
            return found

        found = await self._connection.ask("write", "post", self._scope.base, request, made, fields)
        if isinstance(found, Answer):
            raise found.refusal(request)
        if found.scope != self._scope.environment:
            await self._take_back(
                found,
                text,
                lambda there: there.scope != self._scope.environment,
                f"{self.facts.name} creates {key} for every environment, not for {self._scope.environment!r}",
                "environment scopes of groups are for GitLab Premium: leave environmentScope out, or use projects",
            )

        def is_shown(there: About) -> bool:
            return there.hidden is not self._hides or (bool(fields["masked"]) and not there.masked)

        if is_shown(found):
            await self._take_back(
                found,
                text,
                is_shown,
                f"{self.facts.name} does not hide or mask {key}",
                "GitLab hides variables from 17.4 on: use visibility: Masked, or a newer GitLab",
            )

    async def _take_back(self, made: About, text: str, is_wrong: Callable[[About], bool], why: str, hint: str) -> None:
        """Remove what was created otherwise than asked, if what is there is what we sent, and is as wrong.

        That it was created says that it was not there before. An answer alone is not believed so far.
        """
        scope = self._scope if made.scope is None else self._scope._replace(environment=made.scope)
        there = Listing(self._connection, scope)
        request = there.request("remove", made.key)

        def seen(part: Part, found: About) -> tuple[bool, bool]:
            sent_so = part.text_or_none("value") == text or (found.hidden and bool(found.mark))
            return sent_so and found.mark == made.mark == (self._mark or made.mark), is_wrong(found)

        try:
            is_ours, is_so = await there.get("stat", request, seen) or (False, True)
            if is_ours and not is_so:
                return  # what the answer said was not so
            gone = is_ours and await self._connection.delete(scope.path(made.key), request) is None
        except SecretSyncError:
            gone = False
        error = InvalidSecret(
            f"{why}; it was {'removed again' if gone else 'not removed again: delete it in GitLab'}",
            store=self.facts.name,
            key=made.key,
            hint=hint,
        )
        error.unanswered = not gone
        raise error

    # -- in common

    def _text(self, key: str, value: SecretValue) -> str:
        """A value as it is sent. Raises InvalidSecret for what does not fit."""
        check_new_key(key, self.facts.name, KEY_LIMITS)
        text = blob_of(value, self.facts, key).decode()
        if self._scope.environment is None and len(text) > INSTANCE_CHARACTERS:
            raise InvalidSecret(
                f"{self.facts.name} cannot hold {key}: {len(text):,} characters, and {INSTANCE_CHARACTERS:,} fit",
                store=self.facts.name,
                key=key,
                hint="leave fields out by a valueTransform, or split it",
            )
        return text

    def _absent(self, key: str) -> SecretNotFound:
        return SecretNotFound(f"{key} does not exist in {self.facts.name}", store=self.facts.name, key=key)
