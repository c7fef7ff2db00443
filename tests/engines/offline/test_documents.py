"""Documents of a request: PDFs read page by page, text and content sources, their limits."""

import base64
import io
import sys
import zlib
from typing import Any

import pytest
from asking import Json, body, model, outcome, result, says, text
from asking import call as tool_call
from PIL import Image

from dragoman.engines.offline import images, pdf
from dragoman.engines.offline.documents import pdf_files
from dragoman.engines.offline.offloading import Threads
from dragoman.engines.offline.prompt import Prompt, Reading, read_prompt
from dragoman.errors import InvalidRequest
from dragoman.wire.validate import validate_messages

READER = pdf.PdfReader(Threads())
HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-4-7"  # of 200K and 1M tokens
SOURCE = "messages.0.content.0.pdf.source.base64"


def make_pdf(*pages: str | bytes, count: int | None = None, trailer: bytes = b"") -> bytes:
    """A PDF of text pages; a page given as bytes is the object of its content stream."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages) if count is None else count, kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, page in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * at)
        )
        objects.append(page if isinstance(page, bytes) else stream(drawn(page)))
    out, offsets = b"%PDF-1.4\n", []
    for number, value in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (
        size, table, size, trailer, len(out),
    )  # fmt: skip


def drawn(words: str) -> bytes:
    lines = " ".join(f"({line}) Tj T*" for line in words.split("\n"))
    return f"BT /F 12 Tf 72 720 Td 14 TL {lines} ET".encode("latin-1")


def stream(data: bytes, filters: bytes = b"") -> bytes:
    return b"<</Length %d/Filter[%s]>>stream\n%s\nendstream" % (len(data), filters, data)


def pdf_block(data: bytes | str, **fields: Any) -> Json:
    encoded = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": encoded},
        **fields,
    }


def text_block(words: str, **fields: Any) -> Json:
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}, **fields}


def content_block(content: Any, **fields: Any) -> Json:
    return {"type": "document", "source": {"type": "content", "content": content}, **fields}


def png(width: int, height: int) -> Json:
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


async def read(*turns: Json, name: str = HAIKU, reader: pdf.PdfReader = READER, workspace_id: str = "w") -> Prompt:
    known = model(name)
    request = validate_messages(body(model=name, messages=list(turns)), known, version="2023-06-01", betas=())
    files = pdf_files(request.messages)
    pages = await reader.read(list(files.values()), workspace_id=workspace_id, most_pages=known.max_pdf_pages)
    return read_prompt(request, known, Reading(dict(zip(files, pages, strict=True))))


async def refused(*blocks: Json, name: str = HAIKU) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await read(says(*blocks, "What is it?"), name=name)
    return caught.value.message


# What is read.


async def test_a_pdf_is_read_page_by_page() -> None:
    """MSG-72, MSG-97."""
    data = make_pdf("The grass is green.\nThe sky is blue.", "A second page.")
    prompt = await read(says(pdf_block(data, title="Colors", citations={"enabled": True}), "What color is the grass?"))
    assert prompt.passages[0].texts == ("The grass is green.\nThe sky is blue.", "A second page.")
    assert prompt.attachments == [
        'the document "Colors" (a PDF of 2 pages, 51 characters: '
        '"The grass is green.\nThe sky is blue.\nA second page.")'
    ]


async def test_a_page_costs_its_text_and_its_image() -> None:
    """MSG-97, TOK-7, TOK-9: a short PDF and a line came to 2188."""
    words = "\n".join(["The quick brown fox jumps over the lazy dog, and goes on."] * 45)
    one = (await read(says(pdf_block(make_pdf(words)), "Please summarize this document."))).tokens
    two = (await read(says(pdf_block(make_pdf(words, words)), "Please summarize this document."))).tokens
    as_text = (await read(says(text_block(words), "Please summarize this document."))).tokens
    assert one == as_text + pdf.PAGE_IMAGE_TOKENS
    assert 1_500 < two - one < 3_000
    scan = (await read(says(pdf_block(make_pdf("")), "Please summarize this document."))).tokens
    assert scan > pdf.PAGE_IMAGE_TOKENS


async def test_a_pdf_within_a_tool_result_is_read() -> None:
    """MSG-75."""
    turns = [
        says("Look it up."),
        says(tool_call("toolu_1"), role="assistant"),
        says(result("toolu_1", content=[pdf_block(make_pdf("It rains in Lima."))])),
    ]
    assert "It rains in Lima." in (await read(*turns)).results[0].text
    turns[2] = says(result("toolu_1", content=[text("see"), pdf_block(b"no")]))
    with pytest.raises(InvalidRequest) as caught:
        await read(*turns)
    path = "messages.2.content.0.tool_result.content.1.pdf.source.base64.data"
    assert caught.value.message == f"{path}: The PDF specified was not valid."


async def test_a_broken_cross_reference_table_is_no_hindrance() -> None:
    """As in other readers: such files are common."""
    data = make_pdf("Some words.").replace(b"xref\n0", b"xxxx\n0")
    assert "Some words." in (await read(says(pdf_block(data), "What?"))).attachments[0]


def test_text_of_a_pdf_is_cleaned() -> None:
    assert pdf._cleaned("one\r\ntwo\rthree\x00\x07") == "one\ntwo\nthree"
    assert pdf._cleaned("informa\ufffe\r\ntion") == pdf._cleaned("informa\x02\r\ntion") == "information"


async def test_a_page_has_a_most_of_text() -> None:
    """A page is what a reader could see: what lies outside its box is not read, nor more than 100,000 characters."""
    many = stream(b"BT /F 12 Tf 1 0 0 1 72 720 Tm (a) Tj 0 0 Td " + b"1 0 0 1 72 700 Tm (bbbbb) Tj " * 25_000 + b" ET")
    prompt = await read(says(pdf_block(make_pdf(many), citations={"enabled": True}), "What?"))
    assert 0 < len(prompt.passages[0].texts[0] or "") <= 100_000


# What is refused.


@pytest.mark.parametrize("data", ["aGk", "a*Gk", "aGk=\n", "data:application/pdf;base64,aGk="])
async def test_bad_base64_is_refused(data: str) -> None:
    """MSG-97; as of images."""
    assert (await refused(pdf_block(data))).startswith(f"{SOURCE}: invalid base64 data")


async def test_an_empty_pdf_is_refused() -> None:
    assert await refused(pdf_block("")) == f"{SOURCE}: PDF cannot be empty"


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><title>gone</title>",
        b"%PDF-1.4\n",
        make_pdf("one", "two")[:300],
        make_pdf(),
        b"%PDF-1.4\n" + b"<</A" * 100_000,
        b"\x00" * 100_000,
    ],
    ids=["html", "header only", "truncated", "no pages", "deep", "zeros"],
)
async def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    """MSG-97, in the recorded words."""
    assert await refused(pdf_block(data)) == f"{SOURCE}.data: The PDF specified was not valid."


async def test_a_page_that_cannot_be_read_refuses_the_file() -> None:
    assert await refused(pdf_block(make_pdf("one", count=50))) == f"{SOURCE}.data: Could not process PDF"


async def test_a_password_is_refused() -> None:
    """MSG-97: no passwords."""
    locked = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/O(%s)/U(%s)/P -4>>" % (b"o" * 32, b"u" * 32)
    assert await refused(pdf_block(make_pdf("secret", trailer=locked))) == (
        f"{SOURCE}.data: The PDF specified is password protected."
    )


@pytest.mark.parametrize(("name", "most"), [(HAIKU, 100), (OPUS, 600)])
async def test_the_pages_of_a_request_have_a_limit(name: str, most: int) -> None:
    """MSG-97: 600 pages, 100 where the window is smaller; of all its files together, each time that one is there."""
    half = pdf_block(make_pdf(*["a"] * (most // 2)))
    assert len((await read(says(half, half, "What?"), name=name)).attachments) == 2
    message = f"pdf.source.base64.data: A maximum of {most} PDF pages may be provided."
    assert await refused(pdf_block(make_pdf(*["b"] * (most + 1))), name=name) == f"messages.0.content.0.{message}"
    assert await refused(half, half, pdf_block(make_pdf("c")), name=name) == f"messages.0.content.2.{message}"
    assert await refused(*[half] * (most + 1), name=name) == f"messages.0.content.{most}.{message}"


async def test_a_lying_count_of_pages_does_no_harm() -> None:
    assert (await refused(pdf_block(make_pdf("one", count=500)))).endswith(
        "A maximum of 100 PDF pages may be provided."
    )
    assert "of 1 page," in (await read(says(pdf_block(make_pdf("one", count=10**9)), "What?"))).attachments[0]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no limit of a process's memory")
async def test_a_small_file_that_asks_for_gigabytes_ends_only_its_reader() -> None:
    """In the server's own process this file would end the server."""
    bomb = zlib.compress(zlib.compress(b"q " * 10_000_000, 9), 9)
    data = make_pdf(stream(bomb, b"/FlateDecode/FlateDecode"))
    assert len(data) < 2_000
    assert await refused(pdf_block(make_pdf("fine")), pdf_block(data)) == (
        "messages.0.content.1.pdf.source.base64.data: Could not process PDF"
    )
    assert "fine" in (await read(says(pdf_block(make_pdf("fine")), "What?"))).attachments[0]


