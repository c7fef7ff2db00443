"""The pytest plugin, and docs/client-testing.md: users' projects are written to a folder and run by a pytest of their
own, in which every warning is an error."""

import importlib.metadata
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from dragoman.errors import ConfigError
from dragoman.pytest_plugin import DragomanServer

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
MODULE = "dragoman.pytest_plugin"
IS_INSTALLED = any(each.value == MODULE for each in importlib.metadata.entry_points(group="pytest11"))
# As an environment that was made before the plugin was has no entry point.
PLUGIN = [] if IS_INSTALLED else ["-p", MODULE]
STRICT = ["-W", "error", "-p", "no:cacheprovider", "--strict-markers", "--strict-config", *PLUGIN]
HELLO: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Hello, Claude"}],
}

PAGE = ROOT / "docs/client-testing.md"
BLOCKS: list[str] = re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
NAME = re.compile(r"# ([a-z_]+\.(?:py|toml))\n")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder of a user whose own key must not be used."""
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_", "PYTEST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-user")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody: nothing leaves this machine
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return pytester


WITH_ASYNCIO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
WITHOUT = ("-p", "no:asyncio")


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*STRICT, *(options or WITHOUT))


def test_the_entry_point_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"dragoman": MODULE}


def test_loading_it_loads_nothing_else() -> None:
    """pytest loads it in every run of every user."""
    program = (
        f"import sys, pytest; before = set(sys.modules)\nimport {MODULE}\nprint(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dragoman", MODULE]


USERS = '''
    import asyncio
    import os
    import subprocess
    import sys
    import threading

    import anthropic
    import httpx2
    import pytest

    HELLO = {"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}
    PROGRAM = f"""if True:
        import anthropic
        with anthropic.Anthropic() as client:
            print(client.messages.create(**{HELLO!r}).content[0].text)
    """
    seen = set()


    def ask(server, **options):
        with anthropic.Anthropic(base_url=server.base_url, api_key=server.api_key, max_retries=0) as client:
            return client.messages.create(**HELLO, **options)


    @pytest.mark.parametrize("number", range(3))
    def test_a_server_for_each_test(dragoman_server, number):
        assert dragoman_server.requests == []
        assert "You said: Hello, Claude" in ask(dragoman_server).content[0].text
        seen.add((dragoman_server.base_url, dragoman_server.api_key))
        assert len(seen) == number + 1
        assert len([each for each in threading.enumerate() if each.name == "dragoman-gateway"]) == 1


    def test_what_was_asked(dragoman_server):
        with httpx2.Client(base_url=dragoman_server.base_url, trust_env=False) as client:
            client.get("/v1/models?limit=2", headers={"x-api-key": dragoman_server.api_key, "X-Twice": "a"})
            client.post("/v1/messages", content=b"x" * 300_000, headers=[("x-twice", "a"), ("x-twice", "b")])
        first, second = dragoman_server.requests
        assert repr(first) == "<GET /v1/models?limit=2>"
        assert (first.method, first.path, first.query, first.body) == ("GET", "/v1/models", "limit=2", b"")
        assert first.headers["x-api-key"] == dragoman_server.api_key
        assert (second.body, second.headers["x-twice"]) == (b"x" * 300_000, "a, b")


    def test_an_upload_is_noted_whole(dragoman_server):
        with anthropic.Anthropic(base_url=dragoman_server.base_url, api_key=dragoman_server.api_key) as client:
            client.beta.files.upload(file=("large.txt", b"large" * 100_000, "text/plain"))
        (request,) = dragoman_server.requests
        assert b"large" * 100_000 in request.body


    def test_another_process(dragoman_server):
        command = [sys.executable, "-c", PROGRAM]
        env = os.environ | dragoman_server.environ
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert "You said: Hello, Claude" in done.stdout
        assert dragoman_server.requests[0].json() == HELLO


    @pytest.mark.dragoman(script={"rule": [{"model": "claude-opus-*", "reply": {"json": {"a": None}}}]})
    class TestScripts:
        def test_of_the_class(self, dragoman_server):
            assert ask(dragoman_server).content[0].text == '{"a":null}'

        @pytest.mark.dragoman(script=["One", "Two"])
        def test_of_the_function(self, dragoman_server):
            assert [ask(dragoman_server).content[0].text for _ in range(3)] == ["One", "Two", "Two"]

        @pytest.mark.dragoman(script="[[rule]]\\nreply = 'From the text'")
        def test_a_text(self, dragoman_server):
            assert ask(dragoman_server).content[0].text == "From the text"

        @pytest.mark.dragoman()
        def test_none(self, dragoman_server):
            assert "You said: Hello, Claude" in ask(dragoman_server).content[0].text


    def test_faults_may_be_asked_for(dragoman_server):
        with pytest.raises(anthropic.InternalServerError) as caught:
            ask(dragoman_server, extra_headers={"dragoman-fault": "529"})
        assert caught.value.status_code == 529


    @pytest.mark.dragoman(script=[{"text": "slow", "wait_ms": 600_000}])
    def test_a_request_that_is_under_way_at_the_end(dragoman_server):
        with pytest.raises(anthropic.APITimeoutError):
            ask(dragoman_server, timeout=0.2)


    def test_both_clients_of_ours(dragoman_server, dragoman_client, dragoman_async_client):
        first = dragoman_client.messages.create(**HELLO)

        async def main():
            async with dragoman_async_client.messages.stream(**HELLO) as stream:
                async for _ in stream:
                    pass
            return await dragoman_async_client.messages.create(**HELLO)

        assert first.content == asyncio.run(main()).content
        assert [each.path for each in dragoman_server.requests] == ["/v1/messages"] * 3


    async def test_in_the_loop_of_a_test(dragoman_async_client):
        assert (await dragoman_async_client.messages.create(**HELLO)).stop_reason == "end_turn"


    def test_nothing_is_left():
        assert [each.name for each in threading.enumerate() if "dragoman" in each.name] == []
'''


def test_a_project_of_a_user(project: pytest.Pytester) -> None:
    """With and without scripts, with the official client and ours; no warning, no thread, nothing on the disk."""
    project.makepyfile(test_user=USERS)
    before = {path.name for path in project.path.iterdir()}
    outcome = run(project, *WITH_ASYNCIO)
    outcome.assert_outcomes(passed=15)
    left = {path.name for path in project.path.iterdir()} - before - {"__pycache__", "stdout", "stderr"}
    assert [name for name in left if not name.startswith("runpytest-")] == []  # which are pytester's own


def test_a_script_lies_beside_the_test(project: pytest.Pytester) -> None:
    """Wherever pytest was started."""
    (project.mkdir("inner") / "replies.toml").write_text('[[rule]]\nreply = "From the file"\n')
    (project.path / "inner/test_inner.py").write_text(
        "import pathlib, pytest\n\n"
        "@pytest.mark.dragoman(script='replies.toml')\n"
        "def test_text(dragoman_client): check(dragoman_client)\n\n"
        "@pytest.mark.dragoman(script=pathlib.Path('replies.toml'))\n"
        "def test_path(dragoman_client): check(dragoman_client)\n\n"
        "def check(client):\n"
        "    said = [{'role': 'user', 'content': 'x'}]\n"
        "    message = client.messages.create(model='claude-opus-4-8', max_tokens=50, messages=said)\n"
        "    assert message.content[0].text == 'From the file'\n"
    )
    run(project).assert_outcomes(passed=2)


def test_mistakes_are_told(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.dragoman(scirpt=["Hello"])
        def test_a_wrong_name(dragoman_server): pass

        @pytest.mark.dragoman(script=[{"txt": "Hello"}])
        def test_a_wrong_script(dragoman_server): pass

        @pytest.mark.dragoman(script="missing.toml")
        def test_no_script(dragoman_server): pass
        """
    )
    outcome = run(project)
    outcome.assert_outcomes(errors=3)
    outcome.stdout.fnmatch_lines(
        [
            "write @pytest.mark.dragoman(script=...), and nothing else in it",
            "the script:1: rule[[]0].reply[[]0].txt: there is no such setting here.*",
            "*missing.toml: the script cannot be read: No such file or directory. Check the path.",
        ]
    )
    outcome.stdout.no_fnmatch_line("*Traceback*")


