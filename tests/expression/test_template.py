"""Templates: what they give, and how they fail."""

from __future__ import annotations

from typing import Any

import pytest

from secretsync_core.expression.errors import ExpressionError, RenderError
from secretsync_core.expression.template import compile_key_template, compile_template, key_context, value_context

FIELDS: dict[str, Any] = {
    "user": "ann",
    "password": "p'w @/",
    "port": 5432,
    "tls": True,
    "ratio": 0.5,
    "nothing": None,
    "empty": "",
    "items": "a field called items",
    "hosts": ["b", "a"],
    "db": {"user": "bob", "z": 1, "a": 2},
    "a-b": "dashed",
}


def render(source: str) -> str:
    return compile_template(source).render(value_context(FIELDS))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain text\n", "plain text\n"),
        ("{{ user }}:{{ port }}/{{ tls }}/{{ ratio }}", "ann:5432/true/0.5"),
        (
            "{{ fields['a-b'] }} {{ fields.user }} {{ items }} {{ fields.items }}",
            "dashed ann a field called items a field called items",
        ),
        ("{{ db.user }}{{ db['z'] }}{{ hosts[0] }}{{ hosts[-1] }}{{ user[1:] }}", "bob1bann"),
        ("{{ user ~ '-' ~ port }}{{ user + 'x' }}{{ port + 1 }}{{ port - 1 }}{{ -1 }}", "ann-5432annx54335431-1"),
        (
            "{{ nope | default('d') }}{{ db.nope | d('e') }}{{ empty | default('f') }}{{ empty | default('g', true) }}",
            "deg",
        ),
        ("{{ nothing | default('n', true) }}", "n"),
        ("{{ 'y' if nope is defined else 'n' }}{{ 'y' if db.nope is undefined else 'n' }}", "ny"),
        ("{% if port > 80 and not empty %}a{% elif nope %}b{% else %}c{% endif %}", "a"),
        (
            "{% for k, v in db.items() %}{{ loop.index }}{{ k }}={{ v }}{{ '' if loop.last else ',' }}{% endfor %}",
            "1a=2,2user=bob,3z=1",
        ),
        ("{% for h in hosts if h != 'b' %}{{ h }}{% else %}none{% endfor %}", "a"),
        ("{% for h in [] %}{{ h }}{% else %}none{% endfor %}", "none"),
        ("{% set host = hosts | first %}{{ host }}{{ hosts | last }}{{ hosts | length }}", "ba2"),
        (
            "{{ 'a' in hosts }} {{ 'nn' in user }} {{ 'user' in db }} {{ 'x' not in db }} {{ 1 < 2 <= 2 }}",
            "true true true true true",
        ),
        ("{% raw %}{{ user }}{% endraw %}{# a comment #}", "{{ user }}"),
        ("a\n  {%- if true %} b{% endif %}", "a b"),
        (
            "{{ 1 == 1.0 }} {{ tls is boolean }} {{ nothing is none }} {{ hosts is sequence }} {{ db is mapping }}",
            "true true true true true",
        ),
    ],
)
def test_what_a_template_gives(source: str, expected: str) -> None:
    """Output, fields, operators, conditions, loops and tests give what a user of Jinja2 and JSON expects."""
    assert render(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ user | upper }}{{ 'A' | lower }}{{ user.upper() }}", "ANNaANN"),
        (
            "{{ ' a ' | trim }}{{ ' a '.strip() }}{{ 'xax'.strip('x') }}{{ 'xa'.lstrip('x') }}{{ 'ax'.rstrip('x') }}",
            "aaaaa",
        ),
        ("{{ 'a/b' | replace('/', '_') }}{{ 'a/b'.replace('/', '') }}", "a_bab"),
        ("{{ 'a,b' | split(',') | join(';') }}{{ ' c  d '.split() | join('') }}{{ db | join('+') }}", "a;bcda+user+z"),
        ("{{ db | tojson }}", '{"a":2,"user":"bob","z":1}'),
        ("{{ {'k': [nothing, tls, 'é']} | tojson }}", '{"k":[null,true,"é"]}'),
        ("{{ {'k': 1} | tojson(indent=2) }}", '{\n  "k": 1\n}'),
        ("{{ ('{\"a\": [1, 2]}' | fromjson).a[1] }}", "2"),
        ("{{ user | b64encode }}{{ user | b64enc }}", "YW5uYW5u"),
        ("{{ 'w6k=' | b64decode }}{{ 'w6\nk=\n' | b64dec }}", "éé"),
        ("{{ password | urlencode }}", "p%27w%20%40%2F"),
        ("{{ password | quote }}", "'p'\"'\"'w @/'"),
        ("{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a' | indent(2, true) }}", "a\n  b\n\n  c|  a"),
        (
            "{{ hosts | sort | join }}{{ [3, 1] | sort(reverse=true) | tojson }}{{ db | list | tojson }}",
            'ab[3,1]["a","user","z"]',
        ),
        ("{{ db.keys() | tojson }}{{ db.values() | tojson }}{{ db.get('nope', 'x') }}", '["a","user","z"][2,"bob",1]x'),
        ("{{ user.startswith('a') }}{{ user.endswith('a') }}", "truefalse"),
        ("{{ 'pre-x' | removeprefix('pre-') }}{{ 'x.y'.removesuffix('.y') }}", "xx"),
        ("{{ '42' | int + 1 }}{{ port | string | length }}{{ 'abc' | count }}", "4343"),
    ],
)
def test_what_a_filter_gives(source: str, expected: str) -> None:
    """Each filter, and each method that may be called, does what its name says in Jinja2, Ansible or Helm."""
    assert render(source) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\nb {{ nope }}", "line 2: 'nope' is undefined"),
        ("{{ db.nope }}", "line 1: 'db.nope' is undefined"),
        ("{{ db['nope'].x }}", "line 1: 'db.nope' is undefined"),
        ("{{ db[user] }}", "line 1: a name that the template computes is undefined"),
        ("{{ user.__class__ }}", "line 1: 'user.__class__' is undefined"),
        ("{{ hosts[9] }}", "line 1: a name that the template computes is undefined"),
        ("{% if not nope %}x{% endif %}", "line 1: 'nope' is undefined"),
        ("{{ nope ~ 'x' }}", "line 1: 'nope' is undefined"),
        ("{{ 'a' | replace(nope, 'x') }}", "line 1: 'nope' is undefined"),
        ("{{ [nope] | length }}", "line 1: 'nope' is undefined"),
        ("{{ nothing }}", "line 1: null has no text form: use default('', true) or tojson"),
        ("{{ db }}", "line 1: a list or mapping has no text form: use tojson or join"),
        ("{{ user | fromjson }}", "line 1: fromjson was given something that is not JSON"),
        ("{{ password | b64decode }}", "line 1: b64decode was given something that is not the Base64 of UTF-8 text"),
        ("{{ user + 1 }}", "line 1: these two cannot be added or subtracted"),
        ("{{ user < 1 }}", "line 1: these two cannot be ordered"),
        ("{{ user | int }}", "line 1: int was given something that is not a whole number of at most 18 digits"),
        ("{% for c in user %}{{ c }}{% endfor %}", "line 1: for needs a list or a mapping"),
        ("{% for a, b in [[1, 2, 3]] %}{% endfor %}", "line 1: only a list of 2 can be taken apart into 2 names"),
        ("{% for a, b in [[1, 2], 3] %}{% endfor %}", "line 1: only a list of 2 can be taken apart into 2 names"),
        ("{% set a, b = 2 %}", "line 1: only a list of 2 can be taken apart into 2 names"),
        ("{% set a, b = {} %}", "line 1: only a list of 2 can be taken apart into 2 names"),
        ("\n{% set (a, b, c), d = [[1, 2], 3] %}", "line 2: only a list of 3 can be taken apart into 3 names"),
        ("{{ empty | first }}", "line 1: first and last need something that is not empty"),
    ],
)
def test_how_a_template_fails(source: str, message: str) -> None:
    """A failure names the line, the kind, and what is undefined if the template itself spells it out."""
    with pytest.raises(RenderError) as caught:
        render(source)
    assert str(caught.value) == message
    assert caught.value.line == int(message[5])
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ range(9) }}", "only these can be called"),
        ("{{ user.format(1) }}", "only these can be called"),
        ("{{ user.upper(1) }}", "wrong arguments for upper: none"),
        ("{{ user | indent(widht=1) }}", "wrong arguments for indent: width, first"),
        ("{{ user | indent(*hosts) }}", "not allowed"),
        ("{{ user | uper }}", "did you mean upper?"),
        ("{{ user | attr('x') }}", "there is no filter attr"),
        ("{{ user is strnig }}", "did you mean string?"),
        ("{{ 2 * 3 }}", "multiply"),
        ("{{ 9**9**9 }}", "multiply"),
        ("{{ '%s' % user }}", "multiply"),
        ("{{ 'a' if user }}", "an inline if needs an else"),
        ("{{ self }}", "is reserved"),
        ("{% for a in hosts %}{{ loop }}{% endfor %}", "is reserved"),
        ("{% for a in hosts %}{{ loop.cycle }}{% endfor %}", "loop has first"),
        ("{% for a in hosts if loop.first %}{% endfor %}", "cannot be used in the condition"),
        ("{% for a in hosts recursive %}{% endfor %}", "recursive"),
        ("{% set loop = 1 %}", "cannot be set"),
        ("{% set a.b = 1 %}", "plain names"),
        ("{{ é }}", "non-ASCII"),
        ("{{ 99999999999999999999 }}", "too large"),
        ("{{ -99999999999999999999 }}", "too large"),
        ("{{ 1e999 }}", "too large"),
        ("{{ -1e999 }}", "too large"),
        ("{{ [1e999] | first }}", "too large"),
        ("{% macro m() %}{% endmacro %}", "only {{ }}, if, for and set"),
        ("{% call x() %}{% endcall %}", "only {{ }}, if, for and set"),
        ("{% filter upper %}{% endfilter %}", "only {{ }}, if, for and set"),
        ("{% set x %}a{% endset %}", "only {{ }}, if, for and set"),
        ("{% with a = 1 %}{% endwith %}", "only {{ }}, if, for and set"),
        ("{% block a %}{% endblock %}", "only {{ }}, if, for and set"),
        ("{% include 'a' %}", "only {{ }}, if, for and set"),
        ("{% import 'a' as b %}", "only {{ }}, if, for and set"),
        ("{% from 'a' import b %}", "only {{ }}, if, for and set"),
        ("{% extends 'a' %}", "only {{ }}, if, for and set"),
        ("{{ user", "unexpected end of template"),
        ("{{ user CANARY }}", "expected token 'end of print statement'"),
        ("{% CANARY %}", "unknown tag"),
        ("{{ CANARY | CANARY }}", "there is no such filter"),
        ("{{ 'CANARY }}", "unexpected char"),
        ("\ud800{{ user }}", "not valid"),
    ],
)
def test_what_does_not_compile(source: str, message: str) -> None:
    """Whatever is not on the list of what is allowed does not compile, and the error quotes nothing of the template."""
    with pytest.raises(ExpressionError) as caught:
        compile_template(source)
    assert message in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_an_error_of_compilation_tells_the_line() -> None:
    """The line of what is not allowed is in the error, counted within the template."""
    with pytest.raises(ExpressionError) as caught:
        compile_template("a\nb\n{{ range(1) }}")
    assert caught.value.line == 3


