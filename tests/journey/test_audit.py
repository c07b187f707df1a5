"""An audit of a hospital with planted coding errors, through the command line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from openpyxl import load_workbook

from phenotype.coding.findings import FINDING_ITEMS, FINDINGS, RULE_COVERAGE, UNITS
from phenotype.trajectory import CODINGS, CONTACTS
from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import load_scenario
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

Pesta = Callable[..., int]
WITHOUT_MODELS = ("--set", "expected=null", "--set", "money.grouper=toy", "--quiet")
RULE_FAMILIES = {
    "main_swap": "au_25_3262",
    "open_endoscopic": "au_25_3263",
    "place_default": "au_25_3268",
    "leave_equals_stay": "au_17_28390",
    "asterisk_alone": "kv_ast",
}
"""Families of errors that a rule decides alone, and how the ids of their rules begin."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of a hospital with planted errors, subjects by their own numbers, and the truth."""
    folder = tmp_path_factory.mktemp("audited")
    simulate(300, 5, folder / "hospital", load_scenario("coding-errors-5"))
    ingest(
        load_mapping("simulated-hospital"), folder / "hospital" / "extract", folder / "dataset", keep_ids=True
    )
    return folder


@pytest.fixture(scope="module")
def audited(hospital: Path, pesta: Pesta) -> Path:
    out = hospital / "audit"
    assert pesta("audit", "--data", hospital / "dataset", "--out", out, *WITHOUT_MODELS) == 0
    return out


def test_every_table_has_its_columns(audited: Path) -> None:
    for name, schema in (
        ("findings", FINDINGS),
        ("finding_items", FINDING_ITEMS),
        ("units", UNITS),
        ("rule_coverage", RULE_COVERAGE),
    ):
        assert pl.read_parquet_schema(audited / f"{name}.parquet") == schema
    findings = pl.read_parquet(audited / "findings.parquet")
    items = pl.read_parquet(audited / "finding_items.parquet")
    assert findings["finding_id"].is_unique().all()
    assert set(items["finding_id"]) <= set(findings["finding_id"])
    assert findings["probability"].drop_nulls().is_between(0, 1).all()


def test_planted_errors_of_rules_are_found_and_look_alikes_are_not(hospital: Path, audited: Path) -> None:
    truth = pl.read_parquet(hospital / "hospital" / "truth" / "coding_errors.parquet")
    found = pl.read_parquet(audited / "finding_items.parquet").join(
        pl.read_parquet(audited / "findings.parquet").select("finding_id", "rule_id"), on="finding_id"
    )
    for family, rule in RULE_FAMILIES.items():
        of_family = truth.filter(pl.col("family") == family)
        flagged = found.filter(pl.col("rule_id").str.starts_with(rule)).select("contact_id").unique()
        cases = of_family.filter(kind="planted")["error_id"].unique().sort()
        assert cases.len()
        assert (
            of_family.filter(kind="planted")
            .join(flagged, on="contact_id")["error_id"]
            .unique()
            .sort()
            .equals(cases)
        )
        innocent = of_family.filter(pl.col("kind") == "look_alike", ~pl.col("is_error"))
        n_flagged = innocent.join(flagged, on="contact_id")["error_id"].n_unique()
        assert n_flagged <= 0.1 * innocent["error_id"].n_unique(), family


def test_pages_cases_sheets_and_letters_are_there(audited: Path) -> None:
    cases = pl.read_parquet(audited / "cases.parquet")
    assert cases.height
    endings = (".letter.nb.html", ".letter.nb.md", ".letter.en.html", ".letter.en.md")
    for case_id, severity, deviation in cases.select("case_id", "severity", "deviation").iter_rows():
        written = {end for end in endings if (audited / "cases" / f"{case_id}{end}").exists()}
        assert written in (set(), set(endings))
        assert written or severity != "error"
        assert not written or (severity, deviation) != ("review", "within")
        assert all((audited / "cases" / f"{case_id}{ending}").exists() for ending in (".html", ".xlsx"))
    index = (audited / "index.html").read_text("utf-8")
    assert "<script" not in index
    assert "Codes beside what data show" in index


