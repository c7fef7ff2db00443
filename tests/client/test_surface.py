"""The public names, parameters and defaults of the official package beside ours (issue 5, "Done when", point 2).

Every difference stands in the tables of docs/client.md with its reason, and those tables hold nothing else.
"""

import asyncio
import importlib
import inspect
import itertools
import re
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import anthropic
import anthropic.resources.messages.messages as official
import anthropic.tools
import httpx2
import pytest
from anthropic._error_classes import ERROR_CLASSES, make_status_error
from client_faults import DIFFERENCES as BEHAVIOURS
from client_faults import FACES, KEY, PARAMS, Face, clean_environment, every_client, trial
from client_surface import Difference, How, Surface, both, differences, member_surface, parameters, surface_of
from either import entered, listed, settled
from failing import served
from scripted_api import scripted

import dragoman
from dragoman.client import deprecated
from dragoman.client.exceptions import status_error
from dragoman.client.reply import Response
from dragoman.http.base import Request

PAGE = (Path(__file__).parent.parent.parent / "docs/client.md").read_text()
RESOURCES = (
    "messages",
    "messages.batches",
    "models",
    "files",
    "beta",
    "beta.messages",
    "beta.messages.batches",
    "beta.models",
    "beta.files",
)
VIEWS = [
    f"{resource}.{view}".lstrip(".")
    for resource in ("", *RESOURCES)
    for view in ("with_raw_response", "with_streaming_response")
]
FUNCTIONS = ("beta_tool", "beta_async_tool", "transform_schema", "file_from_path")
CLASSES = ("BaseModel", "NotGiven", "Omit", "Timeout")
TOOLS = ("FunctionTool", "BuiltinFunctionTool")
LEAKED = {"TypeAlias", "lib", "resources", "tools"}  # into the official package's namespace, by its imports and ours


# -- what there is to compare --------------------------------------------------------------------------------------


@cache
def found() -> dict[str, Difference]:
    """Every difference by its path."""
    theirs, theirs_async, ours, ours_async = (surface(face) for face in FACES)
    return dict(both(differences(theirs, ours), differences(theirs_async, ours_async)))


def surface(face: Face) -> Surface:
    return top_level(face.sdk) | classes(face) | exceptions(face.sdk) | asyncio.run(instances(face))


def top_level(sdk: ModuleType) -> Surface:
    """What `from anthropic import ...` finds."""
    names = {name for name in dir(sdk) if name.isidentifier() and not name.startswith("_")} | set(sdk.__all__)
    result = dict.fromkeys(names - LEAKED, "a name of the package")
    for path in ("pagination", "tools"):
        module = importlib.import_module(f"{sdk.__name__}.{path}")
        public = getattr(module, "__all__", None) or [name for name in vars(module) if name.isidentifier()]
        result |= {f"{path}.{name}": "a name of the module" for name in public if isinstance(vars(module)[name], type)}
    return result


def classes(face: Face) -> Surface:
    """What programs make instances of, derive from, or call."""
    sdk, prefix = face.sdk, "Async" if face.is_async else ""
    tools = tools_of(face)
    result = parameters("Anthropic", face.client_class.__init__)
    result |= parameters("DefaultHttpxClient", getattr(sdk, f"Default{prefix}HttpxClient").__init__)
    for name in CLASSES:
        result |= surface_of(name, getattr(sdk, name))
    result |= parameters("ToolError", tools.ToolError.__init__)
    for name in TOOLS:
        result |= surface_of(f"Beta{name}", getattr(tools, f"Beta{prefix}{name}"))
    for name in FUNCTIONS:
        result |= member_surface(name, getattr(sdk, name))
    return result


def tools_of(face: Face) -> Any:
    """Official names of tools are those of a module."""
    return importlib.import_module("dragoman.client.tools.functions" if face.is_ours else "anthropic.lib.tools")


