"""A bidirectional gRPC call that carries bytes; it reads only while its owner wants it to."""
import queue
import threading

import grpc

SECONDS = 60  # until something that must happen is given up; machines are shared


class Stream:
    def __init__(self, address, method, metadata=(), options=()):
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1),
                              ("grpc.use_local_subchannel_pool", 1), *options])
        self.requests, self.responses = queue.Queue(), queue.Queue()
        self.reading = threading.Event()
        self.reading.set()
        self.call = self.channel.stream_stream(method)(iter(self.requests.get, None),
                                                       metadata=metadata)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.call:
                self.responses.put(response)
                self.reading.wait()
        except grpc.RpcError as error:
            self.responses.put(error)
        else:
            self.responses.put(None)

    def write(self, data):
        self.requests.put(data)

    def read(self, seconds=SECONDS):
        """The next message; queue.Empty: none in time; raises what the call ended with."""
        got = self.responses.get(timeout=seconds)
        if isinstance(got, Exception):
            raise got
        assert got is not None, "the server ended the stream with OK"
        return got

    def ended(self, seconds=SECONDS):
        """(code, details) of a call that must end by itself; responses before that are dropped."""
        while True:
            got = self.responses.get(timeout=seconds)
            if isinstance(got, grpc.RpcError):
                return got.code(), got.details()
            if got is None:
                return grpc.StatusCode.OK, ""

    def half_close(self):
        self.requests.put(None)

    def close(self):
        self.reading.set()
        self.call.cancel()
        self.requests.put(None)
        self.channel.close()
