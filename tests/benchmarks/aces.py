"""Published ACES tasks, and random ones, give label for label what ACES gives, in a third of time and memory.

The tasks are those of MEDS-DEV's wheel and of es-aces' source archive, as they are published; none is kept
here. MEDS-DEV's are run with its own predicates for MIMIC-IV, and all again with ours, since its laboratory
tasks name a value without a code, which in ACES holds for no event. `--tasks FOLDER` adds further files. The
data are the MIMIC-IV demo as `pesta ingest` makes it, and ten copies of its patients in one shard. Each task
runs in a fresh process of either, in turns; then random tasks on small random datasets are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from aces_random import write_case
from harness import finish, open_data, open_key, pesta, run

from ontology.errors import PestaError
from phenotype.aces.file import read_aces
from phenotype.aces.triggers import aces_labels
from phenotype.trajectory import Dataset

HERE = Path(__file__).resolve().parent
OWN_PREDICATES = HERE / "aces_predicates.yaml"
ES_ACES, MEDS_DEV = "es-aces==0.7.3", "MEDS-DEV==0.0.14"
DEMOGRAPHICS = "patient_demographics:\n  male: {code: GENDER//M}\n"
N_COPIES = 10
SUBJECTS_A_COPY = 1000


@dataclass(frozen=True)
class Job:
    """One task with the predicates that complete it.

    Attributes:
        name: as told.
        task: the published file.
        predicates: the file that completes it.
    """

    name: str
    task: Path
    predicates: Path | None


@dataclass(frozen=True)
class Outcome:
    """One task run by both.

    Attributes:
        job: which.
        n_rows: labels.
        n_positive: of them true.
        is_equal: whether every label is the same.
        seconds: of ACES and of Pesta, whole processes.
        peak_mb: likewise.
    """

    job: Job
    n_rows: int
    n_positive: int
    is_equal: bool
    seconds: tuple[float, float]
    peak_mb: tuple[float, float]


def main() -> None:
    given = _arguments()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    python = _environment(out)
    small, large = _datasets(out)
    jobs = _jobs(out, python, given.tasks)
    print(f"{len({job.task for job in jobs})} published files, {len(jobs)} tasks")
    equal_on_demo = [_compare(job, small, python, out) for job in jobs]
    timed = [_timed(job, large, python, out) for job in jobs]
    random_result = _random(out, python, given.random)
    n_files, n_labels = len({job.task for job in jobs}), sum(outcome.n_rows for outcome in timed)
    seconds = [sum(outcome.seconds[side] for outcome in timed) for side in (0, 1)]
    worst_time = max(outcome.seconds[1] / outcome.seconds[0] for outcome in timed)
    worst_memory = max(outcome.peak_mb[1] / outcome.peak_mb[0] for outcome in timed)
    n_equal = sum(outcome.is_equal for outcome in (*equal_on_demo, *timed))
    is_shown = (
        n_equal == 2 * len(jobs)
        and n_files >= 10
        and worst_time < 1 / 3
        and worst_memory < 1 / 3
        and random_result["different"] == 0
    )
    finish(
        is_shown=is_shown,
        figures=f"{n_files} published files in {len(jobs)} tasks: {n_equal} of {2 * len(jobs)} comparisons "
        f"equal ({n_labels} labels of the ten copies); "
        f"{seconds[0]:.0f} s against {seconds[1]:.0f} s, at worst {worst_time:.2f} of the time and "
        f"{worst_memory:.2f} of the memory; random tasks: {json.dumps(random_result)}",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and results; kept")
    parser.add_argument(
        "--tasks", type=Path, help="a folder of further ACES tasks, whole or completed by ours"
    )
    parser.add_argument("--random", type=int, default=400, help="how many random tasks")
    return parser.parse_args()


def _environment(out: Path) -> Path:
    """The interpreter of an environment with es-aces and MEDS-DEV's files; es-aces pins another polars."""
    python = out / "environment" / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(out / "environment")])
        run([str(python), "-m", "pip", "install", "--quiet", ES_ACES])
        run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", MEDS_DEV])
    if not (out / "sources").exists():
        pip = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", ES_ACES]
        run([*pip, "-d", str(out / "sources")])
    return python


def _datasets(out: Path) -> tuple[Path, Path]:
    """The MIMIC-IV demo, and ten copies of its patients with subject ids of their own in one shard."""
    small, large = out / "mimic-iv-demo", out / "ten-copies"
    if not (small / "ingest.json").exists():
        source = open_data("mimic-iv-demo-meds")
        pesta("ingest", "mimic-iv-demo-meds", source, "--out", small, "--key", open_key(small), "--quiet")
    if not (large / "data" / "0.parquet").exists():
        events = pl.concat(pl.read_parquet(shard) for shard in Dataset(small).shards)
        number = pl.col("subject_id").rank("dense").cast(pl.Int64)
        copies = [events.with_columns(number + SUBJECTS_A_COPY * copy) for copy in range(N_COPIES)]
        (large / "data").mkdir(parents=True, exist_ok=True)
        whole = pl.concat(copies).sort("subject_id", "time", maintain_order=True)
        whole.write_parquet(large / "data" / "0.parquet")
    return small, large


