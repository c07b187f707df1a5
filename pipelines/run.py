"""The main job, step by step: labels, splits, phenotypes, models, figures, reasons, tracking, report.

A step writes its files beside their place and moves them in whole; a file that stands is a step that is
done. So a run that was killed goes on where it stood, and gives what it would have given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from experiments.cards import write_cards
from experiments.config import RunConfig, TaskChoice, load_run_config, read_task, resolved_yaml
from experiments.manifest import exchanged_bodies, make_manifest, run_digests
from experiments.parts import KEYS
from experiments.reasons import explain_fold, rows_to_explain
from experiments.results import risks_by_horizon, task_metrics
from experiments.run_folder import HELD_OUT, RunFolder, read_json, write_frame, write_json, write_text
from experiments.splits import make_splits
from experiments.study import Fold, fit_unit, make_fold, write_labels
from experiments.tracking import track_run
from ontology.errors import ConfigurationError, InputError, Problem, TaskError, gathered_problems
from ontology.in_use import ontology_in_use
from ontology.release import active_ontology
from phenotype.cases import ROWS, Cases
from phenotype.definitions.text import Definition, load_definitions
from phenotype.eligibility import REASONS
from phenotype.labels import find_outcomes
from phenotype.outcomes import CENSORED, OUTCOME_REASONS
from phenotype.phenotypes import write_phenotypes
from phenotype.tasks import Task
from phenotype.trajectory import Dataset, open_dataset
from pipelines.engine import make_executor
from pipelines.progress import Progress

REASONS_IN_WORDS = REASONS | OUTCOME_REASONS


def run_experiment(config: RunConfig, out: Path, progress: Progress) -> Path:
    """From a dataset to a report.

    Args:
        config: what to run.
        out: the run folder; one that a killed run left is gone on with.
        progress: where steps are told.

    Returns:
        The report's index.html.

    Raises:
        ConfigurationError: the folder holds another run.
        InputError: the dataset lacks the quality that the run demands.
        TaskError: a task cannot be learnt or judged with these data.
    """
    config = config.with_whole_paths()
    folder = RunFolder(out, config.n_folds)
    dataset = open_dataset(config.dataset)
    with ontology_in_use(config.ontology):
        tasks, definitions = _load_questions(config)
        _check_place(folder)
        if not folder.manifest.exists():
            _check_quality(config, progress)
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.held():
            folder.sweep()
            with progress.step("opening the dataset"):
                _open_folder(dataset, tasks, definitions, config, folder)
            _ask(tasks, dataset, config, folder, progress)
            if definitions and not folder.phenotypes.exists():
                with progress.step(f"{len(definitions)} phenotypes"):
                    write_phenotypes(folder.phenotypes, dataset, definitions, active_ontology())
            return _answer(tasks, dataset, config, folder, progress)


def _check_quality(config: RunConfig, progress: Progress) -> None:
    """Raise where a quality check does not hold that the run demands."""
    if config.quality.is_empty:
        return
    from pipelines.quality.demands import demanded_problems

    with progress.step("quality checks"):
        problems = demanded_problems(config.dataset, config.quality.demand, config.quality.allow)
    if problems:
        raise InputError(problems)


def _ask(
    tasks: Sequence[Task], dataset: Dataset, config: RunConfig, folder: RunFolder, progress: Progress
) -> None:
    """Outcomes, attrition and splits; whatever no model could be fitted or judged on is told before any fit.

    Raises:
        TaskError: every task without rows, or with rows of one kind only.
    """
    with gathered_problems() as attempt:
        for task in tasks:
            if not folder.outcomes(task.name).exists():
                with progress.step(f"labels of {task.name}"), attempt():
                    _find_labels(dataset, task, folder)
            with attempt():
                _check_rows(task, folder)
    if not folder.splits.exists():
        with progress.step("splits"):
            write_frame(make_splits(_all_rows(tasks, folder), dataset, config.splits), folder.splits)
    with gathered_problems() as attempt:
        for task in tasks:
            for number in range(config.n_folds):
                with attempt():
                    _fold(task, dataset, folder, number)


def _answer(
    tasks: Sequence[Task], dataset: Dataset, config: RunConfig, folder: RunFolder, progress: Progress
) -> Path:
    """Models, figures, reasons, report and tracking."""
    with make_executor(config.engine, folder.work("engine")) as executor:
        jobs = [
            executor.submit(fit_fold, config, folder.path, choice, number, progress)
            for choice in config.tasks
            for number in range(config.n_folds)
        ]
        for job in jobs:
            job.result()
    for task in tasks:
        _judge(task, dataset, config, folder, progress)
    _gather(tasks, config, folder)
    write_cards(folder.path)
    report = _write_report(config, folder, progress, config.reasons.subjects)
    # Last, since a tracking server may be away: all else is there then.
    if config.tracking.enabled:
        with progress.step("MLflow"):
            track_run(folder.path, study=config.tracking.study or config.name, uri=config.tracking.uri)
    return report


def report_again(run_folder: Path, subjects: Sequence[int]) -> Path:
    """The report of a finished run, written again with pages for further subjects.

    Raises:
        ConfigurationError: no finished run there.
    """
    if not (run_folder / "metrics.json").exists():
        raise ConfigurationError(
            Problem(
                "no finished run here",
                where=str(run_folder),
                allowed="a folder that `pesta run` has finished",
                next_step="run it again into this folder: `pesta run` goes on where it stood",
            )
        )
    config = load_run_config(run_folder / "run.yaml")
    reasons = config.reasons.model_copy(update={"subjects": tuple(subjects)})
    config = config.model_copy(update={"reasons": reasons})
    folder = RunFolder(run_folder, config.n_folds)
    dataset = open_dataset(config.dataset)
    with folder.held(), ontology_in_use(config.ontology):
        _check_same_data(dataset, folder)
        records = read_json(folder.metrics)["tasks"]
        explained = [
            _explain(_fold(task, dataset, folder, 0), records[task.name]["lead_model"], config, folder)
            for task in map(read_task, config.tasks)
        ]
        write_frame(pl.concat(explained), folder.explanations)
        return _write_report(config, folder, Progress(is_quiet=True), subjects)


def _check_same_data(dataset: Dataset, folder: RunFolder) -> None:
    """Refuse a dataset or ontology that is no longer the run's: a page would show what no model saw."""
    manifest = read_json(folder.manifest)
    changed = {
        "dataset": manifest["dataset"]["digest"] != dataset.digest,
        "ontology": manifest.get("ontology_digest") != active_ontology().digest,
    }
    problems = [
        Problem(
            f"the {what} has changed since this run",
            where=str(dataset.path if what == "dataset" else folder.path),
            found="another digest than manifest.json names",
            allowed=f"the {what} that the run was made with",
            next_step=f"put that {what} back, or run again into a new folder",
        )
        for what, has_changed in changed.items()
        if has_changed
    ]
    if problems:
        raise ConfigurationError(problems)


