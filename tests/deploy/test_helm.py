"""The chart, rendered by the real helm and held against the schemas of the Kubernetes API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from deploy.manifests import Object, check, check_restricted, of_kind, pods, read
from deploy.tools import CHART, helm, refusal, render
from secretsync_core import __version__
from secretsync_core.policy.loading import examine
from secretsync_core.schema.plugins import BUILT_IN
from secretsync_core.schema.quantities import Schedule

if TYPE_CHECKING:
    from pathlib import Path

# Rendered by processes, and many at once on a busy machine.
pytestmark = pytest.mark.timeout(300)

PROFILES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMES = [path.name.removesuffix("-values.yaml") for path in PROFILES]

LEDGER = "ledger: {key: {existingSecret: key}, postgres: {existingSecret: url}}\n"
JOB = """\
documents:
  files:
    all.yaml: |
      apiVersion: secretsync.io/v1alpha1
      kind: SecretStore
      metadata: {{name: main}}
      spec: {{provider: {{vault: {{address: "https://v", auth: {{token: {token}}}}}}}}}
      ---
      apiVersion: secretsync.io/v1alpha1
      kind: SyncJob
      metadata: {{name: nightly}}
      spec: {{source: main, dest: main, schedule: "{schedule}", plan: [{{secret: {{key: a}}, key: b}}]}}
"""


def job(schedule: str = "@daily", token: str = "{env: T}") -> str:
    """Values with a store and a job."""
    return LEDGER + JOB.format(schedule=schedule, token=token)


def profile(name: str) -> list[Object]:
    """The objects of one of the profiles under ci/."""
    return render(file=CHART / "ci" / f"{name}-values.yaml")


def container(template: Object) -> Object:
    """The one container of a pod."""
    (only,) = template["spec"]["containers"]
    return dict(only)


def environment(template: Object) -> dict[str, Any]:
    """What the container's variables are set to, or come from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(template)["env"]}


# -- Every profile


def test_the_profiles_are_the_ones_that_the_docs_name() -> None:
    """There is a values file for each of the ways to run it."""
    assert NAMES == ["aws-irsa", "cronjob", "dagster", "defaults", "vault-kubernetes-auth"]


