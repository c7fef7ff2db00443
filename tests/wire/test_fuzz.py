"""Whatever a client sends, checking it raises InvalidRequest or nothing: a fault of ours would be a 500."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from asking import (
    CLAUDE_CODE_BETAS,
    DOCUMENT,
    EPHEMERAL,
    HI,
    JSON_FORMAT,
    MANUAL,
    PNG,
    TOOL,
    Json,
    assistant,
    body,
    call,
    claude_code_body,
    messages,
    model,
    result,
    says,
    text,
    tools,
)

from dragoman.errors import InvalidRequest
from dragoman.wire.codec import WireError, encode, plain, read
from dragoman.wire.envelope import Envelope
from dragoman.wire.schema import check
from dragoman.wire.toolrules import check_server_tools
from dragoman.wire.types import CountTokensRequest, MessagesRequest
from dragoman.wire.validate import validate_count, validate_messages

MODELS = [
    model(name) for name in ("claude-opus-4-8", "claude-sonnet-4-5", "claude-opus-5-5", "claude-3-haiku-20240307")
]
MODELS_BY_NAME = {name: model(name) for name in ("claude-sonnet-4-5", "claude-opus-5-5")}
BETAS = ((), CLAUDE_CODE_BETAS, ("mcp-client-2025-11-20", "server-side-fallback-2026-07-01", "compact-2026-01-12"))

REAL: list[Json] = [
    body(),
    body(stream=True, system="s", temperature=0.5, stop_sequences=["END"], metadata={"user_id": "u"}),
    claude_code_body(),
    body(
        **tools(TOOL | {"input_examples": [{"city": "Paris"}]}, {"type": "bash_20250124", "name": "bash"}),
        **messages(HI, assistant("a", call("a"), call("b")), says(result("b"), result("a", content=[text("x"), PNG]))),
        tool_choice={"type": "tool", "name": "get_weather"},
    ),
    body(
        thinking=MANUAL,
        output_config=JSON_FORMAT,
        **messages(
            HI, assistant({"type": "thinking", "thinking": "t", "signature": "s"}, call("a")), says(result("a"))
        ),
    ),
    body(
        cache_control=EPHEMERAL, container={"skills": [{"type": "custom", "skill_id": "s"}]}, **messages(says(DOCUMENT))
    ),
    body(**messages(HI, {"role": "system", "content": "s"}, assistant("a"), HI, assistant("The answer is"))),
    body(thread={"type": "create"}, fallbacks=[], mcp_servers=[], context_management={}, diagnostics={}, speed="fast"),
]

# Words that mean something in a request: random JSON made of these gets past the first check.
WORDS = [
    *"""
    a user assistant system text image document tool_use tool_result thinking redacted_thinking base64 url content
    ephemeral 1h enabled adaptive disabled any tool none object string array custom bash_20250124 bash
    web_search_20250305 # #/$defs/a low json_schema image/png srvtoolu_1 web_search_tool_result ^(a+)+$ (
    http://a.test/ 😀
""".split(),
    "",
    " ",
]
KEYS = [
    *"""
    model messages max_tokens role content type text source data media_type id name input tool_use_id tools
    tool_choice input_schema properties required $ref $defs items anyOf pattern cache_control ttl thinking signature
    budget_tokens system stream extra output_config format schema effort citations enabled input_examples thread
    temperature
