"""Settling as the committee did: quotas, ranks, replacements, regional sums by hand count; and their laws."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.coding.money.settlement import Prices
from phenotype.coding.money.settling import (
    Methods,
    national_rate,
    regroup,
    replace_by_day_care,
    settle_to_rate,
    sums_of,
)

PRICES, METHODS = Prices.load(), Methods.load()


def stays_of(rows: list[tuple[str, str | None, str | None, bool | None]]) -> pl.DataFrame:
    """unit, home region, points, in question; stay_id counts from 1."""
    return pl.DataFrame(
        rows,
        schema={
            "unit": pl.String,
            "home_region": pl.String,
            "points": pl.String,
            "is_in_question": pl.Boolean,
        },
        orient="row",
    ).with_row_index("stay_id", offset=1)


CONSTRUCTED = stays_of(
    # Two trusts code the condition in 6 and 5 of 10 stays, the rest of the country in 9 of 80.
    [("OUS", "Sør-Øst", p, True) for p in ("0.010", "0.020", "0.030", "0.040", "0.050")]
    + [("OUS", "Vest", "0.060", True)]
    + [("OUS", "Sør-Øst", "1.000", False)] * 4
    + [("Vestfold", "Sør-Øst", p, True) for p in ("0.015", "0.025", "0.035", "0.045")]
    + [("Vestfold", None, "0.055", True)]
    + [("Vestfold", "Sør-Øst", "1.000", False)] * 5
    + [("Others", "Nord", "0.020", True)] * 9
    + [("Others", "Nord", "1.000", False)] * 71
)


def test_two_trusts_are_cut_to_the_national_mean_rate() -> None:
    """20 of 100 stays are in question: 2 of each trust's 10 remain, those of the fewest points."""
    assert national_rate(CONSTRUCTED) == Fraction(1, 5)
    settled = settle_to_rate(CONSTRUCTED, units=["OUS", "Vestfold"])
    approved = settled.filter((pl.col("outcome") == "approved") & (pl.col("unit") != "Others"))
    assert approved["points"].to_list() == [Decimal(p) for p in ("0.010", "0.020", "0.015", "0.025")]
    assert settled.filter(unit="Others")["outcome"].to_list() == ["approved"] * 9
    # Cut: OUS 0.03 + 0.04 + 0.05 + 0.06, Vestfold 0.035 + 0.045 + 0.055; a point of 2020 is 22,904.
    units = sums_of(settled, PRICES, 2020, by=["unit"])
    assert units["unit"].to_list() == ["OUS", "Others", "Vestfold"]
    assert units["points_back"].to_list() == [Decimal("0.18"), Decimal(0), Decimal("0.135")]
    assert units["amount_nok"].to_list() == [Decimal("4122.72"), Decimal(0), Decimal("3092.04")]
    assert units["n_changed"].to_list() == [4, 0, 3]
    assert sums_of(settled, PRICES, 2020)["amount_nok"].to_list() == [Decimal("7214.76")]


def test_the_sum_is_split_by_the_patients_home_region() -> None:
    settled = settle_to_rate(CONSTRUCTED, units=["OUS", "Vestfold"])
    regions = sums_of(settled, PRICES, 2020, by=["home_region"])
    assert regions["home_region"].to_list() == ["Nord", "Sør-Øst", "Vest", "not told"]
    assert regions["points_back"].to_list() == [Decimal(p) for p in ("0", "0.2", "0.06", "0.055")]
    assert regions["amount_nok"].sum() == Decimal("7214.76")
    assert regions["share_back"].to_list() == pytest.approx([0, 0.2 / 0.315, 0.06 / 0.315, 0.055 / 0.315])


def test_a_split_of_98_31_per_cent() -> None:
    """The share of Sør-Øst in case 21/4753: 98.31 per cent of the points that came back."""
    rows = [("OUS", "Sør-Øst", "98.310", True), ("OUS", "Vest", "1.690", True), ("OUS", "Nord", "9", False)]
    settled = settle_to_rate(stays_of(rows), rate=Fraction(0))
    shares = sums_of(settled, PRICES, 2020, by=["home_region"])
    assert shares.filter(home_region="Sør-Øst")["share_back"].item() == pytest.approx(0.9831, abs=1e-12)


def test_approving_the_dearest_first_gives_back_less() -> None:
    cheap = settle_to_rate(CONSTRUCTED, units=["OUS"])
    dear = settle_to_rate(CONSTRUCTED, units=["OUS"], approved="highest")
    back = [sums_of(one, PRICES, 2020)["points_back"].item() for one in (cheap, dear)]
    assert back == [Decimal("0.18"), Decimal("0.10")]


