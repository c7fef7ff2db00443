"""The tables [providers.NAME.models."MODEL"]."""

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import load
from dragoman.gateway.config.provider_models import ModelConfig

PROVIDER = '[providers.a]\nbase_url = "http://a"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(None, {}, text=text)
    return str(caught.value).splitlines()


def test_each_model_has_its_own() -> None:
    text = PROVIDER + (
        '[providers.a.models."x-4.1"]\nmax_concurrent = 3\n'
        '[providers.a.models."org/y"]\nmax_concurrent = 1\nqueue = 0\nqueue_timeout_s = 0.5\n'
        "[models.m]\n"
        'targets = ["a/x-4.1"]\n'
    )
    config = load(None, {}, text=text)
    assert config.providers["a"].models == {
        "x-4.1": ModelConfig(max_concurrent=3, queue=100, queue_timeout_s=30.0),
        "org/y": ModelConfig(max_concurrent=1, queue=0, queue_timeout_s=0.5),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('models = "x"', 'providers.a.models: this is a setting, not a table. Write [providers.NAME.models."MODEL"].'),
        ("models.x = 3", "providers.a.models.x: this is a setting, not a table"),
        ("[providers.a.models.x]\nqueue = 1", "providers.a.models.x: max_concurrent is missing. Add how many"),
        ("[providers.a.models.x]\nmax_concurrent = 0", "providers.a.models.x.max_concurrent: 0 is not a whole number"),
        ("[providers.a.models.x]\nmax_concurent = 1", "providers.a.models.x.max_concurent: there is no such setting"),
        (
            "[providers.a.models.x-4.1]\nmax_concurrent = 1",
            'Is the dot a part of the name? Then quote it: [providers.a.models."x-4.1"].',
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    (problem,) = problems(f"{PROVIDER}{text}\n")
    assert said in problem


def test_the_offline_engine_has_no_use_for_them() -> None:
    (problem,) = problems('[providers.offline.models."claude-opus-4-8"]\nmax_concurrent = 1\n')
    assert "providers.offline.models: the offline engine has no use for it. Take the line away." in problem
