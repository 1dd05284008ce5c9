"""A ministack server in a process of its own: ``python ministack_server.py FOLDER`` prints its port, and runs until it
is ended, or its parent is.

The second opinion on AWS, as it comes but for one correction; ``aws/second_opinion.py`` has what it gets wrong. It
binds to 127.0.0.1 and keeps what it writes in FOLDER. Its own start-up is left out: that would look for Docker, for
scripts to run, and for further ports to bind.

Requests are counted: ``GET /counts`` gives them by region and action.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
import threading
from collections import Counter
from typing import Any

_REGION = re.compile(rb"Credential=[^/]+/[0-9]{8}/([^/]+)/")


def counting(app: Any) -> Any:
    """Only requests reach the app, and are counted."""
    counts: Counter[str] = Counter()

    async def lifespan(receive: Any, send: Any) -> None:
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["path"] == "/counts":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/json")]})
            await send({"type": "http.response.body", "body": json.dumps(counts).encode()})
            return
        headers = dict(scope["headers"])
        region = _REGION.search(headers.get(b"authorization", b""))
        action = headers.get(b"x-amz-target", scope["path"].encode()).decode().rpartition(".")[2]
        counts[f"{region[1].decode() if region else '-'} {action}"] += 1
        await app(scope, receive, send)

    return serve


def correct_create_secret() -> None:
    """The token of a request becomes the version's id, and without a value there is no version: or hardly anything of
    ours would run here, whose versions are such ids.
    """
    from ministack.services import secretsmanager

    service: Any = secretsmanager
    create = service._create_secret

    def create_secret(asked: dict[str, Any]) -> Any:
        status, headers, body = create(asked)
        if status == 200:
            answer = json.loads(body)
            versions = service._secrets[asked["Name"]]["Versions"]
            version = versions.pop(answer.pop("VersionId"))
            if "SecretString" in asked or "SecretBinary" in asked:
                answer["VersionId"] = asked["ClientRequestToken"]
                versions[asked["ClientRequestToken"]] = version
            body = json.dumps(answer).encode()
        return status, headers, body

    service._create_secret = create_secret


def main(folder: str) -> None:
    """Listen on a free port, print it, and serve."""
    # ministack reads these once, when it is imported; whatever else is set is not for it.
    for name in list(os.environ):
        if name.startswith(("AWS_", "LOCALSTACK_", "MINISTACK_")) or name in ("AUTH", "SERVICES", "PERSIST_STATE"):
            del os.environ[name]
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "LOG_LEVEL": "ERROR",
        "MINISTACK_ACCOUNT_ID": "123456789012",
        "S3_DATA_DIR": f"{folder}/s3",
        "STATE_DIR": f"{folder}/state",
        "TMPDIR": folder,
    }
    os.chdir(folder)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    os.environ["GATEWAY_PORT"] = str(port)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    correct_create_secret()
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.accesslog = config.errorlog = None
    print(port, flush=True)
    asyncio.run(serve(counting(app), config, mode="asgi"))


if __name__ == "__main__":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # ends with its parent
    main(sys.argv[1])
