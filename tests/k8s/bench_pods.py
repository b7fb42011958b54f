"""How soon pods with an agent are Ready, and what agents cost, in a cluster with nodes:

  CASES=bench_pods.py tests/k8s/test-cluster.sh BIN -s

Prints, of 20 pods, the time from the start of its first container – the agent – to the
moment when the API server calls the pod Ready, with a new copy of 10,000 entries of 100 bytes; then
the resident memory of an agent with that copy and of one without any.
"""
import pathlib
import statistics
import time

from harness import dataset, subscription
from test_pods import LONG, account, container_status, kubectl, pod_spec, ready_pods, redis

ENTRIES, BATCH = 10_000, 250
PODS = 20  # a kubelet that loses its way one time in ten shows in so many


def a_pod(name, space, user, service_account):
    return {"apiVersion": "v1", "kind": "Pod", "spec": pod_spec(user, service_account),
            "metadata": {"name": name, "namespace": space, "labels": {"app": name}}}


def agent_process(cluster, space, pod):
    """Its directory in /proc, and when it started, in seconds since the machine's boot."""
    container = container_status(cluster, space, pod)["containerID"].split("//")[1]
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if container in (entry / "cgroup").read_text():
                stat = (entry / "stat").read_text()
                found.append((int(stat.rpartition(")")[2].split()[19]) / 100, entry))
        except OSError:
            continue  # it has ended meanwhile
    began, process = min(found)  # the others are probes
    return process, began


def resident_mib(process):
    return int((process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def test_how_soon_pods_are_ready(kubectl):
    kubectl.apply(dataset("rates.shop", "checkout.shop"),
                  subscription("rates.finance", "billing.finance", "rates.shop"),
                  account("idle", "finance"), a_pod("owner", "shop", 1000, "checkout"))
    ready_pods(kubectl, "shop", "owner")
    for first in range(0, ENTRIES, BATCH):
        pairs = [word for i in range(first, first + BATCH)
                 for word in (f"rates.shop/{i:06}", "x" * 100)]
        assert redis(kubectl, "shop", "owner", "mset", *pairs) == "OK"
    took = []
    for i in range(PODS):
        kubectl.apply(a_pod(f"reader-{i}", "finance", 1001, "billing"))
        kubectl("wait", "-n", "finance", f"pod/reader-{i}", "--for=condition=Ready",
                f"--timeout={LONG}s")
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        process, began = agent_process(kubectl, "finance", f"reader-{i}")
        took.append(now - began)
        assert redis(kubectl, "finance", f"reader-{i}", "dbsize") == str(ENTRIES)
    print(f"\n{PODS} pods with {ENTRIES} entries Ready after the start of their first container: "
          f"median {statistics.median(took):.1f} s, worst {max(took):.1f} s")
    kubectl.apply(a_pod("idle", "finance", 1001, "idle"))
    ready_pods(kubectl, "finance", "idle")
    idle, _ = agent_process(kubectl, "finance", "idle")
    print(f"resident: {resident_mib(process):.1f} MiB with that copy, {resident_mib(idle):.1f} MiB "
          "without any")
