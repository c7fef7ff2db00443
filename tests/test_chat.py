"""`dragoman chat`: what it sends, what it shows, and what it makes of replies that go wrong."""

import asyncio
import io
import os
import pty
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from misbehaving import (
    LAST_CHUNK,
    Conn,
    Handler,
    Misbehaving,
    chunk,
    head,
    in_turn,
    json_reply,
    refused_url,
    reply,
    replying,
    sse_event,
    sse_head,
)
from rich.console import Console
from typer.testing import CliRunner, Result

from dragoman.chat import Conversation, clean, connect, talk
from dragoman.cli.commands import app
from dragoman.errors import ConfigError
from dragoman.wire.codec import read
from dragoman.wire.types import Message

USAGE = {"input_tokens": 9, "output_tokens": 1}
START = {
    "type": "message_start",
    "message": {
        "model": "claude-opus-4-8",
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": USAGE,
    },
}
KEY = "sk-dgm-test"
TIMED_OUT_S = 20.0


def event(data: dict[str, Any]) -> bytes:
    return sse_event(data["type"], data)


def text_block(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def thinking_block(index: int, *pieces: str) -> bytes:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    start = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, start, *deltas, {"type": "signature_delta", "signature": "c2lnbmVk"})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return b"".join(
        [
            event({"type": "content_block_start", "index": index, "content_block": start}),
            *(event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
            event({"type": "content_block_stop", "index": index}),
        ]
    )


def end(stop_reason: str = "end_turn") -> bytes:
    delta = {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": None}
    return event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}) + event(
        {"type": "message_stop"}
    )


def stream(*parts: bytes) -> bytes:
    """A whole reply with these events, chunk by chunk."""
    body = b"".join(chunk(part) for part in parts)
    return sse_head(("request-id", "req_1")) + body + LAST_CHUNK


def said(*pieces: str, stop_reason: str = "end_turn") -> bytes:
    return stream(event(START), event({"type": "ping"}), text_block(0, *pieces), end(stop_reason))


def in_order(*replies: bytes) -> Handler:
    """Answers one connection after the other, as chat makes one for each turn."""
    return in_turn(*(replying(each) for each in replies))


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_7"}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no variable that chat reads."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def once(handler: Handler, *arguments: str, stdin: str | bytes = "", **env: str) -> tuple[Result, Misbehaving]:
    """`dragoman chat`, its standard input no terminal, against a server that behaves like `handler`."""
    async with Misbehaving(handler) as server:
        run = CliRunner().invoke
        arguments = ("chat", "--base-url", server.url, *arguments)
        return await asyncio.to_thread(run, app, arguments, input=stdin, env=env), server


class Typist:
    """Types lines; an exception in place of a line is raised."""

    def __init__(self, *lines: str | BaseException | type[BaseException]) -> None:
        self._lines: Iterator[str | BaseException | type[BaseException]] = iter((*lines, EOFError))

    def __call__(self, prompt: str) -> str:
        line = next(self._lines)
        if isinstance(line, str):
            return line
        raise line


async def talking(
    handler: Handler, *lines: str | BaseException | type[BaseException], width: int = 80, **options: Any
) -> tuple[str, Misbehaving]:
    """What stands on the screen after these lines were typed."""
    screen = io.StringIO()
    async with Misbehaving(handler) as server:

        def run() -> None:
            conversation = Conversation(**{"model": "m-1", "max_tokens": 100, **options})
            console = Console(file=screen, width=width, force_terminal=False, markup=False, highlight=False)
            with connect(server.url, KEY, {}) as connected:
                talk(conversation, connected, read_line=Typist(*lines), console=console)

        await asyncio.to_thread(run)
        return screen.getvalue(), server


# In a pipe


