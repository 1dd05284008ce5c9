"""Documents that reach for what is not theirs: nothing is sent, read, run or written, and rule and line are told."""

from __future__ import annotations

import http.server
import json
import os
import sys
import sysconfig
import threading
from contextlib import contextmanager
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Cli

KEY = "the-ledger-key-0123456789-abcdefgh"
HEAD = "apiVersion: secretsync.io/v1alpha1\n"


@contextmanager
def hostile() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that keeps what it is sent."""
    got: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(f"{self.path} {self.headers}")
            self.send_response(403)
            self.end_headers()

        do_LIST = do_POST = do_PUT = do_GET  # noqa: N815  the names are the server's

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def store(cli: Cli, name: str, provider: str, labels: str = "{}") -> None:
    """Write a SecretStore into a file of its own; the provider is in line 6."""
    metadata = f"metadata: {{name: {name}, labels: {labels}}}"
    cli.write(f"secretsync/{name}.yaml", f"{HEAD}kind: SecretStore\n{metadata}\nspec:\n  provider:\n    {provider}\n")


def job(cli: Cli, plan: str = "- {name: all, query: {path: '**'}}", spec: str = "") -> None:
    """Write a SyncJob from src to dst."""
    text = f"{HEAD}kind: SyncJob\nmetadata: {{name: job}}\nspec:\n  source: src\n  dest: dst\n"
    cli.write(
        "secretsync/job.yaml", text + indent(dedent(spec), "  ") + "  plan:\n" + indent(dedent(plan), "    ") + "\n"
    )


def directories(cli: Cli, src_labels: str = "{}", dst_labels: str = "{}") -> None:
    """Two file stores, and a secret in the first."""
    cli.write("data/src/prod/db", "one")
    (cli.directory / "data" / "dst").mkdir(parents=True, exist_ok=True)
    store(cli, "src", "file: {path: ../data/src}", src_labels)
    store(cli, "dst", "file: {path: ../data/dst}", dst_labels)


def policy(cli: Cli, spec: str, name: str = "ours") -> None:
    """Write a policy beside the documents and have the environment name it; its spec begins in line 5."""
    head = f"{HEAD}kind: SyncPolicy\nmetadata: {{name: {name}}}\nspec:\n"
    cli.write(f"policies/{name}.yaml", head + indent(dedent(spec), "  ") + "\n").chmod(0o600)
    cli.environ["SECRETSYNC_POLICY"] = str(cli.directory / "policies")


EVERY = [["sync"], ["validate"], ["plan", "--no-render"], ["health"], ["check"], ["orphans"]]


@pytest.mark.parametrize("token", ["{env: SECRETSYNC_KEY}", "{file: .secretsync/ledger.key}", "{file: ../link}"])
def test_the_ledgers_key_is_sent_to_nobody(cli: Cli, token: str) -> None:
    """A document that names the ledger's key as its token is refused by line, and its server hears nothing."""
    cli.write("secretsync/.secretsync/ledger.key", KEY).chmod(0o600)
    (cli.directory / "link").symlink_to("secretsync/.secretsync/ledger.key")
    if "env" in token:
        cli.environ["SECRETSYNC_KEY"] = KEY
    with hostile() as (address, got):
        directories(cli)
        store(cli, "dst", f"vault: {{address: '{address}', auth: {{token: {token}}}}}")
        job(cli)
        for command in EVERY if "env" in token else EVERY[:1]:
            ran = cli(*command)
            assert ran.code == 2, command
            assert "dst.yaml:6: error: spec.provider.vault.auth.token." in ran.err
            assert "is refused" in ran.err
            assert KEY not in ran.out + ran.err
        cli.write("secretsync/dst.yaml", (cli.directory / "secretsync/dst.yaml").read_text().replace(token, "{env: T}"))
        cli.environ["T"] = "free"
        cli("plan")
        assert got, "the server would have been asked"
        assert KEY not in str(got)


def test_a_messages_header_is_no_way_out_either(cli: Cli) -> None:
    """What notify names passes the same rules."""
    directories(cli)
    job(cli, spec="notify: [{webhook: {url: {env: URL}, headers: {X-Key: {env: SECRETSYNC_KEY}}}}]\n")
    ran = cli("validate", SECRETSYNC_KEY=KEY)
    assert ran.code == 2
    assert "job.yaml:7: error: spec.notify[0].webhook.headers.….env is refused" in ran.err


