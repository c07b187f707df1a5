"""Small tables become exactly the events, contacts, codings and windows that their mapping says."""

from __future__ import annotations

import gzip
import json
import random
import re
import textwrap
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from ontology.errors import ConfigurationError
from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset, open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import Mapping

DOCS = Path(__file__).parents[4] / "docs" / "mapping.md"


def mapping(tables: str, **top: Any) -> Mapping:
    content = {"name": "test", "title": "test", "observe": "none", "max_reject_share": 0.5, **top}
    return Mapping.model_validate({**content, "tables": yaml.safe_load(textwrap.dedent(tables))})


def build(folder: Path, given: Mapping, out: str = "out", n_shards: int = 1, **files: str) -> Dataset:
    """The dataset of files given by their content; a double underscore in a name stands for the dot."""
    source = folder / f"{out}-source"
    source.mkdir(exist_ok=True)
    for name, content in files.items():
        (source / name.replace("__", ".")).write_text(textwrap.dedent(content).lstrip(), encoding="utf-8")
    ingest(given, source, folder / out, n_shards=n_shards, key_path=folder / "key")
    assert check_dataset(folder / out) == []
    return open_dataset(folder / out)


def facts(dataset: Dataset, *columns: str) -> list[tuple[Any, ...]]:
    """The events' columns, sorted; ids are left out because they are pseudonyms."""
    return sorted(dataset.events().collect().select(columns).rows(), key=repr)


def test_a_melt_makes_one_event_of_each_cell_that_is_not_null(tmp_path: Path) -> None:
    given = mapping(
        """
        vitals:
          files: v.csv
          null_values: [NaN]
          subject: "{id}"
          events:
            - time: t
              melt: {hr: {name: heart_rate, unit: /min}, temp: temperature}
              code: "VITAL//{_name}"
              value: _cell
        """
    )
    dataset = build(tmp_path, given, v__csv="id,t,hr,temp\n1,2020-01-01,80,NaN\n1,2020-01-02,,37.5\n")
    assert facts(dataset, "time", "code", "numeric_value", "unit") == [
        (datetime(2020, 1, 1), "VITAL//heart_rate", 80.0, "/min"),
        (datetime(2020, 1, 2), "VITAL//temperature", 37.5, None),
    ]
    lineage = pl.read_parquet(dataset.path / "lineage.parquet")
    assert lineage.select("file", "row", "sent_code", "sent_value").rows() == [
        ("v.csv", 1, "hr", "80"),
        ("v.csv", 2, "temp", "37.5"),
    ]


def test_a_melted_cell_that_is_wrong_is_told_by_its_column_and_conditions_may_be_on_cells(
    tmp_path: Path,
) -> None:
    given = mapping(
        """
        vitals:
          files: v.csv
          subject: "{id}"
          events:
            - time: t
              when: [{column: _cell, not_equals: 0}]
              melt: {hr: {name: heart_rate}, temp: temperature}
              code: "VITAL//{_name}"
              value: _cell
        """
    )
    dataset = build(tmp_path, given, v__csv="id,t,hr,temp\n1,2020-01-01,80,warm\n1,2020-01-02,x,0\n")
    assert facts(dataset, "code", "numeric_value") == [("VITAL//heart_rate", 80.0)]
    assert pl.read_parquet(dataset.path / "rejected.parquet").select("row", "field", "reason").rows() == [
        (1, "temp", "not a number"),
        (2, "hr", "not a number"),
    ]
    entry = json.loads((dataset.path / "ingest.json").read_text("utf-8"))["files"][0]
    assert (entry["rows_used"], entry["rows_rejected"]) == (1, {"not a number": 1})


def test_a_split_makes_one_event_of_each_part_and_lineage_keeps_what_was_sent(tmp_path: Path) -> None:
    given = mapping(
        """
        dx:
          files: d.csv
          subject: "{id}"
          events:
            - {time: t, split: {column: codes, separator: ","}, code: "ICD//{_cell}", text: "{_no}"}
        """
    )
    dataset = build(tmp_path, given, d__csv='id,t,codes\n1,2020-01-01,"428.0, I50.9,"\n1,2020-01-02,\n')
    assert facts(dataset, "code", "text_value") == [("ICD//428.0", "1"), ("ICD//I50.9", "2")]


