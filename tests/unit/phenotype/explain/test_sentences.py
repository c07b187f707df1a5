"""Sentences say what the record says: every number in them is read back and found in the events."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.explain.concepts import EXPLANATIONS
from phenotype.explain.reasons import reasons_of
from phenotype.explain.record import Record
from phenotype.explain.sentences import describe
from phenotype.trajectory import EVENTS

NOW = dt.datetime(2024, 3, 12, 14, 30)
LACTATE = "PHYSIONET2012//Lactate"
SENTENCE = re.compile(
    r"Lactate (?P<value>[\d.]+)\s(?P<unit>mmol/L) at (?P<clock>\d\d:\d\d)(?: on (?P<day>\d+) March)?"
    r"(?:, (?P<way>rising|falling) (?P<change>[\d.]+) in (?P<span>\d+)\s(?P<span_unit>h|min))?"
    r"(?:, as (?P<same>\d+)\s(?P<same_unit>h|min) before)?"
    r"(?:, (?P<side>above|below) the usual (?P<low>[\d.]+) to (?P<high>[\d.]+))?"
)


def record(*events: dict[str, object], anchor: dt.datetime | None = None) -> Record:
    rows = [dict.fromkeys(EVENTS.names()) | {"subject_id": 1} | event for event in events]
    return Record(pl.DataFrame(rows, schema=EVENTS), NOW, anchor)


def lactate(hours_ago: float, value: float) -> dict[str, object]:
    time = NOW - dt.timedelta(hours=hours_ago)
    return {"code": LACTATE, "time": time, "numeric_value": value, "unit": "mmol/L"}


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (
            [lactate(6.5, 3.1), lactate(0.5, 4.2)],
            "Lactate 4.2 mmol/L at 14:00, rising 1.1 in 6 h, above the usual 0.7 to 1.8",
        ),
        ([lactate(30, 9.0), lactate(2, 1.2)], "Lactate 1.2 mmol/L at 12:30"),
        ([lactate(4, 1.2), lactate(2, 1.2)], "Lactate 1.2 mmol/L at 12:30, as 2 h before"),
        ([lactate(20, 0.5)], "Lactate 0.5 mmol/L at 18:30 on 11 March, below the usual 0.7 to 1.8"),
        (
            [lactate(24 * 20 + 5, 4.2), lactate(24 * 20, 1.2)],
            "Lactate 1.2 mmol/L at 14:30 on 21 February, 20 days before the prediction",
        ),
        ([], "Not on record: Lactate"),
    ],
)
def test_a_measurement(events: list[dict[str, object]], sentence: str) -> None:
    """The sentences were written by hand from the events."""
    assert describe(LACTATE, record(*events)).replace("\u00a0", " ") == sentence


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ({"code": "AGE", "numeric_value": 67.9}, "Age 67 years"),
        ({"code": "SEX//female"}, "Female sex"),
        ({"code": "ICD10-XX//A41", "time": dt.datetime(2021, 5, 2, 9)}, "Diagnosis A41 on 2 May 2021"),
        (
            {"code": "CONTACT//icu", "time": NOW - dt.timedelta(hours=3)},
            "Admission to intensive care at 11:30",
        ),
        (
            {"code": "BLOOD_CULTURE//growth", "time": NOW - dt.timedelta(hours=3), "text_value": "E. coli"},
            "Growth in blood culture: E. coli, at 11:30",
        ),
        (
            {"code": "PHYSIONET2012//MechVent", "time": NOW - dt.timedelta(hours=3), "numeric_value": 1.0},
            "Mechanical ventilation yes at 11:30",
        ),
        (
            {"code": "ATC//J01CF05", "time": NOW - dt.timedelta(hours=3), "numeric_value": 2.0, "unit": "g"},
            "Drug J01CF05 2 g at 11:30",
        ),
        (
            {
                "code": "VITAL//temperature",
                "time": NOW - dt.timedelta(hours=3),
                "numeric_value": 37.0,
                "unit": "Cel",
            },
            "Temperature 37 °C at 11:30",
        ),
        (
            {"code": "PHYSIONET2012//WBC", "time": NOW - dt.timedelta(hours=3), "numeric_value": 5.4},
            "White blood cells 5.4 × 10⁹/L at 11:30",
        ),
    ],
)
def test_other_facts(event: dict[str, object], sentence: str) -> None:
    assert describe(str(event["code"]), record(event)).replace("\u00a0", " ") == sentence


def test_times_without_a_calendar_are_counted_in_days() -> None:
    anchor = dt.datetime(2024, 3, 11)
    assert describe(LACTATE, record(lactate(0.5, 1.0), anchor=anchor)).endswith("at 14:00 on day 2")


def test_the_sex_that_is_not_on_record_is_told_as_the_one_that_is() -> None:
    assert describe("SEX//female", record({"code": "SEX//male"})) == "Male sex"
    assert describe("SEX//female", record(lactate(1, 1.0))) == "Not on record: Female sex"


def test_a_unit_of_one_is_not_written() -> None:
    event = {"code": "NLK//NPU01685", "time": NOW, "numeric_value": 1.1, "unit": "1"}
    assert describe("NLK//NPU01685", record(event)) == "P-INR 1.1 at 14:30"


def test_whole_years_are_lived_years() -> None:
    born = {"code": "MEDS_BIRTH", "time": dt.datetime(1950, 3, 13)}
    assert describe("AGE", record(born)) == "Age 73 years"


def test_repeated_diagnoses_are_counted() -> None:
    times = [dt.datetime(2019, 1, 1), dt.datetime(2020, 2, 3), dt.datetime(2022, 7, 9)]
    events = [{"code": "ICD10-XX//I50", "time": time} for time in times]
    assert describe("ICD10-XX//I50", record(*events)) == "Diagnosis I50, coded 3 times, last on 9 July 2022"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 47 * 60), st.integers(1, 2500).map(lambda hundredths: hundredths / 100)),
        min_size=1,
        max_size=6,
        unique_by=lambda pair: pair[0],
    )
)
def test_every_number_is_read_back_from_the_sentence(measured: list[tuple[int, float]]) -> None:
    """Against a direct look-up in the drawn values; 0.7 to 1.8 is the band of the label file."""
    ordered = sorted(measured, reverse=True)
    events = [lactate(minutes / 60, value) for minutes, value in measured]
    found = SENTENCE.fullmatch(describe(LACTATE, record(*events)))
    assert found
    last_minutes, last = ordered[-1]
    assert float(found["value"]) == pytest.approx(last, rel=5e-4)
    last_time = NOW - dt.timedelta(minutes=last_minutes)
    assert found["clock"] == f"{last_time:%H:%M}"
    assert int(found["day"] or NOW.day) == last_time.day
    earlier = [
        (minutes - last_minutes, value) for minutes, value in ordered if 30 <= minutes - last_minutes <= 1440
    ]
    if not earlier:
        assert found["way"] is None
        assert found["same"] is None
    else:
        span, first = earlier[0]
        change = (
            0.0 if found["way"] is None else float(found["change"]) * (1 if found["way"] == "rising" else -1)
        )
        assert change == pytest.approx(last - first, abs=0.011)
        shown, unit = int(found["span"] or found["same"]), found["span_unit"] or found["same_unit"]
        assert abs(shown * (60 if unit == "h" else 1) - span) <= 30
    side = "above" if last > 1.8 else "below" if last < 0.7 else None
    assert found["side"] == side


def tree(rows: list[tuple[str, str | None, float]]) -> pl.DataFrame:
    fixed = {"subject_id": 1, "prediction_time": NOW, "model": "t/m", "tree": "concepts", "is_exact": True}
    return pl.DataFrame(
        [
            fixed | {"node": node, "parent": parent, "phi": phi, "low": phi, "high": phi}
            for node, parent, phi in rows
        ],
        schema=EXPLANATIONS,
    )


EXPLAINED = [
    ("", None, 0.5),
    ("base", None, -2.0),
    ("Laboratory", "", 0.9),
    (LACTATE, "Laboratory", 0.9),
    (f"{LACTATE} · last · 6h", LACTATE, 0.7),
    (f"{LACTATE} · count · 365d", LACTATE, 0.2),
    ("Drugs", "", -0.4),
    ("ATC//J01CF05", "Drugs", -0.4),
]


def test_reasons_add_up_and_are_ordered_by_size() -> None:
    reasons = reasons_of(tree(EXPLAINED), record(lactate(1, 4.2)))
    assert [reason.code for reason in reasons.codes] == [LACTATE, "ATC//J01CF05"]
    assert [reason.direction for reason in reasons.codes] == ["for", "against"]
    assert reasons.total == pytest.approx(-1.5)
    assert reasons.is_complete
    assert [part.name for part in reasons.codes[0].parts] == [
        "last value, last 6 hours",
        "how often, last 365 days",
    ]
    assert reasons.codes[1].is_care
    assert reasons.codes[0].sentence.endswith(": speaks for.")


def test_both_sexes_codes_are_one_reason() -> None:
    """A model may use that a patient is not a woman and that he is a man: 0.1 and 0.2."""
    nodes = [
        ("", None, 0.3),
        ("base", None, -2.0),
        ("Demographics", "", 0.3),
        ("SEX//female", "Demographics", 0.1),
        ("SEX//male", "Demographics", 0.2),
    ]
    (reason,) = reasons_of(tree(nodes), record({"code": "SEX//male"})).codes
    assert reason.sentence == "Male sex: speaks for."
    assert reason.phi == pytest.approx(0.3)


def test_an_estimate_whose_interval_holds_zero_only_may_speak() -> None:
    sampled = tree(EXPLAINED).with_columns(
        is_exact=pl.lit(value=False), low=pl.col("phi") - 0.5, high=pl.col("phi") + 0.5
    )
    codes = reasons_of(sampled, record(lactate(1, 4.2))).codes
    assert [reason.sentence.rsplit(": ")[-1] for reason in codes] == ["speaks for.", "may speak against."]


def test_a_root_that_holds_the_base_as_well_is_understood() -> None:
    with_base = [("", None, -1.5), *EXPLAINED[1:]]
    reasons = reasons_of(tree(with_base), record())
    assert reasons.total == pytest.approx(-1.5)
    assert reasons.is_complete


def test_what_does_not_add_up_is_said() -> None:
    short = [row for row in EXPLAINED if row[0] not in {"Drugs", "ATC//J01CF05"}]
    reasons = reasons_of(tree(short), record())
    assert not reasons.is_complete
    assert reasons.unexplained == pytest.approx(-0.4)


def test_float32_values_are_written_as_they_were_measured() -> None:
    assert float(np.float32(4.2)) != 4.2
    assert "4.2" in describe(LACTATE, record(lactate(1, float(np.float32(4.2)))))
