"""The client for threads and the client for asyncio are one: names, parameters, types, documentation, behaviour.

STYLE, section 5. The policies are written once, as generators; what is written twice is compared here.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import either
import pytest
from canned import MESSAGE
from client_faults import FACES, KEY, PARAMS, Face, clean_environment
from either import entered, listed, settled
from failing import served
from misbehaving import Received
from scripted_api import REFUSALS, scripted

import dragoman.client
from dragoman import DEFAULT_TIMEOUT, AnthropicError, AsyncClient, Client, NoneType, Stream, omit
from dragoman.client.record import Record
from dragoman.types import Message

# -- names, parameters, types --------------------------------------------------------------------------------------

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(dragoman.client.__path__, "dragoman.client.")
    if not found.name.endswith((".local", ".foreign"))  # transports: their own tests run both kinds
]
WITHOUT_TWIN = {
    "AsyncPages": "a list for threads is there at once",
    "DefaultAsyncHttpxClient": "a class of httpx2's",
}
RENAMED = {"AsyncResource": "SyncResource", "AsyncPage": "SyncPage", "AsyncPageCursor": "SyncPageCursor"}
DUNDERS = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}
DUNDERS_BACK = {name: asynchronous for asynchronous, name in DUNDERS.items()}
LATER = "a list for asyncio is an AsyncPages: it may be awaited for its first page, or iterated over"
# What differs otherwise, and why.
UNLIKE: dict[str, str] = {
    **{f"{name}.list": LATER for name in "Batches Files FilesOf BetaFiles Models ModelsOf BetaModels".split()},
    "Stream.__del__": "a loop that has ended cannot close anything; the transport's own end of a connection does it",
}


class Twins(NamedTuple):
    sync: type
    asynchronous: type


def twins() -> Iterator[Twins]:
    """Every public class with Async in its name, and the class that is called so without it."""
    yield Twins(Client, AsyncClient)
    for module in MODULES:
        for name, found in sorted(vars(module).items()):
            is_own = inspect.isclass(found) and found.__module__ == module.__name__
            if not is_own or "Async" not in name or name.startswith("_") or name in ("AsyncClient", *WITHOUT_TWIN):
                continue
            yield Twins(getattr(module, RENAMED.get(name, name.replace("Async", ""))), found)


TWINS = list(twins())
every_pair = pytest.mark.parametrize("pair", TWINS, ids=[pair.sync.__name__ for pair in TWINS])


@cache
def shape_of(cls: type) -> dict[str, Any]:
    """Public names, and protocols under the names that they have for threads; what stands there as text."""
    found = {}
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if (name.startswith("_") and name not in {*DUNDERS, *DUNDERS.values(), "__init__", "__del__"}) or (
            member is getattr(object, name, None)
        ):
            continue
        if name not in DUNDERS.values() or DUNDERS_BACK[name] not in dir(cls):  # pages for asyncio have both
            found[DUNDERS.get(name, name)] = told(member)
    annotated = {name for base in cls.__mro__ for name in inspect.get_annotations(base) if not name.startswith("_")}
    return found | dict.fromkeys(annotated - found.keys(), "annotated")


def told(member: Any) -> Any:
    if isinstance(member, classmethod | staticmethod):
        member = member.__func__
    if isinstance(member, property):
        return ("a property", told(member.fget))
    if (wrapped := getattr(member, "func", None)) is not None:  # of a cached_property
        return ("a property", told(wrapped))
    if not inspect.isfunction(member):
        return "a value" if not isinstance(member, type) else "a class"
    return [signature(each) for each in (typing.get_overloads(member) or [member])]


def signature(function: Any) -> str:
    found = inspect.signature(function)
    parameters = [
        each.replace(annotation=text_of(each.annotation)) if each.annotation is not each.empty else each
        for each in found.parameters.values()
    ]
    return text_of(str(found.replace(parameters=parameters, return_annotation=text_of(found.return_annotation))))


WORDS = [
    (r"\b(dragoman|typing|collections\.abc|types|http\.base|client|home)\.(?=[\w.]*\w)", ""),
    (r"['~\"]", ""),
    (r"\bBetaAsync(?=[A-Z])", "Beta"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\bSync(?=[A-Z])", ""),
    (r"\b[A-Z]\b", "T"),  # type variables
]


def text_of(annotation: Any) -> str:
    """An annotation without what tells a class for asyncio from one for threads."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    for pattern, put in WORDS:
        text = re.sub(pattern, put, text)
    before, found, after = text.partition("Awaitable[")
    return before + after.replace("]]", "]", 1) if found else text


