"""An example value for a JSON Schema, made of what the user said where it fits: the input of the engine's calls.

Imports only what stands beside it: `nodes` reads the schema, `wire.jsonschema` checks the value, and `hints`
says what the user said.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any, Final, TypeAlias

from dragoman.engines.offline.hints.hints import STRONG, Candidate, Hints
from dragoman.engines.offline.hints.words import singular
from dragoman.wire.jsonschema import Checker, Document, JsonValue, Schema, as_json

from .merge import key_of, merge
from .nodes import MAX_PARTS, SAMPLES, Budget, Node, Reader
from .values import described, number_sample, string_samples

__all__ = ["MAX_STEPS", "JsonValue", "fill"]

MAX_ATTEMPTS = 100  # to mend a value that the check refuses
MAX_STEPS = 4_000  # of all attempts together: some tenths of a second
MAX_ITEMS = 1_000  # of one array
MAX_REQUIRED = 2_000  # required properties of one object: as many as a schema of the subset has (MSG-68)
MAX_OPTIONAL = 200  # optional properties of one object that are considered
MAX_DEPTH = 40  # levels of one value
SPREAD = 1_000  # from this salt on, the properties of one object vary each at its own pace


def fill(schema: Schema, hints: Hints, *, name: str = "", steps: int = MAX_STEPS) -> JsonValue:
    """A value for `schema` (JSON Schema 2020-12, formats asserted), with the user's words where they fit.

    Required properties come first, in the schema's order, then those optional ones that the user spoke of. `name` is
    that of the parameter, when the schema is not an object's. Afterwards `hints.taken` says what was used.

    The value is checked; where a hint makes it invalid it goes without the hint. Same arguments, same value. Never
    raises, fetches nothing, and ends within about a second whatever the schema is. Best effort, and so perhaps not
    valid, are values of schemas that nothing fits, that are no schemas, that refer to elsewhere, that would take too
    long to check, or that ask for more than MAX_ITEMS items, MAX_DEPTH levels or `steps` steps of some 100 us.
    """
    document = Document(schema)
    checker = Checker(document)
    first: tuple[JsonValue, Hints] | None = None
    for source, share in ((hints, steps), (Hints.none(), steps // 2)):
        budget = Budget(share)
        reader = Reader(document, source, budget)
        for _ in range(MAX_ATTEMPTS):
            used = source.fresh()
            value = _present(_Maker(reader, used, budget).value(reader.node(schema, (), name)))
            wrong = checker.wrong(value)
            if wrong is None:
                hints.taken = used.taken
                return value
            first = first or (value, used)
            if not budget.spend(1 + checker.visits // 40) or not reader.choices.change(wrong):
                break
    assert first is not None
    hints.taken = first[1].taken
    return first[0]


class _Absent:
    """No value: an optional one that the user did not speak of."""


ABSENT: Final = _Absent()
Maybe: TypeAlias = "JsonValue | _Absent"


class _Maker:
    """Makes one value of what the reader reads, and uses up hints on the way."""

    def __init__(self, reader: Reader, hints: Hints, budget: Budget) -> None:
        self._reader = reader
        self._hints = hints
        self._budget = budget

    def value(self, node: Node, *, is_required: bool = True) -> Maybe:
        if not self._budget.spend() or len(node.path) > MAX_DEPTH:
            return as_json({"object": {}, "array": [], "string": "", "boolean": False, "null": None}.get(node.kind, 0))
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

    def _take(self, node: Node, *, least: int) -> Candidate | None:
        if self._reader.choices.pick(node.path, "value", SAMPLES):
            return None  # what was said here has been refused
        least = max(least, STRONG) if node.salt else least
        # Two texts of one meaning may be the same; numbers are each for one parameter.
        return self._hints.take(
            node.param, among=self._reader.offers(node), least=least, may_share=node.kind == "string"
        )  # fmt: skip

    def _scalar(self, node: Node, offer: Candidate | None) -> JsonValue:
        flat = node.flat
        variant = self._reader.choices.pick(node.path, "value", SAMPLES) + node.salt
        if "const" in flat:
            return as_json(flat["const"])
        if offer is not None:
            self._budget.spend(len(offer.value) // 50 if isinstance(offer.value, str) else 0)
            return as_json(offer.value)
        if "enum" in flat:
            return self._option(node, variant)
        if variant == 0 and (spare := list(islice(self._spare(node), 1))):
            return spare[0]
        if node.kind == "boolean":
            return bool(variant % 2)
        if node.kind == "null":
            return None
        if node.kind in {"integer", "number"}:
            is_whole = node.kind == "integer"
            numbers = (
                number_sample(flat, whole=is_whole, variant=other) for other in range(variant, variant + SAMPLES)
            )
            return self._first_fitting(node, numbers)
        role, spend = node.param.role, self._budget.spend
        return self._first_fitting(
            node, string_samples(flat, role, variant=variant, said=self._hints.text, spend=spend)
        )  # fmt: skip

    def _first_fitting(self, node: Node, samples: Iterator[JsonValue]) -> JsonValue:
        """The first sample that the place allows; the first of all where none is found."""
        first = sample = next(samples)
        for tried in count():
            self._budget.spend((tried > SAMPLES) + (len(sample) // 50 if isinstance(sample, str) else 0))
            if self._reader.fits(node, sample):
                return sample
            following = next(samples, ABSENT) if self._budget.spend(0) else ABSENT
            if isinstance(following, _Absent):
                break
            sample = following
        return first

    def _option(self, node: Node, variant: int) -> JsonValue:
        flat = node.flat
        options = [option for option in flat["enum"][:MAX_ITEMS] if self._reader.fits(node, option)]
        options = options or flat["enum"] or [None]
        default = flat.get("default")
        if variant == 0 and any(key_of(option) == key_of(default) for option in options[:50]) and "default" in flat:
            return as_json(default)
        return as_json(options[variant % len(options)])

    def _spare(self, node: Node) -> Iterator[JsonValue]:
        """What the schema itself offers: its default, an example, one in its description."""
        flat = node.flat
        values = [flat[key] for key in ("default",) if key in flat] + flat.get("examples", [])[:5]
        if node.kind == "string" and (text := described(flat.get("description", ""))):
            values.append(text)
        yield from (value for value in values if not isinstance(value, dict | list) and self._reader.fits(node, value))

    # Arrays.

    def _array(self, node: Node, is_required: bool) -> JsonValue:
        flat = node.flat
        fewest, most = _bounds(flat, "minItems", "maxItems")
        values = self._prefix(node, fewest, most, is_required)
        items = flat.get("items", flat.get("unevaluatedItems", True))
        if items is False:
            return values
        wanted = min(int(flat.get("minContains", 1)), MAX_ITEMS) if "contains" in flat else 0
        room = most - len(values) - wanted
        values += self._said_items(node, items, len(values), room, least=1 if is_required else STRONG)
        if wanted:
            fewest = max(fewest, len(values) + wanted)
        elif is_required and not values and len(node.path) < 6 and not self._reader.recurs(items, node):
            fewest = max(fewest, min(1, most))  # an empty list tells less than one example
        first = len(values)
        both = {"allOf": [items, flat.get("contains", True)]}
        for place, index in enumerate(range(first, min(fewest, most))):
            part, salt = (both, place) if place < wanted else (items, place - wanted)
            self._add(values, self._item(node, part, index, salt=node.salt + salt), node)
            if not self._budget.spend():
                break
        return values

    def _prefix(self, node: Node, fewest: int, most: int, is_required: bool) -> list[JsonValue]:
        parts = node.flat.get("prefixItems", [])
        wanted = parts[: min(most, len(parts) if is_required and not node.is_recursing else fewest)]
        nodes = [self._item(node, part, index) for index, part in enumerate(wanted[:MAX_ITEMS])]
        return [_present(self.value(item)) for item in nodes]

    def _item(self, node: Node, schema: object, index: int, *, salt: int = 0) -> Node:
        return self._reader.node(schema, (*node.path, index), singular(node.name), within=node, salt=salt)

    def _said_items(self, node: Node, items: object, start: int, most: int, *, least: int) -> list[JsonValue]:
        """Items that the user gave: everything of the kind that fits best; the parts of a list that is one phrase."""
        if most <= 0:
            return []
        item = self._item(node, items, start)
        if not item.is_scalar or "const" in item.flat or self._reader.choices.pick(node.path, "items", 2):
            return []
        offers = [offer for offer in self._reader.offers(item) if self._hints.is_free(offer) and offer.kind != "whole"]
        if not offers or offers[0].score < least:
            return []
        best = offers[0]
        if best.kind in _PHRASES and item.kind == "string":
            parts = [part for part in _parts(best, self._hints.text) if self._reader.fits(item, part)]
            self._hints.use(node.param, best)
            return _distinct(parts)[:most]
        alike = [c for c in offers if c.kind == best.kind and c.score > best.score - 50][: min(most, MAX_ITEMS)]
        for offer in alike:
            self._hints.use(node.param, offer)
        values = [as_json(offer.value) for offer in sorted(alike, key=lambda offer: offer.start)]
        return _distinct(values) if node.flat.get("uniqueItems") or "enum" in item.flat else values

    def _add(self, values: list[JsonValue], item: Node, node: Node) -> None:
        """Append another item, one that is not there yet where all must differ."""
        value = _present(self.value(item))
        if node.flat.get("uniqueItems"):
            known = {key_of(other) for other in values}
            for salt in (*range(item.salt + 1, item.salt + 20), *range(SPREAD, SPREAD + 40)):
                if key_of(value) not in known or not self._budget.spend():
                    break
                if salt >= SPREAD and self._reader.choices.vary(item.path):
                    item = self._item(node, item.schema, len(values), salt=salt)
                value = _present(self.value(replace(item, salt=salt)))
        values.append(value)

    # Objects.

    def _object(self, node: Node) -> JsonValue:
        flat = self._with_dependents(node.flat)
        required = dict.fromkeys(_names(flat.get("required", ())))  # a set that keeps its order
        properties: dict[str, Any] = flat.get("properties", {})
        fewest, most = _bounds(flat, "minProperties", "maxProperties")
        order = [
            *(name for name in properties if name in required),
            *(name for name in required if name not in properties),
        ]
        optional = [name for name in list(properties)[: MAX_OPTIONAL * 2] if name not in required][:MAX_OPTIONAL]
        if node.is_recursing or len(order) >= most:
            optional = []
        optional = [name for name in optional if name not in flat.get("dependentSchemas", {})]
        nodes = {
            name: self._reader.node(
                self._property(flat, name), (*node.path, name), name, within=node, salt=_spread(node.salt, place)
            )
            for place, name in enumerate([*order[:MAX_REQUIRED], *optional])
            if properties.get(name) is not False
        }
        values = self._assigned(nodes, required)
        self._complete(values, nodes, required)
        for name in optional:
            if len(values) < fewest and name not in values and name in nodes:
                values[name] = _present(self.value(nodes[name]))
        self._follow(flat, values, nodes)
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

    def _assigned(self, nodes: dict[str, Node], required: Iterable[str]) -> dict[str, JsonValue]:
        """Values for the scalar properties out of what was said: the best match of all first, then the next."""
        pairs: list[tuple[int, bool, int, int, str, Candidate]] = []
        offers: dict[str, list[Candidate]] = {}
        needed = frozenset(required)
        for place, (name, node) in enumerate(nodes.items()):
            if not node.is_scalar or self._reader.choices.pick(node.path, "value", SAMPLES):
                continue
            offers[name] = self._reader.offers(node)
            strong = [offer for offer in offers[name] if offer.score >= STRONG]
            pairs += [(-offer.score, name not in needed, place, offer.start, name, offer) for offer in strong]
        values: dict[str, JsonValue] = {}
        for *_, name, offer in sorted(pairs, key=lambda pair: pair[:4]):
            if name not in values and self._hints.is_free(offer):
                self._hints.use(nodes[name].param, offer, offers[name])
                values[name] = as_json(offer.value)
        return values

    def _complete(self, values: dict[str, JsonValue], nodes: dict[str, Node], required: Iterable[str]) -> None:
        """The properties that have no value yet: lists, then scalars, which take what is left, then objects."""
        needed = frozenset(required)
        ranks = {"array": 0, "object": 2}
        rest = [name for name in nodes if name not in values]
        for name in sorted(rest, key=lambda name: 1 if nodes[name].is_scalar else ranks.get(nodes[name].kind, 1)):
            if nodes[name].is_scalar and name not in needed:
                continue  # the user did not speak of it
            value = self.value(nodes[name], is_required=name in needed)
            if not isinstance(value, _Absent):
                values[name] = value

    def _follow(self, flat: dict[str, Any], values: dict[str, JsonValue], nodes: dict[str, Node]) -> None:
        """What the optional properties that are there bring with them, and so on."""
        dependents = flat.get("dependentRequired", {})
        pending = list(values) if dependents else []
        while pending:
            names = dependents.get(pending.pop())
            for name in _names(names if isinstance(names, list) else ()):
                if name not in values and name in nodes:
                    values[name] = _present(self.value(nodes[name]))
                    pending.append(name)

    def _property(self, flat: dict[str, Any], name: str) -> object:
        """All that an object says of its property `name`."""
        parts = [flat["properties"][name]] if name in flat.get("properties", {}) else []
        for pattern, part in list(flat.get("patternProperties", {}).items())[:MAX_PARTS]:
            if self._reader.leaves.accept({"pattern": pattern}, name):
                parts.append(part)
        if not parts:
            parts = [flat[key] for key in ("additionalProperties", "unevaluatedProperties") if key in flat][:1]
        if False in parts:
            return False
        return parts[0] if len(parts) == 1 else {"allOf": parts} if parts else True

    def _invent(self, node: Node, flat: dict[str, Any], values: dict[str, JsonValue], fewest: int) -> None:
        """Properties that the schema counts but does not name."""
        if len(values) >= fewest:
            return
        for name in self._invented(node, flat, fewest + 20):
            if name not in values and (schema := self._property(flat, name)) is not False:
                values[name] = _present(self.value(self._reader.node(schema, (*node.path, name), name, within=node)))
            if len(values) >= fewest or not self._budget.spend():
                return

    def _invented(self, node: Node, flat: dict[str, Any], count: int) -> Iterator[str]:
        """Names that the object may have: any, then those that its `patternProperties` have something for."""
        allowed = flat.get("propertyNames", True)
        patterns = list(flat.get("patternProperties", {}))[:MAX_PARTS]
        rules = [{"allOf": [allowed, {"type": "string", "pattern": pattern}]} for pattern in patterns]
        if flat.get("additionalProperties") is not False:
            yield from (self._invented_name(node, allowed, number) for number in range(count))
        yield from (self._invented_name(node, rule, number) for number in range(count) for rule in rules)

    def _invented_name(self, node: Node, rule: object, number: int) -> str:
        name = f"key{number + 1}"
        if rule is True:
            return name
        made = self._scalar(self._reader.node(rule, (*node.path, name), "key", salt=number), None)
        return made if isinstance(made, str) else name


_PHRASES = frozenset({"search", "said", "about", "thing", "pair", "named", "type"})  # hints that may hold a whole list


def _spread(salt: int, place: int) -> int:
    """The salt of the property at `place`: gives all combinations of a few, where varying all alike is too little."""
    return salt if salt < SPREAD else SPREAD + ((salt - SPREAD) >> min(place, 60))


def _present(value: Maybe) -> JsonValue:
    return None if isinstance(value, _Absent) else value


def _bounds(flat: dict[str, Any], least: str, most: str) -> tuple[int, int]:
    return int(min(flat.get(least, 0), MAX_ITEMS)), int(min(flat.get(most, MAX_ITEMS), MAX_ITEMS))


def _names(required: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(name for name in required if isinstance(name, str)))


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
