"""`python -m bench`: see README.md."""

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import report
from .alone import ALONE
from .children import LOAD_CORE, SERVER_CORE, raise_file_limit, signals_as_exit
from .clients import clients
from .measures import MEASURES
from .peers import LEFT_OUT, PEERS, PeerFailed
from .profiling import NoProfiler, profile
from .quick import KINDS, quick
from .rounds import Bench
from .systems import LIMITED_TOML, PATHS, ROUTED_TOML, Server, dragoman, mock, nginx, peer
from .tools import HERE, Missing, all_needed, built, needed

RESULTS = HERE / "RESULTS.md"
ALL: dict[str, Callable[[Bench], report.Outcome]] = {**MEASURES, **ALONE, "clients": clients, "profile": profile}
PACKAGES = ("uvloop", "httptools", "msgspec", "httpx2", "sqlalchemy")


def python_build() -> str:
    """How the interpreter was compiled, on which its speed depends. Debian's is optimised by other means."""
    is_optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"configured {'with' if is_optimised else 'without'} --enable-optimizations"


def main() -> int:
    options = arguments()
    signals_as_exit()
    try:
        all_needed("nginx", "wrk", "cc")
        raise_file_limit()
        before = " ".join(f"{one:.2f}" for one in os.getloadavg())
        os.sched_setaffinity(0, {LOAD_CORE})
        with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
            run(options, Path(folder), before)
    except (Missing, PeerFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="dragoman beside nginx, on one core.")
    parser.add_argument(
        "--quick", metavar="KINDS", type=names_of(KINDS), help=f"print only CPU a request, of {','.join(KINDS)}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of the quick mode (default: 3)")
    parser.add_argument("--dialect", choices=PATHS, default="messages", help="of the upstream, in the quick mode")
    parser.add_argument("--profile", action="store_true", help="print only where dragoman's CPU time goes")
    parser.add_argument("--only", metavar="MEASURES", type=names_of(ALL), help=f"print only these, of {','.join(ALL)}")
    parser.add_argument("--peers", action="store_true", help="other gateways in the same tables; installs them")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of rounds (default: 1)")
    return parser.parse_args()


def names_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads "a,b", of names that there are."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return found

    return names


def run(options: argparse.Namespace, folder: Path, load_before: str) -> None:
    if options.quick:
        quick(options.quick, folder, rounds=options.rounds, dialect=options.dialect)
        return
    names = ["profile"] if options.profile else options.only if options.only else list(ALL)
    known = conditions(load_before)
    start = time.monotonic()
    with servers(folder, peers=options.peers, scale=options.scale) as bench:
        outcomes = [outcome for name in names for outcome in measured(name, bench)]
    print(report.text(report.targets(outcomes)))
    print(f"\n{time.monotonic() - start:.0f} s")
    if len(names) == len(ALL):
        RESULTS.write_text(report.markdown(outcomes, conditions=known, notes=peer_notes() if options.peers else ()))
        print(f"written: {RESULTS.relative_to(HERE.parent)}")


def measured(name: str, bench: Bench) -> Iterator[report.Outcome]:
    """The outcome of one measure, printed. One that cannot be taken does not end the others."""
    try:
        outcome = ALL[name](bench)
    except (NoProfiler, RuntimeError, TimeoutError, subprocess.TimeoutExpired) as problem:
        print(f"\n{name}: not measured: {problem}", file=sys.stderr)
        yield report.Outcome([], [report.Target(f"{name}: not measured", 0, None)])
        return
    for table in outcome.tables:
        print(report.text(table), flush=True)
    yield outcome


@contextmanager
def servers(folder: Path, *, peers: bool, scale: float) -> Iterator[Bench]:
    """Everything that is measured side by side, running."""
    built("load")
    with ExitStack() as stack:
        upstream = stack.enter_context(mock())
        limit = stack.enter_context(nginx(upstream, folder))
        ours = stack.enter_context(dragoman(upstream, folder))
        limited = stack.enter_context(dragoman(upstream, folder, name="dragoman, limits", more=LIMITED_TOML))
        routed = stack.enter_context(dragoman(upstream, folder, name="dragoman, routed", more=ROUTED_TOML))
        chat = stack.enter_context(dragoman(upstream, folder, name="dragoman, Chat Completions", dialect="openai_chat"))
        gemini = stack.enter_context(dragoman(upstream, folder, name="dragoman, Gemini", dialect="gemini"))
        others = [limited, routed, chat, gemini, *(started_peers(stack, upstream) if peers else ())]
        yield Bench(upstream, limit, ours, others, routed, chat, folder, scale)


def started_peers(stack: ExitStack, upstream: Server) -> Iterator[Server]:
    """Those that can be installed and started here; the others are named."""
    installed = peers_folder()
    for one in PEERS:
        try:
            print(f"{one.name}: installing, starting", flush=True)
            one.install(installed)
            yield stack.enter_context(peer(one, upstream, installed))
        except (PeerFailed, RuntimeError) as problem:
            print(f"{one.name} is left out: {problem}", file=sys.stderr)


def peers_folder() -> Path:
    """Kept from run to run: an install takes minutes."""
    folder = Path(tempfile.gettempdir()) / f"dragoman-bench-peers-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def peer_notes() -> list[str]:
    return [f"{one.name}: {one.notes}" for one in PEERS] + [
        f"{name} is left out: {why}." for name, why in LEFT_OUT.items()
    ]


# ---- Conditions ----


def conditions(load_before: str) -> dict[str, str]:
    installed = {one.name.lower(): one.version for one in importlib.metadata.distributions()}
    packages = ", ".join(f"{name} {installed[name]}" for name in PACKAGES if name in installed)
    return {
        "Date": time.strftime("%Y-%m-%d"),
        "dragoman": installed.get("dragoman", "") + commit(),
        "Python": f"{platform.python_version()}, {python_build()}; {packages}",
        "nginx": said([needed("nginx"), "-v"], r"nginx/(\S+)"),
        "wrk": said([needed("wrk"), "-v"], r"wrk (\S+)"),
        "Machine": f"{cpu_model()}, {os.cpu_count()} cores; Linux {platform.release()}",
        "Load average before": load_before,
        "Pinning": f"what is measured on core {SERVER_CORE}, one worker; mock, load and bench on core {LOAD_CORE}",
        "dragoman runs": "`dragoman serve`, one provider, one key, ledger lines to a file; no limits configured but "
        "for the line `dragoman, limits`, where a tier counts for organization, workspace and key; no routes but for "
        "the line `dragoman, routed`, where two targets answer the model in this order; the upstream speaks the "
        "Messages API, but for the lines that name another, whose requests and replies are translated",
        "nginx runs": "one worker, `proxy_pass`, connections to the mock kept, `proxy_buffering off`, no access log",
    }


def commit() -> str:
    found = said(["git", "-C", str(HERE), "describe", "--always", "--dirty"], r"(\S+)")
    return f" ({found})" if found else ""


def said(command: list[str], pattern: str) -> str:
    """What a program says of its version, on whichever output, with whatever status."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except OSError:
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""


def cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
