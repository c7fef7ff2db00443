"""Uploads over real sockets: any way a form may come, any way it may be wrong, and callers who hang up in it."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rawhttp import KEY, Reply, Wire, chunks, error, exchange, request
from serving import Serving, wait_until

from dragoman.store.files import FileFolder

FORM = ("content-type", "multipart/form-data; boundary=XX")
FILE = b'content-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\nhello'
EXPIRES = b'content-disposition: form-data; name="expires_in_seconds"\r\n\r\n3600'
ANOTHER_KEY = "sk-dgm-test-key-of-somebody-else"


def form(*parts: bytes) -> bytes:
    return b"".join(b"--XX\r\n%b\r\n" % part for part in parts) + b"--XX--\r\n"


def upload(body: bytes, *headers: tuple[str, str], content_type: tuple[str, str] = FORM, **more: Any) -> bytes:
    return request("POST", "/v1/files", body, content_type, *headers, **more)


class Filing(Serving):
    """A server whose folder of files lies where a test can look."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self.folder = folder / "files"
        self.gateway.files._folder = FileFolder(self.folder)

    @property
    def names(self) -> list[str]:
        """May be asked for while files come and go."""
        return os.listdir(self.folder) if self.folder.exists() else []

    @property
    def on_disk(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()} if self.folder.exists() else {}


async def refused(folder: Path, sent: bytes, *statuses: int) -> dict[str, Any]:
    """The error that the server answers with; nothing may be left of the file."""
    async with Filing(folder) as server:
        told = error(await exchange(server.url, sent), *statuses)
        await server.settled()
        assert server.on_disk == {}
        assert server.rows == []
    return told


