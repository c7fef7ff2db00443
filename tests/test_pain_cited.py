"""Each case of what users of gateways suffer from that concerns translation is held by a test that cites its number
("Pain 9: ..."): issue 6. The numbers are those of the list that the issue names."""

import re
from pathlib import Path

OF_TRANSLATION = frozenset(
    {*range(1, 29), 32, 40, *range(42, 51), 52, 53, 54, 55, *range(57, 61), 67, *range(69, 73), 77, 79, 84}
)
CITED = re.compile(r"\bpain ((?:\d+(?:, | and |\b))+)", re.IGNORECASE)


def test_every_case_of_translation_is_cited_by_a_test() -> None:
    cited: set[int] = set()
    for path in Path(__file__).parent.rglob("test_*.py"):
        if path != Path(__file__):
            cited |= {int(number) for found in CITED.findall(path.read_text()) for number in re.findall(r"\d+", found)}
    assert OF_TRANSLATION - cited == set()
