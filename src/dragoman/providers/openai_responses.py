"""OpenAI's Responses API, stateless: nothing is stored there. Replies are read in openai_responses_reply.py.

Source: OpenAI's API reference, "Create a model response" and "Get input token counts", and the types of its Python
package 3.54.0, read 2026-11-22.

Lost on the way out: `top_k`, `cache_control`, a prefilled answer, thinking of other models, tools that the API runs
itself but for the web search, citations of documents, `container`, `mcp_servers`, `context_management`,
`inference_geo`, `speed`, `fallbacks`, `diagnostics`; of models that reason `temperature` and `top_p`, of others effort
and thinking.
Renamed: `system` -> `instructions`, `max_tokens` -> `max_output_tokens`, `output_config.format` -> `text.format`,
`metadata.user_id` -> `safety_identifier`, effort and thinking budgets -> `reasoning.effort`, `web_search_*` ->
`web_search`, its `max_uses` -> `max_tool_calls`.
Done here, as the dialect has no such thing: `stop_sequences`.
Carried there and back: reasoning, in the signature of the thinking block that stands for it; and searches, in what
they found.
"""

import msgspec

from dragoman.wire.types import (
    Effort,
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
)

from .asked import asked_of_the_api
from .base import Count, Question, UpstreamRequest
from .openai_common import EFFORTS, JSON, effort_of, headers, shortened, system_text, traits_of
from .openai_responses_input import Conversation
from .openai_responses_reply import ResponsesReply
from .openai_responses_search import INCLUDED, offered
from .openai_responses_tools import tool_fields
from .openai_strict import is_strict
from .translating import Names, shows_thinking

__all__ = ["Responses", "belongs_here"]

OPENAI = "https://api.openai.com/"
LONGEST_NAME = 64  # of a tool
LONGEST_USER = 64
FEWEST_TOKENS = 16  # the dialect refuses a smaller `max_output_tokens`; clients ask for 1 to see whether a key works
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which an effort is low, or medium
# What a request to count takes of one for a message.
COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text")


def belongs_here(question: Question) -> bool:
    """Would OpenAI refuse the request in its other dialect, or could not do it? Newer models take tools and effort
    together only in this one (pipecat-ai/pipecat#4043, openai/openai-openapi#541), and only here do they search. Other
    servers of that dialect may not have this one.
    """
    if not (question.target.base_url.startswith(OPENAI) or question.target.can.responses):
        return False
    request = question.request
    config = request.output_config
    reasons = (config is not None and config.effort is not None) or shows_thinking(request)
    both = reasons and bool(request.tools) and traits_of(question.target.model).encrypts
    return both or offered(question) is not None


class Responses:
    """Messages <-> Responses."""

    name = "openai_responses"

    def translate(self, question: Question) -> ResponsesReply:
        """Raises CannotCarry for a file that the model could not see in any form."""
        writing = _Writing(question, self._origin(question))
        request = _request(question, "/responses", writing.body())
        return ResponsesReply(question, request, lost=tuple(writing.lost), names=writing.names, origin=writing.origin)

    def count(self, question: Question) -> Count | None:
        if question.target.can.count != "input_tokens":
            return None
        body = _Writing(question, self._origin(question)).body()
        counted = {name: body[name] for name in COUNTED if name in body}
        return Count(request=_request(question, "/responses/input_tokens", counted), field="input_tokens")

    def _origin(self, question: Question) -> str:
        """Other models, and other keys, cannot read what this one encrypts: they refuse it."""
        return f"{self.name}/{question.target.provider}/{question.target.model}"


