"""What the offline engine answers: the same to the same request, and honest about being no model.

Tool calls when they fit, a value when a format is asked, the results of tools, passages of documents, or words that
say what they are and hold the prompt. Pure. Imports only `wire` and this folder.
"""

from collections.abc import Iterator, Sequence, Set

import msgspec

from dragoman.engines.offline.examples.fill import fill
from dragoman.engines.offline.hints.hints import Hints
from dragoman.engines.offline.tools.builtin import builtin_schema, toolset_members
from dragoman.engines.offline.tools.plan import Call, ToolView, plan
from dragoman.wire.modelrules import effort_of, interleaves, thinks
from dragoman.wire.models import Model
from dragoman.wire.toolrules import is_deferred
from dragoman.wire.tools import CustomTool, Toolset
from dragoman.wire.toolsets import offered
from dragoman.wire.turns import blocks_of
from dragoman.wire.types import (
    Block,
    ContentSource,
    Document,
    InputMessage,
    MessagesRequest,
    PlainText,
    SearchResult,
    StopDetails,
    Text,
    ThinkingBetweenTools,
    ThinkingEnabled,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
    ToolResult,
)

from .citations import cite
from .prompt import Prompt, shortened
from .reply import Part, Reply, Say, Think, Use

__all__ = ["answer", "may_call"]

QUOTED_CHARACTERS = 4_000  # of the prompt, in a reply
READ_CHARACTERS = 10_000  # of the prompt, searched for values and for the tools that fit

# The strings that the API documents for testing: a prompt that holds one is refused, or is thought about in secret.
REFUSAL = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672DEE07F9D3AFC62588CCD2631EDCF22E8CCC1FB35B501C9C86"
REDACTION = (
    "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_46C9A13E193C177646C7398A98432ECCCE4C1253D5E2D82641AC0E52CC2876CB"
)

# Thinking grows with the effort: as many of these as the level's place in the row.
THOUGHTS = (
    "I look at what was asked.",
    "I look at it again, from the other side.",
    "I weigh what speaks against the first idea.",
    "I go through the steps once more.",
    "I make sure that nothing was left out.",
)
EFFORTS = ("low", "medium", "high", "xhigh", "max")


def answer(request: MessagesRequest, model: Model, prompt: Prompt, *, betas: Sequence[str]) -> Reply:
    """The reply, before stop sequences and limits."""
    if _says(request, REFUSAL):
        details = StopDetails(type="refusal", category=None, explanation=None)
        return Reply(parts=(), stop_reason="refusal", stop_details=details)
    is_redacted = _says(request, REDACTION)
    mind = _Mind(request, model, prompt, betas=betas, is_redacted=is_redacted)
    if calls := _calls(request, prompt):
        return _called(request, calls, mind)
    config = request.output_config
    if config is not None and config.format is not None:
        value = fill(config.format.schema, Hints.of(prompt.asked[:READ_CHARACTERS]))
        return Reply(parts=(*mind.thoughts("The answer has a fixed format."), Say(_json(value))))
    if prompt.passages and prompt.prefill is None and (quoted := cite(prompt.passages, prompt.question)):
        return Reply(parts=(*mind.thoughts(f"The user said {shortened(prompt.said)}. I quote what fits."), *quoted))
    thoughts = mind.thoughts(f"The user said {shortened(prompt.said)}. No model is here to think.")
    return Reply(parts=(*thoughts, Say(_text(model, prompt))))


class _Mind:
    """Whether and how a request is thought about."""

    def __init__(
        self, request: MessagesRequest, model: Model, prompt: Prompt, *, betas: Sequence[str], is_redacted: bool
    ) -> None:
        # Without interleaving, manual thinking comes once a turn: not again behind a tool's result (MSG-65).
        goes_on = bool(prompt.results) and isinstance(request.thinking, ThinkingEnabled)
        self._thinks = thinks(request, model) and not (goes_on and not interleaves(request, model, betas))
        self._is_redacted = is_redacted
        effort = effort_of(request) or model.default_effort
        self._depth = EFFORTS.index(effort) + 1

    def thoughts(self, first: str) -> tuple[Part, ...]:
        if not self._thinks:
            return ()
        return (Think(" ".join((first, *THOUGHTS[: self._depth])), redacted=self._is_redacted),)


