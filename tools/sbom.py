"""The CycloneDX list of what the image installs: ``python tools/sbom.py INSTALLED LOCKED WHEEL``, to standard output.

``INSTALLED`` is cyclonedx-py's list of the environment, with licences and dependencies but no hashes; ``LOCKED`` its
list of the lock file, with the hashes of every file that may be installed. Ours, the ``WHEEL``, is what it is about.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def merge(installed: dict[str, Any], locked: dict[str, Any], wheel: Path) -> dict[str, Any]:
    """The installed packages with the hashes that the lock file allows, and ours as what the list is about.

    Raises SystemExit where a package was installed that the lock file does not have at that version.
    """
    allowed = {_identity(one): one.get("externalReferences", []) for one in locked["components"]}
    name, version = wheel.name.split("-")[:2]
    components = []
    ours = None
    for component in installed["components"]:
        if _identity(component) == (_normal(name), version):
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            ours = component | {"type": "application", "hashes": [{"alg": "SHA-256", "content": digest}]}
            ours.pop("externalReferences", None)  # where on this machine it was installed from
        elif _identity(component) not in allowed:
            raise SystemExit(f"error: {component['name']} {component.get('version')} is not in the lock file")
        else:
            references = [*component.get("externalReferences", []), *allowed[_identity(component)]]
            components.append(component | {"externalReferences": references})
    if ours is None:
        raise SystemExit(f"error: {wheel.name} is not installed")
    metadata = {key: value for key, value in installed.get("metadata", {}).items() if key != "component"}
    return installed | {"metadata": metadata | {"component": ours}, "components": components}


def _identity(component: dict[str, Any]) -> tuple[str, str]:
    return _normal(component["name"]), str(component.get("version", ""))


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    first, second, third = sys.argv[1:]
    merged = merge(json.loads(Path(first).read_text()), json.loads(Path(second).read_text()), Path(third))
    json.dump(merged, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")
