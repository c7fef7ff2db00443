"""What goes over the wire: URL, headers, query, body, limits, and who says so: arguments, environment, a redirect.

Spec SDK-1 to SDK-8, SDK-20, SDK-21, SDK-44, SDK-56. Every test runs with the official SDK too; where ours differs on
purpose, `client_faults.DIFFERENCES` says why.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from canned import COUNT, MESSAGE, then
from client_faults import (
    KEY,
    Face,
    Trial,
    answering,
    create,
    each_of,
    every_client,
    every_way,
    stream,
    trial,
    well_behaved,
)
from either import listed, settled
from failing import served
from misbehaving import Conn, Received, head, json_reply, replying

SHORT_S = 0.03  # for a limit that is to be reached
HELLO = [{"role": "user", "content": "Hello"}]


async def sent(t: Trial, client: Any = None, **params: Any) -> Received:
    """The request that `messages.create` makes."""
    await create(t.client if client is None else client, **params)
    return t.server.requests[-1]


# -- the request ---------------------------------------------------------------------------------------------------


@every_way
async def test_the_first_call(face: Face) -> None:
    """SDK-5, HDR-2, HDR-5."""
    async with trial(face) as t:
        request = await sent(t)
    assert (request.method, request.target) == ("POST", "/v1/messages")
    assert request.json() == {"model": "claude-opus-4-8", "max_tokens": 64, "messages": HELLO}
    assert request.header("authorization") == f"Bearer {KEY}"
    assert request.header("x-api-key") is None
    assert request.header("anthropic-version") == "2026-10-21"
    assert request.header("content-type") == request.header("accept") == "application/json"
    assert request.header("content-length") == str(len(request.body))
    assert request.header("host") == t.server.url.removeprefix("http://")
    assert request.header("anthropic-beta") is None


@every_client
async def test_no_header_is_sent_twice(face: Face) -> None:
    """ERR-44: a doubled `anthropic-version` is refused by the API."""
    async with trial(face, default_headers={"Anthropic-Version": "2023-06-01", "X-A": "1"}) as t:
        request = await sent(t, extra_headers={"x-a": "2", "ANTHROPIC-VERSION": "2026-10-21"})
    names = [name for name, _ in request.headers]
    assert sorted(names) == sorted(set(names))
    assert (request.header("x-a"), request.header("anthropic-version")) == ("2", "2026-10-21")


@every_client
async def test_who_calls(face: Face) -> None:
    """SDK-5, HDR-8."""
    async with trial(face) as t:
        request = await sent(t)
    names = {"official": "Anthropic", "ours": "Dragoman"}
    name = face.either("the user agent", official=names["official"], ours=names["ours"])
    assert (request.header("user-agent") or "").startswith(f"{'Async' if face.is_async else ''}{name}/Python ")
    marks = {name for name, _ in request.headers if name.startswith("x-stainless-")}
    platform = {f"x-stainless-{name}" for name in ("lang", "package-version", "os", "arch", "runtime", "async")}
    assert "x-stainless-retry-count" in marks
    assert face.either("what the machine is", official=platform <= marks, ours=not platform & marks)


@every_client
async def test_what_replies_may_be_compressed_with(face: Face) -> None:
    async with trial(face) as t:
        request = await sent(t)
    coding = face.either("compressed replies", official="gzip, deflate", ours="identity")
    assert request.header("accept-encoding") == coding


@every_client
async def test_a_stream_is_asked_for_in_the_body(face: Face) -> None:
    """SDK-50: by `stream`, and nothing else."""
    async with trial(face) as t:
        await listed(await stream(t.client))
        assert t.server.requests[0].json() == {
            "model": "claude-opus-4-8",
            "max_tokens": 64,
            "messages": HELLO,
            "stream": True,
        }
        await create(t.client, stream=False)
        assert not t.server.requests[1].json().get("stream")


@every_way
async def test_a_get_has_no_body(face: Face) -> None:
    """SDK-55: neither body nor its headers."""
    async with trial(face, answering(json_reply({"id": "m", "type": "model"}))) as t:
        await settled(t.client.models.retrieve("m"))
        request = t.server.requests[0]
    assert (request.method, request.target, request.body) == ("GET", "/v1/models/m", b"")
    assert request.header("content-type") is None
    assert request.header("content-length") is None


@pytest.mark.parametrize("text", ["déjà vu \U0001f600", "\x00\x1f\u2028", '"\\/'])
@every_client
async def test_text_arrives_as_it_is(face: Face, text: str) -> None:
    async with trial(face) as t:
        assert (await sent(t, system=text)).json()["system"] == text


@every_client
async def test_messages_may_come_from_a_generator(face: Face) -> None:
    """`messages` is any iterable; it is read once, and every attempt sends the same."""
    busy = json_reply({}, status=529)
    async with trial(face, answering(busy, busy, json_reply(MESSAGE))) as t:
        await create(t.client, messages=(message for message in HELLO))
        assert [request.json()["messages"] for request in t.server.requests] == [HELLO] * 3


@every_client
async def test_what_is_not_given_is_not_sent(face: Face) -> None:
    """`NOT_GIVEN` and `omit` leave a field out; None is sent as null."""
    async with trial(face) as t:
        request = await sent(t, system=t.sdk.NOT_GIVEN, stop_sequences=t.sdk.omit, metadata=None)
    assert set(request.json()) == {"model", "max_tokens", "messages", "metadata"}
    assert request.json()["metadata"] is None


# -- the base URL --------------------------------------------------------------------------------------------------

BASES = {"": "/v1/messages", "/": "/v1/messages", "/proxy": "/proxy/v1/messages", "/a/b/": "/a/b/v1/messages"}


@pytest.mark.parametrize("suffix", BASES)
@every_client
async def test_base_url(face: Face, suffix: str) -> None:
    """SDK-4: with a path in front, with and without a slash behind."""
    async with trial(face) as t:
        base = t.server.url + suffix
        assert (await sent(t, t.client.with_options(base_url=base))).target == BASES[suffix]
        other = face.client(api_key=KEY, base_url=httpx2.URL(base))
        assert (await sent(t, other)).target == BASES[suffix]
        await settled(other.close())


@every_client
async def test_base_url_of_the_environment(face: Face) -> None:
    """SDK-2: an argument comes first."""
    async with trial(face) as t:
        for env, argument, target in (("/env", None, "/env/v1/messages"), ("/env", "/arg", "/arg/v1/messages")):
            given = {} if argument is None else {"base_url": t.server.url + argument}
            async with trial(face, env={"ANTHROPIC_BASE_URL": t.server.url + env}, **{"base_url": ..., **given}) as own:
                await create(own.client)
            assert t.server.requests[-1].target == target


@every_client
async def test_the_default_base_url(face: Face) -> None:
    """SDK-1: nothing is sent here."""
    async with trial(face, base_url=...) as t:
        assert str(t.client.base_url).rstrip("/") == "https://api.anthropic.com"


@every_client
async def test_base_url_can_be_read(face: Face) -> None:
    async with trial(face) as t:
        assert str(t.client.base_url).rstrip("/") == t.server.url


# -- credentials ---------------------------------------------------------------------------------------------------

KEYS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {  # environment, arguments, what is sent
    "a key": ({}, {"api_key": "k"}, "Bearer k"),
    "a token": ({}, {"auth_token": "t"}, "Bearer t"),
    "a key of the environment": ({"ANTHROPIC_API_KEY": "ek"}, {}, "Bearer ek"),
    "a token of the environment": ({"ANTHROPIC_AUTH_TOKEN": "et"}, {}, "Bearer et"),
    "both of the environment": ({"ANTHROPIC_API_KEY": "ek", "ANTHROPIC_AUTH_TOKEN": "et"}, {}, "Bearer ek"),
    "an empty key in the environment": ({"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "et"}, {}, "Bearer et"),
    "an argument first": ({"ANTHROPIC_API_KEY": "ek"}, {"api_key": "k"}, "Bearer k"),
    "a token as argument first": ({"ANTHROPIC_API_KEY": "ek"}, {"auth_token": "t"}, "Bearer t"),
    "a header first": ({}, {"api_key": "k", "default_headers": {"Authorization": "Basic h"}}, "Basic h"),
}


@each_of(KEYS)
@every_client
async def test_credentials(face: Face, value: tuple[dict[str, str], dict[str, Any], str]) -> None:
    """SDK-2, SDK-5: one credential, in one header."""
    env, arguments, header = value
    async with trial(face, env=env, **{"api_key": ..., **arguments}) as t:
        request = await sent(t)
    assert request.header("authorization") == header
    assert request.header("x-api-key") is None


@every_client
async def test_two_credentials_are_refused(face: Face) -> None:
    """SDK-1: nobody can tell which is meant."""
    with pytest.raises(ValueError, match=r"api_key.*auth_token"):
        face.client(api_key="k", auth_token="t")


NOBODY: dict[str, Callable[[Any], Any]] = {
    "create": create,
    "stream": stream,
    "count_tokens": lambda client: client.messages.count_tokens(model="m", messages=HELLO),
    "models.retrieve": lambda client: client.models.retrieve("m"),
}


@each_of(NOBODY)
@every_client
async def test_no_credentials(face: Face, value: Callable[[Any], Any]) -> None:
    """SDK-3: TypeError at the call, with nothing sent and nothing tried again."""
    async with trial(face, api_key=...) as t:
        assert (t.client.api_key, t.client.auth_token) == (None, None)
        with pytest.raises(TypeError, match="Could not resolve authentication method"):
            await settled(value(t.client))
        assert len(t.server.conns) == 0
        assert t.slept == []


@pytest.mark.parametrize("name", ["authorization", "Authorization", "X-Api-Key"])
@every_client
async def test_a_header_is_a_credential(face: Face, name: str) -> None:
    """SDK-3: of the client or of the call."""
    async with trial(face, api_key=...) as t:
        assert (await sent(t, extra_headers={name: "mine"})).header(name) == "mine"
        assert (await sent(t, t.client.with_options(default_headers={name: "mine"}))).header(name) == "mine"


@every_client
async def test_no_credential_may_be_wanted(face: Face) -> None:
    """SDK-3: a server that asks for none."""
    async with trial(face, api_key=...) as t:
        request = await sent(t, extra_headers={"Authorization": t.sdk.omit})
        assert request.header("authorization") is None
        request = await sent(t, t.client.with_options(default_headers={"Authorization": t.sdk.omit}))
        assert request.header("authorization") is None


@every_client
async def test_a_key_can_be_assigned(face: Face) -> None:
    """A program that gets a new key while it runs."""
    async with trial(face) as t:
        t.client.api_key = "new"
        assert (await sent(t)).header("authorization") == "Bearer new"
        assert (await sent(t, t.client.with_options(max_retries=1))).header("authorization") == "Bearer new"


@every_client
async def test_another_key_for_some_calls(face: Face) -> None:
    """SDK-7: `with_options(api_key=...)`; a key of the other kind replaces this one."""
    async with trial(face) as t:
        assert (await sent(t, t.client.with_options(api_key="other"))).header("authorization") == "Bearer other"
        assert (await sent(t, t.client.with_options(auth_token="token"))).header("authorization") == "Bearer token"
        assert (await sent(t)).header("authorization") == f"Bearer {KEY}"


@every_client
async def test_other_settings_can_be_assigned(face: Face) -> None:
    """As in programs that set up a client they were given."""
    async with trial(face, answering(json_reply({}, status=529))) as t:
        t.client.max_retries = 0
        t.client.base_url = t.server.url + "/new"
        with pytest.raises(t.sdk.OverloadedError):
            await create(t.client)
        assert [request.target for request in t.server.requests] == ["/new/v1/messages"]


# -- headers -------------------------------------------------------------------------------------------------------


@every_client
async def test_whose_header_wins(face: Face) -> None:
    """SDK-7: the environment, then the client, then `with_options`, then the call; names in any case."""
    env = {"ANTHROPIC_CUSTOM_HEADERS": "X-A: env\nX-B: env\nX-C: env\nX-D: env"}
    async with trial(face, env=env, default_headers={"x-b": "client", "x-c": "client", "x-d": "client"}) as t:
        other = t.client.with_options(default_headers={"X-C": "options", "X-D": "options"})
        request = await sent(t, other, extra_headers={"x-D": "call"})
        assert [request.header(f"x-{letter}") for letter in "abcd"] == ["env", "client", "options", "call"]
        request = await sent(t, other.with_options(default_headers={"x-c": "again"}))
        assert [request.header(f"x-{letter}") for letter in "abcd"] == ["env", "client", "again", "options"]
        request = await sent(t)
        assert [request.header(f"x-{letter}") for letter in "abcd"] == ["env", "client", "client", "client"]


LINES = {
    "Name: value": {"name": "value"},
    "  X-A :  1  \nX-B:2": {"x-a": "1", "x-b": "2"},
    "X-A: 1\r\nX-B: 2\r\n": {"x-a": "1", "x-b": "2"},
    "no colon\nX-A: a: b": {"x-a": "a: b"},
    "": {},
    "Anthropic-Version: 2023-06-01": {"anthropic-version": "2023-06-01"},
    "X-A: 1\nX-A: 2": {"x-a": "2"},
}


@pytest.mark.parametrize("lines", LINES)
@every_client
async def test_headers_of_the_environment(face: Face, lines: str) -> None:
    """SDK-2: ANTHROPIC_CUSTOM_HEADERS, lines `Name: value`."""
    async with trial(face, env={"ANTHROPIC_CUSTOM_HEADERS": lines}) as t:
        request = await sent(t)
    assert {name: request.header(name) for name in LINES[lines]} == LINES[lines]


@every_client
async def test_a_header_can_be_taken_away(face: Face) -> None:
    """SDK-7: by `omit`, at every level; a later level can set it again."""
    async with trial(face, default_headers={"x-a": "1", "x-b": "1"}) as t:
        omit = t.sdk.omit
        request = await sent(t, extra_headers={"X-A": omit, "accept": omit, "user-agent": omit})
        assert (request.header("x-a"), request.header("x-b")) == (None, "1")
        for name in ("accept", "user-agent"):
            assert (request.header(name) or "") not in ("application/json", f"{t.client.__class__.__name__}/Python")
        other = t.client.with_options(default_headers={"x-a": omit, "x-b": omit})
        request = await sent(t, other, extra_headers={"X-B": "again"})
        assert (request.header("x-a"), request.header("x-b")) == (None, "again")


@every_client
async def test_default_headers_replaced(face: Face) -> None:
    """SDK-7: `set_default_headers` and `set_default_query` forget what was there; both kinds at once are refused."""
    async with trial(face, default_headers={"x-a": "1"}, default_query={"a": "1"}) as t:
        request = await sent(t, t.client.with_options(set_default_headers={"x-b": "2"}, set_default_query={"b": "2"}))
        assert (request.header("x-a"), request.header("x-b")) == (None, "2")
        assert request.target == "/v1/messages?b=2"
        with pytest.raises(ValueError, match="exclu"):
            t.client.with_options(default_headers={}, set_default_headers={})
        with pytest.raises(ValueError, match="exclu"):
            t.client.with_options(default_query={}, set_default_query={})


BAD: dict[str, Any] = {
    "a line end": {"x-a": "1\r\nx-b: 2"},
    "a bare line end": {"x-a": "1\n2"},
    "NUL": {"x-a": "1\x002"},
    "a space in a name": {"x a": "1"},
    "a colon in a name": {"x:a": "1"},
    "an empty name": {"": "1"},
}


@each_of(BAD)
@every_way
async def test_a_header_that_http_does_not_allow(face: Face, value: dict[str, str]) -> None:
    """Nothing is sent: no second header can be smuggled in."""
    async with trial(face) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client, extra_headers=value)
        assert t.attempts == 0
        assert len(t.slept) == face.either("a request that cannot be written", official=2, ours=0)


@every_way
async def test_a_key_with_a_line_end(face: Face) -> None:
    """As read from a file with a line end behind it: it is not sent, and not shown."""
    async with trial(face, api_key="sk-secret\n", max_retries=0) as t:
        with pytest.raises(t.sdk.APIConnectionError) as caught:
            await create(t.client)
        assert t.attempts == 0
    assert "sk-secret" not in f"{caught.value} {caught.value!r}"
    shown = "sk-secret" in str(caught.value.__cause__)
    assert shown is face.either("a key in the cause", official=True, ours=False)


@every_way
async def test_a_header_in_utf_8(face: Face) -> None:
    """`x-a: é`: as UTF-8, as the official client writes it."""
    async with trial(face, max_retries=0) as t:
        request = await sent(t, extra_headers={"x-a": "déjà \u20ac"})
    assert (request.header("x-a") or "").encode("latin-1").decode() == "déjà \u20ac"


@every_client
async def test_betas(face: Face) -> None:
    """SDK-56: `betas` of a call, in one header, before the client's own; `extra_headers` before both."""
    async with trial(face, default_headers={"anthropic-beta": "default"}) as t:

        async def betas(**params: Any) -> str | None:
            await settled(t.client.beta.messages.create(model="m", max_tokens=9, messages=HELLO, **params))
            return t.server.requests[-1].header("anthropic-beta")

        assert await betas() == "default"
        assert await betas(betas=["a"]) == "a"
        assert await betas(betas=["a", "b-2026-01-01"]) == "a,b-2026-01-01"
        assert await betas(betas=["a"], extra_headers={"anthropic-beta": "mine"}) == "mine"
        assert "betas" not in t.server.requests[-1].json()


