"""Measures brought into blocks: which rows are judged, which count, and which cannot be judged and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.rates.case_mix import CaseMix, main_codes, numbered
from phenotype.coding.rates.case_mix_strata import Block
from phenotype.coding.rates.counted_rows import NO_DIAGNOSIS, ROLES, CountedRows, Truth, distinct, not_told
from phenotype.coding.rates.measures import Each, Measure
from phenotype.coding.rates.settings import Attribute, UnitSettings

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
CODE, PAIR = "/", "+"
RARE_MAIN = "too few stays with such a main condition"


@dataclass(frozen=True)
class Counted:
    """What one measure, or those of one template, count.

    Attributes:
        measure: as configured.
        ids: of the measures that come of it, (M,).
        judged: (n_rows,) whether a row is in the denominator and can be judged.
        reasons: why rows cannot be judged, by reason.
        group: (n_rows,) the denominator that a row belongs to; None: one for all.
        group_of: (M,) each measure's.
        number: (P,) the measure of each count.
        row: (P,) its row.
        value: (P,) 1, or the number counted.
    """

    measure: Measure
    ids: tuple[str, ...]
    judged: Bools
    reasons: Mapping[str, Bools]
    number: Ints
    row: Ints
    value: Floats
    group: Ints | None = None
    group_of: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def count(measure: Measure, rows: CountedRows) -> Counted:
    """What a measure counts of a record's rows.

    Args:
        measure: of the same `per` as the rows.
        rows: stays, contacts or patient-months.
    """
    missing = sorted(measure.facts() - rows.told)
    within = _within_years(measure, rows)
    if missing:
        nothing = np.zeros(0, dtype=np.int64)
        reasons = {not_told(missing[0]): _needs(measure, rows) & within}
        return Counted(
            measure,
            (),
            np.zeros(rows.rows.height, np.bool_),
            reasons,
            nothing,
            nothing,
            nothing.astype(float),
        )
    denominator = rows.holds(measure.of)
    if measure.each and measure.each.of == "drg_pair":
        return _drg_pairs(measure, measure.each, rows, denominator, within)
    numerator = _numerator(measure, rows)
    judged = denominator.yes & (numerator.yes | numerator.no) & within
    reasons = _reasons((denominator, numerator), ~(judged | denominator.no) & within)
    if measure.each and measure.each.of != "main_group":
        ids, number, row = _each_code(measure, measure.each, rows, judged)
        return Counted(measure, ids, judged, reasons, number, row, np.ones(len(row)))
    values = (
        rows.numbers(measure.number).astype(np.float64)
        if measure.number
        else numerator.yes.astype(np.float64)
    )
    if measure.each:
        return _each_main_group(measure, measure.each, rows, (judged, reasons), values)
    row = np.flatnonzero(judged & (values > 0))
    return Counted(
        measure, (measure.id,), judged, reasons, np.zeros(len(row), dtype=np.int64), row, values[row]
    )


def _within_years(measure: Measure, rows: CountedRows) -> Bools:
    year = rows.rows["year"].to_numpy()
    after = year >= measure.from_year if measure.from_year is not None else np.ones(len(year), dtype=np.bool_)
    before = year <= measure.to_year if measure.to_year is not None else np.ones(len(year), dtype=np.bool_)
    return np.asarray(after & before)


def _needs(measure: Measure, rows: CountedRows) -> Bools:
    """The rows that the measure asks about as far as can be told without the facts that are not there."""
    return np.asarray(~rows.holds(measure.of).no)


def _numerator(measure: Measure, rows: CountedRows) -> Truth:
    if measure.counts is not None:
        return rows.holds(measure.counts)
    asks = measure.number.roles if measure.number and measure.number.of == "codes" else None
    asks = measure.each.roles if measure.each else asks
    every = np.ones(rows.rows.height, dtype=np.bool_)
    if asks is None or set(asks) <= {"procedure"}:
        return Truth(every, ~every)
    return Truth(rows.has_diagnosis, ~every, {NO_DIAGNOSIS: ~rows.has_diagnosis})


def _reasons(truths: Iterable[Truth], unknown: Bools) -> dict[str, Bools]:
    """For each row that cannot be judged the first reason that holds."""
    left = unknown.copy()
    found: dict[str, Bools] = {}
    for truth in truths:
        for reason, where in sorted(truth.reasons.items()):
            here = left & where
            if here.any():
                found[reason] = found.get(reason, np.zeros(len(left), dtype=np.bool_)) | here
                left = left & ~here
    return found


def _each_code(
    measure: Measure, each: Each, rows: CountedRows, judged: Bools
) -> tuple[tuple[str, ...], Ints, Ints]:
    """One measure a code, category or pair: names, and the measure and row of each count."""
    codes = rows.codes
    chosen = np.isin(codes.role, [ROLES.index(role) for role in each.roles]) & judged[codes.row]
    if measure.adjust == "patient" and each.roles == ("main",):
        chosen &= codes.is_first
    label, names = np.arange(len(codes.distinct), dtype=np.int64), codes.distinct
    if each.of != "code":
        short = codes.distinct.str.extract(r"^(.*?//...)").fill_null(codes.distinct)
        names = short.unique().sort()
        label = names.search_sorted(short).to_numpy().astype(np.int64)
    key = distinct(label[codes.code[chosen]] * np.int64(max(rows.rows.height, 1)) + codes.row[chosen])
    item, row = key // max(rows.rows.height, 1), key % max(rows.rows.height, 1)
    item, row = _frequent(item, row, each)
    texts = names.to_list()
    if each.of == "pair":
        return _pairs(measure, each, item, row, texts)
    kept, number = np.flatnonzero(np.bincount(item, minlength=1)), numbered(item)[0]
    return tuple(f"{measure.id}{CODE}{texts[index]}" for index in kept), number, row


def _frequent(item: Ints, row: Ints, each: Each) -> tuple[Ints, Ints]:
    """Counts of the items that enough rows have, and of these the commonest."""
    often = np.bincount(item, minlength=1)
    order = np.argsort(-often, kind="stable")[: each.most]
    is_kept = np.zeros(len(often), dtype=np.bool_)
    is_kept[order] = often[order] >= each.smallest
    return item[is_kept[item]], row[is_kept[item]]


def _pairs(
    measure: Measure, each: Each, item: Ints, row: Ints, texts: list[str]
) -> tuple[tuple[str, ...], Ints, Ints]:
    """Every two items that one row has; an item's own pairs are named with the first in text order first."""
    held = pl.DataFrame({"row": row, "item": item}).lazy()
    both = (
        held.join(held, on="row")
        .filter(pl.col("item") < pl.col("item_right"))
        .select("row", key=pl.col("item") * len(texts) + pl.col("item_right"))
        .sort("key", "row")
        .collect()
    )
    key, row = both["key"].to_numpy(), both["row"].to_numpy()
    values, number = np.unique(key, return_inverse=True)
    number, row = _frequent(number.astype(np.int64), row, each)
    kept, number = np.unique(number, return_inverse=True)
    names = [
        f"{texts[value // len(texts)]}{PAIR}{texts[value % len(texts)]}" for value in values[kept].tolist()
    ]
    return tuple(f"{measure.id}{CODE}{name}" for name in names), number.astype(np.int64), row