def test_joins_bring_columns_and_misses_are_counted(tmp_path: Path) -> None:
    given = mapping(
        """
        stays: {files: s.csv}
        dx:
          files: d.csv
          joins: [{table: stays, by: {stay: number}, take: {subject: pid, discharged: out}}]
          subject: "{subject}"
          contact: "{stay}"
          columns: {code: {clean: [icd9_dot]}}
          events: [{time: discharged, code: "ICD9CM//{code}", description: "{title}"}]
        """
    )
    files = {
        "s__csv": "number,pid,out\n7,1,2020-01-09 12:00:00\n",
        "d__csv": "stay,code,title\n7,99591,Sepsis\n8,4280,CHF\n",
    }
    dataset = build(tmp_path, given, **files)
    assert facts(dataset, "time", "code") == [(datetime(2020, 1, 9, 12), "ICD9CM//995.91")]
    assert pl.read_parquet(dataset.path / "rejected.parquet").select("row", "field", "reason").rows() == [
        (2, "stay", "no such row in stays")
    ]
    assert pl.read_parquet(dataset.path / "lineage.parquet")["sent_code"].to_list() == ["99591"]
    codes = pl.read_parquet(dataset.path / "metadata" / "codes.parquet").select("code", "description")
    assert codes.rows() == [("ICD9CM//995.91", "Sepsis")]


CONTACTS = """
admissions:
  files: a.csv
  subject: "{id}"
  contact: "{stay}"
  contacts:
    - id: "{stay}"
      start: in
      end: out
      care_level: {text: "{kind}", map: {I: inpatient, O: outpatient}}
      urgency: {text: "{urgent}", map: {1: acute, 2: planned}}
      discharged_to: [{text: death, when: [{column: dead, equals: 1}]}, {text: home}]
      events: true
codings:
  files: c.csv
  joins: [{table: admissions, by: stay, take: [id, out]}]
  subject: "{id}"
  contact: "{stay}"
  codings:
    - {system: ICD10-NO, code: "{code}", sequence: number, code_no: "{number}", coded_time: out}
  events:
    - {time: out, code: "ICD10-NO//{code}"}
"""


def test_contacts_stays_and_codings(tmp_path: Path) -> None:
    dataset = build(
        tmp_path,
        mapping(CONTACTS, observe="contacts"),
        a__csv="""
            id,stay,in,out,kind,urgent,dead
            1,a,2020-01-01 10:00:00,2020-01-03 10:00:00,I,1,0
            1,b,2020-01-03 17:00:00,2020-01-05 10:00:00,I,1,1
            2,c,2020-02-01 10:00:00,2020-01-31 10:00:00,O,2,0
            """,
        c__csv="stay,number,code\na,1,A41.9\na,2,I50.9\n",
    )
    contacts = dataset.contacts()
    first, second = (
        contacts.filter(pl.col("care_level") == "inpatient").sort("start_time").iter_rows(named=True)
    )
    assert first["stay_id"] == second["stay_id"] == first["contact_id"]
    assert (first["discharged_to"], second["discharged_to"]) == ("home", "death")
    reversed_one = contacts.filter(pl.col("care_level") == "outpatient").row(0, named=True)
    assert (reversed_one["end_time"], reversed_one["urgency"]) == (None, "planned")
    assert facts(dataset, "time", "code") == [
        (datetime(2020, 1, 1, 10), "CONTACT//inpatient"),
        (datetime(2020, 1, 3, 10), "CONTACT_END//inpatient"),
        (datetime(2020, 1, 3, 10), "ICD10-NO//A41.9"),
        (datetime(2020, 1, 3, 10), "ICD10-NO//I50.9"),
        (datetime(2020, 1, 3, 17), "CONTACT//inpatient"),
        (datetime(2020, 1, 5, 10), "CONTACT_END//inpatient"),
        (datetime(2020, 2, 1, 10), "CONTACT//outpatient"),
    ]
    codings = dataset.codings().select("contact_id", "role", "system", "code", "code_no", "coded_time")
    time = datetime(2020, 1, 3, 10)
    assert codings.rows() == [
        (first["contact_id"], "main", "ICD10-NO", "A41.9", 1, time),
        (first["contact_id"], "other", "ICD10-NO", "I50.9", 2, time),
    ]
    account = json.loads((dataset.path / "ingest.json").read_text("utf-8"))
    assert account["files"][0]["fields_rejected"] == {"end before start": 1}
    windows = dataset.observation().select("start_time", "end_time").rows()
    assert (datetime(2020, 1, 1, 10), datetime(2020, 1, 5, 10)) in windows


