"""The official SDK makes of every translated stream the message that ours is: what its accumulator cannot read, Claude
Code cannot either."""

from collections.abc import Iterator
from random import Random
from typing import Any

import anthropic
import httpx2
import pytest
from passing_cases import PASSING, passed
from streams import chunks
from translating_cases import FIXTURES, TOOLS, Recorded, events_of, question, recorded

from dragoman.providers.base import Translator
from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.gemini import Gemini
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_responses import Responses
from dragoman.providers.vertex import VertexGemini

ROUNDS = 500
TRANSLATORS: dict[str, Translator] = {
    each.name: each for each in (ChatCompletions(), Responses(), Gemini(), Converse(), VertexGemini())
}


class Official:
    """The official client of a server that answers with `body`, in pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        http_client = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.client = anthropic.Anthropic(
            api_key="k", base_url="http://sdk.test", http_client=http_client, max_retries=0
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(self.pieces))

    def folded(self, pieces: list[bytes]) -> Any:
        self.pieces = pieces
        turns: Any = [{"role": "user", "content": "x"}]
        with self.client.messages.stream(model="claude-opus-4-8", max_tokens=1, messages=turns) as events:
            return events.get_final_message().to_dict()


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


@pytest.fixture(scope="module")
def official() -> Iterator[Official]:
    made = Official()
    with made.client:
        yield made


def written(dialect: str, case: Recorded, rng: Random) -> bytes:
    """What comes of a recorded stream that the network cut at random."""
    asking = question(case.model, stream=True, **{"tools": TOOLS, **case.asked})
    reader = TRANSLATORS[dialect].translate(asking).stream()
    out = b""
    for piece in chunks(rng, case.body):
        out += b"" if reader.is_done else reader.feed(piece)
    return out if reader.is_done else out + reader.close()


def essence(message: Any) -> Any:
    """What it says and how it ended. Of an input that was cut, the SDK drops the text that it was cut in."""
    is_cut = message["stop_reason"] == "max_tokens"
    content = [{**block, "input": "cut"} if is_cut and "input" in block else block for block in message["content"]]
    return content, message["stop_reason"], message["stop_sequence"]


def test_no_dialect_is_missing() -> None:
    assert {path.parent.name for path in FIXTURES.glob("*/streams")} == TRANSLATORS.keys() | PASSING.keys()


@pytest.mark.parametrize("dialect", TRANSLATORS)
def test_the_official_client_reads_every_stream(official: Official, dialect: str) -> None:
    """Pain 1: 500 streams cut at random, each lawful, and each the recorded message in the official accumulator."""
    rng = Random(dialect)
    mine = [case for case in recorded(dialect, "streams") if case.error is None]
    for _ in range(ROUNDS // len(TRANSLATORS)):
        case = rng.choice(mine)
        out = written(dialect, case, rng)
        events_of(out)  # checks the law of their order
        assert case.message is not None
        message = official.folded(chunks(rng, out))
        assert essence(message) == essence(case.message), case.name
        assert message["usage"]["output_tokens"] == case.message["usage"]["output_tokens"]


# Of betas, and of later versions: the official types have none of these blocks.
NOT_KNOWN_THERE = frozenset({"unknown_fields", "compaction", "mcp_call"})


@pytest.mark.parametrize("folder", PASSING)
def test_the_official_client_reads_every_stream_of_the_api_wherever_it_is(official: Official, folder: str) -> None:
    """Pain 1: without what a cloud adds, however the network cuts it."""
    rng = Random(folder)
    for case in passed(folder, "streams"):
        if case.error is not None or case.message is None or case.name in NOT_KNOWN_THERE:
            continue
        reader = PASSING[folder].stream()
        out = b"".join(reader.feed(piece) for piece in chunks(rng, case.body))
        message = official.folded(chunks(rng, out))
        assert essence(message) == essence(case.message), case.name
        assert message["usage"]["output_tokens"] == case.message["usage"]["output_tokens"]
