"""Out of room: reads go on, writes are refused by name, all recovers when there is room again."""
import ctypes
import os
import pathlib

import pytest
import redis

from harness import dataset, eventually, subscription

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(world):
    """A mounted tmpfs of 8 MiB; for those who may not mount, a mount of their own namespace."""
    path = world.dir / "small"
    path.mkdir()
    if os.geteuid() != 0:
        uid = os.getuid()
        assert libc.unshare(0x10000000 | 0x00020000) == 0, "needs root or user namespaces"
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    mounted = libc.mount(b"tmpfs", str(path).encode(), b"tmpfs", 0, b"size=8m") == 0
    yield path if mounted else None
    if mounted:
        for program in world.programs:
            if program.process and program.process.poll() is None:
                program.kill()
        libc.umount2(str(path).encode(), 2)


def has_room_for(call):
    try:
        return call()
    except redis.ResponseError as error:
        assert str(error).startswith("FULL"), error
        return None


def fill_until_full(owner):
    for i in range(400):
        try:
            owner.set(f"prices/{i:03}", f"{i}" + "x" * 100_000)
        except redis.ResponseError as error:
            assert str(error).startswith("FULL"), error
            return i
    raise AssertionError("never full")


def test_full_control_plane(world, small_disk):
    where = {"data_dir": small_disk / "cp"} if small_disk else {"max_map_size": "8MiB"}
    cp = world.control_plane(**where)
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    web = world.agent("web", cp).start().wait_synced("prices").redis()
    written = fill_until_full(owner)
    assert written > 10
    eventually(lambda: web.dbsize() == written)
    assert web.get("prices/000").startswith("0x")
    assert cp.process.poll() is None
    for i in range(0, written, 2):  # deleting makes room, if not at once
        eventually(lambda: has_room_for(lambda: owner.delete(f"prices/{i:03}") >= 0 or True))
    cp.restart()
    eventually(lambda: has_room_for(lambda: owner.set("prices/again", "1")))
    eventually(lambda: web.get("prices/again") == "1")


# Sizes that leave other rests of the disk: with a reserve for removals missing, most got stuck.
@pytest.mark.parametrize("size", [9_000, 20_000, 61_000, 100_000])
def test_full_agent_serves_and_recovers(world, small_disk, size):
    cp = world.control_plane()
    cp.declare(dataset("prices", "shop"), subscription("w", "web", "prices"))
    cp.start()
    owner = world.agent("shop", cp).start().redis()
    where = {"data_dir": small_disk / "web"} if small_disk else {"max_map_size": "8MiB"}
    web = world.agent("web", cp, **where).start().wait_synced("prices")
    owner.set("prices/000", "kept")
    eventually(lambda: web.redis().get("prices/000") == "kept")
    keys = [f"prices/{i:03}" for i in range(1, 12_000_000 // size)]
    for key in keys:
        owner.set(key, "x" * size)
    eventually(lambda: any("full" in line.lower() or "space" in line.lower()
                           for line in web.tail(60).splitlines()), "the agent to say it is full")
    assert web.redis().get("prices/000") == "kept"
    owner.delete(*keys)
    owner.set("prices/000", "newer")
    eventually(lambda: web.redis().get("prices/000") == "newer", seconds=60)
    eventually(lambda: web.redis().dbsize() == 1)