def test_the_marker_is_explained(project: pytest.Pytester) -> None:
    run(project, *WITHOUT, "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.dragoman(script=None): what the server of *"]
    )


# -- without pytest ------------------------------------------------------------------------------------------------


def test_a_server_in_a_with_block() -> None:
    before = set(threading.enumerate())
    with DragomanServer(["Good day"]) as server:
        with anthropic.Anthropic(base_url=server.base_url, api_key=server.api_key) as client:
            assert client.messages.create(**HELLO).content == client.messages.create(**HELLO).content
        with pytest.raises(httpx2.HTTPStatusError, match="401"):
            httpx2.post(f"{server.base_url}/v1/messages", json=HELLO, trust_env=False).raise_for_status()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.base_url, trust_env=False)
    assert set(threading.enumerate()) <= before


def test_a_server_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="a rule needs a reply"):
        DragomanServer([])


# -- the page ------------------------------------------------------------------------------------------------------


def test_the_page_is_true(project: pytest.Pytester) -> None:
    """Each of its blocks is a file, and its tests pass."""
    files: defaultdict[str, str] = defaultdict(str)
    for block in BLOCKS:
        named = NAME.match(block)
        assert named is not None, block
        files[named[1]] += block
    for name, text in files.items():
        (project.path / name).write_text(text)
    tests = sum(len(re.findall(r"^def test_", text, re.MULTILINE)) for text in files.values())
    assert tests >= 8
    run(project).assert_outcomes(passed=tests)
