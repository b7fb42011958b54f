"""Many large requests at once: the server lives, within a bound of memory, and serves on."""
import threading

import grpc
import pytest

import delta
import world as worlds
import xds
from delta import Delta
from stream import Stream

MIB = 2**20
QUOTA = 256 * MIB  # --rpc-memory
BUDGET = 256 * MIB  # of requests that are whole (docs/protocol.md)
SENDERS = 30  # 1.7 GiB in all
KEY = "xdstp:///tributary.v1.Entry/none/%07d" + "x" * 900


@pytest.fixture(scope="module")
def server(request):
    server = worlds.Server(rpc_memory=f"{QUOTA // MIB}MiB")
    yield server
    server.close(getattr(request.session, "failed", False))


def large(megabytes):
    """A request with so many bytes of versions, good in every respect."""
    first = xds.DELTA_REQUEST.encode(node=dict(id="reader"), type_url=xds.ENTRY_TYPE,
                                     resource_names_subscribe=["*"])
    one = xds.DELTA_REQUEST.encode(initial_resource_versions=[dict(key=KEY % 0, value="1")])
    zero = (KEY % 0).encode()
    return first + b"".join(one.replace(zero, (KEY % i).encode())
                            for i in range(megabytes * MIB // len(one)))


class Peak:
    """The most anonymous memory that a server had, looked at all the time."""

    def __init__(self, server):
        self.server, self.most, self.over = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, self.server.anonymous_memory())

    def __enter__(self):
        self.before = self.server.anonymous_memory()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_many_large_requests_at_once(world):
    client = world.client(Delta)
    client.send(sub=["A"])
    client.one({"A": "v1"})
    data = large(60)
    with Peak(world.server) as peak:
        senders = [Stream(world.server.address, delta.METHOD) for _ in range(SENDERS)]
        for sender in senders:
            sender.write(data)
            sender.half_close()
        codes = [sender.ended(300)[0] for sender in senders]
        for sender in senders:
            sender.close()
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE,
                          grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
    grown = peak.most - peak.before
    print(f"{codes.count(grpc.StatusCode.OK)} of {SENDERS} served, {grown / MIB:.0f} MiB at most")
    assert grown < QUOTA + 3 * BUDGET, f"{grown / MIB:.0f} MiB"
    assert world.server.program.process.poll() is None
    world.server.connect()  # gRPC may have ended any stream to come down
    world.put(A="last")
    try:
        client.one({"A": "last"})
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        again = world.client(Delta)
        again.send(sub=["A"])
        again.one({"A": "last"})
