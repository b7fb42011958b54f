"""Backup, loss and restore of the control plane; verify and status."""
import json
import os
import subprocess

from harness import BIN, dataset, eventually, subscription


def restore(*args):
    return subprocess.run([str(BIN / "tributaryctl"), "restore", *map(str, args)],
                          capture_output=True, text=True, timeout=120)


def epoch(cp):
    return json.loads(cp.ctl("verify", "prices", "-o", "json"))["epoch"]


def fill(owner, count):
    for i in range(0, count, 2000):
        owner.mset({f"prices/k{j:05}": f"value {j} " + "x" * 100
                    for j in range(i, min(i + 2000, count))})


def test_backup_more_writes_restore(shop, world):
    owner, web = shop.owner.redis(), shop.web.redis()
    fill(owner, 6000)
    eventually(lambda: web.dbsize() == 6000)
    file = world.dir / "cp.backup"
    assert "backed up revision" in shop.cp.ctl("backup", file)
    assert os.stat(file).st_mode & 0o077 == 0
    # After the backup: changes that will be lost, and removals that will be undone.
    owner.mset({f"prices/k{j:05}": "lost" for j in range(0, 6000, 600)})
    owner.mset({f"prices/new{j}": "lost" for j in range(10)})
    owner.delete(*[f"prices/k{j:05}" for j in range(300, 6000, 600)])
    eventually(lambda: web.dbsize() == 6000)
    eventually(lambda: web.get("prices/new9") == "lost")
    before = epoch(shop.cp)
    shop.cp.stop()
    assert web.get("prices/k00000") == "lost"  # served all the while

    new_dir = world.dir / "restored"
    done = restore(file, "--data-dir", new_dir)
    assert done.returncode == 0, done.stderr
    assert "new epoch" in done.stdout
    shop.cp.options["data_dir"] = new_dir
    received = shop.web.bytes_in()
    shop.cp.start()
    eventually(lambda: web.get("prices/k00000") == "value 0 " + "x" * 100)
    assert epoch(shop.cp) != before
    eventually(lambda: shop.web.copies()["prices"]["state"] == "SYNCED")
    copy = shop.web.read_all("prices")
    assert copy == {f"k{j:05}": f"value {j} " + "x" * 100 for j in range(6000)}

    def agrees():
        state = json.loads(shop.cp.ctl("verify", "prices", "-o", "json"))
        return state["ok"] and {c["service"]: c["digest"] for c in state["copies"]}["web"] == "ok"

    eventually(agrees, "the digests to agree")
    # What differs, the digests of all buckets, and probes; all of it would be a million.
    assert shop.web.bytes_in() - received < 250_000
    assert "repaired by digests" in shop.web.log.read_text()
    assert shop.web.copies()["prices"]["digest"] == \
        json.loads(shop.cp.ctl("verify", "prices", "-o", "json"))["dataset"]["digest"]
    print(f"repair took {shop.web.bytes_in() - received:.0f} bytes")
    eventually(lambda: owner.set("prices/after", "1"))  # and life goes on
    eventually(lambda: web.get("prices/after") == "1")


def test_backup_refusals(shop, world):
    fill(shop.owner.redis(), 100)
    file = world.dir / "cp.backup"
    shop.cp.ctl("backup", "--to", file)
    again = shop.cp.ctl("backup", file, check=False)
    assert again.returncode == 1 and "exists already" in again.stderr
    assert restore("--check", file).returncode == 0
    running = restore(file, "--data-dir", shop.cp.options["data_dir"])
    assert running.returncode == 1 and "is not empty" in running.stderr
    half = world.dir / "half"
    half.write_bytes(file.read_bytes()[:-30])
    broken = restore(half, "--data-dir", world.dir / "a")
    assert broken.returncode == 1 and "before it is complete" in broken.stderr
    flipped = bytearray(file.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    half.write_bytes(flipped)
    assert "damaged at byte" in restore("--check", half).stderr
    half.write_text("hello")
    assert "not a backup" in restore("--check", half).stderr
    assert restore("--check", world.dir / "none").returncode == 1
    for usage in (["--data-dir", "x"], [file], [file, "--check", "--data-dir", "x"]):
        assert restore(*usage).returncode == 64, usage
    # What an interrupted restore leaves is not taken for a store.
    shop.cp.stop()
    shop.cp.options["data_dir"] = world.dir / "a"
    shop.cp.spawn().process.wait(timeout=30)
    assert shop.cp.process.returncode == 1 and "not finished" in shop.cp.tail()


def test_verify_and_status_tell_who_holds_what(shop, world):
    owner = shop.owner.redis()
    owner.mset({"prices/a": "1", "prices/b": "1"})
    world.agent("web", shop.cp, name="web2").start().wait_synced("prices")

    def all_proven():
        out = shop.cp.ctl("verify", "prices")
        return "digest" in out and " ok; copies: " in out and "2 proven" in out

    eventually(all_proven)
    rows = json.loads(shop.cp.ctl("status", "prices", "-o", "json"))["copies"]
    assert len([r for r in rows if r["service"] == "web"]) == 2
    assert all(r["lag"] == 0 and r["lag_ms"] == 0 and r["state"] == "SYNCED" for r in rows)
    assert "LAG-TIME" in shop.cp.ctl("status")
    key = json.loads(shop.cp.ctl("verify", "prices", "--key", "a", "-o", "json"))
    assert [c["holds"] for c in key["copies"]] == ["current"] * len(key["copies"])
    assert len(key["copies"]) >= 2 and key["version"]
    assert "absent" in shop.cp.ctl("verify", "prices", "--key", "nothing")
    missing = shop.cp.ctl("verify", "nothing", check=False)
    assert missing.returncode == 1 and "not declared" in missing.stderr


def test_exactly_at_the_floor(world):
    """The window by count: an agent at the floor resumes, one below it does not miss a removal."""
    cp = world.control_plane(tombstones_max=10)
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start().wait_synced("prices")
    owner.mset({f"prices/{i:03}": "old" for i in range(100)})
    eventually(lambda: web.redis().dbsize() == 100)

    def state():
        return json.loads(cp.ctl("verify", "prices", "-o", "json"))["dataset"]

    def loads():
        return web.log.read_text().count("copy loaded")

    # Ten removals fit; the cursor is at, or above, the floor even after a restart.
    first_loads, cursor = loads(), state()["revision"]
    web.kill()
    for i in range(10):
        owner.delete(f"prices/{i:03}")
    cp.restart()
    assert state()["tombstones"] == 10 and state()["floor"] <= cursor
    web.start()
    eventually(lambda: web.redis().dbsize() == 90)
    assert loads() == first_loads
    # One more than fits: the first of them is the floor now, and the copy is one behind.
    eventually(lambda: web.copies()["prices"]["revision"] == state()["revision"])
    cursor = state()["revision"]
    web.kill()
    for i in range(10, 21):
        eventually(lambda: owner.delete(f"prices/{i:03}") in (0, 1))
    cp.restart()
    eventually(lambda: state()["tombstones"] == 10)
    assert state()["floor"] == cursor + 1
    web.start()
    eventually(lambda: web.redis().dbsize() == 79)
    assert web.redis().get("prices/010") is None and web.redis().get("prices/021") == "old"
    eventually(lambda: json.loads(cp.ctl("verify", "prices", "-o", "json"))["ok"])
