"""The sequence of a run, whole or in parts.

::

    look -> targets -> decide -> (render, compare) -> transfer -> deletes -> close

The command line does all of it: :func:`plan`, :func:`sync` and :func:`check`. An orchestrator does it in parts, each in
a process of its own if need be: :func:`preview`, :func:`expand`, :func:`transfer` and :func:`audit`. Both are made of
the same functions.
"""

from __future__ import annotations

from secretsync_core.run.done import Done, Planned
from secretsync_core.run.parts import Step, audit, expand, preview, transfer
from secretsync_core.run.whole_run import check, plan, sync

__all__ = ["Done", "Planned", "Step", "audit", "check", "expand", "plan", "preview", "sync", "transfer"]
