"""A mapping is suggested from made-up tables of hospitals: it loads, ingests, and says what it is sure of."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from ontology.errors import InputError
from phenotype.checking import check_dataset
from phenotype.trajectory import open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping
from pipelines.sources.suggesting import suggest_mapping

PATIENTS = """PasientNr;Fødselsdato;Kjønn;Bostedskommune
7001;04.03.1951;K;5001
7002;17.11.1980;M;5037
7003;30.01.1944;K;5059
"""
STAYS = """OppholdID;PasientNr;InnDatoTid;UtDatoTid;Omsorgsniva
91;7001;02.01.2020 10:30;05.01.2020 12:00;1
92;7002;11.02.2020 08:15;11.02.2020 09:00;3
93;7003;20.03.2020 23:50;28.03.2020 11:20;1
"""
DIAGNOSES = """OppholdID;Tilstandsnr;Diagnosekode
91;1;A419
91;2;N179
92;1;E119
93;1;J189
93;2;I10
"""
LABS = """PasientNr;OppholdID;Analysekode;Provetidspunkt;Svartidspunkt;Svarverdi;Benevning
7001;91;NPU19748;02.01.2020 11:00;02.01.2020 12:10;112,5;mg/L
7001;91;NPU04998;02.01.2020 11:00;02.01.2020 12:20;98;µmol/L
7003;93;NPU19748;21.03.2020 00:10;21.03.2020 01:00;8,0;mg/L
7003;93;NOR05172;21.03.2020 00:10;21.03.2020 01:05;11,9;g/dL
"""


def write(folder: Path, **tables: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, "cp1252")
    return folder


def norwegian(folder: Path) -> Path:
    return write(folder, pasient=PATIENTS, opphold=STAYS, diagnoser=DIAGNOSES, lab=LABS)


def suggested(source: Path, file: Path) -> dict[str, Any]:
    """The suggestion's content, after it has been loaded as a mapping."""
    text = suggest_mapping(source)
    file.write_text(text, "utf-8")
    load_mapping(file)
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def test_a_norwegian_extract_becomes_the_events_that_a_person_would_expect(tmp_path: Path) -> None:
    source, file = norwegian(tmp_path / "epj"), tmp_path / "mapping.yaml"
    suggested(source, file)
    account = ingest(load_mapping(file), source, tmp_path / "dataset", n_shards=1)
    assert account.is_closed
    assert account.n_rejected == 0
    assert check_dataset(tmp_path / "dataset") == []
    events = open_dataset(tmp_path / "dataset").events().collect()
    told = events.select("time", "code", "numeric_value", "unit", "known_time").sort(
        "time", "code", nulls_last=False
    )
    wanted = [
        (datetime(2020, 1, 2, 11), "NLK//NPU04998", 98.0, "µmol/L", datetime(2020, 1, 2, 12, 20)),
        (datetime(2020, 1, 2, 11), "NLK//NPU19748", 112.5, "mg/L", datetime(2020, 1, 2, 12, 10)),
        (datetime(2020, 1, 5, 12), "ICD10-NO//A41.9", None, None, None),
        (datetime(2020, 1, 5, 12), "ICD10-NO//N17.9", None, None, None),
        (datetime(1951, 3, 4), "MEDS_BIRTH", None, None, None),
        (None, "SEX//female", None, None, None),
        (datetime(2020, 1, 2, 10, 30), "CONTACT//inpatient", None, None, None),
        (datetime(2020, 2, 11, 9), "CONTACT_END//outpatient", None, None, None),
    ]
    rows = set(told.rows())
    assert set(wanted) <= rows
    codings = open_dataset(tmp_path / "dataset").codings()
    roles = codings.select("system", "code", "role").sort("code").rows()
    assert roles == [
        ("ICD10-NO", "A41.9", "main"),
        ("ICD10-NO", "E11.9", "main"),
        ("ICD10-NO", "I10", "other"),
        ("ICD10-NO", "J18.9", "main"),
        ("ICD10-NO", "N17.9", "other"),
    ]


