"""Scenarios change what they say and nothing else; a faulty one is refused with all its faults."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.errors import ConfigurationError
from pipelines.simulate.clock import days_since_start
from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import Scenario, coding_at, load_scenario, practice_at

SHIPPED = (
    "default",
    "coding-drift",
    "practice-differs",
    "methods-change",
    "younger-population",
    "known-risk",
    "twins",
)


def write(folder: Path, content: str) -> Path:
    file = folder / "given.yaml"
    file.write_text(textwrap.dedent(content), "utf-8")
    return file


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_is_valid_and_called_by_its_name(name: str) -> None:
    assert load_scenario(name).name == name


def test_by_default_hospitals_differ_in_case_mix_only() -> None:
    scenario = load_scenario("default")
    assert len(scenario.hospitals) > 1
    assert scenario.changes == ()


def test_a_scenario_takes_from_its_base_what_it_does_not_give(tmp_path: Path) -> None:
    file = write(tmp_path, "{based_on: default, name: mine, infection_factor: 2}")
    mine, base = load_scenario(file), load_scenario("default")
    assert mine.hospitals == base.hospitals
    assert mine.infection_factor == 2


def test_a_later_change_overrides_an_earlier_where_and_when_it_holds(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        based_on: default
        name: mine
        changes:
          - {from_date: 2018-01-01, coding: {sepsis_sensitivity: 0.5}, practice: {vitals_factor: 2}}
          - {hospital_id: Orkla sykehus, from_date: 2019-01-01, until_date: 2020-01-01,
             coding: {sepsis_sensitivity: 0.9}}
        """,
    )
    scenario = load_scenario(file)
    from datetime import date

    days = np.array([days_since_start(date(year, 1, 1)) for year in (2017, 2018, 2019, 2019, 2020)])
    hospitals = np.array([2, 2, 2, 0, 2])
    assert coding_at(scenario, "sepsis_sensitivity", hospitals, days).tolist() == [0.35, 0.5, 0.9, 0.5, 0.5]
    assert practice_at(scenario, "vitals_factor", hospitals, days).tolist() == [1, 2, 2, 2, 2]


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        based_on: default
        name: mine
        infection_factor: much
        weather: bad
        changes: [{coding: {sepsis_sensitivity: 7}}]
        """,
    )
    with pytest.raises(ConfigurationError) as refusal:
        load_scenario(file)
    text = str(refusal.value)
    assert len(refusal.value.problems) == 3
    assert all(key in text for key in ("infection_factor", "weather", "changes.0.coding.sepsis_sensitivity"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("{hospital_id: Nowhere}", "Nowhere"),
        ("{methods: [{analyte: gold, code: NPU1, unit: g/L}]}", "gold"),
    ],
)
def test_names_that_lead_nowhere_are_refused(tmp_path: Path, change: str, named: str) -> None:
    file = write(tmp_path, f"{{based_on: default, name: mine, changes: [{change}]}}")
    with pytest.raises(ConfigurationError, match=named):
        load_scenario(file)


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="coding-drift"):
        load_scenario("coding-drfit")


def extract(folder: Path, name: str, scenario: Scenario) -> dict[str, pl.DataFrame]:
    simulate(150, 2, folder / name, scenario)
    return {
        file.stem: pl.read_csv(file, infer_schema_length=100_000)
        for file in (folder / name / "extract").glob("*.csv")
    }


def test_a_change_of_coding_changes_the_conditions_only(tmp_path: Path) -> None:
    usual = extract(tmp_path, "usual", load_scenario("default"))
    drifted = extract(tmp_path, "drifted", load_scenario("coding-drift"))
    changed = {name for name in usual if not usual[name].equals(drifted[name])}
    assert changed == {"conditions"}


def test_a_change_of_methods_changes_the_laboratory_only_where_it_says(tmp_path: Path) -> None:
    usual = extract(tmp_path, "usual", load_scenario("default"))
    other = extract(tmp_path, "other", load_scenario("methods-change"))
    assert {name for name in usual if not usual[name].equals(other[name])} == {"laboratory"}
    places = usual["contacts"].select("kontakt_id", "sykehus")
    keys = ["kontakt_id", "sampled_time"]
    creatinine = ["NPU04998", "NPU18016", "NPU01807"]
    pairs = (
        usual["laboratory"]
        .filter(pl.col("nlk") == "NPU04998")
        .join(other["laboratory"].filter(pl.col("nlk").is_in(creatinine)), on=keys, suffix="_new")
        .join(places, on="kontakt_id")
    )
    jaffe = pairs.filter(pl.col("nlk_new") == "NPU01807")
    assert set(jaffe["sykehus"]) == {"Innherred sykehus"}
    assert jaffe["sampled_time"].max() < "2020-03-01"
    assert ((jaffe["value"] * 1.03 + 8.0).round(0) - jaffe["value_new"]).abs().max() <= 1.0
    renamed = pairs.filter(pl.col("nlk_new") == "NPU18016")
    assert renamed["sampled_time"].min() >= "2020-03-01"
    assert renamed["value"].equals(renamed["value_new"])


def test_a_change_of_practice_leaves_patients_and_their_risks_alone(tmp_path: Path) -> None:
    scenario = load_scenario("practice-differs")
    calm = scenario.model_copy(
        update={
            "changes": tuple(
                change.model_copy(
                    update={"practice": change.practice.model_copy(update={"stay_length_factor": None})}
                )
                for change in scenario.changes
            )
        }
    )
    usual = extract(tmp_path, "usual", load_scenario("default"))
    other = extract(tmp_path, "other", calm)
    for name in ("patients", "deaths", "movements", "contacts", "procedures"):
        assert usual[name].equals(other[name]), name
    for name in ("laboratory", "vital_signs", "blood_cultures"):
        assert not usual[name].equals(other[name]), name
