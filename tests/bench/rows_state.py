"""B1, M1, S1, C1: copies – how fast they come, what they cost, how they come back."""
import shutil
import time
import urllib.request

import redis

from figures import absolute, compare, in_pairs
from sides import KEY, anonymous_bytes, wait_for


def resync(sides, replica, port):
    """A Redis replica from nothing; seconds."""
    client = replica[1]
    client.execute_command("replicaof", "no", "one")
    client.flushall()
    everything = sides.args.entries + sides.args.large
    start = time.monotonic()
    client.execute_command("replicaof", "127.0.0.1", port)
    wait_for("the replica", lambda: client.dbsize() == everything and
             client.info("replication")["master_link_status"] == "up")
    return time.monotonic() - start


def new_copy(sides):
    """An agent from nothing, from the start of its process; seconds."""
    address, start = sides.control_plane()[1], time.monotonic()
    process, path, data, _ = agent = sides.start_agent(address)
    sides.wait_copy(agent)
    seconds = time.monotonic() - start
    sides.stop(process)
    shutil.rmtree(data)
    return seconds


def replica_of(sides):
    return sides.keep("replica", lambda: sides.start_redis("replica"))


def b1(sides):
    """Bootstrap: a new copy of all entries, until complete and readable."""
    port, replica = sides.redis()[3], replica_of(sides)
    sides.control_plane()
    pairs = in_pairs(sides.args.pairs, lambda: new_copy(sides),
                     lambda: resync(sides, replica, port))
    return [compare("B1", f"bootstrap of {sides.args.entries} entries, Redis full sync (diskless, "
                    "swapdb, no compression)", "s", pairs, "<= 0.35 x",
                    "ours with the start of the process")]


def m1(sides):
    """Memory that cannot be reclaimed, for a copy of all entries."""
    port, replica = sides.redis()[3], replica_of(sides)
    resync(sides, replica, port)
    peer, _ = anonymous_bytes(replica[0])
    figures = []
    for what, extra, goal in (("index at its default", [], "<= 0.5 x"),
                              ("no index", ["--index-bytes", "0"], "<= 0.05 x")):
        agent = sides.start_agent(sides.control_plane()[1], extra=extra)
        try:
            sides.wait_copy(agent)
            sides.tool("bench_resp", "load", "--address", agent[1], "--pipeline", 16, "--keys",
                       sides.args.entries, "--seconds", 3 if not sides.args.tiny else 0.1)
            ours, mapped = anonymous_bytes(agent[0])
        finally:
            if agent[0].poll() is None:
                sides.stop(agent[0])
        figures.append(compare("M1", f"anonymous memory of a copy, {what}", "MB",
                               [(ours / 1e6, peer / 1e6)], goal,
                               f"and {mapped / 1e6:.0f} MB of page cache mapped"))
    return figures


def s1(sides):
    """Restart until the first correct read."""
    loaded = sides.start_redis("restart")
    args = sides.args
    sides.tool("bench_resp", "fill", "--address", loaded[2], "--keys", args.entries,
               "--value-bytes",
               args.value_bytes)
    loaded[1].save()
    last = KEY % (args.entries - 1)
    agent = sides.wait_copy(sides.start_agent(sides.control_plane()[1]))
    sides.stop(agent[0])

    def ours():
        start = time.monotonic()
        process, path, _, _ = sides.start_agent(sides.control_plane()[1], data=agent[2])
        sides.wait_value(path, last)
        seconds = time.monotonic() - start
        sides.stop(process)
        return 1000 * seconds

    def peer():
        nonlocal loaded
        if loaded[0].poll() is None:
            loaded[0].kill()
            loaded[0].wait()
        start = time.monotonic()
        sides.serial += 1
        path = sides.dir / f"restart{sides.serial}.sock"
        process = sides.spawn("restart", ["redis-server", "--port", 0, "--unixsocket", path,
                                          "--save", "", "--dir", sides.dir, "--dbfilename",
                                          "restart.rdb"])
        sides.wait_value(path, last)
        loaded = (process,)
        return 1000 * (time.monotonic() - start)

    pairs = in_pairs(args.pairs, ours, peer)
    loaded[0].kill()
    return [compare("S1", "restart → first correct read, Redis RDB load", "ms", pairs,
                    "<= 0.05 x"),
            absolute("S1", "restart → first correct read", "ms", [a for a, _ in pairs],
                     "<= 30 ms")]


def bytes_in(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith("tributary_agent_bytes_in_total"))


def c1(sides):
    """Resume after 10,000 changes (1 % in a small run), against a full sync of Redis."""
    args = sides.args
    changes = min(10000, args.entries // 100)
    address = sides.control_plane()[1]
    agent = sides.wait_copy(sides.start_agent(address))
    sides.stop(agent[0])
    port, replica = sides.redis()[3], replica_of(sides)
    probe, size = KEY % (changes - 1), []

    def ours():
        sides.tool("bench_grpc", "fill", "--address", address, "--keys", changes, "--value-bytes",
                   args.value_bytes + len(size) + 1)
        size.append(args.value_bytes + len(size) + 1)
        start = time.monotonic()
        process, path, _, admin = sides.start_agent(address, data=agent[2])
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=60)
        wait_for("the changes", lambda: client.strlen(probe) == size[-1])
        seconds = time.monotonic() - start
        crossed.append(bytes_in(admin))
        sides.stop(process)
        return seconds

    crossed = []
    pairs = in_pairs(args.pairs, ours, lambda: resync(sides, replica, port))
    payload = [got / (changes * (16 + value)) for got, value in zip(crossed, size)]
    return [compare("C1", f"resume after {changes} changes, Redis full sync", "s", pairs,
                    "<= 0.1 x", "ours with the start of the process"),
            absolute("C1", "bytes received / keys and values changed", "x", payload, "<= 1.5 x")]