def test_rows_of_one_contact_are_combined_and_repeated_facts_written_once(tmp_path: Path) -> None:
    given = mapping(
        """
        hours:
          files: h.csv
          subject: "{id}"
          contact: "{id}"
          contacts:
            - id: "{id}"
              start: nominal
              end: {anchor: nominal, offset: hour}
              care_level: icu
              events: false
          observation:
            - {start: nominal, end: {anchor: nominal, offset: hour}, combine: true, end_reason: end}
          events: [{time: static, code: AGE, value: age, once: true}]
        """,
        nominal_anchor=datetime(2019, 1, 1),
    )
    dataset = build(tmp_path, given, h__csv="id,hour,age\n1,3,60\n1,1,60\n1,2,60\n2,1,50\n")
    assert sorted(dataset.contacts()["end_time"]) == [datetime(2019, 1, 1, 1), datetime(2019, 1, 1, 3)]
    assert sorted(dataset.observation()["end_time"]) == [datetime(2019, 1, 1, 1), datetime(2019, 1, 1, 3)]
    assert facts(dataset, "code", "numeric_value") == [("AGE", 50.0), ("AGE", 60.0)]
    assert dataset.metadata["nominal_anchor"] == "2019-01-01T00:00:00"


def test_known_time_is_later_than_time_or_null(tmp_path: Path) -> None:
    given = mapping('{labs: {files: l.csv, subject: "{id}", events: [{time: t, known_time: k, code: A}]}}')
    rows = "1,2020-01-01,2020-01-02\n1,2020-01-03,2020-01-03\n1,2020-01-05,2020-01-04\n1,2020-01-07,\n"
    dataset = build(tmp_path, given, l__csv=f"id,t,k\n{rows}")
    assert [known for _, known in facts(dataset, "time", "known_time")] == [
        datetime(2020, 1, 2),
        None,
        None,
        None,
    ]
    totals = json.loads((dataset.path / "ingest.json").read_text("utf-8"))["totals"]
    assert totals["events_known_before_they_happened"] == 1


def test_a_row_may_be_a_patient_of_its_own(tmp_path: Path) -> None:
    given = mapping(
        """
        rows:
          files: r.csv
          duplicates: keep
          subject: "{_row}"
          events: [{time: static, code: AGE, value: age}]
        """
    )
    dataset = build(tmp_path, given, r__csv="age,sex\n70,1\n70,1\n")
    assert dataset.events().collect()["subject_id"].n_unique() == 2


def test_ids_in_file_names_are_replaced_in_the_lineage(tmp_path: Path) -> None:
    given = mapping(
        r"""
        one:
          files: "*.psv"
          file_columns: '(?P<id>p\d+)\.psv'
          subject: "{id}"
          events: [{time: t, code: A}]
        """
    )
    dataset = build(
        tmp_path, given, p0815__psv="t|x\n2020-01-01|1\n", p0816__psv="t|x\n2020-01-01|1\n2020-01-02|1\n"
    )
    lineage = pl.read_parquet(dataset.path / "lineage.parquet")
    events = dataset.events().collect()
    named = events.join(lineage, on="lineage_id").select(pl.format("{}.psv", "subject_id") == pl.col("file"))
    assert named.to_series().to_list() == [True] * 3
    assert sorted(lineage["row"]) == [1, 1, 2]
    for file in dataset.path.rglob("*"):
        assert file.is_dir() or b"p0815" not in file.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_many_files_are_read_at_once_and_each_counts_its_own_rows(
    tmp_path: Path, encoding: str, ending: str
) -> None:
    given = mapping(
        rf"""
        one:
          files: "w/*.tsv"
          encoding: {encoding}
          file_columns: 'w/(?P<ward>\w)\.tsv'
          subject: "{{id}}"
          events: [{{time: t, code: "{{ward}}//{{name}}"}}]
        """
    )
    folder = tmp_path / "out-source" / "w"
    folder.mkdir(parents=True)
    for ward, n_rows in (("A", 2), ("B", 3)):
        rows = "".join(f"{n}\t2020-01-01\tblå{n}\n" for n in range(n_rows))
        content = f"id\tt\tname\n{rows}".encode(encoding)
        (folder / f"{ward}{ending}").write_bytes(
            gzip.compress(content) if ending.endswith(".gz") else content
        )
    dataset = build(tmp_path, given)
    assert [code for (code,) in facts(dataset, "code")] == [
        "A//blå0",
        "A//blå1",
        "B//blå0",
        "B//blå1",
        "B//blå2",
    ]
    lineage = (
        pl.read_parquet(dataset.path / "lineage.parquet").select("file", "row").sort("file", "row").rows()
    )
    assert lineage == [
        (f"w/{ward}{ending}", row) for ward, row in [("A", 1), ("A", 2), ("B", 1), ("B", 2), ("B", 3)]
    ]


