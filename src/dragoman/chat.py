"""`dragoman chat`: a conversation with any server of the Messages API, in a terminal or in a pipe.

First what is said (`Conversation`), then how it travels (`Server`), then how it looks. Knows nothing of the gateway
but how it reads a base URL and a key. Imported by the command alone, as it needs httpx2.
"""

import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from rich.console import Console
from rich.text import Text

from dragoman import __version__
from dragoman.errors import ConfigError, DragomanError
from dragoman.gateway.config import values as config_values
from dragoman.wire.codec import WireError, plain
from dragoman.wire.events import (
    BlockDelta,
    BlockStart,
    ErrorEvent,
    Event,
    Fold,
    MessageStop,
    TextDelta,
    ThinkingDelta,
    decode_event,
)
from dragoman.wire.sse import EventTooLarge, ServerEvent, SSEDecoder
from dragoman.wire.types import Message, RedactedThinking, Thinking
from dragoman.wire.types import Text as TextBlock

__all__ = ["Conversation", "ReplyFailed", "Server", "answer_once", "clean", "connect", "talk"]

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
ANTHROPIC_HOST = "api.anthropic.com"
API_VERSION = "2023-06-01"
CONNECT_S = 10.0
SILENCE_S = 600.0  # as long as a provider may think before its first byte; who waits can press Ctrl-C
SHOWN_CHARACTERS = 200  # of a reply that is not the API's
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all of C0 and C1 but tab and line feed

# Why a whole reply ended, where the text alone does not tell.
ENDINGS = {
    "max_tokens": "cut at max_tokens; start with a larger --max-tokens for more",
    "model_context_window_exceeded": "cut: the model's context window is full; /clear begins anew",
    "refusal": "refused; the question is taken out of the conversation",
}
HELP = """\
/clear         forget the conversation
/model NAME    ask another model; without NAME say which one is asked
/system TEXT   set the system prompt; without TEXT take it away
/quit          end, as Ctrl-D does
Ctrl-C stops a reply. A line is a prompt; put a space in front of one that
begins like a command."""


class ReplyFailed(DragomanError):
    """There is no reply, or not a whole one. `kind` is the wire's `error.type`; None where no server said it."""

    def __init__(self, message: str, *, kind: str | None = None, request_id: str | None = None) -> None:
        said = f"{kind}: {message}" if kind else message
        super().__init__(f"{said} (request id {request_id})" if request_id else said)
        self.kind = kind


class Conversation:
    """What has been said, and how the next question is put."""

    def __init__(self, *, model: str, system: str | None = None, max_tokens: int) -> None:
        self.model = model
        self.system = system
        self.max_tokens = max_tokens
        self.messages: list[dict[str, Any]] = []

    def ask(self, prompt: str) -> bytes:
        """The body of a request. Raises ConfigError for text that is no Unicode."""
        body = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [*self.messages, {"role": "user", "content": prompt}],
            "stream": True,
        }
        if self.system:
            body["system"] = self.system
        try:
            return msgspec.json.encode(body)
        except UnicodeEncodeError as error:  # bytes of another encoding, as the command line hands them over
            raise ConfigError("the prompt, the system prompt or the model's name is not UTF-8") from error

    def keep(self, prompt: str, reply: Message, *, whole: bool) -> None:
        """Remember a turn, so that the next question follows on what the screen shows.

        Of a reply that was cut, its text only: a thinking block without its end is refused. A turn without anything
        to keep is forgotten, question and all, as is one that was refused (STR-41).
        """
        content = [plain(block) for block in reply.content if _is_worth_keeping(block, whole=whole)]
        if content and reply.stop_reason != "refusal":
            self.messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": content}]

    def change_model(self, name: str) -> None:
        """Ask `name` from now on. Thinking is signed by the model that thought, so it stays behind."""
        self.model = name
        for message in self.messages:
            if message["role"] == "assistant":
                blocks = message["content"]
                message["content"] = [each for each in blocks if not each["type"].endswith("thinking")]
        turns = zip(self.messages[::2], self.messages[1::2], strict=True)
        self.messages = [message for turn in turns if turn[1]["content"] for message in turn]


def _is_worth_keeping(block: object, *, whole: bool) -> bool:
    """Empty text and unsigned thinking are refused in a request, though servers send them."""
    match block:
        case TextBlock(text=str(text)):
            return bool(text.strip())
        case Thinking(signature=signature):
            return whole and bool(signature)
        case _:
            return whole


# How it travels


