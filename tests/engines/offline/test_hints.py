"""What is read out of a text, and which parameter it is for."""

import re
import time

import pytest

from dragoman.engines.offline.hints.hints import STRONG, Hints, Param
from dragoman.engines.offline.hints.words import kin, singular, split_name, stem


def kinds(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hint in Hints.of(text).found:
        found.setdefault(hint.kind, []).append(hint.text)
    return found


def taken(text: str, name: str, kind: str = "string", *, least: int = STRONG, **more: object) -> object:
    candidate = Hints.of(text).take(Param(name, kind, **more), least=least)  # type: ignore[arg-type]
    return None if candidate is None else candidate.value


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ('say "hello there" and “good bye”', "quoted", ["hello there", "good bye"]),
        ("don't split 'one word' here, it's fine", "quoted", ["one word"]),
        ('„Köln“ und „Bonn", ‚Ulm‘', "quoted", ["Köln", "Bonn", "Ulm"]),
        ("« Lyon » et «Nice»", "quoted", ["Lyon", "Nice"]),
        ("»Lyon« und »Nice«, ›Metz‹", "quoted", ["Lyon", "Nice", "Metz"]),
        ("”Malmö” ‘Lund’ 「大阪」『東京』", "quoted", ["Malmö", "Lund", "大阪", "東京"]),
        ('"a “b” c" and "d `e` f"', "quoted", ["a “b” c", "d `e` f"]),
        ('{"city": "New York", "days": 5}', "quoted", []),
        ('"Ulm": das Wetter', "quoted", ["Ulm"]),
        ("run `ls -la` now", "code", ["ls -la"]),
        ("```python\nprint(1)\n```", "code", ["print(1)"]),
        ("mail bob@example.com, please", "email", ["bob@example.com"]),
        ("see https://example.com/a?b=1.", "url", ["https://example.com/a?b=1"]),
        ("compare /etc/hosts with src/app.py and ~/notes", "path", ["/etc/hosts", "src/app.py", "~/notes"]),
        (r"open C:\dir\file.txt", "path", [r"C:\dir\file.txt"]),
        ("read a.txt, README.md and Makefile.", "path", ["a.txt", "README.md", "Makefile"]),
        ('the file "my notes/a.txt"', "path", []),
        ('the file "notes/a.txt"', "path", ["notes/a.txt"]),
        ("e.g. this, i.e. that, at 5 p.m. in the U.S.", "path", []),
        ("go to example.com", "host", ["example.com"]),
        ("all **/*.py", "glob", ["**/*.py"]),
        ("ping 192.0.2.7", "ip", ["192.0.2.7"]),
        ("customer C1 and order ABC-123", "ident", ["C1", "ABC-123"]),
        ("on 2024-05-06 and May 7, 2024 and 8 June", "date", ["2024-05-06", "May 7, 2024", "8 June"]),
        ("at 14:30 or 3pm", "time", ["14:30", "3pm"]),
        ("next monday, or tomorrow", "date_word", ["next monday", "tomorrow"]),
        ("5 days, -3.5 degrees and 1,200 people", "number", ["5", "-3.5", "1,200"]),
        ("at (100,200)", "number", ["100", "200"]),
        ("roll two dice", "number_word", ["two"]),
        ("what is 15 * 23?", "math", ["15 * 23"]),
        ("what is 15 times (2 plus 3)", "math", ["15 * (2 + 3)"]),
        ("the square root of 16", "math", ["sqrt(16)"]),
        ("15% of 200", "math", ["15 / 100 * 200"]),
        ("subtract 2 from 5", "math", ["5 - 2"]),
        ("on 2024-05-06", "math", []),
        ("weather in New York City", "place", ["New York City"]),
        ("weather in São Paulo, Brazil today", "place", ["São Paulo, Brazil"]),
        ("weather in San Francisco, CA and New York, NY", "place", ["San Francisco, CA", "New York, NY"]),
        ("weather in Tokyo, Paris and Rome", "place", ["Tokyo", "Paris", "Rome"]),
        ("weather in tokyo and new york", "spot", ["tokyo", "new york"]),
        ("in 5 minutes in the morning in general", "spot", []),
        ("from Paris to Rome", "from", ["Paris"]),
        ("from Paris to Rome", "to", ["Rome"]),
        ("Paris to Rome", "from", ["Paris"]),
        ("between Paris and Rome", "to", ["Rome"]),
        ("What I like is Bob Smith", "proper", ["Bob Smith"]),
        ("Get Alice's file", "proper", ["Alice"]),
        ("price of AAPL", "place", ["AAPL"]),
        ("AAPL price", "caps", ["AAPL"]),
        ("translate it into French", "language", ["French"]),
        ("100 USD to EUR", "currency", ["USD", "EUR"]),
        ("a user named Bob Jones with age 5", "named", ["Bob Jones"]),
        ("search the web for cheap flights, limit 5", "search", ["cheap flights"]),
        ("run ls -la and tell me what you see", "run", ["ls -la"]),
        ("run the tests", "run", []),
        ("remind me to buy milk.", "said", ["buy milk"]),
        ("tell me about cats and dogs", "about", ["cats and dogs"]),
        ("SELECT * FROM t WHERE a = 1;", "sql", ["SELECT * FROM t WHERE a = 1;"]),
    ],
)
def test_reads(text: str, kind: str, values: list[str]) -> None:
    assert kinds(text).get(kind, []) == values


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("city: Tokyo, days: 5", {"city": "Tokyo", "days": "5"}),
        ("city=Tokyo days=5", {"city": "Tokyo", "days": "5"}),
        ("Ort: „Bad Homburg“, Tage: 5", {"Ort": "Bad Homburg", "Tage": "5"}),
        ('{"city": "New York", "days": 5}', {"city": "New York", "days": "5"}),
        (
            "to: bob@x.org subject: hi there body: see you",
            {"to": "bob@x.org", "subject": "hi there", "body": "see you"},
        ),
        ("see https://x.org/a and C:\\x at 14:30", {}),
    ],
)
def test_reads_pairs(text: str, pairs: dict[str, str]) -> None:
    assert {hint.key: hint.text for hint in Hints.of(text).found if hint.kind == "pair"} == pairs


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("weather in Tokyo", "city", "Tokyo"),
        ("weather in tokyo tomorrow", "location", "tokyo"),
        ("weather in celsius", "location", None),
        ("flights from Paris to Rome", "origin", "Paris"),
        ("flights from Paris to Rome", "to", "Rome"),
        ("flights from Paris to Rome", "destination_city", "Rome"),
        ("read src/app.py", "file_path", "src/app.py"),
        ("read src/app.py", "filename", "src/app.py"),
        ("search for cats", "query", "cats"),
        ('find "exact words"', "q", "exact words"),
        ("who won?", "question", "who won?"),
        ("who won?", "query", None),
        ("what is 15 * 23", "expression", "15 * 23"),
        ("run `ls`", "command", "ls"),
        ("run ls -la", "cmd", "ls -la"),
        ("a file called notes", "name", "notes"),
        ("mail bob@example.com about lunch", "to", "bob@example.com"),
        ("mail bob@example.com about lunch", "subject", "lunch"),
        ("order 12345 is late", "order_id", "12345"),
        ("customer C1", "customer_id", "C1"),
        ("price of AAPL", "ticker", "AAPL"),
        ("from USD to EUR", "to_currency", "EUR"),
        ("from USD to EUR", "from_currency", "USD"),
        ("rename a.txt to b.txt", "new_path", "b.txt"),
        ("play Bohemian Rhapsody by Queen", "artist", "Queen"),
        ("issue 5 in octocat/hello-world", "repo", "hello-world"),
        ("foo=bar", "foo", "bar"),
        ("zip code 94105", "zip_code", "94105"),
        ('Anna fragt nach "Bob"', "user", "Bob"),
        ('songs by "AC/DC"', "artist", "AC/DC"),
        ("price of `AAPL`", "ticker", "AAPL"),
        ('jetzt in "Tokyo"', "timezone", "Tokyo"),
    ],
)
def test_a_text_parameter_takes_what_its_name_asks_for(text: str, name: str, value: object) -> None:
    assert taken(text, name) == value


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("forecast for 5 days", "days", 5),
        ("limit 10", "limit", 10),
        ("the first 3 lines", "limit", 3),
        ("top 5 results", "max_results", 5),
        ("under $30", "max_price", 30),
        ("50% brightness", "brightness", 50),
        ("born in 1984", "year", 1984),
        ("35 years old", "age", 35),
        ("5 apples", "timeout", None),
        ("days: 7", "days", 7),
    ],
)
def test_a_number_is_for_the_word_beside_it(text: str, name: str, value: object) -> None:
    assert taken(text, name, "integer") == value


