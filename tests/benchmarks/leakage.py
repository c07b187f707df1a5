"""Four leaks on the simulated hospital: what each would add to the AUROC of an honest evaluation.

The contrasts are those that a reproduction of Bopche et al. 2024 should report (JAMIA Open, doi
10.1093/jamiaopen/ooae074): all patients or the cohort with a blood culture ever taken; strict index time or
the whole day known at its beginning; later years and other patients, or random rows; codes when they were
set, or from admission on. It is shown when every contrast has figures for every task, whatever their size.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from harness import arguments, finish, pesta, simulated_dataset

from experiments.leakage import selected_cohort, with_leak
from phenotype.tasks import load_task
from phenotype.trajectory import open_dataset

TASKS = ("stay_death_30d_24h", "stay_sepsis_24h", "stay_prolonged_24h")
RANDOM_ROWS = "splits={kind: random_rows, seed: 1}"


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset = simulated_dataset(out, n_patients=6000, seed=11)
    for leak in ("whole_day", "discharge_codes_at_admission"):
        if not (out / leak).exists():
            with_leak(open_dataset(dataset), leak, out / leak)
    chosen = [_write_task(selected_cohort(load_task(name)), out) for name in TASKS]
    honest = _aurocs(out, "honest", dataset)
    contrasts = {
        "selected cohort": _aurocs(
            out, "selected-cohort", dataset, f"tasks={json.dumps([str(f) for f in chosen])}"
        ),
        "whole day known": _aurocs(out, "whole-day", out / "whole_day"),
        "random rows": _aurocs(out, "random-rows", dataset, RANDOM_ROWS),
        "discharge codes": _aurocs(out, "discharge-codes", out / "discharge_codes_at_admission"),
    }
    rows = [f"honest: {_row(honest)}"]
    rows += [f"{name}: {_row(found, honest)}" for name, found in contrasts.items()]
    finish(is_shown=all(len(found) == len(TASKS) for found in contrasts.values()), figures="; ".join(rows))


def _write_task(task, out: Path) -> Path:
    file = out / "tasks" / f"{task.name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(task.model_dump(mode="json"), allow_unicode=True))
    return file.resolve()


def _aurocs(out: Path, name: str, dataset: Path, *overrides: str) -> dict[str, float]:
    run = out / "runs" / name
    settings = [part for override in (f"dataset={dataset}", *overrides) for part in ("--set", override)]
    pesta("run", "leakage", "--out", run, "--quiet", *settings)
    tasks = json.loads((run / "metrics.json").read_text())["tasks"]
    return {
        task.removesuffix("_selected"): found["models"]["lightgbm"]["mean"]["auroc"]
        for task, found in tasks.items()
    }


def _row(found: dict[str, float], honest: dict[str, float] | None = None) -> str:
    return ", ".join(
        f"{task} {auroc:.3f}" + (f" ({auroc - honest[task]:+.3f})" if honest else "")
        for task, auroc in found.items()
    )


if __name__ == "__main__":
    main()
