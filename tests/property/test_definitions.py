"""Random definitions on random small trajectories equal a naive interpreter of docs/phenotypes.md."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from phenotype.definitions.text import read_definitions
from phenotype.phenotypes import derive_phenotypes
from phenotype.trajectory import Dataset


def beside(name):
    """A module that stands beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


marks = beside("naive_marks")
beside("naive_hospital")
Naive = beside("naive_definitions").Naive
random_definitions = beside("random_criteria").random_definitions
trajectories = beside("random_trajectories")
ticks = trajectories.ticks
DEFINITIONS_A_DATASET = 10


def rows_of_frame(frame):
    return sorted(
        (
            (
                *(r["subject_id"], ticks(r["start_time"]), ticks(r["end_time"]), r["state"]),
                *(near_number(r["value"]), r["stay_id"], ticks(r["known_time"]), tuple(r["evidence"])),
            )
            for r in frame.to_dicts()
        ),
        key=str,
    )


def rows_of_naive(rows):
    return sorted(
        (
            (
                m.subject,
                m.start,
                m.end,
                state,
                near_number(m.value),
                m.stay,
                m.known,
                tuple(sorted(m.evidence)),
            )
            for m, state in rows
        ),
        key=str,
    )


def near_number(value):
    return None if value is None else float(f"{value:.10g}") + 0.0


def compare(seed, folder):
    """How many rows the definitions of one seed give, and those for which the two differ, as text."""
    rng = random.Random(seed)
    trajectories.random_dataset(rng, folder / "dataset")
    definitions = random_definitions(rng, DEFINITIONS_A_DATASET)
    file = folder / "random.yaml"
    file.write_text(yaml.safe_dump({"definitions": definitions}, sort_keys=False), "utf-8")
    dataset = Dataset(folder / "dataset")
    found = derive_phenotypes(dataset, read_definitions([file]))
    naive = Naive(trajectories.world_of(dataset), definitions)
    differing = []
    for definition in definitions:
        expected = rows_of_naive(naive.rows(definition["name"]))
        actual = rows_of_frame(found.filter(pl.col("phenotype") == definition["name"]))
        if actual != expected:
            text = yaml.safe_dump(definition, sort_keys=False)
            differing.append(f"seed {seed}\n{text}\nfound {actual}\nexpected {expected}")
    return found.height, differing


def known_by(dataset, instant, out):
    """The dataset as it was at an instant: what was known of events, and of contacts that had begun."""
    events = dataset.events().filter(pl.coalesce("known_time", "time") <= instant).collect()
    has_ended = pl.col("end_time") <= instant
    contacts = dataset.contacts().filter(pl.col("start_time") <= instant)
    contacts = contacts.with_columns(
        pl.when(has_ended).then(n).alias(n) for n in ("end_time", "discharged_to")
    )
    (out / "data").mkdir(parents=True)
    events.write_parquet(out / "data" / "0.parquet")
    contacts.write_parquet(out / "contacts.parquet")
    dataset.codings().write_parquet(out / "codings.parquet")
    return Dataset(out)


NOT_FROM_PRESENCE = {
    "score",
    "above_percentile",
    "above_mean_sd",
    "not",
    "last",
    "absent",
    "weights",
    "measure",
}
"""What rests on thresholds of the whole dataset, or on absence, which a late record can overturn."""


def rests_on_presence(node):
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    is_other = isinstance(node, dict) and NOT_FROM_PRESENCE & node.keys()
    return not is_other and all(map(rests_on_presence, inner))


@pytest.mark.parametrize("seed", range(500, 512))
def test_what_is_called_known_at_an_instant_follows_from_what_was_known_then(seed, tmp_path):
    rng = random.Random(seed)
    trajectories.random_dataset(rng, tmp_path / "whole", is_consistent=True)
    whole = Dataset(tmp_path / "whole")
    drawn = [d for d in random_definitions(rng, 30) if rests_on_presence(d)]
    drawn = [d for d in drawn if "phenotype" not in str(d)]
    file = tmp_path / "random.yaml"
    file.write_text(yaml.safe_dump({"definitions": drawn}, sort_keys=False), "utf-8")
    definitions = read_definitions([file])
    instant = trajectories.at(rng.choice([20, 48, 100, 300]))
    then = derive_phenotypes(known_by(whole, instant, tmp_path / "then"), definitions)
    now = derive_phenotypes(whole, definitions).filter(pl.col("known_time") <= instant)
    keys = ["phenotype", "subject_id", "start_time", "end_time", "state", "value", "stay_id"]
    assert now.join(then, on=keys, how="anti", nulls_equal=True).select(keys).rows() == []


@pytest.mark.parametrize("seed", range(30))
def test_ten_random_definitions_equal_the_naive_interpreter(seed, tmp_path):
    _, differing = compare(seed, tmp_path)
    assert not differing, differing[0]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_thousand_random_definitions_equal_the_naive_interpreter(tmp_path):
    compared = [compare(1000 + n, tmp_path / str(n)) for n in range(5000 // DEFINITIONS_A_DATASET)]
    differing = [text for _, texts in compared for text in texts]
    assert not differing, differing[0]
    assert sum(height > 0 for height, _ in compared) > 0.9 * len(
        compared
    )  # the definitions do find something
