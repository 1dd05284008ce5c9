"""A Kubernetes cluster for Jobs: what is created at its API server is run, each pod as a process of this machine.

No real cluster can be had in a test. The API server answers what Dagster's launcher and executor ask of one, and
tells how pods stand as Kubernetes does; the pods' commands are really executed, and ended as a kubelet ends them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from deploy.api_server import api_server, failure
from deploy.tools import script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deploy.manifests import Object

_GRACE_SECONDS = 60


class Pod:
    """A Job's pod.

    Attributes:
        job: the Job, as it was asked for.
        process: what it runs.
        deleted: whether it was asked to end.
    """

    def __init__(self, job: Object, process: subprocess.Popen[bytes]) -> None:
        self.job, self.process = job, process
        self.deleted = False

    @property
    def name(self) -> str:
        """The Job's name."""
        name: str = self.job["metadata"]["name"]
        return name

    @property
    def step(self) -> str:
        """The step that it executes; empty for a run worker."""
        (container,) = self.job["spec"]["template"]["spec"]["containers"]
        return next((one["value"] for one in container["env"] if one["name"] == "DAGSTER_RUN_STEP_KEY"), "")

    @property
    def status(self) -> Object:
        """The Job's status."""
        code = self.process.poll()
        if code is None:
            return {"active": 1}
        return {"succeeded": 1} if code == 0 else {"failed": 1}


class Cluster:
    """The pods, by the order in which they were asked for."""

    def __init__(self, environ: Mapping[str, str], logs: Path) -> None:
        """``environ``: what every pod gets, in place of volumes and Secrets. ``logs``: a directory."""
        self._environ, self._logs = environ, logs
        self._lock = threading.Lock()
        self.pods: list[Pod] = []

    def log(self, pod: Pod) -> str:
        """What a pod printed."""
        return (self._logs / f"{pod.name}.log").read_text(errors="replace")

    def answer(self, method: str, path: str, body: Object) -> tuple[int, Object]:
        """Answer as the API server does."""
        url = urlsplit(path)
        # /apis/batch/v1/namespaces/sync/jobs/… and /api/v1/namespaces/sync/pods/…
        kind, *names = url.path.split("/")[6 if url.path.startswith("/apis/") else 5 :]
        with self._lock:
            if method == "POST":
                return self._create(body)
            if kind == "pods" and not names:
                wanted = parse_qs(url.query)["labelSelector"][0].removeprefix("job-name=")
                found = self._find(wanted)
                items = [{"metadata": {"name": found.name}, "status": {"phase": "Running"}}] if found else []
                return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
            pod = self._find(names[0])
            if pod is None or (pod.deleted and kind == "jobs"):
                return 404, failure("NotFound")
            if method == "DELETE":
                self._delete(pod)
            if kind == "pods":
                return 200, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": pod.name}}
            return 200, {**pod.job, "status": pod.status}

    def _create(self, job: Object) -> tuple[int, Object]:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        own = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        program, *arguments = container["args"]
        name = job["metadata"]["name"]
        if self._find(name):
            return 409, failure("AlreadyExists")
        with (self._logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [script(program), *arguments],
                env={**own, **self._environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pods.append(Pod(job, process))
        return 201, job

    def _find(self, name: str) -> Pod | None:
        return next((pod for pod in self.pods if pod.name == name), None)

    def _delete(self, pod: Pod) -> None:
        """End a pod as a kubelet does: a signal, and after a while the one that nothing survives."""
        if not pod.deleted:
            pod.deleted = True
            pod.process.terminate()
            timer = threading.Timer(_GRACE_SECONDS, pod.process.kill)
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """End what is still there."""
        for pod in self.pods:
            pod.process.kill()
            pod.process.wait()


@contextlib.contextmanager
def cluster(kubeconfig: Path, environ: Mapping[str, str], logs: Path) -> Iterator[Cluster]:
    """Serve on loopback, and write a kubeconfig for it."""
    made = Cluster({"PATH": os.environ["PATH"], **environ}, logs)
    with api_server(kubeconfig, made.answer):
        try:
            yield made
        finally:
            made.close()
