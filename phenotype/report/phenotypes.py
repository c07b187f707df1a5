"""What a report says of phenotypes: how many patients have each, and those of one patient as known then."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from phenotype.report.suppression import HIDDEN, is_small, shown_count
from phenotype.task_parts import Frozen

STATES = ("confirmed", "suspected", "excluded")


class PhenotypeCount(Frozen):
    """How many patients have a phenotype in each state; counts as shown, small ones hidden.

    Attributes:
        name: as in phenotypes.parquet.
        title: what it means.
        version: of the definition.
        patients: state -> patients with at least one row, in words; only states that somebody has.
        rows: rows in any state, in words.
        not_judged: why the dataset cannot answer it; empty where it can.
        is_shown: whether it stands on the first table; variants and building blocks stand on the second.
        meaning: the definition in plain words.
    """

    name: str
    title: str
    version: str
    patients: Mapping[str, str]
    rows: str
    not_judged: str = ""
    is_shown: bool = True
    meaning: str = ""


class PatientPhenotype(Frozen):
    """One phenotype of one patient, as it was known at a time.

    Attributes:
        name: as in phenotypes.parquet.
        title: what it means.
        state: the state of the row that began last.
        since: when that row began.
        value: its number, null where it has none.
        n_times: how many rows of that state there are so far.
        n_facts: how many events the row rests on.
    """

    name: str
    title: str
    state: str
    since: dt.datetime
    value: float | None
    n_times: int
    n_facts: int


def phenotype_counts(
    phenotypes: pl.DataFrame, definitions: Mapping[str, Mapping[str, Any]]
) -> list[PhenotypeCount]:
    """How many patients have each phenotype, in the order of `definitions`.

    Args:
        phenotypes: columns of PHENOTYPES.
        definitions: phenotype -> its title and version, as the file's metadata tell them; those without a
            row are told with no patients.
    """
    counted = phenotypes.group_by("phenotype", "state").agg(
        n_subjects=pl.col("subject_id").n_unique(), n_rows=pl.len()
    )
    found: dict[str, list[dict[str, object]]] = {}
    for row in counted.sort("phenotype", "state").to_dicts():
        found.setdefault(row["phenotype"], []).append(row)
    return [_count(name, said, found.get(name, [])) for name, said in definitions.items()]


def _count(name: str, said: Mapping[str, Any], rows: list[dict[str, object]]) -> PhenotypeCount:
    n_subjects = {str(row["state"]): int(str(row["n_subjects"])) for row in rows}
    n_rows = sum(int(str(row["n_rows"])) for row in rows)
    betrays = len(n_subjects) > 1 and any(is_small(n) for n in n_subjects.values())
    return PhenotypeCount(
        name=name,
        title=str(said["title"]),
        version=str(said["version"]),
        patients={state: shown_count(n_subjects[state]) for state in STATES if state in n_subjects},
        rows=HIDDEN if betrays else shown_count(n_rows),
        not_judged="" if rows else str(said.get("not_judged") or ""),
        is_shown=bool(said.get("is_shown", True)),
        meaning=str(said.get("meaning") or ""),
    )


def not_judged_sentences(counts: Sequence[PhenotypeCount]) -> list[str]:
    """How many definitions the dataset cannot answer, a sentence for each reason; none where it can."""
    reasons = Counter(one.not_judged for one in counts if one.not_judged)
    return [
        f"{n} of {len(counts)} definitions could not be judged: {reason}."
        for reason, n in sorted(reasons.items())
    ]


def patient_phenotypes(
    phenotypes: pl.DataFrame, now: dt.datetime, definitions: Mapping[str, Mapping[str, Any]]
) -> tuple[PatientPhenotype, ...]:
    """The phenotypes of one patient that could be known at a time, those that began last first.

    Args:
        phenotypes: columns of PHENOTYPES, of this patient only.
        now: the prediction; rows that could not be known by then are left out.
        definitions: phenotype -> its title, and whether it is_shown, as the file's metadata tell them.
    """
    titles = {name: str(said["title"]) for name, said in definitions.items() if said["is_shown"]}
    known = phenotypes.filter(
        (pl.col("known_time") <= now)
        & (pl.col("start_time") <= now)
        & pl.col("phenotype").is_in(list(titles))
    ).sort("start_time", "end_time", "state", "value")
    told = []
    for name in known["phenotype"].unique(maintain_order=True):
        of_name = known.filter(pl.col("phenotype") == name)
        last = of_name.row(-1, named=True)
        told.append(
            PatientPhenotype(
                name=name,
                title=titles[name],
                state=last["state"],
                since=last["start_time"],
                value=last["value"],
                n_times=of_name.filter(pl.col("state") == last["state"]).height,
                n_facts=len(last["evidence"] or ()),
            )
        )
    return tuple(sorted(told, key=lambda one: (-one.since.timestamp(), one.name)))
