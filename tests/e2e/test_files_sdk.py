"""The official Python SDK, sync and async, and its Files API: on the offline engine, and with a second dragoman behind.

In front of another dragoman the outer one keeps the files, and the inner one sees their contents only.
"""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from anthropic import BadRequestError, NotFoundError
from anthropic.types import FileNotDownloadableError
from corpus import PNG
from either import Client, connect, entered, listed, settled
from running import Running
from tests.engines.offline.test_documents import make_pdf

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

OPUS = "claude-opus-4-8"
PICTURE = base64.b64decode(PNG["source"]["data"])
PAGES = make_pdf("The harbour opens at dawn.", "The lighthouse was built in 1874.")
WORDS = b"The capital of Peru is Lima. The capital of Chile is Santiago."
BETA = "files-api-2025-04-14"


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


@pytest.fixture(params=["files", "beta.files"])
def files(request: pytest.FixtureRequest, client: Client) -> Any:
    return client.files if request.param == "files" else client.beta.files


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def file_source(made: Any) -> dict[str, Any]:
    return {"type": "file", "file_id": made.id}


def base64_source(media_type: str, data: bytes) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}


async def test_a_file_is_uploaded_looked_at_listed_and_deleted(files: Any) -> None:
    """FIL-1, FIL-3 to 5."""
    made = await settled(files.upload(file=("notes.txt", WORDS, "text/plain"), expires_in_seconds=3600))
    assert made.id.startswith("file_")
    assert (made.type, made.filename, made.mime_type) == ("file", "notes.txt", "text/plain")
    assert (made.size_bytes, made.downloadable) == (len(WORDS), False)
    assert (made.expires_at - made.created_at).total_seconds() == 3600
    assert await settled(files.retrieve_metadata(made.id)) == made
    assert made in (await settled(files.list())).data
    gone = await settled(files.delete(made.id))
    assert (gone.id, gone.type) == (made.id, "file_deleted")
    with pytest.raises(NotFoundError, match=f"File `{made.id}` not found."):
        await settled(files.retrieve_metadata(made.id))
    assert (await settled(files.list(ids=[made.id]))).data == []


@pytest.mark.parametrize("form", ["bytes", "stream", "path", "pair"])
async def test_a_file_may_be_given_in_any_form(client: Client, tmp_path: Path, form: str) -> None:
    """FIL-1: named as the SDK names it; what it is shows in its bytes, where nobody says."""
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    given: dict[str, Any] = {"bytes": PICTURE, "stream": io.BytesIO(PICTURE), "path": path, "pair": ("x.bin", PICTURE)}
    made = await settled(client.files.upload(file=given[form]))
    assert (made.mime_type, made.size_bytes) == ("image/png", len(PICTURE))
    assert made.filename
    assert form != "path" or made.filename == "picture.png"


async def test_all_pages_are_walked(files: Any) -> None:
    """FIL-3."""
    made = {(await settled(files.upload(file=(f"{number}.txt", b"x")))).id for number in range(3)}
    page = await settled(files.list(limit=2))
    assert len(page.data) == 2
    assert page.has_next_page()
    every = [each.id for each in await listed(page)]
    assert made <= set(every)
    assert len(every) == len(set(every))
    chosen = await settled(files.list(ids=sorted(made)))
    assert {each.id for each in chosen.data} == made
    assert not chosen.has_next_page()


async def test_an_uploaded_file_is_not_downloaded(files: Any) -> None:
    """FIL-4, ERR-30: the SDK has a type for it."""
    made = await settled(files.upload(file=("notes.txt", WORDS)))
    with pytest.raises(FileNotDownloadableError):
        await settled(files.download(made.id))


async def test_a_wrong_upload_is_a_bad_request(client: Client) -> None:
    """FIL-1, FIL-2."""
    with pytest.raises(BadRequestError, match="filename"):
        await settled(client.files.upload(file=("what?.txt", WORDS)))
    with pytest.raises(BadRequestError, match="expires_in_seconds"):
        await settled(client.files.upload(file=("a.txt", WORDS), expires_in_seconds=60))


