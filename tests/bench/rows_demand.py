"""D1: an on-demand copy of which 1 % is read, against a whole copy of the same dataset."""
import pathlib
import urllib.request

import redis

from figures import absolute, compare, in_pairs, pick
from rows_read import load
from sides import KEY, SERVER_CORE, LOAD_CORE, pin, wait_for


def disk_bytes(data):
    return (pathlib.Path(data) / "data.mdb").stat().st_blocks * 512


def reads(agent):
    """By result: {"hit": 3, …}."""
    with urllib.request.urlopen(f"http://127.0.0.1:{agent[3]}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    counts = {}
    for line in lines:
        if line.startswith("tributary_agent_reads_total{"):
            result = line.split('result="')[1].split('"')[0]
            counts[result] = counts.get(result, 0) + float(line.rsplit(" ", 1)[1])
    return counts


def touch(agent, keys):
    """Reads each once; every reply must be a value."""
    client = redis.Redis(unix_socket_path=str(agent[1]), socket_timeout=60)
    for first in range(0, keys, 200):
        with client.pipeline(transaction=False) as pipe:
            for n in range(first, min(first + 200, keys)):
                pipe.execute_command("TRIB.GET", KEY % n, "TIMEOUT", "30000")
            if not all(pipe.execute()):
                raise SystemExit("bench: a key is missing in the on-demand copy")


def hits(sides, whole, part, keys, pipeline):
    words = ["--pipeline", pipeline, "--keys", keys]
    for agent in (whole, part):
        pin(agent[0], SERVER_CORE)
    pairs = in_pairs(sides.args.pairs,
                     lambda: load(sides, part[0], part[1], LOAD_CORE, *words),
                     lambda: load(sides, whole[0], whole[1], LOAD_CORE, *words))
    for agent in (whole, part):
        pin(agent[0], None)
    return compare("D1", f"GET hits on demand, pipeline {pipeline}; the peer is `replicate`",
                   "req/s", pick(pairs, "rate"), ">= 0.95 x")


def d1(sides):
    """On demand with 1 % of the keys read."""
    keys = max(sides.args.entries // 100, 1)
    whole = sides.agent()
    part = sides.start_agent(sides.control_plane()[1], subscribe="bench:onDemand")
    client = redis.Redis(unix_socket_path=str(part[1]), socket_timeout=60)
    wait_for("the on-demand copy", lambda: client.get(KEY % 0))
    touch(part, keys)
    figures = [hits(sides, whole, part, keys, pipeline) for pipeline in (1, 16)]
    before = reads(part)
    load(sides, part[0], part[1], LOAD_CORE, "--pipeline", 16, "--keys", keys)
    after = reads(part)
    grown = {result: count - before.get(result, 0) for result, count in after.items()}
    figures.append(absolute("D1", "hit ratio after each key was read once", "%",
                            [100 * grown.get("hit", 0) / max(sum(grown.values()), 1)], ">= 99 %"))
    figures.append(compare("D1", f"disk of an agent that reads {keys} of {sides.args.entries} "
                           "keys, to a whole copy's", "MB",
                           [(disk_bytes(part[2]) / 1e6, disk_bytes(whole[2]) / 1e6)], "<= 0.02 x"))
    sides.stop(part[0])
    return figures
