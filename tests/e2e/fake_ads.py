"""A scripted delta-xDS server that shares no code with Tributary: messages encoded by hand."""
import concurrent.futures
import queue
import socket
import threading

import grpc

from harness import free_port
from wire import message, parse, text

ENTRY = "type.googleapis.com/tributary.v1.Entry"
STATE = "type.googleapis.com/tributary.v1.DatasetState"
SUBSCRIPTION = "type.googleapis.com/tributary.v1.Subscription"
SERVICE, METHOD = ("envoy.service.discovery.v3.AggregatedDiscoveryService",
                   "DeltaAggregatedResources")
PRICES = "xdstp:///tributary.v1.Entry/prices/"


class Request:
    def __init__(self, data):
        fields = parse(data)
        self.node = text(parse(fields[1][0]), 1) if 1 in fields else None
        self.features = ([f.decode() for f in parse(fields[1][0]).get(10, [])]
                         if 1 in fields else [])
        self.type, self.nonce = text(fields, 2), text(fields, 6)
        self.subscribe = [name.decode() for name in fields.get(3, [])]
        self.unsubscribe = [name.decode() for name in fields.get(4, [])]
        pairs = [parse(pair) for pair in fields.get(5, [])]
        self.known = {text(pair, 1).rsplit("/", 1)[1]: text(pair, 2) for pair in pairs}
        self.error = parse(fields[7][0]) if 7 in fields else None


def entry(value):
    return message((2, value))


def resource(name, version, payload, type_url=ENTRY):
    return message((2, message((1, version), (2, message((1, type_url), (2, payload))), (3, name))))


class AdsStream:
    """One stream of the agent, as its server sees it."""

    def __init__(self, context):
        self.context, self.ended = context, None
        self.requests, self.out, self.stash = queue.Queue(), queue.Queue(), []

    def take(self, type_url=ENTRY, seconds=30):
        """The next request of this type; those of others are put aside."""
        for i, request in enumerate(self.stash):
            if request.type == type_url:
                return self.stash.pop(i)
        while True:
            request = self.requests.get(timeout=seconds)
            if request is None:
                raise EOFError("the stream has ended")
            if request.type == type_url:
                return request
            self.stash.append(request)

    def send(self, *resources, nonce, removed=(), type_url=ENTRY, server="fake", errors=()):
        """`resources`: encoded by resource(). `errors`: (name, code)."""
        rest = [(6, name) for name in removed]
        rest += [(9, message((1, message((1, name))), (2, message((1, code)))))
                 for name, code in errors]
        self.out.put(b"".join(resources) + message(*rest, (4, type_url), (5, nonce),
                                                   (7, message((1, server)))))

    def answer(self, nonce, seconds=30):
        """Asserts that the next answer for entries has this nonce; True: an ACK."""
        while True:
            request = self.take(seconds=seconds)
            if request.nonce:
                assert request.nonce == nonce, (request.nonce, nonce)
                return request.error is None

    def silent(self, seconds=0.5):
        """True: no answer for entries comes for so long."""
        try:
            return bool(self.take(seconds=seconds)) and False
        except queue.Empty:
            return True

    def end(self, code=grpc.StatusCode.UNAVAILABLE, why="as scripted"):
        self.ended = (code, why)
        self.out.put(None)


class FakeAds:
    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.streams, self.server = queue.Queue(), None
        self.start()

    def start(self):
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve, request_deserializer=None, response_serializer=None)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=[
            ("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})])
        assert self.server.add_insecure_port(self.address) == self.port
        self.server.start()

    def stop(self):
        self.server.stop(grace=None).wait()

    def accept(self, seconds=40):
        return self.streams.get(timeout=seconds)

    def _serve(self, requests, context):
        stream = AdsStream(context)

        def read():
            try:
                for data in requests:
                    stream.requests.put(Request(data))
            except Exception:  # the peer has gone
                pass
            stream.requests.put(None)
            stream.out.put(None)

        threading.Thread(target=read, daemon=True).start()
        self.streams.put(stream)
        while (data := stream.out.get()) is not None:
            yield data
        if stream.ended:
            context.abort(*stream.ended)


class Freezer(threading.Thread):
    """A TCP relay that can stop relaying: the connection stays open, nothing arrives."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.frozen = target, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.accepted = 0
        self.start()

    def run(self):
        while True:
            near, _ = self.listener.accept()
            self.accepted += 1
            host, _, port = self.target.rpartition(":")
            far = socket.create_connection((host, int(port)))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(a, b), daemon=True).start()

    def _relay(self, source, sink):
        while data := source.recv(65536):
            if self.frozen.is_set():
                continue
            sink.sendall(data)
