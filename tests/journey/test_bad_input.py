"""Each kind of bad input has its own message or its own counted reason, and nothing is lost on the way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from experiments.config import RunConfig
from ontology.errors import ConfigurationError, InputError, RejectsError, TaskError
from phenotype.checking import check_dataset
from phenotype.trajectory import open_dataset
from pipelines.progress import Progress
from pipelines.run import run_experiment
from pipelines.sources.extract import ingest, load_mapping

MAPPING = """
name: small-ward
title: two tables of one ward
max_reject_share: 1.0
subjects: {table: patients, column: id}
tables:
  patients:
    files: patients.csv
    unique: [id]
    subject: "{id}"
    events:
      - {time: born, code: MEDS_BIRTH}
      - {time: static, code: {text: "{sex}", map: {F: SEX//female, M: SEX//male}}}
  labs:
    files: labs.csv
    subject: "{id}"
    events:
      - {time: taken, code: "LAB//{test}", value: value}
"""
PATIENTS = "id,born,sex\n101,1950-01-01,F\n102,1960-01-01,M\n103,1970-01-01,F\n"
LABS = [
    "101,2020-01-01 08:00:00,sodium,140",
    "102,2020-01-01 08:00:00,sodium,139",
    "103,2020-01-01 08:00:00,sodium,138",
]
HEADER = "id,taken,test,value"


class Ward:
    """A source folder with its mapping, to break one thing in."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.out = folder / "dataset"
        self.mapping_file = folder / "small-ward.yaml"
        self.mapping_file.write_text(MAPPING, encoding="utf-8")
        (self.source / "patients.csv").write_text(PATIENTS, encoding="utf-8")
        self.labs(*LABS)

    def labs(self, *rows: str, header: str = HEADER) -> None:
        (self.source / "labs.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")

    def remap(self, old: str, new: str) -> None:
        text = self.mapping_file.read_text("utf-8")
        assert old in text
        self.mapping_file.write_text(text.replace(old, new), encoding="utf-8")

    def ingest(self, quarantine: Path | None = None) -> dict[str, dict[str, object]]:
        """The account of each file, by name, as ingest.json has it."""
        ingest(load_mapping(self.mapping_file), self.source, self.out, quarantine=quarantine)
        assert check_dataset(self.out) == []
        content = json.loads((self.out / "ingest.json").read_text("utf-8"))
        return {entry["file"]: entry for entry in content["files"]}

    def rejected(self) -> list[tuple[str, int, str, str]]:
        return pl.read_parquet(self.out / "rejected.parquet").select("file", "row", "field", "reason").rows()

    def codes(self) -> list[str]:
        return open_dataset(self.out).events().collect()["code"].to_list()


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)


def test_a_sound_ward_is_taken_whole(ward: Ward) -> None:
    account = ward.ingest()
    assert [(entry["rows_read"], entry["rows_used"]) for entry in account.values()] == [(3, 3), (3, 3)]
    assert sorted(ward.codes()) == sorted(
        ["LAB//sodium"] * 3 + ["MEDS_BIRTH"] * 3 + ["SEX//female"] * 2 + ["SEX//male"]
    )
    assert ward.rejected() == []


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("101,31.12.2020 kl 8,sodium,141", "time", "unparsable time"),
        ("101,,sodium,141", "time", "no time"),
        ("101,1949-12-31 23:59:59,sodium,141", "time", "time before birth"),
        ("101,0020-01-01 08:00:00,sodium,141", "time", "time out of range"),
        ("999,2020-01-01 08:00:00,sodium,141", "subject", "unknown subject"),
        (",2020-01-01 08:00:00,sodium,141", "subject", "no subject"),
        (LABS[0], "", "duplicate row"),
        ("101,2020-01-01 08:00:00,sodium,abc", "value", "not a number"),
        ("101,2020-01-01 08:00:00,sodium,inf", "value", "not a number"),
        ("101,2020-01-01 08:00:00,,141", "code", "empty code"),
        ("101,2020-01-01 08:00:00,sodium,141,7", "", "too many fields"),
    ],
)
def test_a_bad_row_is_rejected_for_its_own_reason(ward: Ward, row: str, field: str, reason: str) -> None:
    ward.labs(*LABS, row)
    account = ward.ingest()["labs.csv"]
    assert (account["rows_read"], account["rows_used"], account["rows_rejected"]) == (4, 3, {reason: 1})
    assert ward.rejected() == [("labs.csv", 4, field, reason)]


def test_a_rejected_row_is_found_by_its_byte(ward: Ward) -> None:
    ward.labs(LABS[0], "102,2020-01-01 08:00:00,sodium,abc", LABS[2])
    ward.ingest()
    offset = pl.read_parquet(ward.out / "rejected.parquet")["byte_offset"].item()
    assert (
        (ward.source / "labs.csv").read_bytes()[offset:].startswith(b"102,2020-01-01 08:00:00,sodium,abc\n")
    )


