"""What every part of a document shares: camelCase names, no unknown fields, and credentials that are only pointed at."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Spec(BaseModel):
    """The base of every part of a document: frozen, strict about names, camelCase in YAML."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=False,
        strict=True,
        # An error names the field and the rule, never what stood there: it may be a credential in the wrong place.
        hide_input_in_errors=True,
        use_enum_values=False,
    )


NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="Lower-case letters, digits and dashes, at most 63.")]


class Credential(Spec):
    """Where a credential is found: exactly one of an environment variable, a file, or (with a warning) a literal."""

    env: str | None = Field(default=None, min_length=1, description="Name of an environment variable.")
    file: str | None = Field(
        default=None, min_length=1, description="Path of a file; read again when the store refuses what it held."
    )
    value: str | None = Field(
        default=None, repr=False, description="The credential itself. Validation warns: documents end up in git."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Credential:
        if sum(part is not None for part in (self.env, self.file, self.value)) != 1:
            raise ValueError("give exactly one of env, file or value")
        return self
