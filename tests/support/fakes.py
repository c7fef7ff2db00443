"""Every fake provider, by its dialect, and how to read what it was asked: a new dialect adds a row to FAKES."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fake_openai import FakeOpenAI
from fake_provider import FakeProvider, Json

__all__ = ["FAKES", "Fake"]


class Fake(NamedTuple):
    """`table` is what [providers.fake] holds, with {fake.url} and {fake.key}; the rest reads what it was sent."""

    make: type[FakeProvider]
    table: str
    streamed: Callable[[Json], Json]  # the body that is sent in the place of one, where the reply is to be streamed
    turns: Callable[[Json], list[Json]]  # what grows with the conversation
    tools: Callable[[Json], list[str]]  # names of the tools that are offered
    thinker: str = "thinker-1"  # a model that thinks
    plain: str = "gpt-4o"  # one that does not
    thinks_aloud: bool = True  # what it thinks is told
    counts: str = "estimate"  # the header `dragoman-count`
    search: str = "tools.web_search_20250305, top_k"  # the header `dragoman-lost` of a request with these two


FAKES: Mapping[str, Fake] = {
    "openai_chat": Fake(
        make=FakeOpenAI,
        table='dialect = "openai_chat"\nbase_url = "{fake.url}"\napi_key = "{fake.key}"',
        streamed=lambda body: {**body, "stream": True, "stream_options": {"include_usage": True}},
        turns=lambda body: body["messages"],
        tools=lambda body: [tool["function"]["name"] for tool in body.get("tools", [])],
    ),
}