def exceptions(sdk: ModuleType) -> Surface:
    """The tree, and how its exceptions are made: programs do so in their tests."""
    result: Surface = {}
    for name in anthropic.__all__:
        kind = getattr(sdk, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            tree = [each.__name__ for each in kind.__mro__ if each is not object]
            result |= {f"{name}.__mro__": " < ".join(tree)} | parameters(name, kind.__init__)
    return result


async def instances(face: Face) -> Surface:
    """The client, its resources, and what calls return and raise."""
    result: Surface = {}
    with clean_environment({}), served(scripted) as server:
        async with AsyncExitStack() as stack:
            client = face.client(api_key=KEY, base_url=server.url, max_retries=0, timeout=20.0)
            stack.push_async_callback(lambda: settled(client.close()))
            for path, thing in (await things(face, client, stack)).items():
                result |= surface_of(path, thing, hidden=of_models(face, thing))
            for path in VIEWS:
                view = surface_of(path if "." in path else f"Anthropic.{path}", attrgetter(path)(client))
                result |= {name: kind for name, kind in view.items() if "(" not in name}  # parameters: see below
    return result


def of_models(face: Face, thing: Any) -> frozenset[str]:
    """Names that a page has because it is a model: they are compared as those of BaseModel."""
    model = face.sdk.BaseModel
    return frozenset(dir(model)) - {"__iter__"} if isinstance(thing, model) else frozenset()


async def things(face: Face, client: Any, stack: AsyncExitStack) -> dict[str, Any]:
    messages, files = client.messages, client.files
    listed = client.models.list()
    manager, beta_manager = messages.stream(**PARAMS), client.beta.messages.stream(**PARAMS)
    opened = messages.with_streaming_response.create(**PARAMS)
    await stack.enter_async_context(entered(opened))
    page = await settled(listed)
    refused = await refusal(client, face.sdk.BadRequestError, "refused")

    tool = face.sdk.beta_async_tool(_echo_later) if face.is_async else face.sdk.beta_tool(_echo)
    return {
        "Anthropic": client,
        **{path: attrgetter(path)(client) for path in RESOURCES},
        "Stream": await settled(messages.create(**PARAMS, stream=True)),
        "MessageStreamManager": manager,
        "MessageStream": await stack.enter_async_context(entered(manager)),
        "BetaMessageStreamManager": beta_manager,
        "BetaMessageStream": await stack.enter_async_context(entered(beta_manager)),
        "APIResponse": await settled(messages.with_raw_response.create(**PARAMS)),
        "ResponseContextManager": opened,
        "BinaryAPIResponse": await settled(files.download("file_1")),
        "StreamedBinaryAPIResponse": await stack.enter_async_context(
            entered(files.with_streaming_response.download("file_1"))
        ),
        "SyncPage": page,
        "SyncPageCursor": await settled(files.list()),
        "PageInfo": page.next_page_info(),
        **({"AsyncPaginator": listed} if face.is_async else {}),
        "JSONLDecoder": await settled(messages.batches.results("msgbatch_1")),
        "BetaFunctionTool": tool,
        "BetaToolRunner": client.beta.messages.tool_runner(**PARAMS, tools=[tool]),
        "BetaStreamingToolRunner": client.beta.messages.tool_runner(**PARAMS, tools=[tool], stream=True),
        "ToolError": tools_of(face).ToolError("no"),
        "APIStatusError": refused,
        "APIConnectionError": await refusal(client, face.sdk.APIConnectionError, "cut"),
        "APIResponseValidationError": face.sdk.APIResponseValidationError(refused.response, None),
        "Response": refused.response,
        "Request": refused.request,
        "Headers": refused.response.headers,
    }


def _echo(text: str) -> str:
    return text


async def _echo_later(text: str) -> str:
    return text


async def refusal(client: Any, kind: type[Exception], model: str) -> Any:
    with pytest.raises(kind) as caught:
        await settled(client.messages.create(**PARAMS | {"model": model}))
    return caught.value


# -- the tables of the page ----------------------------------------------------------------------------------------


class Row(NamedTuple):
    names: list[str]  # patterns
    hows: set[How]
    why: str


def rows() -> list[Row]:
    """Those of all tables whose second column says how ours differs."""
    found = []
    for line in section("Names that differ"):
        names, how, why = (cell.strip() for cell in line.strip("| ").split(" | "))
        if names.startswith("`"):
            found.append(Row(re.findall("`([^`]+)`", names), {How(each) for each in how.split(", ")}, why))
    return found


def section(title: str) -> list[str]:
    """The lines of all tables below a heading."""
    text = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")]


def covers(row: Row, pattern: str, path: str, difference: Difference) -> bool:
    return difference.how in row.hows and fnmatchcase(path, pattern)


def test_every_difference_is_told_of() -> None:
    """SDK-1, 7 to 9, 30, 40 to 45, 50 to 62."""
    assert len(found()) > 100
    untold = [
        f"{path}: {difference.how}; official: {difference.theirs}; ours: {difference.ours}"
        for path, difference in found().items()
        if not any(covers(row, pattern, path, difference) for row in rows() for pattern in row.names)
    ]
    assert untold == []


def test_all_that_is_told_is_a_difference() -> None:
    idle = [
        pattern
        for row in rows()
        for pattern in row.names
        if not any(covers(row, pattern, path, difference) for path, difference in found().items())
    ]
    assert idle == []
    assert [row.names for row in rows() if not row.hows or len(row.why) < 10] == []


def test_every_difference_in_behaviour_is_told_of() -> None:
    """The measure of the fault tests, `client_faults.DIFFERENCES`, is the measure of the page."""
    told = [line.strip("| ").split(" | ")[0] for line in section("What behaves otherwise")]
    assert [name for name in told if name and name != "official"] == list(BEHAVIOURS)


@pytest.mark.parametrize("face", [face for face in FACES if face.is_ours], ids=str)
def test_a_raw_method_takes_what_the_method_takes(face: Face) -> None:
    """SDK-42."""
    client = face.client(api_key=KEY)
    looked_at = 0
    for path in VIEWS:
        view = attrgetter(path)(client)
        for name, method in vars(view).items():
            if not name.startswith("_"):
                plain = getattr(attrgetter(path.rpartition(".")[0])(client), name)
                assert parameters("", method) == parameters("", plain), f"{path}.{name}"
                looked_at += 1
    assert looked_at > 50


RETURNED: dict[str, Callable[[Any], Any]] = {
    "types.Message": lambda client: client.messages.create(**PARAMS),
    "types.MessageTokensCount": lambda client: client.messages.count_tokens(model="m", messages=[]),
    "types.ModelInfo": lambda client: client.models.retrieve("m"),
    "types.FileMetadata": lambda client: client.files.upload(file=b"a"),
    "types.DeletedFile": lambda client: client.files.delete("a"),
    "types.messages.MessageBatch": lambda client: client.messages.batches.create(requests=[]),
    "types.messages.DeletedMessageBatch": lambda client: client.messages.batches.delete("a"),
    "types.beta.BetaMessage": lambda client: client.beta.messages.create(**PARAMS),
    "types.beta.BetaMessageTokensCount": lambda client: client.beta.messages.count_tokens(model="m", messages=[]),
    "types.beta.BetaModelInfo": lambda client: client.beta.models.retrieve("m"),
    "types.beta.BetaFileMetadata": lambda client: client.beta.files.retrieve_metadata("a"),
    "types.beta.BetaDeletedFile": lambda client: client.beta.files.delete("a"),
    "types.beta.messages.BetaMessageBatch": lambda client: client.beta.messages.batches.cancel("a"),
    "types.beta.messages.BetaDeletedMessageBatch": lambda client: client.beta.messages.batches.delete("a"),
}
LISTED: dict[str, Callable[[Any], Any]] = {
    "types.ModelInfo": lambda client: client.models.list(),
    "types.FileMetadata": lambda client: client.files.list(),
    "types.messages.MessageBatch": lambda client: client.messages.batches.list(),
    "types.messages.MessageBatchIndividualResponse": lambda client: client.messages.batches.results("a"),
    "types.beta.BetaModelInfo": lambda client: client.beta.models.list(),
    "types.beta.BetaFileMetadata": lambda client: client.beta.files.list(),
    "types.beta.messages.BetaMessageBatch": lambda client: client.beta.messages.batches.list(),
    "types.beta.messages.BetaMessageBatchIndividualResponse": (
        lambda client: client.beta.messages.batches.results("a")
    ),
}


@every_client
async def test_what_calls_return_is_of_the_class_of_that_name(face: Face) -> None:
    """SDK-40, 54 to 56."""
    unlike = []
    async with trial(face, scripted) as t:
        for path, call in RETURNED.items():
            if type(await settled(call(t.client))) is not attrgetter(path)(face.sdk):
                unlike.append(path)
        for path, call in LISTED.items():
            if {type(each) for each in await listed(await settled(call(t.client)))} != {attrgetter(path)(face.sdk)}:
                unlike.append(f"{path} of a list")
    assert unlike == []


# -- what needs no reply -------------------------------------------------------------------------------------------

NO_ID = {
    "model_id": lambda client: client.models.retrieve(""),
    "file_id": lambda client: client.files.retrieve_metadata(""),
    "file_id to read": lambda client: client.files.download(""),
    "file_id to delete": lambda client: client.beta.files.delete(""),
    "message_batch_id": lambda client: client.messages.batches.retrieve(""),
    "message_batch_id to cancel": lambda client: client.messages.batches.cancel(""),
    "message_batch_id to delete": lambda client: client.beta.messages.batches.delete(""),
    "message_batch_id to read": lambda client: client.messages.batches.results(""),
}
# Call -> what is raised, and what its text names.
MISTAKES: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "nothing is given": (lambda client: client.messages.create(), TypeError, "max_tokens messages model"),
    "no model": (lambda client: client.messages.create(max_tokens=1, messages=[]), TypeError, "model"),
    "an omitted message": (lambda client: client.beta.messages.create(max_tokens=1, model="m"), TypeError, "messages"),
    "a misspelt name": (lambda client: client.messages.create(**PARAMS, temprature=1), TypeError, "temprature"),
    "a misspelt name to parse": (lambda client: client.messages.parse(**PARAMS, temprature=1), TypeError, "temprature"),
    "no name": (lambda client: client.messages.create("claude"), TypeError, ""),
    "nothing to stream": (lambda client: client.messages.stream(), TypeError, "max_tokens messages model"),
    "nothing to count": (lambda client: client.messages.count_tokens(), TypeError, "messages model"),
    "nothing to upload": (lambda client: client.files.upload(), TypeError, "file"),
    "no requests": (lambda client: client.messages.batches.create(), TypeError, "requests"),
    "no model to list": (lambda client: client.models.list(limits=1), TypeError, "limits"),
    "no id": (lambda client: client.models.retrieve(), TypeError, "model_id"),
    "too long for one reply": (lambda client: client.messages.create(**PARAMS | LONG), ValueError, "Streaming"),
    "two bodies": (lambda client: client.post("/a", cast_to=object, body={}, content=b""), TypeError, "body content"),
    "an unknown setting": (lambda client: type(client)(api_keys="a"), TypeError, "api_keys"),
    "two callers": (lambda client: type(client)(api_key="a", auth_token="b"), ValueError, "api_key auth_token"),
    "no retries": (lambda client: type(client)(max_retries=None), TypeError, "max_retries"),
    "headers twice": (
        lambda client: client.copy(default_headers={}, set_default_headers={}),
        ValueError,
        "default_headers set_default_headers",
    ),
    "queries twice": (
        lambda client: client.with_options(default_query={}, set_default_query={}),
        ValueError,
        "default_query set_default_query",
    ),
    **{f"no {name}": (call, ValueError, name.split()[0]) for name, call in NO_ID.items()},
}
LONG = {"max_tokens": 64_000}