def _each_main_group(
    measure: Measure, each: Each, rows: CountedRows, known: tuple[Bools, dict[str, Bools]], values: Floats
) -> Counted:
    """The measure by the main condition's first two characters; known: what is judged, and why not."""
    judged, reasons = known
    main = main_codes(rows).str.slice(0, 2).fill_null("?")
    names = main.unique().sort()
    group = names.search_sorted(main).to_numpy().astype(np.int64)
    enough = np.bincount(group[judged], minlength=len(names)) >= each.smallest
    is_rare = judged & ~enough[group]
    reasons = {**reasons, RARE_MAIN: is_rare} if is_rare.any() else reasons
    judged = judged & enough[group]
    row = np.flatnonzero(judged & (values > 0))
    kept = np.flatnonzero(enough)
    place = np.cumsum(enough) - 1
    ids = tuple(f"{measure.id}{CODE}{names[int(index)]}" for index in kept)
    return Counted(
        measure,
        ids,
        judged,
        reasons,
        place[group[row]],
        row,
        values[row],
        group=np.where(judged, place[group], 0),
        group_of=np.arange(len(ids)),
    )


def _drg_pairs(measure: Measure, each: Each, rows: CountedRows, denominator: Truth, within: Bools) -> Counted:
    """Of the stays of each pair of groups the share in the dearer one."""
    row, value = rows.facts["drg"]
    group, is_high = np.full(rows.rows.height, -1, dtype=np.int64), np.zeros(rows.rows.height, dtype=np.bool_)
    told = np.zeros(rows.rows.height, dtype=np.bool_)
    told[row] = True
    for number, pair in enumerate(each.pairs.values()):
        for names, high in ((pair.low, False), (pair.high, True)):
            here = row[value.is_in(list(names)).fill_null(value=False).to_numpy()]
            group[here] = number
            is_high[here] = high
    judged = denominator.yes & (group >= 0) & within
    unknown = ~denominator.no & ~judged & (~told | (group >= 0)) & within
    reasons = _reasons((denominator, Truth(told, told, {not_told("drg"): ~told})), unknown)
    chosen = np.flatnonzero(judged & is_high)
    ids = tuple(f"{measure.id}{CODE}{key}" for key in each.pairs)
    return Counted(
        measure, ids, judged, reasons, group[chosen], chosen, np.ones(len(chosen)),
        group=np.maximum(group, 0), group_of=np.arange(len(ids)),
    )  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The units and years of rows.

    Attributes:
        by: unit, hospital or region.
        units: names, sorted.
        periods: years as text, sorted; `?` where none is known.
        unit: (n_rows,) number of each row's unit.
        period: (n_rows,) number of its year.
        subject: (n_rows,) number of its patient.
    """

    by: str
    units: tuple[str, ...]
    periods: tuple[str, ...]
    unit: Ints
    period: Ints
    subject: Ints


def places(rows: CountedRows, by: str) -> Places:
    """The units (unit, hospital or region) and years of rows."""
    year = rows.rows["year"].cast(pl.String).fill_null("?")
    unit = rows.rows[by]
    units, periods = unit.unique().sort(), year.unique().sort()
    return Places(
        by,
        tuple(units.to_list()),
        tuple(periods.to_list()),
        units.search_sorted(unit).to_numpy().astype(np.int64),
        periods.search_sorted(year).to_numpy().astype(np.int64),
        numbered(rows.rows["subject_id"].rank("dense").cast(pl.Int64).to_numpy())[0],
    )


def blocks(
    counted: Iterable[Counted], mix: CaseMix, where: Places, settings: UnitSettings
) -> list[tuple[tuple[Measure, ...], Block]]:
    """Measures with the same rows, the same adjustment and kind, brought together.

    Returns:
        Each block with the configured measure of each of its measures.
    """
    together: dict[tuple[object, ...], list[Counted]] = {}
    for one in counted:
        if not one.ids or not one.judged.any():
            continue
        digest = hashlib.sha256(np.packbits(one.judged).tobytes()).hexdigest()
        own = one.measure.id if one.group is not None else ""
        adjusted = adjustment(one.measure, where)
        together.setdefault((*adjusted, one.measure.is_count, digest, own), []).append(one)
    levels: dict[tuple[str, bool], tuple[Ints, ...]] = {}
    return [_block(parts, mix, where, settings, levels) for parts in together.values()]


def adjustment(measure: Measure, where: Places) -> tuple[str, bool]:
    """How a measure is adjusted, and whether units are compared within their specialty."""
    return measure.adjust, measure.peers == "specialty" and where.by == "unit"


def _block(
    parts: list[Counted],
    mix: CaseMix,
    where: Places,
    settings: UnitSettings,
    known: dict[tuple[str, bool], tuple[Ints, ...]],
) -> tuple[tuple[Measure, ...], Block]:
    first = parts[0]
    adjusted = adjustment(first.measure, where)
    if adjusted not in known:
        peers: tuple[Attribute, ...] = ("specialty",) if adjusted[1] else ()
        known[adjusted] = tuple(mix.level((*peers, *names)) for names in settings.strata[adjusted[0]])
    kept = np.flatnonzero(first.judged)
    place = np.zeros(len(first.judged), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    n_measures = int(starts[-1])
    block = Block(
        measure_ids=tuple(name for part in parts for name in part.ids),
        measure_group=first.group_of if first.group is not None else np.zeros(n_measures, dtype=np.int64),
        n_groups=len(first.ids) if first.group is not None else 1,
        group=first.group[kept] if first.group is not None else np.zeros(len(kept), dtype=np.int64),
        unit=where.unit[kept],
        period=where.period[kept],
        subject=where.subject[kept],
        levels=tuple(level[kept] for level in known[adjusted]),
        n_units=len(where.units),
        n_periods=len(where.periods),
        measure=np.concatenate([part.number + start for part, start in zip(parts, starts, strict=False)]),
        row=place[np.concatenate([part.row for part in parts])],
        value=np.concatenate([part.value for part in parts]),
        place=kept,
        is_count=first.measure.is_count,
    )
    return tuple(part.measure for part in parts for _ in part.ids), block
