"""Which tools are called for a prompt, how often, and with what (TOOL-10 to 19, 50 to 55, 61)."""

import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dragoman.engines.offline.hints.hints import Hints
from dragoman.engines.offline.tools.builtin import builtin_schema, toolset_members
from dragoman.engines.offline.tools.fit import FITS, NAMED, Request, fit
from dragoman.engines.offline.tools.plan import MAX_CALLS, Call, ToolView, plan

TEXT, NUMBER, WHOLE, SWITCH = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
TEXTS = {"type": "array", "items": TEXT}


def tool(name: str, description: str, required: str = "", /, **properties: Any) -> ToolView:
    return ToolView(name, description, {"type": "object", "properties": properties, "required": required.split()})


UNIT = {"type": "string", "enum": ["celsius", "fahrenheit"]}
PLACE = {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}
WEATHER = tool("get_weather", "Get the current weather in a given location", "location", location=PLACE, unit=UNIT)
TIME = tool("get_time", "Get the current time in a city", "city", city=TEXT)
READ = tool("read_file", "Read the contents of a file", "path", path=TEXT)
ADD = tool("add", "Add two numbers", "a b", a=NUMBER, b=NUMBER)
CITIES = tool("get_weather_for_cities", "Weather of several cities", "cities", cities=TEXTS)
FILES = tool("read_files", "Read several files", "paths", paths=TEXTS)

TOOLS = [
    WEATHER,
    TIME,
    READ,
    tool("write_file", "Write text to a file", "path content", path=TEXT, content=TEXT),
    tool("delete_file", "Delete a file", "path", path=TEXT),
    tool("list_directory", "List a directory", "path", path=TEXT, recursive=SWITCH),
    tool("calculator", "Evaluate a mathematical expression", "expression", expression=TEXT),
    tool("multiply", "Multiply two numbers", "x y", x=NUMBER, y=NUMBER),
    tool("web_search", "Search the web", "query", query=TEXT, limit=WHOLE),
    tool("send_email", "Send an email", "to subject body", to=TEXT, subject=TEXT, body=TEXT),
    tool("search_flights", "Search for flights", "origin destination", origin=TEXT, destination=TEXT, date=TEXT),
    tool("get_stock_price", "Get the current stock price", "ticker", ticker=TEXT),
    tool("get_customer_info", "Retrieves customer information", "customer_id", customer_id=TEXT),
    tool("get_order_details", "Retrieves the details of an order", "order_id", order_id=TEXT),
    tool("cancel_order", "Cancels an order", "order_id", order_id=TEXT),
    tool("get_user", "Get a user by ID", "user_id", user_id=WHOLE),
    tool("create_reminder", "Create a reminder", "text", text=TEXT, time=TEXT, date=TEXT),
    tool("translate_text", "Translate text", "text target_language", text=TEXT, target_language=TEXT),
    tool("set_timer", "Set a timer", "minutes", minutes=WHOLE),
    tool("turn_on_lights", "Turn on the lights of a room", "room", room=TEXT, brightness=WHOLE),
    tool("get_issue", "Get an issue", "owner repo number", owner=TEXT, repo=TEXT, number=WHOLE),
    tool("run_sql", "Run a query on the database", "query", query=TEXT),
    tool("convert_currency", "Convert money", "amount from to", amount=NUMBER, **{"from": TEXT, "to": TEXT}),
    tool("ping", "Say whether the server is there"),
]


