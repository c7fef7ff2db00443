"""Files named in a request: where `source: {type: "file"}` stands in images and documents, and the same with contents.

In two forms: of typed messages, for an engine of ours; and of raw JSON, for an upstream, where every byte but those of
such a source stays as it came. Source: spec MSG-71, 72, FIL-6. Pure; imports only this folder and the error tree.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

import msgspec
from msgspec import Raw, Struct

from .documentrules import Part, walk
from .types import (
    Base64Image,
    Base64Pdf,
    ContentSource,
    Document,
    FileSource,
    Image,
    ImageType,
    InputMessage,
    PlainText,
    ToolResult,
)

__all__ = ["FileContent", "FileUse", "files_in", "files_in_json", "with_files", "with_files_in_json"]

Kind = Literal["image", "document"]
MARKER = b'"file_id"'
HOLDS_BLOCKS = frozenset({"content", "source"})  # fields of messages and blocks whose value may hold blocks
IN_PATHS = frozenset(
    {"image", "document", "tool_result"}
)  # no other type of a caller's gets into paths: it may be long
DEPTH = 10  # message, content, tool_result, content, document, source, content, image, source; one to spare


class FileUse(Struct, frozen=True):
    """One block whose source is a file."""

    path: str  # of the id: `messages.0.content.1.image.source.file_id`
    kind: Kind
    file_id: str


class FileContent(Struct, frozen=True):
    """What a file is in a block: an image or a PDF in base64, or a plain text."""

    media_type: str  # of an image; application/pdf; text/plain
    data: str


Contents = Mapping[tuple[Kind, str], FileContent]  # by kind of block and id


def files_in(messages: Sequence[InputMessage]) -> list[FileUse]:
    """Every use of a file, in the order of the prompt."""
    found: list[FileUse] = []
    for path, block in walk(messages):
        match block:
            case Image(source=FileSource(file_id=file_id)):
                found.append(FileUse(f"{path}.image.source.file_id", "image", file_id))
            case Document(source=FileSource(file_id=file_id)):
                found.append(FileUse(f"{path}.document.source.file_id", "document", file_id))
            case _:
                continue
    return found


def with_files(messages: Sequence[InputMessage], contents: Contents) -> list[InputMessage]:
    """The messages with contents in place of ids. A document's source still says which file it is, for citations."""
    return [
        message
        if isinstance(message.content, str)
        else msgspec.structs.replace(message, content=[_with_file(block, contents) for block in message.content])
        for message in messages
    ]


def _with_file(block: Part, contents: Contents) -> Part:
    replace = msgspec.structs.replace
    match block:
        case Image(source=FileSource(file_id=file_id)):
            image = contents["image", file_id]
            return replace(block, source=Base64Image(media_type=cast(ImageType, image.media_type), data=image.data))
        case Document(source=FileSource(file_id=file_id)):
            return replace(block, source=_document_source(contents["document", file_id], file_id))
        case Document(source=ContentSource(content=list(parts)) as source):
            return replace(block, source=replace(source, content=[_with_file(part, contents) for part in parts]))
        case ToolResult(content=list(parts)):
            return replace(block, content=[_with_file(part, contents) for part in parts])
        case _:
            return block


def _document_source(content: FileContent, file_id: str) -> PlainText | Base64Pdf:
    extra = {"file_id": file_id}
    if content.media_type == "application/pdf":
        return Base64Pdf(media_type="application/pdf", data=content.data, extra=extra)
    return PlainText(media_type="text/plain", data=content.data, extra=extra)


# -- raw JSON ---------------------------------------------------------------------------------------------------------


def files_in_json(messages: bytes) -> list[FileUse]:
    """Every use of a file in the raw value of `messages`: JSON, of any shape. What has another one is passed over."""
    found: list[FileUse] = []

    def note(use: FileUse) -> None:
        found.append(use)

    _changed(messages, "messages", note, DEPTH)
    return found


def with_files_in_json(messages: bytes, contents: Contents) -> bytes:
    """The raw value of `messages` with contents in place of those ids that have one."""

    def source(use: FileUse) -> Raw | None:
        content = contents.get((use.kind, use.file_id))
        return None if content is None else _source(content)

    return _changed(messages, "messages", source, DEPTH)


def _source(content: FileContent) -> Raw:
    kind = "text" if content.media_type == "text/plain" else "base64"
    return Raw(msgspec.json.encode({"type": kind, "media_type": content.media_type, "data": content.data}))


def _changed(raw: bytes, path: str, change: Callable[[FileUse], Raw | None], depth: int) -> bytes:
    """A list or an object with the sources in it changed; `change` gives None for one that stays."""
    if depth == 0 or MARKER not in raw:
        return raw
    if raw.startswith(b"["):
        before = [bytes(item) for item in msgspec.json.decode(raw, type=list[Raw])]
        after = [_changed(item, f"{path}.{at}", change, depth - 1) for at, item in enumerate(before)]
        return (
            b"[%b]" % b",".join(after) if any(new is not old for new, old in zip(after, before, strict=True)) else raw
        )
    if not raw.startswith(b"{"):
        return raw
    fields = msgspec.json.decode(raw, type=dict[str, Raw])
    kind = _text(fields.get("type"))
    inside = f"{path}.{kind}" if kind in IN_PATHS else path
    use = _use(fields, inside, kind)
    if use is not None:
        source = change(use)
        if source is None:
            return raw
        fields["source"] = source
        return msgspec.json.encode(fields)
    is_same = True
    for name in HOLDS_BLOCKS & fields.keys():
        value = bytes(fields[name])
        changed = _changed(value, f"{inside}.{name}", change, depth - 1)
        if changed is not value:
            fields[name], is_same = Raw(changed), False
    return raw if is_same else msgspec.json.encode(fields)


def _use(fields: dict[str, Raw], path: str, kind: str | None) -> FileUse | None:
    source = bytes(fields.get("source", b""))
    if kind not in ("image", "document") or not source.startswith(b"{"):
        return None
    given = msgspec.json.decode(source, type=dict[str, Raw])
    file_id = _text(given.get("file_id"))
    if file_id is None or _text(given.get("type")) != "file" or given.keys() != {"type", "file_id"}:
        return None  # with more than these two it is no source: who answers says so
    return FileUse(f"{path}.source.file_id", cast(Kind, kind), file_id)


def _text(raw: Raw | None) -> str | None:
    """A JSON text; None for anything else."""
    if raw is None or not bytes(raw).startswith(b'"'):
        return None
    text: str = msgspec.json.decode(raw, type=str)
    return text
