"""What a fit cost: kept by fold, told as a mean, and withheld where an attempt was cut off."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from experiments.costs import cost_kept, costs_of
from experiments.run_folder import read_json


def test_sleeping_costs_time_and_no_processor(tmp_path: Path) -> None:
    with cost_kept(tmp_path / "a.json"):
        time.sleep(0.2)
    kept = read_json(tmp_path / "a.json")
    assert kept["fit_seconds"] >= 0.2
    assert kept["fit_core_seconds"] < 0.15


def test_the_mean_of_whole_fits_is_told(tmp_path: Path) -> None:
    files = [tmp_path / f"{fold}.json" for fold in range(2)]
    for file in files:
        with cost_kept(file):
            time.sleep(0.05)
    seconds = [read_json(file)["fit_seconds"] for file in files]
    assert costs_of(files)["fit_seconds"] == pytest.approx(sum(seconds) / 2)


def test_a_fit_that_was_cut_off_has_no_cost(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(KeyboardInterrupt), cost_kept(file):
        raise KeyboardInterrupt
    assert costs_of([file]) == {"fit_seconds": None, "fit_core_seconds": None}
    with cost_kept(file):
        pass
    assert read_json(file)["n_attempts"] == 2
    assert costs_of([file]) == {"fit_seconds": None, "fit_core_seconds": None}


def test_a_run_from_before_costs_were_kept_has_none(tmp_path: Path) -> None:
    assert costs_of([tmp_path / "absent.json"]) == {"fit_seconds": None, "fit_core_seconds": None}
