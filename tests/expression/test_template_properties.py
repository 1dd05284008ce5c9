"""Whatever stands in a template and in its context: it ends, it raises nothing unexpected, and nothing leaks."""

from __future__ import annotations

import time
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secretsync_core.expression.errors import ExpressionError, RenderError
from secretsync_core.expression.filters import FILTERS, TESTS
from secretsync_core.expression.template import compile_template

CANARY = "s3cr3t-CANARY-v4lue"
CONTEXT = {
    "a": CANARY,
    "b": {CANARY: CANARY, "c": [CANARY, 1, None, {"d": CANARY}], "items": CANARY},
    "l": [CANARY, [CANARY], 2, True],
    "n": 7,
    CANARY: CANARY,
}

_atoms = st.sampled_from(["a", "b", "b.c", "b.items", "l", "n", "nope", "b[a]", "'x'", "1", "none", "true", "l[0]"])


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} | {})".format, inner, st.sampled_from(sorted(FILTERS))),
        st.builds("({} | {}({}))".format, inner, st.sampled_from(sorted(FILTERS)), inner),
        st.builds("({} is {})".format, inner, st.sampled_from(sorted(TESTS))),
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["+", "-", "~", "==", "<", "in", "and", "or", ">="]), inner
        ),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:]".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        st.builds("{}.{}()".format, inner, st.sampled_from(["upper", "items", "keys", "split", "format", "pop"])),
    )


_expressions = st.recursive(_atoms, _grow, max_leaves=6)
_statements = st.lists(
    st.one_of(
        st.builds("{{{{ {} }}}}".format, _expressions),
        st.builds("{{% set a = {} %}}".format, _expressions),
        st.builds("{{% for x in {} %}}{{{{ x }}}}{{{{ {} }}}}{{% endfor %}}".format, _expressions, _expressions),
        st.builds("{{% for x, y in {} %}}{{{{ y }}}}{{% endfor %}}".format, _expressions),
        st.builds("{{% if {} %}}{{{{ {} }}}}{{% endif %}}".format, _expressions, _expressions),
    ),
    max_size=4,
).map("".join)


def _check(source: str) -> None:
    started = time.thread_time()
    told = ""
    try:
        compile_template(source).render(CONTEXT)
    except (ExpressionError, RenderError) as error:
        told = "".join(traceback.format_exception(error)) + repr(vars(error))
    assert CANARY not in told
    assert time.thread_time() - started < 10


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_statements)
def test_well_formed_templates_never_leak(source: str) -> None:
    """A template of the language's own parts renders or raises one of the two errors, which hold no value."""
    _check(source)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}%#|~()[].,:'\"+-*<>=!abnl0 \n\té") | st.characters(), max_size=60))
def test_arbitrary_text_never_leaks(source: str) -> None:
    """Arbitrary text as a template renders or raises one of the two errors, which hold no value."""
    _check(source)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_leaks_what_it_cannot_take(name: str) -> None:
    """Each filter, given values of every kind that do not suit it, fails without showing them."""
    for subject in ("a", "b", "l", "n", "none", "nope", "b.c"):
        for arguments in ("", "(a)", "(b, a)", "(l)", "(none)"):
            _check(f"{{{{ {subject} | {name}{arguments} }}}}")
