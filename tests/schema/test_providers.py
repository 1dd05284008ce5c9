"""Providers that other packages bring, by the entry-point group secretsync.stores."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, field_validator
from yaml_samples import load, problems, store, told, warnings

from secretsync_core.schema import providers
from secretsync_core.schema.base import Credential, LocalPath, Spec
from secretsync_core.schema.plugins import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class LocalConfig(Spec):
    folder: LocalPath
    tokens: tuple[Credential, ...] = ()


class CarelessConfig(BaseModel):
    password: str

    @field_validator("password")
    @classmethod
    def _check(cls, value: str) -> str:
        if value == "raise-CANARY":
            raise RuntimeError(value)
        raise ValueError(f"I do not like {value}")


class Local:
    config = LocalConfig


class Careless:
    config = CarelessConfig


class WithoutModel:
    config = "no model"


Register = Any


@pytest.fixture(name="register")
def _register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make some entry points the only ones that there are: name and object's place in this module for each."""

    def register(*points: tuple[str, str]) -> None:
        found = tuple(EntryPoint(name, f"{__name__}:{attribute}", GROUP) for name, attribute in points)
        monkeypatch.setattr(providers, "installed_plugins", lambda: found)

    return register


def test_another_package_s_provider_is_validated_like_ours(tmp_path: Path, register: Register) -> None:
    """Its model checks the configuration with lines and paths, and its instance is in the document."""
    register(("local", "Local"))
    config = load(tmp_path, store("one", provider="local: {folder: here}")).stores["one"].config
    assert isinstance(config, LocalConfig)
    assert config.folder == str(tmp_path / "here")
    assert told(tmp_path, store("one", provider="local: {folder: here, colour: red}")) == [
        "5: unknown field in spec.provider.local"
    ]
    assert warnings(tmp_path, store("one", provider="local: {folder: a, tokens: [{value: x}]}")) == [
        "5: spec.provider.local.tokens[0] is written into the document"
    ]


def test_what_another_package_says_is_not_passed_on_if_it_quotes(tmp_path: Path, register: Register) -> None:
    """A third party's validator may quote what it was given, or raise anything: the value does not get out."""
    register(("careless", "Careless"))
    for value in ("CANARY", "raise-CANARY"):
        found = problems(tmp_path, store("one", provider=f"careless: {{password: {value}}}"))
        assert len(found) == 1
        assert "spec.provider.careless" in found[0].message
        assert "CANARY" not in str(found)


@pytest.mark.parametrize(
    ("points", "provider", "message"),
    [
        ([("vault", "Local")], "vault", "the provider vault is provided by more than one package: secretsync itself"),
        (
            [("local", "Local"), ("local", "Careless")],
            "local",
            "the provider local is provided by more than one package",
        ),
        ([("local", "Nothing")], "local", "does not load (AttributeError)"),
        ([("local", "WithoutModel")], "local", "has no pydantic model called config"),
        ([("local", "Local")], "locla", "there is no provider of that name"),
    ],
)
def test_providers_that_cannot_be_used(
    tmp_path: Path, register: Register, points: list[tuple[str, str]], provider: str, message: str
) -> None:
    """A name that is taken, one that does not load, and one that there is not, are each told."""
    register(*points)
    found = problems(tmp_path, store("one", provider=f"{provider}: {{}}"))
    assert len(found) == 1
    assert message in found[0].message


def test_nothing_is_loaded_that_no_document_names(tmp_path: Path, register: Register) -> None:
    """A broken package that is installed but not used does no harm."""
    register(("local", "Nothing"))
    assert "one" in load(tmp_path, store("one")).stores
    assert "local" in providers.known_providers()
