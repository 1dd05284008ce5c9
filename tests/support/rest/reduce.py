"""Makes ``netlify.json`` of Netlify's own description of its API: the paths that are used, in the contracts' form.

The description is Swagger 2.0, which the package ``@netlify/open-api`` carries, under the MIT licence. To renew it::

    npm pack @netlify/open-api && tar xzf netlify-open-api-*.tgz
    python tests/support/rest/reduce.py package

Of the others no package carries the description. ``vercel.json``, ``cloudflare.json`` and ``doppler.json`` are written
by hand after the types of their official SDKs, which are generated from the descriptions: each names its source.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

USED = ("/accounts/{account_id}/env", "/accounts/{account_id}/env/{key}")
TEXTS = frozenset({"description", "example"})


def reduced(whole: dict[str, Any]) -> dict[str, Any]:
    """What is used of a description."""
    paths = {path: {name: _operation(each) for name, each in whole["paths"][path].items()} for path in USED}
    return {"base": whole["basePath"], "paths": paths}


def _operation(found: dict[str, Any]) -> dict[str, Any]:
    query = {each["name"]: each for each in found["parameters"] if each["in"] == "query"}
    body = next((each["schema"] for each in found["parameters"] if each["in"] == "body"), None)
    return {
        "query": {
            name: _plain({key: each[key] for key in ("type", "enum") if key in each}) for name, each in query.items()
        },
        "required": [name for name, each in query.items() if each.get("required")],
        "body": _plain(body),
        "answers": {status: _plain(each.get("schema")) for status, each in found["responses"].items()},
    }


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


if __name__ == "__main__":
    package = Path(sys.argv[1])
    description = json.loads((package / "dist" / "swagger.json").read_text())
    version = json.loads((package / "package.json").read_text())["version"]
    made = {"x-source": f"@netlify/open-api {version}, dist/swagger.json (MIT)", **reduced(description)}
    (Path(__file__).parent / "netlify.json").write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n")
