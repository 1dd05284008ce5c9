"""The process that sends one message through Apprise, and ends: ``python -m secretsync_core.notify.courier``.

A process of its own, because libraries log URLs, and URLs hold tokens: here nothing that is logged or printed goes
anywhere. It is also what can be ended for certain when a server takes too long. Takes a parcel on stdin, and answers
on stdout with ``sent``, ``why`` not (a status or the name of an error, never its text) and whether to try ``again``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from secretsync_core.undumpable import keep_out_of_dumps

CONNECT_SECONDS = 4.0
READ_SECONDS = 5.0

_SECURE = {"cto": CONNECT_SECONDS, "rto": READ_SECONDS, "redirect": False}
_APPRISES_OWN = ("version", "title", "message", "attachments", "type")


class _Reason(logging.Handler):
    """Keeps of what is logged only what cannot hold a credential: a status, or the name of an error."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.status = 0
        self.error = ""

    def emit(self, record: logging.LogRecord) -> None:
        raised = sys.exc_info()[0]
        if raised is not None:
            self.error = self.error or raised.__name__
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, int) and 300 <= argument <= 599:
                self.status = argument

    def answer(self) -> dict[str, Any]:
        if self.status:
            again = self.status == 429 or self.status >= 500
            return {"sent": False, "why": f"the server answered {self.status}", "again": again}
        if self.error:
            return {
                "sent": False,
                "why": f"the server is unreachable or refused the connection ({self.error})",
                "again": True,
            }
        return {"sent": False, "why": "Apprise could not send it", "again": False}


def _take_from_the_environment() -> None:
    """Leave of the environment what stores take of it too, since Apprise looks into it by itself.

    See docs/design/0017-environment.md: no proxy for what is not encrypted, no certificates but ``SSL_CERT_FILE``, no
    passwords out of ~/.netrc, and no file with the keys of connections.
    """
    for name in ("SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    if trusted := os.environ.get("SSL_CERT_FILE"):
        os.environ["REQUESTS_CA_BUNDLE"] = trusted
    os.environ["NETRC"] = os.devnull


def _follow_nobody() -> None:
    """Let no server send a message on to another one, whatever an address or a plugin of Apprise says of that."""
    import requests

    def nowhere(*_: object) -> None:
        return None

    cast("Any", requests.Session).get_redirect_target = nowhere


def deliver(parcel: dict[str, Any]) -> dict[str, Any]:
    """Send a parcel."""
    import apprise

    log = logging.getLogger("apprise")
    reason = _Reason()
    log.handlers[:], log.propagate = [reason], False
    log.setLevel(logging.DEBUG)
    asset = apprise.AppriseAsset(
        app_id="SecretSync", app_desc="SecretSync", app_url="", async_mode=False, storage_path=None
    )
    _follow_nobody()
    service = apprise.Apprise(asset=asset)
    try:
        added = service.add(_target(parcel, asset))
    except Exception:  # noqa: BLE001  its text may hold the address
        added = False
    if not added:
        return {"sent": False, "why": "Apprise does not support this address", "again": False}
    try:
        sent = service.notify(
            title=parcel["title"],
            body=parcel["body"],
            notify_type=apprise.NotifyType.INFO,
            body_format=apprise.NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001  see above
        return {"sent": False, "why": f"an unexpected {type(error).__name__}", "again": False}
    return {"sent": True} if sent else reason.answer()


def _target(parcel: dict[str, Any], asset: Any) -> Any:
    if parcel["kind"] == "json":
        from apprise.plugins.custom_json import NotifyJSON

        return cast("Any", NotifyJSON)(
            # An empty name leaves out what Apprise would put into the object itself.
            payload={**dict.fromkeys(_APPRISES_OWN, ""), **parcel["payload"]},
            headers=parcel["headers"],
            secure=parcel["secure"],
            host=quote(parcel["host"], safe="[]:"),
            port=parcel["port"],
            fullpath=parcel["path"],
            user=parcel["user"],
            password=parcel["password"],
            asset=asset,
            **_SECURE,
        )
    if parcel["kind"] == "email":
        from apprise.plugins.email import NotifyEmail

        return cast("Any", NotifyEmail)(
            smtp_host=parcel["host"],
            host=parcel["host"],
            port=parcel["port"],
            secure=parcel["mode"] != "insecure",
            secure_mode=parcel["mode"],
            from_addr=parcel["from"],
            targets=parcel["to"],
            format="text",
            # Apprise takes these as they stand in a URL.
            user=quote(parcel["user"], safe="") if parcel["user"] else None,
            password=quote(parcel["password"], safe="") if parcel["password"] else None,
            asset=asset,
            **_SECURE,
        )
    return parcel["url"]


def main() -> None:
    """Take a parcel from stdin, send it, and answer on stdout."""
    keep_out_of_dumps()
    _take_from_the_environment()
    answering = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:  # for the streams of Python, and of whatever writes past them
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        try:
            answer = deliver(json.load(sys.stdin))
        except ImportError:
            answer = {"sent": False, "why": "Apprise is not installed", "again": False, "missing": True}
        except Exception as error:  # noqa: BLE001  its text may hold the address
            answer = {"sent": False, "why": f"an unexpected {type(error).__name__}", "again": False}
        os.write(answering, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
