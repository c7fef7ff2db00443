"""Events out of order, and streams that end too soon."""

from .making import (
    END,
    HALF,
    HELLO,
    PING,
    as_bytes,
    call,
    message_delta,
    recording,
    start,
    started,
    stopped,
    text,
    text_delta,
)
from .texts import EMPTY

__all__ = ["RECORDINGS"]

IN_DATA = as_bytes(HALF, text_delta(0, " a word"))[:-30]

RECORDINGS = {
    "before message_start": recording("STR-53", text_delta(0, "lost"), stopped(0), message_delta(), PING, HELLO),
    "no message_start": recording("STR-53", text(0, "lost"), END),
    "message_start twice": recording("section 2 broken", start(), text(0, "a"), start(id="msg_02"), text(1, "b"), END),
    "message_start without a message": recording("STR-10 broken", {"type": "message_start"}, text(0, "a"), END),
    "a delta for no block": recording("STR-11 broken", start(), text_delta(0, "x"), END),
    "a stop for no block": recording("STR-11 broken", start(), text(0, "a"), stopped(1), END),
    "a start for a started block": recording("STR-11 broken", start(), text(0, "a"), text(0, "b"), END),
    "no message_stop": recording("STR-52", start(), text(0, "x"), message_delta()),
    "no byte": recording("STR-52"),
    "only pings": recording("STR-52", PING, PING),
    "only comments": recording("STR-5, 52", b": hello\n\n: again\n\n"),
    "nothing behind message_start": recording("STR-52", start()),
    "ends inside a block": recording("STR-52", HALF),
    "ends inside a call": recording("STR-52", start(), call(0, '{"a": [1, "b')[:-1]),
    "ends inside data": recording("STR-52", IN_DATA),
    "ends before a blank line": recording("STR-52", as_bytes(HELLO)[:-1]),
    "ends before a line end": recording("STR-52", as_bytes(HELLO)[:-2]),
    "breaks before an event": recording("STR-52", breaks=True),
    "breaks inside data": recording("STR-52", IN_DATA, breaks=True),
    "breaks inside a block": recording("STR-52", HALF, breaks=True),
    "breaks behind message_stop": recording("STR-52", HELLO, breaks=True),
    "block never stopped": recording("STR-14", start(), started(0, EMPTY), text_delta(0, "x"), END),
}
