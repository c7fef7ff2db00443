"""One dragoman in front of every provider: all fakes of fakes.py, and a Messages-speaking upstream (a second dragoman,
whose offline engine checks signatures of thinking as the API does). A new row of FAKES joins by itself.

Claude is one, wherever it is asked: its signatures are good at Anthropic, Bedrock and Vertex alike (the API's
documentation, "Extended thinking", read 2026-11-21), so here all of them have one key.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import pytest
from fake_provider import FakeProvider
from fakes import FAKES
from running import Running
from tap import Tap

from dragoman.engines.offline.thinking import Signer
from dragoman.errors import InvalidRequest
from dragoman.wire.types import InputMessage, Thinking

__all__ = ["CLAUDE", "CLAUDES", "MODELS", "PLAYERS", "THINKING", "WEATHER", "Json", "Place", "every_provider"]

Json = dict[str, Any]

CLAUDE = "claude"  # the upstream that speaks the Messages API
PLAYERS = (CLAUDE, *FAKES)
CLAUDES = (CLAUDE, *(name for name, fake in FAKES.items() if fake.knows_thinking))
THINKING: dict[str, Json] = {
    "adaptive": {"type": "adaptive", "display": "summarized"},
    # The older way: a turn that calls tools must begin with its thinking, which is missing where another made it.
    "enabled": {"type": "enabled", "budget_tokens": 1024},
}
MODELS = {(CLAUDE, "adaptive"): "claude-opus-4-8", (CLAUDE, "enabled"): "claude-opus-4-5"}
MODELS |= {(name, way): fake.thinker for name, fake in FAKES.items() for way in THINKING}
MODELS["vertex", "enabled"] = "claude-opus-4-5-thinker@20251101"
WEATHER: Json = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

SECRET = "the one key of all Claudes"
SIGNER = Signer(SECRET.encode())


class Sealed(str):
    """A signature of Claude's for `thought`: equal to any other that is."""

    thought: str

    @classmethod
    def of(cls, thought: str, *_: object) -> "Sealed":
        sealed = cls(SIGNER.sign(thought, tokens=7))
        sealed.thought = thought
        return sealed

    def __eq__(self, other: object) -> bool:
        block = Thinking(thinking=self.thought, signature=str(other))
        try:
            SIGNER.check([InputMessage(role="assistant", content=[block])])
        except InvalidRequest:
            return False
        return True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Place(NamedTuple):
    """Where conversations are held, and all that was asked there."""

    client: anthropic.Anthropic
    fakes: dict[str, FakeProvider]
    tap: Tap

    def asked(self, player: str) -> list[Json]:
        """The bodies that a player was sent."""
        if player != CLAUDE:
            return self.fakes[player].bodies
        return [json.loads(each.body) for each in self.tap.exchanges if each.target.startswith("/v1/messages")]

    @property
    def refused(self) -> dict[str, list[str]]:
        """What a provider would not take, by its name; what it was made to refuse is not among it."""
        told = {name: fake.refused for name, fake in self.fakes.items()}
        told[CLAUDE] = [each.reply_body.decode() for each in self.tap.exchanges if each.status >= 400]
        return {name: all_ for name, all_ in told.items() if all_}

    def forget(self) -> None:
        self.tap.exchanges.clear()
        for fake in self.fakes.values():
            fake.forget()


@contextmanager
def every_provider(folder: Path) -> Iterator[Place]:
    """No fault of ours may be in the log at its end."""
    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        for where in ("fake_vertex_rules.signature", "fake_vertex.signature", "fake_bedrock_claude.signature_of"):
            patch.setattr(where, Sealed.of)
        offline = opened.enter_context(Running(folder / "claude", env={"DRAGOMAN_SECRET": SECRET}))
        tap = opened.enter_context(Tap(offline.url))
        fakes = {name: opened.enter_context(fake.make()) for name, fake in FAKES.items()}
        tables = {CLAUDE: f'base_url = "{tap.url}"\napi_key = "{offline.key}"'}
        tables |= {name: fake.table.format(fake=fakes[name]) for name, fake in FAKES.items()}
        config = "\n".join(f"[providers.{name}]\n{table}\n" for name, table in tables.items())
        server = opened.enter_context(Running(folder / "server", config))
        client = anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0, timeout=20)
        yield Place(opened.enter_context(client), fakes, tap)
        assert "Traceback" not in server.log()
