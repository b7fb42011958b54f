"""Delta server, scenarios 29–37: ACK, NACK and nonces, faulty requests, globs."""
import grpc

import xds
from delta import Delta


def subscribed(world, *names):
    client = world.client(Delta)
    client.send(sub=names)
    return client


def test_s29_a_rejected_version_is_not_sent_again(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    world.put(A="v2")
    client.nack(client.one({"A": "v2"}, ack=False))
    client.quiet()
    world.put(B="v2")  # a commit that does not concern it changes nothing
    client.quiet()
    world.put(A="v3")
    client.one({"A": "v3"})


def test_s30_a_nack_may_subscribe(world):
    client = subscribed(world, "A")
    client.nack(client.one({"A": "v1"}, ack=False), sub=["B"])
    client.one({"B": "v1"})
    client.quiet()


def test_s31_an_ack_of_an_older_response_may_subscribe(world):
    client = subscribed(world, "A")
    first = client.one({"A": "v1"}, ack=False)
    world.put(A="v2")
    second = client.one({"A": "v2"}, ack=False)
    client.ack(first, sub=["C"])
    client.one({"C": "v1"})
    client.ack(second)
    client.ack(first, sub=["B"])  # a nonce that is stale by now
    client.one({"B": "v1"})
    client.quiet()


def test_s32_a_bogus_nonce_says_nothing(world):
    client = subscribed(world, "A")
    client.one({"A": "v1"}, ack=False)
    for nonce in ("bogus", "0", "-1", "999999", "18446744073709551616", "1 "):
        client.send(nonce=nonce)
        client.quiet()
    world.put(A="v2")
    client.one({"A": "v2"})


def test_s33_the_innocent_of_a_rejected_response_are_not_lost(empty):
    """The client takes a response whole or not at all, and cannot bear one value."""
    keys = [f"k{i:03}" for i in range(100)]
    empty.put({key: "bad" if key == "k042" else "fine" for key in keys})
    client = subscribed(empty, empty.glob)
    responses = 0
    while len(client.held) < 99:
        response = client.receive()
        responses += 1
        bad = "bad" in response.values.values()
        client.nack(response) if bad else client.ack(response)
    assert responses <= 1 + 2 * 7  # log2(100) halvings, two halves each
    last = client.receive() if responses < 1 + 2 * 7 else None
    if last:
        assert last.values == {empty.name("k042"): "bad"}
        client.nack(last)
    client.quiet()
    empty.put(k042="fine")
    client.one({"k042": "fine"})
    assert {value for _, value in client.held.values()} == {"fine"} and len(client.held) == 100


def test_s33_a_client_that_rejects_everything_is_not_flooded(empty):
    empty.put({f"k{i:03}": "v1" for i in range(100)})
    client = subscribed(empty, empty.glob)
    for _ in range(2 * 100 - 1):  # the whole, and every half of a half
        client.nack(client.receive())
    client.quiet()


def test_s34_a_first_request_without_node_id(world):
    client = world.client(Delta)
    client.node = {}
    client.send(sub=["A"])
    assert client.refused() == grpc.StatusCode.INVALID_ARGUMENT


def test_s34_an_empty_type(world):
    client = world.client(Delta)
    client.send(sub=["A"], type_url="")
    assert client.refused() == grpc.StatusCode.INVALID_ARGUMENT


def test_s34_an_unknown_type_has_no_resources(world):
    unknown = xds.PREFIX + "envoy.config.cluster.v3.Cluster"
    client = subscribed(world, "A")
    client.one({"A": "v1"})
    client.send(sub=["one", "two"], type_url=unknown)
    answer = client.receive()
    assert answer.type == unknown
    assert set(answer.removed) == {client.name("one"), client.name("two")}
    client.ack(answer)
    world.put(A="v2")
    client.one({"A": "v2"})
    wild = world.client(Delta)
    wild.send(type_url=unknown)
    answer = wild.receive()
    assert (answer.type, answer.resources, answer.removed) == (unknown, [], [])


def test_s35_a_glob_covers_one_segment(empty):
    empty.put({"1": "v1", "2": "v1"})
    client = subscribed(empty, empty.glob)
    client.expect({"1": "v1", "2": "v1"})
    empty.put({"3": "v1"})
    client.one({"3": "v1"})
    deeper = empty.dataset + ".x"  # another dataset, not a part of this one
    empty.server.declare(deeper, [empty.service])
    empty.server.publish(deeper, {"4": "v1"})
    client.quiet()
    empty.put({"x/4": "v1"})  # percent-encoded, so one segment and a member
    client.one({"x/4": "v1"})


def test_s36_an_empty_glob_is_removed_its_members_are_not(empty):
    client = subscribed(empty, empty.glob)
    client.one(rem=[empty.glob])
    empty.put({"1": "v1"})
    client.one({"1": "v1"})
    empty.delete("1")
    client.one(rem=["1"])
    empty.put({"2": "v1"})
    client.one({"2": "v1"})


def test_s37_a_glob_and_a_name_together(empty):
    empty.put({"1": "v1", "2": "v1"})
    client = subscribed(empty, empty.glob, "1")
    client.expect({"1": "v1", "2": "v1"})  # once a response: the client checks each
    client.quiet()
    empty.put({"1": "v2"})
    client.one({"1": "v2"})
    client.send(unsub=[empty.glob])
    client.quiet()
    empty.put({"2": "v2"})
    client.quiet()
    empty.put({"1": "v3"})
    client.one({"1": "v3"})
