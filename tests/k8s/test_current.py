"""What the API server of these tests is too old to know, held to a current kubectl's: types and
kustomize. tests/kind/run.sh goes further, with a current cluster.
"""
import json
import subprocess

import pytest

from api_server import binaries
from manifests import K8S, ROOT, objects, render
from test_manifests import OVERLAYS

GOLDEN = ROOT / "tests" / "golden" / "inject"
PODS = sorted(GOLDEN.glob("*.pod.json"))


def kubectl_current(*args, input=None):
    done = subprocess.run([binaries("api") / "kubectl-current", *map(str, args)], input=input,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def patched(document, patch):
    """The document after a JSON patch that only adds."""
    for operation in patch:
        assert operation["op"] == "add"
        *way, last = [step.replace("~1", "/") for step in operation["path"].split("/")[1:]]
        at = document
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if isinstance(at, list):
            at.insert(len(at) if last == "-" else int(last), operation["value"])
        else:
            at[last] = operation["value"]
    return document


def fields(value, path=""):
    if not isinstance(value, (dict, list)):
        return {path}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {path}.union(*(fields(inner, f"{path}/{name}") for name, inner in items))


def unknown(pod):
    """Fields that are lost on the way through the types of a Pod."""
    pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    typed = kubectl_current("set", "image", "--local", "-f", "-", "-o", "json", "app=other:1",
                            input=json.dumps(pod))
    return fields(pod) - fields(json.loads(typed))


@pytest.mark.parametrize("mode", ["native", "container"])
@pytest.mark.parametrize("file", PODS, ids=lambda file: file.name.split(".")[0])
def test_every_field_of_an_injected_pod_is_known(file, mode):
    patch = json.loads(file.with_name(file.name.replace(".pod.", f".{mode}.")).read_text())
    pod = patched(json.loads(file.read_text()), patch)
    if mode == "native":
        assert pod["spec"]["initContainers"][0]["restartPolicy"] == "Always"
    assert unknown(pod) == set()


def test_a_field_that_is_not_known_is_noticed():
    pod = json.loads(PODS[0].read_text())
    pod["spec"]["containers"][0]["restartPolcy"] = "Always"
    assert unknown(pod) == {"/spec/containers/0/restartPolcy"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_files_as_they_stand_give_the_objects_that_the_other_cases_use(kubectl, world, overlay):
    def by_name(rendered):
        # The old server's PodDisruptionBudgets are of another version, else alike.
        return {(one["kind"], one["metadata"]["name"]): {**one, "apiVersion": ""}
                for one in rendered}
    current = objects(kubectl_current("kustomize", K8S / overlay))
    assert by_name(current) == by_name(render(kubectl, world.dir, overlay))