@pytest.mark.parametrize("mistake", MISTAKES)
@every_client
async def test_a_mistake_is_found_before_anything_is_sent(face: Face, mistake: str) -> None:
    """SDK-7, 8, 21, 22: the type of the exception, and what it names, are those of the official client."""
    call, kind, names = MISTAKES[mistake]
    with clean_environment({}):
        client = face.client(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0)
        with pytest.raises(kind) as caught:
            await settled(call(client))
        await settled(client.close())
    assert [name for name in names.split() if name not in str(caught.value)] == []


@every_client
async def test_with_options(face: Face) -> None:
    """SDK-7: what is added, what is replaced, what is kept; the client stays as it was."""

    def told(some: Any) -> tuple[dict[str, str], dict[str, object], int]:
        headers = {name.lower(): value for name, value in some.default_headers.items()}
        return (
            {name: headers[name] for name in headers if name.startswith("x-of-")},
            some.default_query,
            some.max_retries,
        )

    given = {"default_headers": {"x-of-a": "1", "X-Of-B": "2"}, "default_query": {"q": 1}, "max_retries": 7}
    before = ({"x-of-a": "1", "x-of-b": "2"}, {"q": 1}, 7)
    with clean_environment({}):
        client = face.client(api_key=KEY, **given)
        more = client.with_options(default_headers={"x-of-b": "3"}, default_query={"r": 2})
        others = client.copy(set_default_headers={"x-of-c": "4"}, set_default_query={"s": 3}, max_retries=0)
        same = client.copy()
    assert told(more) == ({"x-of-a": "1", "x-of-b": "3"}, {"q": 1, "r": 2}, 7)
    assert told(others) == ({"x-of-c": "4"}, {"s": 3}, 0)
    assert told(same) == told(client) == before
    assert {type(each) for each in (more, others, same)} == {face.client_class}
    assert {each.api_key for each in (more, others, same)} == {KEY}
    await settled(client.close())


