"""Where keys stand in TOML text, and how text that is not TOML is explained."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.gateway.config.text import KeyPath, LineNumbers, _Scanner, dotted, parse_toml

EVERY_FORM = '''\
# a comment with a = 1 and [a.table]
top = "a # that begins no comment"

[server]   # behind a header
  listen = "a"
body."quoted key".x = 1
dates = [1979-05-27 07:32:00Z, 07:32:00]

[ models . "my.alias" ]
'literal key' = 'its = "text"'
targets = [   # a list
    "one",    # first
    # ] not the end
    [ "nested", 2 ],
    {in = 1, line = "}"},
]
after = 1
[models.b]
long = """
[no.table]
no_key = 1 \\""" still text ""\\"
"""
literal = \'\'\'
x = """\\
\'\'\'
next = { a = 1, b.c = { d = [1, 2] } }
"\\u0041" = 1.5e3
[[array]]
x = 1
[[array]]
x = 2
[last.one.of-all]
'''

LINES: dict[KeyPath, int] = {
    ("top",): 2,
    ("server",): 4,
    ("server", "listen"): 5,
    ("server", "body"): 6,
    ("server", "body", "quoted key"): 6,
    ("server", "body", "quoted key", "x"): 6,
    ("server", "dates", 1): 7,
    ("models",): 9,
    ("models", "my.alias"): 9,
    ("models", "my.alias", "literal key"): 10,
    ("models", "my.alias", "targets"): 11,
    ("models", "my.alias", "targets", 0): 12,
    ("models", "my.alias", "targets", 1): 14,
    ("models", "my.alias", "targets", 1, 1): 14,
    ("models", "my.alias", "targets", 2, "line"): 15,
    ("models", "my.alias", "after"): 17,
    ("models", "b", "long"): 19,
    ("models", "b", "literal"): 23,
    ("models", "b", "next"): 26,
    ("models", "b", "next", "b", "c", "d", 1): 26,
    ("models", "b", "A"): 27,
    ("array",): 28,
    ("last",): 32,
    ("last", "one"): 32,
    ("last", "one", "of-all"): 32,
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_form_of_key_is_found_on_its_line(line_end: str) -> None:
    _, lines = parse_toml(EVERY_FORM.replace("\n", line_end), "f")
    assert {path: lines.of(path) for path in LINES} == LINES


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of each value in a document, tables that only hold tables apart."""
    inner = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))
    if path and not isinstance(value, dict):
        yield path


def test_the_scanner_finds_the_keys_that_tomllib_finds_and_no_others() -> None:
    values = tomllib.loads(EVERY_FORM)
    del values["array"]  # its elements share one line
    found = [path for path, _ in _Scanner(EVERY_FORM).scan() if path[0] != "array"]
    assert set(paths(values)) <= set(found)
    for path in found:
        inner = values
        for part in path:
            inner = inner[part]


def test_a_table_declared_after_its_child_stands_on_its_own_line() -> None:
    _, lines = parse_toml("[a.b]\n[a]\nx = 1\n", "f")
    assert (lines.of(("a",)), lines.of(("a", "b")), lines.of(("a", "x"))) == (2, 1, 3)


def test_an_unknown_path_has_the_line_of_what_is_around_it() -> None:
    _, lines = parse_toml("\n[a]\nx = 1\n", "f")
    assert lines.of(("a", "missing", 3)) == 2
    assert lines.of(("other",)) == lines.of(()) == 1
    assert LineNumbers([]).of(("a",)) == 1


KEYS = st.text("ab.\"'\\ \nö-1", max_size=4)
VALUES = st.recursive(
    st.text("a\"'\\#[]{}=,\n", max_size=5) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{dotted((key,))} = {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(written(each) for each in value) + "\n]"
    return dotted(('"' + value,)) if isinstance(value, str) else str(value).lower()


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@settings(max_examples=200)
def test_whatever_the_values_each_top_key_is_on_the_line_it_was_written_on(document: dict[str, object]) -> None:
    text, expected = "", {}
    for key, value in document.items():
        expected[(key,)] = text.count("\n") + 1
        text += f"{dotted((key,))} = {written(value)} # [x] a = 1\n\n"
    try:
        _, lines = parse_toml(text, "f")
    except ConfigError:  # a line break in an inline table
        return
    assert {path: lines.of(path) for path in expected} == expected


@given(st.integers(0, len(EVERY_FORM)), st.text("[]{}\"'=.,#\n a", max_size=6))
@settings(max_examples=300)
def test_the_scanner_ends_on_text_that_is_not_toml(cut: int, noise: str) -> None:
    _Scanner(EVERY_FORM[:cut] + noise + EVERY_FORM[cut : cut + 20]).scan()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b-c_1"), "a.b-c_1"),
        (("models", "claude-3.5", "targets", 0), 'models."claude-3.5".targets[0]'),
        (("", 'a"b\n'), r'""."a\"b\n"'),
        ((), ""),
    ],
)
def test_a_path_is_written_as_in_the_file_and_on_one_line(path: KeyPath, text: str) -> None:
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("retired = serve", "f:1:11: this is not TOML: Invalid value. Put text in quotes"),
        ("[server]\nlisten = 127.0.0.1:8000", "f:2:15: * Put text in quotes, and each setting on its own line."),
        ("\nserver\n", "f:2:7: * Write name = value."),
        ("[server\n", "f:1:8: * Close the table name with ]."),
        ('x = "abc\ny = 1', "f:1:9: * Close the quotes on the line that opens them."),
        ('x = """abc\n', "f:2:1: * Close the quotes."),
        ("x = [1, 2\ny = 3", "f:2:1: * Close the list with ]"),
        (r'x = "C:\Users"', "f:1:10: * single quotes."),
        (r'x = "C:\dir"', "f:1:10: * single quotes."),
        ("clé = 1", "f:1:3: *"),
        ("é = 1", 'f:1:1: * needs "quotes".'),
        ("[]", 'f:1:2: * needs "quotes".'),
        ("x = 1 # \x07", "f:1:9: * See https://toml.io for the format."),
        ("x = " + "9" * 5000, "f: a number is too long to read. Shorten it."),
        ("x = " + "[" * 5000, "f: lists or tables are nested too deep."),
    ],
)
def test_a_syntax_error_has_file_line_column_and_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "f")
    start, _, end = message.partition("*")
    assert str(caught.value).startswith(start)
    assert end.strip() in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[server]\nlisten = "a"\n\nlisten = "b"\n', "f:4:13: server.listen: set a second time (first on line 2)."),
        ('a.b = 1\n"a" . b = 2', "f:2:12: a.b: set a second time (first on line 1)."),
        ("[server]\nx = 1\n[server]\n", "f:3:8: server: set a second time (first on line 1)."),
        ("server = 1\n\n[server]\n", "f:3:8: server: set a second time (first on line 1)."),
        ("a = {x = 1, x = 2}", "f:1:18: a.x: set a second time (first on line 1)."),
        ("a.b = 1\n[a]\n", "f:2:3: a: set a second time. Keep one of the two."),
    ],
)
def test_what_is_set_twice_is_told_with_both_lines(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "f")
    assert str(caught.value).startswith(message)
