"""Patients whose histories are as long as histories are: many short, some long, one event at a time.

Lengths are log-normal with median 77, 12 % of them cut at 256 (mean 104), so that padding all to 256 would
leave 59 % empty. Codes are 4,096, drawn with frequencies that follow Zipf's law; two thirds have values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

N_CODES, MEDIAN_EVENTS, MOST_EVENTS, SHARE_AT_MOST = 4_096, 77, 256, 0.12
_NORMAL_88 = 1.17499
"""The point that a standard normal number is below with probability 0.88."""
_PATIENTS_A_SHARD = 2_000


def lengths(n_patients: int, seed: int) -> np.ndarray:
    """Events of each patient."""
    spread = np.log(MOST_EVENTS / MEDIAN_EVENTS) / _NORMAL_88
    drawn = np.random.default_rng(seed).lognormal(np.log(MEDIAN_EVENTS), spread, n_patients)
    return np.clip(np.round(drawn), 1, MOST_EVENTS).astype(np.int64)


def make_dataset(folder: Path, n_patients: int, seed: int = 0) -> Path:
    """A MEDS dataset in `folder`, made where it is not there yet, shard by shard."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, n_patients, _PATIENTS_A_SHARD)):
        file = folder / "data" / f"{shard}.parquet"
        if not file.exists():
            n_here = min(_PATIENTS_A_SHARD, n_patients - first)
            written = file.with_suffix(".writing")
            _events(first, n_here, seed + shard).write_parquet(written)
            written.rename(file)
    return folder


def _events(first: int, n_patients: int, seed: int) -> pl.DataFrame:
    """Events of some patients, an hour and more apart."""
    random = np.random.default_rng(seed)
    n_events = lengths(n_patients, seed)
    subject = np.repeat(np.arange(first, first + n_patients), n_events)
    minutes = np.cumsum(60 + random.exponential(600, len(subject)).astype(np.int64))
    weights = 1 / np.arange(1, N_CODES + 1)
    code = random.choice(N_CODES, len(subject), p=weights / weights.sum())
    code[: min(N_CODES, len(code))] = np.arange(min(N_CODES, len(code)))
    value = np.where(code % 3 == 0, np.nan, random.normal(100, 15, len(code))).astype(np.float32)
    names = np.array([f"BENCH//{number:04d}" for number in range(N_CODES)])
    return pl.DataFrame(
        {
            "subject_id": subject,
            "time": np.datetime64("2001-01-01T00:00", "us") + minutes.astype("timedelta64[m]"),
            "code": names[code],
            "numeric_value": value,
        }
    ).with_columns(pl.col("numeric_value").fill_nan(None))
