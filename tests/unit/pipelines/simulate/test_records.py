"""Records show what the truth says, as imperfectly as intended: coding, cultures, signs and tests."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import polars as pl
import pytest

from pipelines.simulate.hospital import simulate

EXPLICIT = "^(A40|A41|B377|R572|R651)"
SKIN = "epidermidis|hominis|Cutibacterium|Micrococcus"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    simulate(2000, 21, folder)
    return folder


@lru_cache
def read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(folder / "extract" / f"{name}.csv", try_parse_dates=True, infer_schema_length=100_000)


@pytest.fixture(scope="module")
def stays(large: Path) -> pl.DataFrame:
    """The truth's stays with all contacts of each."""
    contacts = read(large, "contacts").filter(pl.col("omsorgsniva") == 1).sort("innDatoTid")
    stays = pl.read_parquet(large / "truth" / "stays.parquet").sort("admitted_time")
    return contacts.select("kontakt_id", "patient_id", "innDatoTid").join_asof(
        stays.drop("reason"),
        left_on="innDatoTid",
        right_on="admitted_time",
        by="patient_id",
        check_sortedness=False,
    )


def test_explicit_codes_find_a_third_of_sepsis_and_four_in_five_of_them_are_right(
    large: Path, stays: pl.DataFrame
) -> None:
    # Schwarzkopf 2024: sensitivity 26.8-38 %, positive predictive value 76.9-85.7 %
    coded = read(large, "conditions").filter(pl.col("kodeVerdi").str.contains(EXPLICIT))["kontakt_id"]
    each = stays.group_by("contact_id").agg(
        septic=(pl.col("sepsis") != "none").first(), coded=pl.col("kontakt_id").is_in(coded.implode()).any()
    )
    n_septic = each["septic"].sum()
    sensitivity = each.filter("septic")["coded"].mean()
    predictive = each.filter("coded")["septic"].mean()
    assert n_septic > 400
    assert 0.268 < sensitivity < 0.40
    assert 0.75 < predictive < 0.87


def test_pathogens_grow_near_the_onset_only_and_skin_bacteria_at_any_time(
    large: Path, stays: pl.DataFrame
) -> None:
    cultures = read(large, "blood_cultures").drop_nulls("organism").join(stays, on="kontakt_id")
    pathogens = cultures.filter(~pl.col("organism").str.contains(SKIN))
    after = (pathogens["collected_time"] - pathogens["onset_time"]).dt.total_hours()
    assert pathogens.height > 120
    assert pathogens["onset_time"].null_count() == 0
    assert after.min() >= -2
    assert after.max() <= 48
    assert (pathogens["organism"] == pathogens["organism_right"]).all()
    assert cultures.filter(pl.col("organism").str.contains(SKIN) & (pl.col("sepsis") == "none")).height > 20


def test_signs_and_tests_answer_sepsis(large: Path, stays: pl.DataFrame) -> None:
    onset = stays.filter(pl.col("sepsis") == "late").select("kontakt_id", "onset_time", "response")
    signs = read(large, "vital_signs").join(onset, on="kontakt_id")
    hours = (pl.col("measured_time") - pl.col("onset_time")).dt.total_minutes() / 60
    before = signs.filter(hours.is_between(-48, -18)).mean()
    during = signs.filter(hours.is_between(3, 20)).mean()
    assert during["heart_rate"][0] > before["heart_rate"][0] + 8
    assert during["respiratory_rate"][0] > before["respiratory_rate"][0] + 2
    assert during["systolic_bp"][0] < before["systolic_bp"][0] - 8
    blunted = pl.col("response") < 0.6
    hot = signs.filter(hours.is_between(3, 20)).group_by(blunted=blunted).agg(pl.col("temperature").mean())
    fever = dict(hot.rows())
    assert fever[False] > fever[True] + 0.3
    tests = read(large, "laboratory").join(onset, on="kontakt_id")
    gone = (pl.col("sampled_time") - pl.col("onset_time")).dt.total_minutes() / 60
    crp = tests.filter(pl.col("nlk") == "NPU19748")
    assert (
        crp.filter(gone.is_between(12, 60))["value"].median() > 3 * crp.filter(gone < -18)["value"].median()
    )


def test_lactate_is_ordered_more_often_for_the_septic(large: Path, stays: pl.DataFrame) -> None:
    tests = read(large, "laboratory").join(stays.select("kontakt_id", "sepsis"), on="kontakt_id")
    share = tests.group_by(septic=pl.col("sepsis") != "none").agg(
        (pl.col("nlk") == "NPU18325").sum() / (pl.col("nlk") == "NOR05172").sum()
    )
    lactate = dict(share.rows())
    assert lactate[True] > 1.3 * lactate[False]


def test_no_hba1c_before_its_code_was_valid(large: Path) -> None:
    hba1c = read(large, "laboratory").filter(pl.col("nlk") == "NPU27300")
    assert str(hba1c["sampled_time"].min()) >= "2017-11-24"
