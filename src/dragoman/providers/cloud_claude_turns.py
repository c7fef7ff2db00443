"""Messages and system prompt, as Claude takes them on a cloud. Pure; names no cloud.

Turns are looked into only where they may hold what has to go, and stand in their places afterwards: what is moved to
the front changes every prefix that is cached (pain 12, 13).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from dragoman.errors import CannotCarry

from .cloud_claude import CloudRequest, ObjectRule
from .cloud_claude_blocks import BlocksRule, is_mere_thinking
from .cloud_claude_models import Support, supporting
from .raw_json import encoded, items, members, string, value

__all__ = ["MessagesRule", "SystemRule"]

ATTRIBUTION = "x-anthropic-billing-header:"  # Claude Code's: may be new in every request, and then no prefix is cached
ASSISTANT, SYSTEM = Raw(b'"assistant"'), Raw(b'"system"')
SILENT = (Raw(b"[]"), Raw(b'""'))  # contents
BY_REFERENCE = re.compile(rb'"type"\s*:\s*"(?:url|file)"')

AsUser = Callable[[CloudRequest, Raw | Sequence[Raw] | None], Any]


class SystemRule(Struct, frozen=True):
    """Without Claude Code's stamp: clouds bill by themselves, or refuse it, and caches go by the prefix (pain 11)."""

    def apply(self, request: CloudRequest, name: str) -> None:
        raw = request.field(name)
        if raw is None or ATTRIBUTION.encode() not in bytes(raw):
            return
        blocks = items(raw)
        if blocks is not None:
            request.replace_items(name, blocks, [None if _is_stamp(block) else block for block in blocks])
        elif (text := string(raw)) is not None and text.startswith(ATTRIBUTION):
            request.replace(name, text.partition("\n")[2])


def _is_stamp(block: Raw) -> bool:
    return (string((members(block) or {}).get("text")) or "").startswith(ATTRIBUTION)


class MessagesRule(Struct, frozen=True, kw_only=True):
    """`as_user` makes of a system turn's content what the user says in its place, for models that know no such turns;
    nothing where it says nothing."""

    message: ObjectRule
    system_turns: Support
    system_message: ObjectRule  # members of system turns that stay
    as_user: AsUser
    blocks: BlocksRule
    references: Mapping[str, str]  # types of sources that the cloud would have to fetch -> what is said of one

    def apply(self, request: CloudRequest, name: str) -> None:
        """Raises CannotCarry for images and documents that the cloud would have to fetch."""
        raw = request.field(name)
        data = bytes(raw or b"")
        mention = self.blocks.mention()
        is_referring = BY_REFERENCE.search(data) is not None
        if not is_referring and self._has_nothing(data, mention):
            return
        before = items(raw)
        if before is None:
            return
        if is_referring:
            for at, message in enumerate(before):
                self._refuse_references(value((members(message) or {}).get("content")), f"{name}.{at}.content")
        after = [self._message(request, name, message, mention) for message in before]
        if after and _is_paused(before[-1], after[-1]):
            after[-1] = None
        request.replace_items(name, before, after)

    def _has_nothing(self, data: bytes, mention: re.Pattern[bytes]) -> bool:
        """Whether there is nothing in all messages to look at."""
        names = ("system", *self.message.members)
        is_plain = self.message.is_open and not any(f'"{name}"'.encode() in data for name in names)
        return is_plain and mention.search(data) is None

    def _message(self, request: CloudRequest, path: str, raw: Raw, mention: re.Pattern[bytes]) -> Raw | None:
        """The very same, or what is left of it; None where nothing is."""
        message = members(raw)
        if message is None:
            return raw
        kept = self.message.kept(request, path, message)
        content = message.get("content")
        if message.get("role") == SYSTEM:
            if supporting(self.system_turns, request.model) is None:
                left = self._changed(request, path, content, mention)
                said = self.as_user(request, content if left is None else left)
                return encoded({"role": "user", "content": said}) if said else None
            kept = self.system_message.kept(request, path, kept)
            if content in SILENT and "output_config" not in kept:
                return None  # it set the effort, or nothing at all
        left = self._changed(request, path, content, mention)
        if left is None:
            return raw if kept is message else encoded(kept)
        return None if is_mere_thinking(left) else encoded({**kept, "content": left})

    def _changed(
        self, request: CloudRequest, path: str, content: Raw | None, mention: re.Pattern[bytes]
    ) -> list[Raw] | None:
        """The blocks that are left of it, as they are left; None where nothing changes."""
        before = items(content) if mention.search(bytes(content or b"")) else None
        if before is None:
            return None
        after = self.blocks.kept(request, path, before)
        is_same = len(after) == len(before) and all(new is old for new, old in zip(after, before, strict=True))
        return None if is_same else after

    def _refuse_references(self, blocks: Any, path: str) -> None:
        for at, block in enumerate(blocks if isinstance(blocks, list) else ()):
            if not isinstance(block, dict):
                continue
            source = block.get("source")
            kind = source.get("type") if isinstance(source, dict) else None
            if isinstance(kind, str) and kind in self.references:
                raise CannotCarry(f"{path}.{at}.{self.references[kind]}")
            inner = source.get("content") if isinstance(source, dict) else block.get("content")
            self._refuse_references(inner, f"{path}.{at}.content")


def _is_paused(before: Raw, after: Raw | None) -> bool:
    """A turn of the assistant's that was to be gone on with, and has lost the calls that it waits for: what is left of
    it would be a prefill, which newer models refuse (MSG-48)."""
    told, left = members(before) or {}, members(after) or {}
    had, has = (len(items(each.get("content")) or ()) for each in (told, left))
    return told.get("role") == ASSISTANT and has < had
