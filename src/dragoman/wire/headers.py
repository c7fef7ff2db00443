"""Headers of the API: version, betas, and the ids that a reply carries. Source: spec HDR-1 to 39, ERR-43 to 45."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from dragoman.errors import InvalidRequest

__all__ = ["KNOWN_BETAS", "VERSIONS", "Headers", "Version", "base58", "betas", "refuse_unknown", "version"]

Version = Literal["2023-06-01", "2026-10-21"]
VERSIONS: tuple[Version, ...] = ("2023-06-01", "2026-10-21")

# HDR-20 and CC-4: accepted silently. Accepting a name does not mean that an engine does what it asks for.
KNOWN_BETAS = frozenset(
    """
    message-batches-2024-09-24 prompt-caching-2024-07-31 pdfs-2024-09-25 token-counting-2024-11-01
    token-efficient-tools-2025-02-19 output-128k-2025-02-19 files-api-2025-04-14 extended-cache-ttl-2025-04-11
    interleaved-thinking-2025-05-14 dev-full-thinking-2025-05-14 fine-grained-tool-streaming-2025-05-14
    context-1m-2025-08-07 model-context-window-exceeded-2025-08-26 structured-outputs-2025-11-13
    structured-outputs-2025-12-15 effort-2025-11-24 computer-use-2024-10-22 computer-use-2025-01-24
    computer-use-2025-11-24 code-execution-2025-05-22 code-execution-2025-08-25 mcp-client-2025-04-04
    mcp-client-2025-11-20 mcp-client-2026-09-15 context-management-2025-06-27 compact-2026-01-12 compact-2026-09-04
    skills-2025-10-02 fast-mode-2026-02-01 output-300k-2026-03-24 message-threads-2026-08-12
    server-side-fallback-2026-06-01 server-side-fallback-2026-07-01 fallback-credit-2026-06-01
    fallback-credit-2026-07-01 mid-conversation-tool-changes-2026-07-01 mid-conversation-output-config-2026-07-01
    mid-conversation-system-clear-at-2026-08-21 cache-diagnosis-2026-04-07 advisor-tool-2026-03-01
    task-budgets-2026-03-13 thinking-token-count-2026-05-13 thinking-display-updates-2026-08-18
    thinking-binding-controls-2026-08-01 inline-tools-2026-09-15 managed-agents-2026-04-01
    claude-code-20250219 per-turn-control-2026-07-01 advanced-tool-use-2025-11-20
    """.split()
)
KNOWN_BETA_FAMILIES = ("user-profiles-",)

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # as in the real ids: no 0, O, I, l


T = TypeVar("T")


class Headers:
    """Request or response headers, looked up by their names in lower case; repeats and order are kept.

    Kept as they came, as bytes, and decoded when one is asked for: of a request's twenty, five are ever looked at.
    Most requests of a connection have the same ones, so what was read in them is kept too: see `once`.
    """

    __slots__ = ("_read", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._read: dict[Callable[[Headers], Any], Any] = {}
        self._values = _joined([(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs])

    @classmethod
    def from_bytes(cls, pairs: Sequence[tuple[bytes, bytes]]) -> "Headers":
        """From ASGI's pairs, names in lower case. Header bytes are Latin-1, so any byte is legal here."""
        headers = cls.__new__(cls)
        headers._read = {}
        values = dict(pairs)
        headers._values = values if len(values) == len(pairs) else _joined(pairs)
        return headers

    def get(self, name: str) -> str | None:
        """The value of a header, repeats joined by a comma; None where it is missing."""
        value = self._values.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    def once(self, read: "Callable[[Headers], T]") -> T:
        """What `read` makes of these headers; it must depend on nothing else, nor on `content-length`. What it raises,
        it raises each time."""
        try:
            found: T = self._read[read]
        except KeyError:
            found = self._read[read] = read(self)
        return found

    def with_length(self, length: bytes) -> "Headers":
        """The same headers, of a body of this length; what was read `once` holds for both."""
        headers = Headers.__new__(Headers)
        headers._read = self._read
        headers._values = self._values.copy()
        headers._values[b"content-length"] = length
        return headers

    def pick(self, names: Mapping[bytes, str]) -> list[tuple[str, str]]:
        """Those of the headers `names` that are there, by their names as bytes and as text."""
        values = self._values
        return [(name, values[raw].decode("latin-1")) for raw, name in names.items() if raw in values]

    def with_betas(self, names: Sequence[str]) -> "Headers":
        """The same headers, with these betas alone."""
        changed = Headers()
        changed._values = {name: value for name, value in self._values.items() if name != b"anthropic-beta"}
        if names:
            changed._values[b"anthropic-beta"] = ",".join(names).encode("latin-1")
        return changed

    def __contains__(self, name: str) -> bool:
        return name.encode("latin-1") in self._values


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for name, value in pairs:
        values[name] = b"%b, %b" % (values[name], value) if name in values else value
    return values


def version(headers: Headers) -> Version:
    """The API version asked for. Raises InvalidRequest: missing, unknown, or sent twice (ERR-43, 44, HDR-5)."""
    given = headers.get("anthropic-version")
    if given is None:
        raise InvalidRequest("anthropic-version: header is required")
    for known in VERSIONS:
        if given == known or given.strip() == known:
            return known
    raise InvalidRequest(f'anthropic-version: "{given}" is not a valid version')


def betas(headers: Headers) -> tuple[str, ...]:
    """The betas asked for, in order, each once (HDR-6), unknown ones too."""
    given = headers.get("anthropic-beta")
    if given is None:
        return ()
    return tuple(dict.fromkeys(name for part in given.split(",") if (name := part.strip())))


def refuse_unknown(names: Iterable[str]) -> None:
    """Raises InvalidRequest for a beta that we do not know. Only where that is wished: Claude Code sends names that no
    list holds (CC-4)."""
    for name in names:
        if name not in KNOWN_BETAS and not name.startswith(KNOWN_BETA_FAMILIES):
            raise InvalidRequest(
                f"Unexpected value(s) `{name}` for the `anthropic-beta` header. Please consult our documentation "
                "at platform.claude.com/docs or try again without the header."
            )


def base58(random: bytes) -> str:
    """Opaque id text, one character for each byte of random ones: 5.8 bits each."""
    return random.translate(_DIGITS).decode("ascii")


_DIGITS = (ALPHABET * 5)[:256].encode("ascii")
