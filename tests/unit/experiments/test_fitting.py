"""One door to every kind of model: a configuration's kind decides what is fitted."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from experiments.fitting import ModelConfig, fit_model
from phenotype.cases import ROWS, Cases
from phenotype.trajectory import EVENTS, open_dataset

AT = datetime(2000, 1, 2)
FEATURES = {"windows": ["full"], "aggregations": ["last"], "min_subjects": 2}
CONFIG = TypeAdapter(ModelConfig)


@pytest.fixture
def parts(tmp_path: Path):
    """Sixty patients with one value each; the higher ones have the outcome."""
    (tmp_path / "data").mkdir()
    names = ["subject_id", "time", "code", "numeric_value"]
    events = pl.DataFrame(
        [
            (subject, AT - timedelta(hours=1), code, float(subject % 10))
            for subject in range(60)
            for code in ("LAB//X", "SCORE//X")
        ],
        schema={name: EVENTS[name] for name in names},
        orient="row",
    )
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in names]
    events.with_columns(missing).select(EVENTS.names()).write_parquet(tmp_path / "data" / "0.parquet")
    dataset = open_dataset(tmp_path)

    def part(first: int, last: int) -> tuple[Cases, np.ndarray]:
        rows = pl.DataFrame(
            [(subject, AT, None) for subject in range(first, last)], schema=ROWS, orient="row"
        )
        return Cases(dataset, rows), np.arange(first, last) % 10 >= 5

    return part(0, 40), part(40, 60)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "ward", "score": "SCORE//X"},
        {"kind": "logistic", "features": FEATURES},
        {"kind": "lightgbm", "features": FEATURES, "min_leaf_rows": 2, "max_trees": 20},
    ],
)
def test_a_configuration_gives_a_model_of_its_kind_that_learns(parts, tmp_path, settings) -> None:
    (train, train_labels), (tuning, tuning_labels) = parts
    config = CONFIG.validate_python(settings)
    model = fit_model(config, train, train_labels, tuning, tuning_labels, seed=0, folder=tmp_path)
    risks = model.predict(tuning)
    assert model.kind == settings["kind"]
    assert risks.dtype == np.float64
    assert risks[tuning_labels].min() > risks[~tuning_labels].max()


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'ward', 'logistic', 'lightgbm', 'transformer'"):
        CONFIG.validate_python({"kind": "oracle"})


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="n_trees"):
        CONFIG.validate_python({"kind": "lightgbm", "n_trees": 5})