@every_client
async def test_the_beta_of_counting(face: Face) -> None:
    """SDK-52: added to those of the call."""
    async with trial(face, answering(json_reply(COUNT))) as t:
        await settled(t.client.beta.messages.count_tokens(model="m", messages=HELLO, betas=["a"]))
        given = t.server.requests[-1].header("anthropic-beta") or ""
        assert given.split(",") == ["a", "token-counting-2024-11-01"]
        await settled(t.client.beta.messages.count_tokens(model="m", messages=HELLO))
        assert t.server.requests[-1].header("anthropic-beta") == "token-counting-2024-11-01"


# -- query and body ------------------------------------------------------------------------------------------------


@every_client
async def test_whose_query_wins(face: Face) -> None:
    """SDK-7: the client's, then the call's."""
    async with trial(face, default_query={"a": "client", "b": "client"}) as t:
        assert (await sent(t)).target == "/v1/messages?a=client&b=client"
        assert (await sent(t, extra_query={"b": "call", "c": "x"})).target == "/v1/messages?a=client&b=call&c=x"
        other = t.client.with_options(default_query={"b": "options"})
        assert (await sent(t, other)).target == "/v1/messages?a=client&b=options"


QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({"a": "b"}, "a=b"),
    "a space": ({"a b": "c d"}, "a%20b=c%20d"),
    "a plus": ({"a": "1+1"}, "a=1%2B1"),
    "signs": ({"a": "&=?#/%"}, "a=%26%3D%3F%23%2F%25"),
    "letters": ({"a": "é"}, "a=%C3%A9"),
    "a list": ({"ids": ["a", "b"]}, "ids%5B%5D=a&ids%5B%5D=b"),
    "an empty list": ({"ids": [], "a": "b"}, "a=b"),
    "an object": ({"a": {"b": "c"}}, "a%5Bb%5D=c"),
    "a list in an object": ({"a": {"b": [1, 2]}}, "a%5Bb%5D%5B%5D=1&a%5Bb%5D%5B%5D=2"),
    "numbers": ({"a": 1, "b": 1.5}, "a=1&b=1.5"),
    "truth": ({"a": True, "b": False}, "a=true&b=false"),
    "none": ({"a": None, "b": "c"}, "b=c"),
    "nothing": ({}, ""),
    "empty text": ({"a": ""}, "a="),
}


