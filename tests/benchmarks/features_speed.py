"""Features of 5,000,000 events: how long, how much memory, and whether every cell of 200 patients is right.

The table: 10,000 subjects, 2,019 codes whose frequencies follow Zipf's law, 10 shards, a third of the codes
without values, one event in five at midnight (ties), and one prediction time a subject, its last event, so
that every event counts. Each measurement is a process of its own; its time runs from opening the shards to
the finished matrix. Processor seconds stand beside it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, own_peak_mb, run

from phenotype.features import FeatureMatrix, FeatureSpec, build_features
from phenotype.trajectory import open_dataset

N_SUBJECTS, N_CODES, N_EVENTS, N_SHARDS, N_CHECKED, N_RUNS = 10_000, 2_019, 5_000_000, 10, 200, 3
WINDOW_DAYS = {"1d": 1.0, "7d": 7.0, "30d": 30.0, "365d": 365.0, "full": math.inf}
AGGREGATIONS = {
    "four": ("count", "sum", "min", "max"),
    "ten": ("count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since"),
}
BARS = {"four": (4.0, 1000), "ten": (15.0, 2000)}
"""Seconds and MB."""
DAY, HOUR = 86_400_000_000, 3_600_000_000

Known = list[tuple[int, float | None]]


def make_table(folder: Path) -> None:
    """Writes data/<shard>.parquet and rows.parquet."""
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, N_CODES + 1)
    minutes = random.integers(0, 3 * 365 * 24 * 60, N_EVENTS)
    minutes = np.where(random.random(N_EVENTS) < 0.2, minutes // 1440 * 1440, minutes)
    rank = random.choice(N_CODES, N_EVENTS, p=weights / weights.sum())
    is_bare = (rank % 3 == 0) | (random.random(N_EVENTS) < 0.02)
    events = pl.DataFrame(
        {
            "subject_id": random.integers(0, N_SUBJECTS, N_EVENTS),
            "time": np.datetime64("2015-01-01T00:00", "us") + minutes.astype("timedelta64[m]"),
            "code": np.array([f"BENCH//{number:04d}" for number in range(N_CODES)])[rank],
            "numeric_value": np.where(is_bare, np.nan, random.normal(100, 15, N_EVENTS)).astype(np.float32),
        }
    ).with_columns(pl.col("numeric_value").fill_nan(None))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for shard in range(N_SHARDS):
        part = events.filter(pl.col("subject_id") % N_SHARDS == shard).sort("subject_id", "time")
        part.write_parquet(folder / "data" / f"{shard}.parquet")
    rows = events.group_by("subject_id").agg(pl.col("time").max().alias("prediction_time")).sort("subject_id")
    rows.write_parquet(folder / "rows.parquet")


def build(folder: Path, which: str) -> FeatureMatrix:
    """The features of the table, age and static facts off: it has none."""
    spec = FeatureSpec(windows=tuple(WINDOW_DAYS), aggregations=AGGREGATIONS[which], static=False, age=False)
    return build_features(open_dataset(folder).events(), pl.read_parquet(folder / "rows.parquet"), spec)


def measure(folder: Path, which: str) -> None:
    """In a process of its own: prints seconds, processor seconds, peak MB and the number of cells."""
    started, started_processor = time.perf_counter(), time.process_time()
    matrix = build(folder, which)
    seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
    print(f"{seconds} {processor} {own_peak_mb()} {matrix.values.nnz}")


def slow_aggregates(known: Known, until: int) -> dict[str, float]:
    """Aggregates of (microseconds, value) pairs, event by event; ties in time by value."""
    found = {"count": float(len(known)), "time_since": (until - max(at for at, _ in known)) / HOUR}
    pairs = sorted((at, value) for at, value in known if value is not None)
    if not pairs:
        return found
    values = [value for _, value in pairs]
    mean = math.fsum(values) / len(values)
    found |= {"sum": math.fsum(values), "mean": mean, "min": min(values), "max": max(values)}
    found |= {"first": values[0], "last": values[-1]}
    if len(values) > 1:
        found["sd"] = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
        hours = [(at - pairs[0][0]) / HOUR for at, _ in pairs]
        middle = math.fsum(hours) / len(hours)
        if pairs[0][0] < pairs[-1][0]:
            together = math.fsum(
                (hour - middle) * (value - mean) for hour, value in zip(hours, values, strict=True)
            )
            found["slope"] = together / math.fsum((hour - middle) ** 2 for hour in hours)
    return found


def slow_cells(events: pl.DataFrame, until: int) -> dict[str, float]:
    """Name -> value of one subject's cells."""
    by_code: dict[str, Known] = {}
    for code, at, value in events.select("code", pl.col("time").to_physical(), "numeric_value").iter_rows():
        by_code.setdefault(code, []).append((at, value))
    found = {}
    for code, facts in by_code.items():
        for window, days in WINDOW_DAYS.items():
            if known := [(at, value) for at, value in facts if until - days * DAY < at <= until]:
                aggregates = slow_aggregates(known, until)
                found |= {f"{code} · {name} · {window}": value for name, value in aggregates.items()}
    return found


