"""Shuffled answers teach nothing: networks trained on 20 permutations of them rank fresh patients by chance.

Run: python tests/benchmarks/shuffled_labels.py --out FOLDER

The simulated hospital's scenario known-risk, 6,000 patients. The events that answer planted_decline are dealt
out anew among all its questions, 20 times over, each time under a code of its own, in the record itself:
whoever saw the answer in what is read, in training or afterwards, would find it there. A small network is
trained for each and judged on held-out patients; one more is trained on the true answers, to show that it can
learn.

Bar: the mean AUROC of the 20 is 0.50 ± 0.01 (its standard error is told, about 0.003), that of the true
answers above 0.60.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
from harness import arguments, finish, pesta

TRUE = "planted_decline"
N_SHUFFLINGS, N_PATIENTS, SEED = 20, 6_000, 303
BAR, TRUE_BAR = 0.01, 0.60


def main() -> None:
    out: Path = arguments(__doc__ or "").out
    tasks = [TRUE, *(str(_write_task(out / "tasks", name)) for name in _names())]
    dataset = _dataset(out)
    settings = (f"dataset={dataset}", f"tasks={json.dumps(tasks)}")
    overrides = [part for setting in settings for part in ("--set", setting)]
    done = pesta("run", "benchmark_simulated_shuffled", "--out", out / "run", "--quiet", *overrides)
    found = json.loads((out / "run" / "metrics.json").read_text())["tasks"]
    aurocs = {task: told["models"]["transformer"]["mean"]["auroc"] for task, told in found.items()}
    shuffled = np.array([aurocs[name] for name in _names()])
    mean, error = float(shuffled.mean()), float(shuffled.std(ddof=1) / np.sqrt(N_SHUFFLINGS))
    finish(
        is_shown=abs(mean - 0.5) <= BAR and aurocs[TRUE] > TRUE_BAR,
        figures=f"{N_SHUFFLINGS} shufflings: mean AUROC {mean:.4f} (standard error {error:.4f}, "
        f"{shuffled.min():.3f} to {shuffled.max():.3f}); true answers {aurocs[TRUE]:.3f}; "
        f"{done.wall_seconds:.0f} s",
    )


def _names() -> list[str]:
    return [f"shuffled_{number:02d}" for number in range(1, N_SHUFFLINGS + 1)]


def _write_task(folder: Path, name: str) -> Path:
    """The task of the true answers, asking for the shuffled ones."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    text = (files("configs") / "tasks" / f"{TRUE}.yaml").read_text("utf-8")
    file.write_text(text.replace("decline", name), "utf-8")
    return file.resolve()


def _dataset(out: Path) -> Path:
    """The hospital's dataset with the shuffled answers in it."""
    hospital, dataset = out / "hospital", out / "dataset"
    if not (dataset / "ingest.json").exists():
        pesta(
            "simulate", "--patients", str(N_PATIENTS), "--seed", str(SEED), "--scenario", "known-risk",
            "--out", hospital, "--quiet",
        )  # fmt: skip
        _deal_out(hospital)
        pesta("ingest", "simulated-hospital", hospital, "--out", dataset, "--keep-ids", "--quiet")
    return dataset


def _deal_out(hospital: Path) -> None:
    """Adds the answers under each shuffling's code, as long after their new question as after the old one."""
    file = hospital / "extract" / "planted.csv"
    planted = pl.read_csv(file, schema_overrides={"time": pl.Datetime("us")})
    risks = pl.read_parquet(hospital / "truth" / "risks.parquet").filter(task=TRUE)
    asked = risks.sort("patient_id", "prediction_time").select(
        "patient_id", pl.col("prediction_time").cast(pl.Datetime("us")).alias("asked_time")
    )
    answers = planted.filter(code="decline").sort("patient_id", "time")
    waits = answers.sort("time").join_asof(
        asked.sort("asked_time"),
        left_on="time",
        right_on="asked_time",
        by="patient_id",
        check_sortedness=False,
    )
    wait = (waits["time"] - waits["asked_time"]).sort()
    chance = np.random.default_rng(SEED)
    dealt = [planted]
    for name in _names():
        chosen = asked[chance.permutation(asked.height)[: len(wait)]]
        dealt.append(chosen.select("patient_id", code=pl.lit(name), time=pl.col("asked_time") + wait))
    pl.concat(dealt).write_csv(file, datetime_format="%Y-%m-%dT%H:%M")


if __name__ == "__main__":
    main()
