"""tributaryctl import, killed and interrupted: run again, it ends with every record, each once."""
import json
import signal
import subprocess
import time

import pytest

from harness import BIN, DEADLINE, eventually

COUNT, BATCH = 40_000, 1_000


@pytest.fixture
def rows(world):
    file = world.dir / "rows.jsonl"
    file.write_text("".join(json.dumps({"id": f"r{i:06}", "n": i}) + "\n" for i in range(COUNT)))
    return file


def start(shop, file):
    return subprocess.Popen(
        [BIN / "tributaryctl", "--control-plane", shop.cp.address, "--insecure", "--service",
         "shop", "import", "prices", "--from", file, "--key", "id", "--value", "n"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def revision(shop):
    shown = json.loads(shop.cp.ctl("get", "datasets", "prices", "-o", "json"))
    return int(shown["status"]["revision"])


def check_all_there_and_each_batch_once(shop, before):
    # The control plane forgets an import that has ended, and one more run of it is a new one: so
    # whole imports, but never a part of one twice.
    whole, rest = divmod(revision(shop) - before, COUNT // BATCH)
    assert whole >= 1 and rest == 0, (before, revision(shop))
    web = shop.web.redis()
    eventually(lambda: web.dbsize() == COUNT)
    assert web.mget("prices/r000000", f"prices/r{COUNT - 1:06}") == ["0", str(COUNT - 1)]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_random_points_and_run_again(shop, rows, rng, sign):
    before = revision(shop)
    for _ in range(6):
        run = start(shop, rows)
        time.sleep(rng.random() * 0.25)
        run.send_signal(sign)
        _, said = run.communicate(timeout=DEADLINE)
        if sign == signal.SIGTERM and run.returncode > 0:
            assert "run the same command again" in said, said
    last = start(shop, rows)
    assert last.wait(timeout=DEADLINE * 4) == 0, last.stderr.read()
    check_all_there_and_each_batch_once(shop, before)


def test_the_control_plane_killed_meanwhile(shop, rows, rng):
    before = revision(shop)
    run = start(shop, rows)
    for _ in range(3):
        time.sleep(rng.random() * 0.1)
        shop.cp.restart()
    assert run.wait(timeout=DEADLINE * 4) in (0, 69), run.stderr.read()
    if run.returncode:  # the first connection fell into the gap
        again = start(shop, rows)
        assert again.wait(timeout=DEADLINE * 4) == 0, again.stderr.read()
    check_all_there_and_each_batch_once(shop, before)
