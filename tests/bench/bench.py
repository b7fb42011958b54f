#!/usr/bin/python3
"""Side by side with the peer, in one run: ratios, not absolute times.

  bench.py [--row get|mget|bootstrap] [--entries 1000000] [--pairs 5] [--bin build/release/bin] [--json FILE]

Rows
  get        GET at pipeline 1, 50 connections, Unix socket: redis-benchmark against redis-server and
             against an agent, A B B A …; both hold the same keys and values.
  mget       MGET of 10 keys, the same way.
  bootstrap  how long until a new copy of all entries is complete and readable: a Redis replica (diskless
             sync, swapdb, no RDB compression) against a new agent.  The agent's time includes
             the start of its process; the replica is already running.

Each pair runs both sides back to back; the ratio of a pair is ours / peer, the table gives the median, the
smallest and the greatest.  redis-benchmark is itself a bound above 90 % of a core; the row says so.
"""
import argparse
import csv
import io
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import redis

KEY = "bench/key:%012d"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=120.0, step=0.002):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except (redis.RedisError, OSError):
            pass
        time.sleep(step)
    raise SystemExit(f"bench: timed out waiting for {what}")


class Bench:
    def __init__(self, args):
        self.args = args
        self.bin = pathlib.Path(args.bin).resolve()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tb."))
        self.running = []
        self.serial = 0

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, name, command):
        log = open(self.dir / f"{name}.log", "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.dir)
        self.running.append(process)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.running.remove(process)

    # --- the peer ------------------------------------------------------------------------------
    def start_redis(self, name):
        path = self.dir / f"{name}.sock"
        port = free_port()
        self.spawn(name, ["redis-server", "--port", str(port), "--unixsocket", str(path), "--save", "", "--appendonly",
                          "no", "--rdbcompression", "no", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay",
                          "0", "--repl-diskless-load", "swapdb", "--dir", str(self.dir), "--dbfilename", f"{name}.rdb"])
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=60)
        wait_for(name, client.ping)
        return client, path, port

    def fill_redis(self, client):
        value = b"x" * self.args.value_bytes
        pipe = client.pipeline(transaction=False)
        for i in range(self.args.entries):
            pipe.set(KEY % i, value)
            if i % 10000 == 9999:
                pipe.execute()
        pipe.execute()

    # --- ours ----------------------------------------------------------------------------------
    def start_control_plane(self):
        self.grpc = f"127.0.0.1:{free_port()}"
        manifest = self.dir / "m"
        manifest.mkdir()
        (manifest / "bench.yaml").write_text(
            "apiVersion: tributary.dev/v1alpha1\nkind: Dataset\nmetadata: {name: bench}\n"
            "spec: {owner: owner, consumers: ['*']}\n")
        self.spawn("control-plane", [self.bin / "tributary-control-plane", "--insecure", "--listen", self.grpc, "--admin",
                                     f"127.0.0.1:{free_port()}", "--data-dir", self.dir / "cp", "--manifests", manifest])
        host, port = self.grpc.split(":")
        wait_for("the control plane", lambda: not socket.create_connection((host, int(port)), 1).close())

    def fill_control_plane(self):
        ctl = [self.bin / "tributaryctl", "--control-plane", self.grpc, "--insecure", "--service", "owner"]
        process = subprocess.Popen(ctl + ["import", "bench", "--from", "-", "--format", "tsv", "--key", "k", "--value", "v"],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        out = io.TextIOWrapper(process.stdin, write_through=False)
        out.write("k\tv\n")
        value = "x" * self.args.value_bytes
        for i in range(self.args.entries):
            out.write((KEY % i).split("/", 1)[1] + "\t" + value + "\n")
        out.close()
        if process.wait() != 0:
            raise SystemExit("bench: import failed")

    def start_agent(self):
        self.serial += 1
        name = f"agent{self.serial}"
        path = self.dir / f"{name}.sock"
        process = self.spawn(name, [self.bin / "tributary-agent", "--service", "reader", "--control-plane", self.grpc,
                                    "--insecure", "--socket", path, "--data-dir", self.dir / name, "--admin",
                                    f"127.0.0.1:{free_port()}", "--subscribe", "bench"])
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=60)
        return process, client, path, self.dir / name

    def wait_copy(self, client):
        last = KEY % (self.args.entries - 1)
        wait_for("a complete copy", lambda: client.get(last) is not None)

    # --- rows ----------------------------------------------------------------------------------
    def load(self, path, words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        out = subprocess.run(["redis-benchmark", "-s", str(path), "-c", "50", "-P", "1", "-n", str(self.args.requests), "-r",
                              str(self.args.entries), "--csv", *words], check=True, capture_output=True, text=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        row = list(csv.reader(io.StringIO(out)))[-1]
        return float(row[1]), cpu / (time.monotonic() - started)

    def request_row(self, words, figure):
        peer, peer_path, _ = self.start_redis("redis")
        self.fill_redis(peer)
        self.start_control_plane()
        self.fill_control_plane()
        _, client, path, _ = self.start_agent()
        self.wait_copy(client)
        assert client.get(KEY % 7) == peer.get(KEY % 7)
        pairs = []
        client_cpu = []
        for i in range(self.args.pairs):
            order = [(peer_path, 0), (path, 1)] if i % 2 == 0 else [(path, 1), (peer_path, 0)]
            rates = [0.0, 0.0]
            for where, side in order:
                rates[side], cpu = self.load(where, words)
                client_cpu.append(cpu)
            pairs.append((rates[1], rates[0]))
        note = "redis-benchmark used %.0f %% of a core" % (100 * statistics.median(client_cpu))
        return self.report(figure, "req/s", pairs, note)

    def row_get(self):
        return self.request_row(["get", "bench/key:__rand_int__"], "GET, pipeline 1, 50 connections")

    def row_mget(self):
        return self.request_row(["mget"] + ["bench/key:__rand_int__"] * 10, "MGET of 10, pipeline 1, 50 connections")

    def row_bootstrap(self):
        master, _, port = self.start_redis("master")
        self.fill_redis(master)
        self.start_control_plane()
        self.fill_control_plane()
        replica, _, _ = self.start_redis("replica")
        pairs = []
        for _ in range(self.args.pairs):
            replica.execute_command("replicaof", "no", "one")
            replica.flushall()
            started = time.monotonic()
            replica.execute_command("replicaof", "127.0.0.1", port)
            wait_for("the replica", lambda: replica.info("replication")["master_link_status"] == "up" and
                     replica.dbsize() == self.args.entries)
            peer = time.monotonic() - started
            started = time.monotonic()
            process, client, _, data = self.start_agent()
            self.wait_copy(client)
            ours = time.monotonic() - started
            assert client.dbsize() == self.args.entries
            self.stop(process)
            shutil.rmtree(data)
            pairs.append((ours, peer))
        return self.report(f"bootstrap of {self.args.entries} entries", "s", pairs, "less is better")

    def report(self, figure, unit, pairs, note):
        ratios = [a / b for a, b in pairs]
        return {"figure": figure, "unit": unit, "ours": statistics.median(a for a, _ in pairs),
                "peer": statistics.median(b for _, b in pairs), "ratio": statistics.median(ratios), "min": min(ratios),
                "max": max(ratios), "pairs": len(pairs), "note": note}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", choices=["get", "mget", "bootstrap"])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--json")
    args = parser.parse_args()
    rows = []
    for row in args.row or ["get", "mget", "bootstrap"]:
        bench = Bench(args)
        try:
            rows.append(getattr(bench, "row_" + row)())
        finally:
            bench.close()
        r = rows[-1]
        print(f"{r['figure']}: ours {r['ours']:.6g} {r['unit']}, Redis {r['peer']:.6g} {r['unit']}, ratio {r['ratio']:.3f} "
              f"({r['min']:.3f}–{r['max']:.3f}, {r['pairs']} pairs; {r['note']})", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
