"""Keeps what the SDK logs from every handler while it works for us: addresses, and what it makes of answers.

Others that use it in this process, in tasks of their own, hear what they always hear.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import pkgutil
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARIES = ("azure.core", "azure.identity", "azure.keyvault.secrets", "msal")

_NAMED = ("azure.core.pipeline.policies.http_logging_policy",)
"""Loggers that have the name of no module."""

_ours: ContextVar[bool] = ContextVar("ours", default=False)


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that these libraries log in this task, while it lasts, reaches any handler."""
    _install()
    before = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(before)


@cache
def _install() -> None:
    """Put the filter on the logger of every module that there is: a logger's filters do not count for its children."""
    silence = _Silence()
    for name in _NAMED:
        logging.getLogger(name).addFilter(silence)
    for library in _LIBRARIES:
        package = importlib.import_module(library)
        for name in (library, *_modules(library, list(package.__path__))):
            logging.getLogger(name).addFilter(silence)


def _modules(package: str, paths: list[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(paths):
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            yield from _modules(name, [str(Path(path, module.name)) for path in paths])
