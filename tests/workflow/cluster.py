"""A stand-in for a Kubernetes cluster: its API server on this machine, and pods that are local processes."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ENCLOSE = """
root=$1 home=$2; shift 2
mount -t tmpfs none "$root"
for path in /*; do
    if [ -L "$path" ]; then cp -P "$path" "$root"
    elif [ -d "$path" ]; then mkdir "$root$path"; mount --rbind "$path" "$root$path"; fi
done
while [ "$1" != -- ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; shift 2; done
shift
exec unshare --root="$root" --wd="$home" "$@"
"""
"""Run a command in a root of its own with folders mounted: ROOT HOME [FOLDER MOUNTPOINT]… -- COMMAND."""
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
GPU = "nvidia.com/gpu"


def enclosed(folder, home, mounts, *command):
    """Return the command line that runs another where folders are mounted; `folder` is for the root's mount."""
    root = folder / "root"
    root.mkdir()
    pairs = [str(one) for path, mountpoint in mounts for one in (path, mountpoint)]
    return [
        *UNSHARE,
        "sh",
        "-eu",
        "-c",
        ENCLOSE,
        "enclose",
        str(root),
        str(home),
        *pairs,
        "--",
        *map(str, command),
    ]


class Pod:
    """The container of a job as a process; it writes its log into a folder."""

    def __init__(self, job, folder, claims, environment, hidden):
        spec = job["spec"]["template"]["spec"]
        (self.container,), self.name, self.gone = spec["containers"], job["metadata"]["name"], None
        empty, self.log = folder / "empty", folder / "log"
        empty.mkdir(parents=True)
        sources = {
            volume["name"]: claims[volume["persistentVolumeClaim"]["claimName"]]
            if "persistentVolumeClaim" in volume
            else empty
            for volume in spec["volumes"]
        }
        mounts = [(sources[one["name"]], one["mountPath"]) for one in self.container["volumeMounts"]]
        nothing = folder / "nothing"
        nothing.mkdir()
        command = enclosed(
            folder,
            self.container["workingDir"],
            [*mounts, *((nothing, path) for path in hidden)],
            *("env", "-i", *(f"{name}={value}" for name, value in environment.items())),
            *(*self.container["command"], *self.container["args"]),
        )
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def kill(self, *signals, grace=0.2):
        """Send signals to process 1, with a pause between them; when it is gone, all others are."""
        (first,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for number in signals:
            os.kill(int(first), number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace)
                return

    def evict(self):
        """End the pod as a node does that is drained, and forget it."""
        # First of all: a look in between must not find the pod's last words.
        self.gone = "evicted"
        self.kill(signal.SIGTERM, signal.SIGKILL)
        self.process.wait()

    def run_out_of_memory(self):
        """End the pod as a node does when it has used more memory than its limit."""
        self.kill(signal.SIGKILL)

    def status(self):
        """Return the job's status as the API tells it."""
        code = self.process.poll()
        return {"active": 1} if code is None else {"succeeded": 1} if code == 0 else {"failed": 1}

    def describe(self):
        """Return the pod as the API tells it."""
        code = self.process.poll()
        state = (
            {"running": {}} if code is None else {"terminated": {"exitCode": code if code >= 0 else 128 - code}}
        )
        status = {"name": self.container["name"], "state": state, "ready": code is None, "restartCount": 0}
        status |= {"image": self.container["image"], "imageID": ""}
        return {"metadata": {"name": self.name}, "status": {"containerStatuses": [status]}}


class Cluster:
    """The API of a cluster, while the context lasts.

    Args:
        folder: where it keeps its files.
        claims: the folder of each persistent volume claim.
        image: environment of every container, as its image would set it.
        hidden: folders of this machine that pods do not see.
    """

    def __init__(self, folder, claims, image, hidden):
        self.folder, self.claims, self.image, self.hidden = folder, claims, image, hidden
        self.jobs, self.pods, self.secrets, self.deleted = {}, {}, {}, set()

    def __enter__(self):
        handler = type("Handler", (Handler,), {"cluster": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        server = {"server": f"http://127.0.0.1:{self.server.server_port}"}
        access = {
            "clusters": [{"name": "it", "cluster": server}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
            "current-context": "here",
        }
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(access))
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        for pod in self.pods.values():
            pod.process.kill()
            pod.process.wait()

    def create_secret(self, secret):
        self.secrets[secret["metadata"]["name"]] = secret.get("data", {})
        return 201, secret

    def create_job(self, job):
        name = job["metadata"]["name"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        resources = container["resources"]
        if resources["requests"].get(GPU) != resources.get("limits", {}).get(GPU):
            return 422, {
                "message": f"{GPU}: limit must be set for non overcommitable resources, and be the request"
            }
        if name in self.jobs:
            return 409, {"message": "there is such a job"}
        environment = dict(self.image)
        for variable in container.get("env", ()):
            source = variable["valueFrom"]["secretKeyRef"]
            environment[variable["name"]] = base64.b64decode(self.secrets[source["name"]][source["key"]]).decode()
        self.jobs[name] = job
        self.pods[name] = Pod(job, self.folder / name, self.claims, environment, self.hidden)
        return 201, job

    def answer(self, method, kind, name, query, body):
        """Return status and answer to a request."""
        if method == "POST":
            return self.create_job(body) if kind == "jobs" else self.create_secret(body)
        if kind == "pods" and name is None:
            pod = self.pods.get(query["labelSelector"][0].removeprefix("job-name="))
            return 200, {"items": [pod.describe()] if pod and not pod.gone else []}
        pod = self.pods.get(name)
        if (pod or self.secrets.get(name)) is None or name in self.deleted:
            return 404, {"message": "not found"}
        if method == "DELETE":
            if kind == "pods":
                pod.gone = "deleted"
            else:
                self.deleted.add(name)
            return 200, {}
        if kind == "jobs":
            return 200, self.jobs[name] | {"status": pod.status()}
        # A pod that never restarts its container has no previous one.
        if query.get("previous") == ["True"]:
            return 400, {"message": f"previous terminated container in pod {name} not found"}
        return 200, pod.log.read_text()


class Handler(BaseHTTPRequestHandler):
    """Requests like METHOD /…/namespaces/default/KIND[/NAME[/status or log]]."""

    cluster: Cluster

    def do_GET(self):
        url = urlsplit(self.path)
        kind, name = [*url.path.partition("/namespaces/default/")[2].split("/"), None][:2]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.cluster.answer(
            self.command, kind, name, parse_qs(url.query), json.loads(body or "{}")
        )
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_):
        """Say nothing."""
