"""Documents with something wrong in them, through all that ``validate`` does, and Dagster's compilation."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz import made, opened
from fuzz.fuzzer import CANARY
from secretsync_core.errors import SecretSyncError
from secretsync_core.schema.loader import examine
from secretsync_dagster.compile import compile_documents

if TYPE_CHECKING:
    from random import Random

_EXAMPLES = Path(__file__).parents[1] / "examples"
_SMALL = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: a}
spec:
  provider:
    vault: {address: 'http://127.0.0.1:1', namespace: team, auth: {token: {env: TOKEN}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: b}
spec:
  provider:
    memory: {}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: j}
spec:
  source: a
  dest: b
  schedule: "@hourly"
  onChange: {interval: 60s}
  limits: {concurrency: 4, rate: 200/s, shards: 2}
  maxDelete: 10%
  plan:
    - query: {path: apps/, recursive: true}
      keyTransform: [{regexp: {source: "^a(.*)$", target: "b$1"}}, {prefix: team-}]
"""
_OTHER = """\
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: b}
spec: {provider: {memory: {}}}
"""
_VALUES = (
    "", "~", "true", "0", "-1", "1.5", "1e999", ".inf", "-.inf", ".nan", "0x1F", "9" * 30, "[]", "{}", "{a: b}", "[[]]",
    '"\\0"', '"\\uFEFF"', '"\\ud800"', "'\u2028'", "!!binary aGk=", "&a [*a]", "*a", "|\n  text\n", '"unclosed',
    "'unclosed", "[unclosed", "{unclosed", "@at", "%p", "a: b: c", "x" * 64, "a" * 5000, "../..", "http://127.0.0.1:99999",
    "http://h:abc", "https://[::1", f"http://{'a' * 300}", "http://.", "https://exaämple.test", "'0 3 * * 3-3'",
    "'0 0 30 2 *'", "'@every 7m'", "101%", "0/s", "0.000001/h", "367d", "'('", "'$9'", "'{{ x'", "'{{ 1e999 }}'",
    "{" + CANARY + "}", CANARY, f"'{CANARY} with: odd text'", f"{{{CANARY}: 1}}",
)  # fmt: skip
_TOKENS = (
    "\t",
    "\0",
    "\ufeff",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "---\n",
    "...\n",
    "&a ",
    "*a ",
    "- ",
    ": ",
    "{",
    "]",
    "'",
)
_WITHOUT_LINE = re.compile("cannot be read|larger than|no documents found|not a regular")


class Documents:
    """Files of documents, each with a few changes."""

    def __init__(self) -> None:
        self._seeds = [_SMALL, *(path.read_text() for path in sorted(_EXAMPLES.rglob("*.yaml")))]

    def draw(self, random: Random) -> str:
        """Documents of the schema with something odd in one place, or an example that is changed in one to four."""
        if random.random() < 0.5:
            text = random.choice((made.store, made.store, made.job))(random)
            odd = random.choice(_VALUES)
            return text.replace(f'"{made.HERE}"', random.choice((odd, odd, json.dumps(odd)))) + _OTHER
        text = random.choice((_SMALL, random.choice(self._seeds)))
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            text = random.choice((_value, _value, _value, _name, _lines, _token, _whole))(random, text)
        return text

    def attempt(self, case: str) -> str:
        """Every problem stands in a line that is there and quotes nothing, and what is whole compiles."""
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "d.yaml").write_bytes(case.encode("utf-8", "surrogatepass"))
            documents, problems = examine([Path(directory)])
            lines = len(re.findall("\r\n|\r|\n", case)) + 1
            for problem in problems:
                if CANARY in problem.message or CANARY in problem.hint:
                    return "quotes what stood in the document"
                if not 1 <= problem.line <= lines and not _WITHOUT_LINE.search(problem.message):
                    return "names a line that is not there"
            try:
                compile_documents(documents, problems, directory=Path(directory))
            except SecretSyncError:
                return "Dagster refuses what is whole"
            return opened.fault_of(documents.stores.values(), Path(directory))


def _value(random: Random, text: str) -> str:
    spots = list(re.finditer(r"(?<=: )[^,{}\[\]\n]+", text))
    if not spots:
        return text
    spot = random.choice(spots)
    return text[: spot.start()] + random.choice(_VALUES) + text[spot.end() :]


def _name(random: Random, text: str) -> str:
    spots = list(re.finditer(r"[A-Za-z_]+(?=:)", text))
    if not spots:
        return text
    spot = random.choice(spots)
    return text[: spot.start()] + random.choice(("spec", "name", "?", "<<", "''", "1", CANARY)) + text[spot.end() :]


def _lines(random: Random, text: str) -> str:
    lines = text.split("\n")
    start = random.randrange(len(lines))
    end = start + random.choice((1, 1, 2, 5))
    part = lines[start:end]
    changes: tuple[list[str], ...] = (
        [],
        part * 2,
        [f"  {line}" for line in part],
        [line[1:] for line in part],
        part[::-1],
    )
    return "\n".join([*lines[:start], *random.choice(changes), *lines[end:]])


def _token(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(_TOKENS) + text[at + random.choice((0, 0, 1, 3)) :]


def _whole(random: Random, text: str) -> str:
    how = random.randrange(5)
    if how == 0:
        return text[: random.randrange(len(text) + 1)]
    ends = ("\r\n", "\r", "\n\n")
    return "\ufeff" + text if how == 1 else text.replace("\n", ends[how - 2]) if how < 5 else text
