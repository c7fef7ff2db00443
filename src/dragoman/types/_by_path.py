"""Modules that the official package has, one for each class: `dragoman.types.message_param`, with `MessageParam` in it.

There are hundreds, and each would be one line. The finder below makes the one that is asked for; it knows of no
other packages than these two. A type checker does not see them: for it, names come from `dragoman.types`.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["ByPath"]

PACKAGES = ("dragoman.types", "dragoman.types.beta")


class ByPath:
    """After all other finders: real modules come first. No child of `importlib.abc`, whose import takes 12 ms."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, module = fullname.rpartition(".")
        if package not in PACKAGES or not _names_for(package, module):
            return None
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]  # has what a loader needs

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind."""

    def exec_module(self, module: ModuleType) -> None:
        package, _, name = module.__name__.rpartition(".")
        found = import_module(name=package)
        module.__dict__.update({each: getattr(found, each) for each in _names_for(package, name)})


def _names_for(package: str, module: str) -> list[str]:
    """`tool_search_tool_bm25_20251119_param` -> its class: names are compared without case and underscores."""
    wanted = module.replace("_", "")
    return [name for name in sys.modules[package].__all__ if name.replace("_", "").lower() == wanted]


if not any(isinstance(finder, ByPath) for finder in sys.meta_path):
    sys.meta_path.append(ByPath())