async def test_a_prompt_on_stdin_gets_the_text_of_the_reply_and_nothing_else() -> None:
    result, server = await once(replying(said("Hel", "lo.")), stdin="Hi\n")
    assert (result.stdout, result.stderr, result.exit_code) == ("Hello.\n", "", 0)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/messages")
    assert request.json() == {
        "model": "claude-opus-4-8",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi\n"}],
        "stream": True,
    }
    assert request.header("anthropic-version") == "2023-06-01"
    assert request.header("content-type") == "application/json"
    assert request.header("x-api-key") is None


async def test_a_prompt_as_argument_leaves_stdin_alone() -> None:
    result, server = await once(replying(said("Hello\n")), "Hi there", stdin=b"\xff")
    assert (result.stdout, result.exit_code) == ("Hello\n", 0)
    assert server.requests[0].json()["messages"] == [{"role": "user", "content": "Hi there"}]


async def test_options_go_into_the_request() -> None:
    options = ["--api-key", KEY, "--model", "m-2", "--system", "Be brief.", "--max-tokens", "5"]
    _, server = await once(replying(said("Hello")), *options, "Hi")
    assert server.requests[0].header("x-api-key") == KEY
    body = server.requests[0].json()
    assert (body["model"], body["system"], body["max_tokens"]) == ("m-2", "Be brief.", 5)


async def test_thinking_stays_out_of_a_pipe() -> None:
    parts = event(START), thinking_block(0, "Hmm."), text_block(1, "Yes."), text_block(2, " Indeed."), end()
    result, _ = await once(replying(stream(*parts)), "Hi")
    assert (result.stdout, result.stderr) == ("Yes. Indeed.\n", "")


async def test_a_reply_may_come_byte_by_byte_and_hold_any_letter() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        body = event(START) + text_block(0, "Grüße, 世界 \U0001f600\u2028") + end()
        await conn.send(head(200, ("content-type", "text/event-stream"), ("content-length", str(len(body)))))
        await conn.trickle(body)

    result, _ = await once(handler, "Hi")
    assert result.stdout_bytes.decode() == "Grüße, 世界 \U0001f600\u2028\n"


async def test_a_reply_that_ends_early_is_noted_beside_the_text() -> None:
    result, _ = await once(replying(said("Hel", stop_reason="max_tokens")), "Hi")
    assert (result.stdout, result.exit_code) == ("Hel\n", 0)
    assert result.stderr.startswith("note: cut at max_tokens")


