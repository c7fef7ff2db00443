"""Headers of the API: spec HDR-5, HDR-6, HDR-20, ERR-43 to 45, ERR-2."""

import math
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import InvalidRequest
from dragoman.wire.headers import KNOWN_BETAS, VERSIONS, Headers, base58, betas, refuse_unknown, version

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=200)


def test_names_come_in_any_case_and_repeats_are_joined_in_order() -> None:
    headers = Headers([("X-Api-Key", "a"), ("ANTHROPIC-BETA", "b"), ("x-api-key", "c"), ("Empty", "")])
    assert headers.get("x-api-key") == "a, c"
    assert headers.get("anthropic-beta") == "b"
    assert headers.get("empty") == ""
    assert headers.get("missing") is None
    assert "anthropic-beta" in headers
    assert "missing" not in headers
    assert Headers().get("x-api-key") is None


@REPEATABLE
@given(st.lists(st.tuples(st.binary(), st.binary())))
def test_any_bytes_are_legal_headers(pairs: list[tuple[bytes, bytes]]) -> None:
    """ASGI hands over bytes; what a client sends must not be able to fail here."""
    pairs = [(name.lower(), value) for name, value in pairs]
    headers = Headers.from_bytes(pairs)
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
    for name, _ in texts:
        assert headers.get(name) == ", ".join(value for other, value in texts if other == name)


@REPEATABLE
@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"anthropic-beta"]), st.binary(max_size=3)), max_size=6))
def test_bytes_and_texts_make_the_same_headers(pairs: list[tuple[bytes, bytes]]) -> None:
    """Repeated or not, however they are asked for. A server may hand over lists where it means pairs."""
    texts = Headers((name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in pairs)
    for given_pairs in (pairs, tuple(pairs), [list(pair) for pair in pairs]):
        raw = Headers.from_bytes(given_pairs)
        for name in ("a", "b", "anthropic-beta", "c"):
            assert (raw.get(name), name in raw) == (texts.get(name), name in texts)
        assert betas(raw) == betas(texts)


def test_headers_are_picked_in_the_order_of_the_names() -> None:
    headers = Headers.from_bytes([(b"b", b"1"), (b"cookie", b"secret"), (b"a", b"\xff"), (b"b", b""), (b"c", b"")])
    wanted = {b"a": "A", b"b": "b", b"c": "c", b"missing": "missing"}
    assert headers.pick(wanted) == [("A", "\xff"), ("b", "1, "), ("c", "")]
    assert headers.pick({}) == Headers().pick(wanted) == []


def test_other_betas_leave_the_headers_that_they_were_made_of_alone() -> None:
    headers = Headers([("anthropic-beta", "a"), ("Anthropic-Beta", "b"), ("x", "1")])
    assert betas(headers.with_betas(["c", "d"])) == ("c", "d")
    assert "anthropic-beta" not in headers.with_betas([])
    assert headers.with_betas([]).get("x") == "1"
    assert betas(headers) == ("a", "b")


@pytest.mark.parametrize("known", ["2023-06-01", "2026-10-21"])
def test_both_versions_are_accepted(known: str) -> None:
    """MSG-2, HDR-5."""
    assert version(Headers([("Anthropic-Version", known)])) == known
    assert version(Headers([("anthropic-version", f" {known} ")])) == known
    assert known in VERSIONS


def test_a_missing_version_is_an_error() -> None:
    """ERR-43."""
    with pytest.raises(InvalidRequest) as caught:
        version(Headers())
    assert caught.value.message == "anthropic-version: header is required"


@pytest.mark.parametrize(
    "pairs",
    [
        [("anthropic-version", "2023-10-01")],
        [("anthropic-version", "2023-01-01")],
        [("anthropic-version", "")],
        [("anthropic-version", "latest")],
        [("anthropic-version", "2023-06-01"), ("anthropic-version", "2023-06-01")],
        [("anthropic-version", "2023-06-01"), ("Anthropic-Version", "2026-10-21")],
    ],
)
def test_an_unknown_version_or_one_sent_twice_is_an_error(pairs: list[tuple[str, str]]) -> None:
    """ERR-44."""
    given_value = ", ".join(value for _, value in pairs)
    with pytest.raises(InvalidRequest) as caught:
        version(Headers(pairs))
    assert caught.value.message == f'anthropic-version: "{given_value}" is not a valid version'


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        ([""], ()),
        ([" , ,"], ()),
        (["a"], ("a",)),
        (["a,b"], ("a", "b")),
        ([" a , b ", "c"], ("a", "b", "c")),
        (["a,b", "b,a,c", "a"], ("a", "b", "c")),
    ],
)
def test_betas_come_in_lists_and_lines_each_counts_once(values: list[str], expected: tuple[str, ...]) -> None:
    """HDR-6."""
    assert betas(Headers(("anthropic-beta", value) for value in values)) == expected


