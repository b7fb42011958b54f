"""Thousands of clients on one socket, and limits on open files."""
import resource
import socket

import pytest

from harness import DEADLINE, eventually

PING = b"PING\r\n"


@pytest.fixture(autouse=True)
def own_limit():
    """This process holds the clients' ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(path, count):
    clients = []
    for _ in range(count):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))  # waits while the backlog is full; with a timeout it would not
        client.settimeout(DEADLINE)
        clients.append(client)
    return clients


def answers(client):
    try:
        client.sendall(PING)
        return client.recv(100) == b"+PONG\r\n"
    except OSError:
        return False


def close(clients):
    for client in clients:
        client.close()


def test_the_soft_limit_is_raised_for_thousands(world, shop):
    agent = world.agent("web", shop.cp, name="crowd")
    agent.wrapper = ["prlimit", "--nofile=256:"]
    agent.start().wait_synced("prices")
    clients = connect(agent.socket, 4000)
    assert all(answers(client) for client in clients)
    info = agent.redis().info("clients")
    assert info["connected_clients"] == 4001 and info["maxclients"] == 10000
    assert agent.metrics()  # the admin page works beside descriptors beyond 1024
    close(clients)
    eventually(lambda: agent.redis().info("clients")["connected_clients"] == 1)
    assert "few open files" not in agent.tail(1000)


@pytest.mark.parametrize("name", ["web", "cp"])
def test_a_low_hard_limit_is_said(world, shop, name):
    program = shop.web if name == "web" else shop.cp
    program.kill()
    program.wrapper = ["prlimit", "--nofile=200:200"]
    program.start()
    warning = next(line for line in program.tail(1000).splitlines() if "few open files" in line)
    assert "allowed=200" in warning and "LimitNOFILE" in warning


def test_clients_beyond_the_files_allowed_harm_nobody(shop):
    shop.web.kill()
    shop.web.wrapper = ["prlimit", "--nofile=200:200"]
    shop.web.start().wait_synced("prices")
    early = connect(shop.web.socket, 50)
    assert all(answers(client) for client in early)
    crowd = connect(shop.web.socket, 300)
    assert not all(answers(client) for client in crowd)  # closed, not left hanging
    assert all(answers(client) for client in early)
    close(crowd)
    eventually(lambda: all(map(answers, early)) and shop.web.redis().ping())
    shop.owner.redis().set("prices/late", "1")
    eventually(lambda: shop.web.redis().get("prices/late") == "1")
