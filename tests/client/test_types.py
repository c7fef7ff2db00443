"""`dragoman.types` against the types of the official package that is installed: names, fields, what is required.

What differs stands in a table with its reason; a row that nothing needs any more fails.
"""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic
import pytest
from typeshapes import (
    LOCAL,
    OUT_OF_SCOPE,
    PAIRS,
    Field,
    fields_of,
    is_model,
    is_out_of_scope,
    is_record,
    is_typed_dict,
    official_names,
    pairs,
    told,
)

import dragoman.types
from dragoman.client.record import Record
from dragoman.types import arguments

ROOT = Path(dragoman.types.__file__).parent
EVERY = list(pairs())
CLASSES = [pair for pair in EVERY if is_model(pair.theirs) or is_typed_dict(pair.theirs)]
ALIASES = [pair for pair in EVERY if pair not in CLASSES]

OLDER = "what 0.74 takes, and 2.11 does not"
CALLER = "the beta may leave it out, and one class is for both"
# Name (without `Beta`) and field -> why it differs. "*" is any.
DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("*ToolUseBlock", "caller"): CALLER,
    ("MessageCreateParams*", "temperature"): OLDER,
    ("MessageCreateParams*", "top_k"): OLDER,
    ("MessageCreateParams*", "top_p"): OLDER,
    ("MessageCreateParams*", "output_format"): OLDER,
    ("MessageCountTokensParams", "output_format"): OLDER,
}
ALIAS_DIFFERENCES: Mapping[str, str] = {
    "ErrorDetails": "without those of organisations and agents, which are out of scope",
}


def reason(name: str, field: str) -> tuple[str, str] | None:
    """The row that allows a difference."""
    name = name.removeprefix("Beta")
    for pattern, of in DIFFERENCES:
        start, _, end = pattern.partition("*")
        if of == field and (name == pattern or ("*" in pattern and name.startswith(start) and name.endswith(end))):
            return pattern, of
    return None


def differing(theirs: Any, ours: Any) -> dict[str, tuple[Field | None, Field | None]]:
    a, b = fields_of(theirs), fields_of(ours)
    return {
        field: (a.get(field), b.get(field)) for field in sorted(a.keys() | b.keys()) if a.get(field) != b.get(field)
    }


@pytest.mark.parametrize("where", PAIRS)
def test_every_official_name_is_here(where: str) -> None:
    """Issue 5, done when 2."""
    theirs = importlib.import_module(f"anthropic.{where}")
    ours = importlib.import_module(f"dragoman.{where}")
    missing = [
        name
        for name in official_names(where)
        if name not in ours.__all__ and not is_out_of_scope(name) and not is_exception(getattr(theirs, name))
    ]
    assert missing == []


def is_exception(thing: Any) -> bool:
    """Some errors of the official client are exported among its types too; ours are in `dragoman` only."""
    return isinstance(thing, type) and issubclass(thing, Exception)


def test_each_row_of_what_is_out_of_scope_is_needed() -> None:
    names = {name for where in PAIRS for name in official_names(where)}
    idle = [pattern for pattern in OUT_OF_SCOPE if not any(re.search(pattern, name) for name in names)]
    assert idle == []


@pytest.mark.parametrize("where", PAIRS)
def test_classes_have_the_official_fields(where: str) -> None:
    """SDK-40: names, types, what is required, defaults."""
    here = [pair for pair in CLASSES if pair.where == where]
    assert len(here) > 5
    assert [pair.name for pair in here if is_record(pair.ours) != is_model(pair.theirs)] == []
    assert [pair.name for pair in here if is_typed_dict(pair.ours) != is_typed_dict(pair.theirs)] == []
    unlike = {
        f"{pair.name}.{field}": both
        for pair in here
        for field, both in differing(pair.theirs, pair.ours).items()
        if not reason(pair.name, field)
    }
    assert unlike == {}


@pytest.mark.parametrize("where", PAIRS)
def test_unions_have_the_official_members(where: str) -> None:
    here = [pair for pair in ALIASES if pair.where == where and pair.name not in ALIAS_DIFFERENCES]
    assert here
    assert {pair.name: both for pair in here if len(set(both := [worth(pair.theirs), worth(pair.ours)])) > 1} == {}


def worth(thing: Any) -> Any:
    """What is compared: BROWSER_MEMBER_NAME_VALUES is a tuple, all else a type."""
    return thing if isinstance(thing, tuple) else told(thing)


@pytest.mark.parametrize(("theirs", "ours"), LOCAL.items(), ids=list(LOCAL))
def test_a_class_of_an_official_module_has_its_fields(theirs: str, ours: str) -> None:
    found = differing(named(theirs), named(ours))
    assert {field for field in found if not reason(ours.rpartition(".")[2], field)} == set()


