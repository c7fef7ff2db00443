"""The gateways that `make bench-peers` measures beside dragoman; see `base.Peer` for what each offers.

In are those with an HTTP server that a package registry holds whole. Not in, looked at on 2026-11-21:
- Bifrost (npm `@maximhq/bifrost` 1.6.3): the package is one script that downloads the server's program from elsewhere
  at the first start, so no registry has the server.
- TensorZero (PyPI `tensorzero` 2026.6.0): the package carries its gateway embedded in a Python client, without an HTTP
  server and without /v1/messages; a call within a process cannot stand in a table of requests over a socket.
"""

from .base import Peer, PeerFailed, stop
from .litellm import LiteLLM
from .portkey import Portkey
from .router import ClaudeCodeRouter

PEERS: list[Peer] = [LiteLLM(), Portkey(), ClaudeCodeRouter()]
LEFT_OUT = {
    "Bifrost": "its npm package is a launcher that downloads the server from elsewhere",
    "TensorZero": "its PyPI package has no HTTP server and no /v1/messages",
}
"""Peers a reader may look for -> why they are not in the tables."""

__all__ = ["LEFT_OUT", "PEERS", "Peer", "PeerFailed", "stop"]
