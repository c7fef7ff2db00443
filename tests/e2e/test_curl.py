"""The first minute with dragoman: start it with nothing, paste the line that it prints, get a reply."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from running import Running

START_S = 10.0  # bound of the test, for a busy machine; alone it is well below one second
FIRST_KEY = re.compile(r"First key:\s+(\S+)")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A first start, without a preset key."""
    with Running(tmp_path_factory.mktemp("fresh"), key=None) as server:
        yield server
    assert "Traceback" not in server.log()


def curl_line(server: Running) -> str:
    (line,) = [line for line in server.log().splitlines() if line.startswith("curl ")]
    return line


def run(line: str, **env: str) -> Any:
    """The reply to a pasted line."""
    if shutil.which("bash") is None or shutil.which("curl") is None:
        if os.environ.get("CI"):
            pytest.fail("bash and curl are needed to try the line that the server prints")
        pytest.skip("bash and curl are not here to try the line that the server prints")
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, timeout=20, check=True, env={"PATH": os.environ["PATH"], **env}
    )
    return json.loads(done.stdout)


def post(server: Running, key: str) -> httpx2.Response:
    body = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return httpx2.post(f"{server.url}/v1/messages", json=body, headers=headers, timeout=20, trust_env=False)


def test_the_printed_line_gives_a_reply(fresh: Running) -> None:
    message = run(curl_line(fresh))
    assert message["type"] == "message"
    assert message["model"] == "claude-opus-4-8"
    assert "Hello, Claude" in message["content"][0]["text"]


def test_the_start_says_what_answers(fresh: Running) -> None:
    assert "offline engine" in fresh.log()
    assert fresh.url in fresh.log()


def test_the_first_key_is_shown_at_the_first_start_only(tmp_path: Path) -> None:
    with Running(tmp_path, key=None) as server:
        (key,) = FIRST_KEY.findall(server.log())
        assert key in curl_line(server)
        assert post(server, key).status_code == 200
    assert server.log().count(key) == 2  # there and in the line to try: it is not logged

    for file in tmp_path.rglob("*"):
        assert file.is_dir() or file.name == "server.log" or key.encode() not in file.read_bytes()

    with Running(tmp_path, key=None) as again:
        assert FIRST_KEY.search(again.log()) is None
        assert post(again, key).status_code == 200
        assert run(curl_line(again), YOUR_KEY=key)["type"] == "message"
    assert key not in again.log()


def test_a_preset_key_is_not_printed(tmp_path: Path) -> None:
    with Running(tmp_path, key="sk-dgm-preset-for-this-test") as server:
        assert post(server, server.key).status_code == 200
        assert run(curl_line(server), DRAGOMAN_API_KEY=server.key)["type"] == "message"
    assert server.key not in server.log()


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_probes_need_no_key(fresh: Running, path: str, status: str) -> None:
    reply = httpx2.get(fresh.url + path, timeout=20, trust_env=False)
    assert (reply.status_code, reply.json()) == (200, {"status": status})


def test_the_first_answer_comes_soon_after_the_start(tmp_path: Path, record_testsuite_property: Any) -> None:
    began = time.monotonic()
    with Running(tmp_path) as server:
        listening_s = time.monotonic() - began
        assert post(server, server.key).status_code == 200
        answered_s = time.monotonic() - began
    record_testsuite_property("start_to_listening_s", round(listening_s, 3))
    record_testsuite_property("start_to_first_answer_s", round(answered_s, 3))
    assert answered_s < START_S


def test_it_stops_when_told_to(tmp_path: Path) -> None:
    with Running(tmp_path) as server:
        assert post(server, server.key).status_code == 200
        assert server.stop() == 0
    assert "Traceback" not in server.log()
