"""Patients of whom one value tells who is positive, for everything that trains."""

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

NOW = datetime(2020, 1, 3)


@dataclass(frozen=True)
class Patients:
    """Half to train, a quarter to tune, a quarter held out; LAB//SIGNAL tells who is positive."""

    path: Path
    labels: npt.NDArray[np.bool_]

    def part(self, first: int, last: int) -> tuple[Cases, npt.NDArray[np.bool_]]:
        rows = pl.DataFrame([(s, NOW, None) for s in range(first, last)], schema=ROWS, orient="row")
        return Cases(open_dataset(self.path), rows), self.labels[first:last]

    def parts(self) -> tuple[Cases, npt.NDArray[np.bool_], Cases, npt.NDArray[np.bool_]]:
        n = len(self.labels)
        return *self.part(0, n // 2), *self.part(n // 2, 3 * n // 4)

    def held_out(self) -> tuple[Cases, npt.NDArray[np.bool_]]:
        return self.part(3 * len(self.labels) // 4, len(self.labels))


def write_patients(path: Path, n: int = 400) -> Patients:
    """The same patients for the same number, wherever they are written."""
    draw = np.random.default_rng(7)
    signal_of = draw.normal(size=n)
    events = []
    for subject in range(n):
        events.append((subject, None, "SEX//male" if draw.random() < 0.5 else "SEX//female", None))
        for hours in sorted(draw.integers(1, 40, 6)):
            value = signal_of[subject] + 0.3 * draw.normal()
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//SIGNAL", value))
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//NOISE", draw.normal()))
    names = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    frame = pl.DataFrame(events, schema=names, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (path / "data").mkdir(parents=True, exist_ok=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    return Patients(path, signal_of + 0.3 * draw.normal(size=n) > 0.5)


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Patients:
    return write_patients(tmp_path_factory.mktemp("patients"))
