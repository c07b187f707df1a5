"""Shipped measures load and can be judged; faults of files are told; conditions have three values."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from ontology.errors import ConfigurationError
from phenotype.coding.rates.counted_rows import NO_DIAGNOSIS, count_rows
from phenotype.coding.rates.measures import Condition, Measure, Number, load_measures

RECORDS = runpy.run_path(str(Path(__file__).parents[1] / "unit_records.py"))
contact = RECORDS["contact"]
record_of = RECORDS["record_of"]

CASES = {
    "AU-25/3262", "AU-25/3263", "AU-25/3265", "AU-25/3266", "AU-25/3267", "AU-25/3268", "AU-24/10226",
    "AU-24/19011", "AU-24/10236", "AU-23/7563", "AU-18/1820", "AU-21/4753", "AU-17/5573", "AU-19/27629",
    "AU-17/11400", "AU-19/2881",
}  # fmt: skip
"""Public cases that are rates."""


def test_every_shipped_measure_is_sourced_titled_in_both_languages_and_can_be_judged() -> None:
    measures = load_measures()
    record = record_of([contact(1, "H/A")], [(1, "main", "ICD10-NO//J18.9")])
    rows = count_rows(record, "stay")
    for measure in measures:
        assert measure.title_nb, measure.id
        assert all(len(source) > 15 for source in measure.sources), measure.id
        for condition in (measure.of, *([measure.counts] if measure.counts else [])):
            rows.holds(condition)
    assert {measure.case for measure in measures} >= CASES


def test_measures_are_found_by_id_and_by_file() -> None:
    assert [measure.id for measure in load_measures(["coded_main"])] == ["coded_main"]
    assert "coded_main" in {measure.id for measure in load_measures(["any_code"])}
    with pytest.raises(ConfigurationError, match="no such configuration"):
        load_measures(["no_such_measure"])


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "measures:\n"
        "  - {id: Bad Name, title: x, sources: [abc], counts: {codes: [A]}}\n"
        "  - {id: good, title: x, sources: [abc], counts: {code: [A]}}\n"
    )
    with pytest.raises(ConfigurationError) as error:
        load_measures([file])
    told = str(error.value)
    assert "should match pattern" in told
    assert "unknown key" in told


def test_a_measure_counts_one_thing() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Measure(
            id="two", title="x", sources=("abc",), counts=Condition(codes=("A",)), number=Number(of="codes")
        )
    with pytest.raises(ValueError, match="patient_month"):
        Measure(id="two", title="x", sources=("abc",), number=Number(of="contacts"))


def test_conditions_are_true_false_or_unknown_with_the_reason() -> None:
    contacts = [
        contact(1, "H/A"),
        contact(2, "H/A", care_level=None),
        contact(3, "H/A", age_years=None, urgency="planned"),
        contact(4, "H/A", stay_id=1, care_level="icu"),
    ]
    codes = [(1, "main", "ICD10-NO//J18.9"), (2, "main", "ICD10-NO//A41.9"), (4, "other", "ICD10-NO//A41.5")]
    rows = count_rows(record_of(contacts, codes, [(2, "drg", "89")]), "stay")
    assert rows.rows["stay_id"].to_list() == [1, 2, 3]
    # Contact 4 is part of stay 1, which is then one of intensive care and holds its codes.
    assert rows.rows["care_level"].to_list() == ["icu", None, "inpatient"]
    cases = {
        "a41": (Condition(codes=("ICD10-NO//A41",)), "++?"),
        "main a41": (Condition(codes=("ICD10-NO//A41",), roles=("main",)), "-+?"),
        "bed": (Condition(care_levels=("inpatient",)), "-?+"),
        "old": (Condition(age_from=50), "++?"),
        "planned": (Condition(urgency="planned"), "--+"),
        "drg": (Condition(facts={"drg": ("8",)}), "?+?"),
        "any drg": (Condition(facts={"drg": ()}), "?+?"),
        "neither": (Condition(none=(Condition(codes=("ICD10-NO//A41",)),)), "--?"),
        "some": (Condition(some=(Condition(urgency="planned"), Condition(codes=("ICD10-NO//A41",)))), "+++"),
        "every": (Condition(every=(Condition(urgency="acute"), Condition(codes=("ICD10-NO//A41",)))), "++-"),
        "set": (Condition(value_sets=("sepsis_explicit",)), "++?"),
        "pattern": (Condition(patterns=(r"ICD10-NO//A41\.5",)), "+-?"),
    }
    for name, (condition, expected) in cases.items():
        truth = rows.holds(condition)
        told = "".join(
            "+" if yes else "-" if no else "?" for yes, no in zip(truth.yes, truth.no, strict=True)
        )
        assert told == expected, name
    reasons = rows.holds(Condition(codes=("ICD10-NO//A41",))).reasons
    assert {reason: np.flatnonzero(where).tolist() for reason, where in reasons.items()} == {
        NO_DIAGNOSIS: [2]
    }
