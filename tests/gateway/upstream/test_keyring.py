"""Several keys of one provider, with times passed in."""

from dragoman.gateway.config.config import Secret
from dragoman.gateway.upstream.keyring import BENCH_S, COOLING_S, LONGEST_BENCH_S, LONGEST_COOLING_S, Keyring

A, B, C = Secret("a"), Secret("b"), Secret("c")


def shown(ring: Keyring, now: float, times: int = 1) -> str:
    return "".join(ring.next(now).reveal() for _ in range(times))


def test_they_take_turns() -> None:
    assert shown(Keyring([A, B, C]), 0.0, 7) == "abcabca"


def test_a_refused_key_is_benched_longer_each_time() -> None:
    ring = Keyring([A, B])
    now = 0.0
    for wait in (BENCH_S, BENCH_S * 2, BENCH_S * 4):
        ring.answered("a", now, status=401)
        assert shown(ring, now + wait - 1, 3) == "bbb"
        now += wait
        assert "a" in shown(ring, now, 2)
    for _ in range(20):
        ring.answered("a", now, status=403)
        now += LONGEST_BENCH_S
    assert "a" in shown(ring, now, 2)


def test_many_requests_that_are_refused_at_once_bench_a_key_once() -> None:
    ring = Keyring([A, B])
    for _ in range(64):
        ring.answered("a", 0.0, status=401)
    assert "a" in shown(ring, BENCH_S, 2)


def test_a_key_that_works_again_is_as_new() -> None:
    ring = Keyring([A, B])
    ring.answered("a", 0.0, status=401)
    ring.answered("a", BENCH_S, status=200)
    ring.answered("a", BENCH_S, status=401)
    assert "a" in shown(ring, BENCH_S * 2, 2)


def test_a_used_up_key_cools_for_as_long_as_it_is_told() -> None:
    ring = Keyring([A, B])
    ring.answered("a", 0.0, status=429, retry_after_s=7.0)
    assert shown(ring, 6.9, 2) == "bb"
    assert "a" in shown(ring, 7.0, 2)
    ring.answered("b", 10.0, status=429)
    assert shown(ring, 10.0 + COOLING_S / 2) == "a"
    ring.answered("b", 20.0, status=429, retry_after_s=1e9)
    assert "b" in shown(ring, 20.0 + LONGEST_COOLING_S, 2)


def test_errors_of_other_kinds_say_nothing_of_a_key() -> None:
    ring = Keyring([A, B])
    for status in (400, 404, 500, 529):
        ring.answered("a", 0.0, status=status)
    assert shown(ring, 0.0, 2) == "ab"


def test_where_all_rest_the_first_that_is_ready_is_shown() -> None:
    ring = Keyring([A, B])
    ring.answered("a", 0.0, status=429, retry_after_s=9.0)
    assert ring.is_ready(0.0)
    ring.answered("b", 0.0, status=429, retry_after_s=5.0)
    assert not ring.is_ready(0.0)
    assert shown(ring, 0.0, 3) == "bbb"


def test_a_key_that_is_gone_is_no_trouble() -> None:
    Keyring([A]).answered("b", 0.0, status=401)
