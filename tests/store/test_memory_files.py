"""Uploaded files in memory."""

from dragoman.store.memory_files import MemoryFolder


def test_bytes_lie_under_their_id_until_they_are_erased() -> None:
    folder = MemoryFolder()
    upload = folder.create()
    upload.write(b"some ")
    upload.write(b"bytes")
    upload.finish()
    folder.keep(upload, "file_1")
    upload.discard()  # harmless
    folder.erase_all_but(frozenset(), older_than=1e12)  # as is this: nobody else's files are here
    assert folder.read("file_1") == b"some bytes"
    folder.erase("file_1")
    folder.erase("file_1")
    assert folder.read("file_1") is None


def test_they_are_gone_when_it_is_closed() -> None:
    folder = MemoryFolder()
    folder.keep(folder.create(), "file_1")
    assert folder.read("file_1") == b""
    folder.close()
    assert folder.read("file_1") is None


def test_an_upload_is_no_file_yet() -> None:
    folder = MemoryFolder()
    upload = folder.create()
    upload.write(b"half of")
    upload.discard()
    upload.discard()
    assert folder.read("") is None
