"""Faulty and hostile clients: each ends at most its own stream, with a status that names the fault.

A bystander stays subscribed all the while and must be served to the end.
"""
import random

import grpc
import pytest

import delta
import harness
import sotw
import xds
from delta import Delta
from stream import Stream

INVALID, EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
METHODS = (delta.METHOD, sotw.METHOD)
GOOD = xds.DELTA_REQUEST.encode(node=dict(id="reader"), type_url=xds.ENTRY_TYPE,
                                resource_names_subscribe=["*"],
                                initial_resource_versions=[dict(key="a", value="1")],
                                error_detail=dict(code=3, message="no"))


@pytest.fixture
def bystander(world):
    client = world.client(Delta)
    client.send(sub=["A"])
    client.one({"A": "v1"})
    yield client
    world.put(A="last")
    client.one({"A": "last"})
    assert world.server.program.process.poll() is None


def outcome(world, data, method=delta.METHOD):
    """What the stream of a client that sends this ends with; OK: it was merely closed."""
    stream = Stream(world.server.address, method)
    for message in data if isinstance(data, list) else [data]:
        stream.write(message)
    stream.half_close()
    code, details = stream.ended()
    stream.close()
    assert code == grpc.StatusCode.OK or details
    return code, details


def first(**fields):
    return xds.DELTA_REQUEST.encode(node=dict(id="reader"), type_url=xds.ENTRY_TYPE, **fields)


def test_limits_are_named(world, bystander):
    names = [f"xdstp:///tributary.v1.Entry/d/{i}" for i in range(100_001)]
    many = first(resource_names_subscribe=names[:60_000])
    more = first(resource_names_subscribe=names[50_000:])
    long_name = "x" * 2049
    cases = [
        (first(resource_names_subscribe=[long_name]), INVALID, "2048"),
        (first(resource_names_unsubscribe=[long_name]), INVALID, "2048"),
        (first(initial_resource_versions=[dict(key=long_name, value="1")]), INVALID, "2048"),
        (first(resource_names_subscribe=[""]), INVALID, "empty"),
        (first(resource_names_subscribe=names), EXHAUSTED, "100000"),
        ([many, more], EXHAUSTED, "100000"),
        (first(resource_locators_subscribe=[dict(name="a", dynamic_parameters=[b""])]), INVALID,
         "dynamic parameters"),
        (xds.DELTA_REQUEST.encode(node=dict(id="n" * 3000), type_url="t"), INVALID, "node.id"),
        (xds.DELTA_REQUEST.encode(node=dict(id="reader", metadata=b"\x0a" * 2**21), type_url="t"),
         INVALID, "node"),
        (xds.DELTA_REQUEST.encode(node=dict(id="reader", client_features=["f"] * 1001),
                                  type_url="t"), INVALID, "client_features"),
        ([xds.DELTA_REQUEST.encode(node=dict(id="reader"), type_url=f"t{i}") for i in range(17)],
         INVALID, "types"),
        (first(response_nonce="\x00" * 10) + b"\x12\x02\xff\xff", INVALID, "UTF-8"),
    ]
    for data, code, says in cases:
        got, details = outcome(world, data)
        assert (got, says in details) == (code, True), (got, details, says)


def test_a_request_beyond_the_limit_is_not_read(world, bystander):
    code, _ = outcome(world, bytes(65 * 2**20))
    assert code == EXHAUSTED


@pytest.mark.parametrize("method", METHODS)
def test_cut_and_changed_requests(world, bystander, method):
    """Every prefix of a good request, and every one with a byte changed."""
    codes = set()
    for at in range(len(GOOD)):
        codes.add(outcome(world, GOOD[:at], method)[0])
        changed = bytearray(GOOD)
        changed[at] ^= 0x81
        codes.add(outcome(world, bytes(changed), method)[0])
    assert codes <= {grpc.StatusCode.OK, INVALID, grpc.StatusCode.PERMISSION_DENIED}, codes
    assert INVALID in codes


@pytest.mark.parametrize("method", METHODS)
def test_noise(world, bystander, method):
    rng = random.Random(harness.SEED)
    print(f"seed {harness.SEED}")
    for _ in range(100):
        outcome(world, [GOOD, rng.randbytes(rng.randrange(1, 300))], method)


def test_a_client_that_floods_requests_is_only_slow(world, bystander):
    """Requests are read one by one, so a flood waits in the client's own connection."""
    flood = Stream(world.server.address, delta.METHOD)
    flood.reading.clear()
    flood.write(first(resource_names_subscribe=["*"]))
    again = xds.DELTA_REQUEST.encode(type_url=xds.ENTRY_TYPE, resource_names_subscribe=["*"])
    for _ in range(5_000):
        flood.write(again)
    world.put(A="v2")
    bystander.one({"A": "v2"})
    flood.close()
