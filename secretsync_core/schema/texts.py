"""Texts with a grammar of their own: regular expressions, rewrite targets and templates, compiled once to check them.

They stay plain strings in the model, as written; whoever uses one compiles it again, which the caches make cheap.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from secretsync_core.expression.glob import parts_of
from secretsync_core.expression.regexp import compile_regexp, parse_target
from secretsync_core.expression.template import compile_key_template, compile_template


def _regexp(value: str) -> str:
    compile_regexp(value)
    return value


def _glob(value: str) -> str:
    parts_of(value)
    return value


def _named(value: str) -> str:
    if not parts_of(value):
        raise ValueError("it names nothing; name a key or a folder, or use ** for all")
    return value


def _target(value: str) -> str:
    parse_target(value)
    return value


def _key_template(value: str) -> str:
    compile_key_template(value)
    return value


def _value_template(value: str) -> str:
    compile_template(value)
    return value


RegExp = Annotated[
    str,
    AfterValidator(_regexp),
    Field(description="RE2, found anywhere in the key unless anchored by ^ and $."),
]
Glob = Annotated[str, AfterValidator(_glob)]
"""A path in which ``*`` and ``?`` stand for characters of one part, and ``**`` for any number of folders."""

GlobToExclude = Annotated[
    str,
    AfterValidator(_glob),
    AfterValidator(_named),
    Field(description="A glob as in path: a key, or a folder with all that is below it."),
]
RegExpTarget = Annotated[
    str,
    AfterValidator(_target),
    Field(description="What takes the match's place; $1, ${1}, ${name} and \\1 name groups, $$ is a dollar."),
]
KeyTemplate = Annotated[
    str,
    AfterValidator(_key_template),
    Field(description="Jinja2 that gives the new key; knows key, name, folder, parts and item."),
]
ValueTemplate = Annotated[
    str,
    AfterValidator(_value_template),
    Field(description="Jinja2 that gives the text; knows each field by its name, and all of them as fields."),
]