def test_two_patients_with_one_id_are_both_rejected_and_so_is_what_is_said_of_them(ward: Ward) -> None:
    (ward.source / "patients.csv").write_text(PATIENTS + "101,1985-05-05,M\n", encoding="utf-8")
    account = ward.ingest()
    assert account["patients.csv"]["rows_rejected"] == {"one id, different facts": 2}
    assert account["labs.csv"]["rows_rejected"] == {"unknown subject": 1}


def test_the_same_patient_twice_is_one_patient(ward: Ward) -> None:
    (ward.source / "patients.csv").write_text(PATIENTS + "101,1950-01-01,F\n", encoding="utf-8")
    account = ward.ingest()
    assert account["patients.csv"]["rows_rejected"] == {"duplicate row": 1}
    assert account["labs.csv"]["rows_used"] == 3


def test_an_empty_parameter_in_the_2012_files_is_survived(tmp_path: Path) -> None:
    folder = tmp_path / "source" / "set-a"
    folder.mkdir(parents=True)
    lines = [
        "Time,Parameter,Value",
        "00:00,RecordID,1",
        "00:00,Age,60",
        "00:00,ICUType,2",
        "01:10,HR,80",
        "01:20,,7",
    ]
    (folder / "1.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    account = ingest(
        load_mapping("physionet-2012"), tmp_path / "source", tmp_path / "out", max_reject_share=0.5
    )
    assert account.rejected.select("row", "field", "reason").rows() == [(5, "code", "empty code")]


def test_a_row_with_one_bad_field_keeps_its_good_events(ward: Ward) -> None:
    ward.remap(
        'code: "LAB//{test}", value: value}',
        'code: "LAB//{test}", value: value}\n      - {time: taken, code: SAMPLE}',
    )
    ward.labs(*LABS[:2], "103,2020-01-01 08:00:00,sodium,abc")
    account = ward.ingest()["labs.csv"]
    assert (account["rows_used"], account["rows_rejected"], account["fields_rejected"]) == (
        3,
        {},
        {"not a number": 1},
    )
    assert ward.rejected() == [("labs.csv", 3, "value", "not a number")]


def test_too_many_rejects_stop_the_run_and_leave_nothing(ward: Ward) -> None:
    ward.remap("max_reject_share: 1.0", "max_reject_share: 0.2")
    ward.labs(LABS[0], "102,x,sodium,1", "103,y,sodium,1", "103,2020-01-01,sodium,abc")
    with pytest.raises(RejectsError) as caught:
        ward.ingest()
    told = str(caught.value)
    assert "3 of 7 rows rejected" in told
    assert "unparsable time" in told
    assert "2 rows" in told
    assert "not a number" in told
    assert sorted(path.name for path in ward.out.parent.iterdir()) == [
        "dataset.key",
        "small-ward.yaml",
        "source",
    ]


def test_a_missing_column_is_told_before_a_row_is_read(ward: Ward) -> None:
    ward.labs(*LABS, header="id,taken,test,valeu")
    with pytest.raises(InputError) as caught:
        ward.ingest()
    told = str(caught.value)
    assert "the file has no column value" in told
    assert "tables.labs.events.0.value" in told
    assert "perhaps valeu?" in told
    assert not ward.out.exists()


def test_missing_columns_and_files_are_told_together(ward: Ward) -> None:
    ward.labs(*LABS, header="id,when,what,value")
    (ward.source / "patients.csv").unlink()
    with pytest.raises(InputError) as caught:
        ward.ingest()
    assert {problem.what for problem in caught.value.problems} == {
        "no file for table patients",
        "the file has no column taken",
        "the file has no column test",
    }


def test_an_unknown_key_of_the_mapping_is_refused(ward: Ward) -> None:
    ward.remap("value: value}", "value: value, colour: red}")
    with pytest.raises(ConfigurationError) as caught:
        load_mapping(ward.mapping_file)
    assert [(problem.what, problem.where) for problem in caught.value.problems] == [
        ("unknown key", "small-ward.yaml: tables.labs.events.0.colour")
    ]


def test_a_mapping_with_five_faults_tells_all_five(ward: Ward) -> None:
    ward.remap("subjects: {table: patients", "subjects: {table: people")
    ward.remap("max_reject_share: 1.0", "max_reject_share: 7")
    ward.remap("{time: born,", "{time: {anchor: nominal, offset: born},")
    ward.remap('"LAB//{test}"', '"LAB//{test"')
    ward.remap("files: labs.csv", "file: labs.csv")
    with pytest.raises(ConfigurationError) as caught:
        load_mapping(ward.mapping_file)
    where = {problem.where.removeprefix("small-ward.yaml: ") for problem in caught.value.problems}
    assert where == {
        "subjects.table",
        "max_reject_share",
        "tables.patients.events.0.time.anchor",
        "tables.labs.events.0.code.0.text",
        "tables.labs.files",
        "tables.labs.file",
    }


