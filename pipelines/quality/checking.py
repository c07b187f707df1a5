"""Checks asked of a dataset: one pass over its events in slices, one over its files, the rest from tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from ontology.release import active_ontology
from phenotype.trajectory import Dataset, open_dataset
from pipelines.quality.model import Check, Need, load_checks
from pipelines.quality.outcomes import Outcome, add_up
from pipelines.quality.results import DatasetFacts, QualityResult, not_applicable, rows_of, write_results
from pipelines.quality.row_rules import conclude_condition, condition_columns, count_together
from pipelines.quality.rules import Condition
from pipelines.quality.slices import event_slices
from pipelines.quality.surroundings import Surroundings, look_around
from pipelines.quality.tallies import TALLIES
from pipelines.quality.ways import WAYS, FromShards, FromSlices, FromTables, FromTally
from pipelines.quality.wording import masked

WayT = TypeVar("WayT")
PARTS_HELD = 32
"""How many pieces of a tally are held before they are added up."""
_MISSING: Mapping[Need, str] = {
    "contacts": "the dataset has no contacts",
    "codings": "the dataset has no codings",
    "observation": "the dataset has no observation windows",
    "lineage": "the dataset has no lineage",
    "ingest": "the dataset has no ingest.json",
    "births": "nobody's birth is known",
    "deaths": "nobody's death is known",
    "sex": "nobody's sex is known",
    "known_time": "no event says when it could be known",
    "unit": "no event has a unit",
    "contact_id": "no event names a contact",
    "lineage_id": "no event names its lineage",
    "calendar": "its dates are not the calendar's: they were shifted, or are counted from a nominal one",
    "created_at": "the metadata do not say when the dataset was made",
}


def check_quality(
    dataset: Path, checks: Sequence[str] | None = None, out: Path | None = None
) -> QualityResult:
    """Ask checks of a dataset, and write what they found.

    Args:
        dataset: the dataset's folder.
        checks: names of check files, paths of others, or ids of single checks; None = all that are shipped.
        out: the folder for results.parquet, results.json, details/ and the page index.html; None = nothing
            is written.

    Raises:
        ConfigurationError: a fault in the checks.
        InputError: no dataset is there, or one that cannot be read as MEDS.
    """
    result = judge(open_dataset(dataset), load_checks(checks))
    if out is not None:
        from pipelines.render.quality import write_quality_page

        out.mkdir(parents=True, exist_ok=True)
        write_results(result, out)
        write_quality_page(result, out / "index.html")
    return result


def judge(dataset: Dataset, checks: Sequence[Check]) -> QualityResult:
    """The results of checks over an open dataset, in the order of the checks."""
    around = look_around(dataset)
    missing = {check.id: [need for need in check.needs if need not in around.has] for check in checks}
    asked = [check for check in checks if not missing[check.id]]
    outcomes = {**_from_tables(asked, around), **_from_shards(asked, around), **_from_slices(asked, around)}
    rows = [
        not_applicable(check, "; ".join(_MISSING[need] for need in missing[check.id]))
        if missing[check.id]
        else rows_of(check, outcomes[check.id])
        for check in checks
    ]
    details = {
        name: masked(outcome.details)
        for name, outcome in outcomes.items()
        if outcome.details is not None and outcome.details.height
    }
    return QualityResult(tuple(checks), masked(pl.concat(rows)), details, _facts(around))


def _facts(around: Surroundings) -> DatasetFacts:
    dataset = around.dataset
    ontology = active_ontology()
    return DatasetFacts(
        name=str(dataset.metadata.get("title") or dataset.metadata.get("dataset_name") or dataset.path.name),
        n_events=int(dataset.events().select(pl.len()).collect().item()),
        n_subjects=around.subjects.height,
        n_contacts=around.tables["contacts"].height,
        n_codings=around.tables["codings"].height,
        last_time=around.extract_end,
        ontology=ontology.digest[:12],
    )


def _from_tables(checks: Sequence[Check], around: Surroundings) -> dict[str, Outcome]:
    """Outcomes of rules that look beside the events, and of conditions over tables."""
    tables = {**around.tables, "subjects": around.subjects}
    found: dict[str, Outcome] = {}
    for check in checks:
        if isinstance(check.rule, Condition):
            if check.rule.table != "events":
                counts = count_together({check.id: check.rule}, tables[check.rule.table])
                found[check.id] = conclude_condition(check.rule, counts, around)
        elif isinstance(way := WAYS[check.rule.type], FromTables):
            found[check.id] = way.conclude(check.rule, around)
    return found


def _from_shards(checks: Sequence[Check], around: Surroundings) -> dict[str, Outcome]:
    """Outcomes of rules that must see a subject's events together, file by file."""
    ways = {check.id: (check.rule, way) for check, way in _with(checks, FromShards)}
    sums = {name: _Sum() for name in ways}
    for shard in around.dataset.shards:
        for name, (rule, way) in ways.items():
            sums[name].add(way.count(rule, around.dataset.events(shard), around))
    return {name: way.conclude(rule, sums[name].total(), around) for name, (rule, way) in ways.items()}


def _from_slices(checks: Sequence[Check], around: Surroundings) -> dict[str, Outcome]:
    """Outcomes of all rules that count events row by row or are told from tallies, in one pass."""
    conditions = {
        check.id: check.rule
        for check in checks
        if isinstance(check.rule, Condition) and check.rule.table == "events"
    }
    counting = {check.id: (check.rule, way) for check, way in _with(checks, FromSlices)}
    telling = {check.id: (check.rule, way) for check, way in _with(checks, FromTally)}
    tallies = sorted({way.tally for _, way in telling.values()})
    columns = {column for rule in conditions.values() for column in condition_columns(rule)}
    columns |= {column for _, way in counting.values() for column in way.columns}
    columns |= {column for name in tallies for column in TALLIES[name][1]}
    if not columns:
        return {}
    sums: dict[str, _Sum] = {name: _Sum() for name in ("conditions", *tallies, *counting)}
    for events in event_slices(around, columns):
        if conditions:
            sums["conditions"].add(count_together(conditions, events))
        for name in tallies:
            sums[name].add(TALLIES[name][0](events))
        for name, (rule, way) in counting.items():
            sums[name].add(way.count(rule, events, around))
    by_check = sums["conditions"].total() if conditions else pl.DataFrame()
    totals = {name: sums[name].total() for name in tallies}
    return {
        **{
            name: conclude_condition(rule, by_check.filter(pl.col("check_id") == name), around)
            for name, rule in conditions.items()
        },
        **{name: way.conclude(rule, sums[name].total(), around) for name, (rule, way) in counting.items()},
        **{name: way.conclude(rule, totals[way.tally], around) for name, (rule, way) in telling.items()},
    }


def _with(checks: Sequence[Check], kind: type[WayT]) -> Iterator[tuple[Check, WayT]]:
    """The checks whose rule is counted in one kind of way."""
    for check in checks:
        way = WAYS.get(check.rule.type)
        if isinstance(way, kind):
            yield check, way


class _Sum:
    """A tally that grows piece by piece and is added up now and then."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, part: pl.DataFrame) -> None:
        """Take the counts of one more piece of the data."""
        self._parts.append(part)
        if len(self._parts) >= PARTS_HELD:
            self._parts = [add_up(self._parts)]

    def total(self) -> pl.DataFrame:
        """All pieces as one."""
        return add_up(self._parts)
