"""What an operator meets: options, data directories, signals, logs, admin pages, metrics."""
import json
import os
import re
import socket
import stat
import subprocess

import pytest

from harness import BIN, dataset, eventually, free_port, http

PROGRAMS = ["tributary-control-plane", "tributary-agent", "tributaryctl"]


def run(program, *args, env=None, timeout=20):
    return subprocess.run([BIN / program, *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_version(program):
    shown = run(program, "--help")
    assert shown.returncode == 0 and "--insecure" in shown.stdout and program in shown.stdout
    version = run(program, "--version")
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)


@pytest.mark.parametrize("program, args, said", [
    ("tributary-agent", ["--insecure"], "service"),
    ("tributary-agent", ["--service", "web", "--no-such-flag"], "no-such-flag"),
    ("tributary-agent", ["--service", "Not A Name", "--insecure"], "service"),
    ("tributary-agent", ["--service", "web", "--insecure", "--subscribe", "a:magic"], "subscribe"),
    ("tributary-agent", ["--service", "web", "--insecure", "--socket-mode", "999"], "socket-mode"),
    ("tributary-agent", ["--service", "web", "--insecure", "--freshness-interval", "soon"],
     "freshness-interval"),
    ("tributary-agent", ["--service", "web"], "insecure"),
    ("tributary-control-plane", ["--store", "papyrus", "--insecure"], "store"),
    ("tributary-control-plane", ["--insecure", "--tls-cert", "a.pem"], "tls"),
    ("tributary-control-plane", ["--insecure", "--listen", "0.0.0.0:18123"],
     "insecure-any-address"),
    ("tributary-control-plane", [], "insecure"),
    ("tributary-control-plane", ["--insecure", "--config", "missing.yaml"], "missing.yaml"),
])
def test_usage_errors_exit_64(program, args, said, tmp_path):
    done = subprocess.run([BIN / program, *args], capture_output=True, text=True, timeout=20,
                          cwd=tmp_path)
    assert done.returncode == 64, (done.returncode, done.stderr)
    assert said in done.stderr, done.stderr


def test_flag_beats_environment_beats_file(world):
    cp = world.control_plane().start()
    ports = [free_port() for _ in range(3)]
    file = world.dir / "agent.yaml"
    file.write_text(f"service: web\nadmin: 127.0.0.1:{ports[2]}\nfreshness-interval: 250ms\n")
    agent = world.agent("web", cp, config=file)
    agent.options["service"] = None
    for flag, variable, winner in ((f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", ports[0]),
                                   (None, f"127.0.0.1:{ports[1]}", ports[1]),
                                   (None, None, ports[2])):
        agent.options["admin"], agent.admin = flag, winner
        agent.env = {"TRIBUTARY_ADMIN": variable} if variable else {}
        agent.start()
        assert agent.stop() == 0
    file.write_text("service: web\nfreshnes-interval: 250ms\n")
    done = run("tributary-agent", "--config", file)
    assert done.returncode == 64 and "freshnes-interval" in done.stderr and "2" in done.stderr


def test_log_json_parses(world):
    cp = world.control_plane(log_format="json")
    cp.declare(dataset("prices", "shop"))
    cp.start()
    agent = world.agent("web", cp, log_format="json", subscribe="prices").start()
    agent.wait_synced("prices")
    assert agent.stop() == 0 and cp.stop() == 0
    for program in (agent, cp):
        lines = [json.loads(line) for line in program.log.read_text().splitlines()]
        assert len(lines) >= 2 and all({"level", "event"} <= set(line) for line in lines), lines[0]


def test_sigterm_drains_and_exits_0(shop):
    owner = shop.owner.redis()
    owner.set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    for program in (shop.web, shop.owner, shop.cp):
        assert program.stop() == 0, program.tail()
    assert not shop.web.socket.exists()
    for program in (shop.cp, shop.owner, shop.web):
        program.start()
    eventually(lambda: shop.owner.redis().set("prices/a", "2"))
    eventually(lambda: shop.web.redis().get("prices/a") == "2")


def refuses_to_start(program, *said):
    program.spawn()
    code = program.process.wait(timeout=20)
    assert code not in (0, -6, -11), code
    for word in said:
        assert word in program.tail(), program.tail()


def test_data_directory_in_use(world, shop):
    second = world.control_plane(name="second", data_dir=shop.cp.options["data_dir"])
    refuses_to_start(second, "cp.data", "use")
    twin = world.agent("web", shop.cp, name="twin", data_dir=shop.web.options["data_dir"])
    refuses_to_start(twin, "web.data", "use")
    assert shop.web.redis().ping()


def test_data_directory_of_another_service(world, shop):
    shop.web.stop()
    other = world.agent("other", shop.cp, data_dir=shop.web.options["data_dir"])
    refuses_to_start(other, "web", "other")


def test_data_directory_that_is_not_ours(world):
    cp = world.control_plane()
    data = cp.options["data_dir"]
    data.mkdir()
    (data / "data.mdb").write_bytes(b"not LMDB at all" * 1000)
    refuses_to_start(cp, "cp.data")


def test_socket_of_a_live_agent_and_a_dead_one(world, shop):
    rival = world.agent("web", shop.cp, name="rival", socket=shop.web.socket)
    refuses_to_start(rival, "web.sock")
    assert shop.web.redis().ping()
    shop.web.kill()
    assert shop.web.socket.exists()  # left behind
    shop.web.start()
    assert shop.web.redis().ping()


def test_port_in_use_is_said(world, shop):
    rival = world.control_plane(name="rival", listen=shop.cp.address)
    refuses_to_start(rival, str(shop.cp.port))


def test_socket_mode(world, shop):
    assert stat.S_IMODE(os.stat(shop.web.socket).st_mode) == 0o660
    shop.web.stop()
    shop.web.options["socket_mode"] = "0600"
    shop.web.start()
    assert stat.S_IMODE(os.stat(shop.web.socket).st_mode) == 0o600


def test_admin_pages(shop):
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    for program in (shop.web, shop.cp):
        for page in ("/", "/live", "/ready", "/metrics", "/stats/prometheus", "/config_dump"):
            assert http(program.admin, page)[0] == 200, page
        assert http(program.admin, "/nothing")[0] == 404
        json.loads(http(program.admin, "/config_dump")[1])
    row = eventually(lambda: shop.web.copies()["prices"]
                     if shop.web.copies()["prices"]["verified_at"]
                     and shop.web.copies()["prices"]["entries"] == 1 else None)
    assert row["state"] == "SYNCED" and row["entries"] == 1 and row["bytes"] > 0, row
    assert row["revision"] == row["head"] and 0 <= row["age_ms"] < 60_000, row
    assert re.fullmatch("[0-9a-f]{32}", row["digest"]), row
    assert "web" in http(shop.cp.admin, "/agents")[1]
    connection = shop.web.redis(client_name="somebody")
    connection.ping()
    assert "somebody" in http(shop.web.admin, "/clients")[1]
    assert http(shop.web.admin, "/log-level", "POST")[0] >= 400
    assert http(shop.web.admin, "/log-level?level=debug", "POST")[0] == 200
    assert "debug" in http(shop.web.admin, "/log-level")[1]
    assert http(shop.web.admin, "/quitquitquit", "POST")[0] == 200
    assert shop.web.process.wait(20) == 0


AGENT_METRICS = """commands_total read_seconds copy_age_seconds copy_lag_revisions
apply_seconds bytes_in_total reconnects_total nacks_total digest_mismatches_total""".split()
CONTROL_PLANE_METRICS = """streams unacked_bytes commit_seconds publish_results_total
encode_cache_hits_total store_bytes""".split()


def test_metrics(shop):
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    for program, prefix, names in ((shop.web, "tributary_agent_", AGENT_METRICS),
                                   (shop.cp, "tributary_control_plane_", CONTROL_PLANE_METRICS)):
        text = http(program.admin, "/metrics")[1]
        missing = [name for name in names if prefix + name not in text]
        assert not missing, (missing, sorted(set(re.findall(r"^# TYPE (\S+)", text, re.M))))
        for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE):
            assert name.startswith(prefix), name
    assert shop.web.metrics()["tributary_agent_bytes_in_total"] > 0


def test_ready_only_when_complete(world):
    agent = world.agent("web", f"127.0.0.1:{free_port()}", subscribe="prices").start()
    code, text = http(agent.admin, "/ready")
    assert code == 503 and text
    assert http(agent.admin, "/live")[0] == 200


def test_many_clients_at_once(shop):
    shop.owner.redis().set("prices/a", "1")
    eventually(lambda: shop.web.redis().get("prices/a") == "1")
    clients = []
    for _ in range(500):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(shop.web.socket))
        clients.append(client)
    for client in clients:
        client.sendall(b"GET prices/a\r\n")
    assert all(client.recv(100) == b"$1\r\n1\r\n" for client in clients)
    for client in clients:
        client.close()


def test_an_agent_beside_a_job_ends_after_its_only_client(world, shop):
    """However short the client's visit was. A network of its own, as a pod has one."""
    agent = world.agent("job", shop.cp, exit_when_idle="1s")
    agent.wrapper = ["unshare", "-rn"]
    agent.spawn()
    eventually(lambda: agent.redis().ping(), "the socket")
    assert agent.process.wait(timeout=60) == 0, agent.tail()
