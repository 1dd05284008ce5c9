"""An executor around another one."""

from __future__ import annotations

from typing import Any

import dagster as dg


class Around(dg.Executor):
    """Retries steps as the ``inner`` one does; what it does besides executing them is up to its ``execute``."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """As the inner one has it."""
        return self._inner.retries
