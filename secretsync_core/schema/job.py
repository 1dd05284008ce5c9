"""The SyncJob document: what goes from which store to which, when, and how it is changed on the way."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from secretsync_core.expression.regexp import Rewrite
from secretsync_core.schema.base import NAME_PATTERN, Choice, Name, Spec
from secretsync_core.schema.encoding import Encoding, Encodings
from secretsync_core.schema.labels import Annotations, Labels
from secretsync_core.schema.metadata import MetadataName
from secretsync_core.schema.notify import Notify
from secretsync_core.schema.quantities import Amount, Duration, Rate, Schedule, Timezone
from secretsync_core.schema.texts import Glob, GlobToExclude, KeyTemplate, RegExp, RegExpTarget, ValueTemplate
from secretsync_core.selection import names_keys


class WritePolicy(StrEnum):
    """What happens to a destination secret that exists."""

    MANAGED = "Managed"
    REPLACE = "Replace"
    IF_NOT_EXISTS = "IfNotExists"
    MERGE = "Merge"


class DeletionPolicy(StrEnum):
    """What happens to a destination secret whose source is gone."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Executor(StrEnum):
    """Where Dagster runs the steps of a job."""

    IN_PROCESS = "InProcess"
    MULTIPROCESS = "Multiprocess"
    KUBERNETES = "Kubernetes"


class Automation(StrEnum):
    """In Dagster: when a job is synced because of other jobs."""

    EAGER = "Eager"


class SecretSelector(Spec):
    """One secret by its key, all of it or one property, the current version or a pinned one."""

    key: str = Field(min_length=1, description="The key of the secret at the source.")
    property: str | None = Field(default=None, min_length=1, description="One field; a dotted path reaches inside it.")
    version: Annotated[str, WithJsonSchema({"type": ["string", "integer"], "minLength": 1})] | None = Field(
        default=None, min_length=1, description="Pin this version. Default: the current one."
    )

    @field_validator("version", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class KeyMatch(Spec):
    """Which keys below ``path`` to take: ``regexp`` must match, none of ``exclude`` may.

    With a glob in ``path`` they see what follows the folders before its first ``*`` or ``?``.
    """

    regexp: RegExp | None = None
    exclude: tuple[RegExp, ...] = Field(default=(), description="Leave out keys that match any of these.")


class QuerySelector(Spec):
    """Every secret below a path that matches."""

    path: Glob = Field(
        default="",
        description="The folder to search, or a glob: `*` and `?` within one part, `**` for any number of "
        "folders, `\\` before one of them to take it as it is. Default: the whole store.",
    )
    exclude: tuple[GlobToExclude, ...] = Field(
        default=(), description="What to leave out, neither listed nor looked at: globs of keys, or of whole folders."
    )
    key: KeyMatch = KeyMatch()
    metadata: dict[str, str] = Field(default_factory=dict, description="Custom metadata that must be equal.")
    type: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$",
        description="The type of the Secrets to take, such as kubernetes.io/tls. In Kubernetes only.",
    )
    recursive: bool = Field(default=False, description="Search the folders below it too; `/**` in path does the same.")

    @model_validator(mode="after")
    def _one_meaning(self) -> QuerySelector:
        if self.recursive and names_keys(self.path):
            raise ValueError(
                "recursive goes with folders, and this path names keys: end it with / for what is in such folders, or"
                " with /** for all that is below them, without recursive"
            )
        return self


class RegExpRewrite(Spec):
    """Replaces every match of ``source`` (RE2) in the key by ``target``, where ``$1`` and ``\\1`` are groups."""

    source: RegExp
    target: RegExpTarget

    @model_validator(mode="after")
    def _groups(self) -> RegExpRewrite:
        Rewrite(self.source, self.target)
        return self


class Case(StrEnum):
    """Upper or lower case for the whole key."""

    LOWER = "Lower"
    UPPER = "Upper"


class CharacterReplace(Spec):
    """Replaces each of some characters: ``{characters: "_.", with: "-"}``."""

    characters: str = Field(min_length=1, description="Each of them is replaced.")
    with_: str = Field(alias="with", description="The replacement; may be empty.")


class KeyTransform(Choice):
    """One step that changes the key: exactly one of its fields."""

    regexp: RegExpRewrite | None = None
    template: KeyTemplate | None = None
    case: Annotated[Case, Field(strict=False)] | None = None
    replace: CharacterReplace | None = None
    prefix: str | None = Field(default=None, min_length=1, description="Prepended to the whole key.")


