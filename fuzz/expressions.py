"""Templates from a grammar, RE2 expressions with their targets, and the small languages of quantities."""

from __future__ import annotations

import json
import re
from math import inf, nan
from typing import TYPE_CHECKING

from fuzz.fuzzer import CANARY
from secretsync_core.expression.errors import ExpressionError, RenderError
from secretsync_core.expression.filters import FILTERS, METHODS, TESTS
from secretsync_core.expression.regexp import Rewrite, compile_regexp
from secretsync_core.expression.template import compile_template, value_context
from secretsync_core.schema.quantities import Amount, Schedule, check_timezone, parse_duration, parse_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_NAMES = ("a", "b", "n", "t", "l", "m", "big", "deep", "f", "none", "fields", "missing", "loop", "self", "x", "odd")
_NUMBERS = ("0", "1", "-1", "1.5", "1e300", "1e999", "-1e999", "9223372036854775807", "9223372036854775808", "0x1f")
_TEXTS = ("''", "'a'", f"'{CANARY}'", "'\\n'", "'é'", "'{{'", f"'{'x' * 5000}'", "'\\ud800'", "'[1,2]'", "'YQ=='")
_WHOLE = (
    "{{ " + "(" * 500 + "a" + ")" * 500 + " }}",
    "{{ a" + " | upper" * 500 + " }}",
    "{{ a" + " ~ a" * 500 + " }}",
    "{% for x in wide %}" * 30 + "y" + "{% endfor %}" * 30,
    "{% set x = [l, l, l, l] %}" + "{% set x = [x, x, x, x] %}" * 30 + "{{ x | tojson }}",
    "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x ~ x ~ x %}" * 30 + "{{ x }}",
    "{% for x in wide %}{{ big in big }}{% endfor %}",
    "{% for x, y in l %}{% endfor %}",
    "{% set x, y = n %}",
    "{{ big.replace('a', big) }}",
    "{{ deep == deep }}",
    "{{ " + "9" * 5000 + " }}",
)


class Templates:
    """Templates, compiled and rendered."""

    def draw(self, random: Random) -> str:
        """A template; in one of ten the kind that asks for too much, and in one of twenty with a character wrong."""
        source = random.choice(_WHOLE) if random.random() < 0.1 else self._body(random, random.randrange(4))
        if random.random() < 0.05:
            at = random.randrange(len(source) + 1)
            source = source[:at] + random.choice(("{{", "}}", "{%", "\0", "|", "'", "(")) + source[at + 1 :]
        return source

    def attempt(self, case: str) -> str:
        """A template is refused, fails or renders, in words that quote nothing, and its own limits hold."""
        try:
            made = compile_template(case).render(value_context(_context()))
        except (ExpressionError, RenderError) as error:
            said = str(error)
            if CANARY in said:
                return "quotes the template or a value"
            return re.sub("line [0-9]+: ", "", said) if "it failed (" in said else ""
        return "" if len(made) <= 1 << 20 else "renders more than 1 MiB"

    def _body(self, random: Random, depth: int) -> str:
        return "".join(self._piece(random, depth) for _ in range(random.choice((1, 1, 2, 3))))

    def _piece(self, random: Random, depth: int) -> str:
        how = random.randrange(8)
        if how < 4:
            return f"{{{{ {self._expression(random, random.randrange(5))} }}}}"
        inner = self._body(random, depth - 1) if depth > 0 else random.choice(("text", "{{ a }}", CANARY, "\0"))
        if how == 4:
            return f"{{% if {self._expression(random, 2)} %}}{inner}{{% else %}}{inner}{{% endif %}}"
        if how == 5:
            target = random.choice(("x", "x, y", "(x, y), z", "loop", "x.y"))
            over = random.choice((self._expression(random, 2), "l", "m", "wide", "m | dictsort"))
            return f"{{% for {target} in {over} %}}{inner}{{{{ loop.index }}}}{{% endfor %}}"
        if how == 6:
            target = random.choice(("x", "a", "x, y", "(x, y), z", "self", "ns.x"))
            return f"{{% set {target} = {self._expression(random, 3)} %}}"
        return random.choice(("{# c #}", "{% raw %}", "{#", "{%", "{{", "{% endif %}", "{{ }}", "{% include 'x' %}"))

    def _expression(self, random: Random, depth: int) -> str:
        if depth <= 0:
            return random.choice((random.choice(_NAMES), random.choice(_NUMBERS), random.choice(_TEXTS), "[]", "{}"))

        def part() -> str:
            return self._expression(random, depth - 1 - random.randrange(2))

        how = random.randrange(10)
        if how == 0:
            return f"{part()} {random.choice(('+', '-', '~', '*', '==', '<', 'in', 'and', 'or'))} {part()}"
        if how in (1, 2, 3):
            arguments = random.choice(("", "", f"({part()})", f"({part()}, {part()})"))
            return f"{part()} | {random.choice((*FILTERS, 'map', 'eval'))}{arguments}"
        if how == 4:
            return f"{part()}.{random.choice((*METHODS, 'format', '__class__'))}({random.choice(('', part()))})"
        if how == 5:
            return f"{part()} is {random.choice((*TESTS, 'callable'))}"
        if how == 6:
            return random.choice((f"[{part()}, {part()}]", f"{{'k': {part()}}}", f"({part()},)"))
        if how == 7:
            return f"{part()}[{part()}{random.choice(('', ':', ':' + part(), '::' + part()))}]"
        if how == 8:
            return random.choice((f"not {part()}", f"-{part()}", f"({part()} if {part()} else {part()})"))
        return f"{part()}.{random.choice((*_NAMES, 'items', '__dict__', '0'))}"


