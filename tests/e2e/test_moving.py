"""Conversations that move between providers turn by turn, with thinking and tools: none is ever refused (pain 6, 7, 8).

The providers are those of support/many.py. Everything that came is sent back as it came.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from many import CLAUDE, CLAUDES, MODELS, PLAYERS, THINKING, WEATHER, Json, Place, every_provider

from dragoman.wire.provenance import unwrap

# What is said; where tools are called for, the next player gets their results.
CALLING = "What is the weather in Paris and in Rome?"
SCRIPT = (CALLING, CALLING, "Thank you.", CALLING, CALLING)
SEALED = re.compile(r"[\w+/=-]{20,}")
HEAD = 4  # characters of it that may be an adapter's own
WALK = 12  # turns
WALKS_LIMIT = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with every_provider(tmp_path_factory.mktemp("moving")) as place:
        yield place


class Conversation:
    """One that is held by many. `turns` is what was said so far, as it is sent."""

    def __init__(self, place: Place, thinking: str) -> None:
        self.turns: list[Json] = []
        self.made: list[tuple[str, Json]] = []  # blocks of thinking, by whom they were made
        self._place = place
        self._thinking = thinking
        self._script = itertools.cycle(SCRIPT)

    def go_on(self, player: str, *, stream: bool) -> None:
        """One turn of the player: it answers what is next to be said, or gets the results of another's calls."""
        self.speak()
        options = self.asking(player)
        before = len(self._place.asked(player))
        message = self._asked(options, stream=stream)
        calls = [block for block in message.content if block.type == "tool_use"]
        is_called_for = self.turns[-1]["content"] == CALLING
        assert (message.stop_reason, bool(calls)) == (("tool_use", True) if is_called_for else ("end_turn", False))
        (body,) = self._place.asked(player)[before:]
        self._check(player, body)
        content = message.to_dict()["content"]
        self.made += [(player, block) for block in content if "thinking" in block["type"]]
        self.turns.append({"role": "assistant", "content": content})

    def asking(self, player: str) -> Json:
        """What the player is asked next."""
        return {
            "model": f"{player}/{MODELS[player, self._thinking]}",
            "max_tokens": 4000,
            "messages": self.turns,
            "tools": [WEATHER],
            "thinking": THINKING[self._thinking],
        }

    def speak(self) -> None:
        """The turn of whoever asks."""
        last = self.turns[-1]["content"] if self.turns else []
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": f"sun in {block['input']['city']}"}
            for block in last
            if block["type"] == "tool_use"
        ]
        self.turns.append({"role": "user", "content": results or next(self._script)})

    def _asked(self, options: Json, *, stream: bool) -> Any:
        if not stream:
            return self._place.client.messages.create(**options)
        with self._place.client.messages.stream(**options) as events:
            return events.get_final_message()

    def _check(self, player: str, body: Json) -> None:
        """A player gets back what it thought, byte for byte, and nothing that another did."""
        family = CLAUDES if player in CLAUDES else (player,)
        own = [block for maker, block in self.made if maker in family]
        if player in CLAUDES:
            there = [block for turn in body["messages"] for block in turn["content"] if isinstance(block, dict)]
            assert [block for block in there if "thinking" in block["type"]] == own
            return
        sent = json.dumps(body)
        others = [block for maker, block in self.made if maker != player]
        assert [seal for block in own for seal in seals(block) if seal not in sent] == []
        assert [seal for block in others for seal in seals(block) if seal in sent] == []


def seals(block: Json) -> list[str]:
    """What its maker sealed in a block, but for the beginning: nothing of one whose maker seals nothing."""
    signature = block.get("signature") or block.get("data", "")
    made = unwrap(signature)
    return [sealed[HEAD:] for sealed in SEALED.findall(signature if made is None else made[1])]


@pytest.fixture(autouse=True)
def nothing_was_refused(place: Place) -> Iterator[None]:
    place.forget()
    yield
    assert place.refused == {}


def quartets() -> list[tuple[str, ...]]:
    """All orders of fours; each player is in two of those."""
    around = [*PLAYERS, *PLAYERS]
    fours = [around[at : at + 4] for at in range(0, len(PLAYERS), 2)]
    return [order for four in fours for order in itertools.permutations(four)]


