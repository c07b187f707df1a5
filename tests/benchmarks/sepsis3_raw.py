"""Holds SOFA and Sepsis-3 against a second implementation in plain loops over the hospital's raw extract.

Run: python tests/benchmarks/sepsis3_raw.py --out FOLDER [--patients 3000] [--seed 1] [--scenarios NAME ...]

The second implementation reads the simulated hospital's CSV files as they were written and knows nothing of
the ontology, the value sets, the dataset or the definition language; it follows the words of the papers and
of the docs. The first goes the way of a user: `pesta ingest`, then `pesta phenotype`. Patients are matched
through lineage.parquet: the row of patients.csv that each birth comes from.

Bar: the same stays (start and end), the same of them with Sepsis-3 in three variants, the same onset to the
minute and the same rise; the same SOFA at every instant of its course by what had happened, and at random
instants by what was known then.

**Source:** SOFA: Vincent et al., Intensive Care Med 1996;22:707-710, doi 10.1007/BF01709751. Sepsis-3: Singer
et al., JAMA 2016;315:801-810, doi 10.1001/jama.2016.0287. Suspected infection: Seymour et al., JAMA
2016;315:762-774, doi 10.1001/jama.2016.0288.
"""

from __future__ import annotations

import argparse
import csv
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from harness import finish, open_key, pesta

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
OPEN = datetime(9999, 12, 31)
"""The end of what had not ended when the extract was made."""
JOINED_WITHIN = 8 * HOUR
"""Contacts with at most so much between them are one stay."""
N_INSTANTS = 2000
N_SHOWN = 5
"""How many differences of each kind are printed."""
BEFORE, AFTER = 48 * HOUR, 24 * HOUR
"""The window of SOFA around a suspected infection."""
CREATININE = ("NPU04998", "NPU18016", "NPU01807")
UNITS = {"NPU03568": "x 10E9/L", "NPU01370": "µmol/L"} | dict.fromkeys(CREATININE, "µmol/L")
"""The tests that SOFA reads, and the unit in which the thresholds below hold."""
GASES = frozenset({"NPU08977", "NPU14104"})
"""Oxygen tensions: with them, and the columns fio2, gcs or urine, three more organs would have points."""
VARIANTS = ("sepsis_3", "sepsis_3_first_suspicion", "sepsis_3_seymour")
COURSE = """version: "1"
sources: [the course itself]
review: none is needed
is_shown: false
definitions:
  - {name: stay_each, title: Every stay, confirmed: {stay: {}}}
  - {name: sofa_course, title: The course of SOFA, confirmed: {score: {name: SOFA, at_least: 0}}}
"""


Instant = tuple[str, datetime]
"""A patient and a time; of a stay, its start."""
Course = list[tuple[datetime, int | None]]
"""Instants, and SOFA from each on; None where nothing was measured."""


@dataclass(frozen=True)
class Measured:
    """A measurement, or a dose, and what its organ gets for it."""

    time: datetime
    known: datetime
    organ: str
    points: int


@dataclass
class Patient:
    """What the extract tells of one patient."""

    contacts: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    cultures: list[tuple[datetime, str]] = field(default_factory=list)
    antibiotics: list[tuple[datetime, str]] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)


@dataclass
class Found:
    """What one implementation makes of all patients, under the extract's own patient numbers.

    Attributes:
        stays: (patient, start) and the end, OPEN where there is none.
        septic: for each variant (patient, start of the stay), and the onset with the mark's value.
        course: of each patient, by what had happened.
    """

    stays: dict[Instant, datetime] = field(default_factory=dict)
    septic: dict[str, dict[Instant, tuple[datetime, float | None]]] = field(default_factory=dict)
    course: dict[str, Course] = field(default_factory=dict)


