"""Makes the reduced copies of Google's discovery documents that the fake checks requests and answers against.

::

    pip download --no-deps google-api-python-client        # its wheel has them, as Google publishes them
    python tests/support/google/reduce.py google_api_python_client-*.whl

A copy has the methods that are used, the schemas that these lead to, and where it is from. Nothing in it is changed.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_VERBS = ("list", "create", "get", "patch", "delete", "addVersion", "testIamPermissions")
_OF_VERSIONS = ("list", "get", "access", "destroy", "disable", "enable")
WANTED = {
    "secretmanager.v1": [
        f"secretmanager.projects.{where}{what}"
        for where in ("", "locations.")
        for what in (*(f"secrets.{each}" for each in _VERBS), *(f"secrets.versions.{each}" for each in _OF_VERSIONS))
    ],
    "sts.v1": ["sts.token"],
    "iamcredentials.v1": ["iamcredentials.projects.serviceAccounts.generateAccessToken"],
}
_KEPT = ("name", "version", "revision", "rootUrl", "servicePath", "parameters")


def methods_of(part: dict[str, Any]) -> dict[str, Any]:
    """All methods of a discovery document, by their ids."""
    found = {each["id"]: each for each in part.get("methods", {}).values()}
    for resource in part.get("resources", {}).values():
        found |= methods_of(resource)
    return found


def reduced(document: dict[str, Any], wanted: list[str], source: str) -> dict[str, Any]:
    """The wanted methods, and the schemas that they lead to."""
    methods = {name: found for name, found in methods_of(document).items() if name in wanted}
    assert sorted(methods) == sorted(wanted)
    schemas: dict[str, Any] = {}

    def follow(part: Any) -> None:
        if isinstance(part, dict):
            name = part.get("$ref")
            if isinstance(name, str) and name not in schemas:
                schemas[name] = document["schemas"][name]
                follow(schemas[name])
            for each in part.values():
                follow(each)
        elif isinstance(part, list):
            for each in part:
                follow(each)

    follow(methods)
    kept = {name: document[name] for name in _KEPT if name in document}
    return {"source": source, **kept, "methods": methods, "schemas": schemas}


def main(wheel: str) -> None:
    """Write the copies."""
    with zipfile.ZipFile(wheel) as package:
        for name, wanted in WANTED.items():
            path = f"googleapiclient/discovery_cache/documents/{name}.json"
            source = f"{path} of {Path(wheel).name}"
            document = reduced(json.loads(package.read(path)), wanted, source)
            (HERE / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
