"""The rules from signs to indications hold as told, and the shipped phenotypes say the same as the rules."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import polars as pl
import pytest
import yaml

from ontology.codesystems.owl import read_owl
from ontology.concepts import CodeSystem, concept_rows
from ontology.errors import ConfigurationError
from ontology.indications.criteria import DEFINED, VALUE_SETS, criterion, definitions
from ontology.indications.notes import Notes, documents_with, evidence, notes_of
from ontology.indications.rules import INDICATIONS, findings_of, indication

CONFIGS = Path(__file__).parents[4] / "configs"
FILE = Path(__file__).parents[4] / ".." / "shared" / "kodeverk" / "aaenote-ciio" / "ciio.owl"

ABOVE = {
    "pain": "observation", "tenderness": "observation", "red": "observation", "swollen": "observation",
    "edema": "swollen_kind", "warm": "observation", "hardness": "observation", "insertion_site": "place",
    "vein": "place", "general_iv": "procedure", "iv_fluid": "general_iv", "blood_test": "procedure",
    "document": "thing", "sentence": "thing",
}  # fmt: skip


def notes(*sentences: list[str], said: list[tuple[str, str, str]] | None = None) -> Notes:
    """One note d; each sentence mentions individuals called KIND or KIND.NUMBER."""
    individuals = {"d": "document"} | {f"s{n}": "sentence" for n in range(len(sentences))}
    facts = [("d", "contains", f"s{n}") for n in range(len(sentences))]
    for n, mentions in enumerate(sentences):
        individuals |= {mention: mention.split(".")[0] for mention in mentions}
        facts += [(f"s{n}", "contains", mention) for mention in mentions]
    edges = [*ABOVE.items(), *individuals.items()]
    listed = [(name, "individual" if name in individuals else "class") for name in {*ABOVE, *individuals}]
    codes = pl.DataFrame(listed, {"code": pl.String, "level": pl.String}, orient="row")
    properties = [(f"X//{s}", p, o if p == "negation" else f"X//{o}") for s, p, o in facts + (said or [])]
    return notes_of(
        CodeSystem(
            concept_rows("X", codes),
            pl.DataFrame(
                [(f"X//{a}", f"X//{b}", "is_a") for a, b in edges],
                ["child", "parent", "relation"],
                orient="row",
            ),
            pl.DataFrame(properties, ["concept", "property", "value"], orient="row"),
        )
    )


def holds(rule: str, *sentences: list[str], said: list[tuple[str, str, str]] | None = None) -> bool:
    return documents_with(notes(*sentences, said=said), indication(rule)) == {"d"}


SIGNS = {"pain": 0, "tenderness": 0, "red": 1, "swollen": 2, "edema": 2, "warm": 3}


@pytest.mark.parametrize("pair", list(combinations(SIGNS, 2)))
def test_any_two_of_the_four_signs_are_enough_and_two_names_of_one_are_not(pair: tuple[str, str]) -> None:
    at_site = [(sign, "located_nearby_on_at_in", "insertion_site") for sign in pair]
    is_enough = SIGNS[pair[0]] != SIGNS[pair[1]]
    assert holds("phlebitis_early", [*pair, "insertion_site"], said=at_site) == is_enough
    assert holds("phlebitis_early", [*pair, "iv_fluid"]) == is_enough


def test_signs_of_one_note_may_stand_in_several_sentences() -> None:
    assert holds("phlebitis_early", ["red", "iv_fluid"], ["warm", "general_iv"])


def test_signs_elsewhere_or_with_another_procedure_tell_nothing() -> None:
    assert not holds("phlebitis_early", ["red", "warm"])
    assert not holds("phlebitis_early", ["red", "warm", "insertion_site"])
    assert not holds("phlebitis_early", ["red", "warm", "blood_test"])
    assert not holds("phlebitis_early", ["red", "warm"], ["iv_fluid"])


def test_one_sign_at_the_site_and_one_with_an_infusion_are_not_two_at_one_place() -> None:
    said = [("red", "located_nearby_on_at_in", "insertion_site")]
    assert not holds("phlebitis_early", ["red", "insertion_site"], ["warm", "iv_fluid"], said=said)


def test_a_negated_sign_does_not_count() -> None:
    assert not holds("phlebitis_early", ["red", "warm", "iv_fluid"], said=[("warm", "negation", "true")])


def test_later_stages_need_the_vein_and_two_signs_besides_pain() -> None:
    vein = [("pain", "located_nearby_on_at_in", "vein"), ("hardness", "located_nearby_on_at_in", "vein")]
    sentences = (["pain", "hardness", "vein"], ["red", "swollen", "iv_fluid"])
    assert holds("phlebitis_medium", *sentences, said=vein[:1])
    assert not holds("phlebitis_advanced", *sentences, said=vein[:1])
    assert holds("phlebitis_advanced", *sentences, said=vein)
    assert not holds("phlebitis_medium", ["pain", "vein"], ["pain.2", "red", "iv_fluid"], said=vein[:1])


def test_phlebitis_implies_a_catheter_and_shows_the_signs_as_evidence() -> None:
    said = [(sign, "located_nearby_on_at_in", "insertion_site") for sign in ("red", "warm")]
    note = notes(["red", "warm", "insertion_site"], said=said)
    assert documents_with(note, indication("catheter")) == {"d"}
    assert evidence(note, indication("catheter"))["finding"].to_list() == ["red", "warm"]


def test_rules_have_names_in_both_languages_and_refer_to_rules_that_exist() -> None:
    names = [rule.name for rule in INDICATIONS]
    assert len(set(names)) == len(names)
    for rule in INDICATIONS:
        assert rule.english
        assert rule.norwegian
        assert {*rule.implied_by, *rule.and_also} <= set(names)
        assert all(finding.english and finding.norwegian for finding in findings_of(rule))
    with pytest.raises(ConfigurationError, match="phlebitis_early"):
        indication("phlebitis")


def test_the_shipped_phenotypes_say_what_the_rules_say() -> None:
    shipped = yaml.safe_load((CONFIGS / "phenotypes" / "infusion_phlebitis.yaml").read_text("utf-8"))
    assert shipped["definitions"] == definitions(within_hours=24)


def test_every_finding_of_a_shipped_phenotype_is_a_value_set() -> None:
    groups = yaml.safe_load((CONFIGS / "valuesets" / f"{VALUE_SETS}.yaml").read_text("utf-8"))["groups"]
    rules = [indication(name) for name in DEFINED]
    used = {*rules, *(indication(name) for rule in rules for name in rule.implied_by)}
    assert {finding.name for rule in used for finding in findings_of(rule)} == set(groups)


def test_rules_that_need_another_indication_are_not_written_as_criteria() -> None:
    with pytest.raises(ConfigurationError, match="sepsis_qsofa"):
        criterion(indication("sepsis_qsofa"))


@pytest.mark.skipif(not FILE.exists(), reason="needs aaenote-ciio in shared/kodeverk")
def test_value_sets_hold_the_ontologys_classes_and_those_below_them() -> None:
    groups = yaml.safe_load((CONFIGS / "valuesets" / f"{VALUE_SETS}.yaml").read_text("utf-8"))["groups"]
    notes_read = notes_of(read_owl(FILE, "CIIO"))
    for rule in INDICATIONS:
        for finding in findings_of(rule):
            if finding.name in groups:
                codes = {code for given in groups[finding.name]["include"] for code in given["codes"]}
                kinds = {f"CIIO//{kind}" for kind in notes_read.kinds(finding.classes)}
                assert {code for code in codes if code.startswith("CIIO//")} == kinds, finding.name
