"""The files of deploy/ but for the chart: what they name is there, and what they say is what we take."""

import ast
import configparser
import ipaddress
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import Running

from dragoman.cli import plain_serve
from dragoman.gateway.config.config import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
Json = dict[str, Any]


# -- the image --------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, in order: (instruction, the rest)."""
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def is_in_context(path: Path) -> bool:
    """Whether Docker is given it: the last pattern that fits decides."""
    patterns = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    name, is_in = str(path.relative_to(ROOT)), True
    for pattern in patterns:
        bare = pattern.removeprefix("!").removeprefix("**/")
        if fnmatch(name, bare) or name.startswith(f"{bare}/") or bare in path.parts:
            is_in = pattern.startswith("!")
    return is_in


def copied() -> list[Path]:
    """What goes into the image's making."""
    sources = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    return [ROOT / name for names in sources for name in names]


def test_the_image_is_made_of_what_is_there() -> None:
    assert len(copied()) >= 5
    for path in copied():
        assert path.exists(), path
        assert is_in_context(path), path
    for path in (ROOT / ".git", ROOT / "dragoman.db.secret", ROOT / "tests", ROOT / "src/dragoman/__pycache__"):
        assert not is_in_context(path), path


def test_the_image_runs_without_rights() -> None:
    last = max(at for at, (word, _) in enumerate(instructions()) if word == "FROM")
    final = dict(instructions()[last:])
    user, group = final["USER"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert ast.literal_eval(final["ENTRYPOINT"]) + ast.literal_eval(final["CMD"]) == ["dragoman", "serve"]
    assert plain_serve(["serve"]) == {}


def test_all_that_is_installed_is_pinned_with_hashes() -> None:
    """Pain 80. And the image has what the project's own environment has."""
    (install,) = [rest for word, rest in instructions() if word == "RUN" and "--require-hashes" in rest]
    assert re.findall(r"-r (\S+)", install) == ["requirements/build.txt", "requirements/server.txt"]
    pins = {
        name: set(re.findall(r"^([a-z0-9_.-]+==\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))
        for name in ("base", "dev", "server")
    }
    assert pins["base"] <= pins["server"] <= pins["dev"], "`make lock` writes all of them"
    names = {pin.partition("==")[0] for pin in pins["server"]}
    assert {"redis", "psycopg", "psycopg-binary", "botocore", "google-auth"} <= names
    pinned = re.split(r"^(?=[a-z0-9_.-]+==)", (ROOT / "requirements/server.txt").read_text(), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in each for each in pinned)


def test_the_package_can_be_made_of_what_is_copied(tmp_path: Path) -> None:
    """And nothing is missing in it: it starts."""
    for path in copied():
        target = tmp_path / "context" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, target)
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", installed, tmp_path / "context"], check=True, timeout=120)
    kept = {path.relative_to(ROOT / "src") for path in (ROOT / "src/dragoman").rglob("*.*") if path.suffix != ".pyc"}
    assert [path for path in kept if not (installed / path).exists()] == []
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from dragoman.cli import main; main()"
    command = [sys.executable, "-c", code, installed, "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path).stdout
    assert re.fullmatch(r"dragoman \S+\n", said)


@pytest.mark.parametrize("is_there", [True, False], ids=["a server", "nobody"])
def test_the_health_check_tells_whether_the_server_answers(is_there: bool, tmp_path: Path) -> None:
    (said,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    command = ast.literal_eval(said[said.index("[") :])
    assert command[0] == "python"
    assert "8000" in command[-1]
    with Running(tmp_path) as server:
        port = server.url.rpartition(":")[2] if is_there else "1"
        code = command[-1].replace("8000", port)
        env = {"http_proxy": "http://127.0.0.1:1"}
        done = subprocess.run([sys.executable, *command[1:-1], code], env=env, capture_output=True, timeout=60)
    assert (done.returncode == 0) == is_there


# -- Compose ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> Json:
    found: Json = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def dragomans(compose: Json) -> dict[str, Json]:
    return {name: each for name, each in compose["services"].items() if name.startswith("dragoman-")}


def test_what_compose_names_is_there(compose: Json) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert service.keys() & {"image", "build"}, name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in services[other] or "build" in services[other], f"{other}: who tells of its health?"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in compose["volumes"], volume
        networks = service["networks"]
        assert set(networks) <= compose["networks"].keys()


def test_compose_has_two_dragomans_that_share_what_must_be_shared(compose: Json) -> None:
    one, other = dragomans(compose).values()
    assert one["environment"] == other["environment"]
    for name in ("DRAGOMAN_DATABASE", "DRAGOMAN_COUNTERS", "DRAGOMAN_SECRET"):
        assert one["environment"][name]
    shared = set(one["volumes"]) & set(other["volumes"])
    assert {volume.split(":")[1] for volume in shared} == {"/etc/dragoman/dragoman.toml", "/files"}
    for each in (one, other):
        assert not each.keys() & {"ports", "privileged"}
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]


def test_compose_gives_a_stop_its_time(compose: Json) -> None:
    config = load(None, {}, text=(DEPLOY / "dragoman.toml").read_text())
    for each in dragomans(compose).values():
        allowed_s = float(each["stop_grace_period"].removesuffix("s"))
        assert allowed_s > config.server.shutdown_delay_s + config.server.shutdown_grace_s + 2


def test_addresses_of_compose_fit_together(compose: Json) -> None:
    (network,) = compose["networks"]["inner"]["ipam"]["config"]
    subnet = ipaddress.ip_network(network["subnet"])
    services = compose["services"]
    fixed = {name: each["networks"]["inner"]["ipv4_address"] for name, each in dragomans(compose).items()}
    hosts = dict(each.split(":") for each in services["balancer"]["extra_hosts"])
    assert hosts == fixed
    assert all(ipaddress.ip_address(each) in subnet for each in fixed.values())
    named = re.findall(r"^\s*server (\S+):8000 ", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(fixed)
    trusted = tomllib.loads((DEPLOY / "dragoman.toml").read_text())["server"]["trusted_proxies"]
    assert [ipaddress.ip_network(each) for each in trusted] == [subnet]


def test_every_variable_of_compose_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    listed = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert used == listed


def test_no_secret_is_in_the_files() -> None:
    for line in (DEPLOY / "env.example").read_text().splitlines():
        assert not re.fullmatch(r"[A-Z_]*(PASSWORD|SECRET|KEY)=.+", line), line


def test_idle_connections_end_before_they_are_closed() -> None:
    """nginx lets go of an idle connection sooner than dragoman closes it at a stop: else a request could meet that."""
    text = (DEPLOY / "nginx.conf").read_text()
    upstream = text[text.index("upstream dragoman") : text.index("    server {")]
    (kept_s,) = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    config = load(None, {}, text=(DEPLOY / "dragoman.toml").read_text())
    assert float(kept_s) < config.server.shutdown_delay_s


# -- systemd ----------------------------------------------------------------------------------------------------------


def test_the_unit_starts_what_is_there_and_stops_the_parent_first() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/dragoman.service")
    service = unit["Service"]
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/bin/dragoman")
    assert plain_serve(arguments) == {"--config": "/etc/dragoman/dragoman.toml"}
    assert service["KillMode"] == "mixed", "the parent tells its workers"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    text = (DEPLOY / "systemd/dragoman.service").read_text()
    given = dict(re.findall(r"^Environment=(\w+)=(\S+)$", text, re.MULTILINE))
    config = load(None, given, text="")
    assert config.server.workers == 2, "SIGHUP would end a single process"
    assert float(service["TimeoutStopSec"].removesuffix("s")) > config.server.shutdown_grace_s + 10


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd on this machine")
    text = (DEPLOY / "systemd/dragoman.service").read_text().replace("/opt/dragoman/bin/dragoman", sys.executable)
    file = tmp_path / "dragoman.service"
    file.write_text(text)
    done = subprocess.run([program, "verify", "--man=no", file], capture_output=True, text=True, timeout=60)
    assert not [line for line in done.stderr.splitlines() if "dragoman.service" in line], done.stderr
