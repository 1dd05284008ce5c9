"""Reads the policies that the environment names. What cannot be read, or everybody may write, permits nothing."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from secretsync_core.errors import Problem, UsageError
from secretsync_core.protected import is_within, real_path
from secretsync_core.schema import files
from secretsync_core.schema.base import DIRECTORY
from secretsync_core.schema.explain import explain
from secretsync_core.schema.known_fields import learn
from secretsync_core.schema.policy import SyncPolicy
from secretsync_core.schema.positions import dotted
from secretsync_core.schema.yaml_tree import read_documents
from secretsync_core.trusted_files import is_others, writable_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.schema.policy import SyncPolicySpec
    from secretsync_core.schema.positions import Path as Where
    from secretsync_core.schema.positions import Positions
    from secretsync_core.schema.yaml_tree import RawDocument

learn(SyncPolicy)

VARIABLE = "SECRETSYNC_POLICY"
"""Names the file or directory with the policies."""

_MEND = "Fix it, or ask whoever maintains the policy; until then nothing is permitted."

_WHOSE = "Make it root's, or that of the user who runs SecretSync; or mount it read-only."
_MOST_STEPS = 80
_EMPTY = "Leave it out for no bound, or write [] for a list without entries; until then nothing is permitted."


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


def place_of_policies(environ: Mapping[str, str]) -> Path | None:
    """The file or directory that an environment names; None where it names nothing."""
    named = environ.get(VARIABLE, "")
    return Path(named).expanduser().absolute() if named.strip() else None


def read_policies(environ: Mapping[str, str]) -> Policies:
    """The policies that an environment names. Never raises: what is wrong is in ``problems``."""
    if VARIABLE not in environ:
        return Policies()
    place = place_of_policies(environ)
    if place is None:  # a variable of a script that was empty, say: somebody meant bounds
        hint = "Unset it, or name the policy; until then nothing is permitted."
        return Policies(problems=(Problem(VARIABLE, 0, "the variable is set, and empty", hint),))
    try:
        found, unreadable = files.find(place)
    except (UsageError, OSError) as error:
        why = error.message if isinstance(error, UsageError) else error.strerror or type(error).__name__
        return Policies(place, problems=(Problem(str(place), 0, f"the policy cannot be read: {why}", _MEND),))
    problems = list(unreadable)
    if not found and not problems:
        problems.append(Problem(str(place), 0, f"{VARIABLE} names a directory without a policy", _MEND))
    problems += _not_ours(place, found)
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
        problems += [
            Problem(
                file, raw.positions.line(path), f"{dotted(path)} is empty, which does not say what is meant", _EMPTY
            )
            for path in _empty(raw.data)
        ]
        try:
            policies.append(_policy(raw))
        except ValidationError as error:
            problems += explain(error, SyncPolicy, raw)
    if not raws and not problems:
        problems.append(Problem(file, 1, "the file holds no policy", _MEND))
    return tuple(policies), tuple(problems)


def _empty(part: object, path: Where = ()) -> Iterator[Where]:
    """Every null: a list of which all entries are commented out would set no bound where many were meant."""
    if part is None:
        yield path
    elif isinstance(part, (dict, list)):
        for name, inner in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _empty(inner, (*path, name))


def _policy(raw: RawDocument) -> Policy:
    directory = str(Path(raw.file).parent)
    policy = SyncPolicy.model_validate_json(json.dumps(raw.data), context={DIRECTORY: directory})
    return Policy(policy.metadata.name, policy.spec, raw.file, raw.positions)


def _not_ours(place: Path, files: list[Path]) -> list[Problem]:
    """What others may write of the files and of the directories they are in, and so set bounds of their own.

    That are all from each file up to the place that the environment names, by every link on the way. A read-only mount
    is nobody's to write.
    """
    found: list[Problem] = []
    for path in _parts(place, files):
        try:
            facts = path.stat()
            is_directory = stat.S_ISDIR(facts.st_mode)
            if os.statvfs(path).f_flag & os.ST_RDONLY:
                continue
        except OSError:
            continue  # reading it says what is wrong
        what = "its directory" if is_directory else "the policy"
        if is_others(facts):
            message = f"{what} belongs to another user (uid {facts.st_uid}), who can change it"
            found.append(Problem(str(path), 0, message, _WHOSE))
        elif bits := writable_by(facts):
            if facts.st_mode & stat.S_ISVTX and is_directory and not place.is_dir():
                continue  # others make files there, which nobody reads, and cannot change the one that is named
            whom = "everybody" if bits == "go" else "its group"
            found.append(
                Problem(str(path), 0, f"{what} can be written by {whom}", f"Remove that permission: chmod {bits}-w.")
            )
    return found


def _parts(place: Path, files: list[Path]) -> list[Path]:
    """The files and their directories, by every name that leads to them, each once."""
    top = place if place.is_dir() else place.parent
    found = _steps(top)
    for file in files:
        above = file.parent
        while above != top and above.is_relative_to(top):
            found += _steps(above)
            above = above.parent
        found += [*_steps(file), Path(real_path(file)).parent]
    return list(dict.fromkeys(found))


def _steps(path: Path) -> list[Path]:
    """A path, and where each link on from it leads, with the directories that these links stand in."""
    found = [path]
    with suppress(OSError):
        while path.is_symlink() and len(found) < _MOST_STEPS:
            found.append(path.parent)
            path = path.parent / path.readlink()
            found.append(path)
    return [*found, Path(real_path(path))]


def problem_within(policies: Policies, documents: Sequence[Path]) -> Problem | None:
    """What is wrong with a policy that stands among the documents, whose authors could change it.

    Of a directory that is all below it, and below those that links in it lead to; of a file itself alone.
    """
    ours = [real_path(place) for place in (policies.place, *policies.files) if place is not None]
    for named in documents if ours else ():
        for place in _homes(named):
            if (inside := next((our for our in ours if is_within(our, place)), None)) is None:
                continue
            message = f"the policy is inside the documents' directory {named}, so their authors can change it"
            if not files.is_directory(named):
                message = f"the policy is the document {named}, so its author can change it"
            return Problem(inside, 0, message, f"Move it out of there, and name the new place in {VARIABLE}.")
    return None


def _homes(documents: Path) -> list[str]:
    """The real path of a file with documents, or of a directory and of all that its documents are found in."""
    found = [documents]
    if files.is_directory(documents):
        with suppress(UsageError, OSError):
            found += [file.parent for file in files.find(documents)[0]]
    return list(dict.fromkeys(map(real_path, dict.fromkeys(found))))