class Server:
    """A Messages API behind a base URL."""

    def __init__(self, client: httpx2.Client, base_url: str, *, has_key: bool) -> None:
        self.base_url = base_url
        self._client = client
        self._has_key = has_key

    def reply(self, body: bytes) -> Generator[Event, None, None]:
        """The events of the reply, up to its end. Raises ReplyFailed. Close the iterator to hang up."""
        begun = False
        try:
            with self._client.stream("POST", f"{self.base_url}/v1/messages", content=body) as response:
                begun = True
                self._check(response)
                yield from _events(response)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:  # the last: a host that IDNA does not take
            said = str(error) or type(error).__name__
            if begun:
                raise ReplyFailed(f"the reply broke off: {said}") from error
            raise ReplyFailed(
                f"{self.base_url} does not answer: {said}. `dragoman serve` starts a server; --base-url names another."
            ) from error

    def _check(self, response: httpx2.Response) -> None:
        """Raises ReplyFailed unless a stream follows."""
        kind = response.headers.get("content-type", "")
        if response.status_code == 200 and kind.startswith("text/event-stream"):
            return
        body = response.read()
        request_id = response.headers.get("request-id")
        with suppress(WireError):
            event = decode_event(ServerEvent("", body, len(body)))
            if isinstance(event, ErrorEvent):
                failure = _failure(event, request_id)
                if failure.kind == "authentication_error" and not self._has_key:
                    raise ReplyFailed(f"{failure}. No key was sent: set DRAGOMAN_API_KEY.")
                raise failure
        text = " ".join(body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace").split())[:SHOWN_CHARACTERS]
        what = f"HTTP {response.status_code} {kind}".rstrip()
        raise ReplyFailed(f"{self.base_url} does not answer as the Messages API does: {what}: {text}")


def _events(response: httpx2.Response) -> Iterator[Event]:
    """The events of a stream; the last is its message_stop. Raises ReplyFailed for any other end."""
    decoder = SSEDecoder()
    request_id = response.headers.get("request-id")
    try:
        for chunk in response.iter_bytes():
            for raw in decoder.feed(chunk):
                event = decode_event(raw)
                if isinstance(event, ErrorEvent):
                    raise _failure(event, request_id)
                yield event
                if isinstance(event, MessageStop):
                    return
    except (WireError, EventTooLarge) as error:
        raise ReplyFailed(f"the reply cannot be read: {error}", request_id=request_id) from error
    raise ReplyFailed("the reply broke off before its end", request_id=request_id)


def _failure(event: ErrorEvent, request_id: str | None) -> ReplyFailed:
    return ReplyFailed(str(event.error.message), kind=str(event.error.type), request_id=event.request_id or request_id)


@contextmanager
def connect(base_url: str | None, api_key: str | None, env: Mapping[str, str]) -> Iterator[Server]:
    """The server that the options and the environment name. Nothing is sent yet. Raises ConfigError."""
    url = _base_url(base_url, env)
    key = api_key or _key_of(url, env)
    headers = {
        "anthropic-version": API_VERSION,
        "content-type": "application/json",
        "user-agent": f"dragoman-chat/{__version__}",
    }
    try:
        if key:
            headers["x-api-key"] = config_values.secret(key).reveal()
        client = httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},  # not through a proxy
        )
    except config_values.Refused as refused:
        raise ConfigError(f"the API key {refused.why}. {refused.remedy}") from refused
    except (ValueError, OSError, ImportError, httpx2.InvalidURL) as error:
        raise ConfigError(
            "the environment's settings of a proxy (HTTPS_PROXY ...) or of certificates (SSL_CERT_FILE, SSL_CERT_DIR) "
            f"cannot be used: {error}"
        ) from error
    with client:
        yield Server(client, url, has_key=bool(key))


def _base_url(given: str | None, env: Mapping[str, str]) -> str:
    """A URL without the slash at its end. ANTHROPIC_BASE_URL has it as the official SDKs do."""
    origin, value = "--base-url", given
    if value is None and env.get("ANTHROPIC_BASE_URL"):
        origin, value = "ANTHROPIC_BASE_URL", env["ANTHROPIC_BASE_URL"]
    if value is None:
        return DEFAULT_BASE_URL
    try:
        return config_values.messages_url(value)
    except config_values.Refused as refused:
        subject = "the value" if refused.hidden else config_values.shown(value)
        raise ConfigError(f"{origin}: {subject} {refused.why}. {refused.remedy}") from refused


def _key_of(base_url: str, env: Mapping[str, str]) -> str | None:
    """The key of the environment for that address; a key for dragoman is none of Anthropic's business."""
    own = None if urlsplit(base_url).hostname == ANTHROPIC_HOST else env.get("DRAGOMAN_API_KEY")
    return own or env.get("ANTHROPIC_API_KEY")


# How it looks


def clean(text: str) -> str:
    """`text` without the control characters by which a reply could take over a terminal."""
    return CONTROL.sub("", text)


def text_of(event: Event) -> str:
    """What an event adds to the text of the reply."""
    match event:
        case BlockDelta(delta=TextDelta(text=str(text))) | BlockStart(content_block=TextBlock(text=str(text))):
            return text
        case _:
            return ""


def thinking_of(event: Event) -> str:
    """What an event adds to the thinking that is shown."""
    match event:
        case (
            BlockDelta(delta=ThinkingDelta(thinking=str(text))) | BlockStart(content_block=Thinking(thinking=str(text)))
        ):
            return text
        case BlockStart(content_block=RedactedThinking()):
            return "[redacted thinking]"
        case _:
            return ""