async def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation sends its files again with every turn."""
    block = pdf_block(make_pdf("read me once"))
    first = await read(says(block, block, "What?"))
    monkeypatch.setattr(pdf, "TIME_LIMIT_S", 0.001)  # so that reading it anew would fail
    assert await read(says(block, block, "What?")) == first


def test_what_was_read_is_kept_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "KEPT_FILES", 3)
    shelf = pdf._Shelf()
    for at in range(10):
        shelf.put("w", bytes([at]), ("text",))
    assert [at for at in range(10) if shelf.get("w", bytes([at]))] == [7, 8, 9]
    monkeypatch.setattr(pdf, "KEPT_CHARACTERS", 10)
    shelf.put("w", b"large", ("123456789",))
    assert shelf.get("w", b"large")
    assert not shelf.get("w", bytes([9]))


async def test_the_reader_of_pdfs_is_in_no_process_of_ours() -> None:
    await read(says(pdf_block(make_pdf("anything at all")), "What?"))
    assert "pypdfium2_raw" not in sys.modules


# Text and content sources.


async def test_text_and_content_documents_are_counted() -> None:
    """MSG-72: a title and a context are part of the prompt."""
    bare = (await read(says(text_block("The sky is blue."), "What?"))).tokens
    assert (
        await read(says(text_block("The sky is blue.", title="Sky", context="From a book."), "What?"))
    ).tokens > bare
    assert (await read(says(content_block("The sky is blue."), "What?"))).tokens == bare
    assert (await read(says(content_block([text("The sky is blue.")]), "What?"))).tokens == bare


async def test_an_image_within_a_document_counts_as_an_image() -> None:
    """MSG-72, MSG-94, MSG-95."""
    alone = (await read(says(png(280, 280), "What?"))).tokens
    assert (await read(says(content_block([png(280, 280)]), "What?"))).tokens == alone
    assert await refused(content_block([png(1, 1)] * 60), content_block([png(1, 1)] * 41)) == (
        "messages: too many images: 101 > 100 maximum"
    )
    broken = png(1, 1) | {"source": png(1, 1)["source"] | {"data": "aGk="}}
    assert await refused(content_block([text("a"), broken])) == (
        "messages.0.content.0.document.source.content.1.image.source.base64.data: Could not process image"
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (text_block("x", title=""), "title: String should have at least 1 character"),
        (text_block("x", title="t" * 501), "title: String should have at most 500 characters"),
        (text_block("x", context=""), "context: String should have at least 1 character"),
    ],
)
def test_title_and_context_have_limits(block: Json, message: str) -> None:
    """MSG-72."""
    assert outcome(HAIKU, messages=[says(block)]) == f"messages.0.content.0.document.{message}"


@pytest.mark.parametrize(
    "block",
    [
        content_block([text("a"), text("")]),
        {"type": "search_result", "source": "s", "title": "t", "content": [text("")]},
    ],
)
def test_texts_within_documents_are_not_empty(block: Json) -> None:
    """MSG-70, MSG-72, MSG-73."""
    assert outcome(HAIKU, messages=[says(block)]) == "messages: text content blocks must be non-empty"


async def test_a_document_may_be_without_text() -> None:
    """The wire's own types set no least length."""
    assert outcome(HAIKU, messages=[says(text_block(""), content_block([]), content_block(""), "What?")]) == ""
    assert len((await read(says(text_block(""), content_block([]), content_block(""), "What?"))).attachments) == 3


