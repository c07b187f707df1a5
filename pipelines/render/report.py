"""The report of a finished run: index.html and a page a patient, self-contained, readable without script."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from experiments.config import ReasonsConfig
from experiments.reasons import rows_to_explain
from phenotype.report.apart import Seen, Stratum, censored_words, seen_of, strata_of
from phenotype.report.cohort import Cohort, flow_of, groups_of
from phenotype.report.importance import Importance, code_sizes
from phenotype.report.model import Comparison, comparison_of, figure_of, total_words
from phenotype.report.patient import ModelWords, PatientCase, PatientPage, TaskContext, patient_page
from phenotype.report.phenotypes import not_judged_sentences, patient_phenotypes, phenotype_counts
from phenotype.report.suppression import is_small
from phenotype.report.words import TaskWords, model_title
from phenotype.tasks import parse_task
from phenotype.trajectory import Dataset
from pipelines.render.charts import draw_curves, draw_subgroups, model_styles
from pipelines.render.marks import share_bar, size_bar, swatch
from pipelines.render.pages import render_page
from pipelines.render.patient_html import patient_html
from pipelines.render.population import population_importance
from pipelines.render.run_reader import KEYS, RunRecord
from pipelines.render.text import patient_text

WHY = {"highest": "among the highest risks", "lowest": "among the lowest risks", "asked": "asked for"}


@dataclass(frozen=True)
class PatientLink:
    """One patient's line on the index."""

    file: str
    page: PatientPage


@dataclass(frozen=True)
class CardLink:
    """A model's card, or the reporting table, beside the report."""

    title: str
    file: str


@dataclass(frozen=True)
class TaskSection:
    """One task's section of the index."""

    words: TaskWords
    total: str
    lead: str
    lead_auroc: str
    lead_interval: str
    base_rate: float | None
    cohort: Cohort
    comparison: Comparison
    charts: Mapping[str, Any]
    patients: tuple[PatientLink, ...]
    n_not_found: int
    seen: Seen | None
    strata: tuple[Stratum, ...]
    censored: str
    importance: Importance | None
    cards: tuple[CardLink, ...]


def render_report(
    run_folder: Path,
    dataset: Dataset,
    *,
    subjects: Sequence[int] = (),
    n_highest: int = 3,
    n_lowest: int = 3,
) -> Path:
    """Write report/index.html and report/patient-*.html (with .md beside) of a finished run.

    Args:
        run_folder: a folder that `pesta run` has finished; only its files and the dataset are read.
        dataset: the dataset that the run was made from.
        subjects: further patients who get a page, if they are held out.
        n_highest: how many of the patients with the highest risk get a page, for each task.
        n_lowest: how many of those with the lowest.

    Returns:
        The path of index.html. An earlier report there is replaced as a whole.

    Raises:
        InputError: the run is not finished.
    """
    run = RunRecord(Path(run_folder), dataset)
    shown = ReasonsConfig(n_highest=n_highest, n_lowest=n_lowest, subjects=tuple(subjects))
    written = run.folder / f".report.{os.getpid()}"
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir(parents=True)
    sections = [_section(run, task, shown, written) for task in run.metrics["tasks"]]
    counts = phenotype_counts(run.phenotypes, run.phenotype_definitions)
    index = render_page(
        "index.html",
        title=run.config.get("title") or run.config.get("name") or run.folder.name,
        sections=sections,
        phenotypes=[one for one in counts if one.patients],
        not_judged=not_judged_sentences(counts),
        n_phenotypes=len(run.phenotype_definitions),
        provenance=_provenance(run),
        today=_finished(run),
        share_bar=share_bar,
        size_bar=size_bar,
    )
    (written / "index.html").write_text(index, "utf-8")
    place = run.folder / "report"
    shutil.rmtree(place, ignore_errors=True)
    written.replace(place)
    return place / "index.html"


def _section(run: RunRecord, task: str, shown: ReasonsConfig, folder: Path) -> TaskSection:
    record = run.metrics["tasks"][task]
    lead = str(record.get("lead_model") or next(iter(record["models"])))
    context = _context(run, task, lead)
    comparison = comparison_of(record)
    auroc = figure_of(record["models"][lead], "auroc")
    patients, n_not_found = _patients(run, task, lead, context, shown)
    links = tuple(_write_patient(page, folder) for page in patients)
    return TaskSection(
        words=context.task,
        total=total_words(record),
        lead=context.model.title,
        lead_auroc=auroc.words,
        lead_interval=auroc.interval,
        base_rate=context.base_rate,
        cohort=_cohort(run, task, record),
        comparison=comparison,
        charts=_charts(comparison),
        patients=links,
        n_not_found=n_not_found,
        seen=seen_of(record),
        strata=strata_of(record.get("strata", [])),
        censored=censored_words(record.get("n_censored")),
        importance=population_importance(run, task, lead, shown.subjects),
        cards=_cards(run, task),
    )


def _context(run: RunRecord, task: str, model: str) -> TaskContext:
    """What all patients of a task share."""
    record = run.metrics["tasks"][task]
    cohort = run.cohort(task, model)
    saved = run.bundle_file(task, model, "task.json")
    n_positive = int(record["n_positive"])
    return TaskContext(
        task=run.task_words(task),
        event=parse_task(saved, "task.json").event if saved else "",
        model=_model_words(run, task, model),
        metrics=record["models"][model],
        predictions=run.held_out(task, model),
        usual={"": cohort.everybody, **cohort.units} if cohort else {},
        base_rate=None if is_small(n_positive) or not record["n_rows"] else n_positive / record["n_rows"],
        importance=tuple(code_sizes(run.explained(task, model))["node"].to_list()),
        anchor=run.anchor,
    )


