"""A request of the Messages API, cut to what Claude takes on a cloud. Pure; names no cloud: see `Cloud`.

Clouds read bodies strictly: a field, a beta or a tool that one does not know is a 400 for the whole request ("Extra
inputs are not permitted", "invalid beta flag"). So what it does not take is left out and told (`lost`). History is
never written anew: of the turns only what would be refused is touched, the same way in every request, so that what was
cached and signed stays so. What stays keeps its bytes.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct

from dragoman.wire.envelope import Envelope

from .cloud_claude_models import NONE, Claude, Support, claude_of, supporting
from .raw_json import encoded, members

__all__ = ["Cloud", "CloudRequest", "FieldRule", "ObjectRule", "fitted"]

NULL = Raw(b"null")
NOTHING = frozenset({b"null"})
DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a name that may stand in a header
MOST_NAMES, OTHERS = 40, "others"  # what is told of a request with more of them than anybody reads
MARKED = ("system", "tools", "messages")  # fields with marks for the cache in their blocks


class Cloud(Struct, frozen=True, kw_only=True):
    """What Claude takes on a cloud, for one operation: tables, by the models that support each thing."""

    fields: Mapping[str, Support]  # of the request; any other is refused
    elsewhere: frozenset[str]  # fields that the cloud has in another place: they go without a word
    rules: "Mapping[str, FieldRule]"  # what is looked at within a field, in this order
    marks: "FieldRule"  # what is looked at in marks for the cache, wherever they stand
    # Betas, as callers name them, with the names that go out; a row without one: the model does it unasked.
    betas: Mapping[str, Support]
    # Betas without their dates, of features that fields ask for: the field tells what is lost, and is given its beta.
    betas_of_fields: frozenset[str] = frozenset()


class FieldRule(Protocol):
    """Looks at one field of a request."""

    def apply(self, request: "CloudRequest", name: str) -> None:
        """Raises CannotCarry for what can neither go out nor be left out."""
        ...


class CloudRequest:
    """One request on its way to a cloud; what is lost, named and changed grows as rules look at it."""

    def __init__(self, envelope: Envelope, model: Claude) -> None:
        self.lost: dict[str, None] = {}  # by the names of the Messages API, each once; a beta is "betas.NAME"
        self.requested: dict[str, None] = {}  # betas that the caller named and the model takes
        self.required: dict[str, None] = {}  # betas that what is in the request needs
        self.fields = envelope.fields
        self.dropped: set[str] = set()
        self.replaced: dict[str, Any] = {}
        self.model = model
        self._envelope = envelope

    def body(self, added: Mapping[str, Any]) -> bytes:
        """What goes out, with fields that the cloud wants beside the caller's."""
        return self._envelope.edited(self.dropped - added.keys(), {**self.replaced, **added})

    def field(self, name: str) -> Raw | None:
        """As it will go out; None where it is missing, null, or gone."""
        raw = self.fields.get(name)
        if raw is None or raw == NULL or name in self.dropped:
            return None
        changed: Raw = self.replaced.get(name, raw)
        return changed

    def keeps(self, name: str, support: Support, *, is_silent: bool = False) -> bool:
        """Whether something can go out: with the beta that it needs; otherwise it is lost, and told unless silent."""
        row = supporting(support, self.model)
        if row is None:
            if not is_silent:
                self.lose(name)
            return False
        if row.beta is not None:
            self.required[row.beta] = None
        return True

    def lose(self, name: str) -> None:
        is_told = len(self.lost) < MOST_NAMES and PLAIN.fullmatch(name) is not None
        self.lost[name if is_told else OTHERS] = None

    def drop(self, name: str) -> None:
        """A field goes, without a word."""
        self.dropped.add(name)
        self.replaced.pop(name, None)

    def replace(self, name: str, value: Any) -> None:
        """A field by what is left of it; nothing is no field."""
        if value:
            self.replaced[name] = encoded(value)
        else:
            self.drop(name)

    def replace_items(self, name: str, before: Sequence[Raw], after: Iterable[Raw | None]) -> None:
        """A field whose items were changed, or went. An item that was not changed keeps its bytes."""
        kept = [each for each in after if each is not None]
        if len(kept) < len(before) or any(new is not old for new, old in zip(kept, before, strict=True)):
            self.replace(name, kept)


class ObjectRule(Struct, frozen=True, kw_only=True):
    """What of an object's members is taken."""

    members: Mapping[str, Support]
    values: Mapping[tuple[str, bytes], Support] = {}  # of a member with one certain value
    is_open: bool = False  # members that are not named here are taken too
    defaults: Collection[bytes] = NOTHING  # values that say no more than a missing member: they go without a word

    def apply(self, request: CloudRequest, name: str) -> None:
        """What is left of a field that is an object."""
        told = members(request.field(name))
        if told is None:
            return
        kept = self.kept(request, name, told)
        if len(kept) < len(told):
            request.replace(name, kept)

    def kept(self, request: CloudRequest, path: str, told: Mapping[str, Raw]) -> Mapping[str, Raw]:
        """The very same where all is taken."""
        named = [name for name in self.members if name in told]
        others = [] if self.is_open else [name for name in told if name not in self.members]
        gone = {name for name in (*named, *others) if not self._keeps(request, path, name, told[name])}
        return {name: raw for name, raw in told.items() if name not in gone} if gone else told

    def _keeps(self, request: CloudRequest, path: str, name: str, raw: Raw) -> bool:
        value = bytes(raw)
        support = self.values.get((name, value), self.members.get(name, NONE))
        return request.keeps(f"{path}.{name}", support, is_silent=value in self.defaults)


def fitted(envelope: Envelope, betas: Iterable[str], *, model: str, cloud: Cloud) -> CloudRequest:
    """Raises CannotCarry for what can neither go out nor be left out."""
    request = CloudRequest(envelope, claude_of(model))
    for name, raw in envelope.fields.items():
        if name in cloud.elsewhere or not request.keeps(name, cloud.fields.get(name, NONE), is_silent=raw == NULL):
            request.drop(name)
    _request_betas(request, betas, cloud)
    for name, rule in cloud.rules.items():
        rule.apply(request, name)
    for name in MARKED:
        cloud.marks.apply(request, name)
    return request


def _request_betas(request: CloudRequest, betas: Iterable[str], cloud: Cloud) -> None:
    for beta in betas:
        if DATE.sub("", beta) in cloud.betas_of_fields:
            continue
        row = supporting(cloud.betas.get(beta, NONE), request.model)
        if row is None:
            request.lose(f"betas.{beta}")
        elif row.beta is not None:
            request.requested[row.beta] = None
