"""Templates that would run for ever or fill the memory: each ends within seconds, with an error."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from support.slow import one_in

from secretsync_core.expression.bounds import MAX_SOURCE, MAX_TEXT
from secretsync_core.expression.errors import ExpressionError, RenderError
from secretsync_core.expression.template import compile_template

SECONDS = 5.0  # of this thread's own time, so that a busy machine does not count
TEN = "{% set l = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] %}"
BIG = "{{ big | length }}{% set s = big %}"


def nested(depth: int, body: str) -> str:
    loops = "".join(f"{{% for a{number} in l %}}" for number in range(depth))
    return TEN + loops + body + "{% endfor %}" * depth


HOSTILE = {
    "nested loops": nested(12, "x"),
    "nested loops without a body": nested(12, ""),
    "doubling a text": "{% set s = big %}" + "{% set s = s ~ s %}" * 60,
    "doubling by plus": "{% set s = big %}" + "{% set s = s + s %}" * 60,
    "doubling a list": TEN + "{% set l = l + l %}" * 60,
    "doubling a tree": TEN + "{% set l = [l, l] %}" * 60 + "{{ l | tojson }}",
    "comparing a doubled tree": TEN + "{% set l = [l, l] %}" * 16 + "{{ l == l }}" * 100,
    "doubling by join": "{% set s = big %}" + "{% set s = [s, s] | join(s) %}" * 30,
    "doubling by replace": "{% set s = 'aa' %}" + "{% set s = s | replace('a', s) %}" * 30,
    "quoting quotes": '{% set s = "\'" %}' + "{% set s = s | quote %}" * 60,
    "base64 of base64": "{% set s = big %}" + "{% set s = s | b64encode %}" * 200,
    "urlencode of urlencode": "{% set s = '/' %}" + "{% set s = s | urlencode %}" * 400 + "{{ big | urlencode }}" * 900,
    "JSON of JSON": "{% set s = '\"' %}" + "{% set s = s | tojson %}" * 60,
    "indented JSON": TEN + "{% set l = [l] %}" * 39 + "{{ [l, l, l] | tojson(16) }}" * 300,
    "wide indentation": "{{ big | replace('x', '\n') | indent(100) }}",
    "much output": TEN + nested(4, "{{ big }}"),
    "much literal output": nested(6, "x" * 30_000),
    "many texts kept": "".join(f"{{% set s{n} = big ~ '{n}' %}}" for n in range(900)),
    "split to pieces": "".join(f"{{% set s{n} = big.split('x') %}}" for n in range(900)),
    "big numbers": "{% set n = 9000000000000000000 %}" + "{% set n = n + n %}" * 60,
    "sorting much": "{% set l = big.split('x') %}" + "{{ l | sort | length }}" * 900,
    "searching much": "{{ (big ~ 'y') in (big ~ big) }}" * 400,
    "deep JSON": "{{ deep | fromjson | tojson }}",
    "upper in a loop": nested(5, "{{ (big | upper) | length }}"),
}


@pytest.mark.parametrize("source", one_in(5, HOSTILE.values()), ids=HOSTILE.keys())
def test_a_hostile_template_ends_soon_with_an_error(source: str) -> None:
    """A template built to take for ever or to fill the memory is stopped by its budget, early in both."""
    template = compile_template(source)
    context = {"big": "x" * 300_000, "deep": "[" * 100_000 + "]" * 100_000}
    tracemalloc.start()
    started = time.thread_time()
    with pytest.raises(RenderError):
        template.render(context)
    elapsed = time.thread_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert elapsed < SECONDS
    assert peak < 200 * 2**20


@pytest.mark.parametrize(
    "source",
    [
        "{{" + "(" * 30_000 + "1" + ")" * 30_000 + "}}",
        "{{" + "[" * 100 + "]" * 100 + "}}",
        "{{ a" + ".b" * 1000 + " }}",
        "{{ a" + " | upper" * 1000 + " }}",
        "{% if a %}" * 100 + "{% endif %}" * 100,
        "{% for a in b %}" * 30 + "{% endfor %}" * 30,
        "{{ a" + " + a" * 10_000 + " }}",
        "{{ " + "not " * 5000 + "a }}",
        "{{ " + "1" * 5000 + " }}",
        "{{ 0x" + "f" * 5000 + " }}",
        "{{ a }}" * 9000,
        "x" * (MAX_SOURCE + 1),
        "{{ [" + "1," * 30_000 + "] }}",
    ],
    ids=lambda source: source[:20],
)
def test_a_template_too_deep_or_too_large_does_not_compile(source: str) -> None:
    """Nesting and size are bounded before anything is built from them, so that compiling ends soon as well."""
    started = time.thread_time()
    with pytest.raises(ExpressionError):
        compile_template(source)
    assert time.thread_time() - started < SECONDS


def test_ordinary_work_is_far_within_the_budget() -> None:
    """A thousand fields, each put through several steps, and a text of nearly the largest size, both go through."""
    fields = {f"FIELD_{number}": "value" * 10 for number in range(1000)}
    source = "{% for k, v in fields.items() %}{% if v %}{{ k | lower }}={{ v | quote }}\n{% endif %}{% endfor %}"
    assert compile_template(source).render({"fields": fields}).count("\n") == 1000
    assert len(compile_template("{{ fields | tojson(2) }}").render({"fields": fields})) > 60_000
    large = "x" * (MAX_TEXT - 10)
    assert compile_template("{{ value }}").render({"value": large}) == large
