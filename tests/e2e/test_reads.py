"""What reads promise: strong, bounded, by token, after one's own write, and while modes change.

TRIBUTARY_TRIES sets how many token reads are tried (100000 for the whole proof) and
TRIBUTARY_SECONDS how long strong histories are recorded.
"""
import json
import os
import random
import signal
import threading
import time

import pytest
import redis

import harness
from harness import dataset, eventually, http, refused, subscription
from linearizable import END, Operation, violations
from links import Link

TRIES = int(os.environ.get("TRIBUTARY_TRIES", "300"))
WRITERS = 8  # who try at a time
SECONDS = float(os.environ.get("TRIBUTARY_SECONDS", "6"))
FAILURES = (redis.RedisError, OSError)


def declare(cp, mode="replicate", service="web", name="web-prices", **consistency):
    spec = {"mode": mode, **({"consistency": consistency} if consistency else {})}
    cp.declare(dataset("prices", "shop", ["*"]), subscription(name, service, "prices", **spec))


# --- modes --------------------------------------------------------------------------------------


def test_read_through(world):
    cp = world.control_plane()
    declare(cp, mode="readThrough")
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start()
    client = web.redis()
    eventually(lambda: web.copies()["prices"]["state"] == "READTHROUGH")
    for i in range(200):
        owner.set("prices/a", i)
        assert client.get("prices/a") == str(i)
    assert client.mget("prices/a", "prices/none") == ["199", None]
    assert client.exists("prices/a", "prices/none") == 1 and client.strlen("prices/a") == 3
    value, revision, age, source = client.execute_command("TRIB.GET", "prices/a", "WITHMETA")
    assert (value, source) == ("199", "control-plane") and revision > 0 and age >= 0
    with client.pipeline(transaction=False) as pipe:
        for i in range(500):
            pipe.get("prices/a" if i % 2 else f"prices/no{i}")
        assert pipe.execute() == [None, "199"] * 250
    assert http(web.admin, "/ready")[0] == 200
    cp.stop()
    started = time.monotonic()
    refused("UNAVAILABLE", client.get, "prices/a")
    assert time.monotonic() - started < 5
    cp.start()
    assert eventually(lambda: client.get("prices/a")) == "199"


def test_modes_change_while_clients_read(world):
    cp = world.control_plane()
    declare(cp)
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    owner.mset({f"prices/{i}": "x" for i in range(500)})
    web = world.agent("web", cp).start().wait_synced("prices")
    wrong, ended = [], threading.Event()

    def read():
        client, random_key = web.redis(), random.Random(1)
        while not ended.is_set():
            try:
                value = client.get(f"prices/{random_key.randrange(500)}")
            except FAILURES as error:
                value = error
            if value != "x":
                wrong.append(value)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for mode in ("readThrough", "replicate", "onDemand", "readThrough", "onDemand",
                     "replicate") * 2:
            state = "READTHROUGH" if mode == "readThrough" else "SYNCED"
            declare(cp, mode=mode)
            eventually(lambda: web.copies()["prices"]["mode"] == mode
                       and web.copies()["prices"]["state"] == state)
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert not wrong, wrong[:5]


# --- freshness ----------------------------------------------------------------------------------


def test_a_control_plane_that_falls_silent(world):
    cp = world.control_plane()
    declare(cp)
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    owner.set("prices/a", "1")
    web = world.agent("web", cp).start().wait_synced("prices")
    client, bound = web.redis(), 2000
    ask = ("TRIB.GET", "prices/a", "MAXSTALE", bound)
    eventually(lambda: client.execute_command(*ask) == "1")
    strict = web.redis()
    strict = redis.Redis(connection_pool=redis.ConnectionPool(
        connection_class=redis.UnixDomainSocketConnection, path=str(web.socket),
        max_connections=1, decode_responses=True))
    strict.execute_command("TRIB.CONSISTENCY", "BOUNDED", bound)
    assert strict.get("prices/a") == "1"
    cp.process.send_signal(signal.SIGSTOP)
    silent = time.monotonic()
    try:
        message = eventually(lambda: refused("STALE", client.execute_command, *ask))
        took = time.monotonic() - silent
        assert took < bound / 1000 + 1 + 2, f"{took:.1f} s"  # 2 s for a busy machine
        words = message.split()
        behind, limit = int(words[words.index("behind") + 1]), int(words[words.index("bound") + 1])
        assert limit == bound and behind > bound
        refused("STALE", strict.get, "prices/a")
        refused("STALE", strict.mget, "prices/a", "prices/b")
        assert client.get("prices/a") == "1"  # asks for nothing
        eventually(lambda: web.copies()["prices"]["state"] == "STALE")
        assert web.copies()["prices"]["age_ms"] > bound
        age = [value for name, value in web.metrics().items()
               if name.startswith("tributary_agent_copy_age_seconds")]
        assert age[0] > bound / 1000
        code, text = http(web.admin, "/ready")
        assert code == 200 and "prices is STALE" in text
        refused("TIMEOUT", client.execute_command, "TRIB.GET", "prices/a", "STRONG", "TIMEOUT", 300)
        assert client.get("prices/a") == "1"
    finally:
        cp.process.send_signal(signal.SIGCONT)
    eventually(lambda: client.execute_command(*ask) == "1")
    eventually(lambda: web.synced("prices"))


