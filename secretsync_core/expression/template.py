"""Jinja2 templates for keys and values, sandboxed and bounded.

Allowed are ``{{ }}``, ``if``, ``for``, ``set``, comments and ``raw``; fields (``db.password``, ``fields['a-b']``),
literals, comparisons, ``and or not in is``, ``a if b else c``, ``~ + -``, the filters and tests of
:mod:`filters <secretsync_core.expression.filters>`, and some of these as methods. Everything else is an error when the
template is compiled: calls, macros, imports, multiplication. Nothing is escaped, and a last line break is kept.

* A name or field that is not there is an error; ``default`` and ``is defined`` are the ways around.
* Numbers, true and false are written as in JSON. Null, lists and mappings are errors unless ``tojson``, ``join`` or
  ``default('', true)`` makes text of them.
* Mappings are gone through in the order of their names, so that the same value always gives the same text.
* What one render may take and make is bounded (see :mod:`bounds <secretsync_core.expression.bounds>`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from secretsync_core.expression.bounds import MAX_SOURCE, MAX_TEXT, Failed, State
from secretsync_core.expression.errors import ExpressionError, RenderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2

KEY_NAMES = frozenset({"key", "name", "folder", "parts", "item"})
"""The names that a key template knows: see :func:`key_context`."""


class Template:
    """One compiled template. Immutable; may be shared by threads.

    Attributes:
        source: the template as written.
        names: the top-level names that it looks up.
    """

    __slots__ = ("_compiled", "names", "source")

    def __init__(self, source: str, compiled: jinja2.Template, names: frozenset[str]) -> None:
        self.source = source
        self._compiled = compiled
        self.names = names

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def render(self, context: Mapping[str, object]) -> str:
        """Fill the template from what JSON has: texts, numbers, booleans, null, lists and mappings.

        Raises RenderError, whose text never holds anything of ``context``: it names what is undefined if the template
        itself spells that name out, and else tells the kind of failure and the line.
        """
        from secretsync_core.expression.sandbox import STATE

        state = State()
        try:
            text = "".join(self._compiled.root_render_func(self._compiled.new_context({**context, STATE: state})))
            if len(text) <= MAX_TEXT:
                return text
            failure = f"the output would be longer than {MAX_TEXT} characters"
        except Failed as error:
            failure = str(error)
        except RecursionError:
            failure = "a value is nested too deeply"
        except Exception as error:  # noqa: BLE001  whatever it is, its text may hold the value that caused it
            failure = f"it failed ({type(error).__name__})"
        # Raised here and not in a handler, so that no cause or context with the values in its frames hangs on to it.
        raise RenderError(failure, state.line)


def compile_template(source: str) -> Template:
    """Compile a template. Raises ExpressionError, which tells reason and line and quotes nothing of it."""
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"the template is longer than {MAX_SOURCE} characters")
    return _compile(source)


def compile_key_template(source: str) -> Template:
    """Compile a template for keys, which knows KEY_NAMES and nothing else. Raises ExpressionError."""
    template = compile_template(source)
    if not template.names <= KEY_NAMES:
        raise ExpressionError("a key template knows key, name, folder, parts and item, and no other name")
    return template


@lru_cache(maxsize=256)
def _compile(source: str) -> Template:
    from secretsync_core.expression.sandbox import compile_source  # here, since Jinja2 takes its time to load

    return Template(source, *compile_source(source))


def key_context(key: str, item: str) -> dict[str, object]:
    """What a key template sees of ``a/b/c``: key a/b/c, name c, folder a/b, parts [a, b, c]; and the item's name."""
    parts = key.split("/")
    return {"key": key, "name": parts[-1], "folder": "/".join(parts[:-1]), "parts": parts, "item": item}


def value_context(fields: Mapping[str, object]) -> dict[str, object]:
    """What a value template sees: every field by its name, and all of them as ``fields``, which wins."""
    return {**fields, "fields": fields}
