"""Both sides of every bench: the peers at their best settings, and our own programs.

A Side starts what it is asked for once and keeps it until close(); all data lies in one directory
on one file system, so that fsync costs the same for everybody.
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

import redis

KEY = "bench/key:%012d"
SERVER_CORE, LOAD_CORE = 0, 1


def free_port():
    """Below the kernel's ephemeral range, so that nobody takes it while its server is away."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, check, seconds=300.0, step=0.002):
    """Seconds until check() is true; errors count as "not yet"."""
    start = time.monotonic()
    while True:
        try:
            if check():
                return time.monotonic() - start
        except (redis.RedisError, OSError):
            pass
        if time.monotonic() - start > seconds:
            raise SystemExit(f"bench: waited {seconds:.0f} s for {what}")
        time.sleep(step)


def connects(address):
    if isinstance(address, int):
        return lambda: not socket.create_connection(("127.0.0.1", address), 1).close()
    return lambda: redis.Redis(unix_socket_path=str(address)).ping()


def pin(process, core):
    """All threads of a process; None: any core."""
    cores = range(os.cpu_count()) if core is None else [core % os.cpu_count()]
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        try:
            os.sched_setaffinity(int(thread), cores)
        except ProcessLookupError:
            pass  # it has ended meanwhile


def cpu_seconds(process):
    """All threads, those that have ended too; clock_getcpuclockid(3) in Python."""
    return time.clock_gettime((~process.pid << 3) | 2)


def anonymous_bytes(process):
    """Memory that the kernel cannot take back without swap; and what is mapped from files."""
    sizes = {}
    for line in pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount = line.split(":")
        sizes[name] = int(amount.split()[0]) * 1024
    return sizes["Anonymous"], sizes["Rss"] - sizes["Anonymous"]