def test_consistency_of_a_subscription(world):
    cp = world.control_plane()
    declare(cp, level="bounded", maxStaleness="1s", onStale="error")
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    owner.set("prices/a", "1")
    web = world.agent("web", cp, freshness_interval="100ms").start()
    client = web.redis()
    eventually(lambda: client.get("prices/a") == "1")
    cp.stop()
    eventually(lambda: refused("STALE", client.get, "prices/a"))
    cp.start()
    eventually(lambda: client.get("prices/a") == "1")
    declare(cp, level="bounded", maxStaleness="1s", onStale="serve")
    eventually(lambda: web.redis().execute_command("TRIB.STATUS", "prices") and
               json.loads(http(web.admin, "/datasets")[1])["datasets"][0]["consistency"]
               ["on_stale"] == "serve")
    cp.stop()
    eventually(lambda: web.copies()["prices"]["state"] == "STALE")
    assert client.get("prices/a") == "1"


def test_strong_subscription(world):
    cp = world.control_plane()
    declare(cp, level="strong")
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start().wait_synced("prices")
    for i in range(100):
        owner.set("prices/a", i)
        assert web.redis().get("prices/a") == str(i)


# --- tokens -------------------------------------------------------------------------------------


def test_own_writes_are_seen_at_once_on_every_connection(world):
    cp = world.control_plane()
    declare(cp, service="shop")
    cp.start()
    agent = world.agent("shop", cp).start().wait_synced("prices")
    clients = [agent.redis() for _ in range(4)]
    for i in range(400):
        clients[i % 4].set(f"prices/{i % 7}", i)
        assert clients[(i + 1) % 4].get(f"prices/{i % 7}") == str(i)
    clients[0].delete("prices/3")
    assert clients[1].get("prices/3") is None
    started = time.monotonic()
    assert clients[0].delete("prices/never") == 0  # changes nothing: nothing to wait for
    assert time.monotonic() - started < 2.5


