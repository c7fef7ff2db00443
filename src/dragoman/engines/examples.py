"""An example value for a JSON Schema, made of what the user said where it fits: the input of the engine's calls.

Imports only what stands beside it: how schemas are read and checked (`example_schemas`), merged (`example_nodes`),
and what is said (`hints`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeAlias

from .example_nodes import NEVER_ENDS, Budget, Choices, Heights, key_of, kinds_of, matches_type, merge
from .example_schemas import Checker, Document, JsonValue, Leaves, Path, Schema
from .example_values import described, number_sample, string_samples
from .hints import STRONG, Candidate, Hints, Param

__all__ = ["JsonValue", "fill"]

MAX_ATTEMPTS = 24  # to mend a value that the check refuses
MAX_STEPS = 8_000  # of all attempts together: some tenths of a second
MAX_ITEMS = 1_000  # of one array
MAX_OPTIONAL = 200  # optional properties of one object that are considered
MAX_DEPTH = 40  # levels of one value
MAX_PARTS = 200  # schemas that apply to one value
SAMPLES = 6  # different values that are tried where one is refused
SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})


def fill(schema: Schema, hints: Hints, *, name: str = "") -> JsonValue:
    """A value for `schema` (JSON Schema 2020-12, formats asserted), with the user's words where they fit.

    Required properties come first, in the schema's order, then those optional ones that the user spoke of. `name` is
    that of the parameter, when the schema is not an object's. Afterwards `hints.taken` says what was used.

    The value is checked; where a hint makes it invalid it goes without the hint. Same arguments, same value. Never
    raises, fetches nothing, and ends within about a second whatever the schema is. Best effort, and so perhaps not
    valid, are values of schemas that nothing fits, that are no schemas, that refer to elsewhere, that would take too
    long to check, or that ask for more than MAX_ITEMS items, MAX_STEPS steps or MAX_DEPTH levels.
    """
    document = Document(schema)
    checker, leaves = Checker(document), Leaves()
    best: tuple[int, JsonValue, Hints] | None = None
    for source in (hints, Hints.none()):
        choices, budget = Choices(), Budget(MAX_STEPS)
        for _ in range(MAX_ATTEMPTS):
            used = source.fresh()
            value = _Maker(document, used, choices, budget, leaves).make(name)
            wrong = checker.wrong(value)
            if best is None or len(wrong or ()) < best[0]:
                best = len(wrong or ()), value, used
            if not wrong or not budget.spend() or not choices.change(wrong):
                break
        if best is not None and not best[0]:
            break
    assert best is not None
    hints.taken = best[2].taken
    return best[1]


class _Absent:
    """No value: an optional one that the user did not speak of."""


ABSENT: Final = _Absent()
Maybe: TypeAlias = "JsonValue | _Absent"


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A place in the value, and all that applies to it."""

    path: Path
    name: str  # of the nearest property
    flat: dict[str, Any]  # merged keywords
    kind: str  # the type to make
    opened: tuple[int, ...]  # references that were followed on the way here, by the id of what they name
    is_recursing: bool  # it lies within a value of its own kind: to be kept small
    salt: int = 0  # tells the items of an array apart

    @property
    def param(self) -> Param:
        options = [self.flat["const"]] if "const" in self.flat else self.flat.get("enum", [])
        text = self.flat.get("description", "")
        return Param(self.name, self.kind, text, self.flat.get("format", ""), tuple(options))

    @property
    def is_scalar(self) -> bool:
        return self.kind in SCALARS or "const" in self.flat or "enum" in self.flat


