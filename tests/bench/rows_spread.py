"""P1, F1, F2, W1: how changes spread, and what that costs the server."""
import subprocess
import time

from figures import absolute, busy_note, compare, in_pairs, pick
from rows_read import load
from sides import LOAD_CORE, SERVER_CORE, anonymous_bytes, pin


def small_agent(sides):
    """A copy of what the small control plane holds."""
    def make():
        agent = sides.start_agent(sides.small_control_plane()[1])
        sides.wait_value(agent[1], "bench/key:%012d" % 0)
        return agent
    return sides.keep("small_agent", make)


def owner_agent(sides):
    def make():
        agent = sides.start_agent(sides.small_control_plane()[1], service="owner")
        sides.wait_value(agent[1], "bench/key:%012d" % 0)
        return agent
    return sides.keep("owner_agent", make)


def latency(sides, *words, rounds=None):
    return sides.tool("bench_grpc", "latency", "--rounds", rounds or sides.args.rounds,
                      "--keys", 1000, "--value-bytes", sides.args.value_bytes, *words, core=None)


def notices(sides, writer, reader):
    return sides.tool("bench_resp", "notice", "--writer", writer, "--reader", reader, "--rounds",
                      sides.args.rounds, "--value-bytes", sides.args.value_bytes, core=None)