def test_layout_is_found_delimiter_encoding_and_times(tmp_path: Path) -> None:
    content = suggested(norwegian(tmp_path / "epj"), tmp_path / "mapping.yaml")
    labs = content["tables"]["lab"]
    assert labs["delimiter"] == ";"
    assert labs["encoding"] == "cp1252"
    assert labs["events"][0]["time"] == {"column": "Provetidspunkt", "formats": ["%d.%m.%Y %H:%M"]}
    assert labs["events"][0]["value"] == {"column": "Svarverdi", "decimal_comma": True}


def test_diagnoses_without_a_time_of_their_own_take_the_end_of_their_contact(tmp_path: Path) -> None:
    content = suggested(norwegian(tmp_path / "epj"), tmp_path / "mapping.yaml")
    diagnoses = content["tables"]["diagnoser"]
    assert diagnoses["joins"][0]["table"] == "opphold"
    assert diagnoses["joins"][0]["by"] == "OppholdID"
    assert diagnoses["subject"] == "{PasientNr}"
    assert diagnoses["events"][0]["time"]["column"] == "UtDatoTid"


def test_no_cell_of_the_input_stands_in_the_suggestion(tmp_path: Path) -> None:
    rows = "\n".join(
        f"{500100 + number};Kari Nordmann{number};Skytterveien {number};ORD{number};2020-01-0{1 + number % 9}"
        for number in range(40)
    )
    source = write(tmp_path / "epj", notater=f"PasientNr;Navn;Adresse;Fritekst;Tidspunkt\n{rows}\n")
    with pytest.raises(InputError):
        # A name, an address and free text are no facts: nothing is left to suggest.
        suggest_mapping(write(tmp_path / "bare", notater="Navn;Fritekst\nKari;ORD\nOla;ORD2\n"))
    text = suggest_mapping(source)
    for cell in ("500100", "Nordmann", "Skytterveien", "ORD1"):
        assert cell not in text


def test_every_guess_says_how_sure_it_is_and_what_is_left_out(tmp_path: Path) -> None:
    text = suggest_mapping(norwegian(tmp_path / "epj"))
    assert "# sure: its name says subject" in text
    assert "code sure: its cells look like NLK" in text
    assert "time a guess: diagnoser has none, so that of the contact in opphold" in text
    folder = write(
        tmp_path / "more", maling="pasient_id;tidspunkt;hjertefrekvens;radnr\n1;2020-01-01T10:00;80;1\n"
    )
    assert "# not used (a number of the row): radnr" in suggest_mapping(folder)


def test_columns_side_by_side_become_one_event_a_cell(tmp_path: Path) -> None:
    rows = "".join(f"{1 + n % 3},2020-01-0{1 + n % 9} 10:00:00,{60 + n},{36 + n / 10}\n" for n in range(12))
    source = write(tmp_path / "icu", vitals=f"subject_id,charttime,heart_rate,temperature\n{rows}")
    content = suggested(source, tmp_path / "mapping.yaml")
    event = content["tables"]["vitals"]["events"][0]
    assert event["melt"] == ["heart_rate", "temperature"]
    assert event["time"] == "charttime"
    assert event["code"] == "VITALS//{_name}"
    assert event["value"] == "_cell"


def test_minutes_from_an_unknown_instant_get_a_nominal_one(tmp_path: Path) -> None:
    rows = "".join(f"{1 + n % 2},{n * 15 - 60},lactate,{1 + n / 10}\n" for n in range(10))
    source = write(tmp_path / "icu", lab=f"patient_id,labresultoffset,labname,labresult\n{rows}")
    content = suggested(source, tmp_path / "mapping.yaml")
    assert "nominal_anchor" in content
    event = content["tables"]["lab"]["events"][0]
    assert event["time"] == {"anchor": "nominal", "offset": "labresultoffset", "unit": "minutes"}
    assert event["code"] == "LAB//{labname}"
    assert event["value"] == "labresult"


