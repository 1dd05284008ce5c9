"""AWS KMS: data keys encrypted and decrypted there, as whom the document says.

What files say of roles and profiles is not followed, nor is a key used that neither the document names nor, where that
leaves it to them, the creation rules: a file is written by others.
"""

from __future__ import annotations

import base64
import binascii
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from secretsync_core.distribution import extra_hint
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.aws.answers import Request
from secretsync_core.stores.aws.config import AwsConfig
from secretsync_core.stores.aws.connection import Account, Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.sops.config import SopsKms
    from secretsync_core.stores.sops.metadata import KmsEntry, KmsKey


class Kms:
    """The keys that one store uses, each asked in its own region."""

    def __init__(self, config: SopsKms, context: StoreContext) -> None:
        self._config = config
        self._context = context
        self._store = context.name
        self._services: dict[str, Service[Any]] = {}
        for arn in config.keys or ():
            self._service(arn)

    def _service(self, arn: str) -> Service[Any]:
        """KMS in the region of a key. Rules name theirs only once a file is looked at."""
        region = arn.split(":")[3]
        if region not in self._services:
            way = {"endpointUrl": self._config.endpoint_url, "stsEndpointUrl": self._config.sts_endpoint_url}
            given = AwsConfig.model_validate({"region": region, "auth": self._config.auth, **way})
            self._services[region] = Service(Account(given, self._context), "kms", self._config.endpoint_url)
        return self._services[region]

    async def open(self) -> None:
        """Make sure that we could ask. Raises StoreError where credentials are missing, and what a login raises."""
        if find_spec("boto3") is None:
            raise StoreError(f"{self._store}: keys of KMS need boto3", store=self._store, hint=extra_hint("aws"))
        for service in self._services.values():
            await service.open()

    async def aclose(self) -> None:
        """Close every connection."""
        for service in self._services.values():
            await service.account.aclose()

    async def decrypt(self, entry: KmsEntry, key: str) -> bytes:
        """The data key in an entry of a file, of the secret ``key``; empty where it can be none. Raises StoreError."""
        request = Request(self._store, "decrypt the data key of its file", key, "kms:Decrypt")
        try:
            sealed = base64.b64decode(entry.enc, validate=True)
        except (ValueError, binascii.Error):
            return b""

        def ask(client: Any) -> bytes:
            context = {"EncryptionContext": dict(entry.context)} if entry.context else {}
            return _bytes(request, client.decrypt(KeyId=entry.arn, CiphertextBlob=sealed, **context), "Plaintext")

        found = await self._service(entry.arn).call("kms", request, ask)
        return found if len(found) == 32 else b""

    async def encrypt(self, data_key: bytes, key: str, keys: Sequence[KmsKey]) -> list[dict[str, Any]]:
        """A data key for each of these keys, as the file of the secret ``key`` has it. Raises StoreError."""
        request = Request(self._store, "encrypt a data key for its file", key, "kms:Encrypt")
        entries = []
        for wanted in keys:

            def ask(client: Any, wanted: KmsKey = wanted) -> bytes:
                context = {"EncryptionContext": dict(wanted.context)} if wanted.context else {}
                answer = client.encrypt(KeyId=wanted.arn, Plaintext=data_key, **context)
                return _bytes(request, answer, "CiphertextBlob")

            sealed = await self._service(wanted.arn).call("kms", request, ask)
            entries.append(wanted.entry(base64.b64encode(sealed).decode()))
        return entries


def _bytes(request: Request, answer: Any, name: str) -> bytes:
    found = Part.of(request, "", answer).fields.get(name)
    if not isinstance(found, bytes) or not found:
        raise malformed(request, f"{name} is missing")
    return found