@pytest.mark.parametrize(
    ("text", "format_", "value"),
    [
        ("on May 6, 2024", "date", "2024-05-06"),
        ("on 6 May 2024", "date", "2024-05-06"),
        ("on 5/6/2024", "date", "2024-05-06"),
        ("on 2024-05-06", "date-time", "2024-05-06T00:00:00Z"),
        ("on 2024-05-06 at 14:30", "date-time", "2024-05-06T14:30:00Z"),
        ("at 2024-05-06T14:30:10+02:00", "date-time", "2024-05-06T14:30:10+02:00"),
        ("at 3pm", "time", "15:00:00Z"),
        ("at 12:05 am", "time", "00:05:00Z"),
        ("go to example.com", "uri", "https://example.com"),
    ],
)
def test_dates_are_spelled_as_the_format_has_them(text: str, format_: str, value: str) -> None:
    assert taken(text, "when", format=format_) == value


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("list files recursively", "recursive", True),
        ("list files, not recursively", "recursive", False),
        ("without hidden files", "include_hidden", False),
        ("recursive: false", "recursive", False),
        ("list files", "recursive", None),
    ],
)
def test_a_switch_is_on_when_it_is_named_and_off_behind_a_negation(text: str, name: str, value: object) -> None:
    assert taken(text, name, "boolean") == value


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("in Celsius please", ("celsius", "fahrenheit"), "celsius"),
        ("20°F", ("celsius", "fahrenheit"), "fahrenheit"),
        ("what is 3 * 4", ("add", "multiply"), "multiply"),
        ("3 plus 4", ("add", "multiply"), "add"),
        ("mark it in progress", ("pending", "in_progress"), "in_progress"),
        ("a red one", ("blue", "red"), "red"),
        ("bored", ("red",), None),
        ("grade B", ("A", "B"), "B"),
        ("level 3", (1, 2, 3), 3),
        ("urgent!", ("low", "high"), "high"),
    ],
)
def test_an_option_is_taken_when_the_text_speaks_of_it(text: str, options: tuple[object, ...], value: object) -> None:
    assert taken(text, "x", options=options) == value


