"""All shipped quality checks over 5,000,000 events: how long and how much memory, in a fresh process.

The events are those of a simulated hospital, its patients copied under new numbers until there are enough:
every copy has its own subjects, contacts, windows and lineage. The time runs from opening the dataset to the
page on disk. Processor seconds stand beside it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

from pathlib import Path

from harness import finish
from large_dataset import N_EVENTS, measured_apart

from pipelines.quality.checking import check_quality

SECONDS, MEGABYTES = 60, 4096


def judge_all(folder: Path) -> tuple[float, ...]:
    """All shipped checks with their page; how many there are, and how many could be judged."""
    result = check_quality(folder, None, folder / "quality")
    return len(result.checks), sum(result.state(check.id) != "not applicable" for check in result.checks)


def main() -> None:
    done = measured_apart(__doc__, __file__, judge_all)
    n_checks, n_judged = done.told
    is_shown = done.n_events >= N_EVENTS and done.seconds < SECONDS and done.peak_mb < MEGABYTES
    finish(is_shown=is_shown, figures=f"{n_checks:.0f} checks ({n_judged:.0f} judged) {done.words}")


if __name__ == "__main__":
    main()
