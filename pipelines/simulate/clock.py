"""The simulator's clock: float days since 1 January 2016 00:00, local standard time all the year round.

There is no summer time anywhere in the simulated hospital: a day has 24 hours, and the extract says so.
"""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl

START = datetime(2016, 1, 1)
END = datetime(2026, 1, 1)
END_DAYS = float((END - START).days)
YEAR_DAYS = 365.25
_MINUTES = 1440.0


def days_since_start(day: date) -> float:
    """Days from 1 January 2016 to a date."""
    return float((day - START.date()).days)


def to_instants(days: np.ndarray, name: str = "time") -> pl.Series:
    """Days as naive instants, rounded down to the minute; NaN as null."""
    known = np.isfinite(days)
    minutes = np.floor(np.where(known, days, 0.0) * _MINUTES + 1e-6).astype("timedelta64[m]")
    instants = np.datetime64(START, "m") + minutes
    instants[~known] = np.datetime64("NaT")
    return pl.Series(name, instants.astype("datetime64[us]"))


def on_minute(days: np.ndarray) -> np.ndarray:
    """Days rounded down to whole minutes, so that times compare as they are written."""
    return np.floor(days * _MINUTES + 1e-6) / _MINUTES


def to_dates(days: np.ndarray, name: str = "date") -> pl.Series:
    """Days as dates; NaN as null."""
    return to_instants(days, name).cast(pl.Date)