def named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_each_row_of_differences_is_needed() -> None:
    seen = {
        reason(name, field)
        for name, theirs, ours in [
            *((pair.name, pair.theirs, pair.ours) for pair in CLASSES),
            *((ours.rpartition(".")[2], named(theirs), named(ours)) for theirs, ours in LOCAL.items()),
        ]
        for field in differing(theirs, ours)
    }
    assert seen - {None} == set(DIFFERENCES)


def test_no_field_hides_behind_a_method() -> None:
    """A field named as a method of Record's would never be missed, and its default would be the method."""
    methods = {name for name in dir(Record) if not name.startswith("_")}
    records = {pair.ours for pair in CLASSES if is_record(pair.ours)}
    assert [(each.__name__, field) for each in records for field in fields_of(each) if field in methods] == []


# -- where names are found --


@pytest.mark.parametrize("package", ["", "beta"])
def test_the_table_of_names_is_what_the_modules_define(package: str) -> None:
    """What a type checker sees, by the modules, is what there is at run time, by the table."""
    module = importlib.import_module(f"dragoman.types.{package}".rstrip("."))
    stated = {home: set(names.split()) for home, names in module._CONTENTS.items()}
    assert stated == {home: defined_in(ROOT / (home.replace(".", "/") + ".py")) for home in stated}
    starred = {
        f"{package}.{node.module}".strip(".") if node.level else node.module.removeprefix("dragoman.types.")
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.names[0].name == "*"
    }
    assert starred - {"beta.same"} == set(stated)


