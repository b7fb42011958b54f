"""Just enough protobuf and gRPC, by hand, to be a stranger who shares no code with Tributary."""
import queue
import threading

import grpc

RAW = dict(request_serializer=None, response_deserializer=None)


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def message(*fields):
    """(number, int | bytes | str) in order; None is left out."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif value is not None:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def parse(data):
    """{field number: [int | bytes, …]}"""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            size = number() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


def text(fields, number):
    return fields.get(number, [b""])[0].decode()


class Stream:
    """A bidirectional call that sends and receives bytes."""

    def __init__(self, address, method, metadata=()):
        self.channel = grpc.insecure_channel(address)
        self.requests, self.responses = queue.Queue(), queue.Queue()
        self.call = self.channel.stream_stream(method, **RAW)(
            iter(self.requests.get, None), metadata=metadata)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.call:
                self.responses.put(response)
        except grpc.RpcError as error:
            self.responses.put(error)

    def send(self, data):
        self.requests.put(data)

    def receive(self, seconds=20):
        """The next message as parsed fields; raises what the call ended with."""
        got = self.responses.get(timeout=seconds)
        if isinstance(got, Exception):
            raise got
        return parse(got)

    def close(self):
        self.requests.put(None)
        self.channel.close()


class DeltaClient(Stream):
    """A delta-xDS client without Tributary's extensions."""

    METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

    def __init__(self, address, node):
        super().__init__(address, self.METHOD)
        self.node = message((1, node), (2, ""))

    def request(self, type_url, subscribe=(), unsubscribe=(), known=None, nonce=None, error=None):
        self.send(message((1, self.node), (2, type_url), *((3, name) for name in subscribe),
                          *((4, name) for name in unsubscribe),
                          *((5, message((1, k), (2, v))) for k, v in (known or {}).items()),
                          (6, nonce), (7, message((1, 3), (2, error)) if error else None)))
        self.node = None

    def next(self, ack=True, seconds=20):
        """(type, {name: (version, payload)}, removed names, {name: error code})"""
        fields = self.receive(seconds)
        type_url, nonce = text(fields, 4), text(fields, 5)
        resources = {}
        for resource in map(parse, fields.get(2, [])):
            payload = parse(resource[2][0]).get(2, [b""])[0] if 2 in resource else b""
            resources[text(resource, 3)] = (text(resource, 1), payload)
        errors = {text(parse(e[1][0]), 1): parse(e[2][0]).get(1, [0])[0]
                  for e in map(parse, fields.get(9, []))}
        if ack:
            self.request(type_url, nonce=nonce)
        return type_url, resources, [r.decode() for r in fields.get(6, [])], errors
