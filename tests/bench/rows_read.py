"""R1–R5: reads over the Unix socket, an agent against Redis, both with the same entries."""
import csv
import io
import os
import subprocess

from figures import absolute, busy_note, compare, in_pairs, pick
from sides import LOAD_CORE, SERVER_CORE, cpu_seconds, pin


def check(sides):
    """The replies are the same, byte for byte; else nothing is timed."""
    args = sides.args
    sides.tool("bench_resp", "check", "--ours", sides.agent()[1], "--peer", sides.redis()[2],
               "--keys", args.entries, "--large-keys", args.large, "--commands", args.checks)


def load(sides, process, path, core, *words):
    args, before = sides.args, cpu_seconds(process)
    keys = [] if "--keys" in words else ["--keys", args.entries]
    result = sides.tool("bench_resp", "load", "--address", path, "--seconds", args.seconds,
                        "--value-bytes", args.value_bytes, *keys, *words, core=core)
    if result["errors"]:
        raise SystemExit(f"bench: {path}: {result['errors']} errors, first {result['error']}")
    used = cpu_seconds(process) - before
    result["server_ns"] = 1e9 * used / max(result["requests"], 1)
    return result


def pairs_of(sides, words, core=LOAD_CORE):
    sides.keep("checked", lambda: check(sides) or True)
    agent, redis = sides.agent(), sides.redis()
    for process in (agent[0], redis[0]):
        pin(process, SERVER_CORE)
    try:
        return in_pairs(sides.args.pairs,
                        lambda: load(sides, agent[0], agent[1], core, *words),
                        lambda: load(sides, redis[0], redis[2], core, *words))
    finally:
        for process in (agent[0], redis[0]):
            pin(process, None)


def redis_benchmark(sides, pipeline, words):
    """The usual tool beside ours: how its ratio comes out. It is often the bound itself."""
    rates = []
    for path in (sides.agent()[1], sides.redis()[2]):
        argv = ["redis-benchmark", "-s", path, "-c", 50, "-P", pipeline, "-n",
                sides.args.requests * (1 if pipeline == 1 else 4), "-r", sides.args.entries,
                "--csv", *words]
        out = subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True,
                             preexec_fn=lambda: os.sched_setaffinity(
                                 0, {LOAD_CORE % os.cpu_count()})).stdout
        rates.append(float(list(csv.reader(io.StringIO(out)))[-1][1]))
    return f"redis-benchmark shows {rates[0] / rates[1]:.2f}"


def rate_row(sides, row, figure, goal, words, beside):
    pairs = pairs_of(sides, words)
    cpu = [sum(side[i]["server_ns"] for side in pairs) / len(pairs) for i in (0, 1)]
    note = f"{busy_note(pairs)}; server {cpu[0]:.0f} / {cpu[1]:.0f} ns a request; {beside}"
    return [compare(row, figure, "req/s", pick(pairs, "rate"), goal, note)], pairs


def r1(sides):
    """GET, pipeline 1, 50 connections."""
    name = "GET, 50 connections, pipeline 1"
    beside = redis_benchmark(sides, 1, ["get", "bench/key:__rand_int__"])
    figures, pairs = rate_row(sides, "R1", name, ">= 1.35 x", ["--pipeline", 1], beside)
    return figures + [compare("R1", f"{name}: p99", "µs", pick(pairs, "p99_us"), "<= 1 x"),
                      compare("R1", f"{name}: p50", "µs", pick(pairs, "p50_us"))] + updates(sides)


def updates(sides):
    """Our reads while 10,000 changes a second are applied, against our own idle reads."""
    agent, address = sides.agent(), sides.control_plane()[1]
    pairs = []
    for _ in range(min(sides.args.pairs, 3)):
        idle = load(sides, agent[0], agent[1], LOAD_CORE)
        writer = sides.spawn("updates", [
            sides.bin / "bench_grpc", "updates", "--address", address, "--keys",
            sides.args.entries, "--updates-a-second", 10000, "--batch", 10, "--seconds",
            sides.args.seconds + 0.5])
        pairs.append((load(sides, agent[0], agent[1], LOAD_CORE), idle))
        writer.wait()
    return [compare("R1", "GET with 10,000 changes/s against idle: p99", "µs",
                    pick(pairs, "p99_us"), "", "all of it shares two cores"),
            absolute("R1", "GET with 10,000 changes/s: longest", "µs",
                     [busy["max_us"] for busy, _ in pairs])]


def r2(sides):
    """GET, pipeline 16."""
    beside = redis_benchmark(sides, 16, ["get", "bench/key:__rand_int__"])
    return rate_row(sides, "R2", "GET, 50 connections, pipeline 16", ">= 4 x",
                    ["--pipeline", 16], beside)[0]


def r3(sides):
    """GET, pipeline 64."""
    beside = redis_benchmark(sides, 64, ["get", "bench/key:__rand_int__"])
    return rate_row(sides, "R3", "GET, 50 connections, pipeline 64", ">= 7 x",
                    ["--pipeline", 64], beside)[0]


def r4(sides):
    """MGET of 100 random keys."""
    words = ["mget"] + ["bench/key:__rand_int__"] * 100
    beside = redis_benchmark(sides, 1, words) if not sides.args.tiny else "–"
    return rate_row(sides, "R4", "MGET of 100 keys, 50 connections", ">= 7 x",
                    ["--command", "mget"], beside)[0]


def r5(sides):
    """One connection, pipeline 1, on the server's core: round trip."""
    pairs = pairs_of(sides, ["--connections", 1], core=SERVER_CORE)
    return [compare("R5", "GET, 1 connection, same core: p50", "µs", pick(pairs, "p50_us"),
                    "<= 0.85 x")]
