"""Pain 79: what is kept of requests and replies holds no secret, whatever it looks like there, and no file."""

import base64
import json
from hashlib import sha256

import pytest

from dragoman.gateway.ledger.contents_text import CUT, HIDDEN, kept_json, kept_stream, redacted
from dragoman.wire.sse import SSEDecoder, encode_sse

LIMIT = 1024 * 1024
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
SECRETS = {
    "of the API": f"sk-ant-api03-{LETTERS}-_x",
    "of ours": f"sk-dgm-{LETTERS}",
    "of an admin": f"sk-dgm-admin-{LETTERS}",
    "of a project": f"sk-proj-{LETTERS}",
    "of payments": f"rk_live_{LETTERS}",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "AWS, for a while": "ASIAIOSFODNN7EXAMPLE",
    "Google": f"AIza{LETTERS[:35]}",
    "Google, for a while": f"ya29.a0{LETTERS}",
    "a forge": f"ghp_{LETTERS[:36]}",
    "a forge, fine": f"github_pat_{LETTERS}",
    "another forge": f"glpat-{LETTERS[:20]}",
    "a chat": f"xoxb-1234567890-{LETTERS[:24]}",
    "models of others": f"hf_{LETTERS[:34]}",
    "packages": f"npm_{LETTERS[:36]}",
    "packages of Python": f"pypi-AgEIcHlwaS5vcmc{LETTERS}",
    "a web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
}
# Text -> the part of it that must not stay.
SENTENCES = {
    "bearer": (f"Authorization: Bearer {LETTERS}", LETTERS),
    "basic": ("authorization: basic am9lOmh1bnRlcjI=", "am9lOmh1bnRlcjI="),
    "url": ("see postgresql://joe:hunter2@db.example/prod", "hunter2"),
    "password": ("password: hunter2!", "hunter2!"),
    "variable": ("export DB_PASSWORD='correct-horse'", "correct-horse"),
    "aws": ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    "json in a text": ('{"api_key": "0123456789"}', "0123456789"),
    "escaped json": ('{\\"client_secret\\": \\"0123456789\\"}', "0123456789"),
    "arrow": (":access_token => '0123456789'", "0123456789"),
    "large letters": ("ACCESS-TOKEN=0123456789", "0123456789"),
    "pem": ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
    "pem without an end": ("x -----BEGIN PRIVATE KEY-----\nMIIEvQ", "MIIEvQ"),
}
HARMLESS = [
    "max_tokens: 100000 and input_tokens=123456",
    "the key: important things; idempotency key: abcdefgh",
    "a risk-averse task-force, a disk-like thing",
    "basic arithmetic, the bearer of good news",
    "https://example.com/a:b/c@d and mailto:joe@example.com",
    "password policy is strict; secrets are kept safe",
    "İstanbul, ß, 😀, \0 and a half \ud800 stay",
    "claude-opus-4-8 sk- AKIA eyJ",
]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["{}", "use {} please", '"{}"', "KEY={}\n", "é{}é", "({})"])
def test_a_secret_that_is_known_by_its_looks_is_hidden(name: str, around: str) -> None:
    text = around.format(SECRETS[name])
    assert SECRETS[name] not in redacted(text)
    assert HIDDEN in redacted(text)
    assert redacted(text).endswith(around.partition("{}")[2])


@pytest.mark.parametrize("name", SENTENCES)
def test_a_secret_that_is_known_by_what_is_said_of_it_is_hidden(name: str) -> None:
    text, secret = SENTENCES[name]
    assert secret not in redacted(f"Before. {text} After.")
    assert redacted(f"Before. {text}").startswith("Before. ")


@pytest.mark.parametrize("text", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("name", [*SECRETS, *SENTENCES])
def test_it_is_hidden_anywhere_in_a_body(name: str) -> None:
    """In texts, in a tool's input and result, in the name of a field; and what stays is JSON as it was."""
    text, secret = SENTENCES.get(name) or (SECRETS[name], SECRETS[name])
    body = {
        "model": "m",
        "system": [{"type": "text", "text": text}],
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": [{"type": "tool_use", "input": {"a": [text], text: 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "content": text}]},
        ],
        "max_tokens": 7,
    }
    kept = kept_json(json.dumps(body).encode(), limit_bytes=LIMIT)
    assert secret.encode() not in kept
    assert json.dumps(secret)[1:-1].encode() not in kept
    assert json.loads(kept)["max_tokens"] == 7


def test_a_field_that_is_named_so_is_hidden_whatever_it_holds() -> None:
    body = {
        "mcp_servers": [{"url": "https://mcp.example", "authorization_token": "x1"}],
        "input": {"password": "x2", "apiKey": ["x3"], "github_token": "hm", "max_tokens": 5, "private_key": "x4"},
        "tools": [{"input_schema": {"properties": {"password": {"type": "string"}}}}],
    }
    kept = json.loads(kept_json(json.dumps(body).encode(), limit_bytes=LIMIT))
    assert kept["mcp_servers"] == [{"url": "https://mcp.example", "authorization_token": HIDDEN}]
    assert kept["input"] == {
        "password": HIDDEN, "apiKey": [HIDDEN], "github_token": "hm", "max_tokens": 5, "private_key": HIDDEN
    }  # fmt: skip
    assert kept["tools"] == body["tools"]


