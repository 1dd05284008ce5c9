"""Syncs between a store whose answers may be spoiled and a Vault that answers rightly, one for each kind and role."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import trustme
from azure.keyvault.secrets._shared import http_challenge_cache

from fuzz.fake_aws import FakeAws
from fuzz.fake_azure import TENANT, FakeAzure
from fuzz.fake_github import FakeGithub
from fuzz.fake_gitlab import FakeGitlab
from fuzz.fake_google import FakeGoogle
from fuzz.fake_http import SECTION as HTTP
from fuzz.fake_http import FakeHttp
from fuzz.fake_kubernetes import FakeKubernetes
from fuzz.fake_server import FakeServer
from fuzz.fake_vault import TOKEN, FakeVault
from fuzz.spoiling import VALUE
from secretsync_core.cli.call import Call
from secretsync_core.cli.commands import sync
from secretsync_core.cli.output import Output
from secretsync_core.errors import SecretSyncError
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.run.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.fake_server import Fake

KEPT = ("k1", "k2", "k3")
"""Keys that the tried sync has nothing to do for."""

CHANGED = {"k4": "new", "k5": "new"}
"""Keys whose sources are others now, and what they hold; k5 is new, except where each key is an item."""

_HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: "
_ENVIRON = {
    "VT": TOKEN, "ROLE": "r", "AK": "AKIA", "SK": TOKEN, "OT": "other", "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "SECRETSYNC_KEY": "00" * 32,
}  # fmt: skip
_QUICK = Options(retry=RetryPolicy(2, 0.001, 0.002, longest_retry_after=0.05, lost_after=3))
_MEMORY = Path("/dev/shm")
"""Where there is one, directories are made there: the ledger waits for a disk at each write."""

_TOKEN = "auth: {token: {env: VT}}"
_ROLE = "auth: {appRole: {roleId: {env: ROLE}}}"
_KEYS = "auth: {accessKey: {id: {env: AK}, secret: {env: SK}}"
_AWS = f"region: eu-central-1, endpointUrl: '%s', {_KEYS}}}"
_STS = "assumeRole: {roleArn: 'arn:aws:iam::123456789012:role/x'}"
_ASSUMED = f"region: eu-central-1, endpointUrl: '%s', stsEndpointUrl: '%s', {_KEYS}, {_STS}}}"
_GOOGLE_AT = "project: acme-test, prefix: p-, endpointUrl: '%s', authEndpointUrl: '%s'"
_GOOGLE = f"gcpSecretManager: {{{_GOOGLE_AT}, auth: {{accessToken: {{env: VT}}"
_ACTING = "impersonate: {serviceAccount: a@b.iam.gserviceaccount.com}"
_GITLAB = f"gitlabVariables: {{address: '%s', project: acme/app, {_TOKEN}}}"
_WHO = f"auth: {{clientSecret: {{tenantId: {TENANT}, clientId: {TENANT}, secret: {{env: SK}}}}}}"
_AZURE = f"azureKeyVault: {{vaultUrl: '%s', authorityHost: '%s', tls: {{caFile: CA}}, {_WHO}}}"
_GITHUB = f"githubSecrets: {{repository: acme/app, address: '%s', {_TOKEN}"
_LOWER, _UPPER = "keyTransform: [{case: Lower}]", "keyTransform: [{case: Upper}]"
_KUBERNETES = f"kubernetes: {{namespace: apps, server: '%s', {_TOKEN}}}"


class Kind(NamedTuple):
    """A kind of store in one role.

    Attributes:
        fake: makes the store, empty.
        section: its ``provider``, with ``%s`` in place of the address.
        source: whether it is read from; else it is written to.
        items: each key is an item of its own, in place of one query for all.
        spec: more fields of the SyncJob.
        query: more fields of the query.
        tls: it is served over TLS; ``CA`` in the section stands for the file of the authority.
    """

    fake: Callable[[], Fake]
    section: str
    source: bool = True
    items: bool = False
    spec: str = ""
    query: str = ""
    tls: bool = False


KINDS = {
    "vault2 source scan": Kind(lambda: FakeVault(2), f"vault: {{address: '%s', {_TOKEN}}}"),
    "vault2 source list": Kind(lambda: FakeVault(2, scan=False), f"vault: {{address: '%s', {_ROLE}}}"),
    "vault2 source items": Kind(lambda: FakeVault(2), f"vault: {{address: '%s', {_ROLE}}}", items=True),
    "vault1 source scan": Kind(lambda: FakeVault(1), f"vault: {{address: '%s', {_TOKEN}}}"),
    "vault1 source list": Kind(
        lambda: FakeVault(1, scan=False), f"vault: {{address: '%s', kvVersion: 1, {_TOKEN}}}"
    ),
    "vault2 dest": Kind(lambda: FakeVault(2), f"vault: {{address: '%s', {_ROLE}}}", source=False),
    "vault2 dest mark": Kind(
        lambda: FakeVault(2), f"vault: {{address: '%s', {_TOKEN}}}", source=False, spec="ownership: {mark: true}\n  "
    ),
    "vault1 dest": Kind(lambda: FakeVault(1, scan=False), f"vault: {{address: '%s', {_TOKEN}}}", source=False),
    "kubernetes source": Kind(FakeKubernetes, _KUBERNETES),
    "kubernetes source items": Kind(FakeKubernetes, _KUBERNETES, items=True),
    "kubernetes dest": Kind(FakeKubernetes, _KUBERNETES, source=False),
    "secretsmanager source": Kind(FakeAws, f"awsSecretsManager: {{prefix: p/, {_AWS}}}"),
    "secretsmanager source items": Kind(FakeAws, f"awsSecretsManager: {{prefix: p/, {_ASSUMED}}}", items=True),
    "secretsmanager dest": Kind(FakeAws, f"awsSecretsManager: {{prefix: p/, {_AWS}}}", source=False),
    "parameterstore source": Kind(FakeAws, f"awsParameterStore: {{path: /p, {_AWS}}}"),
    "parameterstore source items": Kind(FakeAws, f"awsParameterStore: {{path: /p, {_AWS}}}", items=True),
    "parameterstore dest": Kind(FakeAws, f"awsParameterStore: {{path: /p, {_AWS}}}", source=False),
    # Not by a query: an empty object is what Google says of a project without secrets.
    "gcp source items": Kind(FakeGoogle, f"{_GOOGLE}, {_ACTING}}}}}", items=True),
    "gcp dest": Kind(FakeGoogle, f"{_GOOGLE}}}}}", source=False),
    "gitlab source": Kind(FakeGitlab, _GITLAB),
    "gitlab source items": Kind(FakeGitlab, _GITLAB, items=True),
    "gitlab dest": Kind(FakeGitlab, _GITLAB, source=False),
    "azure source": Kind(FakeAzure, _AZURE, tls=True),
    "azure source items": Kind(FakeAzure, _AZURE, items=True, tls=True),
    "azure dest": Kind(FakeAzure, _AZURE, source=False, tls=True),
    "github source": Kind(FakeGithub, f"{_GITHUB}, kind: Variables}}", query=_LOWER),
    "github dest variables": Kind(FakeGithub, f"{_GITHUB}, kind: Variables}}", source=False, query=_UPPER),
    "github dest secrets": Kind(FakeGithub, f"{_GITHUB}}}", source=False, query=_UPPER),
    # Not by a query: a name that is another one is another secret.
    "http source items": Kind(FakeHttp, HTTP, items=True),
    "http dest": Kind(FakeHttp, HTTP, source=False),
}  # fmt: skip


def password(key: str, state: str = "old") -> str:
    """What the secret of a key holds in one state."""
    return f"{VALUE}-{key}-{state}"


class Scene:
    """One kind's directory, documents and servers: a job has copied once, and then sources have changed.

    Attributes:
        server: the one whose answers may be spoiled.
        peer: the one at the other side.
        right: the answers of ``server`` to a whole sync, spoiled nowhere; the first for each label.
    """

    def __init__(self, name: str) -> None:
        """Bring it to its start; ``name`` is one of ``KINDS``."""
        self.name = name
        self.kind = KINDS[name]
        self._home = tempfile.TemporaryDirectory(
            prefix="secretsync-fuzz-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None
        )
        self.home = Path(self._home.name)
        self._peer = FakeVault(2)
        tls = self._tls() if self.kind.tls else None
        self.server, self.peer = FakeServer(self.kind.fake(), tls), FakeServer(self._peer)
        self.config = self.home / "conf"
        self.config.mkdir()
        (self.config / "d.yaml").write_text(self._documents())
        for key in (*KEPT, "k4", *(["k5"] if self.kind.items else [])):
            self._put(key, "old")
        self._must()
        for key, state in CHANGED.items():
            self._put(key, state)
        self._start = copy.deepcopy((self.server.fake, self._peer))
        for fake in self._start:
            fake.writes.clear()
        shutil.copytree(self.config, self.home / "start", copy_function=shutil.copy2)
        self.reset()
        self._must()
        answers = sorted(self.server.given, key=lambda answer: answer.label)
        self.right = {answer.label: answer for answer in reversed(answers)}
        if not self.good():
            raise RuntimeError(f"{name}: a right sync copies nothing")

    def _tls(self) -> ssl.SSLContext:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.home / "ca.pem"))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(made)
        return made

    def _must(self) -> None:
        code, said = self.sync()
        if code:
            raise RuntimeError(f"{self.name}: a right sync fails: {said}")

    def _documents(self) -> str:
        kind = self.kind
        source, dest = ("x", "f") if kind.source else ("f", "x")
        section = kind.section.replace("%s", self.server.address).replace("CA}", f"'{self.home / 'ca.pem'}'}}")
        plan = f"    - query: {{recursive: true}}\n      name: all\n      {kind.query}\n"
        if kind.items:
            plan = "".join(f"    - secret: {{key: {key}}}\n" for key in (*KEPT, *CHANGED))
        peer = f"vault: {{address: '{self.peer.address}', kvVersion: 2, auth: {{token: {{env: OT}}}}}}"
        return (
            f"{_HEAD}SecretStore\nmetadata: {{name: x}}\nspec: {{provider: {{{section}}}}}\n---\n"
            f"{_HEAD}SecretStore\nmetadata: {{name: f}}\nspec: {{provider: {{{peer}}}}}\n---\n"
            f"{_HEAD}SyncJob\nmetadata: {{name: j}}\nspec:\n  source: {source}\n  dest: {dest}\n"
            f"  deletionPolicy: Delete\n  maxDelete: 100%\n  {kind.spec}plan:\n{plan}"
        )

    def _put(self, key: str, state: str) -> None:
        """Write to the source, whichever that is."""
        fields = {"password": password(key, state)}
        fake = self.server.fake
        if not self.kind.source:
            self._peer.put(key, fields)
        elif isinstance(fake, FakeVault | FakeKubernetes):
            fake.put(key, fields)
        elif isinstance(fake, FakeAws):
            if "awsParameterStore" in self.kind.section:
                fake.put_parameter(f"/p/{key}", json.dumps(fields))
            else:
                fake.put_secret(f"p/{key}", json.dumps(fields))
        elif isinstance(fake, FakeGoogle):
            fake.put_secret(f"p-{key}", json.dumps(fields))
        elif isinstance(fake, FakeGitlab):
            fake.put_variable(key, json.dumps(fields, separators=(",", ":")))
        elif isinstance(fake, FakeAzure):
            fake.put(key, json.dumps(fields))
        elif isinstance(fake, FakeGithub):
            fake.put(key.upper(), json.dumps(fields))
        elif isinstance(fake, FakeHttp):
            fake.put_text(key, json.dumps(fields))

    def reset(self) -> None:
        """Bring everything back to its start."""
        shutil.rmtree(self.config)
        shutil.copytree(self.home / "start", self.config, copy_function=shutil.copy2)
        self.server.fake, self._peer = copy.deepcopy(self._start)
        self.peer.fake = self._peer
        self.server.given.clear()
        self.peer.given.clear()

    def sync(self) -> tuple[int, str]:
        """Sync, as the command does; gives the exit code and all that was said."""
        out, err = io.StringIO(), io.StringIO()
        http_challenge_cache.clear()  # which the SDK keeps for a whole process
        # A command is a process, and freezes what it has; here that would keep all of every sync.
        with (
            patch.dict(os.environ, _ENVIRON), patch("gc.freeze"), contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):  # fmt: skip
            try:
                code = sync.run(Output(), Call(config=self.config), _QUICK)
            except SecretSyncError as error:
                code = error.exit_code
                err.write(f"error: {error.message}\nhint: {error.hint}\n")
        return code, out.getvalue() + err.getvalue()

    def contents(self) -> dict[str, object]:
        """What the destination holds, by key."""
        fake = self._peer if self.kind.source else self.server.fake
        if isinstance(fake, FakeVault):
            return {key: versions[-1] for key, versions in fake.data.items()}
        if isinstance(fake, FakeKubernetes):
            return {name: fake.fields(name) for name in fake.secrets}
        if isinstance(fake, FakeGoogle):
            return {
                name.removeprefix("p-"): json.loads(one.texts[-1]) for name, one in fake.secrets.items() if one.texts
            }
        if isinstance(fake, FakeGitlab):
            return {key: json.loads(one.value) for key, one in fake.variables.items()}
        if isinstance(fake, FakeAzure):
            return {name: json.loads(versions[-1].text) for name, versions in fake.secrets.items()}
        if isinstance(fake, FakeGithub):
            return {name.lower(): json.loads(held.text) for name, held in fake.held.items()}
        if isinstance(fake, FakeHttp):
            return {name: json.loads(text) for name, (text, _) in fake.texts.items()}
        assert isinstance(fake, FakeAws)
        parameters = {name.removeprefix("/p/"): json.loads(one.text) for name, one in fake.parameters.items()}
        return parameters | {name.removeprefix("p/"): json.loads(one.text) for name, one in fake.secrets.items()}

    def good(self) -> bool:
        """Whether the destination holds all that it should, and nothing else."""
        kept = {key: {"password": password(key)} for key in KEPT}
        return self.contents() == kept | {key: {"password": password(key, state)} for key, state in CHANGED.items()}

    def writes(self) -> list[tuple[str, str]]:
        """What was changed since the start, at either side."""
        return [*self.server.fake.writes, *self._peer.writes]

    def ledger(self) -> bytes:
        """The ledger's files."""
        return b"".join(path.read_bytes() for path in (self.config / ".secretsync").glob("ledger.db*"))

    def close(self) -> None:
        """Stop the servers, and remove the directory."""
        self.server.close()
        self.peer.close()
        self._home.cleanup()
