"""The programs in examples/ run with dragoman and, changed in nothing but the import, with the official package.

Both against one server on the offline engine: they must end well, keep silent on standard error, and print the same.
What each must print at least is in PHRASES, so that two programs that both print nothing do not pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest
from running import Running

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNNER = Path(__file__).parents[1] / "support/example_runner.py"
PACKAGES = ["dragoman", "anthropic"]
LIMIT_S = 120  # generous: alone, the official package takes some 6 s
IMPORT = re.compile(r"^(import|from) dragoman\b", re.MULTILINE)
ID = re.compile(r"\b(req|msg|toolu|file|msgbatch)_[A-Za-z0-9]+")

ENGINE = "This is dragoman's offline engine in place of claude-opus-4-8: no model was asked."
PHRASES: dict[str, list[str]] = {
    "async_several.py": ["owl: This is dragoman's", "\norca: This is dragoman's", "What does an ox eat?"],
    "async_stream.py": [ENGINE, "kinds of events: message_start content_block_start content_block_delta"],
    "batch.py": [
        "handed in, now in_progress\nsucceeded: 3 errored: 1",
        "Which river flows through Cairo?\noslo: ",
        "wrong: messages: ",
    ],
    "citations.py": ["The lighthouse was built in 1874 [1].\n[1] The lighthouse, from character 0\n"],
    "conversation.py": ["claude: This is", "You said: And what do I keep?", "6 messages so far)"],
    "count_tokens.py": ["the question:         16\nwith a system prompt: 20\n"],
    "error_handling.py": [
        "right:        stopped for end_turn",
        "wrong number: invalid_request_error, not worth another try: Error code: 400 - {'type': 'error', ",
        "wrong model:  no such model: Error code: 404 - ",
        "wrong key:    the key is wrong: Error code: 401 - ",
        "wrong place:  no answer at all, from http://127.0.0.1:1/v1/messages",
        "class:   BadRequestError\nparents: APIStatusError APIError AnthropicError",
    ],
    "extra_fields.py": [
        "You said: Pick a colour.",
        "'colour: Extra inputs are not permitted'",
        "stop_sequence type usage",
    ],
    "files.py": [
        "uploaded: notes.txt text/plain 71 bytes",
        "The ferry leaves at 7.",
        "The museum opens at 10.",
        "still there: True\ndeleted: file_deleted\nand gone",
    ],
    "first_call.py": [f"{ENGINE}\nYou said: Why is the sky blue?\n", "stopped for:   end_turn", "output tokens: 43"],
    "image_base64.py": ["You sent a 160x100 PNG image.", "the image among them: 38"],
    "image_url.py": ["The picture could not be fetched:", "Unable to download the file."],
    "models.py": [
        "claude-opus-4-8                Claude Opus 4.8\n",
        "on the first page: 5 - is there another? True",
        "id:      claude-haiku-4-5-20251001",
        "since:   October 2025",
    ],
    "pdf.py": ["The Volga is 3,530 km long (Rivers, page 3)."],
    "prefill_and_stop.py": ["A haiku is [dragoman's offline", "Count: three four \nstopped for stop_sequence: five"],
    "prompt_caching.py": [
        "first request\n  written to the cache:  1",
        "read from the cache:   0\n",
        "second request\n  written to the cache:  0\n  read from the cache:   1",
    ],
    "raw_response.py": ["status:       200\ntype:         application/json\nrequest id:   req_", "has a type:   True"],
    "retries_and_timeouts.py": [
        "status 200 after 1 retries",
        "gave up, 529 overloaded_error",
        "a server without words:  no answer within 0.1 s",
        "refused by the client",
    ],
    "save_conversation.py": ['"role": "assistant"', '"text": "This is dragoman\'s', "turns: 3 - tokens read: "],
    "stop_reasons.py": [
        "end_turn: ",
        "\nmax_tokens: cut after 8 tokens",
        "\nstop_sequence: it came to '###'",
        "\ntool_use: it wants get_time",
        "\nrefusal: ",
    ],
    "stream_events.py": [
        "block 0 is whole: text\nblocks of the message so far: 1\nmessage is whole: end_turn\n",
        ENGINE,
    ],
    "stream_raw_events.py": [
        "message_start -> claude-opus-4-8 reads 12 tokens\ncontent_block_start -> 0 text\n",
        "content_block_delta -> 'This'",
        "content_block_stop -> 0\nmessage_delta -> max_tokens and 15 tokens written\nmessage_stop\n",
    ],
    "stream_text.py": [
        ENGINE,
        "stopped for end_turn after 54 tokens",
        "You said: And now the same story, much longer.",
    ],
    "structured_output.py": ["name:    Ann Lee\nemail:   ann@example.com\ntickets: 3\ntour:    harbour\n"],
    "structured_schema.py": ["mood: pleased\nproduct: Kettle\n"],
    "system_prompt.py": ["The system prompt is: \"You are a ship's cook", "There are only biscuits left."],
    "thinking.py": ['thinks: The user said "What is 27', "signed: True", "thought: 34 of 77 tokens\n\nthinks: \n"],
    "thinking_stream.py": ["[thinking]\nThe user said", "\n(signed)\n[text]\nThis is", "blocks: thinking text"],
    "tool_input_stream.py": ["calls save_note\n  title: Bread\n  text: flour, water, salt\n"],
    "tool_loop.py": [
        "calls get_weather with {'city': 'Lisbon'}",
        "returned: 24 degrees, clear",
        "failed with: There is no station in this city.",
    ],
    "tool_runner.py": [
        '"city": {"description": "Name of the city, such as Lisbon.", "title": "City", "type": "string"}',
        "turn ends with tool_use\n",
        '"degrees": 24',
        "failed with: The ferries of Belem are on strike.",
    ],
    "tool_runner_async.py": ['get_time({"city":"Lima"}) returned: 07:00'],
    "tool_runner_stream.py": [
        "calls get_population with {'city': 'Graz'}\nstopped for tool_use\nturn 2\n",
        "returned: 2,005,000",
        "stopped for end_turn",
    ],
}


class Outcome(TypedDict):
    status: int
    stdout: str
    stderr: str


Outcomes = dict[str, dict[str, Outcome]]  # by package and program


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server, and what programs must know of it; nothing else of this machine: no proxy, no developer's key."""
    folder = tmp_path_factory.mktemp("server")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    database = f"sqlite:///{folder}/keys.db"
    create = [sys.executable, "-m", "dragoman", "keys", "create", "--test", "--database", database]
    key = subprocess.run(create, env=clean, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    with Running(folder, key=None, env={"DRAGOMAN_DATABASE": database}) as server:
        yield {**clean, "ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": key}
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def outcomes(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """How each example ran with each package. The two processes run side by side."""
    folder = tmp_path_factory.mktemp("outcomes")
    official = _for_the_official_package(folder / "anthropic")
    started = {
        "dragoman": _start(EXAMPLES, folder / "dragoman.json", environment),
        "anthropic": _start(official, folder / "anthropic.json", environment),
    }
    return {package: _finish(process, folder / f"{package}.json") for package, process in started.items()}


def _for_the_official_package(folder: Path) -> Path:
    """A copy of the examples, changed in the lines that import dragoman and nowhere else."""
    shutil.copytree(EXAMPLES, folder)
    for name in PHRASES:
        text = (EXAMPLES / name).read_text()
        (folder / name).write_text(IMPORT.sub(r"\1 anthropic", text))
    return folder


def _start(folder: Path, report: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    programs = [str(folder / name) for name in sorted(PHRASES)]
    return subprocess.Popen(
        [sys.executable, "-B", "-W", "always::ResourceWarning", str(RUNNER), str(report), *programs],
        env=environment,
        cwd=report.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process: subprocess.Popen[str], report: Path) -> dict[str, Outcome]:
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert (process.returncode, said) == (0, "")
    found: dict[str, Outcome] = json.loads(report.read_text())
    return found


def _without_ids(text: str) -> str:
    return ID.sub(r"\1_...", text)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", sorted(PHRASES))
def test_an_example_runs(outcomes: Outcomes, name: str, package: str) -> None:
    outcome = outcomes[package][name]
    assert (outcome["status"], outcome["stderr"]) == (0, "")
    assert [phrase for phrase in PHRASES[name] if phrase not in outcome["stdout"]] == [], outcome["stdout"]


@pytest.mark.parametrize("name", sorted(PHRASES))
def test_both_packages_print_the_same(outcomes: Outcomes, name: str) -> None:
    ours, theirs = (outcomes[package][name] for package in PACKAGES)
    assert _without_ids(ours["stdout"]) == _without_ids(theirs["stdout"])


def test_an_example_is_a_program_of_its_own(environment: dict[str, str]) -> None:
    """As the README says: `python examples/first_call.py`."""
    command = [sys.executable, "-B", str(EXAMPLES / "first_call.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ENGINE in ended.stdout


def test_every_example_is_run_and_told_of() -> None:
    told_of = re.findall(r"^\| \[`(\w+\.py)`\]\(\1\) \| .+ \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(told_of) == sorted(PHRASES) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(PHRASES))
def test_only_the_import_names_the_package(name: str) -> None:
    """So that changing the import is all there is to change."""
    text = (EXAMPLES / name).read_text()
    assert "import dragoman as anthropic\n" in text
    imports = [line for line in text.splitlines() if re.match(r"\s*(import|from) (dragoman|anthropic)\b", line)]
    assert all(IMPORT.match(line) for line in imports)