@pytest.mark.parametrize("path", PROFILES, ids=NAMES)
def test_helm_lints_it(path: Path) -> None:
    """`helm lint --strict` has nothing to say."""
    done = helm("lint", "--strict", CHART, "--values", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_would_take_it(name: str) -> None:
    """Every object fits the API's schemas, and every pod the Pod Security Standard "restricted"."""
    objects = profile(name)
    check(objects)
    for template in pods(objects).values():
        check_restricted(template)
        assert template["spec"]["serviceAccountName"] in of_kind(objects, "ServiceAccount")
    for one in objects:
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert one["metadata"]["namespace"] == (
            "sync" if one["kind"] not in ("Role", "RoleBinding") else one["metadata"]["namespace"]
        )


@pytest.mark.parametrize("name", NAMES)
def test_its_documents_are_whole(name: str, tmp_path: Path) -> None:
    """What the chart puts into the ConfigMap is what `secretsync validate` takes, comments and numbers included."""
    objects = profile(name)
    for called, config in sorted(of_kind(objects, "ConfigMap").items(), reverse=True):  # the policy before documents
        environ, directory = {}, tmp_path / called
        directory.mkdir()
        for file, text in config["data"].items():
            (directory / file).write_text(text)
        if called.endswith("-policy"):
            continue
        if (policy := tmp_path / called.replace("-documents", "-policy")).is_dir():
            environ["SECRETSYNC_POLICY"] = str(policy)
        documents, problems = examine([directory], environ=environ)
        errors = [problem for problem in problems if not problem.warning]
        wanted = {
            one["spec"]["provider"].popitem()[0]
            for one in read("\n---\n".join(config["data"].values()))
            if one["kind"] == "SecretStore"
        }
        if wanted <= BUILT_IN.keys():
            assert not errors
            assert documents.jobs
        else:
            # A store that is not built in is all that may be unknown, and the jobs that go with it.
            assert errors
            assert all("provider" in error.message or "SecretStore" in error.message for error in errors)


def test_the_policy_is_beside_the_documents() -> None:
    """Where there is one, every pod has it read-only in a place of its own, and its environment names it."""
    for template in pods(profile("vault-kubernetes-auth")).values():
        assert environment(template)["SECRETSYNC_POLICY"] == "/etc/secretsync-policy"
        (mount,) = [m for m in template["spec"]["containers"][0]["volumeMounts"] if m["name"] == "policy"]
        assert mount == {"name": "policy", "mountPath": "/etc/secretsync-policy", "readOnly": True}
        (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "policy"]
        assert volume["configMap"]["name"].endswith("-policy")
    for template in pods(profile("cronjob")).values():
        assert "SECRETSYNC_POLICY" not in environment(template)


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_no_secret(name: str) -> None:
    """The chart makes no Secret, and what it mounts of others' is readable for its group alone."""
    objects = profile(name)
    assert not of_kind(objects, "Secret")
    for template in pods(objects).values():
        secrets = [volume["secret"] for volume in template["spec"]["volumes"] if "secret" in volume]
        assert secrets
        assert all(one["defaultMode"] == 0o440 for one in secrets)
        for variable in environment(template).values():
            assert isinstance(variable, str) or variable.keys() == {"secretKeyRef"}


@pytest.mark.parametrize("name", NAMES)
def test_nobody_connects_to_it(name: str) -> None:
    """A NetworkPolicy selects every pod, and lets nobody in but, to Dagster's code location, its two askers."""
    objects = profile(name)
    policy, *of_webserver = of_kind(objects, "NetworkPolicy").values()
    assert bool(of_webserver) is (name == "dagster")
    assert "Ingress" in policy["spec"]["policyTypes"]
    if name == "dagster":
        (rule,) = policy["spec"]["ingress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": 3030}]
        assert rule["from"][0].keys() == {"podSelector"}
    else:
        assert policy["spec"]["ingress"] == []
    for template in pods(objects).values():
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 'x  y'\n", "  a: 1\n  b: '{{ x }}'\n", "\n# ünï\na: |\n  one\n\n  two\n\n", "a: 1"]
)
def test_a_file_of_documents_stays_as_it_is(text: str) -> None:
    """The text of a file comes out as it went in, but for empty lines around it, whatever stands in it."""
    values = yaml.safe_dump({"documents": {"files": {"x.yaml": text}}})
    (config,) = of_kind(render(values), "ConfigMap").values()
    assert config["data"]["x.yaml"].strip("\n") == text.strip("\n")


# -- CronJobs


def test_each_job_with_a_schedule_gets_a_cronjob() -> None:
    """Schedules, time zones and suspension come from the documents; a job without a schedule is left out."""
    jobs = of_kind(profile("cronjob"), "CronJob")
    assert {one["metadata"]["labels"]["secretsync.io/job"] for one in jobs.values()} == {
        "hourly",
        "a-job-with-a-name-that-is-longer-than-cronjobs-allow",
    }
    assert all(len(name) <= 52 for name in jobs)
    hourly = jobs.pop("secretsync-hourly")["spec"]
    assert (hourly["schedule"], hourly["timeZone"], hourly["suspend"]) == ("0 * * * *", "Europe/Berlin", False)
    assert hourly["concurrencyPolicy"] == "Forbid"
    args = container(hourly["jobTemplate"]["spec"]["template"])["args"]
    assert args == ["secretsync", "sync", "hourly", "--verify", "--item", "everything"]
    (long,) = jobs.values()
    assert (long["spec"]["schedule"], long["spec"]["timeZone"], long["spec"]["suspend"]) == (
        "30 6 * * 0",
        "Etc/UTC",
        True,
    )


