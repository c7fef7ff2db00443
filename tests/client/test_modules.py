"""Modules that programs import from the official package, and that are no files here. Issue 5, SDK-1."""

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType
from unittest import mock

import anthropic.types
import httpx2
import pytest

import dragoman
from dragoman.client.paths import MODULES, ONE_CLASS_EACH

PARAMS = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]}


def module(name: str) -> ModuleType:
    return importlib.import_module(f"dragoman.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_what_the_official_one_has(name: str) -> None:
    """No name of another meaning: each is one of the official module too, and is public in ours."""
    official = importlib.import_module(f"anthropic.{name}")
    ours = module(name)
    own_of_ours = {"BetaRunnableTool", "BetaAsyncRunnableTool"}  # which has them in a private module
    events = {name for name in dir(dragoman.types) + dragoman.__all__ if name.endswith("Event")}  # of `lib.streaming`
    assert [each for each in ours.__all__ if not hasattr(official, each) and each not in own_of_ours | events] == []
    assert name == "lib" or ours.__all__
    for each in ours.__all__:
        exec(f"from dragoman.{name} import {each}")


# The path of a class in the official package -> what it is here.
THE_VERY_ONES = {
    "_base_client.SyncAPIClient": "client.sync.Client",
    "_client.AsyncAnthropic": "AsyncAnthropic",
    "_client.Anthropic": "Anthropic",
    "_constants.DEFAULT_MAX_RETRIES": "DEFAULT_MAX_RETRIES",
    "_exceptions.OverloadedError": "OverloadedError",
    "_exceptions.RequestTooLargeError": "RequestTooLargeError",
    "_models.BaseModel": "BaseModel",
    "_response.APIResponse": "APIResponse",
    "_streaming.AsyncStream": "AsyncStream",
    "_types.NOT_GIVEN": "NOT_GIVEN",
    "_types.FileTypes": "client.uploads.FileTypes",
    "_types.Headers": "client.base.Headers",
    "_version.__version__": "__version__",
    "lib.streaming.MessageStream": "MessageStream",
    "lib.streaming.BetaTextEvent": "BetaTextEvent",
    "lib.streaming._messages.MessageStreamManager": "MessageStreamManager",
    "lib.tools.beta_tool": "beta_tool",
    "lib.tools.BetaToolRunner": "client.tools.runner.BetaToolRunner",
    "resources.Messages": "client.resources.messages.Messages",
    "resources.messages.AsyncMessages": "client.resources.messages.AsyncMessages",
    "resources.messages.messages.Messages": "client.resources.messages.Messages",
    "resources.messages.batches.Batches": "client.resources.batches.Batches",
    "resources.beta.Beta": "client.resources.beta.Beta",
    "resources.beta.messages.Messages": "client.resources.beta_messages.BetaMessages",
    "resources.beta.files.AsyncFiles": "client.resources.beta.AsyncBetaFiles",
    "resources.models.Models": "client.resources.models.Models",
    "resources.files.Files": "client.resources.files.Files",
    "types.beta.messages.beta_message_batch.BetaMessageBatch": "types.beta.messages.BetaMessageBatch",
    "types.message_create_params.ToolChoiceToolChoiceAuto": "types.ToolChoiceAutoParam",
    "types.message_create_params.Metadata": "types.MetadataParam",
    "types.message_param.MessageParam": "types.MessageParam",
    "types.messages.message_batch.MessageBatch": "types.messages.MessageBatch",
    "types.raw_message_delta_event.Delta": "types.raw_events.MessageDelta",
    "types.shared.ErrorResponse": "types.ErrorResponse",
    "types.shared.error_object.ErrorObject": "types.ErrorObject",
}


@pytest.mark.parametrize("path", THE_VERY_ONES)
def test_what_is_in_a_module_is_what_the_client_uses(path: str) -> None:
    home, _, name = path.rpartition(".")
    assert getattr(module(home), name) is pkgutil.resolve_name(f"dragoman.{THE_VERY_ONES[path]}")
    assert hasattr(importlib.import_module(f"anthropic.{home}"), name)


def test_each_class_of_the_types_has_its_module() -> None:
    """Of those official modules whose class is here: imported by its own path, it is the same."""
    looked_at = 0
    for package in ONE_CLASS_EACH:
        ours = module(package)
        for found in pkgutil.iter_modules(importlib.import_module(f"anthropic.{package}").__path__):
            wanted = "" if found.ispkg else found.name.replace("_", "")
            for name in (each for each in ours.__all__ if each.lower().replace("_", "") == wanted):
                assert getattr(module(f"{package}.{found.name}"), name) is getattr(ours, name)
                looked_at += 1
    assert looked_at > 700
    assert anthropic.types.message_param  # the measure is there


@pytest.mark.parametrize("path", ["resources.messages.Messages", "resources.messages.messages.Messages"])
def test_a_method_can_be_patched_by_its_official_path(path: str) -> None:
    client = dragoman.Anthropic(api_key="k")
    with mock.patch(f"dragoman.{path}.create", return_value="patched"):
        assert client.messages.create() == "patched"
    with pytest.raises(TypeError, match="max_tokens"):
        client.messages.create()


def test_a_method_of_the_beta_can_be_patched() -> None:
    with mock.patch("dragoman.resources.beta.messages.Messages.create", return_value="patched"):
        assert dragoman.Anthropic(api_key="k").beta.messages.create() == "patched"


def fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_packages_hold_their_modules_without_an_import_of_each() -> None:
    """As the official ones do, which load all of theirs."""
    assert fresh("import dragoman; print(dragoman._exceptions.APIError.__name__)") == "APIError"
    assert fresh("import dragoman; print(dragoman.lib.streaming.MessageStream.__name__)") == "MessageStream"
    assert fresh("import dragoman; print(dragoman.resources.beta.messages.Messages.__name__)") == "BetaMessages"
    assert fresh("from dragoman import resources; print(resources.__name__)") == "dragoman.resources"


def test_what_neither_package_has_is_not_found() -> None:
    for name in ("nothing", "lib.nothing", "types.nothing", "types.shared.nothing", "resources.nothing", "_utils"):
        with pytest.raises(ModuleNotFoundError, match=name.rpartition(".")[2]):
            module(name)
    for name in ("nothing", "__wrapped__"):
        assert not hasattr(dragoman, name)
        assert not hasattr(module("resources"), name)


def test_files_come_first() -> None:
    """What is a file here is that file: also where the official package has something else of that name."""
    for name in ("client", "types", "tools", "pagination", "pytest_plugin", "gateway", "types.message_create_params"):
        assert module(name).__file__, name
        assert name not in MODULES


def test_a_type_of_an_exception_catches_by_either_path() -> None:
    refuse = httpx2.MockTransport(lambda request: httpx2.Response(429, json={}))
    client = dragoman.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=refuse))
    with pytest.raises(module("_exceptions").RateLimitError):
        client.messages.create(**PARAMS)
