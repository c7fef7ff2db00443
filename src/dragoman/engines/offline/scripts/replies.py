"""A scripted reply: how it is written, and what the engine is told to answer. Imports `wire` and this folder."""

from collections.abc import Callable
from functools import partial
from typing import get_args

import msgspec
from msgspec import Struct

from dragoman.engines.offline.reply import Reply
from dragoman.errors import ApiError
from dragoman.wire.events import DeltaUsage
from dragoman.wire.tools import JsonObject
from dragoman.wire.types import CacheCreation, StopDetails, StopReason, Usage

from .blocks import SHORTHAND, Compile, Parts, UseSpec, parts_of, read_blocks, read_shorthand
from .failures import Failure, read_failure
from .reading import Refused, Table
from .template import Known, Lookup, Tree, compiled, literal, rendered_text

__all__ = ["ReplySpec", "ScriptedReply", "UsageOverrides", "read_reply"]

STOP_REASONS: tuple[StopReason, ...] = get_args(StopReason)
MOST_EVENTS = 1_000_000
MOST_TOKENS = 1_000_000_000
MOST_WAIT_MS = 600_000
MOST_TOKENS_PER_SECOND = 1_000_000
CONTENT = (*SHORTHAND, "blocks")
ENDS = ("stop_reason", "stop_sequence", "stop_details")


