"""The values for the official Dagster chart, what our chart adds for it, and the pods that runs get by them."""

from __future__ import annotations

import re
import shlex
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy import official
from deploy.api_server import api_server, failure
from deploy.image import ROOT
from deploy.launching import VALUES, launch, settings
from deploy.manifests import Object, check, check_restricted, of_kind, pods, read
from deploy.tools import CHART, helm, render

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = CHART / "ci" / "dagster-values.yaml"
LEDGER = "ledger: {key: {existingSecret: key}, postgres: {existingSecret: url}}\n"


@pytest.fixture(scope="module")
def beside() -> list[Object]:
    """What our chart makes for the official one."""
    return render(file=PROFILE)


def test_the_official_chart_knows_every_value() -> None:
    """No value is misspelt or in the wrong place."""
    assert official.unknown(VALUES) == set()
    wrong = deepcopy(VALUES)
    wrong["dagsterDaemon"]["runCoordinater"] = {}
    wrong["dagster-user-deployments"]["deployments"][0]["volumeMount"] = []
    assert official.unknown(wrong) == {
        ".dagsterDaemon.runCoordinater",
        ".dagster-user-deployments.deployments.volumeMount",
    }


def test_kubernetes_would_take_what_they_make() -> None:
    """The three Deployments fit the API's schemas and the standard "restricted", with probes."""
    objects = [official.code_location(VALUES), official.webserver(VALUES), official.daemon(VALUES)]
    check(objects)
    for name, template in pods(objects).items():
        check_restricted(template)
        (container,) = template["spec"]["containers"]
        assert "livenessProbe" in container
        assert ("readinessProbe" in container) == ("daemon" not in name)
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_dagster_is_set_up_as_everywhere() -> None:
    """The instance has the settings of dagster.yaml, but for where it keeps and starts runs."""
    instance = official.instance(VALUES)
    del instance["run_launcher"]
    assert instance | {"run_retries": None} == yaml.safe_load((ROOT / "dagster.yaml").read_text()) | {
        "run_retries": None
    }
    assert VALUES["dagsterDaemon"]["runRetries"] == {"enabled": True, "maxRetries": 0}


