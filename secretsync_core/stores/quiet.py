"""Keeps values and credentials out of the logs, whatever an SDK logs.

At DEBUG SDKs write down whole requests and answers; some of their warnings carry the text of an answer. So while a
thread works for us, no logger of these libraries says anything. Others that use them in this process, in threads of
their own, hear what they always hear.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import pkgutil
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ours = threading.local()


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(_ours, "working", False)


@contextlib.contextmanager
def quieted(libraries: tuple[str, ...]) -> Iterator[None]:
    """Nothing that these libraries log in this thread, while it lasts, reaches any handler."""
    _install(libraries)
    before = getattr(_ours, "working", False)
    _ours.working = True
    try:
        yield
    finally:
        _ours.working = before


@cache
def _install(libraries: tuple[str, ...]) -> None:
    """Put the filter on the logger of every module that there is: a logger's filters do not count for its children.

    Loggers are made by name, so those of modules that nobody has imported yet are covered too.
    """
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
