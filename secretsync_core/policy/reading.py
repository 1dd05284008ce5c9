"""Reads the policies that the environment names. What cannot be read, or everybody may write, permits nothing."""

from __future__ import annotations

import json
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from secretsync_core.errors import Problem, UsageError
from secretsync_core.schema import files
from secretsync_core.schema.base import DIRECTORY
from secretsync_core.schema.explain import explain
from secretsync_core.schema.policy import SyncPolicy
from secretsync_core.schema.yaml_tree import read_documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.schema.policy import SyncPolicySpec
    from secretsync_core.schema.positions import Positions
    from secretsync_core.schema.yaml_tree import RawDocument

VARIABLE = "SECRETSYNC_POLICY"
"""Names the file or directory with the policies."""

_MEND = "Mend it, or ask whoever keeps the policy; until then nothing is permitted."


class Policy(NamedTuple):
    """One policy, and where its rules stand."""

    name: str
    spec: SyncPolicySpec
    file: str
    positions: Positions

    def rule(self, *path: str | int) -> str:
        """A rule as people find it: ``spec.hosts of the policy platform (policy.yaml:7)``."""
        where = Problem(self.file, self.positions.line(("spec", *path)), "").where
        named = ".".join(str(part) for part in path if isinstance(part, str))
        return f"spec.{named} of the policy {self.name} ({where})"

    @property
    def rules(self) -> int:
        """How many rules it has: what it says beyond its name."""
        said = self.spec.model_dump(exclude_unset=True, exclude={"flows"})
        return len(self.spec.flows) + sum(len(part) if isinstance(part, dict) else 1 for part in said.values())


class Policies(NamedTuple):
    """Every policy there is.

    Attributes:
        place: what the environment names; None where it names nothing.
        found: the policies.
        files: their files, for nobody else to name.
        problems: what is wrong with them: with one, nothing is permitted.
    """

    place: Path | None = None
    found: tuple[Policy, ...] = ()
    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_policies(environ: Mapping[str, str]) -> Policies:
    """The policies that an environment names. Never raises: what is wrong is in ``problems``."""
    named = environ.get(VARIABLE)
    if not named:
        return Policies()
    place = Path(named).expanduser().absolute()
    try:
        found, unreadable = files.find(place)
    except (UsageError, OSError) as error:
        why = error.message if isinstance(error, UsageError) else error.strerror or type(error).__name__
        return Policies(place, problems=(Problem(str(place), 0, f"the policy cannot be read: {why}", _MEND),))
    problems = list(unreadable)
    if not found and not problems:
        problems.append(Problem(str(place), 0, f"{VARIABLE} names a directory without a policy", _MEND))
    problems += _writable([place.parent, *found] if found == [place] else [place, *found])
    policies: list[Policy] = []
    for file in found:
        more, wrong = _read(str(file), _stamp(file))
        policies += more
        problems += wrong
    names = [policy.name for policy in policies]
    problems += [
        Problem(policy.file, policy.positions.line(("metadata", "name")), "another policy has this name", _MEND)
        for policy in policies
        if names.count(policy.name) > 1
    ]
    return Policies(place, tuple(policies), tuple(map(str, found)), tuple(problems))


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        facts = file.stat()
    except OSError:
        return ()
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size


@lru_cache(maxsize=64)
def _read(file: str, _: tuple[int, ...]) -> tuple[tuple[Policy, ...], tuple[Problem, ...]]:
    """The policies of one file; read once for as long as it is the same, since every store that opens asks."""
    text, unreadable = files.read(Path(file))
    problems = list(unreadable)
    policies: list[Policy] = []
    raws: list[RawDocument] = []
    if text is not None:
        raws, broken = read_documents(file, text)
        problems += broken
    for raw in raws:
        try:
            policies.append(_policy(raw))
        except ValidationError as error:
            problems += explain(error, SyncPolicy, raw)
    if not raws and not problems:
        problems.append(Problem(file, 1, "the file holds no policy", _MEND))
    return tuple(policies), tuple(problems)


def _policy(raw: RawDocument) -> Policy:
    directory = str(Path(raw.file).parent)
    policy = SyncPolicy.model_validate_json(json.dumps(raw.data), context={DIRECTORY: directory})
    return Policy(policy.metadata.name, policy.spec, raw.file, raw.positions)


def _writable(paths: list[Path]) -> list[Problem]:
    """What of this everybody may write, and so set bounds of their own. A read-only mount is nobody's to write."""
    found: list[Problem] = []
    for path in paths:
        try:
            mode = path.stat().st_mode
            everybody = mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)
            if everybody and not os.statvfs(path).f_flag & os.ST_RDONLY:
                what = "its directory" if stat.S_ISDIR(mode) else "the policy"
                found.append(Problem(str(path), 0, f"{what} can be written by everybody", "Take that away: chmod o-w."))
        except OSError:
            continue  # reading it says what is wrong
    return found


def problem_within(policies: Policies, documents: Sequence[Path]) -> Problem | None:
    """What is wrong with a policy that stands among the documents, whose authors could change it."""
    directories = [path if files.is_directory(path) else path.parent for path in documents]
    for place in filter(None, (policies.place, *map(Path, policies.files))):
        real = place.resolve()
        for directory in directories:
            if real.is_relative_to(directory.resolve()):
                message = (
                    f"the policy stands within the documents' directory {directory}, so their authors can change it"
                )
                return Problem(str(place), 0, message, f"Move it out of there, and name the new place in {VARIABLE}.")
    return None
