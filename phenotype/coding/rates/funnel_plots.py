"""The funnel of one measure and year, from the table of rates, ready to be drawn."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotype.coding.rates.funnels import FunnelPlot, FunnelPoint, funnel_limits, places

NOTE = (
    "Limits: the wider of the exact ones and of 1 ± z sqrt(s² + tau²) on the square-root scale; "
    "tau² = {tau2:.4f}. A point is flagged by its own exact test after false-discovery control."
)


def funnel_plot(units: pl.DataFrame, measure_id: str, period: str, title: str = "") -> FunnelPlot:
    """A funnel of ratios by expected events.

    Args:
        units: columns of UNITS.
        measure_id: which measure.
        period: which year.
        title: in words; empty: the measure's name.

    Returns:
        The units with an expectation, and limits at places that hold them all; both empty where there are
        none. Yes-and-no measures have limits at the mean share's binomial dispersion, numbers at a Poisson
        count's.
    """
    chosen = units.filter(
        (pl.col("measure") == measure_id) & (pl.col("period") == period) & (pl.col("expected") > 0)
    ).sort("unit_id")
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
        note=NOTE.format(tau2=tau2),
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
