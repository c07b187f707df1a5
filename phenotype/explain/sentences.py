"""Attributions and the events behind them as plain sentences, grouped into reasons for and against."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from ontology.labels import domain_of, entry_of, is_care, label_of
from phenotype.explain.wording import (
    FIXED_SPACE,
    instant_words,
    number_words,
    rounded,
    span_words,
    times_words,
)
from phenotype.trajectory import BIRTH_CODE

AGE_CODE = "AGE"
TREND_WINDOW = dt.timedelta(hours=24)
TREND_MIN_SPAN = dt.timedelta(minutes=30)
MAX_EVIDENCE = 8
COMPLETENESS = 1e-3
"""Largest part of a prediction, in log odds, that may stay unexplained without the page saying so."""


class Frozen(BaseModel):
    """The base of what a report says: never changed after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(Frozen):
    """One event behind a reason, as it stands in the dataset.

    Attributes:
        time: when it was true; null for static facts.
        known_time: when it could be known.
        value: the number, if any.
        unit: of the number.
        text: the words, if any.
    """

    time: dt.datetime | None
    known_time: dt.datetime | None
    value: float | None
    unit: str
    text: str


class Part(Frozen):
    """What one feature of a code contributed, in log odds."""

    name: str
    phi: float


class Reason(Frozen):
    """What one code contributed to one prediction, in a sentence, with the events behind it.

    Attributes:
        code: the code.
        label: its plain name.
        domain: its domain.
        phi: contribution in log odds; positive speaks for the outcome.
        low: lower end of phi's interval where it was estimated, else phi.
        high: upper end.
        is_exact: whether phi was computed exactly.
        is_care: whether this is something the hospital did.
        is_known: whether any event of the code was known at the prediction.
        text: what the record shows, without the verdict.
        evidence: the latest events first, at most MAX_EVIDENCE.
        n_evidence: how many events of the code were known.
        parts: contributions of the code's features, largest first.
    """

    code: str
    label: str
    domain: str
    phi: float
    low: float
    high: float
    is_exact: bool
    is_care: bool
    is_known: bool
    text: str
    evidence: tuple[Evidence, ...]
    n_evidence: int
    parts: tuple[Part, ...]

    @property
    def direction(self) -> Literal["for", "against"]:
        """Which way the reason pulls."""
        return "for" if self.phi > 0 else "against"

    @property
    def sentence(self) -> str:
        """The whole sentence with its verdict."""
        return f"{self.text}: speaks {self.direction}."


class DomainSum(Frozen):
    """What all codes of a domain contributed together, in log odds."""

    domain: str
    phi: float