def test_two_parameters_do_not_take_the_same_value() -> None:
    hints = Hints.of("add 2 and 3")
    values = [hints.take(Param(name, "number")) for name in ("a", "b", "c")]
    assert [value and value.value for value in values] == [2, 3, None]


def test_a_shared_value_is_the_last_resort() -> None:
    hints = Hints.of("weather in Tokyo")
    assert hints.take(Param("city", "string")) is not None
    assert hints.take(Param("town", "string")) is None
    again = hints.take(Param("town", "string"), may_share=True)
    assert again is not None
    assert again.value == "Tokyo"


def test_a_day_may_be_told_twice_as_a_date_and_in_the_text() -> None:
    hints = Hints.of("remind me to call mom tomorrow")
    for name, value in (("text", "call mom tomorrow"), ("date", "tomorrow")):
        candidate = hints.take(Param(name, "string"))
        assert candidate is not None
        assert candidate.value == value


def test_a_fresh_copy_has_nothing_used() -> None:
    hints = Hints.of("weather in Tokyo")
    first = hints.take(Param("city", "string"))
    assert hints.fresh().take(Param("city", "string")) == first


def test_the_context_counts_for_less_than_the_text_itself() -> None:
    hints = Hints.of("the time in Rome", context="the weather in Tokyo")
    assert [c.value for c in hints.candidates(Param("city", "string"))] == ["Rome", "Tokyo"]
    assert (
        Hints.of("the time there", context="the weather in Tokyo").take(Param("city", "string"), least=STRONG) is None
    )


def test_the_description_tells_what_a_nameless_parameter_is() -> None:
    assert taken("weather in Tokyo", "arg", description="The city to look at") == "Tokyo"


def test_no_prompt_holds_no_hints() -> None:
    assert Hints.none().found == ()
    assert Hints.of("").take(Param("query", "string")) is None


def test_words_in_their_forms_have_one_stem() -> None:
    for words in ("recursive recursively", "calculate calculator calculation", "city cities", "run running runs"):
        assert len({stem(word) for word in words.split()}) == 1
    assert stem("rain") in kin(stem("weather"))
    assert (singular("cities"), singular("files"), singular("address")) == ("city", "file", "address")


@pytest.mark.parametrize("name", ["get_user_info", "getUserInfo", "get-user-info", "GetUserInfo", "get.user.info"])
def test_a_name_splits_the_same_however_it_is_spelled(name: str) -> None:
    assert split_name(name) == ["get", "user", "info"]


HOSTILE = [
    "a", "1", "1,", "(", "'",
    '"', '"a": ', "\u201e", "\u201c", "\u2018a", "\u2019",
    "\u00ab", "\u00bb", "\u300c", "x_", "A a \"", "`", " ", "\n", "/", ".", "a.",
    "a/", "a@", "@a.a", "-", "*", "x*/", "=", "a=", "a: ",
    "A ", "search ", "search for ", "in tokyo and ", "1 + 1 ", "1+", "((((1", "sqrt(", "sum of 1 and ", "http://",
    "January 1 ", "12:", "2024-01-01 at ", "name is ", "the ", "St. Mt. ", '{"a":', "SELECT ", "\x00", "東京", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=[re.sub(r"\W", "_", ascii(piece)) for piece in HOSTILE])
def test_hostile_texts_are_read_quickly(piece: str) -> None:
    """Measured: at most 0.1 s for any of these; a text is read in linear time, and of a long one only its ends."""
    started = time.perf_counter()
    hints = Hints.of(piece * (1_000_000 // len(piece)))
    hints.candidates(Param("query", "string"))
    assert time.perf_counter() - started < 30
    assert len(hints.text) < 10_000
