"""Model cards and the TRIPOD+AI table say what the run recorded, and show what it did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from experiments.cards import (
    NOT_ANSWERED,
    NOTICE,
    card_markdown,
    model_card,
    tripod_markdown,
    tripod_table,
    write_cards,
)
from experiments.run_record import RunRecord, read_run_record
from experiments.tripod import TRIPOD_AI

METRICS = Path(__file__).parents[2] / "examples" / "metrics" / "metrics.json"
TASK = "icu_death_48h"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    manifest = {
        "dataset": {"name": "made-up", "digest": "ab" * 32},
        "code_digest": "cd" * 32,
        "versions": {"pesta": "0.1.0"},
        "seed": 7,
        "outer_folds_scored": 3,
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"splits": {"kind": "folds"}}), "utf-8")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (tmp_path / "metrics.json").write_bytes(METRICS.read_bytes())
    return tmp_path


@pytest.fixture
def record(run_folder: Path) -> RunRecord:
    return read_run_record(run_folder)


def test_the_card_has_the_figures_of_metrics_json_with_their_intervals(record: RunRecord) -> None:
    measured = record.metrics["tasks"][TASK]["models"]["lightgbm"]
    text = card_markdown(model_card(record, TASK, "lightgbm"))
    for name in ("auroc", "auprc", "brier"):
        interval = measured["intervals"][name]
        assert f"{measured['mean'][name]:.3f} ({interval['low']:.3f} to {interval['high']:.3f})" in text
    assert "corrected resampled t" in text


def test_the_card_says_what_it_is_not_for_and_how_often_it_was_judged(record: RunRecord) -> None:
    text = card_markdown(model_card(record, TASK, "lightgbm"))
    assert NOTICE in text
    assert "Not for: decisions about a single patient's care." in text
    assert "how often held-out patients were scored: 3" in text


def test_held_back_subgroups_show_the_reason_and_no_figure(record: RunRecord) -> None:
    card = model_card(record, TASK, "lightgbm")
    held_back = [group for group in card.subgroups if group["is_suppressed"]]
    assert held_back
    line = next(line for line in card_markdown(card).splitlines() if "hospital_id: C" in line)
    assert line.endswith("| held back: fewer than 10 events |  |")
    assert any("too small to be judged" in limit for limit in card.limits)


def test_a_model_whose_risks_are_too_extreme_says_so(record: RunRecord) -> None:
    # the made-up ward score has a calibration slope of about 0.43
    assert any("too extreme" in limit for limit in model_card(record, TASK, "ward").limits)
    assert not any("too extreme" in limit for limit in model_card(record, TASK, "lightgbm").limits)


def test_the_checklist_has_all_27_items_in_order() -> None:
    numbers = [item.number for item in TRIPOD_AI]
    whole = list(dict.fromkeys(int(number.rstrip("abcdefg")) for number in numbers))
    assert whole == list(range(1, 28))
    assert len(numbers) == len(set(numbers))
    # parts, as counted in the published checklist
    parts = {
        number: sum(n.rstrip("abcdefg") == number for n in numbers) for number in ("3", "12", "18", "27")
    }
    assert parts == {"3": 3, "12": 7, "18": 6, "27": 3}


def test_open_items_are_shown_open_and_counted(record: RunRecord) -> None:
    rows = tripod_table(record, TASK)
    by_number = {row.item.number: row.answer for row in rows}
    assert by_number["17"] is None
    assert by_number["18a"] is None
    assert by_number["23a"] is not None
    assert "AUROC" in by_number["23a"]
    text = tripod_markdown(rows)
    n_open = sum(answer is None for answer in by_number.values())
    assert text.count(NOT_ANSWERED) == n_open
    assert text.startswith(f"# TRIPOD+AI: {n_open} of {len(rows)} parts open")


def test_every_model_and_task_gets_its_text(run_folder: Path) -> None:
    written = {path.relative_to(run_folder).as_posix() for path in write_cards(run_folder)}
    tasks, models = ("icu_death_48h", "icu_sepsis_hourly"), ("ward", "logistic", "lightgbm")
    assert written == {f"cards/{task}/{name}.md" for task in tasks for name in (*models, "TRIPOD-AI")}
    assert all((run_folder / path).read_text("utf-8").startswith("# ") for path in written)
