"""What every part of a document shares: camelCase names, no unknown fields, and credentials that are only pointed at.

Documents are validated as JSON (``model_validate_json``), where the strict mode still takes an array for a tuple.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel

from secretsync_core.schema.named import Kind, Names

if TYPE_CHECKING:
    from typing import Self

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


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


class Choice(Spec):
    """A part of a document in which exactly one of some fields is given: of ``CHOICES``, or of all that it has."""

    CHOICES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def choices(cls) -> list[str]:
        """The names, as in YAML, of the fields of which one is to be given."""
        return [cls.model_fields[name].alias or name for name in cls.CHOICES or cls.model_fields]

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = type(self).CHOICES or type(self).model_fields
        if sum(getattr(self, name) is not None for name in names) != 1:
            *others, last = self.choices()
            raise ValueError(f"give exactly one of {', '.join(others)} or {last}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        handler.resolve_ref_schema(described)["oneOf"] = [{"required": [name]} for name in cls.choices()]
        return described


NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="Lower-case letters, digits and dashes, at most 63.")]

DIRECTORY = "directory"
"""The key in pydantic's validation context under which the loader gives the document's own directory."""


def _absolute(value: str, info: ValidationInfo) -> str:
    directory = info.context.get(DIRECTORY) if isinstance(info.context, dict) else None
    if "\0" in value:
        raise ValueError("a path cannot hold the character NUL")
    return value if directory is None else str(Path(directory, value))


LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_absolute), Names(Kind.FILE)]
"""A path on this machine. Relative ones start where the document stands; loading makes them absolute."""

StorePath = Annotated[LocalPath, Names(Kind.DIRECTORY)]
"""The path of a file or directory that a store keeps its secrets in; ``files.roots`` of a policy bounds it."""


class Credential(Choice):
    """Where to find a credential: in an environment variable, a file or, with a warning, right here."""

    env: str | None = Field(default=None, min_length=1, description="Name of an environment variable.")
    file: LocalPath | None = Field(
        default=None, description="Path of a file; read again when the store refuses its content."
    )
    value: str | None = Field(
        default=None, repr=False, description="The credential itself. Validation warns: documents end up in git."
    )


class Tls(Spec):
    """Certificates: whom to trust, and our own. Paths of PEM files."""

    ca_file: LocalPath | None = Field(default=None, description="Default: the system's certificates.")
    cert_file: LocalPath | None = Field(default=None, description="Our client certificate.")
    key_file: LocalPath | None = Field(default=None, description="Its private key.")
    server_name: str | None = Field(default=None, min_length=1, description="The name to expect in the certificate.")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile go together")
        return self