def test_wrong_documents_are_not_tried_again() -> None:
    """Exit code 2 ends the Job; other failures are tried twice more, and a drained node counts for nothing."""
    for one in of_kind(profile("vault-kubernetes-auth"), "CronJob").values():
        spec = one["spec"]["jobTemplate"]["spec"]
        assert spec["backoffLimit"] == 2
        first, second = spec["podFailurePolicy"]["rules"]
        assert first["onExitCodes"]["values"] == [2]
        assert first["onExitCodes"]["containerName"] == container(spec["template"])["name"]
        assert second["action"] == "Ignore"


@pytest.mark.parametrize(
    "schedule",
    [
        *("@hourly", "@Midnight", "@annually", "@every 1m", "@every 15m", "@every 60m", "@every 2h", "@every 12h"),
        *("@every 24h", "@every 1d", "5 4 * * *", "*/10 8-18 * * mon-fri", "0 0 1 1 0", "0  9 * *  7"),
    ],
)
def test_a_schedule_means_the_same(schedule: str) -> None:
    """What the chart makes of a document's schedule is what Dagster makes of it."""
    (one,) = of_kind(render(job(schedule)), "CronJob").values()
    ours, theirs = Schedule.parse(schedule).cron, Schedule.parse(one["spec"]["schedule"]).cron
    assert theirs == (ours[:-1] + "0" if ours.endswith(" 7") else ours)


@pytest.mark.parametrize(
    "schedule", ["@every 7m", "@every 90m", "@every 1h30m", "@every 30s", "@every", "* * *", "0 0 * * 5-7"]
)
def test_a_schedule_that_kubernetes_cannot_keep_is_refused(schedule: str) -> None:
    """Such a job is named, with what to write instead."""
    assert "the schedule of nightly" in refusal(job(schedule))


def test_documents_of_somebody_else() -> None:
    """With a ConfigMap that exists, the values name the jobs and when they run."""
    jobs = of_kind(profile("aws-irsa"), "CronJob")
    assert {name: one["spec"]["schedule"] for name, one in jobs.items()} == {
        "secretsync-vault-to-aws": "*/30 * * * *",
        "secretsync-nightly-check": "15 3 * * MON-FRI",
    }
    for template in pods(list(jobs.values())).values():
        assert {"name": "documents", "configMap": {"name": "secret-documents"}} in template["spec"]["volumes"]


# -- Who a pod is, and what it may do


def test_aws_by_the_role_of_the_service_account() -> None:
    """The role stands on the service account, and nothing of AWS in the pod but its region."""
    objects = profile("aws-irsa")
    (account,) = of_kind(objects, "ServiceAccount").values()
    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/secretsync"
    }
    for template in pods(objects).values():
        assert [name for name in environment(template) if name.startswith("AWS")] == ["AWS_REGION"]
        assert container(template)["image"].startswith("registry.example.com/secretsync@sha256:")


def test_vault_by_a_token_with_an_audience() -> None:
    """The pod has a short-lived token for each of the audiences, where the documents look for it."""
    for template in pods(profile("vault-kubernetes-auth")).values():
        sources = {
            one["name"]: one["projected"]["sources"] for one in template["spec"]["volumes"] if "projected" in one
        }
        assert sources == {
            f"token-{name}": [
                {"serviceAccountToken": {"path": "token", "audience": audience, "expirationSeconds": 900}}
            ]
            for name, audience in (("vault", "https://vault.example.com"), ("vault-cluster", "vault"))
        }
        for name in sources:
            mount = {"name": name, "mountPath": f"/run/secrets/tokens/{name.removeprefix('token-')}", "readOnly": True}
            assert mount in container(template)["volumeMounts"]


