"""What a panel says of each variable: hand counts on small histories."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phenotype.cases import ROWS, Cases
from phenotype.networks.panels import SUMMARIES, WINDOW_PARTS, PanelBatch, make_panel
from phenotype.networks.two_axis_config import TwoAxisConfig
from phenotype.sequences import Sequences, make_sequences, readable_events
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

START = datetime(2020, 1, 1)
WINDOWS = (4.0, 8.0)
Fact = tuple[int, float | None, str, float | None]


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def read(folder: Path, facts: list[Fact], subjects: list[int]) -> tuple[Sequences, Vocabulary]:
    """Sequences at hour 12 of each subject; values are told as they are (median 0, scale 1)."""
    rows = [(s, None if h is None else hour(h), code, value) for s, h, code, value in facts]
    names = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    frame = pl.DataFrame(rows, schema=names | {"numeric_value": pl.Float32}, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (folder / "data").mkdir(parents=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(folder / "data" / "0.parquet")
    asked = pl.DataFrame([(s, hour(12.0), None) for s in subjects], schema=ROWS, orient="row")
    cases = Cases(open_dataset(folder), asked)
    config = TwoAxisConfig(min_subjects=1)
    fitted = fit_vocabulary(readable_events(cases, config), 1, config.n_bins)
    is_valued = pl.col("median").is_not_null()
    unscaled = Vocabulary(
        fitted.tokens.with_columns(
            pl.when(is_valued).then(0.0).alias("median"), pl.when(is_valued).then(1.0).alias("scale")
        )
    )
    return make_sequences(cases, unscaled, config), unscaled


def told(panel: PanelBatch, vocabulary: Vocabulary, row: int, code: str) -> dict[str, float]:
    """The summaries of a variable of a row by name."""
    token = vocabulary.tokens["token"].to_list().index(code)
    (cell,) = np.flatnonzero((panel.cell_row.numpy() == row) & (panel.cell_token.numpy() == token))
    return dict(zip(SUMMARIES, panel.summaries[cell].tolist(), strict=True))


HEART: list[Fact] = [(1, 2.0, "LAB//HR", 1.0), (1, 3.0, "LAB//HR", 3.0), (1, 9.0, "LAB//HR", 2.0)]


def test_summaries_are_those_of_a_hand_count(tmp_path: Path) -> None:
    """Values 1, 3, 2 at 10, 9 and 3 hours before: mean 2, sd sqrt(2/3).

    Least squares by hour: times -10, -9, -3 less their mean are -8/3, -5/3, 13/3, squares sum to 86/3; the
    products with -1, 1, 0 sum to 1; the slope is 3/86.
    """
    sequences, vocabulary = read(tmp_path, HEART, [1])
    found = told(make_panel(sequences, np.array([0]), WINDOWS), vocabulary, 0, "LAB//HR")
    expected = {
        "log_count": math.log(4),
        "mean": 2.0,
        "min": 1.0,
        "max": 3.0,
        "first": 1.0,
        "last": 2.0,
        "sd": math.sqrt(2 / 3),
        "slope": 3 / 86,
        "change": -1.0,
        "log_hours_since": math.log(4),
        "log_hours_since_first": math.log(11),
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_look_behinds_are_summarised_after_the_whole_history(tmp_path: Path) -> None:
    """9 hours behind hold the values 3 and 2 (at 9 and 3 hours before), 4 hours the 2 alone, 1 hour nothing.

    Static facts stand in no look-behind, and what is told of the whole history stays as it is.
    """
    sequences, vocabulary = read(tmp_path, [(1, None, "AGE", 40.0), *HEART], [1])
    without = make_panel(sequences, np.array([0]), WINDOWS)
    panel = make_panel(sequences, np.array([0]), WINDOWS, summary_hours=(9.0, 4.0, 1.0))
    n = len(SUMMARIES)
    assert panel.summaries.shape[1] == 4 * n
    np.testing.assert_array_equal(panel.summaries[:, :n].numpy(), without.summaries.numpy())
    nine, four, one = (panel._replace(summaries=panel.summaries[:, g * n : (g + 1) * n]) for g in (1, 2, 3))
    found = told(nine, vocabulary, 0, "LAB//HR")
    assert found["change"] == -1.0
    assert (found["first"], found["last"], found["mean"]) == (3.0, 2.0, 2.5)
    assert found["log_count"] == pytest.approx(math.log(3))
    assert found["log_hours_since_first"] == pytest.approx(math.log(10))
    found = told(four, vocabulary, 0, "LAB//HR")
    assert (found["last"], found["log_count"]) == (2.0, pytest.approx(math.log(2)))
    assert math.isnan(found["change"])
    assert one.summaries.isnan().all()
    assert all(math.isnan(value) for value in told(nine, vocabulary, 0, "AGE").values())


def test_windows_are_those_of_a_hand_count(tmp_path: Path) -> None:
    """3 hours before stands in the window up to 4 hours, 9 and 10 in the one beyond 8."""
    sequences, _ = read(tmp_path, HEART, [1])
    panel = make_panel(sequences, np.array([0]), WINDOWS)
    assert panel.window.tolist() == [2, 0]
    assert WINDOW_PARTS == ("mean", "last", "range", "log_count")
    assert panel.parts.tolist() == [
        pytest.approx([2.0, 3.0, 2.0, math.log(3)]),
        pytest.approx([2.0, 2.0, 0.0, math.log(2)]),
    ]


def test_what_is_not_defined_is_absent(tmp_path: Path) -> None:
    """One value has no spread, slope or change; an event without a value has times and a number alone."""
    sequences, vocabulary = read(tmp_path, [(1, 11.0, "LAB//K", 4.0), (1, 11.0, "DRUG//X", None)], [1])
    panel = make_panel(sequences, np.array([0]), WINDOWS)
    potassium, drug = (told(panel, vocabulary, 0, code) for code in ("LAB//K", "DRUG//X"))
    assert {name for name, value in potassium.items() if math.isnan(value)} == {"sd", "slope", "change"}
    assert {name for name, value in drug.items() if not math.isnan(value)} == {
        "log_count",
        "log_hours_since",
        "log_hours_since_first",
    }


def test_static_facts_have_no_times(tmp_path: Path) -> None:
    sequences, vocabulary = read(tmp_path, [(1, None, "AGE", 40.0), (1, 11.0, "LAB//K", 4.0)], [1])
    panel = make_panel(sequences, np.array([0]), WINDOWS)
    age = told(panel, vocabulary, 0, "AGE")
    assert age["last"] == 40.0
    assert math.isnan(age["log_hours_since"])
    assert math.isnan(age["slope"])
    assert panel.age.tolist() == [40.0]


def test_a_deleted_event_was_never_recorded(tmp_path: Path) -> None:
    facts = [(1, None, "AGE", 70.0), *HEART]
    whole, _ = read(tmp_path / "whole", [*facts, (2, 1.0, "LAB//HR", 5.0)], [1, 2])
    codes = np.array(whole.codes)[whole.code]
    keep = ~((whole.value == 3.0) & (codes == "LAB//HR"))
    keep &= codes != "AGE"
    part = make_panel(whole, np.array([0, 1]), WINDOWS, keep)
    left, _ = read(tmp_path / "left", [HEART[0], HEART[2], (2, 1.0, "LAB//HR", 5.0)], [1, 2])
    never = make_panel(left, np.array([0, 1]), WINDOWS)
    for name in ("summaries", "parts", "age", "window", "cell_row", "window_cell"):
        np.testing.assert_array_equal(getattr(part, name).numpy(), getattr(never, name).numpy(), err_msg=name)


def test_rows_do_not_touch_each_other(tmp_path: Path) -> None:
    sequences, vocabulary = read(tmp_path, [*HEART, (2, 1.0, "LAB//HR", 5.0)], [1, 2])
    both = make_panel(sequences, np.array([1, 0]), WINDOWS)
    alone = make_panel(sequences, np.array([0]), WINDOWS)
    assert both.row.tolist() == [1, 0]
    assert told(both, vocabulary, 1, "LAB//HR") == pytest.approx(
        told(alone, vocabulary, 0, "LAB//HR"), nan_ok=True
    )


def test_simultaneous_values_stand_in_the_order_of_their_size(tmp_path: Path) -> None:
    """Two values at once, laid out either way: the last is the larger."""
    sequences, vocabulary = read(tmp_path, [(1, 3.0, "LAB//K", 5.0), (1, 3.0, "LAB//K", 4.0)], [1])
    turned = replace(
        sequences, value=sequences.value[::-1].copy(), value_bin=sequences.value_bin[::-1].copy()
    )
    for one in (sequences, turned):
        found = told(make_panel(one, np.array([0]), WINDOWS), vocabulary, 0, "LAB//K")
        assert (found["first"], found["last"], found["change"]) == (4.0, 5.0, 1.0)
        assert math.isnan(found["slope"])


def test_enormous_values_stay_finite(tmp_path: Path) -> None:
    sequences, vocabulary = read(tmp_path, [(1, 3.0, "LAB//K", 1e30), (1, 4.0, "LAB//K", -1e30)], [1])
    found = told(make_panel(sequences, np.array([0]), WINDOWS), vocabulary, 0, "LAB//K")
    assert found["max"] == TwoAxisConfig().value_limit
    assert found["min"] == -TwoAxisConfig().value_limit
    assert all(math.isfinite(value) for value in found.values())
