"""A provider's places, and who waits for one."""

import asyncio

import pytest

from dragoman.gateway.routing.capacity import Capacity, Shed


async def entered(capacity: Capacity, log: list[int], number: int) -> None:
    await capacity.enter()
    log.append(number)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_any_number_where_there_is_no_limit() -> None:
    capacity = Capacity(None)
    for _ in range(1000):
        await capacity.enter()
    assert (capacity.running, capacity.room) == (1000, None)


async def test_first_come_first_served() -> None:
    capacity, log = Capacity(1, queue=3), list[int]()
    tasks = [asyncio.create_task(entered(capacity, log, number)) for number in range(4)]
    await turns()
    assert (log, capacity.running, capacity.room) == ([0], 1, 0)
    for expected in ([0, 1], [0, 1, 2], [0, 1, 2, 3]):
        capacity.leave()
        await turns()
        assert (log, capacity.running) == (expected, 1)
    await asyncio.gather(*tasks)


async def test_beyond_the_queue_load_is_shed() -> None:
    """ERR-22, 53: no capacity is 529, and when to come again is told."""
    capacity, log = Capacity(1, queue=1), list[int]()
    await capacity.enter()
    waiting = asyncio.create_task(entered(capacity, log, 1))
    await turns()
    with pytest.raises(Shed) as shed:
        await capacity.enter()
    assert (shed.value.status, shed.value.message) == (529, "Overloaded")
    assert dict(shed.value.headers())["retry-after"].isdecimal()
    capacity.leave()
    await waiting
    assert capacity.running == 1


async def test_nobody_waits_for_ever() -> None:
    capacity = Capacity(1, queue=1, wait_s=0.001)
    await capacity.enter()
    with pytest.raises(Shed):
        await capacity.enter()
    assert capacity.room == 1
    capacity.leave()
    assert (capacity.running, capacity.room) == (0, 2)


async def test_who_goes_away_takes_no_place() -> None:
    capacity, log = Capacity(1, queue=2), list[int]()
    await capacity.enter()
    gone = asyncio.create_task(entered(capacity, log, 1))
    stays = asyncio.create_task(entered(capacity, log, 2))
    await turns()
    gone.cancel()
    await turns()
    capacity.leave()
    await stays
    assert (log, capacity.running) == ([2], 1)


async def test_who_goes_away_in_the_moment_of_his_turn_hands_it_on() -> None:
    capacity, log = Capacity(1, queue=2), list[int]()
    await capacity.enter()
    gone = asyncio.create_task(entered(capacity, log, 1))
    stays = asyncio.create_task(entered(capacity, log, 2))
    await turns()
    capacity.leave()  # the turn of the first
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await stays
    assert (log, capacity.running) == ([2], 1)
    capacity.leave()
    assert capacity.running == 0


async def test_when_to_come_again_follows_what_is_usual() -> None:
    capacity = Capacity(1)
    for _ in range(50):
        await capacity.enter()
        capacity.leave(10.0)
    await capacity.enter()
    with pytest.raises(Shed) as shed:
        await capacity.enter()
    assert shed.value.retry_after == 10
