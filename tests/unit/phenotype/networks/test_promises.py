"""What every kind of network promises: time, order, deletion, odd input, batches, saving.

The networks are untrained, with random weights large enough that whatever is read shows in the risk.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import fit_calibrator
from phenotype.cases import ROWS, Cases
from phenotype.cohort import RiskCohort
from phenotype.networks.model import DESIGNS, NetworkModel, config_class, design_of
from phenotype.networks.targets import RowTargets
from phenotype.sequences import Sequences
from phenotype.threads import torch_threads
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

START = datetime(2020, 1, 1)
KINDS = sorted(DESIGNS)
N_SUBJECTS = 24
ASKED = [(subject, hours) for subject in range(N_SUBJECTS) for hours in (3.0, 7.0, 11.0)]
LONG = 500
Event = tuple[int, datetime | None, str, float | None, datetime | None]


def _readings() -> list[tuple[str, str]]:
    """Every kind with each reading that its configuration allows."""
    found = []
    for kind in KINDS:
        for reading in ("alone", "shared"):
            try:
                config_class(kind).model_validate({"kind": kind, "reading": reading})
            except ValidationError:
                continue
            found.append((kind, reading))
    return found


READINGS = _readings()
SHARED = [kind for kind, reading in READINGS if reading == "shared"]
each_reading = pytest.mark.parametrize(("kind", "reading"), READINGS)
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads cost more than they give where arrays are this small."""
    monkeypatch.setenv("PESTA_THREADS", "1")
    with torch_threads(1):
        yield


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def history() -> pl.DataFrame:
    """Whole-hour events with ties, values, births, static facts and late answers; two subjects have none."""
    draw = np.random.default_rng(7)
    events: list[Event] = []
    for subject in range(2, N_SUBJECTS):
        if subject % 3:
            events.append((subject, hour(-24 * 365.25 * draw.integers(20, 90)), "MEDS_BIRTH", None, None))
        events.append((subject, None, ("SEX//male", "SEX//female")[subject % 2], None, None))
        for _ in range(draw.integers(1, 30)):
            time = hour(float(draw.integers(0, 12)))
            late = time + timedelta(hours=2) if draw.random() < 0.2 else None
            events.append((subject, time, f"LAB//{draw.integers(0, 6)}", float(draw.normal()), late))
    return frame_of(events)


def frame_of(events: list[Event]) -> pl.DataFrame:
    names = ["subject_id", "time", "code", "numeric_value", "known_time"]
    frame = pl.DataFrame(events, schema={name: EVENTS[name] for name in names}, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in names]
    return frame.with_columns(absent).select(EVENTS.names()).sort("subject_id", "time", nulls_last=False)


def cases_of(folder: Path, events: pl.DataFrame, asked: list[tuple[int, float]] = ASKED) -> Cases:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    events.write_parquet(folder / "data" / "0.parquet")
    rows = pl.DataFrame([(subject, hour(h), None) for subject, h in asked], schema=ROWS, orient="row")
    return Cases(open_dataset(folder), rows.sort("subject_id", "prediction_time"))


def untrained(kind: str, cases: Cases, **settings: Any) -> NetworkModel:
    """A network in which every weight matters."""
    wanted = {"kind": kind, "min_subjects": 1, "max_positions": 8} | settings
    config = config_class(kind).model_validate(wanted)
    vocabulary = fit_vocabulary(cases.events(), config.min_subjects, config.n_bins)
    torch.manual_seed(0)
    network = design_of(kind).make_network(config, vocabulary)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return NetworkModel(config, vocabulary, (network.eval(),))


def logits(model: NetworkModel, cases: Cases) -> npt.NDArray[np.float64]:
    return model.logits(model.sequences(cases))


def assert_near(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> None:
    """Equal but for float32's own rounding in another order of sums."""
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=2e-4)


def test_every_kind_is_there() -> None:
    assert [kind for kind in KINDS if find_spec(DESIGNS[kind][0]) is None] == []
    assert {kind for kind, _ in READINGS} == set(KINDS)