def calls(tools: list[ToolView], prompt: str, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    """The planned calls; every input is valid under its tool's schema (TOOL-30)."""
    planned = plan(tools, prompt, **options)
    schemas = {view.name: view.schema for view in tools}
    for call in planned:
        Draft202012Validator(schemas[call.name]).validate(call.input)
    return [(call.name, call.input) for call in planned]


def weather(*places: str) -> list[tuple[str, dict[str, Any]]]:
    return [("get_weather", {"location": place}) for place in places]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What's the weather in Tokyo?", weather("Tokyo")),
        ("WHAT'S THE WEATHER IN TOKYO?", weather("TOKYO")),
        ("whats the weather in new york", weather("new york")),
        ("How is the weather in San Francisco, CA", weather("San Francisco, CA")),
        ("Will it rain in London tomorrow?", weather("London")),
        ("weather: Tokyo", weather("Tokyo")),
        ("weather in Oslo in fahrenheit", [("get_weather", {"location": "Oslo", "unit": "fahrenheit"})]),
        ("Use the get_weather tool for Berlin", weather("Berlin")),
        ("I'm in Tokyo. What's the weather?", weather("Tokyo")),
        ("What's the weather?", weather("San Francisco, CA")),
        ("what is 15 * 23", [("calculator", {"expression": "15 * 23"})]),
        ("multiply 6 by 7", [("multiply", {"x": 6, "y": 7})]),
        ("read /etc/hosts", [("read_file", {"path": "/etc/hosts"})]),
        ("what's in /etc/hosts?", [("read_file", {"path": "/etc/hosts"})]),
        ("show me src/app.py", [("read_file", {"path": "src/app.py"})]),
        ("write 'hello' to /tmp/a.txt", [("write_file", {"path": "/tmp/a.txt", "content": "hello"})]),
        ("delete /tmp/a.txt", [("delete_file", {"path": "/tmp/a.txt"})]),
        ("Please list the files in /home/me", [("list_directory", {"path": "/home/me"})]),
        ("list the directory /tmp recursively", [("list_directory", {"path": "/tmp", "recursive": True})]),
        ("search for cats and dogs", [("web_search", {"query": "cats and dogs"})]),
        ("search the web for cheap hotels, limit 5", [("web_search", {"query": "cheap hotels", "limit": 5})]),
        (
            'Send an email to bob@x.org about lunch saying "come at 12"',
            [("send_email", {"to": "bob@x.org", "subject": "lunch", "body": "come at 12"})],
        ),
        ("find flights from Paris to Rome", [("search_flights", {"origin": "Paris", "destination": "Rome"})]),
        ("What's the stock price of AAPL?", [("get_stock_price", {"ticker": "AAPL"})]),
        ("What is the email of customer C1?", [("get_customer_info", {"customer_id": "C1"})]),
        ("What is the status of order O2?", [("get_order_details", {"order_id": "O2"})]),
        ("Please cancel order O1 for me", [("cancel_order", {"order_id": "O1"})]),
        ("Get user 42", [("get_user", {"user_id": 42})]),
        (
            "remind me to call mom tomorrow at 5pm",
            [("create_reminder", {"text": "call mom tomorrow at 5pm", "time": "5pm", "date": "tomorrow"})],
        ),
        ('Translate "Hi" into Spanish', [("translate_text", {"text": "Hi", "target_language": "Spanish"})]),
        ("set a timer for 10 minutes", [("set_timer", {"minutes": 10})]),
        (
            "turn on the lights in the kitchen at 50% brightness",
            [("turn_on_lights", {"room": "kitchen", "brightness": 50})],
        ),
        ("Get issue #123 in octocat/hello", [("get_issue", {"owner": "octocat", "repo": "hello", "number": 123})]),
        ("run the SQL query SELECT * FROM t", [("run_sql", {"query": "SELECT * FROM t"})]),
        ("convert 100 USD to EUR", [("convert_currency", {"amount": 100, "from": "USD", "to": "EUR"})]),
        ("ping", [("ping", {})]),
    ],
)
def test_auto_calls_the_tool_that_fits(prompt: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    """TOOL-10, among two dozen tools."""
    assert calls(TOOLS, prompt) == expected


@pytest.mark.parametrize(
    "prompt",
    [
        "", "   ", "hello", "Hi there!", "Thanks!", "tell me a joke", "Who are you?", "What can you do?",
        "I love email", "How are you today?", "Write a poem about the sea", "What is the capital of France?",
        "Is 7 a prime number?", "Give me some ideas", "I had a bad day", "こんにちは", "?!",
        "Explain how photosynthesis works.",
    ],
)  # fmt: skip
def test_auto_calls_nothing_when_nothing_fits(prompt: str) -> None:
    assert calls(TOOLS, prompt) == []


@pytest.mark.parametrize(
    "prompt",
    ["Don't use any tools. What's the weather in Tokyo?", "Without using tools: is it hot in Rome?", "No tools!"],
)
def test_auto_obeys_a_user_who_wants_no_tools(prompt: str) -> None:
    assert calls(TOOLS, prompt) == []


def test_auto_does_not_call_what_the_user_does_not_want_called() -> None:
    assert calls([WEATHER, TIME], "Do not call get_weather for Tokyo. What time is it in Rome?") == [
        ("get_time", {"city": "Rome"})
    ]


@pytest.mark.parametrize(
    "prompt", ["show me /tmp/x.txt", "what's in /tmp/x.txt", "list the files in /tmp", "get user 5"]
)
def test_a_tool_that_changes_something_wants_an_order(prompt: str) -> None:
    """Nobody who looks at a file wants it deleted."""
    tools = [tool(name, "", "path", path=TEXT) for name in ("delete_file", "remove_user", "write_file", "edit_files")]
    assert calls(tools, prompt) == []


SEVERAL = [
    ([WEATHER], "weather in Tokyo and Paris", weather("Tokyo", "Paris")),
    ([WEATHER], "weather in Tokyo, Paris and Rome", weather("Tokyo", "Paris", "Rome")),
    ([WEATHER], "is it going to rain in paris and london", weather("paris", "london")),
    (
        [WEATHER],
        "What's the weather in San Francisco, CA and New York, NY?",
        weather("San Francisco, CA", "New York, NY"),
    ),
    ([WEATHER], "weather in Berlin, Germany and in Paris, France", weather("Berlin, Germany", "Paris, France")),
    ([WEATHER], 'get the weather for "Tokyo" and "Osaka"', weather("Tokyo", "Osaka")),
    ([WEATHER], "weather in Tokyo today and in Paris tomorrow", weather("Tokyo", "Paris")),
    ([WEATHER], "Get the weather in Tokyo. Get the weather in Paris.", weather("Tokyo", "Paris")),
    ([WEATHER], "Can you check the weather in Boston? And in Chicago?", weather("Boston", "Chicago")),
    ([WEATHER], "weather in Tokyo and Tokyo", weather("Tokyo")),
    ([WEATHER], "weather in Tokyo and tell me a joke", weather("Tokyo")),
    (
        [WEATHER],
        "the weather for Tokyo in celsius and for Paris in fahrenheit",
        [
            ("get_weather", {"location": "Tokyo", "unit": "celsius"}),
            ("get_weather", {"location": "Paris", "unit": "fahrenheit"}),
        ],
    ),
    ([READ], "read a.txt and b.txt", [("read_file", {"path": "a.txt"}), ("read_file", {"path": "b.txt"})]),
    ([READ], "read a.txt, then read b.txt", [("read_file", {"path": "a.txt"}), ("read_file", {"path": "b.txt"})]),
    (
        [WEATHER, TIME],
        "get the weather in Tokyo and the time in Paris",
        [*weather("Tokyo"), ("get_time", {"city": "Paris"})],
    ),
    (
        [WEATHER, TIME],
        "What's the weather in Tokyo and what time is it there?",
        [*weather("Tokyo"), ("get_time", {"city": "Tokyo"})],
    ),
    ([WEATHER, TIME], "Use get_weather and get_time for Tokyo", [*weather("Tokyo"), ("get_time", {"city": "Tokyo"})]),
    (
        TOOLS,
        "Compare AAPL and GOOGL stock prices",
        [("get_stock_price", {"ticker": "AAPL"}), ("get_stock_price", {"ticker": "GOOGL"})],
    ),
    (TOOLS, "get users 1, 2 and 3", [("get_user", {"user_id": n}) for n in (1, 2, 3)]),
    (
        TOOLS,
        "translate 'hi' to French and German",
        [("translate_text", {"text": "hi", "target_language": t}) for t in ("French", "German")],
    ),
    (
        TOOLS,
        "Tell me the weather in London, then set a timer for 5 minutes",
        [*weather("London"), ("set_timer", {"minutes": 5})],
    ),
]


@pytest.mark.parametrize(("tools", "prompt", "expected"), SEVERAL)
def test_several_are_called_when_several_are_asked_for(
    tools: list[ToolView], prompt: str, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    """TOOL-19."""
    assert calls(tools, prompt) == expected


@pytest.mark.parametrize(("tools", "prompt", "expected"), SEVERAL)
def test_without_parallel_it_is_one_call(
    tools: list[ToolView], prompt: str, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    """TOOL-15."""
    assert [name for name, _ in calls(tools, prompt, parallel=False)] == [expected[0][0]]


@pytest.mark.parametrize(
    ("view", "prompt", "value"),
    [
        (ADD, "add 2 and 3", {"a": 2, "b": 3}),
        (CITIES, "weather in Tokyo, Paris and Rome", {"cities": ["Tokyo", "Paris", "Rome"]}),
        (FILES, "read a.txt and b.txt", {"paths": ["a.txt", "b.txt"]}),
        (
            tool("move_file", "", "source target", source=TEXT, target=TEXT),
            "move a.txt to b.txt",
            {"source": "a.txt", "target": "b.txt"},
        ),
        (
            tool("compare_files", "", "first second", first=TEXT, second=TEXT),
            "compare `a` and `b`",
            {"first": "a", "second": "b"},
        ),
        (tool("web_search", "", "query", query=TEXT), "search the web for Paris and Rome", {"query": "Paris and Rome"}),
    ],
)
def test_one_call_takes_a_list_where_it_can(view: ToolView, prompt: str, value: dict[str, Any]) -> None:
    assert calls([view], prompt) == [(view.name, value)]


def test_calls_are_capped() -> None:
    names = " and ".join(f"C{number}" for number in range(40))
    assert len(calls(TOOLS, f"get customer info for customers {names}")) == MAX_CALLS


@pytest.mark.parametrize(
    ("tools", "prompt", "expected"),
    [
        ([WEATHER, TIME], "hello", weather("San Francisco, CA")),
        ([TIME, READ], "a.txt", [("read_file", {"path": "a.txt"})]),
        ([WEATHER, TIME], "Tokyo", weather("Tokyo")),
        ([WEATHER, TIME], "the time in Rome", [("get_time", {"city": "Rome"})]),
        ([WEATHER, TIME], "", weather("San Francisco, CA")),
        ([WEATHER], "weather in Tokyo and Paris", weather("Tokyo", "Paris")),
    ],
)
def test_any_calls_the_likeliest_else_the_first(
    tools: list[ToolView], prompt: str, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    """TOOL-11."""
    assert calls(tools, prompt, choice="any") == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hello", [("get_time", {"city": "San Francisco, CA"})]),
        ("weather in Oslo", [("get_time", {"city": "Oslo"})]),
        ("get the weather in Tokyo and the time in Paris", [("get_time", {"city": "Paris"})]),
        ("Tokyo and Paris", [("get_time", {"city": "Tokyo"}), ("get_time", {"city": "Paris"})]),
    ],
)
def test_tool_calls_that_one(prompt: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    """TOOL-12."""
    assert calls([WEATHER, TIME], prompt, choice="tool", forced="get_time") == expected
    assert len(calls([WEATHER, TIME], prompt, choice="tool", forced="get_time", parallel=False)) == 1


def test_none_and_no_tools_call_nothing() -> None:
    """TOOL-13."""
    assert plan([WEATHER], "weather in Tokyo", choice="none") == []
    assert plan([], "weather in Tokyo", choice="any") == []
    assert plan([WEATHER], "weather in Tokyo", choice="tool", forced="missing") == []


def test_the_same_prompt_makes_the_same_calls() -> None:
    for _, prompt, _ in SEVERAL:
        assert plan(TOOLS, prompt) == plan(TOOLS, prompt)


CODE_TOOLS = [
    tool(
        "Task",
        "Launch a new agent to handle complex, multi-step tasks",
        "description prompt",
        description=TEXT,
        prompt=TEXT,
    ),
    tool(
        "Bash",
        "Executes a given bash command in a persistent shell session",
        "command",
        command=TEXT,
        timeout=NUMBER,
        description=TEXT,
    ),
    tool("Glob", "Fast file pattern matching that works with any codebase size", "pattern", pattern=TEXT, path=TEXT),
    tool("Grep", "A powerful search tool built on ripgrep", "pattern", pattern=TEXT, path=TEXT, glob=TEXT),
    tool("Read", "Reads a file from the local filesystem.", "file_path", file_path=TEXT, offset=NUMBER, limit=NUMBER),
    tool(
        "Edit",
        "Performs exact string replacements in files.",
        "file_path old_string new_string",
        file_path=TEXT,
        old_string=TEXT,
        new_string=TEXT,
    ),
    tool("Write", "Writes a file to the local filesystem.", "file_path content", file_path=TEXT, content=TEXT),
    tool("WebFetch", "Fetches content from a URL", "url prompt", url={"type": "string", "format": "uri"}, prompt=TEXT),
    tool("WebSearch", "Allows to search the web and use the results", "query", query=TEXT),
    tool("mcp__notes__addNote", "Adds a note", "text", text=TEXT),
]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hello", []),
        ("what is 2+2?", []),
        ("write a haiku", []),
        ("explain this project", []),
        ("read README.md", [("Read", {"file_path": "README.md"})]),
        ("Read the first 10 lines of a.py", [("Read", {"file_path": "a.py", "limit": 10})]),
        ("run ls -la", [("Bash", {"command": "ls -la"})]),
        ("Run `git status` and `git diff`", [("Bash", {"command": "git status"}), ("Bash", {"command": "git diff"})]),
        ("create the file a.py with `x = 1`", [("Write", {"file_path": "a.py", "content": "x = 1"})]),
        (
            'replace "foo" with "bar" in a.py',
            [("Edit", {"file_path": "a.py", "old_string": "foo", "new_string": "bar"})],
        ),
        ('grep for "TODO" in src/', [("Grep", {"pattern": "TODO", "path": "src/"})]),
        ("find all **/*.py files", [("Glob", {"pattern": "**/*.py"})]),
        ("search the web for cats", [("WebSearch", {"query": "cats"})]),
        ("use Bash to print it", [("Bash", {"command": "echo 'use Bash to print it'"})]),
        ("add a note saying buy milk", [("mcp__notes__addNote", {"text": "buy milk"})]),
    ],
)
def test_the_tools_of_a_coding_agent_fit_what_is_asked(prompt: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert calls(CODE_TOOLS, prompt) == expected


@pytest.mark.parametrize(
    ("name", "prompt", "fits"),
    [
        ("bash", "what is bash?", False),
        ("bash", "use bash", True),
        ("bash", "the bash tool, please", True),
        ("bash", "call `bash`", True),
        ("getWeather", "call getweather", True),
        ("get_weather", "get weather for Rome", True),
        ("get_weather", "forget weather_get", False),
        ("mcp__web__openPage", "open page 5", True),
    ],
)
def test_a_tool_is_named_by_its_name_or_its_words(name: str, prompt: str, *, fits: bool) -> None:
    view = ToolView(name, "", {"type": "object"})
    assert (fit(view, Request(prompt, Hints.of(prompt))) == NAMED) is fits


def test_a_document_that_holds_a_tools_words_is_no_order() -> None:
    """Of a long prompt only the ends are the request; a tool that is named by name is called all the same."""
    prose = "It was late in the year, and the people of the village sat by the fire and spoke of old things. " * 20
    inside = f"Summarize this. {prose} The weather in Tokyo was bad. {prose} End."
    assert calls(TOOLS, inside) == []
    assert calls(TOOLS, f"{prose}\nWhat's the weather in Tokyo?") == weather("Tokyo")
    assert calls([WEATHER], f"{prose} Here get_weather may be used. {prose}") != []


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "object"}, {"type": "array"}, {"type": "string"}, {"$ref": "#"}, {"properties": 3}, {"anyOf": [5]}],
)
def test_an_input_is_always_an_object(schema: dict[str, Any]) -> None:
    """TOOL-20, whatever the schema of the tool is."""
    assert plan([ToolView("x_y", "", schema)], "x y", choice="any") == [Call("x_y", {})]


