#!/usr/bin/python3
"""bench_injection.py [--rate 50] [--seconds 30]: how long the webhook takes for each new pod.

Installs Tributary in a real API server (as the tests do), then sends the AdmissionReview of a pod
RATE times a second over kept connections, as an API server does, and prints the latencies in ms.
Beside it: the memory of an idle agent without copies, and how long an agent takes from its start
until `healthcheck --for=ready` says yes with a new copy of 10,000 entries.
"""
import argparse
import concurrent.futures
import http.client
import json
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time

import conftest  # noqa: F401  (finds the harness)
from api_server import ApiServer
from harness import BIN, World, dataset, eventually, subscription
from installed import Installed

ENTRIES = 10_000
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "inject"


def review(number):
    pod = json.loads((GOLDEN / "deployment.pod.json").read_text())
    request = {"uid": str(number), "namespace": "shop", "operation": "CREATE",
               "resource": {"group": "", "version": "v1", "resource": "pods"}, "object": pod}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                       "request": request})


class Caller:
    """One kept connection for each thread."""

    def __init__(self, port):
        self.port, self.local = port, threading.local()
        self.context = ssl._create_unverified_context()

    def __call__(self, number, due):
        time.sleep(max(0, due - time.monotonic()))
        if not hasattr(self.local, "link"):
            self.local.link = http.client.HTTPSConnection("127.0.0.1", self.port,
                                                          context=self.context)
        began = time.monotonic()
        self.local.link.request("POST", "/inject", review(number),
                                {"Content-Type": "application/json"})
        answer = json.loads(self.local.link.getresponse().read())
        took = time.monotonic() - began
        assert answer["response"]["patch"], answer
        return took * 1000


def webhook(installed, rate, seconds):
    call = Caller(installed.webhook_port)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        start = time.monotonic() + 0.2
        calls = [threads.submit(call, n, start + n / rate) for n in range(rate * seconds)]
        took = sorted(one.result() for one in calls)
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))]
    print(f"webhook: {len(took)} pods at {rate}/s: p50 {at(.5):.1f} ms, p99 {at(.99):.1f} ms, "
          f"max {took[-1]:.1f} ms")


def resident_kib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def agents():
    world = World()
    try:
        cp = world.control_plane().start()
        cp.declare(dataset("orders.shop", "checkout.shop"))
        rows = "".join(json.dumps({"id": f"{i:06}", "text": "x" * 100}) + "\n"
                       for i in range(ENTRIES))
        eventually(lambda: cp.ctl("import", "orders.shop", "--from", "-", "--key", "id",
                                  service="checkout.shop", input=rows) is not None)
        idle = world.agent("idle.shop", cp).start()
        eventually(lambda: http_ready(idle), "the idle agent")
        cp.declare(dataset("orders.shop", "checkout.shop"),
                   subscription("in.shop", "billing.shop", "orders.shop"))
        eventually(lambda: "billing.shop" in cp.ctl("get", "subscriptions"), "the subscription")
        reader = world.agent("billing.shop", cp)
        began = time.monotonic()
        reader.spawn()
        subprocess.run([BIN / "tributary-agent", "healthcheck", f"--admin=127.0.0.1:{reader.admin}",
                        "--for=ready", "--wait=60s"], check=True)
        took = time.monotonic() - began
        assert reader.redis().dbsize() == ENTRIES
        time.sleep(5)  # what the start needed has been given back
        print(f"agent: {ENTRIES} entries ready after {took:.2f} s; resident: "
              f"{resident_kib(idle.process) / 1024:.1f} MiB idle without a copy, "
              f"{resident_kib(reader.process) / 1024:.1f} MiB with it")
    finally:
        world.close(False)


def http_ready(agent):
    return subprocess.run([BIN / "tributary-agent", "healthcheck", "--for=ready",
                           f"--admin=127.0.0.1:{agent.admin}"]).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    agents()
    server = ApiServer(pathlib.Path(tempfile.mkdtemp(prefix="tk.")))
    try:
        installed = Installed(server.start())
        try:
            installed.start()
            webhook(installed, options.rate, options.seconds)
        finally:
            installed.world.close(False)
    finally:
        server.stop(False)


if __name__ == "__main__":
    main()