def test_the_api_servers_token_is_mounted_for_kubernetes_stores_alone() -> None:
    """No pod has a token for the API server that does not need one."""
    mounted = {
        name: {template["spec"]["automountServiceAccountToken"] for template in pods(profile(name)).values()}
        for name in ("cronjob", "aws-irsa", "vault-kubernetes-auth")
    }
    assert mounted == {"cronjob": {False}, "aws-irsa": {False}, "vault-kubernetes-auth": {True}}
    (account,) = of_kind(profile("cronjob"), "ServiceAccount").values()
    assert account["automountServiceAccountToken"] is False


def test_rights_are_given_by_namespace() -> None:
    """Each namespace has a Role of its own for Secrets, with the verbs of what is to be done there and no others."""
    objects = profile("vault-kubernetes-auth")
    assert not {"ClusterRole", "ClusterRoleBinding"} & {one["kind"] for one in objects}
    rules = {one["metadata"]["namespace"]: one["rules"] for one in objects if one["kind"] == "Role"}
    everything = ["get", "list", "create", "update", "delete"]
    assert rules == {
        "team-a": [{"apiGroups": [""], "resources": ["secrets"], "verbs": everything}],
        "team-b": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
    }
    for one in objects:
        if one["kind"] == "RoleBinding":
            assert one["subjects"] == [{"kind": "ServiceAccount", "name": "secretsync", "namespace": "sync"}]
            assert one["roleRef"]["kind"] == "Role"


@pytest.mark.parametrize("name", ["defaults", "cronjob", "aws-irsa"])
def test_without_kubernetes_stores_there_are_no_rights(name: str) -> None:
    """By default nothing is allowed at the API server."""
    assert not {"Role", "RoleBinding"} & {one["kind"] for one in profile(name)}


def test_egress_is_what_is_listed() -> None:
    """With egress listed, the pods reach the name service, that, and nothing else."""
    (policy,) = of_kind(profile("vault-kubernetes-auth"), "NetworkPolicy").values()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert len(policy["spec"]["egress"]) == 5
    assert {port["port"] for port in policy["spec"]["egress"][0]["ports"]} == {53}


# -- The ledger


def test_the_ledger_in_postgres() -> None:
    """Its URL comes from a Secret, and there is no volume for it."""
    for template in pods(profile("vault-kubernetes-auth")).values():
        variables = environment(template)
        assert variables["SECRETSYNC_LEDGER"] == {"secretKeyRef": {"name": "secretsync-ledger-url", "key": "url"}}
        assert variables["SECRETSYNC_KEY_FILE"] == "/run/secrets/ledger/ledger.key"
        assert not any("persistentVolumeClaim" in volume for volume in template["spec"]["volumes"])


def test_the_ledger_on_a_volume() -> None:
    """It is kept when the release is removed, and is where the command looks."""
    objects = profile("cronjob")
    (claim,) = of_kind(objects, "PersistentVolumeClaim").values()
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for template in pods(objects).values():
        assert environment(template)["SECRETSYNC_LEDGER"] == "/var/lib/secretsync/ledger.db"
        assert {"name": "ledger", "mountPath": "/var/lib/secretsync"} in container(template)["volumeMounts"]


