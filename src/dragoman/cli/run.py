"""`dragoman run -- COMMAND`: a program that asks dragoman: one that is started for it alone, or one that runs already.

The server lives in this process, the program in one of its own, with the terminal to itself: nothing is read or written
here while it runs. What the program ends with is what we end with. Imports what serves only where it serves.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO
from urllib.parse import urlsplit

from dragoman.errors import ConfigError, DragomanError

if TYPE_CHECKING:
    from dragoman.gateway.gateway import Gateway

__all__ = ["program_environment", "run_with_server", "run_with_url"]

LISTEN: Final = "127.0.0.1:0"  # a free port, for this machine alone
IN_MEMORY: Final = "sqlite://"
NO_SUCH_COMMAND, NOT_RUNNABLE, BY_SIGNAL = 127, 126, 128  # exit codes, as a shell's

# What would lead a program elsewhere, or let it show another key. Sources: the official Python package 2.11.0, the
# reference "Environment variables" of Claude Code and what version 2.1.329 reads, 2026-11-21.
ELSEWHERE: Final = frozenset(
    f"ANTHROPIC_{name}"
    for name in (
        "AUTH_TOKEN API_KEY BASE_URL UNIX_SOCKET CUSTOM_HEADERS PROFILE CONFIG_DIR SCOPE IDENTITY_TOKEN"
        " IDENTITY_TOKEN_FILE FEDERATION_RULE_ID ORGANIZATION_ID SERVICE_ACCOUNT_ID WORKSPACE_ID"
        " BEDROCK_BASE_URL BEDROCK_MANTLE_BASE_URL VERTEX_BASE_URL FOUNDRY_BASE_URL FOUNDRY_RESOURCE AWS_BASE_URL"
        " GOOGLE_CLOUD_BASE_URL"
    ).split()
) | frozenset(
    f"CLAUDE_CODE_{name}"
    for name in (
        "USE_BEDROCK USE_VERTEX USE_FOUNDRY USE_MANTLE USE_ANTHROPIC_AWS USE_ANTHROPIC_GOOGLE_CLOUD USE_GATEWAY"
        " API_BASE_URL OAUTH_TOKEN OAUTH_TOKEN_FILE_DESCRIPTOR API_KEY_FILE_DESCRIPTOR HOST_AUTH_ENV_VAR"
        " HOST_CREDS_FILE"
    ).split()
)  # fmt: skip
OURS: Final = "DRAGOMAN_"  # the server's: where its database is, its secret, its master key, a key for it
MODELS: Final = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    *(f"ANTHROPIC_DEFAULT_{family}_MODEL" for family in ("FABLE", "OPUS", "SONNET", "HAIKU")),
)
# Programs that ask a person whether a new ANTHROPIC_API_KEY may be used, and take a bearer token without asking.
BY_TOKEN: Final = frozenset({"claude"})
# For those: what a person's settings files say of keys and addresses is not to win; and /model shows what there is.
HOSTED: Final = {"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1", "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"}
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def _known(*names: str) -> tuple[int, ...]:
    """Of these signals, those that this system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


HANDED_ON: Final = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")
FROM_KEYBOARD: Final = _known("SIGINT", "SIGQUIT")  # these a terminal sends to the program too
STOPPING: Final = _known("SIGTSTP", "SIGTTIN", "SIGTTOU")  # we stop when the program has, see `_wait`