def _called(request: MessagesRequest, calls: Sequence[Call], mind: _Mind) -> Reply:
    names = " and ".join(dict.fromkeys(call.name for call in calls))
    announced: tuple[Part, ...] = (Say(f"I will use {names}."),)
    if isinstance(request.tool_choice, ToolChoiceAny | ToolChoiceTool):
        announced = ()  # a forced call comes without a word before it (TOOL-14)
    elif isinstance(request.thinking, ThinkingBetweenTools):
        announced = (Think(f"I will use {names}."),)  # what such a model says between calls comes as thinking
    uses = (Use(name=call.name, input=call.input) for call in calls)
    return Reply(parts=(*mind.thoughts(f"{names} can help here."), *announced, *uses))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _says(request: MessagesRequest, needle: str) -> bool:
    """Whether anything in the prompt holds the text: a refusal lasts until what caused it is taken out."""
    system = request.system if isinstance(request.system, str) else _joined(request.system or ())
    return needle in system or any(needle in text for message in request.messages for text in _texts(message))


def _texts(message: InputMessage) -> Iterator[str]:
    for block in blocks_of(message):
        if isinstance(block, ToolResult):
            content = block.content or ""
            yield content if isinstance(content, str) else _joined(list(content))
        else:
            yield _joined([block])


def _joined(blocks: Sequence[Block | object]) -> str:
    found: list[str] = []
    for block in blocks:
        match block:
            case Text(text=text):
                found.append(text)
            case Document(source=PlainText(data=text)) | Document(source=ContentSource(content=str(text))):
                found.append(text)
            case Document(source=ContentSource(content=content)):
                found.append(_joined(content))
            case SearchResult(content=content):
                found.append(_joined(content))
            case _:
                continue
    return "\n".join(found)


def may_call(request: MessagesRequest, prompt: Prompt) -> bool:
    """Whether there are tools to choose from."""
    choice = request.tool_choice
    if not request.tools or isinstance(choice, ToolChoiceNone) or prompt.prefill is not None:
        return False
    # Else the results are the answer: so every tool loop ends.
    return not prompt.results or isinstance(choice, ToolChoiceAny | ToolChoiceTool)


def _calls(request: MessagesRequest, prompt: Prompt) -> list[Call]:
    choice = request.tool_choice
    if not may_call(request, prompt) or isinstance(choice, ToolChoiceNone):
        return []
    return plan(
        _views(request),
        prompt.asked[:READ_CHARACTERS],
        choice=choice.__struct_config__.tag if choice is not None else "auto",  # type: ignore[arg-type]
        forced=choice.name if isinstance(choice, ToolChoiceTool) else None,
        parallel=not (choice is not None and choice.disable_parallel_tool_use),
    )


def _views(request: MessagesRequest) -> list[ToolView]:
    """The tools that the engine can call: custom ones, and those whose input the API has fixed."""
    views: list[ToolView] = []
    forced = request.tool_choice.name if isinstance(request.tool_choice, ToolChoiceTool) else None
    for tool in request.tools or ():
        if isinstance(tool, Toolset):
            views += [] if is_deferred(tool) else _members(tool, taken={view.name for view in views})
        elif is_deferred(tool) and getattr(tool, "name", None) != forced:
            continue
        elif isinstance(tool, CustomTool):
            views.append(ToolView(tool.name, tool.description or "", tool.input_schema))
        elif (schema := builtin_schema(str(tool.__struct_config__.tag))) is not None:
            views.append(ToolView(str(getattr(tool, "name", "")), "", schema))
    return views


def _members(toolset: Toolset, *, taken: Set[str]) -> list[ToolView]:
    """The members that the toolset offers; a name that both toolsets have belongs to the first of them."""
    members = toolset_members(str(toolset.__struct_config__.tag)) or {}
    names = set(offered(toolset)) - taken
    return [ToolView(name, "", schema) for name, schema in members.items() if name in names]


def _text(model: Model, prompt: Prompt) -> str:
    """Words that say what they are, and hold what was asked."""
    if prompt.prefill is not None:
        return f" [dragoman's offline engine goes on from here] You said: {_quoted(prompt.said)}"
    if prompt.results:
        told = [
            f"{result.call} {'failed with' if result.is_error else 'returned'}: {_quoted(result.text)}"
            for result in prompt.results
        ]
        said = [f"You said: {_quoted(prompt.said)}"] if prompt.said else []
        return "\n".join(["Here is what the tools gave (told by dragoman's offline engine):", *told, *said])
    parts = [f"This is dragoman's offline engine in place of {model.id}: no model was asked."]
    if prompt.said:
        parts.append(f"You said: {_quoted(prompt.said)}")
    if prompt.attachments:
        parts.append(f"You sent {', '.join(prompt.attachments)}.")
    if prompt.system:
        parts.append(f"The system prompt is: {shortened(prompt.system)}")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}..."
