"""A user's table of DRG weights: the weight of each group and year, and what in it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import Column, read_table
from ontology.errors import InputError, Problem, StorageError

POINTS = pl.Decimal(20, 6)
"""Points and weights: exact to a millionth."""
WEIGHTS = pl.Schema(
    {
        "drg": pl.String(),
        "year": pl.Int32(),
        "weight": POINTS,
        "trim_days": pl.Float64(),
        "weight_per_day": POINTS,
    }
)
"""Points of one case of a group in a year. trim_days and weight_per_day: days beyond the trim point that add
weight_per_day each; null where the table has no such rule."""
FAULTS = pl.Schema({"reason": pl.String(), "n": pl.Int64()})
NO_DRG = "no group"
NO_YEAR = "no year"
YEAR_MISSING = "year not in the weight table"
GROUP_MISSING = "group not in the weight table of the year"
_COLUMNS = (
    Column("drg", ("drg", "drg_code", "drg-kode", "kode", "gruppe", "group"), is_required=True),
    Column("year", ("year", "år", "aar", "gyldig år")),
    Column("weight", ("weight", "vekt", "kostnadsvekt", "drg-vekt", "cost weight"), is_required=True),
    Column("trim_days", ("trim_days", "trim point", "trimpunkt", "trimpoint")),
    Column("weight_per_day", ("weight_per_day", "vekt per døgn", "døgnvekt")),
)
_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_READ_REASONS = {
    "no_group": "a row without a group",
    "no_year": "a row whose year cannot be read",
    "no_weight": "a row whose weight is no number",
    "negative": "a negative weight",
    "repeated": "a row that says the same again",
    "conflicting": "a group and year with several weights",
    "bad_trim": "a trim point or weight per day that is no number of 0 or more",
}


@dataclass(frozen=True)
class Weights:
    """Weights by group and year.

    Attributes:
        table: columns of WEIGHTS, one row for each group and year that can be used, sorted.
        faults: columns of FAULTS: rows of the file that are not used (or used without a part), by reason.
        source: the file, or whose weights they are.
    """

    table: pl.DataFrame
    faults: pl.DataFrame
    source: str

    @classmethod
    def load(cls, path: Path, *, year: int | None = None) -> Weights:
        """The weights of a CSV, TSV, JSON, Excel or Parquet table.

        A conflicting group and year has no weight; nothing is chosen between them.

        Args:
            path: columns drg and weight, year unless it is given here, trim_days and weight_per_day where the
                table has them; Norwegian headings and decimal commas are understood.
            year: of a table without a column of years.

        Raises:
            InputError: no such table, a column is missing, or no row can be used.
            StorageError: the file cannot be read.
            MissingExtraError: an Excel sheet, and no reader for it is installed.
        """
        rows = _with_year(_read(path), year, path)
        found = cls.of_rows(rows, source=path.name)
        if found.table.is_empty():
            told = "; ".join(f"{reason}: {n}" for reason, n in found.faults.iter_rows())
            raise InputError(
                Problem("no weight can be used", str(path), told, "drg, year, weight", "mend the table")
            )
        return found

    @classmethod
    def of_rows(cls, rows: pl.DataFrame, source: str) -> Weights:
        """The weights of rows of text.

        Args:
            rows: columns of WEIGHTS as text, nulls allowed.
            source: whose they are.
        """
        read = _read_rows(rows)
        why = _row_reason(read)
        usable = read.with_columns(why=why)
        several = pl.col("weight").n_unique().over("drg", "year") > 1
        is_first = pl.int_range(pl.len()).over("drg", "year") == 0
        held = usable.filter(pl.col("why").is_null()).with_columns(
            why=pl.when(several).then(pl.lit("conflicting")).when(~is_first).then(pl.lit("repeated"))
        )
        dropped = pl.concat([usable["why"].drop_nulls(), held["why"].drop_nulls()])
        kept = held.filter(pl.col("why").is_null())
        bad = pl.Series("why", ["bad_trim"] * kept.filter("is_bad_trim").height, dtype=pl.String)
        faults = pl.concat([dropped, bad]).value_counts().select(pl.col("why"), n=pl.col("count"))
        return cls(
            table=kept.select(pl.col(name).cast(dtype) for name, dtype in WEIGHTS.items()).sort(
                "drg", "year"
            ),
            faults=faults.select(
                reason=pl.col("why").replace_strict(_READ_REASONS, return_dtype=pl.String),
                n=pl.col("n").cast(pl.Int64),
            ).sort("reason"),
            source=source,
        )

    def points(self, cases: pl.DataFrame) -> pl.DataFrame:
        """The points of cases, and why some have none.

        Args:
            cases: columns drg (nullable), year (nullable) and, where it is known, days (length of stay).

        Returns:
            The same rows in the same order with points (POINTS, null where there are none) and reason (null
            where there are points).
        """
        known = self.table["year"].unique().to_list()
        days = pl.col("days").cast(pl.Float64) if "days" in cases.columns else pl.lit(None, pl.Float64)
        beyond = (days - pl.col("trim_days")).clip(lower_bound=0.0).floor().cast(POINTS)
        extra = (beyond * pl.col("weight_per_day")).fill_null(0).cast(POINTS)
        return (
            cases.with_columns(pl.col("year").cast(pl.Int32))
            .join(self.table, on=["drg", "year"], how="left", maintain_order="left")
            .with_columns(
                points=(pl.col("weight") + extra).cast(POINTS),
                reason=pl.when(pl.col("drg").is_null())
                .then(pl.lit(NO_DRG))
                .when(pl.col("year").is_null())
                .then(pl.lit(NO_YEAR))
                .when(~pl.col("year").is_in(known))
                .then(pl.lit(YEAR_MISSING))
                .when(pl.col("weight").is_null())
                .then(pl.lit(GROUP_MISSING)),
            )
            .drop("weight", "trim_days", "weight_per_day")
        )

    def told(self, cases: pl.DataFrame) -> pl.DataFrame:
        """Columns of FAULTS: how many cases have no points, by reason; groups that are missing are named."""
        without = self.points(cases).filter(pl.col("reason").is_not_null())
        named = pl.when(pl.col("reason") == GROUP_MISSING).then(
            pl.format("{}: {} in {}", "reason", "drg", "year")
        )
        return (
            without.group_by(reason=pl.coalesce(named, "reason"))
            .agg(n=pl.len().cast(pl.Int64))
            .select(list(FAULTS))
            .sort("reason")
        )


def _read(path: Path) -> pl.DataFrame:
    """The columns of WEIGHTS as text."""
    if path.suffix.lower() != ".parquet":
        return read_table(path, _COLUMNS)
    try:
        found = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(
            Problem("a table cannot be read", str(path), str(error).split("\n", 1)[0])
        ) from None
    headings = {name.casefold(): name for name in found.columns}
    chosen = {
        column.name: next((headings[one] for one in column.spellings if one in headings), None)
        for column in _COLUMNS
    }
    missing = [column for column in _COLUMNS if column.is_required and chosen[column.name] is None]
    if missing:
        raise InputError(
            [
                Problem(
                    f"a column for the {one.name} is missing", str(path), allowed=" or ".join(one.spellings)
                )
                for one in missing
            ]
        )
    return found.select(
        (pl.lit(None) if told is None else pl.col(told)).cast(pl.String).alias(name)
        for name, told in chosen.items()
    )


def _with_year(rows: pl.DataFrame, year: int | None, path: Path) -> pl.DataFrame:
    if year is not None:
        return rows.with_columns(year=pl.coalesce("year", pl.lit(str(year))))
    if rows["year"].null_count() == rows.height:
        raise InputError(
            Problem("a table of weights without years", str(path), "no column year", "year", "tell the year")
        )
    return rows


def _read_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of WEIGHTS, null where a text cannot be read; is_bad_trim where a trim rule cannot."""
    numbers = {name: _number(name) for name in ("weight", "trim_days", "weight_per_day")}
    texts = ["trim_days", "weight_per_day"]
    read = rows.with_columns(
        pl.col("drg").str.strip_chars().str.to_uppercase().replace("", None),
        pl.col("year").str.strip_chars().str.extract(r"^(\d{4})(\.0)?$", 1).cast(pl.Int32),
        **{f"{name}_read": number for name, number in numbers.items()},
    )
    bad = [pl.col(name).is_not_null() & (pl.col(f"{name}_read").fill_null(-1) < 0) for name in texts]
    return read.with_columns(is_bad_trim=pl.any_horizontal(bad)).with_columns(
        weight=pl.col("weight_read"),
        trim_days=pl.when(~pl.col("is_bad_trim")).then(pl.col("trim_days_read").cast(pl.Float64)),
        weight_per_day=pl.when(~pl.col("is_bad_trim")).then("weight_per_day_read"),
    )


def _number(column: str) -> pl.Expr:
    """A text as a decimal: a decimal comma is understood, anything else than one number is null."""
    text = pl.col(column).str.strip_chars().str.replace(r"^([+-]?\d+),(\d+)$", "$1.$2")
    return pl.when(text.str.contains(_NUMBER)).then(text).cast(POINTS, strict=False)


def _row_reason(rows: pl.DataFrame) -> pl.Series:
    reason = (
        pl.when(pl.col("drg").is_null())
        .then(pl.lit("no_group"))
        .when(pl.col("year").is_null())
        .then(pl.lit("no_year"))
        .when(pl.col("weight").is_null())
        .then(pl.lit("no_weight"))
        .when(pl.col("weight") < 0)
        .then(pl.lit("negative"))
    )
    return rows.select(why=reason)["why"]
