"""The envelope: top-level fields of a body, each byte of the rest as it came (MSG-33, DESIGN section 4)."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import InvalidRequest
from dragoman.wire.envelope import Envelope, decode

NOT_JSON = "The request body is not valid JSON"
REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=150)

NUMBERS = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Written:
    """A body put together by hand, so that the place of each value is known."""

    def __init__(self, rng: Random, fields: dict[str, Any]) -> None:
        self.spans: dict[str, tuple[int, int]] = {}
        self.body = b""
        self._rng = rng
        self._add("", "{")
        for at, (name, value) in enumerate(fields.items()):
            self._add("," if at else "", json.dumps(name, ensure_ascii=False), ":", "")
            text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
            self.spans[name] = (len(self.body), len(self.body) + len(text.encode()))
            self._add(text, "")
        self._add("}", "")

    def _add(self, *parts: str) -> None:
        """The parts with space between them."""
        first, *rest = parts
        self.body += first.encode()
        for part in rest:
            space = "".join(self._rng.choice(" \t\r\n") for _ in range(self._rng.choice((0, 0, 1, 2))))
            self.body += (space + part).encode()


@st.composite
def written(draw: Any) -> tuple[Written, dict[str, Any]]:
    fields = draw(st.dictionaries(st.sampled_from(("model", "messages", "é", "a b", "", "\u2028", "{", ":")), VALUES))
    return Written(Random(draw(st.integers(0, 2**32))), fields), fields


@REPEATABLE
@given(written(), VALUES)
def test_a_value_is_replaced_and_no_other_byte_changes(case: tuple[Written, dict[str, Any]], value: Any) -> None:
    body, fields = case
    envelope = Envelope(body.body)
    assert envelope.encode() == body.body
    assert envelope.parse() == fields
    for name, (start, end) in body.spans.items():
        replaced = envelope.encode(**{name: value})
        assert replaced.startswith(body.body[:start])
        assert replaced.endswith(body.body[end:])
        assert json.loads(replaced[start : len(replaced) - (len(body.body) - end)]) == value
        assert json.loads(replaced) == fields | {name: value}
        assert bytes(envelope.fields[name]) == body.body[start:end]
        assert envelope.value(name) == fields[name]


@REPEATABLE
@given(written(), VALUES, VALUES)
def test_several_values_are_replaced_and_added_at_once(
    case: tuple[Written, dict[str, Any]], first: Any, second: Any
) -> None:
    body, fields = case
    changes = {"messages": first, "model": second, "added": first, "also": second}
    replaced = Envelope(body.body).encode(**changes)
    assert json.loads(replaced) == fields | changes
    untouched = [name for name in body.spans if name not in changes]
    assert all(body.body[slice(*body.spans[name])] in replaced for name in untouched)


@REPEATABLE
@given(written(), VALUES)
def test_a_field_is_added_before_the_last_brace(case: tuple[Written, dict[str, Any]], value: Any) -> None:
    body, fields = case
    added = Envelope(body.body).encode(added=value)
    brace = body.body.rindex(b"}")
    assert added.startswith(body.body[:brace])
    assert added.endswith(body.body[brace:])
    assert json.loads(added) == fields | {"added": value}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"model":"new"}'),
        (b" { } ", b' { "model":"new"} '),
        (b'{"a":1}', b'{"a":1,"model":"new"}'),
        (b'{"model":"old"}', b'{"model":"new"}'),
        (b'\n{ "model" : "old" , "a" : [ 1 ]\t}\r\n', b'\n{ "model" : "new" , "a" : [ 1 ]\t}\r\n'),
        (b'{"a":"}","model":"old","b":"}"}', b'{"a":"}","model":"new","b":"}"}'),
        (b'{"a":{"model":"inner"},"model":"old"}', b'{"a":{"model":"inner"},"model":"new"}'),
        (b'{"a":"\\"model\\":\\"x\\"","model":"old"}', b'{"a":"\\"model\\":\\"x\\"","model":"new"}'),
        (b'{"model":"old","n":1.50e+1,"s":"\\u00e9\\/"}', b'{"model":"new","n":1.50e+1,"s":"\\u00e9\\/"}'),
        ('{"é":"日本","model":"old","x":"😀"}'.encode(), '{"é":"日本","model":"new","x":"😀"}'.encode()),
        (b'{"model":null,"max_tokens":1}', b'{"model":"new","max_tokens":1}'),
    ],
)
def test_the_model_is_cut_in(body: bytes, expected: bytes) -> None:
    assert Envelope(body).encode(model="new") == expected
    assert Envelope(body).encode() == body


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"model":"a","model":"b"}', {"model": "b"}),
        (b'{"model":"a","model":"a"}', {"model": "a"}),
        (b'{"model":"a","x":1,"model":"b"}', {"model": "b", "x": 1}),
        (b'{"model":"a","mod\\u0065l":"b"}', {"model": "b"}),
        (b'{"mod\\u0065l":"b","model":"a"}', {"model": "a"}),
        (b'{"mod\\u0065l":"b", "x":1}', {"model": "b", "x": 1}),
        (b'{"a\\"b":1,"x":{"y":1,"y":2}}', {'a"b': 1, "x": {"y": 2}}),
    ],
)
def test_a_body_that_two_parsers_could_read_differently_is_written_anew(body: bytes, fields: dict[str, Any]) -> None:
    """A doubled or escaped key: the last value counts, and is the only one that goes out."""
    envelope = Envelope(body)
    assert envelope.parse() == fields
    for changes in ({}, {"model": "new"}, {"added": 1}):
        out = envelope.encode(**changes)
        pairs = json.loads(out, object_pairs_hook=list)
        assert dict(json.loads(out)) == fields | changes
        assert len(pairs) == len(fields | changes)
        assert b"\\u0065" not in out


def test_values_keep_their_bytes_when_the_body_is_written_anew() -> None:
    """Signatures and cache prefixes are bytes: only the space between the fields goes."""
    messages = b'[ {"role":"user", "content":"\\u00e9 1.50"} ]'
    out = Envelope(b'{"x": 1, "messages": ' + messages + b', "x": 2}').encode(model="m")
    assert messages in out
    assert json.loads(out) == {"x": 2, "messages": json.loads(messages), "model": "m"}


# ---------------------------------------------------------------- what is no JSON

BROKEN = [
    b"", b" ", b"\x00", b"{", b"}", b"{}}", b"{} {}", b"{}x", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{,}",
    b'{"a":1 "b":2}',
    b'{"a" 1}', b"{a:1}", b"{'a':1}", b'{"a":tru}', b'{"a":True}', b'{"a":nul}', b'{"a":NaN}', b'{"a":Infinity}',
    b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}', b'{"a":-}', b'{"a":1e}', b'{"a":0x1}', b'{"a":[1,]}',
    b'{"a":[1 2]}', b'{"a":[}', b'{"a":{"b":1,}}', b'{"a":"\\q"}', b'{"a":"\\u12"}', b'{"a":"\\u12g4"}', b'{"a":"x}',
    b'{"a":"x\ny"}', b'{"a":"\x01"}', b'{"a":"\\ud800"}', b'{"a":"\\ud800\\n"}', b'{"a":"\\udc00"}', b'{"\\ud800":1}',
    b'{"a":1}/* no */', b'// no\n{"a":1}', b'\xef\xbb\xbf{"a":1}', b"\xff\xfe{\x00}\x00", b"undefined",
    b'{"a":"\xff"}', b'{"\xff":1}', b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}',
    b'{"a":[{"b":"\xff"}]}',
    b'{"a":1e999}', b'{"a":-1e999}', b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":' * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' + b'[{"b":' * 50_000 + b"1" + b"}]" * 50_000 + b"}",
]  # fmt: skip


def read_all(body: bytes) -> dict[str, Any]:
    """As the server reads a body that an engine answers."""
    return Envelope(body).parse()


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: repr(body[:24]))
def test_a_body_that_is_no_json_is_refused_in_the_apis_words(body: bytes) -> None:
    """MSG-33: broken syntax, broken UTF-8, half a pair of surrogates, numbers out of range, nesting 100,000 deep."""
    with pytest.raises(InvalidRequest) as caught:
        read_all(body)
    assert caught.value.message.startswith(NOT_JSON + ": ")
    assert len(caught.value.message) < 200


SYNTAX = [body for body in BROKEN if b"\\" not in body and b"999" not in body]


@pytest.mark.parametrize("body", SYNTAX, ids=lambda body: repr(body[:24]))
def test_a_body_that_is_only_passed_through_is_refused_too(body: bytes) -> None:
    """Nothing that is no JSON, or no UTF-8, reaches an upstream. (Escapes and large numbers are its to judge.)"""
    with pytest.raises(InvalidRequest, match=NOT_JSON):
        Envelope(body)


NO_OBJECTS = [b"[]", b"null", b"true", b"1", b'"text"', b"[{}]", b" [1] ", b"[" * 100_000, b"[" * 9_999 + b"]" * 9_999]


@pytest.mark.parametrize("body", NO_OBJECTS, ids=lambda body: repr(body[:24]))
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """MSG-33: a JSON array is 400 too; it is valid JSON, so the text does not say that it is not."""
    with pytest.raises(InvalidRequest, match="Input should be an object"):
        read_all(body)


def strictly(body: bytes) -> dict[str, Any] | None:
    """What Python's own parser makes of a body; None where it is no JSON object."""

    def refuse(word: str) -> Any:
        raise ValueError(word)

    try:
        value = json.loads(body.decode(), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()  # fails on half a pair of surrogates
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def mutations(rng: Random, body: bytes) -> bytes:
    at = rng.randrange(len(body))
    match rng.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([rng.choice(b'{}[]",:\\ \n0e-.tn\xff\x00\xc3u')]) + body[at + 1 :]
        case 2:
            return body[:at] + body[at + rng.randint(1, 4) :]
        case 3:
            return body[:at] + body[at : at + 5] + body[at:]
        case _:
            return body[:at] + bytes([rng.choice(b'{}[]",:\\ 1')]) + body[at:]


SEED_BODY = (
    '{"model": "claude-opus-4-8", "max_tokens": 1.5e2, "stream":true, "x": null, "é": "\\u00e9\\n😀 \\ud83d\\ude00",'
    ' "messages":[{"role":"user","content":[{"type":"text","text":"a\\\\"}]}, -0.1, [[]], {}]}'
).encode()


@pytest.mark.parametrize("batch", range(4))
def test_mutated_bodies_are_read_as_another_parser_reads_them_or_refused(batch: int) -> None:
    """2,000 mutations; nothing but InvalidRequest may come out, and never for a body that is fine."""
    rng = Random(f"bodies {batch}")
    refused = 0
    for _ in range(500):
        body = SEED_BODY
        for _ in range(rng.randint(1, 3)):
            body = mutations(rng, body) or b" "
        expected = strictly(body)
        if expected is None:
            refused += 1
            with pytest.raises(InvalidRequest):
                read_all(body)
            continue
        envelope = Envelope(body)
        assert envelope.parse() == expected
        assert json.loads(envelope.encode(model="m")) == expected | {"model": "m"}
    assert 100 < refused < 490  # the mutations are of both kinds


@REPEATABLE
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    expected = strictly(body)
    for text in (body, b"{" + body, b'{"a":' + body + b"}"):
        expected = strictly(text)
        try:
            value = read_all(text)
        except InvalidRequest:
            value = None
        assert value == expected


@pytest.mark.parametrize(
    ("opening", "inner", "closing", "most"),
    [(b'{"a":', b"1", b"}", 399), (b"[", b"", b"]", 399), (b'[{"a":', b"1", b"}]", 199)],
)
def test_a_body_may_be_nested_four_hundred_levels_deep(opening: bytes, inner: bytes, closing: bytes, most: int) -> None:
    """Claude Code and its tools nest some dozens. Deeper, and whoever walks the value would fail later."""

    def nested(times: int) -> bytes:
        return b'{"deep":' + opening * times + inner + closing * times + b"}"

    assert Envelope(nested(most)).parse() == json.loads(nested(most))
    for times in (most + 1, most + 2, most + 50, 900):
        with pytest.raises(InvalidRequest, match="The request body is not valid JSON: nested too deeply"):
            Envelope(nested(times)).parse()


def test_what_is_passed_through_may_be_deeper() -> None:
    """Nobody here walks it."""
    body = b'{"model":"m","deep":' + b"[" * 700 + b"]" * 700 + b"}"
    assert Envelope(body).encode(model="n") == body.replace(b'"m"', b'"n"')


def test_a_large_body_is_split_in_one_pass() -> None:
    many = b"{" + b",".join(b'"k%d": "%d"' % (at, at) for at in range(999)) + b', "model": "m"}'
    envelope = Envelope(many)
    assert len(envelope.fields) == 1000
    assert envelope.encode(model="n") == many[: -len(b'"m"}')] + b'"n"}'
    large = b'{"messages": "' + b"x" * 20_000_000 + b'", "model": "m"}'
    assert Envelope(large).encode(model="n") == large[: -len(b'"m"}')] + b'"n"}'


def test_a_body_of_very_many_fields_is_refused() -> None:
    """MSG-30 for the first field too many; the API knows some thirty."""
    many = b"{" + b",".join(b'"k%d": 1' % at for at in range(1001)) + b"}"
    with pytest.raises(InvalidRequest, match=r"^k1000: Extra inputs are not permitted$"):
        Envelope(many)


# ---------------------------------------------------------------- the fields that every request has


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "model: Field required"),
        (b'{"model":null}', "model: Input should be a valid string"),
        (b'{"model":5}', "model: Input should be a valid string"),
        (b'{"model":["a"]}', "model: Input should be a valid string"),
        (b'{"model":""}', "model: String should have at least 1 character"),
    ],
)
def test_a_model_is_a_text(body: bytes, message: str) -> None:
    """MSG-10."""
    with pytest.raises(InvalidRequest) as caught:
        Envelope(body).model()
    assert caught.value.message == message