def _load_questions(config: RunConfig) -> tuple[list[Task], list[Definition]]:
    """Tasks and phenotype definitions, the faults of both told together."""
    tasks: list[Task] = []
    definitions: list[Definition] = []
    with gathered_problems() as attempt:
        for choice in config.tasks:
            with attempt():
                tasks.append(read_task(choice))
        with attempt():
            definitions = load_definitions(None if config.phenotypes == "all" else config.phenotypes)
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ConfigurationError(
            Problem(
                "two tasks of this run have the same name",
                where="tasks",
                found=", ".join(sorted({name for name in names if names.count(name) > 1})),
                allowed="each name once, also inside task files",
                next_step="rename one of them in its own file",
            )
        )
    return tasks, definitions


def _check_place(folder: RunFolder) -> None:
    """Refuse a folder that holds something else than a run: its files would be mixed with the run's."""
    if folder.config.exists() or not folder.path.is_dir():
        return
    if any(not entry.name.startswith(".") for entry in folder.path.iterdir()):
        raise ConfigurationError(
            Problem(
                "something else than a run is in this folder",
                where=str(folder.path),
                found="files, and no run.yaml among them",
                allowed="a new or empty folder, or one that `pesta run` began",
                next_step="give another --out",
            )
        )


def _open_folder(
    dataset: Dataset,
    tasks: Sequence[Task],
    definitions: Sequence[Definition],
    config: RunConfig,
    folder: RunFolder,
) -> None:
    """Write run.yaml and the manifest, or see that those that stand are of this very run."""
    resolved = resolved_yaml(config)
    if folder.config.exists() and folder.config.read_text("utf-8") != resolved:
        raise _another_run(folder, "its run.yaml differs from the configuration given")
    if not folder.manifest.exists():
        manifest = make_manifest(config, dataset, tasks, definitions)
        write_text(resolved, folder.config)
        write_json(manifest, folder.manifest)
        return
    standing = read_json(folder.manifest)
    exchanged = exchanged_bodies(config, standing)
    if exchanged:
        raise ConfigurationError(exchanged)
    today = run_digests(dataset, tasks, definitions)
    for what in today:
        if standing.get(what) != today[what]:
            raise _another_run(folder, f"its {what.replace('_', ' ')} differs from today's")


def _another_run(folder: RunFolder, found: str) -> ConfigurationError:
    return ConfigurationError(
        Problem(
            "this folder holds another run",
            where=str(folder.path),
            found=found,
            allowed="a new folder, or one that this very configuration, dataset and code began",
            next_step="give another --out, or remove the folder",
        )
    )


def _find_labels(dataset: Dataset, task: Task, folder: RunFolder) -> None:
    outcomes, attrition = find_outcomes(dataset, task)
    write_frame(attrition, folder.attrition(task.name))
    write_frame(outcomes, folder.outcomes(task.name))