def _context() -> dict[str, object]:
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    return {
        "a": f"{CANARY}a", "b": "", "n": 5, "t": '{"a": [1, null]}', "l": [1, "x", None, [2], {"y": CANARY}],
        "m": {"k": CANARY, "z": 1, "items": 3, "é": 4}, "big": "ab" * 20_000, "deep": deep, "f": 1e308, "none": None,
        "wide": list(range(1000)), "odd": "a\ud800b",
    }  # fmt: skip


_ATOMS = (
    "a", ".", "\\d", "\\w", "[a-z]", "[^/]", "(a)", "(?:b)", "(?P<n>x)", "^", "$", "\\b", "\\pL", "\\x{10FFFF}",
    "\\Qa.b\\E", "[[:alpha:]]", "(?i)", "\\C", "(?=a)", "\\1", "\\z", "é", "\0", "\ud800", "[", "]", "(", ")", "*", "+",
    "?", "{2}", "{1000}", "{1001}", "|", "\\", "(?>a)", "x.*z|", CANARY,
)  # fmt: skip
_TARGETS = ("$1", "${1}", "$n", "${n}", "\\1", "\\0", "$$", "\\\\", "$", "\\", "x", "é", "$99", "${}", "\ud800", CANARY)
_KEYS = ("", "a", "aab/x", "a" * 500, "é\U0001f600", "a\0b", "a\ud800", "x" * 60_000, "ab" * 300)


class Regexps:
    """Expressions with their targets, looked for in keys and replaced in them."""

    def draw(self, random: Random) -> str:
        """An expression and a target, as a list in JSON."""
        pattern = "".join(
            random.choice(_ATOMS) + random.choice(("", "", "", "*", "+", "?", "{3}", "*?"))
            for _ in range(random.randrange(9))
        )
        return json.dumps([pattern, "".join(random.choice(_TARGETS) for _ in range(random.randrange(5)))])

    def attempt(self, case: str) -> str:
        """An expression is refused, or finds and rewrites; a rewrite may refuse a key. Nothing of either is quoted."""
        pattern, target = json.loads(case)
        try:
            compiled = compile_regexp(pattern)
            for key in _KEYS:
                compiled.found(key)
        except ExpressionError as error:
            return "quotes the expression" if CANARY in str(error) else ""
        try:
            rewrite = Rewrite(pattern, target)
        except ExpressionError as error:
            return "quotes the target" if CANARY in str(error) else ""
        for key in _KEYS:
            try:
                rewrite.apply(key)
            except RenderError as error:
                if CANARY in str(error):
                    return "quotes the key"
        return ""


_PARTS = (
    "0", "1", "5", "100", "9" * 13, "9" * 5000, ".", "%", "/", "s", "m", "h", "d", "ms", " ", "\n", "-", "+", "e3", "٣",
    "@every", "@hourly", "*", "*/5", ",", "1-5", "3-3", "JAN", "mon", "7", "\0", "é", "inf", "nan", "UTC", "..", CANARY,
)  # fmt: skip
_ODD: tuple[object, ...] = (None, True, 0, -1, 10**13, 1.5, inf, -inf, nan, -1.0, 0.0, 1e18, [], {})
_LIMITS = {"duration": 366 * 86400.0, "rate": 10.0**9}
_PARSERS: dict[str, Callable[[object], object]] = {
    "amount": Amount.parse,
    "duration": parse_duration,
    "rate": parse_rate,
    "schedule": Schedule.parse,
    "timezone": lambda value: check_timezone(value) if isinstance(value, str) else None,
}


class Quantities:
    """Texts, and what else YAML has, where an amount, a duration, a rate, a schedule or a time zone belongs."""

    def draw(self, random: Random) -> str:
        """A value, as JSON with what Python adds to it: Infinity and NaN."""
        if random.random() < 0.1:
            return json.dumps(random.choice(_ODD))
        return json.dumps("".join(random.choice(_PARTS) for _ in range(random.randrange(7))))

    def attempt(self, case: str) -> str:
        """Each reads the value, within its bounds, or raises ValueError without quoting it."""
        value = json.loads(case)
        for name, parse in _PARSERS.items():
            try:
                made = parse(value)
            except ValueError as error:
                if CANARY in str(error):
                    return f"{name} quotes its value"
                continue
            if name in _LIMITS and not (isinstance(made, float | int) and 0 < made <= _LIMITS[name]):
                return f"{name} is out of bounds"
            if isinstance(made, Schedule) and Schedule.parse(made.cron).cron != made.cron:
                return "a schedule is not in its plain form"
        return ""