def test_a_message_goes_to_no_other_host(cli: Cli) -> None:
    """Where the address of a message comes from a variable, it is held to the policy's hosts when it is sent."""
    directories(cli)
    job(cli, spec="notify: [{on: [failure], webhook: {url: {env: URL}}}]\n")
    (cli.directory / "data" / "dst").rmdir()
    cli.write("data/dst", "no directory")
    policy(cli, "hosts: [hooks.example.com]")
    with hostile() as (address, got):
        ran = cli("sync", URL=f"{address}/token-of-the-hook")
        assert "notify[0] of job (webhook) was not sent" in ran.err
        assert "spec.hosts of the policy ours" in ran.err
        assert "token-of-the-hook" not in ran.err
        assert not got


def test_a_plan_runs_no_program(cli: Cli) -> None:
    """The exec plugin of a kubeconfig runs only where the environment or a policy lets it."""
    ran_file = cli.directory / "ran"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": sys.executable,
              "args": ["-c", f"open({str(ran_file)!r}, 'w')"]}  # fmt: skip
    kubeconfig = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"exec": plugin}}],
    }
    cli.write("secretsync/kube.config", json.dumps(kubeconfig))
    directories(cli)
    store(cli, "src", "kubernetes: {namespace: a, auth: {kubeconfig: {file: kube.config}}}")
    job(cli)
    ran = cli("plan")
    assert "would run a program, which nobody has permitted outside the documents" in ran.err
    assert "set SECRETSYNC_ALLOW_EXEC=1, or exec: Allow in a policy" in ran.err
    assert ran.code == 2
    policy(cli, "exec: Deny")
    assert "spec.exec of the policy ours" in cli("plan", SECRETSYNC_ALLOW_EXEC="1").err
    assert not ran_file.exists()
    policy(cli, "exec: Allow")
    cli("plan")
    assert ran_file.exists()


def test_a_kubeconfig_leads_no_further_than_a_document(cli: Cli) -> None:
    """Servers, proxies and files that a kubeconfig names are bounded as those of the document."""
    cli.write("secretsync/.secretsync/ledger.key", KEY).chmod(0o600)

    def told(cluster: dict[str, str], user: dict[str, str]) -> str:
        part = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}
        part |= {"clusters": [{"name": "x", "cluster": cluster}], "users": [{"name": "x", "user": user}]}
        cli.write("secretsync/kube.config", json.dumps(part))
        return cli("plan").err

    directories(cli)
    store(cli, "src", "kubernetes: {namespace: a, auth: {kubeconfig: {file: kube.config}}}")
    job(cli)
    with hostile() as (address, got):
        assert "the file in the kubeconfig" in told({"server": address}, {"tokenFile": ".secretsync/ledger.key"})
        policy(cli, f"hosts: ['{address.removeprefix('http://')}']")
        assert "the host in the kubeconfig" in told({"server": "https://127.0.0.1:1"}, {"token": "t"})
        assert "the proxy in the kubeconfig" in told(
            {"server": address, "proxy-url": "http://127.0.0.2:3"}, {"token": "t"}
        )
        assert not got
        told({"server": address}, {"token": "t"})
        assert got


@pytest.mark.parametrize("path", [".secretsync", ".", sysconfig.get_paths()["purelib"], "/", "/proc/self"])
def test_no_store_reads_or_writes_what_is_ours(cli: Cli, path: str) -> None:
    """A file store of the state directory, of what has it below, or of what Python runs, is refused on its line."""
    cli.write("secretsync/.secretsync/ledger.key", KEY).chmod(0o600)
    directories(cli)
    job(cli)
    for role in ("src", "dst"):
        directories(cli)
        store(cli, role, f"file: {{path: '{path}'}}")
        ran = cli("sync")
        assert ran.code == 2
        assert f"{role}.yaml:6: error: spec.provider.file.path is refused: the directory" in ran.err
    assert not list((cli.directory / "data" / "dst").iterdir())


