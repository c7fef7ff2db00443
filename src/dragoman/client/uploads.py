"""Files on their way out: multipart/form-data, RFC 7578."""

import os
from collections.abc import Mapping
from io import IOBase
from mimetypes import guess_type
from typing import IO, Any
from uuid import uuid4

__all__ = ["FileContent", "FileTypes", "file_from_path", "multipart"]

FileContent = IO[bytes] | bytes | os.PathLike[str]
FileTypes = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as WHATWG has it


def multipart(name: str, file: Any, fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """Body and content-type of a form with one file. Raises TypeError for what is no file."""
    boundary = uuid4().hex
    filename, content, media_type, headers = _parts(file)
    pieces = [_field(boundary, key, value) for key, value in fields.items()]
    disposition = f'form-data; name="{name.translate(ESCAPES)}"'
    if filename is not None:
        disposition += f'; filename="{filename.translate(ESCAPES)}"'
    head = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    pieces.append(
        f"--{boundary}\r\ncontent-disposition: {disposition}\r\ncontent-type: {media_type}\r\n{head}\r\n".encode()
        + content
        + b"\r\n"
    )
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _field(boundary: str, name: str, value: Any) -> bytes:
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


def _parts(file: FileTypes) -> tuple[str | None, bytes, str, Mapping[str, str]]:
    """Name, bytes, media type and further headers of a file in any of its forms. What has no name is sent without."""
    name: str | None = None
    media_type: str | None = None
    headers: Mapping[str, str] = {}
    if not isinstance(file, tuple):
        content = file
    else:
        name, content = file[:2]
        media_type = file[2] if len(file) > 2 else None
        headers = file[3] if len(file) > 3 else {}
    if name is None:
        name = _name_of(content)
    if media_type is None and name is not None:
        media_type = guess_type(name)[0]
    return name, _bytes_of(content), media_type or "application/octet-stream", headers


def _name_of(content: FileContent) -> str | None:
    named: Any = content if isinstance(content, os.PathLike) else getattr(content, "name", None)
    return os.path.basename(os.fspath(named)) if isinstance(named, str | os.PathLike) else None


def _bytes_of(content: FileContent) -> bytes:
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    if isinstance(content, os.PathLike):
        with open(content, "rb") as opened:
            return opened.read()
    if isinstance(content, IOBase) or hasattr(content, "read"):
        found = content.read()
        return found.encode() if isinstance(found, str) else bytes(found)
    raise TypeError(
        f"a file is bytes, an open file, a path, or a tuple of a name and one of these, not {type(content).__name__}"
    )


def file_from_path(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Name and bytes of a file, to be given as `file=`."""
    with open(path, "rb") as opened:
        return os.path.basename(os.fspath(path)), opened.read()
