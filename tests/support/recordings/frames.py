"""Server-sent events as they may be written. Source: WHATWG HTML, section 9.2; spec STR-2..5."""

import itertools
import json
import re

from .making import END, HALF, HELLO, PING, as_bytes, compact, frame, recording, start, started, stopped, text_delta
from .texts import EMPTY

__all__ = ["RECORDINGS"]

PLAIN = as_bytes(HELLO)
LINE_ENDS = itertools.cycle([b"\n", b"\r\n", b"\r"])
SPACED = re.sub(rb"data: (.*)", lambda found: b"data: " + json.dumps(json.loads(found[1])).encode(), PLAIN)
DATA_FIRST = re.sub(rb"(event: .*)\n(data: .*)\n", rb"\2\n\1\n", PLAIN)
NAMED_WITH_A_SPACE = [
    b"event:  content_block_delta\ndata: %b\n\n" % compact(text_delta(0, "x")),
    b'event:  ping\ndata: {"type":"ping"}\n\n',
    b'event:  error\ndata: {"type":"error"}\n\n',
]
NOT_A_NUMBER = (
    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"},"logprob":NaN,"top":-Infinity}'
)
DOUBLED = b'{"type":"content_block_delta","index":9,"index":0,"delta":{"type":"text_delta","text":"a","text":"b"}}'


def first_delta(name: bytes) -> bytes:
    """The stream with another line in front of its first delta."""
    return PLAIN.replace(b"event: content_block_delta\n", name, 1)


RECORDINGS = {
    "byte by byte": recording("STR-5", PLAIN, singly=True),
    "CRLF": recording("STR-5", PLAIN.replace(b"\n", b"\r\n"), singly=True),
    "CR": recording("STR-5", PLAIN.replace(b"\n", b"\r"), singly=True),
    "three line ends": recording("STR-5", re.sub(rb"\n", lambda _: next(LINE_ENDS), PLAIN)),
    "byte order mark": recording("WHATWG", b"\xef\xbb\xbf", PLAIN),
    "comments": recording("STR-5", b": keep-alive\n\n", PLAIN.replace(b"data:", b": inside\n:\ndata:"), b":\n\n"),
    "no space": recording("WHATWG", re.sub(rb"(?m)^(event|data): ", rb"\1:", PLAIN)),
    "two spaces": recording("WHATWG: one of them goes", PLAIN.replace(b"data: ", b"data:  ")),
    "two spaces before a name": recording(
        "WHATWG: it is another name", start(), started(0, EMPTY), *NAMED_WITH_A_SPACE, stopped(0), END
    ),
    "data of several lines": recording(
        "WHATWG", PLAIN.replace(b'{"type"', b'{\ndata: "type"').replace(b',"index"', b',\ndata:"index"')
    ),
    "data before its name": recording("WHATWG", DATA_FIRST),
    "id and retry": recording(
        "WHATWG",
        b"id: 1\nretry: 1000\n",
        PLAIN.replace(b"event: message_stop", b"id\nretry: soon\nevent: message_stop"),
    ),
    "an id, then empty events": recording("WHATWG", b"id: 1\n\n\n\n", PLAIN, b"\n\n"),
    "unknown fields": recording("WHATWG", re.sub(rb"(?m)^data: ", b"colour: red\nDATA: {}\nnonsense\ndata: ", PLAIN)),
    "two names": recording("WHATWG: the last one counts", PLAIN.replace(b"event: ", b"event: ping\nevent: ")),
    "an empty name": recording("STR-2, 50", first_delta(b"event:\n")),
    "one without a name": recording("STR-2, 50: it is dropped", first_delta(b"")),
    "none with a name": recording("STR-2, 50", re.sub(rb"(?m)^event: .*\n", b"", PLAIN)),
    "named message": recording("STR-2: what the standard calls one without a name", first_delta(b"event: message\n")),
    "named otherwise": recording("STR-2 broken: its type counts", first_delta(b"event: content_block_stop\n")),
    "a text named ping": recording("STR-50", first_delta(b"event: ping\n")),
    "a ping named otherwise": recording("STR-8", start(), frame(PING, "keep_alive"), HELLO[1:]),
    "pings everywhere": recording(
        "STR-8", PING, *[each for event in [*HELLO[:-1], *END] for each in (event, PING | {"n": 1}, PING)]
    ),
    "names without data": recording(
        "STR-50", first_delta(b"event: novelty\n\nevent: ping\n\nevent: content_block_delta\n")
    ),
    "empty data": recording(
        "STR-50", first_delta(b"event: novelty\ndata:\n\nevent: x\ndata\n\nevent: content_block_delta\n")
    ),
    "padding": recording("STR-4", PLAIN.replace(b"}\n\n", b"   }      \n\n")),
    "spaces in JSON": recording("STR-4", SPACED),
    "blank lines": recording("WHATWG", b"\n\n\n", PLAIN.replace(b"\n\n", b"\n\n\n\n")),
    "DONE without a name": recording("STR-3", PLAIN, b"data: [DONE]\n\n"),
    "DONE with a name": recording("STR-3", PLAIN, b"event: done\ndata: [DONE]\n\n"),
    "not JSON": recording("STR-2 broken", HALF, frame(b"{not json", "content_block_delta"), stopped(0), END),
    "not JSON, first": recording("STR-2 broken", frame(b"<html>", "message_start"), PLAIN),
    "two objects": recording("STR-2 broken", HALF, frame(b"{}\ndata: {}", "content_block_delta"), stopped(0), END),
    "HTML": recording("STR-2 broken", b"<!DOCTYPE html>\n<html>\n\n<body>502 Bad Gateway</body>\n</html>\n"),
    "a JSON body": recording(
        "STR-6 broken", compact({"type": "error", "error": {"type": "api_error", "message": "boom"}})
    ),
    "not UTF-8": recording("STR-5 broken", PLAIN.replace(b"Hello", b"He\xff\xfello")),
    "not a number": recording("STR-2 broken: NaN", HALF, frame(NOT_A_NUMBER, "content_block_delta"), stopped(0), END),
    "doubled keys": recording(
        "STR-2: the last one counts", HALF, frame(DOUBLED, "content_block_delta"), stopped(0), END
    ),
}
