"""What is tried after a failure, with times passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.routing.attempts import BACKOFF_S, PATIENCE_S, Attempts, Failure, Step, Verdict, verdict

TOO_LONG = Failure(status=400, message="prompt is too long: 210000 tokens > 200000 maximum")

NO_ROOM = Failure(
    status=400, message="input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000, decrease input"
)


def attempts(*order: int, limit: int = 3, contexts: dict[int, int] | None = None, lot: float = 1.0) -> Attempts:
    return Attempts(order, limit=limit, context_of=(contexts or {}).get, random=lambda: lot)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        *((Failure(status=status), "another") for status in (408, 429, 500, 502, 503, 504, 529, 599, 501)),
        *((Failure(status=status), "another") for status in (401, 402, 403, 404)),
        *((Failure(status=status), "none") for status in (400, 405, 409, 413, 422, 499)),
        (TOO_LONG, "larger"),
        (NO_ROOM, "larger"),
        (Failure(status=500, is_of_caller=True), "none"),
    ],
)
def test_what_a_failure_says(failure: Failure, expected: Verdict) -> None:
    assert verdict(failure) == expected


def test_the_next_target_is_asked_at_once() -> None:
    them = attempts(2, 0, 1)
    assert them.first() == Step(2, 0.0)
    assert them.after(2, Failure(status=529), 10.0) == Step(0, 0.0)
    assert them.after(0, Failure(status=500), 10.0) == Step(1, 0.0)
    assert them.after(1, Failure(status=500), 10.0) is None
    assert them.made == 3


def test_a_target_that_cannot_take_the_request_is_passed_over_and_costs_no_attempt() -> None:
    cannot = Failure(status=400, is_of_target=True)
    them = attempts(0, 1, 2, limit=2)
    assert them.first() == Step(0, 0.0)
    assert them.after(0, cannot, 10.0) == Step(1, 0.0)
    assert them.made == 1
    again = them.after(1, Failure(status=529), 10.0)
    assert again == Step(2, 0.0)
    back = them.after(2, cannot, 10.0)
    assert back is not None
    assert back.place == 1, "the only one that may be asked again"
    assert them.after(1, Failure(status=529), 11.0) is None
    assert them.made == 2


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 529])
def test_a_lone_target_is_not_asked_again_for_a_fault_of_its_own(status: int) -> None:
    """Whoever asks tries again by himself (pain 29); another key would change nothing."""
    them = Attempts([0], asks_again=False, has_other_key=lambda _: True, random=lambda: 0.0)
    them.first()
    assert them.after(0, Failure(status=status), 0.0) is None


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_lone_target_is_asked_with_another_key_for_what_is_a_keys(status: int) -> None:
    keys = 2
    them = Attempts([0], asks_again=False, has_other_key=lambda _: keys > 0, random=lambda: 0.0)
    assert them.first() == Step(0, 0.0)
    assert them.after(0, Failure(status=status, retry_after_s=60.0), 0.0) == Step(0, 0.0)
    keys = 0
    assert them.after(0, Failure(status=status), 0.0) is None
    assert them.made == 2


def test_when_none_can_take_it_none_was_asked() -> None:
    cannot = Failure(status=400, is_of_target=True)
    them = attempts(0, 1)
    them.first()
    assert them.after(0, cannot, 0.0) == Step(1, 0.0)
    assert them.after(1, cannot, 0.0) is None
    assert them.made == 0


def test_of_two_at_once_each_counts_for_itself() -> None:
    them = attempts(0, 1, limit=4)
    them.first()
    assert them.next == 1
    them.also(1)
    assert (them.next, them.made) == (None, 2)
    them.failed(0, Failure(status=404), 10.0)
    again = them.after(1, Failure(status=529), 10.0)
    assert again is not None
    assert again.place == 1, "the other one does not know the model"


def test_nobody_to_ask() -> None:
    assert attempts().first() is None


def test_never_after_the_callers_own_error() -> None:
    """Pain 29: a code that will come again is not tried again."""
    them = attempts(0, 1)
    them.first()
    assert them.after(0, Failure(status=400, message="messages: Field required"), 0.0) is None
    assert them.made == 1


def test_one_target_is_asked_again_after_a_pause_that_grows() -> None:
    them = attempts(0, limit=4)
    them.first()
    pauses = []
    for _ in range(3):
        step = them.after(0, Failure(status=529), 0.0)
        assert step is not None
        pauses.append(step.pause_s)
    assert pauses == pytest.approx([BACKOFF_S, BACKOFF_S * 2, BACKOFF_S * 4])
    assert them.after(0, Failure(status=529), 0.0) is None


def test_pauses_are_drawn_by_lot() -> None:
    them = attempts(0, lot=0.0)
    them.first()
    assert them.after(0, Failure(status=529), 0.0) == Step(0, BACKOFF_S / 2)


def test_retry_after_is_honoured() -> None:
    """Pain 28: who says when is not asked before; who says too late is not waited for."""
    them = attempts(0)
    them.first()
    assert them.after(0, Failure(status=429, retry_after_s=2.0), 0.0) == Step(0, 2.0)
    them = attempts(0)
    them.first()
    assert them.after(0, Failure(status=429, retry_after_s=PATIENCE_S + 1), 0.0) is None


def test_the_one_that_is_ready_first() -> None:
    them = attempts(0, 1, limit=5)
    them.first()
    assert them.after(0, Failure(status=429, retry_after_s=4.0), 0.0) == Step(1, 0.0)
    assert them.after(1, Failure(status=503), 1.0) == Step(1, pytest.approx(BACKOFF_S))


def test_a_wrong_key_is_not_tried_again() -> None:
    them = attempts(0, limit=3)
    them.first()
    assert them.after(0, Failure(status=401), 0.0) is None


def test_a_context_that_is_too_small_leads_to_a_larger_one() -> None:
    them = attempts(0, 1, 2, contexts={0: 200_000, 1: 128_000, 2: 1_000_000})
    them.first()
    assert them.after(0, TOO_LONG, 0.0) == Step(2, 0.0)
    them = attempts(0, 1, contexts={0: 200_000, 1: 128_000})
    them.first()
    assert them.after(0, TOO_LONG, 0.0) is None


@pytest.mark.parametrize("status", [401, 403, 429])
def test_another_key_of_the_same_target_is_tried_at_once(status: int) -> None:
    fresh = [True, False]
    them = Attempts([0, 1], has_other_key=lambda _: fresh.pop(0), random=lambda: 0.5)
    them.first()
    assert them.after(0, Failure(status=status), 0.0) == Step(0, 0.0)
    assert them.after(0, Failure(status=status), 0.0) == Step(1, 0.0)


failures = st.builds(
    Failure,
    status=st.sampled_from([400, 401, 408, 413, 429, 500, 502, 503, 504, 529]),
    message=st.sampled_from(["", "prompt is too long: 2 tokens > 1 maximum"]),
    retry_after_s=st.one_of(st.none(), st.floats(0, 20)),
)


@given(st.lists(st.integers(0, 4), unique=True, min_size=1), st.integers(1, 6), st.lists(failures, min_size=20))
def test_there_are_never_more_attempts_than_allowed(order: list[int], limit: int, fates: list[Failure]) -> None:
    them, now, made = Attempts(order, limit=limit, random=lambda: 0.5), 0.0, 0
    step = them.first()
    for fate in fates:
        if step is None:
            break
        made += 1
        assert 0 <= step.pause_s <= PATIENCE_S
        assert step.place in order
        now += step.pause_s
        step = them.after(step.place, fate, now)
    assert step is None
    assert made == them.made <= limit
