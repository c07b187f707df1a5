"""What points are worth: activity-based funding (ISF) as parameters by year and field, exact to the øre."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem

Care = Literal["somatic", "mental_health"]
"""somatic, or mental health care and addiction treatment (PHV/TSB), which have a price of their own."""
FIELDS: tuple[Care, ...] = ("somatic", "mental_health")
OERE = Decimal("0.01")
SHIPPED_PRICES = "prices"


class NotPricedError(ConfigurationError):
    """Points of a year and field whose price or share nobody has told."""


class Price(BaseModel):
    """What one point was worth in one year.

    Attributes:
        field: somatic or mental_health.
        year: of the end of the contact.
        unit_price_nok: of one point; None where it was not seen.
        share: of the unit price that is refunded; None where it was not seen.
        source: where price and share are told.
        not_confirmed: what is missing or uncertain; such a year is not priced.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Care
    year: int = Field(ge=1997, le=2100)
    unit_price_nok: Decimal | None = Field(default=None, gt=0, lt=10**9, allow_inf_nan=False)
    share: Decimal | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    source: str = ""
    not_confirmed: str = ""

    @property
    def point_value_nok(self) -> Decimal | None:
        """Unit price x share; None where either is not told or not confirmed."""
        if self.unit_price_nok is None or self.share is None or self.not_confirmed:
            return None
        return self.unit_price_nok * self.share


class Prices(BaseModel):
    """Prices by year and field.

    Attributes:
        prices: one for each year and field.
        mental_health_specialties: values of NPR's fagområde whose contacts are mental_health.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prices: tuple[Price, ...]
    mental_health_specialties: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _once(self) -> Self:
        keys = [(price.field, price.year) for price in self.prices]
        twice = sorted({f"{field} {year}" for field, year in keys if keys.count((field, year)) > 1})
        if twice:
            raise ValueError(f"a price that stands twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, *files: str | Path) -> Prices:
        """The shipped prices, with those of the files in their place where they tell the same year and field.

        Args:
            files: YAML files of the same form as the shipped one; later ones win.

        Raises:
            ConfigurationError: every fault of a file.
        """
        found = _read(find_config("settlement", SHIPPED_PRICES))
        for file in files:
            above = _read(Path(file))
            told = {(price.field, price.year): price for price in (*found.prices, *above.prices)}
            specialties = above.mental_health_specialties or found.mental_health_specialties
            found = cls(prices=tuple(told.values()), mental_health_specialties=specialties)
        return found

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, int], Price]:
        return {(price.field, price.year): price for price in self.prices}

    def point_value_nok(self, year: int, field: Care = "somatic") -> Decimal | None:
        """What a point of a year and field refunds, in NOK; None where it is not priced."""
        price = self._by_key.get((field, year))
        return None if price is None else price.point_value_nok

    def refund_nok(self, points: Decimal | str | float, year: int, field: Care = "somatic") -> Decimal:
        """Corrected points x unit price x share, rounded half up to the øre.

        Args:
            points: the sum of corrected points; a float counts as the shortest decimal that names it.
            year: whose price.
            field: whose price.

        Raises:
            NotPricedError: price or share of that year and field is not told or not confirmed.
            ConfigurationError: points that are no finite number.

        **Source:** Helsedirektoratet 2021, report of Avregningsutvalget on 2020 data, section 6.1.
        """
        return in_oere(exact(points) * self._value(year, field))

    def points_of_nok(self, amount_nok: Decimal | str | float, year: int, field: Care = "somatic") -> Decimal:
        """How many points a sum is at the price of a year, to three decimals.

        Raises:
            NotPricedError: price or share of that year and field is not told or not confirmed.
        """
        return (exact(amount_nok) / self._value(year, field)).quantize(Decimal("0.001"), ROUND_HALF_UP)

    def _value(self, year: int, field: Care) -> Decimal:
        value = self.point_value_nok(year, field)
        if value is None:
            price = self._by_key.get((field, year))
            priced = [str(one.year) for one in self.prices if one.field == field and one.point_value_nok]
            raise NotPricedError(
                Problem(
                    f"no price of a point for {field} in {year}",
                    "prices (configs/settlement/prices.yaml)",
                    price.not_confirmed if price else "no such year",
                    f"years with a price: {', '.join(sorted(priced)) or 'none'}",
                    "give the year's unit_price_nok and share in a file of the same form",
                )
            )
        return value


def exact(number: Decimal | str | float) -> Decimal:
    """A number as a decimal.

    Raises:
        ConfigurationError: it is no finite number.
    """
    try:
        value = Decimal(str(number))
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigurationError(
            Problem("not a finite number", found=type(number).__name__, allowed="a decimal number")
        )
    return value


def in_oere(amount_nok: Decimal) -> Decimal:
    """An amount rounded half up (away from zero) to the øre."""
    return amount_nok.quantize(OERE, ROUND_HALF_UP)


def _read(path: Path) -> Prices:
    return validate(Prices, read_yaml(path), where=str(path))
