"""One control plane for all tests of a file, a world of its own for each."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import world as worlds  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.session.failed = True


@pytest.fixture(scope="module")
def server(request):
    server = worlds.Server()
    yield server
    server.close(getattr(request.session, "failed", False))


@pytest.fixture
def world(server):
    """The world of A, B, C."""
    made = worlds.World(server)
    yield made
    made.close()


@pytest.fixture
def empty(server):
    """A dataset without entries."""
    made = worlds.World(server, keys=())
    yield made
    made.close()
