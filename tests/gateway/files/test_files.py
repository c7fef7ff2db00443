"""Files in the gateway: what they are called and what they are, how long they stay, and how they get into requests."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dragoman.errors import ApiError, InvalidRequest, NotFound, RequestTooLarge
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.files.files import Files
from dragoman.gateway.files.types import HEAD_BYTES, check_filename, mime_type
from dragoman.providers.base import Operation
from dragoman.store.files import FileFolder
from dragoman.store.sql import SQLStore
from dragoman.wire.codec import plain, read
from dragoman.wire.headers import Headers
from dragoman.wire.types import CountTokensRequest

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OURS, THEIRS = "wrkspc_ours", "wrkspc_theirs"
PNG = b"\x89PNG\r\n\x1a\n" + b"rest of it"
KILOBYTE = 1024


class House:
    """Files over a real store, with a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.seconds = 0.0
        self.store = SQLStore("sqlite://")
        self.folder = folder / "files"
        self._count = 0
        self.files = self.made()

    def made(self) -> Files:
        return Files(
            self.store.files,
            FileFolder(self.folder),
            new_id=self._new_id,
            clock=lambda: self.seconds,
            now=lambda: self.now,
            limit_bytes=100 * KILOBYTE,
            inline_limit_bytes=50 * KILOBYTE,
        )

    def _new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"

    async def upload(
        self,
        data: bytes,
        filename: str | None = "a.txt",
        content_type: str | None = "text/plain",
        *,
        workspace: str = OURS,
        expires_in_s: int | None = None,
    ) -> dict[str, Any]:
        upload = await self.files.begin(workspace)
        try:
            await upload.write(data)
            return await self.files.keep(
                upload, filename=filename, content_type=content_type, expires_in_s=expires_in_s
            )
        finally:
            await upload.discard()

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    @property
    def on_disk(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.store.open()
    yield house
    await house.files.aclose()
    await house.store.close()


# -- uploads ----------------------------------------------------------------------------------------------------------


async def test_metadata_has_the_documented_fields(house: House) -> None:
    """FIL-1."""
    assert await house.upload(b"hello", expires_in_s=3600) == {
        "type": "file",
        "id": "file_1",
        "filename": "a.txt",
        "mime_type": "text/plain",
        "size_bytes": 5,
        "created_at": NOON,
        "downloadable": False,
        "expires_at": NOON + timedelta(hours=1),
    }
    assert (await house.upload(b""))["expires_at"] is None
    assert house.on_disk == {"file_1", "file_2"}


@pytest.mark.parametrize("seconds", [3599, 7_776_001, 0, -1])
async def test_a_file_expires_within_an_hour_to_ninety_days(house: House, seconds: int) -> None:
    """FIL-1."""
    assert await house.upload(b"x", expires_in_s=3600)
    assert await house.upload(b"x", expires_in_s=7_776_000)
    with pytest.raises(InvalidRequest, match=r"^expires_in_seconds: Input should be "):
        await house.upload(b"x", expires_in_s=seconds)
    assert house.on_disk == {"file_1", "file_2"}


@pytest.mark.parametrize("name", ["x" * 255, "Zoë ☂ (1).txt", "..", "a'b;c%22.txt"])
def test_a_filename_stays_as_it_is(name: str) -> None:
    """FIL-2."""
    assert check_filename(name, "text/plain") == name


@pytest.mark.parametrize("name", ["x" * 256, *(f"a{c}b" for c in '<>:"\\|?*\x00\n\x1f')])
def test_a_filename_that_may_not_be_is_refused(name: str) -> None:
    """FIL-2."""
    with pytest.raises(InvalidRequest, match=r"^file: filename: "):
        check_filename(name, "text/plain")


@pytest.mark.parametrize(
    ("given", "mime", "kept"),
    [
        (None, "application/pdf", "unnamed.pdf"),
        ("", "image/png", "unnamed.png"),
        ("folder/", "application/x-thing", "unnamed"),
        ("/home/me/notes.txt", "text/plain", "notes.txt"),
    ],
)
def test_only_the_last_part_of_a_path_is_kept(given: str | None, mime: str, kept: str) -> None:
    """FIL-2."""
    assert check_filename(given, mime) == kept


@pytest.mark.parametrize(
    ("told", "head", "name", "mime"),
    [
        ("Text/CSV; charset=utf-8", b"a,b", "x.bin", "text/csv"),
        ("image/jpg", b"\xff\xd8\xff\xe0", "x.jpg", "image/jpeg"),
        ("application/octet-stream", b"%PDF-1.7\n", "x", "application/pdf"),
        (None, b"\xff\xd8\xff\xe0", "x.png", "image/jpeg"),
        (None, b"GIF89a", None, "image/gif"),
        ("nonsense", b"RIFF\0\0\0\0WEBPVP8 ", None, "image/webp"),
        (None, b"{}", "data.JSON", "application/json"),
        (None, "grüße\n".encode(), "LICENSE", "text/plain"),
        (None, b"x" * (HEAD_BYTES - 1) + "ü".encode()[:1], None, "text/plain"),
        (None, b"\x00\x01\x02", "x", "application/octet-stream"),
        (None, b"\xff\xfe", None, "application/octet-stream"),
        (None, b"", None, "application/octet-stream"),
    ],
)
def test_the_type_is_told_or_seen(told: str | None, head: bytes, name: str | None, mime: str) -> None:
    """FIL-1."""
    assert mime_type(told, head=head, filename=name) == mime


async def test_a_workspace_has_room_for_so_much(house: House) -> None:
    """FIL-2, ERR-30: what is too much is refused before it has all come; deleting makes room; others have their own."""
    await house.upload(b"x" * 60 * KILOBYTE)
    upload = await house.files.begin(OURS)
    with pytest.raises(InvalidRequest) as refused:
        await upload.write(b"x" * (40 * KILOBYTE + 1))
    await upload.discard()
    assert refused.value.details == {"error_code": "storage_quota_exceeded"}
    first, second = await house.files.begin(OURS), await house.files.begin(OURS)
    for each in (first, second):
        await each.write(b"x" * 40 * KILOBYTE)
    assert await house.files.keep(first, filename="a", content_type=None, expires_in_s=None)
    with pytest.raises(InvalidRequest) as refused:
        await house.files.keep(second, filename="b", content_type=None, expires_in_s=None)
    assert refused.value.details == {"error_code": "storage_quota_exceeded"}
    with pytest.raises(InvalidRequest):
        await house.files.begin(OURS)
    assert await house.upload(b"x", workspace=THEIRS)
    await house.files.delete(OURS, "file_1")
    assert await house.upload(b"x")
    assert house.on_disk == {"file_2", "file_4", "file_5"}


async def test_an_upload_of_many_pieces_comes_out_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.gateway.files.files.WRITE_BYTES", 1000)
    data = bytes(number % 251 for number in range(50_000))
    upload = await house.files.begin(OURS)
    for start in range(0, len(data), 333):
        await upload.write(data[start : start + 333])
    kept = await house.files.keep(upload, filename="a", content_type=None, expires_in_s=None)
    assert (kept["size_bytes"], (house.folder / "file_1").read_bytes()) == (len(data), data)


# -- lists ------------------------------------------------------------------------------------------------------------


async def five(house: House) -> None:
    for _ in range(5):
        await house.upload(b"x")
        house.later(1)


async def ids(house: House, **query: str | list[str]) -> tuple[list[str], dict[str, Any]]:
    asked = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
    page = await house.files.page(OURS, asked)
    return [each["id"] for each in page.pop("data")], page


async def test_the_newer_form_goes_on_by_next_page(house: House) -> None:
    """FIL-3: the cursor holds though files come and go."""
    await five(house)
    first, page = await ids(house, limit="2")
    assert first == ["file_5", "file_4"]
    await house.files.delete(OURS, "file_4")
    await house.upload(b"x")
    second, page = await ids(house, limit="2", page=page["next_page"])
    assert second == ["file_3", "file_2"]
    third, page = await ids(house, limit="2", page=page["next_page"])
    assert (third, page["next_page"], page["has_more"]) == (["file_1"], None, False)


async def test_the_older_form_goes_on_and_back(house: House) -> None:
    """FIL-3."""
    await five(house)
    shown, page = await ids(house, limit="2", after_id="file_4")
    assert shown == ["file_3", "file_2"]
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("file_3", "file_2", True)
    shown, page = await ids(house, limit="2", before_id="file_1")
    assert (shown, page["has_more"]) == (["file_3", "file_2"], True)
    shown, page = await ids(house, before_id="file_4")
    assert (shown, page["has_more"]) == (["file_5"], False)


async def test_no_files_are_an_empty_page(house: House) -> None:
    """FIL-3."""
    empty = {"next_page": None, "has_more": False, "first_id": None, "last_id": None}
    assert await ids(house) == ([], empty)


async def test_files_are_chosen_by_their_ids(house: House) -> None:
    """FIL-3: those that are not there are left out."""
    await five(house)
    await house.upload(b"x", workspace=THEIRS)
    shown, page = await ids(house, **{"ids[]": ["file_2", "file_5", "file_2", "file_6", "file_99"]})
    assert (shown, page["next_page"]) == (["file_5", "file_2"], None)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"limit": ["0"]}, "limit: "),
        ({"limit": ["1001"]}, "limit: "),
        ({"limit": ["two"]}, "limit: "),
        ({"page": ["file_1"]}, "page: "),
        ({"page": ["page_äöü"]}, "page: "),
        ({"page": ["page_" + base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:00 file_1").decode()]}, "page: "),
        ({"page": ["page_" + base64.urlsafe_b64encode(b"2026-11-21T12:00:00 file_1").decode()]}, "page: "),
        ({"page": ["page_x"], "after_id": ["file_1"]}, "after_id: "),
        ({"after_id": ["file_1"], "before_id": ["file_1"]}, "before_id: "),
        ({"after_id": ["file_99"]}, "after_id: "),
        ({"before_id": ["file_\0"]}, "before_id: "),
        ({"ids[]": ["file_1"], "limit": ["5"]}, "limit: "),
        ({"ids": ["file_1"], "page": ["page_x"]}, "page: "),
        ({"ids[]": [f"file_{number}" for number in range(101)]}, "ids: "),
    ],
)
async def test_a_wrong_parameter_is_named(house: House, query: dict[str, list[str]], said: str) -> None:
    """FIL-3."""
    await house.upload(b"x")
    with pytest.raises(InvalidRequest) as refused:
        await house.files.page(OURS, query)
    assert refused.value.message.startswith(said)


# -- one file ---------------------------------------------------------------------------------------------------------


async def test_a_deleted_file_is_not_found(house: House) -> None:
    """FIL-5."""
    await house.upload(b"x")
    assert await house.files.delete(OURS, "file_1") == {"id": "file_1", "type": "file_deleted"}
    assert house.on_disk == set()
    for ask in (house.files.retrieve, house.files.download, house.files.delete):
        with pytest.raises(NotFound, match=r"^File `file_1` not found\.$"):
            await ask(OURS, "file_1")


@pytest.mark.parametrize("file_id", ["file_1", "file_../../dragoman.db", "../x", "file_", "file_\0", "x" * 5000])
async def test_files_of_others_and_ids_that_are_none_are_not_found(house: House, file_id: str) -> None:
    """FIL-7."""
    await house.upload(b"x", workspace=THEIRS)
    for ask in (house.files.retrieve, house.files.download, house.files.delete):
        with pytest.raises(NotFound) as refused:
            await ask(OURS, file_id)
        assert len(refused.value.message) < 200
    assert house.on_disk == {"file_1"}


async def test_an_uploaded_file_cannot_be_downloaded(house: House) -> None:
    """FIL-4, ERR-30."""
    await house.upload(b"x")
    with pytest.raises(InvalidRequest) as refused:
        await house.files.download(OURS, "file_1")
    assert refused.value.details == {"error_code": "file_not_downloadable"}


async def test_an_expired_file_says_so_and_its_bytes_go(house: House) -> None:
    """FIL-4, ERR-30: at the moment, not when somebody looks; its bytes within a minute of the next call."""
    await house.upload(b"x", expires_in_s=3600)
    await house.upload(b"x")
    house.later(3599)
    assert (await house.files.retrieve(OURS, "file_1"))["id"] == "file_1"
    house.later(1)
    for ask in (house.files.retrieve, house.files.download):
        with pytest.raises(NotFound) as refused:
            await ask(OURS, "file_1")
        assert refused.value.details == {"error_code": "file_expired"}
    assert (await ids(house))[0] == ["file_2"]
    house.later(60)
    await ids(house)
    assert house.on_disk == {"file_2"}
    house.later(31 * 24 * 3600)
    await ids(house)
    house.later(60)
    with pytest.raises(NotFound, match="not found"):
        await house.files.retrieve(OURS, "file_1")


async def test_a_start_erases_what_expired_meanwhile(house: House) -> None:
    """FIL-4."""
    await house.upload(b"x", expires_in_s=3600)
    house.later(3600)
    await house.made().open()
    assert house.on_disk == set()


# -- in requests ------------------------------------------------------------------------------------------------------


def image(file_id: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "file", "file_id": file_id}}


