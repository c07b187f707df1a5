"""Value sets: what belongs to them, when, and that all faults of a file are told at once, by line."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from ontology.valuesets.sets import Resolver, load_family, load_valueset, valueset_names

SHARED = Path(__file__).parents[4] / ".." / "shared" / "kodeverk"
NORWEGIAN_LIST = SHARED / "navikt-diagnosekoder" / "ICD10_2026.json"
HEAD = "title: A set\nversion: '1'\nsources: [ours]\nreview: nobody\n"


def write(folder: Path, name: str, body: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\n{HEAD}{body}", "utf-8")
    return file


def inside(name: str | Path, codes: list[str]) -> list[str]:
    return load_valueset(name).resolve(codes)["code"].to_list()


def texts_inside(name: str | Path, texts: list[str | None]) -> list[bool]:
    table = pl.DataFrame({"text_value": texts}, schema={"text_value": pl.String})
    return table.select(load_valueset(name).holds_text("text_value"))["text_value"].to_list()


def problems_of(name: str | Path, codes: list[str] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_valueset(name).resolve(codes or [])
    return [str(problem) for problem in caught.value.problems]


def test_sepsis_is_told_by_code_and_not_by_its_neighbours() -> None:
    is_in = ["A40.0", "A41.9", "P36.9", "R57.2", "R65.1"]
    is_out = ["A42.0", "A49.9", "B37.1", "R57.0", "R65.0", "R65.2"]
    assert inside("sepsis_explicit", [f"ICD10-NO//{code}" for code in is_in + is_out]) == [
        f"ICD10-NO//{code}" for code in is_in
    ]
    assert inside("sepsis_explicit", ["A41.9", "SCT//A41.9", ""]) == []


def test_a_concept_holds_for_every_edition_placed_under_it_however_it_is_written() -> None:
    codes = ["ICD10//A41.9", "ICD10-NO//A41.9", "ICD10CM//A419", "ICD10CM//A41.9", "ICD10CM//A41.89"]
    assert inside("sepsis_explicit", [*codes, "ICD10CM//A44.9"]) == sorted(codes)


def test_american_severe_sepsis_has_other_codes_than_the_who_s() -> None:
    codes = ["ICD10CM//R65.10", "ICD10CM//R6511", "ICD10CM//R65.20", "ICD10CM//R6521", "ICD9CM//99591"]
    assert inside("sepsis_explicit", codes) == ["ICD10CM//R65.20", "ICD10CM//R6521", "ICD9CM//99591"]


def test_systems_that_are_in_no_list_are_judged_by_the_form_of_their_codes() -> None:
    codes = ["ATC//J01CF05", "ATC//J02AC01", "ATC//J01XX05", "ICD9CM//038.9", "ICD9CM//0380", "ICD9CM//039"]
    assert inside("antibiotics_systemic", codes) == ["ATC//J01CF05"]
    assert inside("sepsis_explicit", codes) == ["ICD9CM//038.9", "ICD9CM//0380"]


@pytest.mark.parametrize(
    ("code", "is_in"),
    [
        ("MIMIC3//DRUG//Piperacillin-Tazobactam Na", True),
        ("EICU//DRUG//LEVAQUIN", True),
        ("EICU//DRUG//cefTRIAXone 1 GRAM in NS 50 mL IVPB", True),
        ("MIMIC4//EMAR//Vancomycin//Administered", True),
        ("MIMIC4//EMAR//Vancomycin//Not Given", False),
        ("MEDICATION//CefePIME//Hold Dose", False),
        ("MEDICATION//START//Meropenem", True),
        ("MIMIC3//DRUG//Erythromycin 0.5% Ophth Oint", False),
        ("MIMIC3//DRUG//Vancomycin Enema", False),
        ("MIMIC3//DRUG//Pantoprazole", False),
        ("MIMIC3//DRUG_STOP//Vancomycin", False),
        ("EICU//DRUG//VANCOMYCIN CONSULT TO PHARMACY", False),
    ],
)
def test_antibiotics_that_are_named_in_words(code: str, is_in: bool) -> None:
    assert inside("antibiotics_systemic", [code]) == [code] * is_in


def test_the_wide_set_holds_the_plain_one() -> None:
    codes = [f"ICD10-NO//{code}" for code in ("A41.9", "R65.1", "O85", "T81.4", "A39.4", "O86.0")]
    plain, wide = (set(inside(name, codes)) for name in ("sepsis_explicit", "sepsis_explicit_wide"))
    assert plain == {"ICD10-NO//A41.9", "ICD10-NO//R65.1"}
    assert wide == {*codes} - {"ICD10-NO//O86.0"}


@pytest.mark.parametrize("name", valueset_names())
def test_a_shipped_set_is_named_versioned_sourced_reviewed_and_resolves(name: str) -> None:
    values = load_valueset(name)
    assert values.name == name
    assert values.version
    assert values.sources
    assert all(len(source) > 30 for source in values.sources)
    assert len(values.review) > 30
    values.resolve(["ICD10//A41.9"])


def test_organisms_are_told_however_they_are_written() -> None:
    names = ["Staphylococcus epidermidis", "STAPHYLOCOCCUS HOMINIS", " CoNS", "Bacillus cereus"]
    names += ["STAPHYLOCOCCUS, COAGULASE NEGATIVE", "CORYNEBACTERIUM SPECIES (DIPHTHEROIDS)"]
    others = ["Staphylococcus aureus", "Bacillus anthracis", "Corynebacterium diphtheriae", None]
    assert texts_inside("blood_culture_commensals", [*names, *others]) == [True] * 6 + [False] * 4


def test_a_family_is_the_union_of_its_groups_and_a_group_has_its_analyte_and_unit() -> None:
    codes = ["NLK//NPU19748", "NLK//NPU02593", "NLK//NPU99999"]
    assert inside("laboratory/crp", codes) == ["NLK//NPU19748"]
    assert inside("laboratory", codes) == ["NLK//NPU02593", "NLK//NPU19748"]
    creatinine = load_valueset("laboratory/creatinine")
    assert (creatinine.analyte, creatinine.unit) == ("creatinine", "umol/L")
    units = creatinine.resolve(["PHYSIONET2012//Creatinine", "NLK//NPU04998"])
    assert units["unit"].to_list() == [None, "mg/dL"]


def test_years_union_intersect_and_are_taken_out_again(tmp_path: Path) -> None:
    write(tmp_path, "inner", "include: [{codes: [A//1, A//2], from_year: 2010}]")
    file = write(
        tmp_path,
        "outer",
        "include:\n- {value_set: inner, to_year: 2020}\n- codes: [A//3]\n- {codes: [A//1], from_year: 2021}\n"
        "exclude:\n- {codes: [A//2, A//3], from_year: 2012, to_year: 2013}\n",
    )
    found = load_valueset(file).resolve(["A//1", "A//2", "A//3", "A//4"]).drop("unit").rows()
    year = [datetime(year, 1, 1) for year in (2010, 2012, 2014, 2021)]
    assert found == [
        ("A//1", year[0], None),
        ("A//2", year[0], year[1]),
        ("A//2", year[2], year[3]),
        ("A//3", None, year[1]),
        ("A//3", year[2], None),
    ]


def test_an_event_is_in_a_set_by_its_code_and_its_own_year(tmp_path: Path) -> None:
    body = "include: [{pattern: 'ICD10-NO//D3[78]\\..1', from_year: 2023, to_year: 2024}, {codes: [B//1]}]"
    file = write(tmp_path, "years", body)
    events = pl.DataFrame(
        {
            "code": [
                "ICD10-NO//D37.01",
                "ICD10-NO//D37.01",
                "ICD10-NO//D37.01",
                "ICD10-NO//D37.0",
                "B//1",
                None,
            ],
            "time": [datetime(2023, 1, 1), datetime(2025, 1, 1), None, datetime(2023, 1, 1), None, None],
        }
    )
    first, *_ = events["code"]
    is_in = events.select(load_valueset(file).holds("code", [first, "B//1"])).to_series().to_list()
    assert is_in == [True] + [False] * 3 + [True, False]


def test_ranges_and_blocks_hold_what_lies_between_their_ends(tmp_path: Path) -> None:
    file = write(
        tmp_path, "heart", "include: [{under: [ICD10//I20-I25, ICD10//K70.0-ICD10//K70.3, ICD9CM//V42-V43]}]"
    )
    codes = [
        "ICD10//I19",
        "ICD10-NO//I20.0",
        "ICD10CM//I25.110",
        "ICD10//I26.0",
        "ICD10//K70",
        "ICD10//K70.3",
    ]
    codes += ["ICD10//K70.4", "ICD9CM//V42.0", "ICD9CM//V439", "ICD9CM//V44", "ICD9CM//E420"]
    assert inside(file, codes) == sorted([codes[1], codes[2], codes[5], codes[7], codes[8]])
    part = write(tmp_path, "part", "include: [{under: [ICD10//I20-I22, ICD9CM//410-411]}]")
    codes = ["ICD10//I22.1", "ICD10//I24.0", "ICD10//I25.1", "ICD9CM//41001", "ICD9CM//4141"]
    assert inside(part, codes) == ["ICD10//I22.1", "ICD9CM//41001"]
    chapter = write(tmp_path, "chapter", "include: [{under: ICD10//II}]")
    assert inside(chapter, ["ICD10-NO//C50.1", "ICD10-NO//D48.9", "ICD10-NO//D50.0"]) == [
        "ICD10-NO//C50.1",
        "ICD10-NO//D48.9",
    ]


def test_one_resolver_gives_what_each_set_gives_alone() -> None:
    codes = ["ICD10-NO//A41.9", "ICD10-NO//J18.9", "NLK//NPU19748", "ATC//J01CF05"]
    together = Resolver(reversed(codes))
    for name in ("sepsis_explicit", "laboratory/crp", "antibiotics_systemic"):
        values = load_valueset(name)
        assert together.resolve(values).equals(values.resolve(codes))


def test_an_unknown_set_is_met_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="sepsis_explicit"):
        load_valueset("sepsis")
    with pytest.raises(ConfigurationError, match="leukocytes"):
        load_valueset("laboratory/nothing")
    with pytest.raises(ConfigurationError, match="not a family"):
        load_valueset("sepsis_explicit/nothing")
    with pytest.raises(ConfigurationError, match="not a family"):
        load_family("sepsis_explicit")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("include: []", "faulty.yaml:6: include"),
        ("include:\n- {}", "faulty.yaml:7: include.0"),
        ("include:\n- {under: [A41]}", "faulty.yaml:7: include.0.under.0"),
        ("include:\n- {codes: [A//1], text: [a]}", "exactly one of"),
        ("include:\n- {text: ['*']}", "faulty.yaml:7: include.0.text.0"),
        ("include:\n- {text: [a*b]}", "faulty.yaml:7: include.0.text.0"),
        ("include:\n- {pattern: '(a'}", "not a regular expression"),
        ("include:\n- {codes: [A//1], from_year: 2020, to_year: 2019}", "from_year lies after to_year"),
        ("include:\n- codes: [A//1]\nexlude: []", "faulty.yaml:8: exlude"),
        ("include:\n- codes: [A//1]\ninclude:\n- codes: [A//2]", "a key that stands twice"),
        ("include:\n- value_set: [sepsis]", "faulty.yaml:7: include.0"),
    ],
)
def test_what_means_nothing_is_refused_with_file_and_line(body: str, told: str, tmp_path: Path) -> None:
    assert told in "\n".join(problems_of(write(tmp_path, "faulty", body)))


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    body = "include:\n- {kodes: [A//1]}\n- {under: [A41]}\nexclude:\n- {pattern: '['}\n"
    told = problems_of(write(tmp_path, "faulty", body))
    assert len(told) >= 3
    assert all("faulty.yaml:" in problem for problem in told)


def test_unknown_references_of_all_rules_are_told_at_once(tmp_path: Path) -> None:
    told = problems_of(
        write(tmp_path, "outer", "include:\n- value_set: [a, laboratory/b]\nexclude:\n- value_set: c")
    )
    assert [
        found for found in ("found: a", "found: b", "found: c") if any(found in line for line in told)
    ] == [
        "found: a",
        "found: b",
        "found: c",
    ]


def test_unknown_concepts_are_told_at_once_also_those_of_sets_within(tmp_path: Path) -> None:
    write(tmp_path, "inner", "include: [{under: [ICD10//A41, ICD10//Q99.95]}]")
    file = write(tmp_path, "outer", "include:\n- value_set: inner\n- under: [ICD10//X999, ICD10//C98-C99]")
    told = problems_of(file, ["ICD10//A41.9"])
    assert len(told) == 3
    assert "inner.yaml:6" in told[0]
    assert "outer.yaml:8" in told[1]


def test_a_fault_is_told_again_whenever_the_set_is_asked_for_and_whatever_the_data_hold(
    tmp_path: Path,
) -> None:
    wrong = load_valueset(write(tmp_path, "wrong", "include: [{under: ICD10//Q99.95}]"))
    outer = load_valueset(write(tmp_path, "outer", "include: [{value_set: wrong}]"))
    resolver = Resolver(["ICD10//Q99.95", "ICD10//A41"])
    for values in (wrong, outer, wrong):
        with pytest.raises(ConfigurationError, match="no such concept"):
            resolver.resolve(values)


def test_sets_that_lead_back_to_themselves_are_told_with_their_way(tmp_path: Path) -> None:
    write(tmp_path, "second", "include: [{value_set: third}]")
    write(tmp_path, "third", "include: [{codes: [A//1]}]\nexclude:\n- value_set: first")
    told = problems_of(write(tmp_path, "first", "include: [{value_set: second}]"))
    assert len(told) == 1
    assert "first -> second -> third -> first" in told[0]
    assert "third.yaml:8" in told[0]


def test_groups_of_a_family_may_lead_to_each_other_but_not_in_a_circle(tmp_path: Path) -> None:
    groups = (
        "groups:\n  a: {title: A, include: [value_set: pair/b]}\n  b: {title: B, include: [codes: [A//1]]}\n"
    )
    assert inside(write(tmp_path, "pair", groups), ["A//1"]) == ["A//1"]
    circle = write(tmp_path, "pair", groups.replace("codes: [A//1]", "value_set: pair/a"))
    assert "pair/a -> pair/b -> pair/a" in problems_of(circle)[0]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("hides: [c]", "group a names groups that are not there: c"),
        ("weights: {points: 1}", "every group has a weight in every weighting"),
    ],
)
def test_a_family_knows_its_groups_and_weights(group: str, told: str, tmp_path: Path) -> None:
    rule = "include: [{codes: [A//1]}]"
    body = f"groups:\n  a: {{title: A, {group}, {rule}}}\n  b: {{title: B, {rule}}}\n"
    assert told in "\n".join(problems_of(write(tmp_path, "faulty", body)))


@pytest.mark.skipif(not NORWEGIAN_LIST.exists(), reason=f"needs {NORWEGIAN_LIST.name} in shared/kodeverk")
def test_sepsis_is_what_the_norwegian_list_calls_sepsis() -> None:
    listed = json.loads(NORWEGIAN_LIST.read_text("utf-8"))
    titles = {f"ICD10-NO//{entry['code'][:3]}.{entry['code'][3:]}": entry["text"].lower() for entry in listed}
    named = {code for code, text in titles.items() if re.search(r"(^|[^r])sepsis|septisk sjokk", text)}
    named = {code for code in named if "antikonsepsjon" not in titles[code]}
    assert set(inside("sepsis_explicit", list(titles))) == named | {"ICD10-NO//R65.1"}


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("sepsis_explicit", ["DIAGNOSIS//ICD//10//A419", "DIAGNOSIS//ICD//9//99591"]),
        ("charlson_quan/renal_disease", ["DIAGNOSIS//ICD//10//N186"]),
        ("dialysis_dependence", ["DIAGNOSIS//ICD//10//N186"]),
        ("mechanical_ventilation", ["PROCEDURE//ICD//10//5A1935Z", "PROCEDURE//ICD//9//9670"]),
    ],
)
def test_diagnoses_and_procedures_of_another_meds_extract_are_read_as_their_systems(name, inside):
    """As the published MEDS extract of MIMIC-IV writes them; what each code means is read off its system."""
    codes = ["DIAGNOSIS//ICD//10//A419", "DIAGNOSIS//ICD//9//99591", "DIAGNOSIS//ICD//10//N186"]
    codes += ["PROCEDURE//ICD//10//5A1935Z", "PROCEDURE//ICD//9//9670", "PROCEDURE//ICD//9//0043"]
    codes += ["DIAGNOSIS//ICD//11//A419", "DIAGNOSIS//ICD//10//", "LAB//ICD//10//A419"]
    assert load_valueset(name).resolve(codes)["code"].to_list() == sorted(inside)


@pytest.mark.parametrize(
    "text",
    [
        "Staphylococcus  epidermidis",
        " STAPHYLOCOCCUS\tEPIDERMIDIS\n",
        "staphylococcus\u00a0epidermidis",
        "CoNS",
        "cons, two colonies",
        "Hvite stafylokokker",
        "koagulase negative stafylokokker",
        "S. epidermidis",
    ],
)
def test_a_commensal_is_one_however_the_laboratory_spaces_it(text):
    commensals = load_valueset("blood_culture_commensals")
    assert pl.DataFrame({"t": [text]}).select(commensals.holds_text("t")).item()


@pytest.mark.parametrize("text", ["Consistent with E. coli", "Staphylococcus aureus", "S. lugdunensis", ""])
def test_what_only_begins_like_a_commensal_is_none(text):
    commensals = load_valueset("blood_culture_commensals")
    assert not pl.DataFrame({"t": [text]}).select(commensals.holds_text("t")).item()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("vasopressors", "INFUSION_START//221906"),
        ("inotropes", "INFUSION_START//221653"),
        ("mechanical_ventilation", "PROCEDURE//START//225792"),
        ("noninvasive_ventilation", "PROCEDURE//START//225794"),
        ("renal_replacement", "PROCEDURE//START//225802"),
    ],
)
def test_treatments_of_another_meds_extract_are_found_by_the_same_items_when_they_begin(name, code):
    """The published MEDS extract of MIMIC-IV writes an item's start and end apart; an end is no treatment."""
    end = code.replace("START", "END")
    assert load_valueset(name).resolve([code, end])["code"].to_list() == [code]


def test_severe_sepsis_of_icd_9_is_an_organ_dysfunction_like_its_successor():
    """ICD-9-CM 995.92 and ICD-10-CM R65.20: severe sepsis, organ not named; 995.91 and R65.10 are not."""
    codes = ["ICD9CM//99591", "ICD9CM//99592", "ICD10CM//R6520", "ICD10CM//R6510"]
    found = load_valueset("acute_organ_dysfunction/not_named").resolve(codes)
    assert found["code"].to_list() == ["ICD10CM//R6520", "ICD9CM//99592"]
