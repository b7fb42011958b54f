"""Every file of k8s/ is taken by a real API server, and its schemas refuse what is wrong."""
import pytest

from api_server import listed
from harness import dataset, subscription
from manifests import K8S, load, render

OVERLAYS = ["base", "overlays/dev", "overlays/ha-etcd", "overlays/cert-manager"]


def as_new(one):
    """What only new objects may say: the tests' own are installed beside, and call a URL."""
    if one["kind"].endswith("WebhookConfiguration") or one["kind"] == "StatefulSet":
        one["metadata"]["name"] += "-as-written"
    return one


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_object_passes_server_side_dry_run(installed, world, overlay):
    objects = render(installed.kubectl, world.dir, overlay)
    assert len(objects) >= 20
    # cert-manager's types are not there.
    own = [as_new(one) for one in objects if "cert-manager.io/" not in one["apiVersion"]]
    assert len(objects) - len(own) == (5 if overlay == "overlays/cert-manager" else 0)
    installed.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-",
                      input=listed(own))


@pytest.mark.parametrize("file", sorted(K8S.glob("examples/*.yaml")), ids=lambda file: file.name)
def test_each_example_passes_server_side_dry_run(installed, file):
    objects = load(file)
    for space in {one["metadata"].get("namespace") for one in objects} - {None}:
        installed.namespace(space)
    installed.kubectl("apply", "--dry-run=server", "-f", "-", input=listed(objects))


def test_overlays_differ_as_they_say(kubectl, world, installed):
    found = {}
    for overlay in OVERLAYS:
        for one in render(kubectl, world.dir, overlay):
            found[overlay, one["kind"], one["metadata"]["name"]] = one
    sets = {o: found[o, "StatefulSet", "control-plane"]["spec"] for o in OVERLAYS}
    assert sets["base"]["volumeClaimTemplates"]
    assert not sets["overlays/dev"].get("volumeClaimTemplates")
    assert sets["overlays/ha-etcd"]["replicas"] == 3
    assert ("overlays/cert-manager", "Certificate", "tributary-webhook") in found


GOOD = [
    dataset("orders.shop", "checkout.shop", ["billing.finance", "*.shop", "*"], maxValueBytes=1),
    subscription("s.shop", "checkout.shop", "orders.shop", prefix="eu-", mode="onDemand"),
    subscription("s.shop", "checkout.shop", "orders.shop",
                 consistency={"level": "bounded", "maxStaleness": "1m30s", "onStale": "error"}),
]
BAD = [
    (dataset("orders.shop", "Checkout"), "spec.owner"),
    (dataset("orders.shop", "checkout.shop", ["*billing"]), "spec.consumers"),
    (dataset("orders.shop", "checkout.shop", maxValueBytes=0), "spec.maxValueBytes"),
    (dataset("orders.shop", "checkout.shop", maxValueBytes=1 << 21), "spec.maxValueBytes"),
    (dataset("orders.shop", "checkout.shop", maxValueBytes="1"), "spec.maxValueBytes"),
    ({**dataset("orders.shop", "x"), "spec": {}}, "spec.owner"),
    (subscription("s.shop", "checkout.shop", "Orders"), "spec.dataset"),
    (subscription("s.shop", "checkout.shop", "orders.shop", mode="push"), "spec.mode"),
    (subscription("s.shop", "checkout.shop", "orders.shop", consistency={"level": "exact"}),
     "spec.consistency.level"),
    (subscription("s.shop", "checkout.shop", "orders.shop",
                  consistency={"level": "bounded", "maxStaleness": "soon"}),
     "spec.consistency.maxStaleness"),
    # The webhook: what no schema can say.
    (subscription("s.shop", "billing.finance", "orders.shop"), "spec.service: billing.finance"),
    (subscription("s.shop", "checkout.shop", "orders.shop", consistency={"level": "bounded"}),
     "spec.consistency.maxStaleness: is required"),
]


def test_declarations_are_judged_with_the_path_of_the_field(installed):
    installed.namespace("shop")
    installed.kubectl("create", "--dry-run=server", "-f", "-", input=listed(GOOD))
    for one, path in BAD:
        said = installed.kubectl.refused("create", "--validate=false", "--dry-run=server", "-f",
                                         "-", input=one)
        assert path in said, (one, said)
