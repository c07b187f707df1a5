"""Deliberate leaks, to show by how much each would flatter a model: never for training what is to be used.

A leak is a copy of a dataset in which some events can be known too early; labels stay as they were, as they
look at `time` and a leak changes `known_time` only. Beside these stand the split `random_rows` and a cohort
selected by what happens later.

**Source:** the contrasts that a reproduction of Bopche et al. (JAMIA Open 2024, doi
10.1093/jamiaopen/ooae074) should report: all patients or a selected cohort, strict index time or not,
patients and time apart or random rows, with or without codes set at discharge.
"""

from __future__ import annotations

import json
import logging
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Literal

import polars as pl

from phenotype.contacts import join_stays, stays
from phenotype.tasks import Task
from phenotype.trajectory import DEATH_CODE, EVENT_ORDER, INSTANT, NOT_PREDICTORS, Dataset, known_time

Leak = Literal["discharge_codes_at_admission", "results_at_sampling", "whole_day"]
LEAKS: dict[Leak, str] = {
    "discharge_codes_at_admission": "codes set when the patient left are known before the stay begins",
    "results_at_sampling": "results are known when the sample is taken, not when the answer comes",
    "whole_day": "everything of a day is known at its beginning, as where records are cut by date",
}
"""Each leak in plain words."""
NEVER_MOVED = (*NOT_PREDICTORS, DEATH_CODE, "CONTACT_END//")
CULTURE_CODES = ("BLOOD_CULTURE//collected",)
logger = logging.getLogger(__name__)


def with_leak(dataset: Dataset, leak: Leak, out: Path) -> Dataset:
    """A copy of a dataset with one leak; its metadata names the leak.

    Args:
        dataset: the honest one.
        leak: a key of LEAKS.
        out: a folder that does not exist yet.

    Raises:
        FileExistsError: out exists.
    """
    logger.warning("writing a dataset that leaks by design: %s", LEAKS[leak])
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(dataset.path, part, ignore=shutil.ignore_patterns("data"))
    stay_times = _stay_times(dataset)
    for shard in dataset.shards:
        target = part / shard.relative_to(dataset.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        leaking = _leaking(dataset.events(shard).collect(), leak, stay_times)
        leaking.sort(EVENT_ORDER, nulls_last=False).write_parquet(target)
    (part / "metadata").mkdir(exist_ok=True)
    metadata = json.dumps({**dataset.metadata, "leak": leak}, indent=1)
    (part / "metadata" / "dataset.json").write_text(metadata, "utf-8")
    if out.exists():
        raise FileExistsError(out)
    part.rename(out)
    return Dataset(out)


def selected_cohort(task: Task, codes: tuple[str, ...] = CULTURE_CODES) -> Task:
    """The task asked only of patients who have one of these codes at any time, also after the prediction.

    Args:
        task: the honest task.
        codes: beginnings of codes; by default a blood culture, i.e. an infection suspected at some time.
    """
    population = task.population.model_copy(update={"ever_codes": codes})
    return task.model_copy(update={"name": f"{task.name}_selected", "population": population})


def _stay_times(dataset: Dataset) -> pl.DataFrame:
    """contact_id with its own end and the start of its stay."""
    contacts = join_stays(dataset.contacts())
    starts = stays(contacts).select("stay_id", _stay_start=pl.col("start_time"))
    return contacts.select("contact_id", "stay_id", _contact_end=pl.col("end_time")).join(
        starts, on="stay_id", how="left"
    )


def _leaking(events: pl.DataFrame, leak: Leak, stay_times: pl.DataFrame) -> pl.DataFrame:
    """The events with known_time changed; static facts, deaths, ends of contacts and answers stay."""
    is_fixed = pl.col("time").is_null() | pl.any_horizontal(
        [pl.col("code").str.starts_with(prefix) for prefix in NEVER_MOVED]
    )
    if leak == "results_at_sampling":
        early = pl.col("time")
    elif leak == "whole_day":
        early = known_time().dt.truncate("1d")
    else:
        events = events.join(stay_times.drop("stay_id"), on="contact_id", how="left", maintain_order="left")
        is_set_at_end = (pl.col("time") >= pl.col("_contact_end")).fill_null(value=False)
        before = pl.col("_stay_start") - timedelta(microseconds=1)
        early = pl.when(is_set_at_end).then(before).otherwise("known_time")
    moved = pl.when(is_fixed).then("known_time").otherwise(early).cast(INSTANT).alias("known_time")
    return events.with_columns(moved).drop("_contact_end", "_stay_start", strict=False)