def _request(question: Question, path: str, body: JSON) -> UpstreamRequest:
    return UpstreamRequest(
        url=f"{question.target.base_url}{path}", headers=headers(question), body=msgspec.json.encode(body)
    )


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question, origin: str) -> None:
        self.names = Names(LONGEST_NAME)
        self.lost: dict[str, None] = {}  # in order, each once
        self.origin = origin
        self._request = question.request
        self._model = question.target.model
        self._can = question.target.can
        self._traits = traits_of(question.target.model)
        self._search = offered(question)

    def body(self) -> JSON:
        request = self._request
        body: JSON = {"model": self._model, "store": False}
        if include := self._include():
            body["include"] = include
        if instructions := self._instructions():
            body["instructions"] = instructions
        conversation = Conversation(self._model, self._traits, origin=self.origin, names=self.names, lose=self._lose)
        body["input"] = conversation.items(request.messages)
        body["max_output_tokens"] = max(FEWEST_TOKENS, request.max_tokens)
        if request.stream:
            body["stream"] = True
        self._sampling(body)
        body |= tool_fields(request, self._search, names=self.names, lose=self._lose)
        self._reasoning(body)
        self._format(body)
        self._rest(body)
        return body

    def _include(self) -> list[str]:
        """What else is to be told: reasoning, for it comes back only as that, and what a search has found."""
        include = ["reasoning.encrypted_content"] if self._traits.encrypts else []
        return [*include, INCLUDED] if self._search is not None else include

    def _instructions(self) -> str:
        system = self._request.system
        if not isinstance(system, str) and any(block.cache_control is not None for block in system or ()):
            self._lose("cache_control")
        return system_text(system)

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _sampling(self, body: JSON) -> None:
        for name in ("temperature", "top_p"):
            value = getattr(self._request, name)
            if value is None:
                continue
            if self._traits.samples:
                body[name] = value
            else:
                self._lose(name)

    def _rest(self, body: JSON) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            if self._can.user:
                body["safety_identifier"] = shortened(request.metadata.user_id, LONGEST_USER)
            else:
                self._lose("metadata.user_id")
        if request.service_tier is not None:
            if self._can.service_tier:
                standard = request.service_tier == "standard_only"
                body["service_tier"] = self._can.service_tier if standard else "auto"
            else:
                self._lose("service_tier")
        if request.top_k is not None:
            self._lose("top_k")
        for name in asked_of_the_api(request):
            self._lose(name)
        if request.cache_control is not None:
            self._lose("cache_control")

    def _format(self, body: JSON) -> None:
        config = self._request.output_config
        found = self._request.output_format if config is None or config.format is None else config.format
        if found is None:
            return
        if found.schema.get("type") != "object":  # refused, strict or not
            self._lose("output_config.format")
            return
        strict = is_strict(found.schema)
        if not strict:
            self._lose("output_config.format.strict")
        schema = {"name": "output", "schema": found.schema, "strict": strict}
        body["text"] = {"format": {"type": "json_schema", **schema}}

    # -- reasoning --

    def _reasoning(self, body: JSON) -> None:
        effort = self._effort()
        rests = isinstance(self._request.thinking, ThinkingDisabled)
        if not self._traits.reasons and not self._traits.encrypts:
            if effort is not None:
                asked = self._request.output_config is not None and self._request.output_config.effort is not None
                self._lose("output_config.effort" if asked else "thinking")
            return
        reasoning: JSON = {}
        if rests:
            if effort is not None:
                self._lose("output_config.effort")
            if self._traits.rests:
                reasoning["effort"] = "none"
            else:
                self._lose("thinking")  # it thinks all the same; what it thinks is not told
                least = self._traits.least
                if effort is not None and self._traits.reasons and EFFORTS.index(least) <= EFFORTS.index(effort):
                    reasoning["effort"] = least
        elif effort is not None and self._traits.reasons:
            reasoning["effort"] = effort_of(effort, self._traits)
        if shows_thinking(self._request):
            reasoning["summary"] = "auto"
        if reasoning:
            body["reasoning"] = reasoning

    def _effort(self) -> Effort | None:
        """As asked, or what a budget amounts to. Models that would not think by default are told to, if asked."""
        config = self._request.output_config
        if config is not None and config.effort is not None:
            return config.effort
        match self._request.thinking:
            case ThinkingEnabled(budget_tokens=budget):
                return "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
            case ThinkingAdaptive() | ThinkingBetweenTools():
                return "medium"
        return None
