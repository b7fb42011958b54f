"""From an owner's SET to a consumer's GET, with stock Redis clients."""
import subprocess
import threading

import pytest
import redis

from harness import dataset, eventually, subscription


def test_set_arrives_and_del_goes(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    assert owner.set("prices/apple", "1") is True
    eventually(lambda: web.get("prices/apple") == "1")
    owner.set("prices/apple", "2")
    eventually(lambda: web.get("prices/apple") == "2")
    assert owner.delete("prices/apple", "prices/never-was") == 1
    eventually(lambda: web.get("prices/apple") is None)
    assert web.exists("prices/apple") == 0


def test_read_commands(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    owner.mset({f"prices/k{i:03}": f"value {i}" for i in range(200)})
    eventually(lambda: web.dbsize() == 200)
    assert web.mget("prices/k001", "prices/none", "prices/k199") == ["value 1", None, "value 199"]
    assert web.exists("prices/k001", "prices/none", "prices/k002") == 2
    assert web.strlen("prices/k010") == len("value 10")
    assert web.getrange("prices/k010", 0, 4) == "value"
    assert web.type("prices/k010") == "string" and web.type("prices/none") == "none"
    assert web.ttl("prices/k010") == -1 and web.ttl("prices/none") == -2
    assert sorted(web.scan_iter(match="prices/k00*")) == [f"prices/k00{i}" for i in range(10)]
    assert sorted(web.keys("prices/k19*")) == [f"prices/k19{i}" for i in range(10)]
    assert web.randomkey().startswith("prices/k")


def test_any_bytes_in_key_and_value(shop, rng):
    owner = shop.owner.redis(decode_responses=False)
    web = shop.web.redis(decode_responses=False)
    pairs = {b"prices/" + rng.randbytes(rng.randint(1, 400)): rng.randbytes(rng.choice([0, 1, 999]))
             for _ in range(300)}
    pairs |= {b"prices//": b"slash", b"prices/%2F": b"percent", b"prices/*": b"star",
              "prices/Käse/🧀".encode(): b"\0\r\n"}
    owner.mset(pairs)
    eventually(lambda: web.dbsize() == len(pairs))
    assert dict(zip(pairs, web.mget(list(pairs)))) == pairs
    assert set(web.scan_iter(match=b"prices/*", count=50)) == set(pairs)


def test_prefix_consumer_holds_only_its_part(world, shop):
    shop.cp.declare(dataset("prices", "shop", ["web", "eu"]),
                    subscription("web-prices", "web", "prices"),
                    subscription("eu-prices", "eu", "prices", prefix="eu-"))
    eu = world.agent("eu", shop.cp).start().wait_synced("prices")
    owner, reader = shop.owner.redis(), eu.redis()
    owner.mset({"prices/eu-a": "1", "prices/us-a": "1", "prices/eu": "1"})
    eventually(lambda: reader.get("prices/eu-a") == "1")
    with pytest.raises(redis.ResponseError, match="^NOTSUBSCRIBED"):
        reader.get("prices/us-a")
    assert reader.dbsize() == 1
    owner.delete("prices/us-a", "prices/eu-a")
    eventually(lambda: reader.get("prices/eu-a") is None)
    assert b"us-a" not in b"".join(f.read_bytes() for f in (world.dir / "eu.data").iterdir())


def test_multi_is_one_batch_and_discard_none(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    with owner.pipeline(transaction=True) as batch:
        batch.set("prices/a", "1").set("prices/b", "1").delete("prices/c")
        assert batch.execute() == [True, True, 0]
    eventually(lambda: web.mget("prices/a", "prices/b") == ["1", "1"])
    single = owner.connection_pool.get_connection("x")
    for command in (["MULTI"], ["SET", "prices/a", "lost"], ["DISCARD"]):
        single.send_command(*command)
        single.read_response()
    owner.set("prices/b", "2")
    eventually(lambda: web.get("prices/b") == "2")
    assert web.get("prices/a") == "1"


def test_a_reader_never_sees_half_a_batch(shop):
    keys = [f"prices/k{i}" for i in range(50)]
    owner, web = shop.owner.redis(), shop.web.redis()
    owner.mset({key: "0" for key in keys})
    eventually(lambda: web.dbsize() == 50)
    done, mixes, reads = threading.Event(), [], 0

    def write():
        for n in range(1, 1001):
            with owner.pipeline(transaction=True) as batch:
                for key in keys:
                    batch.set(key, str(n))
                batch.execute()
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        values = web.mget(keys)
        reads += 1
        mixes += [values] if len(set(values)) != 1 else []
    writer.join()
    assert not mixes, f"{len(mixes)} of {reads} reads, first {mixes[0]}"
    assert reads > 100
    eventually(lambda: set(web.mget(keys)) == {"1000"})


def test_several_owners_and_subscribe_flag(world):
    cp = world.control_plane()
    cp.declare(dataset("orders.shop", "checkout.shop", ["*.shop"]), dataset("stock", "depot"))
    cp.start()
    checkout = world.agent("checkout.shop", cp).start().redis()
    depot = world.agent("depot", cp).start().redis()
    reader = world.agent("report.shop", cp, subscribe=["orders.shop", "stock/bolt*"]).start()
    reader.wait_synced("orders.shop", "stock")
    checkout.set("orders.shop/1", "one")
    depot.mset({"stock/bolt-8": "7", "stock/nut-8": "9"})
    client = reader.redis()
    eventually(lambda: client.mget("orders.shop/1", "stock/bolt-8") == ["one", "7"])
    with pytest.raises(redis.exceptions.ReadOnlyError, match="does not own"):
        depot.set("orders.shop/1", "stolen")
    assert client.get("orders.shop/1") == "one"


def test_large_load_equals_its_source(world, shop, rng):
    entries = {f"item-{i}": rng.randbytes(rng.randint(0, 60)).hex() for i in range(30_000)}
    owner = shop.owner.redis()
    keys = list(entries)
    for i in range(0, len(keys), 5000):
        owner.mset({f"prices/{key}": entries[key] for key in keys[i:i + 5000]})
    owner.set("prices/big", "x" * 2**20)
    entries["big"] = "x" * 2**20
    late = world.agent("web", shop.cp, name="late").start().wait_synced("prices")
    eventually(lambda: late.redis().dbsize() == len(entries))
    assert late.read_all("prices") == entries
    eventually(lambda: shop.web.redis().dbsize() == len(entries))
    assert shop.web.read_all("prices") == entries
    # The same bytes whether loaded at once or change by change: the digests say so, too.
    eventually(lambda: late.copies()["prices"]["digest"] == shop.web.copies()["prices"]["digest"])


def redis_cli(agent, *args):
    return subprocess.run(["redis-cli", "-s", str(agent.socket), *args], capture_output=True,
                          text=True, timeout=30, check=True).stdout.strip()


def test_stock_redis_cli_and_benchmark(shop):
    assert redis_cli(shop.owner, "SET", "prices/pear", "3") == "OK"
    eventually(lambda: redis_cli(shop.web, "GET", "prices/pear") == "3")
    assert redis_cli(shop.web, "-3", "GET", "prices/pear") == "3"
    assert redis_cli(shop.web, "PING") == "PONG"
    assert "tributary" in redis_cli(shop.web, "INFO").lower()
    assert redis_cli(shop.web, "--scan", "--pattern", "prices/*") == "prices/pear"
    done = subprocess.run(["redis-benchmark", "-s", str(shop.web.socket), "-q", "-n", "2000", "-P",
                           "16", "GET", "prices/pear"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "requests per second" in done.stdout, done
    assert "error" not in (done.stdout + done.stderr).lower()


def test_change_notices(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    owner.set("prices/seen", "0")
    eventually(lambda: web.get("prices/seen") == "0")
    listener = web.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("__keyspace@0__:prices/seen")
    listener.psubscribe("__keyevent@0__:*")
    listener.get_message(timeout=5), listener.get_message(timeout=5)

    def hear_two():
        heard = []
        while len(heard) < 2:
            message = listener.get_message(timeout=20)
            assert message, f"only {heard}"
            heard.append((message["channel"], message["data"]))
        return heard

    owner.set("prices/seen", "1")
    assert hear_two() == [("__keyspace@0__:prices/seen", "set"),
                          ("__keyevent@0__:set", "prices/seen")]
    owner.delete("prices/seen")  # only now: a copy that lags behind gets the last change alone
    assert hear_two() == [("__keyspace@0__:prices/seen", "del"),
                          ("__keyevent@0__:del", "prices/seen")]


def test_random_writes_end_equal(shop, rng):
    """A model of the dataset against the copy, with every write command mixed."""
    model, owner = {}, shop.owner.redis()
    for _ in range(1500):
        key = f"prices/k{rng.randrange(100)}"
        kind = rng.choice(["set", "set", "del", "mset", "multi"])
        some = {f"prices/k{rng.randrange(100)}": str(rng.random()) for _ in range(5)}
        if kind == "set":
            model[key] = str(rng.random())
            owner.set(key, model[key])
        elif kind == "del":
            assert owner.delete(key) == (1 if model.pop(key, None) else 0)
        elif kind == "mset":
            model.update(some)
            owner.mset(some)
        else:
            with owner.pipeline(transaction=True) as batch:
                batch.delete(key)
                batch.mset(some)
                batch.execute()
            model.pop(key, None)
            model.update(some)
    want = {key[len("prices/"):]: value for key, value in model.items()}
    eventually(lambda: shop.web.read_all("prices") == want)
