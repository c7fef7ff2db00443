"""claude-code-router: a Node.js gateway (Fastify) made to stand behind Claude Code, from npm."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from .base import CHAT_MODEL, KEY, MODEL, UPSTREAM_KEY
from .npm import NpmPeer


class ClaudeCodeRouter(NpmPeer):
    name = "claude-code-router"
    package = "@musistudio/claude-code-router"
    pinned = "2.0.0"  # 2026-11-21: 3.1.1 asks for Node.js 22, and for a package that the registry does not have
    script = "dist/cli.js"
    notes = (
        "One Node.js process, logging off, the key checked. Its Anthropic transformer passes Messages through; the "
        "other upstream goes by its own translation to Chat Completions. It counts each request's tokens to route it."
    )
    ready_path = "/health"
    ready_within = 30.0
    upstreams: ClassVar[Mapping[str, str]] = {"messages": MODEL, "chat_completions": f"chat,{CHAT_MODEL}"}

    def start(self, port: int, upstream_url: str, folder: Path, wrap: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        config = self.home(folder) / ".claude-code-router" / "config.json"
        config.parent.mkdir(exist_ok=True)
        config.write_text(json.dumps(configuration(port, upstream_url.rstrip("/")), indent=2))
        return self.launch([*self.command(folder), "start"], folder, {"NODE_ENV": "production"}, wrap)


def configuration(port: int, upstream_url: str) -> dict[str, Any]:
    """Its config file, found by HOME. A request that names a bare model goes to the default of `Router`."""
    providers = [
        ("messages", "/v1/messages", MODEL, {"transformer": {"use": ["Anthropic"]}}),
        ("chat", "/v1/chat/completions", CHAT_MODEL, {}),
    ]
    return {
        "APIKEY": KEY,
        "HOST": "127.0.0.1",
        "PORT": port,
        "LOG": False,
        "LOG_LEVEL": "error",
        "NON_INTERACTIVE_MODE": True,
        "Providers": [
            {"name": name, "api_base_url": upstream_url + path, "api_key": UPSTREAM_KEY, "models": [model], **extra}
            for name, path, model, extra in providers
        ],
        "Router": {"default": f"messages,{MODEL}"},
    }