def _model_words(run: RunRecord, task: str, model: str) -> ModelWords:
    saved = run.bundle_file(task, model, "model.json")
    digest = str(saved.get("digest") or "")[:12]
    version = saved.get("pesta_version") or run.manifest.get("versions", {}).get("pesta") or "unknown"
    return ModelWords(
        name=model,
        title=model_title(model, str(run.metrics["tasks"][task]["models"][model]["kind"])),
        version=f"pesta {version}" + (f", bundle {digest}" if digest else ""),
        date=_finished(run),
    )


def _finished(run: RunRecord) -> str:
    """The day on which the run's figures were written."""
    written = dt.datetime.fromtimestamp((run.folder / "metrics.json").stat().st_mtime, dt.UTC)
    return f"{written.day} {written:%B %Y}"


def _cards(run: RunRecord, task: str) -> tuple[CardLink, ...]:
    """The cards that lie beside the report: one a model, then the reporting table."""
    models = run.metrics["tasks"][task]["models"]
    named = [(model_title(name, str(model["kind"])), name) for name, model in models.items()]
    return tuple(
        CardLink(title=title, file=f"../cards/{quote(task)}/{quote(name)}.md")
        for title, name in [*named, ("TRIPOD+AI table", "TRIPOD-AI")]
        if (run.folder / "cards" / task / f"{name}.md").is_file()
    )


def _patients(
    run: RunRecord, task: str, model: str, context: TaskContext, shown: ReasonsConfig
) -> tuple[list[PatientPage], int]:
    """The pages of the chosen patients, by falling risk, and how many of those asked for are not held out."""
    chosen = rows_to_explain(run.first_fold(task, model), shown)
    n_not_found = len(set(shown.subjects) - set(chosen["subject_id"].to_list()))
    outcomes = run.outcomes(task).join(run.labels(task), on=KEYS, how="left", maintain_order="left")
    rows = chosen.join(outcomes.select(*KEYS, "contact_id"), on=KEYS, how="left", maintain_order="left")
    facts = {(row["subject_id"], row["prediction_time"]): row for row in run.facts(rows).to_dicts()}
    subjects = sorted(set(chosen["subject_id"].to_list()))
    events = run.events_of(subjects)
    contacts = run.dataset.contacts().filter(pl.col("subject_id").is_in(subjects))
    explained = run.explained(task, model).join(chosen.select(KEYS), on=KEYS, how="semi")
    risks = run.risks.filter((pl.col("task") == task) & pl.col("subject_id").is_in(subjects))
    models = run.metrics["tasks"][task]["models"]
    pages = []
    for row in chosen.to_dicts():
        subject, now = row["subject_id"], row["prediction_time"]
        is_row = (pl.col("subject_id") == subject) & (pl.col("prediction_time") == now)
        here = {found["model"]: found["risk"] for found in risks.filter(is_row).to_dicts()}
        outcome = outcomes.filter(is_row)
        case = PatientCase(
            subject_id=subject,
            prediction_time=now,
            events=events[subject],
            contacts=contacts.filter(pl.col("subject_id") == subject),
            outcome=outcome.row(0, named=True) if outcome.height else {},
            risks=risks.filter((pl.col("subject_id") == subject) & (pl.col("model") == model)).select(
                "prediction_time", "risk"
            ),
            other_models={
                model_title(name, str(models[name]["kind"])): here[name]
                for name in models
                if name != model and name in here
            },
            facts=facts[(subject, now)],
            explanation=explained.filter(is_row),
            phenotypes=patient_phenotypes(
                run.phenotypes.filter(pl.col("subject_id") == subject),
                now,
                run.phenotype_definitions,
            ),
            why_here=WHY[row["group"]],
        )
        pages.append(patient_page(case, context))
    return pages, n_not_found


def _write_patient(page: PatientPage, folder: Path) -> PatientLink:
    name = f"patient-{page.task.name}-{page.subject_id}"
    (folder / f"{name}.html").write_text(patient_html(page, f"{name}.md"), "utf-8")
    (folder / f"{name}.md").write_text(patient_text(page), "utf-8")
    return PatientLink(file=f"{name}.html", page=page)


def _cohort(run: RunRecord, task: str, record: Mapping[str, Any]) -> Cohort:
    labels = run.labels(task)
    rows = labels.join(
        run.outcomes(task).select(*KEYS, "contact_id"), on=KEYS, how="left", maintain_order="left"
    )
    facts = run.facts(rows).join(labels, on=KEYS, how="inner", maintain_order="left")
    return Cohort(flow=flow_of(record.get("attrition", [])), groups=groups_of(facts))


def _charts(comparison: Comparison) -> dict[str, Any]:
    kinds = {row.title: row.kind for row in comparison.rows}
    charts: dict[str, Any] = dict(draw_curves(comparison.curves)) if comparison.curves else {}
    if any(group.figure is not None for group in comparison.subgroups):
        charts["subgroups"] = draw_subgroups(comparison.subgroups, kinds)
    charts["legend"] = [(model, swatch(*style)) for model, style in model_styles(kinds).items()]
    return charts


def _provenance(run: RunRecord) -> list[tuple[str, str]]:
    """The manifest as lines, nested keys joined."""

    def lines(content: Mapping[str, Any], above: str) -> list[tuple[str, str]]:
        """The lines of one level, names joined to those above."""
        found: list[tuple[str, str]] = []
        for key, value in content.items():
            name = f"{above} {key}".strip().replace("_", " ")
            if isinstance(value, Mapping):
                found += lines(value, name)
            elif value is not None:
                found.append((name, str(value)))
        return found

    return lines(run.manifest, "")