def count_wrong(folder: Path) -> tuple[int, int]:
    """How many cells of a sample of patients are compared, and how many differ or stand on one side only."""
    matrix = build(folder, "ten")
    names = np.array(matrix.columns["name"].to_list(), dtype=object)
    sample = np.sort(np.random.default_rng(1).choice(matrix.rows.height, N_CHECKED, replace=False))
    subjects = matrix.rows["subject_id"].gather(sample)
    events = open_dataset(folder).events().filter(pl.col("subject_id").is_in(subjects.to_list())).collect()
    of_subject = events.partition_by("subject_id", as_dict=True)
    n_compared = n_wrong = 0
    for row in sample:
        subject, until = matrix.rows.select("subject_id", pl.col("prediction_time").to_physical()).row(
            int(row)
        )
        cells = slice(*matrix.values.indptr[row : row + 2])
        found = dict(
            zip(names[matrix.values.indices[cells]], matrix.values.data[cells].tolist(), strict=True)
        )
        expected = slow_cells(of_subject[(subject,)], until)
        n_compared += len(expected)
        n_wrong += len(set(found) ^ set(expected))
        n_wrong += sum(
            not math.isclose(found[name], value, rel_tol=2e-7, abs_tol=1e-9)
            for name, value in expected.items()
            if name in found
        )
    return n_compared, n_wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the table; kept")
    parser.add_argument("--measure", choices=sorted(AGGREGATIONS), help="one measurement in this process")
    given = parser.parse_args()
    if given.measure:
        measure(given.out, given.measure)
        return
    if not (given.out / "rows.parquet").exists():
        make_table(given.out)
    is_shown, figures = True, []
    for which, (bar_seconds, bar_mb) in BARS.items():
        command = [sys.executable, str(Path(__file__)), "--out", str(given.out), "--measure", which]
        runs = [[float(part) for part in run(command).output.split()[-4:]] for _ in range(N_RUNS)]
        seconds, processor = (statistics.median(one[column] for one in runs) for column in (0, 1))
        peak_mb, n_cells = max(one[2] for one in runs), runs[0][3]
        is_shown &= seconds < bar_seconds and peak_mb < bar_mb
        time_taken = f"{seconds:.1f} s ({processor:.1f} of processor)"
        figures.append(f"{which}: {time_taken}, {peak_mb:.0f} MB, {n_cells / 1e6:.1f} M cells")
    n_compared, n_wrong = count_wrong(given.out)
    figures.append(f"{n_wrong} of {n_compared} cells of {N_CHECKED} patients differ")
    finish(is_shown=is_shown and n_wrong == 0, figures="; ".join(figures))


if __name__ == "__main__":
    main()
