"""Random definitions on random small trajectories equal a naive interpreter of docs/phenotypes.md."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import polars as pl
import pytest
import yaml

from phenotype.definition_text import read_definitions
from phenotype.phenotypes import derive_phenotypes
from phenotype.trajectory import Dataset


def beside(name):
    """A module that stands beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    """How many rows the definitions of one seed give; fails where the two differ."""
    rng = random.Random(seed)
    trajectories.random_dataset(rng, folder / "dataset")
    definitions = random_definitions(rng, DEFINITIONS_A_DATASET)
    file = folder / "random.yaml"
    file.write_text(yaml.safe_dump({"definitions": definitions}, sort_keys=False), "utf-8")
    dataset = Dataset(folder / "dataset")
    found = derive_phenotypes(dataset, read_definitions([file]))
    naive = Naive(trajectories.world_of(dataset), definitions)
    for definition in definitions:
        expected = rows_of_naive(naive.rows(definition["name"]))
        actual = rows_of_frame(found.filter(pl.col("phenotype") == definition["name"]))
        assert actual == expected, f"seed {seed}\n{yaml.safe_dump(definition, sort_keys=False)}"
    return found.height


@pytest.mark.parametrize("seed", range(30))
def test_ten_random_definitions_equal_the_naive_interpreter(seed, tmp_path):
    compare(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_thousand_random_definitions_equal_the_naive_interpreter(tmp_path):
    heights = [compare(1000 + n, tmp_path / str(n)) for n in range(5000 // DEFINITIONS_A_DATASET)]
    assert sum(height > 0 for height in heights) > 0.9 * len(heights)  # the definitions do find something
