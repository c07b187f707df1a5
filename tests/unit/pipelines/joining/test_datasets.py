"""Two sources of the same people become one dataset: facts once, contradictions twice, rows of both kept."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError
from phenotype.checking import check_dataset
from phenotype.trajectory import EVENTS, Dataset, frame_digest
from pipelines.identity import load_or_make_key
from pipelines.joining import JoinAccount, JoinRule, join_datasets, load_rule
from pipelines.joining.shards import join_shard
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

ANNA, BO = "17912099997", "29822099635"
"""Synthetic persons of the tax administration's test register."""

MAPPING = """
name: {name}
title: {name}
tables:
  people:
    files: people.csv
    columns: {{person: {{clean: [person_number]}}}}
    subject: "{{person}}"
    events:
      - {{time: born, code: MEDS_BIRTH}}
      - {{time: died, code: MEDS_DEATH, keep_empty: true, when: [{{column: died, not_null: true}}]}}
      - {{time: static, code: "GENDER//{{sex}}"}}
  contacts:
    files: contacts.csv
    optional: true
    columns: {{person: {{clean: [person_number]}}}}
    subject: "{{person}}"
    contact: "{{id}}"
    contacts:
      - {{id: "{{id}}", start: start, end: end, care_level: "{{level}}", unit: "{{unit}}"}}
    codings:
      - {{system: ICD10-NO, code: "{{icd}}", role: "{{role}}", when: [{{column: icd, not_null: true}}]}}
    observation:
      - {{start: start, end: end, end_reason: discharge, combine: true}}
  results:
    files: results.csv
    duplicates: keep
    columns: {{person: {{clean: [person_number]}}}}
    subject: "{{person}}"
    events:
      - {{time: time, code: "{{code}}", value_or_text: value, unit: "{{unit}}"}}
"""
KEY = bytes(range(32)).hex()


