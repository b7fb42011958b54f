"""The public contract's small print: options, output forms, completion, gRPC services."""
import json
import os
import re
import signal
import subprocess

import grpc
import pytest

from harness import BIN, DEADLINE, dataset, eventually, http
from wire import RAW, Stream, message, parse

CONTROL_PLANE = """listen admin data-dir manifests store etcd-endpoints tls-cert tls-key
tls-client-ca insecure insecure-any-address tombstone-retention kubernetes webhook-listen
max-map-size log-format log-level config""".split()
AGENT = """service control-plane socket socket-mode data-dir admin tls-ca tls-cert tls-key
token-file insecure subscribe freshness-interval max-map-size log-format log-level config""".split()
VERBS = """apply get describe delete put read scan watch import export status verify backup restore
completion""".split()


def run(program, *args, env=None, **kw):
    return subprocess.run([BIN / program, *map(str, args)], capture_output=True, text=True,
                          timeout=DEADLINE, env={**os.environ, **(env or {})}, **kw)


@pytest.mark.parametrize("program, options", [("tributary-control-plane", CONTROL_PLANE),
                                              ("tributary-agent", AGENT)])
def test_every_option_in_three_ways(program, options, tmp_path):
    shown = run(program, "--help").stdout
    assert not [name for name in options if f"--{name}" not in shown]
    # A value that fits none of them is refused by the name of the way it came.
    checked = re.findall(r"^  --([\w-]+) (?:DURATION|SIZE|MODE|HOST:PORT|\w+\|\w+)", shown, re.M)
    for name in set(checked) & set(options) - {"webhook-listen"}:
        variable = "TRIBUTARY_" + name.upper().replace("-", "_")
        file = tmp_path / "options.yaml"
        file.write_text(f"\n{name}: '??'\n")
        for args, env, said in ((["--" + name, "??"], {}, "--" + name),
                                (["--" + name + "=??"], {}, "--" + name),
                                ([], {variable: "??"}, variable),
                                (["--config", file], {}, f"options.yaml:2: {name}")):
            done = run(program, *args, env=env)
            assert done.returncode == 64 and said in done.stderr, (args, env, done.stderr)


def test_faults_are_all_reported_at_once(tmp_path):
    file = tmp_path / "agent.yaml"
    file.write_text("socket-mode: 999\nsubscribe: {a: b}\n")
    done = run("tributary-agent", "--config", file, "--freshness-interval", "soon",
               env={"TRIBUTARY_LOG_LEVEL": "loud"})
    assert done.returncode == 64
    for said in ("agent.yaml:1: socket-mode", "agent.yaml:2: subscribe", "--freshness-interval",
                 "TRIBUTARY_LOG_LEVEL"):
        assert said in done.stderr, done.stderr


def test_ctl_global_flags_stand_anywhere_and_in_the_environment(shop, tmp_path):
    where = ["--control-plane", shop.cp.address, "--insecure", "--service", "shop"]
    file = tmp_path / "ctl.yaml"
    file.write_text(f"control-plane: {shop.cp.address}\ninsecure: true\nservice: shop\n"
                    "output: json\n")
    variables = {"TRIBUTARY_CONTROL_PLANE": shop.cp.address, "TRIBUTARY_INSECURE": "1",
                 "TRIBUTARY_SERVICE": "shop", "TRIBUTARY_OUTPUT": "json"}
    for args, env in (([*where, "-o", "json", "get", "datasets"], {}),
                      (["get", "datasets", *where, "--output", "json"], {}),
                      (["get", *where, "datasets", "-ojson"], {}),
                      (["get", "datasets"], variables),
                      (["-o", "json", "get", "datasets"], variables | {"TRIBUTARY_OUTPUT": "yaml"}),
                      (["get", "datasets", "--config", file], {})):
        done = run("tributaryctl", *args, env=env)
        assert done.returncode == 0, (args, done.stderr)
        assert json.loads(done.stdout)[0]["metadata"]["name"] == "prices"
    for args in (["get", "datasets", "-o", "xml", *where], ["get", *where], [], ["--nope"],
                 ["get", "datasets"], ["get", "datasets", "--timeout", "never", *where]):
        assert run("tributaryctl", *args).returncode == 64, args


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_ctl_output_forms(shop, form):
    def ctl(*args, **kw):
        out = shop.cp.ctl("-o", form, *args, service="shop", **kw)
        return json.loads(out) if form == "json" else out

    shop.cp.ctl("put", "prices", "a", "1", service="shop")
    manifest = json.dumps(dataset("stock", "shop"))
    for args, words in ((["get", "datasets"], ["prices", "shop"]),
                        (["get", "subscriptions"], ["web-prices"]),
                        (["get", "agents"], ["user_agent"]),
                        (["describe", "dataset", "prices"], ["prices"]),
                        (["put", "prices", "b", "2"], ["revision"]),
                        (["read", "prices", "b"], ["value", "2"]),
                        (["scan", "prices"], ["key", "a", "b"]),
                        (["status"], ["copies", "agents", "datasets"]),
                        (["apply", "-f", "-"], ["stock", "created"]),
                        (["delete", "dataset", "stock"], ["stock", "deleted"]),
                        (["delete", "prices", "b", "none"], ["deleted", "revision"])):
        out = ctl(*args, input=manifest)
        assert all(word in str(out) for word in words), (args, out)


