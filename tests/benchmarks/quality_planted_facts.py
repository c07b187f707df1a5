"""Faults of times, values, results and codes, with the checks that must find them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from quality_planting import (
    CODE,
    CREATININE,
    CRP,
    DAY,
    HOUR,
    IN_ATC,
    IN_ICD,
    IN_NLK,
    IN_VITAL,
    INPATIENT,
    MAIN,
    OTHER,
    OUTPATIENT,
    SENT_HOME,
    SINCE_2021,
    SODIUM,
    STARTED_EARLY,
    TIME,
    VALUE,
    after_death,
    before_birth,
    busiest,
    changed,
    contacts_after_death,
    each,
    first,
    in_men,
    more_codes,
    of_contacts,
    of_living,
    of_subjects,
    per_unit,
    repeated,
    some,
)

FACTS: tuple[Any, ...] = (
    # time
    ("results before birth", before_birth, "before-birth"),
    ("results ten days after death", after_death(0.006, 10), "after-death"),
    ("results a hundred days after death", after_death(0.0015, 100), "long-after-death"),
    ("contacts after death", contacts_after_death, "contact-after-death"),
    (
        "deaths at discharge of the living",
        of_subjects(
            "contacts",
            lambda people: people.filter(pl.col("death").is_null())["subject_id"].gather_every(15),
            INPATIENT,
            discharged_to="death",
        ),
        "death-at-discharge-recorded",
    ),
    ("born twice", repeated("events", first(CODE == "MEDS_BIRTH", 1), time=TIME + DAY), "born-once"),
    ("died twice", repeated("events", first(CODE == "MEDS_DEATH", 1), time=TIME + 2 * DAY), "died-once"),
    # All of the subject's life lies before that birth.
    (
        "born after death",
        of_subjects(
            "events",
            lambda people: people.filter(pl.col("death").is_not_null())["subject_id"].tail(1),
            CODE == "MEDS_BIRTH",
            time=dt.datetime(2026, 1, 1),
        ),
        "born-before-death",
        "before-birth",
    ),
    # Whoever is 160 is also above 105, and there are many contacts.
    (
        "born in 1860",
        of_subjects("events", busiest, CODE == "MEDS_BIRTH", time=dt.datetime(1860, 5, 5)),
        "age-possible",
        "age-very-high",
    ),
    (
        "born in 1909",
        of_subjects("events", busiest, CODE == "MEDS_BIRTH", time=dt.datetime(1909, 5, 5)),
        "age-very-high",
    ),
    (
        "years of birth as dates",
        of_subjects("events", each(10), CODE == "MEDS_BIRTH", time=TIME.dt.truncate("1y")),
        "birth-on-new-year",
    ),
    (
        "a result of 1900",
        changed("events", first(IN_NLK, 1), time=dt.datetime(1900, 1, 1)),
        "placeholder-dates",
    ),
    (
        "a result of 2090",
        changed("events", first(IN_NLK, 1), time=dt.datetime(2090, 1, 1), known_time=dt.datetime(2090, 1, 1)),
        "future",
    ),
    (
        "answers before samples",
        changed("events", some(IN_NLK, 0.005), known_time=TIME - HOUR),
        "known-before-it-happened",
    ),
    (
        "answers after forty days",
        changed("events", some(IN_NLK, 0.1), known_time=TIME + 40 * DAY),
        "late-arrivals",
        "laboratory-answered-late",
    ),
    ("vital signs of another week", of_living(IN_VITAL, 0.3, time=TIME + 10 * DAY), "outside-contact"),
    ("laboratory in another time zone", changed("events", IN_NLK, time=TIME - 2 * HOUR), "clock-skew"),
    (
        "windows cut",
        of_subjects("observation", each(10), STARTED_EARLY, end_time=dt.datetime(2017, 1, 1)),
        "outside-windows",
    ),
    (
        "a contact turned round",
        changed(
            "contacts", first(OUTPATIENT, 1), start_time=pl.col("end_time"), end_time=pl.col("start_time")
        ),
        "contact-forward",
    ),
    (
        "stays that were not closed",
        changed(
            "contacts",
            first(
                INPATIENT
                & (pl.col("start_time") == pl.col("start_time").max().over("subject_id"))
                & (pl.col("discharged_to") == "home"),
                8,
            ),
            end_time=pl.col("start_time") + 400 * DAY,
        ),
        "stay-very-long",
    ),
    (
        "outpatients over night",
        changed("contacts", some(OUTPATIENT, 0.05), end_time=pl.col("start_time") + 30 * HOUR),
        "outpatient-overnight",
    ),
    (
        "stays of no length",
        changed("contacts", some(INPATIENT & SENT_HOME, 0.04), end_time=pl.col("start_time")),
        "stay-empty",
    ),
    (
        "coding after two months",
        changed("codings", some(MAIN | OTHER, 0.2), coded_time=pl.col("coded_time") + 60 * DAY),
        "coded-late",
    ),
    # Two equal values of a day become one fact that is there twice.
    (
        "vital signs by date",
        changed("events", some(IN_VITAL, 0.2), time=TIME.dt.truncate("1d")),
        "midnight",
        "duplicate-facts",
    ),
    (
        "vital signs by the hour",
        changed("events", some(IN_VITAL, 0.7), time=TIME.dt.round("1h")),
        "round-hours",
    ),
    # values
    (
        "heart rates of 800",
        changed("events", some(CODE == "VITAL//heart_rate", 0.005), numeric_value=800.0),
        "vital-sign-range",
    ),
    (
        "pressures exchanged",
        changed("events", some(CODE.is_in(["VITAL//systolic_bp"]), 0.02), numeric_value=40.0),
        "pressure-order",
    ),
    (
        "negative vital signs",
        changed("events", some(IN_VITAL, 0.0003), numeric_value=-1.0),
        "negative-values",
    ),
    ("doses of nothing", changed("events", some(IN_ATC, 0.05), numeric_value=0.0), "drug-dose-positive"),
    (
        "vital signs without number",
        changed("events", some(IN_VITAL, 0.05), numeric_value=None),
        "vital-sign-number",
    ),
    (
        "temperatures in Fahrenheit",
        changed(
            "events", some(CODE == "VITAL//temperature", 0.02), numeric_value=VALUE * 1.8 + 32, unit="[degF]"
        ),
        "vital-sign-unit",
    ),
    (
        "one rate of breathing for all",
        changed("events", CODE == "VITAL//respiratory_rate", numeric_value=16.0),
        "vital-sign-one-value",
    ),
    (
        "pressures by tens",
        changed("events", some(CODE == "VITAL//systolic_bp", 0.6), numeric_value=(VALUE / 10).round() * 10),
        "vital-sign-last-digit",
    ),
    (
        "a tenth of the oxygen saturation",
        # Written with a decimal since, all values of before end in 0.
        changed("events", (CODE == "VITAL//spo2") & SINCE_2021, numeric_value=VALUE / 10),
        "vital-sign-median",
        "vital-sign-last-digit",
    ),
    ("facts twice", repeated("events", some(IN_VITAL, 0.02)), "duplicate-facts"),
    # laboratory
    (
        "potassium of 45",
        changed("events", some(CODE == "NLK//NPU03230", 0.005), numeric_value=45.0),
        "laboratory-range",
    ),
    (
        "some creatinine in mg/dL",
        changed("events", some(CREATININE, 0.01), numeric_value=VALUE / 88.4, unit="mg/dL"),
        "laboratory-declared-unit",
    ),
    (
        "much CRP in mg/dL",
        changed("events", some(CRP, 0.1), numeric_value=VALUE / 10, unit="mg/dL"),
        "laboratory-declared-unit",
        "laboratory-usual-unit",
    ),
    (
        "creatinine in mg/dL since 2021",
        changed("events", CREATININE & SINCE_2021, numeric_value=VALUE / 88.4, unit="mg/dL"),
        "laboratory-declared-unit",
        "laboratory-usual-unit",
        "laboratory-unit-change",
    ),
    (
        "creatinine in mg/dL since 2021, the unit kept",
        # Written with decimals since, all values of before end in 0.
        changed("events", CREATININE & SINCE_2021, numeric_value=VALUE / 88.4),
        "laboratory-median",
        "laboratory-last-digit",
    ),
    (
        "creatinine by tens",
        changed("events", some(CREATININE, 0.8), numeric_value=(VALUE / 10).round() * 10),
        "laboratory-last-digit",
    ),
    ("one sodium for all", changed("events", SODIUM, numeric_value=140.0), "laboratory-one-value"),
    # A missing unit is another than the usual one.
    (
        "units missing in a part",
        changed("events", some(IN_NLK, 0.2), unit=None),
        "laboratory-unit-known",
        "laboratory-usual-unit",
    ),
    ("results missing", changed("events", some(IN_NLK, 0.03), numeric_value=None), "laboratory-result-known"),
    (
        "results in words",
        changed("events", some(IN_NLK, 0.2), numeric_value=None, text_value="positiv"),
        "laboratory-text-only",
    ),
    (
        "results below a limit",
        changed("events", some(IN_NLK, 0.3), text_value="<5"),
        "laboratory-comparators",
    ),
    (
        "answering times missing",
        changed("events", some(IN_NLK, 0.2), known_time=None),
        "laboratory-answer-known",
    ),
    (
        "CRP answered after ten days",
        changed("events", some(CRP, 0.2), known_time=TIME + 10 * DAY),
        "laboratory-answered-late",
    ),
    (
        "corrected results beside the old",
        repeated("events", some(IN_NLK, 0.03), numeric_value=VALUE + 1),
        "laboratory-contradictions",
    ),
    (
        "most events of two years of a unit missing",
        of_contacts("events", per_unit("MED", (2019, 2020)), some(IN_VITAL | IN_NLK, 0.9)),
        "laboratory-per-stay",
    ),
    # coding
    ("codes of no list", changed("events", some(IN_ICD, 0.03), code="ICD10-NO//U95.1"), "unknown-codes"),
    (
        "codes finer than the list",
        changed("events", some(IN_ICD, 0.4), code=CODE + "9"),
        "codes-known-by-parent",
    ),
    ("deliveries of men", in_men("ICD10-NO//O80.0"), "sex-specific-codes"),
    ("newborns among men", in_men("ICD10-NO//P07.3"), "age-specific-codes"),
    (
        "deliveries without births",
        changed("codings", first(MAIN & pl.col("coded_time").dt.year().is_in([2020]), 60), code="Z37.0"),
        "births-and-deliveries",
    ),
    ("asterisk codes alone", changed("codings", some(OTHER, 0.1), code="H36.0"), "asterisk-alone"),
    ("falls as main conditions", changed("codings", some(MAIN, 0.03), code="W19"), "external-cause-as-main"),
    ("codes twice", repeated("codings", some(OTHER, 0.05)), "same-code-twice"),
    (
        "two years of many codes",
        more_codes(per_unit("MED", (2019, 2020)), ("Z99.1", "Z99.2", "Z99.8", "Z95.0", "Z95.1", "Z93.2")),
        "diagnoses-per-stay",
    ),
    (
        "outpatients without codes",
        of_contacts("codings", some(OUTPATIENT, 0.3), pl.lit(value=True)),
        "outpatient-coded",
    ),
)
"""Each fault: its name, how it is planted, and the checks that must find it."""
