"""The four shipped definitions of Sepsis-3 on trajectories worked out by hand (sepsis3_cases.txt)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from phenotype.definitions.text import definition_files, read_definitions
from phenotype.phenotypes import derive_phenotypes
from phenotype.trajectory import CONTACTS, EVENTS, Dataset

CASES = Path(__file__).with_name("sepsis3_cases.txt")
NOON = datetime(2024, 3, 10, 12)
DEFINITIONS = ("sepsis_3", "sepsis_3_seymour", "sepsis_3_first_suspicion", "sepsis_3_known_baseline")
ITEMS: dict[str, tuple[str, str | None]] = {
    "culture": ("BLOOD_CULTURE//collected", None),
    "antibiotic": ("ATC//J01DD01", "g"),
    "paracetamol": ("ATC//N02BE01", "g"),
    "creatinine": ("NLK//NPU04998", "µmol/L"),
    "creatinine_mg": ("MIMIC4//LAB//50912", "mg/dL"),
    "urine": ("MIMIC4//OUTPUT//226559", "ml"),
    "platelets": ("NLK//NPU03568", "x 10E9/L"),
    "bilirubin": ("NLK//NPU01370", "µmol/L"),
    "bilirubin_mg": ("EICU//LAB//total bilirubin", "mg/dL"),
    "map": ("VITAL//mean_bp", "mmHg"),
    "systolic": ("VITAL//systolic_bp", "mmHg"),
    "diastolic": ("VITAL//diastolic_bp", "mmHg"),
    "dobutamine": ("ATC//C01CA07", "ug/kg/min"),
    "dopamine": ("ATC//C01CA04", "ug/kg/min"),
    "noradrenaline": ("ATC//C01CA03", "ug/kg/min"),
    "noradrenaline_mg": ("ATC//C01CA03", "mg"),
    "adrenaline": ("ATC//C01CA24", "ug/kg/min"),
    "gcs": ("VITAL//gcs", None),
    "eyes": ("MIMIC4//CHART//220739", None),
    "verbal": ("MIMIC4//CHART//223900", None),
    "motor": ("MIMIC4//CHART//223901", None),
    "pao2": ("NLK//NPU08977", "kPa"),
    "pao2_mmhg": ("MIMIC4//CHART//220224", "mmHg"),
    "fio2": ("VITAL//fio2", None),
    "ventilator": ("PHYSIONET2012//MechVent", None),
    "pulse": ("VITAL//heart_rate", "1/min"),
    "temperature": ("VITAL//temperature", "Cel"),
    "breathing": ("VITAL//respiratory_rate", "1/min"),
}
EVENT = re.compile(r"(\w+)@([-\d:,]+)(?:=([\d.]+))?(?: known\+(\d+))?(?= |$)")
STAY = re.compile(r"stay@([-\d:]+)\.\.([-\d:]+)")


@dataclass(frozen=True)
class Case:
    name: str
    events: str
    expected: tuple[datetime | None, ...]


def instant(hours: str) -> datetime:
    """-47:59 is 47 hours and 59 minutes before noon."""
    whole, _, minutes = hours.strip().lstrip("-").partition(":")
    span = timedelta(hours=int(whole), minutes=int(minutes or 0))
    return NOON - span if hours.strip().startswith("-") else NOON + span


def read_cases() -> list[Case]:
    lines = [line for line in CASES.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    cases = []
    for line in lines:
        name, events, *expected, how = (cell.strip() for cell in line.split(" | "))
        assert len(expected) == len(DEFINITIONS), line
        assert how, line
        cases.append(Case(name, events, tuple(None if cell == "-" else instant(cell) for cell in expected)))
    return cases


def record_of(cases: list[Case]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and contacts of all cases; the subject is the case's number."""
    events, contacts = [], []
    for number, case in enumerate(cases):
        stay = STAY.search(case.events)
        start, end = stay.groups() if stay else ("-100", "300")
        contacts.append((number, number, instant(start), instant(end), "inpatient", "acute"))
        story = STAY.sub("", case.events).strip()
        assert EVENT.sub("", story).strip() == "", f"not understood: {story}"
        for item, times, value, delay in EVENT.findall(story):
            code, unit = ITEMS[item]
            for hours in times.split(","):
                time = instant(hours)
                known = time + timedelta(hours=int(delay)) if delay else None
                events.append((number, time, code, float(value) if value else None, known, unit))
    columns = ["subject_id", "time", "code", "numeric_value", "known_time", "unit"]
    table = pl.DataFrame(events, schema={name: EVENTS[name] for name in columns}, orient="row")
    table = table.with_row_index("lineage_id")
    wanted = [
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    ]
    held = ["contact_id", "subject_id", "start_time", "end_time", "care_level", "urgency"]
    stays = pl.DataFrame(contacts, schema={name: CONTACTS[name] for name in held}, orient="row")
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in CONTACTS.items() if name not in held]
    return table.select(wanted), stays.with_columns(empty).select(CONTACTS.names())


