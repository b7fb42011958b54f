"""Declarations: watched manifests, the same through tributaryctl, and faults in them."""
import json

import pytest

from harness import as_yaml, dataset, eventually, refused, subscription


def test_manifests_are_watched(world):
    cp = world.control_plane().start()
    shop = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start()
    refused("NODATASET", shop.set, "prices/a", "1")
    # A file appears: the dataset is there and the subscription reaches the agent.
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    eventually(lambda: shop.set("prices/a", "1"), "prices to be declared")
    eventually(lambda: web.redis().get("prices/a") == "1")
    # A second file, with another subscription of the same service.
    cp.declare(dataset("stock", "shop"), subscription("s", "web", "stock"), file="stock.yml")
    eventually(lambda: shop.set("stock/a", "5"))
    eventually(lambda: web.redis().get("stock/a") == "5")
    # An edit: the whole dataset becomes a prefix.
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices", prefix="b"))
    shop.mset({"prices/b": "2", "prices/a": "3"})
    eventually(lambda: web.redis().get("prices/b") == "2")
    eventually(lambda: "prices/a" not in web.redis().keys("prices/*"))
    # A file goes: so do its objects, and only they.
    (cp.manifests / "stock.yml").unlink()
    eventually(lambda: refused("NOTSUBSCRIBED", web.redis().get, "stock/a"))
    assert web.redis().get("prices/b") == "2"


def test_a_bad_manifest_changes_nothing_and_is_named(world):
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    cp.start()
    web = world.agent("web", cp).start().wait_synced("prices")
    (cp.manifests / "main.yaml").write_text("apiVersion: tributary.dev/v1alpha1\nkind: Dataset\n"
                                            "metadata: {name: prices}\nspec:\n  ownr: shop\n")
    line = eventually(lambda: next(l for l in cp.tail().splitlines()[::-1] if "ownr" in l)
                      if "ownr" in cp.tail() else None, "a log line that names the fault")
    assert "main.yaml:5" in line and "spec.ownr" in line, line
    assert web.redis().get("prices/a") is None and cp.process.poll() is None
    cp.declare(dataset("prices", "shop"), dataset("stock", "shop"))
    eventually(lambda: "stock" in cp.ctl("get", "datasets"))


@pytest.mark.parametrize("text, where", [
    ("kind: Dataset\nmetadata: {name: a}\nspec: {owner: b}\n", "apiVersion"),
    (as_yaml({**dataset("a", "b"), "kind": "Datasett"}), "kind"),
    (as_yaml(dataset("UPPER", "b")), "metadata.name"),
    (as_yaml(dataset("a", "")), "spec.owner"),
    (as_yaml(dataset("a", "b", maxValueBytes=0)), "spec.maxValueBytes"),
    (as_yaml(dataset("a", "b", consumers=[7, "?"])), "spec.consumers"),
    (as_yaml(subscription("s", "web", "a", mode="magic")), "spec.mode"),
    (as_yaml(subscription("s", "web", "a", consistency={"level": "bounded"})), "spec.consistency"),
    (as_yaml(dataset("a", "b"), dataset("a", "c")), "a"),
    ("a: [unclosed", "bad.yaml:"),
])
def test_faults_name_file_line_and_field(shop, world, text, where):
    bad = world.dir / "bad.yaml"
    bad.write_text(as_yaml(dataset("good", "shop")) + "\n---\n" + text)
    done = shop.cp.ctl("apply", "-f", bad, check=False)
    assert done.returncode != 0
    if not where.startswith("bad.yaml"):
        assert "bad.yaml:" in done.stderr
    assert where in done.stderr, done.stderr
    assert "good" not in shop.cp.ctl("get", "datasets")  # nothing is half applied


def test_ctl_and_manifests_do_not_fight(shop, world):
    file = world.dir / "prices.yaml"
    file.write_text(as_yaml(dataset("prices", "thief")))
    done = shop.cp.ctl("apply", "-f", file, check=False)
    assert done.returncode != 0 and "main.yaml" in done.stderr, done.stderr
    done = shop.cp.ctl("delete", "dataset", "prices", check=False)
    assert done.returncode != 0 and "main.yaml" in done.stderr, done.stderr
    listed = json.loads(shop.cp.ctl("get", "datasets", "-o", "json"))
    assert "thief" not in json.dumps(listed)


def test_declarations_of_the_api_survive_a_restart(world):
    cp = world.control_plane().start()
    file = world.dir / "d.yaml"
    file.write_text(as_yaml(dataset("prices", "shop"), subscription("w", "web", "prices")))
    assert "created" in cp.ctl("apply", "-f", file)
    assert "unchanged" in cp.ctl("apply", "-f", file)
    cp.restart()
    web = world.agent("web", cp).start().wait_synced("prices")
    world.agent("shop", cp).start().redis().set("prices/a", "1")
    eventually(lambda: web.redis().get("prices/a") == "1")
    cp.ctl("delete", "subscription", "w")
    cp.ctl("delete", "dataset", "prices")
    eventually(lambda: refused("NOTSUBSCRIBED", web.redis().get, "prices/a"))
    # Declared again within the retention: the data is back.
    cp.ctl("apply", "-f", file)
    eventually(lambda: web.redis().get("prices/a") == "1")
