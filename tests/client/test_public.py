"""What is public: every name is found where the guides look for it, and importing it loads no more than it needs."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import dragoman

ROOT = Path(dragoman.__file__)
FACADES = ("dragoman.types", "dragoman.types.beta", "dragoman.types.messages", "dragoman.tools", "dragoman.pagination")


def test_every_name_is_found() -> None:
    """STYLE section 10: `__all__` is sorted, as ruff sorts it, and true."""
    assert len(dragoman.__all__) > 100
    assert dragoman.__all__ == sorted(dragoman.__all__, key=isort_key)
    assert [name for name in dragoman.__all__ if not hasattr(dragoman, name)] == []
    assert sorted(dragoman.__all__) == dir(dragoman)
    assert not hasattr(dragoman, "NoSuchName")
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = dragoman.NoSuchName


def isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", FACADES)
def test_every_name_of_a_module_is_found(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) > 0
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


def seen_by_type_checkers() -> dict[str, tuple[str, str]]:
    """Public name -> module and name there, by the imports under TYPE_CHECKING."""
    (block,) = (node for node in ast.parse(ROOT.read_text()).body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }


def test_a_type_checker_sees_what_there_is() -> None:
    """The lazy table and the imports for type checkers agree, and each name is an object of its own module."""
    seen = seen_by_type_checkers()
    written = {name for name in dragoman.__all__ if name.startswith("__")}
    assert seen.keys() == set(dragoman.__all__) - written
    for name, (home, there) in seen.items():
        module = importlib.import_module(f"dragoman.{home}".rstrip("."))
        assert getattr(dragoman, name) is getattr(module, there), name
    table = {name: home for home, names in dragoman._HOMES.items() for name in names.split()}
    assert {name: home for name, (home, there) in seen.items() if name == there and name in table} == table


@pytest.mark.parametrize(("name", "other"), [("Anthropic", "Client"), ("AsyncAnthropic", "AsyncClient")])
def test_two_names_of_one_class(name: str, other: str) -> None:
    assert getattr(dragoman, name) is getattr(dragoman, other)


def test_it_is_used_in_the_place_of_the_official_package() -> None:
    """Issue 5: `import dragoman as anthropic`."""
    program = """
import dragoman as anthropic
from dragoman import Anthropic, APIStatusError, AsyncAnthropic
from dragoman.pagination import AsyncPage, SyncPage
from dragoman.tools import ToolError
from dragoman.types import Message, MessageParam, TextBlock
from dragoman.types.beta import BetaMessage, BetaMessageParam
from dragoman.types.message_create_params import MessageCreateParamsNonStreaming
from dragoman.types.messages.batch_create_params import Request

assert anthropic.types.Message is Message
assert anthropic.types.beta.BetaMessage is BetaMessage
assert anthropic.types.messages.MessageBatch is not None
assert anthropic.pagination.SyncPage is SyncPage
assert anthropic.APIStatusError is APIStatusError
assert issubclass(anthropic.types.ThreadNotFoundError, anthropic.NotFoundError)
assert anthropic.RampLimitExceededError is anthropic.types.RampLimitExceededError
"""
    assert run(program) == set()


# -- what is loaded ------------------------------------------------------------------------------------------------


def run(program: str) -> set[str]:
    """The modules that a fresh interpreter has after a program, of those that a client can do without."""
    script = f"{program}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-W", "error", "-I", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1])) & HEAVY


HEAVY = set("pydantic httpx httpx2 anthropic typer sqlalchemy dragoman.gateway.pipeline dragoman.server.app".split())
CLIENT = "from dragoman import Client; Client(api_key='k')"
OFFLINE = """
import dragoman
with dragoman.Client.offline() as client:
    client.messages.create(model="claude-opus-4-8", max_tokens=9, messages=[{"role": "user", "content": "a"}])
"""
CALLS = """
import dragoman
client = dragoman.Client(api_key="k", base_url="http://127.0.0.1:9", max_retries=0)
for call in (
    lambda: client.messages.create(model="m", max_tokens=9, messages=[]),
    lambda: client.messages.stream(model="m", max_tokens=9, messages=[]).__enter__(),
    lambda: client.beta.messages.with_raw_response.create(model="m", max_tokens=9, messages=[]),
    lambda: client.models.list(),
    lambda: client.files.upload(file=b"a"),
    lambda: client.messages.batches.create(requests=[]),
):
    try:
        call()
    except dragoman.APIConnectionError:
        continue
    raise AssertionError(call)
"""


def test_importing_the_package_loads_nothing_else() -> None:
    """STYLE section 10; issue 5, speed."""
    script = "import sys; before = set(sys.modules); import dragoman; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dragoman"]


@pytest.mark.parametrize(
    ("program", "loaded"),
    [
        (CLIENT, set()),
        ("from dragoman import AsyncClient; AsyncClient(api_key='k')", set()),
        ("import dragoman; dragoman.types.Message; dragoman.types.beta.BetaMessage", set()),
        ("import dragoman; dragoman.APIStatusError; dragoman.Timeout(3); dragoman.beta_tool", set()),
        ("import dragoman; dragoman.DefaultHttpxClient", {"httpx2"}),
        (CALLS, set()),
    ],
    ids=["client", "async client", "types", "names", "httpx", "calls"],
)
def test_what_is_loaded(program: str, loaded: set[str]) -> None:
    """Issue 5: Pydantic and httpx2 are loaded where a user hands them in, the gateway where he asks for one."""
    assert run(program) == loaded


@pytest.mark.parametrize("program", [CLIENT, CALLS], ids=["client", "calls"])
def test_the_blocking_client_loads_no_asyncio(program: str) -> None:
    assert run(program + "\nimport sys\nassert 'asyncio' not in sys.modules, 'asyncio'") == set()


def test_the_gateway_is_loaded_with_the_first_call() -> None:
    assert "dragoman.gateway.pipeline" in run(OFFLINE)
    assert run("import dragoman; dragoman.Client.offline()") == set()