# -- Wrong values


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("cronjobs: {enabled: true}", "additional properties 'cronjobs' not allowed"),
        ("credentials: {env: [{name: T, value: hunter2}]}", "missing properties 'secret', 'key'"),
        ("rbac: {secrets: [{namespace: a, access: Admin}]}", "must be one of 'Read', 'ReadWrite'"),
        ("rbac: {secrets: [{access: Read}]}", "missing property 'namespace'"),
        (
            "cronJobs: {jobs: {A_B: {schedule: '@daily'}}}",
            "at '/cronJobs/jobs': additional properties 'A_B' not allowed",
        ),
        ("cronJobs: {jobs: {a: {schedule: 'now and then'}}}", "/cronJobs/jobs/a/schedule"),
        ("cronJobs: {backoffLimit: many}", "got string, want integer"),
        ("documents: {files: {notes.txt: x}}", "at '/documents/files': additional properties 'notes.txt' not allowed"),
        ("image: {digest: 'sha256:1'}", "/image/digest"),
        ("ledger: {postgres: {existingSecret: 'postgresql://a:b@c/d'}}", "/ledger/postgres/existingSecret"),
        ("networkPolicy: {egress: all}", "got string, want array"),
    ],
)
def test_the_schema_refuses(values: str, told: str) -> None:
    """A value that is misspelt or of the wrong kind is an error that says where it stands."""
    assert told in refusal(values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (job().replace(LEDGER, ""), "ledger.key.existingSecret has to name the Secret with the ledger's key"),
        (job().replace(", postgres: {existingSecret: url}", ""), "the ledger needs a place"),
        (job().replace("url}}", "url}, persistence: {enabled: true}}"), "ledger.postgres and ledger.persistence"),
        (job() + "  existingConfigMap: mine\n", "documents.files and documents.existingConfigMap"),
        (job() + "dagster: {enabled: true}\n", "every SyncJob would have two schedules"),
        (job() + "cronJobs: {jobs: {nightli: {suspend: true}}}\n", "no SyncJob in documents.files has that name"),
        (
            "documents: {existingConfigMap: x}\ncronJobs: {jobs: {a: {verify: true}}}",
            "cronJobs.jobs.a needs a schedule",
        ),
        ("documents: {files: {a.yaml: '{'}}", "documents.files, a.yaml: a document is not YAML"),
        ("serviceAccount: {create: false}\n" + job(), "serviceAccount.name has to name one"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: str, told: str) -> None:
    """What no schema can say is said when the chart is rendered."""
    assert told in refusal(values)


def test_a_credential_in_a_document_is_refused() -> None:
    """A literal credential does not get into a ConfigMap; the error says where it stands and not what it is."""
    told = refusal(job(token="{value: hunter2-in-the-clear}"))
    assert "a credential stands in main itself, at spec.provider.vault.auth.token" in told
    assert "hunter2" not in told
    notify = job().replace(
        "dest: main,",
        'dest: main, notify: [{{slack: {{webhookUrl: {{value: "hunter2"}}}}}}],'.replace("{{", "{").replace("}}", "}"),
    )
    told = refusal(notify)
    assert "in nightly itself, at spec.notify[0].slack.webhookUrl" in told
    assert "hunter2" not in told


def test_the_defaults_fit_the_schema() -> None:
    """values.yaml is valid by itself, and the schema knows every value in it and no other."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    Draft7Validator.check_schema(schema)
    Draft7Validator(schema).validate(values)

    def names(part: Any, path: str) -> set[str]:
        if not isinstance(part, dict) or "properties" not in part:
            return {path}
        return {deeper for name, one in part["properties"].items() for deeper in names(one, f"{path}.{name}")}

    def given(part: Any, path: str) -> set[str]:
        known = names(schema, "")
        if path in known or not isinstance(part, dict):
            return {path}
        return {deeper for name, one in part.items() for deeper in given(one, f"{path}.{name}")}

    assert names(schema, "") - {".global"} == given(values, "")


def test_the_chart_and_its_readme_tell_the_same() -> None:
    """The chart has the version of the project, and its README names every value."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    readme = (CHART / "README.md").read_text()
    for name, part in yaml.safe_load((CHART / "values.yaml").read_text()).items():
        for path in [f"{name}.{one}" for one in part] if isinstance(part, dict) and part else [name]:
            if not path.startswith(("podSecurityContext", "securityContext", "resources")):
                assert f"`{path}`" in readme, path


def test_the_notes_say_what_runs() -> None:
    """After an installation one reads what runs when, how to run it now, and which job has no schedule."""
    done = helm("install", "secretsync", CHART, "--dry-run=client", "--values", CHART / "ci" / "cronjob-values.yaml")
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:")[1]
    assert "hourly" in notes
    assert "(suspended)" in notes
    assert "by-hand has no schedule" in notes
    assert "--from=cronjob/secretsync-" in notes