def test_what_was_not_judged_is_counted(audited: Path) -> None:
    coverage = pl.read_parquet(audited / "rule_coverage.parquet")
    without = coverage.filter(pl.col("not_judgeable") > 0)
    assert without.height
    assert without["reason"].null_count() == 0
    assert json.loads((audited / "account.json").read_text("utf-8"))


def test_answers_come_back_and_correct_the_probabilities(audited: Path, hospital: Path, pesta: Pesta) -> None:
    before = pl.read_parquet(audited / "findings.parquet")
    rules = before.filter(pl.col("kind") == "rule").sort("finding_id")
    chosen = rules.filter(pl.col("rule_id") == rules["rule_id"][0]).head(3)
    sheet = hospital / "answers.csv"
    contacts = pl.read_parquet(hospital / "dataset" / "contacts.parquet").select("contact_id", "stay_id")
    items = pl.read_parquet(audited / "finding_items.parquet").unique("finding_id", keep="first")
    chosen.join(items.select("finding_id", "contact_id"), on="finding_id").join(
        contacts, on="contact_id"
    ).select(
        "finding_id",
        "stay_id",
        answer=pl.lit("disagree"),
        reason=pl.lit("the chart says otherwise"),
        reviewer_role=pl.lit("coding adviser"),
        date=pl.lit("2026-03-01"),
    ).write_csv(sheet)
    dataset = hospital / "dataset"
    assert pesta("audit", "--data", dataset, "--out", audited, *WITHOUT_MODELS, "--reviews", sheet) == 0
    after = pl.read_parquet(audited / "findings.parquet").join(
        chosen.select("finding_id"), on="finding_id", how="semi"
    )
    assert (after["probability"] < 0.5).all()
    assert list((audited / "reviews").glob("*.jsonl"))
    manifest = audited / "manifest.json"
    told = json.loads(manifest.read_text("utf-8"))
    manifest.write_text(json.dumps(told | {"code_digest": "of an earlier Pesta"}), "utf-8")
    assert pesta("audit", "--data", dataset, "--out", audited, *WITHOUT_MODELS, "--reviews", sheet) == 0
    assert pesta("audit", "--data", dataset, "--out", audited, *WITHOUT_MODELS) != 0
    manifest.write_text(json.dumps(told), "utf-8")


def test_a_killed_audit_goes_on_and_gives_the_same(audited: Path, hospital: Path, pesta: Pesta) -> None:
    again = hospital / "again"
    dataset = hospital / "dataset"
    assert pesta("audit", "--data", dataset, "--out", again, *WITHOUT_MODELS) == 0
    whole = pl.read_parquet(again / "findings.parquet")
    (again / "findings.parquet").unlink()
    (again / "work" / "rates" / "findings.parquet").unlink()
    assert pesta("audit", "--data", dataset, "--out", again, *WITHOUT_MODELS) == 0
    assert pl.read_parquet(again / "findings.parquet").equals(whole)


def test_another_audit_is_refused_in_the_same_folder(
    audited: Path, hospital: Path, pesta: Pesta, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "audit",
        "--data",
        hospital / "dataset",
        "--out",
        audited,
        *WITHOUT_MODELS,
        "--rules",
        "kv_z03_main",
    )
    assert pesta(*words) != 0
    assert "another audit" in capsys.readouterr().err


def test_a_sheet_holds_text_and_no_formulas(audited: Path) -> None:
    sheet = next((audited / "cases").glob("*.xlsx"))
    cells = [cell for page in load_workbook(sheet) for row in page.iter_rows() for cell in row]
    assert cells
    assert not [cell for cell in cells if cell.data_type == "f"]


