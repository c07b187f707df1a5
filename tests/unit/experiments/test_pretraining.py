"""Pretraining: hazards as planted, risks by query, the same bits again, nothing of held-out patients."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from experiments.fitting import fit_model
from experiments.pretraining import pretrain
from experiments.pretraining_config import PretrainingConfig, ReadOutsConfig, load_pretraining_config
from experiments.pretraining_data import draw_read_outs, seen_subjects
from ontology.errors import BundleError, ConfigurationError, TaskError
from phenotype.cases import ROWS, Cases
from phenotype.futures import sample_futures, waiting_hours
from phenotype.networks.config import TransformerConfig
from phenotype.networks.model import design_of
from phenotype.networks.population import PopulationModel, begin_from, load_population
from phenotype.networks.population_config import HazardsConfig
from phenotype.tokens import tokens_of
from phenotype.trajectory import EVENTS, Dataset, open_dataset

START, END = datetime(2020, 1, 1), datetime(2020, 12, 31)
N = 300
SLOW, FAST = 1 / 200, 1 / 40
"""Visits an hour of patients with SEX//male and SEX//female."""
HIGH_SHARE = 0.8
"""Share of LAB//X above 0 in women; 0.2 in men."""
BODY = TransformerConfig(
    reading="shared",
    summaries=False,
    width=16,
    n_layers=1,
    n_heads=2,
    min_subjects=5,
    n_bins=2,
    max_positions=32,
    dropout=0.0,
    event_dropout=0.0,
    weight_decay=0.01,
    learning_rate=0.01,
    ema_decay=0.9,
    batch_positions=2048,
    max_epochs=5,
)


