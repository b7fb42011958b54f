"""What cannot be answered is refused by name; bad input harms nobody."""
import json
import socket

import pytest
import redis

from harness import dataset, eventually, free_port, refused, subscription


def test_reads_that_cannot_be_answered(world):
    cp = world.control_plane()
    cp.declare(dataset("open", "shop"), dataset("secret", "shop", ["nobody"]))
    cp.start()
    agent = world.agent("web", cp, subscribe=["open", "secret", "ghost"]).start()
    client = agent.wait_synced("open").redis()
    assert client.get("open/x") is None
    eventually(lambda: refused("NOPERM", client.get, "secret/x"))
    eventually(lambda: refused("NODATASET", client.get, "ghost/x"))
    refused("NOTSUBSCRIBED", client.get, "other/x")
    refused("NOTSUBSCRIBED", client.mget, "open/x", "other/x")
    # A grant and a declaration heal both without a restart; withdrawing closes again.
    cp.declare(dataset("open", "shop"), dataset("secret", "shop", ["web"]),
               dataset("ghost", "shop"))
    agent.wait_synced("secret", "ghost")
    assert client.mget("secret/x", "ghost/x") == [None, None]
    cp.declare(dataset("open", "shop"), dataset("secret", "shop", ["nobody"]))
    eventually(lambda: refused("NOPERM", client.get, "secret/x"))
    eventually(lambda: refused("NODATASET", client.get, "ghost/x"))


def test_withdrawn_grant_ends_reads(world):
    cp = world.control_plane()
    cp.declare(dataset("secret", "shop", ["web"]))
    cp.start()
    world.agent("shop", cp).start().redis().set("secret/code", "xyzzy-plugh-4711")
    agent = world.agent("web", cp, subscribe="secret").start().wait_synced("secret")
    eventually(lambda: agent.redis().get("secret/code"))
    cp.declare(dataset("secret", "shop", []))
    eventually(lambda: refused("NOPERM", agent.redis().get, "secret/code"))


def test_writes_that_are_refused(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    refused("READONLY", web.set, "prices/x", "1")
    refused("READONLY", web.delete, "prices/x")
    refused("NODATASET", owner.set, "ghost/x", "1")
    with pytest.raises(redis.ResponseError):
        owner.set("no-slash", "1")
    # A batch with one bad write leaves nothing behind.
    with pytest.raises(redis.ResponseError, match="NODATASET"):
        owner.mset({"prices/good": "1", "ghost/bad": "1"})
    owner.set("prices/after", "1")
    eventually(lambda: web.get("prices/after") == "1")
    assert web.get("prices/good") is None


def test_cold_agent_without_control_plane_says_loading(world):
    agent = world.agent("web", f"127.0.0.1:{free_port()}", subscribe="prices").start()
    client = agent.redis()
    for call, args in ((client.get, ["prices/a"]), (client.mget, ["prices/a", "prices/b"]),
                       (client.exists, ["prices/a"]), (client.keys, ["prices/*"])):
        refused("LOADING", call, *args)
    assert client.ping()


def test_dead_control_plane_reads_go_on_writes_do_not(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    owner.set("prices/a", "1")
    eventually(lambda: web.get("prices/a") == "1")
    shop.cp.kill()
    for _ in range(200):
        assert web.get("prices/a") == "1"
    refused("UNAVAILABLE", owner.set, "prices/a", "2")
    shop.web.restart()  # also from disk, with nobody to ask
    assert web.get("prices/a") == "1"
    shop.cp.start()
    eventually(lambda: owner.set("prices/a", "3"))
    eventually(lambda: web.get("prices/a") == "3")


def test_sizes_at_the_limit_and_one_beyond(shop):
    owner, web = shop.owner.redis(), shop.web.redis()
    key, value = "k" * 400, "v" * 2**20
    owner.set("prices/" + key, value)
    eventually(lambda: web.get("prices/" + key) == value)
    refused("TOOBIG", owner.set, "prices/" + key + "k", "1")
    refused("TOOBIG", owner.set, "prices/a", value + "v")
    assert owner.ping()
    owner.set("prices/after", "1")  # the same connection still works, nothing was lost
    eventually(lambda: web.get("prices/after") == "1")
    assert web.dbsize() == 2 and web.get("prices/" + key) == value


def test_smaller_limit_of_one_dataset(shop):
    shop.cp.declare(dataset("prices", "shop", ["web"], maxValueBytes=10),
                    subscription("web-prices", "web", "prices"))
    owner = shop.owner.redis()

    def limited():
        try:
            owner.set("prices/a", "x" * 11)
        except redis.ResponseError as error:
            return str(error).startswith("TOOBIG")

    eventually(limited)
    assert owner.set("prices/a", "x" * 10)


def raw(agent, data):
    """What the socket answers to these bytes until it closes or falls silent."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(2)
        s.connect(str(agent.socket))
        out = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                out += chunk
        except (TimeoutError, ConnectionError):
            pass
        return out


def test_bad_bytes_on_the_socket(shop, rng):
    client = shop.web.redis()
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: client.get("prices/a") == "1")
    assert raw(shop.web, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"-")
    assert raw(shop.web, b"*1\r\n$99999999999\r\n").startswith(b"-ERR Protocol error")
    assert raw(shop.web, b"*-5\r\nPING\r\n*1\r\n:3\r\n").startswith((b"-", b"+PONG"))
    assert raw(shop.web, b"NOSUCH a b\r\n").startswith(b"-ERR unknown command")
    assert raw(shop.web, b"GET\r\n").startswith(b"-ERR wrong number of arguments")
    for _ in range(200):
        raw(shop.web, rng.randbytes(rng.randint(1, 300)) + b"\r\n")
    assert client.get("prices/a") == "1"
    assert shop.web.process.poll() is None


def test_bad_bytes_on_the_grpc_port(shop, rng):
    for head in (b"", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", shop.cp.port)) as s:
                s.sendall(head + rng.randbytes(rng.randint(1, 2000)))
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    assert shop.cp.process.poll() is None


def test_commands_of_redis_that_have_no_meaning_here_say_so(shop):
    client = shop.web.redis()
    for command in ("FLUSHALL", "LPUSH prices/a 1"):
        with pytest.raises(redis.ResponseError):
            client.execute_command(*command.split())
    status = json.dumps(client.execute_command("TRIB.STATUS"))
    assert "prices" in status
