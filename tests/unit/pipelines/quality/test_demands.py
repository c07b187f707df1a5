"""What a run demands: failing checks become problems, allowed ones do not, unknown names are refused."""

from __future__ import annotations

import pytest

from experiments.quality_demand import QualityDemand
from ontology.errors import ConfigurationError
from pipelines.quality.demands import demanded_problems

BIRTH = {"subject_id": 1, "time": "2000-01-01T00:00", "code": "MEDS_BIRTH"}
TWICE = {"subject_id": 1, "time": "2001-01-01T00:00", "code": "MEDS_BIRTH"}
EARLY = {"subject_id": 1, "time": "1980-01-01T10:00", "code": "NLK//NPU19748"}


def test_a_demand_that_holds_is_no_problem(write):
    assert demanded_problems(write([BIRTH]).path, ["born-once", "events-sorted"]) == []
    assert demanded_problems(write([BIRTH, TWICE]).path, []) == []


def test_a_demand_that_does_not_hold_is_a_problem_with_counts_and_advice(write):
    # One of one subject was born twice: 1 of 1 are small counts, so neither is shown.
    (problem,) = demanded_problems(write([BIRTH, TWICE]).path, ["born-once"])
    assert problem.what == "a demanded quality check fails: born-once: subjects with more than one birth"
    assert problem.where == "events.MEDS_BIRTH"
    assert problem.found == "<5 of <5 (–)"
    assert problem.allowed == "at most 0%"
    assert problem.next_step


def test_a_severity_stands_for_all_its_checks_but_those_allowed(write):
    path = write([EARLY, BIRTH, TWICE]).path
    found = {problem.what.split(": ")[1] for problem in demanded_problems(path, ["fatal"])}
    assert found == {"before-birth", "born-once"}
    assert [p.what.split(": ")[1] for p in demanded_problems(path, ["fatal"], ["before-birth"])] == [
        "born-once"
    ]


def test_a_check_demanded_by_name_must_be_applicable_and_by_severity_need_not(write):
    (problem,) = demanded_problems(write([BIRTH]).path, ["contact-id-unique", "fatal"])
    assert problem.what.startswith("a demanded quality check cannot be judged: contact-id-unique")
    assert problem.found == "the dataset has no contacts"
    assert demanded_problems(write([BIRTH]).path, ["fatal"]) == []


def test_names_that_are_neither_checks_nor_severities_are_told_together(write):
    with pytest.raises(ConfigurationError) as raised:
        demanded_problems(write([BIRTH]).path, ["fatall", "born-once"], ["never"])
    assert [problem.found for problem in raised.value.problems] == ["fatall", "never"]


def test_a_demand_is_read_from_a_configuration():
    demand = QualityDemand.model_validate({"demand": ["fatal"], "allow": ["future"]})
    assert demand.demand == ("fatal",)
    assert not demand.is_empty
    assert QualityDemand().is_empty
