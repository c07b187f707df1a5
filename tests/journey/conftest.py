"""One small simulated hospital, ingested once for all journeys of a session, and the way through the door."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import cli
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


@pytest.fixture(scope="session")
def pesta() -> Callable[..., int]:
    """The command line run in this process: words in, its exit status out."""

    def called(*words: object) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["pesta", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return int(ended.value.code or 0)

    return called


@pytest.fixture(scope="session")
def run_through(
    small_hospital: Path, tmp_path_factory: pytest.TempPathFactory, pesta: Callable[..., int]
) -> Callable[[dict[str, Any]], Path]:
    """A run's content in, its finished folder over the small hospital out; run.yaml lies beside it."""

    def finished(content: dict[str, Any]) -> Path:
        place = tmp_path_factory.mktemp(content["name"])
        whole = yaml.safe_dump(content | {"dataset": str(small_hospital)}, sort_keys=False)
        (place / "run.yaml").write_text(whole, "utf-8")
        assert pesta("run", place / "run.yaml", "--out", place / "run", "--quiet") == 0
        return place / "run"

    return finished