def rows_of(extract: Path, table: str) -> Iterator[dict[str, str]]:
    with (extract / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_patients(extract: Path) -> dict[str, Patient]:
    """All patients of an extract."""
    patients = {row["patient_id"]: Patient() for row in rows_of(extract, "patients")}
    for row in rows_of(extract, "contacts"):
        end = datetime.fromisoformat(row["utDatoTid"]) if row["utDatoTid"] else OPEN
        start = datetime.fromisoformat(row["innDatoTid"])
        patients[row["patient_id"]].contacts.append((start, end, row["kontakt_id"]))
    for row in rows_of(extract, "blood_cultures"):
        collected = datetime.fromisoformat(row["collected_time"])
        patients[row["patient_id"]].cultures.append((collected, row["kontakt_id"]))
    for row in rows_of(extract, "drugs"):
        if is_antibiotic(row["atc"]):
            given = (datetime.fromisoformat(row["given_time"]), row["kontakt_id"])
            patients[row["patient_id"]].antibiotics.append(given)
    for patient_id, measurement in measurements(extract):
        patients[patient_id].measured.append(measurement)
    for patient in patients.values():
        patient.measured.sort(key=lambda measurement: measurement.time)
    return patients


def is_antibiotic(atc: str) -> bool:
    """An antibacterial for systemic use, or metronidazole by mouth; not methenamine, which prevents."""
    return (atc.startswith("J01") and atc != "J01XX05") or atc == "P01AB01"


def measurements(extract: Path) -> Iterator[tuple[str, Measured]]:
    """What SOFA reads in the laboratory, the ward's rounds and the drugs, each with its patient."""
    for row in rows_of(extract, "laboratory"):
        code = row["nlk"]
        if code in GASES:
            raise ValueError("a blood gas: this script has no points for the lungs")
        if code in UNITS and row["value"]:
            if row["unit"] != UNITS[code]:
                raise ValueError(f"{code} in {row['unit']}: this script has no threshold for it")
            sampled = datetime.fromisoformat(row["sampled_time"])
            known = datetime.fromisoformat(row["answered_time"])
            yield row["patient_id"], Measured(sampled, known, *laboratory_points(code, float(row["value"])))
    for row in rows_of(extract, "vital_signs"):
        if {"fio2", "gcs", "urine", "mean_bp"} & row.keys():
            raise ValueError("a sign that SOFA reads and this script does not")
        if row["systolic_bp"] and row["diastolic_bp"]:
            # below 70 is below 210 for three times the mean pressure
            thrice = float(row["systolic_bp"]) + 2 * float(row["diastolic_bp"])
            time = datetime.fromisoformat(row["measured_time"])
            yield row["patient_id"], Measured(time, time, "circulation", int(thrice < 210))
    for row in rows_of(extract, "drugs"):
        points = drug_points(row["atc"], row["dose_unit"], row["dose"])
        if points:
            time = datetime.fromisoformat(row["given_time"])
            yield row["patient_id"], Measured(time, time, "circulation", points)


def laboratory_points(code: str, value: float) -> tuple[str, int]:
    """The organ that a test speaks for, and its points."""
    if code == "NPU03568":
        return "coagulation", sum(value < bound for bound in (150, 100, 50, 20))
    if code == "NPU01370":
        return "liver", sum(value >= bound for bound in (20, 33, 102)) + (value > 204)
    return "kidneys", sum(value >= bound for bound in (110, 171, 300)) + (value > 440)


def drug_points(atc: str, unit: str, dose: str) -> int:
    """Points for the circulation by a drug's dose; 0 for all other drugs and units."""
    if unit != "ug/kg/min" or not dose:
        return 0
    if atc in ("C01CA03", "C01CA24"):
        return 3 if float(dose) <= 0.1 else 4
    if atc == "C01CA04":
        return 2 + (float(dose) > 5) + (float(dose) > 15)
    return 2 if atc == "C01CA07" else 0


def sofa(measured: list[Measured], at: datetime, *, by_known: bool) -> int | None:
    """The worst points of each organ in the 24 hours before, in all; None where nothing was measured."""
    worst: dict[str, int] = {}
    for measurement in measured:
        time = measurement.known if by_known else measurement.time
        if at - DAY < time <= at:
            worst[measurement.organ] = max(worst.get(measurement.organ, 0), measurement.points)
    return sum(worst.values()) if worst else None


def course(patient: Patient) -> Course:
    """SOFA at every instant at which it may change: a measurement comes, or one is a day old."""
    times = [measurement.time for measurement in patient.measured]
    instants = sorted({*times, *(time + DAY for time in times)})
    near = {at: slice(bisect_left(times, at - DAY), bisect_right(times, at)) for at in instants}
    return [(at, sofa(patient.measured[near[at]], at, by_known=False)) for at in instants]


def stays_of(patient: Patient) -> list[tuple[datetime, datetime, set[str]]]:
    """Start, end and contacts of each stay."""
    stays: list[tuple[datetime, datetime, set[str]]] = []
    for start, end, contact in sorted(patient.contacts):
        if stays and (stays[-1][1] == OPEN or start - stays[-1][1] <= JOINED_WITHIN):
            begun, over, contacts = stays[-1]
            stays[-1] = (begun, max(over, end), contacts | {contact})
        else:
            stays.append((start, end, {contact}))
    return stays


def suspicions(patient: Patient, stay_of: dict[str, datetime]) -> set[tuple[datetime, datetime]]:
    """When an infection was suspected, and the start of the stay in which.

    The earlier of a culture and an antibiotic: the antibiotic at most 72 hours after the culture, or the
    culture at most 24 hours after the antibiotic; the culture, where none of those was given in a stay.
    """
    found: set[tuple[datetime, datetime]] = set()
    for collected, contact in patient.cultures:
        before = [dose for dose in patient.antibiotics if timedelta(0) <= collected - dose[0] <= 24 * HOUR]
        after = [dose for dose in patient.antibiotics if timedelta(0) <= dose[0] - collected <= 72 * HOUR]
        found.update((given, stay_of[of]) for given, of in before if of in stay_of)
        outside = before and not any(of in stay_of for _given, of in before)
        if (after or outside) and contact in stay_of:
            found.add((collected, stay_of[contact]))
    return found


def scores_around(scores: Course, at: datetime) -> list[tuple[datetime, int]]:
    """The score in force when the window begins, and each that comes in it; 0 where nothing was measured."""
    instants = [instant for instant, _score in scores]
    first, last = bisect_right(instants, at - BEFORE), bisect_right(instants, at + AFTER)
    in_force = (scores[first - 1][1] or 0) if first else 0
    return [(at - BEFORE, in_force), *((instant, score or 0) for instant, score in scores[first:last])]


def rise_around(scores: Course, at: datetime) -> tuple[datetime, int] | None:
    """The first instant around a suspicion at which SOFA is 2 above the lowest before it, and by how much."""
    window = scores_around(scores, at)
    lowest = window[0][1]
    for instant, score in window[1:]:
        if score - lowest >= 2:
            return instant, score - lowest
        lowest = min(lowest, score)
    return None


def second_implementation(patients: dict[str, Patient]) -> Found:
    """Stays, Sepsis-3 and the course of SOFA, from the raw extract."""
    found, suspected = Found(septic={variant: {} for variant in VARIANTS}), set[Instant]()
    for patient_id, patient in patients.items():
        stays, scores = stays_of(patient), course(patient)
        found.stays.update({(patient_id, start): end for start, end, _contacts in stays})
        found.course[patient_id] = scores
        stay_of = {contact: start for start, _end, contacts in stays for contact in contacts}
        for at, stay in sorted(suspicions(patient, stay_of)):
            key = (patient_id, stay)
            rise = rise_around(scores, at)
            if rise:
                onsets = found.septic["sepsis_3"]
                onsets[key] = min(onsets.get(key, rise), rise)
                if key not in suspected:
                    found.septic["sepsis_3_first_suspicion"][key] = rise
            suspected.add(key)
            if any(score >= 2 for _instant, score in scores_around(scores, at)):
                found.septic["sepsis_3_seymour"].setdefault(key, (at, None))
    return found


def first_implementation(hospital: Path, dataset: Path) -> Found:
    """The same as `pesta phenotype` gives it."""
    import pyarrow.parquet as pq

    course_file, file = dataset.with_name("course.yaml"), dataset.with_name("phenotypes.parquet")
    course_file.write_text(COURSE, "utf-8")
    chosen = ("--definition", "sepsis_3", "--definition", str(course_file))
    pesta("phenotype", dataset, "--out", file, *chosen, "--quiet")
    patient_of = {subject: patient for patient, subject in subjects(hospital, dataset).items()}
    columns = ["phenotype", "subject_id", "start_time", "end_time", "stay_id", "value"]
    marks = pq.read_table(file, columns=columns).to_pylist()
    found, starts = Found(septic={variant: {} for variant in VARIANTS}), {}
    for mark in marks:
        if mark["phenotype"] == "stay_each":
            starts[mark["stay_id"]] = mark["start_time"]
            key = (patient_of[mark["subject_id"]], mark["start_time"])
            found.stays[key] = mark["end_time"] or OPEN
    for mark in marks:
        patient, name = patient_of[mark["subject_id"]], mark["phenotype"]
        if name == "sofa_course":
            found.course.setdefault(patient, []).append((mark["start_time"], int(mark["value"])))
        elif name in VARIANTS:
            found.septic[name][patient, starts[mark["stay_id"]]] = (mark["start_time"], mark["value"])
    return found


def subjects(hospital: Path, dataset: Path) -> dict[str, int]:
    """The subject of each patient, by the row of patients.csv that the birth comes from."""
    import pyarrow.parquet as pq

    born = pq.read_table(dataset / "data", filters=[("code", "=", "MEDS_BIRTH")]).to_pylist()
    lineage = pq.read_table(dataset / "lineage.parquet", filters=[("file", "=", "patients.csv")]).to_pylist()
    row_of = {sent["lineage_id"]: sent["row"] for sent in lineage}
    patients = [row["patient_id"] for row in rows_of(hospital / "extract", "patients")]
    return {patients[row_of[birth["lineage_id"]] - 1]: birth["subject_id"] for birth in born}


def sofa_at_instants(
    patients: dict[str, Patient], subject_of: dict[str, int], dataset: Path, seed: int
) -> tuple[list[str], Counter[int | None]]:
    """Differences of SOFA at random instants by what was known then, and how often each score came.

    Three in four instants lie within 30 hours after a measurement became known, the others anywhere.
    """
    import polars as pl

    from phenotype.scores.rows import score_rows
    from phenotype.trajectory import Dataset

    chance, chosen = random.Random(seed), set[Instant]()
    with_measurements = [patient_id for patient_id, patient in patients.items() if patient.measured]
    while len(chosen) < N_INSTANTS:
        patient_id = chance.choice(with_measurements)
        if len(chosen) % 4:
            at = chance.choice(patients[patient_id].measured).known + chance.randint(0, 1800) * HOUR / 60
        else:
            at = datetime(2016, 1, 1) + chance.randint(0, 87600) * HOUR
        chosen.add((patient_id, at))
    asked = sorted(chosen)
    schema = {"subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")}
    rows = pl.DataFrame([(subject_of[patient], at) for patient, at in asked], schema, orient="row")
    theirs = score_rows(Dataset(dataset).events(), rows, "SOFA")["score"].to_list()
    ours = [sofa(patients[patient].measured, at, by_known=True) for patient, at in asked]
    pairs = zip(asked, ours, theirs, strict=True)
    apart = [f"  SOFA at {which}: raw {own}, pesta {their}" for which, own, their in pairs if own != their]
    return apart, Counter(ours)


