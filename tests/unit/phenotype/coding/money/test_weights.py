"""A weight table is read as sent; what it lacks or says twice is counted by reason and never guessed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import InputError
from phenotype.coding.money.weights import Weights

NORWEGIAN = """DRG;År;Kostnadsvekt;Trimpunkt;Døgnvekt
89;2024;1,234;20;0,05
90;2024;0,8;;
90;2024;0,8;;
91;2024;0,5;;
91;2024;0,6;;
92;2024;-1;;
93;2024;mye;;
94;nittifire;1;;
;2024;1;;
95;2024;1,0;lenge;
"""
"""As a Norwegian sheet is saved: semicolons, decimal commas."""


def faults_of(weights: Weights) -> dict[str, int]:
    return dict(weights.faults.iter_rows())


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    file = tmp_path / "weights.csv"
    file.write_text(NORWEGIAN, "utf-8")
    return Weights.load(file)


def test_what_cannot_be_used_is_counted(weights: Weights) -> None:
    assert weights.table["drg"].to_list() == ["89", "90", "95"]
    assert weights.table["weight"].to_list() == [Decimal("1.234"), Decimal("0.8"), Decimal(1)]
    assert faults_of(weights) == {
        "a row that says the same again": 1,
        "a group and year with several weights": 2,
        "a negative weight": 1,
        "a row whose weight is no number": 1,
        "a row whose year cannot be read": 1,
        "a row without a group": 1,
        "a trim point or weight per day that is no number of 0 or more": 1,
    }


def test_points_and_the_reasons_why_cases_have_none(weights: Weights) -> None:
    cases = pl.DataFrame(
        {
            "drg": ["89", "89", "90", "91", None, "89", "89"],
            "year": [2024, 2024, 2024, 2024, 2024, 2023, None],
            "days": [25.5, 3.0, 90.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    found = weights.points(cases)
    # 5 whole days beyond the trim point of 20 at 0.05 each; group 90 has no trim rule.
    assert found["points"].to_list()[:3] == [Decimal("1.484"), Decimal("1.234"), Decimal("0.8")]
    assert found["points"].null_count() == 4
    assert found["reason"].to_list()[3:] == [
        "group not in the weight table of the year",
        "no group",
        "year not in the weight table",
        "no year",
    ]
    assert dict(weights.told(cases).iter_rows()) == {
        "group not in the weight table of the year: 91 in 2024": 1,
        "no group": 1,
        "no year": 1,
        "year not in the weight table": 1,
    }


def test_the_same_table_as_sheet_and_as_parquet(tmp_path: Path) -> None:
    rows = pl.DataFrame({"drg": ["89", "90"], "year": [2024, 2024], "weight": [1.234, 0.8]})
    rows.write_excel(tmp_path / "weights.xlsx")
    rows.write_parquet(tmp_path / "weights.parquet")
    sheet, parquet = Weights.load(tmp_path / "weights.xlsx"), Weights.load(tmp_path / "weights.parquet")
    assert sheet.table.equals(parquet.table)
    assert sheet.table["weight"].to_list() == [Decimal("1.234"), Decimal("0.8")]


def test_a_table_of_one_year_is_told_its_year(tmp_path: Path) -> None:
    file = tmp_path / "weights.csv"
    file.write_text("drg,weight\n89,1.5\n")
    with pytest.raises(InputError, match="without years"):
        Weights.load(file)
    assert Weights.load(file, year=2024).table["year"].to_list() == [2024]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("drg,year\n1,2024\n", "column for the weight is missing"),
        ("drg,year,weight\n1,2024,x\n", "no weight can"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "weights.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=told):
        Weights.load(file)
