"""A moto server in a process of its own: ``python moto_server.py`` prints its port, and runs until it is ended.

moto stands in for AWS, which nothing can be had of offline. Where it is known to be more lenient than the service, or
to differ from what the service documents, it is corrected here, so that what passes against it would pass there:

- a secret that is to be deleted cannot be written, tagged or made again (it could);
- AWSCURRENT moves only away from the version that has it, all or nothing, and reading follows it (it moved halfway, and
  reading did not follow);
- a parameter keeps its type and, once advanced, its tier; its value is bounded and refers to no other; a page of
  descriptions is as long as one asks for (it was 10);
- names, sizes and the number of ids in one request are bounded; what is absent is answered with 400 (it was 404).

Requests are served one at a time, as if each were atomic, and counted: ``GET /counts`` gives them by region and action.
``POST /manage`` makes a secret as other services of AWS do, under a name that nobody else can give one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"  # every test has a region of its own

ACCOUNT = "123456789012"
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_REGION = re.compile(r"Credential=[^/]+/[0-9]{8}/([^/]+)/")


def correct_secrets_manager() -> None:
    """See the module."""
    from moto.secretsmanager import exceptions, models

    backend: Any = models.SecretsManagerBackend

    def refuse_deleted(self: Any, name: str) -> None:
        secret = self.secrets.get(name)
        if secret is not None and secret.is_deleted():
            raise exceptions.InvalidRequestException(
                "You can't perform this operation on the secret because it was marked for deletion."
            )

    def refuse_value(text: str | None, binary: str | None) -> None:
        size = len((text or "").encode()) or len(binary or "") * 3 // 4
        if size > 65_536 or (text is not None and not text):
            raise exceptions.ValidationException("1 validation error detected: the length of the value")

    create, put, batch = backend.create_secret, backend.put_secret_value, backend.batch_get_secret_value

    def create_secret(self: Any, name: str, secret_string: str | None, secret_binary: str | None, **rest: Any) -> Any:
        if not _NAME.fullmatch(name) or "!" in name:
            raise exceptions.ValidationException("Invalid name.")
        refuse_value(secret_string, secret_binary)
        refuse_deleted(self, name)
        return create(self, name, secret_string, secret_binary, **rest)

    def put_secret_value(
        self: Any, secret_id: str, secret_string: str, secret_binary: str, *rest: Any, **more: Any
    ) -> Any:
        refuse_value(secret_string, secret_binary)
        refuse_deleted(self, secret_id)
        return put(self, secret_id, secret_string, secret_binary, *rest, **more)

    def batch_get_secret_value(self: Any, secret_id_list: list[str], **rest: Any) -> Any:
        if len(secret_id_list) > 20:
            raise exceptions.ValidationException("1 validation error detected: the length of secretIdList")
        return batch(self, secret_id_list=secret_id_list, **rest)

    def update_secret_version_stage(
        self: Any, secret_id: str, version_stage: str, remove_from_version_id: str, move_to_version_id: str
    ) -> Any:
        if secret_id not in self.secrets:
            raise exceptions.SecretNotFoundException
        refuse_deleted(self, secret_id)
        versions = self.secrets[secret_id].versions
        owner = next((each for each, about in versions.items() if version_stage in about["version_stages"]), None)
        if owner != move_to_version_id and owner != remove_from_version_id:
            raise exceptions.InvalidParameterException(
                f"When you move staging label {version_stage}, it must be taken from the version that has it."
            )
        for each in (remove_from_version_id, move_to_version_id):
            if each and each not in versions:
                raise exceptions.InvalidParameterException(f"Not a valid version: {each}")
        if owner:
            versions[owner]["version_stages"].remove(version_stage)
        if move_to_version_id:
            versions[move_to_version_id]["version_stages"].append(version_stage)
        if version_stage == "AWSCURRENT" and move_to_version_id:
            for about in versions.values():
                about["version_stages"] = [label for label in about["version_stages"] if label != "AWSPREVIOUS"]
            if owner and owner != move_to_version_id:
                versions[owner]["version_stages"].append("AWSPREVIOUS")
            self.secrets[secret_id].set_default_version_id(move_to_version_id)
        return self.secrets[secret_id].arn, self.secrets[secret_id].name

    tag = backend.tag_resource

    def tag_resource(self: Any, arn: str, tags: dict[str, str]) -> None:
        refuse_deleted(self, arn)
        tag(self, arn, tags)

    backend.tag_resource = tag_resource
    backend.create_secret = create_secret
    backend.put_secret_value = put_secret_value
    backend.batch_get_secret_value = batch_get_secret_value
    backend.update_secret_version_stage = update_secret_version_stage


def correct_parameter_store() -> None:
    """See the module."""
    from moto.core.responses import ActionResult
    from moto.ssm import exceptions, models, responses

    backend: Any = models.SimpleSystemManagerBackend
    response: Any = responses.SimpleSystemManagerResponse
    put = backend.put_parameter

    class HierarchyTypeMismatchException(exceptions.SSMException):
        """moto has none."""

    def put_parameter(self: Any, name: str, description: str, value: str, type_: str, *rest: Any, **more: Any) -> Any:
        tier = more["tier"]
        largest = 8192 if tier in ("Advanced", "Intelligent-Tiering") else 4096
        if len(value.encode()) > largest or re.search(r"\{\{.*\}\}", value, re.DOTALL):
            raise exceptions.ValidationException("1 validation error detected: value")
        known = self.get_parameter(name)
        if known is not None and type_ and known.parameter_type != type_:
            raise HierarchyTypeMismatchException("HierarchyTypeMismatchException", "another type")
        if known is not None and known.tier == "Advanced" and tier == "Standard":
            raise exceptions.ValidationException("You can't downgrade a parameter from the advanced-parameter tier.")
        return put(self, name, description, value, type_, *rest, **more)

    def describe_parameters(self: Any) -> Any:
        size = min(50, int(self._get_param("MaxResults") or 50))
        start = int(self._get_param("NextToken") or 0)
        found = self.ssm_backend.describe_parameters(self._get_param("Filters"), self._get_param("ParameterFilters"))
        page: dict[str, Any] = {
            "Parameters": [each.describe_response_object(False) for each in found[start : start + size]]
        }
        if start + size < len(found):
            page["NextToken"] = str(start + size)
        return ActionResult(page)

    backend.put_parameter = put_parameter
    response.describe_parameters = describe_parameters


def serve() -> None:
    """Listen on a free port, print it, and serve."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.secretsmanager.models import secretsmanager_backends
    from werkzeug.serving import WSGIRequestHandler, make_server

    app = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()
    counts: Counter[str] = Counter()

    def counting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/counts":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(counts).encode()]
        if environ["PATH_INFO"] == "/manage":
            wanted = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            with lock:
                secretsmanager_backends[ACCOUNT][wanted.pop("region")].create_managed_secret("rds", **wanted)
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b"{}"]
        region = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
        action = environ.get("HTTP_X_AMZ_TARGET", environ["PATH_INFO"]).rpartition(".")[2]

        def start(status: str, *rest: Any) -> Any:
            return start_response("400 Bad Request" if status.startswith("404") else status, *rest)

        with lock:
            counts[f"{region[1] if region else '-'} {action}"] += 1
            return list(app(environ, start))

    class Silent(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: object) -> None:
            """Say nothing."""

    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Silent)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    correct_secrets_manager()
    correct_parameter_store()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # ends with its parent
    serve()
