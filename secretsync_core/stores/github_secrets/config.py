"""How a document describes the secrets, or the variables, of a repository, an environment or an organization."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from secretsync_core.hosts import host_of
from secretsync_core.schema.addresses import PlainPathAddress
from secretsync_core.schema.base import Choice, Credential, Spec, Tls

GITHUB = "https://api.github.com"

_REPOSITORY = r"[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*"
_ACCOUNT = r"[A-Za-z0-9_-]{1,100}"


class AppAuth(Spec):
    """Logs in as an installation of a GitHub App."""

    client_id: str = Field(
        pattern=r"^[A-Za-z0-9.]{1,100}$", description="The client ID of the App, or its App ID as a text."
    )
    private_key: Credential
    installation_id: int | None = Field(
        default=None, ge=1, description="Default: the installation at the repository or organization."
    )


class GithubAuth(Choice):
    """How to log in: exactly one."""

    token: Credential | None = None
    app: AppAuth | None = None


class GithubSecretsConfig(Spec):
    """Secrets, or variables, of a GitHub repository, of an environment of it, or of an organization."""

    address: PlainPathAddress = Field(
        default=GITHUB, description="That of the API. GitHub Enterprise Server: https://github.example.com/api/v3."
    )
    repository: str | None = Field(
        default=None, pattern=rf"^{_ACCOUNT}/{_REPOSITORY}$", max_length=201, description="Such as acme/app."
    )
    environment: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f.][^\x00-\x1f\x7f]*$",
        description="An environment of the repository.",
    )
    organization: str | None = Field(
        default=None, pattern=rf"^{_ACCOUNT}$", description="In place of a repository, such as acme."
    )
    kind: Literal["Actions", "Dependabot", "Codespaces", "Variables"] = Field(
        default="Actions",
        description="Whose secrets; or the variables of Actions, which others can read.",
    )
    visibility: Literal["All", "Private", "Selected"] | None = Field(
        default=None,
        description="Of what is written for an organization, which has to say it: to which of its repositories.",
    )
    selected_repositories: tuple[Annotated[str, Field(pattern=rf"^{_REPOSITORY}$", max_length=100)], ...] = Field(
        default=(), description="With Selected: the names of these repositories, without the organization."
    )
    auth: GithubAuth
    tls: Tls = Tls()

    @field_validator("address")
    @classmethod
    def _is_the_api(cls, address: str) -> str:
        host = host_of(address)
        if host is not None and host.canonical in ("github.com", "www.github.com"):
            raise ValueError(f"that is the web site: the API is at {GITHUB}")
        return address

    @model_validator(mode="after")
    def _is_one_place(self) -> GithubSecretsConfig:
        if (self.repository is None) == (self.organization is None):
            raise ValueError("give exactly one of repository or organization")
        if self.environment is not None and self.repository is None:
            raise ValueError("environment needs a repository")
        if self.environment is not None and self.kind not in ("Actions", "Variables"):
            raise ValueError(f"an environment has no secrets of {self.kind}")
        if (self.visibility is None) != (self.organization is None):
            raise ValueError("visibility goes with an organization, which needs it")
        if bool(self.selected_repositories) != (self.visibility == "Selected"):
            raise ValueError("selectedRepositories goes with visibility: Selected, which needs it")
        return self
