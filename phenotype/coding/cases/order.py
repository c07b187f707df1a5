"""Which stays to open first: what opening each is expected to bring, against what opening it takes.

A stay is opened once, whatever is doubted in it. **Source:** the rule, audit where the expected recovery
exceeds the cost: Rosenberg, Fryback & Katz 2000, doi:10.1023/A:1011491126244.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ontology.configuration import read_yaml, validate
from phenotype.coding.findings import Found

OPENINGS = pl.Schema(
    {
        "case_id": pl.String(),
        "rank": pl.Int64(),
        "stay_id": pl.Int64(),
        "unit_id": pl.String(),
        "finding_ids": pl.List(pl.String()),
        "other_stay_ids": pl.List(pl.Int64()),
        "probability": pl.Float64(),
        "amount_low_nok": pl.Float64(),
        "amount_high_nok": pl.Float64(),
        "expected_nok": pl.Float64(),
        "hours": pl.Float64(),
        "cost_nok": pl.Float64(),
        "net_nok": pl.Float64(),
        "pays": pl.Boolean(),
    }
)
"""One stay to open. case_id: within which it is ranked, empty where all stays are ranked together; rank: from
1, the first to open; finding_ids: what is doubted in it, the most probable first; other_stay_ids: stays that
the same findings are about and that must be read beside it; probability: that at least one finding is right,
null where none can tell; amounts: what the payer would get back (negative: in the hospital's favour) if the
finding that weighs most in each contact is right, null where nothing is priced; expected_nok: the same times
its probability, the expected recovery; net_nok: expected_nok less cost_nok; pays: whether that is above
nothing, null where nothing is priced."""
CURVE = pl.Schema(
    {
        "n_stays": pl.Int64(),
        "hours": pl.Float64(),
        "expected_right": pl.Float64(),
        "expected_nok": pl.Float64(),
        "favour_nok": pl.Float64(),
        "cost_nok": pl.Float64(),
    }
)
"""What the first n stays bring together: the stays expected to be wrongly coded, what the payer is expected
to recover, what is expected to be in the hospital's favour (never below nothing), cost."""


KEYS = ["case_id", "stay_id"]
RATE_KINDS = ("unit_rate", "drift")
"""Kinds of findings that are about many stays at once, none of which is doubted by itself."""


class Effort(BaseModel):
    """What opening a stay costs.

    Attributes:
        hours_a_stay: of the reviewer, for one finding.
        hours_a_further_finding: for each more on the same stay.
        nok_an_hour: what an hour of the reviewer costs.
        source: where the figures come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours_a_stay: float = Field(gt=0)
    hours_a_further_finding: float = Field(ge=0)
    nok_an_hour: float = Field(ge=0)
    source: str

    @classmethod
    def load(cls, path: Path) -> Effort:
        """The effort that a YAML file tells.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return validate(cls, read_yaml(path), where=str(path))


class Capacity(BaseModel):
    """How much can be opened.

    Attributes:
        stays: how many stays; null = as many as the hours allow.
        hours: how many hours; null = as many as the stays take.
        random_share: which share of the capacity goes to stays drawn at random among those with a probability
            that the ranking would not reach. Their answers show whether the probabilities hold where nobody
            would look.
        seed: of that draw.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stays: int | None = Field(default=200, ge=0)
    hours: float | None = Field(default=None, ge=0)
    random_share: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 1

    @model_validator(mode="after")
    def _check(self) -> Capacity:
        if self.stays is None and self.hours is None:
            raise ValueError("a capacity needs stays or hours")
        return self


def order_stays(
    found: Found,
    contacts: pl.DataFrame,
    effort: Effort,
    *,
    by: Literal["money", "probability"] = "money",
    cases: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The stays that findings are about, in the order in which to open them.

    By money come first the stays whose opening pays off, by what the payer is expected to recover beyond its
    cost; then those from which nothing is expected back, because they have no price or because the money goes
    in the hospital's favour, by probability; then those that cost more than they bring, by probability. Stays
    without any probability (they stand behind a rate) come last, in an order that is random and always the
    same, so that the first of them are a fair sample.

    Args:
        found: findings with what they are about; those about no contact are left out.
        contacts: contact_id and stay_id.
        effort: what opening costs.
        by: `probability` leaves money out of account.
        cases: finding_id and case_id, to rank the stays of each case by themselves.

    Returns:
        Columns of OPENINGS, one row a case and stay, sorted by case and rank.
    """
    doubts = _doubts(found, contacts)
    if cases is None:
        doubts = doubts.with_columns(case_id=pl.lit(""))
    else:
        doubts = doubts.join(cases.select("finding_id", "case_id"), on="finding_id", how="inner")
    if not doubts.height:
        return pl.DataFrame(schema=OPENINGS)
    stays = (
        _money(doubts)
        .join(_chances(doubts), on=KEYS)
        .join(_named(doubts), on=KEYS)
        .with_columns(
            hours=pl.lit(effort.hours_a_stay) * (1 + pl.col("other_stay_ids").list.len())
            + effort.hours_a_further_finding * (pl.col("finding_ids").list.len() - 1).cast(pl.Float64),
        )
        .with_columns(cost_nok=pl.col("hours") * effort.nok_an_hour)
        .with_columns(net_nok=pl.col("expected_nok") - pl.col("cost_nok"))
        .with_columns(pays=pl.col("net_nok") > 0)
    )
    return _ranked(stays, by)


def _doubts(found: Found, contacts: pl.DataFrame) -> pl.DataFrame:
    """What is to be opened: a finding at the first of its contacts, a rate at each of the stays behind it."""
    placed = found.items.join(contacts.select("contact_id", "stay_id"), on="contact_id", how="inner").join(
        found.findings, on="finding_id", how="inner"
    )
    columns = ["finding_id", "unit_id", "probability", "amount_low_nok", "amount_high_nok"]
    is_rate = pl.col("kind").is_in(RATE_KINDS)
    single = (
        placed.filter(~is_rate)
        .sort("finding_id", "contact_id", "group_no", "code_no", "code", nulls_last=True)
        .group_by("finding_id", maintain_order=True)
        .agg(
            pl.col("contact_id", "stay_id", *columns[1:]).first(),
            pl.coalesce("code", "suggested_code").first().alias("about"),
            pl.col("stay_id").unique().sort().alias("stay_ids"),
        )
    )
    nothing = {name: pl.lit(None, pl.Float64) for name in columns[2:]}
    behind = (
        placed.filter(is_rate)
        .select("finding_id", "unit_id", "contact_id", "stay_id", **nothing)
        .unique()
        .with_columns(about=pl.lit(None, pl.String), stay_ids=pl.concat_list("stay_id"))
    )
    middle = (pl.col("amount_low_nok") + pl.col("amount_high_nok")) / 2
    return pl.concat([single, behind.select(single.columns)]).with_columns(
        expected=pl.col("probability") * middle
    )


def _money(doubts: pl.DataFrame) -> pl.DataFrame:
    """What each stay would bring: of each contact what weighs most, for it is settled only once."""
    amounts = ("amount_low_nok", "amount_high_nok", "expected")
    weightiest = doubts.sort(
        pl.col("expected").abs(), "finding_id", descending=[True, False], nulls_last=True
    ).unique([*KEYS, "contact_id"], keep="first", maintain_order=True)
    sums = [
        pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name) for name in amounts
    ]
    return (
        weightiest.sort(*KEYS, "contact_id")
        .group_by(KEYS, maintain_order=True)
        .agg(sums)
        .rename({"expected": "expected_nok"})
    )


