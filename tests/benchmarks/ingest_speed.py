"""`pesta ingest` of a plain CSV of 1.0 million rows: at least six times MEDS-extract's 65,000 rows a second.

Whole processes are timed, start to end, with shards and lineage written, and judged by the clock on the wall
alone: the median of five runs. Rows a second of processor time, summed over all threads, are told beside it,
as what the machine's neighbours change least. What was written is checked against pyarrow's reading of the
same CSV.
"""

from __future__ import annotations

import json
import resource
import statistics
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from harness import arguments, finish, pesta

N_ROWS = 1_000_000
N_SUBJECTS = 10_000
N_CODES = 2_000
BAR_ROWS_A_SECOND = 6 * 65_000
N_RUNS = 5
FIRST_SECOND = 1_420_070_400  # 2015-01-01
MAPPING = """
name: plain-table
title: a plain table of events
tables:
  events:
    files: events.csv
    subject: "{subject_id}"
    events:
      - {time: timestamp, code: "{code}", value: value, unit: "{unit}", keep_empty: true}
"""


def write_table(folder: Path) -> None:
    """Events of 10,000 subjects in ten years, codes by Zipf's law, 70 % with a value and all with a unit."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    seconds = rng.integers(0, 10 * 365 * 86_400, N_ROWS)
    events = pl.DataFrame(
        {
            "subject_id": rng.integers(0, N_SUBJECTS, N_ROWS) + 10_000_000,
            "timestamp": (pl.Series(seconds) + FIRST_SECOND) * 1_000_000,
            "code": rng.zipf(1.3, N_ROWS) % N_CODES,
            "value": np.round(rng.normal(50, 20, N_ROWS), 2),
            "unit": np.array(["mmol/L", "mg/dL", "g/L", "/min"])[rng.integers(0, 4, N_ROWS)],
        }
    )
    has_value = pl.Series(rng.random(N_ROWS) < 0.7)
    events.select(
        "subject_id",
        pl.col("timestamp").cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S"),
        pl.format("LAB//{}", "code").alias("code"),
        pl.when(has_value).then("value").alias("value"),
        "unit",
    ).write_csv(folder / "events.csv")


def facts(table: pa.Table) -> tuple[object, ...]:
    """Rows, subjects, codes, values, the rounded sum of values, and the first and last time, by pyarrow."""
    times = pc.min_max(table["timestamp"].cast(pa.timestamp("us")))
    return (
        table.num_rows,
        pc.count_distinct(table["subject_id"]).as_py(),
        pc.count_distinct(table["code"]).as_py(),
        pc.count(table["value"]).as_py(),
        round(pc.sum(table["value"].cast(pa.float64())).as_py()),
        times["min"].as_py(),
        times["max"].as_py(),
    )


def main() -> None:
    out = arguments(__doc__ or "").out
    source, dataset, mapping = out / "source", out / "dataset", out / "plain-table.yaml"
    if not (source / "events.csv").exists():
        write_table(source)
    mapping.write_text(MAPPING, encoding="utf-8")
    walls, cpus = [], []
    for _ in range(N_RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(pesta("ingest", mapping, source, "--out", dataset, "--quiet").wall_seconds)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    sent = facts(pyarrow.csv.read_csv(source / "events.csv"))
    events = pq.read_table(dataset / "data").rename_columns({"time": "timestamp", "numeric_value": "value"})
    written = facts(events)
    n_lineage = pl.scan_parquet(dataset / "lineage.parquet").select(pl.len()).collect().item()
    account = json.loads((dataset / "ingest.json").read_text("utf-8"))["files"][0]
    is_right = sent == written and n_lineage == account["rows_read"] == account["rows_used"] == N_ROWS
    speed = N_ROWS / statistics.median(walls)
    word = "right" if is_right else "WRONG"
    figures = (
        f"{speed:,.0f} rows/s by the wall clock (median of {N_RUNS}; best {N_ROWS / min(walls):,.0f}; "
        f"at least {BAR_ROWS_A_SECOND:,}), {N_ROWS / statistics.median(cpus):,.0f} rows a processor second; "
        f"what was written is {word}"
    )
    finish(is_shown=is_right and speed >= BAR_ROWS_A_SECOND, figures=figures)


if __name__ == "__main__":
    main()
