"""What whoever launches a run can make of its pod by tags: nothing, by our values for the official Dagster chart.

The real launcher and executor are driven, set up as the chart would by the values; only the API server is made up.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import create_execution_plan
from dagster._core.executor.step_delegating.step_handler.base import StepHandlerContext
from dagster._grpc.types import ExecuteStepArgs
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler

from deploy import official
from deploy.api_server import api_server, failure
from deploy.image import ROOT
from deploy.launching import NAMESPACE, VALUES, settings
from secretsync_dagster.executor_wrappers import lets_tags_change_pods

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deploy.manifests import Object

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

CONFIG = "dagster-k8s/config"
SHELL = {"name": "x", "image": "evil:1", "command": ["sh", "-c", "env"]}
HOSTILE: dict[str, Object] = {
    "container_config.image": {"container_config": {"image": "evil:1"}},
    "container_config.command": {"container_config": {"command": ["sh", "-c", "env"]}},
    "container_config.lifecycle": {"container_config": {"lifecycle": {"postStart": {"exec": {"command": ["env"]}}}}},
    "container_config.env": {"container_config": {"env": [{"name": "PYTHONSTARTUP", "value": "/tmp/x"}]}},
    "container_config.env_from": {"container_config": {"envFrom": [{"secretRef": {"name": "x"}}]}},
    "container_config.volume_mounts": {"container_config": {"volumeMounts": [{"name": "x", "mountPath": "/x"}]}},
    "container_config.security_context": {"container_config": {"securityContext": {"privileged": True}}},
    "container_config.resources": {"container_config": {"resources": {"limits": {"memory": "900Gi"}}}},
    "pod_spec_config.service_account_name": {"pod_spec_config": {"serviceAccountName": "cluster-admin"}},
    "pod_spec_config.volumes": {"pod_spec_config": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}},
    "pod_spec_config.containers": {"pod_spec_config": {"containers": [SHELL]}},
    "pod_spec_config.init_containers": {"pod_spec_config": {"initContainers": [SHELL]}},
    "pod_spec_config.host_network": {"pod_spec_config": {"hostNetwork": True}},
    "pod_template_spec_metadata.labels": {"pod_template_spec_metadata": {"labels": {"secretsync.io/pod": "none"}}},
    "pod_template_spec_metadata.annotations": {"pod_template_spec_metadata": {"annotations": {"inject": "true"}}},
    "job_metadata.namespace": {"job_metadata": {"namespace": "kube-system"}},
    "job_spec_config.template": {"job_spec_config": {"template": {"spec": {"containers": [SHELL]}}}},
    "job_config.spec": {"job_config": {"spec": {"template": {"spec": {"containers": [SHELL]}}}}},
}
"""Fields of a pod, a container and a Job by which one gets at what the pod holds, as the tag has them."""

HARMLESS = {
    CONFIG: json.dumps({"merge_behavior": "SHALLOW"}),
    "dagster/image": "evil:1",
    "dagster/priority": "9",
    "dagster/max_retries": "1",
    "dagster/concurrency_key": "x",
    "docker/image": "evil:1",
    "ecs/run_task_kwargs": json.dumps({"overrides": {"taskRoleArn": "x"}}),
    "ecs/task_overrides": json.dumps({"containerOverrides": [SHELL]}),
}


OF_THE_RUN = ("DAGSTER_RUN_", "DAGSTER_COMPRESSED_")
"""Variables that name the run and the step."""


class Cluster:
    """Dagster by the values, and the Jobs that it asked Kubernetes for."""

    def __init__(self, home: Path) -> None:
        self.jobs: list[Object] = []
        self.kubeconfig = home / "kubeconfig"
        self.instance: Any = None

    def answer(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        if method == "POST":
            self.jobs.append(body)
            return 201, body
        return 404, failure("NotFound")

    def run(self, tags: Mapping[str, str]) -> dg.DagsterRun:
        """A run with these tags, as the webserver records it."""
        (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
        origin = _job.get_python_origin()
        repository = origin.repository_origin._replace(container_image=official.image_of(deployment))
        code = origin._replace(repository_origin=repository)
        run: dg.DagsterRun = self.instance.create_run_for_job(
            _job.get_definition(), tags=dict(tags), job_code_origin=code
        )
        return run

    def launch(self, tags: Mapping[str, str]) -> Object:
        """Launch a run; gives the pod that Kubernetes was asked for."""
        self.instance.launch_run(self.run(tags).run_id, None)
        return self._newest()

    def _newest(self) -> Object:
        pod: Object = self.jobs[-1]["spec"]["template"]["spec"]
        return pod

    def step(self, tags: Mapping[str, str]) -> Object:
        """Start the step of a run in a pod of its own; gives that pod."""
        run = self.run(tags)
        plan = create_execution_plan(_job)
        only: Any
        (only,) = plan.step_dict.values()
        handler = K8sStepHandler(
            image=None,
            container_context=K8sContainerContext(),
            load_incluster_config=False,
            kubeconfig_file=str(self.kubeconfig),
        )
        origin: Any = run.job_code_origin
        arguments = ExecuteStepArgs(origin, run.run_id, [only.key], self.instance.get_ref())
        whole: Any = _Plan(only)
        list(handler.launch_step(StepHandlerContext(self.instance, whole, [only], arguments, run)))
        return self._newest()


class _Plan:
    """What the executor asks of a plan."""

    def __init__(self, step: Any) -> None:
        self.step = step

    def for_step(self, _: Any) -> _Plan:
        return self


@dg.op
def step() -> None:
    """One step."""


@dg.job
def a_job() -> None:
    """A job."""
    step()


_job = dg.reconstructable(a_job)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Dagster by the values, and a Kubernetes API server of ours."""
    home = tmp_path_factory.mktemp("home")
    made = Cluster(home)
    with pytest.MonkeyPatch.context() as patch, api_server(made.kubeconfig, made.answer):
        for name, value in NAMESPACE.items():
            patch.setenv(name, value)
        settings(home, made.kubeconfig)
        # Everything as dagster.yaml has it, but that runs and events stay in memory.
        with dg.DagsterInstance.from_config(str(home)) as configured, dg.DagsterInstance.ephemeral() as made.instance:
            ref = configured.get_ref()
            assert ref.run_launcher_data is not None
            launcher = ref.run_launcher_data.rehydrate(as_type=K8sRunLauncher)
            launcher.register_instance(made.instance)
            patch.setattr(made.instance, "_run_launcher", launcher)
            patch.setattr(made.instance, "_ref", ref)
            # Only the event that says so in the run's log needs the whole of an execution.
            patch.setattr(DagsterEvent, "step_worker_starting", lambda *_, **__: None)
            yield made


