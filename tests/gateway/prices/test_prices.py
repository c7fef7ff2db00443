"""What requests cost: usage shapes and their costs, computed by hand out of the price pages. Pain 31."""

import datetime
import importlib.metadata
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.gateway.catalogue import read_models
from dragoman.gateway.config.config import load
from dragoman.gateway.config.hosts import known_hosts
from dragoman.gateway.prices.prices import Cost, Prices
from dragoman.wire.types import CacheCreation, Usage

TODAY = datetime.date(2026, 11, 21)
ENV = {
    "ANTHROPIC_API_KEY": "key",
    "AZURE_OPENAI_ENDPOINT": "https://team.openai.azure.com",
    "CLOUD_ML_REGION": "global",
    "GOOGLE_CLOUD_PROJECT": "project",
    "AWS_REGION": "us-east-1",
}
PROVIDERS = """
[providers.anthropic]
[providers.proxy]
base_url = "https://proxy.example"
price_list = "anthropic"
[providers.bedrock]
[providers.vertex]
[providers.vertex-us]
host = "vertex"
region = "us"
[providers.vertex-east]
dialect = "vertex"
base_url = "https://us-east5-aiplatform.googleapis.com/v1/projects/project/locations/us-east5"
[providers.gemini]
[providers.openai]
[providers.azure]
[providers.openrouter]
[providers.groq]
[providers.deepseek]
[providers.deepseek-anthropic]
[providers.together]
[providers.perplexity]
[providers.dashscope]
[providers.gpu-box]
base_url = "http://10.0.0.5:8000"
[providers.ollama]
[providers.far-vllm]
host = "vllm"
base_url = "https://vllm.example/v1"
[providers.my-own]
dialect = "openai_chat"
base_url = "http://127.0.0.1:9999/v1"
price_list = "local"
[providers.offline]
"""


def prices_of(text: str = PROVIDERS, env: Mapping[str, str] = ENV) -> Prices:
    return Prices.load(load(None, env, text=text, listen="127.0.0.1:1"), today=TODAY)


PRICES = prices_of()


LISTED = f"genai-prices {importlib.metadata.version('genai-prices')}"


def moment(day: str = "2026-11-21", hour: int = 12) -> float:
    return datetime.datetime.fromisoformat(f"{day}T{hour:02}:00:00+00:00").timestamp()


def usage(
    input_tokens: int = 0,
    output_tokens: int = 0,
    *,
    read: int | None = None,
    write: int | None = None,
    parts: tuple[int, int] | None = None,
    **more: Any,
) -> Usage:
    """`parts` of what was written: for 5 minutes, for an hour. `write` is their sum, unless it is told."""
    creation = CacheCreation(ephemeral_5m_input_tokens=parts[0], ephemeral_1h_input_tokens=parts[1]) if parts else None
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=sum(parts) if parts and write is None else write,
        cache_creation=creation,
        **more,
    )


def cost(provider: str, model: str, used: Usage, *, prices: Prices = PRICES, at: float = moment(), **more: Any) -> Cost:
    return prices.cost(provider, model, used, at=at, **more)


# -- shapes of usage. Claude Opus 4.8 in dollars per million tokens: input 5, output 25, cache read 0.50, writes 6.25
# for 5 minutes and 10 for an hour; $10 per 1000 searches. A token: 5000, 25000, 500, 6250, 10000 nano-dollars.

