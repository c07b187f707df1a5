"""One small simulated hospital, ingested once for all journeys of a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping


@pytest.fixture(scope="session")
def small_hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a dataset of 700 simulated patients."""
    folder = tmp_path_factory.mktemp("hospital")
    simulate(700, 3, folder / "hospital")
    ingest(load_mapping("simulated-hospital"), folder / "hospital" / "extract", folder / "dataset")
    return folder / "dataset"