PLAIN = """
rows:
  files: r.csv
  subject: "{id}"
  events:
    - {time: t, code: "{code}", value_or_text: value, unit: "{unit}"}
"""


def test_neither_row_order_nor_shards_change_the_dataset(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = [
        f"{rng.randrange(30)},2020-01-0{rng.randrange(1, 4)},C{rng.randrange(3)},{rng.choice('12x')},u{n % 7}"
        for n in range(800)
    ]
    header = "id,t,code,value,unit\n"
    given = mapping(PLAIN)
    first = build(tmp_path, given, "first", r__csv=header + "\n".join(rows) + "\n")
    for n_shards in (2, 7):
        rng.shuffle(rows)
        other = build(tmp_path, given, f"out{n_shards}", n_shards, r__csv=header + "\n".join(rows) + "\n")
        assert len(other.shards) == n_shards
        assert other.digest == first.digest


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = "id,t,code,value,unit\n" + "".join(f"{n % 5},2020-01-01,C,{n},u\n" for n in range(50))
    one, two = (build(tmp_path, mapping(PLAIN), name, r__csv=rows) for name in ("one", "two"))
    for name in ("data/0.parquet", "lineage.parquet", "observation.parquet", "metadata/codes.parquet"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_another_folder_is_not_overwritten_and_a_dataset_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    rows = "id,t,code,value,unit\n1,2020-01-01,C,1,u\n"
    with pytest.raises(ConfigurationError, match="something else is there"):
        build(tmp_path, mapping(PLAIN), r__csv=rows)
    (tmp_path / "out" / "thesis.txt").unlink()
    build(tmp_path, mapping(PLAIN), r__csv=rows)
    assert (
        build(tmp_path, mapping(PLAIN), r__csv=rows + "1,2020-01-02,C,1,u\n").events().collect().height == 2
    )


def test_the_worked_example_of_the_documentation(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert example is not None
    given = Mapping.model_validate(yaml.safe_load(example[1]))
    source = tmp_path / "out-source"
    source.mkdir()
    rows = ["1;01.07.2020 08:00;01.07.2020 09:30;NPU19748;3,5;mg/L", "1;02.07.2020 08:00;;NPU19748;-;mg/L"]
    labs = "\n".join(["pid;taken;answered;npu;result;unit", *rows])
    (source / "labs.csv").write_bytes(labs.encode("latin-1"))
    dataset = build(tmp_path, given, patients__csv="pid,born,sex,died\n1,03.02.1950,K,04.08.2020\n")
    assert facts(dataset, "time", "known_time", "code", "numeric_value", "unit") == [
        (None, None, "SEX//female", None, None),
        (datetime(1950, 2, 3), None, "MEDS_BIRTH", None, None),
        (datetime(2020, 7, 1, 6), datetime(2020, 7, 1, 7, 30), "NLK//NPU19748", 3.5, "mg/L"),
        (datetime(2020, 8, 4, 23, 59, 59), None, "MEDS_DEATH", None, None),
    ]
