"""Starts, asks and kills the demo's programs; says and checks what happens."""
import pathlib
import random
import socket
import subprocess
import sys
import time
import urllib.request

import redis

BIN = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin").resolve()


def say(text=""):
    print(text, flush=True)


def check(fact, what):
    if not fact:
        raise SystemExit(f"demo: FAILED: {what}")


def wait_until(fact, what, seconds=60):
    """Milliseconds until fact() is true."""
    start = time.monotonic()
    while True:
        try:
            if fact():
                return (time.monotonic() - start) * 1000
        except (OSError, redis.RedisError):
            pass  # not yet
        check(time.monotonic() - start < seconds, f"waited {seconds} s for {what}")
        time.sleep(0.002)


def free_port():
    """Below the kernel's ephemeral range, so that nobody takes it while its server is dead."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Program:
    def __init__(self, name, directory, *argv):
        self.argv, self.log, self.admin = argv, directory / f"{name}.log", free_port()
        self.name, self.process = name, None

    def start(self):
        with open(self.log, "ab") as log:
            argv = [*self.argv, "--admin", f"127.0.0.1:{self.admin}", "--insecure"]
            self.process = subprocess.Popen(list(map(str, argv)), stdout=log, stderr=log,
                                            start_new_session=True)
        wait_until(self.answers, f"{self.name} to start")

    def answers(self):
        check(self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-2000:]}")
        return self.page("/live") is not None

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Agent(Program):
    def __init__(self, service, directory, control_plane):
        self.socket = directory / f"{service}.sock"
        super().__init__(service, directory, BIN / "tributary-agent", "--service", service,
                         "--control-plane", control_plane, "--socket", self.socket,
                         "--data-dir", directory / f"{service}.data")

    def client(self):
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True,
                           socket_timeout=30)

    def cli(self, *command):
        """What stock redis-cli prints."""
        done = subprocess.run(["redis-cli", "-s", str(self.socket), *command], text=True,
                              capture_output=True)
        return done.stdout.strip() or done.stderr.strip()

    def show(self, *command, note=""):
        answer = self.cli(*command)
        words = " ".join(f"'{word}'" if set(word) & set("* {") else word for word in command)
        short = answer if len(answer) < 100 else answer[:97] + "…"
        say(f"   $ redis-cli -s {self.socket.name} {words}\n     {short or '(nil)'}{note}")
        return answer

    def bytes_in(self):
        lines = self.page("/metrics").splitlines()
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines
                       if line.startswith("tributary_agent_bytes_in_total")))

    def settled_bytes_in(self):
        """What has crossed the wire when all of it is counted: the page follows in some 50 ms."""
        last = 0

        def settled():
            nonlocal last
            time.sleep(0.2)
            last, before = self.bytes_in(), last
            return last > 0 and last == before

        wait_until(settled, f"{self.name} to count its bytes")
        return last
