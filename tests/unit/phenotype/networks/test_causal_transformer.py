"""What the network promises about time, order, deletion and saving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
import torch

from phenotype.cases import ROWS, Cases
from phenotype.networks.batches import bucketed, make_batch
from phenotype.networks.causal_transformer import make_network
from phenotype.networks.config import TransformerConfig
from phenotype.networks.layers import rotary_angles
from phenotype.networks.model import NetworkModel
from phenotype.predictor import BundleParts
from phenotype.sequences import Sequences
from phenotype.threads import torch_threads
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

START = datetime(2020, 1, 1)
Position = Literal["time_point", "event"]
POSITIONS: tuple[Position, Position] = ("time_point", "event")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads cost more than they give where arrays are this small."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    with torch_threads(1):
        yield


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def history(seed: int = 0, n_subjects: int = 30) -> pl.DataFrame:
    """Whole-hour events with ties, static facts and births."""
    draw = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        if subject % 3:
            rows.append((subject, hour(-24 * 365.25 * draw.integers(20, 90)), "MEDS_BIRTH", None, None))
        rows.append((subject, None, ("SEX//male", "SEX//female")[subject % 2], None, None))
        for _ in range(draw.integers(0, 40)):
            time = hour(float(draw.integers(0, 12)))
            code, value = f"LAB//{draw.integers(0, 6)}", float(draw.normal())
            late = time + timedelta(hours=2) if draw.random() < 0.2 else None
            rows.append((subject, time, code, value, late))
    names = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    frame = pl.DataFrame(
        rows, schema=names | {"numeric_value": pl.Float32, "known_time": pl.Datetime("us")}, orient="row"
    )
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    return frame.with_columns(absent).select(EVENTS.names())


def cases_of(folder: Path, events: pl.DataFrame, rows: list[tuple[int, float]]) -> Cases:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    events.write_parquet(folder / "data" / "0.parquet")
    asked = pl.DataFrame([(s, hour(h), None) for s, h in rows], schema=ROWS, orient="row")
    return Cases(open_dataset(folder), asked.sort("subject_id", "prediction_time"))


def untrained(cases: Cases, **settings: object) -> NetworkModel:
    """A network whose random weights all matter."""
    wanted = {"min_subjects": 1, "width": 32, "n_layers": 2, "max_positions": 8} | settings
    config = TransformerConfig.model_validate(wanted)
    vocabulary = fit_vocabulary(cases.events(), config.min_subjects, config.n_bins)
    torch.manual_seed(0)
    network = make_network(config, vocabulary)
    torch.nn.init.normal_(network.head.out.weight)
    return NetworkModel(config, vocabulary, (network.eval(),))


ROWS_ASKED = [(subject, hours) for subject in range(30) for hours in (3.0, 7.0, 11.0)]


@pytest.mark.parametrize("position", POSITIONS)
def test_what_is_known_later_changes_no_bit(tmp_path: Path, position: Position) -> None:
    """Editing, adding and deleting events after the prediction times leaves logits bit-equal."""
    rows = [(subject, 6.0) for subject in range(30)]
    events = history()
    cases = cases_of(tmp_path / "a", events, rows)
    model = untrained(cases, position=position)
    is_later = pl.coalesce("known_time", "time") > hour(6.0)
    edited = pl.concat(
        [
            events.filter(~is_later.fill_null(value=False)),
            events.filter(is_later).with_columns(pl.col("numeric_value") * 3, code=pl.lit("LAB//0"))[::2],
            events.filter(is_later).with_columns(pl.col("known_time") + timedelta(hours=50)),
        ]
    )
    later = cases_of(tmp_path / "b", edited, rows)
    np.testing.assert_array_equal(model.predict(cases), model.predict(later))


def test_moving_known_time_alone_across_the_prediction_time_changes_the_risk(tmp_path: Path) -> None:
    events = (
        history().filter(pl.col("subject_id") == 1).with_columns(known_time=pl.lit(None, pl.Datetime("us")))
    )
    last = events.filter(pl.col("time") <= hour(6.0))["time"].max()
    moved = events.with_columns(known_time=pl.when(pl.col("time") == last).then(pl.lit(hour(9.0))))
    model = untrained(cases_of(tmp_path / "a", events, [(1, 6.0)]))
    before = model.predict(cases_of(tmp_path / "a", events, [(1, 6.0)]))
    after = model.predict(cases_of(tmp_path / "b", moved, [(1, 6.0)]))
    assert before != after


@pytest.mark.parametrize("position", POSITIONS)
def test_simultaneous_events_have_no_order(tmp_path: Path, position: Position) -> None:
    cases = cases_of(tmp_path, history(), ROWS_ASKED)
    model = untrained(cases, position=position, max_positions=200)
    sequences = model.sequences(cases)
    shuffled = _shuffle_ties(sequences)
    assert (shuffled.token != sequences.token).any()
    risks, again = (1 / (1 + np.exp(-model.logits(read))) for read in (sequences, shuffled))
    np.testing.assert_allclose(again, risks, atol=1e-6, rtol=0)


def _shuffle_ties(sequences: Sequences) -> Sequences:
    """Events known at one time by one subject, in another order; age events stay where rows look for them."""
    draw = np.random.default_rng(1)
    is_static = sequences.known == np.iinfo(np.int64).min
    owner = np.searchsorted(np.unique(sequences.static_start), np.arange(len(sequences.token)), side="right")
    key = np.where(is_static, np.arange(len(owner)), draw.random(len(owner)))
    order = np.lexsort((key, sequences.known, owner))
    fields = {
        name: getattr(sequences, name)[order] for name in ("token", "value_bin", "value", "known", "code")
    }
    return Sequences(**(vars(sequences) | fields))


@pytest.mark.parametrize("position", POSITIONS)
def test_deleted_events_are_as_if_they_had_never_been(tmp_path: Path, position: Position) -> None:
    """Leaving out a code's events equals a dataset without them."""
    events = history()
    cases = cases_of(tmp_path / "a", events, ROWS_ASKED)
    model = untrained(cases, position=position, max_positions=500)
    fewer = cases_of(tmp_path / "b", events.filter(pl.col("code") != "LAB//2"), ROWS_ASKED)
    without = model.logits(model.sequences(fewer))
    sequences = model.sequences(cases)
    gone = sequences.codes.index("LAB//2")
    for row in range(sequences.n_rows):
        read = slice(sequences.static_start[row], sequences.end[row])
        found = model.coalition_logits(sequences, row, sequences.code[read][None] != gone)
        assert found[0] == pytest.approx(without[row], abs=1e-5)


