"""The extract is what a hospital could send: complete, dated, consistent, in real codes, always the same."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from ontology.errors import ConfigurationError
from ontology.release import embedded_ontology
from pipelines.simulate.hospital import simulate

Read = Callable[[str], pl.DataFrame]
TABLES = (
    "blood_cultures", "conditions", "contacts", "deaths", "drugs", "laboratory", "movements", "patients",
    "procedures", "vital_signs",
)  # fmt: skip
TIMES = {
    "contacts": ["innDatoTid", "utDatoTid"],
    "conditions": ["kodet_tid"],
    "procedures": ["startDatoTid"],
    "laboratory": ["sampled_time", "answered_time"],
    "drugs": ["given_time"],
    "vital_signs": ["measured_time"],
    "blood_cultures": ["collected_time", "answered_time"],
}
CODE_LISTS = Path(__file__).parents[5] / "shared" / "kodeverk"
ROOT = Path(__file__).parents[4]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulate(25, seed, tmp_path / name)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert (
        digests(tmp_path / "a")["extract/laboratory.csv"] != digests(tmp_path / "c")["extract/laboratory.csv"]
    )


def test_there_are_as_many_patients_as_asked_for_and_each_was_admitted(table: Read) -> None:
    patients, contacts = table("patients"), table("contacts")
    admitted = contacts.filter(pl.col("omsorgsniva") == 1)
    assert patients.height == 400
    assert patients["patient_id"].is_unique().all()
    assert set(admitted["patient_id"]) == set(patients["patient_id"])


def test_all_tables_are_written(hospital: Path) -> None:
    assert sorted(file.stem for file in (hospital / "extract").iterdir()) == sorted(TABLES)
    assert sorted(file.stem for file in (hospital / "truth").iterdir()) == ["patients", "risks", "stays"]


def test_no_row_stands_twice(table: Read) -> None:
    assert {name: int(table(name).is_duplicated().sum()) for name in TABLES} == dict.fromkeys(TABLES, 0)


def test_everything_happens_between_birth_and_death_and_within_the_extract(table: Read) -> None:
    life = table("patients").join(table("deaths"), on="patient_id", how="left")
    for name, columns in TIMES.items():
        joined = table(name).join(life, on="patient_id", how="left")
        # a culture grows on, and a sample is answered, after the patient has died
        bounded = columns[:1] if "answered_time" in columns else columns
        for column in columns:
            times = joined[column].drop_nulls()
            assert times.min() >= datetime(2016, 1, 1), (name, column)
            assert times.max() < datetime(2026, 1, 1), (name, column)
        for column in bounded:
            late = joined.filter(pl.col(column).dt.date() > pl.col("death_date"))
            early = joined.filter(pl.col(column).dt.date() < pl.col("birth_date"))
            assert (late.height, early.height) == (0, 0), (name, column)


def test_contacts_of_one_stay_follow_within_eight_hours_and_stays_never_overlap(
    table: Read, truth: Read
) -> None:
    stays = truth("stays").select("patient_id", "admitted_time", stay="contact_id").sort("admitted_time")
    inpatient = table("contacts").filter(pl.col("omsorgsniva") == 1).sort("innDatoTid")
    joined = inpatient.join_asof(
        stays, left_on="innDatoTid", right_on="admitted_time", by="patient_id", check_sortedness=False
    ).sort("patient_id", "innDatoTid")
    gap = (pl.col("innDatoTid") - pl.col("utDatoTid").shift()).over("patient_id")
    same = (pl.col("stay") == pl.col("stay").shift()).over("patient_id")
    gaps = joined.with_columns(gap=gap, same=same)
    within = gaps.filter("same")["gap"]
    between = gaps.filter(~pl.col("same"))["gap"].drop_nulls()
    assert within.len() > 100
    assert timedelta(0) <= within.min() <= within.max() < timedelta(hours=8)
    assert between.min() > timedelta(hours=8)


def test_planned_contacts_lie_outside_stays(table: Read) -> None:
    contacts = table("contacts")
    visits = contacts.filter(pl.col("omsorgsniva") > 1).select("patient_id", "innDatoTid", end="utDatoTid")
    stays = contacts.filter(pl.col("omsorgsniva") == 1).select(
        "patient_id", start="innDatoTid", stop="utDatoTid"
    )
    near = visits.join(stays, on="patient_id").filter(
        (pl.col("innDatoTid") < pl.col("stop") + timedelta(hours=8))
        & (pl.col("end") + timedelta(hours=8) > pl.col("start"))
    )
    assert near.height == 0


def test_facts_belong_to_a_contact_of_the_same_patient(table: Read) -> None:
    owners = table("contacts").select("kontakt_id", owner="patient_id")
    for name in ("conditions", "procedures", "laboratory", "drugs", "vital_signs", "blood_cultures"):
        joined = table(name).join(owners, on="kontakt_id", how="left")
        assert joined["owner"].null_count() == 0, name
        assert (joined["owner"] == joined["patient_id"]).all(), name


def test_results_are_known_after_the_sample_and_diagnoses_at_discharge(table: Read) -> None:
    laboratory, cultures = table("laboratory"), table("blood_cultures").drop_nulls("answered_time")
    assert (laboratory["answered_time"] >= laboratory["sampled_time"]).all()
    growth = cultures.filter(result="vekst")
    none = cultures.filter(result="ingen vekst")
    assert (growth["answered_time"] > growth["collected_time"]).all()
    assert growth["organism"].null_count() == 0
    assert ((none["answered_time"] - none["collected_time"]) == timedelta(days=5)).all()
    ends = table("contacts").select("kontakt_id", "utDatoTid")
    coded = table("conditions").join(ends, on="kontakt_id")
    assert (coded["kodet_tid"] == coded["utDatoTid"]).all()


def test_every_ended_contact_has_one_main_condition_and_groups_count_from_one(table: Read) -> None:
    ended = table("contacts").drop_nulls("utDatoTid")
    conditions = table("conditions").sort("kontakt_id", "tilstNr", "kodeNr")
    main = conditions.filter((pl.col("tilstNr") == 1) & (pl.col("kodeNr") == 1))
    assert sorted(main["kontakt_id"]) == sorted(ended["kontakt_id"])
    groups = conditions.group_by("kontakt_id").agg(
        top=pl.col("tilstNr").max(), n=pl.col("tilstNr").n_unique()
    )
    codes = conditions.group_by("kontakt_id", "tilstNr").agg(top=pl.col("kodeNr").max(), n=pl.len())
    assert (groups["top"] == groups["n"]).all()
    assert (codes["top"] == codes["n"]).all()


def test_an_asterisk_code_stands_second_in_the_group_of_its_cause(table: Read) -> None:
    conditions = table("conditions")
    asterisk = conditions.filter(pl.col("kodeVerdi").str.contains("^(F00|N08)"))
    first = conditions.filter(pl.col("kodeNr") == 1).select("kontakt_id", "tilstNr", cause="kodeVerdi")
    joined = asterisk.join(first, on=["kontakt_id", "tilstNr"], how="left")
    assert asterisk.height > 20
    assert (asterisk["kodeNr"] == 2).all()
    assert set(joined.select("cause", "kodeVerdi").unique().rows()) == {("G309", "F009"), ("E112", "N083")}


def test_men_have_no_code_of_women_and_women_none_of_men(table: Read) -> None:
    coded = table("conditions").join(table("patients"), on="patient_id")
    assert coded.filter((pl.col("kodeVerdi") == "C61") & (pl.col("kjonn") == 2)).height == 0
    assert coded.filter(pl.col("kodeVerdi") == "C61").height > 0


def test_windows_of_residence_cover_every_stay_and_end_with_death(table: Read) -> None:
    windows = table("movements").sort("patient_id", "from_time")
    contacts = table("contacts").select("patient_id", "innDatoTid")
    covered = contacts.join(windows, on="patient_id").filter(
        pl.col("innDatoTid").is_between("from_time", "to_time")
    )
    assert covered.select("patient_id", "innDatoTid").unique().height == contacts.unique().height
    assert (windows["from_time"] < windows["to_time"]).all()
    last = windows.group_by("patient_id", maintain_order=True).last()
    ended = last.join(table("deaths"), on="patient_id").filter(reason="død")
    assert ended.height > 50
    assert (ended["to_time"].dt.date() == ended["death_date"]).all()


def test_codes_are_in_the_norwegian_lists_on_the_day_they_are_used(table: Read) -> None:
    if not CODE_LISTS.is_dir():
        pytest.skip(f"no code lists at {CODE_LISTS}")

    def codes(file: str, column: str = "code", delimiter: str = "\t") -> list[dict[str, str]]:
        text = (CODE_LISTS / file).read_text("utf-8-sig", errors="replace")
        return [row | {"code": row[column]} for row in csv.DictReader(text.splitlines(), delimiter=delimiter)]

    old = {
        row["code"] for row in codes("skde-sas-codes/flat/icd10_no.tsv") if row["last_list_year"] == "2017"
    }
    new = {
        row["code"]
        for row in codes("navikt-diagnosekoder/icd10_no_2023_2026.tsv")
        if row["first_list_year"] == "2023" and row["last_list_year"] == "2026"
    }
    assert set(table("conditions")["kodeVerdi"]) <= old & new
    for letter, name in (("K", "ncsp"), ("M", "ncmp")):
        listed = {
            row["code"]
            for row in codes(f"skde-sas-codes/flat/{name}_no.tsv")
            if row["last_list_year"] == "2017"
        }
        assert set(table("procedures").filter(kodeverk=letter)["kodeVerdi"]) <= listed
    nlk = {row["code"]: row for row in codes("nlk/norsk_laboratoriekodeverk_7280.77.csv", "kode", ",")}
    used = table("laboratory").group_by("nlk").agg(pl.col("unit").unique(), pl.col("sampled_time").min())
    for code, units, first in used.rows():
        assert nlk[code]["gyldig_til"] == ""
        assert first >= datetime.fromisoformat(nlk[code]["gyldig_fra"])
        assert units == [nlk[code]["enhet"] or "1"]


def test_every_code_has_a_label_of_its_own(table: Read) -> None:
    labels = yaml.safe_load((ROOT / "configs" / "labels" / "simulated.yaml").read_text("utf-8"))["codes"]
    plain = {code.replace(".", "") for code in labels}
    procedures = table("procedures").with_columns(
        system=pl.col("kodeverk").replace({"K": "NCSP", "M": "NCMP"})
    )
    used = {f"ICD10-NO//{code}" for code in table("conditions")["kodeVerdi"]}
    used |= {f"NLK//{code}" for code in table("laboratory")["nlk"]}
    used |= {f"ATC//{code}" for code in table("drugs")["atc"]}
    used |= {f"{system}//{code}" for system, code in procedures.select("system", "kodeVerdi").rows()}
    assert used - plain == set()


@pytest.mark.parametrize(("n_patients", "seed", "n_faults"), [(0, 1, 1), (5, -1, 1), (-3, -1, 2)])
def test_impossible_sizes_are_refused_all_at_once(
    tmp_path: Path, n_patients: int, seed: int, n_faults: int
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        simulate(n_patients, seed, tmp_path)
    assert len(refusal.value.problems) == n_faults
    assert not any(tmp_path.iterdir())


def test_one_patient_is_enough(tmp_path: Path) -> None:
    simulate(1, 3, tmp_path)
    assert pl.read_csv(tmp_path / "extract" / "patients.csv").height == 1


def test_every_diagnosis_has_a_chapter_in_the_ontology_that_needs_no_file(table: Read) -> None:
    written = table("conditions")["kodeVerdi"].unique().sort()
    codes = pl.Series([f"ICD10-NO//{code}" for code in written])
    assert embedded_ontology().roll_up(codes, "ICD10//chapter").null_count() == 0


def test_nothing_of_what_comes_after_the_extract_is_in_it(tmp_path: Path) -> None:
    simulate(1500, 1, tmp_path)
    for file in sorted((tmp_path / "extract").glob("*.csv")):
        rows = pl.read_csv(file, infer_schema_length=0)
        for column in TIMES.get(file.stem, []):
            latest = rows[column].drop_nulls().max()
            assert str(latest)[:10] <= "2026-01-01", f"{file.stem}.{column}"
    deaths = pl.read_csv(tmp_path / "extract" / "deaths.csv")
    assert str(deaths["registered_date"].max()) < "2026-01-01"
