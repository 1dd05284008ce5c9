"""What stores take as metadata: the one place that knows their bounds, for documents, for plans and for stores."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from secretsync_core.key_rules import whole
from secretsync_core.model.metadata import Kind, MetadataRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.model.metadata import Described, MetadataFacts, Slot

OURS = "secretsync.io/"
"""Names that begin so are SecretSync's own: nobody asks for them, and they are never copied."""

NEVER_COPIED = (OURS, "kubectl.kubernetes.io/", "aws:")
"""How names begin that are never copied: our own marks, kubectl's copy of a whole Secret, and what is AWS's own."""

_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
QUALIFIED_NAME = rf"({_DNS}(\.{_DNS})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?"
MOST_TAGS = 50
MOST_CUSTOM = 64
ANNOTATION_BYTES = 256 * 1024

AWS_TAG = MetadataRule(
    most=MOST_TAGS,
    longest_name=128,
    longest_text=256,
    in_characters=True,
    # RE2's \w is ASCII alone.
    name_pattern=r"[\pL\pN_ .:/=+@-]+",
    name_rule="letters, digits, spaces and _ . : / = + - @",
    text_pattern=r"[\pL\pN_ .:/=+@-]*",
    text_rule="letters, digits, spaces and _ . : / = + - @",
    reserved=("aws:",),
)
_NAME_RULE = (
    "a name of at most 63 letters, digits, - _ and . that begins and ends with a letter or digit, after a domain"
)
LABEL = MetadataRule(
    longest_name=253 + 1 + 63,
    name_pattern=QUALIFIED_NAME,
    name_rule=f"{_NAME_RULE} and / if it has one",
    text_pattern=LABEL_VALUE,
    text_rule="at most 63 letters, digits, - _ and ., the first and the last a letter or digit",
)
ANNOTATION = MetadataRule(
    longest_name=253 + 1 + 63,
    name_pattern=QUALIFIED_NAME,
    name_rule=f"{_NAME_RULE} and / if it has one",
    all_bytes=ANNOTATION_BYTES,
)
CUSTOM_METADATA = MetadataRule(
    most=MOST_CUSTOM,
    longest_name=128,
    longest_text=512,
    name_pattern=r"[^\pC\pZ]([^\pC]*[^\pC\pZ])?",
    name_rule="printable, without spaces at its ends",
    text_pattern=r"[^\pC]+",
    text_rule="printable, and not empty",
)


TIME = MetadataRule(times=True)
SWITCH = MetadataRule(text_pattern="true|false", text_rule="true or false")


def in_utc(text: str) -> str | None:
    """A time with its zone as :data:`TIME` has it; None for what is none, or is before 1970."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or moment.microsecond:
            return None
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1970 else None


def metadata_fault(wanted: Described, found: Described, facts: MetadataFacts) -> str:
    """Why a store would not take ``wanted`` beside what a secret has already; empty where it would. Shows no text."""
    for slot, text in wanted.items():
        rule = facts.rules.get(slot.kind) or facts.settings.get(slot.kind)
        if rule is not None and (fault := text_fault(slot, text, rule)):
            return fault
    return _crowded({**found, **wanted}, facts.rules)


def change_fault(wanted: Described, facts: MetadataFacts) -> str:
    """Why what is ``wanted`` cannot be set on a secret that is there; empty where it can."""
    return next(
        (f"{slot.words}: {facts.only_created[slot.kind]}" for slot in wanted if slot.kind in facts.only_created), ""
    )


def text_fault(slot: Slot, text: str, rule: MetadataRule) -> str:
    """Why one piece of metadata is not allowed; empty where it is."""
    shown = slot.words if len(slot.words) <= _SHOWN else f"{slot.words[:_SHOWN]}..."
    if fault := name_fault(slot.name, rule):
        return f"{shown}: {fault}"
    if fault := value_fault(text, rule):
        return f"{shown}: {fault}"
    return ""


def name_fault(name: str, rule: MetadataRule) -> str:
    """Why a name is not allowed, without the name; empty where it is."""
    if any(name.lower().startswith(each) for each in rule.reserved):
        return f"names that begin with {' or '.join(rule.reserved)} are reserved there"
    if rule.longest_name is not None and _length(name, rule) > rule.longest_name:
        return f"its name is longer than {rule.longest_name} {_unit(rule)}"
    if rule.name_pattern is not None and not whole(rule.name_pattern, name):
        return f"its name must be {rule.name_rule}"
    return ""


def value_fault(text: str, rule: MetadataRule) -> str:
    """Why a text is not allowed, without the text; empty where it is."""
    if rule.longest_text is not None and _length(text, rule) > rule.longest_text:
        return f"it is longer than {rule.longest_text} {_unit(rule)}"
    if rule.times and in_utc(text) != text:
        return "it must be a time with its zone, in whole seconds from 1970 on, such as 2027-01-01T00:00:00Z"
    if rule.text_pattern is not None and not whole(rule.text_pattern, text):
        return f"it must be {rule.text_rule}"
    return ""


_SHOWN = 80


def _crowded(together: Described, rules: Mapping[Kind, MetadataRule]) -> str:
    counts = Counter(slot.kind for slot in together)
    for kind, rule in rules.items():
        if rule.most is not None and counts[kind] > rule.most:
            what = "pieces of custom metadata" if kind is Kind.CUSTOM else f"{kind}s"
            return f"it would have {counts[kind]} {what}, and the store takes {rule.most}"
        size = sum(_size(slot.name) + _size(text) for slot, text in together.items() if slot.kind is kind)
        if rule.all_bytes is not None and size > rule.all_bytes:
            return f"its {kind}s would have more than {rule.all_bytes:,} bytes together"
    return ""


def takes(pattern: str, name: str) -> bool:
    """Whether a pattern, in which ``*`` stands for any characters but ``/``, is the name of a piece of metadata."""
    patterns, names = pattern.split("/"), name.split("/")
    return len(patterns) == len(names) and all(map(_takes_part, patterns, names))


def _takes_part(pattern: str, text: str) -> bool:
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    last = middle.pop()
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _length(text: str, rule: MetadataRule) -> int:
    return len(text) if rule.in_characters else _size(text)


def _unit(rule: MetadataRule) -> str:
    return "characters" if rule.in_characters else "bytes"


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
