"""Portkey's gateway: a Node.js gateway (Hono), from npm."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from .base import MODEL, UPSTREAM_KEY
from .npm import NpmPeer


class Portkey(NpmPeer):
    name = "portkey"
    package = "@portkey-ai/gateway"
    pinned = "1.15.2"
    script = "build/start-server.js"
    # npm's own choice (1.19.19) answers every streamed request with 500, "TypeError: immutable"; this one streams.
    overrides: ClassVar[Mapping[str, str]] = {"@hono/node-server": "1.13.8"}
    notes = (
        "One Node.js process, production mode, no log viewer, no cache, no plugins. It has no key store and checks no "
        "key: provider, upstream and the provider's key come as headers of each request. It listens on all interfaces. "
        "@hono/node-server is pinned to 1.13.8, for with npm's choice every streamed request fails. It takes Messages "
        "requests for a Messages upstream only."
    )
    ready_path = "/"
    ready_within = 30.0
    upstreams: ClassVar[Mapping[str, str]] = {"messages": MODEL}

    def start(self, port: int, upstream_url: str, folder: Path, wrap: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        self.headers.update(
            {
                "x-api-key": UPSTREAM_KEY,
                "x-portkey-provider": "anthropic",
                "x-portkey-custom-host": upstream_url.rstrip("/") + "/v1",
            }
        )
        command = [*self.command(folder), f"--port={port}", "--headless"]
        return self.launch(command, folder, {"NODE_ENV": "production"}, wrap)
