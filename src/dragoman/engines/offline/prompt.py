"""What the offline engine reads out of a request: how many tokens it is, what was said last, what it holds.

Source: spec MSG-95, TOK-1 to 10. Imports only `wire`, the error tree, and this folder.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from dragoman.errors import InvalidRequest
from dragoman.wire.codec import plain
from dragoman.wire.models import Model
from dragoman.wire.toolrules import forces_a_tool
from dragoman.wire.turns import Turn, is_prefill, merged
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Block,
    BrowserState,
    ContainerUpload,
    ContentSource,
    CountTokensRequest,
    Document,
    Image,
    PlainText,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlSource,
)

from . import images, tokens

__all__ = ["Prompt", "read_prompt"]

# The estimate's fixed parts, chosen so that short prompts come near the figures of TOK-7.
REQUEST_TOKENS = 3
TURN_TOKENS = 4
TOOL_CALL_TOKENS = 8  # the frame around a call or a result
PDF_TOKENS = 2_000  # where the text of a PDF was not read: MSG-97 says 1,500 to 3,000 a page
SHOWN_CHARACTERS = 200
MANY_IMAGES = 20  # above this, images must be smaller (MSG-92)
NO_EGRESS = "Unable to download the file. Please verify the URL and try again."


Part = Block | ToolReference | BrowserState  # blocks, and what only a tool result may hold


class Result(Struct, frozen=True):
    """One tool result of the last turn, with the call that it answers."""

    call: str  # `get_weather({"city":"Tokyo"})`
    text: str
    is_error: bool


class Prompt(Struct, frozen=True, kw_only=True):
    """A request as the engine sees it."""

    tokens: int  # estimate of the whole input
    said: str  # the text of the last user turn
    asked: str  # its last text block: where a turn has several, programs put context first and the request last
    system: str
    results: list[Result]  # tool results of the last turn
    attachments: list[str]  # what the last turn holds besides text, in words
    prefill: str | None  # text of a last assistant message that the reply goes on from


def read_prompt(request: CountTokensRequest, model: Model) -> Prompt:
    """Read a validated request.

    Decodes its images, so it may take tens of milliseconds for each. Raises InvalidRequest for an image that is
    none (MSG-91 to 94) and for sources that would have to be fetched (MSG-96): nothing is ever fetched here.
    """
    reader = _Reader(request, model)
    turns = merged(request.messages)
    total = reader.fixed_tokens(request) + reader.system_turn_tokens(request)
    current = _start_of_current_turn(turns)
    for number, turn in enumerate(turns):
        in_last_loop = number >= current
        total += TURN_TOKENS + sum(
            reader.tokens_of(placed.value, placed.path, counts_thinking=in_last_loop) for placed in turn.blocks
        )
    is_continued = is_prefill(request.messages)
    last = next((turn for turn in reversed(turns) if turn.role == "user"), None)
    blocks = [placed.value for placed in last.blocks] if last else []
    return Prompt(
        tokens=total,
        said=_text(blocks),
        asked=next((block.text for block in reversed(blocks) if isinstance(block, Text)), ""),
        system=_text(request.system),
        results=_results(turns, blocks, reader.attachments),
        attachments=[words for block in blocks if (words := reader.attachments.get(id(block)))],
        prefill=_text([placed.value for placed in turns[-1].blocks]) if is_continued else None,
    )


def _start_of_current_turn(turns: Sequence[Turn]) -> int:
    """Index of the first turn behind the user's last request: a tool loop goes on within one turn (TOK-5)."""
    for number in range(len(turns) - 1, -1, -1):
        if turns[number].role == "user" and not any(isinstance(p.value, ToolResult) for p in turns[number].blocks):
            return number
    return 0


