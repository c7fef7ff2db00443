"""Rules that differ from model to model: thinking, effort, sampling, output cap.

Source: spec MSG-11, 35, MSG-53 to 66. Pure; imports only this folder and the error tree.
"""

from collections.abc import Sequence

from dragoman.errors import CannotCarry, InvalidRequest

from .headers import Version
from .models import Effort, Model, ThinkingRules
from .schema import choices
from .toolrules import forces_a_tool
from .turns import merged
from .types import (
    CountTokensRequest,
    MessagesRequest,
    RedactedThinking,
    Thinking,
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolResult,
)

__all__ = [
    "check_effort",
    "check_max_tokens",
    "check_place",
    "check_sampling",
    "check_speed",
    "check_thinking",
    "effort_of",
    "interleaves",
    "thinks",
]

USE_ADAPTIVE = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
PLACES = ("us", "global")
INTERLEAVED = ("interleaved-thinking-2025-05-14", "dev-full-thinking-2025-05-14")


def thinks(request: CountTokensRequest, model: Model) -> bool:
    """Whether the model thinks before it answers this request: as asked, else by its default."""
    if isinstance(request.thinking, ThinkingEnabled | ThinkingAdaptive):
        return True
    return request.thinking is None and model.thinking is not None and model.thinking.default != "off"


def interleaves(request: CountTokensRequest, model: Model, betas: Sequence[str]) -> bool:
    """Whether the model may think again between the calls of one turn: always when adaptive (MSG-65)."""
    if not isinstance(request.thinking, ThinkingEnabled):
        return thinks(request, model)
    return bool(model.thinking and model.thinking.manual_interleaved) and any(beta in INTERLEAVED for beta in betas)


def check_thinking(request: CountTokensRequest, model: Model, *, betas: Sequence[str]) -> None:
    """MSG-53 to 58, MSG-60."""
    config = request.thinking
    if config is None:
        return
    if isinstance(config, ThinkingAdaptive) and config.display == "updates" and not _takes_updates(betas):
        raise InvalidRequest(f"thinking.adaptive.display: Input should be {choices(('summarized', 'omitted'))}")
    rules = model.thinking
    if rules is None:
        if not isinstance(config, ThinkingDisabled):
            raise CannotCarry("thinking: thinking is not supported on this model")
        return
    _check_type(config, rules, request)
    if isinstance(config, ThinkingEnabled):
        _check_manual(config, request, interleaved=interleaves(request, model, betas))


def _takes_updates(betas: Sequence[str]) -> bool:
    """Short notes on what goes on; the thinking itself stays hidden."""
    return any(beta.startswith("thinking-display-updates-") for beta in betas)


def _check_type(
    config: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | ThinkingBetweenTools,
    rules: ThinkingRules,
    request: CountTokensRequest,
) -> None:
    match config:
        case ThinkingEnabled() if not rules.enabled:
            raise CannotCarry(f'"thinking.type.enabled" is not supported for this model. {USE_ADAPTIVE}')
        case ThinkingAdaptive() if not rules.adaptive:
            raise CannotCarry("adaptive thinking is not supported on this model")
        case ThinkingBetweenTools() if not rules.between_tools:
            raise CannotCarry('"thinking.type.between_tools" is not supported for this model.')
        case ThinkingBetweenTools() if effort_of(request) in ("xhigh", "max"):
            raise InvalidRequest(f'"thinking.type.between_tools" is not supported at effort "{effort_of(request)}".')
        case ThinkingDisabled() if rules.disabled == "no":
            raise CannotCarry(f'"thinking.type.disabled" is not supported for this model. {USE_ADAPTIVE}')
        case ThinkingDisabled() if rules.disabled == "up_to_high_effort" and effort_of(request) in ("xhigh", "max"):
            raise CannotCarry(
                f'"thinking.type.disabled" is not supported for this model at effort "{effort_of(request)}".'
            )
        case _:
            return


def effort_of(request: CountTokensRequest) -> Effort | None:
    """The level that was asked for: for all of it, or by the last turn that set one."""
    for message in reversed(request.messages):
        if message.output_config is not None and message.output_config.effort is not None:
            return message.output_config.effort
    return request.output_config.effort if request.output_config else None