def test_the_model_is_read_with_its_escapes() -> None:
    assert Envelope(b'{"model":"claude\\u002dopus"}').model() == "claude-opus"


@pytest.mark.parametrize(
    ("body", "expected"), [(b"{}", False), (b'{"stream":true}', True), (b'{"stream":false}', False)]
)
def test_stream_is_a_bool_and_false_by_default(body: bytes, expected: bool) -> None:
    """MSG-15."""
    assert Envelope(body).stream() is expected


@pytest.mark.parametrize("value", [b"1", b"0", b'"true"', b"[]", b"{}"])
def test_stream_is_nothing_else(value: bytes) -> None:
    """MSG-15."""
    with pytest.raises(InvalidRequest) as caught:
        Envelope(b'{"stream":' + value + b"}").stream()
    assert caught.value.message == "stream: Input should be a valid boolean"


def test_a_missing_value_is_none() -> None:
    envelope = Envelope(b'{"a":null,"b":{"c":[1]}}')
    assert envelope.value("a") is None
    assert envelope.value("x") is None
    assert envelope.value("b") == {"c": [1]}


def test_a_value_that_is_broken_inside_is_refused_when_it_is_read() -> None:
    """What is skipped may not be checked as strictly; what is read is."""
    with pytest.raises(InvalidRequest, match=NOT_JSON):
        Envelope(b'{"model":"\\ud800"}').model()


