"""Tributary in a cluster with nodes, as a platform team runs it: kubectl apply, a label, and pods.

The same cases run on the one-node Kubernetes 1.20 of node.py (agents as containers) and on kind
with a current Kubernetes (native sidecars). KUBECONFIG and TRIBUTARY_KUBECTL say where.
"""
import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import time

import pytest

from api_server import Kubectl, listed
from harness import dataset, eventually, subscription
from manifests import render

SYSTEM = "tributary-system"
SERVICE_IP = "10.96.0.50"
ON_OWN_NODE = "TRIBUTARY_NODE" in os.environ  # node.py: no DNS, no storage class
NODE_EXEC = shlex.split(os.environ.get("TRIBUTARY_NODE_EXEC", ""))
LONG = 120


def for_own_node(objects, scratch):
    """Without DNS, agents dial the Service's address; without a provisioner, the volume is ours."""
    for one in objects:
        if one["kind"] == "Service" and one["metadata"]["name"] == "tributary":
            one["spec"]["clusterIP"] = SERVICE_IP
        if one["kind"] == "Deployment":
            args = one["spec"]["template"]["spec"]["containers"][0]["args"]
            args[:] = [f"--agent-control-plane={SERVICE_IP}:18000"
                       if a.startswith("--agent-control-plane") else a for a in args]
    data = pathlib.Path(scratch) / "volume"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    return objects + [{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "data"},
                       "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
                                "hostPath": {"path": str(data)}}}]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory):
    kubectl = Kubectl(os.environ["TRIBUTARY_KUBECTL"], os.environ["KUBECONFIG"])
    scratch = tmp_path_factory.mktemp("k8s")
    objects = render(kubectl, scratch, "base")
    if ON_OWN_NODE:
        objects = for_own_node(objects, scratch)
    first = [o for o in objects if o["kind"] in ("Namespace", "CustomResourceDefinition")]
    kubectl.apply(*first)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl.apply(*objects)
    kubectl.applied = objects
    began = time.monotonic()
    for what in ("deployment/injector", "statefulset/control-plane"):
        rolled_out(kubectl, what)
    print(f"installed in {time.monotonic() - began:.1f} s")
    kubectl.apply(namespace("shop"), namespace("finance"), account("checkout", "shop"),
                  account("billing", "finance"),
                  dataset("orders.shop", "checkout.shop", ["billing.finance"]),
                  subscription("in.finance", "billing.finance", "orders.shop"))
    # Webhooks are called only once they have their caBundle and an endpoint that is known.
    eventually(lambda: "caBundle" in str(kubectl.get("mutatingwebhookconfiguration",
                                                     "tributary-injector")), "the caBundle", LONG)
    return kubectl


def namespace(name, injection="enabled"):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {
        "tributary.dev/injection": injection, "pod-security.kubernetes.io/enforce": "restricted"}}}


def account(name, space):
    return {"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": space}}


def pod_spec(user, service_account, script="exec sleep 3600"):
    return {"serviceAccountName": service_account, "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"runAsNonRoot": True, "runAsUser": user,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "app", "image": "localhost/app:1",
                            "command": ["sh", "-c", script],
                            "securityContext": {"allowPrivilegeEscalation": False,
                                                "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}}]}


def deployment(name, space, user, service_account, replicas=1, labels=None):
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": space},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name, **(labels or {})}},
                                  "spec": pod_spec(user, service_account)}}}


def ready_pods(kubectl, space, app, count=1):
    def look():
        pods = [p for p in kubectl.get("pods", "-n", space, "-l", f"app={app}")["items"]
                if "deletionTimestamp" not in p["metadata"]]
        ready = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True"
                                        for c in p["status"].get("conditions", []))]
        return len(ready) == len(pods) == count and [p["metadata"]["name"] for p in ready]
    return eventually(look, f"{count} ready pods of {app}", LONG)


def redis(kubectl, space, pod, *command, often=1):
    """redis-cli in the application's container, on the socket that the variable names."""
    words = " ".join(shlex.quote(str(word)) for word in command)
    return kubectl("exec", "-n", space, pod, "-c", "app", "--", "sh", "-c",
                   f'redis-cli -e -r {often} -i 0.01 -s "$TRIBUTARY_SOCKET" {words}').strip()


def rolled_out(kubectl, what):
    kubectl("rollout", "status", "-n", SYSTEM, what, "--timeout=180s")


def control_plane_pods(kubectl):
    """Which pods there are of it, by what no two pods share."""
    return {pod["metadata"]["uid"] for pod in kubectl.get(
        "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=tributary-control-plane")["items"]}


