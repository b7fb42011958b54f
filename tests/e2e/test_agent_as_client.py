"""The real agent against a scripted server: the delta client's scenarios that concern the stream
and the process. The rules of the protocol itself: agent/xds/client_test.cc, foreign_test.cc."""
import os
import queue
import re
import time

import grpc
import pytest

from fake_ads import (ENTRY, PRICES, STATE, SUBSCRIPTION, FakeAds, Freezer, entry, resource)
from harness import BIN, eventually, refused


@pytest.fixture
def ads():
    ads = FakeAds()
    yield ads
    ads.stop()


def start(world, ads, name="web", **options):
    return world.agent("web", ads, name=name, subscribe="prices", **options).spawn()


def prices(**values):
    """One version for each value, so that a fake is as consistent as it must be."""
    return [resource(PRICES + key, f"v-{value[:40]}", entry(value))
            for key, value in values.items()]


def loaded(world, ads, **options):
    """An agent that has a=1, b=2 from a server without cursors; and its stream."""
    agent = start(world, ads, **options)
    stream = ads.accept()
    stream.take()
    stream.send(*prices(a="1", b="2"), nonce="load")
    assert stream.answer("load")
    eventually(lambda: agent.redis().get("prices/b") == "2")
    return agent, stream


def test_01_02_first_requests_and_an_acknowledgement(world, ads):
    agent = start(world, ads)
    stream = ads.accept()
    first = stream.requests.get(timeout=30)
    assert first.node == "web" and first.type == SUBSCRIPTION and not first.nonce
    assert "xds.config.supports-resource-ttl" in first.features
    state, entries = stream.take(STATE), stream.take(ENTRY)
    assert state.subscribe == ["xdstp:///tributary.v1.DatasetState/prices"]
    assert entries.subscribe == [PRICES + "*"] and not entries.known and not entries.nonce
    assert entries.node is None and not entries.unsubscribe
    refused("LOADING", agent.redis().get, "prices/a")
    stream.send(*prices(a="1"), nonce="n1")
    answer = stream.take()
    assert answer.nonce == "n1" and answer.error is None
    assert not answer.subscribe and not answer.unsubscribe and not answer.known
    eventually(lambda: agent.redis().get("prices/a") == "1")


def test_14_reconnects_later_and_later_with_all_it_holds(world, ads):
    agent, stream = loaded(world, ads)
    waits = []
    for _ in range(3):
        stream.end()
        ended = time.monotonic()
        stream = ads.accept()
        waits.append(time.monotonic() - ended)
        first = stream.requests.get(timeout=30)
        assert first.node == "web" and not first.nonce
    assert waits[0] >= 0.2 and sum(waits[1:]) > 0.7, waits  # jitter: half of 0.5, 1, 2 s at least
    entries = stream.take()
    assert entries.subscribe == [PRICES + "*"] and not entries.nonce
    assert entries.known == {"a": "v-1", "b": "v-2"}
    stream.send(*prices(a="3"), nonce="n")
    assert stream.answer("n") and agent.redis().get("prices/a") == "3"


def test_21_reads_go_on_without_a_server(world, ads):
    agent, stream = loaded(world, ads)
    ads.stop()
    eventually(lambda: not agent.copies() or "disconnected" in agent.log.read_text())
    assert agent.redis().mget("prices/a", "prices/b", "prices/c") == ["1", "2", None]
    agent.restart()
    assert agent.redis().mget("prices/a", "prices/b", "prices/c") == ["1", "2", None]


def test_15_16_killed_between_receiving_and_committing(world, ads):
    gate = world.dir / "gate"
    agent, stream = loaded(world, ads, env={"LD_PRELOAD": str(BIN / "slow_disk.so"),
                                            "SLOW_DISK_GATE": str(gate)})
    gate.touch()
    stream.send(*prices(a="new", c="new"), nonce="n")
    assert stream.silent(1), "acknowledged before it was stored"
    assert agent.redis().mget("prices/a", "prices/c") == ["1", None]
    agent.kill()
    gate.unlink()
    agent.start()
    stream = ads.accept()
    request = stream.take()
    assert request.known == {"a": "v-1", "b": "v-2"} and not request.nonce
    assert agent.redis().mget("prices/a", "prices/b", "prices/c") == ["1", "2", None]
    assert stream.silent()


