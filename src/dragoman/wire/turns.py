"""Rules about the turns of a conversation: roles, empty content, tool calls and their results, prefill.

Source: spec MSG-40 to 48, MSG-70 to 88. Pure; imports only this folder and the error tree.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dragoman.errors import CannotCarry, InvalidRequest

from .models import Model
from .schema import EXTRA
from .types import (
    Block,
    Compaction,
    ContainerUpload,
    Document,
    Image,
    InputMessage,
    MessagesRequest,
    RedactedThinking,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

__all__ = ["Turn", "check_prefill", "check_turns", "is_prefill", "merged"]

MAX_MESSAGES = 100_000
PER_TURN = ("per-turn-control-", "mid-conversation-output-config-")  # betas
ONLY_FROM_USER = (ToolResult, Image, SearchResult, ContainerUpload)
ONLY_FROM_ASSISTANT = (ToolUse, Thinking, RedactedThinking, ServerToolUse, ServerToolResult, Compaction)


class Placed(NamedTuple):
    """A block, and where it stands in the request."""

    message: int
    block: int
    value: Block

    @property
    def path(self) -> str:
        return f"messages.{self.message}.content.{self.block}"


class Turn(NamedTuple):
    """Messages of one role in a row: to the model they are one (MSG-42)."""

    role: str
    last: int  # index of its last message
    blocks: list[Placed]


def blocks_of(message: InputMessage) -> Sequence[Block]:
    """The content as blocks: a string is one text block (MSG-43)."""
    if isinstance(message.content, str):
        return [Text(text=message.content)] if message.content else []
    return message.content


def is_talk(messages: Sequence[InputMessage]) -> bool:
    """Nothing but texts, given as strings: no rule about blocks has anything to say."""
    return all(type(message.content) is str for message in messages)


def merged(messages: Sequence[InputMessage]) -> list[Turn]:
    """The turns of a conversation; `system` messages are left out, as they stand between turns."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        placed = [Placed(index, at, block) for at, block in enumerate(blocks_of(message))]
        if turns and turns[-1].role == message.role:
            turns[-1].blocks.extend(placed)  # in place: a turn may be a hundred thousand messages
            turns[-1] = turns[-1]._replace(last=index)
        else:
            turns.append(Turn(message.role, index, placed))
    return turns


def check_turns(messages: Sequence[InputMessage], model: Model, *, betas: Sequence[str]) -> None:
    """Raise InvalidRequest, in the API's words, for a conversation that no model takes."""
    _check_turn_configs(messages, betas)
    if not messages:
        raise InvalidRequest("messages: at least one message is required")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"messages: List should have at most {MAX_MESSAGES} items, not {len(messages)}")
    _check_system_turns(messages, model, betas)
    _check_first(messages)
    for index, message in enumerate(messages):
        _check_content(message, index, is_last=index == len(messages) - 1)
    if is_talk(messages):
        return
    turns = merged(messages)
    _check_ids_are_unique(turns)
    for before, turn in zip([None, *turns], turns, strict=False):
        _check_results(turn, before)
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        _check_calls_are_answered(turn, after)


def _check_turn_configs(messages: Sequence[InputMessage], betas: Sequence[str]) -> None:
    """A `system` turn may set the effort from there on, with a beta (CC-4); elsewhere the field is unknown."""
    is_on = any(beta.startswith(PER_TURN) for beta in betas)
    for index, message in enumerate(messages):
        if message.output_config is not None and not (is_on and message.role == "system"):
            raise InvalidRequest(f"messages.{index}.output_config: {EXTRA}")


def _check_first(messages: Sequence[InputMessage]) -> None:
    """MSG-41; it holds behind a first `system` message too, where a beta allows one."""
    first = next((message for message in messages if message.role != "system"), None)
    if first is None or first.role == "assistant":
        raise InvalidRequest('messages: first message must use the "user" role')


def _check_system_turns(messages: Sequence[InputMessage], model: Model, betas: Sequence[str]) -> None:
    """MSG-45, 46; a mid-conversation beta lifts both (CC-5)."""
    if not any(message.role == "system" for message in messages):
        return
    if messages[0].role == "system" and model.system_turns:
        raise InvalidRequest(
            "messages.0: use the top-level 'system' parameter for the initial system prompt; "
            "role 'system' in messages is for later instructions"
        )
    if any(beta.startswith("mid-conversation-") for beta in betas):
        return
    if not model.system_turns:
        raise InvalidRequest(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
            'not "system" as an input message role.'
        )
    before: InputMessage | None = None
    for index, (message, after) in enumerate(zip(messages, _next_turns(messages), strict=True)):
        if message.role != "system":
            before = message
            continue
        if before is None or (before.role == "assistant" and not _ends_in_server_result(before)):
            raise InvalidRequest(
                f"messages.{index}: role 'system' must follow a 'user' message or an 'assistant' message ending in a "
                "server tool result"
            )
        if after is not None and after.role != "assistant":
            raise InvalidRequest(
                f"messages.{index}: role 'system' must precede an 'assistant' message or end the array"
            )


def _next_turns(messages: Sequence[InputMessage]) -> list[InputMessage | None]:
    """For each message the next one that is no `system` message."""
    found: list[InputMessage | None] = []
    after: InputMessage | None = None
    for message in reversed(messages):
        found.append(after)
        if message.role != "system":
            after = message
    return found[::-1]