async def test_the_chat_does_not_wait_for_what_follows_the_end_of_a_message() -> None:
    """Some servers keep the connection open."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(sse_head() + chunk(event(START) + text_block(0, "Hello") + end()))
        await conn.wait_closed()

    result, _ = await once(handler, "Hi")
    assert (result.stdout, result.exit_code) == ("Hello\n", 0)


async def test_an_error_reply_is_told_with_type_message_and_request_id() -> None:
    """ERR-1, ERR-41."""
    error = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    result, _ = await once(replying(json_reply({**error, "request_id": "req_9"}, status=401)), "--api-key", KEY, "Hi")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == "error: authentication_error: invalid x-api-key (request id req_9)\n"


async def test_without_a_key_the_remedy_is_told_too() -> None:
    """ERR-40; and the id stands in the header alone."""
    error = {"type": "error", "error": {"type": "authentication_error", "message": "x-api-key header is required"}}
    result, _ = await once(replying(json_reply(error, ("request-id", "req_9"), status=401)), "Hi")
    assert result.stderr == (
        "error: authentication_error: x-api-key header is required (request id req_9). "
        "No key was sent: set DRAGOMAN_API_KEY.\n"
    )


async def test_an_error_event_ends_the_reply() -> None:
    """STR-40."""
    parts = event(START), text_block(0, "Hel"), event(OVERLOADED)
    result, _ = await once(replying(stream(*parts)), "Hi")
    assert (result.stdout, result.exit_code) == ("Hel\n", 1)
    assert result.stderr == "error: overloaded_error: Overloaded (request id req_7)\n"


async def test_a_stream_that_just_ends_is_said_to_be_broken_off() -> None:
    """STR-42 forbids it, and yet it happens."""
    result, _ = await once(replying(stream(event(START), text_block(0, "Hel"))), "Hi")
    assert (result.stdout, result.exit_code) == ("Hel\n", 1)
    assert result.stderr == "error: the reply broke off before its end (request id req_1)\n"


@pytest.mark.parametrize("whole", [b"", chunk(event(START) + text_block(0, "Hel"))])
async def test_a_connection_that_is_cut_is_said_to_be_broken_off(whole: bytes) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(sse_head() + whole + b"4\r\n")

    result, _ = await once(handler, "Hi")
    assert (result.stdout, result.exit_code) == ("Hel\n" if whole else "", 1)
    assert result.stderr.startswith("error: the reply broke off: ")


async def test_a_connection_that_is_reset_before_the_reply_is_told() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        conn.reset()

    result, server = await once(handler, "Hi")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr.startswith(f"error: {server.url} does not answer: ")


def test_an_address_where_nobody_listens_is_told_with_the_remedy() -> None:
    url = refused_url()
    result = CliRunner().invoke(app, ["chat", "Hi"], env={"ANTHROPIC_BASE_URL": url})
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {url} does not answer: ")
    assert result.stderr.endswith("`dragoman serve` starts a server; --base-url names another.\n")


def test_a_name_that_no_host_can_have_is_told_as_one_that_does_not_answer() -> None:
    result = CliRunner().invoke(app, ["chat", "--base-url", "http://a..b", "Hi"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: http://a..b does not answer: ")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (reply(b"<h1>\n  Welcome\x1b[2J</h1>", ("content-type", "text/html")), "HTTP 200 text/html: <h1> Welcome[2J"),
        (reply(b"", status=502), "HTTP 502: "),
        (json_reply({"error": "no"}, status=404), 'HTTP 404 application/json: {"error": "no"}'),
        (json_reply([1]), "HTTP 200 application/json: [1]"),
        (reply(b"\xff" * 5000, status=503), "HTTP 503: "),
    ],
)
async def test_a_server_of_another_kind_is_quoted(answer: bytes, shown: str) -> None:
    result, server = await once(replying(answer), "Hi")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr.startswith(f"error: {server.url} does not answer as the Messages API does: {shown}")
    assert len(result.stderr) < 400


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: no json\n\n",
        b"data: []\n\n",
        event({"type": "message_start", "message": {}}),
        event(START) + event({"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}),
        end(),
    ],
)
async def test_a_stream_of_garbage_is_an_error(garbage: bytes) -> None:
    result, _ = await once(replying(stream(garbage)), "Hi")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("stdin", [b"", b" \n", b"caf\xe9"])
async def test_without_a_prompt_nothing_is_asked(stdin: bytes) -> None:
    result, server = await once(replying(said("Hello")), stdin=stdin)
    assert isinstance(result.exception, ConfigError)
    assert server.requests == []


async def test_arguments_of_another_encoding_are_refused() -> None:
    result, server = await once(replying(said("Hello")), "caf\udce9")
    assert isinstance(result.exception, ConfigError)
    assert server.requests == []


# Address and key


def connected(base_url: str | None = None, api_key: str | None = None, **env: str) -> tuple[str, str | None]:
    """The address and the key that would be used."""
    with connect(base_url, api_key, env) as server:
        return server.base_url, server._client.headers.get("x-api-key")


def test_the_address_is_that_of_the_option_then_of_the_environment_then_dragoman_s() -> None:
    elsewhere = {"ANTHROPIC_BASE_URL": "http://elsewhere/prefix/"}
    assert connected("https://here/", **elsewhere) == ("https://here", None)
    assert connected(**elsewhere) == ("http://elsewhere/prefix", None)
    assert connected(ANTHROPIC_BASE_URL="") == ("http://127.0.0.1:8000", None)


def test_the_key_is_that_of_the_option_then_dragoman_s_then_anthropic_s() -> None:
    keys = {"DRAGOMAN_API_KEY": "sk-dgm-1", "ANTHROPIC_API_KEY": "sk-ant-1"}
    assert connected(api_key="given", **keys)[1] == "given"
    assert connected(**keys)[1] == "sk-dgm-1"
    assert connected(ANTHROPIC_API_KEY="sk-ant-1")[1] == "sk-ant-1"


def test_a_key_for_dragoman_is_not_sent_to_anthropic() -> None:
    keys = {"DRAGOMAN_API_KEY": "sk-dgm-1"}
    assert connected("https://api.anthropic.com", **keys)[1] is None
    assert connected("https://api.anthropic.com", **keys, ANTHROPIC_API_KEY="sk-ant-1")[1] == "sk-ant-1"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "https://host/v1", "http://u:secret@host", "http://", ""])
def test_a_base_url_that_cannot_be_one_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^--base-url: .*\. .*\.$") as caught:
        connected(url)
    assert "secret" not in str(caught.value)


def test_a_key_that_fits_no_header_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match=r"^the API key has a space") as caught:
        connected(api_key="sk-dgm- 1")
    assert "sk-dgm- 1" not in str(caught.value)


async def test_this_machine_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", refused_url())
    result, _ = await once(replying(said("Hello")), "Hi")
    assert result.stdout == "Hello\n"


@pytest.mark.parametrize(("name", "value"), [("HTTP_PROXY", "gopher://proxy"), ("SSL_CERT_FILE", "absent.pem")])
def test_settings_of_the_environment_that_cannot_be_used(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"^the environment's settings of a proxy"):
        connected()


# In a terminal


async def test_the_model_is_shown_the_whole_conversation() -> None:
    parts = event(START), thinking_block(0, "Hmm."), text_block(1, "Hello."), end()
    screen, server = await talking(in_order(stream(*parts), said("Well.")), "Hi", "How are you?")
    assert screen == (f"m-1 at {server.url}. /help lists the commands, Ctrl-D ends.\nHmm.\nHello.\nWell.\n\n")
    assert server.requests[0].header("x-api-key") == KEY
    assert server.requests[1].json()["messages"] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hmm.", "signature": "c2lnbmVk"},
                {"type": "text", "text": "Hello."},
            ],
        },
        {"role": "user", "content": "How are you?"},
    ]


async def test_an_error_does_not_end_the_chat_and_the_question_is_taken_back() -> None:
    error = json_reply(OVERLOADED, status=529)
    screen, server = await talking(replying(error, said("Hello.")), "Hi", "Hi again")
    assert "error: overloaded_error: Overloaded (request id req_7)\nHello.\n" in screen
    assert server.requests[1].json()["messages"] == [{"role": "user", "content": "Hi again"}]


async def test_of_a_reply_that_broke_off_the_text_is_kept() -> None:
    """Thinking without its end is refused when it is sent back, MSG-59."""
    parts = event(START), thinking_block(0, "Hmm."), text_block(1, "Hel"), event(OVERLOADED)
    screen, server = await talking(in_order(stream(*parts), said("lo.")), "Hi", "Go on")
    assert "Hel\nerror: overloaded_error: Overloaded (request id req_7)\nlo.\n" in screen
    assert server.requests[1].json()["messages"][1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "Hel"}],
    }


async def test_an_interrupt_stops_the_reply_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it comes while the text is printed; below, in a real terminal, while a reply is awaited."""
    monkeypatch.setattr("dragoman.chat._Plain.write", _interrupted_at("lo"))
    screen, server = await talking(in_order(said("Hel", "lo"), said("Hello.")), "Hi", "Again")
    assert "Hel\n(stopped)\nHello.\n" in screen
    assert server.requests[1].json()["messages"][1]["content"] == [{"type": "text", "text": "Hello"}]


