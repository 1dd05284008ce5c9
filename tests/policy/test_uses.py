"""What a store's configuration names is found by the types of its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import AnyHttpUrl, BaseModel, Field

from secretsync_core.schema.base import Credential, LocalPath
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.notify import Notify
from secretsync_core.schema.providers import built_in_models, uses_of_store
from secretsync_core.schema.uses import uses_of

V, F, H = Kind.VARIABLE, Kind.FILE, Kind.HOST


def found(provider: str, **config: Any) -> set[tuple[Kind, str, str]]:
    """Kind, text and field of all that a configuration names."""
    model = built_in_models()[provider].model_validate(config)
    return {(use.kind, use.text, ".".join(map(str, use.path))) for use in uses_of_store(provider, model)}


def test_vault() -> None:
    """The server, every credential and every certificate; the default token of a pod too."""
    app_role = {"roleId": {"env": "ROLE"}, "secretId": {"file": "/s"}, "wrapped": True}
    tls = {"caFile": "/ca", "certFile": "/cert", "keyFile": "/key"}
    assert found("vault", address="https://v:1", auth={"appRole": app_role}, tls=tls) == {
        (H, "https://v:1", "address"),
        (V, "ROLE", "auth.appRole.roleId.env"),
        (F, "/s", "auth.appRole.secretId.file"),
        (F, "/ca", "tls.caFile"),
        (F, "/cert", "tls.certFile"),
        (F, "/key", "tls.keyFile"),
    }
    pods = found("vault", address="https://v", auth={"kubernetes": {"role": "r"}})
    assert (F, "/var/run/secrets/kubernetes.io/serviceaccount/token", "auth.kubernetes.token.file") in pods


def test_aws() -> None:
    """Endpoints, keys, profiles, roles and token files."""
    role = "arn:aws:iam::123456789012:role/x"
    auth = {"webIdentity": {"roleArn": role, "tokenFile": "/t"}, "assumeRole": {"roleArn": role}}
    assert found("awsSecretsManager", endpointUrl="http://e", stsEndpointUrl="http://s", auth=auth) == {
        (H, "http://e", "endpointUrl"),
        (H, "http://s", "stsEndpointUrl"),
        (Kind.AWS_ROLE, role, "auth.webIdentity.roleArn"),
        (F, "/t", "auth.webIdentity.tokenFile"),
        (Kind.AWS_ROLE, role, "auth.assumeRole.roleArn"),
    }
    keys = {"id": {"env": "A"}, "secret": {"env": "B"}, "sessionToken": {"file": "/c"}}
    assert {text for _, text, _ in found("awsParameterStore", auth={"accessKey": keys})} == {"A", "B", "/c"}
    assert found("awsParameterStore", auth={"profile": "p"}) == {(Kind.AWS_PROFILE, "p", "auth.profile")}


def test_http() -> None:
    """The host and the credential, and no text of a template, whatever it looks like."""
    read = {"path": "/x/{{ key }}", "value": "$.v", "headers": {"X-From": "https://other.example"}}
    auth = {"token": {"env": "T"}}
    config = {"address": "https://s.example/v1", "auth": auth, "look": {"path": "/x/{{ key }}"}, "read": read}
    assert found("http", **config, vars={"a": "https://x.example"}) == {
        (H, "https://s.example/v1", "address"),
        (V, "T", "auth.token.env"),
    }


def test_kubernetes_and_files() -> None:
    """A kubeconfig, a server, and the directory of a file store; labels and annotations are data."""
    assert found("kubernetes", auth={"kubeconfig": {"file": "/k"}}, annotations={"link": "https://x.example"}) == {
        (F, "/k", "auth.kubeconfig.file")
    }
    assert found("kubernetes", server="https://k", auth={"token": {"env": "T"}}) == {
        (H, "https://k", "server"),
        (V, "T", "auth.token.env"),
    }
    for provider in ("file", "dotenv", "sops"):
        assert found(provider, path="/d") == {(Kind.DIRECTORY, "/d", "path")}
    assert found("dotenv", file="/d/.env") == {(Kind.DIRECTORY, "/d/.env", "file")}
    assert found("sops", file="/d/a.yaml", ageKey={"file": "/k"}) == {
        (Kind.DIRECTORY, "/d/a.yaml", "file"),
        (F, "/k", "ageKey.file"),
    }


def test_every_field_that_could_name_something_says_so() -> None:
    """A new field called like an address, a file or a path has a type that a policy knows."""
    telling = ("url", "address", "server", "host", "file", "path", "profile", "role_arn", "endpoint")
    # In a store, where it lists, or below its address; the name that a certificate is for.
    requests = ("List", "Look", "Read", "Put", "Create", "Update", "Delete", "Mark")
    innocent = {"server_name", "AwsParameterStoreConfig.path", *(f"{each}Request.path" for each in requests)}
    pending: list[type[BaseModel]] = [*built_in_models().values(), Notify]
    for model in pending:
        for name, field in model.model_fields.items():
            inner = [
                each for each in _types(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel)
            ]
            pending += [each for each in inner if each not in pending]
            if not inner and name.endswith(telling) and not {name, f"{model.__name__}.{name}"} & innocent:
                given: dict[str, Any] = {**dict.fromkeys(model.model_fields), name: "x"}
                sample = model.model_construct(None, **given)
                assert [use.text for use in uses_of(sample)] == ["x"], f"{model.__name__}.{name}"


def _types(annotation: Any) -> list[Any]:
    from typing import get_args

    return [annotation, *(inner for arg in get_args(annotation) for inner in _types(arg))]


class Others(BaseModel):
    """What another package may have: types of its own, and none of ours."""

    url: str = Field(default="postgresql://user@db.example:5432/x")
    site: AnyHttpUrl = Field(default=AnyHttpUrl("http://site.example/"))
    token: Credential = Credential(env="TOKEN")
    place: LocalPath = "/place"
    pem: Path = Path("/pem")
    note: str = "plain text"


def test_another_packages_model() -> None:
    """URLs count as hosts and paths as files, also where the model knows nothing of policies."""
    assert {(use.kind, use.text) for use in uses_of(Others())} == {
        (H, "postgresql://user@db.example:5432/x"),
        (H, "http://site.example/"),
        (V, "TOKEN"),
        (F, "/place"),
        (F, "/pem"),
    }


def test_messages() -> None:
    """What notify names is found as well."""
    given = {"email": {"host": "smtp.example", "from": "a@b", "to": "c@d", "username": "u", "password": {"env": "P"}}}
    target = Notify.model_validate(given, strict=False)
    assert {(use.kind, use.text) for use in uses_of(target)} == {(H, "smtp.example:587"), (V, "P")}


@pytest.mark.parametrize(
    ("given", "port"), [({}, 587), ({"security": "Tls"}, 465), ({"security": "Plain"}, 25), ({"port": 2525}, 2525)]
)
def test_a_mail_servers_port_is_told_with_its_host(given: dict[str, Any], port: int) -> None:
    """A policy that lists a host with its port means the port that is spoken to, also where it is the usual one."""
    target = Notify.model_validate(
        {"email": {"host": "smtp.example", "from": "a@b", "to": "c@d", **given}}, strict=False
    )
    assert [use for use in uses_of(target) if use.kind is H] == [Use(H, f"smtp.example:{port}", ("email", "host"))]


@pytest.mark.parametrize("fails", ["raises", "nonsense"])
def test_a_hook_that_fails(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a provider cannot say what it names, that is an error, and nothing is taken for permitted."""
    from importlib.metadata import EntryPoint

    from secretsync_core.schema import providers

    class Provider:
        config = Others

        @staticmethod
        def uses(_: Any) -> Any:
            if fails == "raises":
                raise RuntimeError("secret text")
            return ["nonsense"]

    class Point(EntryPoint):
        def load(self) -> Any:
            return Provider

    monkeypatch.setattr(providers, "installed_plugins", lambda: (Point("acme", "x", "g"),))
    with pytest.raises(providers.ProviderProblem, match="fails to say what its configuration names"):
        uses_of_store("acme", Others())
