"""A small finished run, made by a seeded generator: two tasks, 40 patients, one with strings that bite."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from phenotype.explain.concepts import EXPLANATIONS
from phenotype.trajectory import CONTACTS, EVENTS, Dataset, open_dataset

METRICS = Path(__file__).parents[3] / "examples" / "metrics" / "metrics.json"
ADMITTED = dt.datetime(2024, 3, 10, 8, 20)
NASTY = "</style><script>alert('x')</script>\"'><img src=x onerror=alert(1)>&{{7*7}}{% raw %}`|[a](b)"
NASTY_SUBJECT = 1007
TASKS = {"icu_death_48h": 48, "icu_sepsis_hourly": 24}
VITALS = {
    "VITAL//heart_rate": (88, 14, "/min"),
    "VITAL//respiratory_rate": (18, 4, "/min"),
    "VITAL//systolic_bp": (124, 16, "mmHg"),
    "VITAL//temperature": (37.4, 0.6, "°C"),
    "VITAL//spo2": (95, 2, "%"),
}
LABS = {
    "PHYSIONET2012//Lactate": (2.1, 0.9, "mmol/L"),
    "PHYSIONET2012//Creatinine": (1.2, 0.5, "mg/dL"),
    "PHYSIONET2012//WBC": (12.0, 4.0, "10⁹/L"),
    "PHYSIONET2012//Platelets": (210, 60, "10⁹/L"),
    "PHYSIONET2012//BUN": (24, 9, "mg/dL"),
}


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """The run folder and its dataset."""
    return make_run(tmp_path_factory.mktemp("run"))


def make_run(folder: Path) -> tuple[Path, Dataset]:
    """Write a dataset and a finished run under a folder."""
    rng = np.random.default_rng(20240310)
    subjects = [1000 + number for number in range(40)]
    dataset = _write_dataset(folder / "dataset", subjects, rng)
    run = folder / "run"
    run.mkdir(parents=True)
    record = json.loads(METRICS.read_text("utf-8"))
    for task in record["tasks"].values():
        task["lead_model"] = "lightgbm"
        task["models"]["lightgbm"]["subgroups"][0]["group"] = NASTY
    first = record["tasks"]["icu_death_48h"]
    first["n_censored"] = 12
    first["strata"] = [
        {"stratum": "hospital_onset", "n_rows": 31, "n_subjects": 21, "n_labelled": 31},
        {"stratum": NASTY, "n_rows": 3, "n_subjects": 3, "n_labelled": 3},
    ]
    first["without_seen_patients"] = {"models": first["models"], "differences": [], "warnings": []}
    (run / "metrics.json").write_text(json.dumps(record))
    cards = run / "cards" / "icu_death_48h"
    cards.mkdir(parents=True)
    for name in ("lightgbm", "TRIPOD-AI"):
        (cards / f"{name}.md").write_text("# A card\n")
    config = {"name": "fixture", "title": "Two questions at a small hospital"}
    (run / "run.yaml").write_text(yaml.safe_dump(config))
    manifest = {
        "format": 1,
        "run": NASTY,
        "seed": 7,
        "dataset": {"digest": "0" * 64},
        "versions": {"pesta": "0.1.0"},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    risks = [_write_task(run, task, hours, subjects, rng) for task, hours in TASKS.items()]
    pl.concat(risks).write_parquet(run / "risks.parquet")
    explained = [_explanations(task, hours, subjects, rng) for task, hours in TASKS.items()]
    pl.concat(explained).write_parquet(run / "explanations.parquet")
    return run, dataset


def _write_dataset(folder: Path, subjects: list[int], rng: np.random.Generator) -> Dataset:
    events: list[dict[str, Any]] = []
    contacts: list[dict[str, Any]] = []
    for subject in subjects:
        events += _patient(subject, rng)
        contacts += _contacts(subject, rng)
    (folder / "data").mkdir(parents=True)
    table = pl.DataFrame(events, schema=EVENTS).sort("subject_id", "time", "code")
    table.write_parquet(folder / "data" / "0.parquet")
    pl.DataFrame(contacts, schema=CONTACTS).write_parquet(folder / "contacts.parquet")
    return open_dataset(folder)


def _patient(subject: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    def event(code: str, time: dt.datetime | None, value: float | None = None, **more: Any) -> dict[str, Any]:
        empty = dict.fromkeys(EVENTS.names())
        return empty | {"subject_id": subject, "time": time, "code": code, "numeric_value": value} | more

    birth = dt.datetime(int(rng.integers(1936, 1976)), 5, 17)
    events = [event("MEDS_BIRTH", birth), event(f"SEX//{rng.choice(['female', 'male'])}", None)]
    for years in (6, 4, 1.5):
        when = ADMITTED - dt.timedelta(days=365 * years)
        events.append(event(str(rng.choice(["ICD10-NO//I50.9", "ICD10-NO//J44.1", "ICD10-NO//E11.9"])), when))
        events.append(
            event("PHYSIONET2012//Creatinine", when, round(float(rng.normal(1.1, 0.2)), 2), unit="mg/dL")
        )
    for table, every in ((VITALS, 1.0), (LABS, 6.0)):
        for code, (mean, spread, unit) in table.items():
            level = rng.normal(mean, spread / 2)
            for hour in np.arange(0.5, 60, every):
                level += rng.normal(0, spread / 6)
                sampled = ADMITTED + dt.timedelta(hours=float(hour))
                known = sampled + dt.timedelta(minutes=45) if table is LABS else None
                value = round(float(level), 1)
                events.append(event(code, sampled, value, unit=unit, known_time=known))
    events += [event("ATC//J01CF05", ADMITTED + dt.timedelta(hours=hour)) for hour in (3, 9, 15, 27)]
    events.append(event("BLOOD_CULTURE//collected", ADMITTED + dt.timedelta(hours=2)))
    if subject == NASTY_SUBJECT:
        grown = ADMITTED + dt.timedelta(hours=2)
        events.append(
            event(
                "BLOOD_CULTURE//growth", grown, text_value=NASTY, known_time=ADMITTED + dt.timedelta(hours=20)
            )
        )
        events += [
            event(f"EVIL//{NASTY}", ADMITTED + dt.timedelta(hours=hour), hour, unit=NASTY)
            for hour in (1.0, 5.0, 9.0)
        ]
    return events


def _contacts(subject: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    unit = NASTY if subject == NASTY_SUBJECT else "MICU"

    def contact(number: int, start: dt.datetime, hours: float, level: str) -> dict[str, Any]:
        empty = dict.fromkeys(CONTACTS.names())
        return empty | {
            "contact_id": subject * 10 + number,
            "subject_id": subject,
            "start_time": start,
            "end_time": start + dt.timedelta(hours=hours),
            "care_level": level,
            "urgency": "acute",
            "unit_id": unit if level == "icu" else "Ward 4",
            "hospital_id": "H1",
        }

    earlier = ADMITTED - dt.timedelta(days=int(rng.integers(200, 1500)))
    return [
        contact(0, ADMITTED, 90, "icu"),
        contact(1, earlier, 130, "inpatient"),
        contact(2, ADMITTED - dt.timedelta(hours=5), 5, "emergency"),
        contact(3, ADMITTED - dt.timedelta(days=100), 1, "outpatient"),
    ]


def _write_task(
    run: Path, task: str, hours: int, subjects: list[int], rng: np.random.Generator
) -> pl.DataFrame:
    first = hours if task == "icu_death_48h" else hours - 18
    keys = [
        {"subject_id": subject, "prediction_time": ADMITTED + dt.timedelta(hours=hour)}
        for subject in subjects
        for hour in range(first, hours + 1)
    ]
    rows = pl.DataFrame(keys, schema_overrides={"prediction_time": pl.Datetime("us")}).sort(
        "subject_id", "prediction_time"
    )
    by_subject = {
        subject: float(risk) for subject, risk in zip(subjects, rng.beta(1.2, 6, len(subjects)), strict=True)
    }
    by_subject[NASTY_SUBJECT] = 0.62
    level = np.array([by_subject[subject] for subject in rows["subject_id"]])
    labels = rng.random(rows.height) < level
    for folder in ("labels", "outcomes", f"predictions/{task}"):
        (run / folder).mkdir(parents=True, exist_ok=True)
    rows.with_columns(pl.Series("boolean_value", labels)).write_parquet(run / "labels" / f"{task}.parquet")
    outcomes = rows.with_columns(
        (pl.col("subject_id") * 10).alias("contact_id"),
        pl.Series("event", ["death" if positive else None for positive in labels]),
        pl.Series("event_hours", [31.0 if positive else None for positive in labels]),
        pl.lit(None, pl.Float64).alias("censored_hours"),
        pl.lit(None, pl.String).alias("exclusion_reason"),
    )
    outcomes.write_parquet(run / "outcomes" / f"{task}.parquet")
    found = []
    for model, noise in (("ward", 0.06), ("logistic", 0.03), ("lightgbm", 0.0)):
        risk = np.clip(level + rng.normal(0, noise + 0.01, rows.height), 0.004, 0.97)
        place = run / "predictions" / task / model
        place.mkdir()
        predicted = rows.with_columns(
            pl.Series("boolean_value", labels),
            pl.Series("predicted_boolean_value", risk > 0.3),
            pl.Series("predicted_boolean_probability", risk, pl.Float32),
        )
        predicted.write_parquet(place / "held_out.parquet")
        found.append(
            rows.with_columns(
                pl.lit(task).alias("task"),
                pl.lit(model).alias("model"),
                pl.lit(None, pl.Float64).alias("horizon_hours"),
                predicted["predicted_boolean_probability"].cast(pl.Float64).alias("risk"),
            )
        )
        bundle = run / "bundle" / task / model
        bundle.mkdir(parents=True)
        (bundle / "task.json").write_text(json.dumps(_task(task)))
    return pl.concat(found)


def _task(name: str) -> dict[str, Any]:
    stands = Path(__file__).parents[4] / "configs" / "tasks" / f"{name}.yaml"
    return dict(yaml.safe_load(stands.read_text("utf-8")))


def _explanations(task: str, hours: int, subjects: list[int], rng: np.random.Generator) -> pl.DataFrame:
    times = [hours] if task == "icu_death_48h" else range(hours - 18, hours + 1)
    rows: list[dict[str, Any]] = []
    for subject in subjects:
        for hour in times:
            rows += _tree(task, subject, ADMITTED + dt.timedelta(hours=hour), rng)
    return pl.DataFrame(rows, schema=EXPLANATIONS)


def _tree(task: str, subject: int, when: dt.datetime, rng: np.random.Generator) -> list[dict[str, Any]]:
    codes = {
        "Vital signs": list(VITALS),
        "Laboratory": [*LABS, "PHYSIONET2012//Albumin"],
        "Diagnoses": ["ICD10-NO//I50.9", "ICD10-NO//J44.1"],
        "Demographics": ["AGE"],
        "Drugs": ["ATC//J01CF05"],
    }
    if subject == NASTY_SUBJECT:
        codes["Other"] = [f"EVIL//{NASTY}"]
        codes["Microbiology"] = ["BLOOD_CULTURE//growth"]

    def node(name: str, parent: str | None, phi: float) -> dict[str, Any]:
        spread = 0.12 * abs(phi) if task == "icu_sepsis_hourly" else 0.0
        return {
            "subject_id": subject,
            "prediction_time": when,
            "model": f"{task}/lightgbm",
            "tree": "concepts",
            "node": name,
            "parent": parent,
            "phi": phi,
            "low": phi - spread,
            "high": phi + spread,
            "is_exact": task == "icu_death_48h",
        }

    rows = []
    total = 0.0
    for domain, members in codes.items():
        sum_of_domain = 0.0
        for code in members:
            phi = float(rng.normal(0.9 if "EVIL" in code else 0.0, 0.4))
            rows += [
                node(code, domain, phi),
                node(f"{code}//last//24h", code, 0.7 * phi),
                node(f"{code}//count//24h", code, 0.3 * phi),
            ]
            sum_of_domain += phi
        rows.append(node(domain, "", sum_of_domain))
        total += sum_of_domain
    return [node("", None, total), node("base", None, -1.9), *rows]
