"""Rules about toolsets: which members one offers, what may stand beside them, and whose result is whose.

Source: spec TOOL-4, TOOL-54, MSG-75; the notes in the parameter types of the `anthropic` SDK 2.11. Pure; imports only
this folder and the error tree.
"""

from collections.abc import Iterator, Sequence

from dragoman.errors import InvalidRequest

from .tools import AnyTool, MemberConfig, Toolset
from .turns import blocks_of
from .types import InputMessage, ToolResult, ToolUse

__all__ = ["check_names", "check_results", "check_toolset", "is_deferred", "offered"]

DEFAULT = MemberConfig()


def offered(toolset: Toolset) -> list[str]:
    """The members that the model is served: all that are not disabled (TOOL-54)."""
    return [name for name, config in _members(toolset) if config.enabled is not False]


def is_deferred(toolset: Toolset) -> bool:
    """Whether it is kept out of the prompt until a search finds it: all its members are, or none (`check_toolset`)."""
    return any(config.defer_loading for _, config in _members(toolset) if config.enabled is not False)


def _members(toolset: Toolset) -> Iterator[tuple[str, MemberConfig]]:
    """Every member with its config, in the order of the type. Absent, null and {} are the same."""
    configs = toolset.configs if toolset.configs is not None else toolset.all_members()
    for name in configs.__struct_fields__:
        if name != "extra":
            yield name, getattr(configs, name) or DEFAULT


def check_toolset(toolset: Toolset, path: str) -> None:
    """What the configs of the members must be together (TOOL-54). That an empty toolset is refused is inferred."""
    configs = [config for _, config in _members(toolset) if config.enabled is not False]
    if not configs:
        raise InvalidRequest(f"{path}.configs: at least one member must be enabled")
    if len({bool(config.defer_loading) for config in configs}) > 1:
        raise InvalidRequest(f"{path}.configs: `defer_loading` must have the same value on every enabled member")


def check_names(tools: Sequence[AnyTool]) -> None:
    """No two tools of one name (TOOL-4).

    A toolset's members count, but for disabled ones, which the model never hears of. Two toolsets of different
    families may share names, as their calls say whose they are; one family twice may not.
    """
    seen: set[str] = set()
    families: set[str] = set()
    members: set[str] = set()
    for tool in tools:
        name = tool.family if isinstance(tool, Toolset) else getattr(tool, "name", None)
        names = families if isinstance(tool, Toolset) else seen
        if name in names:
            raise _not_unique()
        if name is not None:
            names.add(name)
        if isinstance(tool, Toolset):
            members.update(offered(tool))
    if seen & members:
        raise _not_unique()


def _not_unique() -> InvalidRequest:
    return InvalidRequest("tools: Tool names must be unique.")


def check_results(messages: Sequence[InputMessage]) -> None:
    """The result of a toolset's call names the toolset that the call names, and no other result names one (MSG-75).

    The call's own block decides: the tools of the request that made it may be gone.
    """
    called: dict[str, str | None] = {}
    for index, message in enumerate(messages):
        for at, block in enumerate(blocks_of(message)):
            if isinstance(block, ToolUse):
                called[block.id] = block.toolset_name
            elif isinstance(block, ToolResult) and block.toolset_name != called.get(block.tool_use_id):
                path = f"messages.{index}.content.{at}.tool_result.toolset_name"
                raise InvalidRequest(f"{path}: {_wrong_name(block, called.get(block.tool_use_id))}")


def _wrong_name(result: ToolResult, name: str | None) -> str:
    call = f"the `tool_use` block with id `{result.tool_use_id}`"
    if name is None:
        return f"{call} has no `toolset_name`, so its result must have none"
    return f"must be '{name}', as in {call}"
