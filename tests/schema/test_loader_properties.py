"""Whatever stands in a file: loading gives documents or DocumentError, soon, and tells no value."""

from __future__ import annotations

import contextlib
import random
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml_samples import DESIGN, STORES, job

from secretsync_core.errors import DocumentError
from secretsync_core.schema.loader import load_files

CANARY = "s3cr3t+CANARY/v4lue"
RELAXED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def told(content: bytes) -> str:
    """All that loading a file says, its traceback with it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "docs.yaml"
        path.write_bytes(content)
        try:
            return str(load_files([path]).warnings)
        except DocumentError as error:
            problems, trace = error.problems, "".join(traceback.format_exception(error))
    assert problems
    return trace + str(problems)


@RELAXED
@given(st.binary(max_size=200))
def test_arbitrary_bytes(content: bytes) -> None:
    """Arbitrary bytes raise nothing but DocumentError."""
    told(content)


@RELAXED
@given(st.text(st.sampled_from(list("abk:-[]{}&*!|>'\"%@#?, \n\t~0.")) | st.characters(), max_size=80))
def test_arbitrary_text(text: str) -> None:
    """Arbitrary text, rich in what YAML has a meaning for, raises nothing but DocumentError and leaks nothing."""
    content = f"a: {CANARY}\n{text}\nb: '{CANARY}'\n".encode(errors="replace")
    assert CANARY not in told(content)


@RELAXED
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_documents_with_faults_sprinkled_in(seed: int, faults: int) -> None:
    """The design's example with characters lost, doubled or replaced raises nothing but DocumentError."""
    chance, text = random.Random(seed), list(DESIGN)
    for _ in range(faults):
        place = chance.randrange(len(text))
        text[place] = chance.choice(["", text[place] * 2, "\n", ":", "-", "{", "'", "\t", "!x ", "&a ", "*a "])
    told("".join(text).encode())


_values = st.recursive(
    st.sampled_from([CANARY, f"{{{{ {CANARY} }}}}", f"({CANARY}", f"{{{{ a | {CANARY} }}}}", 5, None, True, 1.5]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["env", "key", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, value in below for found in _paths(value, (*path, key)))]


_DOCUMENTS: list[Any] = list(yaml.safe_load_all(DESIGN))
_PLACES = [(index, path) for index, document in enumerate(_DOCUMENTS) for path in _paths(document) if path]


@pytest.mark.slow
@RELAXED
@given(st.sampled_from(_PLACES), _values)
def test_a_credential_in_the_wrong_place_is_never_told(place: tuple[int, tuple[Any, ...]], value: Any) -> None:
    """A value put in the place of any field of the design's example shows in no message, hint or traceback."""
    index, path = place
    documents: list[Any] = list(yaml.safe_load_all(DESIGN))
    target = documents[index]
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    assert "CANARY" not in told(yaml.safe_dump_all(documents).encode())


@pytest.mark.parametrize(
    "source",
    ["(a+)+$", "{{ 'x' * 999999999 }}", "{{ 9**9**9 }}", "{% for a in range(999999999) %}{% endfor %}"],
)
def test_loading_never_runs_what_it_checks(tmp_path: Path, source: str) -> None:
    """Expressions are compiled while loading and never applied, so that none can make loading slow."""
    plan = f"- query: {{key: {{regexp: '{source}'}}}}" if source.startswith("(") else None
    plan = plan or f'- secret: {{key: a}}\n  valueTransform: [{{template: {{text: "{source}"}}}}]'
    with contextlib.suppress(DocumentError):
        load_files([_written(tmp_path, STORES + job(plan))])


def _written(directory: Path, text: str) -> Path:
    path = directory / "docs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_large_configuration_loads_soon(tmp_path: Path) -> None:
    """Hundreds of jobs with several items each load in a moment."""
    plan = "- query: {{path: a/, key: {{regexp: ^b}}}}\n- secret: {{key: a-{0}}}\n- secret: {{key: b-{0}}}"
    text = STORES + "".join(job(plan.format(number), name=f"job-{number}") for number in range(500))
    assert len(load_files([_written(tmp_path, text)]).jobs) == 500
