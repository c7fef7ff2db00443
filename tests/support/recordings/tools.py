"""Calls of tools, and JSON that is cut anywhere."""

from .making import (
    END,
    FINE_GRAINED,
    PING,
    STOP,
    TOOL_END,
    Event,
    Recording,
    block,
    call,
    delta,
    fragment,
    message_delta,
    recording,
    start,
    started,
    stopped,
    text,
    text_delta,
)
from .texts import CHARS, EMPTY, cite

__all__ = ["PARIS", "RECORDINGS"]

PARIS = ["", '{"locati', 'on": "P', "ar", 'is"}']  # section 6
RICH = (
    r'{"place":"Pa\"ris\\ \/ \n caf\u00e9 \ud83d\ude00 é😀","n":-12.5e+3,"zero":0,"yes":true,"no":false,"none":null,'
    r'"list":[1,"two",{"three":[]}],"":{},"k\u0021":" "}'
)
NESTED = '{"a": [{"b": [[], [{}]]}, {"c": {"d": {"e": [1, [2, [3]]]}}}]}'
DEEP = '{"a":' * 60 + "[" * 60 + "1" + "]" * 60 + "}" * 60


def tool(index: int, **fields: object) -> Event:
    return {"type": "tool_use", "id": f"toolu_0{index}", "name": "f", "input": {}} | fields


def cut(shows: str, *parts: str) -> Recording:
    """A call whose input comes in these parts; in beta with fine-grained streaming too, which shows cut strings."""
    return recording(shows, start(), call(0, *parts), TOOL_END, betas=(FINE_GRAINED,))


def broken(*parts: str) -> Recording:
    return recording("STR-55", start(), text(0, "ok"), call(1, *parts), TOOL_END, betas=(FINE_GRAINED,))