@every_client
async def test_the_clients_end(face: Face) -> None:
    """SDK-9."""
    with clean_environment({}):
        client = face.client(api_key=KEY)
    assert not client.is_closed()
    async with entered(client) as same:
        assert same is client
    assert client.is_closed()


@pytest.mark.parametrize("name", ["DefaultHttpxClient", "DefaultAsyncHttpxClient"])
async def test_a_client_of_httpx_is_like_the_official_one(name: str) -> None:
    """SDK-1, 20: what it waits for, and how many connections it has."""
    with clean_environment({}):
        theirs, ours = (getattr(sdk, name)(verify=False) for sdk in (anthropic, dragoman))
        changed = getattr(dragoman, name)(timeout=3, verify=False)
    assert (ours.timeout, ours.follow_redirects) == (theirs.timeout, theirs.follow_redirects)
    assert changed.timeout == httpx2.Timeout(3)
    assert dragoman.DEFAULT_CONNECTION_LIMITS == anthropic.DEFAULT_CONNECTION_LIMITS
    for each in (theirs, ours, changed):
        await settled((each.aclose if hasattr(each, "aclose") else each.close)())


@pytest.mark.parametrize("status", [101, 204, 301, 307, 404, 499, 503])
def test_a_reply_says_of_what_kind_its_status_is(status: int) -> None:
    """SDK-42: as httpx2's."""
    theirs = httpx2.Response(status)
    reply: Any = SimpleNamespace(status=status, headers=[], close=lambda: None)
    ours = Response(Request("GET", "http://a"), reply, started=0.0)
    kinds = [f"is_{kind}" for kind in ("informational", "success", "redirect", "error", "client_error", "server_error")]
    assert {kind: getattr(ours, kind) for kind in kinds} == {kind: getattr(theirs, kind) for kind in kinds}


