"""AWS KMS: data keys encrypted and decrypted there, by the keys that the document names and as whom it says.

What a file says of roles and profiles is not followed, nor is a key used that the document does not name: a file is
written by others.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from secretsync_core.distribution import extra_hint
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.aws.answers import Request
from secretsync_core.stores.aws.config import AwsConfig
from secretsync_core.stores.aws.connection import Account, Service

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.sops.config import SopsKms
    from secretsync_core.stores.sops.metadata import KmsEntry


class Kms:
    """The keys of one document, each asked in its own region."""

    def __init__(self, config: SopsKms, context: StoreContext) -> None:
        self.keys = config.keys
        self._store = context.name
        self._services: dict[str, Service[Any]] = {}
        for region in dict.fromkeys(map(_region_of, config.keys)):
            way = {"endpointUrl": config.endpoint_url, "stsEndpointUrl": config.sts_endpoint_url}
            given = AwsConfig.model_validate({"region": region, "auth": config.auth, **way})
            self._services[region] = Service(Account(given, context), "kms", config.endpoint_url)

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

        found = await self._services[_region_of(entry.arn)].call("read", request, ask)
        return found if len(found) == 32 else b""

    async def encrypt(self, data_key: bytes, key: str) -> list[dict[str, str]]:
        """A data key for each of the keys, as a file has it. Raises StoreError."""
        request = Request(self._store, "encrypt a data key for its file", key, "kms:Encrypt")
        entries = []
        for arn in self.keys:

            def ask(client: Any, arn: str = arn) -> bytes:
                return _bytes(request, client.encrypt(KeyId=arn, Plaintext=data_key), "CiphertextBlob")

            sealed = await self._services[_region_of(arn)].call("read", request, ask)
            entries.append(as_entry(arn, base64.b64encode(sealed).decode()))
        return entries


def as_entry(arn: str, enc: str) -> dict[str, str]:
    """An encrypted data key as a file has it."""
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"arn": arn, "created_at": created, "enc": enc, "aws_profile": ""}


def _region_of(arn: str) -> str:
    return arn.split(":")[3]


def _bytes(request: Request, answer: Any, name: str) -> bytes:
    found = Part.of(request, "", answer).fields.get(name)
    if not isinstance(found, bytes) or not found:
        raise malformed(request, f"{name} is missing")
    return found
