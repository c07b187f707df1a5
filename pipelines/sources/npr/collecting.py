"""Takes the elements of a message as a parser meets them, and hands whole records out in batches."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from pipelines.sources.npr.elements import (
    ELEMENTS,
    FIRST_VERSION,
    LAST_VERSION,
    MELDING,
    MODULES,
    NAMESPACE,
    PARENTS,
    PART_NAMES,
    RECORD_NAMES,
    Element,
)

MOST_DEPTH = 64
Attributes = dict[str, str]
Children = dict[str, Any]
OUT_OF_PLACE = "element out of place"
NOT_READ = "element is not read"
OTHER_VERSION = f"version is not read: {FIRST_VERSION} to {LAST_VERSION} are"
OTHER_NAMESPACE = "namespace is none of NPR-melding"
OTHER_MODULE = f"module is not read: {', '.join(sorted(MODULES))} are"
PACKED = "message is packed as base64 text"
NO_MESSAGE = "no NPR-melding in it"
_CONTAINER = "Base64Container"
"""What the envelope's standard (KITH) has a document in that is sent as base64 text."""


class RefusedError(Exception):
    """Something that no message holds: reading ends here."""


@dataclass(frozen=True)
class Astray:
    """An element that is no row: where it begins, its table, what becomes of it, and why."""

    offset: int
    table: str
    fate: str
    reason: str


@dataclass(frozen=True)
class Break:
    """Where and why reading ended before the end; open_from is where the record begins that was open then."""

    offset: int
    reason: str
    open_from: int | None