class Reasons(Frozen):
    """One prediction explained.

    Attributes:
        base: log odds that the model starts from.
        total: log odds that it ends at, before calibration.
        unexplained: total minus base minus all contributions.
        is_exact: whether every contribution is exact.
        domains: sums by domain, largest first.
        codes: one reason a code, largest first.
    """

    base: float
    total: float
    unexplained: float
    is_exact: bool
    domains: tuple[DomainSum, ...]
    codes: tuple[Reason, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the contributions add up to the prediction within COMPLETENESS."""
        return abs(self.unexplained) <= COMPLETENESS


@dataclass(frozen=True)
class Record:
    """What was known of one patient at one prediction, ready to be asked by code.

    Attributes:
        events: columns of EVENTS, one subject, known at the prediction time.
        prediction_time: the instant that everything was known at.
        anchor: the nominal start where times are only relative.
    """

    events: pl.DataFrame
    prediction_time: dt.datetime
    anchor: dt.datetime | None = None
    _by_code: dict[str, pl.DataFrame] = field(default_factory=dict, repr=False, compare=False)

    def of_code(self, code: str) -> pl.DataFrame:
        """The known events of a code, oldest first."""
        if not self._by_code:
            ordered = self.events.sort("time", "known_time", "numeric_value", "text_value", nulls_last=False)
            self._by_code.update(
                {str(key[0]): rows for key, rows in ordered.partition_by("code", as_dict=True).items()}
            )
        return self._by_code.get(code, self.events.clear())

    @property
    def age_years(self) -> int | None:
        """Whole years lived at the prediction, from the birth or from a stated age."""
        birth = self.of_code(BIRTH_CODE)["time"].drop_nulls()
        if len(birth):
            born, now = birth[0], self.prediction_time
            return int(now.year - born.year - ((now.month, now.day) < (born.month, born.day)))
        stated = self.of_code(AGE_CODE)["numeric_value"].drop_nulls()
        return int(stated[-1]) if len(stated) else None


def reasons_of(explanation: pl.DataFrame, record: Record) -> Reasons:
    """One prediction's explanation in sentences.

    Args:
        explanation: rows of one subject, prediction time, model and tree, with node, parent, phi, low, high
            and is_exact; "" is the root, "base" the expected value, below the root stand domains, then codes,
            then features.
        record: what was known of the patient.
    """
    rows = explanation.sort("node").to_dicts()
    root = next((row["phi"] for row in rows if row["node"] == ""), None)
    base = next((row["phi"] for row in rows if row["node"] == "base"), 0.0)
    children: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        if row["node"] not in {"", "base"}:
            children.setdefault(str(row["parent"] or ""), []).append(row)
    domains = children.get("", [])
    contributed = sum(_float(row["phi"]) for row in domains)
    total = base + contributed if root is None else _total(root, base, contributed)
    codes = [
        _reason(row, children.get(str(row["node"]), []), record)
        for domain in domains
        for row in children.get(str(domain["node"]), [])
    ]
    sums = [DomainSum(domain=str(row["node"]), phi=_float(row["phi"])) for row in domains]
    return Reasons(
        base=base,
        total=total,
        unexplained=total - base - contributed,
        is_exact=all(row["is_exact"] for row in rows),
        domains=tuple(sorted(sums, key=lambda part: (-abs(part.phi), part.domain))),
        codes=tuple(sorted(codes, key=lambda reason: (-abs(reason.phi), reason.code))),
    )


def _total(root: float, base: float, contributed: float) -> float:
    """The model's log odds, whether the root holds the contributions alone or the base as well."""
    without_base = abs(root - contributed) <= abs(root - base - contributed)
    return base + root if without_base else root


def _reason(row: dict[str, object], features: Sequence[dict[str, object]], record: Record) -> Reason:
    code = _own_name(row)
    events = record.of_code(code)
    phi = _float(row["phi"])
    parts = [Part(name=_own_name(feature), phi=_float(feature["phi"])) for feature in features]
    return Reason(
        code=code,
        label=label_of(code),
        domain=domain_of(code),
        phi=phi,
        low=phi if row["low"] is None else _float(row["low"]),
        high=phi if row["high"] is None else _float(row["high"]),
        is_exact=bool(row["is_exact"]),
        is_care=is_care(code),
        is_known=bool(events.height) or code in {AGE_CODE, BIRTH_CODE},
        text=describe(code, record),
        evidence=evidence_of(events),
        n_evidence=events.height,
        parts=tuple(sorted(parts, key=lambda part: (-abs(part.phi), part.name))),
    )


def evidence_of(events: pl.DataFrame) -> tuple[Evidence, ...]:
    """The latest events of one code, newest first, at most MAX_EVIDENCE."""
    return tuple(
        Evidence(
            time=row["time"],
            known_time=row["known_time"] or row["time"],
            value=row["numeric_value"],
            unit=unit_of(row),
            text=row["text_value"] or "",
        )
        for row in events.reverse().head(MAX_EVIDENCE).to_dicts()
    )


def unit_of(row: dict[str, object]) -> str:
    """The unit that an event carries, else the one its label file gives."""
    entry = entry_of(str(row["code"]))
    return str(row["unit"] or (entry.unit if entry else "") or "")


def describe(code: str, record: Record) -> str:
    """What the record shows of one code, as a sentence without its full stop."""
    if code in {AGE_CODE, BIRTH_CODE} and record.age_years is not None:
        return f"Age {record.age_years} years"
    events = record.of_code(code)
    if not events.height:
        return f"Not on record: {label_of(code)}"
    last = events.row(-1, named=True)
    if last["numeric_value"] is not None:
        return _describe_value(code, events, record)
    if last["time"] is None:
        return label_of(code) + (f": {last['text_value']}" if last["text_value"] else "")
    return _describe_occurrences(code, events, record)


def _describe_value(code: str, events: pl.DataFrame, record: Record) -> str:
    """The last value with its time, its trend and how it lies to the usual band."""
    values = events.filter(pl.col("numeric_value").is_not_null())
    last = values.row(-1, named=True)
    words = [f"{label_of(code)} {value_words(code, last['numeric_value'], unit_of(last))}"]
    if last["time"] is not None:
        words[0] += f" {instant_words(last['time'], record.prediction_time, record.anchor)}"
        words += _trend(values) + _against_band(code, last["numeric_value"])
    return ", ".join(words)


def value_words(code: str, value: float, unit: str) -> str:
    """A value as a reader wants it: its name where the values are codes, else the number with its unit."""
    entry = entry_of(code)
    named = entry.values.get(f"{value:g}") if entry else None
    if named:
        return named
    return f"{number_words(value)}{unit_words(unit)}"


def unit_words(unit: str) -> str:
    """A unit as it follows a number: 96%, 18/min, 5.4 × 10⁹/L, 4.2 mmol/L."""
    if not unit or unit == "%" or unit.startswith("/"):
        return unit
    times = f"×{FIXED_SPACE}" if unit.startswith("10") else ""
    return f"{FIXED_SPACE}{times}{unit}"


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
        return [f"above the usual {band_words(entry.low, entry.high)}"]
    if entry.low is not None and rounded(value) < rounded(entry.low):
        return [f"below the usual {band_words(entry.low, entry.high)}"]
    return []


def band_words(low: float | None, high: float | None) -> str:
    """A usual band: 0.7 to 1.8, at least 70, at most 5, or 15."""
    if low is not None and high is not None:
        return number_words(low) if low == high else f"{number_words(low)} to {number_words(high)}"
    return f"at least {number_words(low)}" if low is not None else f"at most {number_words(high or 0.0)}"


def _describe_occurrences(code: str, events: pl.DataFrame, record: Record) -> str:
    """How often something was recorded and when last."""
    last = events.row(-1, named=True)
    text = f": {last['text_value']}" if last["text_value"] else ""
    when = instant_words(last["time"], record.prediction_time, record.anchor)
    often = "" if events.height == 1 else f" {times_words(events.height)}, last"
    return f"{label_of(code)}{text},{often} {when}" if often or text else f"{label_of(code)} {when}"


def _own_name(row: dict[str, object]) -> str:
    """A node's name without the name of the node above it."""
    node, parent = str(row["node"]), str(row["parent"] or "")
    own = node.removeprefix(parent).strip("/ ") if parent else node
    return own.replace("//", ", ") if own and own != node else node


def _float(value: object) -> float:
    return float(value)  # type: ignore[arg-type]
