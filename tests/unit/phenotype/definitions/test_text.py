"""Definition files: every fault is told at once by file and line, and families of definitions are read."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from ontology.errors import ConfigurationError
from phenotype.definitions.nodes import Events
from phenotype.definitions.text import definition_files, load_definitions, read_definitions, with_needed

HEAD = 'version: "1"\nsources: [a paper]\nreview: nobody\ndefinitions:\n'


def file_of(tmp_path, text, name="mine.yaml"):
    file = tmp_path / name
    file.write_text(HEAD + dedent(text), "utf-8")
    return file


def problems_of(*files):
    with pytest.raises(ConfigurationError) as caught:
        read_definitions(files)
    return [(problem.where.split(": ")[0], problem) for problem in caught.value.problems]


ALL_FAULTS = """\
  - name: one
    title: One
    confirmed:
      events: {in: no_such_set}
  - name: two
    title: Two
    confirmed:
      all:
        - events: {in: laboratory/crp, value: {above: 5, unit: "mm[Hg]"}}
        - phenotype: three
  - name: three
    title: Three
    confirmed:
      any: [{phenotype: two}]
  - name: four
    title: Four
    confirmed:
      near: {of: {events: cancer}, othr: {events: cancer}}
"""


def test_a_file_with_every_kind_of_fault_tells_all_of_them_with_their_lines(tmp_path):
    problems = problems_of(file_of(tmp_path, ALL_FAULTS))
    told = dict(problems)
    assert "no value set of this name" in told["mine.yaml:8"].what
    assert told["mine.yaml:8"].found == "no_such_set"
    assert "unit that cannot be converted" in told["mine.yaml:13"].what
    assert "circle" in told["mine.yaml:14"].what
    assert told["mine.yaml:14"].found == "two -> three -> two"
    misspelt = [problem for where, problem in problems if where == "mine.yaml:22"]
    assert {problem.what for problem in misspelt} == {"unknown key", "field required"}
    assert [problem.next_step for problem in misspelt if problem.what == "unknown key"] == ["write other"]
    assert set(told) == {"mine.yaml:8", "mine.yaml:13", "mine.yaml:14", "mine.yaml:22"}


def test_faults_of_several_files_are_told_together_and_circles_go_across_files(tmp_path):
    one = file_of(tmp_path, "  - {name: a, title: A, confirmed: {phenotype: b}}\n", "one.yaml")
    two = file_of(tmp_path, "  - {name: b, title: B, confirmed: {phenotype: a}, per: stays}\n", "two.yaml")
    assert [where for where, _ in problems_of(one, two)] == ["two.yaml:5"]
    two.write_text(two.read_text().replace(", per: stays", ""))
    ((where, problem),) = problems_of(one, two)
    assert (where, problem.found) == ("one.yaml:5", "a -> b -> a")


@pytest.mark.parametrize(
    ("criterion", "what", "next_step"),
    [
        ("{evnts: cancer}", "unknown key", "write events"),
        ("{events: cancer, first: {events: cancer}}", "a criterion with several keys", "use any or all"),
        ("{}", "an empty criterion", ""),
        ("[cancer]", "not a criterion", ""),
        ("{any: {events: cancer}}", "any is not a list", ""),
        ("{not: {events: cancer}}", "not stands outside all", ""),
        ("{any: [{not: {events: cancer}}]}", "not stands outside all", ""),
        ("{all: [{not: {events: cancer}}]}", "at least one part that is not negated", ""),
        ("{first: {events: cancer}, per: ward}", "input should be 'subject', 'stay' or 'contact'", ""),
        ("{events: {value: {above: 1}}}", "events need `in` (value sets) or `codes`", ""),
        ("{events: {in: cancer, value: {}}}", "a condition needs", ""),
        ("{events: {in: cancer, value: {above: 1, unit: furlongs}}}", "a unit that is not known", ""),
        ("{rise: {of: {events: cancer}, within_hours: 2}}", "rise needs either by or ratio", ""),
        ("{rise: {of: {events: cancer}, within_hours: 0, by: 1}}", "greater than 0", ""),
        (
            "{near: {of: {events: cancer}, other: {stay: {}}, from_hours: 2, to_hours: 1}}",
            "not be greater",
            "",
        ),
        ("{score: {name: APACHE}}", "no such score", ""),
        ("{score: {name: SOFA, part: spleen}}", "no such part", ""),
        ("{score: {name: SOFA, rise: 2}}", "name the marks that it lies around", ""),
        ("{weights: {family: no_family}}", "no value set of this name", ""),
        ("{weights: {family: charlson_quan, weighting: mine}}", "no such weights", ""),
        ("{phenotype: no_phenotype}", "no definition of this name", ""),
        ("{measure: {of: {stay: {}}, is: hours_since, in: stay}}", "belong to in: history", ""),
        ("{at_least: {n: 2, of: {stay: {}}, same: text}}", "needs `of` to be events", ""),
    ],
)
def test_what_a_criterion_may_not_say(tmp_path, criterion, what, next_step):
    problems = problems_of(file_of(tmp_path, f"  - name: a\n    title: A\n    confirmed: {criterion}\n"))
    assert all(where == "mine.yaml:7" for where, _ in problems)
    assert any(what in problem.what and next_step in problem.next_step for _, problem in problems)


def test_a_name_may_stand_once(tmp_path):
    one = "  - {name: a, title: A, confirmed: {stay: {}}}\n"
    ((where, problem),) = problems_of(file_of(tmp_path, one + one))
    assert (where, problem.what) == ("mine.yaml:6", "two definitions of one name")


def test_a_family_of_value_sets_makes_a_definition_for_each_group(tmp_path):
    text = """\
      - name: has/{group}
        groups_of: charlson_quan
        title: "{title} ever"
        confirmed: {events: {in: "charlson_quan/{group}"}}
    """
    definitions = {d.name: d for d in read_definitions([file_of(tmp_path, text)])}
    assert len(definitions) == 17  # Charlson 1987 has 17 groups in Quan's form
    dementia = definitions["has/dementia"]
    assert dementia.title == "Dementia ever"
    assert dementia.confirmed == Events(sets=("charlson_quan/dementia",))
    assert (dementia.version, dementia.sources) == ("1", ("a paper",))


def test_anchors_under_shared_are_read_and_judged(tmp_path):
    good = HEAD.replace("definitions:", "shared:\n  c: &c {events: cancer}\ndefinitions:")
    text = good + "  - {name: a, title: A, confirmed: {first: *c}}\n"
    file = tmp_path / "shared.yaml"
    file.write_text(text)
    assert read_definitions([file])[0].confirmed.of == Events(sets=("cancer",))
    file.write_text(text.replace("events", "evnts"))
    assert "shared.yaml:5" in [where for where, _ in problems_of(file)]


def test_the_digest_changes_with_the_meaning_only(tmp_path):
    text = "  - {name: a, title: A, confirmed: {events: cancer}}\n"
    first = read_definitions([file_of(tmp_path, text)])[0]
    renamed = read_definitions([file_of(tmp_path, text.replace("title: A", "title: B"))])[0]
    hidden = read_definitions([file_of(tmp_path, text.replace("title: A", "title: A, is_shown: false"))])[0]
    other = read_definitions([file_of(tmp_path, text.replace("cancer", "vasopressors"))])[0]
    assert first.digest == renamed.digest == hidden.digest != other.digest
    assert (first.is_shown, hidden.is_shown) == (True, False)


def test_what_a_definition_needs_comes_before_it(tmp_path):
    text = """\
      - {name: c, title: C, confirmed: {phenotype: b}}
      - {name: b, title: B, confirmed: {phenotype: a}}
      - {name: a, title: A, confirmed: {stay: {}}}
    """
    assert [d.name for d in with_needed(read_definitions([file_of(tmp_path, text)]))] == ["a", "b", "c"]


def test_all_shipped_definitions_are_read():
    definitions = load_definitions()
    assert {definition.file for definition in definitions} == {file.name for file in definition_files()}


def test_a_file_may_be_one_definition_with_anchors_of_its_own(tmp_path):
    file = tmp_path / "one.yaml"
    head = HEAD.replace("definitions:\n", "shared: {c: &c {events: cancer}}\n")
    file.write_text(head + "name: a\ntitle: A\nconfirmed: {all: [*c, {stay: {}}]}\n", "utf-8")
    (definition,) = read_definitions([file])
    assert definition.confirmed.of[0] == Events(sets=("cancer",))


PAGE = Path(__file__).parents[4] / "docs" / "phenotypes.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_read(tmp_path, example):
    """Whole files as they are; else criteria, one a line unless a line says per."""
    if "confirmed:" in example:
        file = tmp_path / "page.yaml"
        file.write_text(example, "utf-8")
    else:
        lines = example.replace("\nper:", ", per:").splitlines()
        criteria = [line.split(" #")[0].strip() for line in lines]
        text = [f"  - {{name: a{n}, title: A, confirmed: {{{one}}}}}\n" for n, one in enumerate(criteria)]
        file = file_of(tmp_path, "".join(text))
    assert read_definitions([file])


A = "{events: {codes: A}}"


@pytest.mark.parametrize(
    "criterion",
    [
        f"{{near: {{of: {A}, other: {A}, to_hours: 1e300}}}}",
        f"{{near: {{of: {A}, other: {A}, from_hours: -.inf}}}}",
        f"{{at_least: {{n: 99999999999999999999999, of: {A}}}}}",
        f"{{at_least: {{n: 2, of: {A}, within_hours: 1e30}}}}",
        f"{{measure: {{of: {A}, is: count, look_back_days: 1e20}}}}",
        f"{{score: {{name: SOFA, around: {A}, from_hours: -1e15, at_least: 1}}}}",
        "{weights: {family: charlson_quan, look_back_days: 1e20}}",
        "{stay: {readmission_within_days: 1e20}}",
        "{events: {codes: A, value: {above: .nan}}}",
        "{events: {codes: A, value: {above: 5, below: 3}}}",
        "{events: {codes: A, value: {at_least: 5, below: 5}}}",
        "{events: {codes: ''}}",
        "{events: {in: blood_culture_commensals}}",
        "{events: {codes: A, text: cancer}}",
        "{first: " * 900 + A + "}" * 900,
        "&a {any: [*a]}",
    ],
)
def test_what_can_mean_nothing_or_has_no_end_is_told_with_its_file(tmp_path, criterion):
    file = file_of(tmp_path, f"  - {{name: x, title: t, confirmed: {criterion}}}\n")
    assert {where.split(":")[0] for where, _ in problems_of(file)} == {"mine.yaml"}


def test_a_window_of_two_hundred_years_and_equal_closed_bounds_are_allowed(tmp_path):
    near = f"{{near: {{of: {A}, other: {A}, to_hours: 1753000}}}}"
    equal = "{events: {codes: A, value: {at_least: 5, at_most: 5}}}"
    lines = [f"  - {{name: x{n}, title: t, confirmed: {one}}}\n" for n, one in enumerate((near, equal))]
    assert len(read_definitions([file_of(tmp_path, "".join(lines))])) == 2


@pytest.mark.parametrize("shared", ["[a]", "hello", "3"])
def test_shared_is_a_mapping(tmp_path, shared):
    file = tmp_path / "mine.yaml"
    body = f"shared: {shared}\ndefinitions:\n  - {{name: x, title: t, confirmed: {A}}}\n"
    file.write_text(HEAD.replace("definitions:\n", "") + body, "utf-8")
    ((where, problem),) = problems_of(file)
    assert (where, problem.what) == ("mine.yaml:4", "shared is not a mapping")


def test_a_definition_named_like_a_shipped_one_must_not_need_what_needs_it(tmp_path):
    file = file_of(tmp_path, "  - {name: sepsis_3, title: t, confirmed: {phenotype: septic_shock}}\n")
    with pytest.raises(ConfigurationError, match="circle"):
        with_needed(read_definitions([file]))