def test_a_document_in_an_assistant_turn_is_of_the_older_version() -> None:
    """MSG-3 b."""
    turns = [says("hi"), says("a", text_block("x"), role="assistant"), says("hi")]
    assert outcome(HAIKU, messages=turns) == ""
    assert outcome(HAIKU, "2026-10-21", messages=turns).startswith("messages.1.content.1: `document` blocks in")


# Large images.


def bare_png(width: int, height: int, pixels: bytes, *, interlaced: bool = False) -> bytes:
    """An 8-bit gray PNG, its pixels as they are given."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, interlaced])
    inflated = zlib.compress(pixels)
    half = len(inflated) // 2
    parts = (
        chunk(b"IHDR", header),
        chunk(b"IDAT", inflated[:half]),
        chunk(b"IDAT", inflated[half:]),
        chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("interlaced", [False, True])
def test_missing_pixels_are_found_in_a_very_large_image_too(interlaced: bool) -> None:
    """MSG-91: such an image is not decoded, but its pixels are counted."""
    whole = images._png_pixel_bytes(8000, 2001, 8, is_interlaced=interlaced)
    assert whole > 8000 * 2001 > images._DECODED_PIXELS
    data = bare_png(8000, 2001, bytes(whole), interlaced=interlaced)
    assert images.measure(data, "image/png", field="f").width == 8000
    for pixels in (b"", bytes(whole // 2), bytes(whole - 1)):
        with pytest.raises(InvalidRequest, match=r"^f: Could not process image$"):
            images.measure(bare_png(8000, 2001, pixels, interlaced=interlaced), "image/png", field="f")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (4, 5), (8, 8), (9, 17), (100, 7)])
def test_pixels_are_counted_as_the_decoder_counts_them(width: int, height: int) -> None:
    for interlaced in (False, True):
        whole = images._png_pixel_bytes(width, height, 8, is_interlaced=interlaced)
        picture = Image.open(io.BytesIO(bare_png(width, height, bytes(whole), interlaced=interlaced)))
        picture.load()
        short = Image.open(io.BytesIO(bare_png(width, height, bytes(whole - 1), interlaced=interlaced)))
        with pytest.raises(OSError, match="truncated"):
            short.load()


async def test_an_oversized_image_is_an_error_where_that_is_asked() -> None:
    """MSG-71: in place of being scaled down; named are its size and the largest that fits."""
    large = png(1920, 1080)
    strict = {"transformations": {"oversized_image": "error"}}
    message = await refused(large | strict)
    assert message.startswith("messages.0.content.0.image: ")
    assert "1920x1080" in message
    assert "1456x819" in message
    for lenient in ({}, {"transformations": {}}, {"transformations": {"oversized_image": "downsize"}}):
        assert (await read(says(large | lenient, "What?"))).attachments == ["a 1920x1080 PNG image"]
    assert (await read(says(png(1456, 819) | strict, "What?"))).attachments == ["a 1456x819 PNG image"]
    assert (await read(says(large | strict, "What?"), name=OPUS)).attachments == ["a 1920x1080 PNG image"]
