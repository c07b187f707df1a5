"""Yearly lists joined to spans say of every year exactly what that year's list says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.codesystems.year_lists import read_spans, years_covered
from ontology.errors import ConfigurationError, InputError

Lists = dict[int, dict[str, str]]
ONE_LIST = st.dictionaries(st.sampled_from(["A00", "A01", "B99"]), st.sampled_from(["x", "y"]), min_size=1)
LISTS = st.dictionaries(st.integers(2018, 2026), ONE_LIST, min_size=1, max_size=6)


def written(lists: Lists, folder: Path) -> dict[int, Path]:
    for year, texts in lists.items():
        rows = [{"code": code, "text": text} for code, text in texts.items()]
        (folder / f"{year}.json").write_text(json.dumps(rows), "utf-8")
    return {year: folder / f"{year}.json" for year in lists}


@given(LISTS)
def test_spans_hold_each_year_s_texts_and_are_as_long_as_they_can_be(lists: Lists) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spans = read_spans(written(lists, Path(folder)), "[A-Z][0-9]{2}", "a letter and two digits")
    told = [
        (code, label, first.year, last.year)
        for code, label, first, last in spans.rows()
        if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31)
    ]
    assert len(told) == spans.height
    by_year = {
        year: {code: label for code, label, first, last in told if first <= year <= last}
        for year in range(2017, 2028)
    }
    assert {year: texts for year, texts in by_year.items() if texts} == lists
    for code, label, _, last in told:
        assert not any(one[:3] == (code, label, last + 1) for one in told)


@given(st.sets(st.integers(2000, 2030), min_size=1))
def test_coverage_holds_the_years_read_and_no_other(years: set[int]) -> None:
    covered = years_covered("X", dict.fromkeys(years, Path()))
    runs = covered.select(pl.col("covered_from", "covered_to").dt.year()).rows()
    assert {year for first, last in runs for year in range(first, last + 1)} == years
    assert covered.height == sum(year - 1 not in years for year in years)


def test_a_list_that_is_missing_or_no_list_is_told_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"code": "A00"', "utf-8")
    (tmp_path / "c.csv").write_text("code;name\nA00;x\n", "utf-8")
    lists = {2023: tmp_path / "b.json", 2024: tmp_path / "c.csv"}
    with pytest.raises(InputError) as caught:
        read_spans(lists, "[A-Z][0-9]{2}", "a letter and two digits")
    told = str(caught.value)
    assert "b.json" in told
    assert "c.csv" in told


@pytest.mark.parametrize("year", [-5, 0, 24, 1899, 3000, 2**40])
def test_a_list_of_a_year_that_is_none_is_refused(tmp_path: Path, year: int) -> None:
    lists = written({2024: {"A00": "x"}}, tmp_path)
    with pytest.raises(ConfigurationError, match="1900 to 2999"):
        read_spans({year: lists[2024]}, "[A-Z][0-9]{2}", "a letter and two digits")
