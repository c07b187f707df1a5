"""Identity policies over a whole ingest: what is moved, what is dropped, and that the rest stays."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset
from pipelines.identity import Pseudonyms
from pipelines.identity.guard import Guard
from pipelines.identity.policy import IdentityPolicy, load_policy
from pipelines.identity.reidentify import reidentify
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

MAPPING = """
name: ward
title: ward
tables:
  people:
    files: people.csv
    subject: "{person}"
    events:
      - {time: born, code: MEDS_BIRTH}
    observation:
      - {start: from, end: to, end_reason: extract end}
  contacts:
    files: contacts.csv
    subject: "{person}"
    contact: "{id}"
    contacts:
      - {id: "{id}", start: start, end: end, care_level: inpatient}
    codings:
      - {system: ICD10-NO, code: "{icd}", role: main, coded_time: end}
  notes:
    files: notes.csv
    subject: "{person}"
    events:
      - {time: time, known_time: known, code: NOTE, text: "{note}", free_text: true}
      - {time: time, code: SMOKING, text: "{smoking}"}
      - {time: time, code: AGE, value: age}
"""
PEOPLE = """person,born,from,to
old,1920-05-05,2010-01-01,2024-12-31
aged,1934-12-31,2010-01-01,2024-12-31
young,1990-05-05,2010-01-01,2024-12-31
"""
CONTACTS = """person,id,start,end,icd
old,a,2011-01-01 10:00,2011-01-05 12:00,A41.9
old,b,2024-03-01 10:00,2024-03-05 12:00,I50.9
aged,c,2024-03-01 10:00,2024-03-05 12:00,I50.9
young,d,2024-03-01 10:00,2024-03-05 12:00,O80
"""
NOTES = """person,time,known,note,smoking,age
old,2024-03-02 09:00,2024-03-02 10:00,Kari Nordmann falt 2024-03-01,never,103
aged,2024-03-02 09:00,2024-03-02 10:00,Ola Nordmann,daily since 01.02.1950,89
young,2024-03-02 09:00,2024-03-02 10:00,Per Nordmann,never,33
"""


def made(folder: Path, policy: IdentityPolicy | None, name: str = "dataset") -> Dataset:
    place = folder / "in"
    place.mkdir(exist_ok=True)
    for table, text in (("people", PEOPLE), ("contacts", CONTACTS), ("notes", NOTES)):
        (place / f"{table}.csv").write_text(text, encoding="utf-8")
    mapping = folder / "ward.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    key = folder / "key"
    if not key.exists():
        key.write_text(bytes(range(32)).hex(), encoding="ascii")
        key.chmod(0o600)
    ingest(load_mapping(mapping), place, folder / name, key_path=key, policy=policy)
    assert check_dataset(folder / name) == []
    return Dataset(folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policy")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Dataset:
    return made(folder, None, "plain")


@pytest.fixture(scope="module")
def research(folder: Path) -> Dataset:
    return made(folder, load_policy("research"), "research")


@pytest.fixture(scope="module")
def shifts(folder: Path, research: Dataset) -> pl.DataFrame:
    ids = folder / "ids.txt"
    ids.write_text("old\naged\nyoung\nsomebody else\n", encoding="utf-8")
    assert reidentify(research.path, folder / "key", ids, folder / "who.csv") == 3
    assert (folder / "who.csv").stat().st_mode & 0o777 == 0o600
    return pl.read_csv(folder / "who.csv")


def test_without_a_policy_dates_and_coded_texts_stay_and_free_text_goes(plain: Dataset) -> None:
    events = plain.events().collect()
    assert set(events.filter(pl.col("code") == "SMOKING")["text_value"]) == {
        "never",
        "daily since 01.02.1950",
    }
    notes = events.filter(pl.col("code") == "NOTE")
    assert notes.height == 3
    assert notes["text_value"].is_null().all()
    lineage = pl.read_parquet(plain.path / "lineage.parquet")
    assert not lineage["sent_value"].fill_null("").str.contains("Nordmann").any()
    assert str(events["time"].max()) == "2024-03-05 12:00:00"
    assert plain.metadata["dates"] == "as recorded"


def test_free_text_stays_where_it_is_asked_for(folder: Path) -> None:
    dataset = made(folder, IdentityPolicy(name="texts", title="texts", free_text="keep"), "texts")
    notes = dataset.events().filter(pl.col("code") == "NOTE").collect()
    assert notes["text_value"].str.contains("Nordmann").all()


def test_all_dates_of_a_subject_move_by_what_the_key_holder_is_told(
    plain: Dataset, research: Dataset, shifts: pl.DataFrame
) -> None:
    moved_by = shifts.select("subject_id", pl.duration(days="shift_days").alias("by"))
    for table, columns in (("events", ("time", "known_time")), ("contacts", ("start_time", "end_time"))):
        frames = [getattr(dataset, table)() for dataset in (plain, research)]
        before, after = (frame.lazy().collect() for frame in frames)
        if table == "events":
            dated = pl.col("code") != "MEDS_BIRTH"
            before, after = (
                rows.filter(dated).sort("subject_id", "time", "code") for rows in (before, after)
            )
        else:
            before, after = before.sort("contact_id"), after.sort("contact_id")
        expected = before.join(moved_by, on="subject_id", maintain_order="left")
        for column in columns:
            assert after[column].equals((expected[column] + expected["by"]).alias(column)), column
    codings = [dataset.codings().sort("contact_id")["coded_time"] for dataset in (plain, research)]
    ends = [dataset.contacts().sort("contact_id")["end_time"] for dataset in (plain, research)]
    assert (codings[1] - codings[0]).equals(ends[1] - ends[0], check_names=False)
    assert (shifts["shift_days"] % 7 == 0).all()


def test_windows_move_too_and_their_ends_do_not_tell_the_shift(
    plain: Dataset, research: Dataset, shifts: pl.DataFrame
) -> None:
    rows = research.observation().join(shifts, on="subject_id").join(plain.observation(), on="subject_id")
    told = (rows["end_time"] - rows["end_time_right"]).dt.total_days() - rows["shift_days"]
    assert told.is_between(-84, 0).all()
    assert told.n_unique() == 3


def test_the_very_old_are_one_group_and_no_age_is_negative(research: Dataset, shifts: pl.DataFrame) -> None:
    events = research.events().collect().join(shifts, on="subject_id")
    for name, expected in (("old", range(90, 91)), ("aged", range(89, 90)), ("young", range(33, 34))):
        own = events.filter(pl.col("source_id") == name)
        born = own.filter(pl.col("code") == "MEDS_BIRTH")["time"].item()
        last = own["time"].max()
        assert last.year - born.year - ((last.month, last.day) < (born.month, born.day)) in expected
        assert (own["time"].drop_nulls() >= born).all()
    aged = events.filter((pl.col("source_id") == "aged") & (pl.col("code") == "MEDS_BIRTH"))
    shift = shifts.filter(pl.col("source_id") == "aged")["shift_days"].item()
    assert str(aged["time"].item() - timedelta(days=shift)) == "1934-12-31 00:00:00"  # 89 at the last record


def test_ages_that_are_values_and_dates_in_texts_are_told_no_more(folder: Path) -> None:
    policy = load_policy("research").model_copy(update={"age_codes": ("AGE",)})
    events = made(folder, policy, "ages").events().collect()
    assert sorted(events.filter(pl.col("code") == "AGE")["numeric_value"]) == [33, 89, 90]
    assert "daily since [date]" in events.filter(pl.col("code") == "SMOKING")["text_value"].to_list()
    lineage = pl.read_parquet(folder / "ages" / "lineage.parquet")
    assert "103" not in lineage["sent_value"].to_list()


def test_nothing_tells_in_what_order_the_rows_of_several_persons_stood(
    plain: Dataset, research: Dataset, folder: Path
) -> None:
    # The rows of an extract stand in the order of time: their numbers would tell how far apart the true dates
    # of two persons lie, and so their shifts. Of 15 rows of 3 persons the ids must follow the persons.
    lineage = pl.read_parquet(research.path / "lineage.parquet")
    assert lineage["row"].null_count() == lineage.height
    assert lineage["lineage_id"].to_list() == list(range(lineage.height))
    events = research.events().collect()
    told = events.select("lineage_id", "subject_id").drop_nulls().unique("lineage_id").sort("lineage_id")
    assert told["subject_id"].rle_id().n_unique() == 3
    known = pl.read_parquet(plain.path / "lineage.parquet")
    assert known["row"].null_count() == 0
    facts = ["sent_code", "sent_value", "sent_unit", "sent_alternates"]
    before, after = (
        dataset.events()
        .filter(pl.col("code") == "AGE")
        .collect()
        .join(rows, on="lineage_id")
        .select("subject_id", *facts)
        .sort("subject_id")
        for dataset, rows in ((plain, known), (research, lineage))
    )
    assert before.equals(after)
    codings = [
        dataset.codings().join(rows, on="lineage_id").select("contact_id", "sent_code").sort("contact_id")
        for dataset, rows in ((plain, known), (research, lineage))
    ]
    assert codings[0].equals(codings[1])


def test_files_of_a_shifted_dataset_tell_no_month(tmp_path: Path) -> None:
    for table, text in (("people", PEOPLE), ("contacts", CONTACTS), ("notes", NOTES)):
        (tmp_path / f"{table}.csv").write_text(text, "utf-8")
    (tmp_path / "notes.csv").rename(tmp_path / "notes-2024-03.csv")
    (tmp_path / "ward.yaml").write_text(MAPPING.replace("notes.csv", "notes-*.csv"), "utf-8")
    mapping = load_mapping(tmp_path / "ward.yaml")
    ingest(mapping, tmp_path, tmp_path / "out", policy=load_policy("research"), n_shards=2)
    files = pl.read_parquet(tmp_path / "out" / "lineage.parquet")["file"].unique()
    assert set(files) == {"people.csv", "contacts.csv", "notes-#-#.csv"}
    assert check_dataset(tmp_path / "out") == []


def test_the_metadata_say_which_policy_and_nobodys_shift(research: Dataset, shifts: pl.DataFrame) -> None:
    assert research.metadata["dates"] == "shifted"
    assert research.metadata["identity_policy"]["name"] == "research"
    policy = {name: value for name, value in research.metadata.items() if name != "created_at"}
    said = set(re.findall(r"(?<![0-9a-f])[0-9]+(?![0-9a-f])", json.dumps(policy)))
    assert not said & {str(abs(days)) for days in shifts["shift_days"]}


def test_another_key_says_nothing_of_who_is_who(folder: Path, research: Dataset) -> None:
    other = folder / "other-key"
    other.write_text(bytes(32).hex(), encoding="ascii")
    other.chmod(0o600)
    with pytest.raises(ConfigurationError, match="another key than the dataset's"):
        reidentify(research.path, other, folder / "ids.txt", folder / "none.csv")
    with pytest.raises(ConfigurationError, match="no key here"):
        reidentify(research.path, folder / "absent", folder / "ids.txt", folder / "none.csv")
    with pytest.raises(ConfigurationError, match="lie in the dataset"):
        reidentify(research.path, folder / "key", folder / "ids.txt", research.path / "who.csv")


def test_a_policy_with_faults_tells_them_all(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("title: t\noldest_age: 0\ndate_shift: {most_days: 0}\nfree: x\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_policy(file)
    assert len(caught.value.problems) == 3


def test_free_text_that_is_a_number_alone_is_dropped_too() -> None:
    policy = IdentityPolicy(name="n", title="n")
    made_events = pl.DataFrame(
        {
            "subject_id": [1, 1],
            "code": ["NOTE", "NOTE"],
            "time": [None, None],
            "known_time": [None, None],
            "numeric_value": [None, 4.5],
            "text_value": ["22 85 50 50", None],
            "sent_value": ["99887766", "4.5"],
            "sent_alternates": [None, None],
        },
        schema_overrides={"time": pl.Datetime("us"), "known_time": pl.Datetime("us")},
    )
    kept = Guard(policy, Pseudonyms(bytes(32), "a")).events(made_events, is_free_text=True)
    assert kept["sent_value"].to_list() == [None, "4.5"]


LIVES = """
name: lives
title: lives
tables:
  people:
    files: people.csv
    subject: "{person}"
    events:
      - {time: born, code: MEDS_BIRTH}
    observation:
      - {start: from, end: to, when: [{column: to, not_null: true}]}
    codings:
      - contact: "{person}"
        system: ICD10-NO
        version: "2019"
        code: A41
        role: main
        when: [{column: at, not_null: true}]
    contacts:
      - {id: "{person}", start: at, care_level: inpatient, when: [{column: at, not_null: true}]}
