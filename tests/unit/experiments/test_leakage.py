"""Deliberate leaks: known_time moves as the leak says, everything else and all labels stay."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from experiments.leakage import LEAKS, Leak, selected_cohort, with_leak
from phenotype.labels import find_outcomes
from phenotype.tasks import load_task
from phenotype.trajectory import CONTACTS, EVENTS, OBSERVATION, Dataset

START, END = datetime(2020, 1, 10, 8), datetime(2020, 1, 20, 8)
SAMPLED, ANSWERED = datetime(2020, 1, 12, 8), datetime(2020, 1, 14, 15)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """One stay of two contacts: a diagnosis set at the end of each, a culture answered late, a death."""
    folder = tmp_path / "honest"
    (folder / "data").mkdir(parents=True)
    middle = datetime(2020, 1, 15)
    rows = [
        (1, datetime(1950, 1, 1), "MEDS_BIRTH", None, None),
        (1, None, "SEX//female", None, None),
        (1, START, "CONTACT//inpatient", None, 11),
        (1, SAMPLED, "NLK//NPU19748", ANSWERED, 11),
        (1, SAMPLED, "BLOOD_CULTURE//collected", None, 11),
        (1, middle, "ICD10-NO//J18.9", None, 11),
        (1, END, "ICD10-NO//A41.9", None, 12),
        (1, END, "CONTACT_END//inpatient", None, 12),
        (1, END, "MEDS_DEATH", None, 12),
        (2, datetime(1950, 1, 1), "MEDS_BIRTH", None, None),
        (2, START, "CONTACT//inpatient", None, 21),
    ]
    names = ["subject_id", "time", "code", "known_time", "contact_id"]
    write(folder / "data" / "0.parquet", pl.DataFrame(rows, schema=names, orient="row"), EVENTS)
    contacts = [(11, 1, START, middle, "inpatient"), (12, 1, middle, END, "inpatient")]
    contacts.append((21, 2, START, END, "inpatient"))
    names = ["contact_id", "subject_id", "start_time", "end_time", "care_level"]
    write(folder / "contacts.parquet", pl.DataFrame(contacts, schema=names, orient="row"), CONTACTS)
    windows = [(subject, datetime(2019, 1, 1), datetime(2021, 1, 1)) for subject in (1, 2)]
    names = ["subject_id", "start_time", "end_time"]
    write(folder / "observation.parquet", pl.DataFrame(windows, schema=names, orient="row"), OBSERVATION)
    return Dataset(folder)


def write(file: Path, table: pl.DataFrame, schema: pl.Schema) -> None:
    columns = [
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    table.select(columns).write_parquet(file)


def known(dataset: Dataset, code: str) -> datetime | None:
    return dataset.events().filter(pl.col("code") == code).collect()["known_time"][0]


def test_codes_set_at_discharge_become_known_before_the_stay(dataset: Dataset, tmp_path: Path) -> None:
    leaking = with_leak(dataset, "discharge_codes_at_admission", tmp_path / "leak")
    before = datetime(2020, 1, 10, 7, 59, 59, 999999)
    assert known(leaking, "ICD10-NO//A41.9") == before
    assert known(leaking, "ICD10-NO//J18.9") == before
    assert known(leaking, "NLK//NPU19748") == ANSWERED
    assert known(leaking, "MEDS_DEATH") is None
    assert known(leaking, "CONTACT_END//inpatient") is None
    assert leaking.metadata["leak"] == "discharge_codes_at_admission"


def test_results_become_known_when_sampled(dataset: Dataset, tmp_path: Path) -> None:
    leaking = with_leak(dataset, "results_at_sampling", tmp_path / "leak")
    assert known(leaking, "NLK//NPU19748") == SAMPLED
    assert known(leaking, "ICD10-NO//A41.9") == END


def test_a_day_becomes_known_at_its_beginning(dataset: Dataset, tmp_path: Path) -> None:
    leaking = with_leak(dataset, "whole_day", tmp_path / "leak")
    assert known(leaking, "NLK//NPU19748") == datetime(2020, 1, 14)
    assert known(leaking, "CONTACT//inpatient") == datetime(2020, 1, 10)
    assert known(leaking, "SEX//female") is None


@pytest.mark.parametrize("leak", list(LEAKS))
def test_a_leak_changes_nothing_but_known_time(leak: Leak, dataset: Dataset, tmp_path: Path) -> None:
    leaking = with_leak(dataset, leak, tmp_path / "leak")
    order = ["subject_id", "time", "code"]
    given = dataset.events().drop("known_time").collect().sort(order)
    assert_frame_equal(leaking.events().drop("known_time").collect().sort(order), given)
    for name in ("stay_death_30d_24h", "stay_sepsis_24h", "stay_prolonged_admission"):
        task = load_task(name)
        for honest, other in zip(find_outcomes(dataset, task), find_outcomes(leaking, task), strict=True):
            assert_frame_equal(honest, other)


def test_a_leaking_dataset_overwrites_nothing(dataset: Dataset) -> None:
    with pytest.raises(FileExistsError):
        with_leak(dataset, "whole_day", dataset.path)


def test_the_selected_cohort_leaves_out_those_never_cultured(dataset: Dataset) -> None:
    task = selected_cohort(load_task("stay_death_30d_admission"))
    outcomes, attrition = find_outcomes(dataset, task)
    assert outcomes.select("subject_id", "exclusion_reason").rows() == [
        (1, None),
        (2, "not_in_selected_cohort"),
    ]
    assert attrition["step"].to_list() == ["candidates", "not_in_selected_cohort", "labelled"]
