"""Delta server, scenarios 38 and 39: big loads and clients that do not read."""
import threading

from delta import Delta

ENTRIES = 100_000
CHANGES = 10_000
PAUSED_GROWTH_MAX = 50 * 1024 * 1024


def test_s38_a_big_wildcard_is_cut_and_never_goes_back(empty):
    keys = [f"k{i:06}" for i in range(ENTRIES)]
    for start in range(0, ENTRIES, 25_000):
        empty.put(dict.fromkeys(keys[start:start + 25_000], "v1"))
    client = empty.client(Delta)
    client.send(sub=["*"])
    first = client.receive()
    empty.put({keys[0]: "v2", keys[-1]: "v2"})  # one sent already, one still to come
    client.ack(first)
    responses, seen = 1, {keys[0]: [], keys[-1]: []}
    response = first
    done = {empty.name(key): ["v2"] for key in seen}
    while len(client.held) < ENTRIES or any(client.held[name][1] != "v2" for name in done):
        response = client.receive()
        responses += 1
        for key, values in seen.items():
            values += filter(None, [response.values.get(empty.name(key))])
        client.ack(response)
    client.quiet()
    assert responses >= 3  # each below the limit, with a nonce of its own: the client checks each
    assert set(client.held) == set(map(empty.name, keys))
    assert seen[keys[0]] == ["v2"] and seen[keys[-1]] in (["v2"], ["v1", "v2"], ["v2", "v2"])


def test_s39_a_client_that_does_not_read_gets_the_latest_and_holds_up_nobody(world):
    slow = world.client(Delta, options=[("grpc.http2.bdp_probe", 0)])
    slow.send(sub=["A"])
    slow.one({"A": "v1"})
    slow.reading.clear()
    quick = world.client(Delta)
    quick.send(sub=["B"])
    quick.one({"B": "v1"})
    before = world.server.anonymous_memory()
    padding = "." * 4096
    feeder = threading.Thread(target=change, args=(world, padding))
    feeder.start()
    while quick.held[world.name("B")][1] != "last":
        quick.ack(quick.receive())
    feeder.join()
    assert world.server.anonymous_memory() - before < PAUSED_GROWTH_MAX
    slow.reading.set()
    versions = 0
    while slow.held[world.name("A")][1] != f"{CHANGES - 1}{padding}":
        slow.ack(slow.receive())
        versions += 1
    assert versions < CHANGES / 10
    slow.quiet()


def change(world, padding):
    for i in range(CHANGES):
        world.server.send_batch(world.dataset, {"A": f"{i}{padding}"})
    world.put(B="last")