def test_completion_works_in_bash(tmp_path):
    def complete(*words):
        script = ('source <("$1" completion bash); shift; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _tributaryctl; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "_", BIN / "tributaryctl", "tributaryctl",
                               *words], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return done.stdout.split()

    assert set(VERBS) <= set(complete(""))
    assert complete("stat") == ["status"]
    assert complete("get", "da") == ["datasets"]
    assert "--prefix" in complete("watch", "--") and "--control-plane" in complete("watch", "--")
    assert set(complete("completion", "")) >= {"bash", "zsh", "fish"}
    assert "--insecure" in complete("--")
    for shell in ("zsh", "fish"):
        script = run("tributaryctl", "completion", shell).stdout
        assert all(verb in script for verb in VERBS), shell
    assert run("tributaryctl", "completion", "tcsh").returncode == 64


def test_help_of_every_verb():
    for verb in VERBS:
        done = run("tributaryctl", verb, "--help")
        assert done.returncode == 0 and verb in done.stdout, verb


def test_grpc_health(shop):
    channel = grpc.insecure_channel(shop.cp.address)
    check = channel.unary_unary("/grpc.health.v1.Health/Check", **RAW)
    assert parse(check(message((1, "")), timeout=DEADLINE)) == {1: [1]}  # SERVING
    with pytest.raises(grpc.RpcError) as error:
        check(message((1, "no.such.Service")), timeout=DEADLINE)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    channel.close()


def test_grpc_reflection(shop):
    stream = Stream(shop.cp.address,
                    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    stream.send(message((7, "")))  # list_services
    listed = parse(stream.receive()[6][0])[1]
    names = {parse(one)[1][0].decode() for one in listed}
    assert {"envoy.service.discovery.v3.AggregatedDiscoveryService", "grpc.health.v1.Health",
            "tributary.v1.Publisher", "tributary.v1.Reader", "tributary.v1.Admin"} <= names
    stream.send(message((4, "tributary.v1.Publisher")))  # file_containing_symbol
    described = stream.receive()[4][0]
    assert b"tributary/v1/publisher.proto" in described and b"PublishRequest" in described
    stream.close()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_both_stop_signals_drain(shop, sign):
    for program in (shop.web, shop.cp):
        program.process.send_signal(sign)
        assert program.process.wait(timeout=DEADLINE) == 0, program.tail()


def test_quitquitquit_is_for_post(shop):
    for program in (shop.web, shop.cp):
        assert http(program.admin, "/quitquitquit")[0] == 405
        assert http(program.admin, "/live")[0] == 200
        assert http(program.admin, "/quitquitquit", "POST")[0] == 200
        assert program.process.wait(timeout=DEADLINE) == 0


def test_the_log_level_changes_what_is_logged(shop):
    assert " debug " not in shop.cp.tail(10000)
    assert http(shop.web.admin, "/log-level?level=loud", "POST")[0] == 400
    assert http(shop.cp.admin, "/log-level?level=debug", "POST")[0] == 200
    shop.owner.restart()  # a publisher connects, which is told at debug
    eventually(lambda: shop.owner.redis().set("prices/a", "1"))
    eventually(lambda: " debug " in shop.cp.tail(10000))


def test_config_dump_shows_what_is_in_force(shop):
    control_plane = json.loads(http(shop.cp.admin, "/config_dump")[1])
    assert control_plane["listen"] == shop.cp.address
    assert not [name for name in CONTROL_PLANE if name not in control_plane and name != "config"]
    agent = json.loads(http(shop.web.admin, "/config_dump")[1])
    assert agent["service"] == "web" and agent["socket"] == str(shop.web.socket)
    assert agent["subscriptions"][0]["dataset"] == "prices"
