"""Keeps values and credentials out of the logs, whatever an SDK logs.

At DEBUG SDKs write down whole requests and answers; some of their warnings carry the text of an answer. So while a
thread or a task works for us, no logger of these libraries says anything. Others that use them in this process, in
threads and tasks of their own, hear what they always hear.
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

_ours: ContextVar[bool] = ContextVar("ours", default=False)


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get()


@contextlib.contextmanager
def quieted(libraries: tuple[str, ...], names: tuple[str, ...] = ()) -> Iterator[None]:
    """Nothing that these libraries log in this thread or task, while it lasts, reaches any handler.

    ``names`` are those of their loggers that have the name of no module.
    """
    _install(libraries, names)
    before = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(before)


@cache
def _install(libraries: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Put the filter on the logger of every module that there is: a logger's filters do not count for its children.

    Loggers are made by name, so those of modules that nobody has imported yet are covered too.
    """
    for name in names:
        logging.getLogger(name).addFilter(_SILENCE)
    for library in libraries:
        package = importlib.import_module(library)
        for name in (library, *_modules(library, list(package.__path__))):
            logging.getLogger(name).addFilter(_SILENCE)


_SILENCE = _Silence()


def _modules(package: str, paths: list[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(paths):
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            yield from _modules(name, [str(Path(path, module.name)) for path in paths])