class UsageOverrides(Struct, frozen=True, kw_only=True):
    """What a reply says that it cost, in model tokens; None: what it did."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    thinking_tokens: int | None = None
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None

    def of_start(self, usage: Usage) -> Usage:
        """The usage that message_start tells: `output_tokens` is 1 there whatever comes (STR-10)."""
        given = self._given("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        if self.cache_creation_input_tokens is not None:  # which must be the sum of its parts (MSG-121)
            five_minutes = self.cache_creation_input_tokens
            given["cache_creation"] = CacheCreation(ephemeral_5m_input_tokens=five_minutes, ephemeral_1h_input_tokens=0)
        return msgspec.structs.replace(usage, **given)

    def of_delta(self, usage: DeltaUsage) -> DeltaUsage:
        """The usage that message_delta tells at the end."""
        given = self._given("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        if details := self._given("thinking_tokens"):
            given["output_tokens_details"] = details
        if self.web_search_requests is not None or self.web_fetch_requests is not None:
            given["server_tool_use"] = {
                "web_search_requests": self.web_search_requests or 0,
                "web_fetch_requests": self.web_fetch_requests or 0,
            }
        return msgspec.structs.replace(usage, **given)

    def _given(self, *names: str) -> JsonObject:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ScriptedReply(Struct, frozen=True, kw_only=True):
    """What the script answers to one request.

    Content events are `content_block_start`, `_delta` and `_stop`, counted from 1; where a reply has fewer than it
    is to be broken after, it breaks after its last, before message_delta.
    """

    rule: str  # the name of the rule that fits
    reply: Reply
    usage: UsageOverrides | None = None
    error: ApiError | None = None  # instead of the reply or, with `error_after`, in the middle of it
    error_after: int | None = None  # content events
    cut_after: int | None = None  # content events, after which the connection breaks
    wait_s: float = 0.0  # before the first event
    between_s: float = 0.0  # between content events
    tokens_per_second: float | None = None


class ReplySpec(Struct, frozen=True, kw_only=True):
    """A reply as it is written."""

    parts: Parts = ()
    stop_reason: StopReason | None = None
    stop_sequence: Tree | None = None
    stop_details: tuple[str, str | None, Tree | None] | None = None  # type, category, explanation
    failure: Failure | None = None
    cut_after: int | None = None
    usage: UsageOverrides | None = None
    wait_s: float = 0.0
    between_s: float = 0.0
    tokens_per_second: float | None = None
    tools: frozenset[str] = frozenset()  # that must be offered, since `tools` calls them

    def render(self, rule: str, lookup: Lookup, *, thinks: bool, new_tool_id: Callable[[], str]) -> ScriptedReply:
        return ScriptedReply(
            rule=rule,
            reply=Reply(
                parts=parts_of(self.parts, lookup, thinks=thinks, new_tool_id=new_tool_id),
                stop_reason=self.stop_reason,
                stop_sequence=None if self.stop_sequence is None else rendered_text(self.stop_sequence, lookup),
                stop_details=self._stop_details(lookup),
            ),
            usage=self.usage,
            error=None if self.failure is None else self.failure.raised(lookup),
            error_after=None if self.failure is None else self.failure.after,
            cut_after=self.cut_after,
            wait_s=self.wait_s,
            between_s=self.between_s,
            tokens_per_second=self.tokens_per_second,
        )

    def _stop_details(self, lookup: Lookup) -> StopDetails | None:
        if self.stop_details is None:
            return None
        kind, category, explanation = self.stop_details
        told = None if explanation is None else rendered_text(explanation, lookup)
        return StopDetails(type=kind, category=category, explanation=told)


def read_reply(table: Table, known: Known) -> ReplySpec:
    """One reply, problems noted."""
    compile_ = literal if table.flag("literal") else partial(compiled, known=known)
    blocks = read_blocks(table, compile_)
    shorthand = read_shorthand(table, compile_)
    stop_reason, stop_details = _read_stop(table, compile_)
    failure = table.table("error")
    spec = ReplySpec(
        parts=blocks or shorthand,
        stop_reason=stop_reason,
        stop_sequence=_compiled(table, "stop_sequence", compile_),
        stop_details=stop_details,
        failure=None if failure is None else read_failure(failure, compile_, most_events=MOST_EVENTS),
        cut_after=table.whole("cut_after", least=1, most=MOST_EVENTS),
        usage=_read_usage(table),
        wait_s=(table.number("wait_ms", most=MOST_WAIT_MS, may_be_zero=True) or 0) / 1000,
        between_s=(table.number("between_ms", most=MOST_WAIT_MS, may_be_zero=True) or 0) / 1000,
        tokens_per_second=table.number("tokens_per_second", most=MOST_TOKENS_PER_SECOND, may_be_zero=False),
        tools=frozenset(part.name for part in shorthand if isinstance(part, UseSpec)),
    )
    table.close()
    _check_combination(table, spec)
    return spec


def _read_stop(table: Table, compile_: Compile) -> tuple[StopReason | None, tuple[str, str | None, Tree | None] | None]:
    """`stop_reason` and `stop_details`, or both of them from `refusal`, or the former from `stop_sequence`."""
    for name in ENDS:
        table.exclusive("refusal", name)
    given = table.choice("stop_reason", STOP_REASONS)
    reason = next((known for known in STOP_REASONS if known == given), None)
    refusal, details = table.table("refusal"), table.table("stop_details")
    if refusal is not None:
        return "refusal", _read_details(refusal, compile_, kind="refusal")
    told = None if details is None else _read_details(details, compile_, kind=details.text("type"))
    if reason is None and "stop_sequence" in table:
        reason = "stop_sequence"
    if (reason == "stop_sequence") != ("stop_sequence" in table):  # MSG-106
        table.note(
            "stop_sequence" if "stop_sequence" in table else "stop_reason",
            'stop_reason = "stop_sequence" and `stop_sequence` belong together',
            "Write both, or neither.",
        )
    return reason, told


def _read_details(table: Table, compile_: Compile, *, kind: str | None) -> tuple[str, str | None, Tree | None]:
    details = (kind or "refusal", table.text("category"), _compiled(table, "explanation", compile_))
    table.close()
    return details


def _read_usage(table: Table) -> UsageOverrides | None:
    usage = table.table("usage")
    if usage is None:
        return None
    names = UsageOverrides.__struct_fields__
    given = {name: usage.whole(name, least=0, most=MOST_TOKENS) for name in names}
    usage.close()
    return UsageOverrides(**given)


def _check_combination(table: Table, spec: ReplySpec) -> None:
    """What cannot stand together, and a reply that says nothing."""
    for name in SHORTHAND:
        table.exclusive("blocks", name)
    table.exclusive("between_ms", "tokens_per_second")
    table.exclusive("error", "cut_after")
    calls = any(isinstance(part, UseSpec) and not part.on_server for part in spec.parts)
    if spec.stop_reason == "pause_turn" and calls:  # MSG-114
        table.note("stop_reason", "a turn that calls a client's tool is never paused", "Take out one of the two.")
    said = next((name for name in (*CONTENT, *ENDS, "refusal") if name in table), None)
    # In the table itself: where `after` is wrong, its own problem is enough.
    if said is not None and spec.failure is not None and "after" not in table.values["error"]:
        table.note(said, "this never comes: the error comes instead", "Take it out, or say error.after.")
    if said is None and "error" not in table and "cut_after" not in table:
        table.note(None, "this reply says nothing", 'Write text = "...", or other content; text = "" for none.')


def _compiled(table: Table, name: str, compile_: Compile) -> Tree | None:
    text = table.text(name)
    try:
        return None if text is None else compile_(text)
    except Refused as refused:
        table.note(name, refused.what, refused.remedy)
        return None
