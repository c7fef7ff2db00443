"""The arithmetic of the bench's tables."""

import pytest
from bench.alone import own_import_ms
from bench.profiling import self_times
from bench.report import Outcome, Table, Target, cell, markdown, ratio


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    """The machine was twice as slow in the second round: that is no news about either server."""
    rounds = {"nginx": [10.0, 20.0, 10.0], "dragoman": [20.0, 40.0, 30.0]}
    assert ratio(rounds, "dragoman", "nginx") == 2.0


@pytest.mark.parametrize("rounds", [{}, {"nginx": [], "peer": [1.0]}, {"nginx": [0.0], "peer": [1.0]}])
def test_a_ratio_to_nothing_is_none(rounds):
    assert ratio(rounds, "peer", "nginx") is None


def test_a_peer_with_fewer_rounds_is_compared_in_those_it_had():
    assert ratio({"nginx": [1.0, 2.0, 50.0], "peer": [10.0, 20.0]}, "peer", "nginx") == 10.0


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("at the bound", 2.0, 2.0), "met"),
        (Target("above", 2.0, 2.01), "missed"),
        (Target("enough", 100.0, 100.0, at_least=True), "met"),
        (Target("too little", 100.0, 99.0, at_least=True), "missed"),
        (Target("unknown", 1.0, None), "not measured"),
    ],
)
def test_a_target_is_met_at_its_bound(target, verdict):
    assert target.verdict == verdict


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), ("x", "x"), (0, "0"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_a_cell_has_three_figures(value, shown):
    assert cell(value) == shown


def test_the_report_has_every_target_and_table():
    outcome = Outcome([Table("JSON", "About it.", ("", "us"), [["a|b", 1.5]])], [Target("quick", 2, 1.5, "ms")])
    page = markdown([outcome], conditions={"Date": "today"}, notes=["a peer: as it is"])
    assert "| quick | <= 2 ms | 1.50 | met |" in page
    assert "## JSON\n\nAbout it.\n\n|  | us |\n| --- | --: |\n| a\\|b | 1.50 |" in page
    assert "- Date: today" in page
    assert "- a peer: as it is" in page


def test_a_profile_leaves_out_what_waits():
    main = "main (app/run.py:3);"
    stacks = "\n".join(
        [
            f"{main}answer (app/one.py:7) 5",
            f"{main}answer (app/one.py:9);write (stream.c:80);0x7f (libc.so.6) 3",
            f"{main}uv__io_poll (linux.c:1);epoll_pwait (libc.so.6) 90",
            "_worker (concurrent/futures/thread.py:81);get (_queuemodule.c:1);0x7f (libc.so.6) 90",
        ]
    )
    functions, files = self_times(stacks)
    assert functions == {"answer  app/one.py": 8}
    assert files == {"app/one.py": 5, "libc, from write": 3}


def test_import_times_are_added_up_by_package():
    listing = "import time: self [us] | cumulative | imported package\nimport time:  2000 |  2000 | json\n"
    listing += "import time:  1500 |  3500 |   msgspec.json\nimport time:   500 |   500 | msgspec\n"
    assert own_import_ms(listing) == {"the standard library": 2.0, "msgspec": 2.0}
