"""The ontology as one asks it: labels, levels, what stands above and below, codes rolled up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ontology.concepts import CodeSystem
from ontology.errors import ConfigurationError, Problem
from ontology.graph import Graph
from ontology.normalising import Listed
from ontology.placing import placed
from ontology.rolling import nearest_targets
from ontology.systems import SYSTEMS, above_by_form, compact, has_own_groups, levels_by_form, parts, spelled
from ontology.texts import Text, chosen, is_language

LANGUAGES = ("nb", "no", "nn", "en")
"""In which language labels are given where nothing else is asked for: the first that a concept has."""


@dataclass(frozen=True)
class Source:
    """One file that an ontology was built from.

    Attributes:
        reader: the name of the reader that read it.
        file: the file's name, without folders.
        sha256: of its bytes.
    """

    reader: str
    file: str
    sha256: str


@dataclass(frozen=True, eq=False, repr=False)
class Ontology:
    """All code systems that were built together; immutable.

    Attributes:
        system: the tables; concepts sorted by concept, those that data added behind them.
        graph: the hierarchy; its names are the distinct concepts of the table in the same order.
        digest: sha256 of the sorted tables of the release; codes that data add do not change it.
        languages: the order in which labels are looked for.
        listed: the concepts that lists hold, without those that data added.
        sources: the files that the release was built from; none for the embedded one.
    """

    system: CodeSystem
    graph: Graph
    digest: str
    languages: tuple[str, ...]
    listed: Listed
    sources: tuple[Source, ...] = ()

    def __repr__(self) -> str:
        return f"Ontology({len(self.graph):,} concepts, digest {self.digest[:12]})"

    @property
    def systems(self) -> tuple[str, ...]:
        """The names of the code systems of which lists are held, sorted."""
        return tuple(sorted(self._levels_of_systems))

    def __contains__(self, concept: object) -> bool:
        return concept in self.graph.index

    def label(self, concept: str, language: str | None = None, on: date | None = None) -> str | None:
        """What a concept is called.

        A concept without a text of its own, or without one in the language, takes that of the same code in
        the edition it is placed under; one without any takes that of the nearest concept above, with its own
        code behind it.

        Args:
            concept: `SYSTEM//code`; one that is not listed is looked for as `normalise` does.
            language: the language wanted; others follow where it is not there.
            on: the day whose text is wanted; null or a day without a text = the latest.

        Returns:
            The label; None where neither the concept nor anything above it has one.
        """
        nearest = concept if concept in self.graph.index else self.listed.find(concept)[0]
        if nearest is None:
            return None
        written, names = _written(concept), self.graph.names
        same = [name for name in (nearest, *self.ancestors(nearest)) if _written(name) == written]
        texts = [text for name in same if (text := self._text(name, language, on)) is not None]
        in_language = [text for text in texts if language and is_language(text.language, language)]
        if texts:
            return (in_language or texts)[0].label
        at = self.graph.index[nearest]
        while at >= 0:
            if (text := self._text(names[at], language, on)) is not None:
                return f"{text.label} ({parts(concept)[1]})"
            at = int(self.graph.primary_parent[at])
        return None

    def level(self, concept: str) -> str | None:
        """The level of a concept in its system (chapter, block, category); None where it has none."""
        at = self.graph.index.get(concept)
        return None if at is None else self._levels[at]

    def levels(self, system: str) -> list[str]:
        """The levels of a system's concepts, sorted; none where neither a list nor the form tells any."""
        by_form = levels_by_form(system) if has_own_groups(system) else frozenset()
        return sorted(by_form.union(self._levels_of_systems.get(system, [])))

    def system_of(self, concept: str) -> str:
        """The system that a concept belongs to."""
        return parts(concept)[0]

    def ancestors(self, concept: str) -> list[str]:
        """All concepts above, those with the longest way to a root first; none for an unknown concept."""
        at = self.graph.index.get(concept)
        if at is None:
            return []
        way, names = self.graph.longest_way, self.graph.names
        return [
            names[i] for i in sorted(self.graph.ancestors(at).tolist(), key=lambda i: (-way[i], names[i]))
        ]

    def descendants_of(self, concepts: Iterable[str]) -> set[str]:
        """Concepts and everything below them.

        A concept that is not listed stands for the codes of its system that its form holds: ICD10CM//E11 for
        ICD10CM//E1165, whether or not the American edition is there.

        Args:
            concepts: `SYSTEM//code`.
        """
        index, names = self.graph.index, self.graph.names
        found: set[str] = set()
        for concept in concepts:
            found.add(concept)
            at = index.get(concept)
            if at is None:
                found |= self._below_by_form(concept)
            else:
                found.update(names[i] for i in self.graph.descendants(at).tolist())
        return found

    def with_codes(self, codes: Iterable[str | None]) -> Ontology:
        """The ontology with codes that only data have, each placed by its form under what is listed.

        Args:
            codes: `SYSTEM//code`; nulls and those that are there already change nothing.

        Returns:
            The same digest; new concepts carry the flag not_listed. Which place a code gets does not depend
            on the other codes.
        """
        new = sorted({code for code in codes if code and code not in self.graph.index})
        if not new:
            return self
        concepts, edges = placed(new, self.listed)
        is_there = pl.Series([name in self.graph.index for name in concepts["concept"]], dtype=pl.Boolean)
        concepts = concepts.filter(~is_there)
        edges = edges.join(concepts.select("concept"), left_on="child", right_on="concept", how="semi")
        system = replace(
            self.system,
            concepts=pl.concat([self.system.concepts, concepts]),
            edges=pl.concat([self.system.edges, edges]),
        )
        return replace(self, system=system, graph=self.graph.extended(concepts["concept"].to_list(), edges))

    def roll_up(self, codes: pl.Series, level: str | Sequence[str]) -> pl.Series:
        """Every code as the concept of a level that stands above it, or is it.

        Along primary parents the first concept of the level; where these lead past the level, of all
        ancestors there the one with the longest way to a root, then the first in text order.

        Args:
            codes: `SYSTEM//code`, nulls and empty texts allowed; those not listed are placed by their
                form.
            level: a level's name ("category"), that of one system ("ICD10//category"), or the wanted
                concepts.

        Returns:
            Concepts, in the order of `codes`; null where nothing of the level stands above.

        Raises:
            ConfigurationError: no system has that level.
        """
        distinct = codes.cast(pl.String).drop_nulls().unique()
        distinct = distinct.filter(distinct != "")
        ontology = self.with_codes(distinct.to_list())
        targets = ontology._targets(level)
        index, names = ontology.graph.index, np.array(ontology.graph.names, dtype=object)
        places = np.fromiter((index[code] for code in distinct), np.int32, len(distinct))
        above = nearest_targets(ontology.graph, places, targets)
        found = pl.Series([names[i] if i >= 0 else None for i in above], dtype=pl.String)
        told = pl.DataFrame({"code": distinct, "concept": found})
        return (
            codes.cast(pl.String)
            .rename("code")
            .to_frame()
            .join(told, on="code", how="left", maintain_order="left")["concept"]
        ).rename(codes.name)

    def _targets(self, level: str | Sequence[str]) -> NDArray[np.bool_]:
        names = self.graph.names
        if not isinstance(level, str):
            wanted = set(level)
            return np.fromiter((name in wanted for name in names), np.bool_, len(names))
        system, name = parts(level)
        known = {of: self.levels(of) for of in sorted({*self.systems, *SYSTEMS}) if system in {"", of}}
        if not any(name in levels for levels in known.values()):
            told = [f"{of}: {', '.join(levels)}" for of, levels in known.items() if levels]
            raise ConfigurationError(
                Problem(
                    "no such level",
                    found=level,
                    allowed="; ".join(told) or f"a level of {', '.join(self.systems)}",
                    next_step="name one of these, with SYSTEM// before it for one system only",
                )
            )
        is_target = (self._levels == name).fill_null(value=False).to_numpy().copy()
        if system:
            is_target &= np.fromiter((n.startswith(f"{system}//") for n in names), np.bool_, len(names))
        return is_target

    def _below_by_form(self, concept: str) -> set[str]:
        """Concepts of the same system whose code is the same but for spelling, or has it above by form."""
        system, code = parts(concept)
        if system not in SYSTEMS:
            return set()
        wanted = compact(code)
        return {
            name
            for name in self.graph.names
            if name.startswith(f"{system}//")
            and any(compact(of) == wanted for of in (parts(name)[1], *above_by_form(system, parts(name)[1])))
        }

    def _text(self, concept: str, language: str | None, on: date | None) -> Text | None:
        at = self.graph.index[concept]
        first, last = self._row_offsets[at : at + 2]
        rows = self.system.concepts[first:last].select(Text._fields).rows()
        texts = [Text(*row) for row in rows if row[0] is not None]
        return chosen(texts, (*([language] if language else []), *self.languages), on)

    @cached_property
    def _row_offsets(self) -> list[int]:
        """Where the rows of each concept begin in the table of concepts."""
        return [*np.flatnonzero(self._is_first_row).tolist(), self.system.concepts.height]

    @cached_property
    def _is_first_row(self) -> NDArray[np.bool_]:
        concept = self.system.concepts["concept"]
        return (concept != concept.shift(1)).fill_null(value=True).to_numpy()

    @cached_property
    def _levels(self) -> pl.Series:
        """The level of each concept: that of its first row."""
        return self.system.concepts.filter(pl.Series(self._is_first_row))["level"]

    @cached_property
    def _levels_of_systems(self) -> dict[str, list[str]]:
        is_listed = ~pl.col("flags").list.contains("not_listed")
        pairs = self.system.concepts.filter(is_listed).select("system", "level").unique().sort(pl.all())
        found: dict[str, list[str]] = {}
        for system, level in pairs.iter_rows():
            found.setdefault(system, []).extend([level] if level is not None else [])
        return found


def _written(concept: str) -> str:
    """The code as its system writes it, in capitals: the same for the same code of two editions."""
    return spelled(*parts(concept)).upper()
