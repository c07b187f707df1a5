"""GRU-D's numbers against the paper's equations written out as loops over time points and variables."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from phenotype.cases import ROWS, Cases
from phenotype.networks.grid_views import Grid, latest, running_counts, running_summaries, spread
from phenotype.networks.grids import GridBatch, make_batch
from phenotype.networks.gru_d import DecayingCell, choose_variables
from phenotype.networks.gru_d_config import GRUDConfig
from phenotype.sequences import make_sequences, readable_events
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

START = datetime(2020, 1, 1)
Fact = tuple[int, float | None, str, float | None]
Floats = npt.NDArray[np.float64]


def a_grid(n_units: int = 3, n_times: int = 9, n_variables: int = 4) -> Grid:
    draw = np.random.default_rng(2)
    observed = draw.random((n_units, n_times, n_variables)) < 0.4
    value = np.where(observed, draw.normal(size=observed.shape), 0.0)
    hours = draw.exponential(3.0, (n_units, n_times)).cumsum(1)
    hours -= hours[:, :1]
    tensors = [torch.tensor(part, dtype=torch.float64) for part in (value, observed, hours)]
    return Grid(*tensors)


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def gaps_by_loop(grid: Grid) -> Floats:
    """Che et al. 2018: delta_1 = 0; delta_t = s_t - s_(t-1), plus delta_(t-1) where m_(t-1) = 0."""
    observed, hours = grid.observed.numpy(), grid.hours.numpy()
    gap = np.zeros_like(observed)
    for unit, variable in np.ndindex(observed.shape[0], observed.shape[2]):
        for t in range(1, observed.shape[1]):
            before = 0.0 if observed[unit, t - 1, variable] else gap[unit, t - 1, variable]
            gap[unit, t, variable] = hours[unit, t] - hours[unit, t - 1] + before
    return gap


def test_gaps_are_those_of_the_paper() -> None:
    grid = a_grid()
    np.testing.assert_allclose(latest(grid).gap.numpy(), gaps_by_loop(grid), atol=1e-12)


def test_the_latest_value_and_the_hours_since() -> None:
    grid = a_grid()
    found = latest(grid)
    value, observed, hours = (part.numpy() for part in grid)
    for unit, t, variable in np.ndindex(*value.shape):
        times = [past for past in range(t + 1) if observed[unit, past, variable]]
        last = times[-1] if times else 0
        where = (unit, t, variable)
        assert found.seen[where] == bool(times)
        assert found.value[where] == (value[unit, last, variable] if times else 0)
        assert found.since[where].item() == pytest.approx(hours[unit, t] - hours[unit, last])


def test_the_cell_is_the_paper_s() -> None:
    """r, z and the candidate from decayed states, gate by gate; weights drawn at random."""
    torch.manual_seed(0)
    n_features, width, grid = 5, 3, a_grid()
    cell = DecayingCell(n_features, grid.value.shape[2], width).double()
    for weight in cell.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    features = torch.randn(*grid.hours.shape, n_features, dtype=torch.float64)
    gap = torch.tensor(gaps_by_loop(grid))
    found = cell(features, gap).detach().numpy()
    decay_weight, decay_bias, told, bias, kept = (
        weight.detach().numpy()
        for weight in (cell.decay.weight, cell.decay.bias, cell.told.weight, cell.told.bias, cell.kept)
    )
    for unit in range(len(found)):
        h = np.zeros(width)
        for t in range(found.shape[1]):
            h = h * np.exp(-np.maximum(0, decay_weight @ (gap[unit, t].numpy() / 24) + decay_bias))
            x = told @ features[unit, t].numpy() + bias
            r = sigmoid(x[:3] + kept[:3] @ h)
            z = sigmoid(x[3:6] + kept[3:6] @ h)
            candidate = np.tanh(x[6:] + kept[6:] @ (r * h))
            h = (1 - z) * h + z * candidate
            np.testing.assert_allclose(found[unit, t], h, atol=1e-12)


def test_running_summaries_are_those_of_the_values_so_far() -> None:
    grid, window = a_grid(), 6.0
    carried = torch.full_like(grid.value, 7.0)
    found = [part.numpy() for part in running_summaries(grid, carried, window)]
    count, late_count = running_counts(grid, window)
    value, observed, hours = (part.numpy() for part in grid)
    for unit, t, variable in np.ndindex(*value.shape):
        past = [i for i in range(t + 1) if observed[unit, i, variable]]
        late = [i for i in past if hours[unit, i] > hours[unit, t] - window]
        so_far, lately = value[unit, past, variable], value[unit, late, variable]
        expected = [so_far.mean(), so_far.std(), so_far.max(), so_far.min()] if past else [0.0] * 4
        expected.append(lately.mean() if late else 7.0)
        where = (unit, t, variable)
        np.testing.assert_allclose([part[where] for part in found], expected, atol=1e-7)
        assert (count[where].item(), late_count[where].item()) == (len(past), len(late))


def cases_of(folder: Path, facts: list[Fact], asked: list[tuple[int, float]]) -> Cases:
    def hour(hours: float) -> datetime:
        return START + timedelta(hours=hours)

    rows = [(s, None if h is None else hour(h), code, value) for s, h, code, value in facts]
    names: dict[str, Any] = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    frame = pl.DataFrame(rows, schema=names | {"numeric_value": pl.Float32}, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (folder / "data").mkdir(parents=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(folder / "data" / "0.parquet")
    wanted = pl.DataFrame([(s, hour(h), None) for s, h in asked], schema=ROWS, orient="row")
    return Cases(open_dataset(folder), wanted)


def batch_of(cases: Cases, **settings: Any) -> tuple[GridBatch, Vocabulary]:
    config = GRUDConfig.model_validate({"min_subjects": 1} | settings)
    vocabulary = fit_vocabulary(readable_events(cases, config), 1, 10)
    sequences = make_sequences(cases, vocabulary, config)
    return make_batch(sequences, np.arange(sequences.n_units), config), vocabulary


FACTS: list[Fact] = [
    (1, None, "AGE", 70.0),
    (1, 2.0, "LAB//a", 1.0),
    (1, 2.0, "LAB//a", 3.0),
    (1, 2.0, "LAB//b", 5.0),
    (1, 5.0, "LAB//a", 2.0),
    (1, 9.0, "LAB//b", 9.0),
    (2, 1.0, "LAB//b", 7.0),
]


def test_cells_of_a_grid_by_hand(tmp_path: Path) -> None:
    """Patient 1 at hours 1 (nothing yet), 6 and 9, patient 2 at hour 1; values at one time are averaged."""
    cases = cases_of(tmp_path / "a", FACTS, [(1, 1.0), (1, 6.0), (1, 9.0), (2, 1.0)])
    batch, vocabulary = batch_of(cases)
    assert batch.hours.tolist() == [[0, 3, 7], [0, 0, 0]]
    assert batch.read_column.tolist() == [0, 1, 2, 3]
    assert batch.sees.tolist() == [False, True, True, True]
    assert batch.read_hours.tolist() == [0, 4, 7, 0]
    assert batch.unit.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(batch.age, [70, 70, 70, np.nan])
    assert len(batch.static_token) == 1
    variable, n_variables = choose_variables(vocabulary, 3)
    grid = spread(batch, variable, n_variables)
    scales = dict(zip(vocabulary.tokens["token"], vocabulary.tokens["median"], strict=True))
    spreads = dict(zip(vocabulary.tokens["token"], vocabulary.tokens["scale"], strict=True))
    b, a = 0, 2  # between them the age, which one patient has as well
    assert grid.observed[0, :, [b, a]].tolist() == [[1, 1], [0, 1], [1, 0]], (
        "two patients have b, one has a; their common ancestor is no variable"
    )
    z = (2.0 - scales["LAB//a"]) / spreads["LAB//a"]
    np.testing.assert_allclose(grid.value[0, :, a], [z, z, 0], rtol=1e-6)


def test_what_is_older_than_the_window_stands_in_one_column(tmp_path: Path) -> None:
    """Two positions are read one by one; of what was before them the latest of each code stands in front."""
    facts: list[Fact] = [(1, float(h), f"LAB//{'ab'[h % 2]}", float(h)) for h in range(7)]
    batch, vocabulary = batch_of(cases_of(tmp_path / "a", facts, [(1, 6.0)]), max_positions=2)
    assert batch.hours.tolist() == [[4, 5, 6]], "hours since the history's first event"
    names = vocabulary.tokens["token"].to_list()
    cells = zip(batch.column.tolist(), batch.token.tolist(), batch.value.tolist(), strict=True)
    found = sorted((column, names[token], np.sign(value)) for column, token, value in cells)
    # a: 0, 2, 4, 6 with median 3; b: 1, 3, 5 with median 3
    assert found == [(0, "LAB//a", 1), (0, "LAB//b", 0), (1, "LAB//b", 1), (2, "LAB//a", 1)]
