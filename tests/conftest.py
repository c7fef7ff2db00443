"""Lets every test folder import the helpers of tests/support, as in `from misbehaving import Misbehaving`.

And fails every test in which a dragoman server sent an event stream that is illegal (support/watching.py), and every
one that has logged or printed a whole key (support/canary.py, pain 79).
"""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

import canary
import trust
import watching
from postgres import postgres, postgres_url  # noqa: F401 - fixtures
from redis_server import redis_server, redis_url  # noqa: F401 - fixtures

trust.leave_out_the_machines_store()
watching.watch_this_process()

# The same examples in each run, however busy the machine is. HYPOTHESIS_PROFILE=default looks for others.
hypothesis.settings.register_profile("dragoman", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dragoman"))

# Tests whose upstream breaks the law on purpose, and why. dragoman hands its events on as they came, so only their
# framing and their end are dragoman's own; those are judged here too.
LAWLESS = {
    "test_changed_replies_of_an_upstream": "the upstream's streams are changed at random",
    "test_usage_that_makes_no_sense_is_no_fault_of_ours": "the upstream's usage is of no known shape",
    "test_strange_streams_are_no_fault_of_ours": "the upstream's events are of no known shape",
    "test_a_stream_is_handed_on_as_it_comes": "the upstream ends its message with a block still open",
}


# Tests that print keys of the form that ours have, and why.
SHOWS_KEYS: dict[str, str] = {}

# Files with few tests, which take long: they begin, so that no worker is left with one of them in the end.
LONG = """
test_canary test_soak test_pytest_plugin test_workers test_fuzz test_cli_run test_claude_code test_ledger_survives
test_provider_keys test_nginx test_counters test_typing test_keys test_routing_soak test_cli_providers test_dialects
""".split()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session", autouse=True)
def no_stream_ends_illegally() -> Iterator[None]:
    """What servers of the whole session send while they are stopped."""
    yield
    _must_find_nothing()


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist tells its workers the width of a terminal, which is not that of what they test."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def every_stream_is_legal(request: pytest.FixtureRequest) -> Iterator[None]:
    """The first fixture of a test and so the last to be left: its servers have stopped by then."""
    yield
    _must_find_nothing(is_lawless=getattr(request.node, "originalname", None) in LAWLESS)


def _must_find_nothing(*, is_lawless: bool = False) -> None:
    found = [line for line in watching.take() if not (is_lawless and line.startswith(watching.PASSED_ON))]
    if found:
        pytest.fail("illegal event streams were sent:\n" + "\n".join(found), pytrace=False)
    if leaks := canary.take_leaks():
        pytest.fail("a server logged keys:\n" + "\n".join(leaks), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Tests and what they import are a million objects that stay to the end: the collector need not look at them again.

    Else it takes a third of the time of collecting tests, and half a second of each `gc.collect()` in a test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Nor at what a file has loaded, when it is done: after the clients of four providers that is as much again."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            gc.collect()
            gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged may hold half characters, which no process can send to another. It may hold no key."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    new = [(name, text) for name, text in report.sections if name.endswith(report.when or "")]
    found = [f"{key} in the {name}" for name, text in new for key in canary.keys_in(text)]
    if report.passed and found and getattr(item, "originalname", None) not in SHOWS_KEYS:
        report.outcome, report.longrepr = "failed", "keys were shown:\n" + "\n".join(found)
    return report