def write_dataset(path: Path) -> None:
    """Poisson visits with a value whose sign depends on the sex; some die at a constant rate."""
    draw = np.random.default_rng(2)
    events: list[tuple[int, datetime | None, str, float | None]] = []
    windows = []
    for subject in range(N):
        is_female = subject % 2 == 1
        events.append((subject, None, "SEX//female" if is_female else "SEX//male", None))
        death = START + timedelta(hours=float(draw.exponential(20_000)))
        end = min(END, death)
        time = START
        while True:
            time += timedelta(hours=float(draw.exponential(1 / (FAST if is_female else SLOW))))
            if time >= end:
                break
            is_high = draw.random() < (HIGH_SHARE if is_female else 1 - HIGH_SHARE)
            events.append((subject, time, "LAB//X", 1.0 if is_high else -1.0))
        if death < END:
            events.append((subject, death, "MEDS_DEATH", None))
        windows.append((subject, "test", START, end, "death" if death < END else "extract end"))
    names = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    frame = pl.DataFrame(events, schema=names, orient="row")
    absent = [pl.lit(None, kind).alias(name) for name, kind in EVENTS.items() if name not in frame.columns]
    (path / "data").mkdir(parents=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    columns = ["subject_id", "source", "start_time", "end_time", "end_reason"]
    pl.DataFrame(windows, schema=columns, orient="row").write_parquet(path / "observation.parquet")
    splits = pl.DataFrame(
        {"subject_id": range(N), "split": ["held_out" if s >= 250 else "train" for s in range(N)]}
    )
    splits.write_parquet(path / "splits.parquet")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("visits")
    write_dataset(path)
    return open_dataset(path)


def configured(dataset: Dataset, **changes: object) -> PretrainingConfig:
    return PretrainingConfig(
        name="visits",
        dataset=dataset.path,
        leave_out=dataset.path / "splits.parquet",
        tuning_fraction=0.2,
        hazards=HazardsConfig(n_intervals=4, shortest_hours=24, longest_hours=2000, rank=4),
        read_outs=ReadOutsConfig(share=0.3, longest_lag_hours=500),
        network=BODY,
        seed=1,
    ).model_copy(update=changes)


@pytest.fixture(scope="module")
def folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PESTA_THREADS", "1")
        return pretrain(configured(dataset), dataset, tmp_path_factory.mktemp("pretrained") / "model")


@pytest.fixture
def model(folder: Path) -> PopulationModel:
    return load_population(folder)


def held_out(dataset: Dataset, time: datetime = datetime(2020, 2, 1)) -> Cases:
    """Held-out patients who are alive and under observation then."""
    alive = dataset.observation().filter(pl.col("end_time") > time, pl.col("subject_id") >= 250)
    rows = alive.select(
        "subject_id", pl.lit(time).alias("prediction_time"), contact_id=pl.lit(None, pl.Int64)
    )
    return Cases(dataset, rows.cast(dict(ROWS)).sort("subject_id"))


def test_risks_read_in_one_pass_are_those_of_the_process_that_made_the_data(
    dataset: Dataset, model: PopulationModel
) -> None:
    cases = held_out(dataset)
    risks = model.risks(cases, [("LAB//X", 24.0), ("LAB//X", 72.0), ("MEDS_DEATH", 1000.0)])
    is_female = cases.rows["subject_id"].to_numpy() % 2 == 1
    for column, hours in enumerate((24.0, 72.0)):
        assert risks[is_female, column].mean() == pytest.approx(1 - math.exp(-hours * FAST), abs=0.06)
        assert risks[~is_female, column].mean() == pytest.approx(1 - math.exp(-hours * SLOW), abs=0.06)
    assert risks[:, 2].mean() == pytest.approx(1 - math.exp(-1000 / 20_000), abs=0.025)
    assert (np.diff(risks[:, :2], axis=1) > 0).all()


def test_values_are_foretold_as_marks(dataset: Dataset, model: PopulationModel) -> None:
    cases = held_out(dataset)
    states = torch.from_numpy(model.states(cases))
    with torch.inference_mode():
        first = torch.zeros((len(states), 1), dtype=torch.int64)
        high = model.network.hazards.mark_logits(states, first).softmax(-1)[:, 0, -1].numpy()
    is_female = cases.rows["subject_id"].to_numpy() % 2 == 1
    assert high[is_female].mean() == pytest.approx(HIGH_SHARE, abs=0.1)
    assert high[~is_female].mean() == pytest.approx(1 - HIGH_SHARE, abs=0.1)


class CrashError(RuntimeError):
    """Stands for the power going."""


def crash_after_two_epochs(line: str) -> None:
    if "epoch 2" in line:
        raise CrashError


def test_a_pretraining_that_ends_at_a_date_reads_nothing_later(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights are those of the same pretraining on files from which all that came later was removed."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    date = datetime(2020, 2, 1)
    path = tmp_path / "past"
    (path / "data").mkdir(parents=True)
    events = pl.read_parquet(dataset.path / "data" / "0.parquet")
    events.filter(pl.col("time").is_null() | (pl.col("time") < date)).write_parquet(
        path / "data" / "0.parquet"
    )
    clipped = dataset.observation().with_columns(pl.min_horizontal("end_time", pl.lit(date)))
    clipped.write_parquet(path / "observation.parquet")
    short = configured(dataset, network=BODY.model_copy(update={"max_epochs": 1}))
    past = open_dataset(path)
    removed = load_population(pretrain(short, past, tmp_path / "removed"))
    ended = load_population(
        pretrain(short.model_copy(update={"known_before": date}), dataset, tmp_path / "ended")
    )
    for name, weight in removed.network.state_dict().items():
        assert torch.equal(weight, ended.network.state_dict()[name]), name
    assert (removed.known_before, ended.known_before) == (None, date)
    ended.check_known_before(date)
    for model, instant in ((ended, date - timedelta(days=1)), (removed, date)):
        with pytest.raises(TaskError, match="has read past the date that parts training from testing"):
            model.check_known_before(instant)


def test_dates_that_are_none_of_the_calendar_end_no_pretraining(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "dataset.json").write_text('{"dates": "shifted"}')
    settings = configured(dataset, known_before=datetime(2020, 2, 1))
    with pytest.raises(ConfigurationError, match="needs true dates"):
        pretrain(settings, Dataset(tmp_path), tmp_path / "model")


def test_equal_seeds_give_equal_bits_also_after_a_crash_and_others_do_not(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")
    short = configured(dataset, network=BODY.model_copy(update={"max_epochs": 2}))
    one = load_population(pretrain(short, dataset, tmp_path / "one"))
    with pytest.raises(CrashError):
        pretrain(short, dataset, tmp_path / "two", crash_after_two_epochs)
    assert list((tmp_path / ".two.work").rglob("last.ckpt"))
    told: list[str] = []
    two = load_population(pretrain(short, dataset, tmp_path / "two", told.append))
    assert not any("epoch 1" in line for line in told)
    assert not (tmp_path / ".two.work").exists()
    other = load_population(pretrain(short.model_copy(update={"seed": 2}), dataset, tmp_path / "three"))
    weights = [{k: v.tobytes() for k, v in m.parts().tensors.items()} for m in (one, two, other)]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
    assert one.digest == two.digest


def test_held_out_patients_are_never_seen_and_a_fit_that_breaks_this_is_refused(
    dataset: Dataset, model: PopulationModel
) -> None:
    assert model.subjects.max() == 249
    assert len(model.subjects) == 250
    model.check_unseen(pl.Series([250, 299]))
    with pytest.raises(TaskError, match="has seen the records of held-out patients") as caught:
        model.check_unseen(pl.Series([249, 250, 251, 251]))
    assert "1 of 3 held-out patients among 250 seen" in str(caught.value)
    assert "249" not in str(caught.value).replace("250", "")


def test_a_task_starts_from_the_pretrained_body_and_leaves_it_alone_if_frozen(
    dataset: Dataset, folder: Path, model: PopulationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")
    rows = Cases(dataset, held_out(dataset).rows.with_columns(pl.col("subject_id") - 250))
    labels = rows.rows["subject_id"].to_numpy() % 2 == 1
    config = BODY.model_copy(update={"pretrained": folder, "max_epochs": 2, "patience": 2})
    for frozen in (True, False):
        fitted = fit_model(
            config.model_copy(update={"frozen": frozen}),
            rows, labels, rows, labels, seed=1, folder=tmp_path / str(frozen),
        )  # fmt: skip
        body = model.network.body.state_dict()
        own = fitted.networks[0].state_dict()
        moved = [
            name for name in own if not name.startswith("head") and not torch.equal(own[name], body[name])
        ]
        assert bool(moved) != frozen
        assert fitted.vocabulary.tokens.equals(model.vocabulary.tokens)
        assert fitted.parts().config["pretrained"] == folder.name


def test_a_body_begins_where_pretraining_ended(model: PopulationModel, dataset: Dataset) -> None:
    network = design_of("transformer").make_network(BODY, model.vocabulary)
    begin_from(network, model, frozen=False)
    sequences = model.sequences(held_out(dataset))
    batch = design_of("transformer").make_batch(sequences, np.arange(sequences.n_units), BODY, None)
    with torch.inference_mode():
        assert torch.equal(network.eval().states(batch), model.network.states(batch))


def test_a_configuration_that_does_not_fit_is_told_key_by_key(model: PopulationModel) -> None:
    model.check_fits(BODY.model_copy(update={"max_epochs": 3, "learning_rate": 0.1, "dropout": 0.2}))
    with pytest.raises(ConfigurationError) as caught:
        model.check_fits(BODY.model_copy(update={"width": 32, "n_layers": 2}))
    assert [problem.where for problem in caught.value.problems] == ["width", "n_layers"]


def test_unknown_concepts_are_all_told(model: PopulationModel, dataset: Dataset) -> None:
    with pytest.raises(ConfigurationError) as caught:
        model.risks(held_out(dataset), [("LAB//Y", 1.0), ("ICD10//Z", 1.0), ("LAB//X", 1.0)])
    assert [problem.found for problem in caught.value.problems] == ["ICD10//Z", "LAB//Y"]


def test_a_damaged_or_foreign_folder_is_refused(dataset: Dataset, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "concepts.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(BundleError, match="damaged file"):
        load_population(copy)
    (copy / "weights.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match="pickle"):
        load_population(copy)
    with pytest.raises(BundleError, match="no pretrained model here"):
        load_population(tmp_path)
    manifest = json.loads((folder / "model.json").read_text())
    assert set(manifest["files"]) == {
        "card.json", "concepts.parquet", "subjects.parquet", "tensors.safetensors", "vocabulary.parquet",
    }  # fmt: skip
    assert str(dataset.path) not in (folder / "card.json").read_text()


def test_times_are_drawn_whatever_comes_after_them(dataset: Dataset, model: PopulationModel) -> None:
    """Cutting a record's future off changes nothing of what is drawn before."""
    events = dataset.events().filter(pl.col("subject_id") == 1).collect()
    cut = datetime(2020, 6, 1)
    drawn = []
    for part in (events, events.filter(pl.col("time").is_null() | (pl.col("time") < cut))):
        tokens = tokens_of(part, model.vocabulary, BODY)
        spans = tuple(np.array([int(pl.Series([t]).dt.epoch("us")[0])]) for t in (START, END))
        config = ReadOutsConfig(share=1.0, lagged=0.0)
        _, times = draw_read_outs(tokens, spans, config, np.random.default_rng(0))
        limit = int(pl.Series([cut]).dt.epoch("us")[0])
        drawn.append(times[times < limit].tolist())
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == events.filter(pl.col("time") < cut).height


def test_too_few_subjects_and_faults_of_the_file_are_told(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="too few subjects"):
        seen_subjects(dataset, configured(dataset, tuning_fraction=0.001))
    file = tmp_path / "faulty.yaml"
    file.write_text("name: x\ndataset: d\nhazards: {n_concepts: 0}\nread_outs: {shares: 1}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_pretraining_config(file)
    assert len(caught.value.problems) == 2
    assert replace(caught.value.problems[0]).where.endswith("hazards.n_concepts")


def test_sampled_futures_come_at_the_planted_rates_and_end_where_they_should(
    dataset: Dataset, model: PopulationModel
) -> None:
    cases = held_out(dataset)
    few = Cases(dataset, cases.rows.head(6))
    futures = sample_futures(model, few, 40, 100.0, seed=3)
    assert set(futures["code"]) <= {"LAB//X", "MEDS_DEATH"}
    for parity, rate in ((0, SLOW), (1, FAST)):
        visits = futures.filter(pl.col("code") == "LAB//X", pl.col("subject_id") % 2 == parity)
        n_subjects = few.rows.filter(pl.col("subject_id") % 2 == parity).height
        assert visits.height / (40 * n_subjects) == pytest.approx(100 * rate, rel=0.25)
    values = futures.filter(pl.col("code") == "LAB//X", pl.col("subject_id") % 2 == 1)["numeric_value"]
    edge = model.vocabulary.tokens.filter(pl.col("token") == "LAB//X")["edges"][0][0]
    assert (values > edge).mean() == pytest.approx(HIGH_SHARE, abs=0.12)
    spans = futures["time"] - futures["prediction_time"]
    assert spans.min() > timedelta(0)
    assert spans.max() <= timedelta(hours=100)
    last = futures.group_by("subject_id", "future", maintain_order=True).agg(pl.col("code"))
    assert all("MEDS_DEATH" not in codes[:-1] for codes in last["code"])
    one = Cases(dataset, few.rows[2:3])
    again = sample_futures(model, one, 40, 100.0, seed=3)
    assert again.equals(futures.filter(pl.col("subject_id") == one.rows["subject_id"][0]))
    assert not sample_futures(model, one, 40, 100.0, seed=4).equals(again)


def test_waits_invert_the_cumulative_hazard() -> None:
    """Hazards 0.1 up to 10 hours, then 0.5: a unit exponential of 0.6 is reached at 6 hours, 2.0 at 12."""
    waits = waiting_hours(
        np.array([[0.1, 0.5], [0.1, 0.5], [0.0, 0.0]]), np.array([0.0, 10.0]), np.array([0.6, 2.0, 1.0])
    )
    assert waits.tolist() == [pytest.approx(6.0), pytest.approx(12.0), math.inf]