@each_kind
def test_what_is_recorded_shows_in_the_risk(kind: str, tmp_path: Path) -> None:
    """Else every promise below would hold of a network that reads nothing."""
    found = logits(untrained(kind, cases := cases_of(tmp_path, history())), cases)
    assert np.unique(found[6:].round(4)).size > 0.8 * (len(found) - 6)


@each_reading
def test_what_is_known_later_changes_nothing(kind: str, reading: str, tmp_path: Path) -> None:
    """Rows at hour 7: what came to be known after it is edited, taken away, or put even later."""
    events = history()
    is_later = (pl.coalesce("known_time", "time") > hour(7.0)).fill_null(value=False)
    edited = [
        events.filter(~is_later),
        events.filter(is_later).with_columns(pl.col("numeric_value") * 3, code=pl.lit("LAB//0"))[::2],
        events.filter(is_later).with_columns(pl.col("known_time") + timedelta(hours=50)),
        frame_of([(subject, hour(8), "LAB//5", 9.0, None) for subject in range(N_SUBJECTS)]),
    ]
    cases = cases_of(tmp_path / "a", events)
    model = untrained(kind, cases, reading=reading)
    later = cases_of(tmp_path / "b", pl.concat(edited).sort("subject_id", "time"))
    is_asked_before = (cases.rows["prediction_time"] <= hour(7.0)).to_numpy()
    found, again = logits(model, cases), logits(model, later)
    assert_near(again[is_asked_before], found[is_asked_before])
    assert not np.allclose(again[~is_asked_before], found[~is_asked_before], atol=1e-3)


@each_kind
def test_what_is_known_later_changes_no_bit_where_rows_are_read_alone(kind: str, tmp_path: Path) -> None:
    asked = [(subject, 6.0) for subject in range(N_SUBJECTS)]
    events = history()
    cases = cases_of(tmp_path / "a", events, asked)
    model = untrained(kind, cases, reading="alone")
    is_known = pl.coalesce("known_time", "time") <= hour(6.0)
    fewer = cases_of(tmp_path / "b", events.filter(is_known.fill_null(value=True)), asked)
    np.testing.assert_array_equal(logits(model, fewer), logits(model, cases))


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("max_positions", [4, 8, 64])
def test_one_pass_for_all_rows_answers_as_one_pass_for_each(
    kind: str, max_positions: int, tmp_path: Path
) -> None:
    every_hour = [(subject, float(h)) for subject in range(N_SUBJECTS) for h in range(13)]
    cases = cases_of(tmp_path, history(), every_hour)
    model = untrained(kind, cases, reading="shared", max_positions=max_positions)
    together, apart = model.sequences(cases), model.sequences(cases, alone=True)
    assert together.n_units < apart.n_units == len(every_hour)
    assert_near(model.logits(together), model.logits(apart))


@each_reading
@pytest.mark.parametrize("max_positions", [4, 64])
def test_a_risk_does_not_depend_on_what_else_is_asked(
    kind: str, reading: str, max_positions: int, tmp_path: Path
) -> None:
    cases = cases_of(tmp_path, history())
    model = untrained(kind, cases, reading=reading, max_positions=max_positions)
    found = logits(model, cases)
    few = cases.take(cases.rows[1::5])
    assert_near(logits(model, few), found[1::5])


@each_reading
def test_simultaneous_events_have_no_order(kind: str, reading: str, tmp_path: Path) -> None:
    cases = cases_of(tmp_path, history())
    model = untrained(kind, cases, reading=reading, max_positions=100)
    sequences = model.sequences(cases)
    shuffled = _shuffle_ties(sequences)
    assert (shuffled.token != sequences.token).any()
    assert_near(model.logits(shuffled), model.logits(sequences))


def _shuffle_ties(sequences: Sequences) -> Sequences:
    """Events known at one time by one subject, in another order; static facts stay where they are."""
    draw = np.random.default_rng(1)
    is_static = sequences.known == np.iinfo(np.int64).min
    owner = np.searchsorted(np.unique(sequences.static_start), np.arange(len(sequences.token)), side="right")
    key = np.where(is_static, np.arange(len(owner)), draw.random(len(owner)))
    order = np.lexsort((key, sequences.known, owner))
    names = ("token", "value_bin", "value", "known", "code", "step")
    return Sequences(**(vars(sequences) | {name: getattr(sequences, name)[order] for name in names}))


