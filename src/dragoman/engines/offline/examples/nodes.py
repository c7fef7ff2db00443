"""The places of a value: what a schema says of each, which way it is read, and what was said that fits there.

Where a schema leaves a choice (anyOf, oneOf, if, a type of several) the first sensible one is taken; `Choices` lets
the next attempt take another at just the place that proved wrong. Pure; imports only what stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.engines.offline.hints.hints import STRONG, Candidate, Hints, Param
from dragoman.wire.jsonschema import Document, Leaves, Path, Schema, as_json

from .merge import kinds_of, matches_type, merge

__all__ = ["MAX_PARTS", "SAMPLES", "Budget", "Choices", "Heights", "Node", "Reader"]

MAX_VARIANTS = 12  # of one choice that are tried
MAX_PARTS = 200  # schemas that apply to one value
SAMPLES = 6  # different values that are tried where one is refused
SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})
NEVER_ENDS = 99  # the height of a schema whose values cannot be finite


class Budget:
    """How much work may still be done for one schema, in steps of some 20 to 100 microseconds."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def spend(self, steps: int = 1) -> bool:
        """False when it is used up."""
        self.steps -= steps
        return self.steps > 0


class Choices:
    """What was chosen at each place of a value, so that another attempt can choose otherwise."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[Path, str], int] = {}
        self._known: dict[Path, dict[str, int]] = {}  # place -> its choices, in order -> how many options each has

    def pick(self, path: Path, label: str, options: int) -> int:
        """The number of the option to take, of `options`."""
        count = max(1, min(options, MAX_VARIANTS))
        self._known.setdefault(path, {})[label] = count
        return self._chosen.get((path, label), 0) % count

    def change(self, path: Path) -> bool:
        """Choose otherwise for the wrong value at `path`. False when everything was tried."""
        for length in range(len(path), -1, -1):  # the value itself first, then what it lies in
            if self._advance(path[:length]):
                return True
        return self._change_below(path)

    def vary(self, path: Path) -> bool:
        """Choose otherwise at `path` or below it, and nowhere else. False when everything was tried."""
        return self._advance(path) or self._change_below(path)

    def _change_below(self, path: Path) -> bool:
        below = [other for other in self._known if len(other) > len(path) and other[: len(path)] == path]
        return any(self._advance(other) for other in below)

    def _advance(self, path: Path) -> bool:
        for label, count in reversed(self._known.get(path, {}).items()):
            following = self._chosen.get((path, label), 0) + 1
            if following < count:
                self._chosen[path, label] = following
                self._forget_below(path)
                return True
            self._chosen.pop((path, label), None)
        return False

    def _forget_below(self, path: Path) -> None:
        for key in [key for key in self._chosen if len(key[0]) > len(path) and key[0][: len(path)] == path]:
            del self._chosen[key]


class Heights:
    """How deep the smallest value of a schema must be: what is recursive ends on the branch of least height."""

    def __init__(self, document: Document, budget: Budget) -> None:
        self._document = document
        self._budget = budget
        self._ends: dict[tuple[int, int], bool] = {}

    def of(self, schema: object) -> int:
        return next((height for height in range(1, 13) if self._fits(schema, height, 0)), NEVER_ENDS)

    def _fits(self, schema: object, height: int, in_place: int) -> bool:
        """Has it a value of at most this height?"""
        if not isinstance(schema, dict) or height == 0 or in_place > 30:
            return schema is not False and height > 0 and in_place <= 30
        key = (id(schema), height)
        if key not in self._ends:
            self._ends[key] = False  # met again while it is being asked: it goes round
            self._ends[key] = self._budget.spend() and self._all_fit(schema, height, in_place + 1)
        return self._ends[key]

    def _all_fit(self, schema: dict[str, Any], height: int, in_place: int) -> bool:
        if "const" in schema or "enum" in schema:
            return True
        if "$ref" in schema:
            target = self._document.resolve(schema, schema["$ref"])
            if target is not None and not self._fits(target, height, in_place):
                return False
        for keyword, fits in (("allOf", all), ("anyOf", any), ("oneOf", any)):
            parts = schema.get(keyword)
            if isinstance(parts, list) and not fits(self._fits(part, height, in_place) for part in parts):
                return False
        return self._own_fits(schema, height)

    def _own_fits(self, schema: dict[str, Any], height: int) -> bool:
        flat: dict[str, Any] = {}
        merge(flat, schema)
        kinds = kinds_of(flat)
        if set(kinds) - {"object", "array"}:
            return True
        inner: Sequence[object] = ()
        if kinds == ["object"]:
            properties = flat.get("properties", {})
            inner = [properties.get(name, True) for name in flat.get("required", []) if isinstance(name, str)]
        elif kinds == ["array"] and flat.get("minItems", 0) > 0:
            prefix = flat.get("prefixItems", [])[: int(flat["minItems"])]
            inner = [*prefix, *([flat["items"]] if len(prefix) < flat["minItems"] and "items" in flat else [])]
        return all(self._fits(part, height - 1, 0) for part in inner)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A place in the value, and all that applies to it."""

    path: Path
    name: str  # of the nearest property
    flat: dict[str, Any]  # merged keywords
    kind: str  # the type to make
    opened: tuple[int, ...]  # references that were followed on the way here, by the id of what they name
    is_recursing: bool  # it lies within a value of its own kind: to be kept small
    salt: int = 0  # tells the items of an array apart
    schema: object = True  # what it was read from

    @property
    def param(self) -> Param:
        options = [self.flat["const"]] if "const" in self.flat else self.flat.get("enum", [])
        text = self.flat.get("description", "")
        return Param(self.name, self.kind, text, self.flat.get("format", ""), tuple(options))

    @property
    def is_scalar(self) -> bool:
        return self.kind in SCALARS or "const" in self.flat or "enum" in self.flat


