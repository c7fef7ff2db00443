"""Pain 79, and "done when" 6 of issue 7: secrets are put into every place of a server's life, and then searched for in
all that it leaves behind: output, replies, database, journal, files.

Whole keys are to be nowhere. What callers say is to come back to themselves alone, and to lie only where
docs/credentials.md says.
"""

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import serving
from canary import PROVIDERS_KEYS, Canary, database_rows, files_below, found_in, keys_in, new_canary
from leaky_upstream import FAULTS, LeakyUpstream
from postgres import PASSWORD
from running import Running

from dragoman.server.admin_routes import ENDPOINTS

PATIENCE_S = 60.0  # the machine may be busy
JSON = "application/json"
MODELS = ("plain/m", "stored/m", "chat/m", "claude-opus-4-8")
# Where what callers say may lie, and why.
KEPT = {
    "message_batch_requests": "requests and results of batches, until they are deleted",
    "ledger_contents": "only where the configuration asks for it, as it does here for PostgreSQL",
    "dragoman.db": "the SQLite file of the first",
    "dragoman.db-wal": "and its log",
}
KEPT_FILES = ".files/"  # the bytes of uploaded files, and nothing else
CONFIG = """
[server]
ping_after_s = 0.05

[providers.offline]

[providers.plain]
base_url = "{url}"
api_key = "${{CANARY_PLAIN}}"

[providers.stored]
base_url = "{url}"
auth = "bearer"

[providers.chat]
dialect = "openai_chat"
base_url = "{url}/v1"
api_key = "${{CANARY_CHAT}}"

[prices."plain/m"]
input = 3.0
output = 15.0

[ledger]
contents = {contents}
"""