def test_a_file_is_replaced_by_its_size_and_digest() -> None:
    raw = bytes(range(256)) * 40
    data = base64.b64encode(raw).decode()
    told = f"[{len(raw)} bytes, sha256 {sha256(raw).hexdigest()}]"
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    body = {
        "messages": [{"role": "user", "content": [image, {"type": "text", "text": f"data:image/png;base64,{data}"}]}]
    }
    kept = json.loads(kept_json(json.dumps(body).encode(), limit_bytes=LIMIT))
    content = kept["messages"][0]["content"]
    assert content[0]["source"] == {"type": "base64", "media_type": "image/png", "data": told}
    assert content[1]["text"] == f"data:image/png;base64,{told}"


def test_a_short_file_is_replaced_too() -> None:
    kept = json.loads(kept_json(b'{"source":{"type":"base64","data":"aGk="}}', limit_bytes=LIMIT))
    assert kept["source"]["data"] == f"[2 bytes, sha256 {sha256(b'hi').hexdigest()}]"


@pytest.mark.parametrize(
    "body", [b"not json sk-ant-api03-" + LETTERS.encode(), b'{"a": "sk-ant-api03-' + LETTERS.encode(), b"\xff\x00"]
)
def test_a_body_that_is_no_json_is_a_text(body: bytes) -> None:
    assert LETTERS.encode() not in kept_json(body, limit_bytes=LIMIT)


def test_a_body_that_is_nested_deeply_is_a_text() -> None:
    body = b"[" * 100_000 + b'"' + SECRETS["of ours"].encode() + b'"' + b"]" * 100_000
    kept = kept_json(body, limit_bytes=LIMIT)
    assert SECRETS["of ours"].encode() not in kept
    assert kept.startswith(b"[[[[")


@pytest.mark.parametrize("limit", range(20, 90, 3))
def test_a_long_body_is_cut_and_says_so_and_no_half_of_a_secret_stays(limit: int) -> None:
    body = json.dumps({"a": "x" * 20 + " " + SECRETS["of ours"] + " " + "y" * 60}).encode()
    kept = kept_json(body, limit_bytes=limit)
    assert kept.endswith(CUT.format(len(body)).encode())
    assert LETTERS[:8].encode() not in kept


# -- streams --


def stream_of(pieces: list[str], *, kind: str = "text", index: int = 0) -> bytes:
    field = {"input_json": "partial_json"}.get(kind, kind)
    events = [{"type": "message_start", "message": {"id": "msg_1"}}]
    events += [
        {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", field: piece}}
        for piece in pieces
    ]
    events.append({"type": "message_stop"})
    return b"".join(encode_sse(str(event["type"]), json.dumps(event).encode()) for event in events)


def text_of(kept: bytes, field: str = "text") -> str:
    deltas = [json.loads(event.data).get("delta", {}) for event in SSEDecoder().feed(kept)]
    return "".join(delta.get(field, "") for delta in deltas)


@pytest.mark.parametrize("kind", ["text", "thinking", "input_json"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_a_secret_that_comes_in_pieces_is_hidden(kind: str, size: int) -> None:
    """The model repeats a key of its prompt a few letters at a time: no event of it holds the whole."""
    secret = SECRETS["of the API"]
    text = f"Your key is {secret}, and password: hunter2! is not good."
    body = stream_of([text[at : at + size] for at in range(0, len(text), size)], kind=kind)
    kept = kept_stream([body], limit_bytes=LIMIT, total_bytes=len(body))
    field = {"input_json": "partial_json"}.get(kind, kind)
    assert text_of(kept, field) == f"Your key is {HIDDEN}, and password: {HIDDEN} is not good."
    assert [event.name for event in SSEDecoder().feed(kept)] == [event.name for event in SSEDecoder().feed(body)]


def test_texts_of_different_blocks_are_different_texts() -> None:
    first, second = stream_of(["sk-ant-api03-", "abc"]), stream_of([LETTERS], index=1)
    kept = kept_stream([first, second], limit_bytes=LIMIT, total_bytes=len(first + second))
    assert text_of(kept) == f"sk-ant-api03-abc{LETTERS}"


@pytest.mark.parametrize("size", [1, 10, 100, 4096])
def test_a_stream_is_the_same_however_it_was_cut(size: int) -> None:
    body = stream_of(["Hello ", "world ☃"])
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert text_of(kept_stream(pieces, limit_bytes=LIMIT, total_bytes=len(body))) == "Hello world ☃"


@pytest.mark.parametrize("limit", [200, 400, 600, 1000])
def test_a_long_stream_is_cut_between_events_and_no_half_of_a_secret_stays(limit: int) -> None:
    """`pieces` go on for a while behind the limit, so that a secret across it is seen whole."""
    text = f"{'a' * 30} {SECRETS['of the API']} {'b' * 30}"
    body = stream_of(list(text))
    kept = kept_stream([body[: limit + 8000]], limit_bytes=limit, total_bytes=len(body))
    cut = CUT.format(len(body)).encode()
    assert kept.endswith(cut)
    assert len(kept) <= limit + len(cut)
    assert set(text_of(kept.removesuffix(cut))) <= {"a", " ", *HIDDEN, "b"}


def test_an_event_that_is_no_json_is_left_out() -> None:
    body = stream_of(["a"]) + b"data: sk-ant-api03-" + LETTERS.encode() + b"\n\n"
    assert LETTERS.encode() not in kept_stream([body], limit_bytes=LIMIT, total_bytes=len(body))


@pytest.mark.parametrize(
    "unit", ["a", "-", "password", "password: ", "://", "eyJ", "sk-", "bearer  ", "key", "api_key=", "a:b@://", "A1+/"]
)
def test_the_work_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    """No timed assertion: a pattern that backtracked over these would not come to an end today."""
    redacted(unit * (200_000 // len(unit)))
    kept_json(json.dumps(unit * (200_000 // len(unit))).encode(), limit_bytes=LIMIT)
