"""One dataset as definitions see it: the events they ask for, stays and contacts, codings and births."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from ontology.errors import gathered_problems
from ontology.release import Ontology
from ontology.systems import by_system
from ontology.valuesets.sets import Resolver, ValueSet, load_family, load_valueset
from phenotype.definitions.care_spans import CareSpans, care_spans
from phenotype.definitions.collected_events import (
    CollectedEvents,
    collect_events,
    dataset_codes,
    has_lineage,
    numbered_events,
)
from phenotype.definitions.nodes import AtLeast, Events, Part, Weights, children
from phenotype.trajectory import BIRTH_CODE, Dataset


@dataclass(frozen=True)
class Record:
    """What is evaluated.

    Attributes:
        collected: the events that the criteria ask for.
        events: all events, columns of EVENTS; lineage_id is what evidence names.
        spans: stays and contacts.
        codings: contact_id, code (`SYSTEM//code`), role; unique.
        births: subject_id, birth_time.
        codes: the dataset's codes.
        sets: the value sets by name.
        members: which codes each value set holds, columns of RESOLVED.
        evidence_is: lineage_id, or position where the dataset has no lineage.
    """

    collected: CollectedEvents
    events: pl.LazyFrame
    spans: CareSpans
    codings: pl.DataFrame
    births: pl.DataFrame
    codes: tuple[str, ...]
    sets: dict[str, ValueSet]
    members: dict[str, pl.DataFrame]
    evidence_is: str


def read_record(dataset: Dataset, criteria: Iterable[Part], ontology: Ontology | None = None) -> Record:
    """What these criteria need of a dataset.

    Args:
        dataset: whose.
        criteria: all criteria that will be evaluated on it.
        ontology: by which `under` of value sets is judged; None = the one in use.

    Raises:
        ConfigurationError: value sets that are not there, or name concepts that the ontology does not have.
    """
    parts = [part for criterion in criteria for part in _parts(criterion)]
    codes = dataset_codes(dataset)
    sets, members = _resolved(parts, codes, ontology)
    events = numbered_events(dataset)
    spans = care_spans(dataset.contacts())
    asked = set(codes_of(parts, codes, members))
    with_text = codes_of(_texts(parts), codes, members)
    return Record(
        collected=collect_events(events, sorted(asked), sorted(with_text), spans),
        events=events,
        spans=spans,
        codings=_codings(dataset),
        births=_births(events),
        codes=tuple(codes),
        sets=sets,
        members=members,
        evidence_is="lineage_id" if has_lineage(dataset) else "position",
    )


def set_names(part: Part) -> tuple[str, ...]:
    """The value sets of codes that a criterion itself names."""
    if isinstance(part, Events):
        return part.sets
    if isinstance(part, Weights):
        return tuple(f"{part.family}/{group}" for group in load_family(part.family).groups)
    return ()


def matching_codes(written: Iterable[str], codes: Sequence[str]) -> list[str]:
    """The dataset's codes that are written letter for letter, or covered by one that ends in `*`.

    Codes of another MEDS extract (DIAGNOSIS//ICD//10//A419) are found by their system's name as well.
    """
    exact = {code for code in written if not code.endswith("*")}
    begins = tuple(code[:-1] for code in written if code.endswith("*"))
    return [
        code
        for code in codes
        for name in [by_system(code)]
        if not exact.isdisjoint((code, name))
        or (begins and (code.startswith(begins) or name.startswith(begins)))
    ]


def codes_of(parts: Iterable[Part], codes: Sequence[str], members: dict[str, pl.DataFrame]) -> set[str]:
    """The dataset's codes that these criteria themselves ask for."""
    asked: set[str] = set()
    for part in parts:
        for name in set_names(part):
            asked |= set(members[name]["code"])
        if isinstance(part, Events):
            asked |= set(matching_codes(part.codes, codes))
    return asked


def _parts(criterion: Part) -> Iterable[Part]:
    yield criterion
    for child in children(criterion):
        yield from _parts(child)


def _texts(parts: Sequence[Part]) -> set[Part]:
    """The criteria that look at texts."""
    found: set[Part] = {part for part in parts if isinstance(part, Events) and (part.text or part.text_not)}
    for part in parts:
        if isinstance(part, AtLeast) and part.same == "text":
            found |= set(part.of)
    return found


def _resolved(
    parts: Sequence[Part], codes: Sequence[str], ontology: Ontology | None
) -> tuple[dict[str, ValueSet], dict[str, pl.DataFrame]]:
    names = {name for part in parts for name in set_names(part)}
    texts = {name for part in parts if isinstance(part, Events) for name in (*part.text, *part.text_not)}
    sets, members = {}, {}
    resolver = Resolver(codes, ontology)
    with gathered_problems() as attempt:
        for name in sorted(names | texts):
            with attempt():
                sets[name] = load_valueset(name)
                if name in names:
                    members[name] = resolver.resolve(sets[name])
    return sets, members


def _codings(dataset: Dataset) -> pl.DataFrame:
    code = pl.concat_str("system", pl.lit("//"), "code").alias("code")
    return dataset.codings().select("contact_id", code, "role").drop_nulls().unique()


def _births(events: pl.LazyFrame) -> pl.DataFrame:
    born = events.filter((pl.col("code") == BIRTH_CODE) & pl.col("time").is_not_null())
    return born.group_by("subject_id").agg(pl.col("time").min().alias("birth_time")).collect()
