"""What the offline engine reads out of a request: how many tokens it is, what was said last, what it holds.

Source: spec MSG-95, TOK-1 to 10. Imports only `wire`, the error tree, and this folder.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from dragoman.errors import CannotCarry, InvalidRequest
from dragoman.wire.codec import plain
from dragoman.wire.documentrules import Part, walk
from dragoman.wire.models import Model
from dragoman.wire.toolrules import forces_a_tool, is_deferred
from dragoman.wire.tools import AnyTool, JsonObject, Toolset
from dragoman.wire.toolsets import offered
from dragoman.wire.turns import Turn, blocks_of, is_prefill, merged
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Block,
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
    ToolResult,
    ToolUse,
    UrlSource,
)

from . import images, tokens
from .documents import Passages, passages_of
from .pdf import PAGE_IMAGE_TOKENS, Pages
from .tools.builtin import toolset_members

__all__ = ["Abandoned", "Prompt", "Reading", "Span", "read_prompt"]

# The estimate's fixed parts, chosen so that short prompts come near the figures of TOK-7.
REQUEST_TOKENS = 3
TURN_TOKENS = 4
TOOL_CALL_TOKENS = 8  # the frame around a call or a result
SHOWN_CHARACTERS = 200
MANY_IMAGES = 20  # above this, images must be smaller (MSG-92)
NO_EGRESS = "Unable to download the file. Please verify the URL and try again."


class Result(Struct, frozen=True):
    """One tool result of the last turn, with the call that it answers."""

    call: str  # `get_weather({"city":"Tokyo"})`
    text: str
    is_error: bool


class Span(Struct, frozen=True):
    """One block of the prompt, in the order tools, system, messages: where it stands, and what it takes."""

    path: str  # `tools.0`, `system` (a string) or `system.0`, `messages.1.content.0`
    tokens: int  # with its share of the frame around it


class Prompt(Struct, frozen=True, kw_only=True):
    """A request as the engine sees it."""

    spans: list[Span]  # all of the input, block by block
    said: str  # the text of the last user turn
    asked: str  # its last text block: where a turn has several, programs put context first and the request last
    question: str  # `asked`, in a tool loop of the turn that began it
    system: str
    results: list[Result]  # tool results of the last turn
    attachments: list[str]  # what the last turn holds besides text, in words
    passages: tuple[Passages, ...]  # of the whole request, where citations are enabled
    prefill: str | None  # text of a last assistant message that the reply goes on from

    @property
    def tokens(self) -> int:
        """Estimate of the whole input."""
        return sum(span.tokens for span in self.spans)


class Abandoned(Exception):
    """Nobody waits for this reading any more."""


class Reading:
    """What the reading of one request found out, so that to read it again with less of its history costs little.

    `pages`: those of each PDF. Blocks are known by their id(), so the request must outlive this.
    """

    def __init__(self, pages: Mapping[int, Pages] | None = None) -> None:
        self.pages = pages or {}
        self.images: dict[int, images.Image] = {}
        self.pixels = images.PixelBudget()
        self.tokens: dict[str, int] = {}  # of a text
        self.is_abandoned = False

    def abandon(self) -> None:
        """Called from another thread: makes who reads raise Abandoned before the next block."""
        self.is_abandoned = True


def read_prompt(request: CountTokensRequest, model: Model, reading: Reading | None = None) -> Prompt:
    """Read a validated request; `reading` knows the pages of its PDFs, if it has any.

    Decodes its images, so it may take tens of milliseconds for each, and a second for the largest. Raises
    InvalidRequest for an image that is none (MSG-91 to 94) and for sources that would have to be fetched (MSG-96):
    nothing is ever fetched here. And Abandoned.
    """
    reading = reading or Reading()
    reader = _Reader(request, model, reading)
    turns = merged(request.messages)
    spans = reader.spans(request, current=_start_of_current_turn(turns))
    is_continued = is_prefill(request.messages)
    last = next((turn for turn in reversed(turns) if turn.role == "user"), None)
    blocks = [placed.value for placed in last.blocks] if last else []
    return Prompt(
        spans=spans,
        said=_text(blocks),
        asked=_last_text(blocks),
        question=_question(turns),
        system=_text(request.system),
        results=_results(turns, blocks, reader.attachments),
        attachments=[words for block in blocks if (words := reader.attachments.get(id(block)))],
        passages=passages_of(request.messages, reading.pages),
        prefill=_text([placed.value for placed in turns[-1].blocks]) if is_continued else None,
    )


def _last_text(blocks: Sequence[Block]) -> str:
    return next((block.text for block in reversed(blocks) if isinstance(block, Text)), "")


def _question(turns: Sequence[Turn]) -> str:
    users = (turn for turn in reversed(turns) if turn.role == "user")
    return next((text for turn in users if (text := _last_text([placed.value for placed in turn.blocks]))), "")


def _start_of_current_turn(turns: Sequence[Turn]) -> int:
    """Index of the message with the user's last request: a tool loop behind it goes on within one turn (TOK-5)."""
    for turn in reversed(turns):
        if turn.role == "user" and not any(isinstance(placed.value, ToolResult) for placed in turn.blocks):
            return turn.blocks[0].message
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
            call = calls.get(block.tool_use_id)  # validation has paired them, but a compaction may have cut one off
            if call is None:
                continue
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

    def __init__(self, request: CountTokensRequest, model: Model, reading: Reading) -> None:
        self.attachments: dict[int, str] = {}  # id of a block -> words
        self._model = model
        self._reading = reading
        found = sum(isinstance(block, Image) for _, block in walk(request.messages))
        if found > model.max_images:
            raise InvalidRequest(f"messages: too many images: {found} > {model.max_images} maximum")
        self._many = found > MANY_IMAGES

    def spans(self, request: CountTokensRequest, *, current: int) -> list[Span]:
        """Every block with its tokens; `current` is the message that the current turn begins with."""
        spans = [*self._tools(request), *self._system(request), *self._messages(request, current)]
        frame = REQUEST_TOKENS
        if request.output_config is not None and request.output_config.format is not None:
            frame += self._count_json(request.output_config.format.schema)
        spans[0] = Span(spans[0].path, spans[0].tokens + frame)
        return spans

    def _tools(self, request: CountTokensRequest) -> Iterator[Span]:
        """The definitions; the first with the hidden prompt of any tools (TOK-6)."""
        hidden = self._model.tool_prompt_tokens[1 if forces_a_tool(request) else 0]
        for at, tool in enumerate(request.tools or ()):
            if is_deferred(tool):  # not part of the prompt until it is found (TOOL-7, CCH-28)
                yield Span(f"tools.{at}", 0)
                continue
            yield Span(f"tools.{at}", self._count_json(_served(tool)) + hidden)
            hidden = 0

    def _system(self, request: CountTokensRequest) -> Iterator[Span]:
        if isinstance(request.system, str):
            yield Span("system", self._count(request.system))
        for at, block in enumerate(request.system if isinstance(request.system, list) else ()):
            yield Span(f"system.{at}", self._count(block.text))

    def _messages(self, request: CountTokensRequest, current: int) -> Iterator[Span]:
        role = ""
        for index, message in enumerate(request.messages):
            frame = TURN_TOKENS if message.role != role or role == "system" else 0
            role = message.role
            for at, block in enumerate(blocks_of(message)):
                path = f"messages.{index}.content.{at}"
                yield Span(path, frame + self.tokens_of(block, path, counts_thinking=index >= current))
                frame = 0
            if frame and index:  # the empty last turn of an assistant
                yield Span(f"messages.{index}", frame)

    def tokens_of(self, block: Part, path: str, *, counts_thinking: bool) -> int:
        """Tokens of the block at `path`. Thinking of earlier turns counts nothing (TOK-5)."""
        if self._reading.is_abandoned:
            raise Abandoned
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
                raise CannotCarry(f"{path}: there is no container here that a file could be put into")
            case _:  # the API's own tools: known by their JSON alone
                fields = {key: item for key, item in plain(block).items() if key not in ("cache_control", "caller")}
                return TOOL_CALL_TOKENS + self._count_json(fields)

    def _parts(self, content: str | Sequence[Part] | None, path: str) -> int:
        if content is None or isinstance(content, str):
            return self._count(content or "")
        return sum(self.tokens_of(part, f"{path}.{at}", counts_thinking=True) for at, part in enumerate(content))

    def _count(self, text: str) -> int:
        known = self._reading.tokens
        if (found := known.get(text)) is None:
            found = known[text] = tokens.count(text, self._model.tokenizer)
        return found

    def _count_json(self, value: object) -> int:
        return self._count(msgspec.json.encode(value).decode())

    def _image(self, block: Image, path: str) -> int:
        known = self._reading.images
        if (image := known.get(id(block))) is None:
            image = known[id(block)] = self._decoded(block, path)
        if block.transformations is not None and block.transformations.oversized_image == "error":
            self._check_fits(image, path)
        self.attachments[id(block)] = images.describe(image)
        return images.image_tokens(image.width, image.height, high_resolution=self._model.high_resolution_images)

    def _decoded(self, block: Image, path: str) -> images.Image:
        source = block.source
        if isinstance(source, UrlSource):
            raise CannotCarry(NO_EGRESS)
        if not isinstance(source, Base64Image):
            raise CannotCarry(f"{path}.image.source: image files are not kept here; send the image as base64")
        budget = self._reading.pixels
        return images.from_base64(source.data, source.media_type, loc=path, many=self._many, budget=budget)

    def _check_fits(self, image: images.Image, path: str) -> None:
        """MSG-71: who asks for it gets an error in place of an image scaled down."""
        width, height = images.resized(image.width, image.height, high_resolution=self._model.high_resolution_images)
        if (width, height) != (image.width, image.height):
            raise InvalidRequest(
                f"{path}.image: image of {image.width}x{image.height} pixels exceeds the maximum image size of the "
                f"model; the largest dimensions that fit are {width}x{height} pixels"
            )

    def _document(self, block: Document, path: str) -> int:
        total = self._count(block.title or "") + self._count(block.context or "")
        match block.source:
            case PlainText(data=text):
                self.attachments[id(block)] = _document_in_words(block, text)
                return total + self._count(text)
            case ContentSource(content=content):
                self.attachments[id(block)] = _document_in_words(block, _text(content))
                return total + self._parts(content, f"{path}.document.source.content")
            case Base64Pdf():
                pages = self._reading.pages[id(block)]
                of = "of 1 page, " if len(pages) == 1 else f"of {len(pages)} pages, "
                self.attachments[id(block)] = _document_in_words(block, "\n".join(pages), kind=f"a PDF {of}")
                return total + sum(PAGE_IMAGE_TOKENS + self._count(page) for page in pages)
            case UrlSource():
                raise CannotCarry(NO_EGRESS)
            case _:
                raise CannotCarry(f"{path}.document.source: document files are not kept here; send the document itself")


def _served(tool: AnyTool) -> JsonObject:
    """What the model is told of a tool; of a toolset the members that it offers (TOOL-54)."""
    content = {key: value for key, value in plain(tool).items() if key != "cache_control"}
    if isinstance(tool, Toolset):
        members = toolset_members(content["type"]) or {}
        content["configs"] = {name: members[name] for name in offered(tool)}
    return content


def _document_in_words(block: Document, text: str, *, kind: str = "") -> str:
    name = f'the document "{block.title}"' if block.title else "a document"
    return f"{name} ({kind}{len(text)} characters: {shortened(text)})"


def shortened(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The text in quotation marks, its end cut off where it is long."""
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}..."'