class FieldsTransform(Spec):
    """Picks and renames fields: ``include`` first, then ``exclude``, then ``rename`` (old name: new name).

    For destinations whose fields hold bytes, ``dropNull`` leaves out what is null, and ``asText`` makes JSON text of
    what is not text.
    """

    include: tuple[str, ...] | None = Field(default=None, description="The only fields to keep. Default: all.")
    exclude: tuple[str, ...] = Field(default=(), description="Fields to drop.")
    rename: dict[str, str] = Field(default_factory=dict, description="New names of fields, by the old ones.")
    drop_null: bool = Field(default=False, description="Leave out fields that are null.")
    as_text: bool = Field(default=False, description="Write what is not text as its JSON text.")


class TemplateTransform(Choice):
    """Builds the whole value: ``data`` makes fields, ``text`` makes one blob."""

    data: dict[str, ValueTemplate] | None = Field(default=None, description="One template for each field.")
    text: ValueTemplate | None = None


class ValueTransform(Choice):
    """One step that changes the value: exactly one of its fields."""

    fields_: FieldsTransform | None = Field(default=None, alias="fields")
    template: TemplateTransform | None = None


class CombinePart(Choice):
    """One input of a combined secret."""

    CHOICES = ("secret", "query")

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="What templates call this input.")
    secret: SecretSelector | None = None
    query: QuerySelector | None = None


class ItemOwnership(Spec):
    """Who owns the secrets of one plan item."""

    adopt: bool = Field(description="Whether to take ownership of secrets that exist already.")


class MetadataKind(StrEnum):
    """What copied metadata becomes in Kubernetes."""

    LABELS = "Labels"
    ANNOTATIONS = "Annotations"


class MetadataSetting(StrEnum):
    """What a secret has beside its value that is no name of anybody's choice."""

    CONTENT_TYPE = "contentType"
    ENABLED = "enabled"
    EXPIRES = "expires"
    NOT_BEFORE = "notBefore"


class ItemMetadata(Spec):
    """What is copied beside the value: tags, labels, annotations or custom metadata of the source, and its settings."""

    copy_: Annotated[tuple[MetadataName, ...], Field(min_length=1)] = Field(
        default=(), alias="copy", description="Names; * stands for any characters but /."
    )
    settings: Annotated[tuple[Annotated[MetadataSetting, Field(strict=False)], ...], Field(min_length=1)] = Field(
        default=(),
        description="Settings to copy. A store that has no such setting keeps it as a tag, an annotation or custom "
        "metadata of that name.",
    )
    as_: MetadataKind | None = Field(
        default=None,
        alias="as",
        strict=False,
        description="What it becomes in Kubernetes. Default: annotations stay annotations, settings become some, all "
        "else becomes labels.",
    )

    @model_validator(mode="after")
    def _copies_something(self) -> ItemMetadata:
        if not (self.copy_ or self.settings):
            raise ValueError("say what is copied: copy names tags, labels and the like, settings the settings")
        return self


class PlanItem(Choice):
    """One line of the plan: exactly one of ``secret``, ``query`` or ``combine``."""

    CHOICES = ("secret", "query", "combine")

    name: Name | None = Field(
        default=None, description="Unique in the job; derived if omitted. The partition in Dagster."
    )
    secret: SecretSelector | None = None
    query: QuerySelector | None = None
    combine: Annotated[tuple[CombinePart, ...], Field(min_length=1)] | None = Field(
        default=None, description="Inputs that become one secret."
    )
    key: str | None = Field(default=None, min_length=1, description="With combine: the destination's key.")
    key_transform: tuple[KeyTransform, ...] = Field(default=(), description="Steps that change the key, in order.")
    value_transform: tuple[ValueTransform, ...] = Field(
        default=(), description="Steps that change the value, in order."
    )
    encoding: Encodings = Field(
        default=Encoding.UTF_8,
        description="How bytes are represented where a store holds JSON: of all fields, or base64 for those that "
        "{base64: [NAME]} names, and UTF-8 for the others.",
    )
    split: Literal["fields"] | None = Field(
        default=None, description="Make one destination secret of each field, named ``<key>/<field>``."
    )
    source: Name | None = Field(default=None, description="Read from this SecretStore instead of the job's source.")
    write_policy: WritePolicy | None = Field(
        default=None, strict=False, description="What happens to secrets that exist. Default: the job's."
    )
    deletion_policy: DeletionPolicy | None = Field(
        default=None, strict=False, description="What happens to secrets whose source is gone. Default: the job's."
    )
    ownership: ItemOwnership | None = Field(default=None, description="Who owns its secrets. Default: the job's.")
    metadata: ItemMetadata | None = Field(
        default=None, description="What is copied beside the value. Default: nothing."
    )

    @model_validator(mode="after")
    def _combined(self) -> PlanItem:
        if self.combine is not None:
            if self.key is None:
                raise ValueError("combine needs a key: the destination's key")
            if self.metadata is not None:
                raise ValueError("metadata cannot be copied with combine: its inputs may have different metadata")
            if self.split is not None:
                raise ValueError("split cannot be used with combine")
            if self.key_transform:
                raise ValueError("keyTransform cannot be used with combine: set key instead")
            names = [part.name for part in self.combine]
            if len(set(names)) != len(names):
                raise ValueError("two parts of combine have the same name")
        elif self.key is not None:
            raise ValueError("key can only be used with combine; use keyTransform to change a key")
        return self


