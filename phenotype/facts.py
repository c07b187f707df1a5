"""What features are made from: the facts of the asked-for subjects as numbered columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from phenotype.code_groups import concepts_above, replaced_codes
from phenotype.feature_spec import FeatureSpec
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


def collect_facts(events: pl.LazyFrame, subjects: pl.DataFrame, spec: FeatureSpec) -> Facts:
    """The facts about subjects, in the order in which events come, then those of concepts above them.

    Args:
        events: subject_id, time, known_time, code, numeric_value.
        subjects: subject_id, prediction_time (the last one), in the order of their numbers.
        spec: which codes are left out, and which count as a concept above them; such a concept happens when
            a code below it does, and has no value.
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
    held = sorted(name for name in names if not name.startswith((*spec.exclude, BIRTH_CODE, DEATH_CODE)))
    groups = concepts_above(held, spec) if spec.roll_up else None
    codes = held if groups is None else _with_concepts(held, groups, spec)
    place = {code: number for number, code in enumerate(codes)}
    physical = kept.to_physical().to_numpy()
    number_of = np.full(int(physical.max(initial=0)) + 1, -1, dtype=np.int32)
    number_of[physical] = [place.get(name, -1) for name in names]
    facts = facts.with_columns(code_number=number_of[facts["code"].to_physical().to_numpy()])
    concepts = None if groups is None or groups.is_empty() else _concept_facts(facts, groups, place)
    facts = facts.drop("code")
    if (facts["code_number"] < 0).any():
        facts = facts.filter(pl.col("code_number") >= 0)
    if concepts is not None:
        facts = pl.concat([facts, concepts])
    is_static = facts["known_time"].is_null()
    return Facts(
        codes=codes,
        n_subjects=subjects.height,
        dated=facts.filter(~is_static) if is_static.any() else facts,
        static=facts.filter(is_static).drop("known_time"),
        births=_births(events, numbered),
    )


def _with_concepts(held: list[str], groups: pl.DataFrame, spec: FeatureSpec) -> list[str]:
    """The codes that have features: those held and not replaced, and the concepts above."""
    return sorted({*held, *groups["concept"]} - replaced_codes(groups, spec))


def _concept_facts(facts: pl.DataFrame, groups: pl.DataFrame, place: dict[str, int]) -> pl.DataFrame:
    """The facts once more for each concept above their code, without a value."""
    numbered = groups.select(
        pl.col("code").cast(pl.Categorical),
        code_number=pl.col("concept").replace_strict(place, return_dtype=pl.Int32),
    )
    nothing = pl.lit(None, pl.Float32).alias("numeric_value")
    return (
        facts.drop("code_number", "numeric_value")
        .join(numbered, on="code", maintain_order="left_right")
        .select("subject_number", "known_time", nothing, "code_number")
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
