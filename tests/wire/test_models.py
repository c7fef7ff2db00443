"""The ModelInfo JSON of a model: spec MOD-4, MOD-5, MOD-8, TOOL-72."""

from typing import get_args

import msgspec
import pytest
from anthropic.types import ModelInfo
from pydantic import BaseModel

from dragoman.wire.models import CAPABILITIES, Capability, Model, ThinkingRules

MANUAL = ThinkingRules(
    default="off",
    enabled=True,
    adaptive=False,
    disabled="yes",
    between_tools=False,
    display="summarized",
    manual_interleaved=True,
    keeps_earlier_turns=True,
)
MODEL = Model(
    id="claude-test-1",
    display_name="Claude Test 1",
    line="opus",
    created_at="2025-11-24T00:00:00Z",
    lifecycle="deprecated",
    deprecated_at="2026-01-01T00:00:00Z",
    retires_at="2026-12-31T00:00:00Z",
    aliases=("claude-test",),
    max_input_tokens=200_000,
    max_tokens=64_000,
    context_overflow="stop",
    tokenizer="claude-3",
    cache_minimum_tokens=1024,
    tool_prompt_tokens=(496, 588),
    thinking=MANUAL,
    effort=("low", "medium", "high"),
    sampling="temperature_or_top_p",
    prefill=True,
    system_turns=False,
    forced_tools=True,
    inference_geo=False,
    high_resolution_images=False,
    capabilities=CAPABILITIES - {"context_management.compact_20260112"},
)
ON, OFF = {"supported": True}, {"supported": False}


def test_info_holds_every_field_of_the_model() -> None:
    """MOD-4."""
    info = MODEL.info()
    del info["capabilities"]
    assert info == {
        "type": "model",
        "id": "claude-test-1",
        "display_name": "Claude Test 1",
        "line": "opus",
        "created_at": "2025-11-24T00:00:00Z",
        "lifecycle": "deprecated",
        "deprecated_at": "2026-01-01T00:00:00Z",
        "retires_at": "2026-12-31T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def test_info_holds_every_capability_supported_or_not() -> None:
    """MOD-5."""
    assert MODEL.info()["capabilities"] == {
        "batch": ON,
        "citations": ON,
        "code_execution": ON,
        "context_management": {
            "supported": True,
            "clear_thinking_20251015": ON,
            "clear_tool_uses_20250919": ON,
            "compact_20260112": OFF,
        },
        "effort": {"supported": True, "low": ON, "medium": ON, "high": ON, "xhigh": OFF, "max": OFF},
        "image_input": ON,
        "pdf_input": ON,
        "server_tools": {"supported": True, "code_execution": ON, "web_search": ON},
        "structured_outputs": ON,
        "thinking": {
            "supported": True,
            "types": {"adaptive": OFF, "enabled": ON, "disabled": ON, "between_tools": OFF},
        },
    }


def test_info_has_exactly_the_keys_that_the_sdk_knows() -> None:
    """MOD-5: all known keys always present, and none that a client has not heard of."""
    assert_same_keys(MODEL.info(), ModelInfo, at="")
    ModelInfo.model_validate(MODEL.info(), strict=False)


def test_info_is_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(MODEL.info())) == MODEL.info()


@pytest.mark.parametrize(("disabled", "supported"), [("yes", True), ("up_to_high_effort", True), ("no", False)])
def test_thinking_disabled_is_supported_unless_it_is_always_refused(disabled: str, supported: bool) -> None:
    """MOD-5: False exactly when a request that sends it gets a 400, whatever else it holds."""
    rules = msgspec.structs.replace(MANUAL, disabled=disabled)
    info = msgspec.structs.replace(MODEL, thinking=rules).info()
    assert capability(info, "thinking.types.disabled") is supported


def test_a_model_without_thinking_takes_only_disabled() -> None:
    """MOD-5: `disabled` is true on a model that does not support thinking."""
    info = msgspec.structs.replace(MODEL, thinking=None).info()
    assert info["capabilities"]["thinking"] == {
        "supported": False,
        "types": {"adaptive": OFF, "enabled": OFF, "disabled": ON, "between_tools": OFF},
    }


def test_a_model_without_effort_has_no_level() -> None:
    """MOD-5, MSG-60; the shape is that of a recorded answer for Haiku 4.5 (2026-10-02)."""
    info = msgspec.structs.replace(MODEL, effort=()).info()
    assert info["capabilities"]["effort"] == {
        "supported": False, "low": OFF, "medium": OFF, "high": OFF, "xhigh": OFF, "max": OFF
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(CAPABILITIES))
def test_what_the_target_cannot_do_is_not_promised(name: Capability) -> None:
    """MOD-8, TOOL-72: one capability taken away is gone from the answer, and no other."""
    full = msgspec.structs.replace(MODEL, capabilities=CAPABILITIES)
    without = flat(full.info(supports=CAPABILITIES - {name})["capabilities"])
    changed = {path for path, on in flat(full.info()["capabilities"]).items() if without[path] != on}
    below = {"effort": {"effort.low", "effort.medium", "effort.high"}, "thinking": {"thinking.types.enabled"}}
    assert changed == {name} | below.get(name, set())


def test_a_target_without_server_tools_supports_none_of_them() -> None:
    """TOOL-72: `supported` of the group goes when its last member goes."""
    supports = frozenset(name for name in CAPABILITIES if not name.startswith("server_tools."))
    assert MODEL.info(supports=supports)["capabilities"]["server_tools"] == {
        "supported": False, "code_execution": OFF, "web_search": OFF
    }  # fmt: skip


def test_a_target_cannot_add_to_the_model() -> None:
    """MOD-8."""
    bare = msgspec.structs.replace(MODEL, capabilities=frozenset(), thinking=None, effort=())
    found = flat(bare.info(supports=CAPABILITIES)["capabilities"])
    assert {path for path, on in found.items() if on} == {"thinking.types.disabled"}


@pytest.mark.parametrize(("window", "most"), [(200_000, 100), (1_000_000, 600)])
def test_images_and_pages_follow_the_window(window: int, most: int) -> None:
    """MSG-94, MSG-97."""
    model = msgspec.structs.replace(MODEL, max_input_tokens=window)
    assert (model.max_images, model.max_pdf_pages) == (most, most)


def test_a_misspelt_field_is_refused() -> None:
    row = msgspec.to_builtins(MODEL) | {"preffil": True}
    with pytest.raises(msgspec.ValidationError, match="preffil"):
        msgspec.convert(row, Model)


def flat(node: dict, prefix: str = "") -> dict[str, bool]:
    """{"server_tools.web_search": True, ...}"""
    found = {}
    for key, value in node.items():
        if key == "supported":
            found[prefix.rstrip(".")] = value
        else:
            found |= flat(value, f"{prefix}{key}.")
    return found


def capability(info: dict, path: str) -> bool:
    return flat(info["capabilities"])[path]


def assert_same_keys(value: dict, model: type[BaseModel], *, at: str) -> None:
    assert set(value) == set(model.model_fields), at
    for key, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                assert_same_keys(value[key], kind, at=f"{at}.{key}")
