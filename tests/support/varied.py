"""Requests of every kind that are meant to be good ones, made at random from what the API can be asked for.

Seeded: the same seed, the same requests. A feature of the server that is to be asked for here is one function more in
`FEATURES`: it adds to a request, with what the model takes in view, or leaves it as it is.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from corpus import PNG, SEARCH, WEATHER

from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.models import Model

__all__ = ["FEATURES", "Json", "go_on", "varied"]

Json = dict[str, Any]
Feature = Callable[[Random, Json, Model], None]

MODELS = [model for model in map(Catalogue.load().resolve, (
    "claude-fable-5-2", "claude-mythos-preview", "claude-opus-5-5", "claude-opus-5", "claude-opus-4-8",
    "claude-opus-4-6", "claude-opus-4-5", "claude-sonnet-5-5", "claude-sonnet-5", "claude-sonnet-4-6",
    "claude-sonnet-4-5", "claude-haiku-5-5", "claude-haiku-4-5", "claude-opus-4-1", "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-20241022", "claude-3-haiku-20240307",
)) if model is not None]  # fmt: skip

SAID = (
    "Hello, Claude",
    "What is the weather in Tokyo, in celsius, on 2026-01-02?",
    "Search for 'naïve Bayes' and call the id 12.",
    'Здравствуй 你好 🦊 \u2028 "quoted" \\ back',
    "Use get_weather for Tokyo and for Paris, and search for 'rain'.",
    "Call the tools get_weather and search, then write_file, then bash.",
    "One, two, three. Stop there, and END.",
    "List the files in /tmp/a.txt, then open https://example.com/x?y=1#z.",
    "All work and no play makes a dull day. " * 12,
    "event: message_stop\ndata: {}\n\n",
    "```python\nprint('{\"a\": 1}')\n```",
)
NOW = {
    "name": "now",
    "description": "The time of day. Takes nothing.",
    "input_schema": {"type": "object", "properties": {}},
}
FILE = {
    "name": "write_file",
    "description": "Writes a file.",
    "input_schema": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "text": {"type": "string"},
            "mode": {"enum": ["w", "a"]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            "meta": {"type": "object", "properties": {"at": {"type": "string", "format": "date"}}, "required": ["at"]},
        },
        "required": ["path", "text", "tags", "meta"],
    },
}
CLIENT_TOOLS: list[Json] = [
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 500},
    {"type": "memory_20250818", "name": "memory"},
    {"type": "text_editor_20250124", "name": "str_replace_editor"},
]
FORMATS: list[Json] = [
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "dry": {"type": "boolean"}},
        "required": ["city", "days", "dry"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"enum": ["a", "b"]}}, "n": {"type": ["number", "null"]}},
        "required": ["list"],
        "additionalProperties": False,
    },
]
DOCUMENTS: list[Json] = [
    {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "The sky is blue. Grass is green.\nIt rains."},
        "title": "Colours",
    },
    {
        "type": "document",
        "source": {"type": "content", "content": [{"type": "text", "text": "a tale"}, {"type": "text", "text": "b"}]},
        "context": "Old.",
    },
]


def varied(rng: Random) -> Json:
    """A request without `stream`."""
    model = rng.choice(MODELS)
    request: Json = {
        "model": model.id,
        "max_tokens": rng.choice([400, 1000, 2000]),
        "messages": [{"role": "user", "content": rng.choice(SAID)}],
    }
    for feature in rng.sample(FEATURES, rng.choice([0, 1, 1, 2, 2, 3])):
        feature(rng, request, model)
    return request


def go_on(rng: Random, request: Json, message: Json) -> Json:
    """The next turn of a conversation: results for its calls, or another question. Blocks go back as they came."""
    calls = [block for block in message["content"] if block["type"] == "tool_use"]
    results: list[Json] = [{"type": "tool_result", "tool_use_id": call["id"], **_result(rng)} for call in calls]
    asked: list[Json] = [{"type": "text", "text": rng.choice(SAID)}] if not calls or rng.random() < 0.3 else []
    turns = [
        *request["messages"],
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [*results, *asked]},
    ]
    return {**request, "messages": turns}


def _result(rng: Random) -> Json:
    return rng.choice(
        [
            {"content": "18 degrees, 日本"},
            {"content": [{"type": "text", "text": "It is noon."}, PNG]},
            {"content": "no such file", "is_error": True},
            {},
        ]
    )


# -- features --------------------------------------------------------------------------------------------------------


def system_prompt(rng: Random, request: Json, model: Model) -> None:
    text = "Be brief. " * rng.choice([1, 300])
    marked = {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": rng.choice(["5m", "1h"])}}
    request["system"] = rng.choice([text, [{"type": "text", "text": text}], [{"type": "text", "text": "x"}, marked]])


def custom_tools(rng: Random, request: Json, model: Model) -> None:
    add_tools(request, rng.sample([WEATHER, SEARCH, NOW, FILE], rng.randint(1, 4)))
    choices: list[Json] = [{"type": "auto"}, {"type": "auto", "disable_parallel_tool_use": True}, {"type": "none"}]
    if model.forced_tools:
        choices += [{"type": "any"}, {"type": "tool", "name": request["tools"][-1]["name"]}]
    if rng.random() < 0.7:
        request["tool_choice"] = rng.choice(choices)


def client_tools(rng: Random, request: Json, model: Model) -> None:
    """Those whose input the API defines."""
    add_tools(request, rng.sample(CLIENT_TOOLS, rng.randint(1, 2)))
    if model.forced_tools and rng.random() < 0.5:
        request["tool_choice"] = {"type": "any"}


def tool_results(rng: Random, request: Json, model: Model) -> None:
    add_tools(request, [WEATHER])
    request.pop("tool_choice", None)
    input_ = {"city": "Tokyo", "unit": "celsius", "spots": []}
    call = {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": input_}
    ids = ["toolu_01A", "toolu_01B"][: rng.randint(1, 2)]
    request["messages"] += [
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, *({**call, "id": id_} for id_ in ids)]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id_, **_result(rng)} for id_ in ids]},
    ]


def thinking(rng: Random, request: Json, model: Model) -> None:
    rules = model.thinking
    configs: list[Json] = [{"type": "disabled"}] if rules is None or rules.disabled != "no" else []
    if rules is not None and rules.adaptive:
        configs += [{"type": "adaptive"}] + [{"type": "adaptive", "display": how} for how in ("omitted", "summarized")]
    if rules is not None and rules.enabled:
        configs += [{"type": "enabled", "budget_tokens": 1024}] * 2
    if rules is not None and rules.between_tools:
        configs.append({"type": "between_tools"})
    request["thinking"] = rng.choice(configs)
    if request["thinking"]["type"] == "enabled":
        request["max_tokens"] = 2000
        request.pop("tool_choice", None)


def stop_sequences(rng: Random, request: Json, model: Model) -> None:
    request["stop_sequences"] = rng.choice([["offline"], ["zzz"], ["END", "said"], ["🦊"], ["no model", "was"]])


def few_tokens(rng: Random, request: Json, model: Model) -> None:
    request["max_tokens"] = rng.choice([1, 2, 3, 5, 8, 13, 21, 34])
    if request.get("thinking", {}).get("type") == "enabled":
        request["max_tokens"] = 1025


def output_format(rng: Random, request: Json, model: Model) -> None:
    if "structured_outputs" in model.capabilities:
        configure(request, format={"type": "json_schema", "schema": rng.choice(FORMATS)})


def effort(rng: Random, request: Json, model: Model) -> None:
    if model.effort:
        configure(request, effort=rng.choice(model.effort))


def image(rng: Random, request: Json, model: Model) -> None:
    ask_with(request, *[PNG] * rng.randint(1, 2))


def document(rng: Random, request: Json, model: Model) -> None:
    found = rng.sample(DOCUMENTS, rng.randint(1, 2))
    citations = rng.random() < 0.5
    ask_with(request, *({**one, "citations": {"enabled": citations}} for one in found))


def cached_prompt(rng: Random, request: Json, model: Model) -> None:
    if rng.random() < 0.5:
        request["cache_control"] = {"type": "ephemeral"}
        return
    long = {"type": "text", "text": "A long story. " * 2000, "cache_control": {"type": "ephemeral"}}
    ask_with(request, long)


def earlier_turns(rng: Random, request: Json, model: Model) -> None:
    request["messages"][:0] = [
        {"role": "user", "content": "Begin."},
        {"role": "user", "content": [{"type": "text", "text": "Do."}]},
        {"role": "assistant", "content": rng.choice(["Well.", [{"type": "text", "text": "Well, well."}]])},
    ]


def system_turn(rng: Random, request: Json, model: Model) -> None:
    if model.system_turns:
        request["messages"].append({"role": "system", "content": "From here on in French."})


def prefill(rng: Random, request: Json, model: Model) -> None:
    last = request["messages"][-1]
    if model.prefill and last["role"] == "user" and request.keys().isdisjoint({"thinking", "output_config"}):
        request["messages"].append({"role": "assistant", "content": rng.choice(["Once upon", "{", "Sure:\n\n1."])})


def sampling(rng: Random, request: Json, model: Model) -> None:
    if model.sampling != "default_only" and "thinking" not in request:
        request |= rng.choice([{"temperature": 0.5}, {"top_p": 0.9}, {"temperature": 0, "top_k": 5}])


def account(rng: Random, request: Json, model: Model) -> None:
    request |= rng.choice([{"metadata": {"user_id": "u-1"}}, {"service_tier": "standard_only"}])
    if model.inference_geo:
        request["inference_geo"] = rng.choice(["us", "global"])


FEATURES: list[Feature] = [
    system_prompt, custom_tools, custom_tools, client_tools, tool_results, thinking, thinking, stop_sequences,
    few_tokens, output_format, effort, image, document, cached_prompt, earlier_turns, system_turn, prefill, sampling,
    account,
]  # fmt: skip


def add_tools(request: Json, tools: list[Json]) -> None:
    given = request.setdefault("tools", [])
    names = {tool["name"] for tool in given}
    given += [tool for tool in tools if tool["name"] not in names]


def configure(request: Json, **fields: Any) -> None:
    request["output_config"] = {**request.get("output_config", {}), **fields}


def ask_with(request: Json, *blocks: Json) -> None:
    """Put blocks before the words of the first user turn."""
    first = request["messages"][0]
    words = first["content"]
    if isinstance(words, str):
        words = [{"type": "text", "text": words}]
    first["content"] = [*blocks, *words]
