"""Away and back: only what changed crosses the wire, and nothing is missed."""
import json

from harness import dataset, eventually, http, subscription


def fill(owner, count, width=200):
    for i in range(0, count, 5000):
        owner.mset({f"prices/k{j:06}": "x" * width for j in range(i, min(i + 5000, count))})


def test_ten_thousand_changes_while_the_agent_is_killed(shop):
    owner, count, width = shop.owner.redis(), 40_000, 200
    fill(owner, count, width)
    eventually(lambda: shop.web.redis().dbsize() == count)
    loaded = shop.web.bytes_in()
    assert loaded > count * width
    shop.web.kill()
    for i in range(0, 9_000, 1000):
        owner.mset({f"prices/k{j:06}": "new" + "y" * width for j in range(i, i + 1000)})
    owner.delete(*[f"prices/k{j:06}" for j in range(39_000, 40_000)])
    shop.web.start()
    assert shop.web.redis().dbsize() >= count - 1000  # what it had is there from the first moment
    eventually(lambda: shop.web.redis().dbsize() == count - 1000)
    eventually(lambda: shop.web.redis().get("prices/k008999")[:3] == "new")
    copy = shop.web.read_all("prices")
    assert len(copy) == count - 1000
    assert sum(value.startswith("new") for value in copy.values()) == 9_000
    resumed = shop.web.bytes_in()
    assert resumed < 1.5 * 10_000 * (width + 100), f"{resumed} of {loaded} bytes again"
    fresh = shop.web.world.agent("web", shop.cp, name="fresh").start().wait_synced("prices")
    eventually(lambda: fresh.copies()["prices"]["digest"] == shop.web.copies()["prices"]["digest"])


def test_nothing_changed_means_nothing_sent(shop):
    fill(shop.owner.redis(), 5000)
    eventually(lambda: shop.web.redis().dbsize() == 5000)
    shop.web.stop()
    shop.web.start().wait_synced("prices")
    assert shop.web.redis().dbsize() == 5000
    assert shop.web.bytes_in() < 20_000


def test_deleted_while_away_and_control_plane_restarted(shop):
    owner = shop.owner.redis()
    owner.mset({"prices/stays": "1", "prices/goes": "1"})
    eventually(lambda: shop.web.redis().dbsize() == 2)
    shop.web.kill()
    owner.delete("prices/goes")
    shop.cp.restart()
    shop.web.start()
    eventually(lambda: shop.web.redis().get("prices/goes") is None)
    assert shop.web.redis().get("prices/stays") == "1"


def floor_and_revision(cp):
    row = json.loads(http(cp.admin, "/datasets")[1])["datasets"][0]
    return row["floor"], row["revision"]


def test_away_longer_than_the_tombstones(world):
    cp = world.control_plane(tombstone_retention="1s")
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start().wait_synced("prices")
    owner.mset({f"prices/{i}": "old" for i in range(100)})
    eventually(lambda: web.redis().dbsize() == 100)
    web.kill()
    owner.delete(*[f"prices/{i}" for i in range(50)])

    removed_at = floor_and_revision(cp)[1]

    def tombstones_are_gone():
        owner.set("prices/tick", "1")
        return floor_and_revision(cp)[0] >= removed_at

    eventually(tombstones_are_gone, "the floor to rise")
    web.start()
    reader = web.redis()
    assert reader.get("prices/99") == "old"  # the old copy serves while the new one loads
    eventually(lambda: reader.get("prices/1") is None and reader.get("prices/99") == "old")
    assert reader.dbsize() == 51


def test_control_plane_restarts_under_agents(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    for n in range(5):
        eventually(lambda: owner.set("prices/n", str(n)))
        eventually(lambda: web.get("prices/n") == str(n))
        (shop.cp.kill, shop.cp.stop)[n % 2]()
        assert web.get("prices/n") == str(n)
        shop.cp.start()
    metrics = shop.web.metrics()
    assert sum(v for k, v in metrics.items() if "reconnects_total" in k) >= 5


def test_connections_end_with_age_and_nobody_notices(world):
    cp = world.control_plane(max_connection_age="1s").start()
    cp.declare(dataset("prices", "shop"), subscription("web", "web", "prices"))
    owner, web = world.agent("shop", cp).start().redis(), world.agent("web", cp).start()
    web.wait_synced("prices")
    reader = web.redis()
    owner.mset({f"prices/{n}": "0" for n in range(1000)})
    eventually(lambda: reader.dbsize() == 1000)
    loaded = web.bytes_in()

    def reconnects():
        return sum(v for k, v in web.metrics().items() if "reconnects_total" in k)

    for n in range(1, 10_000):
        # A write whose stream ends under it says that it may have been applied.
        eventually(lambda: owner.set("prices/n", str(n)))
        eventually(lambda: reader.get("prices/n") == str(n))
        assert reader.dbsize() == 1001
        if reconnects() >= 1 and n > 100:
            break
    assert web.bytes_in() < 2 * loaded + 600 * n, "it resumes, and loads nothing again"


def test_second_address_takes_over(world):
    """Two control planes over the same data, one at a time: the agent finds the living one."""
    data = world.dir / "shared.data"
    first = world.control_plane(name="first", data_dir=data)
    second = world.control_plane(name="second", data_dir=data)
    both = f"{first.address},{second.address}"
    for cp in (first, second):
        cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    first.start()
    owner = world.agent("shop", both).start().redis()
    web = world.agent("web", both).start().wait_synced("prices")
    owner.set("prices/a", "1")
    eventually(lambda: web.redis().get("prices/a") == "1")
    before = web.bytes_in()
    first.stop()
    second.start()
    eventually(lambda: owner.set("prices/a", "2"))
    eventually(lambda: web.redis().get("prices/a") == "2")
    assert web.bytes_in() - before < 50_000


def test_another_stores_history_is_loaded_anew(shop):
    """The same address, an empty data directory: revisions mean nothing, the epoch says so."""
    owner, web = shop.owner.redis(), shop.web.redis()
    owner.mset({"prices/a": "1", "prices/b": "1"})
    eventually(lambda: web.dbsize() == 2)
    shop.cp.kill()
    shop.cp.options["data_dir"] = shop.cp.world.dir / "other.data"
    shop.cp.start()
    eventually(lambda: owner.set("prices/c", "1"))
    eventually(lambda: web.get("prices/c") == "1" and web.dbsize() == 1)
    assert web.get("prices/a") is None


def test_owners_agent_restart_keeps_publishing(shop):
    web = shop.web.redis()
    for n in range(3):
        shop.owner.redis().set("prices/n", str(n))
        eventually(lambda: web.get("prices/n") == str(n))
        shop.owner.restart()
