"""A toy grouper for the simulated hospital only: not NordDRG; names begin with TOY-, weights are invented.

A case is a stay that has an overnight contact, with all contacts of that stay, or else a contact alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import read_config
from phenotype.coding.money.grouper import AS_CODED, GROUPED
from phenotype.coding.money.weights import FAULTS, WEIGHTS, Weights
from phenotype.contacts import CARE_LEVELS, OVERNIGHT_LEVELS

NO_CONDITION = "no condition is coded"
NO_MAIN = "conditions are coded, none of them as the main one"
NONE_LEFT = "the suggested coding leaves no main condition"
UNKNOWN_MAIN = "main condition that the toy grouper does not know"
NO_LEVEL = "care level not told"
NO_TREATMENT = "NONE"
_LEVEL_ENDS = {"icu": "", "inpatient": "", "day": "-DAY", "emergency": "-EMERGENCY", "outpatient": "-OUT"}
_THOUSANDTH = Decimal("0.001")


class MainGroup(BaseModel):
    """Main conditions that group together, by the beginnings of their codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    prefixes: tuple[str, ...]
    weight: Decimal = Field(gt=0)


class TreatmentGroup(BaseModel):
    """Procedures that group together, by system and the beginnings of their codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    prefixes: tuple[str, ...]
    systems: tuple[str, ...]
    factor: Decimal = Field(gt=0)


class Complicating(BaseModel):
    """Other conditions that count as complicating."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefixes: tuple[str, ...]
    factor: Decimal = Field(gt=0)


class ToyRules(BaseModel):
    """What the toy grouper groups by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    systems: tuple[str, ...]
    main: tuple[MainGroup, ...]
    treatment: tuple[TreatmentGroup, ...]
    complicating: Complicating
    levels: dict[str, Decimal]

    @classmethod
    def load(cls, path: str | Path = "toy_grouper") -> ToyRules:
        """The shipped rules, or those of a file of the same form.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return read_config(cls, "settlement", path)