@each_kind
@pytest.mark.parametrize("gone", ["LAB//2", "SEX//", "MEDS_BIRTH", "LAB//"])
def test_deleted_events_are_as_if_they_had_never_been(kind: str, gone: str, tmp_path: Path) -> None:
    """Leaving events out of a coalition equals a dataset without them."""
    events = history()
    cases = cases_of(tmp_path / "a", events)
    model = untrained(kind, cases, max_positions=100)
    without = cases_of(tmp_path / "b", events.filter(~pl.col("code").str.starts_with(gone)))
    expected = model.logits(model.sequences(without, alone=True))
    sequences = model.sequences(cases, alone=True)
    is_kept = np.array([not code.startswith(gone) for code in sequences.codes])[sequences.code]
    for row in (8, 20, 44, len(ASKED) - 1):
        keep = is_kept[sequences.static_start[row] : sequences.end[row]]
        both = np.stack([keep, np.ones_like(keep)])
        found = model.coalition_logits(sequences, row, both)
        assert_near(found, np.array([expected[row], model.logits(sequences)[row]]))


@each_reading
def test_an_unseen_code_is_read_as_nothing(kind: str, reading: str, tmp_path: Path) -> None:
    events = history()
    cases = cases_of(tmp_path / "a", events)
    model = untrained(kind, cases, reading=reading)
    unseen: list[Event] = [(subject, hour(2.5), "NEW//code", 3.0, None) for subject in range(2, N_SUBJECTS)]
    more = cases_of(tmp_path / "b", pl.concat([events, frame_of(unseen)]).sort("subject_id", "time"))
    np.testing.assert_array_equal(logits(model, more), logits(model, cases))


@each_reading
def test_subjects_without_events_and_with_one_event_have_risks(
    kind: str, reading: str, tmp_path: Path
) -> None:
    """Subjects 0 and 1 have nothing and the same risk at any time; one event makes a difference."""
    events = history().filter(pl.col("subject_id") > 3)
    lonely = frame_of([(2, hour(1), "LAB//1", 0.5, None), (3, None, "SEX//male", None, None)])
    cases = cases_of(tmp_path, pl.concat([events, lonely]).sort("subject_id", "time"))
    found = logits(untrained(kind, cases, reading=reading), cases).reshape(N_SUBJECTS, 3)
    assert np.isfinite(found).all()
    assert_near(found[:2], np.full((2, 3), found[0, 0]))
    assert not np.allclose(found[2], found[0, 0], atol=1e-3)
    assert not np.allclose(found[3], found[0, 0], atol=1e-3)


@each_reading
@pytest.mark.parametrize("odd", [1e30, -1e30, 3.4e38, float("inf"), float("-inf"), float("nan"), 1e-45])
def test_odd_values_leave_every_risk_a_number(kind: str, reading: str, odd: float, tmp_path: Path) -> None:
    """The odd value stands among those that the vocabulary is fitted on as well."""
    odd_events = [(subject, hour(2), "LAB//1", odd, None) for subject in range(2, 7)]
    events = pl.concat([history(), frame_of(odd_events)]).sort("subject_id", "time")
    cases = cases_of(tmp_path, events)
    model = untrained(kind, cases, reading=reading)
    risks = model.predict(cases)
    assert np.isfinite(logits(model, cases)).all()
    assert ((risks >= 0) & (risks <= 1)).all()
    assert np.abs(logits(model, cases)).max() < 1e4


