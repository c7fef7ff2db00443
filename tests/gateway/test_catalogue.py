"""The catalogue's data against the spec and the official SDK, and the pages of the Models API (MOD-1 to MOD-8)."""

from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import ModelInfo
from anthropic.types.model import Model as SdkModel

from dragoman.errors import InvalidRequest, NotFound
from dragoman.gateway.catalogue import Alias, Catalogue, read_models
from dragoman.wire.models import CAPABILITIES, Model

CATALOGUE = Catalogue.load()
MODELS = {model.id: model for model in read_models()}
SERVED = [model.id for model in MODELS.values() if model.lifecycle != "retired"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"

LOW_TO_MAX, WITHOUT_XHIGH, LOW_TO_HIGH, NO_EFFORT = (
    ("low", "medium", "high", "xhigh", "max"),
    ("low", "medium", "high", "max"),
    ("low", "medium", "high"),
    (),
)


def model(name: str) -> Model:
    found = CATALOGUE.resolve(name)
    assert found is not None, name
    return found


def ids(page: dict) -> list[str]:
    return [info["id"] for info in page["data"]]


# ---------------------------------------------------------------- the data


# id: default, enabled, adaptive, disabled, display, effort, default effort, sampling, prefill
MSG_60 = {
    "claude-fable-5": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-fable-5-1": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-fable-5-2": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-mythos-5": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-mythos-5-1": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-mythos-5-2": ("always", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-opus-5-5": ("always", False, True, "no", "omitted", LOW_TO_MAX, "medium", "default_only", False),
    "claude-opus-5": ("on", False, True, "up_to_high_effort", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-opus-4-8": ("off", False, True, "yes", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-opus-4-7": ("off", False, True, "yes", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-sonnet-5": ("on", False, True, "yes", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-opus-4-6": ("off", True, True, "yes", "summarized", WITHOUT_XHIGH, "high", "any", False),
    "claude-sonnet-4-6": ("off", True, True, "yes", "summarized", WITHOUT_XHIGH, "high", "any", False),
    "claude-opus-4-5": ("off", True, False, "yes", "summarized", LOW_TO_HIGH, "high", "temperature_or_top_p", True),
    "claude-sonnet-4-5": ("off", True, False, "yes", "summarized", NO_EFFORT, "high", "temperature_or_top_p", True),
    "claude-haiku-4-5": ("off", True, False, "yes", "summarized", NO_EFFORT, "high", "temperature_or_top_p", True),
    # Without a row in MSG-60: from their own documentation.
    "claude-sonnet-5-5": ("on", False, True, "no", "omitted", LOW_TO_MAX, "high", "default_only", False),
    "claude-haiku-5-5": (
        "on", False, True, "up_to_high_effort", "omitted", LOW_TO_MAX, "medium", "default_only", False
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MSG_60)
def test_parameters_follow_the_model_table(name: str) -> None:
    """MSG-60, MSG-66."""
    found = model(name)
    assert found.thinking is not None
    assert (
        found.thinking.default,
        found.thinking.enabled,
        found.thinking.adaptive,
        found.thinking.disabled,
        found.thinking.display,
        found.effort,
        found.default_effort,
        found.sampling,
        found.prefill,
    ) == MSG_60[name]


def test_the_model_table_covers_every_model_of_today() -> None:
    """MSG-60; Mythos Preview is in no table of the spec."""
    assert {model(name).id for name in MSG_60} == set(SERVED) - {"claude-mythos-preview"}


@pytest.mark.parametrize("name", MSG_60)
def test_limits_follow_the_model_table(name: str) -> None:
    """MOD-6 and the model table below it: the 4.5 family is smaller."""
    family_4_5 = name in ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5")
    info = CATALOGUE.retrieve(name)
    assert (info["max_input_tokens"], info["max_tokens"]) == ((200_000, 64_000) if family_4_5 else (1_000_000, 128_000))


CACHE_MINIMUM = {
    512: ["claude-opus-5", "claude-fable-5", "claude-mythos-5"],
    1024: [
        "claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-4-1",
        "claude-opus-4-0", "claude-sonnet-4-0",
    ],
    2048: ["claude-opus-4-7", "claude-mythos-preview", "claude-3-5-haiku-20241022"],
    4096: ["claude-opus-4-6", "claude-opus-4-5", "claude-haiku-4-5"],
}  # fmt: skip


@pytest.mark.parametrize(("tokens", "name"), [(n, name) for n, names in CACHE_MINIMUM.items() for name in names])
def test_shortest_prefix_that_is_cached(tokens: int, name: str) -> None:
    """CCH-23."""
    assert model(name).cache_minimum_tokens == tokens


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("claude-opus-4-8", (290, 410)),
        ("claude-opus-4-7", (675, 804)),
        ("claude-opus-4-6", (497, 589)),
        ("claude-sonnet-4-6", (497, 589)),
        ("claude-opus-4-5", (496, 588)),
        ("claude-sonnet-4-5", (496, 588)),
        ("claude-haiku-4-5", (496, 588)),
        ("claude-opus-5", (286, 406)),
        ("claude-sonnet-5", (354, 474)),
    ],
)
def test_tokens_of_the_hidden_tool_prompt(name: str, tokens: tuple[int, int]) -> None:
    """TOK-6."""
    assert model(name).tool_prompt_tokens == tokens


OLDER = ("claude-opus-4-5", "claude-opus-4-6", "claude-sonnet-4", "claude-haiku-4")
NEWER_TOKENIZER = [id_ for id_ in SERVED if not id_.startswith(OLDER)]


@pytest.mark.parametrize("id_", MODELS)
def test_the_tokenizer_changed_with_opus_4_7(id_: str) -> None:
    """TOK-8."""
    assert model(id_).tokenizer == ("claude-4.7" if id_ in NEWER_TOKENIZER else "claude-3")


@pytest.mark.parametrize("id_", MODELS)
def test_high_resolution_came_with_opus_4_7(id_: str) -> None:
    """MSG-95; Mythos Preview is older."""
    expected = id_ in NEWER_TOKENIZER and id_ != "claude-mythos-preview"
    assert model(id_).high_resolution_images is expected


def test_models_that_take_a_system_turn() -> None:
    """MSG-45, and from their own documentation Sonnet 5.5 and Haiku 5.5."""
    assert {id_ for id_, found in MODELS.items() if found.system_turns} == {
        "claude-fable-5-2", "claude-fable-5-1", "claude-fable-5", "claude-mythos-5-2", "claude-mythos-5-1",
        "claude-mythos-5", "claude-opus-5-5", "claude-opus-5", "claude-opus-4-8", "claude-sonnet-5-5",
        "claude-haiku-5-5",
    }  # fmt: skip


def test_models_that_cannot_be_forced_to_call_a_tool() -> None:
    """TOOL-18 and its like: the later Fables and Mythos have the same interface, Sonnet 5.5 says so itself."""
    assert {id_ for id_, found in MODELS.items() if not found.forced_tools} == {
        "claude-mythos-preview", "claude-opus-5-5", "claude-fable-5-1", "claude-fable-5-2", "claude-mythos-5-1",
        "claude-mythos-5-2", "claude-sonnet-5-5",
    }  # fmt: skip


def test_between_tools_is_for_the_newest_models_only() -> None:
    """Spec messages.md, section 5: else 400."""
    assert [id_ for id_, found in MODELS.items() if found.thinking and found.thinking.between_tools] == [
        "claude-sonnet-5-5"
    ]


def test_a_full_window_stops_4_5_and_newer_and_refuses_older() -> None:
    """MSG-51."""
    assert {found.context_overflow for found in MODELS.values() if found.lifecycle != "retired"} == {"stop"}
    assert {found.context_overflow for found in MODELS.values() if found.lifecycle == "retired"} == {"refuse"}


@pytest.mark.parametrize(("name", "taken"), [("claude-opus-4-6", True), ("claude-opus-4-5", False)])
def test_inference_geo_came_with_4_6(name: str, taken: bool) -> None:
    """MSG-26."""
    assert model(name).inference_geo is taken


@pytest.mark.parametrize(("name", "thinks"), [("claude-sonnet-4-5", True), ("claude-haiku-4-5", False)])
def test_manual_thinking_between_tools_is_not_for_haiku(name: str, thinks: bool) -> None:
    """MSG-65."""
    rules = model(name).thinking
    assert rules is not None
    assert rules.manual_interleaved is thinks


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("claude-opus-4-5", True),
        ("claude-sonnet-4-6", True),
        ("claude-sonnet-4-5", False),
        ("claude-haiku-4-5", False),
    ],
)
def test_which_models_keep_the_thinking_of_earlier_turns(name: str, kept: bool) -> None:
    """MSG-63."""
    rules = model(name).thinking
    assert rules is not None
    assert rules.keeps_earlier_turns is kept