def test_replacements_may_be_raw() -> None:
    assert Envelope(b'{"a":1}').encode(a=msgspec.Raw(b"[ 2 ]")) == b'{"a":[ 2 ]}'


@REPEATABLE
@given(written())
def test_a_field_is_taken_out_and_no_other_byte_changes(case: tuple[Written, dict[str, Any]]) -> None:
    """Of the bytes around it, only one comma and the space beside it go."""
    body, fields = case
    envelope = Envelope(body.body)
    for name in fields:
        left = envelope.without(name)
        assert json.loads(left) == {each: value for each, value in fields.items() if each != name}
        assert all(body.body[slice(*span)] in left for each, span in body.spans.items() if each != name)
    assert envelope.without("absent") == body.body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"thread":{"type":"create"}}', b"{}"),
        (b' { "thread" : 1 } ', b" {  } "),
        (b'{ "thread" : 1 , "a" : [ 1 ] }', b'{ "a" : [ 1 ] }'),
        (b'{ "a" : 1.50 , "thread" : 1 }', b'{ "a" : 1.50 }'),
        (b'{"a":"}","thread":[{}],"b":"\\u00e9"}', b'{"a":"}","b":"\\u00e9"}'),
        (b'{"a":1,"thread":2,"thread":3,"b":1.50}', b'{"a":1,"b":1.50}'),
        (b'{"a":1 ,"th\\u0072ead":2}', b'{"a":1}'),
    ],
)
def test_the_thread_is_taken_out(body: bytes, expected: bytes) -> None:
    assert Envelope(body).without("thread") == expected


