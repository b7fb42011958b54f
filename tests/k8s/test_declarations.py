"""Datasets and Subscriptions of a real API server in the control plane, and their state back."""
import subprocess

from harness import BIN, dataset, eventually, flags, http, subscription


def condition(kubectl, kind, space, name, which):
    """"True Synced: …" """
    for one in kubectl.get(kind, "-n", space, name).get("status", {}).get("conditions", []):
        if one["type"] == which:
            return f"{one['status']} {one['reason']}: {one['message']}"
    return ""


def pods_agent(installed, world, account, space, name=None):
    """An agent with just the files that injection gives it."""
    bundle = eventually(lambda: installed.kubectl.get("configmap", "-n", space, "tributary-ca"),
                        "the authority's ConfigMap")["data"]["ca.crt"]
    name = name or f"{account}-{space}"
    (world.dir / f"{name}.ca").write_text(bundle)
    token = world.dir / f"{name}.token"
    token.write_text(installed.kubectl.token(account, space, "tributary"))
    return world.agent(f"{account}.{space}", installed.cp, name=name, insecure=None,
                       tls_ca=world.dir / f"{name}.ca", token_file=token)


def test_from_kubectl_apply_to_the_consumers_socket_and_back(installed, world):
    kubectl = installed.kubectl
    for space, account in (("east", "checkout"), ("west", "billing")):
        installed.namespace(space)
        installed.account(account, space)
    kubectl.apply(subscription("in.west", "billing.west", "orders.east"))
    says = lambda kind, space, name, which, what: eventually(
        lambda: what in condition(kubectl, kind, space, name, which),
        f"{kind} {name}: {what}; it is {condition(kubectl, kind, space, name, which)}")
    says("tsub", "west", "in", "Ready", "False DatasetUnknown")
    kubectl.apply(dataset("orders.east", "checkout.east", []))
    says("tds", "east", "orders", "Accepted", "True Declared")
    says("tsub", "west", "in", "Ready", "False NotGranted")
    kubectl.apply(dataset("orders.east", "checkout.east", ["*.west"]))
    says("tsub", "west", "in", "Ready", "False NoAgent")

    owner = pods_agent(installed, world, "checkout", "east").start()
    reader = pods_agent(installed, world, "billing", "west").start()
    eventually(lambda: owner.redis().set("orders.east/1", "paid"), "the owner to publish")
    eventually(lambda: reader.redis().get("orders.east/1") == "paid", "the consumer to read")
    says("tsub", "west", "in", "Ready", "True Synced")
    eventually(lambda: kubectl.get("tds", "-n", "east", "orders")["status"]["entries"] == 1,
               "the entries in the status")
    read = subprocess.run([BIN / "tributaryctl", "--control-plane", installed.cp.address, *flags(
        {name: owner.options[name] for name in ("tls_ca", "token_file")}), "read",
        "orders.east", "1"], capture_output=True, text=True)
    assert "paid" in read.stdout, read
    table = kubectl("get", "tds", "-n", "east").splitlines()
    assert table[0].split()[:6] == ["NAME", "OWNER", "ACCEPTED", "ENTRIES", "REVISION", "CONSUMERS"]
    assert table[1].split()[1:4] == ["checkout.east", "True", "1"], table

    kubectl("delete", "tds", "-n", "east", "orders")
    says("tsub", "west", "in", "Ready", "False DatasetUnknown")


def test_only_tokens_for_this_audience_prove_who_one_is(installed, world):
    installed.namespace("east")
    installed.account("checkout", "east")
    agent = pods_agent(installed, world, "checkout", "east", "wrong")
    agent.options["token_file"].write_text(installed.kubectl.token("checkout", "east"))
    agent.start()
    eventually(lambda: "audience" in agent.log.read_text(), "the refusal in its log")
    # The kubelet brings a good one: the agent goes on by itself.
    agent.options["token_file"].write_text(installed.kubectl.token("checkout", "east", "tributary"))
    eventually(lambda: "wrong" in http(installed.cp.admin, "/agents")[1]
               or "checkout.east" in http(installed.cp.admin, "/agents")[1], "it to connect")


def test_a_restarted_control_plane_catches_up(installed):
    kubectl = installed.kubectl
    installed.namespace("north")
    kubectl.apply(dataset("a.north", "x.north"), dataset("b.north", "x.north"))
    names = lambda: {row for row in ("a.north", "b.north", "c.north")
                     if f'"{row}"' in http(installed.cp.admin, "/datasets")[1]}
    eventually(lambda: names() == {"a.north", "b.north"})
    installed.cp.kill()
    kubectl("delete", "tds", "-n", "north", "a")
    kubectl.apply(dataset("c.north", "x.north"))
    installed.cp.start()
    eventually(lambda: names() == {"b.north", "c.north"}, "what changed meanwhile")