def _check_manual(config: ThinkingEnabled, request: CountTokensRequest, *, interleaved: bool) -> None:
    if isinstance(request, MessagesRequest) and request.max_tokens <= config.budget_tokens and not interleaved:
        raise InvalidRequest(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
        )
    if forces_a_tool(request):
        raise InvalidRequest("Thinking may not be enabled when tool_choice forces tool use.")
    turns = merged(request.messages)
    in_tool_loop = len(turns) > 1 and any(isinstance(placed.value, ToolResult) for placed in turns[-1].blocks)
    last = turns[-2] if in_tool_loop else turns[-1]
    if last.role == "assistant" and last.blocks and not isinstance(last.blocks[0].value, Thinking | RedactedThinking):
        first = last.blocks[0]
        raise InvalidRequest(
            f"{first.path}.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{first.value.__struct_config__.tag}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceding the lastmost set of `tool_use` and `tool_result` blocks). To avoid "
            "this requirement, disable `thinking`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
        )


def check_effort(request: CountTokensRequest, model: Model) -> None:
    """MSG-66."""
    effort = effort_of(request)
    if effort is None:
        return
    if not model.effort:
        raise CannotCarry("This model does not support the effort parameter.")
    if effort not in model.effort:
        levels = ", ".join(model.effort)
        raise CannotCarry(f"This model does not support effort level '{effort}'. Supported levels: {levels}.")


def check_sampling(request: MessagesRequest, model: Model, *, version: Version, given: frozenset[str]) -> None:
    """MSG-3, 57, 60, 61. `given` are the keys of the body that hold more than null."""
    for name in ("temperature", "top_p", "top_k"):
        if name in given and version == "2026-10-21":
            raise InvalidRequest(f"`{name}` is not supported in API version 2026-10-21.")
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    if model.sampling == "default_only":
        for name, value, default in (("temperature", temperature, 1), ("top_p", top_p, 1), ("top_k", top_k, 0)):
            if value is not None and value != default:
                raise CannotCarry(f"`{name}` is deprecated for this model.")
    if model.sampling == "temperature_or_top_p" and temperature is not None and top_p is not None:
        raise CannotCarry("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if isinstance(request.thinking, ThinkingEnabled | ThinkingAdaptive):
        _check_sampling_while_thinking(temperature, top_p, top_k)


def _check_sampling_while_thinking(temperature: float | None, top_p: float | None, top_k: int | None) -> None:
    consult = (
        "Please consult our documentation at "
        "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#important-considerations-when-using-extended-thinking"
    )
    if temperature is not None and temperature != 1:
        raise InvalidRequest(
            f"`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. {consult}"
        )
    if top_p is not None and top_p < 0.95:
        raise InvalidRequest(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled or in adaptive mode. "
            f"{consult}"
        )
    if top_k is not None and top_k != 0:
        raise InvalidRequest(f"`top_k` must be unset when thinking is enabled or in adaptive mode. {consult}")


def check_speed(request: CountTokensRequest, model: Model, *, betas: Sequence[str]) -> None:
    """MSG-28: fast mode has a beta, and is for some models only."""
    if request.speed != "fast":
        return
    if not any(beta.startswith("fast-mode-") for beta in betas):
        raise InvalidRequest("speed: Extra inputs are not permitted")
    if not model.fast:
        raise CannotCarry(f"'{model.id}' does not support the `speed` parameter.")


def check_place(request: MessagesRequest, model: Model) -> None:
    """MSG-26: where the model runs."""
    if request.inference_geo is None:
        return
    if not model.inference_geo:
        raise CannotCarry("inference_geo: is not supported for this model")
    if request.inference_geo not in PLACES:
        raise InvalidRequest(f"inference_geo: Input should be {choices(PLACES)}")


def check_max_tokens(request: MessagesRequest, model: Model) -> None:
    """MSG-11, 35."""
    if request.max_tokens > model.max_tokens:
        raise CannotCarry(
            f"max_tokens: {request.max_tokens} > {model.max_tokens}, which is the maximum allowed number of output "
            f"tokens for {model.id}"
        )
    if request.max_tokens == 0:
        hindrances = (
            ("stream", request.stream),
            ("thinking", isinstance(request.thinking, ThinkingEnabled | ThinkingAdaptive)),
            ("output_config.format", request.output_config is not None and request.output_config.format is not None),
            ("tool_choice", forces_a_tool(request)),
        )
        for name, hinders in hindrances:
            if hinders:
                raise InvalidRequest(f"max_tokens: 0 cannot be combined with `{name}`")