def _interrupted_at(text: str) -> Callable[..., None]:
    from dragoman.chat import _Plain

    write = _Plain.write

    def interrupted(plain: Any, piece: str) -> None:
        if piece == text:
            raise KeyboardInterrupt
        write(plain, piece)

    return interrupted


async def test_an_interrupt_at_the_prompt_says_how_to_leave() -> None:
    screen, server = await talking(replying(said("Hello.")), KeyboardInterrupt, "Hi")
    assert "Ctrl-D or /quit ends the chat.\nHello.\n" in screen
    assert len(server.requests) == 1


async def test_a_line_of_another_encoding_does_not_end_the_chat() -> None:
    screen, _ = await talking(replying(said("Hello.")), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "\udcff", "Hi")
    assert screen.count("UTF-8") == 2
    assert "Hello.\n" in screen


async def test_commands() -> None:
    lines = [
        "Hi",
        "/clear",
        "/system Be brief.",
        "/model",
        "/model m-2",
        "",
        "  ",
        "/help",
        "/nonsense",
        "Hi",
        "/quit",
        "?",
    ]
    screen, server = await talking(replying(said("Hello.")), *lines)
    first, second = (request.json() for request in server.requests)
    assert ("system" in first, first["model"]) == (False, "m-1")
    assert (second["system"], second["model"], len(second["messages"])) == ("Be brief.", "m-2", 1)
    assert "m-1 is asked.\nm-2 is asked from now on.\n" in screen
    assert "/clear         forget the conversation\n" in screen
    assert "There is no command /nonsense; /help lists those there are.\n" in screen


