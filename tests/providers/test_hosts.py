"""hosts.toml: every row has its facts, no field of a host is without use, and the document tells them all."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from message_forms import EVERYTHING, FORMS
from translating_cases import TOOLS, Json, question

from dragoman.errors import InvalidRequest
from dragoman.gateway.config.config import ProviderConfig, settings
from dragoman.gateway.config.hosts import Host, known_hosts
from dragoman.providers.base import Capabilities
from dragoman.providers.openai_chat import ChatCompletions

CHAT = ChatCompletions()
DOCUMENT = Path(__file__).parents[2] / "docs" / "translation.md"
HOSTS = known_hosts()
TALKERS = {name: host for name, host in HOSTS.items() if host.dialect == "openai_chat"}
PATTERNS = ("fixed_sampling", "cache_control", "reasons", "parsed_thinking", "names")
MODELS = ("some-model", "gpt-5", "mistral-small-latest", "kimi-k2.6", "glm-5", "anthropic/claude-sonnet-5", "qwen3-32b")


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_row_has_what_it_needs(host: Host) -> None:
    settings(ProviderConfig)["dialect"](host.dialect)
    if host.auth is not None:
        settings(ProviderConfig)["auth"](host.auth)
    assert re.match(r"https://|http://127\.0\.0\.1:\d+|\{address\}/", host.base_url)
    assert not host.base_url.endswith("/")
    assert len(host.source) > 10
    assert re.fullmatch(r"2026-\d\d-\d\d", host.date)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", each) for each in (*host.key, *host.address, *host.region))
    assert host.key or host.base_url.startswith("http://127.0.0.1") or host.dialect in ("bedrock", "vertex")
    for name in PATTERNS:
        re.compile(getattr(host.can, name))


def test_names_of_hosts_are_names_of_providers() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in HOSTS)
    assert len({(host.base_url, host.dialect) for host in HOSTS.values()}) >= len(HOSTS) - 1  # two have one port


def test_no_field_of_a_host_is_without_use() -> None:
    """What no row sets is nobody's quirk, and what no code reads is no quirk at all."""
    usual = msgspec.structs.asdict(Capabilities())
    set_ = {
        name
        for host in HOSTS.values()
        for name, value in msgspec.structs.asdict(host.can).items()
        if value != usual[name]
    }
    assert set_ == set(usual)
    folder = Path(__file__).parents[2] / "src" / "dragoman" / "providers"
    sources = "".join(path.read_text() for path in folder.glob("openai_*.py"))
    assert [name for name in usual if not re.search(rf"can\.{name}\b", sources)] == []


def test_the_document_tells_every_host() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| `(\w+)` \| `(\S+)` \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    told = {name: (dialect, url, tuple(re.findall(r"`([A-Z0-9_]+)`", keys))) for name, dialect, url, keys in rows}
    assert told == {name: (host.dialect, host.base_url, host.key) for name, host in HOSTS.items()}


# -- what is sent to each --

