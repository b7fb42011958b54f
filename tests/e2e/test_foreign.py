"""Strangers on the gRPC port: a plain delta-xDS client, a publisher, faulty messages."""
import queue
import uuid

import grpc
import pytest

from harness import dataset, eventually
from wire import DeltaClient, Stream, message, parse

ENTRY = "type.googleapis.com/tributary.v1.Entry"
STATE = "type.googleapis.com/tributary.v1.DatasetState"
NAME = "xdstp:///tributary.v1.Entry/prices/"
NOT_FOUND, PERMISSION_DENIED = 5, 7


def value(resource):
    return parse(resource[1]).get(2, [b""])[0].decode()


def collect(client, until):
    """Applies responses until the picture satisfies `until`."""
    picture = {}
    while not until(picture):
        _, resources, removed, errors = client.next()
        assert not errors
        picture.update({name: value(resource) for name, resource in resources.items()})
        for name in removed:
            picture.pop(name, None)
    return picture


def test_collection_by_a_plain_client(shop):
    owner = shop.owner.redis()
    owner.mset({f"prices/k{i}": str(i) for i in range(500)})
    client = DeltaClient(shop.cp.address, "web")
    client.request(ENTRY, [NAME + "*"])
    picture = collect(client, lambda p: len(p) == 500)
    assert picture == {f"{NAME}k{i}": str(i) for i in range(500)}  # no markers for strangers
    owner.mset({"prices/k0": "new", "prices/a b/ä": "escaped"})
    owner.delete("prices/k1")
    client_sees = {**picture, NAME + "k0": "new", NAME + "a%20b%2F%C3%A4": "escaped"}
    del client_sees[NAME + "k1"]
    while picture != client_sees:
        _, resources, removed, _ = client.next()
        picture.update({name: value(resource) for name, resource in resources.items()})
        for name in removed:
            del picture[name]
    client.close()


def test_known_versions_are_honoured(shop):
    owner = shop.owner.redis()
    owner.mset({"prices/a": "1", "prices/b": "1", "prices/gone": "1"})
    client = DeltaClient(shop.cp.address, "web")
    client.request(ENTRY, [NAME + "*"])
    known = {}
    while len(known) < 3:
        known.update({name: version for name, (version, _) in client.next()[1].items()})
    client.close()
    owner.set("prices/b", "2")
    owner.delete("prices/gone")
    client = DeltaClient(shop.cp.address, "web")
    client.request(ENTRY, [NAME + "*"], known=known)
    sent, removed = {}, []
    while NAME + "b" not in sent or not removed:
        _, resources, gone, _ = client.next()
        sent.update(resources)
        removed += gone
    assert set(sent) == {NAME + "b"} and removed == [NAME + "gone"]
    client.close()


def test_names_and_errors(shop):
    shop.cp.declare(dataset("prices", "shop", ["web"]), dataset("secret", "shop", []))
    shop.owner.redis().set("prices/a", "1")
    client = DeltaClient(shop.cp.address, "web")
    client.request(ENTRY, [NAME + "a", NAME + "nothing"])
    seen, gone = {}, []
    while not (seen and gone):
        _, resources, removed, errors = client.next()
        seen.update(resources)
        gone += removed + list(errors)
    assert set(seen) == {NAME + "a"} and NAME + "nothing" in gone
    shop.owner.redis().set("prices/nothing", "now something")
    while NAME + "nothing" not in seen:
        seen.update(client.next()[1])
    for name, code in (("ghost", NOT_FOUND), ("secret", PERMISSION_DENIED)):
        collection = f"xdstp:///tributary.v1.Entry/{name}/*"
        client.request(ENTRY, [collection])
        errors = {}
        while errors.get(collection) != code:  # the declaration may arrive meanwhile
            errors.update(client.next()[3])
        assert errors[collection] == code
    client.close()


def test_resubscribing_a_dataset_state_is_answered(shop):
    client = DeltaClient(shop.cp.address, "web")
    name = "xdstp:///tributary.v1.DatasetState/prices"
    revisions = []
    for n in range(5):
        shop.owner.redis().set("prices/n", str(n))
        client.request(STATE, [name])
        state, fields = {}, {3: [-1]}
        while not revisions or fields[3][0] < revisions[0] + n:  # pushes may come first
            state.update(client.next()[1])
            if name in state:
                fields = parse(state[name][1])
                if not revisions:
                    break
        revisions.append(fields[3][0])
        assert fields[4][0] == 1 and len(fields[6][0]) == 16
    assert revisions == sorted(revisions) and revisions[-1] >= revisions[0] + 4
    client.close()


def test_a_nack_is_not_answered_with_a_flood(shop):
    shop.owner.redis().set("prices/a", "1")
    client = DeltaClient(shop.cp.address, "web")
    client.request(ENTRY, [NAME + "*"])
    fields = client.receive()
    client.request(ENTRY, nonce=fields[5][0].decode(), error="I do not like it")
    with pytest.raises(queue.Empty):
        client.receive(seconds=1)
    eventually(lambda: any(v for k, v in shop.cp.metrics().items() if "nacks_total" in k))
    client.close()


def test_faulty_requests_end_the_stream_with_a_reason(shop, rng):
    for data in (b"\xff\xff\xff", message((2, "type.googleapis.com/no.such.Type"), (3, "x")),
                 *(rng.randbytes(rng.randint(1, 200)) for _ in range(50))):
        client = DeltaClient(shop.cp.address, "web")
        client.send(data)
        client.close()
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    assert shop.cp.process.poll() is None


def publisher(shop, service, name):
    stream = Stream(shop.cp.address, "/tributary.v1.Publisher/Publish",
                    [("tributary-service", service)])
    stream.send(message((1, name)))
    return stream


def batch(sequence, *writes):
    return message((2, message((1, sequence), *((2, message((1, "prices"), (2, key), (3, put)))
                                                for key, put in writes))))


def results(stream):
    """{sequence: (revision, code)} of the next answer that holds results."""
    while True:
        found = stream.receive().get(3, [])
        if found:
            rows = map(parse, found)
            return {r[1][0]: (r.get(2, [0])[0], r.get(3, [0])[0]) for r in rows}


def test_publisher_retries_are_applied_once(shop):
    name = uuid.uuid4().hex
    first = publisher(shop, "shop", name)
    first.send(batch(1, ("a", "1")))
    revision, code = results(first)[1]
    assert code == 0 and revision > 0
    first.close()
    shop.cp.restart()
    again = publisher(shop, "shop", name)
    again.send(batch(1, ("a", "1")))
    assert results(again)[1] == (revision, 0)  # the same outcome, not a second commit
    again.send(batch(2, ("b", "2")))
    assert results(again)[2][1] == 0
    again.close()
    eventually(lambda: shop.web.redis().mget("prices/a", "prices/b") == ["1", "2"])


def test_publisher_that_is_not_the_owner(shop):
    thief = publisher(shop, "web", uuid.uuid4().hex)
    thief.send(batch(1, ("a", "stolen")))
    assert results(thief)[1] == (0, PERMISSION_DENIED)
    thief.close()


def test_health_and_reflection(shop):
    with grpc.insecure_channel(shop.cp.address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert parse(check(b"", timeout=10)) == {1: [1]}  # SERVING
    reflection = Stream(shop.cp.address,
                        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    reflection.send(message((7, "*")))
    services = str(reflection.receive())
    for name in ("AggregatedDiscoveryService", "Publisher", "Reader", "Admin"):
        assert name in services
    reflection.close()
