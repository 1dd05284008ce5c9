"""Version tokens of secrets: which of two is the older one, and which form they have wherever they are kept or shown.

A server says what a version is called, and may say anything: the value that it was just sent, too. So what leaves a
store has a form in which few values are: numbers, times, UUIDs and hex digits, by themselves or joined by an ``@``. In
place of a part that is of another form stands an alias, which no value can be read from.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum


class VersionOrder(StrEnum):
    """How the version tokens of a store are ordered."""

    NONE = "none"
    """Two of them only differ."""
    NUMBER_AND_TIME = "number-and-time"
    """``<number>@<time>``, the time in UTC as RFC 3339 has it. A secret that was made anew has a low number and a later
    time; a server whose clock is behind gives an earlier time to a higher number."""
    NUMBER_OF_ONE = "number-of-one"
    """``<number>@<id>``: of one id the number grows, and another id is another secret."""


_FIELDS = "@fields="


def is_older(token: str | None, known: str | None, order: VersionOrder) -> bool:
    """Whether a version is surely older than one that is known of the same key."""
    if order is VersionOrder.NONE or token is None or known is None or token == known:
        return False
    number, rest = _parts(token)
    known_number, known_rest = _parts(known)
    if number is None or known_number is None:
        return False
    if order is VersionOrder.NUMBER_OF_ONE:
        return rest == known_rest and number < known_number
    moment, known_moment = _moment(rest), _moment(known_rest)
    return bool(moment[0] and known_moment[0]) and number <= known_number and moment < known_moment


def is_same_object(one: str | None, other: str | None, order: VersionOrder) -> bool:
    """Whether two versions of a key are of one and the same secret, and not of one that was made anew in between.

    Where versions do not name the secret that they are of, as far as they tell: then they tell nothing.
    """
    if order is not VersionOrder.NUMBER_OF_ONE or one == other:
        return True
    if one is None or other is None:
        return False
    same = _parts(one)[1]
    return bool(same) and same == _parts(other)[1]


def _parts(token: str) -> tuple[int | None, str]:
    number, _, rest = token.partition(_FIELDS)[0].partition("@")  # the fields of a split secret share its version
    return (int(number) if number.isascii() and number.isdecimal() else None), rest


def _moment(text: str) -> tuple[str, str]:
    """A time in UTC, to be compared: the seconds, and the digits of the fraction. Empty texts where it is none."""
    plain = text.removesuffix("Z").removesuffix("+00:00")
    seconds, _, fraction = plain.partition(".")
    if plain == text or len(seconds) != len("2026-01-01T00:00:00") or not (fraction or "0").isdecimal():
        return "", ""
    return seconds, fraction.rstrip("0")


is_plain = re.compile(r"[0-9A-Fa-fTZ@.:+-]+").fullmatch
"""Whether a token has the form of numbers, times, UUIDs and hex digits."""

_KEPT = re.compile(r"(?:all:)?[0-9A-Fa-fTZ@.:+-]+(?:@fields=[0-9]+)?|pin:[0-9A-Za-z._/+=@:-]+")


def is_kept(version: str) -> bool:
    """Whether a version can be kept in the ledger: a plain token and what we make of them, or a document's pin."""
    return len(version) <= LONGEST_KEPT and _KEPT.fullmatch(version) is not None


LONGEST_KEPT = 256
"""How many characters a version has in the ledger at the most."""

is_alias = re.compile(r"Z[0-9a-f]{32}").fullmatch
"""Whether a part of a token, before or after its ``@``, is an alias."""


def plain_token(token: str) -> str:
    """A store's token in a plain form: as it is, or with aliases for the parts that are of another form."""
    if is_plain(token):
        return token
    number, at, rest = token.partition("@")
    return f"{_plain(number)}{at}{_plain(rest)}"


def kept_version(version: str | None) -> str | None:
    """A version as it is kept, of one that an older ledger or a document has in another form."""
    if version is None or is_kept(version):
        return version
    if version.startswith(_PIN):
        return f"{_PIN}{_alias(version)}"
    token, fields, count = version.partition(_FIELDS)
    return f"{plain_token(token)}{fields}{count if is_plain(count) else _plain(count)}"


_PIN = "pin:"


def _plain(part: str) -> str:
    return part if not part or is_plain(part) else _alias(part)


def _alias(part: str) -> str:
    return f"Z{hashlib.sha256(b'version' + bytes(1) + part.encode()).hexdigest()[:32]}"