class Sides:
    def __init__(self, args):
        self.args = args
        self.bin = pathlib.Path(args.bin).resolve()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tb.", dir=args.dir))
        self.running, self.serial, self.kept = [], 0, {}

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def keep(self, name, make):
        """What `make` made the first time."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def spawn(self, name, command):
        with open(self.dir / f"{name}.log", "ab") as log:
            process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log,
                                       cwd=self.dir)
        self.running.append(process)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.running.remove(process)

    def tool(self, *words, core=LOAD_CORE):
        """Runs bench_resp or bench_grpc; its JSON."""
        cores = {core % os.cpu_count()} if core is not None else set(range(os.cpu_count()))
        argv = [str(word) for word in words]
        done = subprocess.run([str(self.bin / argv[0]), *argv[1:]], capture_output=True, text=True,
                              preexec_fn=lambda: os.sched_setaffinity(0, cores))
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(argv)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    # --- Redis ---------------------------------------------------------------------------------
    def start_redis(self, name, *extra):
        self.serial += 1
        path, port = self.dir / f"{name}{self.serial}.sock", free_port()
        process = self.spawn(name, [
            "redis-server", "--port", port, "--unixsocket", path, "--save", "", "--appendonly",
            "no", "--rdbcompression", "no", "--repl-diskless-sync", "yes",
            "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb", "--dir", self.dir,
            "--dbfilename", f"{name}.rdb", "--appenddirname", f"{name}.aof",
            "--client-output-buffer-limit", "pubsub 0 0 0", "--client-output-buffer-limit",
            "replica 0 0 0", *extra])
        wait_for(name, connects(path))
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=120)
        return process, client, path, port

    def redis(self):
        """With all entries, nothing durable: what reads are measured against."""
        def make():
            made = self.start_redis("redis")
            self.tool("bench_resp", "fill", "--address", made[2], "--keys", self.args.entries,
                      "--large-keys", self.args.large, "--value-bytes", self.args.value_bytes)
            return made
        return self.keep("redis", make)

    def durable_redis(self):
        """Empty, appendfsync always; and a replica that says what has changed."""
        def make():
            master = self.start_redis("durable", "--appendonly", "yes", "--appendfsync", "always")
            replica = self.start_redis("reader", "--notify-keyspace-events", "K$",
                                       "--replicaof", f"127.0.0.1 {master[3]}")
            wait_for("the replica", lambda: replica[1].info("replication")[
                "master_link_status"] == "up")
            return master, replica
        return self.keep("durable_redis", make)

    # --- etcd ----------------------------------------------------------------------------------
    def etcd(self):
        def make():
            client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
            process = self.spawn("etcd", [
                "etcd", "--data-dir", self.dir / "etcd", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                "--log-level", "error", "--quota-backend-bytes", 8 << 30])
            address = client.removeprefix("http://")
            wait_for("etcd", connects(int(address.rsplit(":", 1)[1])))
            return process, address
        return self.keep("etcd", make)

    # --- ours ----------------------------------------------------------------------------------
    def start_control_plane(self, name, entries):
        manifests, port, admin = self.dir / f"{name}.d", free_port(), free_port()
        manifests.mkdir()
        (manifests / "bench.yaml").write_text(
            "apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata: {name: bench}\n"
            "spec: {owner: owner, consumers: ['*']}\n")
        address = f"127.0.0.1:{port}"
        process = self.spawn(name, [
            self.bin / "tributary-control-plane", "--insecure", "--listen", address, "--admin",
            f"127.0.0.1:{admin}", "--data-dir", self.dir / name, "--manifests", manifests])
        wait_for("the control plane", connects(port))
        fill = [self.bin / "bench_grpc", "fill", "--address", address, "--value-bytes",
                self.args.value_bytes, "--keys"]
        wait_for("the dataset", lambda: subprocess.run(
            list(map(str, [*fill, 1])), capture_output=True).returncode == 0, step=0.05)
        if entries:
            self.tool("bench_grpc", "fill", "--address", address, "--keys", entries,
                      "--large-keys", self.args.large, "--value-bytes", self.args.value_bytes)
        return process, address

    def control_plane(self):
        """With all entries."""
        return self.keep("cp", lambda: self.start_control_plane("cp", self.args.entries))

    def small_control_plane(self):
        """Empty at first: for what spreads changes."""
        return self.keep("small", lambda: self.start_control_plane("small", 0))

    def start_agent(self, address, service="reader", data=None, extra=(), subscribe="bench"):
        """Does not wait: the first good read is often what is measured."""
        self.serial += 1
        name = f"agent{self.serial}"
        path, admin = self.dir / f"{name}.sock", free_port()
        data = data or self.dir / f"{name}.data"
        process = self.spawn(name, [
            self.bin / "tributary-agent", "--service", service, "--control-plane", address,
            "--insecure", "--socket", path, "--data-dir", data, "--admin", f"127.0.0.1:{admin}",
            "--subscribe", subscribe, "--threads", self.args.agent_threads, *extra])
        return process, path, data, admin

    def wait_value(self, path, key, process=None):
        """Seconds until a GET of `key` answers with a value, on as few words as it takes."""
        request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode())
        start, connection = time.monotonic(), None
        while time.monotonic() - start < 300:
            if process is not None and process.poll() is not None:
                raise SystemExit(f"bench: {path.stem} ended:\n"
                                 + (self.dir / f"{path.stem}.log").read_text()[-1000:])
            try:
                if connection is None:
                    connection = socket.socket(socket.AF_UNIX)
                    connection.settimeout(60)
                    connection.connect(str(path))
                connection.sendall(request)
                if (reply := connection.recv(1 << 16)).startswith(b"$") and reply[:3] != b"$-1":
                    return time.monotonic() - start
            except OSError:
                connection.close()
                connection = None
            time.sleep(0.001)
        raise SystemExit(f"bench: {key} did not become readable at {path}")

    def wait_copy(self, agent):
        self.wait_value(agent[1], KEY % (self.args.entries - 1), agent[0])
        return agent

    def agent(self):
        """A complete copy of all entries."""
        return self.keep("agent", lambda: self.wait_copy(
            self.start_agent(self.control_plane()[1])))
