"""Every planted error is in the extract and in the truth; look-alikes are no errors; nothing else changes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from phenotype.trajectory import open_dataset
from pipelines.simulate.coding_errors import FAMILIES
from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import load_scenario
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

N_PATIENTS, SEED = 700, 5
SCENARIO = """
based_on: coding-errors-1
name: given
coding_errors:
  n_look_alikes: 3
  honest_under_coding: 0.1
  families: [
    {family: main_swap, rate: 0.01, from_date: 2024-01-01},
    {family: open_endoscopic, rate: 0.01, from_date: 2024-01-01},
    {family: once_only, rate: 0.01, from_date: 2024-01-01},
    {family: place_default, rate: 0.01, from_date: 2024-01-01},
    {family: stay_splitting, rate: 0.01, from_date: 2024-01-01},
    {family: leave_equals_stay, rate: 0.01, from_date: 2024-01-01},
    {family: double_sepsis, rate: 0.01, from_date: 2024-01-01},
    {family: z03_u07_main, rate: 0.01, hospitals: [Nidelv universitetssykehus], from_date: 2024-07-01},
    {family: asterisk_alone, rate: 0.01, from_date: 2024-01-01},
    {family: retired_code, rate: 0.01, from_date: 2024-01-01},
    {family: dropped_secondary, rate: 0.01, from_date: 2024-01-01},
    {family: added_secondary, rate: 0.01, units: [MED], from_date: 2024-01-01}]