def test_one_file_a_patient_takes_the_patient_from_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "stays"
    folder.mkdir()
    for number in range(25):
        (folder / f"p{100000 + number}.psv").write_text("hours|HR\n1|80\n2|82\n", "utf-8")
    text = suggest_mapping(folder)
    content = yaml.safe_load(text)
    (table,) = content["tables"].values()
    assert table["subject"] == "{subject}"
    assert "100000" not in text
    file = tmp_path / "mapping.yaml"
    file.write_text(text, "utf-8")
    account = ingest(load_mapping(file), folder, tmp_path / "dataset", n_shards=1)
    assert account.totals["subjects"] == 25


def test_a_file_without_a_header_gives_no_row_of_it_away(tmp_path: Path) -> None:
    rows = "Nordmann;M;hjem\nHansen;K;hjem\nOlsen;M;sykehjem\n"
    source = write(tmp_path / "epj", uten="pasient_id;kjonn\n1;M\n2;K\n", navn=rows)
    text = suggest_mapping(source)
    assert "Nordmann" not in text
    numbered = write(
        tmp_path / "lab", lab="17;2020-01-01 10:00;NPU19748;5,1\n18;2020-01-02 10:00;NPU19748;7,0\n"
    )
    with pytest.raises(InputError):  # column_1 ... column_4 do not tell who the patient is
        suggest_mapping(numbered)


def test_words_for_not_known_are_null(tmp_path: Path) -> None:
    rows = "".join(f"{n % 3};2020-01-0{1 + n} 10:00;{'NaN' if n % 2 else 37.5 + n / 10}\n" for n in range(8))
    content = suggested(write(tmp_path / "a", v=f"pasient_id;tid;temperatur\n{rows}"), tmp_path / "m.yaml")
    assert content["tables"]["v"]["null_values"] == ["NaN"]
    assert content["tables"]["v"]["events"][0]["melt"] == ["temperatur"]


def test_parquet_and_gzipped_files_are_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    pl.DataFrame(
        {"person_id": [1, 2], "gender_concept_id": [8507, 8532], "birth_datetime": [datetime(1950, 1, 1)] * 2}
    ).write_parquet(folder / "person.parquet")
    content = suggested(folder, tmp_path / "mapping.yaml")
    assert content["tables"]["person"]["files"] == ["person.parquet"]
    assert content["tables"]["person"]["subject"] == "{person_id}"


def test_a_folder_without_tables_says_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(InputError, match="no table found"):
        suggest_mapping(tmp_path)


def test_the_suggestion_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    first = suggest_mapping(norwegian(tmp_path / "epj"))
    for file in (tmp_path / "epj").iterdir():
        header, *rows = file.read_text("cp1252").splitlines()
        file.write_text("\n".join([header, *reversed(rows)]) + "\n", "cp1252")
    assert suggest_mapping(tmp_path / "epj") == first


def test_files_that_are_no_tables_are_left_out(tmp_path: Path) -> None:
    table = "pasientnr;tid;kode\n1;2019-12-31;A419\n2;2019-12-30;I10\n"
    damaged = {
        "utf16.csv": table.encode("utf-16"),
        "bytes.csv": bytes(range(256)) * 50,
        "damaged.csv.gz": gzip.compress(table.encode())[:-9],
        "no.csv.gz": b"no gzip",
        "no.parquet": b"no parquet",
        "empty.csv": b"",
        "sheet.xlsx": b"PK",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="UTF-16"):
        suggest_mapping(tmp_path)
    (tmp_path / "mac.csv").write_text(table.replace("\n", "\r"), encoding="utf-8", newline="")
    long = "pasientnr;tid;kode;notat\n1;2019-12-31;A419;x\n2;2019-12-30;I10;" + "x" * 200_000 + "\n"
    (tmp_path / "long.csv").write_text(long, encoding="utf-8")
    tables = yaml.safe_load(suggest_mapping(tmp_path))["tables"]
    assert sorted(tables) == ["long", "mac"]