"""


@pytest.mark.parametrize("person", ["alone", "seen"])
def test_the_very_old_are_so_without_a_record_too(tmp_path: Path, person: str) -> None:
    # By hand: at the last record of anybody (2024) "alone" is 125; "seen" is 84 at the last record but 91 at
    # the end of the window.
    (tmp_path / "people.csv").write_text(
        "person,born,from,to,at\n"
        "alone,1899-02-28,,,\n"
        "seen,1933-02-28,2010-01-01,2024-06-30,2017-05-01\n"
        "young,1990-02-28,2010-01-01,2024-06-30,2017-05-01\n",
        "utf-8",
    )
    (tmp_path / "lives.yaml").write_text(LIVES, "utf-8")
    policy = load_policy("research")
    ingest(load_mapping(tmp_path / "lives.yaml"), tmp_path, tmp_path / "out", policy=policy)
    dataset = Dataset(tmp_path / "out")
    ids = tmp_path / "ids.txt"
    ids.write_text(person, "utf-8")
    assert reidentify(dataset.path, tmp_path / "out.key", ids, tmp_path / "who.csv") == 1
    subject = pl.read_csv(tmp_path / "who.csv")["subject_id"].item()
    births = dataset.events().filter(pl.col("code") == "MEDS_BIRTH", pl.col("subject_id") == subject)
    born = births.collect()["time"].item()
    assert (born.month, born.day) == (1, 1)
    assert dataset.observation()["end_time"].max().year - born.year in range(86, 95)  # shifts: 3 years each
    assert dataset.codings()["version"].null_count() == dataset.codings().height > 0
    assert check_dataset(dataset.path) == []
