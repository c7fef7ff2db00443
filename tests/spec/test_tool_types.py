"""Every type of tool that the API defines: its name, its fields, and no others. Pure."""

from typing import Any

import pytest
from asking import OK, outcome

Json = dict[str, Any]

DISPLAY = {"display_width_px": 800, "display_height_px": 600, "display_number": 1}
HERE = {"type": "approximate", "city": "Rome", "country": "IT"}
SEARCH = {"max_uses": 5, "blocked_domains": ["a.test"], "user_location": HERE}
FETCH = {"max_uses": 5, "allowed_domains": ["a.test"], "citations": {"enabled": True}, "max_content_tokens": 100}
EDITOR = "str_replace_based_edit_tool"

# Rule -> (type, name, fields of its own).
TYPES: dict[str, list[tuple[str, str | None, Json]]] = {
    "TOOL-50": [("bash_20250124", "bash", {})],
    "TOOL-51": [("text_editor_20250728", EDITOR, {"max_characters": 9}), ("text_editor_20250429", EDITOR, {})],
    "TOOL-52": [("text_editor_20250124", "str_replace_editor", {})],
    "TOOL-53": [("memory_20250818", "memory", {})],
    "TOOL-54": [(f"{kind}_toolset_20260801", None, {"configs": {}}) for kind in ("computer", "browser")],
    "TOOL-55": [(f"computer_{day}", "computer", DISPLAY) for day in (20251124, 20250124)],
    "TOOL-56": [(f"web_search_{day}", "web_search", SEARCH) for day in (20250305, 20260209, 20260318)],
    "TOOL-57": [
        (f"web_fetch_{day}", "web_fetch", FETCH | ({"use_cache": True} if day > 20260300 else {}))
        for day in (20250910, 20260209, 20260309, 20260318)
    ],
    "TOOL-58": [(f"code_execution_{day}", "code_execution", {}) for day in (20250522, 20250825, 20260120, 20260521)],
    "TOOL-59": [
        (f"tool_search_tool_{kind}{day}", f"tool_search_tool_{kind}", {})
        for kind in ("regex", "bm25")
        for day in ("", "_20251119")
    ],
    "TOOL-60": [("mcp_toolset", None, {"mcp_server_name": "a"}), ("advisor_20260301", "advisor", {})],
}
CUSTOM = {"name": "a", "input_schema": {"type": "object"}}


def asked(*tools: Json) -> str:
    return outcome("claude-opus-4-8", betas=("computer-use-2025-11-24",), tools=[CUSTOM, *tools])


@pytest.mark.parametrize("rule", TYPES)
def test_a_type_has_its_name_its_fields_and_no_others(rule: str) -> None:
    """TOOL-1, TOOL-5, TOOL-61."""
    for kind, name, fields in TYPES[rule]:
        tool = {"type": kind, **({"name": name} if name else {}), **fields}
        assert asked(tool) == OK, tool
        assert asked(tool | {"cache_control": {"type": "ephemeral"}}) == OK
        assert asked(tool | {"foo": 1}) == f"tools.1.{kind}.foo: Extra inputs are not permitted"
        if name:
            assert asked(tool | {"name": "other"}) == f"tools.1.{kind}.name: Input should be '{name}'"
        assert asked(tool | {"type": f"{kind}0"}).startswith(
            f"tools.1: Input tag '{kind}0' found using 'type' does not"
        )


@pytest.mark.parametrize("wrong", [{"strict": True}, {"input_examples": []}])
@pytest.mark.parametrize("kind", ["computer", "browser"])
def test_a_toolset_takes_no_strictness_and_no_examples(kind: str, wrong: Json) -> None:
    """TOOL-54, TOOL-30."""
    toolset = f"{kind}_toolset_20260801"
    assert asked({"type": toolset, **wrong}) == f"tools.1.{toolset}.{next(iter(wrong))}: Extra inputs are not permitted"