CODED = {
    (status, code): kind
    for (status, code), kind in ERROR_CLASSES.items()
    if code is not None and hasattr(anthropic.types, kind.__name__)
}


def test_an_error_with_a_code_has_a_class_of_its_own() -> None:
    """SDK-30: the code's class where it comes with its status, that of the status where it does not."""
    assert len(CODED) > 40
    for status, code in itertools.product({400, 418, *(status for status, _ in CODED)}, {c for _, c in CODED} | {"x"}):
        details = {"error_code": code, "more": 1}
        body = {"type": "error", "error": {"type": "t", "message": "m", "details": details}}
        response: Any = httpx2.Response(status, request=httpx2.Request("POST", "http://a"))
        theirs: Any = make_status_error("m", body=body, response=response)
        ours: Any = status_error(response, message="m", body=body)
        assert [each.__name__ for each in type(ours).__mro__] == [each.__name__ for each in type(theirs).__mro__]
        assert ours.error_code == theirs.error_code == code
        assert ours.details.to_dict() == details
        if code != "x":
            assert type(ours.details).__name__ == type(theirs.details).__name__
    found = {getattr(dragoman.types, kind.__name__) for kind in CODED.values()}
    assert all(issubclass(kind, dragoman.APIStatusError) for kind in found)


# -- what older releases took --------------------------------------------------------------------------------------

