"""Sends what a run is worth a message for to everybody who asked for it. Never raises: a sync's result stands."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import SecretSyncError
from secretsync_core.notify.ending import events_of
from secretsync_core.notify.parcel import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.notify.ending import Ending
    from secretsync_core.notify.parcel import Parcel
    from secretsync_core.schema.documents import JobDocument
    from secretsync_core.schema.notify import Notify, NotifyEvent

ATTEMPTS = 2
PATIENCE_SECONDS = 12.0
"""How long one attempt may take in all, however slowly a server answers."""
PAUSE_SECONDS = 1.0

_AT_ONCE = 8
_INSTALL = "Apprise is not installed (pip install 'secretsync[notify]')"


def notify(job: JobDocument, ending: Ending, previous: bool | None, environ: Mapping[str, str]) -> list[str]:
    """Tell everybody; gives a warning, without any address, for each message that could not be sent."""
    events = events_of(ending, previous)
    due = [(number, target, [event for event in events if event in target.on])
           for number, target in enumerate(job.spec.notify)]  # fmt: skip
    due = [one for one in due if one[2]]
    if not due:
        return []

    def one(entry: tuple[int, Notify, list[NotifyEvent]]) -> str:
        number, target, wanted = entry
        why = _tell(target, ending, wanted, environ)
        place = f"notify[{number}] of {job.name} ({target.kind})"
        return f"{place}: the notification could not be sent: {why}" if why else ""

    with ThreadPoolExecutor(min(_AT_ONCE, len(due)), thread_name_prefix="secretsync-notify") as threads:
        return [warning for warning in threads.map(one, due) if warning]


def _tell(target: Notify, ending: Ending, events: Sequence[NotifyEvent], environ: Mapping[str, str]) -> str:
    """Why a message could not be sent; empty where it was."""
    try:
        if importlib.util.find_spec("apprise") is None:
            return _INSTALL
        return _send(pack(target, ending, events, environ))
    except SecretSyncError as error:
        return error.message
    except Exception as error:  # noqa: BLE001  nothing may keep a sync from ending as it ended
        return f"an unexpected {type(error).__name__}"


def _send(parcel: Parcel) -> str:
    answer: dict[str, Any] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        answer = _attempt(parcel)
        if answer.get("sent"):
            return ""
        if not answer.get("again"):
            break
    return _INSTALL if answer.get("missing") else str(answer.get("why"))


def _attempt(parcel: Parcel) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "secretsync_core.notify.courier"],
            input=json.dumps(parcel).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            start_new_session=True,  # Ctrl-C ends the sync, and this is how others hear of it
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"why": f"it took longer than {PATIENCE_SECONDS:g} s", "again": True}
    except (OSError, ValueError) as error:
        return {"why": f"the process that sends it failed ({type(error).__name__})", "again": False}
    return answer if isinstance(answer, dict) else {}
