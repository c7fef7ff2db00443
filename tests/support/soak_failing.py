"""Four upstreams of the routing soak test, in one process: three fail at random, in every way, the last one never.

    with FailingUpstreams() as upstreams:
        ... upstreams.urls ...          # by name: a, b, c fail; d does not

A model is `soak.TAG`. `GET /state` tells how often the most asked tag was asked, over all of them, and what is open.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
from collections import Counter
from typing import Self

from soak_upstream import (
    DELTA,
    DELTAS,
    END,
    LAST_CHUNK,
    STOP,
    Peer,
    State,
    begun,
    chunk,
    error,
    event,
    head,
    message,
    start,
    stream_head,
    whole,
)

__all__ = ["NAMES", "FailingUpstreams"]

NAMES = ("a", "b", "c", "d")
FAILING = 0.4  # of the requests to a, b and c: of all attempts at four equal targets 30 in 100
SEED = 20261121
TAG = re.compile(rb'"model": ?"soak\.(\w+)"')


def refused(tag: str, status: int, kind: str, *fields: str) -> bytes:
    return whole(tag, json.dumps(error(kind, tag)).encode(), *fields, status=f"{status} Refused")


class Failing(Peer):
    """A connection to one of them."""

    def __init__(self, state: State, dice: random.Random, asked: "Counter[str]", *, is_healthy: bool) -> None:
        super().__init__(state)
        self._dice = dice
        self._asked = asked
        self._is_healthy = is_healthy

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/state":
            told = {"most": max(self._asked.values(), default=0), "asked": sum(self._asked.values())}
            self.write(whole("state", json.dumps({**told, **json.loads(self.state.tell(self))}).encode()))
            return
        named = TAG.search(body, 0, 300)
        assert named is not None, body[:300]
        tag = named[1].decode()
        self._asked[tag] += 1
        is_stream = b'"stream": true' in body
        if self._is_healthy or self._dice.random() >= FAILING:
            self._do_well(tag, is_stream)
        else:
            self._fail(tag, is_stream)

    def _do_well(self, tag: str, is_stream: bool) -> None:
        if is_stream:
            self.write(stream_head(tag), chunk(begun(tag) + DELTA * (DELTAS - 1) + END + STOP), LAST_CHUNK)
        else:
            self.write(whole(tag, json.dumps(message(tag)).encode()))

    def _fail(self, tag: str, is_stream: bool) -> None:
        kinds = ["reset", "close", "stall", "429", "429 in 1 s", "500", "529", "garbage", "truncated"]
        if is_stream:
            kinds += ["error first", "error before content", "stalled in mid-stream", "cut", "error late"]
        kind = self._dice.choice(kinds)
        if kind == "reset":
            self.reset()
        elif kind == "close":
            self.transport.close()
        elif kind == "429":
            self.write(refused(tag, 429, "rate_limit_error"))
        elif kind == "429 in 1 s":
            self.write(refused(tag, 429, "rate_limit_error", "retry-after: 1"))
        elif kind == "500":
            self.write(refused(tag, 500, "api_error"))
        elif kind == "529":
            self.write(refused(tag, 529, "overloaded_error"))
        elif kind == "garbage":
            self.write(b"\x16\x03\x01nonsense\r\n\r\n")
            self.transport.close()
        elif kind == "truncated":
            self.write(head(tag, "content-type: application/json", "content-length: 500"), b'{"id": "msg')
            self.transport.close()
        elif kind == "error first":
            self.write(stream_head(tag), chunk(event(error("overloaded_error", tag))), LAST_CHUNK)
        elif kind == "error before content":
            self.write(stream_head(tag), chunk(start(tag) + event(error("overloaded_error", tag))), LAST_CHUNK)
        elif kind == "error late":
            self.write(stream_head(tag), chunk(begun(tag) + event(error("api_error", tag))), LAST_CHUNK)
        elif kind == "cut":
            self.write(stream_head(tag), chunk(begun(tag)))
            self.transport.close()
        elif kind == "stalled in mid-stream":
            self.write(stream_head(tag), chunk(begun(tag)))


class FailingUpstreams:
    """The process."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        assert self._process.stdout is not None
        self.urls = {name: self._process.stdout.readline().decode().strip() for name in NAMES}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


async def serve() -> None:
    asked: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    for name in NAMES:
        state, dice = State(), random.Random(f"{SEED} {name}")

        def made(state: State = state, dice: random.Random = dice, is_healthy: bool = name == NAMES[-1]) -> Failing:
            return Failing(state, dice, asked, is_healthy=is_healthy)

        server = await loop.create_server(made, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
