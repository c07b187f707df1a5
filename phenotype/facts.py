"""What features are made from: the facts of the asked-for subjects as numbered columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, known_time

AGE_CODE = "AGE"
MICROSECONDS_A_YEAR = 365.25 * 86_400_000_000


@dataclass(frozen=True)
class Facts:
    """Facts known by the last prediction time of their subject.

    Attributes:
        codes: the codes in alphabetical order; a code's number is its place here.
        n_subjects: how many subjects were asked for.
        dated: subject_number, code_number (Int32), known_time (Int64 microseconds), numeric_value (null where
            it is no finite number); births and deaths left out.
        static: subject_number, code_number, numeric_value of facts without a time.
        births: subject_number, birth_time, known_time (Int64 microseconds).
    """

    codes: list[str]
    n_subjects: int
    dated: pl.DataFrame
    static: pl.DataFrame
    births: pl.DataFrame

    def number_of(self, code: str) -> int:
        """The number of a code, -1 where no fact has it."""
        return self.codes.index(code) if code in self.codes else -1


def collect_facts(events: pl.LazyFrame, subjects: pl.DataFrame, exclude: tuple[str, ...]) -> Facts:
    """The facts about subjects, in the order in which events come.

    Args:
        events: subject_id, time, known_time, code, numeric_value.
        subjects: subject_id, prediction_time (the last one), in the order of their numbers.
        exclude: beginnings of codes that are left out.
    """
    numbered = subjects.with_row_index("subject_number").lazy()
    facts = (
        events.select(
            "subject_id",
            known_time().dt.cast_time_unit("us").to_physical().alias("known_time"),
            pl.col("code").cast(pl.Categorical),
            pl.when(pl.col("numeric_value").is_finite()).then("numeric_value"),
        )
        .join(numbered, on="subject_id")
        .filter(
            pl.col("known_time").is_null() | (pl.col("known_time") <= pl.col("prediction_time").to_physical())
        )
        .select("subject_number", "known_time", "code", "numeric_value")
        .collect()
    )
    kept = facts["code"].unique()
    names = kept.cast(pl.String)
    codes = sorted(name for name in names if not name.startswith((*exclude, BIRTH_CODE, DEATH_CODE)))
    place = {code: number for number, code in enumerate(codes)}
    physical = kept.to_physical().to_numpy()
    number_of = np.full(int(physical.max(initial=0)) + 1, -1, dtype=np.int32)
    number_of[physical] = [place.get(name, -1) for name in names]
    facts = facts.with_columns(code_number=number_of[facts["code"].to_physical().to_numpy()]).drop("code")
    if len(codes) < len(names):
        facts = facts.filter(pl.col("code_number") >= 0)
    is_static = facts["known_time"].is_null()
    return Facts(
        codes=codes,
        n_subjects=subjects.height,
        dated=facts.filter(~is_static) if is_static.any() else facts,
        static=facts.filter(is_static).drop("known_time"),
        births=_births(events, numbered),
    )


def _births(events: pl.LazyFrame, subjects: pl.LazyFrame) -> pl.DataFrame:
    born = events.filter((pl.col("code") == BIRTH_CODE) & pl.col("time").is_not_null())
    return (
        born.select(
            "subject_id",
            pl.col("time").dt.cast_time_unit("us").to_physical().alias("birth_time"),
            known_time().dt.cast_time_unit("us").to_physical().alias("known_time"),
        )
        .join(subjects, on="subject_id")
        .select(pl.col("subject_number").cast(pl.Int64), "birth_time", "known_time")
        .collect()
    )
