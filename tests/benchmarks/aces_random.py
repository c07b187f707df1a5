"""Random tasks in ACES' language on small random datasets, to compare this implementation with ACES' own."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

CODES = ("ADMISSION//A", "ADMISSION//B", "DISCHARGE//HOME", "DEATH", "LAB//1//mg", "LAB//1//g", "LAB//2", "X")
STATIC_CODES = ("SEX//M", "SEX//F", "X")
UNITS = ("mg", "g", None)
START = datetime(2020, 1, 1)
SPANS = ("1h", "2 hours", "90 min", "6h", "12:00:00", "1d", "1 day, 6:00:00", "2 days", "5d", "30 mins")
SPECIAL = ("_ANY_EVENT", "_RECORD_START", "_RECORD_END")


def write_case(folder: Path, seed: int) -> None:
    """One case: task.yaml, sometimes predicates.yaml, and data/<shard>.parquet."""
    rng = random.Random(seed)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    first = 1
    for shard in range(rng.choice((1, 1, 2, 3))):
        n_subjects = rng.randint(1, 5)
        _events(rng, range(first, first + n_subjects)).write_parquet(folder / "data" / f"{shard}.parquet")
        first += n_subjects
    task = _task(rng)
    if rng.random() < 0.3:
        kept = {name: rule for name, rule in task["predicates"].items() if rng.random() < 0.5}
        dataset = {name: rule for name, rule in task["predicates"].items() if name not in kept}
        task["predicates"] = kept | {name: "???" for name in dataset if rng.random() < 0.5}
        (folder / "predicates.yaml").write_text(yaml.safe_dump({"predicates": dataset}, sort_keys=False))
    (folder / "task.yaml").write_text(yaml.safe_dump(task, sort_keys=False))


def _events(rng: random.Random, subjects: range) -> pl.DataFrame:
    """Events on a coarse grid of times, so that instants coincide; some without a time, value or unit."""
    rows: list[dict[str, Any]] = []
    step = rng.choice((timedelta(minutes=30), timedelta(hours=1), timedelta(hours=6)))
    for subject in subjects:
        for code in STATIC_CODES:
            rows += [{"subject_id": subject, "time": None, "code": code}] * (rng.random() < 0.6)
        for _ in range(rng.randint(2, 40)):
            when = START + step * rng.randint(0, 60)
            row = {"subject_id": subject, "time": when, "code": rng.choice(CODES)}
            if rng.random() < 0.7:
                row["numeric_value"] = rng.choice((0.0, 1.0, 1.1, 1.3, 2.5, 7.0, 100.0))
            row["unit"] = rng.choice(UNITS)
            rows += [row] * (2 if rng.random() < 0.1 else 1)
    # ACES misreads a shard with a single instant: two at least.
    rows += [{"subject_id": subjects[0], "time": START + step * n, "code": "X"} for n in range(2)]
    schema = {"time": pl.Datetime("us"), "numeric_value": pl.Float32, "unit": pl.String}
    types = pl.Schema({"subject_id": pl.Int64, "code": pl.String} | schema)
    return pl.DataFrame(rows, schema=types).sort("subject_id", "time", nulls_last=False, maintain_order=True)


def _task(rng: random.Random) -> dict[str, Any]:
    plain = {f"p{n}": _plain(rng) for n in range(rng.randint(2, 5))}
    statics = {"male": {"code": "SEX//M"}} if rng.random() < 0.2 else {}
    if statics and rng.random() < 0.3:
        statics["known"] = {"code": {"regex": "^SEX"}}
    predicates: dict[str, Any] = dict(plain)
    for n in range(rng.randint(0, 3)):
        names = rng.sample([*predicates, *statics], k=min(rng.randint(2, 3), len(predicates)))
        predicates[f"d{n}"] = {"expr": f"{rng.choice(('and', 'or', 'or'))}({', '.join(names)})"}
    trigger = rng.choice([*predicates, *predicates, *SPECIAL])
    windows = _windows(rng, list(predicates))
    task: dict[str, Any] = {"metadata": {"description": "random"}, "predicates": predicates}
    if statics:
        task["patient_demographics"] = statics
    return task | {"trigger": trigger, "windows": windows}


def _plain(rng: random.Random) -> dict[str, Any]:
    code: Any = rng.choice(
        (
            *CODES,
            {"regex": "^ADMISSION"},
            {"regex": "//"},
            {"regex": "LAB//.*//m?g$"},
            {"any": ["DEATH", "X"]},
            {"any": ["LAB//1//mg", "LAB//2"]},
            None,
        )
    )
    rule: dict[str, Any] = {"code": code}
    if rng.random() < 0.3:
        rule["value_min"] = rng.choice((0, 1, 1.1, 1.3, 2.5))
        rule["value_min_inclusive"] = rng.choice((True, False, None))
    if rng.random() < 0.3:
        rule["value_max"] = rng.choice((1.1, 1.3, 7, 100))
        rule["value_max_inclusive"] = rng.choice((True, False))
    if rng.random() < 0.1:
        rule["unit"] = rng.choice(("mg", "g"))
    return rule


def _windows(rng: random.Random, predicates: list[str]) -> dict[str, Any]:
    windows: dict[str, Any] = {}
    for n in range(rng.randint(1, 5)):
        places = ["trigger", *(f"{name}.{side}" for name in windows for side in ("start", "end"))]
        windows[f"w{n}"] = _window(rng, rng.choice(places), predicates)
    names = list(windows)
    windows[rng.choice(names)]["label"] = rng.choice(predicates)
    windows[rng.choice(names)]["index_timestamp"] = rng.choice(("start", "end"))
    rng.shuffle(names)
    return {name: windows[name] for name in names}


def _window(rng: random.Random, place: str, predicates: list[str]) -> dict[str, Any]:
    bounding = [*predicates, "_ANY_EVENT"]
    kind = rng.random()
    if kind < 0.7:
        near = place
    elif kind < 0.9:
        near = f"{place} {rng.choice('+-')} {rng.choice(SPANS)}"
    else:
        near = f"{place} {rng.choice(('->', '<-'))} {rng.choice(bounding)}"
    is_forward, kind = rng.random() < 0.65, rng.random()
    own, sign, arrow = ("start", "+", "->") if is_forward else ("end", "-", "<-")
    if kind < 0.5:
        far: str | None = f"{own} {sign} {rng.choice(SPANS)}"
    elif kind < 0.8:
        far = f"{own} {arrow} {rng.choice([*bounding, '_RECORD_END' if is_forward else '_RECORD_START'])}"
    elif kind < 0.97:
        far = None
    else:
        far = own
    window = {"start": near, "end": far} if is_forward else {"start": far, "end": near}
    window |= {"start_inclusive": rng.random() < 0.5, "end_inclusive": rng.random() < 0.5}
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        least, most = rng.choice((("None", 0), ("None", 2), (1, "None"), (1, 3), (2, "None")))
        window.setdefault("has", {})[rng.choice([*predicates, *SPECIAL])] = f"({least}, {most})"
    return window
