"""Text and its citations."""

from .making import END, HELLO, Event, block, delta, frame, recording, start, started, stopped, text, text_delta

__all__ = ["CITATIONS", "RECORDINGS"]

CITATIONS: list[Event] = [
    {
        "type": "char_location",
        "cited_text": "The grass is green.",
        "document_index": 0,
        "document_title": "Facts",
        "file_id": None,
        "start_char_index": 0,
        "end_char_index": 20,
    },
    {
        "type": "page_location",
        "cited_text": "Water.",
        "document_index": 1,
        "document_title": None,
        "file_id": "file_01",
        "start_page_number": 1,
        "end_page_number": 2,
    },
    {
        "type": "content_block_location",
        "cited_text": "Wet.",
        "document_index": 2,
        "document_title": "Blocks",
        "file_id": None,
        "start_block_index": 0,
        "end_block_index": 1,
    },
    {
        "type": "web_search_result_location",
        "cited_text": "Sun.",
        "encrypted_index": "Eo8B",
        "title": "Sun",
        "url": "https://example.com/sun",
    },
    {
        "type": "search_result_location",
        "cited_text": "Moon.",
        "search_result_index": 0,
        "source": "kb://moon",
        "title": None,
        "start_block_index": 0,
        "end_block_index": 1,
    },
]
CHARS = CITATIONS[0]
EMPTY = {"type": "text", "text": ""}
CITED = {"citations": [], "type": "text", "text": ""}
STARS = {"type": "star_location", "cited_text": "Sirius", "constellation": "Canis Major"}

ESCAPES = rb"na\u00efve \u65e5\u672c \ud83d\ude00 \"q\" \\ \/ \b\f\n\r\t"


def cite(index: int, citation: Event) -> Event:
    return delta(index, "citations_delta", citation=citation)


def escaped(data: bytes) -> bytes:
    head = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
    return frame(head + data + b'"}}', "content_block_delta")


RECORDINGS = {
    "one block": recording("STR-10..13, 20: as documented", HELLO),
    "many deltas": recording("STR-15", start(), text(0, *[f"word{n} " for n in range(100)]), END),
    "a long delta": recording("STR-15: 60 kB at once", start(), text(0, "0123456789" * 6_000), END),
    "no delta": recording("STR-20", start(), text(0), END),
    "empty deltas": recording("STR-20", start(), text(0, "", "a", "", ""), END),
    "begun in its start": recording("STR-54", start(), block(0, EMPTY | {"text": "Hel"}, text_delta(0, "lo")), END),
    "no blocks": recording("STR-12", start(), END),
    "three blocks": recording("STR-11", start(), text(0, "One"), text(1, "Two ", "and"), text(2), END),
    "interleaved blocks": recording(
        "STR-11 broken: a delta behind the block's stop, and one for a block before the last",
        [start(), started(0, EMPTY), started(1, EMPTY), text_delta(1, "b"), text_delta(0, "a"), stopped(1)],
        [text_delta(1, "B"), stopped(0), END],
    ),
    "content in message_start": recording(
        "STR-10 broken",
        [start(content=[{"type": "text", "text": "Before. "}]), text_delta(0, "After."), stopped(0)],
        [text(1, "Next"), END],
    ),
    "UTF-8": recording(
        "STR-5: characters of two, three and four bytes",
        [start(), text(0, "naïve ", "Ελλάδα ", "日本語 ", "😀👩‍👩‍👧", " e\u0301"), END],
        singly=True,
    ),
    "escapes": recording("STR-5", start(), block(0, EMPTY), escaped(ESCAPES), END),
    "half a surrogate pair": recording(
        "STR-5 broken", start(), started(0, EMPTY), escaped(rb"a\ud83d"), text_delta(0, "b"), stopped(0), END
    ),
    "line separators": recording(
        "STR-5: U+2028, U+2029 and U+0085 end no line",
        [start(), text(0, "a\u2028b", "c\u2029d", "e\u0085f", "\u2028"), END],
    ),
    "like frames": recording(
        "STR-2", start(), text(0, "\n\nevent: error\ndata: {}\n\n", ": x\r\n", "data: [DONE]"), END
    ),
    "control characters": recording("STR-5", start(), text(0, "\x00", "\x1b[0m", "\x7f"), END),
    "JSON": recording("STR-60", start(), text(0, '{"na', 'me": "A', 'da", "n', '": [1, 2', "]}"), END),
    "a citation before its text": recording(
        "section 6, STR-20",
        [start(), block(0, CITED, cite(0, CHARS), text_delta(0, "The grass "), text_delta(0, "is green.")), END],
    ),
    "citations of every kind": recording(
        "STR-20",
        start(),
        block(0, CITED, *[each for citation in CITATIONS for each in (cite(0, citation), text_delta(0, "x"))]),
        END,
    ),
    "citations null or missing": recording(
        "MSG-103",
        start(),
        block(0, EMPTY | {"citations": None}, cite(0, CHARS)),
        block(1, EMPTY, cite(1, CHARS), cite(1, CITATIONS[1])),
        END,
    ),
    "a citation of an unknown kind": recording(
        "STR-50", start(), block(0, CITED, cite(0, STARS), text_delta(0, "x")), END
    ),
}
