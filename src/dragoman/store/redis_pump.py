"""How commands get to Redis: those of a moment together, over one connection, settlements before questions.

While a batch is under way the next one gathers, so many requests cost few round trips. When the connection breaks, or
no answer comes in time, all who wait are told at once, and nobody is let in until Redis has answered again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dragoman.errors import ConfigError

from .redis_link import Link, LinkBroken, LinkRefused, Refusal
from .redis_scripts import SCRIPTS, command

__all__ = ["Pump", "Settlement"]

log = logging.getLogger("dragoman.counters")

BEAT_S = 5.0  # between two beats
RETRY_S = (0.1, 0.25, 0.5, 1.0)  # between tries to reach it again; the last is repeated
AT_ONCE = 200  # of a kind that go out together
SETTLED_KEPT = 20_000  # that Redis is slower to take than they come; beyond it they are dropped
LAST_WORDS_S = 2.0  # for settlements to get through before a process ends


class Settlement(NamedTuple):
    """A command whose answer nobody waits for; `owed` is what whoever sends it wants back if it may be lost."""

    command: bytes
    owed: Any


class Waiting(NamedTuple):
    """A command whose answer somebody waits for. `unwanted` gets it when they do so no more."""

    command: bytes
    answer: asyncio.Future[Any]
    unwanted: Callable[[Any], None] | None


class Pump:
    """What is settled and asked here gets to Redis in that order.

    `beat` says what to send every 5 s, and first of all over a new connection. `on_beat` gets the answers; what it
    returns is settled before anything else. `on_away` gets why, what was sent without an answer, and what was not sent.
    """

    def __init__(
        self,
        link: Link,
        *,
        beat: Callable[[], list[bytes]],
        on_beat: Callable[[Sequence[Any]], Sequence[Settlement]],
        on_away: Callable[[str, Sequence[Settlement], Sequence[Settlement]], None],
    ) -> None:
        self.is_up = False
        self.dropped = 0  # settlements that did not get through
        self._link = link
        self._beat = beat
        self._on_beat = on_beat
        self._on_away = on_away
        self._settled: deque[Settlement] = deque()
        self._waiting: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._next_beat: asyncio.TimerHandle | None = None
        self._is_beat_due = False
        self._is_closing = False
        self._runner: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        return self._link.place

    async def open(self) -> None:
        """Raises ConfigError when Redis refuses us; when it cannot be reached, that is tried again and again."""
        try:
            await self._connect()
        except LinkRefused as error:
            await self._link.close()
            remedy = "Mend the URL, or what the user may do"
            raise ConfigError(f"[server] counters: {self.place}: {error}. {remedy}.") from error
        except LinkBroken as error:
            self._on_away(str(error), (), ())
        self._runner = asyncio.create_task(self._run(), name="dragoman-counters")

    async def aclose(self, last: Sequence[bytes]) -> None:
        """Let what was settled get through, then send `last`."""
        with suppress(TimeoutError):
            if self.is_up:
                await asyncio.wait_for(self._idle.wait(), LAST_WORDS_S)
        self._is_closing = True
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        if self._next_beat is not None:
            self._next_beat.cancel()
        was_up, self.is_up = self.is_up, False
        _tell_all(self._waiting, LinkBroken("this process ends"))
        self._waiting.clear()
        self.dropped += len(self._settled)
        self._settled.clear()
        try:
            if was_up:
                await self._link.ask(last)
        except LinkBroken as error:
            log.info("%s: %s, so this process is missed some seconds later", self.place, error)
        await self._link.close()

    async def ask(self, command: bytes, *, unwanted: Callable[[Any], None] | None = None) -> Any:
        """The answer. Raises LinkBroken. `unwanted` gets the answer when the one who asks is cancelled."""
        if not self.is_up:
            raise LinkBroken("it is away")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(command, answer, unwanted))
        self._wake_up()
        try:
            return await answer
        except asyncio.CancelledError:
            # Cancelled between the answer and its reading. If it is earlier, so is the future: see `_tell`.
            if not answer.cancelled() and answer.exception() is None and unwanted is not None:
                unwanted(answer.result())
            raise

    def send(self, settlement: Settlement) -> None:
        if len(self._settled) >= SETTLED_KEPT:
            self.dropped += 1
            return
        self._settled.append(settlement)
        self._wake_up()

    def _wake_up(self) -> None:
        self._idle.clear()
        self._wake.set()

    # -- the one task --

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if not self.is_up:
                    await self._connect()
                await self._turn()
                failures = 0
            except LinkBroken as error:
                log.debug("%s: %s", self.place, error)
            except Exception:
                log.exception("%s: a fault of dragoman's", self.place)
                await self._link.close()
            if not self.is_up:
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1

    async def _connect(self) -> None:
        """Raises LinkBroken."""
        await self._link.connect()
        await self._load_scripts()
        first = self._on_beat(await self._answers(self._beat()))
        self._settled.extendleft(reversed(first))
        self._schedule_beat()
        self.is_up = True

    async def _turn(self) -> None:
        """Send what there is; when there is nothing, wait until there is. Raises LinkBroken."""
        beats = self._beat() if self._is_beat_due else []
        settled = [self._settled.popleft() for _ in range(min(AT_ONCE, len(self._settled)))]
        waiting = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        commands = [*beats, *(each.command for each in settled), *(each.command for each in waiting)]
        if not commands:
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()
            return
        try:
            answers = await self._answers(commands)
            if beats:
                self._schedule_beat()
                self._settled.extend(self._on_beat(answers[: len(beats)]))
        except BaseException as error:  # nobody may be left waiting, whatever it is
            self._go_away(str(error) if isinstance(error, LinkBroken) else "this process fails", settled, waiting)
            raise
        for each, answer in zip(waiting, answers[len(beats) + len(settled) :], strict=True):
            _tell(each, answer)

    async def _answers(self, commands: Sequence[bytes]) -> list[Any]:
        """Each command is done once, also where Redis had forgotten its script. Raises LinkBroken."""
        answers = await self._link.ask(commands)
        again = [place for place, each in enumerate(answers) if isinstance(each, Refusal) and str(each) == "NOSCRIPT"]
        if again:
            await self._load_scripts()
            for place, answer in zip(again, await self._link.ask([commands[at] for at in again]), strict=True):
                answers[place] = answer
        refusal = next((each for each in answers if isinstance(each, Refusal)), None)
        if refusal is not None:  # out of memory, or read-only: it does not do its work
            await self._link.close()
            raise LinkBroken(f"it answers {refusal}")
        return answers

    async def _load_scripts(self) -> None:
        for answer in await self._link.ask([command("SCRIPT", "LOAD", each) for each in SCRIPTS]):
            if isinstance(answer, Refusal):
                raise LinkRefused(f"it takes no scripts: it answers {answer}")

    def _schedule_beat(self) -> None:
        def is_due() -> None:
            self._is_beat_due = True
            self._wake_up()

        self._is_beat_due = False
        if self._next_beat is not None:
            self._next_beat.cancel()
        self._next_beat = asyncio.get_running_loop().call_later(BEAT_S, is_due)

    def _go_away(self, why: str, sent: Sequence[Settlement], waiting: Sequence[Waiting]) -> None:
        self.is_up = False
        self._idle.set()
        unsent = list(self._settled)
        self._settled.clear()
        everybody = [*waiting, *self._waiting]
        self._waiting.clear()
        if not self._is_closing:
            self._on_away(why, sent, unsent)
        _tell_all(everybody, LinkBroken(why))


def _tell(waiting: Waiting, answer: Any) -> None:
    if not waiting.answer.cancelled():
        waiting.answer.set_result(answer)
    elif waiting.unwanted is not None:
        waiting.unwanted(answer)


def _tell_all(everybody: Iterable[Waiting], error: LinkBroken) -> None:
    for each in everybody:
        if not each.answer.done():
            each.answer.set_exception(error)