def test_a_hundred_tools_and_a_long_prompt_are_planned_quickly() -> None:
    """Measured: 0.4 s for the worst of these."""
    tools = [tool(f"get_weather_{i}", "Get the weather of a place", "city", city=TEXT, unit=UNIT) for i in range(100)]
    for piece in ("weather in Tokyo. ", "Tokyo, Paris and ", "get_weather_5 ", " ", "a", "(", "1 + 1 "):
        started = time.perf_counter()
        assert len(plan(tools, piece * 50_000)) <= MAX_CALLS
        assert time.perf_counter() - started < 40


# Languages, and what the user marked as a value.

FORECAST = tool("get_weather", "Get the weather", "city", city=TEXT, days=WHOLE)
FLIGHTS = tool("search_flights", "", "origin destination", origin=TEXT, destination=TEXT)


@pytest.mark.parametrize(
    ("prompt", "value"),
    [
        ('Das Wetter: "Paris"', {"city": "Paris"}),
        ("Das Wetter in `Paris`", {"city": "Paris"}),
        ('Bitte das Wetter in "Paris" für 3 Tage', {"city": "Paris", "days": 3}),
        ('Das Wetter in "Paris" für 1 Tag', {"city": "Paris", "days": 1}),
        ("Wie wird das Wetter in der Stadt „Köln“?", {"city": "Köln"}),
        ('Wie ist das Wetter in der Region "Tirol"?', {"city": "Tirol"}),
        ("Wetter für »Bad Homburg« bitte", {"city": "Bad Homburg"}),
        ("Der Wetterbericht: „São Paulo“", {"city": "São Paulo"}),
        ('"Ulm": wie ist das Wetter?', {"city": "Ulm"}),
        ("Bitte das Wetter für Hamburg, 5 Tage", {"city": "Hamburg", "days": 5}),
        ("Paris, das Wetter bitte", {"city": "Paris"}),
        ("Stadt: Köln", {"city": "Köln"}),
        ("Quel temps fait-il à « Lyon » ?", {"city": "Lyon"}),
        ('La Météo de "Nice" pour 4 jours', {"city": "Nice", "days": 4}),
        ("Météo: 'Marseille'", {"city": "Marseille"}),
        ("Quel temps fait-il à Lyon ?", {"city": "Lyon"}),
        ('¿Qué tiempo hace en "Madrid"?', {"city": "Madrid"}),
        ("¿Cómo está el Clima de «Sevilla» en 2 días?", {"city": "Sevilla", "days": 2}),
        ("¿Qué tiempo hace en Bilbao?", {"city": "Bilbao"}),
        ('Che tempo fa a "Roma"?', {"city": "Roma"}),
        ("Il Meteo di `Torino` per 3 giorni", {"city": "Torino", "days": 3}),
        ("Che tempo fa a Roma?", {"city": "Roma"}),
        ('Get Weather For "New York"', {"city": "New York"}),
        ("What's the Weather, Bob? ‘Oslo’ please", {"city": "Oslo"}),
        ('Weather for Bob in "Paris"', {"city": "Paris"}),
    ],
)
def test_a_marked_value_wins_over_capitalised_words(prompt: str, value: dict[str, Any]) -> None:
    """TOOL-20: `input` is what the user gave, in whatever language."""
    assert calls([FORECAST], prompt, choice="tool", forced="get_weather") == [("get_weather", value)]


