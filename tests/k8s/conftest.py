"""Fixtures: one API server for all tests of the run, with Tributary's base applied to it."""
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from api_server import ApiServer  # noqa: E402
from installed import Installed  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.session.some_failed = item.failed = True


@pytest.fixture(scope="session")
def server(request):
    server = ApiServer(pathlib.Path(tempfile.mkdtemp(prefix="tk.")))
    failed = True  # until it is up: its logs say why not
    try:
        server.start()
        failed = False
        yield server
    finally:
        server.stop(failed or getattr(request.session, "some_failed", False))


@pytest.fixture(scope="session")
def installed(request, server):
    installed = Installed(server)
    failed = True
    try:
        installed.start()
        failed = False
        yield installed
    finally:
        installed.world.close(failed or getattr(request.session, "some_failed", False))


@pytest.fixture
def kubectl(server):
    return server.kubectl


@pytest.fixture
def world(request):
    world = harness.World()
    yield world
    world.close(getattr(request.node, "failed", False))