@every_way
async def test_queries(face: Face) -> None:
    """SDK-44."""
    async with trial(face) as t:
        for name, (query, written) in QUERIES.items():
            path, _, got = (await sent(t, extra_query=query)).target.partition("?")
            assert path == "/v1/messages"
            assert _unquoted(got) == _unquoted(written), name


def _unquoted(query: str) -> str:
    """Brackets may be written as they are or not (RFC 3986 says not, most do)."""
    return query.replace("%5B", "[").replace("%5D", "]").replace("%2F", "/")


@every_client
async def test_extra_body(face: Face) -> None:
    """SDK-7: keys of the call's own, which win."""
    async with trial(face) as t:
        body = (await sent(t, extra_body={"temperature": 0.5, "max_tokens": 7, "new": {"a": [None]}})).json()
    assert body == {
        "model": "claude-opus-4-8",
        "max_tokens": 7,
        "messages": HELLO,
        "temperature": 0.5,
        "new": {"a": [None]},
    }


@every_client
async def test_a_call_of_its_own(face: Face) -> None:
    """SDK-45: `post` and `get` for paths that the client does not know; whole URLs too."""
    async with trial(face, answering(json_reply({"is": "fine"}))) as t:
        assert await settled(t.client.post("/v1/else", cast_to=object, body={"a": 1})) == {"is": "fine"}
        assert await settled(t.client.get("/v1/else?x=y", cast_to=object)) == {"is": "fine"}
        assert await settled(t.client.delete(f"{t.server.url}/whole", cast_to=object)) == {"is": "fine"}
        options = {"params": {"a": "b"}, "headers": {"x-a": "1"}, "max_retries": 0}
        assert await settled(t.client.get("/v1/else", cast_to=object, options=options)) == {"is": "fine"}
    assert [f"{request.method} {request.target}" for request in t.server.requests] == [
        "POST /v1/else",
        "GET /v1/else?x=y",
        "DELETE /whole",
        "GET /v1/else?a=b",
    ]
    assert t.server.requests[0].json() == {"a": 1}
    assert t.server.requests[3].header("x-a") == "1"