@pytest.mark.parametrize(
    ("prompt", "city"),
    [
        ('city: Rome, not "Paris"', "Rome"),
        ("Use the `get_weather` tool for Paris", "Paris"),
        ("Use `weather`: Paris", "Paris"),
        ('Set "city" to Paris', "Paris"),
        ('Is it "hot" in Tokyo?', "Tokyo"),
        ('Say "hello" to Bob in Oslo', "Oslo"),
        ('Wetter Paris, speichern in "report.txt"', "Paris"),
        ('Tokyo weather, then save it as "report.txt"', "Tokyo"),
        ("Los Angeles weather", "Los Angeles"),
    ],
)
def test_a_marked_text_that_is_something_else_is_no_value(prompt: str, city: str) -> None:
    """TOOL-20: the name of a tool or parameter, what is to be said, a file, and what an explicit pair outdoes."""
    assert calls([FORECAST], prompt, choice="tool", forced="get_weather") == [("get_weather", {"city": city})]


@pytest.mark.parametrize(
    ("view", "prompt", "value"),
    [
        (FLIGHTS, 'Flüge von "Berlin" nach "Rom"', {"origin": "Berlin", "destination": "Rom"}),
        (FLIGHTS, 'Flüge nach "Rom" ab "Berlin"', {"origin": "Berlin", "destination": "Rom"}),
        (FLIGHTS, 'vuelos de "Madrid" a "Lima"', {"origin": "Madrid", "destination": "Lima"}),
        (FLIGHTS, 'flights from "New York" to "Rome"', {"origin": "New York", "destination": "Rome"}),
        (
            tool("send", "", "message city", message=TEXT, city=TEXT),
            'Send "Hello" to Bob in Paris',
            {"message": "Hello", "city": "Paris"},
        ),
        (
            tool("write", "", "path city", path=TEXT, city=TEXT),
            'Schreibe "notes.txt" mit dem Wetter in "Paris"',
            {"path": "notes.txt", "city": "Paris"},
        ),
        (CITIES, "Das Wetter in „Bonn“ und „Ulm“", {"cities": ["Bonn", "Ulm"]}),
    ],
)
def test_marked_values_find_their_parameters(view: ToolView, prompt: str, value: dict[str, Any]) -> None:
    """TOOL-20."""
    assert calls([view], prompt, choice="tool", forced=view.name) == [(view.name, value)]


