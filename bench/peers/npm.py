"""A peer that is an npm package with one script to run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from .base import Peer, is_installed, mark_installed, node, run_installer


class NpmPeer(Peer):
    package: ClassVar[str]
    pinned: ClassVar[str]
    script: ClassVar[str]
    """Within the package."""
    overrides: ClassVar[Mapping[str, str]] = {}
    """Versions of packages anywhere in its tree, against what it asks for itself."""
    least_node: ClassVar[int] = 20

    def version(self, folder: Path) -> str:
        found = self._package(folder) / "package.json"
        return str(json.loads(found.read_text())["version"]) if found.is_file() else ""

    def install(self, folder: Path) -> None:
        home = self.home(folder)
        node(self.least_node)
        manifest = {"private": True, "dependencies": {self.package: self.pinned}, "overrides": dict(self.overrides)}
        want = json.dumps(manifest, indent=2)
        if is_installed(home, want):
            return
        (home / "package.json").write_text(want)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]  # no script is needed by either
        run_installer(["npm", "install", "--prefix", str(home), *options], f"installing {self.package}@{self.pinned}")
        mark_installed(home, want)

    def command(self, folder: Path) -> list[str]:
        return [node(self.least_node), str(self._package(folder) / self.script)]

    def _package(self, folder: Path) -> Path:
        return self.home(folder) / "node_modules" / self.package