@pytest.mark.parametrize("model_id", ["a b", "a/b", "ü", "a?b", "a#b", "..%2f"])
@every_client
async def test_an_id_stays_one_part_of_the_path(face: Face, model_id: str) -> None:
    """No id can reach another path."""
    async with trial(face, answering(json_reply({"id": "m", "type": "model"}))) as t:
        await settled(t.client.models.retrieve(model_id))
        target = t.server.requests[0].target
    assert target.startswith("/v1/models/")
    assert not set("/?# ") & set(target.removeprefix("/v1/models/"))


@pytest.mark.parametrize("model_id", ["", "..", "."])
@every_client
async def test_an_id_that_is_none(face: Face, model_id: str) -> None:
    """`""` would list all models; `..` would ask for something else."""
    async with trial(face) as t:
        with pytest.raises(ValueError):
            await settled(t.client.models.retrieve(model_id))
        assert t.attempts == 0


# -- limits --------------------------------------------------------------------------------------------------------

TIMEOUTS: dict[str, Callable[[Any], Any]] = {
    "a number": lambda sdk: SHORT_S,
    "Timeout": lambda sdk: sdk.Timeout(5, read=SHORT_S),
    "httpx2.Timeout": lambda sdk: httpx2.Timeout(5, read=SHORT_S),
}


