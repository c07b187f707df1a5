"""What the columns of a batch hold, and what each read-out sees of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from phenotype.cases import ROWS, Cases
from phenotype.networks.batches import SequenceBatch, lengths, make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.networks.packing import sees
from phenotype.networks.positions import READ_OUT
from phenotype.sequences import Sequences, make_sequences, readable_events
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

START = datetime(2020, 1, 1)
Position = Literal["time_point", "event"]
POSITIONS: tuple[Position, Position] = ("time_point", "event")


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def dataset(folder: Path, facts: list[tuple[int, float | None, str, float | None]]) -> Path:
    """Facts (subject, hour, code, value) as a dataset of one shard."""
    rows = [(s, None if h is None else hour(h), code, value) for s, h, code, value in facts]
    names = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    frame = pl.DataFrame(rows, schema=names | {"numeric_value": pl.Float32}, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (folder / "data").mkdir(parents=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(folder / "data" / "0.parquet")
    return folder


def cases_of(folder: Path, asked: list[tuple[int, float]]) -> Cases:
    rows = pl.DataFrame([(s, hour(h), None) for s, h in asked], schema=ROWS, orient="row")
    return Cases(open_dataset(folder), rows.sort("subject_id", "prediction_time"))


def read(cases: Cases, *, alone: bool = False, **settings: Any) -> tuple[Sequences, TransformerConfig]:
    config = TransformerConfig.model_validate({"min_subjects": 1} | settings)
    vocabulary = fit_vocabulary(readable_events(cases, config), 1, config.n_bins)
    return make_sequences(cases, vocabulary, config, alone=alone), config


def random_facts(n_subjects: int = 8) -> list[tuple[int, float | None, str, float | None]]:
    draw = np.random.default_rng(5)
    facts: list[tuple[int, float | None, str, float | None]] = []
    for subject in range(n_subjects):
        if subject % 3:
            facts.append((subject, -365.25 * 24 * float(draw.integers(1, 90)), "MEDS_BIRTH", None))
        if subject % 2:
            facts += [(subject, None, "SEX//male", None), (subject, None, "AGE", float(draw.integers(1, 90)))]
        for _ in range(int(draw.integers(0, 60))):
            code, at = f"LAB//{draw.integers(0, 6)}", float(draw.integers(0, 30))
            facts.append((subject, at, code, float(draw.normal())))
    return facts


def contents(batch: SequenceBatch, column: int) -> list[tuple[float, ...]]:
    """What is summed into a flat column: tokens with weights, bins with values."""
    found = []
    for start, index, others in (
        (batch.code_start, batch.code, (batch.code_weight,)),
        (batch.value_start, batch.value_bin, (batch.value_code, batch.value, batch.value_weight)),
    ):
        end = int(start[column + 1]) if column + 1 < len(start) else len(index)
        part = slice(int(start[column]), end)
        found += sorted(zip(*(tensor[part].tolist() for tensor in (index, *others)), strict=True))
    return found


def seen_by(batch: SequenceBatch, number: int) -> list[tuple[Any, ...]]:
    """All that a read-out sees: of each column its kind, times (hours as seen from it), age, contents."""
    width = batch.kind.shape[1]
    read_out = int(batch.read_out[number])
    unit, own = divmod(read_out, width)
    found = []
    for column in np.flatnonzero(sees(batch)[unit, own].numpy()):
        at = unit, int(column)
        clocks = (batch.clock_hours[at], batch.gap_hours[at], batch.age[at])
        back = float(batch.hours[unit, own] - batch.hours[at])
        told = [float(np.nan_to_num(clock.item(), nan=-1.0)) for clock in clocks]
        found.append((int(batch.kind[at]), back, *told, contents(batch, unit * width + int(column))))
    return found


@pytest.mark.parametrize("drops", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_a_read_out_sees_the_same_alone_and_in_a_shared_window(
    tmp_path: Path, position: Position, drops: bool
) -> None:
    """Every hour is asked, in one pass a window, and then row by row: no number differs."""
    asked = [(s, float(h)) for s in range(9) for h in range(-1, 33, 2)]
    cases = cases_of(dataset(tmp_path / "a", random_facts()), asked)
    settings: dict[str, Any] = {"position": position, "max_positions": 9, "reading": "shared"}
    shared, config = read(cases, **settings)
    alone, _ = read(cases, alone=True, **settings)
    kept = np.random.default_rng(0).random(len(shared.token)) < 0.7

    def batch_of(sequences: Sequences) -> SequenceBatch:
        parts = [kept[a:b] for a, b in zip(sequences.static_start, sequences.end, strict=True)]
        return make_batch(
            sequences, np.arange(sequences.n_units), config, np.concatenate(parts) if drops else None
        )

    together, apart = batch_of(shared), batch_of(alone)
    assert len(together.kind) < len(apart.kind)
    assert together.row.tolist() == apart.row.tolist() == list(range(len(asked)))
    for number in range(len(asked)):
        assert seen_by(together, number) == seen_by(apart, number)


def test_times_and_ages_of_a_shared_window(tmp_path: Path) -> None:
    """By hand: events at hours 2, 2 and 5; asked at hours 1, 3 and 9; born 10 years before hour 0."""
    facts: list[tuple[int, float | None, str, float | None]] = [
        (1, 2.0, "LAB//a", 1.0),
        (1, 2.0, "LAB//b", 1.0),
        (1, 5.0, "LAB//a", 2.0),
        (1, -10 * 365.25 * 24, "MEDS_BIRTH", None),
    ]
    cases = cases_of(dataset(tmp_path / "a", facts), [(1, 1.0), (1, 3.0), (1, 9.0)])
    sequences, config = read(cases, reading="shared", next_event_weight=0.1)
    batch = make_batch(sequences, np.array([0]), config)
    assert batch.kind.tolist() == [[1, 3, 3, 4, 4, 4]]
    assert batch.hours.tolist() == [[0, 0, 3, 0, 1, 7]], "the row before all events stands at 0"
    assert batch.clock_hours.tolist() == [[0, 0, 3, 0, 1, 7]]
    assert batch.gap_hours.tolist() == [[0, 0, 3, 0, 1, 4]]
    assert batch.read_out.tolist() == [3, 4, 5]
    assert batch.length.tolist() == [6]
    years = [10 + h / (365.25 * 24) for h in (2, 5, 1, 3, 9)]
    np.testing.assert_allclose(batch.age[0], [np.nan, *years], rtol=1e-6)
    expected = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 1, 0, 0, 1],
    ]
    assert sees(batch)[0].int().tolist() == expected
    a, b = (sequences.token[sequences.code == sequences.codes.index(f"LAB//{c}")][0] for c in "ab")
    assert batch.next_code.tolist() == [a, b, a]
    assert batch.next_position.tolist() == [0, 0, 1]
    assert batch.next_weight.tolist() == [0.5, 0.5, 1.0]
    assert (batch.next_value_bin > 0).all()


def test_single_simultaneous_events_are_foreseen_from_the_time_before(tmp_path: Path) -> None:
    facts: list[tuple[int, float | None, str, float | None]] = [
        (1, at, f"LAB//{at}{n}", None) for at in (1.0, 2.0, 3.0) for n in range(2)
    ]
    cases = cases_of(dataset(tmp_path / "a", facts), [(1, 9.0)])
    sequences, config = read(cases, position="event", next_event_weight=0.1)
    batch = make_batch(sequences, np.array([0]), config)
    assert batch.next_position.tolist() == [1, 1, 3, 3], "nothing stands before the first time"
    assert batch.next_weight.tolist() == [0.5] * 4


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("reading", ["alone", "shared"])
def test_lengths_are_the_columns_in_use(tmp_path: Path, position: Position, reading: str) -> None:
    asked = [(s, float(h)) for s in range(9) for h in range(-1, 33, 3)]
    cases = cases_of(dataset(tmp_path / "a", random_facts()), asked)
    sequences, config = read(cases, position=position, reading=reading, max_positions=7)
    batch = make_batch(sequences, np.arange(sequences.n_units), config)
    assert lengths(sequences, config).tolist() == batch.length.tolist()
    assert (batch.kind > 0).sum(1).tolist() == batch.length.tolist()


def test_units_of_no_events_have_a_read_out_alone(tmp_path: Path) -> None:
    cases = cases_of(dataset(tmp_path / "a", [(1, 5.0, "LAB//a", 1.0)]), [(1, 2.0), (2, 2.0)])
    sequences, config = read(cases)
    batch = make_batch(sequences, np.arange(2), config)
    assert batch.kind.tolist() == [[READ_OUT], [READ_OUT]]
    assert batch.code.tolist() == []


def test_a_batch_of_nothing_is_a_batch(tmp_path: Path) -> None:
    cases = cases_of(dataset(tmp_path / "a", [(1, 5.0, "LAB//a", 1.0)]), [(1, 9.0)])
    for reading in ("alone", "shared"):
        sequences, config = read(cases, reading=reading, next_event_weight=0.1)
        batch = make_batch(sequences, np.zeros(0, dtype=np.int64), config)
        assert batch.row.tolist() == batch.read_out.tolist() == batch.code.tolist() == []
        assert batch.kind.shape == (0, 1)
        nobody = Cases(cases.dataset, cases.rows.clear())
        assert make_sequences(nobody, vocabulary_of(cases), config).n_units == 0


def vocabulary_of(cases: Cases) -> Vocabulary:
    return fit_vocabulary(cases.events(), 1, 10)


def test_one_event_is_one_position_with_nothing_before_it(tmp_path: Path) -> None:
    cases = cases_of(dataset(tmp_path / "a", [(1, 5.0, "LAB//a", 1.0)]), [(1, 9.0)])
    sequences, config = read(cases, next_event_weight=0.1)
    batch = make_batch(sequences, np.array([0]), config)
    assert batch.hours.tolist() == [[-4.0, 0.0]]
    assert batch.gap_hours.tolist() == [[0.0, 4.0]]
    assert batch.next_code.tolist() == []


def test_a_value_beyond_all_reason_is_read_as_five_scales(tmp_path: Path) -> None:
    """Robust z-scores end at 5 and no tensor holds anything that is not finite."""
    facts: list[tuple[int, float | None, str, float | None]] = [
        (s, float(s), "LAB//a", float(v)) for s, v in enumerate([1, 2, 3, 4, 1e30, -1e30, np.inf, np.nan])
    ]
    cases = cases_of(dataset(tmp_path / "a", facts), [(s, 50.0) for s in range(8)])
    sequences, config = read(cases)
    batch = make_batch(sequences, np.arange(8), config)
    values = sequences.value[sequences.end - 1]
    assert values[4] == 5
    assert values[5] == -5
    assert sequences.value_bin[sequences.end - 1][6:].tolist() == [0, 0]
    assert all(np.isfinite(tensor.numpy()).all() for name, tensor in batch._asdict().items() if name != "age")


def test_a_code_never_seen_in_training_is_read_as_what_stands_above_it(tmp_path: Path) -> None:
    """ICD10-NO//A41.9 is known, its sister A41.5 becomes A41; another system's code is not read."""
    training = dataset(tmp_path / "a", [(1, 1.0, "ICD10-NO//A41.9", None)])
    vocabulary = vocabulary_of(cases_of(training, [(1, 9.0)]))
    later = dataset(tmp_path / "b", [(1, 1.0, "ICD10-NO//A41.5", None), (1, 2.0, "NEW//x", None)])
    config = TransformerConfig(min_subjects=1)
    sequences = make_sequences(cases_of(later, [(1, 9.0)]), vocabulary, config)
    names = vocabulary.tokens["token"].to_list()
    assert [names[token] for token in sequences.token] == ["ICD10-NO//A41"]


def test_a_history_longer_than_the_context_is_counted_before_it(tmp_path: Path) -> None:
    """Of 20 hours with M = 8 the window begins at hour 12, ceil((20 - 8) / 4) * 4; 12 are before it."""
    facts: list[tuple[int, float | None, str, float | None]] = [
        (1, float(h), "A//x", None) for h in range(20)
    ]
    cases = cases_of(dataset(tmp_path / "a", facts), [(1, 19.5)])
    sequences, config = read(cases, max_positions=8, summaries=False)
    batch = make_batch(sequences, np.array([0]), config)
    assert batch.kind.tolist() == [[2, *[3] * 8, 4]]
    np.testing.assert_allclose(batch.code_weight, [np.log(13), *[1] * 8], rtol=1e-6)
    assert batch.hours[0, 1] == -7.5
    assert batch.gap_hours[0, 1] == 1
