"""Task files: all shipped ones load, and a faulty one is refused with every fault at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ontology.errors import ConfigurationError
from ontology.valuesets.sets import load_valueset
from phenotype.task_parts import InfectionAdmission, InfectionInStay
from phenotype.tasks import Task, load_task, parse_task, task_names

NAMES = {
    "icu_death_48h",
    "icu_prolonged_stay",
    "icu_prolonged_stay_7d",
    "icu_sepsis_hourly",
    "yaib_mortality_24h",
    "yaib_sepsis_hourly",
    "yaib_discharge_24h",
    "stay_death_30d_admission",
    "stay_death_30d_24h",
    "stay_prolonged_admission",
    "stay_prolonged_24h",
    "stay_sepsis_admission",
    "stay_sepsis_24h",
    "readmission_30d_discharge",
    "planted_decline",
    "planted_order",
    *(
        f"landmark_{outcome}_{days}d_{index}"
        for outcome in ("sepsis", "death")
        for days in (30, 365)
        for index in ("discharge90", "newyear")
    ),
}
GOOD: dict[str, Any] = {
    "name": "death_soon",
    "title": "Death soon",
    "question": "Will this patient die?",
    "index": {"kind": "admission"},
    "outcome": {"kind": "death"},
    "horizon_hours": 24,
}


def test_the_promised_tasks_are_shipped() -> None:
    assert set(task_names()) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_shipped_task_is_called_as_its_file_and_survives_json(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert Task.model_validate_json(task.model_dump_json()) == task
    if isinstance(task.outcome, InfectionInStay | InfectionAdmission):
        assert load_valueset(task.outcome.definition).rules.include
        assert load_valueset(task.outcome.commensals).rules.include


@pytest.mark.parametrize("name", sorted(NAMES))
def test_horizons_are_those_in_the_names(name: str) -> None:
    horizon = load_task(name).horizon_hours
    if "365d" in name:
        assert horizon == 365 * 24
    elif "_30d" in name:
        assert horizon == 30 * 24


def test_a_task_of_ones_own_is_read_from_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(f"{key}: {value}" for key, value in GOOD.items()), "utf-8")
    assert load_task(file) == load_task(str(file)) == parse_task(GOOD)


def test_five_faults_are_told_at_once() -> None:
    faulty = {
        **GOOD,
        "name": "Death Soon",
        "horizon_hours": -1,
        "outcome": {"kind": "readmission"},
        "alert_rates": [2],
        "colour": "red",
    }
    with pytest.raises(ConfigurationError) as told:
        parse_task(faulty)
    places = {problem.where.removeprefix("task: ") for problem in told.value.problems}
    assert places == {"name", "horizon_hours", "outcome.kind", "alert_rates.0", "colour"}
    assert told.value.exit_status == 2


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"horizon_hours": None}, "a horizon is missing"),
        ({"outcome": {"kind": "infection_in_stay"}}, "the stay's end is the horizon"),
        ({"outcome": {"kind": "prolonged_stay"}, "horizon_hours": None}, "one threshold is needed"),
        (
            {"outcome": {"kind": "prolonged_stay", "days": 7, "percentile": 0.5}, "horizon_hours": None},
            "one threshold is needed",
        ),
        ({"competing": ["death"]}, "death does not compete with itself"),
        ({"needs_observation": False}, "follow-up after the stay needs observation"),
        ({"population": {"is_overnight": True}}, "whether a stay is overnight is not known then"),
        ({"index": {"kind": "hourly"}}, "this outcome cannot be asked at index hourly"),
        ({"index": {"kind": "tuesday"}}, "input tag 'tuesday'"),
        ({"outcome": "death"}, "input should be a valid dictionary"),
    ],
)
def test_a_contradiction_is_told(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        parse_task({**GOOD, **change})


def test_an_unknown_name_is_met_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="stay_sepsis_24h, stay_sepsis_admission"):
        load_task("stay_sepsis_24")


@pytest.mark.parametrize(
    ("text", "what"), [("a: [", "not a YAML file"), ("- a", "not a mapping"), ("", "mapping")]
)
def test_a_file_that_is_no_task_is_told(text: str, what: str, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=what):
        load_task(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such configuration"):
        load_task(tmp_path / "none.yaml")
