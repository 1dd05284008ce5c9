"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peer

if TYPE_CHECKING:
    from benchmarks.servers import Server

_PACKAGES = ("secretsync-core", "aiohttp", "uvloop", "orjson", "pydantic", "typer", "dagster")


def describe(server: Server) -> list[str]:
    """Lines of Markdown."""
    versions = [f"{name} {_version(name)}" for name in _PACKAGES]
    system = f"{platform.system()} {platform.release()}"
    return [
        f"- Machine: {os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB of memory, {system}",
        f"- Load average of the 15 minutes until the end, the benchmarks' own included: {os.getloadavg()[2]:.1f}",
        f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"- OpenBao {server.version} twice, in dev mode, on the same machine as the clients",
        f"- {', '.join(versions)}; vault-sync {peer.VERSION}",
    ]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