OPUS = "claude-opus-4-8"
SHAPES: Mapping[str, tuple[Usage, int]] = {
    "plain": (usage(1000, 500), 5_000_000 + 12_500_000),
    "nothing": (usage(0, 0), 0),
    "one token": (usage(1, 0), 5000),
    "cache read": (usage(12, 300, read=100_000), 60_000 + 7_500_000 + 50_000_000),
    "written for 5 minutes": (usage(12, 300, read=0, parts=(4000, 0)), 60_000 + 7_500_000 + 25_000_000),
    "written for an hour": (usage(12, 300, read=0, parts=(0, 4000)), 60_000 + 7_500_000 + 40_000_000),
    "both lifetimes and a read": (
        usage(12, 300, read=100_000, parts=(1000, 3000)),
        60_000 + 7_500_000 + 50_000_000 + 6_250_000 + 30_000_000,
    ),
    "written, no parts told": (usage(12, 300, write=4000), 60_000 + 7_500_000 + 25_000_000),
    "the sum grew at the end of a stream": (
        usage(0, 0, write=4000, parts=(0, 3000)), 1000 * 6250 + 3000 * 10_000
    ),
    "parts without a sum": (
        Usage(
            input_tokens=0, output_tokens=0,
            cache_creation=CacheCreation(ephemeral_5m_input_tokens=1000, ephemeral_1h_input_tokens=3000),
        ),
        1000 * 6250 + 3000 * 10_000,
    ),
    "thinking is part of the output": (
        usage(1000, 500, output_tokens_details={"thinking_tokens": 400}), 17_500_000
    ),
    "searches": (
        usage(1000, 500, server_tool_use={"web_search_requests": 3, "web_fetch_requests": 0}), 17_500_000 + 30_000_000
    ),
    "fetches cost nothing": (
        usage(1000, 500, server_tool_use={"web_search_requests": 0, "web_fetch_requests": 5}), 17_500_000
    ),
    "standard": (usage(1000, 500, service_tier="standard", speed="standard", inference_geo="global"), 17_500_000),
    "anywhere": (usage(1000, 500, inference_geo="not_available"), 17_500_000),
    "batch": (usage(1000, 500, service_tier="batch"), 8_750_000),
    "batch of all kinds": (
        usage(12, 300, read=100_000, parts=(1000, 3000), service_tier="batch"), 93_810_000 // 2
    ),
    "batch with a search, which is not halved": (
        usage(1000, 500, service_tier="batch", server_tool_use={"web_search_requests": 1}), 8_750_000 + 10_000_000
    ),
    "in the US": (usage(1000, 500, inference_geo="us"), 19_250_000),
    "in the US, of all kinds": (
        usage(12, 300, read=100_000, parts=(1000, 3000), inference_geo="us"), 93_810_000 + 9_381_000
    ),
    "batch in the US": (usage(1000, 500, inference_geo="us", service_tier="batch"), 9_625_000),
    "fast": (usage(1000, 500, speed="fast"), 35_000_000),
    "fast, in the US, with a search": (
        usage(1000, 500, speed="fast", inference_geo="us", server_tool_use={"web_search_requests": 1}),
        38_500_000 + 10_000_000,
    ),
    "priority": (usage(1000, 500, service_tier="priority"), 17_500_000),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_of_usage_has_its_cost(shape: str) -> None:
    """Pain 31, CCH-34, BAT-13: disjoint buckets, writes of both lifetimes, reads, searches, batches, places, speeds."""
    used, expected = SHAPES[shape]
    for provider in ("anthropic", "proxy"):
        found = cost(provider, OPUS, used)
        assert (found.nano_usd, found.source) == (expected, LISTED)
        assert "2026-10-01" < found.date <= "2026-11-21"
        assert type(found.nano_usd) is int


@pytest.mark.parametrize(
    ("used", "note"),
    [
        (usage(1, 1), ""),
        (usage(1, 1, inference_geo="us"), "inference_geo us: times 1.1"),
        (usage(1, 1, service_tier="priority"), "the priority tier at the standard price"),
    ],
)
def test_what_else_counted_is_noted(used: Usage, note: str) -> None:
    assert cost("anthropic", OPUS, used).note == note


def test_a_batch_may_be_told_beside_the_usage() -> None:
    assert cost("anthropic", OPUS, usage(1000, 500), is_batch=True).nano_usd == 8_750_000
    assert cost("anthropic", OPUS, usage(1000, 500), service_tier="batch").nano_usd == 8_750_000


# -- models, lists and days: thousand tokens in, 500 out, unless a row says otherwise --

PLAIN = usage(1000, 500)
HAIKU = "claude-haiku-5-5"
COSTS: list[tuple[str, str, Usage, int]] = [
    # tiers by the length of the prompt, caches included: 0.10 and 0.50 up to 100,000 tokens, five times that above
    ("anthropic", HAIKU, usage(40_000, 1000, read=60_000), 4_000_000 + 600_000 + 500_000),
    ("anthropic", HAIKU, usage(40_001, 1000, read=60_000), 40_001 * 500 + 60_000 * 50 + 1000 * 2500),
    ("anthropic", HAIKU, usage(0, 0, parts=(100_001, 0)), 100_001 * 625),
    # fractions of a nano-dollar: 62.5 a token, half a one counts as one
    ("anthropic", HAIKU, usage(parts=(2, 0), service_tier="batch"), 125),
    ("anthropic", HAIKU, usage(parts=(3, 0), service_tier="batch"), 188),
    ("anthropic", HAIKU, usage(parts=(1, 0), service_tier="batch", inference_geo="us"), 69),  # 68.75
    # spec, models table: prices of the other lines
    ("anthropic", "claude-opus-5-5", PLAIN, 14_000_000),
    ("anthropic", "claude-opus-5-5", usage(0, 0, read=1000), 200_000),  # 0.05 of the input
    ("anthropic", "claude-sonnet-5-5", PLAIN, 7_000_000),
    ("anthropic", "claude-sonnet-4-6", PLAIN, 10_500_000),
    ("anthropic", "claude-haiku-4-5", PLAIN, 3_500_000),
    ("anthropic", "claude-fable-5", PLAIN, 35_000_000),
    ("anthropic", "claude-mythos-5", PLAIN, 35_000_000),  # as Fable 5
    ("anthropic", "claude-mythos-5-1", usage(0, 0, read=1000), 250_000),  # as Fable 5.1
    ("anthropic", "claude-3-haiku-20240307", usage(1000, 10, parts=(1000, 1000)), 250_000 + 12_500 + 300_000 + 500_000),
    # Bedrock: the global profile as at Anthropic, all others a tenth more, since Claude 4.5
    ("bedrock", "global.anthropic.claude-opus-4-8-v1:0", PLAIN, 17_500_000),
    ("bedrock", "us.anthropic.claude-opus-4-8", PLAIN, 19_250_000),
    ("bedrock", "eu.anthropic.claude-opus-4-8", usage(parts=(1000, 1000)), 6_875_000 + 11_000_000),
    ("bedrock", "anthropic.claude-opus-4-8", PLAIN, 19_250_000),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", PLAIN, 11_550_000),
    ("bedrock", "us.anthropic.claude-opus-4-1-20250805-v1:0", PLAIN, 52_500_000),
    (
        "bedrock",
        "us.anthropic.claude-opus-4-1-20250805-v1:0",
        usage(parts=(0, 1000)),
        30_000_000,
    ),  # CCH-34: twice input
    ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5-5", PLAIN, 15_400_000),
    ("bedrock", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", PLAIN, 875_000),
    ("bedrock", "us.amazon.nova-pro-v1:0", PLAIN, 2_400_000),
    # Vertex: the global endpoint as at Anthropic, all others a tenth more, since Claude 4.5
    ("vertex", "claude-opus-4-8", PLAIN, 17_500_000),
    ("vertex-us", "claude-opus-4-8", PLAIN, 19_250_000),
    ("vertex-east", "claude-opus-4-8", PLAIN, 19_250_000),
    ("vertex-east", "claude-opus-4-5@20251101", usage(parts=(1000, 1000)), 6_875_000 + 11_000_000),
    ("vertex-east", "claude-haiku-4-5@20251001", PLAIN, 3_850_000),
    ("vertex-east", "claude-opus-4-1@20250805", PLAIN, 52_500_000),
    ("vertex-east", "claude-sonnet-4@20250514", PLAIN, 10_500_000),
    ("vertex-east", "claude-3-5-haiku@20241022", PLAIN, 2_800_000),
    ("vertex", "claude-opus-5-5@default", PLAIN, 14_000_000),
    ("vertex-us", "claude-sonnet-5", PLAIN, 7_700_000),  # only in the list of its maker
    ("vertex", "claude-opus-4-8", usage(1000, 500, server_tool_use={"web_search_requests": 2}), 37_500_000),
    ("vertex-us", "claude-opus-4-8", usage(1000, 500, server_tool_use={"web_search_requests": 2}), 39_250_000),
    # others
    ("vertex", "publishers/google/models/gemini-2.5-pro", PLAIN, 6_250_000),
    ("vertex-us", "gemini-3-flash-preview", PLAIN, 2_200_000),
    ("gemini", "models/gemini-2.5-pro", PLAIN, 6_250_000),
    ("gemini", "gemini-2.5-pro", usage(200_000, 10), 250_000_000 + 100_000),
    ("gemini", "gemini-2.5-pro", usage(200_001, 10), 500_002_500 + 150_000),
    ("gemini", "gemini-2.5-pro", usage(0, 0, read=200_001), 250 * 200_001),
    ("openai", "gpt-5", usage(1000, 500, read=2000), 1_250_000 + 250_000 + 5_000_000),
    ("openai", "gpt-5-2025-08-07", PLAIN, 6_250_000),
    ("openai", "gpt-5.2-20251211", PLAIN, 8_750_000),
    ("openai", "gpt-4o-mini", PLAIN, 450_000),
    ("openai", "gpt-5", usage(1000, 500, server_tool_use={"web_search_requests": 1}), 6_250_000 + 10_000_000),
    ("openai", "gpt-5", usage(1000, 500, write=1000), 1_250_000 + 5_000_000 + 1_250_000),  # a write is input there
    ("openai", "gpt-4.1", usage(1000, 500, read=1000, service_tier="batch"), 1_000_000 + 2_000_000 + 500_000),
    ("openai", "gpt-4.1", usage(1000, 500, service_tier="priority"), 3_500_000 + 7_000_000),
    ("openai", "gpt-4.1", usage(1000, 500, service_tier="default"), 2_000_000 + 4_000_000),
    ("azure", "gpt-4o-mini", PLAIN, 450_000),
    ("openrouter", "anthropic/claude-opus-5.5", PLAIN, 14_000_000),
    ("openrouter", "anthropic/claude-opus-5.5", usage(parts=(1000, 1000)), 5_000_000 + 8_000_000),
    ("openrouter", "openai/gpt-oss-20b:free", PLAIN, 0),
    ("perplexity", "sonar", PLAIN, 1_000_000 + 500_000 + 12_000_000),  # and a price for each request
    ("deepseek", "deepseek-chat", PLAIN, 820_000),
    ("deepseek-anthropic", "deepseek-chat", PLAIN, 820_000),
    # nobody's
    ("offline", OPUS, SHAPES["fast, in the US, with a search"][0], 0),
    ("ollama", "qwen3:32b", PLAIN, 0),
    ("far-vllm", "qwen3-32b", usage(1000, 500, service_tier="flex"), 0),
    ("my-own", "whatever", PLAIN, 0),
]


@pytest.mark.parametrize(("provider", "model", "used", "expected"), COSTS)
def test_a_model_has_its_price_at_each_provider(provider: str, model: str, used: Usage, expected: int) -> None:
    found = cost(provider, model, used)
    is_local = provider in ("offline", "ollama", "far-vllm", "my-own")
    assert (found.nano_usd, found.source) == (expected, "local" if is_local else LISTED)


def test_a_price_is_that_of_the_day() -> None:
    """Claude Sonnet 4.6 had a dearer price for long prompts until 2026-03-13."""
    long = usage(300_000, 10)
    assert cost("anthropic", "claude-sonnet-4-6", long, at=moment("2026-03-12", 23)).nano_usd == 1_800_225_000
    assert cost("anthropic", "claude-sonnet-4-6", long, at=moment("2026-03-13", 0)).nano_usd == 900_150_000
    assert cost("anthropic", "claude-sonnet-4-6", long, at=moment("2026-03-12", 23)).nano_usd == 1_800_225_000


def test_a_price_may_go_by_the_hour() -> None:
    """DeepSeek's prices of the night are half: the day is from 00:30 to 16:30, in UTC."""
    at_hours = {
        hour: cost("deepseek", "deepseek-chat", PLAIN, at=moment(hour=hour)).nano_usd for hour in (0, 1, 16, 17)
    }
    assert at_hours == {0: 410_000, 1: 820_000, 16: 820_000, 17: 410_000}


def test_a_batch_before_its_price_was_listed_is_half_as_well() -> None:
    """BAT-13. The list knows prices of batches since 2026-10-14, and none of retired models."""
    batch = usage(1000, 500, service_tier="batch")
    early = cost("anthropic", OPUS, batch, at=moment("2026-10-01"))
    assert (early.nano_usd, early.note) == (8_750_000, "batch: times 0.5")
    assert cost("anthropic", "claude-3-7-sonnet-20250219", batch).nano_usd == 5_250_000


def test_a_batch_where_no_price_is_listed_is_not_called_cheaper() -> None:
    found = cost("bedrock", "us.anthropic.claude-opus-4-8", PLAIN, is_batch=True)
    assert (found.nano_usd, found.note) == (19_250_000, "no price is listed for batches: the standard price")


# -- what is not known --

UNPRICED: list[tuple[str, str, Usage, str]] = [
    ("anthropic", "claude-opus-9", PLAIN, "has no such model"),
    ("anthropic", "claude-mythos-preview", PLAIN, "has no such model"),
    ("anthropic", "c" * 100_000, PLAIN, "has no such model"),
    ("anthropic", "my-alias", PLAIN, "has no such model"),
    ("openai", "ft:gpt-4o-mini:team::1", PLAIN, "has no such model"),
    ("bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", PLAIN, "has no such model"),
    ("dashscope", "qwen3-max", PLAIN, "no price list is known for this provider"),
    ("gpu-box", "qwen3-32b", PLAIN, "no price list is known for this provider"),
    ("nobody", OPUS, PLAIN, "no provider has the name 'nobody'"),
    ("anthropic", "claude-sonnet-5-5", usage(1000, 500, speed="fast"), "no price is listed for the speed 'fast'"),
    ("vertex", "claude-fable-5-2", usage(1000, 500, speed="fast"), "no price is listed for the speed 'fast'"),
    ("anthropic", OPUS, usage(1000, 500, speed="faster"), "no price is listed for the speed 'faster'"),
    ("anthropic", OPUS, usage(1, 1, service_tier="flex"), "no price is listed for the service tier 'flex'"),
    ("anthropic", OPUS, usage(1000, 500, inference_geo="mars"), "no price is known for the inference_geo 'mars'"),
    ("openai", "gpt-4o", usage(1, 1, service_tier="scale"), "no price is listed for the service tier 'scale'"),
    ("bedrock", "us.anthropic.claude-opus-4-8", usage(1, 1, server_tool_use={"web_search_requests": 2}),
     "searches have no price here, and there were 2"),
    ("gemini", "gemma-3-27b-it", PLAIN, "is listed, but not what its text costs"),
    ("openrouter", "perplexity/sonar-deep-research", PLAIN, "a price that is not known here: output_reasoning_mtok"),
    ("anthropic", OPUS, usage(-1, 500), "a number of the usage is below 0"),
    ("anthropic", OPUS, usage(1000, "500"), "a number of the usage is none"),  # type: ignore[arg-type]
    ("anthropic", OPUS, usage(1000, 500, read=1.5), "a number of the usage is none"),  # type: ignore[arg-type]
    ("anthropic", OPUS, usage(1, 1, server_tool_use={"web_search_requests": "2"}), "a number of the usage is none"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "used", "why"), UNPRICED)
def test_an_unknown_price_is_told_and_never_zero(provider: str, model: str, used: Usage, why: str) -> None:
    """Pain 31: unknown price flagged, never 0."""
    found = cost(provider, model, used)
    assert (found.nano_usd, found.source, found.date) == (None, "unknown", "")
    assert why in found.note
    assert len(found.note) < 300


def test_a_cost_without_a_price_is_logged_once_a_model(caplog: pytest.LogCaptureFixture) -> None:
    prices = prices_of()
    with caplog.at_level(logging.WARNING, "dragoman.prices"):
        for model in ("new\nmodel", "new\nmodel", "other"):
            cost("anthropic", model, PLAIN, prices=prices)
            prices.reserve("anthropic", "a third", input_tokens=1, max_tokens=1, at=moment())
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "no price is known for 'new\\nmodel' of anthropic",
        "no price is known for 'other' of anthropic",
    ]


# -- everything that is configured has a list, and everything in the catalogue a price --

# Models of the catalogue that nobody has a price of, and why.
KNOWN_UNKNOWN = {"claude-mythos-preview": "was only ever given to some, at prices that no list of Anthropic's has"}


@pytest.mark.parametrize("model", read_models(), ids=lambda model: model.id)
def test_each_model_of_the_catalogue_has_a_price(model: Any) -> None:
    for name in (model.id, *model.aliases):
        found = cost("anthropic", name, usage(1, 1, read=1, parts=(1, 1)))
        if name in KNOWN_UNKNOWN:
            assert found.nano_usd is None, "has a price by now: take it out of KNOWN_UNKNOWN"
        else:
            assert found.nano_usd, name
            assert cost("anthropic", name, PLAIN, is_batch=True).nano_usd * 2 == cost("anthropic", name, PLAIN).nano_usd  # type: ignore[operator]


# Served by the clouds under ids of their own, which the lists have: the rest is by invitation or not theirs.
ON_CLOUDS = [
    *("claude-fable-5-2", "claude-fable-5-1", "claude-fable-5", "claude-opus-5-5", "claude-opus-5", "claude-opus-4-8"),
    *("claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5-20251101", "claude-sonnet-5-5", "claude-sonnet-5"),
    *("claude-sonnet-4-6", "claude-haiku-5-5", "claude-haiku-4-5-20251001"),
]


@pytest.mark.parametrize("model", ON_CLOUDS)
def test_claude_costs_the_same_on_each_cloud_and_a_tenth_more_in_a_region(model: str) -> None:
    """Anthropic's pricing page: global endpoints as its own API; regional and multi-region ones 10 % more."""
    for used in (usage(1000, 0), usage(0, 500), usage(read=1000), usage(parts=(1000, 0)), usage(parts=(0, 1000))):
        own = cost("anthropic", model, used).nano_usd
        assert own
        dated = model[:-9] + "@" + model[-8:] if model[-8:].isdigit() else model
        assert cost("bedrock", f"global.anthropic.{model}", used).nano_usd == own
        assert cost("vertex", dated, used).nano_usd == own
        assert cost("bedrock", f"us.anthropic.{model}", used).nano_usd == own * 11 // 10
        assert cost("vertex-us", dated, used).nano_usd == own * 11 // 10


def test_each_host_is_local_or_has_a_list_or_is_known_to_have_none() -> None:
    text = "".join(f'[providers.{name}]\nregion = "us-east-1"\nproject = "p"\n' for name in known_hosts())
    lists = prices_of(text)._lists
    assert {name for name, id_ in lists.items() if id_ is None} == {
        # whose prices genai-prices does not have, or not by this address
        "dashscope", "dashscope-anthropic", "nvidia", "sambanova", "huggingface", "github-models",
    }  # fmt: skip
    assert {name for name, id_ in lists.items() if id_ == "local"} == {
        "ollama", "ollama-anthropic", "lmstudio", "lmstudio-anthropic", "vllm", "sglang", "llamacpp", "localai"
    }  # fmt: skip


def test_without_a_provider_that_bills_no_list_is_read() -> None:
    """The offline engine starts without a file being looked for."""
    prices = prices_of("[providers.offline]\n[providers.ollama]\n", env={})
    assert prices._file is None
    assert cost("offline", OPUS, PLAIN, prices=prices) == Cost(0, "local", "")


def test_a_price_list_that_is_not_there_is_told_at_start() -> None:
    text = '[providers.up]\nbase_url = "https://up.example"\nprice_list = "antropic"\n'
    with pytest.raises(ConfigError, match=r'no price list "antropic"\. Did you mean "anthropic"'):
        prices_of(text)


# -- prices of one's own --

OWN = """
[providers.gpu]
base_url = "https://gpu.example"
[providers.anthropic]
[providers.ollama]
[prices."gpu/all"]
input = 0.2
output = 0.6
cache_read = 0.02
cache_write_5m = 0.25
cache_write_1h = 0.4
search = 0.01
request = 0.001
batch_multiplier = 0.5
date = 2026-11-01
[prices."gpu/some"]
input = 3
output = 15
[prices."gpu/tiers"]
input = 1
output = 2
cache_write_5m = 1.25
[[prices."gpu/tiers".tiers]]
above = 2000
output = 4
[[prices."gpu/tiers".tiers]]
above = 1000
input = 1.5
[prices."gpu/*"]
input = 0.01
output = 0.015
[prices."anthropic/claude-opus-4-8"]
multiplier = 0.85
[prices."anthropic/claude-opus-5"]
search = 0.005
request = 0.002
[prices."anthropic/claude-sonnet-5-5"]
input = 1.5
output = 7.5
[prices."ollama/big"]
request = 0.0001
"""
OWN_COSTS: list[tuple[str, str, Usage, int]] = [
    ("gpu", "all", PLAIN, 200_000 + 300_000 + 1_000_000),
    ("gpu", "all", usage(parts=(1000, 1000), read=1000), 250_000 + 400_000 + 20_000 + 1_000_000),
    ("gpu", "all", usage(0, 0, server_tool_use={"web_search_requests": 2}), 20_000_000 + 1_000_000),
    ("gpu", "all", usage(1000, 500, service_tier="batch"), 250_000 + 1_000_000),
    ("gpu", "some", PLAIN, 3_000_000 + 7_500_000),
    ("gpu", "some", usage(read=1000, parts=(1000, 1000)), 9_000_000),  # what is not set is input
    ("gpu", "some", usage(1000, 500, service_tier="batch", speed="fast"), 10_500_000),
    ("gpu", "tiers", usage(1000, 10), 1_000_000 + 20_000),
    ("gpu", "tiers", usage(1001, 10), 1_501_500 + 20_000),
    ("gpu", "tiers", usage(2001, 10), 3_001_500 + 40_000),
    ("gpu", "tiers", usage(1001, 10, parts=(0, 1000)), 1_501_500 + 40_000 + 1_250_000),  # an hour as 5 minutes
    ("gpu", "tiers", usage(0, 0, read=2001), 3_001_500),
    ("gpu", "whatever/else", PLAIN, 10_000 + 7500),
    ("gpu", "whatever", usage(1, 1), 25),
    ("anthropic", "claude-opus-4-8", PLAIN, 14_875_000),
    ("anthropic", "claude-opus-4-8", usage(1000, 500, service_tier="batch", inference_geo="us"), 8_181_250),
    ("anthropic", "claude-opus-4-8", usage(0, 0, server_tool_use={"web_search_requests": 1}), 8_500_000),
    ("anthropic", "claude-opus-5", usage(1000, 500, server_tool_use={"web_search_requests": 1}),
     17_500_000 + 5_000_000 + 2_000_000),
    ("anthropic", "claude-sonnet-5-5", usage(1000, 500, inference_geo="us"), 1_500_000 + 3_750_000),
    ("ollama", "big", PLAIN, 100_000),
    ("ollama", "small", PLAIN, 0),
]  # fmt: skip
OWN_PRICES = prices_of(OWN)


@pytest.mark.parametrize(("provider", "model", "used", "expected"), OWN_COSTS)
def test_prices_of_the_configuration_come_first(provider: str, model: str, used: Usage, expected: int) -> None:
    assert cost(provider, model, used, prices=OWN_PRICES).nano_usd == expected


def test_the_source_says_whose_price_it_is() -> None:
    assert cost("gpu", "all", PLAIN, prices=OWN_PRICES) == Cost(1_500_000, "configuration", "2026-11-01")
    assert cost("gpu", "some", PLAIN, prices=OWN_PRICES) == Cost(10_500_000, "configuration", "")
    cheaper = cost("anthropic", "claude-opus-4-8", PLAIN, prices=OWN_PRICES)
    assert cheaper.source.startswith("genai-prices")
    assert cheaper.note == "times 0.85 (configuration)"


def test_a_price_of_ones_own_without_searches_does_not_give_them_away() -> None:
    used = usage(1, 1, server_tool_use={"web_search_requests": 1})
    assert cost("gpu", "some", used, prices=OWN_PRICES).nano_usd is None


# -- before the request --


def reserve(model: str, input_tokens: int, max_tokens: int, *, prices: Prices = PRICES, **more: Any) -> int | None:
    return prices.reserve(
        "anthropic", model, input_tokens=input_tokens, max_tokens=max_tokens, at=moment(), **more
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 1000 * 10_000 + 4096 * 25_000),
        ({"cache": "5m"}, 1000 * 6250 + 4096 * 25_000),
        ({"cache": ""}, 1000 * 5000 + 4096 * 25_000),
        ({"cache": "", "speed": "fast"}, 1000 * 10_000 + 4096 * 50_000),
        ({"cache": "", "inference_geo": "us"}, (1000 * 5000 + 4096 * 25_000) * 11 // 10),
        ({"cache": "", "is_batch": True}, 1000 * 2500 + 4096 * 12_500),
        ({"cache": "", "service_tier": "auto"}, 1000 * 5000 + 4096 * 25_000),
        ({"cache": "", "searches": 5}, 1000 * 5000 + 4096 * 25_000 + 50_000_000),
    ],
)
def test_the_most_that_a_request_may_cost(more: dict[str, Any], expected: int) -> None:
    assert reserve(OPUS, 1000, 4096, **more) == expected


