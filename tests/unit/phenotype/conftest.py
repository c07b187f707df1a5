"""A small dataset with a planted signal, for every kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from phenotype.cases import ROWS, Cases
from phenotype.trajectory import EVENTS, open_dataset

PREDICTION_TIME = datetime(2000, 1, 3)
N_SUBJECTS = 900


@dataclass(frozen=True)
class Planted:
    """Patients whose risk is a known function of what is recorded.

    logit(risk) = -1 + 1.5 * signal + 1.5 * has_drug, where LAB//SIGNAL has mean 100 + 20 * signal.
    """

    path: Path
    train: Cases
    train_labels: npt.NDArray[np.bool_]
    tuning: Cases
    tuning_labels: npt.NDArray[np.bool_]
    held_out: Cases
    held_out_labels: npt.NDArray[np.bool_]
    true_risks: npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    random = np.random.default_rng(20261121)
    signal = random.normal(size=N_SUBJECTS)
    has_drug = random.random(N_SUBJECTS) < 0.3
    risk = 1 / (1 + np.exp(1 - 1.5 * signal - 1.5 * has_drug))
    labels = random.random(N_SUBJECTS) < risk
    path = tmp_path_factory.mktemp("planted")
    (path / "data").mkdir()
    _events(random, signal, has_drug, risk).write_parquet(path / "data" / "0.parquet")
    parts = []
    for first, last in ((0, 500), (500, 700), (700, N_SUBJECTS)):
        rows = pl.DataFrame(
            [(subject, PREDICTION_TIME, None) for subject in range(first, last)], schema=ROWS, orient="row"
        )
        parts.append((Cases(open_dataset(path), rows), labels[first:last]))
    return Planted(path, *parts[0], *parts[1], *parts[2], risk[700:])


def _events(
    random: np.random.Generator,
    signal: npt.NDArray[np.float64],
    has_drug: npt.NDArray[np.bool_],
    risk: npt.NDArray[np.float64],
) -> pl.DataFrame:
    events: list[tuple[int, datetime | None, str, float | None]] = []
    for subject in range(N_SUBJECTS):
        events += [
            (subject, None, "SEX//female" if random.random() < 0.5 else "SEX//male", None),
            (subject, None, "AGE", float(random.integers(20, 90))),
        ]
        for hours in (6, 20, 40):
            time = PREDICTION_TIME - timedelta(hours=hours)
            events.append((subject, time, "LAB//SIGNAL", 100 + 20 * signal[subject] + random.normal()))
            if random.random() < 0.5:
                events.append((subject, time, "LAB//NOISE", float(random.lognormal())))
        if has_drug[subject]:
            events.append((subject, PREDICTION_TIME - timedelta(hours=10), "ATC//J01CF05", None))
        if random.random() < 0.9:
            score = float(np.round(10 * risk[subject] + random.normal()))
            events.append((subject, PREDICTION_TIME - timedelta(hours=1), "SCORE//TEST", score))
        events.append((subject, PREDICTION_TIME + timedelta(hours=1), "SCORE//TEST", 99.0))
    frame = pl.DataFrame(
        events,
        schema={
            "subject_id": pl.Int64,
            "time": EVENTS["time"],
            "code": pl.String,
            "numeric_value": pl.Float32,
        },
        orient="row",
    )
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    return frame.with_columns(missing).select(EVENTS.names()).sort("subject_id", "time", "code")
