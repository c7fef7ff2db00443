"""Which target answers a name, and which configured targets never could."""

from pathlib import Path

import pytest

from dragoman.errors import ConfigError, NotFound
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import load
from dragoman.gateway.routing.routing import Router

UPSTREAM = '[providers.box]\nbase_url = "http://127.0.0.1:1"\n'


def router(folder: Path, text: str = "") -> Router:
    path = folder / "dragoman.toml"
    path.write_text(text)
    return Router(load(path, {}), Catalogue.load())


@pytest.mark.parametrize(
    ("text", "name", "target"),
    [
        ("", "claude-haiku-4-5", "offline/claude-haiku-4-5"),
        ("", "offline/claude-haiku-4-5", "offline/claude-haiku-4-5"),
        ("", "claude-haiku-3-5", "offline/claude-haiku-3-5"),
        (UPSTREAM, "anything", "box/anything"),
        (UPSTREAM, "box/a/b", "box/a/b"),
        (UPSTREAM + '[models.fast]\ntargets = ["box/claude-haiku-4-5"]\n', "fast", "box/claude-haiku-4-5"),
    ],
)
def test_a_name_leads_to_its_target(tmp_path: Path, text: str, name: str, target: str) -> None:
    assert router(tmp_path, text).route(name).name == target


@pytest.mark.parametrize("name", ["claude-9", "nobody/claude-haiku-4-5", "offline/claude-9", "Claude-Haiku-4-5"])
def test_what_the_offline_engine_does_not_know_is_not_found(tmp_path: Path, name: str) -> None:
    """ERR-46."""
    with pytest.raises(NotFound, match=rf"^model: {name}$"):
        router(tmp_path).route(name)


@pytest.mark.parametrize("text", ["", UPSTREAM])
def test_retired_models_are_served_unless_refused(tmp_path: Path, text: str) -> None:
    """MSG-6."""
    assert router(tmp_path, text).route("claude-3-haiku-20240307").model is not None
    with pytest.raises(NotFound):
        router(tmp_path, 'retired = "refuse"\n' + text).route("claude-3-haiku-20240307")


def test_a_target_that_could_never_answer_is_told_at_start(tmp_path: Path) -> None:
    text = '[providers.offline]\n[models.bogus]\ntargets = ["offline/zz"]\n'
    with pytest.raises(ConfigError, match=r"dragoman\.toml:2.*models\.bogus: .*zz is none of them"):
        router(tmp_path, text)