def test_a_row_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, history(), ROWS_ASKED)
    model = untrained(cases)
    together = model.predict(cases)
    alone = [model.predict(Cases(cases.dataset, cases.rows[n : n + 1]))[0] for n in range(0, 90, 7)]
    np.testing.assert_allclose(together[::7], alone, atol=1e-6)


def test_older_history_is_read_as_counts(tmp_path: Path) -> None:
    """With one position to read, what lies before still matters, and so does how often it was."""
    rows = [(subject, 11.0) for subject in range(30)]
    cases = cases_of(tmp_path, history(), rows)
    model = untrained(cases, max_positions=1)
    sequences = model.sequences(cases)
    row = int(np.argmax(sequences.recent_start - sequences.older_start))
    n_events = int(sequences.n_events()[row])
    all_but = np.ones((2, n_events), dtype=bool)
    all_but[1, sequences.older_start[row] - sequences.static_start[row]] = False
    both = model.coalition_logits(sequences, row, all_but)
    assert both[0] != pytest.approx(both[1], abs=1e-5)


@pytest.mark.parametrize("position", POSITIONS)
def test_saved_and_loaded_it_predicts_the_same_bits(tmp_path: Path, position: Position) -> None:
    cases = cases_of(tmp_path, history(), ROWS_ASKED)
    model = untrained(cases, position=position)
    parts = model.parts()
    table = tmp_path / "vocabulary.parquet"
    parts.tables["vocabulary"].write_parquet(table)
    read = BundleParts(
        json.loads(json.dumps(parts.config)),
        {name: array.copy() for name, array in parts.tensors.items()},
        tables={"vocabulary": pl.read_parquet(table)},
    )
    np.testing.assert_array_equal(NetworkModel.from_parts(read).predict(cases), model.predict(cases))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    cases = cases_of(tmp_path, history(), ROWS_ASKED)
    parts = untrained(cases).parts()
    wrong = BundleParts(parts.config | {"width": 64}, parts.tensors, tables=parts.tables)
    with pytest.raises(ValueError, match="weights do not fit"):
        NetworkModel.from_parts(wrong)