@pytest.fixture(scope="module")
def apps(kubectl):
    """The pod of the owner, who has published that order 1 is paid, and two pods of a reader."""
    kubectl.apply(deployment("checkout", "shop", 1000, "checkout"),
                  deployment("billing", "finance", 1001, "billing", replicas=2))
    owner, = ready_pods(kubectl, "shop", "checkout")
    eventually(lambda: redis(kubectl, "shop", owner, "set", "orders.shop/1", "paid") == "OK",
               "the first write", LONG)
    return owner, ready_pods(kubectl, "finance", "billing", 2)


def test_what_one_pod_publishes_the_others_read_on_their_sockets(kubectl, apps):
    owner, readers = apps
    began = time.monotonic()
    assert redis(kubectl, "shop", owner, "set", "orders.shop/3", "new") == "OK"
    for reader in readers:
        eventually(lambda: redis(kubectl, "finance", reader, "get", "orders.shop/3") == "new",
                   f"{reader} to read")
    print(f"propagated and read by {len(readers)} pods in {time.monotonic() - began:.2f} s")
    refused = kubectl.run("exec", "-n", "finance", readers[0], "-c", "app", "--", "sh", "-c",
                          'redis-cli -e -s "$TRIBUTARY_SOCKET" set orders.shop/1 x')
    assert "READONLY" in refused.stdout + refused.stderr
    eventually(lambda: "True" in kubectl("get", "tsub", "-n", "finance", "in"), "Ready", LONG)


def agent_of(one):
    for kind in ("initContainers", "containers"):
        for container in one["spec"].get(kind, []):
            if container["name"] == "tributary-agent":
                return container
    return None


def test_the_mode_follows_the_servers_version(kubectl, apps):
    one = kubectl.get("pod", "-n", "shop", apps[0])
    native = kubectl.version() >= (1, 29)
    assert (agent_of(one).get("restartPolicy") == "Always") == native
    assert [c["name"] for c in one["spec"]["containers"]] == (["app"] if native
                                                              else ["tributary-agent", "app"])


def test_a_namespace_without_the_label_is_untouched(kubectl):
    kubectl.apply(namespace("plain", "disabled"), account("x", "plain"),
                  deployment("plain", "plain", 1000, "x"))
    name, = ready_pods(kubectl, "plain", "plain")
    assert agent_of(kubectl.get("pod", "-n", "plain", name)) is None


def test_a_job_completes(kubectl, apps):
    spec = pod_spec(1001, "billing", 'redis-cli -e -s "$TRIBUTARY_SOCKET" get orders.shop/1')
    job = {"apiVersion": "batch/v1", "kind": "Job",
           "metadata": {"name": "report", "namespace": "finance"},
           "spec": {"backoffLimit": 0, "template": {
               "metadata": {"annotations": {"tributary.dev/job-idle": "2s"}},
               "spec": {**spec, "restartPolicy": "Never"}}}}
    kubectl.apply(job)
    kubectl("wait", "-n", "finance", "job/report", "--for=condition=complete", "--timeout=120s")
    assert kubectl("logs", "-n", "finance", "job/report", "-c", "app").strip() == "paid"


def test_a_rolling_restart_of_the_control_plane_is_not_noticed_by_readers(kubectl, apps):
    owner, readers = apps
    before = control_plane_pods(kubectl)
    kubectl("rollout", "restart", "-n", SYSTEM, "statefulset/control-plane")
    reads = 0
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        restart = beside.submit(rolled_out, kubectl, "statefulset/control-plane")
        while not restart.done():
            read = redis(kubectl, "finance", readers[0], "get", "orders.shop/1", often=50)
            assert read.split() == ["paid"] * 50
            reads += 50
        restart.result()
    assert not before & control_plane_pods(kubectl)
    print(f"{reads} reads during the restart, all answered")
    eventually(lambda: redis(kubectl, "shop", owner, "set", "orders.shop/2", "new") == "OK",
               "writes to go on", LONG)
    eventually(lambda: redis(kubectl, "finance", readers[1], "get", "orders.shop/2") == "new",
               "changes to flow again", LONG)


def container_status(kubectl, space, pod):
    status = kubectl.get("pod", "-n", space, pod)["status"]
    for one in status["containerStatuses"] + status.get("initContainerStatuses", []):
        if one["name"] == "tributary-agent":
            return one
    raise AssertionError(f"{pod} has no agent")


# Fills the memory that the agent's container may have, from inside its cgroup. The kernel then ends
# the agent first, since kubelets give containers a high oom_score_adj.
OOM = """
pid=$(grep -ls "$1" /proc/[0-9]*/cgroup | cut -d/ -f3 | head -n 1)
path=$(sed -n -E 's/^[0-9]+:memory:|^0:://p' "/proc/$pid/cgroup" | head -n 1)
for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
  [ -f "$root$path/cgroup.procs" ] || continue
  echo $$ > "$root$path/cgroup.procs"
  head -c 256M /dev/zero | tail -n 1 > /dev/null
  exit
done
exit 9
"""