@every_pair
def test_names_parameters_and_types(pair: Twins) -> None:
    sync, asynchronous = shape_of(pair.sync), shape_of(pair.asynchronous)
    unlike = {
        name: (sync.get(name), asynchronous.get(name))
        for name in sorted(sync.keys() | asynchronous.keys())
        if sync.get(name) != asynchronous.get(name) and f"{pair.sync.__name__}.{name}" not in UNLIKE
    }
    assert unlike == {}


def test_every_row_is_needed() -> None:
    unlike = {
        f"{pair.sync.__name__}.{name}"
        for pair in TWINS
        for name in shape_of(pair.sync).keys() | shape_of(pair.asynchronous).keys()
        if shape_of(pair.sync).get(name) != shape_of(pair.asynchronous).get(name)
    }
    assert unlike == set(UNLIKE)
    assert len(TWINS) > 30


@every_pair
def test_documentation(pair: Twins) -> None:
    """What a method does is told once, at the class for threads; its twin says whose it is, or tells the same."""
    untold, other = [], []
    for name, method in vars(pair.sync).items():
        twin = vars(pair.asynchronous).get(name)
        if name.startswith("_") or not inspect.isfunction(method) or not inspect.isfunction(twin):
            continue
        if twin.__doc__ is None and method.__doc__ is not None:
            untold.append(name)
        elif twin.__doc__ != method.__doc__:
            other.append(name)
    assert other == []
    whose = f"As {pair.sync.__name__}"
    assert untold == [] or (pair.asynchronous.__doc__ or "").startswith(whose), (whose, untold)


@pytest.mark.parametrize("name", ["Messages", "Batches", "Models", "Files", "BetaMessages", "MessageStream", "Client"])
def test_what_programs_call_is_documented(name: str) -> None:
    (cls,) = (pair.sync for pair in TWINS if pair.sync.__name__ == name)
    methods = {each: found for each, found in inspect.getmembers(cls, inspect.isfunction) if not each.startswith("_")}
    assert methods
    assert [each for each, found in methods.items() if not found.__doc__ and each not in SPEAKING] == []


SPEAKING = {"put", "patch", "delete", "is_closed"}  # as `post`; and what the name says


# -- behaviour -----------------------------------------------------------------------------------------------------

BATCH = [{"custom_id": "a", "params": PARAMS}]


async def followed(manager: Any) -> Any:
    async with entered(manager) as stream:
        texts = await listed(stream.text_stream)
        return [texts, await settled(stream.get_final_message()), await settled(stream.get_final_text())]


async def events_of(manager: Any) -> Any:
    async with entered(manager) as stream:
        return [await listed(stream), stream.current_message_snapshot, stream.request_id]


async def left_early(manager: Any) -> Any:
    async with entered(manager) as stream:
        async for event in either.each(stream):
            return [event, stream.current_message_snapshot.id]
    return None


async def raw(call: Any) -> Any:
    reply = await settled(call)
    text = await settled(reply.text())
    seen = [reply.status_code, reply.method, reply.request_id, reply.retries_taken, reply.headers["content-type"]]
    return [*seen, text, await settled(reply.json()), await settled(reply.parse()), await settled(reply.read())]


async def opened(manager: Any, read: Callable[[Any], Any]) -> Any:
    async with entered(manager) as reply:
        return [reply.status_code, reply.is_closed, await settled(read(reply))]


async def pages(call: Any) -> Any:
    first = await settled(call)
    info = first.next_page_info()
    second = await settled(first.get_next_page())
    walked = await listed(first.iter_pages())
    return [first, info.params, second, first.has_next_page(), second.has_next_page(), len(walked), await listed(first)]