@pytest.mark.parametrize("order", quartets(), ids=">".join)
def test_four_providers_in_turn(place: Place, order: tuple[str, ...]) -> None:
    """Pain 6, 7, 8: each calls tools or gets results of another's calls; the first comes back to what it said."""
    chance = random.Random(">".join(order))
    conversation = Conversation(place, chance.choice([*THINKING]))
    for player in (*order, order[0]):
        conversation.go_on(player, stream=chance.choice((True, False)))


def walks() -> list[tuple[str, ...]]:
    """Random ones, the same in every run: until each has followed upon each."""
    chance, found = random.Random(43), []
    missing = set(itertools.product(PLAYERS, repeat=2))
    while missing:
        assert len(found) < WALKS_LIMIT
        found.append(tuple(chance.choices(PLAYERS, k=WALK)))
        missing -= set(itertools.pairwise(found[-1]))
    return found


@pytest.mark.parametrize("thinking", THINKING)
@pytest.mark.parametrize(("walk", "stream"), [*zip(walks(), itertools.cycle((False, True)), strict=False)])
def test_a_random_walk(place: Place, walk: tuple[str, ...], thinking: str, stream: bool) -> None:
    """Pain 6, 7, 8: also a player upon itself, in the middle of its calls."""
    conversation = Conversation(place, thinking)
    for player in walk:
        conversation.go_on(player, stream=stream)


@pytest.mark.parametrize("thinking", THINKING)
def test_what_another_thought_is_told_as_left_out(place: Place, thinking: str) -> None:
    """Pain 7: and whoever wants all or nothing gets a 400 from us, not from the upstream."""
    conversation = Conversation(place, thinking)
    conversation.go_on("openai_chat", stream=True)
    conversation.speak()
    raw = place.client.messages.with_raw_response.create(**conversation.asking(CLAUDE))
    assert raw.headers["dragoman-lost"] == "thinking"
    own = raw.parse().content
    assert [block.type for block in own if "thinking" in block.type] == ["thinking"] * (thinking == "adaptive")
    with pytest.raises(anthropic.BadRequestError, match="dragoman-strict: claude cannot carry: thinking"):
        place.client.messages.create(**conversation.asking(CLAUDE), extra_headers={"dragoman-strict": "true"})
    assert len(place.asked(CLAUDE)) == 1


WRITTEN_BY_THE_API: list[Json] = [
    {"role": "user", "content": "Let us build a bridge."},
    {
        "role": "assistant",
        "content": [
            {"type": "compaction", "content": "They build a bridge of oak."},
            {
                "type": "mcp_tool_use",
                "id": "mcptoolu_1",
                "name": "prices",
                "server_name": "wood",
                "input": {"of": "oak"},
            },
            {
                "type": "mcp_tool_result",
                "tool_use_id": "mcptoolu_1",
                "content": [{"type": "text", "text": "9 a plank"}],
            },
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "oak"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "url": "https://o.test", "title": "Oaks", "encrypted_content": "Eq"}
                ],
            },
            {"type": "text", "text": "Oak is 9 a plank."},
        ],
    },
    {"role": "user", "content": "And pine?"},
]


@pytest.mark.parametrize("stream", [False, True])
def test_what_only_the_api_reads_goes_to_any_model(place: Place, stream: bool) -> None:
    """A summary is all that the model has of what came before it; what MCP's tools did is told, and that it is lost."""
    for player in PLAYERS:
        if player == CLAUDE:
            continue
        place.forget()
        options: Json = {
            "model": f"{player}/{MODELS[player, 'adaptive']}",
            "max_tokens": 4000,
            "messages": WRITTEN_BY_THE_API,
            "betas": ["mcp-client-2025-11-20"],
        }
        messages = place.client.beta.messages
        raw = messages.with_raw_response.create(**options, stream=stream)
        (body,) = place.asked(player)
        sent = json.dumps(body)
        lost = raw.headers["dragoman-lost"].split(", ")
        assert "of oak" in sent
        if player in CLAUDES:
            assert {"messages.mcp_tool_use", "messages.mcp_tool_result"} <= {*lost}
        else:
            assert {"mcp_tool_use", "mcp_tool_result", "web_search_tool_result"} <= {*lost}
            assert "https://o.test" in sent
            assert "a bridge." not in sent
            assert sent.index("of oak") < sent.index("9 a plank]") < sent.index("Oak is 9") < sent.index("And pine?")
        with pytest.raises(anthropic.BadRequestError, match="mcp_tool_use"):
            messages.create(**options, extra_headers={"dragoman-strict": "true"})
        assert len(place.asked(player)) == 1
