"""What may not matter does not: later facts, the order of rows, the number of shards; known_time does.

For 500 random patients of the simulated hospital, every event known after the prediction time is shifted,
edited or deleted: features and the predictions of a saved forest and a saved network stay equal bit for bit.
Moving known_time alone across the prediction time changes the features of every patient. Shuffled input rows
and 1, 2 or 7 shards give equal digests of events, labels, features and predictions.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from harness import arguments, finish, pesta, simulated_dataset

from phenotype.bundle import load_bundle
from phenotype.cases import ROWS, Cases
from phenotype.feature_spec import FeatureSpec
from phenotype.labels import find_outcomes, fit_threshold, to_labels
from phenotype.predictor import predict_risks
from phenotype.tasks import load_task
from phenotype.trajectory import EVENT_ORDER, Dataset, frame_digest, known_time, open_dataset

TASK = "stay_death_30d_24h"
MODELS = ("lightgbm", "transformer")
N_PATIENTS = 500
SEED = 20261121
SPEC = FeatureSpec(windows=("24h", "full"))
KEYS = ["subject_id", "prediction_time"]


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset = simulated_dataset(out, n_patients=1500, seed=9)
    settings = [f"dataset={dataset}", f"tasks=[{TASK}]", "tracking.enabled=false"]
    pesta(
        "run",
        "demo",
        "--out",
        out / "run",
        "--quiet",
        *[part for each in settings for part in ("--set", each)],
    )
    said = [_later_facts(out, open_dataset(dataset)), *_known_time_alone(out, open_dataset(dataset))]
    said.append(_shards(out, out / "hospital" / "extract", dataset))
    finish(is_shown=all(is_good for is_good, _ in said), figures="; ".join(text for _, text in said))


def _rows(dataset: Dataset) -> pl.DataFrame:
    """One random prediction row of each of N_PATIENTS random patients."""
    outcomes, _ = find_outcomes(dataset, load_task(TASK))
    rows = outcomes.filter(pl.col("exclusion_reason").is_null()).select(list(ROWS)).sort(KEYS)
    one_each = rows.sample(fraction=1, shuffle=True, seed=SEED).unique(
        "subject_id", keep="first", maintain_order=True
    )
    return one_each.sort("subject_id").sample(N_PATIENTS, seed=SEED).sort(KEYS)


def _later_facts(out: Path, dataset: Dataset) -> tuple[bool, str]:
    rows = _rows(dataset)
    chance = np.random.default_rng(SEED)
    events = _with_row(dataset, rows).with_columns(fate=pl.Series(chance.integers(0, 3, _height(dataset))))
    is_later = known_time() > pl.col("prediction_time")
    later = timedelta(days=5)
    changed = events.filter(~(is_later & (pl.col("fate") == 0)).fill_null(value=False)).with_columns(
        pl.when(is_later & (pl.col("fate") == 1))
        .then(pl.col("numeric_value").fill_null(1) * 3 + 1)
        .otherwise("numeric_value")
        .alias("numeric_value"),
        *[
            pl.when(is_later & (pl.col("fate") == 2)).then(pl.col(name) + later).otherwise(name).alias(name)
            for name in ("time", "known_time")
        ],
    )
    n_changed = events.filter(is_later).height
    edited = _write(changed, dataset, out / "later-facts")
    is_equal = _answers(dataset, rows, out) == _answers(edited, rows, out)
    return is_equal, (
        f"{n_changed:,} later events of {rows.height} patients shifted, edited or deleted: features and "
        "predictions " + ("bit-equal" if is_equal else "CHANGED")
    )


def _known_time_alone(out: Path, dataset: Dataset) -> list[tuple[bool, str]]:
    rows = _rows(dataset)
    events = _with_row(dataset, rows)
    said = []
    for name, is_candidate, moved in (
        ("beyond", known_time() <= pl.col("prediction_time"), pl.col("prediction_time") + timedelta(hours=1)),
        ("before", known_time() > pl.col("prediction_time"), pl.col("prediction_time")),
    ):
        may_move = (
            is_candidate & pl.col("time").is_not_null() & ~pl.col("code").is_in(["MEDS_BIRTH", "MEDS_DEATH"])
        )
        numbered = events.with_row_index("_row")
        chosen = numbered.filter(may_move).group_by("subject_id").agg(pl.col("_row").max())["_row"]
        changed = numbered.with_columns(
            known_time=pl.when(pl.col("_row").is_in(chosen.implode())).then(moved).otherwise("known_time")
        )
        edited = _write(changed, dataset, out / f"known-{name}")
        n_changed = _changed_rows(dataset, edited, rows)
        said.append(
            (n_changed == len(chosen), f"known_time moved {name}: {n_changed} of {len(chosen)} rows changed")
        )
    return said


def _shards(out: Path, extract: Path, dataset: Path) -> tuple[bool, str]:
    shuffled = out / "shuffled"
    if not shuffled.exists():
        shutil.copytree(extract, shuffled)
        for file in shuffled.glob("*.csv"):
            header, *lines = file.read_text("utf-8").splitlines()
            random.Random(SEED).shuffle(lines)
            file.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    digests = {_digests(open_dataset(dataset), out)}
    for n_shards in (1, 2, 7):
        target = out / f"shards-{n_shards}"
        key = dataset.with_name(f"{dataset.name}.key")
        pesta(
            "ingest",
            "simulated-hospital",
            shuffled,
            "--out",
            target,
            "--shards",
            str(n_shards),
            "--key",
            key,
            "--quiet",
        )
        digests.add(_digests(open_dataset(target), out))
    text = "shuffled rows and 1, 2, 7 shards: " + ("equal digests" if len(digests) == 1 else "DIGESTS DIFFER")
    return len(digests) == 1, text


def _digests(dataset: Dataset, out: Path) -> tuple[str, ...]:
    task = load_task(TASK)
    outcomes, _ = find_outcomes(dataset, task)
    labels = to_labels(outcomes, task, fit_threshold(outcomes, task))
    return (dataset.digest, frame_digest(labels), *_answers(dataset, _rows(dataset), out))


def _answers(dataset: Dataset, rows: pl.DataFrame, out: Path) -> tuple[str, ...]:
    """Digests of the feature cells and of each model's risks, floats by their bits."""
    matrix = Cases(dataset, rows).features(SPEC)
    order = np.argsort(matrix.columns["name"].to_numpy())
    cells = matrix.dense()[:, order]
    kept = ~np.all(np.isnan(cells) | (cells == 0), axis=0)
    names = matrix.columns["name"].to_numpy()[order][kept]
    parts = [hashlib.sha256(cells[:, kept].tobytes() + "|".join(names).encode()).hexdigest()]
    for model in MODELS:
        risks = predict_risks(load_bundle(out / "run" / "bundle" / TASK / model), Cases(dataset, rows))
        parts.append(hashlib.sha256(risks.sort(KEYS)["risk"].to_numpy().tobytes()).hexdigest())
    return tuple(parts)


