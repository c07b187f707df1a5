"""Rule files: what they may say, and that every fault is told at once, by file, line and key."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from phenotype.coding.rules.rules import load_rules, rule_files

GOOD = """
family: own
severity: error
prior: {right: 9, wrong: 1, source: a guess}
sources: [the ward]
rules:
  - id: my_rule
    title: t
    title_nb: t
    says: s
    says_nb: s
    valid_from: 2024-01-01
    condition: {code: {codes: "ICD10//A41*"}}
    suggestion: {text: x, text_nb: x}
"""


def faults(folder: Path, **files: str) -> list[tuple[str, str]]:
    """What and where of each problem of these files."""
    paths = []
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, "utf-8")
        paths.append(path)
    with pytest.raises(ConfigurationError) as caught:
        load_rules(paths)
    return [(problem.what, problem.where) for problem in caught.value.problems]


def test_a_file_of_ones_own_is_read_with_what_stands_for_all_its_rules(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD, "utf-8")
    (rule,) = load_rules([tmp_path / "own.yaml"])
    assert (rule.id, rule.family, rule.severity, rule.prior.mean) == ("my_rule", "own", "error", 0.9)
    assert rule.valid_from == date(2024, 1, 1)


def test_rules_are_named_by_family_by_id_and_by_path_and_come_in_order(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD, "utf-8")
    found = [rule.id for rule in load_rules(["main_condition", "sepsis_double", tmp_path / "own.yaml"])]
    assert found == ["kv_covid_main", "kv_z03_main", "my_rule", "sepsis_double"]
    assert len(load_rules()) == len({rule.id for rule in load_rules()})
    assert {file.stem for file in rule_files()} >= {"main_condition", "sepsis"}


def test_a_name_that_is_no_rule_is_refused_with_names_that_are_near() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_rules(["sepsis_dubble"])
    assert "sepsis_double" in caught.value.problems[0].allowed


def test_all_faults_of_all_files_are_told_with_file_line_and_key(tmp_path: Path) -> None:
    wrong = GOOD.replace("severity: error", "severity: terrible").replace("    title: t\n", "")
    other = GOOD.replace('{code: {codes: "ICD10//A41*"}}', "{code: {in: no_such_set}}").replace("my_", "x_")
    told = faults(tmp_path, a=wrong, b=other)
    assert sorted(where for _, where in told) == [
        "a.yaml:7: rules.0.severity",
        "a.yaml:7: rules.0.title",
        "b.yaml:13: rules.0.condition.code",
    ]


@pytest.mark.parametrize(
    ("condition", "key"),
    [
        ("{}", "rules.0.condition"),
        ('{code: {codes: "ICD10//A41*"}, contact: {sex: male}}', "rules.0.condition"),
        ("{code: {}}", "rules.0.condition.code"),
        ('{code: {codes: "A41"}}', "rules.0.condition.code.codes.0"),
        ("{cod: {}}", "rules.0.condition.cod"),
        ("{contact: {}}", "rules.0.condition.contact"),
        ("{contact: {nights: {}}}", "rules.0.condition.contact.nights"),
        ("{fact: {name: colour}}", "rules.0.condition.fact.name"),
        ("{all: [{any: [{fact: {name: colour}}]}]}", "rules.0.condition.all.0.any.0.fact.name"),
        ("{another: {within_days: 1, within_hours: 1}}", "rules.0.condition.another"),
        ("{another: {where: {code: {in: nothing}}}}", "rules.0.condition.another.where.code"),
        ("{together: {has: []}}", "rules.0.condition.together.has"),
    ],
)
def test_a_condition_that_means_nothing_is_told_at_its_key(tmp_path: Path, condition: str, key: str) -> None:
    told = faults(tmp_path, a=GOOD.replace('{code: {codes: "ICD10//A41*"}}', condition))
    assert any(where.endswith(f": {key}") for _, where in told), told


def test_faults_of_a_criterion_of_the_phenotype_language_are_told_with_their_line(tmp_path: Path) -> None:
    told = faults(
        tmp_path, a=GOOD.replace('{code: {codes: "ICD10//A41*"}}', "{marks: {evnts: {in: infection}}}")
    )
    assert told[0][0] == "unknown key"
    assert told[0][1].startswith("a.yaml:13:")


def test_rules_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    turned = GOOD.replace("valid_from: 2024-01-01", "valid_from: 2024-01-01\n    valid_to: 2023-01-01")
    assert "valid_from lies after valid_to" in faults(tmp_path, a=turned)[0][0]
    undated = GOOD.replace("valid_from: 2024-01-01", "dated_by: procedure")
    assert "scope" in faults(tmp_path, a=undated)[0][0]
    weak = GOOD + "    except: [{name: x, title: x, when: {contact: {sex: male}}, effect: weakens}]\n"
    assert "prior" in faults(tmp_path, a=weak)[0][0]
    assert faults(tmp_path, a=GOOD, b=GOOD)[0][0] == "two rules of one id"


def test_a_file_without_rules_and_a_key_that_no_rule_has_are_told(tmp_path: Path) -> None:
    told = faults(tmp_path, a="family: x\nrule: []\n")
    assert [what for what, _ in told] == ["unknown key", "rules is not a list of rules"]