def _chances(doubts: pl.DataFrame) -> pl.DataFrame:
    """That at least one finding on a stay is right, those about one code of one contact counted once."""
    return (
        doubts.group_by(*KEYS, "contact_id", "about")
        .agg(pl.col("probability").max())
        .sort(*KEYS, "contact_id", "about", nulls_last=True)
        .group_by(KEYS, maintain_order=True)
        .agg(
            probability=pl.when(pl.col("probability").is_not_null().any()).then(
                1 - (1 - pl.col("probability")).product()
            )
        )
    )


def _named(doubts: pl.DataFrame) -> pl.DataFrame:
    """Unit, findings and further stays of each stay."""
    return (
        doubts.sort(
            *KEYS, "probability", "finding_id", descending=[False, False, True, False], nulls_last=True
        )
        .group_by(KEYS, maintain_order=True)
        .agg(
            pl.col("unit_id").first(),
            pl.col("finding_id").unique(maintain_order=True).alias("finding_ids"),
            pl.col("stay_ids").explode().unique().sort().alias("every_stay"),
        )
        .with_columns(
            other_stay_ids=pl.col("every_stay").list.set_difference(pl.concat_list("stay_id")).list.sort()
        )
    )


def _ranked(stays: pl.DataFrame, by: str) -> pl.DataFrame:
    drawn = stays.with_columns(draw=pl.Series(draws(stays["stay_id"].to_list(), 0), dtype=pl.UInt64))
    if by == "probability":
        ordered = drawn.sort(
            "case_id",
            "probability",
            "expected_nok",
            "draw",
            descending=[False, True, True, False],
            nulls_last=True,
        )
    else:
        brings_nothing = pl.col("pays").is_null() | (pl.col("expected_nok") < 0)
        step = (
            pl.when(pl.col("probability").is_null())
            .then(3)
            .when(brings_nothing)
            .then(1)
            .when(pl.col("pays"))
            .then(0)
            .otherwise(2)
        )
        weight = pl.when(step == 0).then("net_nok").otherwise("probability")
        ordered = drawn.with_columns(step=step, weight=weight).sort(
            "case_id", "step", "weight", "draw", descending=[False, False, True, False], nulls_last=True
        )
    return ordered.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("case_id")).select(
        pl.col(name).cast(dtype) for name, dtype in OPENINGS.items()
    )