class NotStarted(DragomanError):
    """The program could not be started; `code` is what a shell would end with."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


def run_with_server(
    command: Sequence[str],
    config: Path | None,
    *,
    database: str | None,
    script: str | None,
    model: str | None,
    log: str | None,
) -> int:
    """Run `command` with a server of its own; its exit code. Raises ConfigError, StoreError."""
    import asyncio

    from dragoman.gateway.auth.auth import new_key
    from dragoman.gateway.config.config import load
    from dragoman.server.greeting import what_answers
    from dragoman.server.run import serve_while

    settings = load(config, os.environ, listen=LISTEN, database=database, script=script, default_database=IN_MEMORY)
    key = new_key()  # in memory only, on this side

    async def work(gateway: "Gateway", url: str) -> int:
        gateway.auth.admit(key, "run")
        if sys.stderr.isatty():
            print("\n".join(what_answers(settings)), file=sys.stderr, flush=True)
        env = program_environment(os.environ, command[0], url=url, key=key, model=model)
        with _relayed_signals() as relay:
            process = relay.start(command, env)
            return await asyncio.get_running_loop().run_in_executor(None, _wait, process)

    with ExitStack() as opened:
        out = _open_log(log, opened)
        try:
            return _exit_code(serve_while(settings, os.environ, work, rows=out))
        except NotStarted as error:
            return _refused(error)


def run_with_url(command: Sequence[str], url: str, *, key: str | None, model: str | None) -> int:
    """Run `command` with the server at `url`, which is not asked anything here; its exit code. Raises ConfigError."""
    from dragoman.gateway.config import values as read

    shown = key or os.environ.get("DRAGOMAN_API_KEY")
    if not shown:
        raise ConfigError("--url needs a key of that server: set DRAGOMAN_API_KEY, or give --key")
    try:
        address = read.messages_url(url)
    except read.Refused as refused:
        subject = "its value" if refused.hidden else read.shown(url)
        raise ConfigError(f"--url: {subject} {refused.why}. {refused.remedy}") from refused
    try:
        secret = read.secret(shown).reveal()
    except read.Refused as refused:
        raise ConfigError(f"the key for --url {refused.why}. {refused.remedy}") from refused
    env = program_environment(os.environ, command[0], url=address, key=secret, model=model)
    try:
        with _relayed_signals() as relay:
            return _exit_code(_wait(relay.start(command, env)))
    except NotStarted as error:
        return _refused(error)


def _refused(error: NotStarted) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.code


def _exit_code(code: int) -> int:
    """As a shell says it: `code` is negative for a signal."""
    return code if code >= 0 else BY_SIGNAL - code


def _open_log(path: str | None, opened: ExitStack) -> TextIO | None:
    """Where the server's log goes, once it is set up: nowhere without a path, for the terminal is the program's."""
    import logging

    from dragoman.server.greeting import set_up_logging

    if path is None:
        logging.basicConfig(handlers=[logging.NullHandler()])
        return None
    try:
        out = Path(path).open("a", encoding="utf-8", errors="replace")  # noqa: SIM115 (below)
    except OSError as error:
        raise ConfigError(f"--log: {path} cannot be written: {error.strerror or error}") from error
    set_up_logging(out=opened.enter_context(out))
    return out


# What the program sees


def program_environment(
    env: Mapping[str, str], program: str, *, url: str, key: str, model: str | None
) -> dict[str, str]:
    """`env` for `program`: it asks the server at `url` with `key`, and for `model` if there is one.

    It is not told what the server is: a program that runs a model's commands must not be led to the keys of all.
    """
    seen = {name: value for name, value in env.items() if name not in ELSEWHERE and not name.startswith(OURS)}
    seen["ANTHROPIC_BASE_URL"] = url
    if Path(program).stem in BY_TOKEN:
        seen["ANTHROPIC_AUTH_TOKEN"] = key
        seen = {**HOSTED, **seen}
    else:
        seen["ANTHROPIC_API_KEY"] = key
    if model is not None:
        seen.update(dict.fromkeys(MODELS, model))
    if urlsplit(url).hostname in LOOPBACK and any(name.lower().endswith("_proxy") for name in env):
        seen.update(_past_proxies(env))
    return seen


def _past_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """No proxy is asked for this machine; programs read one name or the other."""
    direct = ",".join([*filter(None, (env.get("no_proxy") or env.get("NO_PROXY", "")).split(",")), *LOOPBACK])
    return {"no_proxy": direct, "NO_PROXY": direct}


# The program


class _Relay:
    """Where signals go while the program runs: to it, and they end neither us nor the server."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []  # came before it was there, and wait for it

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """The program, with this process' terminal. Raises NotStarted."""
        try:
            process = subprocess.Popen(command, env=env)  # noqa: S603 (it is what was asked for)
        except FileNotFoundError as error:
            raise NotStarted(f"{command[0]}: there is no such command", code=NO_SUCH_COMMAND) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in it
            reason = getattr(error, "strerror", None) or error
            raise NotStarted(f"{command[0]} cannot be started: {reason}", code=NOT_RUNNABLE) from error
        self._process = process
        for number in self._early:
            os.kill(process.pid, number)
        return process

    def hand_on(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif self._process.returncode is None and not (number in FROM_KEYBOARD and _is_foreground()):
            os.kill(self._process.pid, number)

    def stay(self, *_: object) -> None:
        """The program decides whether it stops."""


@contextmanager
def _relayed_signals() -> Iterator[_Relay]:
    """One that we were told to ignore stays ignored, by the program too."""
    relay = _Relay()
    with ExitStack() as put_back:
        for numbers, handler in ((HANDED_ON, relay.hand_on), (STOPPING, relay.stay)):
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    put_back.callback(signal.signal, number, signal.signal(number, handler))
        yield relay


def _is_foreground() -> bool:
    """Does the terminal send the keyboard's signals to us, and so to the program? Then they are not sent twice."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Until it ends: its exit code, negative for a signal.

    When it stops itself (by Ctrl-Z, read as a key), so do we, or the shell would wait on; SIGCONT continues both.
    """
    if sys.platform == "win32":
        return process.wait()
    while True:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        os.kill(os.getpid(), signal.SIGSTOP)
