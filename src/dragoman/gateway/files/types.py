"""What kind of file it is: by what its uploader said, by its first bytes, by its name; and what a name may be.

Source: spec FIL-1, 2, 6. Pure.
"""

import re
from pathlib import PurePosixPath

from dragoman.errors import InvalidRequest

__all__ = ["HEAD_BYTES", "IMAGE_TYPES", "check_filename", "image_type", "mime_type"]

HEAD_BYTES = 4096  # of a file, looked at
UNKNOWN = "application/octet-stream"  # what programs send when they know nothing
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
MAX_FILENAME = 255  # characters
_FORBIDDEN = re.compile(r'[<>:"\\|?*/\x00-\x1f]')
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
# Not `mimetypes`: that reads tables of the machine, another one everywhere.
_BY_SUFFIX = {
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain",
    ".webp": "image/webp",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
_SUFFIXES = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


def check_filename(given: str | None, mime: str) -> str:
    """The name that a file is kept under: the last part of the path that was given, else `unnamed` and a suffix.

    Raises InvalidRequest (FIL-2). That a path is cut and an empty name replaced is said by the SDK's documentation of
    `files.upload`, 2.11.0, read 2026-11-21.
    """
    name = (given or "").rpartition("/")[2]
    if not name:
        return "unnamed" + _SUFFIXES.get(mime, "")
    if len(name) > MAX_FILENAME:
        raise InvalidRequest(f"file: filename: String should have at most {MAX_FILENAME} characters")
    if _FORBIDDEN.search(name):
        raise InvalidRequest(
            'file: filename: may not contain < > : " | ? * \\ / or a control character; give the file another name'
        )
    return name


def mime_type(told: str | None, *, head: bytes, filename: str | None) -> str:
    """What the uploader said, if that says anything; else what the first bytes show; else what the name does."""
    said = (told or "").partition(";")[0].strip().lower()
    said = "image/jpeg" if said == "image/jpg" else said  # a common wrong name
    if said != UNKNOWN and _MIME_TYPE.fullmatch(said):
        return said
    suffix = PurePosixPath(filename or "").suffix.lower()
    return _of_bytes(head) or _BY_SUFFIX.get(suffix) or ("text/plain" if _is_text(head) else UNKNOWN)


def image_type(head: bytes) -> str | None:
    """The one of the four image types that a file's first bytes show."""
    found = _of_bytes(head)
    return found if found in IMAGE_TYPES else None


def _of_bytes(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return "application/pdf" if head.startswith(b"%PDF-") else None


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; a character may be cut off at the end of what is looked at."""
    if not head:
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < HEAD_BYTES:
            return False
        text = head[: error.start].decode()
    return all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)
