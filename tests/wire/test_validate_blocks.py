"""Content blocks and cache breakpoints: spec MSG-70 to 79, MSG-90, CCH-1 to 13."""

import pytest
from asking import (
    DOCUMENT,
    EPHEMERAL,
    HI,
    PNG,
    TOOL,
    Row,
    assistant,
    call,
    counted,
    marked,
    messages,
    must_refuse,
    must_refuse_to_count,
    name_of,
    result,
    says,
    text,
    tools,
)

BLOCKS = [
    Row("MSG-70", "messages.0.content.0.text.text: Field required", messages(says({"type": "text"}))),
    Row("MSG-70", "messages.0.content.0.text.foo: Extra inputs are not permitted", messages(says(text("a", foo=1)))),
    Row(
        "MSG-70",
        "messages.0.content.1.text.text: Input should be a valid string",
        messages(says("a", {"type": "text", "text": 5})),
    ),
    Row("MSG-71", "messages.0.content.0.image.source: Field required", messages(says({"type": "image"}))),
    Row(
        "MSG-71",
        "messages.0.content.0.image.source: Input tag 'path' found using 'type' does not match any of the expected "
        "tags: 'base64', 'file', 'url'",
        messages(says({"type": "image", "source": {"type": "path"}})),
    ),
    Row(
        "MSG-71",
        "messages.0.content.0.image.source.url.url: Field required",
        messages(says({"type": "image", "source": {"type": "url"}})),
    ),
    Row(
        "MSG-71",
        "messages.0.content.0.image.transformations.oversized_image: Input should be 'downsize' or 'error'",
        messages(says(PNG | {"transformations": {"oversized_image": "crop"}})),
    ),
    Row(
        "MSG-90",
        "messages.0.content.0.image.source.base64.media_type: "
        "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        messages(says({"type": "image", "source": PNG["source"] | {"media_type": "image/svg+xml"}})),
    ),
    Row(
        "MSG-90",
        "messages.2.content.0.tool_result.content.0.image.source.base64.media_type: "
        "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        messages(
            HI,
            assistant(call("a")),
            says(result("a", content=[{"type": "image", "source": PNG["source"] | {"media_type": "image/bmp"}}])),
        ),
    ),
    Row(
        "MSG-72",
        "messages.0.content.0.document.source.base64.media_type: Input should be 'application/pdf'",
        messages(says({"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": ""}})),
    ),
    Row(
        "MSG-72",
        "messages.0.content.0.document.source.content.content.0: Input tag 'document' found using 'type' does not "
        "match any of the expected tags: 'image', 'text'",
        messages(says({"type": "document", "source": {"type": "content", "content": [DOCUMENT]}})),
    ),
    Row(
        "MSG-73",
        "messages.0.content.0.search_result.content: List should have at least 1 item after validation, not 0",
        messages(says({"type": "search_result", "source": "s", "title": "t", "content": []})),
    ),
    Row(
        "MSG-74",
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        messages(HI, assistant(call("toolu 1"))),
    ),
    Row(
        "MSG-74",
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        messages(HI, assistant(call("toolu_1\n"))),
    ),
    Row(
        "MSG-74",
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        messages(HI, assistant(call("a", input="{}"))),
    ),
    Row("MSG-74", "messages.1.content.0.tool_use.name: …", messages(HI, assistant(call("a", name="")))),
    Row(
        "MSG-75",
        "messages.0.content.0.tool_result.tool_use_id: Field required",
        messages(says({"type": "tool_result"})),
    ),
    Row(
        "MSG-75",
        "messages.2.content.0.tool_result.is_error: Input should be a valid boolean",
        messages(HI, assistant(call("a")), says(result("a", is_error="no"))),
    ),
    Row(
        "MSG-75",
        "messages.2.content.0.tool_result.content.0: Input tag 'tool_use' found using 'type' does not match any of the "
        "expected tags: 'browser_state', 'document', 'image', 'search_result', 'text', 'tool_reference'",
        messages(HI, assistant(call("a")), says(result("a", content=[call("b")]))),
    ),
    *(
        Row(
            "MSG-76, CCH-3",
            f"messages.1.content.0.{block['type']}.cache_control: Extra inputs are not permitted",
            messages(HI, assistant(block | {"cache_control": EPHEMERAL}, "a"), HI),
        )
        for block in (
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
        )
    ),
    Row(
        "MSG-76",
        "messages.1.content.0.thinking.signature: Field required",
        messages(HI, assistant({"type": "thinking", "thinking": "t"}, "a"), HI),
    ),
    Row(
        "MSG-78",
        "messages.1.content.0.server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'",
        messages(HI, assistant({"type": "server_tool_use", "id": "toolu_1", "name": "web_search", "input": {}}), HI),
    ),
    Row(
        "MSG-79",
        "messages.0.content.0.container_upload.file_id: Field required",
        messages(says({"type": "container_upload"})),
    ),
]