def test_a_link_that_comes_later(cli: Cli) -> None:
    """Opening a store follows links anew: what was harmless when documents were written may be no more."""
    directories(cli)
    cli.write("secretsync/.secretsync/ledger.key", KEY).chmod(0o600)
    (cli.directory / "data" / "in").symlink_to(cli.directory / "secretsync" / ".secretsync")
    store(cli, "src", "file: {path: ../data/in}")
    job(cli)
    assert cli("sync").code == 2
    assert not (cli.directory / "data" / "dst" / "ledger.key").exists()


def test_another_name_of_the_key_is_no_secret(cli: Cli) -> None:
    """A hard link to the ledger or its key is refused by itself, and the rest of the store is copied."""
    directories(cli)
    job(cli)
    assert cli("sync").code == 0
    for name in ("ledger.key", "ledger.db"):
        os.link(cli.directory / "secretsync" / ".secretsync" / name, cli.directory / "data" / "src" / f"my-{name}")
    cli.write("data/src/more", "two")
    ran = cli("sync")
    assert ran.code != 0
    assert "my-ledger.key is the ledger, its key or the policy by another name, not a secret" in ran.out + ran.err
    copies = (cli.directory / "data" / "dst").rglob("*")
    assert sorted(path.name for path in copies if path.is_file()) == ["db", "more"]


def test_a_state_directory_within_a_store_is_no_part_of_it(cli: Cli) -> None:
    """Where another ledger comes to be deep below a file store, it is neither listed nor read nor written."""
    directories(cli)
    cli.write("data/src/team/.secretsync/ledger.key", KEY)
    job(cli)
    assert cli("sync").code == 0
    assert [path.name for path in (cli.directory / "data" / "dst").rglob("*") if path.is_file()] == ["db"]
    job(cli, "- {name: one, secret: {key: team/.secretsync/ledger.key}}")
    assert cli("sync").code != 0
    job(cli, "- {name: one, secret: {key: prod/db}, keyTransform: [{prefix: team/.secretsync/}]}")
    assert cli("sync").code != 0
    assert not (cli.directory / "data" / "dst" / "team").exists()


@pytest.mark.parametrize(
    "provider",
    [
        "vault: {address: 'http://127.evil.example', auth: {token: {env: T}}}",
        "awsSecretsManager: {region: eu-central-1, endpointUrl: 'http://aws.example:4566'}",
        "awsParameterStore: {region: eu-central-1, stsEndpointUrl: 'http://sts.example'}",
        "kubernetes: {server: 'http://localhost.evil.example', auth: {token: {env: T}}}",
    ],
)
def test_plain_http_is_said_aloud(cli: Cli, provider: str) -> None:
    """For every kind of store an http:// address of another host is a warning, once; a policy can make it an error."""
    directories(cli)
    store(cli, "src", provider)
    job(cli)
    ran = cli("validate")
    assert ran.code == 0
    assert ran.err.count("src.yaml:6: warning: the address is not https") == 1
    policy(cli, "plainHttp: Deny")
    ran = cli("validate")
    assert ran.code == 2
    assert "is refused: spec.plainHttp of the policy ours" in ran.err
    policy(cli, "plainHttp: Allow")
    assert "https" not in cli("validate").err


def test_a_refusal_names_rule_and_line(cli: Cli) -> None:
    """The document's line, the policy's line, and whom to ask; validate says which policy holds."""
    directories(cli)
    job(cli)
    policy(cli, "stores:\n  kinds: [vault, aws*]")
    ran = cli("validate")
    where = cli.directory / "policies" / "ours.yaml"
    assert ran.code == 2
    assert f"src.yaml:6: error: spec.stores.kinds of the policy ours ({where}:6) does not permit stores" in ran.err
    assert "Ask whoever maintains the policy." in ran.err
    policy(cli, "stores:\n  kinds: [file]\nexec: Deny")
    ran = cli("validate")
    assert ran.code == 0
    assert "policy: 1 file, 2 rules" in ran.out
    assert cli("validate", "--output", "json").json["policies"] == ["ours"]


