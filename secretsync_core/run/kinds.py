"""Which kind a secret has at its destination: the source's, where both know kinds, or else the one that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.run.convert import is_text
from secretsync_core.secret import TEXT, SecretValue

if TYPE_CHECKING:
    from secretsync_core.model.capabilities import StoreFacts


def kept_by(facts: StoreFacts, value: SecretValue) -> SecretValue:
    """The value as the store gives it back: without a kind where it keeps none."""
    return value if facts.kinds or not value.kind else SecretValue(value.reveal())


def of_the_kind_there(value: SecretValue, there: SecretValue) -> SecretValue:
    """The value as it is to be written in the place of another one.

    A blob of which nobody knows whether it is text or bytes is what stands there, unless it cannot be. Fields take the
    kind that is there in any case: the type of a Kubernetes Secret never changes.
    """
    payload = value.reveal()
    if isinstance(payload, bytes):
        if value.kind or not there.kind or (there.kind == TEXT and not is_text(payload)):
            return value
    elif value.kind == there.kind:
        return value
    return SecretValue(payload, there.kind)


def type_kept(value: SecretValue, there: SecretValue, facts: StoreFacts) -> str:
    """One sentence where an update leaves a secret of another type than is wanted; empty where it does not.

    Wanted is what the destination's document gives to all that is created there, or else what the source has.
    """
    if value.is_blob or not there.kind:
        return ""
    if facts.one_kind and facts.one_kind != there.kind:
        return f"its type stays {there.kind}, and the SecretStore says {facts.one_kind}: delete it and sync again"
    if not value.kind or value.kind == there.kind:
        return ""
    return f"its type stays {there.kind}, and at the source it is {value.kind}"