# -- forms that are right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(EXPIRES, FILE), (FILE, EXPIRES)], ids=["before", "after"])
async def test_the_field_stands_before_the_file_or_behind_it(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    """FIL-1."""
    async with Filing(tmp_path) as server:
        made = (await exchange(server.url, upload(form(*parts)))).json()
        assert (made["filename"], made["mime_type"], made["size_bytes"]) == ("a.txt", "text/plain", 5)
        assert made["expires_at"] is not None
        assert server.on_disk == {made["id"]: b"hello"}
        assert server.rows == []  # the ledger is for models


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_form_may_come_in_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    """FIL-1: also with what looks like its boundary in it."""
    data = b"a\r\n--X\r\n--XY\r\n-\r\n\r\n--" + bytes(range(256))
    part = b'Content-Disposition: form-data; filename="\xc3\xa9 \\"x.bin"; name=file\r\n\r\n' + data
    body = form(part.replace(b'\\"', b""), EXPIRES)
    async with Filing(tmp_path) as server:
        sent = request("POST", "/v1/files", None, FORM, ("transfer-encoding", "chunked")) + chunks(body, size=size)
        made = (await exchange(server.url, sent)).json()
        assert (made["filename"], made["mime_type"]) == ("é x.bin", "application/octet-stream")
        assert server.on_disk == {made["id"]: data}


async def test_a_file_goes_to_the_disk_while_it_comes(tmp_path: Path) -> None:
    """FIL-1: it is never whole in memory."""
    body = form(FILE + b"x" * 8_000_000)
    async with Filing(tmp_path) as server, await Wire.connect(server.url) as wire:
        whole = upload(body)
        await wire.send(whole[:6_000_000])
        await wait_until(lambda: len(server.names) == 1)
        (coming,) = server.folder.iterdir()
        await wait_until(lambda: coming.stat().st_size > 4_000_000)
        await wire.send(whole[6_000_000:])
        reply = await wire.reply()
        assert reply.json()["size_bytes"] == 8_000_005


async def test_the_older_beta_is_taken_and_not_needed(tmp_path: Path) -> None:
    """FIL-7."""
    beta = ("anthropic-beta", "files-api-2025-04-14")
    async with Filing(tmp_path) as server:
        for headers in ((), (beta,)):
            assert (await exchange(server.url, upload(form(FILE), *headers))).status == 200
        assert len((await exchange(server.url, request("GET", "/v1/files?beta=true", None, beta))).json()["data"]) == 2


# -- the other paths --------------------------------------------------------------------------------------------------


async def test_a_file_is_listed_looked_at_and_deleted(tmp_path: Path) -> None:
    """FIL-3 to 5."""
    async with Filing(tmp_path) as server:

        async def ask(method: str, path: str) -> Reply:
            return await exchange(server.url, request(method, path), method=method)

        made = (await exchange(server.url, upload(form(FILE)))).json()
        path = f"/v1/files/{made['id']}"
        listed = (await ask("GET", "/v1/files?limit=1")).json()
        assert listed == {
            "data": [made],
            "next_page": None,
            "has_more": False,
            "first_id": made["id"],
            "last_id": made["id"],
        }
        assert (await ask("GET", path)).json() == made
        assert (await ask("HEAD", path)).status == 200
        content = error(await ask("GET", f"{path}/content"), 400)
        assert content["details"] == {"error_code": "file_not_downloadable"}
        assert (await ask("DELETE", path)).json() == {"id": made["id"], "type": "file_deleted"}
        gone = await ask("DELETE", path)
        assert error(gone, 404)["message"] == f"File `{made['id']}` not found."
        assert gone.header("anthropic-workspace-id")
        assert error(await ask("PUT", "/v1/files"), 405)
        assert error(await ask("POST", path), 405)
        assert server.on_disk == {}


async def test_another_workspace_sees_nothing(tmp_path: Path) -> None:
    """FIL-7."""
    async with Filing(tmp_path) as server:
        record = server.gateway.auth._record("other", ANOTHER_KEY)
        await server.gateway.store.keys.add(msgspec.structs.replace(record, workspace_id="wrkspc_other"))
        made = (await exchange(server.url, upload(form(FILE)))).json()
        for method, path in [("GET", ""), ("GET", "/content"), ("DELETE", "")]:
            sent = request(method, f"/v1/files/{made['id']}{path}", key=ANOTHER_KEY)
            error(await exchange(server.url, sent, method=method), 404)
        listed = (await exchange(server.url, request("GET", "/v1/files", key=ANOTHER_KEY))).json()
        assert (listed["data"], listed["first_id"]) == ([], None)
        assert list(server.on_disk) == [made["id"]]


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/file_1", "/v1/files/file_1/content"])
async def test_no_key_no_files(tmp_path: Path, path: str) -> None:
    """FIL-7."""
    assert (await refused(tmp_path, request("GET", path, key=None), 401))["type"] == "authentication_error"


# -- forms that are wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"{}", "application/json", "content-type: must be multipart/form-data; not 'application/json'"),
        (b"", "", "content-type: must be multipart/form-data"),
        (form(FILE), "multipart/form-data", "content-type: multipart/form-data needs a boundary"),
        (form(FILE), "multipart/form-data; boundary=" + "x" * 1000, "content-type: "),
        (form(FILE), "multipart/form-data; boundary=YY", "The request body is not valid multipart/form-data: "),
        (b"", FORM[1], "The request body is not valid multipart/form-data: it ends before its last boundary"),
        (form(FILE)[:-8], FORM[1], "The request body is not valid multipart/form-data: it ends before"),
        (form(), FORM[1], "file: Field required"),
        (form(EXPIRES), FORM[1], "file: Field required"),
        (form(FILE, FILE), FORM[1], "file: was given more than once"),
        (form(EXPIRES, EXPIRES, FILE), FORM[1], "expires_in_seconds: was given more than once"),
        (form(FILE, EXPIRES.replace(b"3600", b"soon")), FORM[1], "expires_in_seconds: Input should be a valid integer"),
        (form(FILE, EXPIRES.replace(b"3600", b"")), FORM[1], "expires_in_seconds: Input should be a valid integer"),
        (form(FILE, EXPIRES + b"0" * 99), FORM[1], "expires_in_seconds: Input should be a valid integer"),
        (form(FILE, EXPIRES.replace(b"3600", b"3599")), FORM[1], "expires_in_seconds: Input should be greater than"),
        (form(FILE, EXPIRES + b"0000"), FORM[1], "expires_in_seconds: Input should be less than"),
        (form(FILE, EXPIRES.replace(b"expires_in_seconds", b"purpose")), FORM[1], "purpose: Extra inputs are not"),
        (form(FILE.replace(b"a.txt", b"a?b")), FORM[1], "file: filename: "),
        (form(FILE.replace(b"a.txt", b"C:\\x\\y.txt")), FORM[1], "file: filename: "),
        (form(FILE.replace(b"a.txt", b"C:\\\\x\\\\y.txt")), FORM[1], "file: filename: "),
        (form(FILE.replace(b"a.txt", b"\\\\host\\y.txt")), FORM[1], "file: filename: "),
        (form(FILE.replace(b"a.txt", b"\xff")), FORM[1], "The request body has a part whose name or filename is not"),
        (
            form(FILE.replace(b"\r\n\r\n", b"\r\ncontent-transfer-encoding: base64\r\n\r\n")),
            FORM[1],
            "content-transfer-encoding: 'base64' is not supported",
        ),
        (form(b"x: y\r\n\r\nhello"), FORM[1], "The request body has a part without a `content-disposition"),
        (form(b"bad header\r\n\r\nhello"), FORM[1], "The request body is not valid multipart/form-data: "),
        (form(b"x: " + b"y" * 9000 + b"\r\n\r\nhello"), FORM[1], "The request body is not valid multipart/form-data: "),
    ],
)
async def test_a_wrong_form_is_told_what_is_wrong(tmp_path: Path, body: bytes, content_type: str, said: str) -> None:
    """FIL-1, FIL-2."""
    told = await refused(tmp_path, upload(body, content_type=("content-type", content_type)), 400)
    assert told["type"] == "invalid_request_error"
    assert told["message"].startswith(said)


