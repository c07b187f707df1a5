"""What the transformer promises about time, order, deletion, saving; padded or packed, in any precision."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
import torch

from phenotype.cases import Cases
from phenotype.networks.batches import bucketed, make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.networks.layers import rotary_angles
from phenotype.networks.model import NetworkModel
from phenotype.predictor import BundleParts
from phenotype.sequences import Sequences
from phenotype.trajectory import EVENTS

Position = Literal["time_point", "event"]
POSITIONS: tuple[Position, Position] = ("time_point", "event")
READINGS = ("alone", "shared")
each_position = pytest.mark.parametrize("position", POSITIONS)
each_reading = pytest.mark.parametrize("reading", READINGS)


@each_position
def test_what_is_known_later_changes_no_bit(small: Any, tmp_path: Path, position: Position) -> None:
    """Editing, adding and deleting events after the prediction times leaves logits bit-equal."""
    rows = [(subject, 6.0) for subject in range(30)]
    events = small.history()
    cases = small.cases(tmp_path / "a", events, rows)
    model = small.untrained(cases, position=position)
    is_later = pl.coalesce("known_time", "time") > small.hour(6.0)
    edited = pl.concat(
        [
            events.filter(~is_later.fill_null(value=False)),
            events.filter(is_later).with_columns(pl.col("numeric_value") * 3, code=pl.lit("LAB//0"))[::2],
            events.filter(is_later).with_columns(pl.col("known_time") + timedelta(hours=50)),
        ]
    )
    later = small.cases(tmp_path / "b", edited, rows)
    np.testing.assert_array_equal(model.predict(cases), model.predict(later))


def test_moving_known_time_alone_across_the_prediction_time_changes_the_risk(
    small: Any, tmp_path: Path
) -> None:
    events = (
        small.history()
        .filter(pl.col("subject_id") == 1)
        .with_columns(known_time=pl.lit(None, pl.Datetime("us")))
    )
    last = events.filter(pl.col("time") <= small.hour(6.0))["time"].max()
    moved = events.with_columns(known_time=pl.when(pl.col("time") == last).then(pl.lit(small.hour(9.0))))
    model = small.untrained(small.cases(tmp_path / "a", events, [(1, 6.0)]))
    before = model.predict(small.cases(tmp_path / "a", events, [(1, 6.0)]))
    after = model.predict(small.cases(tmp_path / "b", moved, [(1, 6.0)]))
    assert before != after


@each_position
def test_simultaneous_events_have_no_order(small: Any, tmp_path: Path, position: Position) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, position=position, max_positions=200)
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


@each_position
def test_deleted_events_are_as_if_they_had_never_been(small: Any, tmp_path: Path, position: Position) -> None:
    """Leaving out a code's events equals a dataset without them."""
    events = small.history()
    cases = small.cases(tmp_path / "a", events)
    model = small.untrained(cases, position=position, max_positions=500)
    fewer = small.cases(tmp_path / "b", events.filter(pl.col("code") != "LAB//2"))
    without = model.logits(model.sequences(fewer))
    sequences = model.sequences(cases)
    gone = sequences.codes.index("LAB//2")
    for row in range(sequences.n_rows):
        read = slice(sequences.static_start[row], sequences.end[row])
        found = model.coalition_logits(sequences, row, sequences.code[read][None] != gone)
        assert found[0] == pytest.approx(without[row], abs=1e-5)


def test_a_row_does_not_depend_on_its_batch(small: Any, tmp_path: Path) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases)
    together = model.predict(cases)
    alone = [model.predict(Cases(cases.dataset, cases.rows[n : n + 1]))[0] for n in range(0, 90, 7)]
    np.testing.assert_allclose(together[::7], alone, atol=1e-6)


def test_older_history_is_read_as_counts(small: Any, tmp_path: Path) -> None:
    """With one position to read, what lies before still matters, and so does how often it was."""
    rows = [(subject, 11.0) for subject in range(30)]
    cases = small.cases(tmp_path, small.history(), rows)
    model = small.untrained(cases, max_positions=1)
    sequences = model.sequences(cases)
    row = int(np.argmax(sequences.recent_start - sequences.older_start))
    n_events = int(sequences.n_events()[row])
    all_but = np.ones((2, n_events), dtype=bool)
    all_but[1, sequences.older_start[row] - sequences.static_start[row]] = False
    both = model.coalition_logits(sequences, row, all_but)
    assert both[0] != pytest.approx(both[1], abs=1e-5)


@each_position
def test_saved_and_loaded_it_predicts_the_same_bits(small: Any, tmp_path: Path, position: Position) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, position=position)
    parts = model.parts()
    table = tmp_path / "vocabulary.parquet"
    parts.tables["vocabulary"].write_parquet(table)
    read = BundleParts(
        json.loads(json.dumps(parts.config)),
        {name: array.copy() for name, array in parts.tensors.items()},
        tables={"vocabulary": pl.read_parquet(table)},
    )
    np.testing.assert_array_equal(NetworkModel.from_parts(read).predict(cases), model.predict(cases))


def test_weights_of_another_network_are_refused(small: Any, tmp_path: Path) -> None:
    cases = small.cases(tmp_path, small.history())
    parts = small.untrained(cases).parts()
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


