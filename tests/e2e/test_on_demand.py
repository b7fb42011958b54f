"""On-demand copies of the real agent: what is read is held and kept fresh, and nothing else."""
import pathlib
import random
import socket
import threading

import pytest
import redis

from fake_ads import PRICES, FakeAds, entry, resource
from harness import dataset, eventually, refused, subscription


def many_readers(agent, key, count):
    """The replies to GETs of so many connections, all sent before any is read."""
    request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode())
    readers = []
    for _ in range(count):
        reader = socket.socket(socket.AF_UNIX)
        reader.settimeout(30)
        reader.connect(str(agent.socket))
        readers.append(reader)
    for reader in readers:
        reader.sendall(request)
    return readers


def replies(readers):
    out = []
    for reader in readers:
        got = b""
        while not got.endswith(b"\r\n") or (got.startswith(b"$") and got.count(b"\r\n") < 2
                                            and not got.startswith(b"$-1")):
            got += reader.recv(4096)
        out.append(got)
        reader.close()
    return out


def test_a_thousand_readers_of_one_missing_key_are_one_subscription(world):
    ads = FakeAds()
    agent = world.agent("web", ads, subscribe="prices:onDemand").spawn()
    stream = ads.accept()
    stream.take()  # the sentinel
    eventually(lambda: agent.copies()["prices"]["state"] == "SYNCED")
    readers = many_readers(agent, "prices/k", 1000)
    request = stream.take()
    assert request.subscribe == [PRICES + "k"]
    stream.send(nonce="n", removed=[PRICES + "k"])
    assert stream.answer("n")
    assert set(replies(readers)) <= {b"$-1\r\n", b"_\r\n"}
    later = replies(many_readers(agent, "prices/k", 10))  # absence is held, too
    assert set(later) <= {b"$-1\r\n", b"_\r\n"}
    names = [name for r in stream.stash for name in r.subscribe]
    while not stream.requests.empty():
        names += stream.requests.get().subscribe
    assert PRICES + "k" not in names
    stream.send(resource(PRICES + "k", "v1", entry("now")), nonce="m")  # it appears
    assert stream.answer("m")
    eventually(lambda: agent.redis().get("prices/k") == "now")
    ads.stop()


@pytest.fixture
def market(world):
    """`prices` with 20,000 entries of 1,000 bytes; `web` reads on demand, `all` has all."""
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop"), subscription("web", "web", "prices", mode="onDemand"),
               subscription("all", "all", "prices"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    for i in range(0, 20_000, 1000):
        owner.mset({f"prices/k{n}": f"{n}-".ljust(1000, "x") for n in range(i, i + 1000)})
    web, everything = world.agent("web", cp), world.agent("all", cp)
    web.start(), everything.start().wait_synced("prices")
    eventually(lambda: web.copies()["prices"]["state"] == "SYNCED")
    eventually(lambda: everything.copies()["prices"]["entries"] == 20_000)
    return cp, owner, web, everything


def disk(agent):
    data = pathlib.Path(agent.options["data_dir"]) / "data.mdb"
    return data.stat().st_blocks * 512


def test_what_is_read_is_held_and_kept_fresh(market):
    cp, owner, web, everything = market
    client = web.redis()
    touched = [f"prices/k{n}" for n in range(0, 20_000, 100)]
    for key in touched:
        assert client.get(key).startswith(key[8:] + "-")
    assert client.mget(touched[:50] + ["prices/none"])[-1] is None
    eventually(lambda: web.copies()["prices"]["entries"] == len(touched) + 1)
    assert disk(web) <= disk(everything) * 0.02, (disk(web), disk(everything))
    owner.set(touched[3], "changed")
    owner.set("prices/none", "appeared")
    owner.delete(touched[4])
    eventually(lambda: client.mget(touched[3], "prices/none", touched[4])
               == ["changed", "appeared", None])
    eventually(lambda: 0 <= web.copies()["prices"]["age_ms"] < 5000)
    before = web.bytes_in()
    for key in touched:
        client.get(key)
    assert web.bytes_in() - before < 20_000  # probes, not values
    with pytest.raises(redis.RedisError):
        list(client.scan_iter(match="prices/*"))


def test_it_survives_restarts_and_absences_of_the_control_plane(market):
    cp, owner, web, _ = market
    client = web.redis()
    assert client.get("prices/k7").startswith("7-")
    cp.kill()
    assert client.get("prices/k7").startswith("7-")
    refused("UNAVAILABLE", client.get, "prices/k8")
    web.restart()
    assert web.redis().get("prices/k7").startswith("7-")
    cp.start()
    eventually(lambda: owner.set("prices/k7", "new"))
    eventually(lambda: web.redis().get("prices/k7") == "new")
    eventually(lambda: web.redis().get("prices/k8").startswith("8-"))


def test_a_write_is_seen_by_whoever_reads_here_afterwards(world):
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop"), subscription("shop", "shop", "prices", mode="onDemand"))
    cp.start()
    shop = world.agent("shop", cp).start()
    eventually(lambda: shop.copies()["prices"]["state"] == "SYNCED")
    wrong, ended = [], threading.Event()

    def write(name):
        writer, reader, rng = shop.redis(), shop.redis(), random.Random(name)
        for i in range(150):
            key = f"prices/{name}-{rng.randrange(40)}"  # new ones, held ones, ones being asked for
            writer.set(key, i)
            if (got := reader.get(key)) != str(i):
                wrong.append((key, i, got))

    def disturb():
        client, rng = shop.redis(), random.Random(0)
        while not ended.is_set():
            client.get(f"prices/{rng.randrange(3)}-{rng.randrange(40)}")

    others = [threading.Thread(target=disturb) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    for thread in others + writers:
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in others:
        thread.join()
    assert not wrong, wrong[:5]


def test_a_delete_of_a_held_key_waits_for_no_proof(world):
    """The next one comes in ten minutes; a write that is not seen here within 3 s is an error."""
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop"), subscription("shop", "shop", "prices", mode="onDemand"))
    cp.start()
    shop = world.agent("shop", cp, freshness_interval="10m").start()
    eventually(lambda: shop.copies()["prices"]["state"] == "SYNCED")
    writer, reader = shop.redis(), shop.redis()
    for i in range(30):
        writer.set("prices/k", i)
        assert reader.get("prices/k") == str(i)
        assert writer.delete("prices/k") == 1
        assert reader.get("prices/k") is None


def test_absence_has_a_bound(world):
    ads = FakeAds()
    agent = world.agent("web", ads, subscribe="prices:onDemand", on_demand_absence="1s").spawn()
    stream = ads.accept()
    eventually(lambda: agent.copies()["prices"]["state"] == "SYNCED")
    for n in range(2):
        readers = many_readers(agent, "prices/k", 3)
        while PRICES + "k" not in (request := stream.take()).subscribe:
            assert not request.subscribe or request.subscribe[0].endswith("%00")
        stream.send(nonce=f"n{n}", removed=[PRICES + "k"])
        replies(readers)
        while PRICES + "k" not in stream.take().unsubscribe:
            pass
    ads.stop()
