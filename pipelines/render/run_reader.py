"""What a finished run wrote, read back for its report: only files of the run folder and of the dataset."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from experiments.subjects import subject_facts
from ontology.errors import InputError, Problem
from phenotype.cases import ROWS, Cases
from phenotype.cohort import RiskCohort
from phenotype.explain.concepts import EXPLANATIONS, TREE
from phenotype.phenotypes import PHENOTYPES, read_phenotypes_metadata
from phenotype.report.words import TaskWords, task_words, unknown_task_words
from phenotype.tasks import parse_task
from phenotype.trajectory import NOT_PREDICTORS, Dataset

KEYS = ["subject_id", "prediction_time"]


@dataclass(frozen=True)
class RunRecord:
    """One run folder and the dataset that it was made from, opened for reading.

    Attributes:
        folder: the run folder.
        dataset: the dataset.
    """

    folder: Path
    dataset: Dataset

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json.

        Raises:
            InputError: the run has none: it is not finished.
        """
        file = self.folder / "metrics.json"
        if not file.exists():
            raise InputError(
                Problem(
                    "no finished run here",
                    where=str(self.folder),
                    found="no metrics.json",
                    allowed="a folder that `pesta run` has finished",
                    next_step="run `pesta run` with this --out: it goes on where it stood",
                )
            )
        return dict(json.loads(file.read_text("utf-8")))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """manifest.json, empty where there is none."""
        file = self.folder / "manifest.json"
        return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}

    @cached_property
    def config(self) -> dict[str, Any]:
        """run.yaml, empty where there is none."""
        file = self.folder / "run.yaml"
        return dict(yaml.safe_load(file.read_text("utf-8"))) if file.exists() else {}

    @property
    def anchor(self) -> dt.datetime | None:
        """The nominal start of all times, where the source has only relative times."""
        stated = self.dataset.metadata.get("nominal_anchor")
        return dt.datetime.fromisoformat(str(stated)).replace(tzinfo=None) if stated else None

    @cached_property
    def risks(self) -> pl.DataFrame:
        """Held-out risks: subject_id, prediction_time, task, model, horizon_hours, risk."""
        return pl.read_parquet(self.folder / "risks.parquet")

    @cached_property
    def explanations(self) -> pl.DataFrame:
        """All explanations, or no rows."""
        file = self.folder / "explanations.parquet"
        return pl.read_parquet(file) if file.exists() else pl.DataFrame(schema=EXPLANATIONS)

    def explained(self, task: str, model: str) -> pl.DataFrame:
        """The explanations of one model of one task by its concepts, or by the only tree there is."""
        rows = self.explanations.filter(pl.col("model") == f"{task}/{model}")
        trees = sorted(rows["tree"].unique().to_list())
        return rows.filter(pl.col("tree") == (TREE if TREE in trees else (trees or [TREE])[0]))

    def risks_of(self, task: str, model: str) -> pl.DataFrame:
        """subject_id, prediction_time and risk of one model's held-out rows."""
        chosen = self.risks.filter((pl.col("task") == task) & (pl.col("model") == model))
        return chosen.select(*KEYS, "risk").unique(KEYS, keep="first", maintain_order=True)

    def held_out(self, task: str, model: str) -> pl.DataFrame:
        """subject_id, prediction_time, risk and boolean_value of one model's held-out rows of all folds."""
        return self.risks_of(task, model).join(self.labels(task), on=KEYS, how="inner", maintain_order="left")

    def bundle_file(self, task: str, model: str, name: str) -> dict[str, Any]:
        """A JSON file of the first fold's bundle, empty where there is none."""
        for folder in (model, f"{model}_0"):
            file = self.folder / "bundle" / task / folder / name
            if file.exists():
                return dict(json.loads(file.read_text("utf-8")))
        return {}

    def task_words(self, task: str) -> TaskWords:
        """The task in plain words, from a bundle's own copy of it."""
        record = self.metrics["tasks"][task]
        for model in record["models"]:
            content = self.bundle_file(task, model, "task.json")
            if content:
                return task_words(parse_task(content, "task.json"))
        words = unknown_task_words(task, str(record.get("title") or task))
        return words.model_copy(update={"question": record.get("question") or words.question})

    def cohort(self, task: str, model: str) -> RiskCohort | None:
        """The usual range of risks that the bundle keeps, else that of the held-out rows."""
        content = self.bundle_file(task, model, "cohort.json")
        if content:
            return RiskCohort.model_validate(content)
        risks = self.risks_of(task, model)
        return RiskCohort.of_risks(risks) if risks.height else None

    @cached_property
    def phenotypes(self) -> pl.DataFrame:
        """phenotypes.parquet, or no rows where the run asked for none."""
        file = self.folder / "phenotypes.parquet"
        return pl.read_parquet(file) if file.exists() else pl.DataFrame(schema=PHENOTYPES)

    @cached_property
    def phenotype_definitions(self) -> dict[str, dict[str, Any]]:
        """Title, version, is_shown, digest and file of each derived phenotype, by name."""
        file = self.folder / "phenotypes.parquet"
        held = read_phenotypes_metadata(file).get("definitions") if file.exists() else None
        return dict(held) if isinstance(held, dict) else {}

    def outcomes(self, task: str) -> pl.DataFrame:
        """outcomes/TASK.parquet."""
        return pl.read_parquet(self.folder / "outcomes" / f"{task}.parquet")

    def labels(self, task: str) -> pl.DataFrame:
        """subject_id, prediction_time and boolean_value; where folds differ, the first fold's."""
        files = sorted((self.folder / "labels").glob(f"{task}.parquet")) or sorted(
            (self.folder / "labels").glob(f"{task}_[0-9]*.parquet")
        )
        return pl.read_parquet(files[0]).select(*KEYS, "boolean_value")

    def first_fold(self, task: str, model: str) -> pl.DataFrame:
        """The held-out predictions of the first fold, from which patients are chosen."""
        folder = self.folder / "predictions" / task / model
        file = next(
            file for file in (folder / "held_out.parquet", folder / "held_out_0.parquet") if file.exists()
        )
        return pl.read_parquet(file)

    def facts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Sex, age, hospital_id and unit_id of prediction rows (columns of ROWS), in their order."""
        ordered = rows.select(list(ROWS)).sort(KEYS)
        units = (
            self.dataset.contacts().select("contact_id", "unit_id").unique("contact_id", maintain_order=True)
        )
        found = subject_facts(Cases(self.dataset, ordered))
        of_unit = ordered.join(units, on="contact_id", how="left", maintain_order="left")
        return found.with_columns(of_unit["unit_id"])

    def events_of(self, subjects: Sequence[int]) -> Mapping[int, pl.DataFrame]:
        """All events of some subjects, answers left out, in time order."""
        answers = pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in NOT_PREDICTORS])
        events = self.dataset.events().filter(pl.col("subject_id").is_in(list(subjects)) & ~answers).collect()
        ordered = events.sort("subject_id", "time", "code", "known_time", "numeric_value", "text_value")
        parts = ordered.partition_by("subject_id", as_dict=True, maintain_order=True)
        return {subject: parts.get((subject,), events.clear()) for subject in subjects}
