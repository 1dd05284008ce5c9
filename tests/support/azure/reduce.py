"""Makes ``contract.json`` anew: ``python tests/support/azure/reduce.py``, from the package azure-keyvault-secrets.

Azure's specification of Key Vault (TypeSpec, ``specification/keyvault/data-plane/Secrets`` of azure-rest-api-specs) is
in no package. What is generated from it is: the builders of requests, and the models with the names, types and
directions of their fields. That is what the contract is taken from.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from azure.keyvault.secrets import __version__
from azure.keyvault.secrets._generated import models
from azure.keyvault.secrets._generated._operations import _operations

# The models of bodies and of answers, and what a success is, as the generated operations have them.
_BODIES = {"set_secret": "SecretSetParameters", "update_secret": "SecretUpdateParameters"}
_ANSWERS = {
    "set_secret": "SecretBundle",
    "get_secret": "SecretBundle",
    "update_secret": "SecretBundle",
    "recover_deleted_secret": "SecretBundle",
    "delete_secret": "DeletedSecretBundle",
    "get_deleted_secret": "DeletedSecretBundle",
    "get_secrets": "SecretItem",
    "get_secret_versions": "SecretItem",
    "get_deleted_secrets": "DeletedSecretItem",
    "purge_deleted_secret": "",
}
_MODELS = (
    "SecretSetParameters",
    "SecretUpdateParameters",
    "SecretAttributes",
    "SecretBundle",
    "DeletedSecretBundle",
    "SecretItem",
    "DeletedSecretItem",
)


def reduced() -> dict[str, Any]:
    """The contract."""
    return {
        "source": f"azure-keyvault-secrets {__version__} (PyPI, MIT), its generated _operations and models",
        "operations": {name: _operation(name) for name in sorted(_ANSWERS)},
        "models": {name: _model(getattr(models, name)) for name in _MODELS},
    }


def _operation(name: str) -> dict[str, Any]:
    build = getattr(_operations, f"build_key_vault_{name}_request")
    parameters = inspect.signature(build).parameters.values()
    path = {each.name: f"{{{each.name}}}" for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}
    query = {each.name: 1 for each in parameters if each.kind is each.KEYWORD_ONLY}
    request = build(**path, **query)
    parts = urlsplit(request.url)
    return {
        "method": request.method,
        "path": unquote(parts.path),
        "query": sorted(parse_qs(parts.query)),
        "body": _BODIES.get(name, ""),
        "answer": _ANSWERS[name],
        "listed": name in ("get_secrets", "get_secret_versions", "get_deleted_secrets"),
    }


def _model(model: Any) -> dict[str, Any]:
    model()  # its fields are known once one was made
    kept = {}
    for name, field in model._attr_to_rest_field.items():
        kind = re.sub(r"^typing\.(?:Optional|Union)\[|\]$", "", str(model.__annotations__[name]))
        if field._format == "unix-timestamp" or "int" in kind:
            kind = "integer"
        elif "SecretAttributes" in kind:
            kind = "SecretAttributes"
        elif "dict[str, str]" in kind:
            kind = "texts"
        else:
            kind = "boolean" if "bool" in kind else "string"
        kept[field._rest_name] = {"type": kind, "sent": field._visibility != ["read"]}
    return kept


if __name__ == "__main__":
    Path(__file__).with_name("contract.json").write_text(json.dumps(reduced(), indent=1, sort_keys=True) + "\n")
