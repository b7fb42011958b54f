"""tributaryctl watch: changes as lines, through prefixes, deletions and restarts."""
import json
import queue
import signal
import subprocess
import threading
import time

import pytest

from harness import BIN, DEADLINE


class Lines:
    """A program's output, read by a thread of its own, so that no test waits for ever."""

    def __init__(self, argv):
        self.process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.queue, self.errors = queue.Queue(), queue.Queue()
        for stream, into in ((self.process.stdout, self.queue), (self.process.stderr, self.errors)):
            threading.Thread(target=self.read, args=(stream, into), daemon=True).start()

    @staticmethod
    def read(stream, into):
        for line in stream:
            into.put(line.rstrip("\n"))

    def next(self, seconds=DEADLINE, source=None):
        try:
            return (source or self.queue).get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no line in {seconds} s; exit code {self.process.poll()}, "
                                 f"stderr {list(self.errors.queue)}") from None

    def until(self, wanted, source=None):
        """Lines up to the first that `wanted` accepts, that one included."""
        deadline, seen = time.monotonic() + DEADLINE, []
        while not seen or not wanted(seen[-1]):
            assert time.monotonic() < deadline, seen
            seen.append(self.next(source=source))
        return seen

    def attached(self, touch, seen="tick"):
        """Calls `touch` until a line with `seen` comes: from then on the watch sees all."""
        for n in range(int(DEADLINE * 5)):
            touch(n)
            try:
                while seen not in self.next(0.2):
                    pass
                return self
            except AssertionError:
                assert self.process.poll() is None, list(self.errors.queue)
        raise AssertionError(f"nothing of {seen} came; stderr {list(self.errors.queue)}")

    def stop(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        return self.process.wait(timeout=DEADLINE)


@pytest.fixture
def watch(shop):
    started = []

    def start(*args, service="shop"):
        started.append(Lines([BIN / "tributaryctl", "--control-plane", shop.cp.address,
                              "--insecure", "--service", service, "watch", "prices", *args]))
        return started[-1]

    yield start
    for lines in started:
        lines.process.kill()
        lines.process.wait()


def test_changes_from_now_on(shop, watch):
    owner = shop.owner.redis()
    owner.set("prices/old", "before")
    lines = watch("-o", "json").attached(lambda n: owner.set("prices/tick", n))
    owner.set("prices/apple", "1 €")
    owner.delete("prices/apple")
    owner.set("prices/done", "x")
    # What comes together has no order between keys, and only the newest change of each.
    wanted, seen = {'"done"', '"delete"'}, []
    for word in wanted:
        if not any(word in line for line in seen):
            seen += lines.until(lambda line: word in line)
    seen = [json.loads(line) for line in seen]
    assert not any(one["key"] == "old" for one in seen)
    assert [one for one in seen if one["key"] == "apple"][-1] == {"op": "delete", "key": "apple"}
    done = next(one for one in seen if one["key"] == "done")
    assert done["op"] == "put" and done["value"] == "x" and done["revision"] > 0
    assert abs(done["published_at_ms"] / 1000 - time.time()) < 600
    assert lines.stop(signal.SIGINT) == 0


def test_all_and_prefix(shop, watch):
    owner = shop.owner.redis()
    owner.mset({f"prices/{key}": key for key in ("eu-1", "eu-2", "us-1")})
    lines = watch("--all", "--prefix", "eu-")
    assert sorted([lines.next(), lines.next()]) == ["put\teu-1\teu-1", "put\teu-2\teu-2"]
    owner.set("prices/us-2", "x")
    owner.set("prices/eu-3", "tab\tand\nline")
    assert lines.next() == "put\teu-3\ttab\\x09and\\x0aline"
    owner.delete("prices/us-1", "prices/eu-1")
    assert lines.next() == "delete\teu-1"
    assert lines.stop() == 0


def test_a_restart_of_the_control_plane_loses_nothing(shop, watch):
    owner = shop.owner.redis()
    owner.set("prices/gone", "x")
    lines = watch("-o", "json").attached(lambda n: owner.set("prices/tick", n))
    shop.cp.kill()
    said = lines.until(lambda line: "again in" in line, lines.errors)[-1]
    assert "the stream ended" in said
    shop.cp.start()
    shop.cp.ctl("put", "prices", "gone", "--delete", service="shop")
    lines.until(lambda line: "delete" in line and "gone" in line)
    shop.cp.ctl("put", "prices", "later", "1", service="shop")
    lines.until(lambda line: '"later"' in line)


def test_refusals(shop, watch):
    stranger = watch(service="thief")
    assert stranger.process.wait(timeout=DEADLINE) == 77
    assert "prices" in stranger.next(source=stranger.errors)
    missing = shop.cp.ctl("watch", "nothing", service="shop", check=False)
    assert missing.returncode == 1 and "nothing" in missing.stderr
    assert shop.cp.ctl("watch", "No Name", check=False).returncode == 64
    shop.cp.kill()
    away = shop.cp.ctl("watch", "prices", service="shop", check=False)
    assert away.returncode == 69 and shop.cp.address in away.stderr