# What a program does -> how. Whatever it is, both clients send the same for it, and it comes to the same.
DOINGS: dict[str, Callable[[Any], Any]] = {
    "create": lambda c: c.messages.create(**PARAMS, temperature=0.5, user_profile_id="u", extra_body={"x": [1]}),
    "create with all options": lambda c: c.messages.create(
        **PARAMS, extra_headers={"x-a": "b"}, extra_query={"q": "a b"}, timeout=3, workspace_id="w", stream=omit
    ),
    "create a stream": lambda c: listed_later(c.messages.create(**PARAMS, stream=True)),
    "leave a stream": lambda c: closed_later(c.messages.create(**PARAMS, stream=True)),
    "follow a stream": lambda c: followed(c.messages.stream(**PARAMS)),
    "its events": lambda c: events_of(c.messages.stream(**PARAMS)),
    "leave its block": lambda c: left_early(c.messages.stream(**PARAMS)),
    "parse": lambda c: c.messages.parse(**PARAMS),
    "count": lambda c: c.messages.count_tokens(model="m", messages=[]),
    "beta create": lambda c: c.beta.messages.create(**PARAMS, betas=["a", "b"], output_format={"type": "json_schema"}),
    "beta create a stream": lambda c: listed_later(c.beta.messages.create(**PARAMS, stream=True)),
    "beta follow a stream": lambda c: followed(c.beta.messages.stream(**PARAMS)),
    "beta its events": lambda c: events_of(c.beta.messages.stream(**PARAMS)),
    "beta parse": lambda c: c.beta.messages.parse(**PARAMS),
    "beta count": lambda c: c.beta.messages.count_tokens(model="m", messages=[], betas=["a"]),
    "run tools": lambda c: c.beta.messages.tool_runner(**PARAMS, tools=[]).until_done(),
    "run tools one by one": lambda c: listed(c.beta.messages.tool_runner(**PARAMS, tools=[])),
    "raw": lambda c: raw(c.messages.with_raw_response.create(**PARAMS)),
    "raw parse": lambda c: raw(c.beta.messages.with_raw_response.parse(**PARAMS)),
    "raw count": lambda c: raw(c.with_raw_response.messages.count_tokens(model="m", messages=[])),
    "raw list": lambda c: raw(c.beta.with_raw_response.models.list(limit=1)),
    "raw delete": lambda c: raw(c.files.with_raw_response.delete("file_1")),
    "raw stream": lambda c: parsed_later(c.messages.with_raw_response.create(**PARAMS, stream=True)),
    "open": lambda c: opened(c.messages.with_streaming_response.create(**PARAMS), lambda reply: reply.parse()),
    "open lines": lambda c: opened(c.models.with_streaming_response.list(), lambda reply: listed(reply.iter_lines())),
    "open pieces": lambda c: opened(
        c.files.with_streaming_response.download("file_1"), lambda reply: listed(reply.iter_bytes(3))
    ),
    "open text": lambda c: opened(
        c.files.with_streaming_response.download("file_1"), lambda reply: listed(reply.iter_text())
    ),
    "open and leave": lambda c: opened(c.with_streaming_response.messages.create(**PARAMS), lambda reply: None),
    "models": lambda c: pages(c.models.list(limit=2, extra_headers={"x-a": "b"})),
    "models to the end": lambda c: listed(c.models.list()),
    "models before one": lambda c: settled_info(c.models.list(before_id="z")),
    "a model": lambda c: c.models.retrieve("claude/opus 4"),
    "beta models": lambda c: listed(c.beta.models.list(betas=["a"], lifecycle=["active", "retired"])),
    "files": lambda c: pages(c.files.list(ids=["a", "b"])),
    "files past the last page": lambda c: past_the_last(c.files.list(page="p2")),
    "upload": lambda c: c.files.upload(file=("a b.txt", b"one", "text/plain"), expires_in_seconds=60),
    "upload bytes": lambda c: c.beta.files.upload(file=b"one", betas=["a"]),
    "upload nothing": lambda c: c.files.upload(file=1),
    "a file": lambda c: c.files.retrieve_metadata("file_1"),
    "download": lambda c: downloaded(c.files.download("file_1")),
    "write a file": lambda c: written(c.files.download("file_1")),
    "write a file as it comes": lambda c: written_as_it_comes(c.files.with_streaming_response.download("file_1")),
    "delete a file": lambda c: c.beta.files.delete("file_1"),
    "batch": lambda c: c.messages.batches.create(requests=BATCH),
    "batches": lambda c: listed(c.messages.batches.list(limit=5)),
    "a batch": lambda c: c.messages.batches.retrieve("msgbatch_1"),
    "cancel": lambda c: c.beta.messages.batches.cancel("msgbatch_1", betas=["a"]),
    "delete a batch": lambda c: c.messages.batches.delete("msgbatch_1"),
    "results": lambda c: listed_later(c.messages.batches.results("msgbatch_1")),
    "beta results": lambda c: listed_later(c.beta.messages.batches.results("msgbatch_1", betas=["a"])),
    "no results yet": lambda c: c.messages.batches.results("unfinished"),
    "post": lambda c: c.post("/v1/else", cast_to=object, body={"a": 1}, options={"extra_json": {"b": None}}),
    "post content": lambda c: c.post("/v1/else", cast_to=dict, content=[b"a", b"b"], options={"headers": {"x-a": "1"}}),
    "post for nothing": lambda c: c.post("/v1/else", cast_to=NoneType),
    "post for a stream": lambda c: listed_later(
        c.post("/v1/messages", cast_to=object, body={**PARAMS, "stream": True}, stream=True, stream_cls=Stream[dict])
    ),
    "post with an odd option": lambda c: c.post("/v1/else", cast_to=object, options={"retries": 1}),
    "put": lambda c: c.put("/v1/else", cast_to=str, body=[1]),
    "patch": lambda c: c.patch("/v1/else", cast_to=bytes, body={}),
    "get": lambda c: c.get("/v1/else", cast_to=object, options={"params": {"a": ["b", "c"]}}),
    "delete": lambda c: c.delete("/v1/else", cast_to=object),
    "get what is not": lambda c: c.get("/v1/nowhere", cast_to=object),
    "get a message": lambda c: c.post("/v1/messages", cast_to=Message, body=PARAMS),
    "no key": lambda c: c.with_options(set_default_headers={"authorization": omit}).models.retrieve("m"),
    "another client": lambda c: c.with_options(
        api_key="sk-other", default_query={"q": 1}, default_headers={"X-Of-Mine": "1"}
    ).models.retrieve("m"),
    "too long": lambda c: c.with_options(timeout=DEFAULT_TIMEOUT).messages.create(**PARAMS | {"max_tokens": 100_000}),
    "a misspelt name": lambda c: c.messages.create(**PARAMS, temprature=1),
    "no id": lambda c: c.files.delete(""),
    "dots": lambda c: c.models.retrieve(".."),
    **{f"be told: {name}": lambda c, name=name: c.messages.create(**PARAMS | {"model": name}) for name in REFUSALS},
    **{
        f"be told amid a stream: {name}": lambda c, name=name: followed(c.messages.stream(**PARAMS | {"model": name}))
        for name in REFUSALS
    },
    "try again": lambda c: c.with_options(max_retries=2).messages.create(**PARAMS | {"model": "overloaded"}),
    "after its end": lambda c: closed_before(c),
}