# Fields that a host's reference lists, where it refuses all others. Mistral's, of its chat completion endpoint:
CLOSED = {
    "mistral": "model messages temperature top_p max_tokens stream stop random_seed response_format tools tool_choice "
    "presence_penalty frequency_penalty n prediction parallel_tool_calls reasoning_effort safe_prompt metadata",
    "nvidia": "model messages temperature top_p max_tokens stream stream_options stop seed tools tool_choice "
    "parallel_tool_calls response_format frequency_penalty presence_penalty",
}
IN_MESSAGES = {
    "mistral": {
        "system": "role content",
        "user": "role content",
        "assistant": "role content tool_calls prefix",
        "tool": "role content tool_call_id name",
    }
}
EXTRAS: dict[str, Json] = {
    "everything": EVERYTHING,
    "tier": {"service_tier": "auto"},
    "thinking": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    "no thinking": {"thinking": {"type": "disabled"}},
    "forced": {"tools": TOOLS, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    "streamed": {"stream": True},
    "five stops": {"stop_sequences": ["a", "b", "c", "d", "e"]},
}
CASES: dict[str, Json] = {**{name: fields for name, (fields, _) in FORMS.items()}, **EXTRAS}


def bodies(host: Host, model: str) -> list[tuple[str, Json]]:
    found = []
    for name, fields in CASES.items():
        try:
            translated = CHAT.translate(question(model, can=host.can, **fields))
        except InvalidRequest:
            continue
        assert all(part.isprintable() and "," not in part for part in translated.lost)
        if translated.request.url.endswith("/chat/completions"):  # else it is OpenAI's other dialect
            found.append((name, json.loads(translated.request.body)))
    return found


@pytest.mark.parametrize("name", TALKERS)
def test_what_a_host_is_sent_is_in_its_order(name: str) -> None:
    """Pain 12, 20, 45: roles, ids and choices, whatever is asked."""
    can = TALKERS[name].can
    for model in MODELS:
        for case, body in bodies(TALKERS[name], model):
            roles = [message["role"] for message in body["messages"]]
            assert "system" not in (roles[1:] if not can.system_turns else []), case
            assert body["messages"][-1]["role"] != "assistant" or case == "prefill"
            if not can.user_after_results:
                assert ("tool", "user") not in list(itertools.pairwise(roles)), case
            if can.alternates:
                assert ("user", "user") not in list(itertools.pairwise(roles)), case
            assert isinstance(body.get("tool_choice"), dict) <= (can.tool_choice == "all"), case
            assert ("stop" in body) <= (can.tells_stop is not None), case
            for message in body["messages"]:
                for call in message.get("tool_calls", []):
                    assert re.fullmatch(r"[a-zA-Z0-9]{9}" if can.short_ids else r".{1,40}", call["id"])


@pytest.mark.parametrize("name", CLOSED)
def test_a_host_that_refuses_other_fields_is_sent_none(name: str) -> None:
    """Pain 14."""
    for model in MODELS:
        for case, body in bodies(TALKERS[name], model):
            assert body.keys() <= set(CLOSED[name].split()), case
            for message in body["messages"]:
                if (fields := IN_MESSAGES.get(name)) is not None:
                    assert message.keys() <= set(fields[message["role"]].split()), case


@pytest.mark.parametrize(
    ("name", "model", "fields", "sent"),
    [
        ("openrouter", "anthropic/claude-sonnet-5", {"top_k": 5}, {"top_k": 5}),
        ("groq", "openai/gpt-oss-120b", {"output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
        ("groq", "qwen/qwen3-32b", {}, {"reasoning_format": "parsed"}),
        ("groq", "llama-3.3-70b", {"service_tier": "standard_only"}, {"service_tier": "on_demand"}),
        ("mistral", "mistral-small-latest", {"thinking": {"type": "adaptive"}}, {"reasoning_effort": "high"}),
        ("mistral", "mistral-large-latest", {"thinking": {"type": "adaptive"}}, {}),
        ("deepseek", "deepseek-flash", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ("xai", "grok-4.3", {"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ("moonshot", "kimi-k3", {"temperature": 0.3, "thinking": {"type": "disabled"}}, {}),
        ("moonshot", "moonshot-v1-8k", {"temperature": 0.3}, {"temperature": 0.3}),
        ("zai", "glm-5", {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "enabled"}}),
        ("dashscope", "qwen3-max", {"thinking": {"type": "disabled"}}, {"enable_thinking": False}),
        ("ollama", "llama3", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, {}),
        ("ollama", "gpt-oss:20b", {"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}),
        (
            "vllm",
            "qwen3-32b",
            {"thinking": {"type": "disabled"}, "top_k": 5},
            {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 5},
        ),
    ],
)
def test_some_hosts_in_their_own_words(name: str, model: str, fields: Json, sent: Json) -> None:
    body = json.loads(CHAT.translate(question(model, can=TALKERS[name].can, **fields)).request.body)
    usual: tuple[Any, ...] = ("model", "messages", "max_tokens", "max_completion_tokens")
    assert {field: value for field, value in body.items() if field not in usual} == sent