CACHING = [
    Row(
        "CCH-1",
        "messages.0.content.0.text.cache_control.type: Input should be 'ephemeral'",
        messages(says(text("a", cache_control={"type": "persistent"}))),
    ),
    Row("CCH-1", "system.0.cache_control.type: Field required", {"system": [text("a", cache_control={})]}),
    Row("CCH-1", "system.0.cache_control: Input should be an object", {"system": [text("a", cache_control=True)]}),
    Row(
        "CCH-1",
        "tools.0.custom.cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
        tools(TOOL | {"cache_control": EPHEMERAL | {"ttl": "1d"}}),
    ),
    Row(
        "CCH-1",
        "system.0.cache_control.ephemeral.scope: Extra inputs are not permitted",
        {"system": [text("a", cache_control=EPHEMERAL | {"scope": "global"})]},
    ),
    Row("CCH-1, MSG-19", "cache_control.type: Input should be 'ephemeral'", {"cache_control": {"type": "x"}}),
    Row(
        "CCH-3",
        "system.0: cache_control cannot be set for empty text blocks",
        {"system": [text("", cache_control=EPHEMERAL)]},
    ),
    Row(
        "CCH-3",
        "messages.0.content.1.text: cache_control cannot be set for empty text blocks",
        messages(says("a", text("", cache_control=EPHEMERAL))),
    ),
    Row(
        "CCH-4",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        messages(marked(5)),
    ),
    Row(
        "CCH-4",
        "A maximum of 4 blocks with cache_control may be provided. Found 6.",
        tools(TOOL | {"cache_control": EPHEMERAL}, system=[text("s", cache_control=EPHEMERAL)])
        | messages(marked(3), assistant(call("a", cache_control=EPHEMERAL)), says(result("a"))),
    ),
    *(
        Row(
            "CCH-5",
            f"{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
            "block. Note that blocks are processed in the following order: …",
            fields,
        )
        for path, fields in (
            ("messages.0.content.0", {"system": [text("s", cache_control=EPHEMERAL)]} | messages(marked(1, ttl="1h"))),
            (
                "system.0",
                tools(
                    TOOL | {"cache_control": EPHEMERAL | {"ttl": "5m"}},
                    system=[text("s", cache_control=EPHEMERAL | {"ttl": "1h"})],
                ),
            ),
            ("messages.1.content.0", messages(marked(1), marked(1, ttl="1h"))),
        )
    ),
    Row(
        "CCH-5",
        "cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. …",
        {"cache_control": EPHEMERAL | {"ttl": "1h"}} | messages(marked(1), HI),
    ),
    Row(
        "CCH-11",
        "cache_control.ttl: …",
        {"cache_control": EPHEMERAL | {"ttl": "1h"}} | messages(marked(1)),
    ),
    Row(
        "CCH-12",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        {"cache_control": EPHEMERAL} | messages(marked(4), HI),
    ),
]


ROWS = [*BLOCKS, *CACHING]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_wrong_block_is_refused_in_the_words_of_the_api(row: Row) -> None:
    must_refuse(row)


@pytest.mark.parametrize("row", counted(ROWS), ids=name_of)
def test_a_wrong_block_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3, CCH-6."""
    must_refuse_to_count(row)
