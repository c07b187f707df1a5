"""Run with `python -P` beside es-aces: the labels that ACES itself gives, a fresh configuration each time.

`aces_oracle.py one OUT TASK PREDICATES|- SHARD...` writes the labels of one task, prints seconds and memory;
`aces_oracle.py many FOLDER` writes into each case of FOLDER aces.parquet, or in aces.txt how ACES failed.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import polars as pl
from aces import config, predicates, query
from omegaconf import DictConfig

LABELS = {"subject_id": pl.Int64, "index_timestamp": pl.Datetime("us"), "label": pl.Int64}


def labels(task: Path, dataset_predicates: Path | None, shard: Path) -> pl.DataFrame:
    """One shard's labels; ACES changes a configuration that it has used, so each shard has its own."""
    loaded = config.TaskExtractorConfig.load(task, dataset_predicates)
    data = DictConfig({"path": str(shard), "standard": "meds", "ts_format": None})
    found = query.query(loaded, predicates.get_predicates_df(loaded, data))
    if not found.height:
        found = pl.DataFrame(schema=LABELS)
    columns = [
        (pl.col(name) if name in found.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in LABELS.items()
    ]
    named = found.select(columns).rename({"index_timestamp": "prediction_time"})
    return named.select("subject_id", "prediction_time", boolean_value=pl.col("label").cast(pl.Boolean))


def one(out: Path, task: Path, dataset_predicates: Path | None, shards: list[Path]) -> None:
    started = time.perf_counter()
    pl.concat([labels(task, dataset_predicates, shard) for shard in shards]).write_parquet(out)
    status = Path("/proc/self/status").read_text("ascii").splitlines()  # ru_maxrss is inherited
    peak_mb = int(next(line for line in status if line.startswith("VmHWM:")).split()[1]) / 1024
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak_mb}))


def many(folder: Path) -> None:
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        completing = case / "predicates.yaml"
        try:
            frames = [
                labels(case / "task.yaml", completing if completing.exists() else None, shard)
                for shard in sorted((case / "data").glob("*.parquet"))
            ]
        except Exception as error:  # noqa: BLE001 (any failure of ACES is its answer)
            (case / "aces.txt").write_text(f"{type(error).__name__}: {error}")
        else:
            pl.concat(frames).write_parquet(case / "aces.parquet")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "one":
        out, task, completing, *shards = sys.argv[2:]
        one(Path(out), Path(task), None if completing == "-" else Path(completing), list(map(Path, shards)))
    else:
        many(Path(sys.argv[2]))
