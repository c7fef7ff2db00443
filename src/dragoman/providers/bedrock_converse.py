"""Bedrock's Converse and ConverseStream: any model on Bedrock. Replies are read in bedrock_converse_reply.py.

Source: the service model bedrock-runtime 2023-09-30 (botocore 1.44) and Bedrock's user guide, read 2026-11-21; what
each model takes of it, with its sources, is in bedrock_converse_models.py. Blobs are base64 text in the JSON.

Lost on the way out, from all models: `disable_parallel_tool_use`, `input_examples`, `citations`, thinking of other
models, tools that the API runs itself, `container`, `mcp_servers`, `context_management`, `inference_geo`, `speed`,
`fallbacks`, `diagnostics`; and from those that do not have them: `cache_control` (and its `ttl` of an hour), `top_k`,
`temperature`, `top_p`, thinking, its budget and effort, `output_config.format`, `tools.strict`, `tool_choice`, a
prefilled answer.
Renamed: `cache_control` -> `cachePoint` behind the block, `metadata.user_id` -> `requestMetadata`, a title -> `name`.
Kept back: stop sequences that a model does not take, or more than it takes; they are looked for in what comes.

Models that take tools, and streams, but not both at once, are asked for a whole reply, which is streamed from here.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import msgspec

from dragoman.errors import NoSuchModel
from dragoman.wire.codec import plain
from dragoman.wire.tools import AnyTool, CustomTool
from dragoman.wire.types import (
    Effort,
    JsonFormat,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
)

from .asked import asked_of_the_api, offered
from .base import Count, Question, UpstreamRequest
from .bedrock_converse_content import GO_ON, Content
from .bedrock_converse_models import base_id, traits_of
from .bedrock_converse_reply import ConverseReply
from .client_tools import Function, as_function
from .gemini_schema import parameters
from .openai_common import effort_of
from .openai_common import traits_of as openai_traits_of
from .translating import Names

__all__ = ["Converse"]

JSON = dict[str, Any]
MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,2047}")  # an id or an ARN: it stands in the URL
LEGAL_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")  # RequestMetadataValueString
GONE = "Called earlier in this conversation. Not available any more: do not call it."
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which an effort is low, or medium
# Effort -> of models that have three.
THREE = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


class Converse:
    """Messages <-> Converse."""

    name = "bedrock_converse"

    def translate(self, question: Question) -> ConverseReply:
        """Raises CannotCarry for a file that the model could not see in any form, NoSuchModel where it is none."""
        writing = _Writing(question)
        body = writing.body()
        streams = question.request.stream and (writing.streams_tools or "toolConfig" not in body)
        request = UpstreamRequest(
            url=_url(question, question.target.model, "converse-stream" if streams else "converse"),
            headers=_headers(question, accept="application/vnd.amazon.eventstream" if streams else "application/json"),
            body=msgspec.json.encode(body),
        )
        return ConverseReply(
            question,
            request,
            lost=tuple(writing.lost),
            names=writing.names,
            origin=writing.origin,
            sent_stops=writing.sent_stops,
        )

    def count(self, question: Question) -> Count | None:
        """Claude's tokens are counted, by the id of the model itself; of an inference profile's the service says that
        it counts none (pydantic-ai#3367)."""
        if not traits_of(question.target.model).is_claude:
            return None
        body = _Writing(question).body()
        counted = ("messages", "system", "toolConfig", "additionalModelRequestFields")
        asked = {"input": {"converse": {name: body[name] for name in counted if name in body}}}
        request = UpstreamRequest(
            url=_url(question, base_id(question.target.model), "count-tokens"),
            headers=_headers(question, accept="application/json"),
            body=msgspec.json.encode(asked),
        )
        return Count(request=request, field="inputTokens")


def _url(question: Question, model: str, verb: str) -> str:
    if not MODEL.fullmatch(model):
        raise NoSuchModel(f"model: {model}")
    return f"{question.target.base_url}/model/{quote(model, safe='')}/{verb}"


def _headers(question: Question, *, accept: str) -> list[tuple[str, str]]:
    """Without a key the gateway signs what is sent."""
    headers = [("content-type", "application/json"), ("accept", accept)]
    if question.target.api_key is not None:
        headers.append(("authorization", f"Bearer {question.target.api_key}"))
    return headers


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question) -> None:
        target = question.target
        self.names = Names(64)
        self.lost: dict[str, None] = {}  # in order, each once
        self.sent_stops: Sequence[str] = ()
        # Other models, and other keys, cannot read what this one signs or encrypts.
        self.origin = f"{Converse.name}/{target.provider}/{target.model}"
        self._request = question.request
        self._traits = traits_of(target.model)
        self._efforts = openai_traits_of(base_id(target.model).removeprefix("openai."))
        self.streams_tools = self._traits.streams_tools
        self._content = Content(self._traits, origin=self.origin, names=self.names, lose=self._lose)

    def body(self) -> JSON:
        request = self._request
        body: JSON = {}
        if system := self._content.system(request.system):
            body["system"] = system
        body["messages"] = self._content.messages(request.messages, last=request.cache_control)
        self._begins(body)
        self._tools(body)
        body["inferenceConfig"] = self._config()
        if fields := self._fields():
            body["additionalModelRequestFields"] = fields
        if self._traits.stops and self.sent_stops:  # where the reply tells at which it stopped: whole, and in a stream
            body["additionalModelResponseFieldPaths"] = ["/stop_sequence", "/delta/stop_sequence"]
        self._format(body)
        self._rest(body)
        return body

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _begins(self, body: JSON) -> None:
        """Of models without a system prompt, as the first thing said; and a begun answer, of those that begin anew."""
        messages = body["messages"]
        if not self._traits.has_system and "system" in body:
            texts = [block for block in body.pop("system") if "text" in block]
            messages[0] = {"role": "user", "content": [*texts, *messages[0]["content"]]}
        if self._request.messages[-1].role == "assistant" and not self._traits.prefill:
            self._lose("prefill")
            if messages[-1]["role"] == "assistant":  # it may not be the last to have spoken
                messages.append({"role": "user", "content": [{"text": GO_ON}]})

    def _rest(self, body: JSON) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            body["requestMetadata"] = {"user_id": _metadata(request.metadata.user_id)}
        if request.service_tier == "standard_only":
            body["serviceTier"] = {"type": "default"}
        for name in asked_of_the_api(request):
            self._lose(name)

    # -- how to answer --

    def _config(self) -> JSON:
        request, traits = self._request, self._traits
        most = traits.most_tokens
        config: JSON = {"maxTokens": max(1, request.max_tokens if most is None else min(request.max_tokens, most))}
        for name, theirs in (("temperature", "temperature"), ("top_p", "topP")):
            value = getattr(request, name)
            if value is not None and traits.samples:
                config[theirs] = value
            elif value is not None:
                self._lose(name)
        self.sent_stops = [each for each in request.stop_sequences or () if each][: traits.stops]
        if self.sent_stops:
            config["stopSequences"] = self.sent_stops
        return config

    def _fields(self) -> JSON:
        """What only some models have, by their own names."""
        fields: JSON = {}
        top_k = self._request.top_k
        if top_k is not None and self._traits.top_k:
            *outer, name = self._traits.top_k
            holder = fields
            for each in outer:
                holder = holder.setdefault(each, {})
            holder[name] = top_k
        elif top_k is not None:
            self._lose("top_k")
        return fields | self._thinking()

    def _format(self, body: JSON) -> None:
        config = self._request.output_config
        wanted: JsonFormat | None = self._request.output_format if config is None else config.format
        if wanted is None:
            return
        if not self._traits.structured:
            self._lose("output_config.format")
            return
        schema = {"name": "output", "schema": msgspec.json.encode(wanted.schema).decode()}
        body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}

    # -- thinking --

    def _thinking(self) -> JSON:
        thinking = self._request.thinking
        effort = None if self._request.output_config is None else self._request.output_config.effort
        if thinking is None and effort is None:
            return {}
        if self._traits.thinks == "claude":  # by the API's own names
            fields = {} if thinking is None else {"thinking": plain(thinking)}
            return fields if effort is None else {**fields, "output_config": {"effort": effort}}
        if isinstance(thinking, ThinkingDisabled):
            return self._no_thinking(effort)
        return self._level(effort)

    def _no_thinking(self, effort: Effort | None) -> JSON:
        """That wins over an effort, where a model can but think."""
        fields: JSON = {}
        match self._traits.thinks:
            case "reasoning" if self._traits.rests:
                fields = {"reasoning": {"effort": "none"}}
            case "toggle":
                fields = {"thinking": {"type": "disabled"}}
            case "nova" | "reasoning_config" | None:  # they do not, unless they are told to
                pass
            case _:
                self._lose("thinking")  # it cannot but think
                return {} if effort is None else self._level(effort)
        if effort is not None:
            self._lose("output_config.effort")
        return fields

    def _level(self, effort: Effort | None) -> JSON:
        thinking = self._request.thinking
        budget = thinking.budget_tokens if isinstance(thinking, ThinkingEnabled) else None
        level: Effort = effort or ("medium" if budget is None or budget <= MEDIUM_BUDGET else "high")
        if effort is None and budget is not None and budget <= LOW_BUDGET:
            level = "low"
        match self._traits.thinks:
            case "nova":  # "high" is refused beside a limit of tokens, and here there is always one
                nova = "low" if level == "low" else "medium"
                return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": nova}}
            case "reasoning":
                return {"reasoning": {"effort": effort_of(level, self._efforts)}}
            case "reasoning_effort" | "reasoning_config" as name:
                return {name: THREE[level]}
        if effort is not None:
            self._lose("output_config.effort")
        if budget is not None and self._traits.thinks is not None:
            self._lose("thinking.budget_tokens")
        if self._traits.thinks == "toggle":
            return {} if thinking is None else {"thinking": {"type": "enabled"}}
        if self._traits.thinks is None and thinking is not None:
            self._lose("thinking")
        return {}

    # -- tools --

    def _tools(self, body: JSON) -> None:
        """Calls in the history are refused where no tool is declared, so there is always one for them."""
        choice = self._request.tool_choice
        specs = [spec for tool in offered(self._request.tools) for spec in self._tool(tool)]
        if getattr(choice, "disable_parallel_tool_use", None):
            self._lose("disable_parallel_tool_use")
        if isinstance(choice, ToolChoiceNone) and specs:
            specs = specs if self._content.calls else []
            if specs:
                self._lose("tool_choice")  # there is no such choice, and without tools the history is refused
        chosen = self._chosen({spec["toolSpec"]["name"] for spec in specs if "toolSpec" in spec})
        specs = specs or [_spec(Function(name, GONE, {})) for name in self._content.calls]
        if specs:
            body["toolConfig"] = {"tools": specs} if chosen is None else {"tools": specs, "toolChoice": chosen}

    def _tool(self, tool: AnyTool) -> list[JSON]:
        """The tool, and the cache point behind it."""
        if getattr(tool, "input_examples", None):
            self._lose("input_examples")
        if isinstance(tool, CustomTool):
            spec = self._custom(tool)
        elif (known := as_function(tool)) is not None:
            spec = _spec(known, is_plain=self._traits.plain_schemas)
        else:
            self._lose(f"tools.{plain(tool)['type']}")
            return []
        return [spec, *self._content.cache_point(tool.cache_control, behind=spec)]

    def _custom(self, tool: CustomTool) -> JSON:
        told = Function(self.names.outward(tool.name), tool.description or "", tool.input_schema)
        spec = _spec(told, is_plain=self._traits.plain_schemas)
        if tool.strict and self._traits.structured:
            spec["toolSpec"]["strict"] = True
        elif tool.strict:
            self._lose("tools.strict")
        return spec

    def _chosen(self, offered: set[str]) -> JSON | None:
        """None for the default, which is the model's choice, and for what it cannot be told."""
        takes = self._traits.choices
        match self._request.tool_choice:
            case ToolChoiceAny() if offered and "any" in takes:
                return {"any": {}}
            case ToolChoiceTool(name=name) if (outward := self.names.outward(name)) in offered and takes:
                if "tool" in takes:
                    return {"tool": {"name": outward}}
                if len(offered) > 1:
                    self._lose("tool_choice")
                return {"any": {}}
            case ToolChoiceAny() | ToolChoiceTool():
                self._lose("tool_choice")
        return None


def _spec(told: Function, *, is_plain: bool = False) -> JSON:
    """A schema is an object's, with properties; `is_plain`: and nothing else is known at its root."""
    schema: JSON = {"type": "object", "properties": {}, **told.schema}
    description = told.description
    if is_plain:
        schema = parameters(told.schema) or {"type": "object", "properties": {}}
        description = "\n".join(part for part in (description, schema.get("description")) if part)
        schema = {name: schema[name] for name in ("type", "properties", "required") if name in schema}
    said = {"description": description} if description.strip() else {}
    return {"toolSpec": {"name": told.name, **said, "inputSchema": {"json": schema}}}


def _metadata(user_id: str) -> str:
    """As it is where it may stand there, else a digest: the same for the same user."""
    if LEGAL_METADATA.fullmatch(user_id):
        return user_id
    return blake2b(user_id.encode(), digest_size=16).hexdigest()
