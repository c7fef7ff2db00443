"""The tables [tiers.NAME] and [limits]: what is read, what is refused, and what a person is told."""

from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import Config, describe, load
from dragoman.gateway.config.limits import BUILT_IN

EVERYTHING = """\
[tiers.team]
rpm = 300
itpm = 500_000
otpm = 100_000
tpm = 550_000
tpd = 90_000_000
count_rpm = 600
concurrent = 20
[tiers.team.groups."opus"]
rpm = 60
[tiers.free]
rpm = 3
[limits]
organization = "scale"
default_workspace = "team"
workspaces = {"wrkspc_1" = "free", "*" = "team"}
keys = {"nightly tests" = "free"}
"""


def read(folder: Path, text: str) -> Config:
    file = folder / "dragoman.toml"
    file.write_text(text)
    return load(file, {})


def test_tiers_and_who_is_in_them(tmp_path: Path) -> None:
    """LIM-5, LIM-9."""
    limits = read(tmp_path, EVERYTHING).limits
    team = limits.tiers["team"]
    assert (team.rpm, team.itpm, team.otpm, team.tpm) == (300, 500_000, 100_000, 550_000)
    assert (team.tpd, team.count_rpm, team.concurrent) == (90_000_000, 600, 20)
    assert (team.groups["opus"].rpm, team.groups["opus"].itpm) == (60, None)
    assert (limits.tiers["free"].rpm, limits.tiers["free"].tpm) == (3, None)
    assert limits.tiers["scale"] == BUILT_IN["scale"]
    assert (limits.organization, limits.default_workspace) == ("scale", "team")
    assert limits.workspaces == {"wrkspc_1": "free", "*": "team"}
    assert limits.keys == {"nightly tests": "free"}
    assert limits.without_counters == "local"
    refusing = read(tmp_path, EVERYTHING.replace("[limits]", '[limits]\nwithout_counters = "refuse"')).limits
    assert refusing.without_counters == "refuse"


def test_nobody_is_in_a_tier_by_default(tmp_path: Path) -> None:
    """LIM-9: and then nothing is said of limits."""
    for text in ("", "[tiers.team]\nrpm = 1\n", "[limits]\n"):
        config = read(tmp_path, text)
        assert list(config.limits.named()) == []
        assert not [subject for subject, _ in describe(config) if "limit" in subject]


def test_a_person_is_told_who_has_which_limits(tmp_path: Path) -> None:
    rows = dict(describe(read(tmp_path, EVERYTHING)))
    assert rows["limits of organization"] == (
        "tier scale: 10,000 requests a minute, 10,000,000 input tokens a minute, 2,000,000 output tokens a minute, "
        "8,000 counts a minute; others for fable (built in)"
    )
    assert rows["limits of default workspace"].startswith("tier team: 300 requests a minute")
    assert rows["limits of workspace *"].endswith(f"20 at once; others for opus ({tmp_path}/dragoman.toml:1)")
    assert rows["limits of key nightly tests"].startswith("tier free: 3 requests a minute (")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tiers.a]\nrpm = 0", "2: tiers.a.rpm: 0 is not a whole number from 1 to 1000000000"),
        ("[tiers.a]\nrpm = 1.5", "2: tiers.a.rpm: 1.5 is not a whole number"),
        ("[tiers.a]\nconcurent = 3", '2: tiers.a.concurent: there is no such setting here. Did you mean "concurrent"?'),
        ("[tiers]\nrpm = 3", "2: tiers.rpm: this is a setting, not a table. It belongs in [tiers.NAME]."),
        ("[tiers.a]\ngroups = 3", "2: tiers.a.groups: this is a setting, not a table"),
        ("[tiers.a.groups]\nopus = 3", "2: tiers.a.groups.opus: this is a setting, not a table"),
        ('[tiers.a.groups."opus"]\nconcurrent = 3', "2: tiers.a.groups.opus.concurrent: there is no such setting here"),
        ('[limits]\norganization = "strat"', '2: limits.organization: there is no tier of this name. Did you mean "st'),
        ('[limits]\nkeys = {ci = "nothing like it"}', '2: limits.keys.ci: there is no tier of this name. There are "s'),
        ("[limits]\norganization = 5", "2: limits.organization: 5 is no name of a tier"),
        ('[limits]\nkeys = ["free"]', "2: limits.keys: a list is no table of tiers"),
        ("[limits]\nworkspaces = {a = 5}", "2: limits.workspaces: a table is no table of tiers"),
        ('[limits]\nwithout_counters = "closed"', '2: limits.without_counters: "closed" is not one of the words'),
        ("[limits]\nrpm = 5", "2: limits.rpm: there is no such setting here. It belongs in [tiers.NAME]."),
        ("limits = 5", "1: limits: this is a setting, not a table"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    (message,) = str(caught.value).splitlines()
    assert message.startswith(f"{tmp_path}/dragoman.toml:{said}"), message


# -- counters of several processes --

SECRET = "redis://user:hunter2@cache.internal:6380/1"


@pytest.mark.parametrize("where", ["file", "environment", "variable in the file"])
def test_counters_are_named_and_their_password_is_never_shown(tmp_path: Path, where: str) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text(
        {"file": f'[server]\ncounters = "{SECRET}"', "variable in the file": '[server]\ncounters = "${OURS}"'}.get(
            where, '[server]\ncounters = "redis://other"'
        )
    )
    env = {"OURS": SECRET} if where.startswith("variable") else {}
    config = load(file, {"DRAGOMAN_COUNTERS": SECRET} if where == "environment" else env)
    assert config.server.counters == SECRET
    assert "hunter2" not in repr(config)
    assert dict(describe(config))["counters"] == "redis://cache.internal:6380/1, for all processes that name it"
    assert "counters" not in dict(describe(read(tmp_path, "")))


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_wrong_url_of_counters_is_told_without_it(tmp_path: Path, by_environment: bool) -> None:
    url = "redis://user:hunt/er2@cache.internal"
    file = tmp_path / "dragoman.toml"
    file.write_text("" if by_environment else f'[server]\ncounters = "{url}"')
    with pytest.raises(ConfigError) as caught:
        load(file, {"DRAGOMAN_COUNTERS": url} if by_environment else {})
    assert "has no host, or an @, : or / where none can be" in str(caught.value)
    assert "er2" not in str(caught.value)
    assert "DRAGOMAN_COUNTERS" in str(caught.value) or "server.counters" in str(caught.value)
