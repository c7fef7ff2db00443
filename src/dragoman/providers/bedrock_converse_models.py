"""What the models on Bedrock take of Converse: one row for a family, the first that fits the model's id counts. Pure.

Converse has one form for all models, and refuses of it what a model does not have ("This model doesn't support the
field ..."). Sources, read 2026-11-21: the service model bedrock-runtime 2023-09-30 (botocore 1.44), whose notes name
models; Bedrock's user guide ("Supported models and model features", "Prompt caching", "Structured output", "Count
tokens"); Nova's guides ("Tool use", troubleshooting; "Extended thinking"); and what users measured against the service,
by the numbers of their issues:
    tools and streams: langchain-ai/langchain-aws#140, earendil-works/pi#3739; choices of tools: langchain-aws#1278;
    text beside calls and results: strands-agents/harness-sdk#1223, quarkiverse/quarkus-langchain4j#1983;
    images in results: anomalyco/opencode#49443, #50272; sampling: activepieces#15261, NousResearch/hermes-agent#111438;
    reasoning asked for: anomalyco/opencode#48195, stdapi-ai/stdapi.ai#283; and given back: maximhq/bifrost#6834, #6942,
    laravel/ai#785, langchain-aws#401; limits: pollinations#5503, inspect_ai#3848.
"""

import re
from typing import Literal, NamedTuple

__all__ = ["Traits", "base_id", "traits_of"]

# How thinking is asked for: fields of `additionalModelRequestFields`; "always": it cannot be, the model thinks anyway.
Thinks = Literal["claude", "nova", "reasoning", "reasoning_effort", "reasoning_config", "toggle", "always"]

NONE: frozenset[str] = frozenset()
ANY = frozenset({"any"})
ALL = frozenset({"any", "tool"})


class Traits(NamedTuple):
    """What a model takes. Of a model that no row names, nothing is asked that only some take."""

    is_claude: bool = False  # its signatures are the API's own, its fields have the API's names
    caches: bool = False  # cache points in system prompt and messages; elsewhere they are refused
    caches_tools: bool = False  # behind tools, calls and results too
    caches_an_hour: bool = False
    choices: frozenset[str] = ALL  # of `toolChoice`, beside auto
    status: bool = False  # of a tool's result: whether it failed
    sees_results: bool = False  # images and documents in a tool's result
    mixes: bool = True  # text beside calls, or beside results, in one turn
    streams_tools: bool = True
    has_system: bool = True
    stops: int = 0  # how many stop sequences; what is more is looked for in the reply
    samples: bool = True  # temperature, topP
    top_k: tuple[str, ...] = ()  # where it stands in `additionalModelRequestFields`
    thinks: Thinks | None = None
    rests: bool = False  # of "reasoning": the effort "none"
    takes_thoughts: bool = False  # its thinking comes back to it though it signs none
    prefill: bool = False
    structured: bool = False  # `outputConfig.textFormat`, `strict` of tools
    plain_schemas: bool = False  # of tools: `type`, `properties` and `required` alone at the root
    most_tokens: int | None = None  # of output, where asking for more is refused


_CLAUDE = Traits(
    is_claude=True, caches=True, caches_tools=True, caches_an_hour=True, status=True, sees_results=True, stops=2500,
    top_k=("top_k",), thinks="claude", prefill=True, structured=True,
)  # fmt: skip
_NOVA = Traits(
    caches=True, status=True, sees_results=True, stops=4, top_k=("inferenceConfig", "topK"), plain_schemas=True
)
_LLAMA = Traits(choices=NONE, mixes=False, streams_tools=False, most_tokens=8_192)
_MISTRAL = Traits(choices=ANY, mixes=False, streams_tools=False)
_OPEN = Traits(structured=True)
_GPT = Traits(samples=False, thinks="reasoning", rests=True, structured=True)

_FAMILIES: tuple[tuple[re.Pattern[str], Traits], ...] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        # Older ones: no schemas of output, and caches for five minutes.
        (
            r"anthropic\.claude-(?:v2|instant|3|(?:opus|sonnet)-4-(?:1-)?20)",
            _CLAUDE._replace(structured=False, caches_an_hour=False),
        ),
        (r"anthropic\.claude", _CLAUDE),
        (r"amazon\.nova-2", _NOVA._replace(thinks="nova", takes_thoughts=True)),
        (r"amazon\.nova-(?:micro|lite|pro)", _NOVA._replace(prefill=True, most_tokens=10_000)),
        (r"amazon\.nova", _NOVA._replace(prefill=True)),
        (r"amazon\.titan", Traits(has_system=False)),
        (r"openai\.gpt-oss", _OPEN._replace(thinks="reasoning_effort", takes_thoughts=True)),
        (r"openai\.gpt-6-astra", _GPT._replace(rests=False)),
        (r"openai\.", _GPT),
        (r"xai\.", Traits(samples=False, thinks="always")),
        (r"moonshot(?:ai)?\.kimi-k2-thinking", _OPEN._replace(thinks="always")),
        (r"moonshot(?:ai)?\.kimi-k2", _OPEN._replace(thinks="toggle")),
        (r"moonshot(?:ai)?\.", _OPEN._replace(thinks="reasoning", rests=True)),
        (r"deepseek\.r1", Traits(thinks="always", streams_tools=False)),
        (r"deepseek\.v3-v1", _OPEN._replace(thinks="reasoning_config", choices=ANY)),
        (r"deepseek\.", _OPEN._replace(thinks="reasoning_config")),
        (r"minimax\.", _OPEN._replace(thinks="always", takes_thoughts=True)),
        (r"(?:qwen|google|nvidia)\.", _OPEN),
        (r"mistral\.(?:mistral-7b|mixtral)", _MISTRAL._replace(has_system=False, top_k=("top_k",))),
        (r"mistral\.(?:mistral-(?:large|small)-24|pixtral)", _MISTRAL),
        (r"mistral\.", _OPEN),
        (r"meta\.llama4", _LLAMA._replace(sees_results=True)),
        (r"meta\.llama3-(?:8|70)b", _LLAMA._replace(most_tokens=2_048)),
        (r"meta\.", _LLAMA),
        (r"cohere\.command-r", Traits(choices=NONE, top_k=("k",), most_tokens=4_096)),
        (r"writer\.", Traits(choices=NONE, streams_tools=False)),
    )
)
# Before the maker's name in the id of an inference profile: where requests may be answered.
_AREA = re.compile(r"(?:us|us-gov|eu|apac|ap|au|jp|ca|sa|amer|global|uk|in|kr|mx|me|af|il)\.")


def base_id(model: str) -> str:
    """The id of the model itself: of an ARN its last part, without the area of an inference profile.

    Of an application's own profile nothing can be known: its id is a random one.
    """
    name = model.rpartition("/")[2]
    area = _AREA.match(name)
    return name if area is None else name[area.end() :]


def traits_of(model: str) -> Traits:
    name = base_id(model)
    return next((traits for pattern, traits in _FAMILIES if pattern.match(name)), Traits())
