"""How units are compared: strata of like patients, and when a unit is flagged."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field

from ontology.configuration import read_yaml, validate
from phenotype.task_parts import Frozen

Attribute = Literal[
    "age_band",
    "sex",
    "urgency",
    "comorbidity",
    "transfer",
    "care",
    "surgery",
    "main_1",
    "main_2",
    "specialty",
]


class Refining(Frozen):
    """Which flagged measures are judged again by regression.

    Attributes:
        most_measures: so many, those with the largest excess of events first.
        most_rows: the regression reads at most so many rows, evenly taken; the unit's own are always read.
        folds: units are split into so many parts; each part's expectations come from the others.
        knots: of the spline of age.
        penalty: ridge on standardised columns, so that rare groups do not run away.
    """

    most_measures: int = Field(default=20, ge=0)
    most_rows: int = Field(default=50_000, ge=1000)
    folds: int = Field(default=5, ge=2)
    knots: int = Field(default=5, ge=3, le=7)
    penalty: float = Field(default=1.0, ge=0)


class UnitSettings(Frozen):
    """How units are compared.

    Attributes:
        strata: name of a way to adjust -> its levels, the finest first; each a list of attributes.
        age_bands: where bands of age begin, years.
        comorbidity_bands: where bands of the comorbidity index begin.
        comorbidity_family: the family of value sets that makes the index.
        comorbidity_days: how far back earlier stays count.
        transferred_from: values of admitted_from that mean another hospital.
        smallest_stratum: patients of other units that a stratum must have to be compared with.
        smallest_share: and at least so many for each patient of the unit in it.
        level: of the false-discovery rate, and of one test, two-sided.
        winsorised: share of z at either end.
        dispersion_expected: expected events from which on a unit's z counts for over-dispersion.
        dispersion_units: how many such units there must be; with fewer, over-dispersion is 0.
        smallest_n: a unit with fewer is counted and never flagged.
        silent_below: of a template's measures a unit and year with nothing counted and less than this
            expected is no row of the table: no count could be told from chance below. It counts as a test all
            the same.
        refining: regression for the flagged.
    """

    strata: Mapping[str, tuple[tuple[Attribute, ...], ...]]
    age_bands: tuple[float, ...]
    comorbidity_bands: tuple[float, ...]
    comorbidity_family: str
    comorbidity_days: int
    transferred_from: tuple[str, ...]
    smallest_stratum: int = Field(ge=1)
    smallest_share: float = Field(ge=0)
    level: float = Field(gt=0, lt=1)
    winsorised: float = Field(ge=0, lt=0.5)
    dispersion_expected: float = Field(ge=0)
    dispersion_units: int = Field(ge=2)
    smallest_n: int = Field(ge=1)
    silent_below: float = Field(ge=0, le=3)
    refining: Refining = Refining()

    @classmethod
    def load(cls, path: Path | None = None) -> UnitSettings:
        """The settings of a file; None: those that come with Pesta.

        Raises:
            ConfigurationError: every fault of the file.
        """
        file = path or Path(str(resources.files("configs"))) / "coding" / "units.yaml"
        return validate(cls, read_yaml(file), where=str(file))
