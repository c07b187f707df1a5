"""Labels: thresholds from training rows only, what cannot be labelled, and what labels must not depend on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import meds
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ontology.errors import ConfigurationError, TaskError
from phenotype.labels import apply_threshold, check_labels, find_outcomes, fit_threshold, to_labels
from phenotype.outcomes import OUTCOMES
from phenotype.tasks import load_task, parse_task
from phenotype.trajectory import CONTACTS, EVENTS, OBSERVATION, Dataset

START = datetime(2020, 3, 1, 9)
PROLONGED = load_task("stay_prolonged_24h")


def with_schema(rows: list[dict[str, object]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def hospital(
    folder: Path, lengths: dict[int, float | None], *, observed_days: float = 300, dead: tuple[int, ...] = ()
) -> Dataset:
    """One inpatient stay a subject, which lasts the hours given, or is open; some end in death."""
    (folder / "data").mkdir(parents=True)
    contacts, windows = [], []
    for subject, hours in lengths.items():
        contacts.append(
            {
                "contact_id": subject,
                "subject_id": subject,
                "start_time": START,
                "end_time": None if hours is None else START + timedelta(hours=hours),
                "care_level": "inpatient",
                "discharged_to": "death" if subject in dead else None if hours is None else "home",
            }
        )
        until = START + timedelta(days=observed_days)
        windows.append({"subject_id": subject, "start_time": datetime(2019, 1, 1), "end_time": until})
    births = [{"subject_id": one, "time": datetime(1950, 1, 1), "code": "MEDS_BIRTH"} for one in lengths]
    with_schema(births, EVENTS).write_parquet(folder / "data" / "0.parquet")
    with_schema(contacts, CONTACTS).write_parquet(folder / "contacts.parquet")
    with_schema(windows, OBSERVATION).write_parquet(folder / "observation.parquet")
    return Dataset(folder)


LENGTHS: dict[int, float | None] = {one: 30.0 + 7 * one for one in range(1, 41)}


def test_the_threshold_is_numpys_percentile_of_the_training_rows(tmp_path: Path) -> None:
    outcomes, _ = find_outcomes(hospital(tmp_path / "d", LENGTHS, dead=(3, 40)), PROLONGED)
    train = outcomes.filter(pl.col("subject_id") <= 25)
    expected = np.percentile([LENGTHS[one] for one in range(1, 26)], 75)
    assert fit_threshold(train, PROLONGED) == pytest.approx(expected, abs=1e-9)


def test_held_out_rows_cannot_move_the_threshold(tmp_path: Path) -> None:
    other = {**LENGTHS, **dict.fromkeys(range(26, 41), 5000.0)}
    thresholds = []
    for name, lengths in (("a", LENGTHS), ("b", other)):
        outcomes, _ = find_outcomes(hospital(tmp_path / name, lengths), PROLONGED)
        thresholds.append(fit_threshold(outcomes.filter(pl.col("subject_id") <= 25), PROLONGED))
    assert thresholds[0] == thresholds[1]


def test_only_stays_longer_than_the_threshold_are_prolonged(tmp_path: Path) -> None:
    lengths: dict[int, float | None] = {1: 100.0, 2: 101.0, 3: 60.0, 4: 300.0}
    outcomes, _ = find_outcomes(hospital(tmp_path / "d", lengths, dead=(3, 4)), PROLONGED)
    labels = to_labels(outcomes, PROLONGED, 100.0)
    assert labels["boolean_value"].to_list() == [False, True, False, True]
    events = apply_threshold(outcomes, PROLONGED, 100.0).select("event", "event_hours").rows()
    assert events == [(None, None), ("prolonged_stay", 76.0), ("death", 36.0), ("prolonged_stay", 76.0)]


def test_an_open_stay_is_prolonged_once_it_has_lasted_long_enough(tmp_path: Path) -> None:
    lengths: dict[int, float | None] = {1: None, 2: 50.0}
    outcomes, attrition = find_outcomes(hospital(tmp_path / "d", lengths, observed_days=10), PROLONGED)
    assert outcomes.select("event", "censored_hours", "exclusion_reason", "stay_hours").row(0) == (
        "censored",
        216.0,
        "censored",
        240.0,
    )
    assert attrition.filter(pl.col("step") == "censored")["n_excluded"].to_list() == [1]
    assert to_labels(outcomes, PROLONGED, 239.0)["boolean_value"].to_list() == [True, False]
    assert to_labels(outcomes, PROLONGED, 240.0)["boolean_value"].to_list() == [False]


def test_a_fixed_number_of_days_needs_no_training_rows() -> None:
    assert fit_threshold(pl.DataFrame(schema=OUTCOMES), load_task("icu_prolonged_stay_7d")) == 168.0
    assert fit_threshold(pl.DataFrame(schema=OUTCOMES), load_task("icu_death_48h")) is None


def test_a_percentile_of_nothing_is_told() -> None:
    with pytest.raises(TaskError, match="no training stay has a known length"):
        fit_threshold(pl.DataFrame(schema=OUTCOMES), PROLONGED)
    with pytest.raises(TaskError, match="needs a threshold"):
        to_labels(pl.DataFrame(schema=OUTCOMES), PROLONGED)


def labels_of(n_positive: int, n_negative: int) -> pl.DataFrame:
    values = [True] * n_positive + [False] * n_negative
    return pl.DataFrame({"boolean_value": values}, schema={"boolean_value": pl.Boolean})


def test_a_task_without_a_single_positive_is_an_error() -> None:
    for n_positive, n_negative, kind in (
        (0, 10, "positive"),
        (10, 0, "negative"),
        (0, 0, "positive|negative"),
    ):
        with pytest.raises(TaskError, match=f"not a single ({kind}) training row") as told:
            check_labels(labels_of(n_positive, n_negative), PROLONGED)
        assert told.value.exit_status == 5


def test_fewer_events_than_asked_for_are_warned_about() -> None:
    assert check_labels(labels_of(100, 100), PROLONGED) == []
    (warning,) = check_labels(labels_of(99, 1000), PROLONGED)
    assert "99 positive training rows" in warning
    (warning,) = check_labels(labels_of(1000, 99), PROLONGED)
    assert "99 negative training rows" in warning


def test_labels_are_what_meds_calls_labels(tmp_path: Path) -> None:
    outcomes, _ = find_outcomes(hospital(tmp_path / "d", LENGTHS), PROLONGED)
    labels = to_labels(outcomes, PROLONGED, 100.0)
    assert labels.columns == ["subject_id", "prediction_time", "boolean_value"]
    meds.LabelSchema.validate(labels.to_arrow())


def test_a_dataset_without_contacts_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="finds nothing to ask about"):
        find_outcomes(hospital(tmp_path / "d", {}), PROLONGED)


def test_nominal_dates_have_no_new_year(tmp_path: Path) -> None:
    dataset = hospital(tmp_path / "d", LENGTHS)
    (dataset.path / "metadata").mkdir()
    (dataset.path / "metadata" / "dataset.json").write_text(
        json.dumps({"nominal_anchor": "2012-01-01T00:00:00"})
    )
    with pytest.raises(ConfigurationError, match="dates of the calendar"):
        find_outcomes(dataset, load_task("landmark_death_30d_newyear"))


def intensive_care(
    folder: Path, discharged_to: str | None, end_hours: float | None, death: float | None
) -> Dataset:
    """One intensive care stay, its discharge as told, and a death recorded at an hour of it, or none."""
    dataset = hospital(folder, {1: end_hours})
    contacts = dataset.contacts().with_columns(
        care_level=pl.lit("icu"), discharged_to=pl.lit(discharged_to, dtype=pl.String)
    )
    contacts.write_parquet(folder / "contacts.parquet")
    if death is not None:
        died = {"subject_id": 1, "time": START + timedelta(hours=death), "code": "MEDS_DEATH"}
        with_schema([died], EVENTS).write_parquet(folder / "data" / "1.parquet")
    return dataset


@pytest.mark.parametrize(
    ("discharged_to", "end_hours", "death", "expected"),
    [
        ("death", 100.0, None, ("death", None)),
        ("death", None, None, ("death", None)),
        ("home", None, None, (None, None)),
        (None, 100.0, None, (None, None)),
        (None, None, None, (None, "unknown_outcome")),
        (None, 100.0, 99.0, ("death", None)),
        (None, 100.0, 101.0, (None, None)),
        # The discharge says home, so a death recorded as a date came later that day, not in the stay.
        ("home", 100.0, 99.0, (None, None)),
    ],
)
def test_death_in_the_stay_is_told_by_the_discharge_first(
    discharged_to: str | None,
    end_hours: float | None,
    death: float | None,
    expected: tuple[str | None, str | None],
    tmp_path: Path,
) -> None:
    dataset = intensive_care(tmp_path / "d", discharged_to, end_hours, death)
    outcomes, _ = find_outcomes(dataset, load_task("icu_death_48h"))
    assert outcomes.select("event", "exclusion_reason").row(0) == expected


def test_two_contacts_with_one_prediction_time_give_one_row(tmp_path: Path) -> None:
    task = parse_task(
        {
            "name": "each_hour",
            "title": "Each hour",
            "question": "Does it come?",
            "index": {"kind": "hourly"},
            "outcome": {"kind": "labelled_onset", "event": "it", "code": "LABEL//it"},
            "horizon_hours": 1,
            "needs_observation": False,
        }
    )
    dataset = hospital(tmp_path / "d", {1: 3.0})
    contacts = dataset.contacts().with_columns(care_level=pl.lit("icu"))
    twin = contacts.with_columns(
        contact_id=pl.lit(2, pl.Int64), end_time=pl.col("end_time") + timedelta(hours=1)
    )
    pl.concat([twin, contacts]).write_parquet(dataset.path / "contacts.parquet")
    outcomes, attrition = find_outcomes(dataset, task)
    assert to_labels(outcomes, task).height == 4
    assert attrition.filter(pl.col("step") == "same_time")["n_excluded"].to_list() == [3]
    assert outcomes.filter(pl.col("exclusion_reason").is_null())["contact_id"].to_list() == [1, 1, 1, 2]


EXAMPLES = Path(__file__).parents[2] / "examples" / "tasks"


def example(name: str, folder: Path, *, shift_days: int = 0, known_later_days: int = 0) -> Dataset:
    """An example's tables as a dataset, all times moved, and everything known later than it was."""
    shift = timedelta(days=shift_days)
    (folder / "data").mkdir(parents=True)
    for file, schema, target in (
        ("events", EVENTS, "data/0.parquet"),
        ("contacts", CONTACTS, "contacts.parquet"),
        ("observation", OBSERVATION, "observation.parquet"),
    ):
        table = pl.read_csv(EXAMPLES / name / f"{file}.csv", infer_schema=False)
        table = table.select(
            pl.lit(None, dtype=dtype).alias(column)
            if column not in table.columns
            else pl.col(column).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us") + shift
            if dtype == pl.Datetime
            else pl.col(column).cast(dtype)
            for column, dtype in schema.items()
        )
        if file == "events" and known_later_days:
            table = table.with_columns(known_time=pl.col("time") + timedelta(days=known_later_days))
        table.write_parquet(folder / target)
    return Dataset(folder)


