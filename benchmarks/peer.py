"""The peer: vault-sync from PyPI, in a virtual environment of its own, run by its own command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.child import ChildError, Usage, measure

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.servers import Mount

VERSION = "0.3.3"
_PACKAGES = (f"vault-sync=={VERSION}", "hvac==2.4.0")
_BELOW = (3, 13)  # what its package asks for


class Peer:
    """vault-sync, installed once below ``directory``."""

    def __init__(self, directory: Path) -> None:
        """Install it where it is not yet."""
        self._venv = directory / f"vault-sync-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
        if not (self._venv / "complete").exists():
            self._install()

    def _install(self) -> None:
        if sys.version_info >= _BELOW:
            raise ChildError(
                f"vault-sync {VERSION} needs Python below {'.'.join(map(str, _BELOW))}: run the benchmarks with one"
            )
        python = str(self._venv / "bin" / "python")
        if uv := shutil.which("uv") or shutil.which("uv", path=".tools/bin"):
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, self._venv], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *_PACKAGES], check=True)
        else:
            subprocess.run([sys.executable, "-m", "venv", "--clear", self._venv], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *_PACKAGES], check=True)
        (self._venv / "complete").touch()

    def sync(self, source: Mount, dest: Mount, work: Path) -> Usage:
        """One whole run of ``vault-sync --config …``: it copies, then looks for orphans in the destination."""
        work.mkdir(parents=True, exist_ok=True)
        config = work / "config.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"source": _side(source), "destination": _side(dest)}))
        run = measure([str(self._venv / "bin" / "vault-sync"), "--config", str(config)], work=work, environ={})
        config.unlink()
        if "all done." not in run.stderr:  # it exits with 0 where it finds nothing to sync
            raise ChildError(f"vault-sync did not finish:\n{run.stderr[-500:]}")
        return run


def _side(mount: Mount) -> dict[str, str]:
    return {
        "auth_method": "token",
        "url": mount.server.address,
        "token": mount.server.token,
        "kv_store": mount.name,
    }