def document(file_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": {"type": "file", "file_id": file_id}, **more}


def asking(*blocks: dict[str, Any], raw: bytes | None = None) -> Asked:
    body = raw or json.dumps({"model": "m", "messages": [{"role": "user", "content": list(blocks)}]}).encode()
    headers = Headers([("anthropic-version", "2023-06-01")])
    call = Call(operation=Operation.COUNT_TOKENS, headers=headers, body=body, request_id="req_1", arrived=0.0)
    return Asked.read(call, Principal("apikey_1", "test", OURS, "org"), refuse_unknown_betas=False)


async def typed(house: House, *blocks: dict[str, Any]) -> Any:
    """The blocks as an engine gets them."""
    asked = asking(*blocks)
    request = await house.files.in_request(read(CountTokensRequest, asked.envelope.parse()), asked)
    return plain(request)["messages"][0]["content"]


async def sent(house: House, *blocks: dict[str, Any]) -> Any:
    """The blocks as an upstream gets them."""
    asked = await house.files.in_body(asking(*blocks))
    assert asked.call.body == asked.envelope.body
    return json.loads(asked.call.body)["messages"][0]["content"]


PICTURE = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
PAGES = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7").decode()}
WORDS = {"type": "text", "media_type": "text/plain", "data": "Grüße"}


async def three(house: House) -> None:
    await house.upload(PNG, "a.jpg", "image/jpeg")
    await house.upload(b"%PDF-1.7", "a.pdf", None)
    await house.upload("\ufeffGrüße".encode(), "a.txt", None)


async def test_a_source_becomes_what_the_file_is(house: House) -> None:
    """FIL-6, MSG-71, 72: for engine and upstream; of an image its bytes decide."""
    await three(house)
    blocks = (image("file_1"), document("file_2", title="T"), document("file_3"))
    assert [block["source"] for block in await sent(house, *blocks)] == [PICTURE, PAGES, WORDS]
    got = await typed(house, *blocks)
    sources = [{**block["source"]} for block in got]
    assert [source.pop("file_id", None) for source in sources] == [None, "file_2", "file_3"]
    assert sources == [PICTURE, PAGES, WORDS]
    assert got[1]["title"] == "T"


async def test_files_stand_in_tool_results_and_in_documents_too(house: House) -> None:
    """FIL-6, MSG-71, 72."""
    await three(house)
    inner = {"type": "document", "source": {"type": "content", "content": [image("file_1")]}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [document("file_3"), inner]}
    for got in (await sent(house, result), await typed(house, result)):
        told, nested = got[0]["content"]
        assert told["source"]["data"] == "Grüße"
        assert nested["source"]["content"][0]["source"] == PICTURE


@pytest.mark.parametrize("form", [typed, sent])
@pytest.mark.parametrize(
    ("block", "said"),
    [
        (image("file_2"), "messages.0.content.0.image.source.file_id: File `file_2` is of type application/pdf; "),
        (document("file_1"), "messages.0.content.0.document.source.file_id: File `file_1` is of type image/jpeg; "),
        (document("file_4"), "messages.0.content.0.document.source.file_id: File `file_4` is of type text/csv; "),
        (document("file_5"), "messages.0.content.0.document.source.file_id: File `file_5` is no UTF-8 text"),
    ],
)
async def test_a_file_of_another_type_is_refused(house: House, form: Any, block: dict[str, Any], said: str) -> None:
    """FIL-6."""
    await three(house)
    await house.upload(b"a,b", "a.csv", "text/csv")
    await house.upload(b"\xff\xfe", "a.txt", "text/plain")
    with pytest.raises(InvalidRequest) as refused:
        await form(house, block)
    assert refused.value.message.startswith(said)


async def test_an_unknown_file_is_not_found_by_an_engine_and_left_to_an_upstream(house: House) -> None:
    """FIL-6, 7: those of others are unknown."""
    await house.upload(PNG, workspace=THEIRS)
    for file_id in ("file_1", "file_99", "x" * 500):
        with pytest.raises(NotFound, match=r"^messages\.0\.content\.0\.image\.source\.file_id: File `"):
            await typed(house, image(file_id))
        asked = asking(image(file_id))
        assert await house.files.in_body(asked) is asked


@pytest.mark.parametrize("form", [typed, sent])
async def test_an_expired_file_is_refused(house: House, form: Any) -> None:
    """FIL-4, 6."""
    await house.upload(b"x", expires_in_s=3600)
    house.later(3600)
    with pytest.raises(NotFound) as refused:
        await form(house, document("file_1"))
    assert refused.value.details == {"error_code": "file_expired"}


@pytest.mark.parametrize("form", [typed, sent])
async def test_a_request_does_not_grow_beyond_its_limit(house: House, form: Any) -> None:
    """ERR-24: each use counts, also of one file."""
    await house.upload(b"x" * 20 * KILOBYTE)
    assert await form(house, document("file_1"), document("file_1"))
    with pytest.raises(RequestTooLarge):
        await form(house, *[document("file_1")] * 3)


async def test_every_other_byte_for_an_upstream_stays(house: House) -> None:
    """FIL-6: numbers, escapes, spaces and ids that are not ours."""
    await house.upload(b"hi")
    other = b'{ "type":"document", "source": {"type":"file","file_id":"file_99"}, "x": 1.50e2 }'
    ours = (
        b'{"type": "document", "source": {"type": "file", "file_id": "file_1"}, "big": 123456789012345678901234567890}'
    )
    raw = b'{"model": "m", "messages": [{"role": "assistant", "content": [{"type":"text", "text":"\\u00e9"}]}, '
    raw += b'{"role":"user","content":[' + other + b", " + ours + b']}], "after":  1e3}'
    asked = await house.files.in_body(asking(raw=raw))
    assert json.loads(asked.call.body)["messages"][1]["content"][1]["source"] == {**WORDS, "data": "hi"}
    for kept in (other, b'"big":123456789012345678901234567890', b'[{"type":"text", "text":"\\u00e9"}]', b"1e3}"):
        assert kept in asked.call.body


@pytest.mark.parametrize(
    "content",
    [
        b'[{"type":"image","source":{"type":"file","file_id":7}}]',
        b'[{"type":"image","source":["file_id"]},{"type":"image","source":{"file_id":"file_1"}}]',
        b'{"type":"image","source":{"type":"url","file_id":"file_1"}}',
        b'[{"type":["file_id"],"source":{"type":"file","file_id":"file_1"}}]',
        b"[" * 300 + b'"file_id"' + b"]" * 300,
        b'[{"type":"image","source":{"type":"file","file_id":"file_1","x":1}}]',
        b'[{"type":"container_upload","file_id":"file_1"}]',
    ],
)
async def test_what_is_no_file_source_goes_to_an_upstream_untouched(house: House, content: bytes) -> None:
    """FIL-6: whatever it is, the upstream says so."""
    await house.upload(PNG, "a.png", None)
    asked = asking(raw=b'{"model":"m","messages":[{"role":"user","content":%b}]}' % content)
    assert await house.files.in_body(asked) is asked


async def test_bytes_that_are_gone_are_no_file(house: House) -> None:
    """FIL-5: deleted between the look at its record and the look at its bytes."""
    await house.upload(b"x")
    (house.folder / "file_1").unlink()
    with pytest.raises(ApiError, match="not found"):
        await typed(house, document("file_1"))
