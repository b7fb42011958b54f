#!/usr/bin/python3
"""Stock clients against the socket server alone: redis-py, and redis-cli in RESP2 and RESP3.

usage: test_socket.py SERVE_CACHE – ctest runs it; the whole system is tested in tests/e2e.
"""
import pathlib
import subprocess
import sys
import tempfile

import redis


def check(what, got, want):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def refused(what, call, code):
    try:
        answer = call()
    except redis.ResponseError as error:
        assert str(error).startswith(code), f"{what}: {error}"
    else:
        raise AssertionError(f"{what}: answered {answer!r}")


def with_redis_py(path):
    client = redis.Redis(unix_socket_path=path, decode_responses=True)
    check("ping", client.ping(), True)
    check("get", client.get("ds/key:000000000007"), "xxx")
    check("set", client.set("ds/a", "Käse"), True)
    check("mget", client.mget("ds/a", "ds/none"), ["Käse", None])
    check("exists", client.exists("ds/a", "ds/none"), 1)
    check("getrange", client.getrange("ds/a", 0, 0), "K")
    check("type", client.type("ds/a"), "string")
    check("ttl", client.ttl("ds/a"), -1)
    with client.pipeline(transaction=True) as pipe:
        check("transaction", pipe.set("ds/b", "1").delete("ds/a").get("ds/b").execute(),
              [True, 1, "1"])
    with client.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"ds/p{i}", i)
            pipe.get(f"ds/p{i}")
        check("pipeline", pipe.execute(), [x for i in range(1000) for x in (True, str(i))])
    keys = set(client.scan_iter("ds/key:*", count=7))
    check("scan", keys, {f"ds/key:{i:012}" for i in range(100)})
    check("keys", len(client.keys("ds/p*")), 1000)
    check("dbsize", client.dbsize(), 1101)
    assert client.randomkey().startswith("ds/")
    check("config", client.config_get("save"), {"save": ""})
    check("info", client.info("replication")["role"], "master")
    assert client.command_count() > 30 and "get" in client.command()
    check("client name", (client.client_setname("py"), client.client_getname()), (True, "py"))
    check("clients", [c["name"] for c in client.client_list()], ["py"])
    refused("not subscribed", lambda: client.get("other/a"), "NOTSUBSCRIBED ")
    refused("no dataset", lambda: client.set("other/a", "1"), "NODATASET ")
    refused("options", lambda: client.set("ds/a", "1", ex=0), "invalid expire")
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("__keyspace@0__:ds/*")
    check("subscribed", listener.get_message(timeout=10), None)
    client.set("ds/n", "1")
    message = next(m for m in iter(lambda: listener.get_message(timeout=10), 0) if m)
    check("notice", (message["channel"], message["data"]), ("__keyspace@0__:ds/n", "set"))
    listener.close()


def with_redis_cli(path):
    def cli(*args):
        return subprocess.run(["redis-cli", "-s", path, *args], capture_output=True, text=True,
                              timeout=30, check=True).stdout.strip()
    check("cli get", cli("get", "ds/key:000000000007"), "xxx")
    check("cli get, RESP3", cli("-3", "get", "ds/key:000000000007"), "xxx")
    check("cli mget, RESP3", cli("-3", "--no-raw", "mget", "ds/b", "ds/none"),
          '1) "1"\n2) (nil)')
    check("cli scan", len(cli("--scan", "--pattern", "ds/key:*").splitlines()), 100)
    check("cli strlen", cli("strlen", "ds/b"), "1")
    assert "tributary_version" in cli("info", "server")


def main():
    with tempfile.TemporaryDirectory(dir=pathlib.Path("/dev/shm")) as directory:
        path = f"{directory}/s.sock"
        with subprocess.Popen([sys.argv[1], "--socket", path, "--dir", f"{directory}/data",
                               "--keys", "100"], stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout.readline() == b"ready\n"
                with_redis_py(path)
                with_redis_cli(path)
            finally:
                server.terminate()
            check("exit code", server.wait(30), 0)


if __name__ == "__main__":
    main()