async def test_the_system_prompt_can_be_taken_away() -> None:
    screen, server = await talking(replying(said("Hello.")), "/system", "Hi", system="Be brief.")
    assert "There is no system prompt now.\n" in screen
    assert "system" not in server.requests[0].json()


@pytest.mark.parametrize("line", [" /clear is a fine word", "/etc/hosts is a file"])
async def test_lines_that_are_prompts_though_they_have_a_slash(line: str) -> None:
    _, server = await talking(replying(said("Hello.")), line)
    assert server.requests[0].json()["messages"] == [{"role": "user", "content": line.strip()}]


async def test_a_refusal_is_told_and_forgotten() -> None:
    """STR-41."""
    screen, server = await talking(in_order(said("I", stop_reason="refusal"), said("Hello.")), "Hi", "Again")
    assert "I\n(refused; the question is taken out of the conversation)\n" in screen
    assert len(server.requests[1].json()["messages"]) == 1


async def test_a_reply_without_content_leaves_no_empty_turn() -> None:
    _, server = await talking(in_order(said(), said("Hello.")), "Hi", "Again")
    assert len(server.requests[1].json()["messages"]) == 1


async def test_blocks_of_a_later_api_are_kept_as_they_came() -> None:
    new = {"type": "hologram", "light": [1, 2]}
    parts = event(START), block(0, new), text_block(1, "Look."), end()
    _, server = await talking(in_order(stream(*parts), said("Yes.")), "Hi", "Again")
    assert server.requests[1].json()["messages"][1]["content"] == [new, {"type": "text", "text": "Look."}]


async def test_a_reply_cannot_take_over_the_terminal() -> None:
    evil = "a\x1b]0;title\x07b\x9b2Jc\r\x7f\td"
    parts = event(START), thinking_block(0, "t\x1b[2Ju"), text_block(1, evil), end()
    screen, _ = await talking(replying(stream(*parts)), "Hi")
    assert "t[2Ju\na]0;titleb2Jc\td\n" in screen


async def test_long_lines_and_narrow_terminals_lose_nothing() -> None:
    words = "word " * 50
    parts = event(START), thinking_block(0, words), text_block(1, words), end()
    screen, _ = await talking(replying(stream(*parts)), "Hi", width=20)
    assert f"{words}\n{words}\n" in screen


def test_clean_keeps_what_is_no_control_character() -> None:
    assert clean("tab\tline\nz\u0301\u202e\u2028 \U0001f600") == "tab\tline\nz\u0301\u202e\u2028 \U0001f600"


def message(*content: dict[str, Any], stop_reason: str = "end_turn") -> Message:
    return read(Message, {**START["message"], "content": list(content), "stop_reason": stop_reason})


