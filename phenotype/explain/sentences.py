"""What the record shows of one code, as a plain sentence whose every number stands in the events."""

from __future__ import annotations

import datetime as dt

import polars as pl

from ontology.labels import domain_of, entry_of, label_of
from phenotype.explain.record import AGE_CODE, Record, unit_of, unit_words
from phenotype.explain.wording import instant_words, number_words, rounded, span_words, times_words
from phenotype.trajectory import BIRTH_CODE

TREND_WINDOW = dt.timedelta(hours=24)
TREND_MIN_SPAN = dt.timedelta(minutes=30)
OLD = dt.timedelta(days=7)
"""A value older than this is told with its age, and without the trend that it once had."""
SEX = "SEX//"


def describe(code: str, record: Record) -> str:
    """What the record shows of one code, as a sentence without its full stop."""
    if code in {AGE_CODE, BIRTH_CODE} and record.age_years is not None:
        return f"Age {record.age_years} years"
    events = record.of_code(code)
    if not events.height:
        return _other_sex(code, record) or f"Not on record: {label_of(code)}"
    last = events.row(-1, named=True)
    if last["numeric_value"] is not None and domain_of(code) not in {"Drugs", "Procedures"}:
        return _describe_value(code, events, record)
    if last["time"] is None:
        return label_of(code) + (f": {last['text_value']}" if last["text_value"] else "")
    return _describe_occurrences(code, events, record)


def _other_sex(code: str, record: Record) -> str:
    """The sex that is on record where another one is asked for; empty otherwise."""
    others = record.events.filter(pl.col("code").str.starts_with(SEX))["code"]
    return label_of(others[0]) if code.startswith(SEX) and len(others) else ""


def _describe_value(code: str, events: pl.DataFrame, record: Record) -> str:
    """The last value with its time, its trend and how it lies to the usual band."""
    values = events.filter(pl.col("numeric_value").is_not_null())
    last = values.row(-1, named=True)
    words = [f"{label_of(code)} {value_words(code, last['numeric_value'], unit_of(last))}"]
    if last["time"] is not None:
        words[0] += f" {instant_words(last['time'], record.prediction_time, record.anchor)}"
        age = record.prediction_time - last["time"]
        course = [f"{span_words(age)} before the prediction"] if age > OLD else _trend(values)
        words += course + _against_band(code, last["numeric_value"])
    return ", ".join(words)


def value_words(code: str, value: float, unit: str) -> str:
    """A value as a reader wants it: its name where the values are codes, else the number with its unit."""
    entry = entry_of(code)
    named = entry.values.get(f"{value:g}") if entry else None
    if named:
        return named
    return f"{number_words(value)}{unit_words(unit)}"


def _trend(values: pl.DataFrame) -> list[str]:
    """How the last value differs from the first of the 24 hours before it; nothing where there is none."""
    last = values.row(-1, named=True)
    entry = entry_of(last["code"])
    if entry is not None and entry.values:
        return []
    earlier = values.filter(
        (pl.col("time") >= last["time"] - TREND_WINDOW) & (pl.col("time") <= last["time"] - TREND_MIN_SPAN)
    )
    if not earlier.height:
        return []
    first = earlier.row(0, named=True)
    change = rounded(last["numeric_value"]) - rounded(first["numeric_value"])
    span = span_words(last["time"] - first["time"])
    if change == 0:
        return [f"as {span} before"]
    return [f"{'rising' if change > 0 else 'falling'} {abs(change).normalize():f} in {span}"]


def _against_band(code: str, value: float) -> list[str]:
    """Whether the value lies outside the usual adult band; nothing inside it or where none is known."""
    entry = entry_of(code)
    if entry is None or entry.values:
        return []
    if entry.high is not None and rounded(value) > rounded(entry.high):
        usual = (
            f"limit of {number_words(entry.high)}" if entry.low is None else band_words(entry.low, entry.high)
        )
        return [f"above the usual {usual}"]
    if entry.low is not None and rounded(value) < rounded(entry.low):
        usual = (
            f"limit of {number_words(entry.low)}" if entry.high is None else band_words(entry.low, entry.high)
        )
        return [f"below the usual {usual}"]
    return []


def band_words(low: float | None, high: float | None) -> str:
    """A usual band: 0.7 to 1.8, at least 70, at most 5, or 15."""
    if low is not None and high is not None:
        return number_words(low) if low == high else f"{number_words(low)} to {number_words(high)}"
    return f"at least {number_words(low)}" if low is not None else f"at most {number_words(high or 0.0)}"


def _describe_occurrences(code: str, events: pl.DataFrame, record: Record) -> str:
    """How often something was recorded or given and when last, with the last dose."""
    last = events.row(-1, named=True)
    name = label_of(code)
    if last["numeric_value"] is not None:
        name += f" {value_words(code, last['numeric_value'], unit_of(last))}"
    text = f": {last['text_value']}" if last["text_value"] else ""
    when = instant_words(last["time"], record.prediction_time, record.anchor)
    if events.height > 1:
        how_often = f"{'coded ' if domain_of(code) == 'Diagnoses' else ''}{times_words(events.height)}"
        return f"{name}{text}, {how_often}, last {when}"
    return f"{name}{text}, {when}" if text else f"{name} {when}"
