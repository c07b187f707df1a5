"""What is wrong with attributes: absent, not in the code list, of another form; and what that spoils."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns, Positions, Truths
from pipelines.sources.npr.elements import ELEMENTS, PARENTS, Element
from pipelines.sources.npr.valuesets import FORMS, VALUE_SETS

MISSING = "attribute is missing"
NOT_IN_LIST = "not in the code list"
IN_REJECTED = "stands in a rejected element"
CUT_OFF = "cut off where reading ended"
NOTHING_IN_IT = "no code in it"
ENDS_EARLY = "end before start"
_WRITTEN = r"^(.{10}T\d\d:\d\d)(:\d\d)?(?:\.\d+)?$"
"""A time by the clock: its minute and, where told, its seconds."""


@dataclass
class Findings:
    """What was found in a batch.

    Attributes:
        faults: (store, field, reason, positions) of wrong attributes.
        is_bad: by store, which elements nothing can be made of.
    """

    faults: list[tuple[str, str, str, Positions]] = field(default_factory=list)
    is_bad: dict[str, Truths] = field(default_factory=dict)


def check(columns: Columns, more_values: Mapping[str, tuple[str, ...]]) -> Findings:
    """Check every attribute that is read; wrong ones are null afterwards.

    Args:
        columns: the batch; its frames are changed.
        more_values: by attribute, values beside those of the code list.
    """
    findings = Findings()
    for store, element in ELEMENTS.items():
        if columns.height(store):
            _check_store(columns, element, more_values, findings)
        else:
            findings.is_bad[store] = np.zeros(0, dtype=bool)
    if columns.height("Episode"):
        _check_ends(columns, findings)
    return findings


def _check_ends(columns: Columns, findings: Findings) -> None:
    """An end before the beginning is none: what is known at the end would be known before it could be."""
    episodes = columns.frames["Episode"]
    start, end = (_by_the_clock(episodes[name]) for name in ("innDatoTid", "utDatoTid"))
    is_early = (end < start).fill_null(value=False)
    if is_early.any():
        findings.faults.append(("Episode", "utDatoTid", ENDS_EARLY, np.flatnonzero(is_early.to_numpy())))
        ends = episodes["utDatoTid"].set(is_early, None)
        columns.frames["Episode"] = episodes.with_columns(utDatoTid=ends)


def _by_the_clock(texts: pl.Series) -> pl.Series:
    """Times with their seconds, as texts that sort; null where they are told with an offset."""
    parts = pl.col(texts.name).str.extract_groups(_WRITTEN).struct
    minute, seconds = parts.field("1"), parts.field("2").fill_null(":00")
    return texts.to_frame().select(pl.concat_str(minute, seconds)).to_series()


def _check_store(
    columns: Columns, element: Element, more_values: Mapping[str, tuple[str, ...]], findings: Findings
) -> None:
    store = element.key
    frame = columns.frames[store]
    is_right = _tests(element, more_values)
    wrong = frame.select((~test).fill_null(value=False) for test in is_right.values())
    n_wrong = wrong.sum().row(0) if is_right else ()
    found = {}
    for name in (name for name, n in zip(is_right, n_wrong, strict=True) if n):
        reason = FORMS[name][1] if name in FORMS else NOT_IN_LIST
        findings.faults.append((store, name, reason, np.flatnonzero(wrong[name].to_numpy())))
        found[name] = pl.when(is_right[name]).then(pl.col(name)).alias(name)
    for name in element.expected:
        if frame[name].null_count():
            is_missing = frame[name].is_null().to_numpy()
            findings.faults.append((store, name, MISSING, np.flatnonzero(is_missing)))
    if found:
        frame = columns.frames[store] = frame.with_columns(found.values())
    is_bad = np.zeros(columns.height(store), dtype=bool)
    if PARENTS[store]:
        is_bad |= findings.is_bad[PARENTS[store]][columns.up(store, PARENTS[store])]
    for name in element.required:
        is_missing = frame[name].is_null().to_numpy()
        if is_missing.any():
            is_missing &= ~is_bad
            if name not in found:
                findings.faults.append((store, name, MISSING, np.flatnonzero(is_missing)))
            is_bad |= frame[name].is_null().to_numpy()
    end = columns.batch.end
    if end and end.open_from is not None and not element.is_container:
        is_bad |= columns.offsets[store] >= end.open_from
    findings.is_bad[store] = is_bad


def _tests(element: Element, more_values: Mapping[str, tuple[str, ...]]) -> dict[str, pl.Expr]:
    """By attribute: whether its value is right."""
    tests = {}
    for name in element.attributes:
        if name in FORMS:
            tests[name] = pl.col(name).str.contains(FORMS[name][0])
        elif name in VALUE_SETS:
            allowed = sorted({*VALUE_SETS[name], *more_values.get(name, ())})
            tests[name] = pl.col(name).is_in(allowed)
    return tests