def _changed_rows(dataset: Dataset, edited: Dataset, rows: pl.DataFrame) -> int:
    before, after = (Cases(each, rows).features(SPEC) for each in (dataset, edited))
    names = sorted(set(before.columns["name"]) | set(after.columns["name"]))
    return int(np.any(_cells(before, names) != _cells(after, names), axis=1).sum())


def _cells(matrix, names: list[str]) -> np.ndarray:
    """(n, len(names)) cells; absent ones, nought and missing alike, are -1e30."""
    found = {name: number for number, name in enumerate(matrix.columns["name"])}
    dense = np.nan_to_num(matrix.dense(), nan=-1e30)
    cells = np.full((len(dense), len(names)), -1e30, dtype=np.float32)
    for number, name in enumerate(names):
        if name in found:
            cells[:, number] = dense[:, found[name]]
    return np.where(cells == 0, np.float32(-1e30), cells)


def _height(dataset: Dataset) -> int:
    return dataset.events().select(pl.len()).collect().item()


def _with_row(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    events = dataset.events().collect().sort(EVENT_ORDER)
    return events.join(rows.select(KEYS), on="subject_id", how="left", maintain_order="left")


def _write(events: pl.DataFrame, dataset: Dataset, out: Path) -> Dataset:
    """A copy of the dataset with other events."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(dataset.path, out, ignore=shutil.ignore_patterns("data"))
    (out / "data").mkdir()
    events.drop("prediction_time", "fate", "_row", strict=False).sort(EVENT_ORDER).write_parquet(
        out / "data" / "0.parquet"
    )
    return Dataset(out)


if __name__ == "__main__":
    main()
