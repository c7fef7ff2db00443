"""Two attempts at once, and what becomes of the one that is stopped."""

import asyncio
from typing import Any

from dragoman.gateway.call import Answer
from dragoman.gateway.routing.racing import raced


class Account:
    """Of one of them; or of the request, which follows one."""

    request_id = "req_1"

    def __init__(self) -> None:
        self.followed: Account | None = None
        self.lost = 0

    def follow(self, fork: "Account") -> None:
        self.followed = fork

    def lose(self, of: "Account", request_id: str, error: str, outcome: str = "abandoned") -> None:
        self.lost += 1


async def test_whoever_is_cancelled_twice_accounts_for_both() -> None:
    """A caller hangs up, and the wait for what he began is cancelled too: each attempt ends all the same."""
    entry: Any = Account()
    first: Any = Account()
    second: Any = Account()
    is_ending, may_end = asyncio.Event(), asyncio.Event()

    async def answering() -> Answer:
        try:
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            await may_end.wait()
        raise AssertionError

    racing = asyncio.create_task(
        raced(
            entry, (first, answering()), within_s=0.0, second=lambda: (second, answering()), failed=lambda *_: None
        )
    )  # fmt: skip
    for _ in range(5):
        await asyncio.sleep(0)
    racing.cancel()
    await is_ending.wait()
    racing.cancel()
    await asyncio.gather(racing, return_exceptions=True)
    may_end.set()
    assert entry.followed is first
    assert (first.lost, second.lost) == (0, 1)
