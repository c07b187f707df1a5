"""The loader alone: events a second from a store of tokens to batches of tensors, and memory that stays flat.

2,000 and 20,000 patients of `long_tailed`, tokenised shard by shard to a memory-mapped store; then whole
epochs of length-bucketed batches (8,192 positions, what comes next told too), each measurement in a process
of its own with one thread; events are counted by processor second. Flat: ten times the patients take at most
a tenth more memory, tokenising (largest resident set) and loading (largest memory of the process's own,
beside which stand the pages of the store that are mapped: the system may take them back at any time).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, own_peak_mb, run
from long_tailed import make_dataset

from phenotype.networks.config import TransformerConfig
from phenotype.token_store import TokenStore, tokenise
from phenotype.trajectory import open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

FEW, MANY, N_RUNS = 2_000, 20_000, 3
BAR_EVENTS, BAR_GROWTH = 1.5e6, 1.1
_POSITIONS, _BATCHES_A_LOOK, _SECONDS = 8_192, 16, 1.5


def config(position: str, *, has_summaries: bool = False) -> TransformerConfig:
    """What is read; summaries are for a row's read-out, of which a window has one."""
    return TransformerConfig.model_validate(
        {
            "position": position,
            "max_positions": 256,
            "min_subjects": 1,
            "reading": "alone" if has_summaries else "shared",
            "summaries": has_summaries,
            "next_event_weight": 0.2,
        }
    )


def store_of(out: Path, n_patients: int) -> TokenStore:
    """The store of so many patients."""
    vocabulary = Vocabulary(pl.read_parquet(out / "vocabulary.parquet"))
    dataset = open_dataset(out / str(n_patients))
    return tokenise(dataset, vocabulary, config("time_point"), out / "stores")


def own_mb() -> float:
    """Memory of this process's own, the pages of mapped files left out."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) / 1024


def load(store: TokenStore, settings: TransformerConfig, seconds: float) -> tuple[float, float]:
    """Events a second of processor time, over whole epochs until so many seconds are over; peak own MB."""
    from phenotype.networks.batches import bucketed, lengths, make_batch
    from phenotype.sequences import windows

    n_events, epoch, peak_mb, started = 0, 0, 0.0, time.process_time()
    while time.process_time() - started < seconds:
        sequences = windows(store, settings)
        order = np.random.default_rng(epoch)
        for number, units in enumerate(bucketed(lengths(sequences, settings), _POSITIONS, order)):
            make_batch(sequences, units, settings)
            store.release()
            if number % _BATCHES_A_LOOK == 0:
                peak_mb = max(peak_mb, own_mb())
        n_events, epoch = n_events + int(sequences.n_events().sum()), epoch + 1
    return n_events / (time.process_time() - started), peak_mb


def measure(out: Path, what: str, n_patients: int) -> None:
    """In a process of its own: prints events a second and peak MB."""
    import torch

    torch.set_num_threads(1)
    if what == "tokenise":
        import shutil

        shutil.rmtree(out / "stores", ignore_errors=True)
        started = time.process_time()
        n_events = len(store_of(out, n_patients).token)
        print(n_events / (time.process_time() - started), own_peak_mb())
        return
    store = store_of(out, n_patients)
    read = (config("time_point"), config("event"), config("time_point", has_summaries=True))
    rates, peaks = zip(*(load(store, settings, _SECONDS) for settings in read), strict=True)
    print(*rates, max(peaks), own_peak_mb())


def _numbers(out: Path, what: str, n_patients: int) -> list[float]:
    command = [sys.executable, str(Path(__file__)), "--out", str(out), "--measure", what, str(n_patients)]
    return [float(word) for word in run(command).output.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and stores; kept")
    parser.add_argument("--measure", nargs=2, help="one measurement in this process")
    given = parser.parse_args()
    if given.measure:
        measure(given.out, given.measure[0], int(given.measure[1]))
        return
    few, many = (make_dataset(given.out / str(n), n) for n in (FEW, MANY))
    vocabulary = fit_vocabulary(open_dataset(few).events(), 1, 10)
    vocabulary.tokens.write_parquet(given.out / "vocabulary.parquet")
    made, loaded = {}, {}
    for n_patients, _ in ((FEW, few), (MANY, many)):
        made[n_patients] = _numbers(given.out, "tokenise", n_patients)
        runs = [_numbers(given.out, "load", n_patients) for _ in range(N_RUNS)]
        loaded[n_patients] = [statistics.median(column) for column in zip(*runs, strict=True)]
    points, single, summed, peak, resident = loaded[MANY]
    growth = {"loading": peak / loaded[FEW][3], "tokenising": made[MANY][1] / made[FEW][1]}
    finish(
        is_shown=min(points, single) >= BAR_EVENTS and max(growth.values()) <= BAR_GROWTH,
        figures=(
            f"{points / 1e6:.1f} M events/s (time points), {single / 1e6:.1f} M (single events), "
            f"{summed / 1e6:.2f} M (with summaries of each history); tokenising {made[MANY][0] / 1e6:.2f} M; "
            f"peak MB at {FEW:,} and {MANY:,} patients: loading {loaded[FEW][3]:.0f} and {peak:.0f} "
            f"(with mapped pages {loaded[FEW][4]:.0f} and {resident:.0f}), "
            f"tokenising {made[FEW][1]:.0f} and {made[MANY][1]:.0f}"
        ),
    )


if __name__ == "__main__":
    main()
