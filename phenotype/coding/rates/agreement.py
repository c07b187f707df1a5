"""How well codes agree with phenotypes that data alone tell, by unit and year."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, StringConstraints

from ontology.configuration import read_yaml, validate
from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.blocks import places
from phenotype.coding.rates.counted_rows import CountedRows, count_rows
from phenotype.coding.rates.measures import Condition
from phenotype.coding.rates.units import By
from phenotype.task_parts import Frozen

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Text = Annotated[str, StringConstraints(min_length=1)]
ALL = "all"
Z = 1.959963984540054

AGREEMENT = pl.Schema(
    {
        "pair": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "n": pl.Int64(),
        "both": pl.Int64(),
        "phenotype_only": pl.Int64(),
        "coded_only": pl.Int64(),
        "neither": pl.Int64(),
        "not_judgeable": pl.Int64(),
        "sensitivity": pl.Float64(),
        "sensitivity_low": pl.Float64(),
        "sensitivity_high": pl.Float64(),
        "ppv": pl.Float64(),
        "ppv_low": pl.Float64(),
        "ppv_high": pl.Float64(),
        "kappa": pl.Float64(),
        "kappa_low": pl.Float64(),
        "kappa_high": pl.Float64(),
    }
)
"""One row a pair, unit and year; `all` stands for all units or years. sensitivity: coded of those with the
phenotype; ppv: with the phenotype of those coded; null where there is nobody. Intervals are 95 %."""


class Pair(Frozen):
    """A phenotype and the codes that should say the same.

    Attributes:
        id: its name.
        title: in English.
        title_nb: in Norwegian.
        phenotype: name of the definition; stays where it is confirmed count.
        lasts: whether it holds for every stay that ends after it began (per subject), not for its own stay
            alone.
        could_be_seen: name of the definition without which nobody could have seen it: other stays are not
            judged.
        coded: what the codes of a stay must hold.
        of: which stays.
        sources: where it comes from.
        note: what a reader must know.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Text
    title_nb: str = ""
    phenotype: Text
    lasts: bool = False
    could_be_seen: str | None = None
    coded: Condition
    of: Condition = Condition()
    sources: tuple[Text, ...] = Field(min_length=1)
    note: str = ""

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """The definitions that must be derived for it."""
        return (self.phenotype, *([self.could_be_seen] if self.could_be_seen else []))


class _File(Frozen):
    pairs: tuple[Pair, ...] = Field(min_length=1)


def load_pairs(path: Path | None = None) -> tuple[Pair, ...]:
    """The pairs of a YAML file; None: those that come with Pesta (configs/coding/agreement.yaml).

    Raises:
        ConfigurationError: every fault of the file.
    """
    file = path or Path(str(resources.files("configs"))) / "coding" / "agreement.yaml"
    return validate(_File, read_yaml(file), where=str(file)).pairs


def agreement(
    record: CodedRecord,
    phenotypes: pl.DataFrame,
    pairs: Sequence[Pair],
    *,
    not_judged: Iterable[str] = (),
    ontology: Ontology | None = None,
    by: By = "unit",
) -> pl.DataFrame:
    """How well codes agree with phenotypes, by unit and year, by year and in all.

    Args:
        record: whose codes.
        phenotypes: columns of PHENOTYPES: all rows of the definitions that the pairs name.
        pairs: as `load_pairs` gives them.
        not_judged: definitions that the dataset cannot answer at all
            (`definitions_of(file)[name]["not_judged"]`): their pairs' stays are counted as not judgeable.
        ontology: by which value sets are judged; None is the one in use.
        by: units (of a stay its last contact's), hospitals or regions.

    Returns:
        Columns of AGREEMENT, sorted by pair, unit and period. A stay without any diagnosis, or in which the
        phenotype could not have been seen, is not judgeable.

    **Source:** intervals of shares: Wilson, J Am Stat Assoc 1927;22:209-212, doi
    10.1080/01621459.1927.10502953; kappa: Cohen, Educ Psychol Meas 1960;20:37-46, doi
    10.1177/001316446002000104, with its large-sample standard error, Fleiss, Cohen and Everitt, Psychol Bull
    1969;72:323-327, doi 10.1037/h0028106.
    """
    rows = count_rows(record, "stay", ontology)
    lacking = frozenset(not_judged)
    frames = [pl.DataFrame(schema=AGREEMENT), *(_pair(pair, rows, phenotypes, lacking, by) for pair in pairs)]
    return pl.concat(frames).sort("pair", "unit_id", "period")