@dataclass(frozen=True)
class ToyGrouper:
    """Groups cases by main condition, treatment, complication and care level.

    Attributes:
        rules: by which.
    """

    rules: ToyRules

    @classmethod
    def load(cls, path: str | Path = "toy_grouper") -> ToyGrouper:
        """The shipped toy, or one by a file of the same form.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return cls(ToyRules.load(path))

    @property
    def name(self) -> str:
        """What a reader is told about who grouped."""
        return self.rules.title

    def weights(self, years: Iterable[int]) -> Weights:
        """The invented weights of all groups, the same every year."""
        treatments = [(NO_TREATMENT, Decimal(1))]
        treatments += [(one.name, one.factor) for one in self.rules.treatment]
        complications = [("N", Decimal(1)), ("C", self.rules.complicating.factor)]
        groups = {
            f"TOY-{main.name}-{treatment}-{mark}{_LEVEL_ENDS[level]}": (
                main.weight * factor * more * share
            ).quantize(_THOUSANDTH)
            for main, (treatment, factor), (mark, more), (level, share) in product(
                self.rules.main, treatments, complications, self.rules.levels.items()
            )
        }
        rows = pl.DataFrame({"drg": list(groups), "weight": list(groups.values())}).join(
            pl.DataFrame({"year": sorted(set(years))}, schema={"year": pl.Int32}), how="cross"
        )
        whole = rows.with_columns(trim_days=None, weight_per_day=None)
        table = whole.select(pl.col(name).cast(dtype) for name, dtype in WEIGHTS.items())
        return Weights(table.sort("drg", "year"), pl.DataFrame(schema=FAULTS), self.name)

    def grouped(self, contacts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
        """The toy group of each contact; see `grouper.Grouper`."""
        cases = contacts.select("variant", "contact_id", "start_time", "care_level", case_id=_case())
        coded = codes.join(cases, on=["variant", "contact_id"]).filter(pl.col("code").is_not_null())
        key = ["variant", "case_id"]
        level = pl.col("care_level").replace_strict(_ranks(), default=None, return_dtype=pl.Int32)
        groups = (
            cases.group_by(key)
            .agg(level=level.min())
            .join(_conditions(cases, codes), on=key, how="left")
            .join(self._mains(coded), on=key, how="left")
            .join(self._treatments(coded), on=key, how="left")
            .join(self._complicated(coded), on=key, how="left")
            .with_columns(
                end=pl.col("level").replace_strict(
                    {rank: _LEVEL_ENDS[name] for name, rank in _ranks().items()},
                    default=None,
                    return_dtype=pl.String,
                ),
                treatment=pl.col("treatment").fill_null(NO_TREATMENT),
                mark=pl.when(pl.col("is_complicated").fill_null(value=False))
                .then(pl.lit("C"))
                .otherwise(pl.lit("N")),
            )
            .with_columns(
                drg=pl.format("TOY-{}-{}-{}{}", "main", "treatment", "mark", "end"),
                reason=pl.when(~pl.col("has_main").fill_null(value=False))
                .then(_no_main())
                .when(pl.col("main").is_null())
                .then(pl.lit(UNKNOWN_MAIN))
                .when(pl.col("end").is_null())
                .then(pl.lit(NO_LEVEL)),
            )
        )
        return (
            cases.join(groups.drop("level"), on=key, how="left")
            .with_columns(drg=pl.when(pl.col("reason").is_null()).then("drg"), points=None)
            .select(pl.col(name).cast(dtype) for name, dtype in GROUPED.items())
            .sort("variant", "contact_id")
        )

    def _mains(self, coded: pl.DataFrame) -> pl.DataFrame:
        """The main group of each case: of its last contact with a main condition, overnight ones first."""
        mains = coded.filter(role="main").with_columns(
            rank=pl.col("care_level").is_in(OVERNIGHT_LEVELS).fill_null(value=False)
        )
        first = mains.sort(
            "rank",
            "start_time",
            "contact_id",
            "group_no",
            "code_no",
            "code",
            descending=[True, True, True, False, False, False],
            nulls_last=True,
        ).unique(["variant", "case_id"], keep="first", maintain_order=True)
        groups = [(one.name, one.prefixes, self.rules.systems) for one in self.rules.main]
        return first.select("variant", "case_id", main=_first_group(first["code"], groups))

    def _treatments(self, coded: pl.DataFrame) -> pl.DataFrame:
        done = coded.filter(role="procedure")
        groups = [(one.name, one.prefixes, one.systems) for one in self.rules.treatment]
        order = {one.name: place for place, one in enumerate(self.rules.treatment)}
        return (
            done.with_columns(treatment=_first_group(done["code"], groups))
            .drop_nulls("treatment")
            .sort(pl.col("treatment").replace_strict(order, return_dtype=pl.Int32))
            .unique(["variant", "case_id"], keep="first", maintain_order=True)
            .select("variant", "case_id", "treatment")
        )

    def _complicated(self, coded: pl.DataFrame) -> pl.DataFrame:
        others = coded.filter(role="other")
        groups = [("C", self.rules.complicating.prefixes, self.rules.systems)]
        return (
            others.with_columns(is_complicated=_first_group(others["code"], groups).is_not_null())
            .group_by("variant", "case_id")
            .agg(pl.col("is_complicated").any())
        )


def _case() -> pl.Expr:
    """What is paid as one: a stay with an overnight contact, else the contact."""
    is_overnight = pl.col("care_level").is_in(OVERNIGHT_LEVELS).fill_null(value=False)
    has_bed = is_overnight.any().over("variant", "stay_id") & pl.col("stay_id").is_not_null()
    return (
        pl.when(has_bed)
        .then(pl.format("stay {}", "stay_id"))
        .otherwise(pl.format("contact {}", "contact_id"))
    )


def _conditions(cases: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """Whether a main condition stands on each case that has conditions, whatever their codes."""
    conditions = codes.filter(pl.col("role").is_in(["main", "other"])).select("variant", "contact_id", "role")
    return (
        cases.select("variant", "contact_id", "case_id")
        .join(conditions, on=["variant", "contact_id"])
        .group_by("variant", "case_id")
        .agg(has_main=(pl.col("role") == "main").any())
    )


def _no_main() -> pl.Expr:
    """Why a case has no main condition."""
    return (
        pl.when(pl.col("variant") != AS_CODED)
        .then(pl.lit(NONE_LEFT))
        .when(pl.col("has_main").is_null())
        .then(pl.lit(NO_CONDITION))
        .otherwise(pl.lit(NO_MAIN))
    )


def _ranks() -> dict[str, int]:
    return {level: rank for rank, level in enumerate(CARE_LEVELS)}


def _first_group(codes: pl.Series, groups: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> pl.Series:
    """The first group (name, beginnings, systems) that each code falls under, null where none does."""
    names: dict[str, str | None] = {}
    for code in codes.unique().drop_nulls():
        system, _, written = code.partition("//")
        names[code] = next(
            (
                name
                for name, prefixes, systems in groups
                if system in systems and written.startswith(tuple(prefixes))
            ),
            None,
        )
    return codes.replace_strict(names, default=None, return_dtype=pl.String)
