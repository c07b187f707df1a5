"""What a fit cost: seconds by the clock and seconds of processor cores, kept beside the predictions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.run_folder import read_json, write_json

FIT_SECONDS, FIT_CORE_SECONDS = "fit_seconds", "fit_core_seconds"


@contextmanager
def cost_kept(file: Path) -> Iterator[None]:
    """Times what is done inside, and counts the attempts of a fit that was killed and taken up again.

    Core seconds are those of this process and its threads, whatever other work is on the machine. They say
    nothing of electricity.

    Args:
        file: JSON with fit_seconds, fit_core_seconds and n_attempts.
    """
    n_attempts = read_json(file)["n_attempts"] + 1 if file.exists() else 1
    write_json({FIT_SECONDS: None, FIT_CORE_SECONDS: None, "n_attempts": n_attempts}, file)
    started, spent = time.perf_counter(), time.process_time()
    yield
    write_json(
        {
            FIT_SECONDS: round(time.perf_counter() - started, 2),
            FIT_CORE_SECONDS: round(time.process_time() - spent, 2),
            "n_attempts": n_attempts,
        },
        file,
    )


def costs_of(files: Sequence[Path]) -> dict[str, float | None]:
    """Mean fit_seconds and fit_core_seconds over folds; null where a fold was cut off or never timed.

    Args:
        files: one a fold, as `cost_kept` writes them.
    """
    kept = [read_json(file) for file in files if file.exists()]
    names = (FIT_SECONDS, FIT_CORE_SECONDS)
    is_whole = all(one["n_attempts"] == 1 and one[FIT_SECONDS] is not None for one in kept)
    if not is_whole or not kept or len(kept) < len(files):
        return dict.fromkeys(names)
    return {name: sum(one[name] for one in kept) / len(kept) for name in names}
