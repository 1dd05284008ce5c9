"""How a document describes the variables of a project, a group or an instance of GitLab."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from secretsync_core.schema.addresses import PlainPathAddress
from secretsync_core.schema.base import Choice, Credential, Spec, Tls
from secretsync_core.stores.gitlab_variables.marks import LONGEST_TEXT

GITLAB = "https://gitlab.com"
EVERY_SCOPE = "*"

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"


class GitlabAuth(Choice):
    """How to log in."""

    token: Credential | None = None


class GitlabVariablesConfig(Spec):
    """CI/CD variables of a GitLab project, of a group, or of the whole instance."""

    address: PlainPathAddress = Field(
        default=GITLAB, description="That of GitLab, without /api/v4, such as https://gitlab.example.com."
    )
    project: str | None = Field(
        default=None, pattern=rf"^{_PART}(/{_PART})+$", max_length=500, description="Its path, such as acme/app."
    )
    group: str | None = Field(
        default=None,
        pattern=rf"^{_PART}(/{_PART})*$",
        max_length=500,
        description="In place of a project, its path, such as acme or acme/backend.",
    )
    instance: Literal[True] | None = Field(
        default=None, description="In place of either, true: the variables of the whole instance."
    )
    environment_scope: str = Field(
        default=EVERY_SCOPE,
        # The characters of GitLab's own rule (lib/gitlab/regex.rb, environment_scope_regex); it cuts spaces off.
        pattern=r"^[A-Za-z0-9_/\\${}.*-]([A-Za-z0-9_/\\${}. *-]*[A-Za-z0-9_/\\${}.*-])?$",
        max_length=255,
        description="Only variables of exactly this scope are seen, such as production or review/*.",
    )
    visibility: Literal["Visible", "Masked", "Hidden"] = Field(
        default="Masked",
        description="In jobs' logs; Hidden also from everybody who asks GitLab, this store included.",
    )
    raw: bool = Field(default=True, description="Whether a value is taken as it is: $NAME in it is no reference.")
    protected: bool | None = Field(
        default=None, description="Only for protected branches and tags. Default: as it is; of a new variable, no."
    )
    type: Literal["Variable", "File"] = Field(
        default="Variable", description="File: a job gets the path of a file with the value."
    )
    description: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_TEXT, description="For people. Default: as it is."
    )
    auth: GitlabAuth
    tls: Tls = Tls()

    @property
    def hides(self) -> bool:
        """Whether nobody can read what is written there."""
        return self.visibility == "Hidden"

    @field_validator("address")
    @classmethod
    def _is_no_api(cls, address: str) -> str:
        if "/api/v" in address.lower():
            raise ValueError(f"write it without the API's path, such as {GITLAB}")
        return address

    @field_validator("project", "group")
    @classmethod
    def _is_a_path(cls, path: str | None) -> str | None:
        if path is not None and path.lower().startswith("groups/"):
            raise ValueError(
                "leave out groups/, which GitLab puts before the paths of groups in the addresses of pages"
            )
        return path

    @field_validator("description")
    @classmethod
    def _is_plain(cls, description: str | None) -> str | None:
        if description is not None and (description != description.strip() or not description.isprintable()):
            raise ValueError("one line, without spaces around it")
        return description

    @model_validator(mode="after")
    def _is_one_place(self) -> GitlabVariablesConfig:
        if sum(each is not None for each in (self.project, self.group, self.instance)) != 1:
            raise ValueError("give exactly one of project, group or instance")
        if self.instance and self.environment_scope != EVERY_SCOPE:
            raise ValueError("variables of an instance have no environmentScope")
        if self.instance and self.hides:
            raise ValueError("variables of an instance cannot be hidden: visibility: Masked")
        return self