@each_position
def test_positions_stand_static_older_recent_read_out(small: Any, tmp_path: Path, position: Position) -> None:
    rows = [("SEX//male", None)] + [(f"LAB//{n}", float(h)) for h in (1, 2, 2, 3) for n in (h,)]
    frame = pl.DataFrame(
        [(1, None if h is None else small.hour(h), code) for code, h in rows],
        schema={"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String},
        orient="row",
    )
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    cases = small.cases(tmp_path, frame.with_columns(absent).select(EVENTS.names()), [(1, 5.0)])
    model = small.untrained(cases, position=position, max_positions=2 if position == "time_point" else 3)
    batch = make_batch(model.sequences(cases), np.array([0]), model.config)
    hours = [0, 0, -3, -2, 0] if position == "time_point" else [0, 0, -3, -3, -2, 0]
    assert batch.hours.tolist() == [hours]
    assert batch.kind.tolist() == [[1, 2, *[3] * (len(hours) - 3), 4]]
    assert batch.gap_hours.tolist() == [[0, 0, 1, *([1] if position == "time_point" else [1, 1]), 2]]


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width 60 is not a multiple of 2 \* n_heads = 8"):
        TransformerConfig(width=60)


def test_it_learns_64_patients_by_heart(small: Any, tmp_path: Path) -> None:
    events = small.history(3, 64)
    cases = small.cases(tmp_path, events, [(subject, 11.0) for subject in range(64)])
    model = small.untrained(cases, dropout=0.0, width=16)
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


@each_position
def test_one_pass_for_all_rows_answers_as_one_pass_for_each(
    small: Any, tmp_path: Path, position: Position
) -> None:
    rows = [(subject, float(hours)) for subject in range(30) for hours in range(12)]
    cases = small.cases(tmp_path, small.history(), rows)
    model = small.untrained(cases, position=position, reading="shared")
    together, apart = model.sequences(cases), model.sequences(cases, alone=True)
    assert together.n_units < apart.n_units == len(rows)
    np.testing.assert_allclose(model.logits(together), model.logits(apart), atol=2e-5)


@each_position
def test_rows_of_one_pass_do_not_see_what_came_after_them(
    small: Any, tmp_path: Path, position: Position
) -> None:
    """Other events after 6 h, in the same pass, leave the risks until then alone."""
    rows = [(subject, float(hours)) for subject in range(30) for hours in range(12)]
    events = small.history()
    is_later = pl.coalesce("known_time", "time") > small.hour(6.0)
    edited = events.filter(~is_later.fill_null(value=False) | (pl.col("code") != "LAB//3")).with_columns(
        numeric_value=pl.when(is_later).then(pl.col("numeric_value") * 3).otherwise("numeric_value")
    )
    cases = small.cases(tmp_path / "a", events, rows)
    model = small.untrained(cases, position=position, reading="shared", max_positions=64)
    found = model.logits(model.sequences(cases)).reshape(30, 12)
    later = small.cases(tmp_path / "b", edited, rows)
    again = model.logits(model.sequences(later)).reshape(30, 12)
    np.testing.assert_allclose(found[:, :7], again[:, :7], atol=1e-5)
    assert np.abs(found[:, 7:] - again[:, 7:]).max() > 0.01


@each_position
@each_reading
def test_packed_columns_give_what_padded_ones_give(
    small: Any, tmp_path: Path, position: Position, reading: str
) -> None:
    """Outputs, next-event losses and all gradients."""
    cases = small.cases(tmp_path, small.history())
    settings = {"position": position, "reading": reading, "next_event_weight": 0.2, "max_positions": 64}
    model = small.untrained(cases, **settings)
    sequences, network = model.sequences(cases), model.networks[0]
    batch = make_batch(sequences, np.arange(sequences.n_units), model.config)
    found = []
    for is_packed in (False, True):
        network.always_packs = is_packed
        network.zero_grad()
        outputs, loss = network(batch, torch.ones(len(batch.next_code)) / 100)
        (outputs.square().sum() + loss).backward()
        found.append([outputs, loss, network(batch), *(weight.grad for weight in network.parameters())])
    for padded, packed in zip(*found, strict=True):
        torch.testing.assert_close(packed, padded, atol=2e-4, rtol=1e-3)


@each_reading
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float64, 1e-5), (torch.bfloat16, 0.5)], ids=["float64", "bfloat16"]
)
def test_it_runs_in_any_precision(
    small: Any, tmp_path: Path, reading: str, dtype: torch.dtype, within: float
) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, position="event", reading=reading)
    sequences, network = model.sequences(cases), model.networks[0]
    batch = make_batch(sequences, np.arange(sequences.n_units), model.config)
    with torch.no_grad():
        single = network(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            mixed = network(batch)
        other = network.to(dtype)(batch)
    assert other.dtype == dtype
    for found in (mixed, other):
        torch.testing.assert_close(found.float(), single, atol=within, rtol=0.1)


def test_shapes_follow_from_the_batch_alone(small: Any, tmp_path: Path) -> None:
    """On meta tensors, which hold no numbers: nothing but shapes is asked of a row that is read alone."""
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, summaries=True)
    batch = make_batch(model.sequences(cases), np.arange(90), model.config)
    network = model.networks[0].to("meta")
    outputs = network(type(batch)(*(part.to("meta") for part in batch)))
    assert (outputs.shape, outputs.dtype, outputs.device.type) == ((90, 1), torch.float32, "meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each_reading
def test_a_cuda_device_gives_what_a_cpu_gives(small: Any, tmp_path: Path, reading: str) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, reading=reading, next_event_weight=0.2)
    sequences, network = model.sequences(cases), model.networks[0]
    batch = make_batch(sequences, np.arange(sequences.n_units), model.config)
    share = torch.ones(len(batch.next_code)) / 100
    with torch.no_grad():
        outputs, loss = network(batch, share)
        network.cuda()
        there = type(batch)(*(part.cuda() for part in batch))
        cuda_outputs, cuda_loss = network(there, share.cuda())
    torch.testing.assert_close(cuda_outputs.cpu(), outputs, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(cuda_loss.cpu(), loss, atol=1e-3, rtol=1e-3)
