"""The same request asked both ways, 500 times: a stream, folded, is the reply that was not streamed.

The requests are made at random (support/varied.py) and seeded, so a failure comes back; it prints its request. One
server, one connection that is kept.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from rawhttp import Reply, Wire, events, post
from serving import Serving
from varied import Json, go_on, varied

from dragoman.wire.codec import encode
from dragoman.wire.events import Fold, decode_event
from dragoman.wire.sse import ServerEvent

SEED = 20261121
COUNT = 500
TURNS = 3  # of a conversation at most: then another begins
# Made anew for each reply. Which call an id belongs to is its place in the content, which is compared.
ID = re.compile(r"\b(msg|toolu|srvtoolu|req|container)_01[1-9A-HJ-NP-Za-km-z]{22}\b")
PATH = "/v1/messages"


def requests() -> Iterator[tuple[Random, Json]]:
    for number in range(COUNT):
        rng = Random(SEED + number)
        yield rng, varied(rng)


async def test_the_folded_stream_is_the_whole_reply() -> None:
    """STR-15, STR-6: also for what is refused."""
    statuses: Counter[int] = Counter()
    seen: Counter[str] = Counter()
    async with Serving() as server, await Wire.connect(server.url) as wire:
        asked = 0
        for rng, request in requests():
            for _ in range(TURNS):
                if asked == COUNT:
                    break
                asked += 1
                message = await _compared(wire, request)
                if message is None:
                    statuses[400] += 1
                    break
                statuses[200] += 1
                seen.update(_features(request, message))
                if message["stop_reason"] not in ("end_turn", "tool_use") or rng.random() < 0.6:
                    break
                request = go_on(rng, request, message)
        assert len(server.rows) >= 2 * COUNT
        assert {row["outcome"] for row in server.rows} <= {"answered", "refused"}
    assert statuses[200] > 0.85 * COUNT, statuses
    # What was compared is worth comparing: each of these many times.
    for feature in EXPECTED:
        assert seen[feature] >= 5, (feature, seen)


EXPECTED = """
    thinking output_config tools system stop_sequences cached several-turns says-text says-thinking says-tool_use
    ends-end_turn ends-tool_use ends-max_tokens ends-stop_sequence signed two-calls
""".split()


def _features(request: Json, message: Json) -> set[str]:
    kinds = [block["type"] for block in message["content"]]
    found = {*request, f"ends-{message['stop_reason']}", *(f"says-{kind}" for kind in kinds)}
    if any(block.get("signature") for block in message["content"]):
        found.add("signed")
    if kinds.count("tool_use") > 1:
        found.add("two-calls")
    if _is_cached(request):
        found.add("cached")
    if len(request["messages"]) > 2:
        found.add("several-turns")
    return found


async def _compared(wire: Wire, request: Json) -> Json | None:
    """The reply that both ways gave; None where both were refused in the same words."""
    if _is_cached(request):
        await _ask(wire, request)  # writes the cache, so that both of the others read it
    whole = await _ask(wire, request)
    streamed = await _ask(wire, {**request, "stream": True})
    shown = json.dumps(request, ensure_ascii=False)
    if streamed.status != 200:
        assert whole.status == streamed.status == 400, (shown, whole, streamed)
        assert _told(whole.json()) == _told(streamed.json()), shown
        return None
    assert whole.status == 200, (shown, whole)
    assert _told(_folded(streamed.body)) == _told(whole.json()), shown
    return dict(whole.json())


async def _ask(wire: Wire, request: Json) -> Reply:
    await wire.send(post(request))
    return await wire.reply()


def _is_cached(request: Json) -> bool:
    return '"cache_control"' in json.dumps(request)


def _folded(body: bytes) -> Any:
    fold = Fold()
    for name, value in events(body):
        fold.add(decode_event(ServerEvent(name, json.dumps(value).encode(), 0)))
    assert fold.is_complete
    assert fold.error is None
    return json.loads(encode(fold.message()))


def _told(reply: Any) -> Any:
    return json.loads(ID.sub(r"\1_ID", json.dumps(reply, sort_keys=True)))
