"""H1, H2: what a herd of agents and a consumer that stands still cost the control plane."""
import json
import signal
import subprocess
import threading
import time

from figures import absolute
from rows_spread import hold
from sides import anonymous_bytes


class Herd:
    """Synced agents in one process; see load/bench_herd.cc."""

    def __init__(self, sides, address, streams, channels):
        self.process = subprocess.Popen(
            [str(sides.bin / "bench_herd"), address, "bench", "reader", str(streams),
             str(channels)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        sides.running.append(self.process)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"bench: bench_herd ended at {command}")
        return json.loads(answer)


class Peak:
    """The most anonymous memory that a process has while the block runs, looked at often."""

    def __init__(self, process):
        self.process, self.bytes, self.ended = process, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while True:
            self.bytes = max(self.bytes, anonymous_bytes(self.process)[0])
            if self.ended.wait(0.1):
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def h1(sides):
    """All agents come back at once after 100 changes; nobody may load everything again."""
    streams, channels = (200, 10) if sides.args.tiny else (5000, 500)
    server, address = sides.control_plane()
    herd = Herd(sides, address, streams, channels)
    herd.ask("load")
    herd.ask("connect")
    before, _ = anonymous_bytes(server)
    herd.ask("drop")
    sides.tool("bench_grpc", "fill", "--address", address, "--keys", 100, "--value-bytes",
               sides.args.value_bytes + 1)
    with Peak(server) as peak:
        back = herd.ask("connect")
    herd.process.kill()
    what = f"{streams} agents reconnect at once"
    return [absolute("H1", f"{what}: full loads", "", [back["full_loads"]], "<= 0"),
            absolute("H1", f"{what}: p99 back", "s", [back["p99_s"]], "<= 60 s",
                     f"p50 {back['p50_s']} s, {back['retries']} told to come back"),
            absolute("H1", f"{what}: bytes received / keys and values changed", "x",
                     [back["bytes"] / (streams * 100 * (17 + sides.args.value_bytes))],
                     "<= 1.5 x"),
            absolute("H1", f"{what}: most memory over that of the herd at rest",
                     "MB", [max(peak.bytes - before, 0) / 1e6], "<= 100 MB")]


def h2(sides):
    """A consumer that stands still while 5,000 updates a second change 1,000 keys."""
    seconds, keys = (1, 100) if sides.args.tiny else (60, 1000)
    server, address = sides.small_control_plane()
    updates = ["--address", address, "--keys", keys, "--value-bytes", sides.args.value_bytes,
               "--updates-a-second", 5000, "--batch", 50]
    sides.tool("bench_grpc", "updates", *updates, "--seconds", 1)
    paused = hold(sides, address, 1)
    paused.send_signal(signal.SIGSTOP)
    before, _ = anonymous_bytes(server)
    start = time.monotonic()
    with Peak(server) as peak:
        made = sides.tool("bench_grpc", "updates", *updates, "--seconds", seconds)
    rate = made["updates"] / (time.monotonic() - start)
    paused.send_signal(signal.SIGCONT)
    paused.kill()
    return [absolute("H2", f"a consumer stands still for {seconds} s, {keys} keys change: memory "
                     "grown", "MB", [max(peak.bytes - before, 0) / 1e6], "<= 50 MB",
                     f"{rate:.0f} updates/s made")]