def test_angles_turn_with_hours_even_after_ten_years() -> None:
    """numpy's exp(2 pi i hours / period), periods 1 h to 87,660 h."""
    hours = torch.tensor([[0.0, -0.25, -1.0, -87_660.0, -87_659.5]], dtype=torch.float64)
    cosine, sine = (part[0, :, 0].numpy() for part in rotary_angles(hours, 6))
    found = cosine[:, :3] + 1j * sine[:, 3:]
    np.testing.assert_array_equal(cosine[:, :3], cosine[:, 3:])
    np.testing.assert_array_equal(sine[:, :3], -sine[:, 3:])
    periods = np.array([1.0, 87_660.0**0.5, 87_660.0])
    expected = np.exp(2j * np.pi * hours.numpy()[0][:, None] / periods)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[4, 0] == pytest.approx(-1, abs=1e-6), "half an hour is half a turn, ten years away too"


def test_batches_hold_every_row_once_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(3, 90, 500)
    for generator in (None, np.random.default_rng(1)):
        batches = bucketed(lengths, 512, generator)
        assert sorted(np.concatenate(batches).tolist()) == list(range(500))
        assert max(len(rows) * int(lengths[rows].max()) for rows in batches) <= 512
    waste = sum(len(rows) * lengths[rows].max() for rows in bucketed(lengths, 512)) / lengths.sum()
    assert waste < 1.1


def test_one_long_row_is_a_batch_of_its_own() -> None:
    assert [rows.tolist() for rows in bucketed(np.array([4, 900, 4]), 16)] == [[0, 2], [1]]


@pytest.mark.parametrize("position", POSITIONS)
def test_positions_stand_static_older_recent_read_out(tmp_path: Path, position: Position) -> None:
    rows = [("SEX//male", None)] + [(f"LAB//{n}", float(h)) for h in (1, 2, 2, 3) for n in (h,)]
    frame = pl.DataFrame(
        [(1, None if h is None else hour(h), code) for code, h in rows],
        schema={"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String},
        orient="row",
    )
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    cases = cases_of(tmp_path, frame.with_columns(absent).select(EVENTS.names()), [(1, 5.0)])
    model = untrained(cases, position=position, max_positions=2 if position == "time_point" else 3)
    batch = make_batch(model.sequences(cases), np.array([0]), model.config)
    hours = [0, 0, -3, -2, 0] if position == "time_point" else [0, 0, -3, -3, -2, 0]
    assert batch.hours.tolist() == [hours]
    assert batch.kind.tolist() == [[1, 2, *[3] * (len(hours) - 3), 4]]
    assert batch.gap_hours.tolist() == [[0, 0, 1, *([1] if position == "time_point" else [1, 1]), 2]]


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width 60 is not a multiple of 2 \* n_heads = 8"):
        TransformerConfig(width=60)


def test_it_learns_64_patients_by_heart(tmp_path: Path) -> None:
    events = history(3, 64)
    cases = cases_of(tmp_path, events, [(subject, 11.0) for subject in range(64)])
    model = untrained(cases, dropout=0.0, width=16)
    labels = torch.from_numpy(np.random.default_rng(2).random(64) < 0.4).float()
    batch = make_batch(model.sequences(cases), np.arange(64), model.config)
    optimizer = torch.optim.AdamW(model.networks[0].parameters(), lr=1e-2)
    loss = torch.tensor(1.0)
    for _ in range(200):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model.networks[0](batch)[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
