"""Fixtures. A test that fails keeps its scratch directory and prints the end of each log."""
import random

import pytest

import harness


def pytest_report_header():
    return f"seed {harness.SEED} (TRIBUTARY_SEED sets it), programs {harness.BIN}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def world(request):
    world = harness.World()
    yield world
    world.close(getattr(request.node, "failed", False))


@pytest.fixture
def rng():
    print(f"seed {harness.SEED}")
    return random.Random(harness.SEED)


@pytest.fixture
def shop(world):
    """A control plane, `shop` who owns the dataset `prices`, and `web` who has all of it."""
    return Shop(world)


@pytest.fixture
def owner(world):
    """The agent of `shop`, which owns `prices` and has a copy of it."""
    cp = world.control_plane()
    cp.declare(harness.dataset("prices", "shop", ["*"]),
               harness.subscription("own", "shop", "prices"),
               harness.subscription("web", "web", "prices"))
    cp.start()
    agent = world.agent("shop", cp).start().wait_synced("prices")
    agent.cp = cp
    return agent


class Shop:
    def __init__(self, world):
        self.cp = world.control_plane()
        self.cp.declare(harness.dataset("prices", "shop", ["web", "shop"]),
                        harness.subscription("web-prices", "web", "prices"))
        self.cp.start()
        self.owner = world.agent("shop", self.cp).start()
        self.web = world.agent("web", self.cp).start().wait_synced("prices")