def _pair(
    pair: Pair, rows: CountedRows, phenotypes: pl.DataFrame, lacking: frozenset[str], by: str
) -> pl.DataFrame:
    asked, coded = rows.holds(pair.of), rows.holds(pair.coded)
    confirmed = phenotypes.filter(pl.col("state") == "confirmed")
    has = _holds(confirmed, pair.phenotype, rows, lasts=pair.lasts)
    seen = np.ones(len(has), dtype=np.bool_)
    if pair.could_be_seen:
        seen = has | _holds(confirmed, pair.could_be_seen, rows, lasts=pair.lasts)
    if lacking & set(pair.phenotypes):
        seen = np.zeros(len(has), dtype=np.bool_)
    judged = asked.yes & seen & (coded.yes | coded.no)
    where = places(rows, by)
    cells = pl.DataFrame(
        {
            "unit_id": pl.Series(where.units, dtype=pl.String)[where.unit],
            "period": pl.Series(where.periods, dtype=pl.String)[where.period],
            "both": judged & has & coded.yes,
            "phenotype_only": judged & has & ~coded.yes,
            "coded_only": judged & ~has & coded.yes,
            "neither": judged & ~has & ~coded.yes,
            "not_judgeable": ~asked.no & ~judged,
        }
    ).filter(pl.any_horizontal("both", "phenotype_only", "coded_only", "neither", "not_judgeable"))
    wide = [
        cells,
        cells.with_columns(unit_id=pl.lit(ALL)),
        cells.with_columns(period=pl.lit(ALL)),
        cells.with_columns(unit_id=pl.lit(ALL), period=pl.lit(ALL)),
    ]
    counts = pl.concat(wide).group_by("unit_id", "period").agg(pl.all().sum().cast(pl.Int64))
    return _figures(counts.with_columns(pair=pl.lit(pair.id)))


def _holds(confirmed: pl.DataFrame, name: str, rows: CountedRows, *, lasts: bool) -> Bools:
    """The stays in which a phenotype is confirmed; with `lasts`, all that end after it first was."""
    mine = confirmed.filter(pl.col("phenotype") == name)
    if not lasts:
        return rows.rows["stay_id"].is_in(mine["stay_id"].drop_nulls().unique().implode()).to_numpy()
    first = mine.group_by("subject_id").agg(since=pl.col("start_time").min())
    joined = rows.rows.select("subject_id", "time").join(
        first, on="subject_id", how="left", maintain_order="left"
    )
    return joined.select((pl.col("since") <= pl.col("time")).fill_null(value=False))["since"].to_numpy()


def _figures(counts: pl.DataFrame) -> pl.DataFrame:
    both, missed, wrong, neither = (
        counts[name].to_numpy().astype(np.float64)
        for name in ("both", "phenotype_only", "coded_only", "neither")
    )
    found = {
        **dict(zip(_names("sensitivity"), share_interval(both, both + missed), strict=True)),
        **dict(zip(_names("ppv"), share_interval(both, both + wrong), strict=True)),
        **dict(zip(_names("kappa"), kappa_interval(both, missed, wrong, neither), strict=True)),
    }
    n = (both + missed + wrong + neither).astype(np.int64)
    return counts.with_columns(
        n=pl.Series(n), **{name: pl.Series(values).fill_nan(None) for name, values in found.items()}
    ).select(pl.col(name).cast(dtype) for name, dtype in AGREEMENT.items())


def _names(figure: str) -> tuple[str, str, str]:
    return figure, f"{figure}_low", f"{figure}_high"


def share_interval(hits: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """A share and its 95 % interval by Wilson; nan where n is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / n
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        reach = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return share, np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)


def kappa_interval(
    both: Floats, missed: Floats, wrong: Floats, neither: Floats
) -> tuple[Floats, Floats, Floats]:
    """Cohen's kappa and its 95 % interval; nan where all stays are of one kind by both."""
    n = both + missed + wrong + neither
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.stack([both, missed, wrong, neither]) / n
        row, column = p[0] + p[1], p[0] + p[2]
        agreed, chance = p[0] + p[3], row * column + (1 - row) * (1 - column)
        kappa = (agreed - chance) / (1 - chance)
        parts = (
            p[0] * (1 - (row + column) * (1 - kappa)) ** 2
            + p[3] * (1 - (2 - row - column) * (1 - kappa)) ** 2
            + (1 - kappa) ** 2 * (p[1] * (column + 1 - row) ** 2 + p[2] * (1 - column + row) ** 2)
            - (kappa - chance * (1 - kappa)) ** 2
        )
        error = np.sqrt(np.maximum(parts, 0.0) / n) / (1 - chance)
    return kappa, np.maximum(kappa - Z * error, -1.0), np.minimum(kappa + Z * error, 1.0)
