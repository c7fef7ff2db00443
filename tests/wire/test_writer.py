"""No order of calls makes the block writer break the law (DESIGN, principle 3), and the law finds every breach."""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from streams import cut, json_object, legal_stream, words

from dragoman.wire.codec import Unknown, plain, read
from dragoman.wire.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CitationsDelta,
    DeltaUsage,
    ErrorBody,
    ErrorEvent,
    Event,
    Fold,
    IllegalStream,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    Stop,
    StreamLaw,
    TextDelta,
    ThinkingDelta,
    decode_event,
    encode_event,
    encode_events,
)
from dragoman.wire.sse import ServerEvent, SSEDecoder
from dragoman.wire.types import (
    ContainerUpload,
    Message,
    RedactedThinking,
    ServerToolUse,
    Text,
    Thinking,
    ToolUse,
    Usage,
    WebSearchResult,
)
from dragoman.wire.writer import BlockWriter, WriterClosed

Block = dict[str, Any]

CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}
WHOLES = (
    RedactedThinking(data="opaque"),
    WebSearchResult(tool_use_id="srvtoolu_1", content=[]),
    ContainerUpload(file_id="file_1"),
    Unknown(kind="fallback", extra={"to": "another"}),
)


def new_writer() -> BlockWriter:
    return BlockWriter("msg_1", model="claude-opus-4-8", usage=Usage(input_tokens=3, output_tokens=1))


