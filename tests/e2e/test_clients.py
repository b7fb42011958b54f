"""Client libraries of other languages, unchanged (python's is used by every other test)."""
import pathlib
import subprocess

import pytest

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"


@pytest.mark.parametrize("script", ["ioredis.mjs", "node_redis.mjs", "node_redis_cache.mjs"])
def test_javascript(shop, script):
    done = subprocess.run(["node", script, shop.owner.socket, shop.web.socket], cwd=CLIENTS,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