def _text(content: str | Sequence[Part] | None) -> str:
    """All the text of a content, block after block."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(block.text for block in content if isinstance(block, Text))


def _results(turns: Sequence[Turn], blocks: Sequence[Block], attachments: Mapping[int, str]) -> list[Result]:
    calls = {p.value.id: p.value for turn in turns for p in turn.blocks if isinstance(p.value, ToolUse)}
    found: list[Result] = []
    for block in blocks:
        if isinstance(block, ToolResult):
            call = calls[block.tool_use_id]  # validation has paired them
            shown = f"{call.name}({msgspec.json.encode(call.input).decode()[:SHOWN_CHARACTERS]})"
            found.append(Result(shown, _result_text(block, attachments), bool(block.is_error)))
    return found


def _result_text(result: ToolResult, attachments: Mapping[int, str]) -> str:
    if result.content is None or isinstance(result.content, str):
        return result.content or ""
    return "\n".join(part.text if isinstance(part, Text) else _in_words(part, attachments) for part in result.content)


def _in_words(part: Part, attachments: Mapping[int, str]) -> str:
    return attachments.get(id(part)) or f"[{part.__struct_config__.tag}]"


class _Reader:
    """Counts blocks, and puts what is not text into words on the way."""

    def __init__(self, request: CountTokensRequest, model: Model) -> None:
        self.attachments: dict[int, str] = {}  # id of a block -> words
        self._model = model
        found = [block for message in request.messages for block in _images(message.content)]
        if len(found) > model.max_images:
            raise InvalidRequest(f"messages: too many images: {len(found)} > {model.max_images} maximum")
        self._many = len(found) > MANY_IMAGES

    def fixed_tokens(self, request: CountTokensRequest) -> int:
        """System prompt, tools and their hidden prompt (TOK-6), an output format."""
        total = REQUEST_TOKENS + self._count(_text(request.system))
        if request.tools:
            total += self._model.tool_prompt_tokens[1 if forces_a_tool(request) else 0]
            total += sum(self._count_json({**plain(tool), "cache_control": None}) for tool in request.tools)
        if request.output_config is not None and request.output_config.format is not None:
            total += self._count_json(request.output_config.format.schema)
        return total

    def system_turn_tokens(self, request: CountTokensRequest) -> int:
        texts = [_text(message.content) for message in request.messages if message.role == "system"]
        return sum(TURN_TOKENS + self._count(text) for text in texts)

    def tokens_of(self, block: Part, path: str, *, counts_thinking: bool) -> int:
        """Tokens of the block at `path`. Thinking of earlier turns counts nothing (TOK-5)."""
        match block:
            case Text(text=text):
                return self._count(text)
            case Thinking(thinking=text):
                return self._count(text) if counts_thinking else 0
            case RedactedThinking(data=data):
                return len(data) // 8 if counts_thinking else 0
            case ToolUse(name=name, input=value):
                return TOOL_CALL_TOKENS + self._count(name) + self._count_json(value)
            case ToolResult(content=content):
                return TOOL_CALL_TOKENS + self._parts(content, f"{path}.tool_result.content")
            case Image():
                return self._image(block, path)
            case Document():
                return self._document(block, path)
            case SearchResult(source=source, title=title, content=content):
                self.attachments[id(block)] = f'the search result "{title}" from {source}'
                return self._count(source) + self._count(title) + self._parts(content, f"{path}.search_result.content")
            case ContainerUpload():
                raise InvalidRequest(f"{path}: files are not kept here")
            case _:  # the API's own tools: known by their JSON alone
                return TOOL_CALL_TOKENS + self._count_json(plain(block))

    def _parts(self, content: str | Sequence[Part] | None, path: str) -> int:
        if content is None or isinstance(content, str):
            return self._count(content or "")
        return sum(self.tokens_of(part, f"{path}.{at}", counts_thinking=True) for at, part in enumerate(content))

    def _count(self, text: str) -> int:
        return tokens.count(text, self._model.tokenizer)

    def _count_json(self, value: object) -> int:
        return self._count(msgspec.json.encode(value).decode())

    def _image(self, block: Image, path: str) -> int:
        source = block.source
        if isinstance(source, UrlSource):
            raise InvalidRequest(NO_EGRESS)
        if not isinstance(source, Base64Image):
            raise InvalidRequest(f"{path}.image.source: image files are not kept here; send the image as base64")
        image = images.from_base64(source.data, source.media_type, loc=path, many=self._many)
        self.attachments[id(block)] = images.describe(image)
        return images.image_tokens(image.width, image.height, high_resolution=self._model.high_resolution_images)

    def _document(self, block: Document, path: str) -> int:
        name = f'the document "{block.title}"' if block.title else "a document"
        total = self._count(block.title or "") + self._count(block.context or "")
        match block.source:
            case PlainText(data=text):
                self.attachments[id(block)] = f"{name} ({len(text)} characters: {shortened(text)})"
                return total + self._count(text)
            case ContentSource(content=content):
                text = _text(content)
                self.attachments[id(block)] = f"{name} ({len(text)} characters: {shortened(text)})"
                return total + self._parts(content, f"{path}.document.source.content")
            case Base64Pdf(data=data):
                self.attachments[id(block)] = f"{name} (a PDF of {len(data) * 3 // 4} bytes, whose text was not read)"
                return total + PDF_TOKENS
            case UrlSource():
                raise InvalidRequest(NO_EGRESS)
            case _:
                raise InvalidRequest(
                    f"{path}.document.source: document files are not kept here; send the document itself"
                )


def _images(content: str | list[Block]) -> list[Image]:
    if isinstance(content, str):
        return []
    found: list[Image] = []
    for block in content:
        if isinstance(block, Image):
            found.append(block)
        elif isinstance(block, ToolResult) and isinstance(block.content, list):
            found += [part for part in block.content if isinstance(part, Image)]
    return found


def shortened(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text in quotation marks, its end cut off where it is long."""
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}..."'
