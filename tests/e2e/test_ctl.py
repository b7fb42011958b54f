"""tributaryctl against a running control plane."""
import csv
import io
import json
import subprocess

import pytest

from harness import BIN, DEADLINE, as_yaml, dataset, eventually, subscription


@pytest.fixture
def ctl(shop):
    return lambda *args, **kw: shop.cp.ctl(*args, service="shop", **kw)


def test_get_describe_and_forms(shop, ctl):
    assert "prices" in ctl("get", "datasets") and "shop" in ctl("get", "datasets")
    rows = json.loads(ctl("get", "datasets", "-o", "json"))
    rows = rows.get("items", rows) if isinstance(rows, dict) else rows
    assert [row["metadata"]["name"] for row in rows] == ["prices"]
    assert rows[0]["spec"]["owner"] == "shop"
    assert "web-prices" in ctl("get", "subscriptions")
    eventually(lambda: "web" in ctl("get", "agents"))
    assert "owner: shop" in ctl("-o", "yaml", "get", "datasets")  # global flags stand anywhere
    described = ctl("describe", "dataset", "prices")
    assert "prices" in described and "web" in described


def test_put_read_scan_delete(shop, ctl):
    ctl("put", "prices", "apple", "1")
    ctl("put", "prices", "avocado", "-", input="two\nlines")
    web = shop.web.redis()
    eventually(lambda: web.get("prices/avocado") == "two\nlines")
    assert ctl("read", "prices", "apple").strip() == "1"
    assert json.loads(ctl("read", "prices", "apple", "-o", "json"))["value"] == "1"
    missing = ctl("read", "prices", "nothing", check=False)
    assert missing.returncode != 0 and "nothing" in missing.stderr
    assert "apple" in ctl("scan", "prices") and "avocado" in ctl("scan", "prices", "--prefix", "av")
    assert "apple" not in ctl("scan", "prices", "--prefix", "av")
    ctl("delete", "prices", "apple")
    eventually(lambda: web.get("prices/apple") is None)
    stranger = shop.cp.ctl("put", "prices", "x", "1", service="thief", check=False)
    assert stranger.returncode != 0 and "shop" in stranger.stderr


def test_import_and_export_jsonl(shop, ctl, world):
    rows = [{"id": f"r{i}", "name": f"näme {i}", "n": i} for i in range(3000)]
    file = world.dir / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ctl("import", "prices", "--from", file, "--key", "id")
    eventually(lambda: shop.web.redis().dbsize() == 3000)
    assert json.loads(shop.web.redis().get("prices/r42")) == rows[42]
    out = [json.loads(line) for line in ctl("export", "prices").splitlines()]
    assert {o["key"] for o in out} == {row["id"] for row in rows}
    ctl("import", "prices", "--from", "-", "--key", "id", "--value", "name",
        input=json.dumps(rows[7]) + "\n")
    eventually(lambda: shop.web.redis().get("prices/r7") == "näme 7")


@pytest.mark.parametrize("form, dialect", [("csv", "excel"), ("tsv", "excel-tab")])
def test_import_tables(shop, ctl, form, dialect):
    table = io.StringIO()
    writer = csv.writer(table, dialect=dialect)
    writer.writerows([["sku", "label"], ["a", "plain"], ["b", 'with "quotes", commas'],
                      ["c", "two\nlines" if form == "csv" else "one line"]])
    ctl("import", "prices", "--from", "-", "--format", form, "--key", "sku", "--value", "label",
        input=table.getvalue())
    web = shop.web.redis()
    eventually(lambda: web.dbsize() == 3)
    assert web.get("prices/b") == 'with "quotes", commas'
    ctl("import", "prices", "--from", "-", "--format", form, "--key", "sku",
        input=table.getvalue())
    eventually(lambda: web.get("prices/a").startswith("{"))
    assert json.loads(web.get("prices/a")) == {"sku": "a", "label": "plain"}


def test_a_bad_record_is_named(shop, ctl):
    done = ctl("import", "prices", "--from", "-", "--key", "id", input='{"id":"a"}\n{"ib":1}\n',
               check=False)
    assert done.returncode != 0 and "2" in done.stderr and "id" in done.stderr, done.stderr
    done = ctl("import", "prices", "--from", "-", "--key", "id", input='{"id":\n', check=False)
    assert done.returncode != 0 and "1" in done.stderr


def test_status_and_verify(shop, ctl):
    shop.owner.redis().mset({f"prices/{i}": str(i) for i in range(100)})

    def in_step():
        return any("web" in line and "prices" in line and "SYNCED" in line
                   for line in ctl("status").splitlines())

    eventually(in_step)

    def proven():
        status = json.loads(ctl("status", "-o", "json"))
        copy = next(c for c in status["copies"] if c["service"] == "web")
        return copy["dataset"] == "prices" and copy["digest"] == "ok" and int(copy["lag"]) == 0

    eventually(proven)
    eventually(lambda: ctl("verify", "prices", check=False).returncode == 0)


def test_completion_help_and_usage(shop, world):
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run([BIN / "tributaryctl", "completion", shell], capture_output=True,
                                text=True)
        assert script.returncode == 0 and "tributaryctl" in script.stdout
    assert shop.cp.ctl("frobnicate", check=False).returncode == 64
    assert shop.cp.ctl("get", "nonsense", check=False).returncode == 64
    missing = shop.cp.ctl("apply", "-f", world.dir / "missing.yaml", check=False)
    assert missing.returncode != 0 and "missing.yaml" in missing.stderr


def test_control_plane_out_of_reach_is_said(shop):
    shop.cp.kill()
    done = shop.cp.ctl("get", "datasets", check=False)
    assert done.returncode not in (0, 64) and shop.cp.address in done.stderr


def test_apply_from_stdin_and_dry_run(shop, ctl):
    text = as_yaml(dataset("stock", "shop"), subscription("w2", "web", "stock"))
    assert shop.cp.ctl("apply", "-f", "-", input=text).count("created") == 2
    shop.owner.redis().set("stock/a", "1")
    eventually(lambda: shop.web.redis().get("stock/a") == "1")