def source(folder: Path, name: str, **tables: str) -> Path:
    """A dataset made of tables of CSV text, under the one key of all."""
    place = folder / name
    place.mkdir()
    for table, text in tables.items():
        lines = [line.strip() for line in text.strip().splitlines()]
        (place / f"{table}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    mapping = folder / f"{name}.yaml"
    mapping.write_text(MAPPING.format(name=name), encoding="utf-8")
    key = folder / "key"
    if not key.exists():
        key.write_text(KEY, encoding="ascii")
        key.chmod(0o600)
    load_or_make_key(key, folder / "dataset")
    out = folder / f"{name}-dataset"
    ingest(load_mapping(mapping), place, out, key_path=key)
    return out


def laboratory(folder: Path) -> Path:
    """What a laboratory knows: to the second, values in mg/dL."""
    return source(
        folder,
        "laboratory",
        people=f"""person,born,died,sex
            {ANNA},1950-01-02,,F
            {BO},1960-05-06,2024-03-09 14:05:10,M""",
        results=f"""person,time,code,value,unit
            {ANNA},2024-03-01 08:15:30,LAB//GLU,5.4,mmol/L
            {ANNA},2024-03-01 08:15:30,LAB//CRP,12,mg/L
            {ANNA},2024-03-02 08:15:30,LAB//CRP,40,mg/L
            {ANNA},2024-03-02 08:15:30,LAB//CULTURE,Negative,
            {BO},2024-03-08 07:00:00,LAB//HB,14.2,g/dL
            {BO},2024-03-08 07:00:00,LAB//HB,14.2,g/dL""",
    )


def hospital(folder: Path) -> Path:
    """What the hospital knows of the same: to the minute, values in g/L, and one value that differs."""
    return source(
        folder,
        "hospital",
        people=f"""person,born,died,sex
            {ANNA[:6]} {ANNA[6:]},1950-01-02,,F
            {BO},1960-05-07,2024-03-09,M""",
        contacts=f"""person,id,start,end,level,unit,icd,role
            {ANNA},c1,2024-03-01 07:00,2024-03-03 12:00,inpatient,medicine,A41.9,main
            {BO},c2,2024-03-08 06:00,2024-03-09 15:00,inpatient,surgery,,""",
        results=f"""person,time,code,value,unit
            {ANNA},2024-03-01 08:15,LAB//GLU,5.4,mmol/L
            {ANNA},2024-03-02 08:15,LAB//CRP,48,mg/L
            {ANNA},2024-03-02 08:15,LAB//CULTURE,negative ,
            {BO},2024-03-08 07:00,LAB//HB,142,g/L
            {BO},2024-03-08 19:00,LAB//HB,139,g/L""",
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return laboratory(folder), hospital(folder)


def joined(both: tuple[Path, Path], out: Path, rule: str | None = None) -> tuple[JoinAccount, Dataset]:
    account = join_datasets(both, out, load_rule(rule))
    assert account.is_closed
    return account, Dataset(out)


def test_one_fact_in_two_sources_is_one_event_with_the_rows_of_both(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    account, dataset = joined(both, tmp_path / "joined")
    events = dataset.events().collect()
    # by hand: glucose, the negative culture, one of Bo's two haemoglobins (14.2 g/dL is 142 g/L), two sexes,
    # Anna's birth, Bo's death; Bo's births contradict
    assert account.n_same_events == 7
    assert account.n_dropped_lives == 1
    assert events.filter(pl.col("code") == "LAB//GLU").height == 1
    glucose = events.row(by_predicate=pl.col("code") == "LAB//GLU", named=True)
    assert str(glucose["time"]) == "2024-03-01 08:15:30"
    lineage = pl.read_parquet(dataset.path / "lineage.parquet")
    rows = lineage.filter(pl.col("lineage_id") == glucose["lineage_id"])
    assert sorted(rows["source"]) == ["hospital", "laboratory"]
    haemoglobin = events.filter(pl.col("code") == "LAB//HB")
    # two in the laboratory, of which one is the hospital's first; the hospital's second stands alone
    assert haemoglobin.height == 3


def test_contradictions_are_both_kept_and_reported_without_words(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    account, dataset = joined(both, tmp_path / "joined")
    crp = dataset.events().filter(pl.col("code") == "LAB//CRP").collect()
    assert sorted(crp["numeric_value"]) == [12, 40, 48]
    conflicts = pl.read_parquet(dataset.path / "conflicts.parquet")
    assert account.conflicts == {"value": 1, "birth": 1}
    value = conflicts.row(by_predicate=pl.col("kind") == "value", named=True)
    assert {value["numeric_value"], value["other_value"]} == {40, 48}
    assert {value["source"], value["other_source"]} == {"1-hospital", "2-laboratory"}
    assert "text_value" not in conflicts.columns


def test_a_fact_is_known_when_the_last_source_knows_it_or_the_first_where_the_rule_says_so() -> None:
    columns = {**dict.fromkeys(EVENTS.names()), "subject_id": 1, "time": datetime(2024, 3, 1, 8), "code": "A"}
    stated = [None, datetime(2024, 3, 1, 9), datetime(2024, 3, 1, 10)]
    given = [
        (str(number), pl.DataFrame([{**columns, "known_time": known, "lineage_id": number}], schema=EVENTS))
        for number, known in enumerate(stated)
    ]
    for word, expected in (("latest", stated[2]), ("earliest", stated[1])):
        rule = JoinRule.model_validate({"known_time": word})
        shard = join_shard(given, rule, JoinAccount(), ages_are_capped=False)
        assert shard.events["known_time"].to_list() == [expected]


def test_of_births_that_differ_one_is_kept_and_of_deaths_on_a_day_the_finer(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    _, dataset = joined(both, tmp_path / "joined")
    lives = dataset.events().filter(pl.col("code").str.starts_with("MEDS_")).collect()
    assert sorted(map(str, lives["time"])) == [
        "1950-01-02 00:00:00",
        "1960-05-06 00:00:00",  # the earlier of two that one source each gives
        "2024-03-09 14:05:10",
    ]
    assert check_dataset(dataset.path) == []


def test_the_order_of_the_datasets_changes_nothing(both: tuple[Path, Path], tmp_path: Path) -> None:
    joined(both, tmp_path / "one")
    joined(both[::-1], tmp_path / "other")
    for name in ("contacts", "codings", "observation", "lineage", "conflicts"):
        one, other = (pl.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("one", "other"))
        assert one.equals(other), name
    one, other = (Dataset(tmp_path / folder).events().collect() for folder in ("one", "other"))
    assert one.equals(other)
    assert (tmp_path / "one" / "join.json").read_bytes() == (tmp_path / "other" / "join.json").read_bytes()


def test_shards_change_nothing_but_the_files(both: tuple[Path, Path], tmp_path: Path) -> None:
    join_datasets(both, tmp_path / "one", n_shards=1)
    join_datasets(both, tmp_path / "five", n_shards=5)
    one, five = (Dataset(tmp_path / name) for name in ("one", "five"))
    assert len(five.shards) == 5
    assert one.digest == five.digest
    assert check_dataset(five.path) == []


def test_a_dataset_joined_with_its_copy_is_itself_with_every_row_twice(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    first = both[1]
    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    account, dataset = joined((first, copy), tmp_path / "joined")
    assert dataset.digest == Dataset(first).digest
    assert frame_digest(dataset.codings().drop("lineage_id")) == frame_digest(
        Dataset(first).codings().drop("lineage_id")
    )
    assert not account.conflicts
    rows = pl.read_parquet(dataset.path / "lineage.parquet").group_by("lineage_id").len()
    assert rows["len"].to_list() == [2] * rows.height


def test_sources_without_a_person_in_common_are_only_put_together(tmp_path: Path) -> None:
    text = "person,born,died,sex\n{},1950-01-02,,F"
    results = "person,time,code,value,unit\n{},2024-01-01 10:00,LAB//GLU,5,mmol/L"
    parts = [
        source(tmp_path, name, people=text.format(person), results=results.format(person))
        for name, person in (("a", ANNA), ("b", BO))
    ]
    account, dataset = joined((parts[0], parts[1]), tmp_path / "joined")
    assert account.n_same_events == 0
    assert account.n_subjects_of_several == 0
    facts = [Dataset(part).events().drop("lineage_id").collect() for part in parts]
    assert frame_digest(dataset.events().drop("lineage_id").collect()) == frame_digest(pl.concat(facts))


def test_what_the_sources_said_of_their_making_is_kept(both: tuple[Path, Path], tmp_path: Path) -> None:
    _, dataset = joined(both, tmp_path / "joined")
    assert sorted(path.name for path in (dataset.path / "parts").iterdir()) == ["1-hospital", "2-laboratory"]
    for name in ("ingest.json", "rejected.parquet", "dataset.json"):
        assert (dataset.path / "parts" / "1-hospital" / name).exists()
    files = json.loads((dataset.path / "ingest.json").read_text("utf-8"))["files"]
    assert {entry["file"].split("/")[0] for entry in files} == {"1-hospital", "2-laboratory"}
    assert dataset.metadata["key_fingerprint"] == Dataset(both[0]).metadata["key_fingerprint"]


def test_local_times_are_not_joined_with_utc(both: tuple[Path, Path], tmp_path: Path) -> None:
    assert [Dataset(dataset).metadata["clock"] for dataset in both] == ["as written", "as written"]
    other = tmp_path / "other"
    shutil.copytree(both[1], other)
    file = other / "metadata" / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"clock": "UTC"}), "utf-8")
    with pytest.raises(ConfigurationError, match="times in UTC beside times as they were written"):
        join_datasets((both[0], other), tmp_path / "out", load_rule(None))


def test_datasets_of_two_keys_are_refused(both: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    second_folder = tmp_path / "other"
    (second_folder / "key").write_text(bytes(32).hex(), encoding="ascii")
    (second_folder / "key").chmod(0o600)
    second = laboratory(second_folder)
    with pytest.raises(ConfigurationError, match="datasets of different keys"):
        join_datasets([both[1], second], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_one_dataset_is_nothing_to_join(both: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing to join"):
        join_datasets([both[1], both[1]], tmp_path / "joined")


def test_a_contact_of_two_persons_gives_nobody_the_other_ones_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = MAPPING.replace("title: {name}", "title: {name}\nid_space: house", 1)
    monkeypatch.setitem(globals(), "MAPPING", shared)
    header = "person,id,start,end,level,unit,icd,role\n"
    parts = [
        source(
            tmp_path,
            name,
            people=f"person,born,died,sex\n{person},1950-01-02,,F",
            contacts=f"{header}{person},c1,2024-03-01 08:00,2024-03-03 12:00,inpatient,med,{icd},main",
            results=f"person,time,code,value,unit\n{person},2024-03-02 08:00,CRP,4,mg/L",
        )
        for name, person, icd in (("a", ANNA, "A41"), ("b", BO, "B99"))
    ]
    account, dataset = joined((parts[0], parts[1]), tmp_path / "joined")
    assert check_dataset(dataset.path) == []
    assert dataset.codings()["code"].to_list() == ["A41"]
    # Of the second: the coding, and two events (CONTACT and CONTACT_END) that named the contact.
    assert (account.n_left_out_contacts, account.n_left_out_codings, account.n_unlinked) == (1, 1, 2)
    assert dataset.events().collect().height == 10


def test_a_join_clears_what_a_killed_one_left(both: tuple[Path, Path], tmp_path: Path) -> None:
    place = tmp_path / "all"
    (place / ".joined.4711.part" / "work").mkdir(parents=True)
    _, dataset = joined(both, place / "joined")
    assert sorted(path.name for path in place.iterdir()) == ["joined"]
    dataset.path.rename(place / ".joined.4712.old")  # killed between moving the old away and the new in
    one = (both[0], both[0].with_name("none"))
    with pytest.raises(InputError):
        join_datasets(one, place / "joined")
    joined(both, place / "joined")
    assert sorted(path.name for path in place.iterdir()) == ["joined"]


def told_otherwise(dataset: Path, **told: object) -> Path:
    """A copy of a dataset whose dataset.json says something else of it."""
    copy = dataset.with_name(f"{dataset.name}-{'-'.join(told)}")
    shutil.copytree(dataset, copy)
    file = copy / "metadata" / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | told), "utf-8")
    return copy


def test_a_datasets_name_leads_out_of_no_folder(both: tuple[Path, Path], tmp_path: Path) -> None:
    named = told_otherwise(both[0], dataset_name="../../" + "x" * 300)
    _, dataset = joined((named, both[1]), tmp_path / "joined")
    folders = sorted(path.name for path in (dataset.path / "parts").iterdir())
    assert folders == ["1-..-..-" + "x" * 94, "2-hospital"]  # both[1] is the hospital


def test_kept_ids_are_joined_with_their_like_alone(both: tuple[Path, Path], tmp_path: Path) -> None:
    kept = [told_otherwise(dataset, ids="kept") for dataset in both]
    with pytest.raises(ConfigurationError, match="ids that were kept beside pseudonyms"):
        join_datasets([kept[0], both[1]], tmp_path / "joined")
    with pytest.raises(ConfigurationError, match="of several id spaces"):
        join_datasets(kept, tmp_path / "joined")
    alike = [told_otherwise(dataset, ids="kept", id_spaces=["house"]) for dataset in both]
    _, dataset = joined((alike[0], alike[1]), tmp_path / "joined")
    assert dataset.metadata["ids"] == "kept"


def test_the_folder_that_one_stands_in_can_be_written(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    join_datasets(both, Path())
    assert check_dataset(tmp_path / "here") == []
    monkeypatch.chdir(tmp_path)
    again = both[0].with_name("again")
    again.mkdir()
    monkeypatch.chdir(again)
    source_mapping = load_mapping(both[0].with_name("hospital.yaml"))
    ingest(source_mapping, both[0].with_name("hospital"), Path(), key_path=both[0].with_name("key"))
    assert Dataset(again).digest == Dataset(both[1]).digest