def fill_memory(container):
    filled = subprocess.run([*NODE_EXEC, "sh", "-c", OOM, "oom", container.split("//")[1]],
                            capture_output=True)
    assert filled.returncode != 9, "the container's cgroup is not found"


def test_an_oom_killed_agent_comes_back_with_its_copy(kubectl, apps):
    """While no control plane is there, so that the copy can only be its own."""
    owner, readers = apps
    scale = lambda count: kubectl("scale", "-n", SYSTEM, "statefulset/control-plane",
                                  f"--replicas={count}")
    scale(0)
    eventually(lambda: not control_plane_pods(kubectl), "the control plane to be away", LONG)
    before = container_status(kubectl, "finance", readers[0])
    fill_memory(before["containerID"])
    after = lambda: container_status(kubectl, "finance", readers[0])
    eventually(lambda: after()["restartCount"] > before["restartCount"], "the restart", LONG)
    assert after()["lastState"]["terminated"]["reason"] == "OOMKilled"
    eventually(lambda: redis(kubectl, "finance", readers[0], "get", "orders.shop/1") == "paid",
               "the copy to be served again", LONG)
    scale(1)
    rolled_out(kubectl, "statefulset/control-plane")
    eventually(lambda: redis(kubectl, "shop", owner, "set", "orders.shop/4", "new") == "OK",
               "writes to go on", LONG)
    eventually(lambda: redis(kubectl, "finance", readers[0], "get", "orders.shop/4") == "new",
               "changes to flow to the copy", LONG)


def test_a_pod_that_ends_may_publish_to_the_last(kubectl, apps):
    """Its agent stays for as long as the application keeps a connection open."""
    key = "orders.shop/last"
    script = f"""
        redis-cli -s $TRIBUTARY_SOCKET subscribe __keyspace@0__:{key} > /dev/null & kept=$!
        trap 'sleep 2; redis-cli -e -s $TRIBUTARY_SOCKET set {key} bye; kill $kept' TERM
        wait $kept; wait $kept"""
    spec = {**pod_spec(1000, "checkout", script), "terminationGracePeriodSeconds": 30}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "spec": spec, "metadata": {
        "name": "leaver", "namespace": "shop", "labels": {"app": "leaver"}}})
    ready_pods(kubectl, "shop", "leaver")
    eventually(lambda: "sub=1" in redis(kubectl, "shop", "leaver", "client", "list"),
               "its connection")
    kubectl("delete", "pod", "-n", "shop", "leaver", "--wait=false")
    eventually(lambda: redis(kubectl, "finance", apps[1][0], "get", key) == "bye",
               "what it published last", LONG)


def test_while_the_injector_is_away_no_pod_starts_without_an_agent(kubectl, apps):
    kubectl("scale", "-n", SYSTEM, "deployment/injector", "--replicas=0")
    eventually(lambda: not kubectl.get("endpoints", "-n", SYSTEM, "tributary-injector").get(
        "subsets"), "the injector to be away", LONG)
    kubectl.apply(deployment("late", "finance", 1001, "billing"),
                  deployment("out", "finance", 1001, "billing",
                             labels={"tributary.dev/inject": "false"}))
    out, = ready_pods(kubectl, "finance", "out")
    assert agent_of(kubectl.get("pod", "-n", "finance", out)) is None
    events = eventually(lambda: [e for e in kubectl.get("events", "-n", "finance")["items"]
                                 if "failed calling webhook" in e["message"]], "the event", LONG)
    assert events[0]["reason"] == "FailedCreate"
    kubectl("scale", "-n", SYSTEM, "deployment/injector", "--replicas=2")
    late, = ready_pods(kubectl, "finance", "late")
    assert agent_of(kubectl.get("pod", "-n", "finance", late))


def test_uninstalling_leaves_nothing(kubectl, apps):
    """Last: what docs/kubernetes.md says under "Uninstall"."""
    kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-",
            input=listed(one for one in kubectl.applied if one["kind"] != "PersistentVolume"))
    left = lambda: kubectl("get", "clusterrole,clusterrolebinding,crd,mutatingwebhookconfiguration,"
                           "validatingwebhookconfiguration", "-o", "name")
    eventually(lambda: "tributary" not in left(), "all that is the cluster's to go", LONG)
    configmaps = ("configmap", "--all-namespaces", "--field-selector=metadata.name=tributary-ca")
    kubectl("delete", *configmaps)
    assert kubectl("get", *configmaps, "-o", "name") == ""
    # Pods are created again, without an agent, in namespaces that are still labelled.
    kubectl.apply(deployment("after", "finance", 1001, "billing"))
    after, = ready_pods(kubectl, "finance", "after")
    assert agent_of(kubectl.get("pod", "-n", "finance", after)) is None
