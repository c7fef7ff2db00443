"""Citations of the offline engine, and the rules of those that come back."""

import itertools
import time
from typing import Any

import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types import TextBlock
from asking import Json, body, model, outcome, result, says, text
from asking import call as tool_call
from hypothesis import given
from hypothesis import strategies as st

from dragoman.engines.offline.citations import MOST_CITED, _sentences, cite
from dragoman.engines.offline.documents import Passages
from dragoman.engines.offline.prompt import Prompt, read_prompt
from dragoman.engines.offline.reply import Say
from dragoman.wire.validate import validate_messages

HAIKU = "claude-haiku-4-5"
ON: Json = {"citations": {"enabled": True}}
OFF: Json = {"citations": {"enabled": False}}
FORMAT: Json = {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
GRASS = "The grass is green. The sky is blue."
QUESTION = "What color is the grass and sky?"

CHAR = {
    "type": "char_location", "cited_text": "The grass is green. ", "document_index": 0, "document_title": None,
    "start_char_index": 0, "end_char_index": 20, "file_id": None,
}  # fmt: skip
PAGE = {
    "type": "page_location", "cited_text": "Rain.", "document_index": 0, "document_title": "Weather",
    "start_page_number": 2, "end_page_number": 3, "file_id": None,
}  # fmt: skip
BLOCK = {
    "type": "content_block_location", "cited_text": "Rain.", "document_index": 1, "document_title": None,
    "start_block_index": 0, "end_block_index": 1, "file_id": None,
}  # fmt: skip
SEARCH = {
    "type": "search_result_location", "cited_text": "Rain.", "source": "https://a.example", "title": "A",
    "search_result_index": 0, "start_block_index": 0, "end_block_index": 1,
}  # fmt: skip
WEB = {
    "type": "web_search_result_location", "cited_text": "Rain.", "url": "https://a.example", "title": None,
    "encrypted_index": "Eo8B",
}  # fmt: skip


def document(words: str, **fields: Any) -> Json:
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}, **ON, **fields}


def custom(*blocks: Json, **fields: Any) -> Json:
    return {"type": "document", "source": {"type": "content", "content": list(blocks)}, **ON, **fields}


def found(*texts: str, source: str = "https://a.example", title: str = "A", **fields: Any) -> Json:
    content = [text(words) for words in texts]
    return {"type": "search_result", "source": source, "title": title, "content": content, **ON, **fields}


def read(*turns: Json) -> Prompt:
    known = model(HAIKU)
    request = validate_messages(body(model=HAIKU, messages=list(turns)), known, version="2023-06-01", betas=())
    return read_prompt(request, known)


def said(*turns: Json) -> tuple[Say, ...]:
    prompt = read(*turns)
    answer = cite(prompt.passages, prompt.question)
    assert answer is not None
    return answer


def cited(*turns: Json) -> list[Json]:
    return [citation for part in said(*turns) for citation in part.citations]


def passages(*texts: str | None, kind: Any = "char_location") -> Passages:
    return Passages(kind=kind, index=0, title=None, texts=texts)


# The answer.


def test_plain_text_is_cited_by_its_sentences() -> None:
    """MSG-99: indices of characters from 0, the end exclusive; as recorded from the API for this very document."""
    answer = said(says(document(GRASS, title="Colors"), QUESTION))
    assert [(part.text, bool(part.citations)) for part in answer[1:]] == [
        ("The grass is green", True),
        ("; ", False),
        ("The sky is blue", True),
        (".", False),
    ]
    first, second = (part.citations[0] for part in answer if part.citations)
    assert first == CHAR | {"document_title": "Colors"}
    assert list(first) == list(CHAR)
    assert second == first | {"cited_text": "The sky is blue.", "start_char_index": 20, "end_char_index": 36}


def test_pages_are_cited_by_number() -> None:
    """MSG-99: page numbers from 1, the end exclusive."""
    pages = Passages(
        kind="page_location", index=2, title="Guide", texts=("About trees.", "", "Roots drink.\nRain feeds the roots. ")
    )
    answer = cite([pages], "What feeds them?")
    assert answer is not None
    assert answer[1].citations == (
        {
            "type": "page_location",
            "cited_text": "Roots drink.\n",
            "document_index": 2,
            "document_title": "Guide",
            "start_page_number": 3,
            "end_page_number": 4,
            "file_id": None,
        }
        | {"cited_text": "Rain feeds the roots. "},
    )
    assert list(answer[1].citations[0]) == list(PAGE)


def test_custom_content_is_cited_by_whole_blocks() -> None:
    """MSG-99: what is cited is never less than a block; images count as blocks and cannot be cited."""
    blocks = [text("Trees grow."), text("Rain falls. Snow falls too."), text("Sun shines.")]
    assert cited(says(custom(*blocks), "Tell me of snow")) == [
        BLOCK
        | {
            "cited_text": "Rain falls. Snow falls too.",
            "document_index": 0,
            "start_block_index": 1,
            "end_block_index": 2,
        }
    ]
    answer = cite([passages(None, "Snow.", kind="content_block_location")], "snow")
    assert answer is not None
    assert answer[1].citations[0]["start_block_index"] == 1
    one = {"type": "document", "source": {"type": "content", "content": "Only snow."}, **ON}
    assert cited(says(one, "snow?"))[0]["cited_text"] == "Only snow."


