"""Who is told how a SyncJob's runs end: the entries of ``notify`` in a SyncJob."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from secretsync_core.schema.addresses import HostName
from secretsync_core.schema.base import Choice, Credential, Spec
from secretsync_core.schema.named import Kind, Names


class NotifyEvent(StrEnum):
    """What a run can be worth a message for."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    DRIFT = "drift"
    BLOCKED_DELETES = "blockedDeletes"


class MailSecurity(StrEnum):
    """How the connection to a mail server is protected."""

    START_TLS = "StartTls"
    TLS = "Tls"
    PLAIN = "Plain"


class Webhook(Spec):
    """A POST with a JSON object."""

    url: Credential = Field(description="Where to find an http:// or https:// URL, which may hold a token.")
    headers: dict[str, Credential] = Field(default_factory=dict, description="Such as Authorization.")


class SlackWebhook(Spec):
    """An incoming webhook of Slack or a compatible service (Mattermost, Rocket.Chat, Discord's /slack)."""

    webhook_url: Credential = Field(description="Where to find the webhook's URL.")


_ADDRESS = r"^[^@\s<>,;\"]+@[^@\s<>,;\"]+$"
Address = Annotated[str, Field(pattern=_ADDRESS, max_length=320, description="Such as ops@example.com.")]


_MAIL_PORTS = {MailSecurity.START_TLS: 587, MailSecurity.TLS: 465, MailSecurity.PLAIN: 25}


class Email(Spec):
    """An e-mail through an SMTP server."""

    host: Annotated[HostName, Names(Kind.HOST, port="server_port")] = Field(description="The SMTP server.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Default: 587 with StartTls, 465 with Tls, 25 with Plain."
    )
    security: MailSecurity = Field(default=MailSecurity.START_TLS, strict=False)
    sender: Address = Field(alias="from")
    to: Annotated[
        tuple[Address, ...],
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": _ADDRESS},
                    {"type": "array", "items": {"type": "string", "pattern": _ADDRESS}, "minItems": 1},
                ]
            }
        ),
    ] = Field(min_length=1, description="An address, or a list of addresses.")
    username: str | None = Field(default=None, min_length=1, description="The user name for the mail server.")
    password: Credential | None = None

    @property
    def server_port(self) -> int | None:
        """The port of the server: what is given, or the usual one."""
        return self.port or _MAIL_PORTS.get(self.security)

    @field_validator("to", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _pair(self) -> Email:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


class AppriseTarget(Spec):
    """Anything else that Apprise can send to, by its URL."""

    url: Credential = Field(description="Where to find an Apprise URL, such as mailto:// or msteams://.")


class Notify(Choice):
    """Who is told, and of what."""

    CHOICES = ("webhook", "slack", "email", "apprise")

    on: tuple[Annotated[NotifyEvent, Field(strict=False)], ...] = Field(
        default=(NotifyEvent.FAILURE, NotifyEvent.RECOVERY), min_length=1, description="What to tell about."
    )
    webhook: Webhook | None = None
    slack: SlackWebhook | None = None
    email: Email | None = None
    apprise: AppriseTarget | None = None

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        return next(name for name in self.CHOICES if getattr(self, name) is not None)


NOT_SHOWN = "(not shown)"


def without_literals(document: dict[str, Any]) -> dict[str, Any]:
    """A SyncJob as people may see it: what was read of it, less the credentials that stand in it themselves."""
    spec = document.get("spec")
    if not isinstance(spec, dict) or "notify" not in spec:
        return document
    return {**document, "spec": {**spec, "notify": hide(spec["notify"])}}


def hide(part: Any) -> Any:
    """A part of a document with each credential's ``value`` replaced."""
    if isinstance(part, dict):
        return {key: NOT_SHOWN if key == "value" else hide(inner) for key, inner in part.items()}
    return [hide(inner) for inner in part] if isinstance(part, list) else part
