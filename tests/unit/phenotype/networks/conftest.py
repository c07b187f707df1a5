"""Small histories with ties, static facts and births, and networks whose random weights all matter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import torch

from phenotype.cases import ROWS, Cases
from phenotype.networks.model import NetworkModel, config_class, design_of
from phenotype.threads import torch_threads
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

START = datetime(2020, 1, 1)


class Small:
    """Makers of small histories and of untrained networks."""

    rows: ClassVar = [(subject, hours) for subject in range(30) for hours in (3.0, 7.0, 11.0)]

    @staticmethod
    def hour(hours: float) -> datetime:
        """So many hours after the start."""
        return START + timedelta(hours=hours)

    @classmethod
    def history(cls, seed: int = 0, n_subjects: int = 30) -> pl.DataFrame:
        """Whole-hour events with ties, late results, static facts and births."""
        draw = np.random.default_rng(seed)
        rows: list[tuple[Any, ...]] = []
        for subject in range(n_subjects):
            if subject % 3:
                born = cls.hour(-24 * 365.25 * draw.integers(20, 90))
                rows.append((subject, born, "MEDS_BIRTH", None, None))
            rows.append((subject, None, ("SEX//male", "SEX//female")[subject % 2], None, None))
            for _ in range(draw.integers(0, 40)):
                time = cls.hour(float(draw.integers(0, 12)))
                code, value = f"LAB//{draw.integers(0, 6)}", float(draw.normal())
                late = time + timedelta(hours=2) if draw.random() < 0.2 else None
                rows.append((subject, time, code, value, late))
        return cls.events(rows)

    @staticmethod
    def events(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
        """Events of (subject, time, code, value, known_time)."""
        names: dict[str, Any] = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
        names |= {"numeric_value": pl.Float32, "known_time": pl.Datetime("us")}
        frame = pl.DataFrame(rows, schema=names, orient="row")
        absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in names]
        return frame.with_columns(absent).select(EVENTS.names())

    @classmethod
    def cases(cls, folder: Path, events: pl.DataFrame, rows: list[tuple[int, float]] | None = None) -> Cases:
        """Cases of a dataset written to `folder`."""
        (folder / "data").mkdir(parents=True, exist_ok=True)
        events.write_parquet(folder / "data" / "0.parquet")
        asked = [(subject, cls.hour(hours), None) for subject, hours in (rows or cls.rows)]
        frame = pl.DataFrame(asked, schema=ROWS, orient="row")
        return Cases(open_dataset(folder), frame.sort("subject_id", "prediction_time"))

    @staticmethod
    def untrained(cases: Cases, kind: str = "transformer", **settings: object) -> NetworkModel:
        """A network whose random weights all matter."""
        wanted = {"min_subjects": 1, "width": 32, "n_layers": 2, "max_positions": 8} | settings
        config = config_class(kind).model_validate(wanted)
        vocabulary = fit_vocabulary(cases.events(), config.min_subjects, config.n_bins)
        torch.manual_seed(0)
        network: Any = design_of(kind).make_network(config, vocabulary)
        network.start_from(0.3, 10.0)
        torch.nn.init.normal_(network.head.out.weight)
        return NetworkModel(config, vocabulary, (network.eval(),))


@pytest.fixture
def small() -> type[Small]:
    return Small


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads cost more than they give where arrays are this small."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    with torch_threads(1):
        yield