@each_of(TIMEOUTS)
@every_client
async def test_time_outs(face: Face, value: Callable[[Any], Any]) -> None:
    """SDK-20: of the client, of a copy, of a call."""
    limit = value(face.sdk)
    async with trial(face, then(b""), max_retries=0) as t:
        with pytest.raises(t.sdk.APITimeoutError):
            await create(t.client, timeout=limit)
        with pytest.raises(t.sdk.APITimeoutError):
            await create(t.client.with_options(timeout=limit))
        t.client.timeout = limit
        with pytest.raises(t.sdk.APITimeoutError):
            await create(t.client)
    async with trial(face, then(b""), max_retries=0, timeout=limit) as t:
        with pytest.raises(t.sdk.APITimeoutError):
            await create(t.client)
        with pytest.raises(t.sdk.APITimeoutError):
            await stream(t.client)


async def tardy(conn: Conn) -> None:
    """Answers when the limit of the client is long over."""
    while await conn.read_request() is not None:
        await asyncio.sleep(3 * SHORT_S)
        await conn.send(json_reply(MESSAGE))


@every_way
async def test_a_call_may_take_longer_than_the_client_allows(face: Face) -> None:
    """SDK-20: None is without limit, and so wins over the client's."""
    async with trial(face, tardy, timeout=SHORT_S, max_retries=0) as t:
        assert await create(t.client, timeout=None)
        assert await create(t.client, timeout=5)
        assert await create(t.client.with_options(timeout=None))
        assert t.attempts == 3


