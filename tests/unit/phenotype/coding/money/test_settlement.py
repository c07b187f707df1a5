"""Settlement reproduces the published tables of the settlement committee, and never prices by guess."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.errors import ConfigurationError
from phenotype.coding.money.settlement import NotPricedError, Prices

PRICES = Prices.load()
POINTS = st.decimals(min_value=0, max_value=100_000, places=3)


@pytest.mark.parametrize(
    ("points", "refund"),
    [
        # Case 17/28390 of Avregningsutvalget: the sum, its parts of Helse Vest and Helse Sør-Øst.
        ("1625.992", "37241720.77"),
        ("303.75", "6957090.00"),
        ("863.458", "19776642.03"),
    ],
)
def test_case_17_28390_to_the_oere(points: str, refund: str) -> None:
    assert PRICES.refund_nok(points, 2020) == Decimal(refund)


@pytest.mark.parametrize(("points", "published"), [("100.406", "2299707.38"), ("56.125", "1285496.41")])
def test_case_21_4753_within_the_rounding_of_its_published_points(points: str, published: str) -> None:
    """Points are published to three decimals, so a sum may differ by half a thousandth of a point."""
    half = Decimal("0.0005")
    low = PRICES.refund_nok(Decimal(points) - half, 2020)
    high = PRICES.refund_nok(Decimal(points) + half, 2020)
    assert low <= Decimal(published) <= high


def test_a_point_of_2024() -> None:
    assert PRICES.refund_nok(1, 2024) == Decimal("20899.20")


@pytest.mark.parametrize(
    ("amount", "points"),
    [
        # Cases 25/3262, 3263, 3265 are told in millions, the others to the krone.
        ("3.7e6", 177),
        ("4e6", 191),
        ("2.2e6", 105),
        ("822948", 39.4),
        ("233715", 11.2),
        ("492000", 23.5),
    ],
)
def test_points_of_the_cases_of_2024(amount: str, points: float) -> None:
    found = PRICES.points_of_nok(Decimal(amount), 2024)
    assert float(found) == pytest.approx(points, abs=0.5 if points > 100 else 0.05)


def test_points_per_stay_of_case_25_3262() -> None:
    assert float(PRICES.points_of_nok("3700000", 2024)) / 111 == pytest.approx(1.59, abs=0.006)


@pytest.mark.parametrize(
    ("year", "field"),
    [(2025, "somatic"), (2023, "somatic"), (2019, "somatic"), (2024, "mental_health"), (1990, "somatic")],
)
def test_a_year_without_a_confirmed_price_is_refused(year: int, field: str) -> None:
    with pytest.raises(NotPricedError, match="no price of a point") as told:
        PRICES.refund_nok(1, year, field)  # type: ignore[arg-type]
    assert "2024" in told.value.problems[0].allowed or field == "mental_health"
    assert PRICES.point_value_nok(year, field) is None  # type: ignore[arg-type]


def test_a_users_price_stands_in_place_of_the_shipped_one(tmp_path: Path) -> None:
    """17/11400 was settled at NOK 22,327 per point, the price of the year before."""
    own = tmp_path / "own.yaml"
    own.write_text(
        "prices:\n  - {field: somatic, year: 2019, unit_price_nok: 44654, share: 0.5, source: own}\n"
    )
    prices = Prices.load(own)
    assert prices.refund_nok(1, 2019) == Decimal("22327.00")
    assert prices.refund_nok(1, 2024) == Decimal("20899.20")
    assert prices.mental_health_specialties == PRICES.mental_health_specialties


def test_a_price_that_stands_twice_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("prices:\n" + 2 * "  - {field: somatic, year: 2019, unit_price_nok: 1, share: 0.5}\n")
    with pytest.raises(ConfigurationError, match="somatic 2019"):
        Prices.load(own)


@pytest.mark.parametrize("price", ["-5", "0", "much", "'52247,50'", "1e400", ".nan", "true"])
def test_a_price_that_is_none_is_refused_where_it_stands(price: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        f"prices:\n  - {{field: somatic, year: 2019, unit_price_nok: {price}, share: 0.5}}\n", "utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"prices\.0\.unit_price_nok"):
        Prices.load(own)


@pytest.mark.parametrize("points", ["many", "NaN", float("inf")])
def test_points_that_are_no_number_are_refused(points: str | float) -> None:
    with pytest.raises(ConfigurationError, match="finite number"):
        PRICES.refund_nok(points, 2024)


@given(POINTS, POINTS)
def test_refunds_add_up_within_the_rounding(one: Decimal, other: Decimal) -> None:
    parts = PRICES.refund_nok(one, 2024) + PRICES.refund_nok(other, 2024)
    assert abs(PRICES.refund_nok(one + other, 2024) - parts) <= Decimal("0.01")


@given(POINTS)
def test_owing_is_getting_back_with_the_other_sign(points: Decimal) -> None:
    assert PRICES.refund_nok(-points, 2020) == -PRICES.refund_nok(points, 2020)