def write_dataset(folder: Path, events: pl.DataFrame, contacts: pl.DataFrame, n_shards: int) -> Dataset:
    (folder / "data").mkdir(parents=True)
    for shard in range(n_shards):
        mine = events.filter(pl.col("subject_id") % n_shards == shard)
        mine.write_parquet(folder / "data" / f"{shard}.parquet")
    contacts.write_parquet(folder / "contacts.parquet")
    return Dataset(folder)


def found_onsets(dataset: Dataset) -> pl.DataFrame:
    definitions = read_definitions([file for file in definition_files() if file.stem == "sepsis_3"])
    assert {definition.name for definition in definitions} == set(DEFINITIONS)
    return derive_phenotypes(dataset, definitions)


CASES_READ = read_cases()


def test_there_are_sixty_cases_with_names_of_their_own() -> None:
    assert len(CASES_READ) >= 60
    assert len({case.name for case in CASES_READ}) == len(CASES_READ)


@pytest.mark.parametrize("shuffled", [False, True], ids=["one shard", "shuffled, three shards"])
def test_onsets_are_those_worked_out_by_hand(shuffled: bool, tmp_path: Path) -> None:
    events, contacts = record_of(CASES_READ)
    if shuffled:
        events, contacts = (frame.sample(fraction=1, shuffle=True, seed=7) for frame in (events, contacts))
    found = found_onsets(write_dataset(tmp_path / "d", events, contacts, 3 if shuffled else 1))
    assert found.select("phenotype", "subject_id").is_duplicated().sum() == 0  # one row a stay
    onsets = {
        (row[0], row[1]): row[2] for row in found.select("phenotype", "subject_id", "start_time").rows()
    }
    wrong = [
        f"{case.name}: {name} {onsets.get((name, number))}, by hand {expected}"
        for number, case in enumerate(CASES_READ)
        for name, expected in zip(DEFINITIONS, case.expected, strict=True)
        if onsets.get((name, number)) != expected
    ]
    assert wrong == []


def test_a_row_says_what_it_rests_on_and_when_that_could_be_known(tmp_path: Path) -> None:
    names = [case.name for case in CASES_READ]
    events, contacts = record_of(CASES_READ)
    found = found_onsets(write_dataset(tmp_path / "d", events, contacts, 1))
    codes = dict(events.select("lineage_id", "code").iter_rows())

    def row(name: str) -> dict[str, object]:
        of_case = found.filter(
            (pl.col("subject_id") == names.index(name)) & (pl.col("phenotype") == "sepsis_3")
        )
        return of_case.to_dicts()[0]

    late = row("answer that comes late")
    assert late["known_time"] == NOON + timedelta(hours=35)
    assert late["value"] == 2
    assert late["state"] == "confirmed"
    assert sorted(codes[i] for i in late["evidence"]) == [  # type: ignore[attr-defined]
        "ATC//J01DD01",
        "BLOOD_CULTURE//collected",
        "NLK//NPU04998",
    ]
    lungs = row("lungs 26.6 supported")
    used = [codes[i] for i in lungs["evidence"]]  # type: ignore[attr-defined]
    assert {"NLK//NPU08977", "VITAL//fio2", "PHYSIONET2012//MechVent"} <= set(used)