def _check_rows(task: Task, folder: RunFolder) -> None:
    """See that somebody is left to ask about.

    Raises:
        TaskError: every row is left out; the reasons are named by how many each cost.
    """
    if not folder.outcomes(task.name).exists():
        return
    outcomes = pl.read_parquet(folder.outcomes(task.name))
    if candidate_rows(outcomes).height:
        return
    costs = outcomes["exclusion_reason"].value_counts(sort=True).iter_rows()
    raise TaskError(
        Problem(
            f"task {task.name} leaves out every row of this dataset",
            where=f"attrition/{task.name}.parquet",
            found=", ".join(f"{n} rows {REASONS_IN_WORDS.get(reason, reason)!r}" for reason, n in costs),
            allowed="rows whose outcome the record determines",
            next_step="map what is missing (births or ages, observation windows, ends of contacts), "
            "or leave the task out of the run",
        )
    )


def _all_rows(tasks: Sequence[Task], folder: RunFolder) -> pl.DataFrame:
    """Every prediction row of every task that may get a label, once; folds stratify by boolean_value."""
    frames = []
    for task in tasks:
        outcomes = pl.read_parquet(folder.outcomes(task.name))
        happened = outcomes.group_by(KEYS).agg((pl.col("event") == task.event).any().alias("boolean_value"))
        frames.append(candidate_rows(outcomes).join(happened, on=KEYS, how="left", maintain_order="left"))
    return pl.concat(frames).unique(KEYS, keep="first", maintain_order=True).sort(KEYS)


def candidate_rows(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The prediction rows (ROWS) that may get a label.

    Censored ones are among them: a stay that had outlasted the threshold when its record ended is prolonged.
    """
    reason = pl.col("exclusion_reason")
    candidates = outcomes.filter(reason.is_null() | (reason == CENSORED))
    return candidates.select(list(ROWS)).unique(KEYS, keep="first", maintain_order=True).sort(KEYS)


def _fold(task: Task, dataset: Dataset, folder: RunFolder, number: int) -> Fold:
    outcomes = pl.read_parquet(folder.outcomes(task.name))
    cases = Cases(dataset, candidate_rows(outcomes))
    return make_fold(cases, outcomes, pl.read_parquet(folder.splits), task, number)


def fit_fold(config: RunConfig, out: Path, choice: TaskChoice, number: int, progress: Progress) -> None:
    """Fit every model of one task on one fold: a job that any executor can run, and run again.

    Args:
        config: the run.
        out: the run folder, with outcomes and splits in place.
        choice: the task, as in the configuration.
        number: the fold.
        progress: where steps are told.
    """
    folder = RunFolder(out, config.n_folds)
    task = read_task(choice)
    with ontology_in_use(config.ontology):
        fold = _fold(task, open_dataset(config.dataset), folder, number)
        write_labels(fold, folder)
        for name in config.models:
            with progress.step(f"{task.name}: {name}" + (f", fold {number}" if config.n_folds > 1 else "")):
                fit_unit(fold, name, config, folder)


def _judge(task: Task, dataset: Dataset, config: RunConfig, folder: RunFolder, progress: Progress) -> None:
    """The figures and reasons of a task whose models are fitted."""
    figures, reasons = (
        folder.work("figures", f"{task.name}.json"),
        folder.work("reasons", f"{task.name}.parquet"),
    )
    if not figures.exists():
        with progress.step(f"{task.name}: figures"):
            outcomes, attrition = (
                pl.read_parquet(file) for file in (folder.outcomes(task.name), folder.attrition(task.name))
            )
            cases = Cases(dataset, candidate_rows(outcomes))
            write_json(
                task_metrics(
                    task, cases, outcomes=outcomes, attrition=attrition, config=config, folder=folder
                ),
                figures,
            )
    if not reasons.exists():
        with progress.step(f"{task.name}: reasons"):
            lead = read_json(figures)["lead_model"]
            write_frame(_explain(_fold(task, dataset, folder, 0), lead, config, folder), reasons)


def _explain(fold: Fold, lead: str, config: RunConfig, folder: RunFolder) -> pl.DataFrame:
    predictions = pl.read_parquet(folder.predictions(fold.task.name, lead, HELD_OUT, fold.number))
    shown = rows_to_explain(predictions, config.reasons)
    names = config.reasons.models or tuple(config.models)
    return pl.concat([explain_fold(fold, name, config.reasons, folder, shown) for name in names])


def _gather(tasks: Sequence[Task], config: RunConfig, folder: RunFolder) -> None:
    """metrics.json, risks.parquet and explanations.parquet from the tasks' own files."""
    if folder.metrics.exists():
        return
    explained = [pl.read_parquet(folder.work("reasons", f"{task.name}.parquet")) for task in tasks]
    write_frame(pl.concat(explained), folder.explanations)
    write_frame(risks_by_horizon(tasks, config, folder), folder.risks)
    manifest = read_json(folder.manifest)
    write_json(manifest | {"outer_folds_scored": 1}, folder.manifest)
    records = {task.name: read_json(folder.work("figures", f"{task.name}.json")) for task in tasks}
    write_json({"format": 1, "tasks": records}, folder.metrics)


def _write_report(config: RunConfig, folder: RunFolder, progress: Progress, subjects: Sequence[int]) -> Path:
    from pipelines.render.report import render_report

    with progress.step("report"):
        return render_report(
            folder.path,
            open_dataset(config.dataset),
            subjects=subjects,
            n_highest=config.reasons.n_highest,
            n_lowest=config.reasons.n_lowest,
        )
