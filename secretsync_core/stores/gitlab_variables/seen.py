"""What answers say of one variable, field by field, and never its value: that is taken by a read alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.inventory import Entry
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.gitlab_variables.marks import mark_of, text_of

if TYPE_CHECKING:
    from secretsync_core.model.metadata import Described
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

TYPES = {"env_var": "Variable", "file": "File"}


class About(NamedTuple):
    """One variable, without its value. ``scope`` is None for one of an instance."""

    key: str
    scope: str | None
    hidden: bool
    masked: bool
    raw: bool
    protected: bool
    type: str
    description: str

    @property
    def mark(self) -> str:
        """Our mark, or somebody's; empty where it has none."""
        return mark_of(self.description)

    @property
    def described(self) -> Entry:
        """What a look shows, with all that stands beside the value."""
        notes = {
            Slot(Kind.HIDDEN): _text(self.hidden),
            Slot(Kind.MASKED): _text(self.masked),
            Slot(Kind.RAW): _text(self.raw),
            Slot(Kind.PROTECTED): _text(self.protected),
            Slot(Kind.VARIABLE_TYPE): TYPES[self.type],
        }
        if text := text_of(self.description):
            notes[Slot(Kind.DESCRIPTION)] = text
        return Entry(self.key, None, metadata={}, notes=notes)


def row_of(part: Part, *, scoped: bool) -> tuple[str, str | None]:
    """Key and environment scope of one variable."""
    return part.text("key"), part.text("environment_scope") if scoped else None


def about(part: Part, *, scoped: bool) -> About:
    """Take one variable apart. Raises MalformedAnswer for what does not fit."""
    kind = part.text("variable_type")
    if kind not in TYPES:
        raise part.wrong("variable_type", "env_var or file")
    return About(
        *row_of(part, scoped=scoped),
        _flag(part, "hidden"),
        _flag(part, "masked"),
        _flag(part, "raw"),
        _flag(part, "protected"),
        kind,
        part.text_or_none("description") or "",
    )


def asked_of(config: GitlabVariablesConfig) -> Described:
    """What a document wants beside the value of every secret of a job."""
    asked = {Slot(Kind.RAW): _text(config.raw), Slot(Kind.VARIABLE_TYPE): config.type}
    if config.hides:  # and masked with it, for good
        asked[Slot(Kind.HIDDEN)] = _text(True)
    else:
        asked[Slot(Kind.MASKED)] = _text(config.visibility == "Masked")
    if config.protected is not None:
        asked[Slot(Kind.PROTECTED)] = _text(config.protected)
    if config.description is not None:
        asked[Slot(Kind.DESCRIPTION)] = config.description
    return asked


def sent(wanted: Described) -> dict[str, object]:
    """The same as the fields of a request; a description stands in it as it is. That one is hidden cannot be set."""
    kinds = {word: kind for kind, word in TYPES.items()}
    fields: dict[str, object] = {}
    for slot, text in wanted.items():
        if slot.kind is Kind.VARIABLE_TYPE:
            fields["variable_type"] = kinds[text]
        elif slot.kind is Kind.DESCRIPTION:
            fields["description"] = text
        elif slot.kind is not Kind.HIDDEN:
            fields[slot.kind.value] = text == "true"
    return fields


def _flag(part: Part, name: str) -> bool:
    """A boolean. ``null`` counts as false (doc/api/rest); older servers leave the younger ones out."""
    return part.flag(name) if part.has(name) else False


def _text(flag: bool) -> str:
    return "true" if flag else "false"
