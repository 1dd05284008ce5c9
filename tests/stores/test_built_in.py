"""Built-in stores are registered in the form of third parties, and checking a document costs none of their SDKs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel

from secretsync_core.schema.plugins import BUILT_IN
from secretsync_core.stores.base import Store
from secretsync_core.stores.provider import Provider

LOADED = """
import json, sys
from secretsync_core.schema.providers import built_in_models
models = built_in_models()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_provider_has_a_model_and_says_what_it_opens(name: str) -> None:
    """Each entry loads to a provider with a pydantic model, and its variants are stores by name."""
    provider = BUILT_IN[name].load()
    assert isinstance(provider, Provider)
    assert issubclass(provider.config, BaseModel)
    assert bool(provider.extra) == bool(provider.needs)
    for _, where in provider.variants:
        store = EntryPoint(name, where, "").load()
        assert hasattr(store, "aclose"), f"{where} is no {Store.__name__}"


def test_checking_documents_loads_no_sdk() -> None:
    """The models of all providers are there without any package that only an open store needs."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert "secretsync_core.stores.vault.config" in modules
    needed = {each for point in BUILT_IN.values() for each in point.load().needs}
    assert needed
    assert not modules & (needed | {"urllib3", "requests", "botocore", "orjson", "yarl", "ssl"})
