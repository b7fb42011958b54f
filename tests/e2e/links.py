"""A TCP link between an agent and a control plane that can be cut or fall silent."""
import selectors
import socket
import threading


class Link:
    """Forwards what connects to `address` to `target` ("host:port"), one thread for all.

    cut(): every connection is closed and new ones are refused. freeze(): connections stay open and
    carry nothing. mend(): as in the beginning.
    """

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.state = "open"
        self.ended = False
        self.waker, self.wake_end = socket.socketpair()
        self.peers, self.waiting = {}, {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def cut(self):
        self.set("cut")

    def freeze(self):
        self.set("frozen")

    def mend(self):
        self.set("open")

    def close(self):
        self.ended = True
        self.set("cut")
        self.thread.join()

    def set(self, state):
        self.state = state
        self.waker.send(b"x")

    def run(self):
        while not self.ended:
            with selectors.DefaultSelector() as selector:
                selector.register(self.wake_end, selectors.EVENT_READ)
                if self.state != "frozen":
                    selector.register(self.listener, selectors.EVENT_READ)
                    self.watch(selector)
                for key, events in selector.select():
                    self.handle(key.fileobj, events)
            if self.state == "cut":
                self.drop_all()
        self.listener.close()

    def watch(self, selector):
        for end, peer in self.peers.items():
            events = 0 if self.waiting[peer] else selectors.EVENT_READ
            if self.waiting[end]:
                events |= selectors.EVENT_WRITE
            if events:
                selector.register(end, events)

    def handle(self, end, events):
        if end is self.wake_end:
            self.wake_end.recv(4096)
        elif end is self.listener:
            self.accept()
        elif end in self.peers:
            self.move(end, events)

    def accept(self):
        near, _ = self.listener.accept()
        if self.state == "cut":
            return near.close()
        try:
            far = socket.create_connection(self.target, timeout=5)
        except OSError:
            return near.close()
        for one, other in ((near, far), (far, near)):
            one.setblocking(False)
            self.peers[one], self.waiting[one] = other, b""

    def move(self, end, events):
        peer = self.peers[end]
        try:
            if events & selectors.EVENT_WRITE:
                self.waiting[end] = self.waiting[end][end.send(self.waiting[end]):]
            if events & selectors.EVENT_READ:
                data = end.recv(65536)
                if not data:
                    return self.drop(end)
                self.waiting[peer] += data
        except BlockingIOError:
            pass
        except OSError:
            self.drop(end)

    def drop(self, end):
        for one in (end, self.peers[end]):
            self.peers.pop(one, None)
            self.waiting.pop(one, None)
            one.close()

    def drop_all(self):
        while self.peers:
            self.drop(next(iter(self.peers)))
