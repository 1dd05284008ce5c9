"""SecretSync in an existing Dagster project: components for ``dg scaffold defs``, ``dg check`` and ``dg dev``."""

# No deferred annotations here: Dagster resolves those of its components.

from pathlib import Path

import dagster as dg

from secretsync_dagster.load import load, without_collecting

_STARTER = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: example-source}
spec:
  permissions: Read
  provider:
    file: {path: example/source}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: example-dest}
spec:
  provider:
    file: {path: example/dest}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: example}
spec:
  source: example-source
  dest: example-dest
  plan:
    - name: everything
      query: {recursive: true}
"""


class SyncJobScaffolder(dg.Scaffolder):
    """Writes the component's YAML and a first document beside it."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Scaffold one component into ``request.target_path``."""
        dg.scaffold_component(request, {"documents": ["secretsync.yaml"]})
        (request.target_path / "secretsync.yaml").write_text(_STARTER)


@dg.scaffold_with(SyncJobScaffolder)
class SyncJobComponent(dg.Component, dg.Model, dg.Resolvable):
    """The SyncJobs and SecretStores of a few files."""

    documents: list[str]
    """Files with documents, relative to the component."""
    ledger: str = ""
    """The ledger: a path or a postgresql:// URL. Default: beside the component."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Compile the files."""
        return _compile([context.path / name for name in self.documents], context.path, self.ledger)


class SyncDirectoryScaffolder(dg.Scaffolder):
    """Writes the component's YAML and a directory with a first document."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Scaffold one component into ``request.target_path``."""
        dg.scaffold_component(request, {"directory": "secretsync"})
        directory = request.target_path / "secretsync"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "example.yaml").write_text(_STARTER)


@dg.scaffold_with(SyncDirectoryScaffolder)
class SyncDirectoryComponent(dg.Component, dg.Model, dg.Resolvable):
    """Every document of a directory tree."""

    directory: str
    """The directory, relative to the component."""
    ledger: str = ""
    """The ledger: a path or a postgresql:// URL. Default: in the directory."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Compile the directory."""
        directory = context.path / self.directory
        return _compile([directory], directory, self.ledger)


def _compile(paths: list[Path], directory: Path, ledger: str) -> dg.Definitions:
    with without_collecting():
        return load(paths, directory=directory, ledger_url=ledger)
