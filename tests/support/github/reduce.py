"""Makes ``openapi.json`` of GitHub's own description of its API: the paths that are used, and the schemas they need.

The description is that of https://github.com/github/rest-api-description, which the package ``@octokit/openapi``
carries, under the MIT licence. To renew it::

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python tests/support/github/reduce.py package

What is left out are texts, examples and the paths of everything else. What a request or an answer may hold stays.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

USED = re.compile(
    r"/(?:repos/\{owner\}/\{repo\}|orgs/\{org\})"
    r"(?:|/installation"
    r"|(?:/environments/\{environment_name\}|/actions|/dependabot|/codespaces)/secrets(?:/public-key|/\{secret_name\})?"
    r"|(?:/environments/\{environment_name\}|/actions)/variables(?:/\{name\})?"
    r"|/(?:actions|dependabot|codespaces)/secrets/\{secret_name\}/repositories"
    r"|/actions/variables/\{name\}/repositories)"
    r"|/app/installations/\{installation_id\}/access_tokens|/installation/token"
)
ONLY_GET = ("/repos/{owner}/{repo}", "/orgs/{org}")
TEXTS = frozenset({"description", "example", "examples", "summary", "externalDocs", "tags", "operationId", "title"})


def reduced(whole: dict[str, Any]) -> dict[str, Any]:
    """What is used of a description."""
    paths = {
        path: {
            method: _plain(operation)
            for method, operation in methods.items()
            if method == "get" or path not in ONLY_GET
        }
        for path, methods in whole["paths"].items()
        if USED.fullmatch(path)
    }
    components: dict[str, dict[str, Any]] = {}
    pending = list(_references(paths))
    while pending:
        kind, name = pending.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = _plain(whole["components"][kind][name])
            pending += _references(components[kind][name])
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": components}


def _plain(part: Any, *, names: bool = False) -> Any:
    """A part without texts for people; ``names``: its keys are names of fields, of which none is left out."""
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _plain(value, names=key == "properties" and not names)
        for key, value in part.items()
        if names or (key not in TEXTS and not key.startswith("x-"))
    }


def _references(part: Any) -> list[tuple[str, str]]:
    if isinstance(part, list):
        return [found for each in part for found in _references(each)]
    if not isinstance(part, dict):
        return []
    found = [each for value in part.values() for each in _references(value)]
    if isinstance(reference := part.get("$ref"), str):
        _, _, kind, name = reference.split("/")
        found.append((kind, name))
    return found


if __name__ == "__main__":
    package = Path(sys.argv[1])
    description = json.loads((package / "generated" / "api.github.com.json").read_text())
    version = json.loads((package / "package.json").read_text())["version"]
    made = {"x-source": f"@octokit/openapi {version}, generated/api.github.com.json (MIT)", **reduced(description)}
    (Path(__file__).parent / "openapi.json").write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n")