def answer_once(conversation: Conversation, server: Server, prompt: str | None) -> int:
    """Print the text of one reply, as it comes; the exit code. Without `prompt` it is read from standard input.

    Raises ConfigError when there is no prompt.
    """
    body = conversation.ask(_read_prompt() if prompt is None else prompt)
    out, fold = _Plain(sys.stdout, tidy=clean if sys.stdout.isatty() else str), Fold()
    try:
        with closing(server.reply(body)) as events:
            for event in events:
                fold.add(event)
                out.write(text_of(event))
        ending = ENDINGS.get(str(fold.message().stop_reason))
    except (ReplyFailed, WireError) as error:
        out.end_line()
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return 1
    out.end_line()
    if ending:
        print(f"note: {ending}", file=sys.stderr)
    return 0


def _read_prompt() -> str:
    try:
        prompt = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise ConfigError("the prompt on standard input is not UTF-8") from error
    if not prompt.strip():
        raise ConfigError('there is no prompt: give one, as in `dragoman chat "Hello"`, or pipe one in')
    return prompt


class _Plain:
    """Text as it comes, in whole lines at last. `tidy` is applied to each piece."""

    def __init__(self, file: IO[str], *, tidy: Callable[[str], str]) -> None:
        self._file = file
        self._tidy = tidy
        self._is_inside_line = False

    def write(self, text: str) -> None:
        if text:
            self._file.write(self._tidy(text))
            self._file.flush()
            self._is_inside_line = not text.endswith("\n")

    def end_line(self) -> None:
        if self._is_inside_line:
            self.write("\n")


def talk(
    conversation: Conversation,
    server: Server,
    *,
    read_line: Callable[[str], str] = input,
    console: Console | None = None,
) -> None:
    """Ask and answer until the end of input."""
    with suppress(ImportError):  # not everywhere; with it `input` can edit a line, and go back to earlier ones
        import readline  # noqa: F401
    screen = _Screen(console or Console(markup=False, emoji=False, highlight=False))
    screen.say(f"{conversation.model} at {server.base_url}. /help lists the commands, Ctrl-D ends.")
    while True:
        try:
            line = read_line("> ")
        except EOFError:
            screen.say("")
            return
        except KeyboardInterrupt:
            screen.say("\nCtrl-D or /quit ends the chat.")
            continue
        except UnicodeDecodeError:
            screen.complain("this line is not UTF-8")
            continue
        word, _, rest = line.partition(" ")
        if word == "/quit":
            return
        if word.startswith("/") and "/" not in word[1:]:
            screen.say(_command(conversation, word, rest.strip()))
        elif line.strip():
            _take_turn(conversation, server, line.strip(), screen)


def _command(conversation: Conversation, word: str, rest: str) -> str:
    """Do what a line that begins with / says; what there is to say about it."""
    match word:
        case "/clear":
            conversation.messages.clear()
            return "The conversation is forgotten."
        case "/model" if rest:
            conversation.change_model(rest)
            return f"{rest} is asked from now on."
        case "/model":
            return f"{conversation.model} is asked."
        case "/system":
            conversation.system = rest or None
            return "The system prompt is set." if rest else "There is no system prompt now."
        case "/help":
            return HELP
        case _:
            return f"There is no command {word}; /help lists those there are."


def _take_turn(conversation: Conversation, server: Server, prompt: str, screen: "_Screen") -> None:
    """Ask, show the reply, and keep both. An error ends the turn, not the chat; so does Ctrl-C."""
    fold = Fold()
    trouble, is_stopped = None, False
    try:
        with closing(server.reply(conversation.ask(prompt))) as events:
            for event in events:
                fold.add(event)
                screen.show(event)
    except (ReplyFailed, WireError, ConfigError) as error:
        trouble = str(error)
    except KeyboardInterrupt:
        is_stopped = True
    screen.end()
    if is_stopped:
        screen.say("(stopped)")
    if trouble is not None:
        screen.complain(trouble)
    try:
        reply = fold.message()
    except WireError:
        return  # it broke off before it began: there is nothing to keep
    conversation.keep(prompt, reply, whole=fold.is_complete)
    if fold.is_complete and (ending := ENDINGS.get(str(reply.stop_reason))):
        screen.say(f"({ending})")


class _Screen:
    """The terminal: text plain, thinking and our own remarks dim, errors red."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = _Plain(console.file, tidy=clean)
        self._is_thinking = False

    def show(self, event: Event) -> None:
        """Print what an event adds."""
        if thinking := thinking_of(event):
            self._text.end_line()
            self._is_thinking = True
            self._console.print(Text(clean(thinking), style="dim"), end="", soft_wrap=True)
        elif text := text_of(event):
            self._end_thinking()
            self._text.write(text)

    def end(self) -> None:
        """The reply is over, or broken off: what follows begins a line."""
        self._end_thinking()
        self._text.end_line()

    def say(self, text: str) -> None:
        self._console.print(Text(clean(text), style="dim"))

    def complain(self, text: str) -> None:
        self._console.print(Text(f"error: {clean(text)}", style="red"))

    def _end_thinking(self) -> None:
        if self._is_thinking:
            self._is_thinking = False
            self._console.print()
