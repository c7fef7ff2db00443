"""OpenAI's Chat Completions, which most servers of open models speak too. Replies are read in openai_chat_reply.py.

Source: OpenAI's API reference, "Create chat completion", and the documentation of vLLM, read 2026-11-21. What a host
takes beyond that, or short of it, is data: its row in hosts.toml, as Capabilities in base.py.

Lost on the way out: `container`, `mcp_servers`, `context_management`, `inference_geo`, `speed`, `fallbacks`,
`diagnostics`, tools that the API runs itself, thinking of other models; and where a host has no place for them `top_k`,
`cache_control`, `thinking`, `output_config.effort`, a prefilled answer, and what else its row says.
Renamed: `stop_sequences` -> `stop` (and looked for in what comes), `metadata.user_id` -> `user`, `output_config.format`
-> `response_format`, effort and thinking budgets -> whatever the host calls them (openai_chat_thinking.py).
"""

import re

import msgspec

from .asked import asked_of_the_api
from .base import Count, Question, Target, Translated, UpstreamRequest
from .openai_chat_messages import Conversation
from .openai_chat_reply import ChatReply
from .openai_chat_thinking import Wish, asked, rests
from .openai_chat_tools import Functions
from .openai_common import JSON, FittingNames, headers, is_among, shortened, traits_of
from .openai_responses import Responses, belongs_here
from .openai_strict import is_strict

__all__ = ["ChatCompletions"]

NEWER = re.compile(r"(?:.*/)?gpt-[5-9]")  # take `max_completion_tokens` alone, as do all that take no temperature
LONGEST_USER = 64
# What a path that counts tokens is asked with: the rest of a request makes no prompt.
COUNTED = ("model", "messages", "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message")


