"""Practice over time: a unit alone is found, a change of rules that all follow is not taken for one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.errors import ConfigurationError
from phenotype.coding.drift.change_points import change_points
from phenotype.coding.drift.findings import Drift, drift_findings
from phenotype.coding.drift.known_changes import KnownChange, KnownChanges
from phenotype.coding.drift.lines import DriftLine
from phenotype.coding.drift.series import DriftSettings, MeasureSeries
from phenotype.coding.rules.rules import load_rules

START, MONTH = dt.datetime(2019, 1, 1), 30.4375
Z03 = ("ICD10-NO//Z03.8",)
KNOWN, SETTINGS = KnownChanges.load(), DriftSettings.load()


def rows_of(
    seed: int, *, alone: tuple[int, float] | None = None, shared: float | None = None, n_stays: int = 2000
) -> pl.DataFrame:
    """Five years of units that code one in ten; odds x 2.5 from a month at one unit, / 2.5 at all of them."""
    random, parts = np.random.default_rng(seed), []
    for number in range(5):
        days = np.sort(random.uniform(0, 60 * MONTH, n_stays))
        logit = np.log(0.1 / 0.9) + random.normal(0, 0.6, n_stays)
        moved = logit + 0.3 * (number - 2)
        if alone is not None and number == alone[0]:
            moved = moved + np.log(2.5) * (days >= alone[1] * MONTH)
        if shared is not None:
            moved = moved - np.log(2.5) * (days >= shared * MONTH)
        parts.append(
            pl.DataFrame(
                {
                    "unit": f"H{number}/A",
                    "time": [START + dt.timedelta(days=day) for day in days],
                    "observed": (random.random(n_stays) < 1 / (1 + np.exp(-moved))).astype(float),
                    "expected": 1 / (1 + np.exp(-logit)),
                    "contact_id": np.arange(n_stays) + n_stays * number,
                }
            )
        )
    return pl.concat(parts)


def drift_of(rows: pl.DataFrame, known: KnownChanges = KNOWN) -> Drift:
    return drift_findings([MeasureSeries("z03", "Z03 as main", rows, Z03)], known, SETTINGS)


def line_of(drift: Drift, unit: str) -> DriftLine:
    return next(line for line in drift.lines if line.unit == unit)


def test_a_unit_that_codes_more_from_a_month_is_found() -> None:
    rows = rows_of(1, alone=(3, 36.0), n_stays=4000)
    drift = drift_of(rows)
    (finding,) = drift.found.findings.iter_rows(named=True)
    assert (finding["unit_id"], finding["kind"], finding["severity"]) == ("H3/A", "drift", "review")
    (signal,) = line_of(drift, "H3/A").signals
    assert signal.direction == "up"
    assert abs((signal.change_time - dt.datetime(2022, 1, 1)).days) < 60
    assert signal.odds_ratio == pytest.approx(2.5, rel=0.3)
    assert line_of(drift, "H3/A").change_months == pytest.approx([dt.date(2022, 1, 1)])
    # What to open: the coded stays since the change, and they alone.
    since = rows.filter((pl.col("unit") == "H3/A") & (pl.col("time") >= signal.change_time))
    coded = since.filter(pl.col("observed") == 1)["contact_id"].sort()
    assert drift.found.items["contact_id"].to_list() == coded.to_list()
    assert drift.n_watched == 5


def test_a_change_of_rules_that_all_follow_is_explained() -> None:
    """All units code Z03 less from September 2021 (32 months after the start), when its funding ended."""
    drift = drift_of(rows_of(2, shared=32.0))
    assert drift.found.findings.is_empty()
    ((measure, change),) = drift.explained
    assert (measure, change.causes) == ("z03", ("z03_main_2021",))
    assert change.odds_ratio == pytest.approx(1 / 2.5, rel=0.2)
    marks = {mark.id: mark.explains for mark in line_of(drift, "H1/A").causes}
    assert marks["z03_main_2021"]


def test_a_unit_alone_at_the_date_of_a_known_cause_is_not_explained() -> None:
    drift = drift_of(rows_of(3, alone=(2, 32.0)))
    assert drift.found.findings["unit_id"].to_list() == ["H2/A"]
    assert drift.found.findings["innocent_explanations"].to_list() == [[]]
    marks = {mark.id: mark.explains for mark in line_of(drift, "H2/A").causes}
    assert not marks["z03_main_2021"]
    assert drift.explained == ()


def test_a_unit_that_changes_its_own_way_within_a_shared_change_is_found() -> None:
    drift = drift_of(rows_of(4, alone=(1, 40.0), shared=32.0, n_stays=4000))
    assert drift.found.findings["unit_id"].to_list() == ["H1/A"]
    assert [change.causes for _, change in drift.explained] == [("z03_main_2021",)]


def test_a_cause_that_names_the_unit_explains_it() -> None:
    own = KnownChange(
        id="new_default", date=dt.date(2021, 12, 15), kind="system_default", title="t", units=("H3",)
    )
    drift = drift_of(rows_of(1, alone=(3, 36.0), n_stays=4000), KNOWN.with_changes([own]))
    finding = drift.found.findings.row(0, named=True)
    assert (finding["severity"], finding["innocent_explanations"]) == ("information", ["new_default"])


def test_a_shared_change_without_a_known_cause_is_told_as_one_of_all_units() -> None:
    drift = drift_of(rows_of(5, shared=40.0))
    assert drift.found.findings.select("unit_id", "severity").rows() == [("all units", "information")]


def test_what_cannot_be_judged_is_counted_and_order_changes_nothing() -> None:
    rows = rows_of(6)
    odd = pl.DataFrame(
        {
            "unit": ["H0/A", "H0/A", "H9/A", "H0/A", None],
            "time": [START, START, START, None, START],
            "observed": [None, 3.0, 1.0, 1.0, 1.0],
            "expected": [0.1, 0.1, None, 0.1, 0.1],
            "contact_id": [1, 2, 3, 4, 5],
        },
        schema=rows.schema,
    )
    small = rows.head(3).with_columns(unit=pl.lit("H8/A"))
    drift = drift_of(pl.concat([rows, odd, small]).sample(fraction=1.0, shuffle=True, seed=1))
    assert dict(drift.unjudged.iter_rows()) == {
        "a number is counted, not yes or no": 1,
        "not judged by the measure": 1,
        "nothing expected: nobody to compare with": 1,
        "the unit has too few stays for a baseline": 3,
        "time not told": 1,
        "unit not told": 1,
    }
    assert line_of(drift, "H9/A").limit is None
    again = drift_of(pl.concat([small, odd, rows]))
    assert again.lines == drift.lines


def test_stays_before_a_code_was_born_are_not_judged() -> None:
    rows = rows_of(7)
    series = MeasureSeries("k63", "K63.80", rows, ("ICD10-NO//K63.80",))
    birth = KnownChange(
        id="born", date=dt.date(2022, 1, 1), kind="code_birth", title="t", codes=("ICD10-NO//K63.80",)
    )
    drift = drift_findings([series], KnownChanges(changes=(birth,)), SETTINGS)
    n_before = rows.filter(pl.col("time") < dt.datetime(2022, 1, 1)).height
    assert dict(drift.unjudged.iter_rows())["the code did not exist then"] == n_before


def test_nothing_gives_nothing() -> None:
    empty = rows_of(1).clear()
    assert drift_of(empty).lines == ()
    assert drift_of(empty).found.findings.is_empty()


def test_stays_of_one_patient_count_as_the_few_that_they_are() -> None:
    """Five visits a patient, coded alike: the sums vary five times as much as those of independent stays."""
    random = np.random.default_rng(8)
    rows = []
    for number in range(4):
        first = np.repeat(random.uniform(0, 58 * MONTH, 500), 5)
        days = first + random.uniform(0, 45, 2500)
        rows.append(
            pl.DataFrame(
                {
                    "unit": f"H{number}/A",
                    "time": [START + dt.timedelta(days=day) for day in days],
                    "observed": np.repeat(random.random(500) < 0.15, 5).astype(float),
                    "expected": 0.15,
                    "subject_id": np.repeat(np.arange(500), 5) + 500 * number,
                }
            )
        )
    drift = drift_of(pl.concat(rows))
    assert line_of(drift, "H0/A").dispersion == pytest.approx(5.0, abs=0.5)
    assert drift.found.findings.is_empty()
    alone = drift_of(pl.concat(rows).drop("subject_id"))
    assert line_of(alone, "H0/A").dispersion == pytest.approx(1.0, abs=0.05)


def test_change_points_of_a_step_and_of_noise() -> None:
    noise = np.random.default_rng(9).standard_normal((60, 48))
    step = np.where(np.arange(48) >= 20, 2.0, 0.0)
    found = change_points(noise[0] + step, false_alarm_rate=0.05, seed=1)
    assert len(found) == 1
    assert abs(found[0] - 20) <= 1
    alarms = sum(bool(change_points(one, false_alarm_rate=0.05, seed=1)) for one in noise)
    assert alarms / 60 <= 0.12
    assert change_points(noise[0][:5], false_alarm_rate=0.05, seed=1) == []


def test_rules_and_lists_are_known_causes(tmp_path: Path) -> None:
    known = KNOWN.with_rules(load_rules())
    dated = [change for change in known.changes if change.id.startswith("rule_")]
    assert dated
    assert all(change.codes for change in dated)
    wrong = tmp_path / "own.yaml"
    wrong.write_text("changes:\n  - {id: a, date: 2024-01-01, kind: whim, title: t}\n")
    with pytest.raises(ConfigurationError, match="kind"):
        KnownChanges.load(wrong)
