"""Dates in texts become a mark; numbers that are no dates stay."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.identity.text_dates import without_dates


def masked(text: str) -> str:
    return str(pl.DataFrame({"t": [text]}).select(without_dates(pl.col("t"), "#")).item())


@pytest.mark.parametrize(
    "date",
    [
        "2024-03-01",
        "2024-03-01 09:30",
        "2024-03-01T09:30:00+01:00",
        "2024-03-01T09:30:00.123Z",
        "2024/03/01",
        "20240301",
        "20240301T0930",
        "20240301093000",
        "01.03.2024",
        "1.3.2024",
        "1. 3. 2024",
        "1/3/2024",
        "01-03-2024",
        "01.03.24",
        "1/3-24",
        "01032024",
        "1. mars 2024",
        "1 Mar 2024",
        "mars 2024",
        "Des. 1999",
        "March 1, 2024",
        "2024-03",
    ],
)
def test_a_date_is_masked_however_it_is_written(date: str) -> None:
    assert masked(date) == "#"
    assert masked(f"innlagt {date}, bedre") == "innlagt #, bedre"
    assert masked(f"x={date};{date}") == "x=#;#"
    assert masked(f"_{date}_") == f"_{date}_".replace(date, "#") or date[-1].isdigit()


@pytest.mark.parametrize(
    "text", ["120/80", "1.5", "I50.9", "10-12", "3/4", "12345678901", "2.16.578.1.12.4.1.1.7426", "", "mars"]
)
def test_other_texts_stay(text: str) -> None:
    assert masked(text) == text