"""
Read = Callable[[str], pl.DataFrame]
CATEGORIES = {
    "diabetes": ("E11",), "copd": ("J44",), "heart_failure": ("I50",), "ckd": ("N18",),
    "dementia": ("F03", "G30"), "immunosuppression": ("M05", "D84"), "liver": ("K74", "K70"),
    "cancer": ("C50", "C61", "C18", "C34", "C83", "C90", "C91"),
}  # fmt: skip
ENDOSCOPIC, SPINE = ("JKE02", "JKE12", "JKE18"), ("ABC16", "ABC21", "ABC36", "ABC56")
DAGGERS = {"H360": "E113", "G632": "E114", "N083": "E112", "F009": "G309"}
AT_EXTRACT = datetime(2026, 1, 1)
RETIRED = ("GAGX05", "TNB0AT", "TNG0AT")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coding-errors")
    file = out / "given.yaml"
    file.write_text(SCENARIO, "utf-8")
    simulate(N_PATIENTS, SEED, out, load_scenario(file))
    return out


@pytest.fixture(scope="module")
def truth(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "coding_errors.parquet")


def cases(truth: pl.DataFrame, family: str, *, is_error: bool) -> pl.DataFrame:
    kind = "planted" if is_error else "look_alike"
    found = truth.filter(family=family, kind=kind)
    assert found.height
    assert (found["is_error"] == is_error).all()
    return found


def groups(read: Read, contact: int) -> list[list[str]]:
    rows = read("conditions").filter(kontakt_id=contact).sort("tilstNr", "kodeNr")
    return rows.group_by("tilstNr", maintain_order=True).agg("kodeVerdi")["kodeVerdi"].to_list()


def done(read: Read, contact: int) -> list[tuple[str, object]]:
    return read("procedures").filter(kontakt_id=contact).select("kodeVerdi", "startDatoTid").rows()


def fact(read: Read, contact: int, name: str) -> int | None:
    found = read("contact_facts").filter(kontakt_id=contact, name=name)["value"]
    return int(found[0]) if len(found) else None


def is_spine_error(read: Read, contact: int) -> bool:
    return groups(read, contact)[0][0].startswith("M541") and any(
        code in SPINE for code, _ in done(read, contact)
    )


def is_endoscopic_error(read: Read, contact: int) -> bool:
    procedures = done(read, contact)
    days = {time.date() for code, time in procedures if code in ENDOSCOPIC}
    opened = {time.date() for code, time in procedures if code == "JKE00"}
    return bool(days & opened) and "JAH00" not in dict(procedures)


def is_place_error(read: Read, contact: int) -> bool:
    return done(read, contact)[0][0] == "OADC00" and fact(read, contact, "stedAktivitet") == 1


def is_leave_error(read: Read, contact: int) -> bool:
    start, end = read("contacts").filter(kontakt_id=contact).select("innDatoTid", "utDatoTid").row(0)
    n_nights = (end.date() - start.date()).days
    return n_nights <= 3 and fact(read, contact, "permisjonsdogn") == n_nights > 0


def is_main_error(read: Read, contact: int) -> bool:
    return groups(read, contact)[0][0][:3] in ("Z03", "U07") or groups(read, contact)[0][0] == "U099"


def is_double_error(read: Read, contact: int) -> bool:
    coded = groups(read, contact)
    flat = {code for group in coded for code in group}
    first = [group[0] for group in coded]
    named = {("A403", "J13"), ("A415", "N10"), ("A415", "K830"), ("A400", "L031")}
    sepsis = {code for code in flat if code[:3] in ("A40", "A41")}
    of_devices = flat & {"T814", "T802", "T827"}
    by_organism = any((code, focus) in named for code in sepsis for focus in first)
    return bool(sepsis) and not of_devices and not by_organism and len(set(first) - sepsis) > 0


def is_asterisk_error(read: Read, contact: int) -> bool:
    return any(
        star in group and dagger not in group
        for group in groups(read, contact)
        for star, dagger in DAGGERS.items()
    )


def is_retired_error(read: Read, contact: int) -> bool:
    end = read("contacts").filter(kontakt_id=contact)["utDatoTid"][0]
    late = any(code in RETIRED and time.year > 2024 for code, time in done(read, contact))
    return late or (any("K6380" in group for group in groups(read, contact)) and end.year < 2025)


BROKEN = {
    "main_swap": is_spine_error,
    "open_endoscopic": is_endoscopic_error,
    "place_default": is_place_error,
    "leave_equals_stay": is_leave_error,
    "z03_u07_main": is_main_error,
    "double_sepsis": is_double_error,
    "asterisk_alone": is_asterisk_error,
    "retired_code": is_retired_error,
}


def test_every_family_is_planted_with_three_look_alikes_for_each_error(truth: pl.DataFrame) -> None:
    counts = truth.filter(pl.col("kind") != "honest").unique("error_id").group_by("family", "is_error").len()
    by_family = {(family, is_error): n for family, is_error, n in counts.iter_rows()}
    assert {family for family, _ in by_family} == set(FAMILIES)
    for family in FAMILIES:
        assert by_family[family, False] == pytest.approx(3 * by_family[family, True], abs=4)


@pytest.mark.parametrize("family", BROKEN)
def test_the_extract_holds_each_error_and_no_look_alike_is_one(
    read: Read, truth: pl.DataFrame, family: str
) -> None:
    for is_error in (True, False):
        for contact in cases(truth, family, is_error=is_error)["contact_id"].unique():
            assert BROKEN[family](read, contact) == is_error


def test_a_whole_assessment_is_coded_twice_within_half_a_year_in_errors_only(
    read: Read, truth: pl.DataFrame
) -> None:
    coded = read("procedures").filter(kodeVerdi="IAAK00")
    for is_error in (True, False):
        for _, case in cases(truth, "once_only", is_error=is_error).group_by("error_id"):
            times = coded.filter(pl.col("kontakt_id").is_in(case["contact_id"].implode()))["startDatoTid"]
            near = len(times) > 1 and times.max() - times.min() < timedelta(days=180)
            assert near == is_error


def test_a_planned_stay_is_cut_in_two_by_a_night_at_home_in_errors_only(
    read: Read, truth: pl.DataFrame
) -> None:
    contacts = read("contacts")
    for is_error in (True, False):
        for _, case in cases(truth, "stay_splitting", is_error=is_error).group_by("error_id"):
            rows = contacts.filter(pl.col("kontakt_id").is_in(case["contact_id"].implode())).sort(
                "innDatoTid"
            )
            first, second = rows.rows(named=True)
            main = [groups(read, row["kontakt_id"])[0][0] for row in (first, second)]
            gap = second["innDatoTid"] - first["utDatoTid"]
            assert gap > timedelta(hours=8)
            is_cut = gap <= timedelta(hours=24) and second["innmateHast"] == 4 and main[0] == main[1]
            assert is_cut == is_error


def test_dropped_conditions_are_true_and_not_coded_and_look_alikes_have_not_got_them(
    folder: Path, read: Read, truth: pl.DataFrame
) -> None:
    onset, injured = patients_with(folder), kidney_injuries(read)
    for is_error in (True, False):
        for row in cases(truth, "dropped_secondary", is_error=is_error).iter_rows(named=True):
            assert row["code"] is None
            category = row["right_code"].removeprefix("ICD10-NO//")[:3]
            assert category not in {
                code[:3] for group in groups(read, row["contact_id"])[1:] for code in group
            }
            assert has(onset, injured, row, category) == is_error


def test_added_conditions_are_coded_and_not_true_and_look_alikes_are_true(
    folder: Path, read: Read, truth: pl.DataFrame
) -> None:
    onset, injured = patients_with(folder), kidney_injuries(read)
    for is_error in (True, False):
        for row in cases(truth, "added_secondary", is_error=is_error).iter_rows(named=True):
            bare = row["code"].removeprefix("ICD10-NO//").replace(".", "")
            assert groups(read, row["contact_id"])[row["group_no"] - 1][row["code_no"] - 1] == bare
            assert has(onset, injured, row, bare[:3]) != is_error


def patients_with(folder: Path) -> dict[int, dict[str, object]]:
    rows = pl.read_parquet(folder / "truth" / "patients.parquet").iter_rows(named=True)
    return {row["patient_id"]: row for row in rows}


def kidney_injuries(read: Read) -> set[int]:
    """The contacts at whose stays creatinine was 1.5 times what it was within seven days, counted by hand."""
    contacts = read("contacts").filter(omsorgsniva=1).sort("patient_id", "innDatoTid")
    values: dict[int, list[tuple[datetime, float]]] = {}
    for patient, time, value in (
        read("laboratory").filter(nlk="NPU04998").select("patient_id", "sampled_time", "value").iter_rows()
    ):
        values.setdefault(patient, []).append((time, value))
    found, stay, reached, owner = set(), [], AT_EXTRACT, -1
    for row in [*contacts.iter_rows(named=True), None]:
        goes_on = row and row["patient_id"] == owner and row["innDatoTid"] <= reached + timedelta(hours=8)
        if not goes_on and stay:
            inside = [one for one in values.get(owner, []) if stay[0]["innDatoTid"] <= one[0] <= reached]
            if any(
                high >= 1.5 * low and abs(at - when) <= timedelta(days=7)
                for at, high in inside
                for when, low in inside
            ):
                found.update(one["kontakt_id"] for one in stay)
        if row:
            stay = [*stay, row] if goes_on else [row]
            end = row["utDatoTid"] or AT_EXTRACT
            reached, owner = max(reached, end) if goes_on else end, row["patient_id"]
    return found


def has(
    onset: dict[int, dict[str, object]], injured: set[int], row: dict[str, object], category: str
) -> bool:
    if category == "N17":
        return row["contact_id"] in injured
    disease = next(name for name, categories in CATEGORIES.items() if category in categories)
    start = onset[row["patient_id"]][f"{disease}_onset_date"]
    return start is not None and start <= row["time"].date()


def test_kidney_injury_is_coded_beside_where_creatinine_shows_it_or_the_truth_says_otherwise(
    read: Read, truth: pl.DataFrame
) -> None:
    injured = kidney_injuries(read)
    coded = read("conditions").filter(kodeVerdi="N179").filter(pl.col("tilstNr") > 1)
    about = truth.filter(pl.coalesce("code", "right_code") == "ICD10-NO//N17.9")
    added = set(about.filter(family="added_secondary", is_error=True)["contact_id"])
    assert coded.height
    assert set(coded["kontakt_id"]) - injured == added


def test_errors_stand_where_and_when_the_plan_says(truth: pl.DataFrame) -> None:
    planted = truth.filter(kind="planted")
    assert planted["time"].dt.year().min() >= 2024
    of_hospital = planted.filter(family="z03_u07_main")
    assert of_hospital["hospital_id"].unique().to_list() == ["Nidelv universitetssykehus"]
    assert of_hospital["time"].dt.date().min() >= date(2024, 7, 1)
    assert planted.filter(family="added_secondary")["unit_id"].unique().to_list() == ["MED"]


def test_honest_omissions_are_a_tenth_of_what_is_true(truth: pl.DataFrame, read: Read) -> None:
    honest = truth.filter(kind="honest")
    assert honest["is_error"].all()
    assert honest["code"].is_null().all()
    coded = read("conditions").filter(pl.col("tilstNr") > 1).height
    assert 0.06 < honest.height / (honest.height + coded) < 0.14


def test_codes_are_where_the_truth_points(read: Read, truth: pl.DataFrame) -> None:
    pointed = truth.filter(pl.col("group_no").is_not_null(), pl.col("code").is_not_null())
    conditions = read("conditions").select(
        contact_id="kontakt_id",
        group_no=pl.col("tilstNr").cast(pl.Int32),
        code_no=pl.col("kodeNr").cast(pl.Int32),
        coded="kodeVerdi",
    )
    joined = pointed.join(conditions, on=["contact_id", "group_no", "code_no"], how="left")
    bare = joined["code"].str.strip_prefix("ICD10-NO//").str.replace(".", "", literal=True)
    assert bare.equals(joined["coded"].alias("code"))


def test_what_is_not_about_coding_errors_is_as_without_them(folder: Path, read: Read, tmp_path: Path) -> None:
    file = tmp_path / "without.yaml"
    file.write_text("{based_on: coding-errors-1, name: without, coding_errors: null}", "utf-8")
    simulate(N_PATIENTS, SEED, tmp_path, load_scenario(file))
    assert not (tmp_path / "extract" / "contact_facts.csv").exists()
    assert not (tmp_path / "truth" / "coding_errors.parquet").exists()
    for name in ("laboratory", "vital_signs", "blood_cultures", "deaths"):
        assert (tmp_path / "extract" / f"{name}.csv").read_bytes() == (
            folder / "extract" / f"{name}.csv"
        ).read_bytes()
    for name in ("patients", "contacts", "movements", "drugs"):
        alone = (tmp_path / "extract" / f"{name}.csv").read_bytes()
        assert (folder / "extract" / f"{name}.csv").read_bytes().startswith(alone)


def test_added_care_touches_no_other_contact_and_no_dead_patient(read: Read) -> None:
    rows = read("contacts").sort("patient_id", "innDatoTid")
    gap = rows.select(
        (pl.col("innDatoTid") - pl.col("utDatoTid").shift(1).over("patient_id")).alias("gap"),
        is_added=pl.col("enhet").is_in(["NKIR", "GAS", "NPSY", "BARN", "REV", "OYE", "REH"]),
    ).filter("is_added")
    assert gap["gap"].drop_nulls().min() > timedelta(hours=8)
    late = rows.join(read("deaths"), on="patient_id").filter(
        pl.col("innDatoTid").dt.date() > pl.col("death_date")
    )
    assert late.height == 0


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    simulate(N_PATIENTS, SEED, tmp_path, load_scenario(folder / "given.yaml"))
    for file in sorted((folder / "extract").glob("*.csv")):
        assert (tmp_path / "extract" / file.name).read_bytes() == file.read_bytes()
    name = Path("truth") / "coding_errors.parquet"
    assert pl.read_parquet(tmp_path / name).equals(pl.read_parquet(folder / name))


def test_the_mapping_takes_facts_and_codes_in(folder: Path, truth: pl.DataFrame, tmp_path: Path) -> None:
    ingest(load_mapping("simulated-hospital"), folder, tmp_path / "out", n_shards=1, keep_ids=True)
    dataset = open_dataset(tmp_path / "out")
    assert dataset.contacts()["contact_id"].is_in(truth["contact_id"].implode()).sum() == len(
        truth["contact_id"].unique()
    )
    codes = set(dataset.events().select("code").unique().collect()["code"])
    assert {"NPR_STEDAKTIVITET//1", "NPR_STEDAKTIVITET//2", "NPR_KONTAKTTYPE//2", "NPR//leave_days"} <= codes
    assert {"NCMP//GAGX05", "NCRP//TNX0YT", "NCSP//JKE00"} <= codes


def test_all_forms_hold_the_same_codes(tmp_path: Path) -> None:
    forms = ("extract", "npr", "fhir", "omop")
    simulate(40, SEED, tmp_path / "out", load_scenario("coding-errors-5"), forms=forms)
    counts = {}
    for form in forms:
        mapping = "simulated-hospital" if form == "extract" else f"simulated-hospital-{form}"
        ingest(load_mapping(mapping), tmp_path / "out" / form, tmp_path / form, n_shards=1)
        codings = open_dataset(tmp_path / form).codings()
        counts[form] = codings.group_by("system").len().sort("system").rows()
    assert {system for system, _ in counts["extract"]} == {"ICD10-NO", "NCMP", "NCRP", "NCSP"}
    assert all(found == counts["extract"] for found in counts.values())


@pytest.mark.parametrize(
    ("plan", "what"),
    [
        ("{families: [{family: typo, rate: 0.01}]}", "typo"),
        ("{families: [{family: main_swap, rate: 0.9}]}", "rate"),
        ("{families: [{family: main_swap, rate: 0.01, units: [MED]}]}", "unit of its own"),
        ("{families: [{family: z03_u07_main, rate: 0.01, hospitals: [Nowhere]}]}", "Nowhere"),
        ("{families: [{family: z03_u07_main, rate: 0.01, from_date: 2027-01-01}]}", "from_date"),
    ],
)
def test_a_faulty_plan_is_refused_with_its_fault(tmp_path: Path, plan: str, what: str) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(textwrap.dedent(f"{{based_on: default, name: given, coding_errors: {plan}}}"), "utf-8")
    with pytest.raises(ConfigurationError, match=what):
        load_scenario(file)


def test_twins_and_coding_errors_go_not_together(tmp_path: Path) -> None:
    file = tmp_path / "given.yaml"
    file.write_text("{based_on: twins, name: given, coding_errors: {}}", "utf-8")
    with pytest.raises(ConfigurationError, match="twin"):
        load_scenario(file)


@pytest.mark.parametrize(
    "name",
    [
        "coding-errors-1",
        "coding-errors-5",
        "coding-errors-tuning",
        "coding-clean",
        "coding-sepsis-practice",
    ],
)
def test_every_shipped_scenario_of_coding_control_is_valid(name: str) -> None:
    assert load_scenario(name).name == name