def test_search_results_are_cited_with_their_source() -> None:
    """MSG-73, MSG-99."""
    results = [found("Trees."), found("Sun.", "Snow falls. In winter.", source="doc-7", title="Snow")]
    citation = cited(says(*results, "When does snow fall?"))[0]
    assert citation == {
        "type": "search_result_location",
        "cited_text": "Snow falls. In winter.",
        "source": "doc-7",
        "title": "Snow",
        "search_result_index": 1,
        "start_block_index": 1,
        "end_block_index": 2,
    }
    assert list(citation) == list(SEARCH)


def test_all_documents_of_the_request_are_counted() -> None:
    """MSG-99: from 0, also those of earlier turns and in tool results; search results count on their own."""
    turns = [
        says(document("Nothing here."), "hi"),
        says(tool_call("toolu_1"), role="assistant"),
        says(
            result("toolu_1", content=[found("Nor here."), document("Nor here."), found("A zebra runs.")]),
            document("A zebra sleeps."),
            "What about the zebra?",
        ),
    ]
    citations = cited(*turns)
    assert [citation.get("search_result_index") for citation in citations] == [1, None]
    assert [citation.get("document_index") for citation in citations] == [None, 2]


def test_in_a_tool_loop_the_question_is_that_of_its_turn() -> None:
    """A program that searches through a tool sends results and no word beside them (MSG-75)."""
    turns = [
        says("Where do zebras sleep?"),
        says(tool_call("toolu_1"), role="assistant"),
        says(result("toolu_1", content=[found("Lions roar."), found("Zebras sleep standing.")])),
    ]
    assert [citation["cited_text"] for citation in cited(*turns)] == ["Zebras sleep standing."]


def test_what_fits_best_is_cited_and_no_more_than_a_few() -> None:
    filler = [f"Sentence {at} tells of the river." for at in range(50)]
    filler[30] = "The heron nests by the river."
    assert [c["cited_text"].strip() for c in cited(says(document(" ".join(filler)), "Where does the heron nest?"))] == [
        "The heron nests by the river."
    ]
    many = cited(says(document(" ".join(filler)), "Tell me about that river"))
    assert len(many) == MOST_CITED
    starts = [citation["start_char_index"] for citation in many]
    assert starts == sorted(starts)


def test_where_nothing_fits_the_first_passages_are_cited() -> None:
    """Never nothing where citations are enabled and there is text."""
    citations = cited(says(document("One. Two."), document("Three."), document("Four."), "Summarize the documents."))
    assert [citation["cited_text"] for citation in citations] == ["One. ", "Three."]


def test_without_a_text_or_without_citations_nothing_is_cited() -> None:
    assert cite(read(says(document(" \n "), custom(), QUESTION)).passages, QUESTION) is None
    assert read(says(document(GRASS, **OFF), QUESTION)).passages == ()
    assert read(says({**document(GRASS), "citations": {}}, QUESTION)).passages == ()


def test_a_long_passage_is_cited_whole_and_quoted_short() -> None:
    long = "zebra " * 500
    answer = said(says(custom(text(long)), "zebra"))
    assert answer[1].citations[0]["cited_text"] == long
    assert len(answer[1].text) < 310


@given(st.text(alphabet=st.sampled_from("ab .!?…。\"') \n\t\r\u2028é"), max_size=60) | st.text(max_size=3000))
def test_sentences_are_the_text_without_its_blank_parts(words: str) -> None:
    """MSG-99: what is cited is what stands between its indices, so pieces never overlap, and lose no word."""
    pieces = list(_sentences(words))
    ends = [0, *itertools.chain.from_iterable(pieces), len(words)]
    assert ends == sorted(ends)
    assert all(not words[end:start].strip() for end, start in zip(ends[::2], ends[1::2], strict=True))
    assert all(words[start:end].strip() for start, end in pieces)


def test_sentences_end_where_readers_see_it() -> None:
    words = 'He said "Go!" Then he left, e.g. home.  Done\n\nNext part 3.5 here。そう。'
    assert [words[start:end] for start, end in _sentences(words)] == [
        'He said "Go!" ',
        "Then he left, e.g. home.  ",
        "Done\n\n",
        "Next part 3.5 here。",
        "そう。",
    ]