def defined_in(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
        elif isinstance(node, ast.Assign):
            names.add(ast.unparse(node.targets[0]))
    return {name for name in names if not name.startswith("_")}


def test_a_type_checker_sees_the_betas_other_names() -> None:
    from dragoman.types import beta
    from dragoman.types.beta import same

    stated = {
        name for name in beta._HOMES if name not in {n for names in beta._CONTENTS.values() for n in names.split()}
    }
    assert stated == defined_in(ROOT / "beta" / "same.py")
    assert [name for name in stated if worth(getattr(same, name)) != worth(getattr(beta, name))] == []


@pytest.mark.parametrize("name", ["dragoman.types", "dragoman.types.beta", "dragoman.types.messages"])
def test_every_name_of_all_is_found(name: str) -> None:
    """STYLE section 10: `__all__` is sorted, and true."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert [each for each in module.__all__ if not hasattr(module, each)] == []
    assert name.endswith("messages") or set(module.__all__) <= set(dir(module))
    assert not hasattr(module, "NoSuchName")
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = module.NoSuchName


OFFICIAL_MODULES = [
    ("types.message_param", "MessageParam"),
    ("types.message", "Message"),
    ("types.message_create_params", "MessageCreateParamsNonStreaming"),
    ("types.messages.batch_create_params", "Request"),
    ("types.text_block", "TextBlock"),
    ("types.tool_search_tool_bm25_20251119_param", "ToolSearchToolBm25_20251119Param"),
    ("types.base64_pdf_source_param", "Base64PDFSourceParam"),
    ("types.beta.beta_message", "BetaMessage"),
    ("types.beta.beta_citation_search_result_location", "BetaCitationSearchResultLocation"),
    ("types.beta.message_create_params", "MessageCreateParamsNonStreaming"),
    ("types.beta.messages.batch_create_params", "Request"),
]


@pytest.mark.parametrize(("module", "name"), OFFICIAL_MODULES)
def test_a_name_is_found_where_the_guides_import_it(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"anthropic.{module}"), name)
    assert hasattr(importlib.import_module(f"dragoman.{module}"), name)


def test_no_other_modules_are_made_up() -> None:
    for name in ("dragoman.types.no_such_thing", "dragoman.no_such_thing", "dragoman.types.messages.message_param"):
        with pytest.raises(ModuleNotFoundError, match=name.rpartition(".")[2]):
            importlib.import_module(name)


def loaded_by(source: str) -> set[str]:
    """Modules that a fresh interpreter has after `source`."""
    script = f"import sys, json, msgspec\nbefore = set(sys.modules)\n{source}\n"
    script += "print(json.dumps(sorted(set(sys.modules) - before)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_importing_types_loads_next_to_nothing() -> None:
    """STYLE section 10."""
    assert loaded_by("import dragoman.types") == {"dragoman", "dragoman.types"}


def test_a_reply_loads_no_parameters_and_nothing_of_the_beta() -> None:
    ours = {name for name in loaded_by("import dragoman.types as t; t.Message") if name.startswith("dragoman.types")}
    assert {name.removeprefix("dragoman.types") for name in ours} == {
        "",
        ".content",
        ".generic",
        ".names",
        ".replies",
    }


def test_keyword_arguments_load_no_parameters() -> None:
    """They are looked at with the first call, for their keys; the rest is for type checkers."""
    ours = {name for name in loaded_by("import dragoman.types.arguments") if name.startswith("dragoman.")}
    assert ours == {
        "dragoman.client",
        "dragoman.client.given",
        "dragoman.types",
        "dragoman.types.arguments",
    }


# -- keyword arguments --

CLIENT = anthropic.Anthropic(api_key="none")
SPELT_OUT = {"stream", "output_format", "max_iterations", "run_tools_eagerly"}  # in the methods' own signatures
SAMPLING = {"temperature", "top_k", "top_p"}
AS_STREAM = {"cache_control", "container", "inference_geo", "user_profile_id", "workspace_id"}
OLD_PAGES = {"after_id", "before_id"}

# Official method, our arguments, what more we take, why.
METHODS: list[tuple[Any, Any, set[str], str]] = [
    (CLIENT.messages.create, arguments.MessageCreateArguments, SAMPLING, OLDER),
    (CLIENT.messages.stream, arguments.MessageStreamArguments, SAMPLING, OLDER),
    (CLIENT.messages.parse, arguments.MessageStreamArguments, SAMPLING | AS_STREAM, "what `create` takes too"),
    (CLIENT.messages.count_tokens, arguments.MessageCountTokensArguments, set(), ""),
    (CLIENT.messages.batches.create, arguments.BatchCreateArguments, set(), ""),
    (CLIENT.messages.batches.list, arguments.BatchListArguments, set(), ""),
    (CLIENT.models.list, arguments.ModelListArguments, set(), ""),
    (CLIENT.files.list, arguments.FileListArguments, OLD_PAGES, OLDER),
    (CLIENT.files.upload, arguments.FileUploadArguments, set(), ""),
    (CLIENT.beta.messages.create, arguments.BetaMessageCreateArguments, SAMPLING, OLDER),
    (CLIENT.beta.messages.stream, arguments.BetaMessageStreamArguments, SAMPLING, OLDER),
    (CLIENT.beta.messages.parse, arguments.BetaMessageStreamArguments, SAMPLING, OLDER),
    (CLIENT.beta.messages.count_tokens, arguments.BetaMessageCountTokensArguments, set(), ""),
    (CLIENT.beta.messages.tool_runner, arguments.ToolRunnerArguments, SAMPLING, OLDER),
    (CLIENT.beta.messages.batches.create, arguments.BetaBatchCreateArguments, set(), ""),
    (CLIENT.beta.messages.batches.list, arguments.BetaBatchListArguments, set(), ""),
    (CLIENT.beta.models.list, arguments.BetaModelListArguments, set(), ""),
    (CLIENT.beta.files.list, arguments.BetaFileListArguments, OLD_PAGES, OLDER),
    (CLIENT.beta.files.upload, arguments.BetaFileUploadArguments, set(), ""),
]


METHOD_NAMES = [row[0].__qualname__ + (".beta" if ".beta." in row[0].__module__ else "") for row in METHODS]


@pytest.mark.parametrize(("method", "ours", "more", "why"), METHODS, ids=METHOD_NAMES)
def test_arguments_are_those_of_the_official_method(method: Any, ours: Any, more: set[str], why: str) -> None:
    """SDK-8, 50 to 56; both ways."""
    theirs = inspect.signature(method).parameters
    spelt = SPELT_OUT | ({"tools"} if ours is arguments.ToolRunnerArguments else set())
    known = fields_of(ours)
    assert known.keys() - theirs.keys() == more
    assert theirs.keys() - known.keys() <= spelt
    assert bool(more) == bool(why)
    needed = {name for name, parameter in theirs.items() if parameter.default is parameter.empty} - spelt
    assert {name for name, field in known.items() if field.is_required} == needed
    assert ours.__required_keys__ == needed  # the client asks for it at run time
    assert ours.__required_keys__ | ours.__optional_keys__ == known.keys()


@pytest.mark.parametrize(("method", "ours"), [row[:2] for row in METHODS], ids=METHOD_NAMES)
def test_an_argument_takes_what_the_official_one_takes(method: Any, ours: Any) -> None:
    """The type of each argument, but for the sentinels that stand for its absence."""
    hints = official_hints(method)
    known = fields_of(ours)
    unlike = {
        name: (kind, known[name].kind)
        for name, hint in hints.items()
        if name in known and name not in TRANSPORT and (kind := bare(told(hint))) != bare(known[name].kind)
    }
    if ours is arguments.BetaBatchCreateArguments:  # one class serves `messages.batches` and the beta's
        both = unlike.pop("requests")
        assert both[1] == both[0].replace("BetaRequest]", "BetaRequest | dragoman.types.params.batches.Request]")
    assert unlike == {}


TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout"}  # the client's own types


def bare(text: str) -> str:
    return " | ".join(part for part in text.split(" | ") if not part.startswith("dragoman.client.given."))


def official_hints(method: Any) -> dict[str, Any]:
    function = inspect.unwrap(method)
    module = sys.modules[function.__module__]
    return typing.get_type_hints(function, {**vars(typing), **vars(module)})