NAMES = """
    message-batches-2024-09-24 prompt-caching-2024-07-31 pdfs-2024-09-25 token-counting-2024-11-01
    output-128k-2025-02-19 files-api-2025-04-14 extended-cache-ttl-2025-04-11 interleaved-thinking-2025-05-14
    context-1m-2025-08-07 structured-outputs-2025-11-13 structured-outputs-2025-12-15 computer-use-2024-10-22
    computer-use-2025-01-24 computer-use-2025-11-24 code-execution-2025-05-22 code-execution-2025-08-25
    mcp-client-2025-04-04 mcp-client-2025-11-20 mcp-client-2026-09-15 compact-2026-01-12 compact-2026-09-04
    output-300k-2026-03-24 message-threads-2026-08-12 server-side-fallback-2026-06-01 server-side-fallback-2026-07-01
    fallback-credit-2026-06-01 fallback-credit-2026-07-01 mid-conversation-tool-changes-2026-07-01
    mid-conversation-output-config-2026-07-01 mid-conversation-system-clear-at-2026-08-21 inline-tools-2026-09-15
    user-profiles-2026-03-24 managed-agents-2026-04-01 claude-code-20250219 per-turn-control-2026-07-01
    advanced-tool-use-2025-11-20 thinking-token-count-2026-05-13 context-management-2025-06-27 effort-2025-11-24
    token-efficient-tools-2025-02-19 dev-full-thinking-2025-05-14 fine-grained-tool-streaming-2025-05-14
    model-context-window-exceeded-2025-08-26 skills-2025-10-02 fast-mode-2026-02-01 cache-diagnosis-2026-04-07
    advisor-tool-2026-03-01 task-budgets-2026-03-13 thinking-display-updates-2026-08-18
    thinking-binding-controls-2026-08-01
""".split()


def test_every_beta_of_the_spec_is_accepted_even_when_unknown_ones_are_refused() -> None:
    """HDR-20, CC-4."""
    headers = Headers([("anthropic-beta", ",".join(NAMES))])
    refuse_unknown(betas(headers))
    assert betas(headers) == tuple(NAMES)
    assert {name for name in NAMES if not name.startswith("user-profiles-")} == KNOWN_BETAS


def test_an_unknown_beta_is_accepted_unless_it_is_to_be_refused() -> None:
    """ERR-45, CC-4."""
    headers = Headers([("anthropic-beta", "files-api-2025-04-14, new-thing-2027-01-01")])
    assert betas(headers) == ("files-api-2025-04-14", "new-thing-2027-01-01")
    with pytest.raises(InvalidRequest) as caught:
        refuse_unknown(betas(headers))
    assert caught.value.message == (
        "Unexpected value(s) `new-thing-2027-01-01` for the `anthropic-beta` header. Please consult our documentation "
        "at platform.claude.com/docs or try again without the header."
    )


@REPEATABLE
@given(st.binary(min_size=22, max_size=22))
def test_ids_are_text_of_the_wanted_length_without_look_alikes(random: bytes) -> None:
    assert re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{22}", base58(random))


def test_every_digit_of_an_id_is_about_as_likely() -> None:
    """So 22 of them hold 128 bits: the commonest come in 5 of 256 bytes, the rarest in 4."""
    counts = Counter(base58(bytes(range(256))))
    assert len(counts) == 58
    assert set(counts.values()) == {4, 5}
    assert -22 * sum(count / 256 * math.log2(count / 256) for count in counts.values()) > 128


def test_what_was_read_once_is_kept_also_for_a_body_of_another_length() -> None:
    calls = []

    def asked(headers: Headers) -> str | None:
        calls.append(headers)
        return headers.get("anthropic-version")

    headers = Headers([("anthropic-version", "2023-06-01"), ("content-length", "5")])
    longer = headers.with_length(b"17")
    assert [each.once(asked) for each in (headers, longer, headers)] == ["2023-06-01"] * 3
    assert len(calls) == 1
    assert (headers.get("content-length"), longer.get("content-length")) == ("5", "17")
    assert longer.with_betas(["a"]).once(betas) == ("a",)
    assert longer.once(betas) == headers.once(betas) == ()


def test_what_could_not_be_read_is_no_better_the_second_time() -> None:
    headers = Headers([("anthropic-version", "tomorrow")])
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            headers.once(version)
