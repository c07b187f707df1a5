"""One small simulated hospital in all its forms."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.simulate.forms import FORMS
from pipelines.simulate.hospital import simulate

N_PATIENTS = 40


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    simulate(N_PATIENTS, 3, folder, forms=FORMS)
    return folder


@pytest.fixture(scope="session")
def patients(forms: Path) -> pl.DataFrame:
    return pl.read_csv(forms / "extract" / "patients.csv", try_parse_dates=True)


@pytest.fixture(scope="session")
def contacts(forms: Path) -> pl.DataFrame:
    return pl.read_csv(forms / "extract" / "contacts.csv", try_parse_dates=True, infer_schema_length=None)