SAMPLED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "temperature": (lambda client: client.messages.create(**PARAMS, temperature=0.5), "2023-06-01"),
    "top_p to parse": (lambda client: client.messages.parse(**PARAMS, top_p=0.9), "2023-06-01"),
    "top_k in the beta": (lambda client: client.beta.messages.create(**PARAMS, top_k=4), "2023-06-01"),
    "a stream": (lambda client: client.messages.create(**PARAMS, stream=True, temperature=0), "2023-06-01"),
    "the runner": (
        lambda client: client.beta.messages.tool_runner(**PARAMS, tools=[], temperature=0.1).until_done(),
        "2023-06-01",
    ),
    "a batch": (
        lambda client: client.messages.batches.create(requests=[{"custom_id": "a", "params": {"top_k": 1}}]),
        "2023-06-01",
    ),
    "a batch without": (lambda client: client.messages.batches.create(requests=iter([{"params": {}}])), "2026-10-21"),
    "none": (lambda client: client.messages.create(**PARAMS), "2026-10-21"),
    "omitted": (lambda client: client.messages.create(**PARAMS, temperature=dragoman.omit, top_k=None), "2026-10-21"),
    "a version of the call": (
        lambda client: client.messages.create(
            **PARAMS, temperature=0.5, extra_headers={"Anthropic-Version": "2026-10-21"}
        ),
        "2026-10-21",
    ),
    "a version of the client": (
        lambda client: client.with_options(default_headers={"Anthropic-Version": "2026-10-21"}).messages.create(
            **PARAMS, temperature=0.5
        ),
        "2026-10-21",
    ),
}


@pytest.mark.parametrize("how", SAMPLED)
@pytest.mark.parametrize("face", [face for face in FACES if face.is_ours], ids=str)
async def test_who_samples_asks_for_the_version_that_has_it(face: Face, how: str) -> None:
    """MSG-3, SDK-8: programs of 0.74 give `temperature` and the like, which only their version of the API takes."""
    call, version = SAMPLED[how]
    async with trial(face, scripted) as t:
        reply = await settled(call(t.client))
        if how == "a stream":
            await settled(reply.close())
    assert [request.header("anthropic-version") for request in t.server.requests] == [version]


# -- models that end -----------------------------------------------------------------------------------------------

ASKING: dict[str, Callable[[Any, Any], Any]] = {
    "create": lambda client, params: client.messages.create(**params),
    "create a stream": lambda client, params: client.messages.create(**params, stream=True),
    "parse": lambda client, params: client.messages.parse(**params),
    "stream": lambda client, params: client.messages.stream(**params),
    "raw": lambda client, params: client.messages.with_raw_response.create(**params),
    "beta create": lambda client, params: client.beta.messages.create(**params),
    "beta parse": lambda client, params: client.beta.messages.parse(**params),
    "beta stream": lambda client, params: client.beta.messages.stream(**params),
}


def test_models_end_on_the_official_days() -> None:
    """SDK-10."""
    assert {model: date_of(text) for model, text in official.DEPRECATED_MODELS.items()} == deprecated.ENDS
    assert set(official.MODELS_TO_WARN_WITH_THINKING_ENABLED) == deprecated.NO_BUDGET


def date_of(text: str) -> str:
    """ "June 5th, 2026" as "2026-06-05"."""
    return datetime.strptime(re.sub(r"(\d)(st|nd|rd|th),", r"\1", text), "%B %d %Y").date().isoformat()


@pytest.mark.parametrize("asking", ASKING)
@every_client
async def test_who_asks_for_a_model_that_ends_is_warned(face: Face, asking: str) -> None:
    """SDK-10: a warning only, which in ours points at the line that asks, whichever method it calls."""
    params = PARAMS | {"model": "claude-mythos-preview", "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with clean_environment({}), served(scripted) as server:
        client = face.client(api_key=KEY, base_url=server.url)
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            reply = ASKING[asking](client, params)
            if inspect.isawaitable(reply):
                reply = await reply  # here, not in a helper: this line asks
            if asking.endswith("stream"):
                async with entered(reply):
                    pass
        await settled(client.close())
    told = [each for each in noted if "deprecated" in str(each.message)]
    assert [each.category for each in told] == [DeprecationWarning, UserWarning]
    assert all("claude-mythos-preview" in str(each.message) for each in told)
    assert "2026" in str(told[0].message)
    if face.is_ours:
        assert {each.filename for each in told} == {__file__}


async def test_no_other_model_is_warned_of() -> None:
    """SDK-10: nor is counting tokens."""
    async with trial(FACES[2], scripted) as t:
        await settled(t.client.messages.create(**PARAMS))
        await settled(t.client.messages.count_tokens(model="claude-2.0", messages=PARAMS["messages"]))