@pytest.mark.parametrize("piece", [".", "\n", " ", ". ", "a", ".\n\n", "。", '."', "\n \n ", "a " * 50, "é\t"])
def test_no_document_takes_long(piece: str) -> None:
    """A body may be 32 MB: only so much of it is searched, in linear time."""
    began = time.process_time()  # of other processes there may be many
    cite([passages(piece * (10_000_000 // len(piece)))], "a " * 5_000_000)
    cite([passages(*[piece] * 300_000, kind="content_block_location")], "a")
    cite([passages(piece)] * 300_000, "a")
    assert time.process_time() - began < 5


def test_the_official_sdk_reads_what_is_cited() -> None:
    """MSG-99, STR-20: and what it reads may come back in the history."""
    blocks = [document(GRASS), custom(text("Trees grow.")), found("Fish swim.")]
    answer = said(says(*blocks, "grass, trees, fish"))
    content = [{"type": "text", "text": part.text, "citations": list(part.citations) or None} for part in answer]
    message = SdkMessage.model_validate(
        {"id": "msg_1", "type": "message", "role": "assistant", "model": HAIKU, "content": content}
        | {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    )
    back = [block.to_dict(mode="json") for block in message.content if isinstance(block, TextBlock)]
    assert {c["type"] for block in back for c in block["citations"] or ()} == {
        "char_location",
        "content_block_location",
        "search_result_location",
    }
    history = [says(*blocks, QUESTION), {"role": "assistant", "content": back}, says("Go on.")]
    for version in ("2023-06-01", "2026-10-21"):
        assert outcome(HAIKU, version, messages=history) == ""


# Rules.


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("citation", [CHAR, PAGE, BLOCK, SEARCH, WEB], ids=lambda citation: citation["type"])
def test_every_kind_of_citation_may_come_back(citation: Json, version: str) -> None:
    """MSG-70, MSG-99: with what a newer server added to it, too."""
    for sent in (citation, citation | {"added_later": 1}, {k: v for k, v in citation.items() if k != "file_id"}):
        history = [says("hi"), says(text("a", citations=[sent, sent]), role="assistant"), says("go on")]
        assert outcome(HAIKU, version, messages=history) == ""


@pytest.mark.parametrize(
    ("citation", "message"),
    [
        (
            {"type": "elsewhere"},
            "0: Input tag 'elsewhere' found using 'type' does not match any of the expected tags: ",
        ),
        ({}, "0.type: Field required"),
        ({"type": ["a"]}, "0.type: Input should be a valid string"),
        ({k: v for k, v in CHAR.items() if k != "cited_text"}, "0.char_location.cited_text: Field required"),
        (
            CHAR | {"start_char_index": -1},
            "0.char_location.start_char_index: Input should be greater than or equal to 0",
        ),
        (CHAR | {"end_char_index": "20"}, "0.char_location.end_char_index: Input should be a valid integer"),
        (PAGE | {"start_page_number": 0}, "0.page_location.start_page_number: Input should be greater than or equal"),
        (WEB | {"url": None}, "0.web_search_result_location.url: Input should be a valid string"),
    ],
)
def test_a_citation_has_its_shape(citation: Json, message: str) -> None:
    """MSG-34, MSG-99."""
    history = [says("hi"), says("a", text("b", citations=[citation]), role="assistant"), says("go on")]
    assert outcome(HAIKU, messages=history).startswith(f"messages.1.content.1.text.citations.{message}")


def test_a_citation_of_the_system_prompt_has_its_shape_too() -> None:
    assert outcome(HAIKU, system=[text("a", citations=[CHAR])]) == ""
    assert outcome(HAIKU, system=[text("a", citations=[{"type": "x"}])]).startswith("system.0.text.citations.0: ")


def test_a_user_cites_in_the_older_version_only() -> None:
    """MSG-3 c."""
    turns = [says(text("a", citations=[CHAR]))]
    assert outcome(HAIKU, messages=turns) == ""
    assert "`citations` in `user` messages are not supported" in outcome(HAIKU, "2026-10-21", messages=turns)


def test_citations_are_on_for_all_documents_or_for_none() -> None:
    """MSG-98; search results are a group of their own."""
    on, off = document("a"), document("a", **OFF)
    bare = {key: value for key, value in on.items() if key != "citations"}
    message = "messages: citations must be enabled on all or none of the {} in the request"
    for other in (off, bare):
        assert outcome(HAIKU, messages=[says(on, other)]) == message.format("documents")
        assert outcome(HAIKU, messages=[says(on), says("ok", role="assistant"), says(other)]) == message.format(
            "documents"
        )
    assert outcome(HAIKU, messages=[says(off, bare)]) == ""
    assert outcome(HAIKU, messages=[says(found("a"), found("b", **OFF))]) == message.format("search results")
    assert outcome(HAIKU, messages=[says(on, found("b", **OFF))]) == ""
    within = [says("hi"), says(tool_call("toolu_1"), role="assistant"), says(result("toolu_1", content=[on]), off)]
    assert outcome(HAIKU, messages=within) == message.format("documents")


@pytest.mark.parametrize("block", [document("a"), found("a")], ids=["document", "search result"])
def test_citations_and_a_format_exclude_each_other(block: Json) -> None:
    """MSG-98: also with the format's old name."""
    beta = ("structured-outputs-2025-11-13",)
    message = "output_config.format: cannot be combined with citations"
    assert outcome(HAIKU, messages=[says(block)], output_config={"format": FORMAT}) == message
    assert outcome(HAIKU, betas=beta, messages=[says(block)], output_format=FORMAT) == message
    assert outcome(HAIKU, messages=[says(block | OFF)], output_config={"format": FORMAT}) == ""