CASES = {
    "death-within-30-days": "stay_death_30d_24h",
    "sepsis-during-the-stay": "stay_sepsis_24h",
    "readmission-within-30-days": "readmission_30d_discharge",
    "sepsis-after-discharge": "landmark_sepsis_365d_discharge90",
    "sepsis-each-hour": "icu_sepsis_hourly",
    "prolonged-stay": "icu_prolonged_stay_7d",
}


@pytest.mark.parametrize(("name", "task_name"), CASES.items())
def test_outcomes_move_with_the_patients_dates(name: str, task_name: str, tmp_path: Path) -> None:
    task = load_task(task_name)
    honest, steps = find_outcomes(example(name, tmp_path / "a"), task)
    # Whole cycles of four years, so that every patient's age stays what it was.
    moved, moved_steps = find_outcomes(example(name, tmp_path / "b", shift_days=4 * 1461), task)
    back = moved.with_columns(pl.col("prediction_time") - timedelta(days=4 * 1461))
    assert_frame_equal(back, honest)
    assert_frame_equal(moved_steps, steps)


@pytest.mark.parametrize(("name", "task_name"), CASES.items())
def test_outcomes_do_not_depend_on_when_facts_were_known(name: str, task_name: str, tmp_path: Path) -> None:
    task = load_task(task_name)
    honest, _ = find_outcomes(example(name, tmp_path / "a"), task)
    later, _ = find_outcomes(example(name, tmp_path / "b", known_later_days=30), task)
    assert_frame_equal(later, honest)
