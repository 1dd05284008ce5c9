"""The wire limit: how fast secrets go from one OpenBao to the other if nothing but GET and PUT is done.

A process of its own, as SecretSync is one: ``python -m benchmarks.wire`` reads what to do from stdin.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import kv, secret_data
from benchmarks.child import measure

if TYPE_CHECKING:
    from benchmarks.servers import Mount


def copy_seconds(source: Mount, dest: Mount, count: int, work: Path) -> float:
    """The seconds that the bare loop takes for ``count`` secrets, the start of its process not counted."""
    task = {
        "source": [source.server.address, source.name, source.server.token],
        "dest": [dest.server.address, dest.name, dest.server.token],
        "count": count,
    }
    root = str(Path(__file__).parent.parent)
    run = measure(
        [sys.executable, "-m", "benchmarks.wire"], work=work, environ={"PYTHONPATH": root}, stdin=json.dumps(task)
    )
    return float(run.stdout)


async def _copy(source: tuple[str, str, str], dest: tuple[str, str, str], keys: list[str]) -> float:
    async with kv.Kv(*source) as reader, kv.Kv(*dest) as writer:

        async def one(key: str) -> None:
            await writer.put(key, await reader.get(key))

        clock = time.perf_counter()
        await kv.for_each(keys, one)
        return time.perf_counter() - clock


def main() -> None:
    """Copy what stdin asks for and print the seconds."""
    task = json.load(sys.stdin)
    keys = [secret_data.key(number) for number in range(task["count"])]
    print(kv.run(_copy(tuple(task["source"]), tuple(task["dest"]), keys)))


if __name__ == "__main__":
    main()