def p1(sides):
    """Propagation: a durable write until it is readable at a subscriber."""
    pairs = sides.args.pairs
    address, agent = sides.small_control_plane()[1], small_agent(sides)
    (_, _, _, port), replica = sides.durable_redis()
    etcd = sides.etcd()[1]
    ours = lambda: latency(sides, "--address", address, "--reader", agent[1])
    redis = lambda: notices(sides, f"127.0.0.1:{port}", replica[2])
    direct = in_pairs(pairs, ours, redis)
    watch = in_pairs(pairs, lambda: latency(sides, "--address", address),
                     lambda: latency(sides, "--etcd", "--address", etcd))
    owner = owner_agent(sides)[1]
    socket = in_pairs(pairs, lambda: notices(sides, owner, agent[1]), redis)
    hops = {name: sorted(run[name] for run, _ in direct)[pairs // 2]
            for name in ("durable_p50_us", "delivered_p50_us", "p50_us")}
    note = (f"durable after {hops['durable_p50_us']:.0f} µs, at a stream after "
            f"{hops['delivered_p50_us']:.0f}, readable in an agent after {hops['p50_us']:.0f}")
    return [
        compare("P1", "put → readable at an agent, Redis (always) → replica: p50", "µs",
                pick(direct, "p50_us"), "<= 1.3 x", note),
        absolute("P1", "put → readable at an agent: p99", "µs",
                 [run["p99_us"] for run, _ in direct], "<= 1000 µs"),
        compare("P1", "SET at the owner's agent → readable at another, Redis (always): p50", "µs",
                pick(socket, "p50_us"), "", "one hop more than Redis has"),
        compare("P1", "put → subscriber's stream, etcd put → watch: p50", "µs",
                pick(watch, "p50_us"), "<= 0.7 x")]


def fanout(sides, process, *words):
    pin(process, SERVER_CORE)
    return sides.tool(*words, "--server-pid", process.pid, "--seconds", sides.args.seconds,
                      "--value-bytes", sides.args.value_bytes)


def fanout_pairs(sides, subscribers, rate=0, batch=100, pairs=None):
    server, address = sides.small_control_plane()
    redis = sides.keep("pubsub", lambda: sides.start_redis("pubsub"))
    words = ["--subscribers", subscribers, "--updates-a-second", rate, "--batch", batch]
    return in_pairs(pairs or sides.args.pairs, lambda: fanout(
        sides, server, "bench_grpc", "fanout", "--address", address, "--keys", 100000, *words),
        lambda: fanout(sides, redis[0], "bench_resp", "publish", "--address", redis[2], *words))


def f1(sides):
    """Fan-out: deliveries per second of the server's CPU."""
    name, figures = "deliveries_per_cpu_s", []
    few, many = (10, 20) if sides.args.tiny else (100, 500)
    for subscribers in (few, many):
        pairs = fanout_pairs(sides, subscribers)
        figures.append(compare("F1", f"deliveries/CPU-s, {subscribers} subscribers, full rate, "
                               "Redis PUBLISH", "/s", pick(pairs, name), ">= 1.3 x",
                               busy_note(pairs)))
    paced = fanout_pairs(sides, few, rate=2000, batch=1)
    figures.append(compare("F1", f"deliveries/CPU-s, {few} subscribers, 2,000 updates/s, "
                           "Redis PUBLISH", "/s", pick(paced, name), ">= 1 x", busy_note(paced)))
    (server, address), (etcd, etcd_address) = sides.small_control_plane(), sides.etcd()
    words = ["--subscribers", few, "--keys", 100000, "--batch", 100]
    pairs = in_pairs(sides.args.pairs, lambda: fanout(
        sides, server, "bench_grpc", "fanout", "--address", address, *words), lambda: fanout(
            sides, etcd, "bench_grpc", "fanout", "--etcd", "--address", etcd_address, *words))
    figures.append(compare("F1", f"deliveries/CPU-s, {few} subscribers, full rate, etcd watch",
                           "/s", pick(pairs, name), ">= 10 x", busy_note(pairs)))
    for process in (server, etcd, sides.kept["pubsub"][0]):
        pin(process, None)
    return figures


def hold(sides, address, subscribers):
    """Subscribers that have everything and stay."""
    process = subprocess.Popen(
        [str(sides.bin / "bench_grpc"), "hold", "--address", address, "--subscribers",
         str(subscribers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sides.running.append(process)
    if process.stdout.readline().strip() != "ready":
        raise SystemExit("bench: subscribers did not load everything")
    return process


def f2(sides):
    """Server memory per fully synced subscriber, over the whole dataset and over a small one."""
    figures, many = [], 5 if sides.args.tiny else 20
    for what, (server, address) in ((f"{sides.args.entries} entries", sides.control_plane()),
                                    ("a small dataset", sides.small_control_plane())):
        first = hold(sides, address, 2)  # what the server keeps for all has been made
        time.sleep(3)  # what first loads took is given back a second behind them
        before = anonymous_bytes(server)[0]
        rest = hold(sides, address, many)
        time.sleep(3)
        kib = max(anonymous_bytes(server)[0] - before, 0) / many / 1024
        for process in (first, rest):
            process.kill()
        figures.append(absolute("F2", f"server memory per synced subscriber of {what}", "KiB",
                                [kib], "<= 64 KiB", f"{many} subscribers"))
    return figures


def w1(sides):
    """Durable publishes a second, 50 writers."""
    owner, (redis, _) = owner_agent(sides), sides.durable_redis()
    figures = []
    for pipeline, goal in ((1, ">= 1 x"), (16, ">= 1 x")):
        words = ["--command", "set", "--pipeline", pipeline, "--keys", 10000, "--requests-made",
                 1 << 16]
        pairs = in_pairs(sides.args.pairs,
                         lambda: load(sides, owner[0], owner[1], LOAD_CORE, *words),
                         lambda: load(sides, redis[0], redis[2], LOAD_CORE, *words))
        p50 = [sorted(pair[i]["p50_us"] for pair in pairs)[len(pairs) // 2] for i in (0, 1)]
        figures.append(compare(
            "W1", f"SET at the owner's agent, 50 connections, pipeline {pipeline}, Redis (always)",
            "/s", pick(pairs, "rate"), goal, f"p50 {p50[0]:.0f} / {p50[1]:.0f} µs; "
            + busy_note(pairs)))
    etcd = sides.etcd()[1]
    pairs = in_pairs(sides.args.pairs, lambda: load(
        sides, owner[0], owner[1], LOAD_CORE, "--command", "set", "--keys", 10000,
        "--requests-made", 1 << 16), lambda: sides.tool(
            "bench_grpc", "puts", "--etcd", "--address", etcd, "--keys", 10000, "--writers", 50,
            "--seconds", sides.args.seconds, "--value-bytes", sides.args.value_bytes))
    figures.append(compare("W1", "the same at pipeline 1, etcd put", "/s", pick(pairs, "rate"),
                           ">= 3 x"))
    return figures