@every_client
async def test_the_default_time_out(face: Face) -> None:
    """SDK-20: ten minutes, five seconds to connect."""
    async with trial(face, timeout=...) as t:
        limit = t.client.timeout
        assert (limit.connect, limit.read, limit.write, limit.pool) == (5.0, 600.0, 600.0, 600.0)


GUARD: dict[str, tuple[dict[str, Any], bool]] = {  # SDK-21: params, is it refused
    "21333 tokens": ({"max_tokens": 21_333}, False),
    "21334 tokens": ({"max_tokens": 21_334}, True),
    "128000 tokens": ({"max_tokens": 128_000}, True),
    "8192 tokens of an old Opus": ({"max_tokens": 8_192, "model": "claude-opus-4-20250514"}, False),
    "8193 tokens of an old Opus": ({"max_tokens": 8_193, "model": "claude-opus-4-20250514"}, True),
    "many tokens in a stream": ({"max_tokens": 128_000, "stream": True}, False),
    "many tokens with a limit": ({"max_tokens": 128_000, "timeout": 5.0}, False),
    "many tokens without limit": ({"max_tokens": 128_000, "timeout": None}, False),
}


@pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
@each_of(GUARD)
@every_client
async def test_what_is_too_long_for_one_reply(face: Face, value: tuple[dict[str, Any], bool]) -> None:
    """SDK-21: only while nobody has chosen a time-out; nothing is sent."""
    params, is_refused = value
    async with trial(face, timeout=...) as t:
        if is_refused:
            with pytest.raises(ValueError, match="Streaming is required"):
                await create(t.client, **params)
            assert t.attempts == 0
        else:
            result = await create(t.client, **params)
            if params.get("stream"):
                await settled(result.close())
            assert t.attempts == 1


