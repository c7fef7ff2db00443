"""Circuit breakers, with times passed in."""

from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.routing.health import LONGEST_COOLING_S, Breaker, BreakerSettings, is_upstream_fault

SETTINGS = BreakerSettings()


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(SETTINGS.in_a_row):
        breaker.begun(now)
        breaker.failed(now)
    return breaker


def test_faults_in_a_row_open_it_and_time_makes_it_half_open() -> None:
    breaker = Breaker()
    for _ in range(SETTINGS.in_a_row - 1):
        breaker.failed(0.0)
    assert breaker.state(0.0) == "closed"
    breaker.failed(0.0)
    assert (breaker.state(0.0), breaker.allows(0.0)) == ("open", False)
    assert breaker.wait_s(0.5) == SETTINGS.first_s - 0.5
    assert breaker.state(SETTINGS.first_s) == "half-open"


def test_a_success_between_them_begins_the_row_anew() -> None:
    breaker = Breaker(BreakerSettings(at_least=1000))
    for _ in range(20):
        for _ in range(SETTINGS.in_a_row - 1):
            breaker.failed(0.0)
        breaker.succeeded(0.0)
    assert breaker.state(0.0) == "closed"


def test_half_of_many_failing_opens_it_though_never_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.succeeded(0.0)
        breaker.failed(0.0)
    assert breaker.state(0.0) == "open"


def test_old_faults_fade() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0.0)
        breaker.succeeded(0.0)
    later = SETTINGS.half_life_s * 10
    for _ in range(12):
        breaker.succeeded(later)
    breaker.failed(later)
    assert breaker.state(later) == "closed"


def test_half_open_lets_one_through_at_a_time() -> None:
    breaker, now = opened(), SETTINGS.first_s
    assert breaker.allows(now)
    breaker.begun(now)
    assert not breaker.allows(now)
    assert breaker.wait_s(now) == SETTINGS.probe_s
    breaker.succeeded(now + 1)
    assert breaker.state(now + 1) == "closed"
    assert breaker.allows(now + 1)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(8):
        wait = breaker.wait_s(now)
        waits.append(wait)
        now += wait
        breaker.begun(now)
        breaker.failed(now)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_probe_whose_caller_goes_away_or_that_never_ends_makes_room() -> None:
    breaker, now = opened(), SETTINGS.first_s
    breaker.begun(now)
    breaker.dismissed(now)
    assert breaker.allows(now)
    breaker.begun(now)
    assert not breaker.allows(now + SETTINGS.probe_s - 1)
    assert breaker.allows(now + SETTINGS.probe_s)


def test_what_began_before_the_trouble_does_not_close_it() -> None:
    breaker = opened()
    breaker.succeeded(0.1)
    assert breaker.state(0.1) == "open"
    breaker.failed(0.2)  # nor does it prolong it
    assert breaker.wait_s(0.2) == SETTINGS.first_s - 0.2


def test_after_it_has_closed_it_is_as_new() -> None:
    breaker = opened()
    breaker.succeeded(SETTINGS.first_s)
    for _ in range(SETTINGS.in_a_row - 1):
        breaker.failed(SETTINGS.first_s)
    assert breaker.state(SETTINGS.first_s) == "closed"
    breaker.failed(SETTINGS.first_s)
    assert breaker.wait_s(SETTINGS.first_s) == SETTINGS.first_s


def test_a_429_cools_it_and_is_no_fault() -> None:
    """Pain 30: a single 429 does not mark a target as down."""
    breaker = Breaker()
    for _ in range(100):
        breaker.cool(0.0, 7.0)
    assert breaker.state(0.0) == "closed"
    assert (breaker.allows(6.9), breaker.allows(7.0)) == (False, True)
    assert breaker.wait_s(1.0) == 6.0
    breaker.cool(0.0, 1e9)
    assert breaker.wait_s(0.0) == LONGEST_COOLING_S


def test_only_the_upstreams_own_statuses_count() -> None:
    """Pain 30: 20 bad requests of one caller take nothing from the others."""
    assert [status for status in range(100, 600) if is_upstream_fault(status)] == [
        408, 500, 502, 503, 504, *range(520, 600),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["begun", "succeeded", "failed", "dismissed", "cool"]), st.floats(0, 100))))
def test_it_always_comes_back(steps: list[tuple[str, float]]) -> None:
    """Whatever happens, it may be asked again once its wait is over, and the wait is bounded."""
    breaker, now = Breaker(), 0.0
    for step, after in steps:
        now += after
        if step == "cool":
            breaker.cool(now, after)
        else:
            getattr(breaker, step)(now)
        wait = breaker.wait_s(now)
        assert 0 <= wait <= SETTINGS.longest_s + SETTINGS.probe_s + 100
        assert breaker.allows(now + wait + 1e-6)