def courses(raw: dict[str, Course], product: dict[str, Course]) -> tuple[dict[Instant, int | None], ...]:
    """SOFA by both wherever one of them says that it may change, and is measured."""
    values: tuple[dict[Instant, int | None], ...] = ({}, {})
    for patient in raw.keys() | product.keys():
        sides = raw.get(patient, []), sorted(product.get(patient, []))
        for at in {at for side in sides for at, score in side if score is not None}:
            for side, found in zip(sides, values, strict=True):
                place = bisect_right(side, at, key=lambda mark: mark[0])
                found[patient, at] = side[place - 1][1] if place else None
    return values


def compared(what: str, raw: Mapping[Any, Any], product: Mapping[Any, Any]) -> list[int]:
    """How many keys both have, only one, and both with another value; prints the first of each."""
    both = raw.keys() & product.keys()
    kinds = {
        "raw only": sorted(raw.keys() - product.keys(), key=str),
        "pesta only": sorted(product.keys() - raw.keys(), key=str),
        "differ": sorted((key for key in both if raw[key] != product[key]), key=str),
    }
    for kind, keys in kinds.items():
        for key in keys[:N_SHOWN]:
            print(f"  {what}, {kind}: {key} raw {raw.get(key)} pesta {product.get(key)}")
    print(f"{what}: both {len(both)}, " + ", ".join(f"{kind} {len(keys)}" for kind, keys in kinds.items()))
    return [len(both), *(len(keys) for keys in kinds.values())]