async def listed_later(call: Any) -> Any:
    return await listed(await settled(call))


async def parsed_later(call: Any) -> Any:
    return await listed(await settled((await settled(call)).parse()))


async def closed_later(call: Any) -> Any:
    stream = await settled(call)
    first = await either.first(stream)
    await settled(stream.close())
    return [first, stream.response.is_closed]


async def settled_info(call: Any) -> Any:
    return (await settled(call)).next_page_info().params


async def past_the_last(call: Any) -> Any:
    return await settled((await settled(call)).get_next_page())


async def downloaded(call: Any) -> Any:
    file = await settled(call)
    return [file.content, await settled(file.read()), await listed(file.iter_bytes(4)), file.status_code]


async def written(call: Any) -> Any:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a"
        await settled((await settled(call)).write_to_file(file))
        return file.read_bytes()


async def written_as_it_comes(manager: Any) -> Any:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a"
        async with entered(manager) as reply:
            await settled(reply.stream_to_file(file, chunk_size=2))
        return file.read_bytes()


async def closed_before(client: Any) -> Any:
    await settled(client.close())
    return await settled(client.models.retrieve("m"))


class Outcome(NamedTuple):
    requests: list[Any]
    result: Any


async def outcome(face: Face, doing: Callable[[Any], Any]) -> Outcome:
    """What went over the wire, and what came of it."""
    with clean_environment({}), served(scripted) as server:
        client = face.client(api_key=KEY, base_url=server.url, max_retries=0, timeout=5)
        try:
            result = plain(await settled(doing(client)))
        except (AnthropicError, ValueError, TypeError, RuntimeError) as error:
            result = raised(error)
        finally:
            await settled(client.close())
    port = server.url.rpartition(":")[2]
    requests = [sent(request) for request in server.requests]
    return Outcome(requests, json.loads(json.dumps(result).replace(port, "PORT")))


