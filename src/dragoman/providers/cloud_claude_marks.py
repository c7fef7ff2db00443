"""Marks for the cache (`cache_control`), without what a cloud does not know of them. Pure; names no cloud.

They stand in blocks, in blocks within blocks, and in tools; what a tool was called with is not ours to change. Every
byte around what goes stays, for the prefixes of caches are bytes.
"""

from msgspec import Raw, Struct

from .cloud_claude import CloudRequest, ObjectRule
from .cloud_claude_models import supporting
from .raw_json import edited, items, members, spliced

__all__ = ["CacheMarks"]

MARK = "cache_control"
LEVELS = 5  # of blocks within each other: a message, a result, a document, its source, a text


class CacheMarks(Struct, frozen=True):
    """`mark` must be open: it says what of a mark goes."""

    mark: ObjectRule

    def apply(self, request: CloudRequest, name: str) -> None:
        raw = request.field(name)
        if raw is None or not self._may_hold(request, raw):
            return
        changed = self._blocks(request, raw, LEVELS)
        if changed is not raw:
            request.replaced[name] = changed

    def _may_hold(self, request: CloudRequest, raw: Raw) -> bool:
        data = bytes(raw)
        return any(
            f'"{name}"'.encode() in data
            for name, support in self.mark.members.items()
            if supporting(support, request.model) is None
        )

    def _blocks(self, request: CloudRequest, raw: Raw, levels: int) -> Raw:
        """An array of blocks; the very same where nothing goes."""
        before = items(raw) or []
        after = [self._block(request, block, levels) for block in before]
        return raw if all(new is old for new, old in zip(after, before, strict=True)) else spliced(raw, before, after)

    def _block(self, request: CloudRequest, raw: Raw, levels: int) -> Raw:
        block = members(raw) if levels and self._may_hold(request, raw) else None
        if block is None:
            return raw
        changed: dict[str, Raw] = {}
        if (told := members(block.get(MARK))) is not None:
            kept = self.mark.kept(request, MARK, told)
            if len(kept) < len(told):
                changed[MARK] = edited(block[MARK], told.keys() - kept.keys(), {})
        for name, within in (("content", self._blocks), ("source", self._block)):
            if (inner := block.get(name)) is not None and (new := within(request, inner, levels - 1)) is not inner:
                changed[name] = new
        return edited(raw, (), changed) if changed else raw