@every_client
async def test_whoever_sets_a_time_out_has_chosen(face: Face) -> None:
    """SDK-21: on the client, or on a copy."""
    async with trial(face, timeout=5.0) as t:
        assert await create(t.client, max_tokens=128_000)
    async with trial(face, timeout=...) as t:
        assert await create(t.client.with_options(timeout=5.0), max_tokens=128_000)
        with pytest.raises(ValueError, match="Streaming is required"):
            await create(t.client.with_options(max_retries=1), max_tokens=128_000)


# -- redirects -----------------------------------------------------------------------------------------------------


def elsewhere(status: int, target: str, *headers: tuple[str, str]) -> bytes:
    return head(status, ("location", target), ("content-length", "0"), *headers)


FINE = json_reply(MESSAGE)


@pytest.mark.parametrize("status", [307, 308])
@every_way
async def test_a_redirect_that_keeps_the_request(face: Face, status: int) -> None:
    """SDK-4: the same method, body and headers, at once, over the same connection."""
    async with trial(face, answering(elsewhere(status, "/other?a=b"), FINE)) as t:
        assert (await create(t.client)).id == MESSAGE["id"]
        first, second = t.server.requests
        assert (second.method, second.target, second.body) == ("POST", "/other?a=b", first.body)
        assert second.header("authorization") == f"Bearer {KEY}"
        assert second.header("content-type") == "application/json"
        assert second.header("x-stainless-retry-count") == "0"
        assert t.slept == []


@pytest.mark.parametrize("status", [301, 302, 303])
@every_client
async def test_a_redirect_that_asks_with_get(face: Face, status: int) -> None:
    """RFC 9110, section 15.4."""
    async with trial(face, answering(elsewhere(status, "/other"), FINE)) as t:
        await create(t.client)
        second = t.server.requests[1]
        assert (second.method, second.target, second.body) == ("GET", "/other", b"")
        assert second.header("content-length") is None