""".split(),
    "",
]
SCALARS = [None, True, False, 0, 1, -1, 1024, 2**53, -(2**63), 2**64, 0.5, 1.0, 1e308, -0.0]


def random_json(rng: Random, depth: int) -> Any:
    roll = rng.random()
    if depth == 0 or roll < 0.25:
        return rng.choice(SCALARS) if rng.random() < 0.4 else rng.choice(WORDS)
    if roll < 0.5:
        return [random_json(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(KEYS): random_json(rng, depth - 1) for _ in range(rng.randint(0, 5))}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value, with each of its keys or indices."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict | list):
            for key in part if isinstance(part, dict) else range(len(part)):
                yield part, key
            rest.extend(part.values() if isinstance(part, dict) else part)


def mutate(rng: Random, value: Json) -> None:
    """Change a request in one place."""
    if not value:
        value.update(body())
    part, key = rng.choice(list(places(value)))
    donor, taken = rng.choice(list(places(rng.choice(REAL))))
    match rng.randrange(7):
        case 0:
            part[key] = random_json(rng, 2)
        case 1:
            part.pop(key)
        case 2:
            part[key] = json.loads(json.dumps(donor[taken]))
        case 3 if isinstance(part, dict):
            part[rng.choice(KEYS)] = part[key]
        case 3:
            part.insert(rng.randint(0, len(part)), json.loads(json.dumps(part[key])))
        case 4:
            part[key] = [part[key]] * rng.randint(0, 3)
        case 5 if isinstance(part, list):
            rng.shuffle(part)
        case _:
            part[key] = rng.choice([*SCALARS, *WORDS])


def refused(work: Callable[[], object]) -> bool:
    """Whether it is refused. Whatever else it raises fails the test."""
    try:
        work()
    except InvalidRequest as refusal:
        return bool(refusal.message.strip()) or pytest.fail("refused without a word")
    return False


def validate_all(rng: Random, value: Any) -> bool:
    """Check, read and validate as the gateway does; whether it passed as a request for a message."""
    chosen, version, betas = rng.choice(MODELS), rng.choice(("2023-06-01", "2026-10-21")), rng.choice(BETAS)
    if isinstance(value, dict) and rng.random() < 0.7:  # as it was meant
        chosen = MODELS_BY_NAME.get(str(value.get("model")), chosen)
        version, betas = "2023-06-01", BETAS[1]
    for kind, validate in ((MessagesRequest, validate_messages), (CountTokensRequest, validate_count)):
        if not refused(lambda kind=kind: check(kind, value)):
            request = read(kind, value)
            # What passed goes out as it came in; nulls and empty defaults aside.
            assert read(kind, json.loads(encode(request))) == request
        if isinstance(value, dict):
            refused(lambda validate=validate: validate(value, chosen, version=version, betas=betas))

    def request() -> None:
        valid = validate_messages(value, chosen, version=version, betas=betas)
        refused(lambda: check_server_tools(valid.tools or ()))

    return isinstance(value, dict) and not refused(request)


@pytest.mark.parametrize("batch", range(5))
def test_random_json_is_refused_or_passes(batch: int) -> None:
    """2,500 values; half of them with the required fields, so that they get further."""
    rng = Random(f"random {batch}")
    for number in range(500):
        value = random_json(rng, 4)
        if number % 2 and isinstance(value, dict):
            value = body() | value
        validate_all(rng, value)


@pytest.mark.parametrize("batch", range(5))
def test_mutated_requests_are_refused_or_pass(batch: int) -> None:
    """2,500 real requests, most of them changed in one to three places."""
    rng = Random(f"mutated {batch}")
    passed = 0
    for _ in range(500):
        value = json.loads(json.dumps(rng.choice(REAL)))
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            mutate(rng, value)
        passed += validate_all(rng, value)
    assert 40 < passed < 460  # some get through, some do not


def test_random_bytes_as_bodies_are_refused_or_read() -> None:
    """1,000 real bodies with a few bytes changed: the envelope and all behind it."""
    rng = Random("bytes")
    for _ in range(1000):
        raw = bytearray(json.dumps(rng.choice(REAL)).encode())
        for _ in range(rng.randint(1, 3)):
            raw[rng.randrange(len(raw))] = rng.choice(b'{}[]",:\\0e- tn\xff\x00')

        def work(raw: bytearray = raw) -> None:
            envelope = Envelope(bytes(raw))
            envelope.model()
            envelope.stream()
            validate_all(rng, envelope.parse())
            json.loads(envelope.encode(model="m"))

        refused(work)


def test_random_json_is_a_wire_object_or_a_wire_error() -> None:
    """What an upstream sends is read leniently; what cannot be read raises WireError and nothing else."""
    rng = Random("wire")
    read_well = 0
    for _ in range(2000):
        value = json.loads(json.dumps(rng.choice(REAL)))
        for _ in range(rng.randint(0, 3)):
            mutate(rng, value)
        try:
            request = read(MessagesRequest, value)
        except WireError:
            continue
        read_well += 1
        json.dumps(plain(request))
    assert 200 < read_well < 2000


@pytest.mark.parametrize("depth", [50, 200, 400, 470, *range(900, 1000, 3)])
def test_json_of_any_depth_is_refused_or_passes(depth: int) -> None:
    """The decoder gives up somewhere below 1,000 levels; what it lets through must not fail later."""
    rng = Random(depth)
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    lists = b"[" * depth + b"]" * depth
    for frame in (
        b'{"model":"m","max_tokens":1,"messages":@}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":@}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[@]}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":@}]}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thinking":{"type":@}}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tool_choice":@}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"type":@}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"a","input_schema":@}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"a","input_schema":'
        b'{"type":"object","properties":@},"input_examples":[@]}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":'
        b'[{"type":"tool_use","id":"a","name":"b","input":@}]},{"role":"user","content":[{"type":"tool_result",'
        b'"tool_use_id":"a"}]}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"context_management":@}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"output_config":{"format":'
        b'{"type":"json_schema","schema":@}}}',
    ):
        for value in (deep, lists):
            raw = frame.replace(b"@", value)
            refused(lambda raw=raw: validate_all_but_encode(rng, Envelope(raw).parse()))


def validate_all_but_encode(rng: Random, value: Any) -> None:
    """Writing out what is just not too deep may be too deep: that is for whoever writes."""
    chosen = rng.choice(MODELS)
    for validate in (validate_messages, validate_count):
        refused(lambda validate=validate: plain(validate(value, chosen, version="2023-06-01", betas=BETAS[2])))
