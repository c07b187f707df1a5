"""The labels of one ACES task by this implementation: `aces_ours.py OUT TASK PREDICATES|- DATASET`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from phenotype.aces.file import read_aces
from phenotype.aces.triggers import aces_labels
from phenotype.trajectory import Dataset


def main() -> None:
    out, task, predicates, dataset = sys.argv[1:]
    started = time.perf_counter()
    read = read_aces(Path(task), None if predicates == "-" else Path(predicates))
    aces_labels(Dataset(Path(dataset)), read).write_parquet(out)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