@pytest.mark.slow
def test_the_walk_through_makes_the_volume() -> None:
    """The commands on the page, whole, make the volume that the code location waits for, for several pods at once."""
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (command,) = re.findall(r"^helm install secretsync (.*dagster\.enabled=true(?: \\\n.*)*)$", page, re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    given = [word for flag, word in pairwise(words) if flag == "--set"]
    done = helm(
        "template", "secretsync", CHART, "--namespace", "sync", *(part for one in given for part in ("--set", one)),
        values=LEDGER,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spec = official.code_location(VALUES)["spec"]["template"]["spec"]
    (volume,) = [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]
    claim = of_kind(read(done.stdout), "PersistentVolumeClaim")[volume["persistentVolumeClaim"]["claimName"]]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["spec"]["storageClassName"] == "nfs"


def test_everything_they_name_is_there(beside: list[Object]) -> None:
    """The account, the documents and the volume of the code location are those that our chart makes."""
    spec = official.code_location(VALUES)["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert spec["serviceAccountName"] in of_kind(beside, "ServiceAccount")
    assert volumes["documents"]["configMap"]["name"] in of_kind(beside, "ConfigMap")
    assert volumes["storage"]["persistentVolumeClaim"]["claimName"] in of_kind(beside, "PersistentVolumeClaim")
    # What the documents point at is where the pod has it.
    (container,) = spec["containers"]
    for text in of_kind(beside, "ConfigMap")["secretsync-documents"]["data"].values():
        assert "file: /run/secrets/tokens/vault/token" in text
        assert "env: VAULT_CLUSTER_TOKEN" in text
    assert "/run/secrets/tokens/vault" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "VAULT_CLUSTER_TOKEN" in {one["name"] for one in container["env"]}


@pytest.mark.slow
def test_the_policies_fit_the_pods(beside: list[Object]) -> None:
    """The NetworkPolicy holds the code location and lets webserver and daemon in; nobody gets at the webserver unless
    values name them; the budget holds the webserver."""
    policy, of_webserver = (of_kind(beside, "NetworkPolicy")[f"secretsync{part}"] for part in ("", "-webserver"))
    labels = {
        name: template["metadata"]["labels"]
        for name, template in pods(
            [official.code_location(VALUES), official.webserver(VALUES), official.daemon(VALUES)]
        ).items()
    }
    held = policy["spec"]["podSelector"]["matchLabels"].items()
    assert [name for name, own in labels.items() if held <= own.items()] == ["Deployment/dagster-secretsync"]
    (source,) = policy["spec"]["ingress"][0]["from"]
    assert source["podSelector"]["matchLabels"] == {"app.kubernetes.io/instance": official.RELEASE}
    (expression,) = source["podSelector"]["matchExpressions"]
    let_in = {name for name, own in labels.items() if own.get("component") in expression["values"]}
    assert let_in == {"Deployment/dagster-webserver", "Deployment/dagster-daemon"}
    (expression,) = of_webserver["spec"]["podSelector"]["matchExpressions"]
    assert of_webserver["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/instance": official.RELEASE}
    kept = {name for name, own in labels.items() if own.get("component") in expression["values"]}
    assert kept == {"Deployment/dagster-webserver"}
    assert of_webserver["spec"]["ingress"] == []
    proxy = "dagster: {webserverFrom: [{podSelector: {matchLabels: {app: oauth2-proxy}}}]}"
    opened = of_kind(render(proxy, file=PROFILE), "NetworkPolicy")["secretsync-webserver"]
    assert opened["spec"]["ingress"] == [{"from": [{"podSelector": {"matchLabels": {"app": "oauth2-proxy"}}}]}]
    (budget,) = of_kind(beside, "PodDisruptionBudget").values()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels["Deployment/dagster-webserver"].items()
    assert budget["spec"]["minAvailable"] < VALUES["dagsterWebserver"]["replicaCount"]


@pytest.mark.slow
def test_runs_that_start_pods_may_do_just_that(beside: list[Object]) -> None:
    """With stepJobs a run may start Jobs in its namespace and look after them; it may not read Secrets there."""
    steps = of_kind(beside, "Role")["secretsync-steps"]
    assert steps["metadata"]["namespace"] == "sync"
    allowed = {resource: rule["verbs"] for rule in steps["rules"] for resource in rule["resources"]}
    assert allowed == {
        "jobs": ["create", "get", "list", "delete"],
        "jobs/status": ["get"],
        "pods": ["get", "list", "delete"],
        "pods/log": ["get"],
        "events": ["list"],
    }


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
@pytest.mark.timeout(400)
def test_a_run_gets_the_pod_that_it_needs(beside: list[Object], tmp_path: Path) -> None:
    """Dagster's own launcher, set up by these values, asks for a Job that fits the API and the standard "restricted",
    runs as the account that the stores know, and has all that the code location has."""
    config, home = tmp_path / "documents", tmp_path / "home"
    config.mkdir()
    home.mkdir()
    for name, text in of_kind(beside, "ConfigMap")["secretsync-documents"]["data"].items():
        (config / name).write_text(text)
    created: list[tuple[str, Object]] = []

    def answer(method: str, path: str, body: Object) -> tuple[int, Object]:
        created.append((path, body))
        return (201, body) if method == "POST" else (404, failure("NotFound"))

    with api_server(tmp_path / "kubeconfig", answer):
        settings(home, tmp_path / "kubeconfig")
        launch(home, "main_to_cluster", {"SECRETSYNC_CONFIG": str(config)})
    ((path, job),) = [one for one in created if one[0].endswith("/jobs")]
    assert path == "/apis/batch/v1/namespaces/sync/jobs"
    job["metadata"].setdefault("namespace", "sync")
    check([job])
    (template,) = pods([job]).values()
    check_restricted(_with_read_only_config(template))
    spec = template["spec"]
    (container,) = spec["containers"]
    server = official.code_location(VALUES)["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "secretsync"
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 60
    assert job["spec"]["backoffLimit"] == 0
    assert template["metadata"]["labels"]["secretsync.io/pod"] == "dagster"
    assert container["image"] == server["containers"][0]["image"]
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    for wanted in server["volumes"]:
        assert wanted in spec["volumes"], wanted
    for wanted in server["containers"][0]["volumeMounts"]:
        assert wanted in container["volumeMounts"], wanted
    names = [one["name"] for one in container["env"]]
    assert {one["name"] for one in server["containers"][0]["env"]} <= set(names)
    assert names.count("DAGSTER_HOME") == 1


def _with_read_only_config(template: Any) -> Any:
    """Dagster mounts its own settings without saying that they are read-only, which a ConfigMap always is."""
    (container,) = template["spec"]["containers"]
    for mount in container["volumeMounts"]:
        if mount["mountPath"].endswith("/dagster.yaml"):
            mount["readOnly"] = True
    return template
