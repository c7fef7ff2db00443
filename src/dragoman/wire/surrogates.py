"""JSON text that a model wrote, in fragments cut anywhere, without the escapes that no client can read.

A model may write half a character (`\\ud83d` alone). JSON's grammar lets it, but no strict parser reads it, so a call's
input would be lost, and its conversation with it. Such a half becomes U+FFFD. Pure; imports nothing of this package.
"""

import re

__all__ = ["WholeCharacters"]

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[^u])", re.DOTALL)
BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")  # an escape that the next fragment may go on with
REPLACEMENT = r"\ufffd"
HIGH, LOW, ABOVE = 0xD800, 0xDC00, 0xE000


class WholeCharacters:
    """Fragments in, fragments out; what is in the middle of an escape waits for the rest of it."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, fragment: str) -> str:
        text = self._held + fragment
        if "\\" not in text:
            return text
        self._held = ""
        out: list[str] = []
        done = 0  # of `text`, in `out`
        high: re.Match[str] | None = None  # half a character that waits for its other half, right before `at`
        at = 0
        for found in ESCAPE.finditer(text):
            code = int(found[1], 16) if found[1] else 0
            if high is not None:
                if found.start() != high.end() or not LOW <= code < ABOVE:
                    out += (text[done : high.start()], REPLACEMENT)
                    done = high.end()
                elif LOW <= code < ABOVE:
                    high, at = None, found.end()
                    continue
            high = found if HIGH <= code < LOW else None
            if LOW <= code < ABOVE:
                out += (text[done : found.start()], REPLACEMENT)
                done = found.end()
            at = found.end()
        return "".join(out) + self._rest(text, done, at, high)

    def end(self) -> str:
        """What waited: nothing more comes."""
        held, self._held = self._held, ""
        return ESCAPE.sub(lambda found: REPLACEMENT if found[1] else found[0], held)

    def _rest(self, text: str, done: int, at: int, high: re.Match[str] | None) -> str:
        """The text behind `done`, but for what must wait."""
        begun = text.find("\\", at)
        is_begun = begun >= 0 and BEGUN.fullmatch(text, begun) is not None
        if high is None:
            end = begun if is_begun else len(text)
        elif high.end() == len(text) or (is_begun and begun == high.end()):
            end = high.start()
        else:
            self._held = text[begun:] if is_begun else ""
            return text[done : high.start()] + REPLACEMENT + text[high.end() : begun if is_begun else len(text)]
        self._held = text[end:]
        return text[done:end]
