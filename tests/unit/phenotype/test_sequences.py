"""What a network may read: known_time against prediction_time, static facts, the last positions, the age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phenotype.cases import ROWS, Cases
from phenotype.networks.config import TransformerConfig
from phenotype.sequences import Sequences, make_sequences, readable_events
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

START = datetime(2020, 1, 1)
Event = tuple[int, float | None, float | None, str, float | None]
"""Subject, hours of time, hours of known_time (null: time), code, value."""
Make = Callable[..., Sequences]


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(
        events: list[Event], rows: list[tuple[int, float]], shards: int = 1, **settings: object
    ) -> Sequences:
        frame = pl.DataFrame(
            [
                (s, None if t is None else hour(t), code, value, None if k is None else hour(k))
                for s, t, k, code, value in events
            ],
            schema={
                "subject_id": pl.Int64,
                "time": pl.Datetime("us"),
                "code": pl.String,
                "numeric_value": pl.Float32,
                "known_time": pl.Datetime("us"),
            },
            orient="row",
        )
        absent = [
            pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns
        ]
        frame = frame.with_columns(absent).select(EVENTS.names())
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / "data").mkdir(parents=True)
        for shard in range(shards):
            part = frame.filter(pl.col("subject_id") % shards == shard)
            part.write_parquet(folder / "data" / f"{shard}.parquet")
        asked = pl.DataFrame([(s, hour(h), None) for s, h in rows], schema=ROWS, orient="row")
        cases = Cases(open_dataset(folder), asked.sort("subject_id", "prediction_time"))
        config = TransformerConfig.model_validate({"min_subjects": 1} | settings)
        vocabulary = fit_vocabulary(readable_events(cases, config), config.min_subjects, config.n_bins)
        return make_sequences(cases, vocabulary, config)

    return build


def codes_of(sequences: Sequences, row: int) -> tuple[list[str], list[str], list[str]]:
    """Static, older and recent codes of a row."""
    ends = [sequences.static_start, sequences.older_start, sequences.recent_start, sequences.end]
    names = [sequences.codes[code] for code in sequences.code]
    cuts = [int(end[row]) for end in ends]
    return names[cuts[0] : cuts[1]], names[cuts[1] : cuts[2]], names[cuts[2] : cuts[3]]


def test_an_event_counts_when_it_is_known_not_when_it_happened(make: Make) -> None:
    sequences = make(
        [
            (1, 1.0, None, "A//at_once", None),
            (1, 2.0, 5.0, "A//answered_later", None),
            (1, 3.0, 3.0, "A//on_the_hour", None),
        ],
        [(1, 2.99), (1, 3.0), (1, 4.99), (1, 5.0)],
    )
    assert codes_of(sequences, 0)[2] == ["A//at_once"]
    assert codes_of(sequences, 1)[2] == ["A//at_once", "A//on_the_hour"]
    assert codes_of(sequences, 2)[2] == ["A//at_once", "A//on_the_hour"]
    assert codes_of(sequences, 3)[2] == ["A//at_once", "A//on_the_hour", "A//answered_later"]


def test_static_facts_and_the_birth_come_first(make: Make) -> None:
    years_40 = -40 * 365.25 * 24
    sequences = make(
        [
            (1, 1.0, None, "A//x", None),
            (1, None, None, "SEX//male", None),
            (1, years_40, None, "MEDS_BIRTH", None),
        ],
        [(1, 0.0), (1, 2.0)],
    )
    assert codes_of(sequences, 1) == (["SEX//male", "MEDS_BIRTH"], [], ["A//x"])
    assert codes_of(sequences, 0)[2] == []
    assert sequences.age[0] == pytest.approx(40.0)


def test_the_age_comes_from_birth_or_a_static_age(make: Make) -> None:
    sequences = make(
        [
            (1, None, None, "AGE", 71.0),
            (2, 0.0, None, "A//x", None),
            (3, -365.25 * 24, None, "MEDS_BIRTH", None),
            (3, None, None, "AGE", 99.0),
        ],
        [(1, 5.0), (2, 5.0), (3, 0.0), (4, 5.0)],
    )
    np.testing.assert_allclose(sequences.age, [71.0, np.nan, 1.0, np.nan])
    assert (sequences.age_event >= 0).tolist() == [True, False, True, False]


def test_the_last_positions_are_time_points_or_events(make: Make) -> None:
    history: list[Event] = [(1, float(h), None, f"A//{h}{part}", None) for h in range(5) for part in "ab"]
    points = make(history, [(1, 9.0), (1, 2.0)], max_positions=2)
    assert codes_of(points, 1) == (
        [],
        [f"A//{h}{p}" for h in range(3) for p in "ab"],
        ["A//3a", "A//3b", "A//4a", "A//4b"],
    )
    assert codes_of(points, 0)[2] == ["A//1a", "A//1b", "A//2a", "A//2b"]
    events = make(history, [(1, 9.0)], max_positions=3, position="event")
    assert codes_of(events, 0)[2] == ["A//4a", "A//4b"], "simultaneous events are never split"
    all_at_once = make(
        [(1, 1.0, None, f"A//{n}", None) for n in range(5)], [(1, 9.0)], max_positions=3, position="event"
    )
    assert len(codes_of(all_at_once, 0)[2]) == 5


@pytest.mark.parametrize(("n", "n_read"), [(4096, 4096), (4097, 0)])
def test_more_simultaneous_events_than_attention_bears_are_counted(make: Make, n: int, n_read: int) -> None:
    """A registry that dates thousands of codes to one day; position: event would read them all at once."""
    history: list[Event] = [(1, 0.0, None, "A//before", None)]
    history += [(1, 1.0, None, f"A//{number}", None) for number in range(n)]
    _, older, recent = codes_of(make(history, [(1, 9.0)], max_positions=3, position="event"), 0)
    assert (len(recent), len(older)) == (n_read, n + 1 - n_read)


def test_scores_and_answers_are_not_read(make: Make) -> None:
    sequences = make(
        [
            (1, 1.0, None, "SCORE//SOFA", 4.0),
            (1, 1.0, None, "LABEL//death", 1.0),
            (1, 1.0, None, "A//x", None),
        ],
        [(1, 2.0)],
    )
    assert sequences.codes == ["A//x"]


def test_hourly_rows_of_one_patient_share_events(make: Make) -> None:
    history: list[Event] = [(1, float(h), None, "A//x", float(h)) for h in range(48)]
    sequences = make(history, [(1, float(h)) for h in range(48)])
    assert len(sequences.token) == 48
    assert (sequences.end - sequences.recent_start).tolist() == list(range(1, 49))


def test_patients_without_events_have_empty_rows(make: Make) -> None:
    sequences = make([(2, 1.0, None, "A//x", None)], [(1, 5.0), (2, 0.5), (3, 5.0)])
    assert sequences.n_events().tolist() == [0, 0, 0]
    assert sequences.n_rows == 3


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_any_order_and_any_shards_give_the_same_sequences(make: Make, shards: int) -> None:
    draw = np.random.default_rng(0)
    history: list[Event] = [
        (int(s), float(h), float(h + late) if late else None, f"A//{c}", float(v))
        for s, h, late, c, v in zip(
            draw.integers(0, 20, 500),
            draw.integers(0, 30, 500),
            draw.integers(0, 3, 500),
            draw.integers(0, 5, 500),
            draw.integers(0, 9, 500),
            strict=True,
        )
    ]
    rows = [(s, 20.0) for s in range(20)]
    one = make(history, rows)
    shuffled = [history[n] for n in draw.permutation(len(history))]
    other = make(shuffled, rows, shards=shards)
    for name in ("token", "value_bin", "value", "known", "code", "static_start", "recent_start", "end"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


HOURLY: list[Event] = [(1, float(h), None, f"A//{h}", None) for h in range(40)]


def test_a_window_begins_at_a_multiple_of_half_the_context(make: Make) -> None:
    """Of p positions with M = 8 and S = 4 they begin at ceil((p - 8) / 4) * 4."""
    sequences = make(HOURLY, [(1, h - 0.5) for h in (1, 8, 9, 12, 13, 16, 17, 40)], max_positions=8)
    expected = [0, 0, 4, 4, 8, 8, 12, 32]
    assert (sequences.recent_start - sequences.static_start).tolist() == expected


def test_shared_rows_of_a_window_are_one_unit(make: Make) -> None:
    """Windows begin at 0 (p <= 8), 4 (p 9 to 12), 8 (p 13 to 16)."""
    asked = [(1, h - 0.5) for h in (0, 3, 8, 9, 12, 13)] + [(2, 3.0), (3, 3.0)]
    history = [*HOURLY, (2, 1.0, None, "A//0", None)]
    shared = make(history, asked, max_positions=8, reading="shared")
    assert shared.first_row.tolist() == [0, 3, 5, 6, 7, 8]
    assert (shared.end - shared.static_start).tolist() == [8, 12, 13, 1, 0]
    assert shared.unit_of_row().tolist() == [0, 0, 0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("position", ["time_point", "event"])
def test_rows_read_alone_see_what_they_see_in_a_shared_window(make: Make, position: str) -> None:
    draw = np.random.default_rng(4)
    history: list[Event] = [
        (int(s), float(h), None, f"A//{c}", float(v))
        for s, h, c, v in zip(
            draw.integers(0, 6, 400),
            draw.integers(0, 30, 400),
            draw.integers(0, 5, 400),
            draw.integers(0, 9, 400),
            strict=True,
        )
    ]
    asked = [(s, float(h)) for s in range(6) for h in range(-1, 32)]
    settings = {"max_positions": 6, "position": position}
    shared = make(history, asked, reading="shared", **settings)
    alone = make(history, asked, **settings)
    unit = shared.unit_of_row()
    assert shared.n_units < alone.n_units == len(asked)
    for name in ("static_start", "older_start", "recent_start"):
        np.testing.assert_array_equal(getattr(shared, name)[unit], getattr(alone, name))
    np.testing.assert_array_equal(shared.row_end, alone.end)
    np.testing.assert_array_equal(shared.end, shared.row_end[shared.first_row[1:] - 1])