async def test_a_file_is_the_same_as_its_contents(client: Client) -> None:
    """FIL-6, MSG-71, MSG-72: what is said of them, and their tokens."""
    upload = client.files.upload
    picture = await settled(upload(file=("a.png", PICTURE, "image/png")))
    pages = await settled(upload(file=("a.pdf", PAGES, "application/pdf")))
    words = await settled(upload(file=("a.txt", WORDS, "text/plain")))
    question = {"type": "text", "text": "What is all this?"}
    by_id = user(
        {"type": "image", "source": file_source(picture)},
        {"type": "document", "source": file_source(pages), "title": "Harbour"},
        {"type": "document", "source": file_source(words)},
        question,
    )
    inline = user(
        {"type": "image", "source": base64_source("image/png", PICTURE)},
        {"type": "document", "source": base64_source("application/pdf", PAGES), "title": "Harbour"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": WORDS.decode()}},
        question,
    )
    answers = [
        await settled(client.messages.create(model=OPUS, max_tokens=500, messages=[message]))
        for message in (by_id, inline)
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].usage == answers[1].usage
    counted = await settled(client.messages.count_tokens(model=OPUS, messages=[by_id]))
    assert counted.input_tokens == answers[0].usage.input_tokens


@pytest.mark.parametrize("kind", ["text", "pdf"])
async def test_a_citation_says_which_file(client: Client, server: Running, offline: Running, kind: str) -> None:
    """FIL-6, MSG-99: the file is known where it is kept; an upstream cites what it was sent."""
    name, data, question = {
        "text": ("a.txt", WORDS, "What is the capital of Chile?"),
        "pdf": ("a.pdf", PAGES, "When was the lighthouse built?"),
    }[kind]
    made = await settled(client.beta.files.upload(file=(name, data), betas=[BETA]))
    document = {"type": "document", "source": file_source(made), "citations": {"enabled": True}}
    message = await settled(
        client.beta.messages.create(
            model=OPUS,
            max_tokens=500,
            messages=[user(document, {"type": "text", "text": question})],
            betas=[BETA],
        )
    )
    (citation,) = [each for block in message.content for each in block.citations or ()]
    assert citation.cited_text.strip() in (WORDS + b"The lighthouse was built in 1874.").decode()
    assert citation.type == ("char_location" if kind == "text" else "page_location")
    assert citation.file_id == (made.id if server is offline else None)


async def test_a_tool_may_answer_with_a_file(client: Client) -> None:
    """FIL-6, MSG-71: in a stream too."""
    made = await settled(client.files.upload(file=("a.png", PICTURE, "image/png")))
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "image", "source": file_source(made)}],
    }
    asked: dict[str, Any] = {
        "model": OPUS,
        "max_tokens": 500,
        "messages": [user({"type": "text", "text": "Look!"}), {"role": "assistant", "content": [use]}, user(result)],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    }
    async with entered(client.messages.stream(**asked)) as stream:
        message = await settled(stream.get_final_message())
    assert "30x20" in message.content[0].text.replace(" ", "")


async def test_a_file_that_does_not_fit_or_is_not_there(client: Client) -> None:
    """FIL-6."""
    made = await settled(client.files.upload(file=("a.txt", WORDS, "text/plain")))

    async def ask(block: dict[str, Any]) -> None:
        await settled(client.messages.create(model=OPUS, max_tokens=50, messages=[user(block)]))

    with pytest.raises(BadRequestError, match=r"^Error code: 400 .*text/plain"):
        await ask({"type": "image", "source": file_source(made)})
    await settled(client.files.delete(made.id))
    with pytest.raises(NotFoundError, match=f"File `{made.id}` not found."):
        await ask({"type": "document", "source": file_source(made)})