@REPEATABLE
@given(written())
def test_fields_are_taken_out_replaced_and_added_at_once(case: tuple[Written, dict[str, Any]]) -> None:
    """What is neither keeps its bytes, and a body of which nothing is wanted all of them."""
    body, fields = case
    envelope = Envelope(body.body)
    assert envelope.edited((), {}) == body.body
    for at in range(len(fields) + 1):
        dropped, rest = set(list(fields)[:at:2]), list(fields)[at:]
        replaced = {name: [at] for name in rest[:1]}
        left = envelope.edited(dropped, {**replaced, "added, \n": {"a": None}})
        kept = {name: value for name, value in fields.items() if name not in dropped}
        assert json.loads(left) == {**kept, **replaced, "added, \n": {"a": None}}
        kept_as_it_was = kept.keys() - replaced.keys()
        assert all(body.body[slice(*span)] in left for name, span in body.spans.items() if name in kept_as_it_was)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"v":1}'),
        (b'{ "a" : 1 }', b'{"v":1 }'),
        (b'{ "a" : 1 , "b" : 2.50 }', b'{  "b" : 2.50,"v":1 }'),
        (b'{"b": 2,"a":[1] , "c":{ } }', b'{"b": 0 , "c":{ },"v":1 }'),
        (b'{"c":1,"a":2,"a":3,"b":4}', b'{"c":1,"b":0,"v":1}'),
    ],
)
def test_the_bytes_of_an_edited_body(body: bytes, expected: bytes) -> None:
    replaced = {"v": 1} if body.count(b'"c"') == 0 else {"b": 0, "v": 1}
    assert Envelope(body).edited({"a"}, replaced) == expected