TARGETS = {
    "/other": "/other",
    "other": "/v1/other",
    "?a=b": "/v1/messages?a=b",
    "{url}/whole": "/whole",
    "//{host}/whole": "/whole",
    "/a#part": "/a",
    "/a b": "/a%20b",
    "/é": "/%C3%A9",
}


@pytest.mark.parametrize("location", TARGETS)
@every_client
async def test_where_a_redirect_leads(face: Face, location: str) -> None:
    """RFC 9110, section 10.2.2: relative to what was asked for."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        url = f"http://127.0.0.1:{conn.sock.getsockname()[1]}"
        target = location.format(url=url, host=url.removeprefix("http://"))
        text = f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"
        await conn.send(text.encode())
        await conn.read_request()
        await conn.send(FINE)

    async with trial(face, handler, max_retries=0) as t:
        await create(t.client)
        assert t.server.requests[1].target == TARGETS[location]


@every_client
async def test_a_stream_is_redirected(face: Face) -> None:
    async with trial(face, _streaming) as t:
        assert len(await listed(await stream(t.client))) == 6
        assert [request.target for request in t.server.requests] == ["/v1/messages", "/there"]


async def _streaming(conn: Conn) -> None:
    await conn.read_request()
    await conn.send(elsewhere(307, "/there"))
    await well_behaved(conn)


@every_way
async def test_another_origin_gets_no_credentials(face: Face) -> None:
    """SDK-4: whoever answers there is a stranger."""
    with served(replying(FINE)) as other:
        async with trial(face, answering(elsewhere(307, other.url + "/there"))) as t:
            await create(t.client, extra_headers={"x-api-key": "also", "x-a": "b"})
        request = other.requests[0]
        assert request.json()["messages"] == HELLO
        assert request.header("host") == other.url.removeprefix("http://")
        assert request.header("authorization") is None
        assert request.header("x-a") == "b"
        assert request.header("x-api-key") == face.either("a key for a stranger", official="also", ours=None)


@every_way
async def test_redirects_without_end(face: Face) -> None:
    async with trial(face, answering(elsewhere(307, "/again")), max_retries=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client)
        assert t.attempts == 21


@every_client
async def test_twenty_redirects_are_followed(face: Face) -> None:
    async with trial(face, answering(*[elsewhere(307, "/again")] * 20, FINE), max_retries=0) as t:
        assert (await create(t.client)).id == MESSAGE["id"]


@pytest.mark.parametrize("target", ["http://", "ftp://127.0.0.1/", "mailto:x@y", "http://[::1", "http://a:b/"])
@every_client
async def test_a_redirect_to_nowhere(face: Face, target: str) -> None:
    async with trial(face, answering(elsewhere(307, target)), max_retries=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client)
        assert t.attempts <= 21


@every_client
async def test_a_redirect_and_then_an_error(face: Face) -> None:
    """The error is the end's; a retry begins at the beginning."""
    busy = json_reply({"error": {"type": "overloaded_error"}}, status=529)
    answers = [elsewhere(307, "/there"), busy, elsewhere(307, "/there"), FINE]
    async with trial(face, answering(*answers), max_retries=1) as t:
        assert (await create(t.client)).id == MESSAGE["id"]
        assert [request.target for request in t.server.requests] == ["/v1/messages", "/there"] * 2
        counts = [request.header("x-stainless-retry-count") for request in t.server.requests]
        assert counts == ["0", "0", "1", "1"]


@pytest.mark.parametrize("size", [5_000, 5_000_000])
@every_client
async def test_the_body_of_a_redirect(face: Face, size: int) -> None:
    """It is in nobody's way, be it read or not."""
    moved = head(307, ("location", "/there"), ("content-length", str(size))) + b"x" * size
    async with trial(face, answering(moved, FINE), max_retries=0) as t:
        assert (await create(t.client)).id == MESSAGE["id"]