def test_another_model_does_not_get_the_thinking_of_the_first() -> None:
    """A signature is the business of the model that made it."""
    thinking = {"type": "thinking", "thinking": "Hmm.", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "x"}
    text = {"type": "text", "text": "Hello."}
    conversation = Conversation(model="m-1", max_tokens=1)
    conversation.keep("only thought", message(thinking), whole=True)
    conversation.keep("said", message(thinking, redacted, text), whole=True)
    assert len(conversation.messages) == 4
    conversation.change_model("m-2")
    assert conversation.messages == [
        {"role": "user", "content": "said"},
        {"role": "assistant", "content": [text]},
    ]


def test_what_a_server_sends_but_does_not_take_back_is_not_kept() -> None:
    """Empty text blocks (MSG-70), and thinking that nobody signed."""
    conversation = Conversation(model="m-1", max_tokens=1)
    unsigned = {"type": "thinking", "thinking": "Hmm.", "signature": ""}
    conversation.keep("a", message(unsigned, {"type": "text", "text": ""}, {"type": "text", "text": "b"}), whole=True)
    assert conversation.messages[1]["content"] == [{"type": "text", "text": "b"}]


# In a real terminal


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self._process = Popen(
            [sys.executable, "-m", "dragoman", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "DRAGOMAN_API_KEY": KEY, "COLUMNS": "200"},
        )
        os.close(slave)
        self.unread = ""

    def wait_for(self, text: str) -> None:
        """Read up to `text`, and no further."""
        while text not in self.unread:
            if not self._read():
                raise AssertionError(f"{text!r} did not come: {self.unread!r}")
        self.unread = self.unread.partition(text)[2]

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def interrupt(self) -> None:
        """What the system does at Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """The exit code, once the program has ended."""
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(TIMED_OUT_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], TIMED_OUT_S)
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:  # what Linux says of a terminal that nobody has open
            data = b""
        self.unread += data.decode()
        return bool(data)


async def in_terminal(server: Misbehaving, script: Callable[[Terminal], Any], *arguments: str) -> Any:
    def run() -> Any:
        return script(Terminal("chat", "--base-url", server.url, *arguments))

    return await asyncio.to_thread(run)


async def test_a_chat_in_a_terminal_with_an_interrupt_while_a_reply_is_awaited() -> None:
    async def stalling(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(sse_head() + chunk(event(START) + thinking_block(0, "Hmm.") + text_block(1, "Hel")))
        await conn.wait_closed()

    def script(terminal: Terminal) -> int:
        terminal.wait_for("Ctrl-D ends.")
        terminal.wait_for("> ")
        terminal.type(b"Hi\n")
        terminal.wait_for("\x1b[2mHmm.")  # dim
        terminal.wait_for("Hel")
        terminal.interrupt()
        terminal.wait_for("(stopped)")
        terminal.wait_for("> ")
        terminal.type(b"Again\n")
        terminal.wait_for("Hello.")
        terminal.wait_for("> ")
        terminal.type(b"\x04")
        return terminal.end()

    async with Misbehaving(in_turn(stalling, replying(said("Hello.")))) as server:
        assert await in_terminal(server, script) == 0
        await server.hang_up(0)
        assert [each.json()["messages"][0]["content"] for each in server.requests] == ["Hi", "Hi"]
        assert server.requests[1].json()["messages"][1]["content"] == [{"type": "text", "text": "Hel"}]


async def test_a_single_question_in_a_terminal_is_cleaned_and_can_be_interrupted() -> None:
    async def stalling(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(sse_head() + chunk(event(START) + text_block(0, "a\x1b[2Jb")))
        await conn.wait_closed()

    def script(terminal: Terminal) -> tuple[int, str]:
        terminal.wait_for("a[2Jb")
        terminal.interrupt()
        return terminal.end(), terminal.unread

    async with Misbehaving(stalling) as server:
        assert await in_terminal(server, script, "Hi") == (130, "")