def draws(stay_ids: list[int], seed: int) -> list[int]:
    """A number for each stay that looks random and is the same wherever the stay stands."""
    return [
        int.from_bytes(hashlib.blake2b(f"{seed}/{stay}".encode(), digest_size=8).digest(), "big")
        for stay in stay_ids
    ]


def within_capacity(openings: pl.DataFrame, capacity: Capacity) -> pl.DataFrame:
    """The stays that a capacity allows, those drawn at random behind those ranked.

    Args:
        openings: columns of OPENINGS.
        capacity: how much can be opened; where both are given, both limits hold.

    Returns:
        The rows to open, with `how`: ranked or random.
    """
    drawn_first = openings.sort("rank")
    n_all = _fitting(drawn_first, capacity.stays, capacity.hours)
    n_random = round(n_all * capacity.random_share)
    ranked = drawn_first.head(n_all - n_random)
    rest = drawn_first.slice(n_all - n_random).filter(pl.col("probability").is_not_null())
    order = pl.Series(draws(rest["stay_id"].to_list(), capacity.seed), dtype=pl.UInt64)
    hours_left = None if capacity.hours is None else capacity.hours - float(ranked["hours"].sum())
    candidates = rest.with_columns(draw=order).sort("draw").drop("draw").head(n_random)
    chosen = candidates.head(_fitting(candidates, n_random, hours_left)).sort("rank")
    return pl.concat([ranked.with_columns(how=pl.lit("ranked")), chosen.with_columns(how=pl.lit("random"))])


def _fitting(openings: pl.DataFrame, stays: int | None, hours: float | None) -> int:
    """How many of the first rows fit."""
    n = openings.height if stays is None else min(stays, openings.height)
    if hours is None:
        return n
    return min(n, int((openings["hours"].cum_sum() <= hours + 1e-9).sum()))


def recovery_curve(openings: pl.DataFrame) -> pl.DataFrame:
    """What opening the first 1, 2, ... stays is expected to bring together.

    Args:
        openings: columns of OPENINGS.

    Returns:
        Columns of CURVE, one row a stay in the order of opening; money of the two ways is not set off.
    """
    return (
        openings.sort("rank")
        .select(
            n_stays=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
            hours=pl.col("hours").cum_sum(),
            expected_right=pl.col("probability").fill_null(0.0).cum_sum(),
            expected_nok=pl.col("expected_nok").clip(0.0).fill_null(0.0).cum_sum(),
            favour_nok=(-pl.col("expected_nok")).clip(0.0).fill_null(0.0).cum_sum(),
            cost_nok=pl.col("cost_nok").cum_sum(),
        )
        .cast(CURVE)
    )
