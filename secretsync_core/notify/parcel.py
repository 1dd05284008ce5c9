"""What is handed to the process that sends: where to, what, and how. Holds credentials, and is never shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import SecretSyncError
from secretsync_core.notify.wording import headline, json_body, slack_text, text
from secretsync_core.policy.bounds import Refusal, bounds_of
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.notify import MailSecurity
from secretsync_core.schema.uses import uses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.notify.ending import Ending
    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.schema.base import Credential
    from secretsync_core.schema.notify import Email, Notify, NotifyEvent

Parcel = dict[str, Any]


class BadTarget(SecretSyncError):
    """A message cannot be sent: its address or a header is missing or malformed."""

    code = "notify"


_MODES = {MailSecurity.START_TLS: "starttls", MailSecurity.TLS: "ssl", MailSecurity.PLAIN: "insecure"}


def pack(target: Notify, ending: Ending, events: Sequence[NotifyEvent], environ: Mapping[str, str]) -> Parcel:
    """Make a parcel.

    Raises SecretSyncError where a credential is not there, is no address, or leads where the policy permits no message.
    """
    bounds = bounds_of(environ)
    bounds.check_uses(uses_of(target), "notify", "the document")
    parcel = _packed(target, ending, events, environ)
    if parcel["kind"] == "apprise":
        bounds.check(_judge_apprise(str(parcel["url"]), bounds), "notify", "the address of the message")
    if parcel["kind"] != "email":  # whose host stands in the document
        bounds.check_uses([Use(Kind.HOST, _address(parcel))], "notify", "the address of the message")
    return parcel


_PLAIN = re.compile(
    r"(?:json|xml|form)(?P<secure>s?)://(?:[\w.~%-]*(?::[\w.~%-]*)?@)?(?P<server>[A-Za-z0-9.-]+(?::[0-9]+)?)"
    r"(?:/[\w.~%/:=+-]*)?(?:\?(?P<query>[\w.~%/:=+&-]*))?",
    re.ASCII | re.IGNORECASE,
)
"""An address of Apprise that is one server's, and says so in a way that nobody reads differently."""

_HARMLESS = ("format", "overflow", "verify", "cto", "rto", "emojis", "tz", "method")


def _judge_apprise(url: str, bounds: Bounds) -> Refusal | None:
    """Why an address of Apprise is refused where a policy bounds hosts: it may lead elsewhere than it seems to.

    Many services have servers of their own, whatever host stands in the address, and ``mailto://`` takes another one
    in a parameter.
    """
    rule = next(
        (
            policy.rule("hosts") if policy.spec.hosts is not None else policy.rule("deny", "hosts")
            for policy in bounds.policies
            if policy.spec.hosts is not None or policy.spec.deny.hosts
        ),
        "",
    )
    if not rule:
        return None
    plain = _PLAIN.fullmatch(url.strip())
    names = [part.partition("=")[0] for part in (plain["query"] or "").split("&") if part] if plain else []
    # "-" and ":" stand before parts of the query and of the message; "+" before headers, of which one names the host.
    if plain is not None and all(name in _HARMLESS or name.startswith(("-", ":")) for name in names):
        return None
    return Refusal(
        f"{rule} bounds hosts, and the server cannot be told from this address; use webhook or email instead"
    )


def _address(parcel: Parcel) -> str:
    """Where a parcel goes, for the policy alone: it may hold a token."""
    if parcel["kind"] == "apprise":
        plain = _PLAIN.fullmatch(str(parcel["url"]).strip())
        return f"http{plain['secure'].lower()}://{plain['server']}" if plain else str(parcel["url"])
    port = f":{parcel['port']}" if parcel["port"] else ""
    return f"{'https' if parcel['secure'] else 'http'}://{parcel['host']}{port}"


def _packed(target: Notify, ending: Ending, events: Sequence[NotifyEvent], environ: Mapping[str, str]) -> Parcel:
    words = {"title": headline(ending, events), "body": text(ending)}
    if target.webhook is not None:
        headers = {name: _header(where, name, environ) for name, where in target.webhook.headers.items()}
        payload = json_body(ending, events)
        return {"kind": "json", **words, **_http(target.webhook.url, environ), "headers": headers, "payload": payload}
    if target.slack is not None:
        payload = {"text": slack_text(ending, events)}
        return {"kind": "json", **words, **_http(target.slack.webhook_url, environ), "headers": {}, "payload": payload}
    if target.email is not None:
        return {"kind": "email", **words, **_mail(target.email, environ)}
    assert target.apprise is not None  # noqa: S101  one of the four is given
    return {"kind": "apprise", **words, "url": resolve(target.apprise.url, environ)}


def _http(where: Credential, environ: Mapping[str, str]) -> Parcel:
    url = resolve(where, environ)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(char.isspace() for char in url):
        raise BadTarget(f"the {describe(where)} does not hold an http:// or https:// URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return {
        "secure": parts.scheme == "https",
        "host": f"[{host}]" if ":" in host else host,
        "port": port,
        "path": path,
        "user": parts.username,
        "password": parts.password,
    }


def _header(where: Credential, name: str, environ: Mapping[str, str]) -> str:
    value = resolve(where, environ)
    if not (value.isascii() and value.isprintable() and name.isascii() and name.replace("-", "").isalnum()):
        raise BadTarget(f"the {describe(where)} holds characters that a header cannot have")
    return value


def _mail(email: Email, environ: Mapping[str, str]) -> Parcel:
    return {
        "host": email.host,
        "port": email.server_port,
        "mode": _MODES[email.security],
        "from": email.sender,
        "to": list(email.to),
        "user": email.username,
        "password": resolve(email.password, environ) if email.password is not None else None,
    }