@pytest.mark.parametrize(("id_", "found"), MODELS.items())
def test_the_data_is_consistent(id_: str, found: Model) -> None:
    """MOD-4: dates of an ending only where one is planned, and in order."""
    assert found.id == id_
    assert (found.lifecycle == "active") == (found.deprecated_at is None) == (found.retires_at is None)
    dates = [found.created_at, found.deprecated_at, found.retires_at]
    told = [datetime.fromisoformat(date) for date in dates if date]
    assert told == sorted(told)
    assert found.line is None or found.line in found.id
    assert not found.effort or found.default_effort in found.effort
    assert not found.capabilities & {"effort", "thinking"}, "these have fields of their own"
    if found.thinking:
        assert (found.thinking.default == "always") <= (found.thinking.disabled == "no")
        assert found.thinking.enabled or not found.thinking.manual_interleaved


def test_no_two_models_share_a_name() -> None:
    names = [name for found in MODELS.values() for name in (found.id, *found.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", get_args(get_args(SdkModel)[0]))
def test_every_model_that_the_sdk_names_is_served(name: str) -> None:
    """MOD-1."""
    assert model(name).lifecycle in ("active", "deprecated")


@pytest.mark.parametrize("name", [name for name in DEPRECATED_MODELS if name in CATALOGUE])
def test_ends_agree_with_the_sdk(name: str) -> None:
    """The SDK warns of these, with the same day."""
    day, rest = DEPRECATED_MODELS[name].replace(",", "").split(" ", 1)[1].split(" ", 1)
    month = DEPRECATED_MODELS[name].split(" ", 1)[0]
    end = datetime.strptime(f"{day.rstrip('thsnrd')} {month} {rest}", "%d %B %Y")
    assert model(name).retires_at == end.strftime("%Y-%m-%dT00:00:00Z")


@pytest.mark.parametrize("id_", MODELS)
def test_the_sdk_reads_every_entry(id_: str) -> None:
    """MOD-4, MOD-5."""
    info = ModelInfo.model_validate(CATALOGUE.retrieve(id_))
    assert info.capabilities is not None
    assert info.capabilities.image_input.supported


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("alias", "id_"),
    [
        ("claude-opus-4-5", "claude-opus-4-5-20251101"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-opus-4-1", "claude-opus-4-1-20250805"),
        ("claude-opus-4-0", "claude-opus-4-20250514"),
        ("claude-sonnet-4-0", "claude-sonnet-4-20250514"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("claude-haiku-3-5", "claude-3-5-haiku-20241022"),
        ("claude-3-opus-latest", "claude-3-opus-20240229"),
    ],
)
def test_an_alias_answers_with_the_id_behind_it(alias: str, id_: str) -> None:
    """MOD-3, MSG-101; the nickname is MSG-6."""
    assert model(alias).id == CATALOGUE.retrieve(alias)["id"] == id_


@pytest.mark.parametrize("name", ["claude-opus-9", "", "CLAUDE-OPUS-4-8", "claude-opus-4-8 ", "claude-opus-4"])
def test_an_unknown_name_is_not_found(name: str) -> None:
    """MOD-3: names are taken as they are written."""
    assert CATALOGUE.resolve(name) is None
    assert name not in CATALOGUE
    with pytest.raises(NotFound) as error:
        CATALOGUE.retrieve(name)
    assert error.value.message == f"model: {name}"


@pytest.mark.parametrize(
    "name",
    [
        "claude-3-5-sonnet-20241022", "claude-3-5-sonnet-20240620", "claude-3-opus-20240229",
        "claude-3-sonnet-20240229", "claude-3-haiku-20240307", "claude-3-5-haiku-20241022", "claude-haiku-3-5",
        "claude-3-7-sonnet-20250219", "claude-opus-4-20250514", "claude-sonnet-4-20250514", "claude-opus-4-1-20250805",
    ],
)  # fmt: skip
def test_retired_models_are_served_but_not_listed_unasked(name: str) -> None:
    """MSG-6, MOD-1."""
    assert model(name).lifecycle == "retired"
    assert model(name).id not in ids(CATALOGUE.page({"limit": ["1000"]}))
    assert model(name).id in ids(CATALOGUE.page({"lifecycle[]": ["retired"]}))


# ---------------------------------------------------------------- pages


def test_the_list_is_newest_first() -> None:
    """MOD-1."""
    page = CATALOGUE.page({"limit": ["1000"]})
    dates = [info["created_at"] for info in page["data"]]
    assert dates == sorted(dates, reverse=True)
    assert ids(page)[0] == "claude-fable-5-2"
    assert ids(page).index("claude-sonnet-5") < ids(page).index("claude-opus-4-8")
    assert sorted(ids(page)) == sorted(SERVED)
    assert page["has_more"] is False


def test_twenty_unless_asked_otherwise() -> None:
    """MOD-1: 19 models are listed unasked, so the default shows with all lifecycles."""
    everything = {"lifecycle[]": ["active", "deprecated", "retired"]}
    page = CATALOGUE.page(everything)
    assert len(page["data"]) == 20
    assert page["has_more"] is True
    assert (page["first_id"], page["last_id"]) == (ids(page)[0], ids(page)[-1])
    assert len(CATALOGUE.page(everything | {"limit": ["1000"]})["data"]) == len(MODELS)


@pytest.mark.parametrize("limit", range(1, len(SERVED) + 2))
def test_walking_forwards_sees_every_model_once(limit: int) -> None:
    """MOD-2."""
    seen, query = [], {"limit": [str(limit)]}
    while True:
        page = CATALOGUE.page(query)
        seen += ids(page)
        if not page["has_more"]:
            break
        query = {"limit": [str(limit)], "after_id": [page["last_id"]]}
    assert seen == ids(CATALOGUE.page({"limit": ["1000"]}))


@pytest.mark.parametrize("limit", range(1, len(SERVED) + 2))
def test_walking_backwards_sees_every_model_once(limit: int) -> None:
    """MOD-2: `before_id` gives the ones just before it, in the order of the list."""
    everything = ids(CATALOGUE.page({"limit": ["1000"]}))
    seen, cursor = everything[-1:], everything[-1]
    while True:
        page = CATALOGUE.page({"limit": [str(limit)], "before_id": [cursor]})
        seen = ids(page) + seen
        if not page["has_more"]:
            break
        cursor = page["first_id"]
    assert seen == everything


def test_an_empty_page_has_no_ids() -> None:
    """MOD-1."""
    oldest = ids(CATALOGUE.page({"limit": ["1000"]}))[-1]
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert CATALOGUE.page({"after_id": [oldest]}) == empty
    assert CATALOGUE.page({"before_id": ["claude-fable-5-2"]}) == empty
    assert Catalogue(()).page({}) == empty


def test_a_cursor_that_the_filter_hides_still_works() -> None:
    """MOD-2."""
    page = CATALOGUE.page({"after_id": ["claude-opus-4-1-20250805"], "lifecycle[]": ["active"]})
    assert ids(page) == []
    page = CATALOGUE.page({"after_id": ["claude-opus-4-5-20251101"], "lifecycle[]": ["deprecated"]})
    assert ids(page) == ["claude-sonnet-4-5-20250929"]


@pytest.mark.parametrize("name", ["lifecycle[]", "lifecycle"])
@pytest.mark.parametrize("wanted", ["active", "deprecated", "retired"])
def test_the_list_is_filtered_by_lifecycle(name: str, wanted: str) -> None:
    """MOD-1."""
    page = CATALOGUE.page({name: [wanted], "limit": ["1000"]})
    assert sorted(ids(page)) == sorted(id_ for id_, found in MODELS.items() if found.lifecycle == wanted)


def test_parameters_of_others_are_ignored() -> None:
    """MSG-1: SDKs add `beta=true`."""
    assert CATALOGUE.page({"beta": ["true"], "workspace_id": ["wrkspc_1"]}) == CATALOGUE.page({})


def test_a_parameter_given_twice_counts_as_its_last_value() -> None:
    assert len(CATALOGUE.page({"limit": ["x", "2"]})["data"]) == 2


@pytest.mark.parametrize("limit", ["1", "1000", " 7 ", "+7", "007"])
def test_limits_that_are_taken(limit: str) -> None:
    """MOD-1."""
    assert len(CATALOGUE.page({"limit": [limit]})["data"]) == min(int(limit), len(SERVED))


NOT_AN_INTEGER = "limit: Input should be a valid integer, unable to parse string as an integer"
ENUM = "Input should be 'active', 'deprecated' or 'retired'"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": ["0"]}, "limit: Input should be greater than or equal to 1"),
        ({"limit": ["-3"]}, "limit: Input should be greater than or equal to 1"),
        ({"limit": ["1001"]}, "limit: Input should be less than or equal to 1000"),
        ({"limit": ["9" * 20]}, "limit: Input should be less than or equal to 1000"),
        ({"limit": ["9" * 5000]}, NOT_AN_INTEGER),  # int() itself raises at 4301 digits
        ({"limit": ["ten"]}, NOT_AN_INTEGER),
        ({"limit": [""]}, NOT_AN_INTEGER),
        ({"limit": ["1.5"]}, NOT_AN_INTEGER),
        ({"limit": ["1_0"]}, NOT_AN_INTEGER),
        ({"limit": ["٣"]}, NOT_AN_INTEGER),
        ({"limit": ["5\n\0"]}, NOT_AN_INTEGER),
        (
            {"after_id": ["claude-opus-5"], "before_id": ["claude-opus-5"]},
            "before_id: cannot be given together with after_id",
        ),
        ({"after_id": ["nobody"]}, "after_id: no model has the id 'nobody'"),
        ({"before_id": ["nobody"]}, "before_id: no model has the id 'nobody'"),
        ({"after_id": [""]}, "after_id: no model has the id ''"),
        ({"lifecycle[]": ["gone"]}, f"lifecycle.0: {ENUM}"),
        ({"lifecycle[]": ["active", ""]}, f"lifecycle.1: {ENUM}"),
        ({"lifecycle[]": ["active"] * 4}, "lifecycle: List should have at most 3 items after validation, not 4"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_told_by_name(query: dict[str, list[str]], message: str) -> None:
    """MOD-1, MOD-2."""
    with pytest.raises(InvalidRequest) as error:
        CATALOGUE.page(query)
    assert error.value.message == message


# ---------------------------------------------------------------- what answers


def test_the_list_promises_what_the_target_can_do() -> None:
    """MOD-8, TOOL-72."""
    supports = CAPABILITIES - {"batch", "server_tools.web_search", "server_tools.code_execution"}
    catalogue = Catalogue.load(supports=supports)
    for info in catalogue.page({"limit": ["1000"]})["data"]:
        assert info["capabilities"]["batch"] == {"supported": False}
        assert info["capabilities"]["server_tools"]["supported"] is False
        assert info["capabilities"]["image_input"] == {"supported": True}


def test_a_configured_name_is_listed_with_its_target() -> None:
    """MOD-8: nobody takes a local model for its namesake."""
    catalogue = CATALOGUE.with_aliases([Alias("my-model", "gpu-box/qwen3-32b", model("claude-opus-4-8"))])
    info = catalogue.retrieve("my-model")
    assert info["id"] == "my-model"
    assert info["display_name"] == "my-model (gpu-box/qwen3-32b)"
    assert info["max_input_tokens"] == 1_000_000
    found = catalogue.resolve("my-model")
    assert found is not None
    assert (found.id, found.aliases, found.sampling) == ("my-model", (), "default_only")
    listed = ids(catalogue.page({"limit": ["1000"]}))
    assert listed.index("claude-opus-4-8") + 1 == listed.index("my-model")


def test_of_a_foreign_model_nothing_is_claimed() -> None:
    """MOD-4: null where unknown, and the epoch for the date, which puts it last."""
    catalogue = CATALOGUE.with_aliases([Alias("local/qwen:4b@q4", "gpu-box/qwen3-4b")])
    info = ModelInfo.model_validate(catalogue.retrieve("local/qwen:4b@q4"))
    assert (info.capabilities, info.max_tokens, info.max_input_tokens, info.line) == (None, None, None, None)
    assert info.created_at.timestamp() == 0
    assert set(catalogue.retrieve("local/qwen:4b@q4")) == set(catalogue.retrieve("claude-opus-5"))
    assert "local/qwen:4b@q4" in catalogue
    assert catalogue.resolve("local/qwen:4b@q4") is None
    assert ids(catalogue.page({"limit": ["1000"]}))[-1] == "local/qwen:4b@q4"


def test_a_configured_target_supports_what_it_supports() -> None:
    """MOD-8."""
    alias = Alias("my-model", "box/x", model("claude-opus-4-8"), CAPABILITIES - {"image_input"})
    info = CATALOGUE.with_aliases([alias]).retrieve("my-model")
    assert info["capabilities"]["image_input"] == {"supported": False}


def test_a_configured_id_takes_its_aliases_along() -> None:
    """MOD-3, MOD-8."""
    id_ = "claude-haiku-4-5-20251001"
    catalogue = CATALOGUE.with_aliases([Alias(id_, "gpu-box/qwen3-4b", model(id_))])
    assert catalogue.retrieve("claude-haiku-4-5")["display_name"] == f"{id_} (gpu-box/qwen3-4b)"
    assert ids(catalogue.page({"limit": ["1000"]})).count(id_) == 1


def test_a_configured_alias_leaves_the_id_behind_it() -> None:
    catalogue = CATALOGUE.with_aliases([Alias("claude-haiku-4-5", "gpu-box/qwen3-4b", model("claude-haiku-4-5"))])
    assert catalogue.retrieve("claude-haiku-4-5")["id"] == "claude-haiku-4-5"
    assert catalogue.retrieve("claude-haiku-4-5-20251001")["display_name"] == "Claude Haiku 4.5"


def test_a_retired_name_that_is_configured_is_listed() -> None:
    """MOD-1: someone asked for it."""
    alias = Alias("claude-3-opus-20240229", "anthropic/claude-opus-4-8", model("claude-3-opus-20240229"))
    catalogue = CATALOGUE.with_aliases([alias])
    assert "claude-3-opus-20240229" in ids(catalogue.page({"limit": ["1000"]}))
    assert catalogue.retrieve("claude-3-opus-20240229")["lifecycle"] == "active"


def test_adding_names_leaves_the_first_catalogue_alone() -> None:
    CATALOGUE.with_aliases([Alias("new-name", "box/x"), Alias("claude-opus-5", "box/x")])
    assert "new-name" not in CATALOGUE
    assert CATALOGUE.retrieve("claude-opus-5")["display_name"] == "Claude Opus 5"


# ---------------------------------------------------------------- the documentation


def test_the_table_in_the_documentation_is_that_of_the_catalogue() -> None:
    """On failure, put the table that is shown between the two marks of docs/models.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    written = text.split("<!-- the catalogue -->\n")[1].split("<!-- end of the catalogue -->")[0]
    assert written == table(), f"\n{table()}"


def table() -> str:
    page = CATALOGUE.page({"limit": ["1000"], "lifecycle": ["active", "deprecated", "retired"]})
    head = "| id and aliases | until | context | max output | thinking | effort | sampling | prefill |\n"
    return f"{head}{'|---' * 8}|\n" + "".join(row(model(id_)) for id_ in ids(page))


def row(found: Model) -> str:
    names = "<br>".join(f"`{name}`" for name in (found.id, *found.aliases))
    until = f"{found.lifecycle} {found.retires_at[:10]}" if found.retires_at else ""
    effort = f"{', '.join(found.effort)}; else {found.default_effort}" if found.effort else "no"
    sampling = {"any": "yes", "temperature_or_top_p": "`temperature` or `top_p`", "default_only": "no"}[found.sampling]
    prefill = "yes" if found.prefill else "no"
    limits = f"{found.max_input_tokens:,} | {found.max_tokens:,}"
    return f"| {names} | {until} | {limits} | {thinking(found)} | {effort} | {sampling} | {prefill} |\n"


def thinking(found: Model) -> str:
    rules = found.thinking
    if rules is None:
        return "no"
    disabled = {"yes": "`disabled`", "no": "", "up_to_high_effort": "`disabled` up to effort high"}[rules.disabled]
    takes = [f"`{kind}`" for kind in ("adaptive", "enabled", "between_tools") if getattr(rules, kind)]
    return f"{rules.default}; takes {', '.join(takes + [disabled] * bool(disabled))}"


def test_a_server_that_refuses_retired_models_lists_none() -> None:
    """MOD-8."""
    served = Catalogue.load().without_retired()
    for name in ("claude-3-haiku-20240307", "claude-haiku-3-5"):
        with pytest.raises(NotFound):
            served.retrieve(name)
    assert served.page({"lifecycle[]": ["retired"]})["data"] == []
    assert served.retrieve("claude-opus-4-8")["id"] == "claude-opus-4-8"
