"""The logins: oauth2.googleapis.com, sts.googleapis.com, iamcredentials.googleapis.com and a metadata server."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.google.discovery import Discovery
from support.google.statuses import Refused, denied, unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "deployer@acme-test.iam.gserviceaccount.com"
AUDIENCE = "https://oauth2.googleapis.com/token"
POOL = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/ci"
SUBJECT = "a token that somebody else has signed"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Logins:
    """Whose tokens there are. Each login gives another one."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.asked: list[str] = []
        self.delegates: list[str] = []
        self.impersonable = {ACCOUNT}
        self.machine = "vm@acme-test.iam.gserviceaccount.com"
        self.seconds = 3600
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._sts, self._iam = Discovery("sts.v1"), Discovery("iamcredentials.v1")

    def key_of(self, account: str) -> dict[str, str]:
        """The key file of a service account. https://cloud.google.com/iam/docs/keys-create-delete"""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "acme-test",
            "private_key_id": "0123456789abcdef",
            "private_key": pem.decode(),
            "client_email": account,
            "client_id": "1",
            "token_uri": AUDIENCE,
        }

    def token_of(self, account: str) -> str:
        """A token that is good, as if somebody had logged in."""
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.tokens[token] = account
        return token

    def caller(self, headers: Mapping[str, str]) -> str:
        """Who asks. Raises Refused for a token that is not good."""
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not token:
            raise unauthenticated("CREDENTIALS_MISSING")
        if token not in self.tokens:
            raise unauthenticated("ACCESS_TOKEN_EXPIRED")
        return self.tokens[token]

    def answer(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]] | None:
        """The answer to a request, if it is one of a login."""
        if path == "/token" and method == "POST":
            self.asked.append("oauth2")
            return self._oauth2(parse_qs(body.decode()))
        if path == "/v1/token" and method == "POST":
            self.asked.append("sts")
            return self._exchange(parse_qs(body.decode()))
        if path.endswith(":generateAccessToken"):
            self.asked.append("impersonate")
            return self._impersonate(method, path, body, headers)
        if path.startswith("/computeMetadata/v1/"):
            self.asked.append("machine")
            # https://cloud.google.com/compute/docs/metadata/querying-metadata
            if headers.get("Metadata-Flavor") != "Google" or not path.endswith("/service-accounts/default/token"):
                return 403, {}
            return 200, self._granted(self.machine)
        return None

    def _granted(self, account: str) -> dict[str, Any]:
        # https://developers.google.com/identity/protocols/oauth2/service-account#httprest
        return {"access_token": self.token_of(account), "expires_in": self.seconds, "token_type": "Bearer"}

    def _oauth2(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if form.get("grant_type") == ["refresh_token"]:
            if form.get("refresh_token") != ["1//refresh"]:
                return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
            return 200, self._granted("person@acme.test")
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return 400, {"error": "unsupported_grant_type"}
        head, claims, signature = form["assertion"][0].split(".")
        try:
            self._key.public_key().verify(
                _decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except Exception:  # noqa: BLE001  whatever is wrong with it
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        told = json.loads(_decoded(claims))
        if told["aud"] != AUDIENCE or told["scope"] != SCOPE or not told["iat"] - 60 < time.time() < told["exp"]:
            return 400, {
                "error": "invalid_grant",
                "error_description": "Invalid JWT: iat and exp in a reasonable timeframe",
            }
        return 200, self._granted(told["iss"])

    def _exchange(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        # https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token; sent as a form, as RFC 8693 has it
        told = {name: values[0] for name, values in form.items()}
        camel = {"".join(p.title() if n else p for n, p in enumerate(name.split("_"))): v for name, v in told.items()}
        try:
            self._sts.ask("POST", "/v1/token", {}, json.dumps(camel).encode())
        except Refused as refused:
            return 400, {"error": "invalid_request", "error_description": refused.message}
        if told.get("subject_token") != SUBJECT or told.get("audience") != POOL:
            return 400, {"error": "invalid_grant", "error_description": "The given credential is rejected."}
        return 200, {
            **self._granted("principal://ci"),
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }

    def _impersonate(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        try:
            self.caller(headers)
            asked = self._iam.ask(method, path, {}, body)
            account = asked.path["serviceAccountsId"]
            self.delegates = asked.body.get("delegates") or []
            _check_delegates(self.delegates)
            if account not in self.impersonable or asked.body["scope"] != [SCOPE]:
                raise denied("iam.serviceAccounts.getAccessToken", path)
        except Refused as refused:
            return refused.http, refused.body
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.seconds))
        return 200, self._iam.answer(asked, {"accessToken": self.token_of(account), "expireTime": until})


def _check_delegates(names: list[str]) -> None:
    # "The delegates must have the following format": the discovery document, GenerateAccessTokenRequest.
    if not all(re.fullmatch(r"projects/-/serviceAccounts/[^/]+", each) for each in names):
        raise Refused("INVALID_ARGUMENT", "Invalid form of a delegate.")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
