"""Real stores in the places of those that the pages name, and the command line to try their documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from cli.conftest import Cli

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Ran

API = "secretsync.io/v1alpha1"


class Lab:
    """The command line, with documents of a page and stores of a test."""

    def __init__(self, directory: Path) -> None:
        self.cli = Cli(directory)
        self.directory = directory

    def store(self, name: str, provider: dict[str, Any], permissions: str = "ReadWrite") -> None:
        """A SecretStore of this name."""
        spec = {"permissions": permissions, "provider": provider}
        document = {"apiVersion": API, "kind": "SecretStore", "metadata": {"name": name}, "spec": spec}
        self.cli.write(f"secretsync/store-{name}.yaml", yaml.safe_dump(document))

    def files(self, name: str) -> Path:
        """A SecretStore of this name that is a directory; gives the directory."""
        path = self.directory / "secretsync" / name
        path.mkdir(mode=0o700, parents=True)
        self.store(name, {"file": {"path": name}})
        return path

    def documents(self, text: str, **provider: Any) -> None:
        """The documents of a page; what is given is set in the provider of each SecretStore among them."""
        documents = list(yaml.safe_load_all(text))
        for document in documents:
            if document["kind"] == "SecretStore":
                (settings,) = document["spec"]["provider"].values()
                settings |= provider
        self.cli.write("secretsync/page.yaml", yaml.safe_dump_all(documents))

    def edit(self, old: str, new: str) -> None:
        """Change the documents of the page, which must have what is changed."""
        path = self.directory / "secretsync" / "page.yaml"
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new))

    def well(self, *arguments: str) -> Ran:
        """Run a command that must end well."""
        ran = self.cli(*arguments)
        assert ran.code == 0, ran.out + ran.err
        return ran

    def plan(self) -> str:
        """The last line of the plan."""
        return self.well("plan").out.strip().splitlines()[-1]

    def sync(self) -> str:
        """What a sync that goes well did: its counts."""
        found = re.search(r"^ +(\d.*) in [\d.]+ s$", self.well("sync").out, re.MULTILINE)
        assert found
        return found[1]