def test_stays_that_tell_nothing_are_counted() -> None:
    rows = [("A", None, None, True), ("A", None, "1", True), ("A", None, "2", None), ("A", None, "1", False)]
    settled = settle_to_rate(stays_of(rows), rate=Fraction(0))
    assert settled["stay_id"].to_list() == [1, 2, 3]
    assert settled["outcome"].to_list() == [
        "no points told",
        "cut",
        "not told whether the stay is in question",
    ]
    assert sums_of(settled, PRICES, 2020).row(0, named=True)["n_unsettled"] == 2


def leave(rows: list[tuple[str, str | None, float | None, float | None]]) -> pl.DataFrame:
    """points, kind, length and leave in days."""
    return pl.DataFrame(
        rows,
        schema={
            "points": pl.String,
            "kind": pl.String,
            "length_days": pl.Float64,
            "leave_days": pl.Float64,
        },
        orient="row",
    ).with_columns(stay_id=pl.int_range(pl.len()), unit=pl.lit("A"), home_region=pl.lit("Vest"))


def test_stays_of_leave_become_day_care() -> None:
    """17/28390: 2 x 0.215 for medicine, 0.420 + 0.048 for surgery; nothing else is touched."""
    rows = leave(
        [
            ("1.200", "medical", 1, 1),
            ("1.200", "surgical", 1, 1),
            ("0.300", "medical", 1, 1),
            ("1.200", "medical", 3, 3),
            ("1.200", "medical", 3, 1),
            ("1.200", None, 1, 1),
            ("1.200", "medical", 1, None),
        ]
    )
    settled = replace_by_day_care(rows, METHODS.day_care)
    assert settled["settled_points"].to_list() == [
        Decimal(p) for p in ("0.43", "0.468", "0.3", "1.2", "1.2", "1.2", "1.2")
    ]
    assert settled["outcome"].to_list() == [
        "replaced",
        "replaced",
        "kept: the replacement has as many points or more",
        "leave is not the length of the stay, or not of the length that the method is for",
        "leave is not the length of the stay, or not of the length that the method is for",
        "kind of group not told",
        "leave or length not told",
    ]
    assert sums_of(settled, PRICES, 2020).row(0, named=True)["n_unsettled"] == 2


def test_regrouped_to_462c() -> None:
    settled = regroup(leave([("2.5", None, 1, 0), ("0.4", None, 1, 0)]), METHODS.regroup)
    assert settled["settled_points"].to_list() == [Decimal("0.42"), Decimal("0.4")]
    assert METHODS.regroup.drg == "462C"


STAYS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from(["Nord", "Vest", None]),
        st.one_of(st.none(), st.decimals(min_value=0, max_value=20, places=3).map(str)),
        st.one_of(st.none(), st.booleans()),
    ),
    min_size=1,
    max_size=40,
)
RATES = st.fractions(min_value=0, max_value=1, max_denominator=50)
RANKS = st.sampled_from(["lowest", "highest"])


@settings(max_examples=30, deadline=None)
@given(STAYS, RATES, RANKS)
def test_laws_of_cutting(
    rows: list[tuple[str, str | None, str | None, bool | None]], rate: Fraction, approved: str
) -> None:
    """Cutting never raises; a unit keeps its quota; the approved come before the cut in the ranking."""
    stays = stays_of(rows)
    settled = settle_to_rate(stays, rate=rate, approved=approved)  # type: ignore[arg-type]
    told = settled.drop_nulls("points")
    in_question = settled.join(stays.filter("is_in_question"), on="stay_id", how="semi")
    assert (told["settled_points"] <= told["points"]).all()
    for (unit,), group in in_question.group_by("unit"):
        n = stays.filter(pl.col("is_in_question").is_not_null() & (pl.col("unit") == unit)).height
        kept = sorted(group.filter(outcome="approved")["points"])
        cut = sorted(group.filter(outcome="cut")["points"])
        quota, n_with_points = int(rate * n + Fraction(1, 2)), group["points"].count()
        assert len(kept) == min(n_with_points, quota)
        if kept and cut:
            assert kept[-1] <= cut[0] if approved == "lowest" else kept[0] >= cut[-1]


@settings(max_examples=30, deadline=None)
@given(STAYS, RATES)
def test_sums_are_additive_over_splits(
    rows: list[tuple[str, str | None, str | None, bool | None]], rate: Fraction
) -> None:
    """Points exactly, amounts within half an øre a part; the order of the stays changes nothing."""
    stays = stays_of(rows)
    settled = settle_to_rate(stays, rate=rate)
    assert settle_to_rate(stays.reverse(), rate=rate).equals(settled)
    whole = sums_of(settled, PRICES, 2024)
    for by in (["unit"], ["home_region"], ["unit", "home_region"]):
        parts = sums_of(settled, PRICES, 2024, by=by)
        for name in ("n_stays", "n_changed", "n_unsettled", "points", "points_back"):
            assert parts[name].sum() == whole[name].sum()
        gap = abs((parts["amount_nok"].sum() or Decimal(0)) - (whole["amount_nok"].sum() or Decimal(0)))
        assert gap <= Decimal("0.005") * (parts.height + 1)