class Driver:
    """Calls a writer at random, and keeps its own book of what was written."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.writer = new_writer()
        self.events: list[Event] = []
        self.blocks: list[Block] = []  # what the message must hold
        self.open: str | None = None  # the type of the block that more may be added to
        self.citations: list[dict[str, Any]] = []  # without a text so far
        self.blank = ""  # white space that may begin a text

    def step(self) -> None:
        self.rng.choice(self.STEPS)(self)

    def text(self) -> None:
        text = self.rng.choice(("", "\n ", words(self.rng)))
        self.events += self.writer.text(text)
        self._note_text(text)

    def _note_text(self, text: str) -> None:
        if self.open != "text":
            self.blank += text
            if not self.blank.strip():
                return
            text, cited = self.blank, self.citations
            self._close()
            self.blocks.append({"type": "text", "text": ""} | ({"citations": cited} if cited else {}))
            self.open = "text"
        self.blocks[-1]["text"] += text

    def texts(self) -> None:
        """Several at a time: as if one after the other."""
        pieces = [self.rng.choice(("", "\t", words(self.rng))) for _ in range(self.rng.randint(1, 4))]
        self.events += self.writer.texts(pieces)
        for text in pieces:
            self._note_text(text)

    def citation(self) -> None:
        citation = CITATION | {"document_index": self.rng.randint(0, 9)}
        self.events += self.writer.citation(citation)
        if self.open == "text":
            self.blocks[-1].setdefault("citations", []).append(citation)
        else:
            self.citations.append(citation)

    def thinking(self) -> None:
        text = self.rng.choice(("", words(self.rng)))
        self.events += self.writer.thinking(text)
        if not text:
            return
        self.blank = ""
        if self.open != "thinking":
            self._close()
            self.blocks.append({"type": "thinking", "thinking": "", "signature": ""})
            self.open = "thinking"
        self.blocks[-1]["thinking"] += text

    def signature(self) -> None:
        signature = self.rng.choice(("", "sig=="))
        self.events += self.writer.signature(signature)
        if self.open != "thinking":
            self._close()
            self.blocks.append({"type": "thinking", "thinking": ""})
        self.blocks[-1]["signature"] = signature
        self._close()

    def tool_use(self) -> None:
        number = f"toolu_{len(self.events)}"
        toolset = self.rng.choice((None, "computer"))
        self.events += self.writer.tool_use(number, "get_weather", toolset_name=toolset)
        self._begin_call({"type": "tool_use", "id": number, "name": "get_weather"})
        if toolset:
            self.blocks[-1]["toolset_name"] = toolset

    def server_tool_use(self) -> None:
        number = f"srvtoolu_{len(self.events)}"
        self.events += self.writer.server_tool_use(number, "web_search")
        self._begin_call({"type": "server_tool_use", "id": number, "name": "web_search"})

    def whole_call(self) -> None:
        """A call with all its input, cut anywhere: what is folded must be the object itself."""
        value = json_object(self.rng)
        self.rng.choice((self.tool_use, self.server_tool_use))()
        for piece in cut(self.rng, json.dumps(value)):
            self.events += self.writer.input_json(piece)
        self.blocks[-1]["input"] = value

    def input_json(self) -> None:
        piece = self.rng.choice(("", " ", "\n"))  # nothing that changes what was written
        if self.open != "call":
            with pytest.raises(WriterClosed):
                self.writer.input_json(piece)
            return
        self.events += self.writer.input_json(piece)

    def whole(self) -> None:
        block = self.rng.choice(WHOLES)
        self.events += self.writer.whole(block)
        self._close()
        self.blocks.append(plain(block))

    def redacted_thinking(self) -> None:
        self.events += self.writer.redacted_thinking("data")
        self._close()
        self.blocks.append({"type": "redacted_thinking", "data": "data"})

    def not_whole(self) -> None:
        """Blocks with deltas of their own are refused, and the refusal changes nothing."""
        for block in (
            Text(text="x"),
            Thinking(thinking="x", signature="y"),
            ToolUse(id="a", name="b", input={}),
            ServerToolUse(id="srvtoolu_a", name="b", input={}),
        ):
            with pytest.raises(TypeError):
                self.writer.whole(block)

    def end_block(self) -> None:
        self.events += self.writer.end_block()
        self._close()

    def start(self) -> None:
        self.events += self.writer.start()

    def ping(self) -> None:
        self.events += self.writer.ping()

    def finish(self) -> None:
        self.events += self.writer.finish("end_turn", usage=DeltaUsage(output_tokens=7))
        self._close()

    def fail(self) -> None:
        body = {"type": "error", "error": {"type": "api_error", "message": "no"}, "request_id": "req_1"}
        self.events += self.writer.fail(body)

    def _begin_call(self, block: Block) -> None:
        self._close()
        self.blocks.append(block | {"input": {}, "caller": {"type": "direct"}})
        self.open = "call"

    def _close(self) -> None:
        self.open = None
        self.blank = ""
        self.citations = []

    STEPS: tuple[Callable[["Driver"], None], ...] = (
        text, text, text, texts, citation, thinking, thinking, signature, tool_use, server_tool_use, whole_call,
        input_json, whole, redacted_thinking, not_whole, end_block, start, ping,
    )  # fmt: skip


def driven(seed: str) -> Driver:
    driver = Driver(Random(seed))
    for _ in range(driver.rng.randint(0, 25)):
        driver.step()
    return driver


def check_law(events: list[Event]) -> StreamLaw:
    law = StreamLaw()
    for event in events:
        law.check(event)
    return law


CALLS_AFTER_THE_END: dict[str, Callable[[BlockWriter], object]] = {
    "start": lambda writer: writer.start(),
    "ping": lambda writer: writer.ping(),
    "text": lambda writer: writer.text("x"),
    "empty text": lambda writer: writer.text(""),
    "texts": lambda writer: writer.texts(["x", "y"]),
    "citation": lambda writer: writer.citation(CITATION),
    "thinking": lambda writer: writer.thinking("x"),
    "empty thinking": lambda writer: writer.thinking(""),
    "signature": lambda writer: writer.signature("x"),
    "tool_use": lambda writer: writer.tool_use("toolu_1", "x"),
    "server_tool_use": lambda writer: writer.server_tool_use("srvtoolu_1", "x"),
    "input_json": lambda writer: writer.input_json("{}"),
    "whole": lambda writer: writer.whole(RedactedThinking(data="x")),
    "redacted_thinking": lambda writer: writer.redacted_thinking("x"),
    "end_block": lambda writer: writer.end_block(),
    "finish": lambda writer: writer.finish("end_turn", usage=DeltaUsage(output_tokens=1)),
    "fail": lambda writer: writer.fail({"type": "error", "error": {"type": "api_error", "message": "x"}}),
}


@pytest.mark.parametrize("batch", range(20))
def test_no_order_of_calls_makes_an_illegal_stream(batch: int) -> None:
    """2,000 sequences. Law, whole stream, contiguous indices, no blank text, and the fold is what was written."""
    for number in range(100):
        driver = driven(f"{batch}/{number}")
        assert not driver.writer.is_done
        driver.finish()
        assert driver.writer.is_done
        assert check_law(driver.events).is_done

        starts = [event for event in driver.events if isinstance(event, BlockStart)]
        assert [event.index for event in starts] == list(range(len(starts)))
        assert sum(isinstance(event, BlockStop) for event in driver.events) == len(starts)
        assert [type(event) for event in driver.events[-2:]] == [MessageDelta, MessageStop]

        fold = Fold()
        for event in driver.events:
            fold.add(event)
        message = plain(fold.message())
        assert fold.is_complete
        assert message["content"] == driver.blocks
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text")
        assert message["stop_reason"] == "end_turn"
        assert message["usage"] == {"input_tokens": 3, "output_tokens": 7}


def test_a_failed_stream_is_legal_at_any_point_and_ends_in_its_error() -> None:
    """STR-40, STR-42: an error replaces the rest; nothing is closed that never came."""
    for number in range(300):
        driver = driven(f"fails {number}")
        before = len(driver.events)
        driver.fail()
        assert check_law(driver.events).is_done
        assert [type(event) for event in driver.events[before:]] == [ErrorEvent]
        assert driver.writer.is_done


@pytest.mark.parametrize("end", ["finish", "fail"])
@pytest.mark.parametrize("call", CALLS_AFTER_THE_END)
def test_a_call_after_the_end_is_refused(end: str, call: str) -> None:
    for opened in (None, "text", "thinking", "tool_use"):
        writer = new_writer()
        if opened is not None:
            CALLS_AFTER_THE_END[opened](writer)
        CALLS_AFTER_THE_END[end](writer)
        with pytest.raises(WriterClosed):
            CALLS_AFTER_THE_END[call](writer)


def test_what_is_written_survives_the_wire() -> None:
    """Each event, encoded and decoded, is itself; foreign blocks too."""
    for number in range(200):
        driver = driven(f"wire {number}")
        driver.finish()
        decoder = SSEDecoder()
        body = b"".join(encode_event(event) for event in driver.events)
        assert [decode_event(event) for event in decoder.feed(body)] == driver.events
        assert decoder.pending == 0


def test_blocks_open_at_their_first_content_only() -> None:
    writer = new_writer()
    (start,) = writer.text("")
    assert isinstance(start, MessageStart)
    assert writer.text("") == writer.thinking("") == writer.start() == writer.end_block() == []
    assert writer.text("a") == [
        BlockStart(index=0, content_block=Text(text="")),
        BlockDelta(index=0, delta=TextDelta(text="a")),
    ]


def test_a_signature_without_thinking_makes_an_empty_thinking_block() -> None:
    """STR-24: display omitted."""
    assert new_writer().signature("sig")[1:] == [
        BlockStart(index=0, content_block=Thinking(thinking="", signature="")),
        BlockDelta(index=0, delta=SignatureDelta(signature="sig")),
        BlockStop(index=0),
    ]


def test_thinking_that_nobody_signed_gets_one_signature_when_it_closes() -> None:
    """STR-23: exactly one signature_delta, just before the stop."""
    writer = new_writer()
    writer.thinking("hm")
    assert writer.text("a")[:2] == [BlockDelta(index=0, delta=SignatureDelta(signature="")), BlockStop(index=0)]


def test_a_citation_waits_for_its_text() -> None:
    """STR-20; a text block without text could never be sent back (MSG-44)."""
    writer = new_writer()
    assert [type(event) for event in writer.citation(CITATION)] == [MessageStart]
    assert writer.text("a") == [
        BlockStart(index=0, content_block=Text(text="", citations=[])),
        BlockDelta(index=0, delta=CitationsDelta(citation=CITATION)),
        BlockDelta(index=0, delta=TextDelta(text="a")),
    ]
    assert writer.citation(CITATION) == [BlockDelta(index=0, delta=CitationsDelta(citation=CITATION))]


def test_the_start_is_what_the_api_sends() -> None:
    """STR-10, and the names on the wire of every event of a small stream."""
    writer = new_writer()
    events = [*writer.ping(), *writer.text("a"), *writer.finish("max_tokens", usage=DeltaUsage(output_tokens=1))]
    decoded = [json.loads(event.data) for event in SSEDecoder().feed(b"".join(map(encode_event, events)))]
    assert decoded == [
        {
            "type": "message_start",
            "message": {
                "type": "message", "id": "msg_1", "model": "claude-opus-4-8", "role": "assistant", "content": [],
                "stop_reason": None, "stop_sequence": None, "stop_details": None,
                "usage": {"input_tokens": 3, "output_tokens": 1},
            },
        },
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None, "stop_details": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]  # fmt: skip


# ---------------------------------------------------------------- the law itself

START = MessageStart(message=new_writer().start()[0].message)
DELTA = MessageDelta(
    delta=Stop(stop_reason="end_turn", stop_sequence=None, stop_details=None), usage=DeltaUsage(output_tokens=1)
)
ERROR = ErrorEvent(error=ErrorBody(type="api_error", message="x"))
OPEN, SAY, CLOSE = (
    BlockStart(index=0, content_block=Text(text="")),
    BlockDelta(index=0, delta=TextDelta(text="a")),
    BlockStop(index=0),
)
AGAIN = BlockStart(index=1, content_block=Text(text=""))
FOREIGN = Unknown(kind="message_pause")

# What has come -> the events that may come next (STR-10 to 12), written out by hand.
ALLOWED: list[tuple[str, list[Event], list[Event]]] = [
    ("nothing", [], [START, ERROR, Ping(), FOREIGN]),
    ("the start", [START], [OPEN, DELTA, ERROR, Ping(), FOREIGN]),
    ("an open block", [START, OPEN], [SAY, CLOSE, ERROR, Ping(), FOREIGN]),
    ("a delta", [START, OPEN, SAY], [SAY, CLOSE, ERROR, Ping(), FOREIGN]),
    ("a closed block", [START, OPEN, SAY, CLOSE], [AGAIN, DELTA, ERROR, Ping(), FOREIGN]),
    ("a message_delta", [START, DELTA], [DELTA, MessageStop(), ERROR, Ping(), FOREIGN]),
    ("the end", [START, DELTA, MessageStop()], []),
    ("an error", [START, OPEN, ERROR], []),
    ("an error at once", [ERROR], []),
]
ALL: list[Event] = [START, OPEN, AGAIN, SAY, CLOSE, DELTA, MessageStop(), ERROR, Ping(), FOREIGN]


@pytest.mark.parametrize("following", ALL, ids=lambda event: type(event).__name__ + str(getattr(event, "index", "")))
@pytest.mark.parametrize(("before", "allowed"), [row[1:] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_the_law_says_what_may_follow(before: list[Event], allowed: list[Event], following: Event) -> None:
    law = check_law(before)
    if following in allowed:
        law.check(following)
        return
    with pytest.raises(IllegalStream):
        law.check(following)


@pytest.mark.parametrize(
    "event",
    [
        BlockStart(index=1, content_block=Text(text="")),
        BlockStart(index=-1, content_block=Text(text="")),
    ],
)
def test_the_first_block_is_number_0(event: Event) -> None:
    """STR-11."""
    law = check_law([START])
    with pytest.raises(IllegalStream, match="where 0 was due"):
        law.check(event)


@pytest.mark.parametrize("event", [BlockDelta(index=1, delta=TextDelta(text="a")), BlockStop(index=1)])
def test_a_delta_or_stop_is_for_the_open_block(event: Event) -> None:
    law = check_law([START, OPEN])
    with pytest.raises(IllegalStream, match="while 0 is open"):
        law.check(event)


DELTAS = {
    "text_delta": TextDelta(text="a"),
    "citations_delta": CitationsDelta(citation=CITATION),
    "input_json_delta": InputJsonDelta(partial_json=""),
    "thinking_delta": ThinkingDelta(thinking="a"),
    "signature_delta": SignatureDelta(signature="a"),
}
FITTING: dict[str, tuple[Block, set[str]]] = {  # STR-20 to 25
    "text": ({"text": ""}, {"text_delta", "citations_delta"}),
    "tool_use": ({"id": "a", "name": "b", "input": {}}, {"input_json_delta"}),
    "server_tool_use": ({"id": "srvtoolu_a", "name": "b", "input": {}}, {"input_json_delta"}),
    "thinking": ({"thinking": "", "signature": ""}, {"thinking_delta", "signature_delta"}),
    "redacted_thinking": ({"data": ""}, set()),
    "web_search_tool_result": ({"tool_use_id": "srvtoolu_a", "content": []}, set()),
    "web_fetch_tool_result": ({"tool_use_id": "srvtoolu_a", "content": []}, set()),
    "bash_code_execution_tool_result": ({"tool_use_id": "srvtoolu_a", "content": []}, set()),
    "mcp_tool_result": ({"content": []}, set()),
    "container_upload": ({"file_id": "f"}, set()),
    "some_later_block": ({}, set(DELTAS)),
}


def block_start(kind: str) -> BlockStart:
    return read(BlockStart, {"index": 0, "content_block": {"type": kind, **FITTING[kind][0]}})


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("kind", FITTING)
def test_a_delta_must_fit_its_block(kind: str, delta: str) -> None:
    law = check_law([START, block_start(kind)])
    event = BlockDelta(index=0, delta=DELTAS[delta])
    if delta in FITTING[kind][1]:
        law.check(event)
        return
    with pytest.raises(IllegalStream, match="does not fit"):
        law.check(event)


def test_a_delta_that_no_one_knows_fits_any_block() -> None:
    for kind in FITTING:
        check_law([START, block_start(kind), BlockDelta(index=0, delta=Unknown(kind="later_delta"))])


def test_a_thinking_block_ends_in_exactly_one_signature() -> None:
    """STR-23."""
    thought = BlockDelta(index=0, delta=ThinkingDelta(thinking="a"))
    signed = BlockDelta(index=0, delta=SignatureDelta(signature="a"))
    opened: list[Event] = [START, block_start("thinking")]
    assert check_law([*opened, thought, signed, BlockStop(index=0)]).state == "between"
    assert check_law([*opened, signed, BlockStop(index=0)]).state == "between"
    with pytest.raises(IllegalStream, match="without its signature"):
        check_law([*opened, thought, BlockStop(index=0)])
    for after in (signed, thought):
        with pytest.raises(IllegalStream, match="after the signature"):
            check_law([*opened, signed, after])


# ---------------------------------------------------------------- mutations

LETTERS = {
    "message_start": "m",
    "content_block_start": "s",
    "content_block_delta": "d",
    "content_block_stop": "t",
    "message_delta": "e",
    "message_stop": "z",
    "error": "x",
}
ORDER = re.compile(r"x?|m(sd*t)*(sd*)?x?|m(sd*t)*e+[zx]?")  # every front part of a legal stream


def is_legal(events: list[dict[str, Any]]) -> bool:
    """The law once more, as a grammar over plain JSON: an oracle that shares nothing with StreamLaw."""
    last = len(events) - 1
    if any(event["type"] in ("message_stop", "error") for event in events[:last]):
        return False
    known = [event for event in events if event["type"] in LETTERS]
    if not ORDER.fullmatch("".join(LETTERS[event["type"]] for event in known)):
        return False
    index, kind, deltas = -1, "", []
    for event in known:
        match event:
            case {"type": "content_block_start"}:
                index, kind, deltas = index + 1, event["content_block"]["type"], []
            case {"type": "content_block_delta", "delta": {"type": delta}}:
                deltas.append(delta)
                if delta not in FITTING[kind][1]:
                    return False
        if event.get("index", index) != index:
            return False
        is_stop = event["type"] == "content_block_stop"
        if kind == "thinking" and (deltas.count("signature_delta") > 1 or "signature_delta" in deltas[:-1]):
            return False
        if kind == "thinking" and is_stop and deltas[-1:] != ["signature_delta"]:
            return False
    return True


def is_lawful(events: list[dict[str, Any]]) -> bool:
    law = StreamLaw()
    try:
        for event in events:
            law.check(decode_event(ServerEvent(event["type"], json.dumps(event).encode(), 0)))
    except IllegalStream:
        return False
    return True


def mutated(rng: Random, events: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    result = json.loads(json.dumps(events))
    at = rng.randrange(len(result))
    match rng.choice(("drop", "repeat", "swap", "move", "index", "delta", "insert", "cut")):
        case "drop":
            del result[at]
        case "repeat":
            result.insert(at, result[at])
        case "swap":
            to = rng.randrange(len(result))
            result[at], result[to] = result[to], result[at]
        case "move":
            result.insert(rng.randrange(len(result)), result.pop(at))
        case "index":
            for event in [event for event in result if "index" in event][:: rng.randint(1, 3)]:
                event["index"] += rng.choice((-1, 1))
        case "delta":
            for event in [event for event in result if "delta" in event and "index" in event][:1]:
                event["delta"] = plain(DELTAS[rng.choice(list(DELTAS))])
        case "insert":
            error = {"type": "error", "error": {"type": "api_error", "message": "x"}}
            result.insert(at, rng.choice([*other, error, {"type": "ping"}]))
        case "cut":
            result = result[:at]
    return result


def test_the_law_finds_every_mutation_that_makes_a_stream_illegal() -> None:
    rng = Random("mutations")
    verdicts = {True: 0, False: 0}
    for _ in range(250):
        events, other = legal_stream(rng), legal_stream(rng)
        assert is_lawful(events)
        assert is_legal(events)
        for _ in range(8):
            changed = mutated(rng, events, other)
            legal = is_legal(changed)
            assert is_lawful(changed) == legal, [event["type"] for event in changed]
            verdicts[legal] += 1
    assert min(verdicts.values()) > 300  # the mutations are of both kinds


def test_every_proper_front_part_of_a_stream_is_legal_and_not_done() -> None:
    """A stream that was cut breaks no law; it is just not done (STR-42)."""
    rng = Random("front parts")
    for _ in range(30):
        events = [
            decode_event(ServerEvent(event["type"], json.dumps(event).encode(), 0)) for event in legal_stream(rng)
        ]
        law = StreamLaw()
        for event in events:
            assert not law.is_done
            law.check(event)
        assert law.is_done


def test_a_message_of_the_writer_is_a_message_of_the_types() -> None:
    driver = driven("types")
    driver.finish()
    fold = Fold()
    for event in driver.events:
        fold.add(event)
    assert isinstance(fold.message(), Message)


@pytest.mark.parametrize("before", ["", "a", "thinking"])
def test_encoded_texts_are_the_texts_encoded(before: str) -> None:
    """STR-20: line ends, quotes, empty pieces; into an open block or a new one, with a citation that waits or none."""
    rng = Random(before)
    for number in range(200):
        ours, theirs = new_writer(), new_writer()
        for each in (ours, theirs):
            if before == "thinking":
                each.thinking("hm")
            elif before:
                each.text(before)
            if number % 5 == 0:
                each.citation({"type": "char_location"})
        pieces = [rng.choice(["", "a", 'q"\\', "\n\u2028", "ç🤔", "}}\n\nevent: x"]) for _ in range(rng.randint(1, 6))]
        assert ours.encoded_texts(pieces) == encode_events(theirs.texts(pieces))
        assert ours.end_block() == theirs.end_block()


def test_a_message_may_begin_with_a_thought_that_nobody_had() -> None:
    """MSG-58, pain 7: so that a call of another's model is known as that; one that thinks, or hides it, needs none."""

    def kinds(*says: Callable[[BlockWriter], list[Event]]) -> list[str]:
        writer = BlockWriter(
            "msg_1", model="m", usage=Usage(input_tokens=3, output_tokens=1), unsigned="foreign", begins_thinking=True
        )
        events = [event for say in says for event in say(writer)]
        events += writer.finish("end_turn", usage=DeltaUsage(output_tokens=2))
        law, fold = StreamLaw(), Fold()
        for event in events:
            law.check(event)
            fold.add(event)
        blocks = fold.value()["content"]
        assert [block["signature"] for block in blocks if block["type"] == "thinking"] == ["foreign"] * (
            blocks != [] and blocks[0]["type"] == "thinking"
        )
        return [block["type"] for block in blocks]

    assert kinds(lambda w: w.tool_use("toolu_1", "t"), lambda w: w.text("x")) == ["thinking", "tool_use", "text"]
    assert kinds(lambda w: w.text("x"), lambda w: w.tool_use("toolu_1", "t")) == ["thinking", "text", "tool_use"]
    assert kinds(lambda w: w.thinking("hm"), lambda w: w.text("x")) == ["thinking", "text"]
    assert kinds(lambda w: w.redacted_thinking("x"), lambda w: w.text("x")) == ["redacted_thinking", "text"]
    assert kinds() == []
