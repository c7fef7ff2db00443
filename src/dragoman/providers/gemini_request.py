"""A request as Gemini takes it: the body of `generateContent`. What is lost, and why, stands in gemini.py. Pure."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dragoman.errors import CannotCarry
from dragoman.wire.codec import Unknown, plain
from dragoman.wire.provenance import unwrap
from dragoman.wire.tools import AnyTool, CustomTool
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Document,
    FileSource,
    Image,
    InputMessage,
    MessagesRequest,
    PlainText,
    RedactedThinking,
    SearchResult,
    ServerToolUse,
    Text,
    Thinking,
    ThinkingDisabled,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlSource,
    WebSearchResult,
)

from .asked import CLIENT_STRICT, asked_of_the_api, offered
from .base import Question
from .client_tools import as_function
from .gemini_models import GeminiModel
from .gemini_reply import OF_CALL, OF_NOTHING, OF_THOUGHT, OF_TOOLS, FunctionNames
from .gemini_schema import cleaned, parameters
from .gemini_search import is_ours, searches
from .openai_common import system_text
from .searches import told_searches

__all__ = ["BYPASS", "MIXED", "Writing"]

BYPASS = "skip_thought_signature_validator"  # "Thought signatures", questions: for calls that Gemini did not make
MIXED = "includeServerSideToolInvocations"  # of toolConfig: Google's own tools may stand beside functions
WITHIN_RESULT = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})  # Gemini 3, "Function calling"
GIF = "image/gif"  # the one type of image that Gemini refuses: "Image understanding"; microsoft/vscode#286628
NO_GIF = "the model that answers cannot see GIFs: send it as PNG, JPEG or WebP."
GIF_LEFT_OUT = "(a GIF, which cannot be shown here)"
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
}
SAMPLING = {"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
LEFT_OUT = "(nothing that can be shown)"
GO_ON = "Go on from where your last message breaks off, without saying any of it again."

JSON = dict[str, Any]


class Writing:
    """One request on its way into the dialect; `lost` grows as it goes. `origin` signed what the model thought."""

    mixes_tools = True  # Google's own tools may stand beside functions, for models that can

    def __init__(self, question: Question, *, origin: str) -> None:
        self.names = FunctionNames()
        self.lost: dict[str, None] = {}  # in order, each once
        self._request = question.request
        self._origin = origin
        self._model = GeminiModel.of(question.target.model)
        self._called: dict[str, str] = {}  # id of a call -> name of its function
        self._at = ""  # path of the turn that is written, where it is the one to answer
        self._mixed = False  # Google's own tools stand beside functions, and what they did goes back

    def body(self) -> JSON:
        request, tools = self._request, self._tools()
        self._mixed = MIXED in tools.get("toolConfig", {})
        body: JSON = {"contents": self._contents(request)}
        if system := self._system(request.system):
            body["systemInstruction"] = {"parts": [{"text": system}]}
        body |= tools
        body["generationConfig"] = self._config(has_tools="tools" in body)
        if request.service_tier == "standard_only":
            body["serviceTier"] = "standard"  # it is the default too, and so what `auto` is
        self._rest()
        return body

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _rest(self) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            self._lose("metadata.user_id")
        if request.cache_control is not None:
            self._lose("cache_control")
        if request.messages[-1].role == "assistant":
            self._lose("prefill")  # it goes out as an answer that was given; not every model goes on from it by itself
        for name in asked_of_the_api(request):
            if name != CLIENT_STRICT:  # calls of all tools are validated
                self._lose(name)

    # -- how to answer --

    def _config(self, *, has_tools: bool) -> JSON:
        request = self._request
        config: JSON = {"maxOutputTokens": min(max(1, request.max_tokens), self._model.most_output)}
        config |= self._sampling()
        wanted = (request.output_config and request.output_config.format) or request.output_format
        if wanted is not None and has_tools and not self._model.signs_calls:
            self._lose("output_config.format")  # refused beside functions before Gemini 3
        elif wanted is not None:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": cleaned(wanted.schema)}
        if thinking := self._thinking():
            config["thinkingConfig"] = thinking
        return config

    def _sampling(self) -> JSON:
        request = self._request
        asked = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        given = {name: value for name, value in asked.items() if value is not None}
        if self._model.is_fixed:
            for name in given:
                self._lose(name)
            return {}
        if "top_k" in given:
            given["top_k"] = self._model.top_k(int(given["top_k"]))
        if given.get("top_k") == 0:
            del given["top_k"]  # no limit, there as here, but refused as a number
        return {SAMPLING[name]: value for name, value in given.items()}

    def _thinking(self) -> JSON:
        thinking, effort = self._request.thinking, self._effort()
        if effort is not None and (isinstance(thinking, ThinkingDisabled) or not self._model.thinks):
            self._lose("output_config.effort")
        if self._model.thinks:
            return self._model.thinking(thinking, effort)
        if thinking is not None and not isinstance(thinking, ThinkingDisabled):
            self._lose("thinking")
        return {}

    def _effort(self) -> str | None:
        """The one in force where the reply begins: a `system` turn may have set it."""
        turns = (message.output_config for message in reversed(self._request.messages))
        latest = next((config.effort for config in turns if config is not None and config.effort is not None), None)
        if latest is not None or self._request.output_config is None:
            return latest
        return self._request.output_config.effort

    # -- tools --

    def _tools(self) -> JSON:
        """`tools` and `toolConfig`, where there are any."""
        tools = offered(self._request.tools)
        functions = [function for tool in tools if (function := self._function(tool)) is not None]
        googles = self._googles(tools, has_functions=bool(functions))
        if not functions:
            if isinstance(self._request.tool_choice, ToolChoiceAny | ToolChoiceTool):
                self._lose("tool_choice")
            return {"tools": googles} if googles else {}
        is_strict = any(getattr(tool, "strict", None) for tool in tools)
        told = [*googles, {"functionDeclarations": functions}]
        config: JSON = {MIXED: True} if googles else {}
        if choice := self._choice({each["name"] for each in functions}, is_strict=is_strict):
            config["functionCallingConfig"] = choice
        return {"tools": told, **({"toolConfig": config} if config else {})}

    def _googles(self, tools: Sequence[AnyTool], *, has_functions: bool) -> list[JSON]:
        """Tools that Google runs."""
        can = self._model.searches and (not has_functions or (self.mixes_tools and self._model.signs_calls))
        found: list[JSON] = []
        for tool in tools:
            if isinstance(tool, CustomTool) or as_function(tool) is not None:
                continue
            if can and not found and searches(tool, lose=self._lose):
                found = [{"googleSearch": {}}]
            else:
                self._lose(f"tools.{plain(tool)['type']}")
        return found

    def _function(self, tool: AnyTool) -> JSON | None:
        if tool.cache_control is not None:
            self._lose("cache_control")
        if getattr(tool, "input_examples", None):
            self._lose("input_examples")
        if isinstance(tool, CustomTool):
            return self._declared(tool.name, tool.description, tool.input_schema)
        known = as_function(tool)
        return None if known is None else self._declared(*known)

    def _declared(self, name: str, description: str | None, schema: JSON) -> JSON:
        said = {"description": description} if description else {}
        takes = parameters(schema)
        return {
            "name": self.names.outward(name),
            **said,
            **({} if takes is None else {"parametersJsonSchema": takes}),
        }

    def _choice(self, functions: set[str], *, is_strict: bool) -> JSON:
        choice = self._request.tool_choice
        if getattr(choice, "disable_parallel_tool_use", None):
            self._lose("disable_parallel_tool_use")
        match choice:
            case ToolChoiceAny():
                return {"mode": "ANY"}
            case ToolChoiceTool(name=name) if (theirs := self.names.outward(name)) in functions:
                return {"mode": "ANY", "allowedFunctionNames": [theirs]}
            case ToolChoiceTool():
                self._lose("tool_choice")  # of a tool that is lost itself
                return {}
            case ToolChoiceNone():
                return {"mode": "NONE"}
            case _:
                return {"mode": "VALIDATED"} if is_strict else {}

    # -- messages --

    def _system(self, system: str | Sequence[Text] | None) -> str:
        if not isinstance(system, str) and any(block.cache_control is not None for block in system or ()):
            self._lose("cache_control")
        return system_text(system)

    def _contents(self, request: MessagesRequest) -> list[JSON]:
        """Turns of two roles in alternation: what follows its like is joined to it."""
        contents: list[JSON] = []
        for number, message in enumerate(request.messages, 1):
            self._at = f"messages.{number - 1}.content." if number == len(request.messages) else ""
            role = "model" if message.role == "assistant" else "user"
            parts = self._turn(message)
            if role == "user" and not parts:
                parts = [{"text": LEFT_OUT}]  # its place is kept: turns of the model do not follow one another
            if contents and contents[-1]["role"] == role:
                contents[-1]["parts"] = _results_last([*contents[-1]["parts"], *parts])
            elif parts:
                contents.append({"role": role, "parts": _results_last(parts)})
        if contents and contents[-1]["role"] == "model" and self._model.is_fixed:
            contents.append({"role": "user", "parts": [{"text": GO_ON}]})
        return contents

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if any(getattr(block, "cache_control", None) is not None for block in blocks):
            self._lose("cache_control")
        if message.role == "system":  # in its place: moved to the front it would change every prefix
            text = "\n\n".join(block.text for block in blocks if isinstance(block, Text))
            return [{"text": f"<system>\n{text}\n</system>"}]
        if message.role == "assistant":
            return self._assistant(blocks)
        return [part for number, block in enumerate(blocks) for part in self._user(block, number)]

    def _assistant(self, blocks: Sequence[Any]) -> list[JSON]:
        parts: list[JSON] = []
        signature: str | None = None  # of the call that comes next
        for block in told_searches(blocks, self._origin, self._lose):
            match block:
                case Text(text=text):
                    parts += _text(text)
                case Thinking(thinking=thought):
                    on, signed = self._mine(block)
                    if on == OF_CALL:
                        signature = signed
                    elif on == OF_THOUGHT:
                        parts.append({"text": thought, "thought": True, "thoughtSignature": signed})
                    elif on == OF_NOTHING:
                        parts.append({"text": "", "thoughtSignature": signed})
                    elif on == OF_TOOLS and self._mixed:
                        parts += _parts_of(signed)
                case ToolUse():
                    parts.append(self._call(block, signature))
                    signature = None
                case ServerToolUse(name="web_search"):
                    pass  # told, or told as lost, with its result
                case WebSearchResult(content=content) if is_ours(content, self._origin):
                    pass  # the text that was made of it is all that Gemini reads
                case RedactedThinking():
                    self._lose("thinking")
                case _:
                    self._lose(_kind(block))
        return self._with_bypass(parts)

    def _mine(self, block: Thinking) -> tuple[str, str]:
        """On which part this very model signed, and how; empty for a summary without, and for thinking of others."""
        made = unwrap(block.signature)
        if made is None or made[0] != self._origin:
            self._lose("thinking")
            return "", ""
        return made[1][:1], made[1][1:]

    def _call(self, block: ToolUse, signature: str | None) -> JSON:
        self._called[block.id] = name = self.names.outward(block.name)
        part: JSON = {"functionCall": {"id": block.id, "name": name, "args": block.input}}
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _with_bypass(self, parts: list[JSON]) -> list[JSON]:
        """Of calls made together only the first is signed, and only from Gemini 3 on is that checked."""
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and self._model.signs_calls:
            first.setdefault("thoughtSignature", BYPASS)
        return parts

    def _user(self, block: Any, number: int) -> list[JSON]:
        """Raises CannotCarry for a GIF in the turn to answer: the question is of it. Further back, and of a tool,
        it must not end a conversation that moves here."""
        if isinstance(block, ToolResult):
            return self._result(block)
        if self._at and isinstance(block, Image) and _is_gif(block):
            raise CannotCarry(f"{self._at}{number}.image.source: {NO_GIF}")
        return self._parts(block)

    def _result(self, result: ToolResult) -> list[JSON]:
        """A result of a function, and the files that only a part of its own can hold."""
        content = result.content
        blocks: Sequence[Any] = [Text(text=content)] if isinstance(content, str) else content or ()
        parts = [part for block in blocks for part in self._parts(block)]
        text = "\n".join(part["text"] for part in parts if "text" in part)
        files = [part for part in parts if "text" not in part]
        within = [part for part in files if self._model.signs_calls and _media_type(part) in WITHIN_RESULT]
        beside = [part for part in files if part not in within]
        if (name := self._called.get(result.tool_use_id)) is None:
            return [{"text": f"Result of {result.tool_use_id}: {text}"}, *files]  # of a call that is not there
        response: JSON = {"id": result.tool_use_id, "name": name}
        response["response"] = {"error": text or "Error"} if result.is_error else {"output": text}
        if within:
            response["parts"] = within
        label = [{"text": f"Attached to the result of {result.tool_use_id}:"}] if beside else []
        return [{"functionResponse": response}, *label, *beside]

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return _text(text)
            case Image() if _is_gif(block):
                self._lose(GIF)
                return [{"text": GIF_LEFT_OUT}]
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [{"inlineData": {"mimeType": media_type, "data": data}}]
            case Image(source=UrlSource(url=url)):
                return [_linked(url)]
            case Image():
                raise CannotCarry("image.source.file_id: the model that answers cannot see files of this API.")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                if getattr(block.citations, "enabled", None):
                    self._lose("citations")
                text = "\n".join(each.text for each in content)
                return [{"text": f"{title}\n{source}\n{text}"}]
            case ToolReference(tool_name=name):  # a client's own search for tools found it; it is among `tools`
                return [{"text": f"Tool: {self.names.outward(name)}"}]
            case _:
                self._lose(_kind(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        head = "\n".join(part for part in (document.title, document.context) if part)
        title = _text(head)
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        match document.source:
            case Base64Pdf(data=data):
                return [*title, {"inlineData": {"mimeType": "application/pdf", "data": data}}]
            case PlainText(data=text):
                return _text(f"{head}\n{text}".lstrip("\n"))
            case UrlSource(url=url):
                return [*title, {"fileData": {"mimeType": "application/pdf", "fileUri": url}}]
            case FileSource():
                raise CannotCarry("document.source.file_id: the model that answers cannot see files of this API.")
            case source:
                if isinstance(source.content, str):
                    return _text(f"{head}\n{source.content}".lstrip("\n"))
                return [*title, *(part for each in source.content for part in self._parts(each))]


def _text(text: str) -> list[JSON]:
    """A part, but for an empty text, which is refused."""
    return [{"text": text}] if text else []


def _results_last(parts: list[JSON]) -> list[JSON]:
    """Of one turn. What stands behind results hides them from the newer models ("Requests ending with a model turn are
    not supported"); what stands before them is read by all. Sources: google/oss-rebuild PR#1559, CLIProxyAPI#5607."""
    return sorted(parts, key=lambda part: "functionResponse" in part)


def _parts_of(told: str) -> list[JSON]:
    """What Google's tools did, as it came; nothing for what is none of that."""
    try:
        parts = msgspec.json.decode(told, type=list[JSON])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    return [part for part in parts if part.keys() <= {"toolCall", "toolResponse", "thoughtSignature"}]


def _linked(url: str) -> JSON:
    """A file that Gemini fetches itself. Its kind is told where the address shows it."""
    kind = _kind_of_address(url)
    return {"fileData": {**({} if kind is None else {"mimeType": kind}), "fileUri": url}}


def _kind_of_address(url: str) -> str | None:
    try:
        return MEDIA_TYPES.get(urlsplit(url).path.rpartition(".")[2].lower())
    except ValueError:
        return None


def _is_gif(image: Image) -> bool:
    match image.source:
        case Base64Image(media_type=media_type):
            return media_type == GIF
        case UrlSource(url=url):
            return _kind_of_address(url) == GIF
        case _:
            return False


def _media_type(part: JSON) -> str | None:
    data = part.get("inlineData")
    return None if data is None else data["mimeType"]


def _kind(block: Any) -> str:
    return block.kind if isinstance(block, Unknown) else str(type(block).__struct_config__.tag)
