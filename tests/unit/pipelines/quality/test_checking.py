"""The whole: one result for any shards, slices and row order; what is missing is said; what is written."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest

from pipelines.quality import checking, slices
from pipelines.quality.checking import check_quality, judge
from pipelines.quality.model import load_checks

RANDOM = random.Random(5)


def history(n_subjects: int = 12):
    """Subjects with laboratory results over a year, some of them odd, and one contact each."""
    events, contacts, codings = [], [], []
    for subject in range(1, n_subjects + 1):
        events += [
            {"subject_id": subject, "time": "1960-05-01T00:00", "code": "MEDS_BIRTH", "lineage_id": subject},
            {"subject_id": subject, "time": None, "code": f"SEX//{'male' if subject % 2 else 'female'}"},
        ]
        start = f"2020-{1 + subject % 12:02}-03T10:00"
        contacts.append(
            {
                "contact_id": subject,
                "subject_id": subject,
                "stay_id": subject,
                "start_time": start,
                "end_time": f"2020-{1 + subject % 12:02}-09T10:00",
                "care_level": "inpatient",
                "urgency": "acute",
                "unit_id": "A",
                "hospital_id": "H",
            }
        )
        codings.append(
            {"contact_id": subject, "group_no": 1, "role": "main", "system": "ICD10-NO", "code": "A41.9"}
        )
        for hour in range(10, 22):
            value = RANDOM.choice([5.0, 7.5, 80.0, -1.0])
            events.append(
                {
                    "subject_id": subject,
                    "time": f"{start[:11]}{hour}:{RANDOM.choice(['00', '17'])}",
                    "known_time": f"{start[:8]}{RANDOM.choice(['03', '04'])}T{hour}:30",
                    "code": "NLK//NPU19748",
                    "numeric_value": value,
                    "unit": RANDOM.choice(["mg/L", "g/L", None]),
                    "contact_id": subject,
                    "lineage_id": 100 + hour,
                }
            )
    events.sort(key=lambda row: (row["subject_id"], row["time"] or ""))
    return events, contacts, codings


def all_of(dataset) -> pl.DataFrame:
    return judge(dataset, load_checks()).results


def test_results_are_the_same_for_any_shards_slices_and_order_of_tables(write, monkeypatch):
    events, contacts, codings = history()
    one = all_of(write(events, contacts=contacts, codings=codings))
    half = [row["subject_id"] <= 6 for row in events]
    parts = [
        [row for row, is_low in zip(events, half, strict=True) if is_low is low] for low in (True, False)
    ]
    two = all_of(write(files=parts, contacts=contacts[::-1], codings=codings[::-1]))
    monkeypatch.setattr(slices.event_slices, "__defaults__", (31,))
    monkeypatch.setattr(checking, "PARTS_HELD", 3)
    sliced = all_of(write(events, contacts=contacts, codings=codings))
    columns_of_files = pl.col("check_id") != "columns-present"  # counted by file
    assert one.filter(columns_of_files).equals(two.filter(columns_of_files))
    assert one.equals(sliced)


def test_what_a_dataset_lacks_makes_checks_not_applicable_with_the_reason(write):
    result = judge(write([{"subject_id": 1, "time": "2020-01-01T00:00", "code": "X//y"}]), load_checks())
    reasons = dict(result.results.select("check_id", "reason").iter_rows())
    assert reasons["contact-id-unique"] == "the dataset has no contacts"
    assert reasons["before-birth"] == "nobody's birth is known"
    assert reasons["event-contact-known"] == "the dataset has no contacts; no event names a contact"
    assert reasons["future"] == "the metadata do not say when the dataset was made"
    assert result.state("contact-id-unique") == "not applicable"
    assert result.state("events-sorted") == "passed"


def test_a_dataset_without_events_is_judged(write):
    result = judge(write([]), load_checks())
    assert not result.results["is_failed"].any()


def test_groups_that_are_too_small_are_shown_and_not_judged(write):
    # Ten of ten drugs lie at midnight; a hundred are asked for.
    rows = [{"subject_id": 1, "time": f"2020-01-{day:02}T00:00", "code": "ATC//A"} for day in range(1, 11)]
    result = judge(write(rows), load_checks(["midnight"]))
    row = result.results.row(0, named=True)
    assert (row["n_rows"], row["n_violated"], row["is_applicable"]) == (10, 10, False)
    assert row["reason"] == "fewer rows than the check asks for"
    assert result.state("midnight") == "not applicable"


def test_a_folder_is_written_with_results_details_and_the_page(write, tmp_path):
    events, contacts, codings = history()
    out = tmp_path / "quality"
    result = check_quality(write(events, contacts=contacts, codings=codings).path, None, out)
    assert pl.read_parquet(out / "results.parquet").equals(result.results)
    told = json.loads((out / "results.json").read_text("utf-8"))
    assert [check["id"] for check in told["checks"]] == [check.id for check in result.checks]
    page = (out / "index.html").read_text("utf-8")
    assert "<script" not in page
    assert "http-equiv" in page
    assert {file.stem for file in (out / "details").iterdir()} == set(result.details)


def test_writing_again_gives_the_same_bytes(write, tmp_path):
    events, contacts, codings = history()
    path, out = write(events, contacts=contacts, codings=codings).path, tmp_path / "quality"
    check_quality(path, ["laboratory", "coding"], out)
    first = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    check_quality(path, ["laboratory", "coding"], out)
    assert first == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}


def test_no_subject_stands_in_any_result(write, tmp_path):
    events, contacts, codings = history()
    for row in (*events, *contacts):
        row["subject_id"] += 987_654_321_000
    out = tmp_path / "quality"
    result = check_quality(write(events, contacts=contacts, codings=codings).path, None, out)
    written = (out / "index.html").read_text("utf-8") + (out / "results.json").read_text("utf-8")
    assert "987654321" not in written
    for frame in (result.results, *result.details.values()):
        assert "subject_id" not in frame.columns
        assert "contact_id" not in frame.columns


@pytest.mark.parametrize("number", ["15819010053", "158190 10053"])
def test_a_code_that_looks_like_a_persons_number_is_hidden(write, number):
    rows = [
        {
            "subject_id": 1,
            "time": f"2020-01-{day:02}T10:00",
            "known_time": "2020-06-01T10:00",
            "code": f"NLK//{number}",
            "numeric_value": float(day),
            "unit": "g",
        }
        for day in range(1, 29)
        for _ in range(2)
    ]
    result = judge(write(rows), load_checks())
    told = json.dumps([frame.write_json() for frame in (result.results, *result.details.values())])
    assert number not in told
    assert "(hidden: may name a person)" in told


@pytest.mark.parametrize(
    "metadata",
    [
        {"nominal_anchor": "2014-01-01T00:00:00"},
        {"dates": "shifted by subject"},
        {"created_at": "2010-01-01T00:00:00+00:00"},  # all events lie after it: the source shifted them
    ],
)
def test_dates_that_were_shifted_are_not_judged_by_the_calendar(write, metadata):
    checks = load_checks(["summer-time-gap", "silent-system", "birth-on-new-year"])
    rows = [{"subject_id": 1, "time": "2020-03-29T02:30", "code": "NLK//A"}]
    assert {judge(write(rows, metadata=metadata), checks).state(check.id) for check in checks} == {
        "not applicable"
    }
    sound = judge(write(rows, metadata={"dates": "as recorded", "nominal_anchor": None}), checks)
    assert sound.results.filter(pl.col("check_id") == "summer-time-gap")["n_violated"].to_list() == [1]