@pytest.fixture
def odd(hospital: Path, tmp_path: Path) -> Path:
    """The dataset with a contact without conditions, one that ends before it starts, an unknown system."""
    place = tmp_path / "odd"
    for name in ("data", "metadata"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(hospital / "dataset" / name)
    contacts = pl.read_parquet(hospital / "dataset" / "contacts.parquet").head(400)
    codings = pl.read_parquet(hospital / "dataset" / "codings.parquet").join(
        contacts.select("contact_id"), on="contact_id", how="semi"
    )
    first, second, third = contacts["contact_id"].head(3)
    is_second = pl.col("contact_id") == second
    contacts = contacts.with_columns(
        end_time=pl.when(is_second).then(pl.col("start_time").dt.offset_by("-2d")).otherwise("end_time"),
        unit_id=pl.when(pl.col("contact_id") == third).then(pl.lit("LONELY")).otherwise("unit_id"),
    )
    codings = codings.filter(pl.col("contact_id") != first).with_columns(
        system=pl.when(is_second).then(pl.lit("ICD-1893")).otherwise("system")
    )
    contacts.select(list(CONTACTS)).write_parquet(place / "contacts.parquet")
    codings.select(list(CODINGS)).write_parquet(place / "codings.parquet")
    return place


def test_odd_contacts_are_counted_and_said(odd: Path, tmp_path: Path, pesta: Pesta) -> None:
    out = tmp_path / "audit"
    assert pesta("audit", "--data", odd, "--out", out, *WITHOUT_MODELS) == 0
    coverage = pl.read_parquet(out / "rule_coverage.parquet")
    asked = coverage.filter(pl.col("rule_id") == "kv_z03_main").select(
        pl.col("judged") + pl.col("not_judgeable")
    )
    assert asked.sum().item() == 400
    units = pl.read_parquet(out / "units.parquet").filter(pl.col("unit_id").str.ends_with("/LONELY"))
    assert units.height
    assert not units["is_flagged"].any()


def test_a_dataset_without_codings_is_told(
    odd: Path, tmp_path: Path, pesta: Pesta, capsys: pytest.CaptureFixture[str]
) -> None:
    pl.DataFrame(schema=CODINGS).write_parquet(odd / "codings.parquet")
    assert pesta("audit", "--data", odd, "--out", tmp_path / "audit", *WITHOUT_MODELS) != 0
    assert "no codings to audit" in capsys.readouterr().err


def test_the_index_counts_what_a_measure_judged_once_though_wards_and_hospitals_are_compared(
    audited: Path, hospital: Path
) -> None:
    n_contacts = pl.read_parquet(hospital / "dataset" / "contacts.parquet").height
    row = re.search(
        r"<code>covid_main</code>.*?</tr>", (audited / "index.html").read_text("utf-8"), re.DOTALL
    )
    assert row
    judged, _ = re.findall(r'<td class="n">(.*?)</td>', row[0])
    assert 0 < int("".join(filter(str.isdigit, judged))) <= n_contacts


def test_what_cannot_be_done_is_refused_before_any_work(
    hospital: Path, tmp_path: Path, pesta: Pesta, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = ("--data", hospital / "dataset")
    sheet = tmp_path / "answers.csv"
    sheet.write_text("finding_id;svar\n0123456789abcdef;enig\n", "utf-8")
    assert pesta("audit", *dataset, "--out", tmp_path / "out", *WITHOUT_MODELS, "--reviews", sheet) != 0
    assert "a column is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert pesta("audit", *dataset, "--out", sheet, *WITHOUT_MODELS) != 0
    assert "a file stands where" in capsys.readouterr().err
    before = {file.name for file in (hospital / "dataset").iterdir()}
    assert pesta("audit", *dataset, "--out", hospital / "dataset", *WITHOUT_MODELS) != 0
    assert "something else than an audit" in capsys.readouterr().err
    assert {file.name for file in (hospital / "dataset").iterdir()} == before


def test_codes_of_unknown_contacts_are_counted_in_the_account(
    hospital: Path, tmp_path: Path, pesta: Pesta
) -> None:
    shutil.copytree(hospital / "dataset", tmp_path / "dataset")
    file = tmp_path / "dataset" / "codings.parquet"
    codings = pl.read_parquet(file)
    strangers = codings.head(7).with_columns(contact_id=-pl.col("contact_id") - 1)
    pl.concat([codings, strangers]).write_parquet(file)
    words = ("--data", tmp_path / "dataset", "--out", tmp_path / "out", "--rules", "kv_z03_main")
    parts = [w for part in ("rates", "drift", "agreement", "money") for w in ("--set", f"{part}=null")]
    assert pesta("audit", *words, "--set", "expected=null", *parts, "--quiet") == 0
    account = json.loads((tmp_path / "out" / "account.json").read_text("utf-8"))
    assert account["codes left out of rules: of no contact in contacts.parquet"] == 7
