"""State of the world: the whole of what is subscribed in every response."""
import grpc

import xds
from sotw import WRAPPED, Sotw
from world import World

NOT_FOUND, PERMISSION_DENIED = 5, 7
ALL = {"A": "v1", "B": "v1", "C": "v1"}


def subscribed(world, *names, **options):
    client = world.client(Sotw, **options)
    client.send(names)
    return client


def test_a_name_is_answered_and_an_ack_is_not(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.quiet()


def test_an_empty_list_is_the_wildcard_until_something_was_named(world):
    client = subscribed(world)
    client.one(ALL)
    client.quiet()
    client.send(["A"])  # unlike delta this drops the wildcard
    client.one({"A": "v1"})
    world.put(B="v2")
    client.quiet()
    client.send([])
    client.quiet()
    world.put(A="v2")
    client.quiet()
    client.send(["*"])
    client.one({"A": "v2", "B": "v2", "C": "v1"})


def test_each_change_sends_all_and_absence_is_deletion(world):
    client = subscribed(world, world.glob)
    client.one(ALL)
    world.put(A="v2")
    client.one({**ALL, "A": "v2"})
    world.delete("A", "B", "C")
    client.one({})
    world.put(D="v1")
    client.one({"D": "v1"})


def test_quick_changes_are_gathered(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    for i in range(500):
        world.server.send_batch(world.dataset, {"A": str(i)})
    world.server.await_batches()
    responses = 1
    while client.receive().entries() != {client.name("A"): "499"}:
        responses += 1
    assert responses < 100


def test_missing_and_refused_names_are_resource_errors(world):
    hidden = World(world.server, keys=["X"])
    x = hidden.name("X")
    client = subscribed(world, "A", "Z", x)
    client.one({"A": "v1"}, err={"Z": NOT_FOUND, x: PERMISSION_DENIED})
    world.put(Z="v1")
    client.one({"A": "v1", "Z": "v1"}, err={x: PERMISSION_DENIED})
    world.delete("A")
    client.one({"Z": "v1"}, err={"A": NOT_FOUND, x: PERMISSION_DENIED})


def test_a_rejected_version_is_not_sent_again(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    world.put(A="v2")
    client.nack(client.one({"A": "v2"}, ack=False))
    client.quiet()
    world.put(B="v2")
    client.quiet()
    world.put(A="v3")
    client.one({"A": "v3"})


def test_names_count_whatever_the_nonce(world):
    client = subscribed(world, "A")
    first = client.one({"A": "v1"}, ack=False)
    world.put(A="v2")
    client.one({"A": "v2"}, ack=False)
    client.send(["A", "B"], nonce=first.nonce)  # stale
    client.one({"A": "v2", "B": "v1"}, ack=False)
    client.send(["A", "B", "C"], nonce="bogus")
    client.one({"A": "v2", "B": "v1", "C": "v1"})
    client.quiet()


def test_version_is_stable_across_streams_and_spares_the_first_response(world):
    client = subscribed(world, world.glob)
    version = client.one(ALL).version
    client.close()
    other = subscribed(world, world.glob)
    assert other.one(ALL).version == version
    again = world.client(Sotw)
    again.send([world.glob], version=version)
    again.quiet()
    world.put(A="v2")
    again.one({**ALL, "A": "v2"})
    late = world.client(Sotw)
    late.send([world.glob], version=version)
    late.one({**ALL, "A": "v2"})


def test_version_is_stable_across_restarts(server, world):
    client = subscribed(world, world.glob)
    version = client.one(ALL).version
    client.close()
    server.program.restart()
    server.connect()
    assert subscribed(world, world.glob).one(ALL).version == version


def test_wrapped_for_those_who_can_unwrap(world):
    client = subscribed(world, "A", features=[WRAPPED])
    client.one({"A": "v1"})


def test_an_unknown_type_is_empty(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    unknown = xds.PREFIX + "envoy.config.cluster.v3.Cluster"
    client.names = []
    client.send(type_url=unknown, version="")
    answer = client.receive()
    assert (answer.type, answer.resources, answer.errors) == (unknown, [], {})


def test_too_much_is_refused_by_name_of_the_limit(empty):
    keys = [f"k{i:05}" for i in range(50_001)]
    for start in range(0, len(keys), 25_001):
        empty.put(dict.fromkeys(keys[start:start + 25_001], "v1"))
    code, details = subscribed(empty, empty.glob).ended()
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "50000" in details and "DeltaAggregatedResources" in details
    part = f"{empty.glob}?prefix=k0000"
    assert len(subscribed(empty, part).receive().entries()) == 10


def test_faulty_first_requests(world):
    for first in (dict(node={}), dict(type_url="")):
        client = world.client(Sotw)
        client.node = first.get("node", client.node)
        client.send(["A"], type_url=first.get("type_url", xds.ENTRY_TYPE))
        code, details = client.ended()
        assert code == grpc.StatusCode.INVALID_ARGUMENT and details
