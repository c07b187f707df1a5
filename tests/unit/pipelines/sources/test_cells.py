"""Cells as texts and numbers, templates, cleaning and conditions, alike for text files and typed columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from pipelines.sources.cells import condition_expr, numbers, texts
from pipelines.sources.fields import Condition, NumberField, Text


def made_text(spec: Any, **columns: list[Any]) -> list[str | None]:
    return texts(
        pl.DataFrame(columns).with_row_index("_index"), TypeAdapter(Text).validate_python(spec)
    ).to_list()


def made_number(spec: Any, cells: list[Any]) -> list[float | None]:
    rows = pl.DataFrame({"x": cells}).with_row_index("_index")
    return numbers(rows, TypeAdapter(NumberField).validate_python(spec)).to_list()


def passes(cells: list[Any], **test: Any) -> list[bool]:
    rows = pl.DataFrame({"x": cells, "y": [2.0] * len(cells)})
    return rows.select(condition_expr(rows, Condition(column="x", **test))).to_series().to_list()


def test_a_whole_number_reads_alike_in_text_integer_and_float() -> None:
    for cells in (["4", "15"], [4, 15], [4.0, 15.0]):
        assert made_text("ICU//{x}", x=cells) == ["ICU//4", "ICU//15"]
    assert made_text("{x}", x=[92.33, -1.0]) == ["92.33", "-1"]


def test_a_number_is_multiplied_and_then_added_to() -> None:
    celsius = {"column": "x", "factor": 5 / 9, "plus": -160 / 9}
    # Freezing, boiling, and where the two scales meet; "98.6" is the textbook's 37.
    assert made_number(celsius, ["32", "212", "-40", "98.6", None]) == [
        pytest.approx(0.0, abs=1e-12),
        pytest.approx(100.0),
        pytest.approx(-40.0),
        pytest.approx(37.0),
        None,
    ]
    assert made_number(celsius, [212, None]) == [pytest.approx(100.0), None]
    assert made_number({"column": "x", "map": {"hot": 212}, "factor": 5 / 9, "plus": -160 / 9}, ["hot"]) == [
        pytest.approx(100.0)
    ]
    assert made_number({"column": "x", "plus": 2.5}, ["1"]) == [3.5]


def test_a_template_is_null_where_a_column_is() -> None:
    assert made_text("{a}-{b}/{a}", a=["x", None], b=["y", "y"]) == ["x-y/x", None]


def test_maps_cases_and_what_they_lack() -> None:
    assert made_text({"text": "{x}", "map": {1: "one", "2": "two"}}, x=[1, 2, 3]) == ["one", "two", None]
    signs = {"text": "{x}", "map": {0: "no", 1: "yes"}}
    assert made_text(signs, x=["0.0", "1", "-1.0"]) == ["no", "yes", None]
    assert made_text({"text": "{x}", "map": {1: "one"}, "otherwise": "other {x}"}, x=[1, 3]) == [
        "one",
        "other 3",
    ]
    cases = [{"text": "death", "when": [{"column": "dead", "equals": 1}]}, "{place}"]
    assert made_text([*map(as_case, cases)], dead=[1, 0, None], place=["a", "b", "c"]) == ["death", "b", "c"]


def as_case(given: Any) -> Any:
    return given if isinstance(given, dict) else {"text": given}


@pytest.mark.parametrize(
    ("step", "sent", "expected"),
    [
        ("icd9_dot", "99591", "995.91"),
        ("icd9_dot", "V4581", "V45.81"),
        ("icd9_dot", "E8889", "E888.9"),
        ("icd9_dot", "431", "431"),
        ("icd9_procedure_dot", "3605", "36.05"),
        ("icd10_dot", "A419", "A41.9"),
        ("icd10_dot", "I10", "I10"),
        ("icd10_dot", "G01*", "G01"),
        ("icd10_dot", "A170+", "A17.0"),
        ("no_dots", "A41.9", "A419"),
        ("upper", "a41.9", "A41.9"),
        ("no_spaces", " A41 .9", "A41.9"),
        ("strip", "  ", None),
    ],
)
def test_codes_are_cleaned_as_their_books_print_them(step: str, sent: str, expected: str | None) -> None:
    assert made_text({"text": "{x}", "clean": [step]}, x=[sent]) == [expected]


def test_numbers() -> None:
    assert made_number("x", ["7", " 7.5 ", "1e2", "abc", "inf", "NaN", None]) == [
        7,
        7.5,
        100,
        None,
        None,
        None,
        None,
    ]
    assert made_number({"column": "x", "decimal_comma": True, "factor": 10}, ["3,5", "4"]) == [35, 40]
    assert made_number({"column": "x", "map": {"> 89": 90}}, ["> 89", "54"]) == [90, 54]
    assert made_number(3, ["whatever"]) == [3]


def test_conditions_on_text_and_number_cells() -> None:
    for cells in (["1", "2", None], ["1.0", "2.00", None], [1, 2, None], [1.0, 2.0, None]):
        assert passes(cells, equals=1) == [True, False, False]
        assert passes(cells, not_equals=1) == [False, True, True]
        assert passes(cells, one_of=[1, 7]) == [True, False, False]
        assert passes(cells, none_of=["1", "7"]) == [False, True, True]
        assert passes(cells, matches="^[12]") == [True, True, False]
        assert passes(cells, is_null=True) == [False, False, True]
        assert passes(cells, not_null=True) == [True, True, False]
        assert passes(cells, greater_than=1) == [False, True, False]
        assert passes(cells, at_least="y") == [False, True, False]
        assert passes(cells, less_than="y") == [True, False, False]
        assert passes(cells, at_most=1.5) == [True, False, False]


def test_instants_are_compared_with_instants() -> None:
    instants = pl.DataFrame(
        {"x": [datetime(2024, 1, 2), datetime(2024, 1, 1), None], "y": [datetime(2024, 1, 1, 12)] * 3}
    )
    for test, wanted in (("at_least", [True, False, False]), ("less_than", [False, True, False])):
        condition = Condition.model_validate({"column": "x", test: "y"})
        assert instants.select(condition_expr(instants, condition)).to_series().to_list() == wanted
