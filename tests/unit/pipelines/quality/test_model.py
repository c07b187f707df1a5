"""The language: what ships is whole and explained, and every fault of a file is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ontology.errors import ConfigurationError
from pipelines.quality.conditions import COLUMNS, fault_of
from pipelines.quality.model import load_checks, shipped_files
from pipelines.quality.rules import Rule
from pipelines.quality.ways import WAYS

CHECK = {
    "id": "mine",
    "title": "mine",
    "why": "because",
    "category": "completeness",
    "level": "field",
    "severity": "convention",
    "table": "events",
    "source": "me",
    "advice": "none",
    "rule": {"type": "condition", "table": "events", "wrong": "unit IS NULL"},
}


def file_of(tmp_path: Path, *checks: dict[str, object]) -> str:
    path = tmp_path / "mine.yaml"
    content = {"name": "mine", "title": "Mine", "version": "1", "checks": list(checks)}
    path.write_text(yaml.safe_dump(content), "utf-8")
    return str(path)


def test_at_least_sixty_checks_ship_in_eight_themes():
    assert shipped_files() == (
        "coding",
        "completeness",
        "conformance",
        "identity",
        "laboratory",
        "plausibility.time",
        "plausibility.value",
        "sources",
    )
    checks = load_checks()
    assert len(checks) >= 60
    assert len({check.id for check in checks}) == len(checks)


def test_every_check_says_why_it_matters_where_it_comes_from_and_what_to_do():
    for check in load_checks():
        assert len(check.why) > 20, check.id
        assert len(check.advice) > 10, check.id
        assert check.source, check.id


def test_fatal_checks_and_conventions_have_a_threshold():
    for check in load_checks():
        if check.severity != "characterization":
            assert check.threshold is not None, check.id


def test_every_kind_of_rule_has_a_way_to_count_and_a_shipped_check():
    kinds = {kind.model_fields["type"].annotation.__args__[0] for kind in Rule.__args__}
    assert kinds - {"condition"} == set(WAYS)
    assert {check.rule.type for check in load_checks()} == kinds


def test_files_paths_and_single_checks_can_be_asked_for(tmp_path):
    assert [check.id for check in load_checks([file_of(tmp_path, CHECK)])] == ["mine"]
    assert [check.id for check in load_checks(["before-birth"])] == ["before-birth"]
    assert "before-birth" in {check.id for check in load_checks(["plausibility.time"])}
    both = load_checks(["plausibility.time", "before-birth"])
    assert [check.id for check in both].count("before-birth") == 1
    with pytest.raises(ConfigurationError, match="no such configuration in quality") as raised:
        load_checks(["nonsense"])
    assert "or a check's id" in raised.value.problems[0].allowed


def test_every_condition_that_cannot_be_read_is_told(tmp_path):
    broken = [
        {**CHECK, "id": f"mine-{place}", "rule": {**CHECK["rule"], "wrong": text}}
        for place, text in enumerate(["unit IS", "weight > 3", "LENGTH(code)"])
    ]
    with pytest.raises(ConfigurationError) as raised:
        load_checks([file_of(tmp_path, *broken)])
    assert [problem.what for problem in raised.value.problems] == ["a condition that cannot be read"] * 3
    assert "weight" in raised.value.problems[1].found
    assert "UInt32" in raised.value.problems[2].found


@pytest.mark.parametrize(
    "change",
    [{"severity": "bad"}, {"threshold": 1.5}, {"rule": {"type": "magic"}}, {"id": "Not An Id"}, {"x": 1}],
)
def test_a_key_that_does_not_fit_is_told_with_its_place(tmp_path, change):
    with pytest.raises(ConfigurationError, match=r"checks\.0"):
        load_checks([file_of(tmp_path, CHECK | change)])


def test_one_id_cannot_mean_two_checks(tmp_path):
    with pytest.raises(ConfigurationError, match="two checks with one id"):
        load_checks([file_of(tmp_path, CHECK, CHECK | {"title": "another"})])


def test_conditions_cannot_reach_outside_the_row():
    assert fault_of("unit IS NULL", "events") is None
    for text in ("SELECT 1", "unit IN (SELECT unit FROM events)", "read_csv('x')", "1; DROP TABLE events"):
        assert fault_of(text, "events") is not None, text
    assert set(COLUMNS) == {"events", "subjects", "contacts", "stays", "codings", "observation"}


@pytest.mark.parametrize(
    "text",
    [
        "numeric_value > AVG(numeric_value)",
        "COUNT(*) > 5",
        "ROW_NUMBER() OVER (ORDER BY time) > 1",
        "code = LAG (code) OVER (ORDER BY time)",
    ],
)
def test_conditions_cannot_look_at_other_rows_for_events_are_counted_in_slices(text):
    assert "one row at a time" in fault_of(text, "events")


def test_a_word_in_quotes_is_no_function_over_rows():
    assert fault_of("code LIKE 'MAX(%' OR \"unit\" = 'it''s count(x)'", "events") is None