def _jobs(out: Path, python: Path, further: Path | None) -> list[Job]:
    """Every published task with its predicates."""
    find = "import importlib.util as u; print(u.find_spec('MEDS_DEV').submodule_search_locations[0])"
    meds_dev = Path(run([str(python), "-c", find]).output.strip().splitlines()[-1])
    theirs = meds_dev / "datasets" / "MIMIC-IV" / "predicates.yaml"
    jobs = []
    for task in sorted((meds_dev / "tasks").rglob("*.yaml")):
        name = "/".join(task.relative_to(meds_dev / "tasks").with_suffix("").parts)
        jobs += [Job(name, task, theirs), Job(f"{name}, our predicates", task, OWN_PREDICATES)]
    archive = next((out / "sources").glob("*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(out / "sources", filter="data")
    others = sorted((out / "sources").glob("*/sample_configs/*.yaml"))
    others += sorted(further.rglob("*.yaml")) if further else []
    return jobs + [Job(task.stem, task, _predicates_for(task, out)) for task in others]


def _predicates_for(task: Path, out: Path) -> Path:
    """Our predicates, with our static facts only where the task asks for them: they would choose subjects."""
    if "patient_demographics" not in task.read_text("utf-8"):
        return OWN_PREDICATES
    completing = out / "predicates_with_demographics.yaml"
    completing.write_text(OWN_PREDICATES.read_text("utf-8") + DEMOGRAPHICS, "utf-8")
    return completing


def _compare(job: Job, dataset: Path, python: Path, out: Path) -> Outcome:
    """One task in a fresh process of each, the labels of the two side by side."""
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    predicates = str(job.predicates or "-")
    shards = [str(shard) for shard in Dataset(dataset).shards]
    files = [out / "aces.parquet", out / "pesta.parquet"]
    commands = [
        [
            str(python),
            "-P",
            str(HERE / "aces_oracle.py"),
            "one",
            str(files[0]),
            str(job.task),
            predicates,
            *shards,
        ],
        [sys.executable, str(HERE / "aces_ours.py"), str(files[1]), str(job.task), predicates, str(dataset)],
    ]
    finished = [run(command) for command in commands]
    peaks = [float(json.loads(done.output.splitlines()[-1])["peak_mb"]) for done in finished]
    theirs, ours = (pl.read_parquet(file).sort(pl.all()) for file in files)
    outcome = Outcome(
        job,
        ours.height,
        int(ours["boolean_value"].sum()),
        theirs.equals(ours),
        (finished[0].wall_seconds, finished[1].wall_seconds),
        (peaks[0], peaks[1]),
    )
    print(
        f"{dataset.name}: {job.name}: {outcome.n_rows} labels, {outcome.n_positive} true, "
        f"{'equal' if outcome.is_equal else 'DIFFERENT'}, {outcome.seconds[0]:.1f} s {peaks[0]:.0f} MB "
        f"against {outcome.seconds[1]:.1f} s {peaks[1]:.0f} MB",
        flush=True,
    )
    return outcome


def _timed(job: Job, dataset: Path, python: Path, out: Path) -> Outcome:
    """One task timed; what other work on the machine may have slowed is timed again, the quicker counts."""
    first = _compare(job, dataset, python, out)
    if first.seconds[1] < first.seconds[0] / 3:
        return first
    again = _compare(job, dataset, python, out)
    theirs, ours = (min(pair) for pair in zip(first.seconds, again.seconds, strict=True))
    return replace(again, seconds=(theirs, ours), is_equal=first.is_equal and again.is_equal)


def _random(out: Path, python: Path, n_cases: int) -> dict[str, int]:
    """Random tasks: how many are equal, different, or refused by either."""
    folder = out / "random"
    shutil.rmtree(folder, ignore_errors=True)
    for seed in range(n_cases):
        write_case(folder / f"{seed:05d}", seed)
    run([str(python), "-P", str(HERE / "aces_oracle.py"), "many", str(folder)])
    counts = dict.fromkeys(
        ("equal", "different", "refused by both", "without length", "labels", "without time"), 0
    )
    for case in sorted(folder.iterdir()):
        found = _judge(case, counts)
        counts[found] += 1
        if found == "different":
            print(f"{case}: different", flush=True)
    return counts


def _judge(case: Path, counts: dict[str, int]) -> str:
    """One random case.

    A label or time of prediction on a window without length is a fault here; ACES fails with it too, but only
    once a trigger is left. ACES also gives rows without time and answer where one chain of windows ends in an
    event that does not come: those are no labels.
    """
    completing = case / "predicates.yaml"
    try:
        task = read_aces(case / "task.yaml", completing if completing.exists() else None)
        ours = aces_labels(Dataset(case), task)
    except PestaError as error:
        if (case / "aces.txt").exists():
            return "refused by both"
        is_same = "window without length" in str(error)
        theirs = pl.read_parquet(case / "aces.parquet").drop_nulls("boolean_value")
        return "without length" if is_same and theirs.is_empty() else "different"
    if (case / "aces.txt").exists():
        return "different"
    theirs = pl.read_parquet(case / "aces.parquet").sort(pl.all())
    labels = theirs.drop_nulls("boolean_value")
    counts["without time"] += theirs.height - labels.height
    counts["labels"] += labels.height
    return "equal" if labels.equals(ours) else "different"


if __name__ == "__main__":
    main()
