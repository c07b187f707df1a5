"""Rolled-up features of a patient are the same whoever else is in the dataset, and in whichever shard."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phenotype.features import FeatureMatrix, FeatureSpec, build_features

N_SUBJECTS = 60
HOUR = 3_600_000_000
BEGINNING = datetime(2021, 1, 1)

CODES = [
    *("ICD10//A41", "ICD10//A41.9", "ICD10//I", "ICD10-NO//A41.9", "ICD10-NO//a419", "ICD10-NO//A41.99"),
    *(
        "ICD10CM//A4101",
        "ICD10-NO//V0n0a",
        "ICD10-NO//XYZ",
        "ICD10//nonsense",
        "ICD10//",
        "ICD10-NO//A\uff11",
    ),
    *("ICD9CM//99591", "ICD9CM//995.9", "ICD9CM//995", "ICD9CM//38.9", "ICD9CM//0389", "ICD9CM//nonsense"),
    *(
        "ATC//J01CF05",
        "ATC//J01",
        "ATC//j01cf05",
        "ATC//Q",
        "NCMP//17X01",
        "LAB//crp",
        "FOO//bar",
        "no system",
    ),
]
RULES: list[tuple[tuple[str, str, bool], ...]] = [
    (("ICD10", "category", True), ("ICD10", "chapter", True)),
    (("ICD10", "category", False), ("ICD10", "chapter", False)),
    (("ICD9CM", "subcategory", False), ("ICD9CM", "category", False), ("ATC", "substance", False)),
    (("ATC", "substance", False), ("ATC", "therapeutic_subgroup", False), ("ICD10", "block", True)),
]


def spec(rules: tuple[tuple[str, str, bool], ...]) -> FeatureSpec:
    roll_up = [{"system": of, "level": level, "keep_codes": keep} for of, level, keep in rules]
    return FeatureSpec.model_validate(
        {"windows": ("24h", "full"), "aggregations": ("count", "mean", "time_since"), "roll_up": roll_up}
    )


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """Four events a subject, so that most codes of a hierarchy are with somebody else."""
    random = np.random.default_rng(3)
    n = N_SUBJECTS * 4
    hours = random.uniform(0, 100, n)
    made = pl.DataFrame(
        {
            "subject_id": random.integers(0, N_SUBJECTS, n),
            "time": np.datetime64(BEGINNING, "us") + (hours * HOUR).astype("timedelta64[us]"),
            "code": random.choice(CODES, n),
            "numeric_value": random.normal(5, 1, n).astype(np.float32),
            "known_time": pl.Series([None] * n, dtype=pl.Datetime("us")),
        }
    )
    return made.sort("subject_id", "time", "code")


def rows_of(subjects: list[int]) -> pl.DataFrame:
    at = datetime(2021, 1, 4)
    schema = pl.Schema({"subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")})
    return pl.DataFrame([(subject, at) for subject in subjects], schema=schema, orient="row")


def cells(matrix: FeatureMatrix) -> list[dict[str, bytes]]:
    """For each row the bytes of its cells by column name."""
    names = matrix.columns["name"].to_list()
    values = matrix.values
    return [
        {names[values.indices[at]]: values.data[at].tobytes() for at in range(first, last)}
        for first, last in zip(values.indptr[:-1], values.indptr[1:], strict=True)
    ]


@pytest.mark.parametrize("rules", RULES)
def test_whoever_else_is_there_changes_no_bit(
    events: pl.DataFrame, rules: tuple[tuple[str, str, bool], ...]
) -> None:
    everybody = list(range(N_SUBJECTS))
    whole = cells(build_features(events.lazy(), rows_of(everybody), spec(rules)))
    assert sum(map(len, whole)) > 4 * N_SUBJECTS
    alone = [
        cells(build_features(events.lazy(), rows_of([subject]), spec(rules)))[0] for subject in everybody
    ]
    assert alone == whole


@pytest.mark.parametrize("rules", RULES)
def test_shards_change_no_bit(
    events: pl.DataFrame, rules: tuple[tuple[str, str, bool], ...], tmp_path: Path
) -> None:
    everybody = rows_of(list(range(N_SUBJECTS)))
    for shard in range(3):
        events.filter(pl.col("subject_id") % 3 == shard).write_parquet(tmp_path / f"{shard}.parquet")
    whole = build_features(events.lazy(), everybody, spec(rules))
    sharded = build_features(pl.scan_parquet(tmp_path / "*.parquet"), everybody, spec(rules))
    assert sharded.columns.equals(whole.columns)
    assert cells(sharded) == cells(whole)
