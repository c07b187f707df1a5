"""Rows whose record ends too early teach hazards and nothing else; nobody is tuned or judged on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments import search as search_module
from experiments.config import RunConfig
from experiments.fitting import fit_model
from experiments.parts import Part, learnt_rows
from experiments.run_folder import HELD_OUT, TRAIN, TUNING, RunFolder
from experiments.search import inner_parts, search_settings
from experiments.search_config import SearchConfig
from experiments.split_config import TimeSplit
from experiments.study import Fold, as_known_then, fit_unit, make_fold
from phenotype.bundle import load_bundle
from phenotype.cases import ROWS, Cases
from phenotype.networks.config import TransformerConfig
from phenotype.outcomes import OUTCOMES
from phenotype.tasks import load_task
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.trees import LightGBMConfig

NOW = datetime(2020, 3, 2)
TASK = load_task("stay_death_30d_24h")
N = 20
SPLIT_OF = {TRAIN: range(3 * N), TUNING: range(3 * N, 5 * N), HELD_OUT: range(5 * N, 7 * N)}
NETWORK: dict[str, Any] = {
    "kind": "transformer", "width": 8, "n_layers": 1, "n_heads": 2, "min_subjects": 5, "max_epochs": 1,
}  # fmt: skip


def is_cut_short(subject: int) -> bool:
    return subject % 4 == 3


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory) -> Fold:
    """Every fourth record ends early, and they alone have LAB//RARE; one of them ends at the prediction."""
    path = tmp_path_factory.mktemp("patients")
    (path / "data").mkdir()
    subjects = range(7 * N)
    events = [(one, NOW - timedelta(hours=2), "LAB//X") for one in subjects]
    events += [(one, NOW - timedelta(hours=2), "LAB//RARE") for one in subjects if is_cut_short(one)]
    frame = pl.DataFrame(sorted(events), schema=["subject_id", "time", "code"], orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    columns = [pl.col(name).cast(dtype) for name, dtype in EVENTS.items()]
    frame.with_columns(absent).select(columns).write_parquet(path / "data" / "0.parquet")
    rows = pl.DataFrame([(one, NOW, None) for one in subjects], schema=ROWS, orient="row")
    told = [outcome(one) for one in subjects]
    named = [(one, NOW, split, 0) for split, some in SPLIT_OF.items() for one in some]
    splits = pl.DataFrame(named, schema=["subject_id", "prediction_time", "split", "fold"], orient="row")
    outcomes = pl.DataFrame(told, schema=OUTCOMES, orient="row")
    return make_fold(Cases(open_dataset(path), rows), outcomes, splits, TASK, 0)


def outcome(subject: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(OUTCOMES.names()) | {"subject_id": subject, "prediction_time": NOW}
    if is_cut_short(subject):
        hours = 0.0 if subject == 3 else 10.0 + subject
        return row | {"event": "censored", "censored_hours": hours, "exclusion_reason": "censored"}
    return row | ({"event": "death", "event_hours": 5.0} if subject % 4 == 0 else {})


def subjects_of(part: Part) -> list[int]:
    return part.cases.rows["subject_id"].to_list()


def test_a_row_that_is_cut_short_is_in_no_split(fold: Fold) -> None:
    for split, subjects in SPLIT_OF.items():
        assert subjects_of(fold.parts[split]) == [one for one in subjects if not is_cut_short(one)]
    assert subjects_of(fold.censored) == [one for one in SPLIT_OF[TRAIN] if is_cut_short(one) and one != 3]


def test_hazards_learn_from_rows_that_are_cut_short(fold: Fold) -> None:
    learnt = learnt_rows(TransformerConfig(head="hazards"), fold.parts[TRAIN], fold.censored)
    assert subjects_of(learnt) == [one for one in SPLIT_OF[TRAIN] if one != 3]
    assert learnt.labels.tolist() == [one % 4 == 0 for one in subjects_of(learnt)]
    hours = learnt.outcomes.select("subject_id", "event", "event_hours", "censored_hours").rows()
    assert hours[:4] == [
        (0, "death", 5.0, None),
        (1, None, None, None),
        (2, None, None, None),
        (4, "death", 5.0, None),
    ]
    assert hours[6] == (7, "censored", None, 17.0)


@pytest.mark.parametrize("settings", [TransformerConfig(), LightGBMConfig()])
def test_all_others_learn_from_the_very_rows_that_they_had(settings: Any, fold: Fold) -> None:
    assert learnt_rows(settings, fold.parts[TRAIN], fold.censored) is fold.parts[TRAIN]


@pytest.mark.parametrize(("head", "reads_rare"), [("hazards", True), ("binary", False)])
def test_a_run_trains_hazards_on_them(
    head: str, reads_rare: bool, fold: Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network reads the codes of its training patients: those with LAB//RARE are all cut short."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    config = RunConfig.model_validate(
        {
            "name": "r",
            "dataset": fold.parts[TRAIN].cases.dataset.path,
            "tasks": [TASK.name],
            "models": {"net": NETWORK | {"head": head}},
            "splits": {"kind": "random"},
        }
    )
    folder = RunFolder(tmp_path)
    fit_unit(fold, "net", config, folder)
    bundle = load_bundle(folder.bundle(TASK.name, "net"))
    assert ("LAB//RARE" in bundle.model.parts().tables["vocabulary"]["token"].to_list()) == reads_rare
    tuned = pl.read_parquet(folder.predictions(TASK.name, "net", TUNING))
    assert tuned["subject_id"].to_list() == subjects_of(fold.parts[TUNING])


def test_inner_folds_judge_nobody_whose_cut_short_row_was_learnt(fold: Fold) -> None:
    train, tuning = fold.parts[TRAIN], fold.parts[TUNING]
    whole, _, censored = inner_parts(train, tuning, 1, 0, fold.censored)[0]
    assert (whole, censored) == (train, fold.censored)
    cut = fold.censored
    also_whole = Part(
        Cases(cut.cases.dataset, pl.concat([cut.cases.rows[:-1], train.cases.rows[:1]])),
        cut.labels,
        cut.outcomes,
    )
    for _, judged, censored in inner_parts(train, tuning, 4, 0, also_whole):
        assert censored is not None
        assert set(subjects_of(censored)).isdisjoint(subjects_of(judged))
        assert set(subjects_of(censored)) >= set(subjects_of(also_whole)) - {subjects_of(train)[0]}


def test_a_search_gives_them_to_the_trials_that_try_hazards(
    fold: Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")
    seen: dict[str, int] = {}

    def watched(config: Any, train: Cases, *arguments: Any, **more: Any) -> Any:
        seen[config.head] = train.rows.height
        return fit_model(config, train, *arguments, **more)

    monkeypatch.setattr(search_module, "fit_model", watched)
    search = SearchConfig.model_validate(
        {
            "model": "net",
            "n_trials": 6,
            "space": {"head": {"type": "choice", "values": ["binary", "hazards"]}},
        }
    )
    settings = TransformerConfig.model_validate(NETWORK)
    parts = fold.parts[TRAIN], fold.parts[TUNING]
    search_settings(
        search, settings, *parts, seed=0, folder=tmp_path, horizon_hours=720, censored=fold.censored
    )
    assert seen == {"binary": 45, "hazards": 59}


@pytest.mark.parametrize(
    ("splits", "is_blind"),
    [({"kind": "time", "train_before": "2020-03-03"}, True), ({"kind": "random"}, False)],
)
def test_what_came_after_a_split_by_time_teaches_nothing(
    splits: dict[str, str], is_blind: bool, fold: Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training patients fall in a hospital's corridor, or do not, the day after: weights are the same."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    network = NETWORK | {"auxiliary": [{"code": "FALL", "within_days": 9}], "max_epochs": 2}
    original = fold.parts[TRAIN].cases.dataset.path
    weights = []
    for name, falling in (("some", range(0, 60, 3)), ("others", range(1, 60, 3))):
        path = tmp_path / name
        (path / "data").mkdir(parents=True)
        events = pl.read_parquet(original / "data" / "0.parquet")
        later = [{"subject_id": one, "time": NOW + timedelta(days=2), "code": "FALL"} for one in falling]
        falls = pl.DataFrame(later, schema_overrides=dict(events.schema))
        together = pl.concat([events, falls], how="diagonal").sort("subject_id", "time")
        together.write_parquet(path / "data" / "0.parquet")
        moved = {
            split: replace(part, cases=replace(part.cases, dataset=open_dataset(path)))
            for split, part in fold.parts.items()
        }
        config = RunConfig.model_validate(
            {"name": "r", "dataset": path, "tasks": [TASK.name], "models": {"net": network}, "splits": splits}
        )
        folder = RunFolder(tmp_path / f"run_{name}")
        fit_unit(replace(fold, parts=moved), "net", config, folder)
        weights.append(load_bundle(folder.bundle(TASK.name, "net")).model.parts().tensors)
    equal = all(np.array_equal(array, weights[1][name]) for name, array in weights[0].items())
    assert equal == is_blind


def test_inner_folds_of_a_split_by_time_know_what_their_tuning_rows_knew(fold: Fold) -> None:
    splits = TimeSplit(train_before=datetime(2020, 3, 3), tune_before=datetime(2020, 4, 4))
    cut = as_known_then(fold, splits)
    train, tuning = cut.parts[TRAIN], cut.parts[TUNING]
    assert cut.censored.cases.dataset.view == train.cases.dataset.view == "2020-03-03T00:00:00"
    assert tuning.cases.dataset.view == "2020-04-04T00:00:00"
    assert cut.parts[HELD_OUT].cases.dataset.view == ""
    for learnt, judged, _ in inner_parts(train, tuning, 3, 0):
        assert learnt.cases.dataset.view == judged.cases.dataset.view == "2020-04-04T00:00:00"


def test_rows_are_joined_in_order(fold: Fold) -> None:
    train = fold.parts[TRAIN]
    is_even = train.cases.rows["subject_id"].to_numpy() % 2 == 0
    joined = train.take(~is_even).joined(train.take(is_even))
    assert joined.cases.rows.equals(train.cases.rows)
    assert joined.outcomes.equals(train.outcomes)
    np.testing.assert_array_equal(joined.labels, train.labels)
