"""Rules judged over records: nothing is dropped, order means nothing, neighbours as counted by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ontology.errors import ConfigurationError
from ontology.release import embedded_ontology
from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, RULE_COVERAGE
from phenotype.coding.rules.judging import Judgement, judge_rules
from phenotype.coding.rules.rules import Rule, load_rules
from phenotype.contacts import stays
from phenotype.trajectory import CONTACTS

NOON = datetime(2024, 5, 10, 12)
BASE = {
    "family": "own", "title": "t", "title_nb": "t", "says": "s", "says_nb": "s", "sources": ["x"],
    "severity": "error",
    "suggestion": {"text": "x", "text_nb": "x"},
    "prior": {"right": 3, "wrong": 1, "source": "x"},
}  # fmt: skip


def rule(rule_id: str = "r", **more: Any) -> Rule:
    return Rule.model_validate({"id": rule_id, **BASE, **more})


def contact(
    number: int, subject: int = 1, start: float = 0, hours: float | None = 2, **more: Any
) -> dict[str, Any]:
    """One contact that begins so many hours after noon; hours None: it has no end."""
    begin = NOON + timedelta(hours=start)
    row = {"contact_id": number, "subject_id": subject, "start_time": begin, "care_level": "inpatient",
           "urgency": "planned", "hospital_id": "H", "unit_id": "U", "stay_id": number}  # fmt: skip
    return {**row, "end_time": None if hours is None else begin + timedelta(hours=hours), **more}


def record(contacts: list[dict[str, Any]], codes: list[tuple[Any, ...]]) -> CodedRecord:
    """Codes: contact, role, group, place in the group, code."""
    names = [name for name in CODED_CONTACTS if any(name in row for row in contacts)]
    frame = pl.DataFrame(contacts, schema={name: CODED_CONTACTS[name] for name in names})
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in CODED_CONTACTS.items() if name not in names]
    judged = pl.coalesce("end_time", "start_time")
    told = frame.with_columns(missing).with_columns(
        unit=pl.col("hospital_id").fill_null("?") + "/" + pl.col("unit_id").fill_null("?"),
        judged_time=judged,
        year=judged.dt.year(),
    )
    kept = told.select(pl.col(name).cast(dtype) for name, dtype in CODED_CONTACTS.items()).sort("contact_id")
    coded = pl.DataFrame(
        [(*code, number) for number, code in enumerate(codes)],
        schema={"contact_id": pl.Int64, "role": pl.String, "group_no": pl.Int32, "code_no": pl.Int32,
                "code": pl.String, "lineage_id": pl.Int64},
        orient="row",
    )  # fmt: skip
    owners = kept.select("contact_id", "stay_id", day=pl.col("judged_time").dt.date())
    filled = coded.join(owners, on="contact_id").with_columns(
        sent="code", is_own_code=pl.lit(value=True), condition_group_no="group_no"
    )
    return CodedRecord(
        kept,
        stays(kept.select(list(CONTACTS))),
        filled.select(pl.col(name).cast(dtype) for name, dtype in CODES.items()),
        pl.DataFrame(schema=FACTS),
        frozenset(),
    )


def judge(rules: list[Rule], on: CodedRecord) -> Judgement:
    return judge_rules(rules, None, on, embedded_ontology())


def broken(one: Rule, on: CodedRecord) -> set[int]:
    """The contacts that findings of a rule name."""
    return set(judge([one], on).found.items["contact_id"])


HAS_Z03 = {"code": {"role": "main", "first_code": True, "codes": "ICD10//Z03*"}}


def test_contacts_without_conditions_ends_or_times_are_counted_with_their_reason() -> None:
    contacts = [
        contact(1), contact(2), contact(3, hours=-5), contact(4, hours=None),
        {**contact(5), "start_time": None, "end_time": None},
    ]  # fmt: skip
    codes = [(number, "main", 1, 1, "ICD10-NO//Z03.8") for number in (1, 3, 4, 5)]
    one = rule(condition=HAS_Z03, needs={"contact": ["end", "main"]}, valid_from=date(2024, 1, 1))
    coverage = judge([one], record(contacts, codes)).coverage
    told = {row["reason"]: row for row in coverage.iter_rows(named=True)}
    assert told[None]["judged"] == told[None]["broken"] == 1
    unjudged = {
        row["reason"]: row["not_judgeable"] for row in coverage.iter_rows(named=True) if row["reason"]
    }
    assert unjudged == {
        "neither an end nor a start is told": 1,
        "no end, or an end before the start": 2,
        "no conditions": 1,
    }
    assert coverage["judged"].sum() + coverage["not_judgeable"].sum() == len(contacts)
    assert coverage.filter(pl.col("period") == "?")["not_judgeable"].sum() == 1


def test_with_the_embedded_ontology_no_norwegian_code_is_called_invalid_and_that_is_said() -> None:
    codes = [(1, "main", 1, 1, "ICD10-NO//Q99.99"), (2, "main", 1, 1, "ICD10-NO//I10")]
    found = judge(list(load_rules(["kv_valid"])), record([contact(1), contact(2)], codes))
    assert found.found.findings.height == 0
    assert found.coverage["not_judgeable"].to_list() == [2]
    assert found.coverage["reason"].to_list() == ["no dated list of ICD10-NO covers the day"]


def test_a_record_without_contacts_or_codes_is_judged_too() -> None:
    rules = [one for one in load_rules() if one.id != "sepsis_organism_grown"]
    nothing = judge(rules, record([], []))
    assert nothing.found.findings.schema == FINDINGS
    assert nothing.found.items.schema == FINDING_ITEMS
    assert nothing.found.reasons.schema == FINDING_REASONS
    assert nothing.coverage.schema == RULE_COVERAGE
    assert nothing.coverage.height == 0
    bare = judge(rules, record([contact(1)], [])).coverage
    assert bare.filter(pl.col("rule_id") == "kv_z03_main")["reason"].to_list() == ["no conditions"]


def test_a_finding_says_what_how_probable_why_and_on_what_it_rests() -> None:
    explained = {"name": "young", "title": "young", "when": {"contact": {"age_years": {"below": 40}}},
                 "effect": "weakens", "prior": {"right": 1, "wrong": 3, "source": "x"}}  # fmt: skip
    cleared = {
        "name": "symptom",
        "title": "a symptom",
        "when": {"code": {"role": "other", "codes": "ICD10//R*"}},
    }
    one = rule(condition=HAS_Z03, **{"except": [explained, cleared]})
    contacts = [contact(1, age_years=80.0), contact(2, age_years=20.0), contact(3, age_years=80.0)]
    codes = [(n, "main", 1, 1, "ICD10-NO//Z03.8") for n in (1, 2, 3)] + [
        (3, "other", 2, 1, "ICD10-NO//R07.4")
    ]
    judgement = judge([one], record(contacts, codes))
    rows = judgement.found.findings.join(judgement.found.items, on="finding_id").sort("contact_id")
    assert rows["contact_id"].to_list() == [1, 2]
    assert rows["probability"].to_list() == [0.75, 0.25]
    assert rows["innocent_explanations"].to_list() == [[], ["young"]]
    assert rows["evidence"].to_list() == [[0], [1]]
    assert rows["unit_id"].to_list() == ["H/U", "H/U"]
    assert rows["period"].to_list() == ["2024", "2024"]
    assert judgement.looked_at.rows() == [("r", "symptom", 3, 1), ("r", "young", 3, 1)]
    assert judgement.coverage["judged"].to_list() == [3]
    assert judgement.coverage["broken"].to_list() == [2]


def test_one_finding_a_contact_a_code_or_a_group() -> None:
    codes = [
        (1, "main", 1, 1, "ICD10-NO//E11.2"), (1, "main", 1, 2, "ICD10-NO//N08.3"),
        (1, "other", 2, 1, "ICD10-NO//H36.0"), (1, "other", 2, 2, "ICD10-NO//G63.2"),
    ]  # fmt: skip
    on = record([contact(1)], codes)
    asterisk = {"code": {"role": "diagnosis", "in": "coding_asterisk"}}
    counts = {
        per: judge([rule(condition=asterisk, per=per)], on).found for per in ("contact", "code", "group")
    }
    assert {per: found.findings.height for per, found in counts.items()} == {
        "contact": 1,
        "code": 3,
        "group": 2,
    }
    assert all(found.items.height == 3 for found in counts.values())
    assert counts["contact"].findings["evidence"].to_list() == [[1, 2, 3]]
    assert sorted(counts["code"].findings["evidence"].to_list()) == [[1], [2], [3]]
    assert sorted(counts["group"].findings["evidence"].to_list()) == [[1], [2, 3]]


def test_what_the_whole_record_lacks_is_a_reason_for_all_its_contacts() -> None:
    on = record(
        [contact(1), contact(2)], [(1, "main", 1, 1, "ICD10-NO//I10"), (2, "main", 1, 1, "ICD10-NO//I10")]
    )
    everybody = {"contact": {"urgency": "planned"}}
    needs = {
        "the record has no NORPAT": {"systems": "NORPAT"},
        "the record tells no law": {"recorded": "law"},
        "the record groups no codes: each condition has one code": {"groups_recorded": True},
        "place is not told": {"facts": "place"},
        "no main condition in ICPC2": {"main_in": "ICPC2"},
        "the age is not told": {"contact": ["age"]},
    }
    for reason, need in needs.items():
        coverage = judge([rule(condition=everybody, needs=need)], on).coverage
        assert coverage.select("reason", "judged", "not_judgeable").rows() == [(reason, 0, 2)]


def untold(one: Rule, on: CodedRecord) -> dict[str | None, int]:
    """Reason -> the contacts that could not be judged for it; None -> those that were judged."""
    coverage = judge([one], on).coverage
    counts = coverage.group_by("reason").agg(n=pl.col("judged").sum() + pl.col("not_judgeable").sum())
    return dict(counts.rows())


def test_a_code_alone_is_the_first_and_of_several_without_numbers_any_may_be() -> None:
    contacts = [contact(number) for number in (1, 2, 3, 4)]
    codes = [
        (1, "main", 1, None, "ICD10-NO//Z03.8"), (1, "other", 2, None, "ICD10-NO//I10"),
        (2, "main", 1, None, "ICD10-NO//Z03.8"), (2, "main", 1, None, "ICD10-NO//I10"),
        (3, "main", 1, None, "ICD10-NO//I48.9"), (3, "main", 1, None, "ICD10-NO//I10"),
        (4, "main", None, None, "ICD10-NO//Z03.8"), (4, "other", None, None, "ICD10-NO//I10"),
    ]  # fmt: skip
    one, on = rule(condition=HAS_Z03), record(contacts, codes)
    assert broken(one, on) == {1, 4}
    assert untold(one, on) == {None: 3, "the order of codes is not told": 1}
    none_first = rule(condition={"not": HAS_Z03})
    assert broken(none_first, on) == {3}
    assert untold(none_first, on) == {None: 3, "the order of codes is not told": 1}


def test_a_contact_that_does_not_tell_whether_a_rule_is_about_it_is_counted() -> None:
    contacts = [
        contact(1), contact(2, urgency=None), contact(3, urgency=None, care_level="day"),
        contact(4, urgency="acute"), contact(5, hours=None), contact(6, hours=-30),
    ]  # fmt: skip
    codes = [(number, "main", 1, 1, "ICD10-NO//Z03.8") for number in range(1, 7)]
    planned = {"contact": {"care_level": "inpatient", "urgency": "planned", "hours": {"below": 24}}}
    one = rule(scope=planned, condition=HAS_Z03)
    assert broken(one, record(contacts, codes)) == {1}
    assert untold(one, record(contacts, codes)) == {
        None: 1, "urgency is not told": 1, "no end, or an end before the start": 2,
    }  # fmt: skip
    by_place = rule(scope={"fact": {"name": "place", "is": "4"}}, condition=HAS_Z03)
    assert untold(by_place, record(contacts, codes)) == {"the record tells no place": 6}


def test_a_neighbour_that_does_not_tell_enough_leaves_the_question_open() -> None:
    contacts = [contact(1), contact(2, start=10), contact(3, start=500, subject=2), contact(4, subject=2)]
    codes = [
        (1, "main", 1, None, "ICD10-NO//I48.9"), (1, "main", 1, None, "ICD10-NO//I10"),
        (2, "main", 1, None, "ICD10-NO//I10"),
        (3, "main", 1, 1, "ICD10-NO//I10"), (4, "main", 1, 1, "ICD10-NO//I10"),
    ]  # fmt: skip
    again = {"another": {"when": "before", "within_hours": 24, "same": "main_category"}}
    one = rule(condition=again)
    assert broken(one, record(contacts, codes)) == set()
    assert untold(one, record(contacts, codes)) == {
        None: 3, "of another contact of the patient: the order of codes is not told": 1,
    }  # fmt: skip
    of_planned = rule(condition={"another": {"within_days": 1, "where": {"contact": {"urgency": "planned"}}}})
    unsure = [contact(1, urgency=None), contact(2, start=10, urgency="acute"), contact(3, subject=2)]
    assert untold(of_planned, record(unsure, [])) == {
        None: 2, "of another contact of the patient: urgency is not told": 1,
    }  # fmt: skip


def test_a_contact_without_a_start_cannot_be_held_against_others_of_its_patient() -> None:
    untimed = {"start_time": None, "end_time": None}
    contacts = [contact(1), {**contact(2), **untimed}, contact(3, subject=2), contact(4, subject=3, start=5),
                contact(5, subject=3), {**contact(6, subject=4), **untimed}]  # fmt: skip
    one = rule(condition={"another": {"when": "before", "within_hours": 24}})
    assert broken(one, record(contacts, [])) == {4}
    assert untold(one, record(contacts, [])) == {
        None: 4, "the start is not told": 1, "of another contact of the patient: the start is not told": 1,
    }  # fmt: skip


def test_marks_need_a_dataset() -> None:
    on = record([contact(1)], [(1, "main", 1, 1, "ICD10-NO//A41.9")])
    with pytest.raises(ConfigurationError, match="no dataset"):
        judge(list(load_rules(["sepsis_organism_grown"])), on)


def another(**wanted: Any) -> Rule:
    return rule(condition={"another": wanted})


def test_the_other_contact_lies_within_its_hours_to_the_minute_and_is_not_the_contact_itself() -> None:
    on = record([contact(1), contact(2, start=26), contact(3, subject=2)], [])
    assert broken(another(), on) == {1, 2}
    assert broken(another(within_hours=24), on) == {1, 2}
    assert broken(another(within_hours=23.99), on) == set()
    assert broken(another(when="after", within_days=1), on) == {1}
    assert broken(another(when="before", within_days=1), on) == {2}


def test_contacts_share_what_is_asked_and_unknown_is_like_nothing() -> None:
    contacts = [
        contact(1), contact(2, start=1, unit_id="V"), contact(3, start=2, hospital_id=None),
        contact(4, subject=2), contact(5, subject=2, start=1, hospital_id=None),
    ]  # fmt: skip
    on = record(contacts, [])
    assert broken(another(same=["hospital"]), on) == {1, 2}
    assert broken(another(same="unit"), on) == {1, 3, 4, 5}
    assert broken(another(differs="unit"), on) == {1, 2, 3}


times = st.integers(0, 60)
some_contacts = st.lists(
    st.tuples(st.integers(1, 3), times, st.one_of(st.none(), st.integers(-3, 30)), st.sampled_from("UV")),
    max_size=12,
)


@settings(max_examples=60)
@given(some_contacts, st.sampled_from(["before", "after", "either"]), st.none() | st.integers(0, 20),
       st.sampled_from([(), ("unit",), ("day",)]), st.sampled_from([(), ("unit",)]))  # fmt: skip
def test_the_other_contact_is_that_of_a_search_over_all_pairs(
    rows: list[tuple[int, int, int | None, str]],
    when: str,
    hours: int | None,
    same: tuple[str, ...],
    differs: tuple[str, ...],
) -> None:
    contacts = [
        contact(number, subject, start, length, unit_id=unit)
        for number, (subject, start, length, unit) in enumerate(rows)
    ]

    def follows(late: dict[str, Any], early: dict[str, Any]) -> bool:
        if late["subject_id"] != early["subject_id"] or late is early:
            return False
        if (late["start_time"], late["contact_id"]) < (early["start_time"], early["contact_id"]):
            return False
        reach = max(early["start_time"], early["end_time"] or early["start_time"])
        is_near = hours is None or late["start_time"] - reach <= timedelta(hours=hours)
        if not is_near:
            return False
        shared = {"unit": "unit_id"}
        for name in same:
            if name == "day" and late["start_time"].date() != early["start_time"].date():
                return False
            if name in shared and late[shared[name]] != early[shared[name]]:
                return False
        return all(late[shared[name]] != early[shared[name]] for name in differs)

    wanted = set()
    for one in contacts:
        later = any(follows(other, one) for other in contacts)
        earlier = any(follows(one, other) for other in contacts)
        if {"after": later, "before": earlier, "either": later or earlier}[when]:
            wanted.add(one["contact_id"])
    window = {} if hours is None else {"within_hours": hours}
    on = record(contacts, []) if contacts else record([contact(1)], [])
    assert broken(another(when=when, same=same, differs=differs, **window), on) == wanted


CODES_SEEN = ["ICD10-NO//Z03.8", "ICD10-NO//A41.9", "ICD10-NO//J18.9", "ICD10-NO//R65.1", "ICD10-NO//N08.3",
              "ICD10-NO//U07.1", "NCSP//ABC16", "ICD10-NO//M54.16"]  # fmt: skip
records = st.lists(
    st.tuples(
        st.integers(1, 4),
        times,
        st.one_of(st.none(), st.integers(-3, 90)),
        st.lists(st.sampled_from(CODES_SEEN), max_size=4),
    ),
    min_size=1,
    max_size=10,
)
RULES = [one for one in load_rules() if one.id != "sepsis_organism_grown"]


@settings(max_examples=6)
@given(records, st.randoms())
def test_rows_in_any_order_and_other_patients_change_nothing_and_all_contacts_are_counted(
    rows: list[tuple[int, int, int | None, list[str]]], random: Any
) -> None:
    contacts = [contact(n, subject, start, length) for n, (subject, start, length, _) in enumerate(rows)]
    codes = [
        (n, "procedure" if code.startswith("NCSP") else "main" if place == 0 else "other", place + 1, 1, code)
        for n, (*_, listed) in enumerate(rows)
        for place, code in enumerate(listed)
    ]
    whole = record(contacts, codes)
    judgement = judge(RULES, whole)
    mixed = CodedRecord(
        whole.contacts,
        whole.stays,
        whole.codes.sample(fraction=1, shuffle=True, seed=random.randint(0, 99)),
        whole.facts,
        whole.told,
    )
    again = judge(RULES, mixed)
    for name in ("findings", "items", "reasons"):
        assert_frame_equal(getattr(judgement.found, name), getattr(again.found, name))
    assert_frame_equal(judgement.coverage, again.coverage)
    one = rows[0][0]
    mine = [row for row in contacts if row["subject_id"] == one]
    own = {row["contact_id"] for row in mine}
    alone = judge(RULES, record(mine, [code for code in codes if code[0] in own])).found
    of_mine = judgement.found.items.filter(pl.col("contact_id").is_in(list(own)))
    assert set(alone.findings["finding_id"]) == set(of_mine["finding_id"])
    everyone = judgement.coverage.filter(pl.col("rule_id") == "kv_z03_main")
    assert everyone["judged"].sum() + everyone["not_judgeable"].sum() == len(contacts)