_LEAF = ("minLength", "maxLength", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_SIMPLE = frozenset({*_LEAF, "type", "const", "enum", "pattern"})  # keywords that speak of a scalar, and of no schema


class Reader:
    """Reads a schema place by place: what applies there, as the choices stand, and what was said that fits."""

    def __init__(self, document: Document, hints: Hints, budget: Budget) -> None:
        self.choices = Choices()
        self.leaves = Leaves()
        self._document = document
        self._hints = hints
        self._budget = budget
        self._heights = Heights(document, budget)

    def node(self, schema: object, path: Path, name: str, *, within: Node | None = None, salt: int = 0) -> Node:
        """Merge everything that applies to one place."""
        opened = within.opened if within else ()
        before = frozenset(opened)
        flat: dict[str, Any] = {}
        pending, seen, recursing = [schema], set[int](), within is not None and within.is_recursing
        while pending and len(seen) < MAX_PARTS:
            part = pending.pop(0)
            if not isinstance(part, dict) or id(part) in seen:
                continue
            seen.add(id(part))
            merge(flat, part)
            self._budget.spend(1 + len(flat.get("properties", ())) // 20)
            if "$ref" in part or "$dynamicRef" in part:
                target = self._target(part)
                recursing = recursing or id(target) in before
                opened = (*opened, id(target))
                pending.append(target)
            pending += self._chosen(part, path, name, len(seen), opened=opened, is_recursing=recursing)
        kinds = kinds_of(flat)
        if recursing:
            kinds = sorted(kinds, key=lambda kind: kind not in SCALARS)
        kind = kinds[self.choices.pick(path, "type", len(kinds))]
        return Node(
            path=path, name=name, flat=flat, kind=kind, opened=opened, is_recursing=recursing, salt=salt, schema=schema
        )  # fmt: skip

    def _target(self, part: dict[str, Any]) -> Schema | None:
        """What a reference names; None when it is not in this document."""
        if "$ref" in part:
            return self._document.resolve(part, part["$ref"])
        return next(iter(self._document.anchored(part["$dynamicRef"])), None)

    def _chosen(
        self, part: dict[str, Any], path: Path, name: str, number: int, *, opened: tuple[int, ...], is_recursing: bool
    ) -> list[object]:
        """The subschemas of `part` that this value is to obey."""
        chosen = list(part["allOf"]) if isinstance(part.get("allOf"), list) else []
        for keyword in ("anyOf", "oneOf"):
            if isinstance(branches := part.get(keyword), list) and branches:
                order = self._preferred(branches, name, opened, is_recursing=is_recursing)
                chosen.append(branches[order[self.choices.pick(path, f"{keyword}{number}", len(order))]])
        if "if" in part and ("then" in part or "else" in part):
            met = [part["if"], part.get("then", True)]
            cases = [met, [part.get("else", True)], [part.get("then", True)]]
            chosen += cases[self.choices.pick(path, f"if{number}", len(cases))]
        return chosen

    def _preferred(
        self, branches: list[object], name: str, opened: tuple[int, ...], *, is_recursing: bool
    ) -> list[int]:
        """The branches in the order to try: those that the user speaks of; null, and what goes on and on, come last."""
        branches = branches[:MAX_PARTS]
        heights = [self._heights.of(branch) for branch in branches]
        said = [self._said(branch, name) for branch in branches]

        def order(index: int) -> tuple[bool, bool, int, int, bool]:
            branch, height = branches[index], heights[index]
            goes_on = self._opens(branch, opened)
            return height == NEVER_ENDS, goes_on, is_recursing * height, -said[index], branch == {"type": "null"}

        return sorted(range(len(heights)), key=order)

    def recurs(self, schema: object, within: Node) -> bool:
        """Would a value of `schema` lie within one of its own kind?"""
        return within.is_recursing or self._opens(schema, within.opened)

    def _opens(self, schema: object, opened: tuple[int, ...]) -> bool:
        return isinstance(schema, dict) and "$ref" in schema and id(self._target(schema)) in opened

    def _said(self, branch: object, name: str) -> int:
        """How much of the prompt speaks of this branch: of the constants that tell it from others, or of its value."""
        if isinstance(branch, dict) and "$ref" in branch:
            branch = self._target(branch)
        if not isinstance(branch, dict) or not self._hints.text:
            return 0
        self._budget.spend(2)
        properties = branch.get("properties")
        if not isinstance(properties, dict):
            return int(any(c.score >= STRONG for c in self.offers(self._node_of_branch(branch, name))))
        marks = [
            self._node_of_branch(schema, key)
            for key, schema in list(properties.items())[:20]
            if isinstance(schema, dict) and ("const" in schema or "enum" in schema)
        ]
        return max((c.score for mark in marks for c in self._hints.candidates(mark.param)[:1]), default=0)

    def _node_of_branch(self, schema: dict[str, Any], name: str) -> Node:
        flat: dict[str, Any] = {}
        merge(flat, schema)
        return Node(path=(), name=name, flat=flat, kind=kinds_of(flat)[0], opened=(), is_recursing=False)

    def offers(self, node: Node) -> list[Candidate]:
        """What the user said that this place could hold, best first."""
        if not self._hints.text or node.kind == "null" or "const" in node.flat:
            return []
        self._budget.spend(1 + (len(self._hints.found) + len(node.flat.get("enum", ()))) // 20)
        least = STRONG if "default" in node.flat else 1  # a guess is worse than the schema's own value
        offers = self._hints.candidates(node.param)
        return [offer for offer in offers if offer.score >= least and self.fits(node, offer.value)]

    def fits(self, node: Node, value: object) -> bool:
        """Is the value allowed here, as far as the place's own keywords say? Its options were looked at before."""
        flat = node.flat
        own = {key: flat[key] for key in _LEAF if key in flat}
        if parts := [{"pattern": pattern} for pattern in flat.get("patterns", ())] + _simple_nots(flat):
            own["allOf"] = parts
        if "enum" in flat:
            return matches_type(value, flat) and (not own or self.leaves.accept(own, as_json(value)))
        return self.leaves.accept(own | {"type": node.kind}, as_json(value))


def _simple_nots(flat: dict[str, Any]) -> list[dict[str, Any]]:
    """What a scalar must not be, where that can be asked of it alone."""
    return [{"not": part} for part in flat.get("nots", ()) if isinstance(part, dict) and part.keys() <= _SIMPLE]