def test_a_value_is_decoded_up_to_the_depth_that_a_body_may_have() -> None:
    """MSG-33."""
    assert decode(b"[" * 400 + b"]" * 400) is not None
    assert decode(b'"x"') == "x"
    for deep in (b"[" * 401 + b"]" * 401, b"[" * 100_000):
        with pytest.raises(InvalidRequest, match=NOT_JSON):
            decode(deep)


# ---------------------------------------------------------------- a body that nobody changes

NUMBERS_AS_SENT = ("1e400", "-1e400", "-0", "-0.0", "1.0", "1.50", "1E+2", "0.1e-7", "1e-400", "9" * 30, "9" * 5000)
STRINGS_AS_SENT = (r'"\u00e9"', r'"\/"', r'"\u0041"', r'"\ud83d\ude00"', '"é\u2028\x7f😀"', r'"\"}{,:"', '" "')
KEYS_AS_SENT = ('"model"', '"messages"', '"é"', '"a b"', '""', '"{"', '","', '"model "', '"Model"')
NEEDLESSLY_ESCAPED_KEYS = ('"mod\\u0065l"', '"\\/"', '"caf\\u00e9"')
ESCAPED_KEYS = (*NEEDLESSLY_ESCAPED_KEYS, '"\\""', '"\\\\"')