def test_what_a_key_template_knows() -> None:
    """A key template knows the key, its last segment, its folder, its segments and the item's name."""
    source = "{{ item }}|{{ key }}|{{ name }}|{{ folder }}|{{ parts[0] }}|{{ parts | length }}"
    assert compile_key_template(source).render(key_context("a/b/c", "it")) == "it|a/b/c|c|a/b|a|3"
    assert compile_key_template(source).render(key_context("top", "it")) == "it|top|top||top|1"


def test_a_key_template_knows_no_other_name() -> None:
    """A name that no key template will ever have is found when it compiles."""
    compile_key_template("{% set a = key %}{% for b in parts %}{{ a }}{{ b }}{% endfor %}")
    with pytest.raises(ExpressionError, match="a key template knows"):
        compile_key_template("{{ CANARY | default('x') }}")


def test_the_names_that_a_template_looks_up() -> None:
    """``names`` holds what comes from the context, and not what the template sets itself."""
    template = compile_template("{% set a = b.c %}{% for d in e %}{{ a }}{{ d }}{{ loop.index }}{% endfor %}")
    assert template.names == {"b", "e"}


def test_a_field_called_fields_is_within_fields() -> None:
    """``fields`` always means all of them; a field of that name is reached through it."""
    context = value_context({"fields": "x"})
    assert compile_template("{{ fields.fields }}").render(context) == "x"


def test_the_same_value_gives_the_same_text_whatever_its_order() -> None:
    """The order in which a store gives fields does not show, so that it never causes a write."""
    template = compile_template("{{ fields | tojson }}{% for f in fields %}{{ f }}{% endfor %}{{ fields | join }}")
    assert template.render({"fields": {"a": 1, "b": 2}}) == template.render({"fields": {"b": 2, "a": 1}})
