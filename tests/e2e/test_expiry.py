"""Entries that expire: absent to everybody from one instant of the control plane's clock on."""
import threading
import time

from harness import BIN, dataset, eventually, subscription
from links import Link

SLACK = 0.25  # how far an agent's idea of the control plane's clock may be off on a busy machine


def wrong_by(millis):
    """The environment of a program on a host whose clock is wrong."""
    return {"LD_PRELOAD": str(BIN / "libwrong_clock.so"), "WRONG_CLOCK_MS": str(millis)}


def test_an_entry_is_absent_everywhere_from_its_instant_on(world, owner):
    """The clocks of the agents' hosts are wrong by an hour."""
    agents = [owner]
    for i, millis in enumerate((-3_600_000, 3_600_000)):
        agents.append(world.agent("web", owner.cp, name=f"web-{i}", instance=f"web-{i}",
                                  env=wrong_by(millis)).start().wait_synced("prices"))
        shown = agents[-1].redis().time()[0]
        assert abs(shown - time.time() - millis / 1000) < 60, "or the test tests nothing"
        ahead = agents[-1].metrics()["tributary_agent_clock_ahead_seconds"]
        assert abs(ahead - millis / 1000) < 1
    writer = owner.redis()
    writer.set("prices/stays", "x")
    writer.set("prices/k", "x", px=5000)
    at = writer.execute_command("PEXPIRETIME", "prices/k") / 1000
    early, late, seen, ended = [], [], [], threading.Event()

    def watch(agent):
        client = agent.redis()
        eventually(lambda: client.exists("prices/k"))
        seen.append(agent.name)
        while not ended.is_set():
            asked = time.time()
            there = [client.get("prices/k"), client.mget("prices/k")[0],
                     client.exists("prices/k") or None,
                     "prices/k" in client.keys("prices/*") or None,
                     client.ttl("prices/k") + 2 or None]
            told = time.time()
            if asked > at + SLACK and any(one is not None for one in there):
                late.append((agent.name, asked - at, there))
            if told < at - SLACK and any(one is None for one in there):
                early.append((agent.name, told - at, there))

    threads = [threading.Thread(target=watch, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    eventually(lambda: time.time() > at + 1.5)
    ended.set()
    for thread in threads:
        thread.join()
    assert len(seen) == 3 and not early and not late, (seen, early[:3], late[:3])
    for agent in agents:  # and the tombstone comes
        eventually(lambda: agent.redis().dbsize() == 1)
        assert agent.redis().keys("prices/*") == ["prices/stays"]


def test_expiry_needs_no_control_plane(world, owner):
    link = Link(owner.cp.address)
    web = world.agent("web", link.address).start().wait_synced("prices")
    owner.redis().set("prices/k", "x", px=5000)
    client = web.redis()
    eventually(lambda: client.get("prices/k") == "x")
    link.freeze()
    at = client.execute_command("PEXPIRETIME", "prices/k") / 1000
    eventually(lambda: time.time() > at + SLACK)
    assert client.get("prices/k") is None and client.ttl("prices/k") == -2
    assert client.scan(match="prices/*")[1] == [] and client.randomkey() is None
    assert client.dbsize() == 1, "its tombstone cannot have come"
    link.mend()
    eventually(lambda: client.dbsize() == 0)
    link.close()


def test_a_notice_tells_when_an_entry_has_expired(world, owner):
    web = world.agent("web", owner.cp).start().wait_synced("prices")
    with web.redis().pubsub() as notices:
        notices.psubscribe("__keyevent@0__:*")
        notices.get_message(timeout=10)
        owner.redis().set("prices/k", "x", px=300)

        def next_notice():
            message = notices.get_message(timeout=10)
            return message and (message["channel"], message["data"])

        assert eventually(next_notice) == ("__keyevent@0__:set", "prices/k")
        assert eventually(next_notice) == ("__keyevent@0__:del", "prices/k")
    client = owner.redis()
    assert client.set("prices/k", "y", nx=True) is True, "absent to conditions as well"
    assert client.set("prices/k", "z", nx=True) is None and client.get("prices/k") == "y"


def test_the_clock_of_the_control_plane_counts(world):
    """It is a day ahead of everybody; then it is set right, and agents follow."""
    cp = world.control_plane(env=wrong_by(86_400_000))
    cp.declare(dataset("prices", "shop", ["*"]), subscription("own", "shop", "prices"))
    cp.start()
    agent = world.agent("shop", cp).start().wait_synced("prices")
    client = agent.redis()
    client.set("prices/k", "x", ex=1000)
    assert 900 < client.ttl("prices/k") <= 1000
    at = client.execute_command("EXPIRETIME", "prices/k")
    assert abs(at - time.time() - 87_400) < 60
    assert client.set("prices/past", "x", exat=int(time.time()) + 3600) is True
    assert client.exists("prices/past") == 0
    cp.env = {}
    cp.restart()
    eventually(lambda: abs(client.ttl("prices/k") - 87_400) < 60)
    assert client.set("prices/past", "x", exat=int(time.time()) + 3600) is True
    assert client.exists("prices/past") == 1