def test_tokens_and_waits(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    one = owner.client()
    one.set("prices/a", "0")
    first = one.execute_command("TRIB.LASTREV")
    one.set("prices/a", "1")
    assert one.execute_command("TRIB.LASTREV") != first
    token = one.execute_command("TRIB.LASTREV")
    epoch, revision = token.split(".")
    assert web.execute_command("TRIB.WAIT", "prices", token, 5000) == "OK"
    assert web.execute_command("TRIB.GET", "prices/a", "MINREV", token) == "1"
    assert web.execute_command("TRIB.GET", "prices/a", "MINREV", revision) == "1"
    later = f"{epoch}.{int(revision) + 1000}"
    refused("TIMEOUT", web.execute_command, "TRIB.GET", "prices/a", "MINREV", later, "TIMEOUT", 100)
    refused("TIMEOUT", web.execute_command, "TRIB.WAIT", "prices", later, 100)
    other = "%012x.%s" % (int(epoch, 16) ^ 1, revision)
    with pytest.raises(redis.ResponseError, match="another epoch"):
        web.execute_command("TRIB.GET", "prices/a", "MINREV", other)
    for bad in ("x", "-1", "1.2", ""):
        with pytest.raises(redis.ResponseError):
            web.execute_command("TRIB.GET", "prices/a", "MINREV", bad)


class Trial:
    """Three agents read, by token, what an owner has just written; meanwhile things break."""

    def __init__(self, world, rng):
        self.rng, self.cp = rng, world.control_plane()
        self.cp.declare(dataset("prices", "shop", ["*"]),
                        *[subscription(f"w{i}", f"web{i}", "prices") for i in range(3)])
        self.cp.start()
        self.links = [Link(self.cp.address) for _ in range(3)]
        self.owner = world.agent("shop", self.cp).start()
        self.webs = [world.agent(f"web{i}", self.links[i].address, name=f"web{i}").start()
                     for i in range(3)]
        for web in self.webs:
            web.wait_synced("prices")
        self.count, self.answers, self.failures, self.wrong = iter(range(TRIES)), [], [], []
        self.clients = [web.redis() for web in self.webs]
        self.one_at_a_time = threading.Lock()

    def work(self, number):
        """One of the writers: each has keys of its own, so that it knows what is newest."""
        writer, rng = self.owner.redis().client(), random.Random(self.rng.random())
        every = max(TRIES // 25, 50)
        for i in self.count:  # next() of a range is atomic
            self.once(writer, f"prices/{number}-{rng.randrange(10)}", i, rng)
            if i % every == every - 1:
                with self.one_at_a_time:
                    self.disturb()
            elif i % every == every // 3:
                for link in self.links:
                    link.mend()

    def once(self, writer, key, value, rng):
        try:
            writer.set(key, value)
            token = writer.execute_command("TRIB.LASTREV")
            got = rng.choice(self.clients).execute_command(
                "TRIB.GET", key, "MINREV", token, "TIMEOUT", 300)
        except FAILURES as error:
            return self.failures.append(error)
        self.answers.append(value)
        if got is None or int(got) < value:
            self.wrong.append((key, value, got, token))

    def disturb(self):
        what = self.rng.choice(["cut", "freeze", "mend", "mend", "restart", "kill"])
        link = self.rng.choice(self.links)
        if what in ("cut", "freeze", "mend"):
            getattr(link, what)()
        elif what == "restart":
            self.rng.choice(self.webs).restart()
        else:
            self.cp.restart()


def test_tokens_hold_while_things_break(world, rng):
    trial = Trial(world, rng)
    threads = [threading.Thread(target=trial.work, args=(i,)) for i in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers, failures, wrong = len(trial.answers), len(trial.failures), trial.wrong
    print(f"{TRIES} tries, {answers} answers, {failures} failures, {len(wrong)} violations")
    assert not wrong, wrong[:5]
    assert answers + failures == TRIES and answers > TRIES / 4
    for link in trial.links:
        link.close()


# --- strong histories ---------------------------------------------------------------------------


def test_the_checker_itself():
    def op(value, is_write, begin, end):
        return Operation(value, is_write, begin, end)
    good = [op(1, True, 0, 2), op(1, False, 1, 3), op(2, True, 4, END), op(1, False, 4, 5),
            op(2, False, 6, 7), op(3, True, 4, END)]
    assert violations(good) == []
    assert violations([op(1, True, 0, 1), op(None, False, 2, 3)])  # a lost write
    assert violations([op(1, True, 0, 1), op(2, True, 2, 3), op(1, False, 4, 5)])  # stale
    assert violations([op(1, True, 0, 9), op(1, False, 1, 2), op(None, False, 3, 4)])  # back again
    assert violations([op(1, False, 0, 1), op(1, True, 2, 3)])  # from the future
    assert violations([op(7, False, 0, 1)])  # from nowhere
    assert violations([op(1, True, 0, 1), op(2, True, 2, 3), op(1, False, 2.5, 6),
                       op(2, False, 4, 5)]) == []


class History:
    def __init__(self, keys):
        self.lock, self.operations = threading.Lock(), {key: [] for key in keys}
        self.next, self.failures = 0, 0

    def value(self):
        with self.lock:
            self.next += 1
            return str(self.next)

    def note(self, key, value, is_write, begin, end):
        with self.lock:
            self.operations[key].append(Operation(value, is_write, begin, end))

    def write(self, client, key):
        value, begin = self.value(), time.monotonic()
        try:
            client.set(key, value)
        except FAILURES:
            self.failures += 1
            return self.note(key, value, True, begin, END)
        self.note(key, value, True, begin, time.monotonic())

    def read(self, client, key, *command):
        begin = time.monotonic()
        try:
            value = client.execute_command(*command)
        except FAILURES:
            self.failures += 1
            return
        self.note(key, value, False, begin, time.monotonic())


def test_strong_reads_are_linearizable_while_things_break(world, rng):
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop", ["*"]),
               subscription("w0", "web0", "prices"),
               subscription("w1", "web1", "prices", mode="readThrough"))
    cp.start()
    links = [Link(cp.address) for _ in range(2)]
    owners = [world.agent("shop", cp, name=f"shop{i}").start() for i in range(2)]
    webs = [world.agent(f"web{i}", links[i].address).start() for i in range(2)]
    webs[0].wait_synced("prices")
    eventually(lambda: "prices" in webs[1].copies())
    keys = [f"prices/{i}" for i in range(4)]
    history, ended = History(keys), threading.Event()

    def work(seed, agent, act):
        mine, client = random.Random(seed), agent.redis()
        while not ended.is_set():
            act(client, mine.choice(keys))
            time.sleep(mine.random() * 0.01)

    def strong(client, key):
        history.read(client, key, "TRIB.GET", key, "STRONG", "TIMEOUT", "400")

    def through(client, key):
        history.read(client, key, "GET", key)

    jobs = [(owners[0], history.write), (owners[1], history.write), (webs[0], strong),
            (webs[0], strong), (webs[1], through), (webs[1], through)]
    threads = [threading.Thread(target=work, args=(rng.random(), *job)) for job in jobs]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(rng.random() * 0.8)
        what = rng.choice(["kill", "cut", "freeze", "mend", "mend"])
        cp.restart() if what == "kill" else getattr(rng.choice(links), what)()
    for link in links:
        link.mend()
    ended.set()
    for thread in threads:
        thread.join()
    count = sum(map(len, history.operations.values()))
    reads = sum(not o.is_write for ops in history.operations.values() for o in ops)
    print(f"{count} operations, {reads} of them reads, {history.failures} failures")
    assert reads > 20
    for key, operations in history.operations.items():
        assert violations(operations) == [], key
    for link in links:
        link.close()
