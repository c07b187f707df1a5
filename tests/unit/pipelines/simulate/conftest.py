"""One small simulated hospital for all tests here, read as a stranger would read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import polars as pl
import pytest

from pipelines.simulate.hospital import simulate

N_PATIENTS = 400


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    simulate(N_PATIENTS, 11, folder)
    return folder


@pytest.fixture(scope="module")
def read(folder: Path) -> Callable[[str], pl.DataFrame]:
    """The tables of the extract in a module's own `folder`, every row read before a column's type is told."""

    @lru_cache
    def one(name: str) -> pl.DataFrame:
        return pl.read_csv(folder / "extract" / f"{name}.csv", try_parse_dates=True, infer_schema_length=None)

    return one


@pytest.fixture(scope="session")
def table(hospital: Path) -> Callable[[str], pl.DataFrame]:
    @lru_cache
    def read(name: str) -> pl.DataFrame:
        return pl.read_csv(
            hospital / "extract" / f"{name}.csv", try_parse_dates=True, infer_schema_length=100_000
        )

    return read


@pytest.fixture(scope="session")
def truth(hospital: Path) -> Callable[[str], pl.DataFrame]:
    return lambda name: pl.read_parquet(hospital / "truth" / f"{name}.parquet")
