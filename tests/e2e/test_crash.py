"""SIGKILL at random points under load: acknowledged writes stay, copies end equal, reads go on.

Four owners write without pause, each to its own keys, and note what was acknowledged. Meanwhile
the control plane and the agents are killed KILLS times. Per key the end state must be the newest
acknowledged write, or a later one whose answer was lost. Values of one key carry a growing number,
so a reader also sees that no value ever goes back.
"""
import threading
import time

import redis

from harness import dataset, eventually, subscription

KILLS = 200
KEYS = 40


class Writer(threading.Thread):
    """Writes batches of all its keys, one number a batch; knows which numbers were acknowledged."""

    def __init__(self, agent, name):
        super().__init__()
        self.agent, self.name_, self.done = agent, name, threading.Event()
        self.sent = self.acknowledged = 0
        self.lost_answers = 0

    def run(self):
        client = self.agent.redis()
        while not self.done.is_set():
            self.sent += 1
            try:
                client.mset({f"load/{self.name_}-{k}": str(self.sent) for k in range(KEYS)})
                self.acknowledged = self.sent
            except redis.RedisError:
                self.lost_answers += 1
                time.sleep(0.01)


class Watcher(threading.Thread):
    """Reads one writer's keys from one agent: no mix within a batch, no step back."""

    def __init__(self, agent, name):
        super().__init__()
        self.agent, self.name_, self.done = agent, name, threading.Event()
        self.faults, self.reads, self.newest = [], 0, 0

    def run(self):
        client = self.agent.redis()
        keys = [f"load/{self.name_}-{k}" for k in range(KEYS)]
        while not self.done.is_set():
            try:
                values = client.mget(keys)
            except redis.RedisError:
                time.sleep(0.01)
                continue
            self.reads += 1
            if values[0] is None and self.newest == 0:
                continue
            if len(set(values)) != 1 or int(values[0]) < self.newest:
                self.faults.append((self.newest, set(values)))
            self.newest = max(self.newest, int(values[0] or 0))


def test_killed_at_random_points(world, rng):
    cp = world.control_plane()
    cp.declare(dataset("load", "shop"), subscription("web", "web", "load"),
               subscription("part", "part", "load", prefix="w1-"))
    cp.start()
    owners = [world.agent("shop", cp, name=f"shop{i}").start() for i in range(2)]
    web, part = world.agent("web", cp).start(), world.agent("part", cp).start()
    web.wait_synced("load"), part.wait_synced("load")
    writers = [Writer(owners[i % 2], f"w{i}") for i in range(4)]
    watchers = [Watcher(web, "w0"), Watcher(part, "w1")]
    for thread in writers + watchers:
        thread.start()
    kills = {}
    try:
        for _ in range(KILLS):
            victim = rng.choice([cp, cp, web, web, part, owners[0]])
            kills[victim.name] = kills.get(victim.name, 0) + 1
            time.sleep(rng.random() ** 2 * 0.25)
            victim.kill()
            time.sleep(rng.random() ** 3 * 0.1)
            victim.start()
        for writer in writers:
            before = writer.acknowledged
            eventually(lambda: writer.acknowledged > before, "writes to go on after the last kill")
    finally:
        for thread in writers + watchers:
            thread.done.set()
            thread.join()
    lost = sum(w.lost_answers for w in writers)
    print(f"kills {kills}, batches {[w.acknowledged for w in writers]}, refused or unknown {lost},"
          f" reads {[w.reads for w in watchers]}")
    check_end_state(world, cp, web, part, writers)
    for watcher in watchers:
        assert watcher.reads > 100 and not watcher.faults, watcher.faults[:3]


def check_end_state(world, cp, web, part, writers):
    fresh = world.agent("web", cp, name="fresh").start().wait_synced("load")
    truth = fresh.read_all("load")
    for writer in writers:
        numbers = {truth[f"{writer.name_}-{k}"] for k in range(KEYS)}
        assert len(numbers) == 1, (writer.name_, numbers)
        assert writer.acknowledged <= int(numbers.pop()) <= writer.sent
    eventually(lambda: web.read_all("load") == truth, "the killed copy to equal a fresh one")
    mine = {key: value for key, value in truth.items() if key.startswith("w1-")}
    eventually(lambda: part.read_all("load") == mine, "the prefix copy to equal its part")
    eventually(lambda: web.copies()["load"]["digest"] == fresh.copies()["load"]["digest"])


def test_killed_during_a_first_load(world, rng):
    cp = world.control_plane()
    cp.declare(dataset("big", "shop"), subscription("web", "web", "big"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    count = 60_000
    for i in range(0, count, 6000):
        owner.mset({f"big/{j:06}": "v" * 100 for j in range(i, i + 6000)})
    web = world.agent("web", cp).start()
    for _ in range(10):
        time.sleep(rng.random() * 0.1)
        victim = rng.choice([web, web, cp])
        victim.restart()
        owner.set("big/000000", "changed") if victim is web else None
    web.wait_synced("big")
    eventually(lambda: web.redis().dbsize() == count)
    fresh = world.agent("web", cp, name="fresh").start().wait_synced("big")
    assert web.read_all("big") == fresh.read_all("big")
