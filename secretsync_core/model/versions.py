"""Which of two versions of a secret is the older one, as far as their tokens tell."""

from __future__ import annotations

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