class ChatCompletions:
    """Messages <-> Chat Completions."""

    name = "openai_chat"

    def translate(self, question: Question) -> Translated:
        """Raises CannotCarry for a document or an image that the model could not see in any form."""
        if belongs_here(question):
            return Responses().translate(question)
        writing = _Writing(question)
        body = writing.body()
        target = question.target
        path = target.can.prefill_path if writing.prefill else ""
        request = UpstreamRequest(
            url=f"{target.base_url}{path}/chat/completions",
            headers=headers(question),
            body=msgspec.json.encode(body),
            streamed=bool(body.get("stream")),
        )
        return ChatReply(
            question,
            request,
            lost=tuple(writing.lost),
            names=writing.names,
            echo=writing.prefill if target.can.prefill_echoed else "",
            cuts=target.can.truncates and not writing.has_attachments,
        )

    def count(self, question: Question) -> Count | None:
        """The prompt as it would be sent, counted by servers that can: llama.cpp and vLLM."""
        how, base = question.target.can.count, question.target.base_url
        if how is None:
            return None
        body = _Writing(question).body()
        counted = msgspec.json.encode({name: value for name, value in body.items() if name in COUNTED})
        if how == "tokenize":
            url, field = f"{base.removesuffix('/v1')}/tokenize", "count"
        else:
            url, field = f"{base}/chat/completions/input_tokens", "input_tokens"
        return Count(request=UpstreamRequest(url=url, headers=headers(question), body=counted), field=field)


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question) -> None:
        self.names = FittingNames(question.target.can.names)
        self.lost: dict[str, None] = {}  # in order, each once
        self._request = question.request
        self._target: Target = question.target
        self._can = question.target.can
        self._model = question.target.model
        self._traits = traits_of(self._model)
        self._conversation = Conversation(question, self.names)

    @property
    def prefill(self) -> str:
        """What the assistant has begun, where the host goes on with it."""
        return self._conversation.prefill

    @property
    def has_attachments(self) -> bool:
        """Images or files: what they are in tokens, hosts do not agree on."""
        return self._conversation.has_attachments

    def body(self) -> JSON:
        request = self._request
        tools, forces = self._tools()
        form = self._format(has_tools=bool(tools))
        body: JSON = {"model": self._model, "messages": []}  # the messages stand where prefixes are compared
        body["messages"] = self._conversation.messages(request, also=form.pop("also", ""))
        self._lose(*self._conversation.lost)
        body[self._limit()] = request.max_tokens
        if request.stream or self._stops_here or self._can.only_streams:
            body["stream"] = True
            if self._can.stream_usage:
                body["stream_options"] = {"include_usage": True}
        self._sampling(body)
        if request.stop_sequences and not self._stops_here:
            body["stop"] = request.stop_sequences
            if self._can.tells_stop == "verbose":
                body["verbose"] = True
        body |= tools
        self._thinking(body, rests=forces and not self._can.forced_thinking)
        self._rest(body)
        body |= form
        return body

    @property
    def _stops_here(self) -> bool:
        """Sequences that a host met and did not tell could not be told from an end: they are looked for in what comes,
        in a stream, so that the model is stopped at the first."""
        return bool(self._request.stop_sequences) and self._can.tells_stop is None

    def _lose(self, *names: str) -> None:
        self.lost |= dict.fromkeys(names)

    def _limit(self) -> str:
        newer = not self._traits.samples or NEWER.match(self._model) is not None
        return self._can.limit or ("max_completion_tokens" if newer else "max_tokens")

    def _sampling(self, body: JSON) -> None:
        samples = self._traits.samples and not is_among(self._can.fixed_sampling, self._model)
        takes = {"temperature": samples, "top_p": samples, "top_k": self._can.top_k}
        for name, is_taken in takes.items():
            value = getattr(self._request, name)
            if value is None:
                continue
            if is_taken:
                body[name] = value
            else:
                self._lose(name)

    def _rest(self, body: JSON) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            if self._can.user:
                body["user"] = shortened(request.metadata.user_id, LONGEST_USER)
            else:
                self._lose("metadata.user_id")
        if request.service_tier is not None:
            if self._can.service_tier:
                body["service_tier"] = self._can.service_tier if request.service_tier == "standard_only" else "auto"
            else:
                self._lose("service_tier")
        for name in asked_of_the_api(request):
            self._lose(name)
        if self.prefill and self._can.prefill == "continue_final_message":
            body |= {"continue_final_message": True, "add_generation_prompt": False}

    def _format(self, *, has_tools: bool) -> JSON:
        """`response_format`, and `also`: what the system prompt is to say of it, where the host knows no schemas."""
        config = self._request.output_config
        found = self._request.output_format if config is None or config.format is None else config.format
        if found is None:
            return {}
        if has_tools and not self._can.format_beside_tools:
            self._lose("output_config.format")
            return {}
        if self._can.formats == "json_object":
            self._lose("output_config.format.strict")
            schema = msgspec.json.encode(found.schema).decode()
            return {
                "response_format": {"type": "json_object"},
                "also": f"Answer with JSON alone, an object that fits this JSON Schema: {schema}",
            }
        form: JSON = {"name": "output", "schema": found.schema}
        if self._can.strict and is_strict(found.schema):
            form["strict"] = True
        else:  # such as optional properties: OpenAI would refuse it; others hold to any schema
            self._lose("output_config.format.strict")
        return {"response_format": {"type": "json_schema", "json_schema": form}}

    def _thinking(self, body: JSON, *, rests: bool) -> None:
        """`rests`: it is made to call a tool, and may not think then. One that goes on with an answer does not think
        either: some servers refuse it."""
        wish = Wish.of(self._request)
        if rests or (self.prefill and self._can.effort == "chat_template_kwargs"):
            if wish.on or wish.effort is not None:
                self._lose("thinking")
            wish = Wish(on=False)
        fields, lost = asked(wish, self._target)
        if self._can.keep_thinking and self._conversation.gives_back and wish.on is not False:
            fields = {**fields, "thinking": {"type": "enabled", "clear_thinking": False}}
        if is_among(self._can.parsed_thinking, self._model):
            fields["reasoning_format"] = "parsed"
        self._lose(*lost)
        body |= fields

    def _tools(self) -> tuple[JSON, bool]:
        """Their fields, and whether one must be called: a model that must think cannot be made to, at some hosts."""
        functions = Functions(self._request, self.names, self._can)
        fields = functions.fields(may_force=self._can.forced_thinking or rests(self._target))
        self._lose(*functions.lost)
        return fields, functions.forces