class Limits(Spec):
    """How many requests a store gets, and how many parts an item is split into."""

    concurrency: int = Field(default=32, ge=1, le=256, description="Requests in flight at one store.")
    rate: Rate | None = Field(default=None, description="Requests to one store, such as 200/s.")
    shards: int = Field(default=1, ge=1, le=64, description="Parts that Dagster splits the transfer of one item into.")


class OnChange(Spec):
    """In Dagster: sync when the source changes. ``interval`` is how often its versions are read."""

    interval: Duration = Field(description="Such as 30s or 5m.")


class Ownership(Spec):
    """Who owns the secrets in the destination."""

    mark: bool | None = Field(
        default=None,
        description="Mark what this job creates, with a tag, a label or custom metadata. Default: where that costs no "
        "extra request.",
    )
    adopt: bool = Field(
        default=False, description="Take ownership of secrets that exist already, so that this job may delete them."
    )


class DriftCheck(Spec):
    """In Dagster: check for drift on a schedule, in the job's time zone."""

    schedule: Schedule = Field(description="As the job's own schedule.")


_NAME = {"type": "string", "pattern": NAME_PATTERN}


class SyncJobSpec(Spec):
    """The body of a SyncJob."""

    source: Name = Field(description="The SecretStore to read from.")
    dest: Annotated[
        tuple[Name, ...],
        WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True}]}),
    ] = Field(min_length=1, description="The SecretStore to write to, or a list of them.")
    schedule: Schedule | None = Field(
        default=None, description="When to run: five cron fields, a name such as @hourly, or @every 15m."
    )
    timezone: Timezone = Field(default="UTC", description="The IANA time zone of the schedules.")
    on_change: OnChange | None = None
    automation: Automation | None = Field(
        default=None,
        strict=False,
        description="In Dagster: Eager syncs after another SyncJob has synced to a store that this one reads.",
    )
    drift_check: DriftCheck | None = None
    suspend: bool = Field(default=False, description="Run only when the job is named.")
    write_policy: WritePolicy = Field(
        default=WritePolicy.MANAGED,
        strict=False,
        description="What happens to a destination secret that exists: Managed updates what this job created or took "
        "over and refuses others that differ, Replace overwrites every one, IfNotExists leaves every one alone, Merge "
        "keeps the fields that are not ours.",
    )
    deletion_policy: DeletionPolicy = Field(default=DeletionPolicy.RETAIN, strict=False)
    max_delete: Amount = Field(
        default_factory=lambda: Amount.parse("10%"),
        description="The most that one sync may delete in one destination: a count, or a share of the keys that the "
        "job created there, at least one. Default: 10%.",
    )
    ownership: Ownership = Ownership()
    limits: Limits = Limits()
    executor: Executor = Field(
        default=Executor.IN_PROCESS,
        strict=False,
        description="Where Dagster runs the steps: one by one in one process, or several at once, each in a process or "
        "a pod of its own.",
    )
    notify: tuple[Notify, ...] = Field(default=(), description="Who is told how a run ended.")
    plan: tuple[PlanItem, ...] = Field(min_length=1, description="What to copy.")

    @field_validator("dest", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        # A tuple, because what comes out of here is no longer JSON to pydantic.
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class JobMetadata(Spec):
    """The job's name, labels and annotations."""

    name: Name
    labels: Labels = Field(
        default={},
        description="Such as team: payments. In Dagster they are tags of the job, its runs and its asset.",
        json_schema_extra={"additionalProperties": False},
    )
    annotations: Annotations = Field(
        default={},
        description="Any texts. In Dagster dagster.io/owners and dagster.io/group say who owns it, and its group.",
        json_schema_extra={"additionalProperties": False},
    )


class SyncJob(Spec):
    """What goes where: a plan of static keys and dynamic queries, each with transforms."""

    api_version: Literal["secretsync.io/v1alpha1"]
    kind: Literal["SyncJob"]
    metadata: JobMetadata
    spec: SyncJobSpec
