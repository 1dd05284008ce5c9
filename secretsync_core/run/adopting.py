"""What to tell people whose destination holds secrets that are not the job's: how it takes them over."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from secretsync_core.counting import plural
from secretsync_core.model.change import Action, Reason
from secretsync_core.run.by_version import NOT_MANAGED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.opening import Halves

_SHOWN = 3


def way_out(job: str, change: Change, *, dests: int, halves: Halves) -> str:
    """What helps where a key is refused because it is not the job's to write.

    ``dests`` is how many destinations the job has, and ``halves`` is the one that the change is of.
    """
    if halves.looker is None:
        return "to have it written whatever is there, set writePolicy: Replace on its plan item"
    unread = " and writes it, whatever it holds" if halves.reader is None else ""
    return (
        f"`{adopt_command(job, [change], dests=dests)}` takes it over{unread};"
        " to leave it alone, set writePolicy: IfNotExists on its plan item"
    )


def adopt_command(job: str, changes: Collection[Change], *, dests: int) -> str:
    """The command that takes over these keys, to be pasted into a shell."""
    named = [change.key if dests == 1 else f"{change.dest}:{change.key}" for change in changes]
    # A key that begins like an option has to be told from one.
    options = [f"--adopt{'=' if key.startswith('-') else ' '}{shlex.quote(key)}" for key in named]
    return " ".join([f"secretsync sync {job}", *options])


def told_of_refused(job: str, changes: Sequence[Change], dests: Sequence[str]) -> list[str]:
    """A warning for each destination that holds what the job does not manage, for a plan."""
    told = []
    for dest in dests:
        refused = sorted(
            (
                change
                for change in changes
                if change.dest == dest and change.action is Action.REFUSE and change.reason is Reason.NOT_MANAGED
            ),
            key=lambda change: change.key,
        )
        if refused:
            command = adopt_command(job, refused[:_SHOWN], dests=len(dests))
            which = f"the first {_SHOWN}" if len(refused) > _SHOWN else "them" if len(refused) > 1 else "it"
            what = f"{dest} holds {plural(len(refused), 'secret')} with another value that this job does not manage"
            then = f"takes {which} over"
            if refused[0].detail == NOT_MANAGED:
                held = plural(len(refused), "secret")
                what = f"{dest} holds {held} that this job does not manage, and whose values cannot be read to compare"
                then += f" and writes {'it' if len(refused) == 1 else 'them'}"
            told.append(
                f"{what}: `{command}` {then};"
                " `ownership: {adopt: true}` on a plan item takes over all that the item finds"
            )
    return told