def test_what_has_no_price_has_no_bound() -> None:
    assert reserve("claude-opus-9", 1000, 4096) is None
    assert reserve(OPUS, 1000, 4096, speed="faster") is None
    assert PRICES.reserve(
        "bedrock", "us.anthropic.claude-opus-4-8", input_tokens=1, max_tokens=1, at=moment(), searches=1
    ) is None  # fmt: skip


def test_a_fraction_is_rounded_up_in_a_bound() -> None:
    assert reserve(HAIKU, 1, 0, cache="5m", is_batch=True) == 63  # 62.5


def test_a_bound_of_nothing_is_what_each_request_costs() -> None:
    assert reserve(OPUS, 0, 0) == 0
    assert reserve(OPUS, -5, -5) == 0
    assert PRICES.reserve("perplexity", "sonar", input_tokens=0, max_tokens=0, at=moment()) == 12_000_000


TOKENS = st.integers(0, 150_000)


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.integers(0, 3), st.sampled_from(["claude-haiku-5-5", OPUS]))
def test_no_request_within_its_numbers_costs_more_than_its_bound(
    plain: int, output: int, read: int, for_5m: int, for_1h: int, searches: int, model: str
) -> None:
    used = usage(plain, output, read=read, parts=(for_5m, for_1h), server_tool_use={"web_search_requests": searches})
    bound = reserve(model, plain + read + for_5m + for_1h, output, searches=searches)
    found = cost("anthropic", model, used).nano_usd
    assert found is not None
    assert bound is not None
    assert found <= bound
    if not for_1h:
        assert found <= (reserve(model, plain + read + for_5m, output, searches=searches, cache="5m") or 0)


CHEAPER_WHEN_LONG = prices_of(
    '[providers.offline]\n[prices."offline/x"]\ninput = 9\noutput = 1\n'
    '[[prices."offline/x".tiers]]\nabove = 1000\ninput = 1\n',
    env={},
)


@pytest.mark.parametrize("prompt", [1, 1000, 1001, 2000])
def test_a_bound_holds_where_longer_prompts_are_cheaper(prompt: int) -> None:
    bound = CHEAPER_WHEN_LONG.reserve("offline", "x", input_tokens=2000, max_tokens=0, at=0)
    found = cost("offline", "x", usage(prompt, 0), prices=CHEAPER_WHEN_LONG).nano_usd
    assert found is not None
    assert bound is not None
    assert found <= bound