def compare(out: Path, scenario: str, n_patients: int, seed: int) -> tuple[bool, str]:
    """Whether nothing differs in one scenario, and the figures."""
    hospital, dataset = out / scenario / "hospital", out / scenario / "dataset"
    if not (dataset / "ingest.json").exists():
        size = ["--patients", str(n_patients), "--seed", str(seed), "--scenario", scenario]
        pesta("simulate", *size, "--out", hospital, "--quiet")
        key = open_key(dataset)
        pesta("ingest", "simulated-hospital", hospital / "extract", "--out", dataset, "--key", key, "--quiet")
    patients = read_patients(hospital / "extract")
    raw, product = second_implementation(patients), first_implementation(hospital, dataset)
    print(f"{scenario}: {len(patients)} patients")
    counts = {"stays": compared("stays", raw.stays, product.stays)}
    counts |= {name: compared(name, raw.septic[name], product.septic[name]) for name in VARIANTS}
    counts["instants of SOFA's course"] = compared("course", *courses(raw.course, product.course))
    apart, scores = sofa_at_instants(patients, subjects(hospital, dataset), dataset, seed)
    print("\n".join([*apart[:N_SHOWN], f"SOFA at random instants: {len(apart)} of {N_INSTANTS} differ"]))
    some = sum(n for score, n in scores.items() if score)
    figures = [f"{what} {n[0]} by both, {n[1]} + {n[2]} by one, {n[3]} differ" for what, n in counts.items()]
    figures.append(f"SOFA at {N_INSTANTS} random instants ({some} above 0): {len(apart)} differ")
    is_same = not apart and all(not any(n[1:]) and n[0] for n in counts.values())
    return is_same, f"{scenario}, {len(patients)} patients: " + "; ".join(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets; kept")
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenarios", nargs="+", default=["default", "methods-change"])
    asked = parser.parse_args()
    results = [compare(asked.out, scenario, asked.patients, asked.seed) for scenario in asked.scenarios]
    finish(is_shown=all(same for same, _text in results), figures=" | ".join(text for _same, text in results))


if __name__ == "__main__":
    main()