async def test_a_form_of_a_thousand_parts_is_refused(tmp_path: Path) -> None:
    """FIL-1."""
    nothing = b'content-disposition: form-data; name="purpose"\r\n\r\n'
    told = await refused(tmp_path, upload(form(*[nothing] * 1000)), 400)
    assert told["message"] == "The request body has more than 16 parts"


async def test_a_packed_form_is_refused(tmp_path: Path) -> None:
    """ERR-25."""
    told = await refused(tmp_path, upload(form(FILE), ("content-encoding", "gzip")), 400)
    assert told["details"] == {"error_code": "request_body_encoding_unsupported"}


async def test_the_version_is_needed(tmp_path: Path) -> None:
    """ERR-43."""
    sent = upload(form(FILE), ("x-api-key", KEY), key=None)
    assert (await refused(tmp_path, sent, 400))["message"] == "anthropic-version: header is required"


async def test_a_wrong_key_is_told_though_the_file_is_large(tmp_path: Path) -> None:
    """FIL-7: nothing of it is kept meanwhile."""
    sent = upload(form(FILE + b"x" * 5_000_000), ("anthropic-version", "2023-06-01"), key=None)
    assert (await refused(tmp_path, sent, 401))["type"] == "authentication_error"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    """FIL-2, ERR-24: by its content-length, or by what comes."""
    monkeypatch.setattr("dragoman.server.files.MAX_FILE_BYTES", 1000 if declared else 10**9)
    monkeypatch.setattr("dragoman.gateway.files.files.MAX_FILE_BYTES", 1000)
    told = await refused(tmp_path, upload(form(FILE + b"x" * 2_000_000)), 413)
    assert (told["type"], told["message"]) == ("request_too_large", "Request exceeds the maximum size")


async def test_five_hundred_megabytes_may_come(tmp_path: Path) -> None:
    """FIL-2, ERR-24: a byte more than that and its form may not, and who asks first is told before sending."""
    async with Filing(tmp_path) as server:
        for more, status in ((0, 100), (1, 413)):
            async with await Wire.connect(server.url) as wire:
                length = ("content-length", str(501 * 1024 * 1024 + more))
                await wire.send(request("POST", "/v1/files", None, FORM, length, ("expect", "100-continue")))
                assert (await wire.head())[0] == status


async def test_a_full_house_is_told(tmp_path: Path) -> None:
    """FIL-2, ERR-30."""
    async with Filing(tmp_path, files_limit_mb=1) as server:
        assert (await exchange(server.url, upload(form(FILE + b"x" * 900_000)))).status == 200
        told = error(await exchange(server.url, upload(form(FILE + b"x" * 900_000))), 400)
        assert told["details"] == {"error_code": "storage_quota_exceeded"}
        assert len(server.on_disk) == 1


async def test_a_disk_that_fails_is_no_fault_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    async with Serving() as server:
        server.gateway.files._folder = FileFolder(tmp_path / "files")
        assert error(await exchange(server.url, upload(form(FILE))), 503)["type"] == "api_error"


# -- callers who hang up ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_hang_up_in_the_middle_leaves_nothing(tmp_path: Path, how: str) -> None:
    """FIL-1."""
    async with Filing(tmp_path) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(upload(form(FILE + b"x" * 3_000_000))[:2_000_000])
            await wait_until(lambda: len(server.names) == 1)
            getattr(wire, how)()
            await wait_until(lambda: server.names == [])
        listed = (await exchange(server.url, request("GET", "/v1/files"))).json()
        assert listed["data"] == []


async def test_a_server_that_stops_leaves_nothing(tmp_path: Path) -> None:
    """FIL-1."""
    async with Filing(tmp_path) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(upload(form(FILE + b"x" * 3_000_000))[:2_000_000])
            await wait_until(lambda: len(server.names) == 1)
            for task in list(server.server.at_work):
                task.cancel()
            error(await wire.reply(), 529)
        await asyncio.wait_for(server.settled(), 5)
        assert server.on_disk == {}
