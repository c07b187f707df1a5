"""phenotypes.parquet: its rows and metadata, whatever the order of rows, the shards, or missing tables."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ontology.errors import InputError, StorageError
from phenotype.definitions.text import load_definitions, read_definitions
from phenotype.phenotypes import (
    PHENOTYPES,
    derive_phenotypes,
    read_phenotypes_metadata,
    write_phenotypes,
)
from phenotype.trajectory import CONTACTS, EVENTS, Dataset
from pipelines.phenotyping import count_lines, phenotype_dataset

START = datetime(2024, 3, 1)
HEAD = 'version: "1"\nsources: [a]\nreview: b\ndefinitions:\n'


def hours(number):
    return START + timedelta(hours=number)


def dataset_of(folder, events, contacts=(), n_shards=1, seed=0):
    """(subject, hours, code, value, lineage_id) and (contact, subject, from, to) as a dataset."""
    keys = ("subject_id", "time", "code", "numeric_value", "lineage_id")
    rows = [dict(zip(keys, (s, hours(at), *rest), strict=True)) for s, at, *rest in events]
    frame = pl.DataFrame([{name: row.get(name) for name in EVENTS} for row in rows], schema=EVENTS)
    frame = frame.sample(fraction=1, shuffle=True, seed=seed)
    (folder / "data").mkdir(parents=True)
    for shard in range(n_shards):
        part = frame.filter(pl.col("subject_id") % n_shards == shard)
        part.write_parquet(folder / "data" / f"{shard}.parquet")
    keys = ("contact_id", "subject_id", "start_time", "end_time")
    rows = [dict(zip(keys, (c, s, hours(a), hours(b)), strict=True)) for c, s, a, b in contacts]
    if contacts:
        held = pl.DataFrame([{name: row.get(name) for name in CONTACTS} for row in rows], schema=CONTACTS)
        held = held.with_columns(care_level=pl.lit("inpatient"), urgency=pl.lit("acute"))
        held.write_parquet(folder / "contacts.parquet")
    return Dataset(folder)


def definitions_of(tmp_path, *criteria, head=HEAD):
    file = tmp_path / "mine.yaml"
    lines = [f"  - {{name: p{n}, title: t, confirmed: {{{text}}}}}\n" for n, text in enumerate(criteria)]
    file.write_text(head + "".join(lines), "utf-8")
    return read_definitions([file])


def starts(frame, name="p0"):
    mine = frame.filter(pl.col("phenotype") == name)
    return [(r["start_time"] - START) / timedelta(hours=1) for r in mine.to_dicts()]


PAIR = [(1, 0, "A", None, 10), (1, 48, "B", None, 11), (2, 0, "A", None, 12), (2, 48.0001, "B", None, 13)]


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("near: {of: {events: {codes: A}}, other: {events: {codes: B}}, from_hours: 0, to_hours: 48}", [0]),
        ("near: {of: {events: {codes: A}}, other: {events: {codes: B}}, to_hours: 48, keep: other}", [48]),
        ("near: {of: {events: {codes: B}}, other: {events: {codes: A}}, from_hours: -48, keep: first}", [0]),
        ("before: {of: {events: {codes: A}}, other: {events: {codes: A}}}", []),
        ("near: {of: {events: {codes: A}}, other: {events: {codes: A}}, from_hours: 0, to_hours: 0}", [0, 0]),
        ("at_least: {n: 2, of: {events: {codes: [A, B]}}, within_hours: 48}", [0]),
        ("all: [{events: {codes: A}}, {events: {codes: B}}], per: subject", [48, 48.0001]),
    ],
)
def test_windows_are_closed_at_both_ends_and_before_means_earlier(tmp_path, criterion, expected):
    found = derive_phenotypes(dataset_of(tmp_path / "d", PAIR), definitions_of(tmp_path, criterion))
    assert starts(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "bound", "is_in"),
    [
        (38.3, "at_least: 38.3", True),
        (38.3, "above: 38.3", False),
        (0.1, "at_most: 0.1", True),
        (0.1, "below: 0.1", False),
    ],
)
def test_a_bound_is_met_although_values_are_stored_as_32_bit_floats(tmp_path, value, bound, is_in):
    dataset = dataset_of(tmp_path / "d", [(1, 0, "A", value, 1)])
    found = derive_phenotypes(dataset, definitions_of(tmp_path, f"events: {{codes: A, value: {{{bound}}}}}"))
    assert found.height == is_in


def test_a_rise_of_exactly_the_bound_counts(tmp_path):
    events = [(1, 0, "A", 86.8, 1), (1, 48, "A", 113.3, 2), (2, 0, "A", 86.8, 3), (2, 48, "A", 113.2, 4)]
    rise = "rise: {of: {events: {codes: A}}, within_hours: 48, by: 26.5}"
    found = derive_phenotypes(dataset_of(tmp_path / "d", events), definitions_of(tmp_path, rise))
    assert found.select("subject_id", "value").rows() == [(1, 26.5)]
    assert found["evidence"].to_list() == [[1, 2]]


def test_the_strongest_state_of_each_unit_stands_with_its_first_mark(tmp_path):
    head = HEAD.replace("definitions:", "per: subject\ndefinitions:")
    text = "events: {codes: A}}, suspected: {events: {codes: B}}, excluded: {events: {codes: C}"
    events = [
        (1, 9, "A", None, 1),
        (1, 5, "B", None, 2),
        (2, 4, "B", None, 3),
        (2, 3, "B", None, 4),
        (3, 1, "C", None, 5),
    ]
    found = derive_phenotypes(dataset_of(tmp_path / "d", events), definitions_of(tmp_path, text, head=head))
    assert found.select("subject_id", "state").rows() == [(1, "confirmed"), (2, "suspected"), (3, "excluded")]
    assert found["evidence"].to_list() == [[1], [4], [5]]


def test_a_dataset_without_contacts_has_no_stays_and_no_faults(tmp_path):
    dataset = dataset_of(tmp_path / "d", PAIR)
    definitions = definitions_of(
        tmp_path,
        "stay: {}",
        "first: {events: {codes: A}}",
        "measure: {of: {stay: {}}, is: count}",
        "contact: {}",
    )
    found = derive_phenotypes(dataset, definitions)
    assert dict(found.schema) == dict(PHENOTYPES)
    assert found.height == 0


def test_a_dataset_without_events_has_no_phenotypes(tmp_path):
    found = derive_phenotypes(dataset_of(tmp_path / "d", []), load_definitions())
    assert dict(found.schema) == dict(PHENOTYPES)
    assert found.height == 0


def test_without_lineage_evidence_is_the_position_among_all_events(tmp_path):
    rows = [(s, at, code, value, None) for s, at, code, value, _ in PAIR]
    definitions = definitions_of(tmp_path, "events: {codes: B}")
    for number, seed in enumerate((1, 2)):
        dataset = dataset_of(tmp_path / f"d{number}", rows, n_shards=number + 1, seed=seed)
        written = write_phenotypes(tmp_path / "p.parquet", dataset, definitions)
        assert written["evidence"].to_list() == [[1], [3]]  # by subject, then time: A, B, A, B
        assert read_phenotypes_metadata(tmp_path / "p.parquet")["evidence"] == "position"


def test_the_file_tells_what_it_was_made_by(tmp_path):
    dataset = dataset_of(tmp_path / "d", PAIR)
    definitions = definitions_of(tmp_path, "events: {codes: A}")
    rows = write_phenotypes(tmp_path / "p.parquet", dataset, definitions)
    assert_frame_equal(pl.read_parquet(tmp_path / "p.parquet"), rows)
    told = read_phenotypes_metadata(tmp_path / "p.parquet")
    assert told["evidence"] == "lineage_id"
    assert told["definitions"]["p0"]["version"] == "1"
    assert told["definitions"]["p0"]["digest"] == definitions[0].digest
    assert len(told["ontology_digest"]) == 64
    assert [file.name for file in tmp_path.iterdir() if ".tmp" in file.name] == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    dataset = dataset_of(tmp_path / "d", PAIR)
    with pytest.raises(StorageError, match="cannot be written"):
        write_phenotypes(tmp_path / "no" / "p.parquet", dataset, definitions_of(tmp_path, "stay: {}"))


def test_all_shipped_definitions_give_the_same_for_any_shards(tmp_path):
    events = [
        (subject, at, code, value, subject * 1000 + number)
        for subject in range(1, 9)
        for number, (at, code, value) in enumerate(
            [
                *((3.0 * n, "NLK//NPU04998", 60 + 12 * n * (subject % 3)) for n in range(12)),
                *((2.0 * n, "VITAL//respiratory_rate", 14 + n * (subject % 4)) for n in range(10)),
                *((5.0, "BLOOD_CULTURE//collected", None), (6.0, "ATC//J01CF05", None)),
                *((60.0, "ICD10-NO//A41.9", None), (60.0, "ICD10-NO//N17.9", None)),
            ]
        )
    ]
    contacts = [(10 * s + n, s, 100.0 * n, 100.0 * n + 70) for s in range(1, 9) for n in range(2)]
    definitions = load_definitions()
    found = [
        derive_phenotypes(dataset_of(tmp_path / str(n), events, contacts, n, seed=n), definitions)
        for n in (1, 3)
    ]
    assert_frame_equal(found[0], found[1])
    assert {"sepsis_explicit", "acute_kidney_injury"} <= set(found[0]["phenotype"])


def test_values_are_compared_in_the_unit_that_the_condition_names(tmp_path):
    """Creatinine has 113.12 g/mol, so 1.13 mg/dL is 99.89 umol/L; NPU04998 without a unit is in umol/L."""
    rows = [
        (1, 1.13, "mg/dL"),
        (2, 1.13, "umol/L"),
        (3, 100.0, None),
        (4, 100.0, "mm[Hg]"),
        (5, 0.1, "mmol/L"),
    ]
    keys = ("subject_id", "numeric_value", "unit")
    events = [
        {**dict.fromkeys(EVENTS), "time": START, "code": "NLK//NPU04998", **dict(zip(keys, row, strict=True))}
        for row in rows
    ]
    (tmp_path / "d" / "data").mkdir(parents=True)
    pl.DataFrame(events, schema=EVENTS).write_parquet(tmp_path / "d" / "data" / "0.parquet")
    text = "events: {in: laboratory/creatinine, value: {at_least: 90, unit: umol/L}}"
    found = derive_phenotypes(Dataset(tmp_path / "d"), definitions_of(tmp_path, text))
    assert found["subject_id"].to_list() == [1, 3, 5]
    assert found["value"].to_list() == pytest.approx([99.89, 100, 100], abs=0.01)


@pytest.mark.parametrize(
    ("criterion", "without_stays", "with_stays"),
    [
        ("events: {codes: A}", None, None),
        ("events: {codes: NONE}", "codes", "codes"),
        ("first: {events: {codes: A}}", "stays", None),
        ("first: {events: {codes: A}}, per: subject", None, None),
        ("all: [{events: {codes: A}}, {not: {events: {codes: NONE}}}], per: subject", None, None),
        ("all: [{events: {codes: A}}, {events: {codes: NONE}}]", "stays", "codes"),
        ("any: [{stay: {}}, {events: {codes: A}}]", None, None),
        ("any: [{stay: {}}, {events: {codes: NONE}}]", "stays", None),
        ("near: {of: {events: {codes: A}}, other: {stay: {}}}", "stays", None),
        ("near: {of: {events: {codes: A}}, other: {stay: {}}, absent: true}", None, None),
        ("near: {of: {events: {codes: A}}, other: {events: {codes: B}}, same: stay}", "stays", None),
        ("at_least: {n: 2, of: [{events: {codes: A}}, {stay: {}}], distinct: part}", "stays", None),
        ("at_least: {n: 2, of: [{events: {codes: A}}, {stay: {}}]}", None, None),
        ("measure: {of: {events: {codes: A}}, is: count}", "stays", None),
        ("measure: {of: {events: {codes: NONE}}, is: last_value}", "stays", "codes"),
        ("measure: {of: {events: {codes: NONE}}, is: count}", "stays", None),
        ("weights: {family: charlson_quan, per: subject}", "codes", "codes"),
        ("score: {name: SOFA, at_least: 2}", "codes", "codes"),
        ("phenotype: sepsis_3", "stays", "codes"),
    ],
)
def test_what_a_dataset_cannot_answer_is_told_with_its_reason(tmp_path, criterion, without_stays, with_stays):
    """A dataset with codes A and B, once without contacts; what each criterion needs is read off by eye."""
    definitions = definitions_of(tmp_path, criterion)
    for name, contacts, reason in (("a", (), without_stays), ("b", [(1, 1, 0, 48)], with_stays)):
        write_phenotypes(tmp_path / "p.parquet", dataset_of(tmp_path / name, PAIR, contacts), definitions)
        told = read_phenotypes_metadata(tmp_path / "p.parquet")["definitions"]["p0"]["not_judged"]
        assert (told is None) if reason is None else (reason in told), name


def test_the_counts_say_what_could_not_be_judged_and_why(tmp_path):
    dataset_of(tmp_path / "d", PAIR)
    definitions_of(tmp_path, "stay: {}", "events: {codes: A}", "events: {codes: NONE}")
    counts = phenotype_dataset(tmp_path / "d", tmp_path / "p.parquet", [str(tmp_path / "mine.yaml")])
    lines = count_lines(counts)
    assert [line.endswith("not judged") for line in lines[1:4]] == [True, False, True]
    start = "1 of 3 definitions could not be judged: the dataset has "
    assert lines[4:] == [
        f"{start}no hospital stays (contacts.parquet is absent or empty).",
        f"{start}none of the codes asked for.",
    ]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    dataset_of(tmp_path / "d", PAIR)
    definitions_of(tmp_path, "events: {codes: A}")
    (tmp_path / "taken").write_text("x", "utf-8")
    with pytest.raises(StorageError, match="cannot be made"):
        phenotype_dataset(tmp_path / "d", tmp_path / "taken" / "p.parquet", [str(tmp_path / "mine.yaml")])


def test_contacts_that_are_numbered_within_each_subject_are_refused_without_their_numbers(tmp_path):
    dataset = dataset_of(tmp_path / "d", PAIR, [(770077, 1, 0, 48), (770077, 2, 0, 48)])
    with pytest.raises(InputError, match="several subjects share") as caught:
        derive_phenotypes(dataset, definitions_of(tmp_path, "stay: {}"))
    assert "770077" not in str(caught.value)


def test_contacts_without_a_number_are_refused(tmp_path):
    dataset = dataset_of(tmp_path / "d", PAIR, [(None, 1, 0, 48), (7, 2, 0, 48)])
    with pytest.raises(InputError, match="no contact_id"):
        derive_phenotypes(dataset, definitions_of(tmp_path, "stay: {}"))