class Life:
    """A server, all that was said to it, and the canaries that it was told."""

    def __init__(self, folder: Path, database: str, upstream: LeakyUpstream) -> None:
        self.folder = folder
        self.database = database
        self.upstream = upstream
        self.plain = new_canary("configured key of a provider", "sk-plain-")
        self.chat = new_canary("configured key of another", "sk-chat-")
        self.stored = new_canary("stored key of a provider", "sk-stored-")
        self.over_http = new_canary("key of a provider that an administrator stored", "sk-http-")
        self.caller = new_canary("preset key of a caller", "sk-dgm-")
        self.wrong = new_canary("key that nobody has", "sk-dgm-")
        self.master = new_canary("master key")
        self.header = new_canary("header of a caller")
        self.said = new_canary("prompt of a caller")
        self.other_said = new_canary("prompt of another")
        self.pasted = new_canary("key that a caller has pasted into a prompt", "sk-ant-api03-")
        self.file = new_canary("file of a caller")
        self.hook = new_canary("address of a webhook")
        self.password = Canary("password of the database", PASSWORD * 3)  # long enough for a Canary's forms
        self.master_key = base64.b64encode(self.master.text.encode()[:32]).decode()
        self.replies: list[tuple[str, str, bytes]] = []  # by whom, what, head and body
        self.printed: list[tuple[str, bytes]] = []
        self.env = {
            "DRAGOMAN_DATABASE": database,
            "DRAGOMAN_SECRET": new_canary("secret").text,
            "DRAGOMAN_MASTER_KEY": self.master_key,
            "CANARY_PLAIN": self.plain.text,
            "CANARY_CHAT": self.chat.text,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONDEVMODE": "0",
        }
        self.url = ""
        self.second = Canary("key of a second caller", self.made("keys", "create", "--name", "second"))
        self.admin = Canary("admin key", self.made("keys", "create", "--admin", "owner"))

    @property
    def keys(self) -> list[Canary]:
        """What is to be nowhere."""
        return [
            self.plain, self.chat, self.stored, self.over_http, self.caller, self.second, self.admin, self.wrong,
            Canary("master key, as it is given", self.master_key), self.header,
        ]  # fmt: skip

    def made(self, *arguments: str, stdin: str = "") -> str:
        """What a command has made and shows once, which is not searched."""
        done = self._ran(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def command(self, *arguments: str, stdin: str = "", fails: bool = True) -> None:
        """Run a command, which may fail; all of its output is searched."""
        done = self._ran(*arguments, stdin=stdin)
        assert fails or done.returncode == 0, done.stderr
        self.printed.append((" ".join(arguments), (done.stdout + done.stderr).encode()))

    def _ran(self, *arguments: str, stdin: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        return subprocess.run(
            [sys.executable, "-m", "dragoman", *arguments],
            input=stdin, capture_output=True, text=True, cwd=self.folder, env=kept | self.env,
        )  # fmt: skip

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, by: Canary, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request with a caller's key; its reply is kept for the search."""
        given = {
            "x-api-key": by.text, "anthropic-version": "2023-06-01", "content-type": JSON,
            "x-internal": self.header.text, "cookie": f"session={self.header.text}", **(headers or {}),
        }  # fmt: skip
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {name: value for name, value in given.items() if value})
            response = connection.getresponse()
            head = "".join(f"{name}: {value}\n" for name, value in response.getheaders()).encode()
            read = response.read()
        except (HTTPException, ConnectionError):  # cut, which a reply may be
            return 0, b""
        finally:
            connection.close()
        self.replies.append((by.name, f"{method} {path.partition('?')[0]}: {response.status}", head + read))
        return response.status, read


def prompt(text: str, model: str = "plain/m", **more: Any) -> bytes:
    return json.dumps(
        {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}
    ).encode()


@pytest.fixture(params=["sqlite", "postgres"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    database = f"sqlite:///{tmp_path}/dragoman.db"
    if request.param == "postgres":
        database = str(request.getfixturevalue("postgres_url"))
    with LeakyUpstream() as upstream:
        contents = "true" if request.param == "postgres" else "false"
        (tmp_path / "dragoman.toml").write_text(CONFIG.format(url=upstream.url, contents=contents))
        yield Life(tmp_path, database, upstream)


def test_no_secret_is_anywhere_but_where_it_belongs(life: Life) -> None:
    life.command("providers", "add-key", "stored", stdin=life.stored.text, fails=False)
    config = (life.folder / "dragoman.toml").read_text()
    running = Running(life.folder, config, key=life.caller.text, env=life.env)
    with running as server:
        life.url = server.url
        for part in (models, wrong_requests, wrong_keys, files, batches, admin, budgets, commands, broken_database):
            part(life)
        assert server.process is not None
        server.process.send_signal(signal.SIGABRT)  # a crash, with the tracebacks of all threads
        server.process.wait(PATIENCE_S)
    life.printed.append(("output of the server that crashed", server.log().encode()))
    with Running(life.folder, config, key=life.caller.text, env=life.env) as server:  # what was journalled is replayed
        life.url = server.url
        models(life)
    life.printed.append(("output of the server", server.log().encode()))
    broken_starts(life)
    assert_found_nothing(life)


def models(life: Life) -> None:
    """Every way in which an upstream tells what it was shown, whole and streamed."""
    for model in MODELS:
        for by, said in ((life.caller, life.said), (life.second, life.other_said)):
            for fault in ("", *FAULTS):
                for stream in (False, True):
                    life.ask("POST", "/v1/messages", prompt(f"{fault} {said.text}", model, stream=stream), by=by)
        life.ask("POST", "/v1/messages/count_tokens", prompt(life.said.text, model), by=life.caller)
        life.ask("POST", "/v1/messages", prompt(f"Why does {life.pasted.text} not work?", model), by=life.caller)
    assert {life.plain.text, life.stored.text, life.chat.text} <= set(life.upstream.shown), "the canaries were in use"


def wrong_requests(life: Life) -> None:
    """Errors that name a wrong value, a wrong path, a wrong header: that may be told to whoever sent it, and nobody
    else."""
    secret: Any = life.wrong.text
    for wrong in (
        {"model": [secret]}, {"model": secret}, {"max_tokens": secret}, {"messages": secret},
        {"messages": [{"role": secret}]}, {"system": {"x": secret}}, {"temperature": secret}, {secret: secret},
        {"tools": [{"name": {secret: secret}}]}, {"metadata": {"user_id": [secret]}}, {"thinking": {"type": secret}},
        {"tool_choice": {"type": secret}},
    ):  # fmt: skip
        for model in ("chat/m", "claude-opus-4-8"):
            body = json.dumps({**json.loads(prompt("Hello", model)), **wrong}).encode()
            status, _ = life.ask("POST", "/v1/messages", body, by=life.caller)
            assert status in (200, 400, 404), (wrong, status)
    for broken in (
        life.said.text.encode(),
        b'{"model": "' + life.said.text.encode(),
        b"\xff" + life.said.text.encode(),
    ):
        life.ask("POST", "/v1/messages", broken, by=life.caller)
    for name in ("anthropic-version", "anthropic-beta", "dragoman-fault", "dragoman-strict", "anthropic-workspace-id"):
        life.ask("POST", "/v1/messages", prompt("Hello"), by=life.caller, headers={name: life.wrong.text})
    for path in (f"/v1/messages?api_key={life.wrong.text}", f"/{life.wrong.text}", f"/v1/files/{life.wrong.text}"):
        life.ask("GET", path, by=life.caller)
    forget_own_words(life)


def forget_own_words(life: Life) -> None:
    """What a caller has made up comes back to it in some errors."""
    life.replies = [each for each in life.replies if not life.wrong.is_in(each[2])]


def wrong_keys(life: Life) -> None:
    for headers in (
        {"x-api-key": life.wrong.text},
        {"x-api-key": "", "authorization": f"Bearer {life.wrong.text}"},
        {"x-api-key": "", "authorization": f"Basic {life.wrong.text}"},
        {"x-api-key": f"{life.caller.text}x"},
        {"x-api-key": "", "authorization": f"Bearer {life.caller.text[:-1]}"},
        {"x-api-key": life.plain.text},
        {"x-api-key": life.admin.text},
    ):
        status, _ = life.ask("POST", "/v1/messages", prompt("Hello"), by=life.wrong, headers=headers)
        assert status in (401, 403, 429), (headers.keys(), status)


def files(life: Life) -> None:
    body = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n'
        + life.file.text.encode()
        + b"\r\n--x--\r\n"
    )
    beta = {"anthropic-beta": "files-api-2025-04-14"}
    status, made = life.ask(
        "POST", "/v1/files", body, by=life.caller, headers={**beta, "content-type": "multipart/form-data; boundary=x"}
    )
    assert status == 200, made
    for path in ("/v1/files", f"/v1/files/{json.loads(made)['id']}", f"/v1/files/{json.loads(made)['id']}/content"):
        life.ask("GET", path, by=life.caller, headers=beta)
    life.ask("POST", "/v1/files", body[:-9], by=life.caller, headers={**beta, "content-type": "multipart/form-data"})


def batches(life: Life) -> None:
    asked = [
        {"custom_id": f"{number}", "params": json.loads(prompt(f"{fault} {life.said.text}", model))}
        for number, (fault, model) in enumerate((fault, model) for fault in ("", "refuse-key") for model in MODELS)
    ]
    body = json.dumps({"requests": asked}).encode()
    status, made = life.ask("POST", "/v1/messages/batches", body, by=life.caller)
    assert status == 200, made
    path = f"/v1/messages/batches/{json.loads(made)['id']}"
    wait_until(lambda: b'"ended"' in life.ask("GET", path, by=life.caller)[1])
    assert b"succeeded" in life.ask("GET", f"{path}/results", by=life.caller)[1]
    assert life.ask("GET", f"{path}/results", by=life.second)[0] in (200, 404)  # of the same workspace


def admin(life: Life) -> None:
    """Every endpoint: by whom it is for, by whom it is not for, and with wrong values of every kind."""
    status, _ = life.ask(
        "POST", "/v1/dragoman/providers/stored/credentials",
        json.dumps({"name": "by an administrator", "key": life.over_http.text}).encode(), by=life.admin,
    )  # fmt: skip
    assert status == 200
    for _ in range(4):  # several keys take turns
        life.ask("POST", "/v1/messages", prompt("Hello", "stored/m"), by=life.caller)
    assert {life.stored.text, life.over_http.text} >= set(life.upstream.shown[-4:]) > {life.stored.text}
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{", "x").replace("}", "x")
        wrong = {
            name: {"in": [life.wrong.text]} for name in ("name", "key", "role", "webhook", "tags", "email", "scope")
        }
        for body in (None, b"{" + life.wrong.text.encode(), json.dumps(wrong).encode()):
            for by in (life.admin, life.caller):
                status, said = life.ask(endpoint.method, path, body, by=by)
                assert status < 500, (endpoint.name, said)
        life.ask(endpoint.method, f"{path}?limit={life.wrong.text}&page={life.wrong.text}", by=life.admin)
    forget_own_words(life)
    key = json.dumps({"key": f"{life.wrong.text} {life.wrong.text}", "name": "no key"}).encode()
    status, _ = life.ask("POST", "/v1/dragoman/providers/stored/credentials", key, by=life.admin)
    assert status == 400


def budgets(life: Life) -> None:
    """Webhooks whose addresses are secrets: one that is told, and one that cannot be."""
    for url in (f"{life.upstream.url}/hook/{life.hook.text}", f"http://127.0.0.1:9/{life.hook.text}"):
        budget = {"scope": "organization", "period": "day", "limit_usd": "0.000001", "is_hard": False, "webhook": url}
        status, said = life.ask("POST", "/v1/dragoman/budgets", json.dumps(budget).encode(), by=life.admin)
        assert status == 200, said

    def is_told() -> bool:
        life.ask("POST", "/v1/messages", prompt(life.said.text), by=life.caller)
        return bool(life.upstream.hooks)

    wait_until(is_told)


def commands(life: Life) -> None:
    for arguments in (
        ("doctor", "--offline"), ("doctor", "--offline", "--json"), ("keys", "list", "--json"), ("providers", "list"),
        ("providers", "list", "--json"), ("models",), ("migrate",), ("keys", "revoke", life.wrong.text),
        ("providers", "end-key", life.wrong.text), ("rotate-master-key",),
    ):  # fmt: skip
        life.command(*arguments)
    life.command("providers", "add-key", "stored", stdin=f"{life.wrong.text} {life.wrong.text}")


def broken_database(life: Life) -> None:
    """What the database says of a statement that fails is no reason to repeat the values in it."""
    tables = ("api_keys", "provider_credentials", "ledger", "message_batches", "files")
    for before, after in (("", "_gone"), ("_gone", "")):
        for table in tables:
            execute(life.database, f"ALTER TABLE {table}{before} RENAME TO {table}{after}")
        if after:
            for by in (life.caller, life.second, life.wrong, life.admin):
                life.ask("POST", "/v1/messages", prompt(life.said.text), by=by, headers={"x-api-key": f"{by.text}."})
                life.ask("POST", "/v1/messages", prompt(life.said.text), by=life.caller)
                life.ask("GET", "/v1/organizations/api_keys", by=by)
                life.ask("POST", "/v1/messages/batches", b'{"requests": []}', by=by)
            life.command("providers", "add-key", "stored", stdin=life.stored.text)
            life.command("keys", "list")
            time.sleep(2.5)  # a refresh of what is in memory fails


def broken_starts(life: Life) -> None:
    """Refusals at start name the setting and not its value."""
    secret = life.plain.text
    for name, value in (
        ("CANARY_PLAIN", f"{secret} {secret}"),
        ("DRAGOMAN_MASTER_KEY", secret),
        ("DRAGOMAN_SECRET", ""),
        ("DRAGOMAN_API_KEY", f"{life.caller.text} {life.caller.text}"),
        ("DRAGOMAN_LISTEN", f"127.0.0.1:{secret}"),
        ("DRAGOMAN_MASTER_KEY", base64.b64encode(bytes(32)).decode()),
    ):
        changed = {name: value, **({"DRAGOMAN_LISTEN": "256.0.0.1:1"} if name != "DRAGOMAN_LISTEN" else {})}
        before, life.env = life.env, {**life.env, **changed}
        life.command("serve")
        life.command("doctor", "--offline")
        life.env = before


def assert_found_nothing(life: Life) -> None:
    keys = life.keys
    searched = [*life.printed, *((f"a reply to {by}, {what}", data) for by, what, data in life.replies)]
    assert sum("the server" in place for place, _ in searched) >= 1
    kept = ("server.log",) if life.printed else ()
    tables = list(database_rows(life.database))
    assert {"api_keys", "ledger", "message_batch_requests"} <= {name for name, _ in tables}
    on_disk = list(files_below(life.folder, but=kept))
    found = found_in([*searched, *tables, *on_disk], keys)
    assert not found, "\n".join(found)
    said = [life.said, life.other_said]
    assert found_in([*life.printed, *tables, *on_disk], [life.pasted]) == []
    kept_contents = next(data for name, data in tables if name == "ledger_contents")
    assert life.said.is_in(kept_contents) == (not life.database.startswith("sqlite"))
    quiet = [*life.printed, *(each for each in tables if each[0] not in KEPT)]
    quiet += [each for each in on_disk if each[0].removeprefix("the file ") not in KEPT and KEPT_FILES not in each[0]]
    assert found_in(quiet, [*said, life.file]) == []
    foreign = [
        (f"a reply to {by}, {what}", data)
        for by, what, data in life.replies
        if by == life.second.name and "batches" not in what
    ]
    assert found_in(foreign, [life.said, life.file]) == []
    own = [data for by, _, data in life.replies if by == life.caller.name]
    assert any(life.said.is_in(data) for data in own), "what is searched for can be found"
    assert found_in([(by, data) for by, _, data in life.replies if by == life.caller.name], [life.other_said]) == []
    assert found_in(life.printed, [life.hook]) == []
    assert found_in([("a webhook", each) for each in life.upstream.hooks], [*keys, *said, life.hook]) == []
    assert not any(life.password.text[: len(PASSWORD)].encode() in data for _, data in life.printed)


def execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=PATIENCE_S)
        connection.execute(statement)
        connection.commit()
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as connected:
        connected.execute(statement)  # type: ignore[arg-type]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


# -- the search itself --


@pytest.mark.parametrize(
    "place",
    [
        "key={}", "a {} b", "{}", "cut: {0:.36}", "x" * 1 + "{}", "xx{}", "%7B{}", '"{}"',
    ],
)  # fmt: skip
def test_a_canary_is_found_wherever_it_is(place: str) -> None:
    canary = new_canary("secret", "sk-")
    plain = place.format(canary.text)
    whole = canary.text in plain
    for encoded in (
        plain.encode(),
        *((base64.b64encode(plain.encode()), plain.encode().hex().encode()) if whole else ()),
    ):
        assert canary.is_in(encoded), encoded
    assert not canary.is_in(new_canary("another", "sk-").text.encode())
    assert canary.text not in repr(canary)


def test_the_suite_is_watched_for_keys() -> None:
    """conftest.py fails a test in whose log one is."""
    key = "sk-dgm-" + "a" * 43
    assert keys_in(f"key {key} and {PROVIDERS_KEYS[0]}") == ["sk-dgm-aaaaa...", "sk-upstream-..."]
    assert keys_in(f"key sk-dgm-admin-{'a' * 43}") == ["sk-dgm-admin..."]
    assert keys_in("sk-dgm-abc...wxyz sk-dgm-e2e-test-key") == []
    assert serving.UPSTREAM_KEY in PROVIDERS_KEYS
