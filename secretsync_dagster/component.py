"""SecretSync in an existing Dagster project: components for ``dg scaffold defs``, ``dg check`` and ``dg dev``."""

# No deferred annotations here: Dagster resolves those of its components.

import os
import re
from pathlib import Path
from typing import Annotated, TypeAlias

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

from secretsync_core.ledger_address import beside
from secretsync_dagster.load import load, without_collecting
from secretsync_dagster.project_state import home_of, make_example
from secretsync_dagster.translator import SecretStoreData, SecretSyncTranslator, SyncJobData

_STARTER = """\
# Two directories, and a job that copies from one to the other: it works as it is. Point the stores at your own.
# Where secrets live.
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}-source}}
spec:
  permissions: Read
  provider:
    file: {{path: {example}/source}}    # one file a secret; relative to this file
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}-dest}}
spec:
  provider:
    file: {{path: {example}/dest}}
---
# What goes where, and when.
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: {name}-source
  dest: {name}-dest
  schedule: "@daily"
  plan:
    - name: everything
      query: {{recursive: true}}
"""

_NOT_IN_SCOPES = re.compile(r"[^A-Za-z0-9]+")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


_Data: TypeAlias = SyncJobData | SecretStoreData


def _variables(data: _Data) -> dict[str, object]:
    """What a ``translation`` in YAML may speak of, besides ``spec``."""
    kind = "SyncJob" if isinstance(data, SyncJobData) else "SecretStore"
    return {"name": data.name, "kind": kind, "scope": data.scope}


class _Documents(dg.Component, dg.Model, dg.Resolvable):
    """What both components have: what the documents become in Dagster."""

    prefix: str = ""
    """What tells this code location apart from others of the same Dagster that have SyncJobs or stores of the same
    names, such as `staging`: asset keys, pools and the queue's tag begin with it."""

    translation: Annotated[TranslationFn[_Data], TranslationFnResolver[_Data](_variables)] | None = None
    """What is to be different about every asset, of jobs and of stores: `group_name`, `tags`, `owners`, `key_prefix`
    and so on. Templates have `name` (in the document), `kind` (SyncJob or SecretStore), `scope` and `spec`."""

    def get_translator(self) -> SecretSyncTranslator:
        """What names jobs, assets and steps. Override it to hand in a translator of your own."""
        return SecretSyncTranslator()

    def _compile(
        self, context: dg.ComponentLoadContext, paths: list[Path], directory: Path, ledger: str
    ) -> dg.Definitions:
        # A project may have any number of these, each with stores and a ledger of its own, and several in one file.
        where = context.component_path
        place = f"{where.file_path.relative_to(context.defs_module_path)}/{where.instance_key or ''}"
        scope = _NOT_IN_SCOPES.sub("_", place).strip("_") or "here"
        if ledger:
            # Whichever directory a program is started in, it is one ledger, and one lease in it.
            ledger = beside(ledger, context.path)
        home = home_of(context.project_root, scope, directory)
        with without_collecting():
            return load(
                paths,
                directory=directory,
                ledger_url=ledger,
                scope=scope,
                translator=self.get_translator(),
                translation=self.translation,
                prefix=self.prefix,
                home=home,
            )


class SyncJobScaffolder(dg.Scaffolder):
    """Writes the component's YAML and a first document beside it."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Scaffold one component into ``request.target_path``."""
        dg.scaffold_component(request, {"documents": ["secretsync.yaml"]})
        _start(request, request.target_path, "secretsync.yaml")


@dg.scaffold_with(SyncJobScaffolder)
class SyncJobComponent(_Documents):
    """The SyncJobs and SecretStores of a few files."""

    documents: list[str]
    """Files with documents, relative to the component."""
    ledger: str = ""
    """The ledger: a path, relative to the component, or a postgresql:// URL. Default: in `.secretsync` of the
    project's root, so that it is in no wheel; its key is there too."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Compile the files."""
        return self._compile(context, [context.path / name for name in self.documents], context.path, self.ledger)


class SyncDirectoryScaffolder(dg.Scaffolder):
    """Writes the component's YAML and a directory with a first document."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Scaffold one component into ``request.target_path``."""
        dg.scaffold_component(request, {"directory": "secretsync"})
        _start(request, request.target_path / "secretsync", "example.yaml")


@dg.scaffold_with(SyncDirectoryScaffolder)
class SyncDirectoryComponent(_Documents):
    """Every document of a directory tree."""

    directory: str
    """The directory, relative to the component."""
    ledger: str = ""
    """The ledger: a path, relative to the component, or a postgresql:// URL. Default: in `.secretsync` of the
    project's root, so that it is in no wheel; its key is there too."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Compile the directory."""
        directory = context.path / self.directory
        return self._compile(context, [directory], directory, self.ledger)


def _start(request: dg.ScaffoldRequest, directory: Path, file: str) -> None:
    """Write a document that works as it is, named after the component, and the files that it speaks of."""
    name = _NOT_IN_NAMES.sub("-", request.target_path.name.lower()).strip("-")[:40] or "example"
    directory.mkdir(parents=True, exist_ok=True)
    # Outside of the package: what is copied there is secret, and a wheel would take it along.
    root = request.project_root
    example = make_example(root, name) if root is not None else directory / "example"
    for folder in ("source", "dest"):
        (example / folder).mkdir(parents=True, exist_ok=True)
    (example / "source" / "hello").write_text("this file is one secret\n")
    shown = Path(os.path.relpath(example, directory)).as_posix()
    (directory / file).write_text(_STARTER.format(name=name, example=shown))
