"""The funnel of one measure and year, from the table of rates, ready to be drawn."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotype.coding.rates.funnels import FunnelPlot, FunnelPoint, funnel_limits, places

FEWEST_NAMED = 5
WIDENED = "Units differ more than chance allows; the limits are widened for it (tau² = {tau2:.4f})."
NOT_DRAWN = "Not drawn, for hardly any was expected: {units}."


def funnel_plot(units: pl.DataFrame, measure_id: str, period: str, title: str = "") -> FunnelPlot:
    """A funnel of ratios by expected events.

    Args:
        units: columns of UNITS.
        measure_id: which measure.
        period: which year.
        title: in words; empty: the measure's name.

    Returns:
        The units with an expectation that a ratio can be told of, and limits at places that hold them all;
        both empty where there are none. Yes-and-no measures have limits at the mean share's binomial
        dispersion, numbers at a Poisson count's.
    """
    asked = units.filter((pl.col("measure") == measure_id) & (pl.col("period") == period)).sort("unit_id")
    chosen = asked.filter((pl.col("expected") > 0) & pl.col("ratio").is_not_null())
    left_out = asked.filter(
        pl.col("is_flagged") & pl.col("ratio").is_null() & (pl.col("observed") >= FEWEST_NAMED)
    )["unit_id"].to_list()
    notes = [WIDENED] if chosen.height and (chosen["tau2"].max() or 0.0) else []
    notes += [NOT_DRAWN] if left_out else []
    tau2 = float(chosen["tau2"].max() or 0.0) if chosen.height else 0.0  # type: ignore[arg-type]
    share = float(np.sum(chosen["expected"].to_numpy()) / max(int(chosen["n"].sum()), 1))
    limits = funnel_limits(
        places(chosen["expected"].to_numpy()), tau2, ratio=1 - share if 0 < share < 0.95 else 1.0
    )
    return FunnelPlot(
        measure=measure_id,
        title=title or measure_id,
        period=period,
        target=1.0,
        is_share=False,
        points=tuple(_point(row) for row in chosen.iter_rows(named=True)),
        limits=limits if chosen.height else (),
        x_title="expected",
        note=" ".join(notes).format(tau2=tau2, units=", ".join(left_out)),
    )


def _point(row: dict[str, float]) -> FunnelPoint:
    return FunnelPoint(
        unit_id=str(row["unit_id"]),
        n=int(row["n"]),
        n_observed=row["observed"],
        expected=row["expected"],
        value=row["ratio"],
        is_flagged=bool(row["is_flagged"]),
    )