def test_24_refused_versions(world, ads):
    agent, stream = loaded(world, ads)
    stream.end()
    stream = ads.accept()
    assert stream.take().known
    stream.end(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")
    stream = ads.accept()
    assert not stream.take().known
    stream.send(*prices(b="2", c="3"), nonce="n")
    assert stream.answer("n")
    assert agent.redis().get("prices/a") == "1", "the old copy serves"
    eventually(lambda: agent.redis().mget("prices/a", "prices/b", "prices/c") == [None, "2", "3"])


def peak_memory(agent):
    status = open(f"/proc/{agent.process.pid}/status").read()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def test_25_a_response_of_64_mib(world, ads):
    agent = start(world, ads)
    stream = ads.accept()
    stream.take()
    before, count = peak_memory(agent), 64 * 1024
    stream.send(*(resource(f"{PRICES}k{i:06}", "v1", entry(b"x" * 960)) for i in range(count)),
                nonce="n")
    assert stream.answer("n", seconds=60)
    assert peak_memory(agent) - before < 5 * 64 * 2**20
    eventually(lambda: agent.copies()["prices"]["entries"] == count)
    assert agent.redis().strlen(f"prices/k{count - 1:06}") == 960


def test_25_a_slow_disk_holds_the_server_back(world, ads):
    """Chunks are not read ahead of the disk, and each is acknowledged after its commit."""
    chunks, size = 100, 2**20
    agent = start(world, ads, env={"LD_PRELOAD": str(BIN / "slow_disk.so"), "SLOW_DISK_MS": "5"})
    stream = ads.accept()
    stream.take()
    before, body = peak_memory(agent), [entry(os.urandom(1000)) for _ in range(size // 1100)]
    for chunk in range(chunks):
        stream.send(*(resource(f"{PRICES}k{chunk:03}-{i:04}", "v1", value)
                      for i, value in enumerate(body)), nonce=f"n{chunk}")
    acknowledged = 0
    for chunk in range(chunks):
        assert stream.answer(f"n{chunk}", seconds=60)
        acknowledged += 1
    assert peak_memory(agent) - before < 64 * 2**20, "chunks are kept in memory"
    eventually(lambda: agent.copies()["prices"]["entries"] == chunks * len(body))
    stream.send(errors=[(PRICES + "*", 14)], nonce="unavailable")
    assert stream.answer("unavailable")
    assert agent.redis().strlen("prices/k099-0000") == 1000
    stream.send(errors=[(PRICES + "*", 5)], nonce="not found")
    assert stream.answer("not found")
    eventually(lambda: refused("NODATASET", agent.redis().get, "prices/k099-0000"))


def test_20_a_silent_server_and_a_dead_connection(world, ads):
    """Both take their time, so they share it: 15 s without an answer, 30 s without a ping's."""
    silent = start(world, ads, name="silent")
    ads.accept().take()
    relay = Freezer(ads.address)
    frozen = world.agent("web", relay.address, name="frozen", subscribe="prices").spawn()
    stream = ads.accept()
    stream.take()
    stream.send(*prices(a="1"), nonce="n")
    assert stream.answer("n")
    eventually(lambda: frozen.redis().get("prices/a") == "1")
    relay.frozen.set()
    eventually(lambda: "not answered for 15 s" in silent.copies()["prices"].get("note", ""),
               seconds=40)
    eventually(lambda: relay.accepted >= 2, "the agent to leave a dead connection", seconds=60)
    assert frozen.redis().get("prices/a") == "1"


def test_the_server_is_told_apart_by_what_it_calls_itself(shop, ads):
    """A copy of the control plane's resumes by cursor there, by versions at a stranger's."""
    shop.owner.redis().mset({"prices/a": "1", "prices/b": "2"})
    eventually(lambda: shop.web.redis().get("prices/b") == "2")
    shop.web.stop()
    shop.web.options["control_plane"] = ads.address
    shop.web.options["subscribe"] = "prices"
    shop.web.start()
    stream = ads.accept()
    stream.take(SUBSCRIPTION)
    with pytest.raises(queue.Empty):
        stream.take(seconds=1)
    stream.send(nonce="hello", type_url=SUBSCRIPTION)
    known = stream.take().known
    assert set(known) == {"a", "b"}, "cursors are for those who understand them"
    stream.send(nonce="n", removed=[PRICES + "a"])
    assert stream.answer("n")
    assert shop.web.redis().mget("prices/a", "prices/b") == [None, "2"]
