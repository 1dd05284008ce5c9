"""One document on its way from YAML to a checked model: what could be made of it, and what is wrong with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from secretsync_core.errors import Problem
from secretsync_core.known import nearest
from secretsync_core.schema.base import DIRECTORY, NAME_PATTERN
from secretsync_core.schema.documents import JobDocument, StoreDocument, Where
from secretsync_core.schema.explain import explain
from secretsync_core.schema.item_names import with_names
from secretsync_core.schema.job import SyncJob
from secretsync_core.schema.known_fields import learn
from secretsync_core.schema.literals import without_credentials
from secretsync_core.schema.notify import without_literals
from secretsync_core.schema.positions import Path, dotted
from secretsync_core.schema.providers import ProviderProblem, config_model
from secretsync_core.schema.store import SecretStore

if TYPE_CHECKING:
    from secretsync_core.schema.yaml_tree import RawDocument

PROVIDER: Path = ("spec", "provider")
KINDS: dict[str, type[SecretStore | SyncJob]] = {"SecretStore": SecretStore, "SyncJob": SyncJob}
for _model in KINDS.values():
    learn(_model)


@dataclass(slots=True, eq=False)
class Candidate:
    """A document that may or may not be whole. ``name`` is empty where it has none that could be one."""

    raw: RawDocument
    kind: str
    name: str
    document: StoreDocument | JobDocument | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether the document was understood and nothing but warnings speak against it."""
        return self.document is not None and self.raw.whole and all(problem.warning for problem in self.problems)

    def problem(self, path: Path, message: str, hint: str = "", *, warning: bool = False, store: str = "") -> None:
        """Note something that is wrong at one of the document's fields; ``store``: with which SecretStore."""
        line = self.raw.positions.line(path)
        self.problems.append(Problem(self.raw.file, line, message, hint, warning, store=store))

    def told(self) -> list[Problem]:
        """Its problems; those of a SyncJob or SecretStore with its name."""
        match self.kind:
            case "SyncJob":
                return [problem._replace(job=self.name) for problem in self.problems]
            case "SecretStore":
                return [problem._replace(store=self.name) for problem in self.problems]
        return list(self.problems)

    def where(self, path: Path = ("metadata", "name")) -> str:
        """``file:line`` of a field."""
        return Problem(self.raw.file, self.raw.positions.line(path), "").where


def candidate(raw: RawDocument) -> Candidate:
    """Validate one document by itself."""
    kind = raw.data.get("kind")
    found = Candidate(raw, kind if isinstance(kind, str) and kind in KINDS else "", _name(raw))
    if not found.kind:
        close = nearest(kind, KINDS)
        hint = f"Did you mean {close}?" if close else ""
        if kind == "SyncPolicy":
            hint = "A SyncPolicy stands outside the documents, in the file or directory that SECRETSYNC_POLICY names."
        missing = "kind is missing: it is" if "kind" not in raw.data else "kind must be"
        found.problem(("kind",), f"{missing} SecretStore or SyncJob", hint)
        return found
    model: BaseModel | None = None
    try:
        model = validate(KINDS[found.kind], raw.data, raw)
    except ValidationError as error:
        found.problems += explain(error, KINDS[found.kind], raw)
    if found.kind == "SecretStore":
        _store(found, model)
    elif isinstance(model, SyncJob):
        spec = model.spec.model_copy(update={"plan": with_names(model.spec.plan)})
        data = without_literals(raw.data)
        of_it = model.metadata
        found.document = JobDocument(
            of_it.name,
            spec,
            Where(raw.file, raw.line),
            data,
            literal=data != raw.data,
            labels=of_it.labels,
            annotations=of_it.annotations,
        )
    return found


def _name(raw: RawDocument) -> str:
    metadata = raw.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) else ""


def _store(found: Candidate, model: BaseModel | None) -> None:
    raw, path = found.raw, PROVIDER
    spec = raw.data.get("spec")
    providers = spec.get("provider") if isinstance(spec, dict) else None
    if not isinstance(providers, dict):
        return
    if len(providers) != 1:
        found.problem(path, "spec.provider must name exactly one provider", "Such as: provider: {vault: {...}}")
        return
    (name, data), config = next(iter(providers.items())), None
    path = (*PROVIDER, name)
    try:
        config_class = config_model(name)
    except ProviderProblem as problem:
        found.problem(path, problem.message, problem.hint)
        return
    if not isinstance(data, dict):
        found.problem(path, f"{dotted(path)} must be a mapping", "Write {} if it needs no fields.")
        return
    try:
        config = validate(config_class, data, raw)
    except ValidationError as error:
        found.problems += explain(error, config_class, raw, path)
    except Exception as error:  # noqa: BLE001  a third party's validator may raise anything, and quote anything
        found.problem(path, f"{dotted(path)}: its provider failed to check it ({type(error).__name__})")
    if config is not None and isinstance(model, SecretStore):
        of_it, spec_of = model.metadata, model.spec
        where, shown = Where(raw.file, raw.line), without_credentials(raw.data, config, path)
        found.document = StoreDocument(
            of_it.name,
            spec_of.permissions,
            name,
            config,
            where,
            of_it.labels,
            spec_of.limits.endurance,
            annotations=of_it.annotations,
            data=shown,
            literal=shown != raw.data,
            look=spec_of.look,
        )


def validate(model: type[BaseModel], data: dict[str, Any], raw: RawDocument) -> BaseModel:
    """What was read, as a model, with paths relative to the document's file. Raises what pydantic raises."""
    # As JSON, since strictness about Python types would refuse a list for a tuple and a text for an enum.
    directory = str(FilePath(raw.file).absolute().parent)
    return model.model_validate_json(json.dumps(data), context={DIRECTORY: directory})