# The API's own tools.

BASH, EDITOR, MEMORY, COMPUTER = (
    ToolView(name, "", builtin_schema(kind) or {})
    for name, kind in (
        ("bash", "bash_20250124"),
        ("str_replace_based_edit_tool", "text_editor_20250728"),
        ("memory", "memory_20250818"),
        ("computer", "computer_20251124"),
    )
)


@pytest.mark.parametrize(
    ("view", "prompt", "value"),
    [
        (BASH, "run `ls -la`", {"command": "ls -la"}),
        (BASH, "run git status", {"command": "git status"}),
        (BASH, "use bash", {"command": "echo 'use bash'"}),
        (BASH, "use bash: it's $(rm -rf /)", {"command": "echo 'use bash: it'\"'\"'s $(rm -rf /)'"}),
        (EDITOR, "view src/a.py", {"command": "view", "path": "src/a.py"}),
        (EDITOR, "show me a.txt", {"command": "view", "path": "a.txt"}),
        (
            EDITOR,
            "create a file a.txt with the text hello",
            {"command": "create", "path": "a.txt", "file_text": "hello"},
        ),
        (
            EDITOR,
            'replace "a" with "b" in x.py',
            {"command": "str_replace", "path": "x.py", "old_str": "a", "new_str": "b"},
        ),
        (MEMORY, "check your memory", {"command": "view", "path": "/memories"}),
        (COMPUTER, "take a screenshot", {"action": "screenshot"}),
        (COMPUTER, "click at 100, 200", {"action": "left_click", "coordinate": [100, 200]}),
        (COMPUTER, "type hello world", {"action": "type", "text": "hello world"}),
        (
            COMPUTER,
            "drag from 10, 20 to 30, 40",
            {"action": "left_click_drag", "start_coordinate": [10, 20], "coordinate": [30, 40]},
        ),
        (
            COMPUTER,
            "scroll down 3 at (50, 60)",
            {"action": "scroll", "scroll_direction": "down", "scroll_amount": 3, "coordinate": [50, 60]},
        ),
    ],
)
def test_the_apis_own_tools_get_an_input_that_a_client_can_run(
    view: ToolView, prompt: str, value: dict[str, Any]
) -> None:
    """TOOL-50 to 55, TOOL-61."""
    assert calls([view], prompt) == [(view.name, value)]


