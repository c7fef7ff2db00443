"""What providers say of when to come again."""

import pytest

from dragoman.gateway.upstream.delays import told_delay_s

WALL = 1_795_305_600.0  # 2026-11-22 00:00:00 UTC


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "1", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "3", "retry-after-ms": "soon"}, 3.0),
        ({"retry-after": "Sun, 22 Nov 2026 00:01:30 GMT"}, 90.0),
        ({"retry-after": "Sun, 22 Nov 2020 00:01:30 GMT"}, 0.0),
        *(({"retry-after": odd}, None) for odd in ("", "soon", "-1", "nan", "inf", "1e999", "Sun, 99 Nov 2026", "\0")),
    ],
)
def test_a_wish_to_be_left_alone(headers: dict[str, str], expected: float | None) -> None:
    assert told_delay_s(headers.items(), wall=WALL) == expected
