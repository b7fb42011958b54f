"""A flipped byte in a value on the agent's disk is found before the value is served: the reader
gets an error, the copy is quarantined and loaded again, and the agent says so."""
import mmap

import redis

from harness import eventually

COUNT = 200


def value(n):
    return f"VALUE-{n:06}-" + "x" * (40 if n % 5 else 6000)


def flip(agent, needles, rng):
    """Changes one byte within each occurrence of each needle in the data file."""
    flipped = 0
    with open(agent.options["data_dir"] / "data.mdb", "r+b") as file:
        with mmap.mmap(file.fileno(), 0) as data:
            for needle in needles:
                at = data.find(needle)
                while at >= 0:
                    data[at + rng.randrange(len(needle))] ^= 1 << rng.randrange(8)
                    flipped += 1
                    at = data.find(needle, at + len(needle))
    return flipped


def read(client, n):
    try:
        return client.get(f"prices/k{n}")
    except redis.RedisError as error:
        return error


def check(agent):
    """Nothing false is ever read; all is right in the end; and the agent tells of it."""
    client = agent.redis()
    errors = 0
    for n in range(COUNT):
        got = read(client, n)
        if isinstance(got, redis.RedisError):
            errors += 1
        else:
            assert got == value(n), n
    assert errors, "a flipped value was not found"
    eventually(lambda: all(read(client, n) == value(n) for n in range(COUNT)))
    assert "a checksum failed" in agent.log.read_text()
    agent.wait_synced("prices")
    eventually(lambda: agent.metrics()["tributary_agent_checksum_faults_total"] >= 1)
    assert agent.copies()["prices"]["entries"] == COUNT


def filled(shop):
    shop.owner.redis().mset({f"prices/k{n}": value(n) for n in range(COUNT)})
    eventually(lambda: shop.web.copies()["prices"]["entries"] == COUNT)


def needles(rng):
    return [value(n).encode()[:40] for n in rng.sample(range(COUNT), 20)]


def test_in_a_stopped_agent(shop, rng):
    filled(shop)
    assert shop.web.stop() == 0
    assert flip(shop.web, needles(rng), rng) >= 20
    shop.web.start()
    check(shop.web)


def test_in_a_running_agent(shop, rng):
    filled(shop)
    assert all(shop.web.redis().get(f"prices/k{n}") == value(n) for n in range(COUNT))
    assert flip(shop.web, needles(rng), rng) >= 20
    check(shop.web)


def test_while_there_is_no_control_plane(shop, rng):
    """There is nothing to load from: the broken copy stays in quarantine, reads get the error."""
    filled(shop)
    shop.cp.kill()
    assert flip(shop.web, [value(7).encode()[:40]], rng)
    client = shop.web.redis()
    assert isinstance(read(client, 7), redis.RedisError)
    eventually(lambda: shop.web.copies()["prices"]["state"] == "FAULTED")
    for n in range(COUNT):
        got = read(client, n)
        assert isinstance(got, redis.RedisError) or got == value(n)
    shop.cp.start()
    eventually(lambda: all(read(client, n) == value(n) for n in range(COUNT)), seconds=60)