def raw_value(rng: Random, depth: int = 3) -> str:
    """Any JSON text, in the words of a client that writes by hand."""
    roll = rng.randrange(8 if depth else 5)
    if roll < 3:
        return rng.choice(NUMBERS_AS_SENT)
    if roll < 5:
        return rng.choice((*STRINGS_AS_SENT, "true", "null", "{}", "[]"))
    inner = [raw_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if roll == 5:
        return "[" + ",".join(spaced(rng, item) for item in inner) + "]"
    keys = KEYS_AS_SENT + ESCAPED_KEYS  # doubled ones too: inside a value they are not our business
    return "{" + ",".join(spaced(rng, rng.choice(keys)) + ":" + spaced(rng, item) for item in inner) + "}"


def spaced(rng: Random, text: str) -> str:
    before, after = ("".join(rng.choice(" \t\r\n") for _ in range(rng.choice((0, 0, 0, 1, 3)))) for _ in range(2))
    return before + text + after


def raw_body(rng: Random, fields: list[tuple[str, str]], *, is_spaced: bool) -> bytes:
    pad = (lambda text: spaced(rng, text)) if is_spaced else str
    return pad("{" + ",".join(pad(key) + ":" + pad(value) for key, value in fields) + "}").encode()


@pytest.mark.parametrize("is_spaced", [False, True])
def test_a_body_goes_out_byte_for_byte_whatever_its_values_are_written_like(is_spaced: bool) -> None:
    rng = Random(f"as it came {is_spaced}")
    for _ in range(300):
        keys = rng.sample(KEYS_AS_SENT, rng.randint(0, 5))
        body = raw_body(rng, [(key, raw_value(rng)) for key in keys], is_spaced=is_spaced)
        envelope = Envelope(body)
        assert envelope.encode() == body
        assert envelope.without("absent") == body


def test_a_doubled_or_escaped_key_makes_a_body_be_written_anew() -> None:
    """Each field once, by the name that it means, with its last value's own bytes."""
    rng = Random("anew")
    for at in range(300):
        fields = [(key, raw_value(rng)) for key in rng.sample(KEYS_AS_SENT, rng.randint(1, 4))]
        odd = rng.choice(NEEDLESSLY_ESCAPED_KEYS) if at % 2 else fields[0][0]
        fields.insert(rng.randrange(len(fields) + 1) if at % 2 else len(fields), (odd, raw_value(rng)))
        envelope = Envelope(raw_body(rng, fields, is_spaced=bool(at % 3)))
        last = {json.loads(key): value for key, value in fields}
        anew = {key: json.dumps(key, ensure_ascii=False) for key in last}
        assert envelope.encode() == ("{" + ",".join(f"{anew[key]}:{last[key]}" for key in last) + "}").encode()
        assert json.loads(envelope.encode(model="n"), parse_int=str)["model"] == "n"
        assert envelope.encode(model="n").count(b'"model":') >= 1


@pytest.mark.parametrize("number", NUMBERS_AS_SENT)
@pytest.mark.parametrize("space", [b"", b" "])
def test_a_number_keeps_its_writing_in_every_path(number: str, space: bytes) -> None:
    """1e400 is no float of ours, and 1.0 no 1; what they mean is the upstream's business."""
    sent = number.encode()
    body = b'{"n":%b%b%b,"model":"m"}' % (space, sent, space)
    envelope = Envelope(body)
    assert envelope.encode() == envelope.without("absent") == body
    assert envelope.encode(model="x") == body.replace(b'"m"', b'"x"')
    assert envelope.without("model") == b'{"n":%b%b%b}' % (space, sent, b"")
    doubled = Envelope(b'{"n":1,"n":%b%b%b,"model":"m"}' % (space, sent, space))
    assert doubled.encode() == b'{"n":%b,"model":"m"}' % sent
    assert doubled.encode(model="x") == b'{"n":%b,"model":"x"}' % sent
    assert doubled.without("model") == b'{"n":%b}' % sent


def deeper(frames: int, work: Any) -> Any:
    """What `work` returns, called from that many frames further down."""
    return work() if frames == 0 else deeper(frames - 1, work)


def test_a_deep_body_that_was_taken_can_be_handed_on() -> None:
    """Where a body is split and where it goes out differ in how deep the stack is."""
    for levels in (*range(900, 1000), *range(1000, 20_001, 50)):  # where it ends is another place in each Python
        body = b'{"model": "m", "deep": ' + b"[" * levels + b"]" * levels + b"}"
        try:
            envelope = Envelope(body)
        except InvalidRequest:
            assert levels > 900
            return
        assert deeper(30, envelope.encode) == body
        assert deeper(30, lambda each=envelope: each.encode(model="n")) == body.replace(b'"m"', b'"n"')
    raise AssertionError("bodies of any depth are taken")