def test_an_empty_file_is_named(ward: Ward) -> None:
    (ward.source / "labs.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"the file is empty: it has not even a header\n  where: labs.csv"):
        ward.ingest()


def test_a_file_with_only_a_header_is_no_fault(ward: Ward) -> None:
    ward.labs()
    assert ward.ingest()["labs.csv"]["rows_read"] == 0


def test_a_gzip_file_that_was_cut_off_is_named(ward: Ward) -> None:
    rows = [f"101,2020-01-01 08:00:00,test{number},{number * 7919 % 1000}" for number in range(5000)]
    whole = gzip.compress("\n".join([HEADER, *rows]).encode())
    (ward.source / "labs.csv").unlink()
    (ward.source / "labs.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"the gzip file is cut off or damaged\n  where: labs.csv.gz"):
        ward.ingest()
    assert not ward.out.exists()
    (ward.source / "labs.csv.gz").write_bytes(whole)
    assert ward.ingest()["labs.csv.gz"]["rows_used"] == 5000


def test_latin_1_text_is_named_where_the_mapping_says_utf_8_and_read_where_it_says_latin_1(
    ward: Ward,
) -> None:
    text = "\n".join([HEADER, "101,2020-01-01 08:00:00,blodprøve æøå,1"]) + "\n"
    (ward.source / "labs.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"the text is not utf-8\n  where: labs.csv(.|\n)*encoding: latin-1"):
        ward.ingest()
    ward.remap("files: labs.csv", "files: labs.csv\n    encoding: latin-1")
    ward.ingest()
    assert "LAB//blodprøve æøå" in ward.codes()


def test_a_quotation_mark_that_is_never_closed_is_named(ward: Ward) -> None:
    ward.labs(LABS[0], '102,2020-01-01 08:00:00,"sodium,139', LABS[2])
    with pytest.raises(InputError, match="a quotation mark that is never closed"):
        ward.ingest()


def test_rejected_rows_are_kept_only_in_a_private_quarantine(ward: Ward, tmp_path: Path) -> None:
    ward.labs(*LABS, "101,2020-01-01 08:00:00,sodium,SECRET")
    ward.ingest(quarantine=tmp_path / "quarantine")
    assert (tmp_path / "quarantine").stat().st_mode & 0o777 == 0o700
    kept = pl.concat([pl.read_parquet(file) for file in (tmp_path / "quarantine").iterdir()])
    assert kept["value"].to_list() == ["SECRET"]
    assert kept["_faults"].to_list() == ["value: not a number"]
    for file in ward.out.rglob("*"):
        assert file.is_dir() or b"SECRET" not in file.read_bytes()


def test_no_message_quotes_a_patient(ward: Ward) -> None:
    ward.remap("max_reject_share: 1.0", "max_reject_share: 0.0")
    ward.labs(*LABS, "31129912345,2020-01-01 08:00:00,sodium,SECRET")
    with pytest.raises(RejectsError) as caught:
        ward.ingest()
    assert "31129912345" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_task_without_a_single_positive_is_told_as_such(tmp_path: Path) -> None:
    """Sixty patients of the 2019 form, all of them well, and a run that is to learn sepsis from them."""
    measured = ["HR", "Age", "Gender", "HospAdmTime", "ICULOS", "SepsisLabel"]
    names = load_mapping("physionet-2019").tables["hours"].events[0].melt or {}
    header = "|".join([*dict.fromkeys([*names, *measured, "Unit1", "Unit2"])])
    source = tmp_path / "source"
    source.mkdir()
    for patient in range(60):
        values = {
            "HR": str(60 + patient),
            "Age": "60",
            "Gender": "1",
            "HospAdmTime": "-1",
            "SepsisLabel": "0",
        }
        hours = [{**values, "ICULOS": str(hour)} for hour in range(1, 13)]
        rows = ["|".join(hour.get(name, "NaN") for name in header.split("|")) for hour in hours]
        (source / f"p{patient:06d}.psv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    ingest(load_mapping("physionet-2019"), source, tmp_path / "dataset")
    config = RunConfig.model_validate(
        {
            "name": "no-positive",
            "dataset": tmp_path / "dataset",
            "tasks": ["icu_sepsis_hourly"],
            "features": {"windows": ["full"], "aggregations": ["last"], "min_subjects": 5},
            "models": {"lightgbm": {"kind": "lightgbm", "n_seeds": 1, "max_trees": 10, "patience": 5}},
            "splits": {"kind": "random", "fractions": {"train": 0.6, "tuning": 0.2, "held_out": 0.2}},
        }
    )
    with pytest.raises(TaskError, match=r"icu_sepsis_hourly cannot be learnt (.|\n)*0 of them positive"):
        run_experiment(config, tmp_path / "run", Progress(is_quiet=True))