CALLS = {
    "as recorded": recording(
        "section 6, STR-21",
        [start(), started(0, EMPTY), PING, text_delta(0, "I'll look"), text_delta(0, " it up."), stopped(0)],
        [call(1, *PARIS, caller={"type": "direct"}), message_delta("tool_use", usage={"output_tokens": 65}), STOP],
    ),
    "as older servers have it": recording("STR-21: no caller", start(), call(0, *PARIS), TOOL_END),
    "without a fragment": recording("STR-31", start(), call(0), TOOL_END),
    "an empty fragment": recording("STR-31", start(), call(0, ""), TOOL_END),
    "an empty object": recording("STR-31", start(), call(0, "", "{}"), TOOL_END),
    "input in its start": recording("STR-54", start(), block(0, tool(0, input={"a": {"b": [1]}})), TOOL_END),
    "input in its start and in deltas": recording(
        "STR-54: deltas take its place", start(), call(0, "", '{"b":', "2}", input={"a": 1}), TOOL_END
    ),
    "two": recording("STR-11", start(), call(0, "", '{"a":1}'), call(1, '{"a', '":2}', name="g"), TOOL_END),
    "two, interleaved": recording(
        "STR-11 broken",
        [start(), started(0, tool(0)), started(1, tool(1))],
        [fragment(0, '{"a":'), fragment(1, '{"b":'), fragment(0, "1}"), fragment(1, "2}")],
        [stopped(0), stopped(1), TOOL_END],
    ),
    "of a toolset": recording(
        "STR-33: in one delta", start(), call(0, '{"command":"view","path":"/memories","range":[1,-1]}'), TOOL_END
    ),
    "unknown fields": recording(
        "SDK-40",
        start(),
        block(
            0,
            tool(0, colour="red", caller={"type": "code_execution_20260120", "tool_id": "srvtoolu_1", "x": 1}),
            delta(0, "input_json_delta", partial_json="{}", eager=True),
        ),
        TOOL_END,
    ),
    "cut by max_tokens": recording(
        "STR-14, 32: its stop is missing",
        [start(), started(0, tool(0)), fragment(0, '{"a": [1, {"b": "tex'), message_delta("max_tokens"), STOP],
        betas=(FINE_GRAINED,),
    ),
    "cut by max_tokens and stopped": recording(
        "STR-14, 32", start(), call(0, '{"a": [1, 2', ', "tex'), message_delta("max_tokens"), STOP
    ),
    "deltas that do not fit": recording(
        "STR-20..23 broken",
        start(),
        block(
            0,
            EMPTY,
            fragment(0, "{}"),
            delta(0, "thinking_delta", thinking="t"),
            delta(0, "signature_delta", signature="s"),
        ),
        block(1, tool(1), text_delta(1, "x"), cite(1, CHARS), fragment(1, '{"a":1}')),
        block(2, {"type": "thinking", "thinking": "", "signature": ""}, text_delta(2, "x"), fragment(2, "{}")),
        TOOL_END,
    ),
    "fragment missing": recording("STR-21 broken", start(), block(0, tool(0), delta(0, "input_json_delta")), TOOL_END),
    "input missing": recording(
        "STR-21 broken",
        start(),
        block(0, {"type": "tool_use", "id": "toolu_00", "name": "f"}, fragment(0, '{"a":1}')),
        block(1, {"type": "tool_use", "id": "toolu_01", "name": "g"}),
        END,
    ),
}
CUTS = {
    "cut at every character": cut("STR-30, 54: the input so far behind each", "", *RICH),
    "cut between spaces": cut("STR-30", *'{\n "a" : [ 1 , -2.0 ] ,\t"b" : { } } '),
    "spaces in front": cut("STR-30", " ", "\n", '{"a": 1}'),
    "cut in strings": cut("STR-30", '{"city": "', "San", " Fran", 'cisco", "note": "', '"}'),
    "cut in escapes": cut(
        r"STR-30: behind \ and inside \u",
        '{"a": "x\\',
        "n\\",
        "\\\\",
        '"',
        ', "b": "\\u',
        "00",
        "e9",
        "\\",
        'u65e5"',
        "}",
    ),
    "cut in surrogates": cut(
        "STR-30: inside and between halves", '{"a": "\\ud8', "3d", "\\ude", "00 \\ud83d", "\\", "u", 'de01"', "}"
    ),
    "cut in numbers": cut(
        "STR-30: where the front of one may be none",
        *['{"a": -', "1", "2.", "5", "e", "-", "3", ', "b": [0', ".", "5, 1", "E", "4]", ', "c": 12', "34}"],
    ),
    "cut in keys": cut("STR-30", "{", '"', "lo", 'cation"', ":", " 1", ",", ' "un\\', 'u0069t"', " : ", "null}"),
    "cut in words": cut("STR-30", '{"a": t', "ru", 'e, "b": fals', 'e, "c": [n', "ull, n", "ull]}"),
    "cut behind commas": cut("STR-30", '{"a": [1,', " 2,", ' {"b": 1,', ' "c": []}], ', '"d": 1', "}"),
    "nested": cut("STR-30", *[NESTED[at : at + 3] for at in range(0, len(NESTED), 3)]),
    "nested deep": cut("STR-30: 120 levels", DEEP[:200], DEEP[200:400], DEEP[400:]),
    "numbers of any size": cut(
        "STR-54", '{"a": 123456789012345678901234567890, "b": 0.1, "c": -1e-400', ', "d": 1.0, "e": -0, "f": 1E2}'
    ),
    "doubled keys": cut("STR-54", '{"a": 1, "b": 2, ', '"a": 3}'),
    "a list as input": cut("STR-21 broken", "[1, ", "2]"),
    "a string as input": cut("STR-21 broken", '"te', 'xt"'),
    "a number as input": cut("STR-21 broken", "4", "2"),
    "null as input": cut("STR-21 broken", "nu", "ll"),
}
BROKEN = {
    "broken: two commas": broken('{"a": 1', ',, "b"', ": 2}"),
    "broken: a word": broken('{"a": ', "hello", "}"),
    "broken: single quotes": broken("{'a'", ": 1}"),
    "broken: a line end in a string": broken('{"a": "x\n', 'y"}'),
    "broken: an escape": broken('{"a": "\\', 'x"}'),
    "broken: the wrong bracket": broken('{"a": [1', "}", "]}"),
    "broken: more behind the object": broken('{"a": 1}', " ", '{"b": 2}'),
    "broken: a zero in front": broken('{"a": 0', "1", "}"),
    "broken: half a surrogate pair": broken('{"a": "\\ud83d', ' x"', "}"),
    "broken: from the first character": broken("}", "{"),
    "broken: not a number": broken('{"a": NaN, "b": Infin', 'ity, "c": -Infinity}'),
    "broken: a number beyond floats": broken('{"a": 1e400', ', "b": 1}'),
    "broken: in a long input": broken('{"a": [', *["1234567890, " * 60] * 10, "oops", *[", 1" * 60] * 20, "]}"),
    "broken: 3,000 levels": broken('{"a":' + "[" * 3000, "]" * 3000 + "}"),
}
RECORDINGS = CALLS | CUTS | BROKEN
