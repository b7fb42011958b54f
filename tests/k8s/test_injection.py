"""The webhook as a real API server calls it: what it adds, warns of, refuses, and its absence."""
import base64
import json
import subprocess

import pytest

from harness import eventually, free_port, http, parse_metrics
from installed import SYSTEM, Injector


def pod(space, name="p", annotations=None, labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": space, "annotations": annotations or {},
                         "labels": labels or {}},
            # Without a controller manager, nothing sets the account.
            "spec": {"serviceAccountName": "default",
                     "containers": [{"name": "app", "image": "app:1"}], **spec}}


@pytest.fixture
def space(installed):
    return installed.namespace("injected")


def created(installed, one, mode="--dry-run=server"):
    return json.loads(installed.kubectl("create", mode, "-o", "json", "-f", "-", input=one))


def names(one):
    return [c["name"] for c in one["spec"]["containers"]]


def test_an_old_server_gets_the_agent_as_a_container(installed, space):
    one = created(installed, pod(space, restartPolicy="Never"))
    assert names(one) == ["tributary-agent", "app"]
    agent, app = one["spec"]["containers"]
    assert "--exit-when-idle=15s" in agent["args"]
    assert "startupProbe" not in agent  # its kubelets may lose the answer for a minute
    assert {"name": "TRIBUTARY_SOCKET", "value": "/run/tributary/agent.sock"} in app["env"]
    assert one["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "app"
    token = next(s["serviceAccountToken"] for v in one["spec"]["volumes"]
                 for s in v.get("projected", {}).get("sources", []) if "serviceAccountToken" in s)
    assert token["audience"] == "tributary"


def test_namespaces_without_the_label_and_pods_that_opt_out_are_untouched(installed, space):
    plain = installed.namespace("plain", "disabled")
    assert names(created(installed, pod(plain))) == ["app"]
    out = pod(space, labels={"tributary.dev/inject": "false"})
    assert names(created(installed, out)) == ["app"]
    assert names(created(installed, pod(SYSTEM))) == ["app"]


def test_warns_and_refuses(installed, space):
    warned = installed.kubectl.run("create", "--dry-run=server", "-f", "-", input=pod(
        space, annotations={"tributary.dev/subscribes": "x"}))
    assert warned.returncode == 0
    assert "did you mean 'subscribe'?" in warned.stderr
    said = installed.kubectl.refused("create", "--dry-run=server", "-f", "-", input=pod(
        space, annotations={"tributary.dev/memory-limit": "much"}))
    assert "no agent can be injected" in said and "128Mi" in said


def test_every_injected_namespace_gets_the_authority(installed):
    space = installed.namespace("latecomer")
    bundle = eventually(lambda: installed.kubectl.get("configmap", "-n", space, "tributary-ca"),
                        "the ConfigMap")["data"]["ca.crt"]
    installed.kubectl("delete", "configmap", "-n", space, "tributary-ca")
    again = eventually(lambda: installed.kubectl.get("configmap", "-n", space, "tributary-ca"),
                       "it to come back", 60)
    assert again["data"]["ca.crt"] == bundle


def test_a_dead_webhook_fails_closed_and_opt_out_still_works(installed, space):
    installed.injector.kill()
    try:
        said = installed.kubectl.refused("create", "-f", "-", input=pod(space))
        assert "failed calling webhook" in said
        created(installed, pod(space, "out", labels={"tributary.dev/inject": "false"}))
        assert names(created(installed, pod("default"))) == ["app"]
    finally:
        installed.injector.start()
    assert "tributary-agent" in names(created(installed, pod(space)))


def served_certificate(port):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], input="",
                          capture_output=True, text=True)
    return done.stdout.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]


def test_replicas_agree_and_a_lost_authority_is_made_anew(installed, space):
    kubectl = installed.kubectl
    first = installed.webhook_port
    installed.webhook_port = free_port()
    second = installed.own(Injector(installed, "injector-2"))
    port, installed.webhook_port = installed.webhook_port, first
    second.start()
    try:
        assert served_certificate(first) == served_certificate(port)
        before = kubectl.get("mutatingwebhookconfiguration", "tributary-injector")
        kubectl("delete", "secret", "-n", SYSTEM, "tributary-pki")
        ca = lambda: base64.b64decode(kubectl.get(
            "mutatingwebhookconfiguration", "tributary-injector")["webhooks"][0]["clientConfig"]
            ["caBundle"]).decode()
        old = base64.b64decode(before["webhooks"][0]["clientConfig"]["caBundle"]).decode()
        eventually(lambda: ca() != old, "a new authority", 60)
        eventually(lambda: served_certificate(first) == served_certificate(port),
                   "both replicas to serve its certificate", 60)
        eventually(lambda: "tributary-agent" in names(created(installed, pod(space))),
                   "injection to go on")
    finally:
        second.kill()
    expiry = parse_metrics(http(installed.injector.admin, "/metrics")[1])
    assert expiry["tributary_injector_certificate_expiry_timestamp_seconds"] > 1_700_000_000