def sent(request: Received) -> Any:
    """But for what tells the two clients apart, and what is new each time."""
    headers = dict(request.headers)
    boundary = headers.get("content-type", "").partition("boundary=")[2]
    named = {name: value for name, value in headers.items() if name not in ("host", "user-agent")}
    text = json.dumps([request.method, request.target, sorted(named.items()), request.body.decode("latin-1")])
    return text.replace(boundary, "BOUNDARY") if boundary else text


def plain(value: Any) -> Any:
    """A result as JSON that says of what class each part is."""
    if isinstance(value, Record):
        return [class_name(value), value.to_dict(mode="json"), value._request_id]
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    return value if isinstance(value, dict | str | int | float | None) else class_name(value)


def class_name(value: Any) -> str:
    return re.sub("Async|Sync", "", type(value).__name__)


def raised(error: Exception) -> Any:
    seen = ("status_code", "request_id", "type", "error_code", "body", "message")
    return [class_name(error), str(error), {name: plain(getattr(error, name, None)) for name in seen}]


@pytest.mark.parametrize("name", DOINGS)
async def test_both_clients_do_the_same(name: str) -> None:
    """SDK-3 to 10, 20 to 31, 40 to 62: in each of them, the blocking client and the other are one."""
    blocking, asynchronous = [await outcome(face, DOINGS[name]) for face in FACES if face.is_ours]
    assert blocking == asynchronous
    assert bool(blocking.requests) == (name not in UNSENT)


UNSENT = {
    "upload nothing",
    "post with an odd option",
    "too long",
    "a misspelt name",
    "no id",
    "dots",
    "after its end",
}


async def test_the_comparison_sees_what_is_sent_and_what_comes() -> None:
    """So that two clients that do nothing are not the same."""
    done = await outcome(FACES[2], DOINGS["create"])
    assert "temperature" in done.requests[0]
    assert done.result[:2] == ["Message", MESSAGE]
    refused = await outcome(FACES[3], DOINGS["be told: unknown"])
    assert refused.result[0] == "ThreadNotFoundError"
    assert refused.result[2]["status_code"] == 404
    assert len((await outcome(FACES[3], DOINGS["try again"])).requests) == 3


def test_every_method_is_done() -> None:
    """What is new in a resource gets a row above."""
    text = inspect.getsource(sys.modules[__name__])
    table = text.partition("DOINGS: dict")[2].partition("async def listed_later")[0]
    resources = {"messages": "Messages", "models": "Models", "files": "Files", "batches": "Batches"}
    for attribute, name in resources.items():
        (cls,) = (pair.sync for pair in TWINS if pair.sync.__name__ == name)
        methods = [each for each, _ in inspect.getmembers(cls, inspect.isfunction) if not each.startswith("_")]
        assert [each for each in methods if f"{attribute}.{each}(" not in table] == []