def _ends_in_server_result(message: InputMessage) -> bool:
    blocks = blocks_of(message)
    return bool(blocks) and isinstance(blocks[-1], ServerToolResult)


def _check_content(message: InputMessage, index: int, *, is_last: bool) -> None:
    if isinstance(message.content, str) and message.content and not message.content.isspace():
        return
    blocks = blocks_of(message)
    if not blocks and message.output_config is None and not (is_last and message.role == "assistant"):
        raise InvalidRequest(
            f"messages.{index}: all messages must have non-empty content except for the optional final "
            "assistant message"
        )
    for at, block in enumerate(blocks):
        if message.role == "system" and not isinstance(block, Text):
            raise InvalidRequest(f"messages.{index}.content.{at}: role 'system' takes `text` blocks only")
        if isinstance(block, Text):
            _check_text(block, f"messages.{index}.content.{at}")
        elif message.role == "assistant" and isinstance(block, ONLY_FROM_USER):
            raise _wrong_role(index, block, "user")
        elif message.role == "user" and isinstance(block, ONLY_FROM_ASSISTANT):
            raise _wrong_role(index, block, "assistant")
        if isinstance(block, ToolResult):
            _check_result_texts(block)


def _check_text(block: Text, path: str) -> None:
    if not block.text.strip():
        if block.cache_control is not None:
            raise InvalidRequest(f"{path}.text: cache_control cannot be set for empty text blocks")
        what = "contain non-whitespace text" if block.text else "be non-empty"
        raise InvalidRequest(f"messages: text content blocks must {what}")


def _check_result_texts(result: ToolResult) -> None:
    """What a tool printed may be blank, but not nothing at all."""
    parts = result.content if isinstance(result.content, list) else ()
    if any(isinstance(part, Text) and not part.text and part.cache_control is None for part in parts):
        raise InvalidRequest("messages: text content blocks must be non-empty")


def _wrong_role(index: int, block: Block, role: str) -> InvalidRequest:
    kind = block.__struct_config__.tag
    return InvalidRequest(f"messages.{index}: `{kind}` blocks can only be in `{role}` messages")


def _check_ids_are_unique(turns: Sequence[Turn]) -> None:
    seen: set[str] = set()
    for turn in turns:
        for placed in turn.blocks:
            if isinstance(placed.value, ToolUse):
                if placed.value.id in seen:
                    raise InvalidRequest(f"{placed.path}: `tool_use` ids must be unique")
                seen.add(placed.value.id)


def _check_results(turn: Turn, before: Turn | None) -> None:
    """Each result answers a call of the turn before, once (MSG-82, 84)."""
    called = set(_call_ids(before)) if before else set()
    answered: set[str] = set()
    for placed in turn.blocks:
        if not isinstance(placed.value, ToolResult):
            continue
        call = placed.value.tool_use_id
        if call not in called:
            raise InvalidRequest(
                f"{placed.path}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` "
                "block must have a corresponding `tool_use` block in the previous message."
            )
        if call in answered:
            raise InvalidRequest(
                f"{placed.path}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {call}"
            )
        answered.add(call)


def _check_calls_are_answered(turn: Turn, after: Turn | None) -> None:
    """Each call has its result at the head of the next turn (MSG-80, 81)."""
    leading: set[str] = set()
    for placed in after.blocks if after else ():
        if not isinstance(placed.value, ToolResult):
            break
        leading.add(placed.value.tool_use_id)
    missing = [call for call in _call_ids(turn) if call not in leading]
    if missing:
        raise InvalidRequest(
            f"messages.{turn.last}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message."
        )


def _call_ids(turn: Turn) -> Iterator[str]:
    return (placed.value.id for placed in turn.blocks if isinstance(placed.value, ToolUse))


def is_prefill(messages: Sequence[InputMessage]) -> bool:
    """Whether the reply has to go on from a last assistant message.

    One that ends in the API's own tools, or in a summary, is the resumption of a paused turn instead (MSG-48, 117).
    """
    if messages[-1].role != "assistant":
        return False
    blocks = blocks_of(messages[-1])
    return not blocks or not isinstance(blocks[-1], ServerToolUse | ServerToolResult | Compaction)


def check_prefill(request: MessagesRequest, model: Model) -> None:
    """MSG-47, 48."""
    if not is_prefill(request.messages):
        return
    if not model.prefill:
        raise CannotCarry(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    blocks = blocks_of(request.messages[-1])
    if blocks and isinstance(blocks[-1], Text) and blocks[-1].text != blocks[-1].text.rstrip():
        raise InvalidRequest("messages: final assistant content cannot end with trailing whitespace")
    if request.output_config is not None and request.output_config.format is not None:
        raise InvalidRequest("output_config.format: cannot be combined with a prefilled assistant message")


def documents_of_assistants(messages: Sequence[InputMessage]) -> Iterator[str]:
    """Paths of documents in assistant turns: refused from version 2026-10-21 on (MSG-3)."""
    for index, message in enumerate(messages):
        if message.role == "assistant":
            for at, block in enumerate(blocks_of(message)):
                if isinstance(block, Document):
                    yield f"messages.{index}.content.{at}"
