"""The real control plane, and for each test a world of its own inside it.

How the scenarios' words map to Tributary:
  type T             tributary.v1.Entry
  A, B, C at v1      entries of a dataset that only this test's service may consume, value "v1"
  Z                  a key of that dataset that does not exist
  wildcard world     every dataset that the service may consume: just that one
  X                  an entry of a dataset that the service may not consume
  G, d/1             the collection …/<dataset>/*, its keys "1", "2"; d/x/4 is the key "x/4", which
                     percent-encoding keeps in one segment, so no key ever lies below a glob
  type U             tributary.v1.DatasetState
"""
import itertools
import json
import queue
import uuid

import grpc

import harness
import xds
from stream import SECONDS, Stream

NAMES = "xdstp:///tributary.v1.Entry/"
STATES = "xdstp:///tributary.v1.DatasetState/"
serial = itertools.count(1)


class Server:
    """A control plane of its own, its declarations and an owner who publishes."""

    def __init__(self, **options):
        self.host = harness.World()
        self.program = self.host.control_plane(**options)
        self.program.start()
        self.address = self.program.address
        self.connect()

    def connect(self):
        self.channel = grpc.insecure_channel(self.address)
        self.publisher = Stream(self.address, "/tributary.v1.Publisher/Publish",
                                [("tributary-service", "owner")])
        self.publisher.write(xds.PUBLISH_REQUEST.encode(publisher_id=uuid.uuid4().hex))
        self.sequence = 0

    def declare(self, name, consumers):
        spec = {"owner": "owner", "consumers": list(consumers)}
        self.apply({"apiVersion": "tributary.dev/v1alpha1", "kind": "Dataset",
                    "metadata": {"name": name}, "spec": spec})

    def apply(self, *objects):
        call = self.channel.unary_unary("/tributary.v1.Admin/Apply")
        call(xds.APPLY_REQUEST.encode(objects=map(json.dumps, objects)), timeout=SECONDS,
             metadata=[("tributary-service", "owner")])

    def send_batch(self, dataset, writes):
        """Publishes {key: value or None} as one commit; its outcome is still to come."""
        self.sequence += 1
        rows = [dict(dataset=dataset, key=key.encode(),
                     **({"delete": True} if value is None else {"put": value.encode()}))
                for key, value in writes.items()]
        self.publisher.write(xds.PUBLISH_REQUEST.encode(
            batches=[dict(sequence=self.sequence, writes=rows)]))

    def await_batches(self):
        """Until everything sent is durable."""
        while True:
            response = xds.PUBLISH_RESPONSE.decode(self.publisher.read())
            for result in response.get("results", []):
                assert not result.get("code"), result
                if result["sequence"] == self.sequence:
                    return

    def publish(self, dataset, writes):
        self.send_batch(dataset, writes)
        self.await_batches()

    def anonymous_memory(self):
        """Bytes that the kernel cannot take back: heap and stacks."""
        status = open(f"/proc/{self.program.process.pid}/status").read()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024

    def close(self, failed):
        self.publisher.close()
        self.channel.close()
        self.host.close(failed)


class World:
    """A dataset, the only service that may consume it, and that service's streams."""

    def __init__(self, server, keys=("A", "B", "C")):
        self.server = server
        self.service = self.dataset = f"w{next(serial)}"
        self.streams = []
        self.glob = NAMES + self.dataset + "/*"
        server.declare(self.dataset, [self.service])
        if keys:
            self.put({key: "v1" for key in keys})

    def name(self, key):
        return NAMES + self.dataset + "/" + key

    def put(self, writes=None, **more):
        self.server.publish(self.dataset, {**(writes or {}), **more})

    def delete(self, *keys):
        self.server.publish(self.dataset, dict.fromkeys(keys))

    def client(self, kind, **options):
        self.streams.append(kind(self.server.address, self.service, **options))
        return self.streams[-1]

    def close(self):
        for stream in self.streams:
            stream.close()


def nothing(stream, seconds):
    """Asserts that no message comes."""
    try:
        data = stream.read(seconds)
    except queue.Empty:
        return
    raise AssertionError(f"not quiet: {data[:500]!r}")
