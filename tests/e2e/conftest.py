"""Real servers for the tests of this folder: one on the offline engine, one in front of it as its upstream."""

from collections.abc import Iterator

import pytest
from running import Running


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`dragoman serve` with nothing configured: the offline engine answers."""
    with Running(tmp_path_factory.mktemp("offline")) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="session")
def relayed(offline: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A second dragoman, whose Messages-speaking upstream is the first."""
    config = f"""
[providers.first]
base_url = "{offline.url}"
api_key = "{offline.key}"

[models.nickname]
targets = ["first/claude-haiku-4-5"]
"""
    with Running(tmp_path_factory.mktemp("relayed"), config, key="sk-dgm-e2e-second-key") as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="session", params=["offline", "relayed"])
def server(request: pytest.FixtureRequest) -> Running:
    """Both, one after the other: a client must not be able to tell them apart."""
    running = request.getfixturevalue(request.param)
    assert isinstance(running, Running)
    return running