def test_a_policy_among_the_documents_is_refused(cli: Cli) -> None:
    """It would be the author's own."""
    directories(cli)
    job(cli)
    text = f"{HEAD}kind: SyncPolicy\nmetadata: {{name: mine}}\nspec: {{exec: Allow}}\n"
    file = cli.write("secretsync/policy.yaml", text)
    ran = cli("plan", SECRETSYNC_POLICY=str(file))
    assert ran.code == 2
    assert "the policy is inside the documents' directory" in ran.err
    assert "A SyncPolicy stands outside the documents" in cli("validate").err


DENY = """
flows:
  - name: prod-stays
    deny: {from: {keys: ["prod/**"]}, to: {labels: {env: dev}}}
    reason: Production secrets stay in production.
"""


def test_what_may_not_go_there_is_refused_key_by_key(cli: Cli) -> None:
    """What a query selects is refused one by one, in plan and sync; the rest goes, and nothing is deleted."""
    directories(cli, dst_labels="{env: dev}")
    cli.write("data/src/test/a", "a")
    cli.write("data/src/test/b", "b")
    job(cli, spec="deletionPolicy: Delete\nmaxDelete: 100%\n")
    assert cli("sync").code == 0
    dst = cli.directory / "data" / "dst"
    assert (dst / "prod" / "db").exists()
    policy(cli, DENY)
    (cli.directory / "data/src/test/b").unlink()
    cli.write("data/src/prod/new", "n")
    cli.write("data/src/test/a", "other")
    assert cli("validate").code == 0
    for command in ("plan", "sync"):
        found = cli(command, "--output", "json")
        told = json.dumps(found.json)
        assert told.count('"policy-denied"') >= 2
        assert "prod-stays in spec.flows of the policy ours" in told
        assert "Production secrets stay in production" in told
        assert found.code != 0
    assert (dst / "test" / "a").read_text() == "other"
    assert (dst / "test" / "b").exists(), "deletes of the item wait"
    assert not (dst / "prod" / "new").exists()
    assert (dst / "prod" / "db").exists()


def test_what_the_document_spells_out_is_refused_in_validate(cli: Cli) -> None:
    """A key of its own is refused on its line, after its keyTransform; so is a job of which all is denied."""
    directories(cli, dst_labels="{env: dev}")
    policy(cli, DENY)
    job(cli, "- {name: one, secret: {key: prod/db}}\n- {name: two, secret: {key: test/a}}")
    ran = cli("validate")
    assert ran.code == 2
    assert ran.err.count("error") == 1
    assert "job.yaml:8: error: spec.plan[0].secret may not go from src to dst: the rule prod-stays" in ran.err
    job(cli, "- name: both\n  key: x\n  combine: [{name: a, secret: {key: test/a}}, {name: b, secret: {key: prod/db}}]")
    assert "spec.plan[0].combine[1] may not go" in cli("validate").err
    policy(cli, "flows: [{name: none, deny: {from: {stores: [src]}, to: {kinds: [file]}}}]")
    job(cli)
    assert "spec.plan[0].query may not go from src to dst" in cli("validate").err
    policy(cli, "flows: [{name: by-key, deny: {to: {keys: [shut/]}}}]")
    job(cli, "- {name: one, secret: {key: test/a}, keyTransform: [{prefix: shut/}]}")
    assert "may not go" in cli("validate").err
    policy(cli, "flows: [{name: by-path, deny: {from: {paths: ['**/data/src/prod']}}}]")
    store(cli, "src", "file: {path: ../data/src/prod}")
    job(cli, "- {name: one, secret: {key: db}}")
    assert "may not go" in cli("validate").err, "another root of the store is no way around"


def test_labels_can_be_asked_for(cli: Cli) -> None:
    """A store without a label that every store must have is refused."""
    directories(cli, src_labels="{env: prod}")
    job(cli)
    policy(cli, "stores: {requiredLabels: [env]}")
    ran = cli("validate")
    assert "dst.yaml" in ran.err
    assert "asks for the label env" in ran.err
    assert "src.yaml" not in ran.err


def test_the_policys_schema(cli: Cli) -> None:
    """Editors complete policies as they do documents."""
    schema = cli("schema", "--kind", "SyncPolicy").json
    assert set(schema["$defs"]["SyncPolicySpec"]["properties"]) >= {"credentials", "hosts", "flows", "exec"}
    assert "SyncPolicy" not in json.dumps(cli("schema").json)