@each_reading
def test_a_history_longer_than_the_context_is_read(kind: str, reading: str, tmp_path: Path) -> None:
    """What is older than the context is counted, not lost; the newest event shows, and one row is as many."""
    draw = np.random.default_rng(3)
    long = [
        (2, hour(number / 60), f"LAB//{draw.integers(0, 6)}", float(draw.normal()), None)
        for number in range(LONG)
    ]
    events = frame_of(long)
    asked = [(2, minute / 60) for minute in range(1, LONG, 7)]
    cases = cases_of(tmp_path / "a", events, asked)
    model = untrained(kind, cases, reading=reading, max_positions=16)
    found = logits(model, cases)
    assert np.isfinite(found).all()
    assert_near(logits(model, cases.take(cases.rows[-1:])), found[-1:])
    without_first = cases_of(tmp_path / "b", events[LONG // 4 :], asked[-1:])
    assert abs(logits(model, without_first)[0] - found[-1]) > 1e-5


@each_reading
def test_no_rows_and_no_units_are_answered_with_nothing(kind: str, reading: str, tmp_path: Path) -> None:
    cases = cases_of(tmp_path, history())
    model = untrained(kind, cases, reading=reading)
    assert model.predict(cases.take(cases.rows[:0])).shape == (0,)
    batch = model.design.make_batch(model.sequences(cases), np.zeros(0, dtype=np.int64), model.config, None)
    network = model.networks[0]
    outputs = network(batch)
    assert outputs.shape[0] == network.risk(outputs).shape[0] == 0
    nothing = RowTargets.of_labels(np.zeros(0, dtype=bool)).tensors(np.zeros(0, dtype=np.int64))
    loss = network.loss(batch, nothing)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0


@each_reading
def test_a_dataset_of_nobody_is_answered(kind: str, reading: str, tmp_path: Path) -> None:
    model = untrained(kind, cases_of(tmp_path / "a", history()), reading=reading)
    nobody = cases_of(tmp_path / "b", history()[:0])
    found = logits(model, nobody)
    assert_near(found, np.full(len(ASKED), found[0]))


@each_reading
def test_a_loss_of_parts_adds_up_by_their_weights(kind: str, reading: str, tmp_path: Path) -> None:
    """Whatever rows share a batch: an epoch cut otherwise is the same epoch."""
    cases = cases_of(tmp_path, history())
    model = untrained(kind, cases, reading=reading)
    sequences, network = model.sequences(cases), model.networks[0]
    draw = np.random.default_rng(0)
    targets = RowTargets.of_labels(draw.random(len(ASKED)) < 0.3)
    targets.weight[:] = draw.random(len(ASKED))

    def loss_of(units: npt.NDArray[np.int64]) -> tuple[float, float]:
        """The loss of some units, and their rows' weight."""
        batch = model.design.make_batch(sequences, units, model.config, None)
        of_rows = targets.tensors(batch.row.numpy())
        return network.loss(batch, of_rows).item(), of_rows.weight.sum().item()

    whole, weight = loss_of(np.arange(sequences.n_units))
    order = draw.permutation(sequences.n_units)
    parts = [loss_of(part) for part in np.array_split(order, 4)]
    assert sum(loss * share for loss, share in parts) / weight == pytest.approx(whole, rel=1e-4)


@each_reading
def test_an_untrained_network_answers_with_the_prevalence(kind: str, reading: str, tmp_path: Path) -> None:
    cases = cases_of(tmp_path, history())
    config = config_class(kind).model_validate({"kind": kind, "min_subjects": 1, "reading": reading})
    vocabulary = fit_vocabulary(cases.events(), 1, config.n_bins)
    network = design_of(kind).make_network(config, vocabulary)
    network.start_from(0.07)
    risks = NetworkModel(config, vocabulary, (network.eval(),)).predict(cases)
    np.testing.assert_allclose(risks, 0.07, atol=1e-3)


@each_reading
def test_a_bundle_answers_with_the_same_bits(kind: str, reading: str, tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "data", history())
    one, other = (untrained(kind, cases, reading=reading) for _ in range(2))
    with torch.no_grad():
        for weight in other.networks[0].parameters():
            weight.mul_(1.1)
    model = NetworkModel(one.config, one.vocabulary, one.networks + other.networks)
    risks = model.predict(cases)
    labels = np.arange(len(risks)) % 3 == 0
    place = save_bundle(
        tmp_path / "bundle",
        model,
        task={"name": "promise"},
        calibrator=fit_calibrator(risks, labels, cases.rows["subject_id"].to_numpy()),
        thresholds={},
        card={},
        cohort=RiskCohort.of_risks(cases.rows.select("subject_id").with_columns(risk=risks)),
    )
    loaded = load_bundle(place).model
    assert loaded.kind == kind
    np.testing.assert_array_equal(loaded.predict(cases), risks)
    assert not np.array_equal(one.predict(cases), risks)
