"""All shipped quality checks over 5,000,000 events: how long and how much memory, in a fresh process.

The events are those of a simulated hospital, its patients copied under new numbers until there are enough:
every copy has its own subjects, contacts, windows and lineage. The time runs from opening the dataset to the
page on disk. Processor seconds stand beside it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from harness import finish, own_peak_mb, run
from large_dataset import N_EVENTS, large_dataset, n_events_of

from pipelines.quality.checking import check_quality

SECONDS, MEGABYTES = 60, 4096


def measure(folder: Path) -> None:
    """In a process of its own: prints seconds, processor seconds, peak MB, checks and those judged."""
    started, started_processor = time.perf_counter(), time.process_time()
    result = check_quality(folder, None, folder / "quality")
    seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
    n_judged = sum(result.state(check.id) != "not applicable" for check in result.checks)
    print(f"{seconds} {processor} {own_peak_mb()} {len(result.checks)} {n_judged}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the datasets; kept")
    parser.add_argument("--measure", action="store_true", help="one measurement in this process")
    given = parser.parse_args()
    large = large_dataset(given.out)
    if given.measure:
        measure(large)
        return
    n_events = n_events_of(large)
    done = run([sys.executable, str(Path(__file__)), "--out", str(given.out), "--measure"])
    seconds, processor, peak_mb, n_checks, n_judged = map(float, done.output.split())
    figures = (
        f"{n_checks:.0f} checks ({n_judged:.0f} judged) over {n_events:,} events: {seconds:.1f} s "
        f"({processor:.1f} processor seconds), {peak_mb:.0f} MB"
    )
    is_shown = n_events >= N_EVENTS and seconds < SECONDS and peak_mb < MEGABYTES
    finish(is_shown=is_shown, figures=figures)


if __name__ == "__main__":
    main()