@pytest.mark.parametrize(
    ("view", "value"),
    [
        (BASH, {"command": "echo hello"}),
        (EDITOR, {"command": "view", "path": "."}),
        (MEMORY, {"command": "view", "path": "/memories"}),
        (COMPUTER, {"action": "screenshot"}),
    ],
)
def test_what_is_forced_without_a_word_about_it_does_no_harm(view: ToolView, value: dict[str, Any]) -> None:
    assert calls([view], "hello", choice="any") == [(view.name, value)]


BUILTIN = (
    "bash_20250124", "text_editor_20250124", "text_editor_20250429", "text_editor_20250728", "memory_20250818",
    "computer_20250124", "computer_20251124",
)  # fmt: skip


@pytest.mark.parametrize("kind", BUILTIN)
def test_the_schemas_of_the_apis_own_tools_are_schemas(kind: str) -> None:
    schema = builtin_schema(kind)
    assert schema is not None
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"


@pytest.mark.parametrize("kind", ["web_search_20250305", "custom", "computer_toolset_20260801", ""])
def test_other_types_have_no_schema_here(kind: str) -> None:
    assert builtin_schema(kind) is None


@pytest.mark.parametrize(("kind", "count"), [("computer_toolset_20260801", 17), ("browser_toolset_20260801", 31)])
@pytest.mark.parametrize("prompt", ["hello", "go to https://example.com/x and click at 10, 20", "type hello"])
def test_every_member_of_a_toolset_gets_a_valid_input(kind: str, count: int, prompt: str) -> None:
    """TOOL-54; the members are those of the SDK."""
    members = toolset_members(kind)
    assert members is not None
    assert len(members) == count
    for name, schema in members.items():
        Draft202012Validator.check_schema(schema)
        assert len(calls([ToolView(name, "", schema)], prompt, choice="any", parallel=False)) == 1
    assert toolset_members("bash_20250124") is None


def test_the_members_are_those_of_the_sdk() -> None:
    types = pytest.importorskip("anthropic.types")
    for kind, names in (
        ("computer_toolset_20260801", types.computer_member_name.COMPUTER_MEMBER_NAME_VALUES),
        ("browser_toolset_20260801", types.browser_member_name.BROWSER_MEMBER_NAME_VALUES),
    ):
        assert set(toolset_members(kind) or ()) == set(names)


def test_fitting_begins_at_a_written_score() -> None:
    assert fit(WEATHER, Request("weather in Tokyo", Hints.of("weather in Tokyo"))) >= FITS
    assert fit(WEATHER, Request("hello", Hints.of("hello"))) < FITS