def test_the_values_say_it() -> None:
    """The launcher's two allow-lists are there and empty, and no code location adds to what a run may ask for."""
    launcher = official.instance(VALUES)["run_launcher"]
    assert (launcher["module"], launcher["class"]) == ("dagster_k8s", "K8sRunLauncher")
    assert launcher["config"]["only_allow_user_defined_k8s_config_fields"] == {}
    assert launcher["config"]["only_allow_user_defined_env_vars"] == []


@pytest.mark.parametrize("field", HOSTILE)
def test_a_run_that_asks_for_another_pod_gets_none(cluster: Cluster, field: str) -> None:
    """A tag that would change the pod fails the run, which names the field; Kubernetes is asked for nothing."""
    before = len(cluster.jobs)
    run = cluster.run({CONFIG: json.dumps(HOSTILE[field])})
    with pytest.raises(Exception, match=rf"violated the allowed list: {field}$"):
        cluster.instance.launch_run(run.run_id, None)
    assert len(cluster.jobs) == before


def test_the_old_tag_for_resources_is_one_too(cluster: Cluster) -> None:
    """So does the tag that Dagster had for resources alone."""
    with pytest.raises(Exception, match=r"violated the allowed list: container_config\.resources"):
        cluster.launch({"dagster-k8s/resource_requirements": json.dumps({"limits": {"memory": "900Gi"}})})


