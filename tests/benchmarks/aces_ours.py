"""The labels of one ACES task by this implementation: `aces_ours.py OUT TASK PREDICATES|- DATASET`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from harness import own_peak_mb

from phenotype.aces.file import read_aces
from phenotype.aces.triggers import aces_labels
from phenotype.trajectory import Dataset


def main() -> None:
    out, task, predicates, dataset = sys.argv[1:]
    started = time.perf_counter()
    read = read_aces(Path(task), None if predicates == "-" else Path(predicates))
    aces_labels(Dataset(Path(dataset)), read).write_parquet(out)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": own_peak_mb()}))


if __name__ == "__main__":
    main()
