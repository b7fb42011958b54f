"""Starts the real programs and talks to them from outside, as operators and services do.

A World is one scratch directory with any number of control planes and agents; it ends all it
started. Ports come from below the kernel's ephemeral range, so that a port stays free while its
server is restarted. Nothing here waits for a fixed time: eventually() polls up to a deadline.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest
import redis

BIN = pathlib.Path(os.environ.get("TRIBUTARY_BIN", "build/release/bin")).resolve()
DEADLINE = float(os.environ.get("TRIBUTARY_DEADLINE", "30"))  # generous: machines are shared
SEED = int(os.environ.get("TRIBUTARY_SEED", random.randrange(2**32)))

# redis-py 4.3.4 names these in its error for a connection that was reset while it lay idle, but one
# to a Unix socket has neither: an AttributeError where a ConnectionError is meant.
redis.UnixDomainSocketConnection.host = redis.UnixDomainSocketConnection.port = "unix"


def eventually(check, what="it to happen", seconds=DEADLINE):
    """The first true value of check(); errors count as "not yet"."""
    deadline, last = time.monotonic() + seconds, None
    while True:
        try:
            last = check()
            if last:
                return last
        except (AssertionError, pytest.fail.Exception, OSError, KeyError,
                redis.RedisError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last: {last!r}")
        time.sleep(0.02)


# redis-py turns these codes into classes and drops the word.
CLASSES = {"READONLY": redis.exceptions.ReadOnlyError, "NOPERM": redis.exceptions.NoPermissionError,
           "LOADING": redis.BusyLoadingError}


def refused(code, call, *args):
    """Asserts that the call fails with this error code; the message."""
    try:
        answer = call(*args)
    except CLASSES.get(code, redis.ResponseError) as error:
        assert code in CLASSES or str(error).startswith(code + " "), error
        return str(error)
    raise AssertionError(f"not refused: {answer!r}")


def free_port():
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def http(port, path, method="GET"):
    """(status code, body) of an admin page."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def parse_metrics(text):
    """{name{labels}: value}"""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def dataset(name, owner, consumers=("*",), **spec):
    first, _, namespace = name.partition(".")
    metadata = {"name": first, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "tributary.dev/v1alpha1", "kind": "Dataset", "metadata": metadata,
            "spec": {"owner": owner, "consumers": list(consumers), **spec}}


def subscription(name, service, of, prefix=None, **spec):
    first, _, namespace = name.partition(".")
    metadata = {"name": first, **({"namespace": namespace} if namespace else {})}
    if prefix is not None:
        spec["prefix"] = prefix
    return {"apiVersion": "tributary.dev/v1alpha1", "kind": "Subscription", "metadata": metadata,
            "spec": {"service": service, "dataset": of, **spec}}


def as_yaml(*objects):
    return "\n---\n".join(json.dumps(o) for o in objects)  # JSON is YAML


def flags(options):
    """{"data_dir": x, "insecure": True, "subscribe": [a, b]} as a command line."""
    out = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            out += [flag] if one is True else [] if one in (False, None) else [flag, str(one)]
    return out


class Program:
    """One program that can be started again and again with the same options."""

    def __init__(self, world, name, binary, options, env=None):
        self.world, self.name, self.binary = world, name, binary
        self.options, self.env = options, env or {}
        self.wrapper = []  # a command line in front of the program's
        self.log = world.dir / f"{name}.log"
        self.process = None

    def argv(self):
        return [*self.wrapper, str(BIN / self.binary), *flags(self.options)]

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **self.env})
        return self

    def start(self):
        self.spawn()
        eventually(self.is_up, f"{self.name} to come up, see its log")
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
        return http(self.admin, "/live")[0] == 200

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=DEADLINE)

    def restart(self):
        self.kill()
        return self.start()

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def metrics(self):
        return parse_metrics(http(self.admin, "/metrics")[1])


class ControlPlane(Program):
    def __init__(self, world, name, env=None, **options):
        self.port, self.admin = free_port(), free_port()
        self.manifests = world.dir / f"{name}.d"
        self.manifests.mkdir()
        self.address = f"127.0.0.1:{self.port}"
        defaults = {"listen": self.address, "admin": f"127.0.0.1:{self.admin}",
                    "data_dir": world.dir / f"{name}.data", "manifests": self.manifests,
                    "insecure": True}
        super().__init__(world, name, "tributary-control-plane", {**defaults, **options}, env)

    def declare(self, *objects, file="main.yaml"):
        """Writes a manifest as editors do: a new file renamed over the old one."""
        draft = self.manifests / f".{file}.draft"
        draft.write_text(as_yaml(*objects))
        draft.rename(self.manifests / file)

    def ctl(self, *args, service="operator", input=None, check=True):
        """Runs tributaryctl; its stdout, or the whole result without check."""
        argv = [str(BIN / "tributaryctl"), "--control-plane", self.address, "--insecure",
                "--service", service, *map(str, args)]
        done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=120)
        if not check:
            return done
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


class Agent(Program):
    def __init__(self, world, name, service, control_plane, env=None, **options):
        self.admin, self.service = free_port(), service
        self.socket = world.dir / f"{name}.sock"
        defaults = {"service": service, "control_plane": control_plane, "socket": self.socket,
                    "data_dir": world.dir / f"{name}.data", "admin": f"127.0.0.1:{self.admin}",
                    "insecure": True}
        super().__init__(world, name, "tributary-agent", {**defaults, **options}, env)

    def redis(self, **options):
        options = {"socket_timeout": DEADLINE, "decode_responses": True, **options}
        return redis.Redis(unix_socket_path=str(self.socket), **options)

    def copies(self):
        """{dataset: row of /datasets}"""
        rows = json.loads(http(self.admin, "/datasets")[1])
        rows = rows["datasets"] if isinstance(rows, dict) else rows
        return {row["dataset"]: row for row in rows}

    def synced(self, *datasets):
        copies = self.copies()
        return all(copies.get(name, {}).get("state") == "SYNCED" for name in datasets)

    def wait_synced(self, *datasets):
        eventually(lambda: self.synced(*datasets), f"{self.name} to have {datasets}")
        return self

    def bytes_in(self):
        return sum(value for name, value in self.metrics().items()
                   if name.startswith("tributary_agent_bytes_in_total"))

    def read_all(self, name):
        """{key: value} of a whole dataset, by SCAN and MGET on the socket."""
        client, out = self.redis(), {}
        keys = list(client.scan_iter(match=f"{name}/*", count=1000))
        for i in range(0, len(keys), 1000):
            part = keys[i:i + 1000]
            out.update(zip((k[len(name) + 1:] for k in part), client.mget(part)))
        return out


class World:
    def __init__(self):
        shm = pathlib.Path("/dev/shm")
        roomy = shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2**30
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tb.", dir=shm if roomy else None))
        self.programs = []

    def control_plane(self, name="cp", **options):
        self.programs.append(ControlPlane(self, name, **options))
        return self.programs[-1]

    def agent(self, service, control_plane, name=None, **options):
        address = getattr(control_plane, "address", control_plane)
        self.programs.append(Agent(self, name or service, service, address, **options))
        return self.programs[-1]

    def close(self, failed):
        for program in reversed(self.programs):
            if program.process and program.process.poll() is None:
                program.kill()
            if failed and program.log.exists():
                print(f"--- {program.name}: {program.log}\n{program.tail(60)}")
        if not failed:
            shutil.rmtree(self.dir, ignore_errors=True)
