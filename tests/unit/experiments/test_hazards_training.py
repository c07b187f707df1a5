"""A network with hazards learns true risks at every hour from records of which many end too early."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from experiments.fitting import fit_model
from phenotype.cases import ROWS, Cases
from phenotype.networks.config import TransformerConfig
from phenotype.networks.model import NetworkModel
from phenotype.outcomes import OUTCOMES
from phenotype.trajectory import EVENTS, open_dataset

NOW, HORIZON, DEATHS_AN_HOUR = datetime(2020, 1, 3), 48.0, 0.01
N_TRAIN, N_TUNING, N_TEST = 1000, 300, 200
CONFIG = TransformerConfig(
    head="hazards", width=16, n_layers=1, n_heads=2, min_subjects=5, max_epochs=15, dropout=0.0,
    event_dropout=0.0, weight_decay=0.01, learning_rate=1e-2, batch_positions=256, patience=15,
)  # fmt: skip


def true_risk(rate: npt.NDArray[np.float64], hours: float) -> npt.NDArray[np.float64]:
    """Two exponential clocks: the outcome is the first to ring, within so many hours."""
    total = rate + DEATHS_AN_HOUR
    return np.asarray(rate / total * -np.expm1(-total * hours))


def what_came(
    random: np.random.Generator, rate: npt.NDArray[np.float64], *, ends_early: bool
) -> tuple[npt.NDArray[np.bool_], pl.DataFrame]:
    """Labels and OUTCOMES; where records end early, 40 % of them do so before the horizon."""
    n = len(rate)
    outcome, death = random.exponential(1 / rate), random.exponential(1 / DEATHS_AN_HOUR, n)
    end = np.minimum(random.uniform(0, 120, n), HORIZON) if ends_early else np.full(n, HORIZON)
    first = np.minimum(outcome, death)
    label = (outcome <= death) & (outcome <= end)
    name = np.where(
        first <= end, np.where(outcome <= death, "sepsis", "death"), np.where(end < HORIZON, "censored", "")
    )
    frame = pl.DataFrame(
        {
            "event": [one or None for one in name],
            "event_hours": [hour if hour <= until else None for hour, until in zip(first, end, strict=True)],
            "censored_hours": [
                until if one == "censored" else None for one, until in zip(name, end, strict=True)
            ],
        }
    )
    absent = [pl.lit(None, dtype).alias(key) for key, dtype in OUTCOMES.items() if key not in frame.columns]
    return label, frame.with_columns(absent).select(OUTCOMES.names())


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Patients with one laboratory value, which is the logarithm of the outcome's rate."""
    random = np.random.default_rng(5)
    n = N_TRAIN + N_TUNING + N_TEST
    signal = random.normal(size=n)
    folder = tmp_path_factory.mktemp("planted")
    (folder / "data").mkdir()
    events = pl.DataFrame(
        {
            "subject_id": np.arange(n),
            "time": NOW - timedelta(hours=2),
            "code": "LAB//X",
            "numeric_value": signal,
        }
    )
    absent = [pl.lit(None, dtype).alias(key) for key, dtype in EVENTS.items() if key not in events.columns]
    columns = [pl.col(key).cast(dtype) for key, dtype in EVENTS.items()]
    events.with_columns(absent).select(columns).write_parquet(folder / "data" / "0.parquet")
    rows = pl.DataFrame({"subject_id": np.arange(n), "prediction_time": NOW, "contact_id": None}).cast(
        dict(ROWS)
    )
    cuts = np.cumsum([0, N_TRAIN, N_TUNING, N_TEST])
    parts = [Cases(open_dataset(folder), rows[a:b]) for a, b in pairwise(cuts)]
    return {"parts": parts, "rate": 0.01 * np.exp(signal), "random": random, "cuts": cuts}


def test_hazards_learn_the_risk_at_every_hour(
    planted: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken as labels, the records that end early would put the risk at 48 h a seventh too low."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    train, tuning, test = planted["parts"]
    cuts, rate = planted["cuts"], planted["rate"]
    random, rates = planted["random"], [rate[a:b] for a, b in pairwise(cuts)]
    labels, outcomes = what_came(random, rates[0], ends_early=True)
    tuning_labels, tuning_outcomes = what_came(random, rates[1], ends_early=False)
    told = {"outcomes": (outcomes, tuning_outcomes), "horizon_hours": HORIZON}
    model = fit_model(CONFIG, train, labels, tuning, tuning_labels, seed=1, folder=tmp_path, **told)
    assert isinstance(model, NetworkModel)
    hours = [6.0, 24.0, 48.0]
    found = model.risks_at(test, hours)
    truth = np.stack([true_risk(rates[2], hour) for hour in hours], axis=1)
    assert np.abs(found - truth).mean(0).max() < 0.06
    np.testing.assert_allclose(found.mean(0), truth.mean(0), atol=0.04)
    assert labels.mean() < 0.9 * truth[:, 2].mean(), "many records do end early"
    np.testing.assert_allclose(model.predict(test), found[:, 2], rtol=1e-5)
