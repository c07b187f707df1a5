"""A store of tokens says what the events say, whatever the shards, and is made once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError
from phenotype.array_files import ArrayWriter, MappedArray
from phenotype.cases import ROWS, Cases
from phenotype.networks.batches import make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.sequences import Sequences, make_sequences, readable_events, windows
from phenotype.token_store import TokenStore, open_store, tokenise
from phenotype.tokens import tokens_of
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

START = datetime(2020, 1, 1)
N_SUBJECTS = 25
CONFIG = TransformerConfig(min_subjects=1, max_positions=6)


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def events(n_subjects: int = N_SUBJECTS, longest: int = 50) -> pl.DataFrame:
    """Subjects with none to many events, static facts, late results, ties, scores and answers."""
    draw = np.random.default_rng(2)
    rows: list[tuple[Any, ...]] = []
    for subject in range(n_subjects):
        if subject % 2:
            rows.append((subject, hour(-24 * 365.25 * draw.integers(20, 90)), "MEDS_BIRTH", None, None))
        rows.append((subject, None, "SEX//male", None, None))
        for _ in range(subject if subject < 3 else draw.integers(0, longest)):
            at, code = hour(float(draw.integers(0, 30))), f"LAB//{draw.integers(0, 6)}"
            late = at + timedelta(hours=2) if draw.random() < 0.2 else None
            rows.append((subject, at, code, float(draw.normal()), late))
        rows += [(subject, hour(1), "SCORE//x", 1.0, None), (subject, hour(1), "LABEL//x", 1.0, None)]
    names = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String}
    schema = names | {"numeric_value": pl.Float32, "known_time": pl.Datetime("us")}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    return frame.with_columns(absent).select(EVENTS.names())


def cases_of(folder: Path, frame: pl.DataFrame, shards: int) -> Cases:
    (folder / "data").mkdir(parents=True)
    for shard in range(shards):
        part = frame.filter(pl.col("subject_id") % shards == shard)
        part.write_parquet(folder / "data" / f"{shard}.parquet")
    asked = [(s, hour(h), None) for s in range(N_SUBJECTS + 1) for h in (-1.0, 8.0, 31.0)]
    return Cases(open_dataset(folder), pl.DataFrame(asked, schema=ROWS, orient="row"))


def vocabulary_of(cases: Cases) -> Vocabulary:
    return fit_vocabulary(readable_events(cases, CONFIG), 1, CONFIG.n_bins)


def assert_same_batches(one: Sequences, other: Sequences) -> None:
    """The same tensors of all units, and the same codes behind them."""
    assert one.n_units == other.n_units
    batches = (make_batch(each, np.arange(each.n_units), CONFIG) for each in (one, other))
    for first, second in zip(*batches, strict=True):
        np.testing.assert_array_equal(first, second)
    for unit in range(one.n_units):
        names = []
        for each in (one, other):
            codes = each.code[each.static_start[unit] : each.end[unit]]
            names.append([each.codes[code] for code in codes])
        assert names[0] == names[1]


@pytest.mark.parametrize(("shards", "at_once"), [(1, 10**6), (1, 40), (4, 30), (7, 1)])
def test_a_store_gives_the_sequences_of_the_events(tmp_path: Path, shards: int, at_once: int) -> None:
    cases = cases_of(tmp_path / "data", events(), shards)
    vocabulary = vocabulary_of(cases)
    store = tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores", events_at_once=at_once)
    read = make_sequences(cases, vocabulary, CONFIG, store=store)
    assert_same_batches(read, make_sequences(cases, vocabulary, CONFIG))
    assert all("SCORE" not in code and "LABEL" not in code for code in store.codes)


def test_a_store_of_some_subjects_holds_no_others(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "data", events(), 3)
    store = tokenise(cases.dataset, vocabulary_of(cases), CONFIG, tmp_path, subjects=np.array([7, 3, 99, 3]))
    assert store.subject.tolist() == [3, 7]


def test_a_store_is_made_once_and_opened_again(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "data", events(), 2)
    vocabulary = vocabulary_of(cases)
    store = tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores")
    written = (store.folder / "token.npy").stat().st_mtime_ns
    again = tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores")
    assert (again.folder, again.digest) == (store.folder, store.digest)
    assert (again.folder / "token.npy").stat().st_mtime_ns == written
    opened = open_store(store.folder)
    assert_same_batches(*(make_sequences(cases, vocabulary, CONFIG, store=one) for one in (store, opened)))
    assert np.load(store.folder / "known.npy").tolist() == store.known.tolist(), "numpy reads it too"


def test_other_data_or_other_settings_are_another_store(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "a", events(), 1)
    vocabulary = vocabulary_of(cases)
    changed = cases_of(tmp_path / "b", events().with_columns(pl.col("numeric_value") + 1), 1)
    fewer = CONFIG.model_copy(update={"exclude": ("SCORE//", "LAB//1")})
    made = [
        tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores"),
        tokenise(changed.dataset, vocabulary, CONFIG, tmp_path / "stores"),
        tokenise(cases.dataset, vocabulary, fewer, tmp_path / "stores"),
        tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores", subjects=np.array([1])),
    ]
    assert len({store.digest for store in made}) == 4
    assert not list((tmp_path / "stores").glob(".*")), "nothing half written is left"


def test_a_store_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "a", events(), 1)
    store = tokenise(cases.dataset, vocabulary_of(cases), CONFIG, tmp_path / "stores")
    other = fit_vocabulary(readable_events(cases, CONFIG), 20, CONFIG.n_bins)
    with pytest.raises(ConfigurationError, match="another vocabulary"):
        make_sequences(cases, other, CONFIG, store=store)


def test_a_subject_in_two_shards_is_refused(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "a", events(), 1)
    frame = events()
    frame[:100].write_parquet(tmp_path / "a" / "data" / "0.parquet")
    frame[100:].write_parquet(tmp_path / "a" / "data" / "1.parquet")
    with pytest.raises(InputError, match="several shards"):
        tokenise(open_dataset(tmp_path / "a"), vocabulary_of(cases), CONFIG, tmp_path / "stores")
    assert not list((tmp_path / "stores").iterdir())


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store of tokens here"):
        open_store(tmp_path)


@pytest.mark.parametrize("position", ["time_point", "event"])
def test_windows_hold_every_dated_event_once(tmp_path: Path, position: str) -> None:
    cases = cases_of(tmp_path / "a", events(), 2)
    config = CONFIG.model_copy(update={"position": position, "reading": "shared", "summaries": False})
    vocabulary = vocabulary_of(cases)
    store = tokenise(cases.dataset, vocabulary, config, tmp_path / "stores")
    sequences = windows(store, config)
    parts = [np.arange(a, b) for a, b in zip(sequences.recent_start, sequences.end, strict=True)]
    dated = [np.arange(a, b) for a, b in zip(store.dated_start, store.stop, strict=True)]
    assert np.concatenate(parts).tolist() == np.concatenate(dated).tolist()
    for unit, part in enumerate(parts):
        n_points = len(np.unique(store.known[part]))
        assert 0 < n_points <= 6, "at most max_positions time points"
        assert sequences.prediction[unit] == store.known[part[-1]]
        last = part[-1] + 1
        if last < len(store.known) and last not in store.start:
            assert store.known[last] > store.known[part[-1]], "simultaneous events are not parted"
    read_alone = tokens_of(readable_events(cases, config).collect(), vocabulary, config)
    assert windows(read_alone, config).n_units > 0


def test_pages_are_given_back_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    with ArrayWriter(file, np.int32) as writer:
        for start in range(0, 100, 10):
            writer.append(np.arange(start, start + 10))
    mapped = MappedArray(file)
    before = mapped.elements.copy()
    mapped.release()
    assert mapped.elements.tolist() == before.tolist() == list(range(100))
    with ArrayWriter(file.with_name("empty.npy"), np.float64):
        pass
    assert MappedArray(file.with_name("empty.npy")).elements.tolist() == []


def test_a_store_of_no_events_is_a_store(tmp_path: Path) -> None:
    cases = cases_of(tmp_path / "a", events().clear(), 1)
    vocabulary = vocabulary_of(cases_of(tmp_path / "b", events(), 1))
    store: TokenStore = tokenise(cases.dataset, vocabulary, CONFIG, tmp_path / "stores")
    assert make_sequences(cases, vocabulary, CONFIG, store=store).n_events().sum() == 0
    assert windows(store, CONFIG).n_units == 0