@dataclass
class Met:
    """The elements of one store, in order; the first n_told were in an earlier batch, too."""

    attributes: list[Attributes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    n_told: int = 0


@dataclass(frozen=True)
class Batch:
    """Whole records of one file, with the containers that they stand in."""

    met: dict[str, Met]
    astray: list[Astray]
    notes: Counter[tuple[str, str]]
    end: Break | None = None


class Collector:
    """Takes elements as the parser meets them."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self.met = {store: Met() for store in ELEMENTS}
        self.astray: list[Astray] = []
        self.notes: Counter[tuple[str, str]] = Counter()
        self._n_messages = 0
        self._trees: dict[str, Children] = {}
        self._store_of: dict[int, str] = {}
        self._outside: Children = {}
        self._skipped: Children = {}
        self._unread: Children = {}
        self._misplaced: Children = {}
        self._stack: list[Children] = []
        self._current = self._set_handlers()

    def _set_handlers(self) -> Callable[[], Children]:
        """Have the parser tell of elements; what is called to know which one is open."""
        parser, astray = self._parser, self._gone_astray
        push, pop = self._stack.append, self._stack.pop
        children = self._outside

        def start(tag: str, attributes: Attributes) -> None:
            nonlocal children
            push(children)
            known = children.get(tag)
            if known is None:
                children = astray(tag, attributes, children)
            else:
                add, place, children = known
                add(attributes)
                place(parser.CurrentByteIndex)

        def end(tag: str) -> None:
            nonlocal children
            children = pop()

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        return lambda: children

    @property
    def n_held(self) -> int:
        """How many elements are held."""
        return sum(len(met.offsets) for met in self.met.values()) + len(self.astray)

    def _gone_astray(self, tag: str, attributes: Attributes, parent: Children) -> Children:
        """What an element's own parts may be, where the element is not one that its parent holds."""
        if len(self._stack) > MOST_DEPTH:
            raise RefusedError("elements are nested too deep")
        uri, _, name = tag.rpartition(" ")
        if parent is self._outside:
            return self._entered(uri, name, attributes)
        if parent is self._skipped:
            return parent
        is_known = name in RECORD_NAMES or name in PART_NAMES
        is_unread = parent is self._unread or not is_known
        fate, reason = ("ignored", NOT_READ) if is_unread else ("rejected", OUT_OF_PLACE)
        table = name if name in RECORD_NAMES else ""
        self.astray.append(Astray(self._parser.CurrentByteIndex, table, fate, reason))
        self.notes[
            "elements not read" if is_unread else "elements out of place", name if is_known else "other"
        ] += 1
        return self._unread if is_unread else self._misplaced

    def _entered(self, uri: str, name: str, attributes: Attributes) -> Children:
        """The envelope, or the message in it."""
        offset = self._parser.CurrentByteIndex
        if name == _CONTAINER:
            self._n_messages += 1
            self.astray.append(Astray(offset, "", "rejected", PACKED))
            return self._skipped
        if name != MELDING.name:
            return self._outside
        self._n_messages += 1
        told = NAMESPACE.match(uri)
        if not told:
            self.astray.append(Astray(offset, MELDING.name, "rejected", OTHER_NAMESPACE))
            return self._skipped
        version, module = int(told[1]), told[3]
        if not FIRST_VERSION <= version <= LAST_VERSION:
            self.astray.append(Astray(offset, MELDING.name, "rejected", OTHER_VERSION))
            return self._skipped
        if module not in MODULES:
            self.astray.append(Astray(offset, MELDING.name, "ignored", OTHER_MODULE))
            return self._skipped
        self.notes["versions", f"{version}{told[2].replace('_', '.')} {module}"] += 1
        attributes["modul"], attributes["versjon"] = module, str(version)
        if uri not in self._trees:
            self._trees[uri] = self._tree(MELDING, uri)
        self.met[MELDING.key].attributes.append(attributes)
        self.met[MELDING.key].offsets.append(offset)
        return self._trees[uri]

    def _tree(self, element: Element, uri: str) -> Children:
        """By tag: where the attributes and the position go, and what the element may hold in turn."""
        children = {
            f"{uri} {part.name}": (
                self.met[part.key].attributes.append,
                self.met[part.key].offsets.append,
                self._tree(part, uri),
            )
            for part in element.parts
        }
        self._store_of[id(children)] = element.key
        return children

    def _open_record(self) -> int | None:
        """Where the outermost record begins that is not at its end yet."""
        for children in (*self._stack, self._current()):
            store = self._store_of.get(id(children))
            if store and not ELEMENTS[store].is_container:
                return self.met[store].offsets[-1]
        return None

    def take(self, end: Break | None = None, *, is_last: bool = False) -> Batch:
        """The records that are whole; containers are kept for those that follow.

        Args:
            end: why nothing follows, where that is not the end of the file.
            is_last: whether all is taken.
        """
        if is_last and not end and not self._n_messages:
            self.astray.append(Astray(0, "", "rejected", NO_MESSAGE))
        cut = None if is_last else self._open_record()
        taken = {store: self._taken(store, cut) for store in self.met}
        n_astray = len(self.astray)
        if cut is not None:
            n_astray = bisect_left([one.offset for one in self.astray], cut)
        astray, self.astray = self.astray[:n_astray], self.astray[n_astray:]
        notes, self.notes = self.notes, Counter()
        return Batch(taken, astray, notes, end)

    def _taken(self, store: str, cut: int | None) -> Met:
        met = self.met[store]
        n = len(met.offsets) if cut is None else bisect_left(met.offsets, cut)
        taken = Met(met.attributes[:n], met.offsets[:n], met.n_told)
        n_gone = n
        if ELEMENTS[store].is_container:
            n_gone = max(n - 1, 0)
        elif store == "Enhet":
            institutions = self.met[PARENTS[store]].offsets
            n_gone = min(n, bisect_left(met.offsets, institutions[-1]) if institutions else 0)
        del met.attributes[:n_gone], met.offsets[:n_gone]
        met.n_told = n - n_gone
        return taken

    def broken(self, reason: str, offset: int) -> Break:
        """The end of reading at a fault."""
        return Break(offset, reason, self._open_record())
