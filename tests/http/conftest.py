"""Runs the contract on asyncio's own loop and on uvloop, which the server uses where it exists."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from wrong_replies import HTTPX_TAKES

try:
    import uvloop
except ImportError:
    uvloop = None


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None and item.path.name in ("test_contract.py", "test_aio.py"):
        factories["uvloop"] = uvloop.new_event_loop
    return factories


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The blocking transport has no loop of its own, so it passes the contract once; nor can its calls be cancelled.

    httpx2 is more patient with some wrong replies: what it makes of them is its own affair.
    """
    needless = [item for item in items if item.path.name == "test_contract.py" and is_needless(item.name)]
    if needless:
        left_out = set(needless)
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=needless)


def is_needless(name: str) -> bool:
    test, _, case = name.rstrip("]").partition("[")
    if test == "test_a_wrong_reply_is_broken_in_whatever_packets_it_comes" and "-httpx-" in case:
        return case.partition("-httpx-")[2] in HTTPX_TAKES
    return "blocking" in name and ("uvloop" in name or "cancelled" in name)


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1, for servers and clients: cert.pem, key.pem, both.pem."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    folder = tmp_path_factory.mktemp("identity")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem"
        " -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return folder
