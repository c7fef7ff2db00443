"""docs/admin.md has the table of roles as it is. `python tests/test_admin_doc.py --write` writes it anew."""

import sys
from pathlib import Path

from dragoman.gateway.admin.roles import ALL_ROLES, MAY, OF_ONE_WORKSPACE
from dragoman.server.admin_routes import ENDPOINTS

PAGE = Path(__file__).parents[1] / "docs/admin.md"
BEGIN, END = "<!-- table: written by `python tests/test_admin_doc.py --write` -->\n", "<!-- end -->\n"


KEYS = {"open": "no key", "models": "a key for models"}


def table() -> str:
    rows = [f"| endpoint | {' | '.join(ALL_ROLES)} | |", "|---" * (len(ALL_ROLES) + 2) + "|"]
    for name, roles in MAY.items():
        marks = " | ".join("yes" if role in roles else "" for role in ALL_ROLES)
        rows.append(f"| `{name}` | {marks} | {'W' if name in OF_ONE_WORKSPACE else ''} |")
    rows += ["", "And without an admin key:", "", "| endpoint | takes | |", "|---|---|---|"]
    others = [each for each in ENDPOINTS if each.access != "admin"]
    rows += [f"| `{each.name}` | {KEYS[each.access]} | {each.summary.partition(';')[0]} |" for each in others]
    return "\n" + "\n".join(rows) + "\n\n"


def written(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def test_every_endpoint_is_in_the_table() -> None:
    page = PAGE.read_text()
    assert [each.name for each in ENDPOINTS if f"| `{each.name}` |" not in page] == []


def test_the_table_is_as_it_is() -> None:
    page = PAGE.read_text()
    assert BEGIN in page
    assert END in page
    assert page == written(page), "run `python tests/test_admin_doc.py --write`"


def test_every_endpoint_is_in_the_page() -> None:
    page = PAGE.read_text()
    assert [each for each in ENDPOINTS if f"`{each.method} {each.path}`" not in page] == []


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(written(PAGE.read_text()))
