"""What an agent may not have any more is gone from its disk within a minute: a raw search of its
files finds nothing, readers of the rest notice nothing, also when it is killed in the middle."""
import json
import pathlib
import threading

import pytest
import redis

from harness import dataset, eventually, refused, subscription

COUNT = 3000


def occurrences(agent, marker):
    """How often the bytes stand in any file of the agent's data directory."""
    found = 0
    for path in pathlib.Path(agent.options["data_dir"]).rglob("*"):
        try:
            found += path.read_bytes().count(marker.encode()) if path.is_file() else 0
        except FileNotFoundError:
            pass
    return found


class Rest(threading.Thread):
    """Reads what must stay, all the time."""

    def __init__(self, agent):
        super().__init__()
        self.agent, self.done, self.reads, self.faults = agent, threading.Event(), 0, []

    def run(self):
        client = self.agent.redis()
        while not self.done.is_set():
            try:
                value = client.get("kept/k")
            except redis.ConnectionError:
                continue  # killed, for the moment
            self.reads += 1
            if value != "stays":
                self.faults.append(value)

    def stop(self):
        self.done.set()
        self.join()
        assert self.reads and not self.faults, self.faults[:3]


@pytest.fixture
def two(world):
    """`web` with the datasets `secret` (values SECRET-…, small and large) and `kept`."""
    cp = world.control_plane()
    objects = {"secret": dataset("secret", "shop"), "kept": dataset("kept", "shop"),
               "sub": subscription("web-secret", "web", "secret"),
               "rest": subscription("web-kept", "web", "kept")}
    cp.objects = objects
    cp.declare(*objects.values())
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    for i in range(0, COUNT, 500):
        owner.mset({f"secret/{'eu' if n % 2 else 'us'}-KEY-{n}":
                    f"SECRET-{'eu' if n % 2 else 'us'}-{n}-" * (1 if n % 10 else 400)
                    for n in range(i, i + 500)})
    owner.set("kept/k", "stays")
    web = world.agent("web", cp).start().wait_synced("secret", "kept")
    eventually(lambda: web.copies()["secret"]["entries"] == COUNT)
    assert occurrences(web, "SECRET-") and occurrences(web, "-KEY-")
    for n in range(0, COUNT, 3):  # updates, so that the bytes have moved about
        owner.set(f"secret/us-KEY-{n - n % 2}", f"SECRET-us-{n}-again")
    return cp, web


def gone(web, *markers):
    eventually(lambda: not any(occurrences(web, marker) for marker in markers),
               "the bytes to be gone", seconds=60)
    assert "erased" in web.log.read_text()


@pytest.mark.parametrize("how", ["unsubscribed", "withdrawn", "deleted"])
def test_gone_from_the_disk(two, how):
    cp, web = two
    rest = Rest(web)
    rest.start()
    objects = dict(cp.objects)
    if how == "unsubscribed":
        del objects["sub"]
    elif how == "withdrawn":
        objects["secret"] = dataset("secret", "shop", ["somebody.else"])
    else:
        del objects["secret"]
    cp.declare(*objects.values())
    gone(web, "SECRET-", "-KEY-")
    code = {"unsubscribed": "NOTSUBSCRIBED", "withdrawn": "NOPERM", "deleted": "NODATASET"}[how]
    refused(code, web.redis().get, "secret/us-KEY-0")
    rest.stop()
    web.restart()  # what was rebuilt is a whole cache
    assert web.redis().get("kept/k") == "stays"
    if how == "withdrawn":
        cp.declare(*cp.objects.values())
        web.wait_synced("secret")
        assert web.copies()["secret"]["entries"] == COUNT


def test_a_narrower_prefix(two):
    cp, web = two
    rest = Rest(web)
    rest.start()
    cp.declare(*{**cp.objects, "sub": subscription("web-secret", "web", "secret",
                                                   prefix="eu-")}.values())
    gone(web, "SECRET-us-", "us-KEY-")
    eventually(lambda: web.copies()["secret"]["entries"] == COUNT // 2)
    assert web.redis().get("secret/eu-KEY-1") == "SECRET-eu-1-"
    refused("NOTSUBSCRIBED", web.redis().get, "secret/us-KEY-0")
    rest.stop()


def test_killed_in_the_middle(two, rng):
    cp, web = two
    rest = Rest(web)
    rest.start()
    objects = dict(cp.objects)
    del objects["sub"]
    cp.declare(*objects.values())
    eventually(lambda: "secret" not in web.copies())
    for _ in range(8):
        threading.Event().wait(rng.random() * 0.5)
        web.restart()
    gone(web, "SECRET-", "-KEY-")
    rest.stop()
    assert json.dumps(web.copies()["kept"])
