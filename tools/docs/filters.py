"""The page of the filters and tests of templates, each with an example that the real engine has rendered."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from secretsync_core.expression.filters import FILTERS, METHODS, TESTS
from secretsync_core.expression.template import compile_template
from tools.docs.markdown import code, prose, table
from tools.docs.markdown import page as whole_page

if TYPE_CHECKING:
    from collections.abc import Callable

ABOUT = """\
What [templates](../documents.md#valuetransform) can use. Templates are Jinja2 in a sandbox: `{{ }}`, `if`, `for`, \
`set`, comments and `raw`; fields and indexes; comparisons, `and`, `or`, `not`, `in`, `is`; `a if b else c`; `~` to \
join texts; `+` and `-`. There are no calls, macros, imports or multiplication. A name that does not exist is an \
error; `default` and `is defined` are the ways around. Numbers and booleans are written as in JSON; null, lists and \
objects need `tojson`, `join` or `default('', true)`."""

EXAMPLES = {
    "b64decode": "{{ 'c2VjcmV0' | b64decode }}",
    "b64encode": "{{ 'secret' | b64encode }}",
    "default": "{{ port | default(5432) }}",
    "endswith": "{{ 'db.example.com' | endswith('.com') }}",
    "first": "{{ ['a', 'b'] | first }}",
    "fromjson": "{{ ('{\"a\": 1}' | fromjson).a }}",
    "get": "{{ {'a-b': 1} | get('a-b') }}",
    "indent": "{{ 'a\nb' | indent(2) }}",
    "int": "{{ ('5432' | int) + 1 }}",
    "items": "{% for name, value in {'b': 2, 'a': 1} | items %}{{ name }}={{ value }} {% endfor %}",
    "join": "{{ ['a', 'b'] | join(',') }}",
    "keys": "{{ {'b': 2, 'a': 1} | keys | join(',') }}",
    "last": "{{ 'a/b/c'.split('/') | last }}",
    "length": "{{ 'secret' | length }}",
    "list": "{{ {'b': 2, 'a': 1} | list | tojson }}",
    "lower": "{{ 'ABC' | lower }}",
    "lstrip": "{{ '//a/' | lstrip('/') }}",
    "quote": '{{ "it\'s" | quote }}',
    "removeprefix": "{{ 'prod-db' | removeprefix('prod-') }}",
    "removesuffix": "{{ 'db.crt' | removesuffix('.crt') }}",
    "replace": "{{ 'a_b_c' | replace('_', '-') }}",
    "rstrip": "{{ '//a/' | rstrip('/') }}",
    "sort": "{{ [3, 1, 2] | sort | tojson }}",
    "split": "{{ 'a,b' | split(',') | tojson }}",
    "startswith": "{{ 'prod-db' | startswith('prod-') }}",
    "string": "{{ 5432 | string | tojson }}",
    "tojson": "{{ {'port': 5432, 'tls': true} | tojson }}",
    "trim": "{{ '  a ' | trim }}",
    "upper": "{{ 'abc' | upper }}",
    "urlencode": "{{ 'p@ss/word' | urlencode }}",
    "values": "{{ {'b': 2, 'a': 1} | values | tojson }}",
}
"""One template for each filter, by the first of its names in the alphabet that is not a short form."""

TEST_MEANINGS = {
    "boolean": "true or false",
    "defined": "the name exists",
    "false": "exactly false",
    "integer": "a whole number",
    "mapping": "an object",
    "none": "null",
    "number": "a number",
    "sequence": "a list",
    "string": "a text",
    "true": "exactly true",
    "undefined": "the name does not exist",
}


def page() -> str:
    """The page for this version."""
    names: dict[Callable[..., object], list[str]] = defaultdict(list)
    for name, function in sorted(FILTERS.items()):
        names[function].append(name)
    rows = []
    for function, known in names.items():
        shown = next(name for name in known if name in EXAMPLES)
        example = EXAMPLES[shown]
        rows.append(
            [
                ", ".join(code(name) for name in [shown, *(name for name in known if name != shown)]),
                prose(function.__doc__ or ""),
                code(example.replace("\n", "\\n")),
                code(compile_template(example).render({}).replace("\n", "\\n")),
            ]
        )
    methods = ", ".join(f"`.{name}()`" for name in sorted(METHODS))
    return whole_page(
        "Template filters",
        ABOUT,
        "## Filters\n\nWrite `{{ value | filter }}` or `{{ value | filter(argument) }}`.",
        table(["filter", "result", "example", "gives"], rows),
        f"These may also be written as methods, `{{{{ name.upper() }}}}`: {methods}.",
        "## Tests\n\nWrite `{% if value is defined %}`.",
        table(["test", "holds for"], [[code(name), TEST_MEANINGS[name]] for name in sorted(TESTS)]),
    )
