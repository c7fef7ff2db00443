"""Tool calls of one streamed reply that run before it is over. Pure."""

from typing import Any

__all__ = ["EagerCalls"]

Json = dict[str, Any]


class EagerCalls:
    """Which call of a reply may run when, which are held back, and what has come of those that ran."""

    def __init__(self) -> None:
        self.results: dict[str, Json] = {}  # by the id of the call
        self._finished: list[Any] = []
        self._held: set[str] = set()
        self._last: Any = None  # the last call that has ended, until the model goes on
        self._has_fallen_back = False

    def hold(self, tool_use: Any) -> None:
        """The call runs when the caller is done with the reply. One that has run stays so."""
        call_id = tool_use if isinstance(tool_use, str) else tool_use.id
        if call_id not in self.results:
            self._held.add(call_id)

    def is_held(self, tool_use: Any) -> bool:
        return tool_use.id in self._held

    @property
    def held(self) -> list[Any]:
        """The calls that are held back, of those that have ended, as the model made them."""
        return [tool_use for tool_use in self._finished if tool_use.id in self._held]

    def record(self, tool_use: Any, result: Json) -> None:
        self._held.discard(tool_use.id)
        self.results[tool_use.id] = result

    def take(self, event: Any) -> Any:
        """The call that may run now, as this event shows that the model has gone on from it; None where none may.

        The end of its block does not show it: a reply that is cut off ends its last block too. After a fallback to
        another model no call runs before the end, for the refusal that led to it may have cut one off.
        """
        if event.type == "content_block_stop":
            block = getattr(event, "content_block", None)
            if getattr(block, "type", None) == "tool_use":
                self._finished.append(block)
                self._last = None if self._has_fallen_back else block
            return None
        if event.type == "content_block_start":
            if event.content_block.type == "fallback":
                self._has_fallen_back, self._last = True, None
                return None
        elif event.type != "message_delta" or event.delta.stop_reason != "tool_use":
            return None
        tool_use, self._last = self._last, None
        return tool_use
