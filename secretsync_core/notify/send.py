"""Sends what a run is worth a message for to everybody who asked for it. Never raises: a sync's result stands."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from secretsync_core.distribution import extra_hint
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
_LEAST_SECONDS = 0.5
"""With less time than this left a message is not begun: it would hardly be known whether it was sent."""

_AT_ONCE = 8
_INSTALL = f"Apprise is not installed ({extra_hint('notify')})"


def notify(
    job: JobDocument,
    ending: Ending,
    previous: bool | None,
    environ: Mapping[str, str],
    *,
    within: float = math.inf,
) -> list[str]:
    """Tell everybody; gives a warning, without any address, for each message that could not be sent.

    Returns ``within`` so many seconds, whoever does not answer.
    """
    until = time.monotonic() + within
    events = events_of(ending, previous)
    due = [(number, target, [event for event in events if event in target.on])
           for number, target in enumerate(job.spec.notify)]  # fmt: skip
    due = [one for one in due if one[2]]
    if not due:
        return []

    def one(entry: tuple[int, Notify, list[NotifyEvent]]) -> str:
        number, target, wanted = entry
        why = _tell(target, ending, wanted, environ, until)
        place = f"notify[{number}] of {job.name} ({target.kind})"
        return f"{place} was not sent: {why}" if why else ""

    with ThreadPoolExecutor(min(_AT_ONCE, len(due)), thread_name_prefix="secretsync-notify") as threads:
        return [warning for warning in threads.map(one, due) if warning]


def _tell(
    target: Notify, ending: Ending, events: Sequence[NotifyEvent], environ: Mapping[str, str], until: float
) -> str:
    """Why a message could not be sent; empty where it was."""
    try:
        if importlib.util.find_spec("apprise") is None:
            return _INSTALL
        return _send(pack(target, ending, events, environ), until)
    except SecretSyncError as error:
        return error.message
    except Exception as error:  # noqa: BLE001  nothing may keep a sync from ending as it ended
        return f"an unexpected {type(error).__name__}"


def _send(parcel: Parcel, until: float) -> str:
    answer: dict[str, Any] = {"why": "other notifications used up the time limit"}
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(max(0.0, min(PAUSE_SECONDS, until - time.monotonic())))
        left = until - time.monotonic()
        if left < _LEAST_SECONDS:
            break
        answer = _attempt(parcel, min(PATIENCE_SECONDS, left))
        if answer.get("sent"):
            return ""
        if not answer.get("again"):
            break
    return _INSTALL if answer.get("missing") else str(answer.get("why"))


def _attempt(parcel: Parcel, seconds: float) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "secretsync_core.notify.courier"],
            input=json.dumps(parcel).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            start_new_session=True,  # Ctrl-C ends the sync, and this is how others hear of it
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"why": f"timed out after {seconds:.2g} s", "again": True}
    except (OSError, ValueError) as error:
        return {"why": f"the sender process failed ({type(error).__name__})", "again": False}
    return answer if isinstance(answer, dict) else {}