class _Maker:
    """Makes one value, with the choices as they stand."""

    def __init__(self, document: Document, hints: Hints, choices: Choices, budget: Budget, leaves: Leaves) -> None:
        self._document = document
        self._hints = hints
        self._choices = choices
        self._budget = budget
        self._heights = Heights(document, budget)
        self._leaves = leaves

    def make(self, name: str) -> JsonValue:
        node = self._node(self._document.root, (), name)
        value = self._value(node)
        return None if isinstance(value, _Absent) else value

    # Reading: which schemas apply.

    def _node(self, schema: object, path: Path, name: str, *, within: _Node | None = None, salt: int = 0) -> _Node:
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
            self._budget.spend(1 + len(part.get("properties") or ()) // 20)
            merge(flat, part)
            if "$ref" in part or "$dynamicRef" in part:
                target = self._target(part)
                recursing = recursing or id(target) in before
                opened = (*opened, id(target))
                pending.append(target)
            pending += self._chosen(part, path, name, len(seen), is_recursing=recursing)
        kinds = kinds_of(flat)
        if recursing:
            kinds = sorted(kinds, key=lambda kind: kind not in SCALARS)
        kind = kinds[self._choices.pick(path, "type", len(kinds))]
        return _Node(
            path=path, name=name, flat=flat, kind=kind, opened=opened, is_recursing=recursing, salt=salt
        )  # fmt: skip

    def _target(self, part: dict[str, Any]) -> Schema | None:
        """What a reference names; None when it is not in this document."""
        if "$ref" in part:
            return self._document.resolve(part, part["$ref"])
        return next(iter(self._document.anchored(part["$dynamicRef"])), None)

    def _chosen(self, part: dict[str, Any], path: Path, name: str, number: int, *, is_recursing: bool) -> list[object]:
        """The subschemas of `part` that this value is to obey."""
        chosen = list(part["allOf"]) if isinstance(part.get("allOf"), list) else []
        for keyword in ("anyOf", "oneOf"):
            if isinstance(branches := part.get(keyword), list) and branches:
                order = self._preferred(branches, name, is_recursing=is_recursing)
                chosen.append(branches[order[self._choices.pick(path, f"{keyword}{number}", len(order))]])
        if "if" in part and ("then" in part or "else" in part):
            met = [part["if"], part.get("then", True)]
            cases = [met, [part.get("else", True)], [part.get("then", True)]]
            chosen += cases[self._choices.pick(path, f"if{number}", len(cases))]
        return chosen

    def _preferred(self, branches: list[object], name: str, *, is_recursing: bool) -> list[int]:
        """The branches in the order to try: those that the user speaks of; null and what never ends come last."""
        heights = [self._heights.of(branch) for branch in branches[:MAX_ITEMS]]
        said = [self._said(branch, name) for branch in branches[:MAX_ITEMS]]

        def order(index: int) -> tuple[bool, int, int, bool]:
            height = heights[index] if is_recursing else 0
            return heights[index] == NEVER_ENDS, height, -said[index], branches[index] == {"type": "null"}

        return sorted(range(len(heights)), key=order)

    def _said(self, branch: object, name: str) -> int:
        """How much of the prompt speaks of this branch: of the constants that tell it from others, or of its value."""
        if isinstance(branch, dict) and "$ref" in branch:
            branch = self._target(branch)
        if not isinstance(branch, dict) or not self._hints.text:
            return 0
        self._budget.spend(2)
        properties = branch.get("properties")
        if not isinstance(properties, dict):
            return int(any(c.score >= STRONG for c in self._offers(self._node_of_branch(branch, name))))
        marks = [
            self._node_of_branch(schema, key)
            for key, schema in list(properties.items())[:20]
            if isinstance(schema, dict) and ("const" in schema or "enum" in schema)
        ]
        return max((c.score for mark in marks for c in self._hints.candidates(mark.param)[:1]), default=0)

    def _node_of_branch(self, schema: dict[str, Any], name: str) -> _Node:
        flat: dict[str, Any] = {}
        merge(flat, schema)
        return _Node(path=(), name=name, flat=flat, kind=kinds_of(flat)[0], opened=(), is_recursing=False)

    # Making.

    def _value(self, node: _Node, *, is_required: bool = True) -> Maybe:
        if not self._budget.spend() or len(node.path) > MAX_DEPTH:
            return _json({"object": {}, "array": [], "string": "", "boolean": False, "null": None}.get(node.kind, 0))
        if node.is_scalar:
            offer = self._take(node, least=1 if is_required else STRONG)
            if offer is None and not is_required:
                return ABSENT
            return self._scalar(node, offer)
        mark = len(self._hints.taken)
        value: JsonValue = self._array(node, is_required) if node.kind == "array" else self._object(node)
        if is_required or any(taken.candidate.score >= STRONG for taken in self._hints.taken[mark:]):
            return value
        del self._hints.taken[mark:]
        return ABSENT

    # Scalars.

    def _offers(self, node: _Node) -> list[Candidate]:
        """What the user said that this place could hold, best first."""
        if not self._hints.text or node.kind == "null" or "const" in node.flat:
            return []
        self._budget.spend(1 + (len(self._hints.found) + len(node.flat.get("enum", ()))) // 20)
        has_sample = "default" in node.flat or ("examples" in node.flat and "minLength" in node.flat)
        return [
            offer
            for offer in self._hints.candidates(node.param)
            if not (has_sample and offer.kind == "whole") and self._fits(node, offer.value)
        ]

    def _take(self, node: _Node, *, least: int) -> Candidate | None:
        if self._choices.pick(node.path, "value", SAMPLES):
            return None  # what was said here has been refused
        least = max(least, STRONG) if node.salt else least
        offers = [offer for offer in self._offers(node) if offer.score >= least]
        free = next((offer for offer in offers if self._hints.is_free(offer)), None)
        # Two parameters of one meaning may share a value; numbers are each for one.
        chosen = free or next((c for c in offers if c.score >= STRONG and node.kind == "string"), None)
        if chosen is not None:
            self._hints.use(node.param, chosen, offers)
        return chosen

    def _scalar(self, node: _Node, offer: Candidate | None) -> JsonValue:
        flat = node.flat
        variant = self._choices.pick(node.path, "value", SAMPLES) + node.salt
        if "const" in flat:
            return _json(flat["const"])
        if offer is not None:
            return _json(offer.value)
        if "enum" in flat:
            return self._option(flat, variant)
        if variant == 0 and (spare := list(islice(self._spare(node), 1))):
            return spare[0]
        if node.kind == "boolean":
            return bool(variant % 2)
        if node.kind == "null":
            return None
        if node.kind in {"integer", "number"}:
            return number_sample(flat, whole=node.kind == "integer", variant=variant)
        samples = list(string_samples(flat, node.param.role, variant=variant, said=self._hints.text))
        self._budget.spend(max(map(len, samples), default=0) // 50)
        return next((sample for sample in samples if self._fits(node, sample)), samples[-1])

    def _option(self, flat: dict[str, Any], variant: int) -> JsonValue:
        options = (
            [option for option in flat["enum"][:MAX_ITEMS] if matches_type(option, flat)] or flat["enum"] or [None]
        )
        default = flat.get("default")
        if variant == 0 and any(key_of(option) == key_of(default) for option in options[:50]) and "default" in flat:
            return _json(default)
        return _json(options[variant % len(options)])

    def _spare(self, node: _Node) -> Iterator[JsonValue]:
        """What the schema itself offers: its default, an example, one in its description."""
        flat = node.flat
        values = [flat[key] for key in ("default",) if key in flat] + flat.get("examples", [])[:5]
        if node.kind == "string" and (text := described(flat.get("description", ""))):
            values.append(text)
        yield from (value for value in values if not isinstance(value, dict | list) and self._fits(node, value))

    def _fits(self, node: _Node, value: object) -> bool:
        """Is the value allowed here, as far as the place's own keywords say? Its options were looked at before."""
        if "enum" in node.flat:
            return matches_type(value, node.flat)
        own = {key: node.flat[key] for key in _LEAF if key in node.flat} | {"type": node.kind}
        if patterns := node.flat.get("patterns"):
            own["allOf"] = [{"pattern": pattern} for pattern in patterns]
        return self._leaves.accept(own, _json(value))

    # Arrays.

    def _array(self, node: _Node, is_required: bool) -> JsonValue:
        flat = node.flat
        fewest, most = _bounds(flat, "minItems", "maxItems")
        values = self._prefix(node, fewest, most, is_required)
        items = flat.get("items", flat.get("unevaluatedItems", True))
        if items is False:
            return values
        values += self._said_items(node, items, len(values), most, least=1 if is_required else STRONG)
        if "contains" in flat:
            wanted = max(0, int(flat.get("minContains", 1)))
            fewest = max(fewest, min(wanted, MAX_ITEMS))
        elif is_required and not node.is_recursing and not values and len(node.path) < 6:
            fewest = max(fewest, min(1, most))  # an empty list tells less than one example
        first = len(values)
        for index in range(first, min(fewest, most)):
            part = {"allOf": [items, flat["contains"]]} if "contains" in flat else items
            self._add(values, self._item(node, part, index, salt=index - first), node)
            if not self._budget.spend():
                break
        return values

    def _prefix(self, node: _Node, fewest: int, most: int, is_required: bool) -> list[JsonValue]:
        parts = node.flat.get("prefixItems", [])
        wanted = parts[: min(most, len(parts) if is_required and not node.is_recursing else fewest)]
        nodes = [self._item(node, part, index) for index, part in enumerate(wanted[:MAX_ITEMS])]
        return [_present(self._value(item)) for item in nodes]

    def _item(self, node: _Node, schema: object, index: int, *, salt: int = 0) -> _Node:
        return self._node(schema, (*node.path, index), _singular(node.name), within=node, salt=salt)

    def _said_items(self, node: _Node, items: object, start: int, most: int, *, least: int) -> list[JsonValue]:
        """Items that the user gave: everything of the kind that fits best; the parts of a list that is one phrase."""
        item = self._item(node, items, start)
        if not item.is_scalar or "const" in item.flat or self._choices.pick(node.path, "items", 2):
            return []
        offers = [offer for offer in self._offers(item) if self._hints.is_free(offer) and offer.kind != "whole"]
        if not offers or offers[0].score < least:
            return []
        best = offers[0]
        if best.kind in _PHRASES and item.kind == "string":
            parts = [part for part in _parts(best, self._hints.text) if self._fits(item, part)]
            self._hints.use(node.param, best)
            return _distinct(parts)[:most]
        alike = [c for c in offers if c.kind == best.kind and c.score > best.score - 50][: min(most, MAX_ITEMS)]
        for offer in alike:
            self._hints.use(node.param, offer)
        values = [_json(offer.value) for offer in sorted(alike, key=lambda offer: offer.start)]
        return _distinct(values) if node.flat.get("uniqueItems") or "enum" in item.flat else values

    def _add(self, values: list[JsonValue], item: _Node, node: _Node) -> None:
        """Append another item, one that is not there yet where all must differ."""
        value = _present(self._value(item))
        if node.flat.get("uniqueItems"):
            known = {key_of(other) for other in values}
            for salt in range(item.salt + 1, item.salt + 20):
                if key_of(value) not in known:
                    break
                value = _present(self._value(replace(item, salt=salt)))
        values.append(value)

    # Objects.

    def _object(self, node: _Node) -> JsonValue:
        flat = self._with_dependents(node.flat)
        required = _names(flat.get("required", ()))
        properties: dict[str, Any] = flat.get("properties", {})
        fewest, most = _bounds(flat, "minProperties", "maxProperties")
        order = [
            *(name for name in properties if name in required),
            *(name for name in required if name not in properties),
        ]
        optional = [name for name in list(properties)[: MAX_OPTIONAL * 2] if name not in required][:MAX_OPTIONAL]
        if node.is_recursing or len(order) >= most:
            optional = []
        nodes = {
            name: self._node(self._property(flat, name), (*node.path, name), name, within=node, salt=node.salt)
            for name in [*order[:MAX_ITEMS], *optional]
            if properties.get(name) is not False
        }
        values = self._assigned(nodes, required)
        self._complete(values, nodes, required)
        for name in optional:
            if len(values) < fewest and name not in values and name in nodes:
                values[name] = _present(self._value(nodes[name]))
        self._invent(node, flat, values, fewest)
        places = {name: place for place, name in enumerate([*order, *optional])}
        kept = sorted(values, key=lambda name: places.get(name, len(places)))[: max(most, len(required))]
        return {name: values[name] for name in kept}

    def _with_dependents(self, flat: dict[str, Any]) -> dict[str, Any]:
        """Add what the required properties bring with them."""
        merged, done = dict(flat), set[str]()
        for _ in range(20):
            names = [n for n in _names(merged.get("required", ())) if n not in done]
            if not names:
                break
            done.update(names)
            for name in names[:MAX_ITEMS]:
                if isinstance(more := merged.get("dependentRequired", {}).get(name), list):
                    merge(merged, {"required": more})
                if isinstance(part := merged.get("dependentSchemas", {}).get(name), dict):
                    merge(merged, part)
        return merged

    def _assigned(self, nodes: dict[str, _Node], required: Iterable[str]) -> dict[str, JsonValue]:
        """Values for the scalar properties out of what was said: the best match of all first, then the next."""
        pairs: list[tuple[int, bool, int, int, str, Candidate]] = []
        offers: dict[str, list[Candidate]] = {}
        needed = frozenset(required)
        for place, (name, node) in enumerate(nodes.items()):
            if not node.is_scalar or self._choices.pick(node.path, "value", SAMPLES):
                continue
            offers[name] = self._offers(node)
            strong = [offer for offer in offers[name] if offer.score >= STRONG]
            pairs += [(-offer.score, name not in needed, place, offer.start, name, offer) for offer in strong]
        values: dict[str, JsonValue] = {}
        for *_, name, offer in sorted(pairs, key=lambda pair: pair[:4]):
            if name not in values and self._hints.is_free(offer):
                self._hints.use(nodes[name].param, offer, offers[name])
                values[name] = _json(offer.value)
        return values

    def _complete(self, values: dict[str, JsonValue], nodes: dict[str, _Node], required: Iterable[str]) -> None:
        """The properties that have no value yet: lists, then scalars, which take what is left, then objects."""
        needed = frozenset(required)
        ranks = {"array": 0, "object": 2}
        rest = [name for name in nodes if name not in values]
        for name in sorted(rest, key=lambda name: 1 if nodes[name].is_scalar else ranks.get(nodes[name].kind, 1)):
            if nodes[name].is_scalar and name not in needed:
                continue  # the user did not speak of it
            value = self._value(nodes[name], is_required=name in needed)
            if not isinstance(value, _Absent):
                values[name] = value

    def _property(self, flat: dict[str, Any], name: str) -> object:
        """All that an object says of its property `name`."""
        parts = [flat["properties"][name]] if name in flat.get("properties", {}) else []
        for pattern, part in list(flat.get("patternProperties", {}).items())[:MAX_PARTS]:
            if self._leaves.accept({"pattern": pattern}, name):
                parts.append(part)
        if not parts:
            parts = [flat[key] for key in ("additionalProperties", "unevaluatedProperties") if key in flat][:1]
        if False in parts:
            return False
        return parts[0] if len(parts) == 1 else {"allOf": parts} if parts else True

    def _invent(self, node: _Node, flat: dict[str, Any], values: dict[str, JsonValue], fewest: int) -> None:
        """Properties that the schema counts but does not name."""
        number = 0
        while len(values) < fewest and number < fewest + 20 and self._budget.spend():
            name = f"key{number + 1}"
            if "propertyNames" in flat:
                named = self._node(flat["propertyNames"], (*node.path, name), "key", salt=number)
                made = self._scalar(named, None)
                name = made if isinstance(made, str) else name
            number += 1
            if name not in values and (schema := self._property(flat, name)) is not False:
                values[name] = _present(self._value(self._node(schema, (*node.path, name), name, within=node)))


_LEAF = ("minLength", "maxLength", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_PHRASES = frozenset({"search", "said", "about", "thing", "pair", "named", "type"})  # hints that may hold a whole list


def _json(value: Any) -> JsonValue:
    """What came out of a schema or a hint is JSON."""
    return value  # type: ignore[no-any-return]


def _present(value: Maybe) -> JsonValue:
    return None if isinstance(value, _Absent) else value


def _bounds(flat: dict[str, Any], least: str, most: str) -> tuple[int, int]:
    return int(min(flat.get(least, 0), MAX_ITEMS)), int(min(flat.get(most, MAX_ITEMS), MAX_ITEMS))


def _names(required: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(name for name in required if isinstance(name, str)))


def _singular(name: str) -> str:
    """ "cities" holds a city."""
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _parts(phrase: Candidate, text: str) -> list[JsonValue]:
    """The items of a list that was read as one phrase; of "tags: a, b" the pair holds only the first."""
    said = str(phrase.value)
    if phrase.kind == "pair":
        said = re.split(r"[.!?](?:\s|$)|[;\n\]}]", text[phrase.start : phrase.start + 1000])[0]
        said = re.split(r",?\s+(?:and\s+)?[A-Za-z_][\w-]{0,40}\s?[:=]", said)[0]
    parts = re.split(r",\s*(?:and\s|or\s)?|\s(?:and|or|&)\s", said)
    return [part.strip(" \"'`[]()") for part in parts if part.strip(" \"'`[]()")]


def _distinct(values: list[JsonValue]) -> list[JsonValue]:
    return list({key_of(value): value for value in values}.values())
