"""Two datasets of one simulated hospital compared row by row, but for what a form is known not to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from ontology.configuration import find_config, read_yaml, validate

Part = Literal["events", "contacts", "codings", "windows"]
COLUMNS: dict[Part, tuple[str, ...]] = {
    "events": (
        "subject_id", "time", "code", "numeric_value", "text_value", "known_time", "unit", "contact_id",
    ),
    "contacts": (
        "contact_id", "subject_id", "stay_id", "referral_period_id", "start_time", "end_time", "care_level",
        "urgency", "unit_id", "hospital_id", "admitted_from", "discharged_to",
    ),
    "codings": (
        "contact_id", "group_no", "code_no", "role", "system", "version", "code", "condition_group_no",
        "coded_time",
    ),
    "windows": ("subject_id", "start_time", "end_time", "end_reason"),
}  # fmt: skip
"""What is compared; lineage tells of the files, which differ."""


class Limit(BaseModel):
    """One thing that a form cannot hold.

    Attributes:
        part: events, contacts, codings or windows.
        code: of events and codings: a regular expression for the whole code; all rows where it is not given.
        column: the column that is lost; whole rows where it is not given.
        some: whether only some of the rows are lost.
        why: the reason, one sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Part
    code: str | None = None
    column: str | None = None
    some: bool = False
    why: str

    @property
    def told(self) -> str:
        """What is lost, in words."""
        of = f" of {self.code}" if self.code else ""
        return f"{self.part}{of}: {self.column or ('some rows' if self.some else 'all rows')}"


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    npr: tuple[Limit, ...]
    fhir: tuple[Limit, ...]
    omop: tuple[Limit, ...]


def known_limits() -> dict[str, tuple[Limit, ...]]:
    """What each form cannot hold, as configs/forms/simulated-hospital.yaml lists it."""
    file = find_config("forms", "simulated-hospital")
    limits = validate(_Limits, read_yaml(file), where=file.name)
    return {name: getattr(limits, name) for name in _Limits.model_fields}


@dataclass(frozen=True)
class Difference:
    """Rows of one part that only one of two datasets has, counted with their repetitions."""

    part: Part
    n_missing: int
    n_added: int
    n_equal: int
    rows: pl.DataFrame

    @property
    def is_none(self) -> bool:
        """Whether both have the same rows."""
        return not (self.n_missing or self.n_added)


def compare(extract: Path, form: Path, limits: Sequence[Limit]) -> list[Difference]:
    """What differs between the dataset of the extract and that of another form, part by part.

    Args:
        extract: the dataset of the extract.
        form: the dataset of the form, made with the same key.
        limits: what the form cannot hold.
    """
    return [compare_part(part, read_part(extract, part), read_part(form, part), limits) for part in COLUMNS]


def stale_limits(extract: Path, form: Path, limits: Sequence[Limit]) -> list[Limit]:
    """The limits without which nothing more differs: the form holds what they say that it cannot."""
    stale = []
    for part in COLUMNS:
        of_extract, of_form = read_part(extract, part), read_part(form, part)
        for limit in limits:
            others = [other for other in limits if other is not limit]
            if limit.part == part and compare_part(part, of_extract, of_form, others).is_none:
                stale.append(limit)
    return stale


def read_part(dataset: Path, part: Part) -> pl.DataFrame:
    """The rows that are compared.

    An event that is known at once is known at its time. Referral periods are told by the contacts that they
    hold, since forms call them by other names.
    """
    files = {"events": "data/*.parquet", "windows": "observation.parquet"}.get(part, f"{part}.parquet")
    rows = pl.scan_parquet(dataset / files).select(COLUMNS[part])
    if part == "events":
        rows = rows.with_columns(pl.coalesce("known_time", "time").alias("known_time"))
    found = rows.collect(engine="in-memory")
    if part == "contacts":
        period = pl.col("referral_period_id")
        found = found.with_columns(
            pl.when(period.is_not_null())
            .then(pl.col("contact_id").min().over(period))
            .alias(period.meta.output_name())
        )
    return found


def compare_part(
    part: Part, extract: pl.DataFrame, form: pl.DataFrame, limits: Sequence[Limit]
) -> Difference:
    """What differs in one part once the limits are taken away on both sides."""
    for limit in limits:
        if limit.part == part:
            extract, form = _without(limit, extract, form)
    columns = list(COLUMNS[part])
    counts = (
        _counted(extract, columns, "n_extract")
        .join(_counted(form, columns, "n_form"), on=columns, how="full", coalesce=True, nulls_equal=True)
        .with_columns(pl.col("n_extract", "n_form").fill_null(0).cast(pl.Int64))
    )
    missing = (pl.col("n_extract") - pl.col("n_form")).clip(0)
    added = (pl.col("n_form") - pl.col("n_extract")).clip(0)
    told = counts.select(
        missing=missing.sum(),
        added=added.sum(),
        equal=pl.min_horizontal("n_extract", "n_form").sum(),
    ).row(0, named=True)
    rows = counts.filter(pl.col("n_extract") != pl.col("n_form")).sort(columns, nulls_last=False)
    return Difference(part, told["missing"], told["added"], told["equal"], rows)


def _counted(rows: pl.DataFrame, columns: list[str], name: str) -> pl.DataFrame:
    return rows.group_by(columns).agg(pl.len().alias(name))


def _without(limit: Limit, extract: pl.DataFrame, form: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both sides without what the limit says: a column emptied, rows left out."""
    meant = pl.lit(value=True) if limit.code is None else pl.col("code").str.contains(f"^(?:{limit.code})$")
    if limit.column is not None:
        emptied = pl.when(~meant).then(pl.col(limit.column)).alias(limit.column)
        return extract.with_columns(emptied), form.with_columns(emptied)
    if limit.some:
        lost = extract.filter(meant).join(form, on=extract.columns, how="anti", nulls_equal=True)
        return extract.join(lost, on=extract.columns, how="anti", nulls_equal=True), form
    if limit.part == "windows":
        return extract.clear(), form.clear()
    return extract.filter(~meant), form
