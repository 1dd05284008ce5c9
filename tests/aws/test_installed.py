"""boto3 is loaded when a store of AWS is opened, and where it is missing the error names the extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROVIDERS = ("awsSecretsManager", "awsParameterStore")

LAZY = """
import sys
import secretsync_core.cli.main
from secretsync_core.stores.registry import installed
assert {info.provider for info in installed()} >= {"PROVIDER"}
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore")))
"""

MISSING = """
import asyncio, importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "boto3" else real(name, package)
from secretsync_core.errors import StoreError
from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.stores.registry import installed, open_store
try:
    asyncio.run(open_store(StoreDocument("one", Permissions.READ, "PROVIDER", None, Where("a.yaml", 1)), None))
except StoreError as error:
    print(error.message, error.hint, sep="; ")
print([info.problem for info in installed() if info.provider == "PROVIDER"])
"""


def run(script: str, provider: str) -> list[str]:
    """The lines that a process of its own prints: modules that are imported twice would haunt the other tests."""
    done = subprocess.run(
        [sys.executable, "-c", script.replace("PROVIDER", provider)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_loads_boto3_before_a_store_is_opened(provider: str) -> None:
    """Neither the command line nor the list of stores, which names the providers and what they can do."""
    assert run(LAZY, provider) == ["[]"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_boto3_the_extra_is_named(provider: str) -> None:
    """Opening says what to install, and so does the list of stores."""
    told, listed = run(MISSING, provider)
    assert told == f"the provider '{provider}' needs boto3; install the extra [aws]; see Install in the README"
    assert "install the extra [aws]; see Install in the README" in listed
