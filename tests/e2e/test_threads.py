"""An agent with several loop threads: which of them a client is on must not matter."""
import json
import re
import signal
import subprocess
import threading

import pytest
import redis

from harness import dataset, eventually, http, subscription

THREADS = 3


@pytest.fixture
def owner(world):
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop", ["*"]), dataset("seen", "shop", ["*"]),
               subscription("own", "shop", "prices"),
               subscription("demand", "shop", "seen", mode="onDemand"))
    cp.start()
    return world.agent("shop", cp, threads=THREADS).start().wait_synced("prices", "seen")


@pytest.fixture
def clients(owner):
    """One on each loop: clients that come one after the other go in turn."""
    made = [owner.redis(single_connection_client=True) for _ in range(THREADS)]
    assert all(client.ping() for client in made)
    yield made
    for client in made:
        client.close()


def cli(agent, *args):
    done = subprocess.run(["redis-cli", "-s", str(agent.socket), *args], capture_output=True,
                          text=True, timeout=60, check=True)
    return done.stdout.strip()


def loops_of(agent):
    """Which threads of the process are loops."""
    names = subprocess.run(["ps", "-L", "-o", "comm=", "-p", str(agent.process.pid)],
                           capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if re.fullmatch(r"loop(-\d+)?", name)]


def test_redis_cli_meets_every_loop(owner):
    assert sorted(loops_of(owner)) == ["loop", "loop-1", "loop-2"]
    assert cli(owner, "SET", "prices/a", "1") == "OK"
    assert [cli(owner, "GET", "prices/a") for _ in range(2 * THREADS)] == ["1"] * 2 * THREADS
    assert cli(owner, "CONFIG", "GET", "io-threads").split() == ["io-threads", str(THREADS)]


def test_a_write_is_seen_on_every_loop_at_once(owner, clients):
    for i in range(150):
        name = f"prices/k{i % 7}" if i % 2 else f"seen/k{i % 7}"  # whole, and key by key
        assert clients[i % THREADS].set(name, i)
        assert [client.get(name) for client in clients] == [str(i)] * THREADS


def test_all_tell_of_the_whole_agent(owner, clients):
    ids = [client.client_id() for client in clients]
    assert len(set(ids)) == THREADS
    for client in clients:
        assert [int(row["id"]) for row in client.client_list()] == ids
        info = client.info()
        assert info["connected_clients"] == THREADS
        assert info["total_connections_received"] >= THREADS
    assert [row["id"] for row in json.loads(http(owner.admin, "/clients")[1])] == ids
    metrics = owner.metrics()
    assert metrics["tributary_agent_clients"] == THREADS
    assert metrics['tributary_agent_commands_total{command="ping",result="ok"}'] == THREADS


def test_a_scan_goes_on_at_any_connection(owner, clients):
    names = [f"prices/{i:03}" for i in range(100)]
    clients[0].mset(dict.fromkeys(names, "x"))
    found, cursor = [], 0
    for turn in range(1000):
        cursor, keys = clients[turn % THREADS].scan(cursor, count=7)
        found += keys
        if cursor == 0:
            break
    assert sorted(found) == names


def test_notices_and_invalidations_reach_every_loop(owner, clients):
    listeners = [owner.redis().pubsub() for _ in range(THREADS)]
    for listener in listeners:
        listener.psubscribe("__keyspace@0__:prices/*")
        assert listener.get_message(timeout=30)["type"] == "psubscribe"
    invalid = owner.redis().pubsub()
    invalid.subscribe("__redis__:invalidate")
    assert invalid.get_message(timeout=30)["type"] == "subscribe"
    target = next(row["id"] for row in clients[0].client_list(_type="pubsub")
                  if row["sub"] == "1")
    clients[0].set("prices/a", "1")
    for client in clients:
        assert client.execute_command("CLIENT TRACKING", "ON", "REDIRECT", target) == "OK"
        assert client.get("prices/a") == "1"
    clients[1].set("prices/a", "2")
    for listener in listeners:
        for _ in range(2):
            message = listener.get_message(timeout=30)
            assert (message["channel"], message["data"]) == ("__keyspace@0__:prices/a", "set")
    for _ in clients:
        assert invalid.get_message(timeout=30)["data"] == ["prices/a"]


def test_it_stops_cleanly_while_all_loops_are_busy(owner):
    stop, lost = threading.Event(), []

    def work(number):
        client = owner.redis(single_connection_client=True)
        try:
            while not stop.is_set():
                client.set(f"prices/{number}", "x")
                assert client.get(f"prices/{number}") == "x"
        except redis.ConnectionError:
            pass  # between two commands, or before the reply: the client knows
        except (AssertionError, redis.RedisError) as error:
            lost.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3 * THREADS)]
    for worker in workers:
        worker.start()
    eventually(lambda: owner.redis().dbsize() == 3 * THREADS)
    assert owner.stop() == 0
    stop.set()
    for worker in workers:
        worker.join()
    assert not lost
    owner.start().wait_synced("prices")


@pytest.mark.parametrize("threads", ["0", "65"])
def test_the_number_of_threads_is_checked(world, threads):
    agent = world.agent("shop", "127.0.0.1:1", threads=threads).spawn()
    assert agent.process.wait(timeout=60) == 64
    assert "--threads must be between 1 and 64" in agent.tail()


def test_the_variable_sets_it(world, owner):
    agent = world.agent("web", owner.options["control_plane"],
                        env={"TRIBUTARY_THREADS": "2"}).start()
    assert len(loops_of(agent)) == 2
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(timeout=60) == 0