def test_other_tags_change_nothing_of_the_pod(cluster: Cluster) -> None:
    """Tags of other launchers and of the queue leave the pod as the operator means it."""
    plain, tagged = cluster.launch({}), cluster.launch(HARMLESS)
    assert _comparable(tagged) == _comparable(plain)
    (container,) = plain["containers"]
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    assert container["image"] == official.image_of(deployment)
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    assert plain["serviceAccountName"] == VALUES["dagster-user-deployments"]["serviceAccount"]["name"]


def test_steps_in_pods_of_their_own_take_no_tags_of_the_run(cluster: Cluster) -> None:
    """With ``executor: Kubernetes`` each step's pod is the operator's as well, whatever the run is tagged with."""
    everything: Object = {}
    for asked in HOSTILE.values():
        for part, fields in asked.items():
            everything.setdefault(part, {}).update(fields)
    plain = cluster.step({})
    assert _comparable(cluster.step({CONFIG: json.dumps(everything), "docker/image": "evil:1"})) == _comparable(plain)


def test_the_code_location_and_its_runs_are_set_up_alike() -> None:
    """What documents refer to is in the pods of both: variables, files, labels, resources and account."""
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    config = official.instance(VALUES)["run_launcher"]["config"]
    runs = config["run_k8s_config"]
    container, pod = runs["container_config"], runs["pod_spec_config"]
    assert container["env"] == deployment["env"]
    assert container["volume_mounts"] == deployment["volumeMounts"]
    assert container["resources"] == deployment["resources"]
    assert container["security_context"] == deployment["securityContext"]
    assert pod["volumes"] == deployment["volumes"]
    assert pod["security_context"] == deployment["podSecurityContext"]
    assert runs["pod_template_spec_metadata"]["labels"] == deployment["labels"]
    assert config["service_account_name"] == VALUES["dagster-user-deployments"]["serviceAccount"]["name"]
    assert config["dagster_home"] == VALUES["global"]["dagsterHome"]
    assert config["postgres_password_secret"] == VALUES["global"]["postgresqlSecretName"]
    assert config["instance_config_map"] == f"{official.RELEASE}-instance"


def test_what_starts_runs_knows_where(cluster: Cluster) -> None:
    """Webserver, daemon, code location and runs learn their namespace from Kubernetes: runs are started there."""
    from_field = {"fieldPath": "metadata.namespace"}
    for deployment in (official.webserver(VALUES), official.daemon(VALUES), official.code_location(VALUES)):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert {"name": "SECRETSYNC_NAMESPACE", "valueFrom": {"fieldRef": from_field}} in container["env"]
    assert cluster.instance.run_launcher.job_namespace == official.NAMESPACE


def test_a_launcher_without_the_lists_is_told_of(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs say it where tags may change pods, as with values of one's own; by ours they may not."""
    assert not lets_tags_change_pods(cluster.instance)
    monkeypatch.setattr(cluster.instance.run_launcher, "_only_allow_user_defined_k8s_config_fields", None)
    assert lets_tags_change_pods(cluster.instance)
    with dg.DagsterInstance.ephemeral() as elsewhere:
        assert not lets_tags_change_pods(elsewhere)


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster/dagster.yaml"])
def test_elsewhere_runs_are_processes_of_the_code_location(file: str) -> None:
    """Without Kubernetes runs are started by Dagster's default launcher, which takes nothing from tags."""
    assert "run_launcher" not in yaml.safe_load((ROOT / file).read_text())


def _comparable(pod: Object) -> Object:
    """The pod without what names its run."""
    found = deepcopy(pod)
    for container in found["containers"]:
        container["args"] = container["args"][:3]
        container["env"] = [one for one in container["env"] if not one["name"].startswith(OF_THE_RUN)]
    return found
