"""What is made of a file's text takes time by its length alone, and no depth of it ends in an exception.

Whoever may write a file, of a repository say, would else hold up every run that reads it.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from secretsync_core.endurance import DEPTH
from secretsync_core.stores.dotenv.lines import Lines
from secretsync_core.stores.sops import ini_text, yaml_text
from secretsync_core.stores.sops.comments import sealed_anew
from secretsync_core.stores.sops.document import DOTENV, INI, JSON, YAML, Sealed
from secretsync_core.stores.sops.values import Broken

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 2.0
"""Seconds of a processor, where a fraction of one is needed, and what grows faster than the text takes ten or more."""

_MANY = 60
_SCOPED = (
    '{"sops":{"encrypted_regex":"^x$","mac":"x","lastmodified":"x"},'
    + '"a":{' * _MANY
    + '"b":['
    + "1," * 10_000
    + "1]"
    + "}" * _MANY
    + "}"
)

LONG: dict[str, Callable[[], object]] = {
    "blanks around a line of INI": lambda: ini_text.parse(" " * 1500 + "x" + " " * 1500 + "y\n"),
    "blanks in a line of INI": lambda: ini_text.parse("x" + " " * 60_000 + "y\n"),
    "a number with grouping in YAML": lambda: yaml_text.parse("a: 1" + "_" * 40_000 + "x\n"),
    "what begins like comments": lambda: sealed_anew("#ENC[AES256_GCM," * 24_000, [("a",)], bytes(32), bytes(32)),
    "long comments that no path opens": lambda: sealed_anew(
        f"#ENC[AES256_GCM,data:{'A' * 100_000},iv:AAAA,tag:AAAA,type:comment]\n",
        [(str(number),) for number in range(20_000)],
        bytes(32),
        bytes(32),
    ),
    "blanks before a variable that changes": lambda: Lines(" " * 50_000 + "\na=1\n").changed({"a": "2"}),
    "blanks before a variable that goes": lambda: Lines(" " * 50_000 + "\na=1\n").changed({}),
    "a rule for deep names of many values": lambda: Sealed(_SCOPED, JSON).opened_by(bytes(32)),
}


@pytest.mark.parametrize("what", LONG)
def test_time_grows_with_the_text_alone(what: str) -> None:
    """Blanks, grouped digits, halves of comments and rules for names cost what their length says."""
    began = time.thread_time()
    with contextlib.suppress(Broken):  # also a refusal has its time
        LONG[what]()
    assert time.thread_time() - began < SOON


@pytest.mark.parametrize("levels", [DEPTH + 100, 900, 20_000])
def test_what_is_nested_deeply_is_refused_in_words(levels: int) -> None:
    """In every form: objects, lists, and the names of a section that is written as lines."""
    section = '"sops": {"mac": "x", "lastmodified": "x"}'
    name = f"sops_age{'__map_a' * levels}=x\n"
    for form, text in (
        (JSON, f'{{{section}, "a_unencrypted": {"[" * levels}{"]" * levels}}}'),
        (JSON, f'{{{section}, "a_unencrypted": ' + '{"a":' * levels + "1" + "}" * levels + "}"),
        (YAML, f"a: {'[' * levels}{']' * levels}\n{section}\n"),
        (DOTENV, f"a=x\n{name}"),
        (INI, f"[sops]\n{name.removeprefix('sops_')}"),
    ):
        with pytest.raises(Broken):
            Sealed(text, form).opened_by(bytes(32))


def test_lines_keep_what_stands_before_a_variable() -> None:
    """Blank lines, indents and export stay where a value changes; where a variable goes, blank lines stay."""
    text = "\n  \n\t export  a =1 # one\n\n  b=2\n"
    assert Lines(text).changed({"a": "3", "b": "2"}) == "\n  \n\t export  a=3 # one\n\n  b=2\n"
    assert Lines(text).changed({"a": "1"}) == "\n  \n\t export  a =1 # one\n\n"
