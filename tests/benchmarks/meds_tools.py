"""A tool of the MEDS ecosystem, in an environment of its own, reads a Pesta dataset unchanged.

ACES (es-aces) extracts a small cohort from the simulated hospital: inpatient admissions, and whether the
patient died within 30 days. Its counts are compared with a plain count of the same rule.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
from harness import arguments, finish, run, simulated_dataset

from phenotype.trajectory import DEATH_CODE, open_dataset

TASK = """
predicates:
  admission: {code: CONTACT//inpatient}
  death: {code: MEDS_DEATH}
trigger: admission
windows:
  target:
    start: trigger
    end: start + 30d
    start_inclusive: False
    end_inclusive: True
    label: death
    index_timestamp: start
"""


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset = simulated_dataset(out, n_patients=500, seed=5)
    python = out / "aces" / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(out / "aces")])
        run([str(python), "-m", "pip", "install", "--quiet", "es-aces"])
    (out / "task.yaml").write_text(TASK)
    found = [_aces(python, out, shard) for shard in open_dataset(dataset).shards]
    counted = pl.concat(found)
    n_rows, n_deaths = counted.height, int(counted["label"].sum())
    expected_rows, expected_deaths = _count(dataset)
    version = run(
        [str(python), "-c", "import importlib.metadata as m; print(m.version('es-aces'))"]
    ).output.strip()
    finish(
        is_shown=(n_rows, n_deaths) == (expected_rows, expected_deaths) and n_deaths > 0,
        figures=f"es-aces {version}: {n_rows} admissions, {n_deaths} deaths within 30 days; counted by hand "
        f"{expected_rows} and {expected_deaths}",
    )


def _aces(python: Path, out: Path, shard: Path) -> pl.DataFrame:
    """One shard through a fresh configuration of ACES: one that is used twice changes its labels."""
    result = out / f"aces-{shard.stem}.parquet"
    script = (
        "from aces import config, predicates, query\n"
        "from omegaconf import DictConfig\n"
        f"task = config.TaskExtractorConfig.load({str(out / 'task.yaml')!r})\n"
        f"data = DictConfig({{'path': {str(shard)!r}, 'standard': 'meds', 'ts_format': None}})\n"
        "frame = predicates.get_predicates_df(task, data)\n"
        f"query.query(task, frame).write_parquet({str(result)!r})\n"
    )
    run([str(python), "-c", script])
    return pl.read_parquet(result, columns=["subject_id", "label"])


def _count(dataset: Path) -> tuple[int, int]:
    """Admissions, and those followed by a death within 30 days."""
    events = open_dataset(dataset).events().collect()
    admissions = events.filter(pl.col("code") == "CONTACT//inpatient").select("subject_id", "time").unique()
    deaths = events.filter(pl.col("code") == DEATH_CODE).select("subject_id", death_time="time")
    within = (pl.col("death_time") > pl.col("time")) & (
        pl.col("death_time") <= pl.col("time") + timedelta(days=30)
    )
    joined = admissions.join(deaths, on="subject_id", how="left")
    return admissions.height, joined.filter(within).height


if __name__ == "__main__":
    main()
