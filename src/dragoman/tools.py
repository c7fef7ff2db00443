"""What tools of your own need beside `beta_tool`: `from dragoman.tools import ToolError`, as from the official one."""

from .client.tools.functions import ToolError

__all__ = ["ToolError"]
