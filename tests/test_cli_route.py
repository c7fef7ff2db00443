"""`dragoman route explain`: of a configuration, and of a server that runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from running import Running
from typer.testing import CliRunner, Result

from dragoman.cli.commands import app
from dragoman.errors import ConfigError

CONFIG = """
[providers.a]
base_url = "http://127.0.0.1:9"
api_key = "sk-a"
price_list = "anthropic"

[models.m]
policy = "cheapest"
targets = ["a/claude-opus-4-8", "a/claude-haiku-4-5", "a/unheard-of"]

[[models.m.when]]
tools = true
targets = ["a/claude-sonnet-4-6"]

[models.small]
targets = ["a/claude-haiku-4-5", "a/claude-haiku-4-5-20251001"]
"""
TOOL = {"name": "t", "input_schema": {"type": "object"}}
BODY = {"model": "another", "max_tokens": 400, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in, with a configuration, and nothing in the environment that they read."""
    monkeypatch.chdir(tmp_path)
    for name in ("ANTHROPIC_API_KEY", "DRAGOMAN_API_KEY", "DRAGOMAN_CONFIG", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "dragoman.toml").write_text(CONFIG)
    return tmp_path


def invoke(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["route", "explain", *arguments], prog_name="dragoman", input=stdin)


def told(*arguments: str, stdin: bytes | None = None) -> Any:
    result = invoke(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def refused(*arguments: str, stdin: bytes | None = None) -> str:
    result = invoke(*arguments, stdin=stdin)
    assert isinstance(result.exception, ConfigError), result.exception
    return str(result.exception)


def test_the_order_with_reasons_and_numbers() -> None:
    result = invoke("m")
    assert result.exit_code == 0, result.exception
    lines = result.stdout.splitlines()
    assert lines[0].startswith("m: cheapest, about ")
    places = [line.split()[0:2] for line in lines if " a/" in line]
    assert places == [["1", "a/claude-haiku-4-5"], ["2", "a/claude-opus-4-8"], ["3", "a/unheard-of"]]
    (unpriced,) = (line for line in lines if "unheard-of" in line)
    assert "its price is not known" in unpriced
    assert "unknown" in unpriced


def test_as_json() -> None:
    found = told("m")
    assert (found["type"], found["model"], found["policy"]) == ("route_explanation", "m", "cheapest")
    assert found["order"] == ["a/claude-haiku-4-5", "a/claude-opus-4-8", "a/unheard-of"]
    assert [each["place"] for each in found["targets"]] == [1, 0, 2]
    assert found["targets"][2]["expected_cost_usd"] is None


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_request_of_ones_own(folder: Path, way: str) -> None:
    """MODEL counts, whatever the request names."""
    body = json.dumps({**BODY, "tools": [TOOL]}).encode()
    (folder / "body.json").write_bytes(body)
    found = told("m", "--body", "body.json") if way == "file" else told("m", "--body", "-", stdin=body)
    assert (found["condition"], found["order"]) == (0, ["a/claude-sonnet-4-6"])
    assert found["request"]["tools"] is True


def test_the_cost_of_a_request_by_hand(folder: Path) -> None:
    body = {**BODY, "model": "m"}
    (folder / "body.json").write_text(json.dumps(body, separators=(",", ":")))
    tokens = len(json.dumps(body, separators=(",", ":"))) // 4
    found = told("m", "--body", "body.json")
    assert found["request"]["input_tokens"] == tokens
    # Haiku: 1 and 5 dollars a million; 100 of the 400 tokens are expected.
    assert found["targets"][1]["expected_cost_usd"] == f"0.{tokens * 1000 + 100 * 5000:09d}"


@pytest.mark.parametrize(("name", "target"), [("a/b", "a/b"), ("no-name-of-ours", "a/no-name-of-ours")])
def test_a_name_without_a_route(name: str, target: str) -> None:
    found = told(name)
    assert (found["policy"], found["order"]) == ("ordered", [target])


def test_another_configuration(folder: Path) -> None:
    (folder / "other.toml").write_text('[providers.offline]\n[models]\nm = "offline/claude-haiku-4-5"\n')
    assert told("m", "--config", "other.toml")["order"] == ["offline/claude-haiku-4-5"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "-: this is not JSON (Input data was truncated). Give a request as it would be sent."),
        (b"\xff", "-: this is not JSON"),
        (b"[" * 5000, "-: this is not JSON"),
        (b"[1]", "-: this is no request. Give a JSON object as it would be sent."),
        (b'{"stream": 7}', "stream: Input should be a valid boolean"),
    ],
    ids=["half", "no UTF-8", "deep", "a list", "a wrong field"],
)
def test_what_is_no_request(body: bytes, text: str) -> None:
    assert refused("m", "--body", "-", stdin=body).startswith(text)


def test_a_file_that_is_not_there() -> None:
    message = "no.json: cannot be read: No such file or directory. Give the path of a request as JSON."
    assert refused("m", "--body", "no.json") == message


def test_nobody_can_answer(folder: Path) -> None:
    (folder / "body.json").write_text(json.dumps({**BODY, "system": "x" * 1_100_000}))
    message = refused("small", "--body", "body.json")
    assert message.startswith("model: no target of small can take this request (a/claude-haiku-4-5: about 275,")


def test_a_configuration_that_is_wrong(folder: Path) -> None:
    (folder / "dragoman.toml").write_text('[models]\nm = "nobody/x"\n')
    assert "nobody" in refused("m")


def test_a_server_needs_a_key() -> None:
    message = "a key is missing: give one with --key, or set DRAGOMAN_API_KEY"
    assert refused("m", "--url", "http://127.0.0.1:9") == message


def test_no_server_is_there() -> None:
    assert refused("m", "--url", "http://127.0.0.1:9", "--key", "sk-x").startswith("http://127.0.0.1:9: ")


def test_a_server_that_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Running(folder, CONFIG) as server:
        found = told("m", "--url", server.url, "--key", server.key)
        assert found["order"] == ["a/claude-haiku-4-5", "a/claude-opus-4-8", "a/unheard-of"]
        result = invoke("m", "--url", server.url, "--key", server.key)
        assert "a/claude-haiku-4-5" in result.stdout
        monkeypatch.setenv("DRAGOMAN_API_KEY", server.key)
        assert told("small", "--url", server.url)["policy"] == "ordered"
        wrong = refused("m", "--url", server.url, "--key", "sk-dgm-wrong")
        assert wrong.startswith(f"{server.url}: ")
        assert "sk-dgm-wrong" not in wrong
    assert "Traceback" not in server.log()
