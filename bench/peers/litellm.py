"""LiteLLM's proxy: a Python gateway (FastAPI on uvicorn), from PyPI into a virtual environment of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from .base import (
    CHAT_MODEL,
    KEY,
    MODEL,
    UPSTREAM_KEY,
    Peer,
    is_installed,
    mark_installed,
    run_installer,
)

PINNED = "1.106.2"  # 2026-11-21: what pip takes by itself; 1.109.1 asks for a certifi that was not to be had
ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # prices from the package, not from the network
    "NO_DOCS": "True",
}


class LiteLLM(Peer):
    name = "litellm"
    notes = (
        "One uvicorn worker, production mode, log level ERROR, no database, no cache, the master key checked, the cost "
        "of each request computed. Models are named exactly in its list: no wildcard, no fallback. For the Chat "
        "Completions upstream its switch away from the Responses API is set."
    )
    ready_path = "/health/liveliness"
    ready_within = 90.0
    upstreams: ClassVar[Mapping[str, str]] = {"messages": MODEL, "chat_completions": CHAT_MODEL}

    def version(self, folder: Path) -> str:
        found = list(self._environment(folder).glob("lib/python*/site-packages/litellm-*.dist-info"))
        return found[0].name.removeprefix("litellm-").removesuffix(".dist-info") if found else ""

    def install(self, folder: Path) -> None:
        want = f"litellm[proxy]=={PINNED}"
        home, environment = self.home(folder), self._environment(folder)
        if is_installed(home, want):
            return
        hint = f"installing {want}"
        run_installer([sys.executable, "-m", "venv", "--clear", str(environment)], hint)
        run_installer([str(environment / "bin" / "python"), "-m", "pip", "install", "-q", want], hint)
        mark_installed(home, want)

    def start(self, port: int, upstream_url: str, folder: Path, wrap: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        config = self.home(folder) / "config.yaml"
        config.write_text(json.dumps(configuration(upstream_url.rstrip("/")), indent=2))  # JSON is YAML
        program = str(self._environment(folder) / "bin" / "litellm")
        listening = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return self.launch([program, "--config", str(config), *listening], folder, ENVIRONMENT, wrap)

    def _environment(self, folder: Path) -> Path:
        return self.home(folder) / "venv"


def configuration(upstream_url: str) -> dict[str, Any]:
    """Its config file: a model per upstream format, the key, nothing that calls out."""
    targets = {MODEL: ("anthropic", upstream_url), CHAT_MODEL: ("openai", upstream_url + "/v1")}
    return {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {"model": f"{provider}/{model}", "api_base": base, "api_key": UPSTREAM_KEY},
            }
            for model, (provider, base) in targets.items()
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False, "use_chat_completions_url_for_anthropic_messages": True},
    }
