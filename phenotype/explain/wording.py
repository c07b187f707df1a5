"""How numbers, instants and spans are written in sentences: short, exact, and read back by a test."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np

SIGNIFICANT_DIGITS = 4
MINUS = "−"
NARROW_SPACE = "\u202f"
FIXED_SPACE = "\u00a0"


def number_words(value: float) -> str:
    """A measured value with at most four significant digits, whole numbers in full, no trailing zeros.

    Args:
        value: as recorded; events keep 32-bit floats, so 4.2 is stored as 4.1999998 and written 4.2.
    """
    return str(rounded(value)).replace("-", MINUS)


def rounded(value: float) -> Decimal:
    """The value as it is written; shown differences are differences of these, so they add up on paper."""
    if not np.isfinite(value):
        return Decimal("NaN")
    if abs(value) >= 10**SIGNIFICANT_DIGITS:
        return Decimal(round(value))
    digits = np.format_float_positional(
        np.float64(value), precision=SIGNIFICANT_DIGITS, unique=False, fractional=False, trim="-"
    )
    return Decimal(digits)


def count_words(count: int) -> str:
    """A count with thin spaces between thousands: 12 345."""
    return f"{count:,}".replace(",", NARROW_SPACE)


def times_words(count: int) -> str:
    """How often: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count_words(count)} times")


def span_words(span: dt.timedelta) -> str:
    """A span in its natural unit: 45 min, 6 h, 3 days, 2 years."""
    minutes = span.total_seconds() / 60
    if minutes < 60:
        return f"{round(minutes)}{FIXED_SPACE}min"
    if minutes < 48 * 60:
        return f"{round(minutes / 60)}{FIXED_SPACE}h"
    days = minutes / 1440
    if days < 730:
        return f"{round(days)}{FIXED_SPACE}days"
    return f"{round(days / 365.25)}{FIXED_SPACE}years"


def instant_words(time: dt.datetime, prediction_time: dt.datetime, anchor: dt.datetime | None = None) -> str:
    """An instant as a reader at the prediction time would write it.

    Args:
        time: the instant.
        prediction_time: when the reader stands.
        anchor: the nominal start where a source has only relative times; days are then counted from it.
    """
    clock = f"{time:%H:%M}"
    if anchor is not None:
        return f"at {clock} on day {day_number(time, anchor)}"
    if time.date() == prediction_time.date():
        return f"at {clock}"
    day = f"{time.day} {time:%B}"
    if dt.timedelta(0) <= prediction_time - time < dt.timedelta(days=90):
        return f"at {clock} on {day}"
    return f"on {day} {time.year}"


def long_instant_words(time: dt.datetime, anchor: dt.datetime | None = None) -> str:
    """An instant in full, for headings and tables: 12 March 2024, 14:05 (or day 2, 14:05)."""
    if anchor is not None:
        return f"day {day_number(time, anchor)}, {time:%H:%M}"
    return f"{time.day} {time:%B} {time.year}, {time:%H:%M}"


def day_number(time: dt.datetime, anchor: dt.datetime) -> int:
    """Which day an instant lies on, day 1 being the anchor's own date."""
    return (time.date() - anchor.date()).days + 1


def short_id_words(subject_id: int) -> str:
    """A pseudonym as a heading can bear it: its last four digits, or all of it where it is short."""
    digits = str(subject_id)
    return digits if len(digits) <= 6 else f"…{digits[-4:]}"


def about_100_words(risk: float) -> str:
    """A risk as the beginning of a sentence: About 8 of 100, Fewer than 1 of 100."""
    count = of_100_words(risk)
    return f"{'About ' + count if count.isdigit() else count[0].upper() + count[1:]} of 100"


def of_100_words(risk: float) -> str:
    """A risk as a count of 100 patients: fewer than 1, 1 to 99, more than 99."""
    if risk < 0.005:
        return "fewer than 1"
    if risk > 0.995:
        return "more than 99"
    return str(round(100 * risk))


def percent_words(share: float) -> str:
    """A share in percent with one decimal below ten: 0.4%, 8.3%, 14%."""
    percent = 100 * share
    return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"
