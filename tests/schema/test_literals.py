"""What a SecretStore shows of itself holds no credential, however a third party's model takes it in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, SecretBytes, SecretStr

from secretsync_core.schema.base import Credential, Spec
from secretsync_core.schema.literals import literals, without_credentials

TOKEN = "tok-Zk81"


class Plain(BaseModel):
    token: SecretStr


class Aliased(BaseModel):
    token: SecretStr = Field(alias="apiToken")


class Chosen(BaseModel):
    token: SecretStr = Field(validation_alias=AliasChoices("key", AliasPath("login", "pass")))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    token: SecretStr = Field(alias="apiToken")


class Root(pydantic.RootModel[list[SecretStr]]):
    pass


class WithRoot(BaseModel):
    tokens: Root


class Generic(BaseModel):
    token: pydantic.Secret[str]


class Octets(BaseModel):
    token: SecretBytes


@dataclass
class Login:
    token: SecretStr


class WithDataclass(BaseModel):
    login: Login


class WithSet(BaseModel):
    tokens: frozenset[SecretStr]


class Short(Spec):
    auth: Annotated[Credential, BeforeValidator(lambda text: {"value": text} if isinstance(text, str) else text)]


class Url(BaseModel):
    url: Annotated[SecretStr, BeforeValidator(lambda text: text.split("@")[0])]


class Moved(BaseModel):
    token: SecretStr
    old: str = ""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _move(cls, data: Any) -> Any:
        return {**data, "token": data["old"]} if "old" in data else data


class Own(BaseModel):
    """A credential of their own kind, which nothing tells to be one but that it is called as ours is."""

    auth: dict[str, str]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (Plain, {"token": TOKEN}),
        (Aliased, {"apiToken": TOKEN}),
        (Chosen, {"key": TOKEN}),
        (Chosen, {"login": {"pass": TOKEN}}),
        (ByName, {"token": TOKEN}),
        (WithRoot, {"tokens": [TOKEN]}),
        (Generic, {"token": TOKEN}),
        (Octets, {"token": TOKEN}),
        (WithDataclass, {"login": {"token": TOKEN}}),
        (WithSet, {"tokens": ["a", TOKEN]}),
        (Short, {"auth": TOKEN}),
        (Short, {"auth": {"value": TOKEN}}),
        (Url, {"url": f"{TOKEN}@host"}),
        (Moved, {"old": TOKEN, "token": "x"}),
        (Own, {"auth": {"value": TOKEN}}),
    ],
)
def test_no_credential_is_shown(model: type[BaseModel], part: dict[str, Any]) -> None:
    """Whatever it is called, and in whatever it stands; and what stands beside it is shown still."""
    part = {**part, "address": "https://x"}
    document: dict[str, Any] = {"kind": "SecretStore", "spec": {"provider": {"their": part}}}
    config = (
        model.model_validate_json(json.dumps(part | {"address": "https://x"}), strict=False)
        if (model.model_config.get("extra") != "forbid")
        else model.model_validate_json(json.dumps({key: each for key, each in part.items() if key != "address"}))
    )
    shown = without_credentials(document, config, ("spec", "provider", "their"))
    assert TOKEN not in json.dumps(shown)
    assert shown["spec"]["provider"]["their"]["address"] == "https://x"
    assert document["spec"]["provider"]["their"] is part, "what was read stays as it is"


def test_what_stands_in_a_variable_is_shown_as_it_is() -> None:
    """A document without a credential of its own is shown whole; a model's default is no part of it."""

    class Config(Spec):
        auth: Credential
        token: SecretStr = SecretStr("a default")

    config = Config.model_validate_json('{"auth": {"env": "TOKEN"}}')
    document = {"spec": {"provider": {"their": {"auth": {"env": "TOKEN"}}}}}
    assert without_credentials(document, config, ("spec", "provider", "their")) == document
    assert not [*literals(config)]
