"""A string that several regular expressions match at once: found by running them side by side as automata.

Exact for expressions that are regular, as those of strict tools and formats are (MSG-68): whatever fits them all is
found, within the work allowed. Nothing is matched by backtracking. Pure; imports only what stands beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, pairwise
from re import _constants as sre  # type: ignore[attr-defined]
from typing import Any, TypeAlias

from .strings import MORE_CHARACTERS, PRINTABLE, parsed

__all__ = ["common_samples"]

MAX_STATES = 4_000  # of one expression, its quantifiers written out
MAX_ALPHABET = 1_500  # characters that are considered
MAX_BEYOND = 300  # characters that a string may be longer than it must
OPERATIONS = 250  # that make one step of work, some 100 us
SAMPLES = 4  # strings that one search gives
LENGTHS = 3  # of the strings
LAST = 0x10FFFF

Ranges: TypeAlias = tuple[tuple[int, int], ...]  # of code points, both ends included
State: TypeAlias = tuple[frozenset[int], ...]  # of every automaton: the states that it may be in
# Strings of one length: what all automata may be in after each character, on the way to an end. Dicts are ordered sets.
Way: TypeAlias = list[dict[State, None]]


class _Beyond(Exception):
    """An expression that is not regular, or too large; or the work is used up."""


def common_samples(
    patterns: Sequence[str],
    whole: str | None,
    *,
    guide: str,
    variant: int,
    lengths: tuple[int, int | None],
    spend: Callable[[int], bool],
) -> Iterator[str]:
    """Strings in which every pattern is found, and that `whole` matches from end to end; the shortest ones.

    `guide` is a string to be like where there is a choice; `variant` asks for other strings, `lengths` bounds them.
    `spend` takes steps of some 100 us, and says whether there are more. No string where an expression looks ahead,
    behind or back, or where nothing fits.
    """
    try:
        search = _Search([*((pattern, False) for pattern in patterns), *([(whole, True)] if whole else [])], spend)
        ways = search.ways(*lengths)
        known = list(islice(ways, 1))
        for number in range(variant, variant + SAMPLES):
            left = number
            for way in chain(known, _kept(ways, known)):
                text, left = search.walk(way, guide, left)
                if not left:
                    yield text
                    break
    except (_Beyond, RecursionError):
        return


def _kept(ways: Iterator[Way], known: list[Way]) -> Iterator[Way]:
    """The ways that are not known yet: looked for when they are needed, and kept."""
    for way in ways:
        known.append(way)
        yield way


# One expression.


class _Automaton:
    """An expression as states, with edges for characters and edges for nothing, of which anchors are some."""

    def __init__(self, expression: str, sets: dict[Ranges, int], *, is_whole: bool) -> None:
        self.edges: list[list[tuple[int, int]]] = []  # of each state: (number of a set of characters, next state)
        self._free: list[list[tuple[str, int]]] = []  # ("", "begin" or "end", next state)
        self._sets = sets
        operations = parsed(expression)
        if operations is None or operations.state.flags & ~sre.SRE_FLAG_UNICODE:
            raise _Beyond
        begin = self._state()
        end = self._sequence(operations, self._linked(begin))
        self.final = self._linked(end)
        if not is_whole:
            for state in (begin, self.final):
                self._edge(((0, LAST),), state, state)
        self._later = self._reaching_the_end()
        self.first = self.closure([begin], at_begin=True)

    def closure(self, states: Sequence[int] | set[int], *, at_begin: bool = False) -> frozenset[int]:
        """What can be reached without a character, as far as the end can still be reached from there."""
        allowed = ("", "begin") if at_begin else ("",)
        found = self._spread(states, allowed)
        return frozenset(found if at_begin else found & self._later)

    def accepts(self, states: frozenset[int], *, at_begin: bool) -> bool:
        return self.final in self._spread(states, ("", "begin", "end") if at_begin else ("", "end"))

    def _spread(self, states: Sequence[int] | set[int] | frozenset[int], allowed: tuple[str, ...]) -> set[int]:
        found, pending = set(states), list(states)
        while pending:
            for condition, state in self._free[pending.pop()]:
                if condition in allowed and state not in found:
                    found.add(state)
                    pending.append(state)
        return found

    def _reaching_the_end(self) -> set[int]:
        """States that the end can be reached from once there was a character: `^` is behind them."""
        before: list[list[int]] = [[] for _ in self.edges]
        for state, (edges, free) in enumerate(zip(self.edges, self._free, strict=True)):
            for _, following in edges:
                before[following].append(state)
            for condition, following in free:
                if condition != "begin":
                    before[following].append(state)
        found, pending = {self.final}, [self.final]
        while pending:
            fresh = [state for state in before[pending.pop()] if state not in found]
            found.update(fresh)
            pending += fresh
        return found

    def _state(self) -> int:
        if len(self.edges) >= MAX_STATES:
            raise _Beyond
        self.edges.append([])
        self._free.append([])
        return len(self.edges) - 1

    def _linked(self, start: int, condition: str = "") -> int:
        end = self._state()
        self._free[start].append((condition, end))
        return end

    def _edge(self, ranges: Ranges, start: int, end: int) -> int:
        self.edges[start].append((self._sets.setdefault(ranges, len(self._sets)), end))
        return end

    def _sequence(self, operations: Any, start: int) -> int:
        for operation, argument in operations:
            start = self._one(operation, argument, start)
        return start

    def _one(self, operation: Any, argument: Any, start: int) -> int:
        """Adds one operation behind a state; returns the state behind it."""
        if (ranges := _ranges(operation, argument)) is not None:
            return self._edge(ranges, start, self._state())
        if operation is sre.AT and argument in _ANCHORS:
            return self._linked(start, _ANCHORS[argument])
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._repeat(argument, start)
        if operation is sre.BRANCH:
            end = self._state()
            for branch in argument[1]:
                self._free[self._sequence(branch, self._linked(start))].append(("", end))
            return end
        if operation is sre.SUBPATTERN and not argument[1]:
            return self._sequence(argument[3], start)
        raise _Beyond  # it looks ahead, behind or back

    def _repeat(self, argument: Any, start: int) -> int:
        fewest, most, operations = argument
        for _ in range(int(fewest)):
            start = self._sequence(operations, self._linked(start))
        if most is sre.MAXREPEAT:
            loop = self._linked(start)
            self._free[self._sequence(operations, self._linked(loop))].append(("", loop))
            return self._linked(loop)
        end = self._linked(start)
        for _ in range(int(most) - int(fewest)):
            start = self._sequence(operations, self._linked(start))
            self._free[start].append(("", end))
        return end


_ANCHORS = {sre.AT_BEGINNING: "begin", sre.AT_BEGINNING_STRING: "begin", sre.AT_END: "end", sre.AT_END_STRING: "end"}
# As ECMA 262 has them.
_DIGITS: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = (
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))


def _ranges(operation: Any, argument: Any) -> Ranges | None:
    """The characters that one operation takes; None when it takes none."""
    if operation is sre.LITERAL:
        return ((argument, argument),)
    if operation is sre.NOT_LITERAL:
        return _others([(argument, argument)])
    if operation is sre.ANY:
        return _others(_LINE_ENDS)
    if operation is not sre.IN:
        return None
    is_negated = argument[0][0] is sre.NEGATE
    found = [part for item in argument[is_negated:] for part in _ranges_of_item(*item)]
    return _others(found) if is_negated else tuple(sorted(found))


def _ranges_of_item(operation: Any, argument: Any) -> Ranges:
    if operation is sre.LITERAL:
        return ((argument, argument),)
    if operation is sre.RANGE:
        return ((argument[0], argument[1]),)
    categories: dict[Any, Ranges] = {
        sre.CATEGORY_DIGIT: _DIGITS, sre.CATEGORY_NOT_DIGIT: _others(_DIGITS),
        sre.CATEGORY_WORD: _WORD, sre.CATEGORY_NOT_WORD: _others(_WORD),
        sre.CATEGORY_SPACE: _SPACE, sre.CATEGORY_NOT_SPACE: _others(_SPACE),
    }  # fmt: skip
    return categories[argument]


def _others(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """All characters but these."""
    found, after = [], 0
    for low, high in sorted(ranges):
        if low > after:
            found.append((after, low - 1))
        after = max(after, high + 1)
    return (*found, (after, LAST)) if after <= LAST else tuple(found)


# All of them, side by side.


class _Search:
    def __init__(self, expressions: Sequence[tuple[str, bool]], spend: Callable[[int], bool]) -> None:
        sets: dict[Ranges, int] = {}
        self._work = 0
        self._spend = spend
        self._did(sum(20 * len(text) for text, _ in expressions))
        self._automata = [_Automaton(text, sets, is_whole=is_whole) for text, is_whole in expressions]
        named = sum(map(len, sets))
        self._did(10 * sum(len(automaton.edges) for automaton in self._automata) + 10 * named)
        self._kinds: dict[tuple[bool, ...], list[str]] = {}  # in which sets they are -> characters
        alphabet = _alphabet(list(sets))
        self._did(len(alphabet) * (len(sets) + named) // 2)
        for character in alphabet:
            code = ord(character)
            kind = tuple(any(low <= code <= high for low, high in ranges) for ranges in sets)
            self._kinds.setdefault(kind, []).append(character)
        self._order = {character: place for place, character in enumerate(alphabet)}
        self._known: dict[State, dict[tuple[bool, ...], State]] = {}

    def _did(self, operations: int) -> None:
        steps, self._work = divmod(self._work + operations, OPERATIONS)
        if not self._spend(steps):
            raise _Beyond

    def ways(self, shortest: int, longest: int | None) -> Iterator[Way]:
        """The strings of the fewest characters, and of some more."""
        limit = shortest + MAX_BEYOND if longest is None else min(longest, shortest + MAX_BEYOND)
        layers: Way = [{tuple(automaton.first for automaton in self._automata): None}]
        found = 0
        while layers[-1] and len(layers) <= limit + 1 and found < LENGTHS:
            length = len(layers) - 1
            if length >= shortest and (ends := self._ends(layers[-1], at_begin=not length)):
                found += 1
                yield self._way(layers, ends)
            layers.append({state: None for before in layers[-1] for state in self._steps(before).values()})

    def _ends(self, layer: dict[State, None], *, at_begin: bool) -> dict[State, None]:
        return {
            state: None
            for state in layer
            if all(a.accepts(part, at_begin=at_begin) for a, part in zip(self._automata, state, strict=True))
        }

    def _way(self, layers: Way, ends: dict[State, None]) -> Way:
        kept = [ends]
        for layer in reversed(layers[:-1]):
            self._did(len(layer))
            after = kept[-1]
            kept.append({s: None for s in layer if any(t in after for t in self._steps(s).values())})
        return kept[::-1]

    def _steps(self, state: State) -> dict[tuple[bool, ...], State]:
        """Where each kind of character leads."""
        if state not in self._known:
            found = {kind: self._step(state, kind) for kind in self._kinds}
            self._known[state] = {kind: following for kind, following in found.items() if all(following)}
        return self._known[state]

    def _step(self, state: State, kind: tuple[bool, ...]) -> State:
        following: list[frozenset[int]] = []
        for automaton, part in zip(self._automata, state, strict=True):
            self._did(1 + len(part))
            reached = {target for here in part for number, target in automaton.edges[here] if kind[number]}
            following.append(automaton.closure(reached))
            if not following[-1]:
                return (frozenset(),)
        return tuple(following)

    def walk(self, way: Way, guide: str, variant: int) -> tuple[str, int]:
        """One string of the way; the variant is spent like the digits of a number, and what is left of it is told."""
        text = ""
        (state,) = way[0]
        for place, (_, after) in enumerate(pairwise(way)):
            steps = {kind: following for kind, following in self._steps(state).items() if following in after}
            options = {character: kind for kind in steps for character in self._kinds[kind]}
            liked = guide[place : place + 1]
            ordered = sorted(options, key=lambda character: (character != liked, self._order[character]))
            variant, index = divmod(variant, len(ordered))
            text += ordered[index]
            state = steps[options[ordered[index]]]
        return text, variant


def _alphabet(sets: Sequence[Ranges]) -> list[str]:
    """Plain characters first, then some of every range: all that tell the sets apart."""
    found = dict.fromkeys(PRINTABLE + MORE_CHARACTERS)
    for ranges in sets:
        for low, high in ranges:
            found.update(dict.fromkeys(map(chr, (*range(low, min(low + 4, high) + 1), high))))
    if len(found) > MAX_ALPHABET:
        raise _Beyond
    return [character for character in found if not "\ud800" <= character <= "\udfff"]
