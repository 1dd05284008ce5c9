"""What keeps what steps pass on to each other, in a code location of ours: files below the instance's storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping


def own_io_manager(environ: Mapping[str, str]) -> dg.IOManagerDefinition | None:
    """Dagster's default for files, with nothing to configure; None where the environment names another default.

    Dagster's own takes its directory from the config of a run of assets, also as ``{env: NAME}``, and logs the path
    of every file: whoever may start a run could have what an environment variable holds shown so.
    """
    if environ.get("DAGSTER_DEFAULT_IO_MANAGER_MODULE"):
        return None
    made: dg.IOManagerDefinition = dg.fs_io_manager.configured({})
    return made
