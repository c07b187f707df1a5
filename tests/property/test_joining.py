"""Laws of joining: what became one was one by the rule, nothing that is one stays two, nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.event_order import in_event_order
from phenotype.trajectory import EVENTS
from pipelines.joining.account import JoinAccount
from pipelines.joining.rule import Coarsest, JoinRule, TimeRule
from pipelines.joining.shards import join_shard

START = datetime(2024, 3, 1, 8)
GRAMS = {"g/L": 1.0, "g/dL": 10.0, "mg/L": 0.001}
"""How many g/L one unit is; heads of no other unit."""
Row = dict[str, Any]


@st.composite
def sources(draw: st.DrawFn) -> list[list[Row]]:
    """Events of two or three sources about few subjects, codes, times and values, so that many agree."""
    seconds = st.sampled_from([0, 0, 1, 30, 60, 61, 90, 3600, 16 * 3600, 86_400])
    row = st.fixed_dictionaries(
        {
            "subject_id": st.sampled_from([1, 2]),
            "time": st.one_of(st.none(), seconds.map(lambda after: START + timedelta(seconds=after))),
            "code": st.sampled_from(["A", "B"]),
            "numeric_value": st.sampled_from([None, 1.0, 1.002, 10.0, 5.0]),
            "text_value": st.sampled_from([None, None, "Negative", "negative ", "growth"]),
            "unit": st.sampled_from([None, "g/L", "g/dL", "kg"]),
        }
    )
    return draw(st.lists(st.lists(row, max_size=9), min_size=2, max_size=3))


@st.composite
def rules(draw: st.DrawFn) -> JoinRule:
    coarser: Coarsest = draw(st.sampled_from(["none", "second", "minute", "day"]))
    return JoinRule(time=TimeRule(tolerance_seconds=draw(st.sampled_from([0, 1, 90])), coarser=coarser))


def frames(given_rows: list[list[Row]]) -> list[tuple[str, pl.DataFrame]]:
    """The sources as the join takes them; lineage ids count through all."""
    named, following = [], 0
    for number, rows in enumerate(given_rows):
        events = pl.DataFrame(
            rows, schema={name: EVENTS[name] for name in rows[0]} if rows else {"subject_id": pl.Int64}
        )
        events = events.select(
            (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in EVENTS.items()
        ).with_columns(lineage_id=pl.int_range(following, following + len(rows), dtype=pl.Int64))
        following += len(rows)
        named.append((f"{number}-source", in_event_order(events)))
    return named


def are_one(one: Row, other: Row, rule: JoinRule) -> bool:
    """The rule in plain words, for two events of two sources."""
    if (one["subject_id"], one["code"]) != (other["subject_id"], other["code"]):
        return False
    return is_one_time(one["time"], other["time"], rule) and is_one_value(one, other, rule)


def is_one_time(one: datetime | None, other: datetime | None, rule: JoinRule) -> bool:
    if one is None or other is None:
        return one is other
    if abs((one - other).total_seconds()) <= rule.time.tolerance_seconds:
        return True
    widths = {"none": [], "second": [1], "minute": [1, 60], "day": [1, 60, 86_400]}[rule.time.coarser]
    epoch = datetime(1970, 1, 1)
    for width in widths:
        ticks = [(time - epoch) // timedelta(seconds=width) for time in (one, other)]
        are_whole = [(time - epoch) % timedelta(seconds=width) == timedelta() for time in (one, other)]
        if ticks[0] == ticks[1] and any(are_whole):
            return True
    return False


def is_one_value(one: Row, other: Row, rule: JoinRule) -> bool:
    bare = [event["numeric_value"] is None and event["text_value"] is None for event in (one, other)]
    values = [event["numeric_value"] for event in (one, other)]
    texts = [event["text_value"] for event in (one, other)]
    if None not in texts and texts[0].strip().lower() != texts[1].strip().lower():
        return False
    if None not in values:
        units = [event["unit"] for event in (one, other)]
        if None not in units and units[0] != units[1]:
            if "kg" in units:
                return False
            values = [value * GRAMS[unit] for value, unit in zip(values, units, strict=True)]
        if abs(values[0] - values[1]) > rule.value.relative_tolerance * max(map(abs, values)):
            return False
    return any(bare) or None not in values or None not in texts


@settings(max_examples=80)
@given(sources(), rules())
def test_what_became_one_was_one_and_nothing_is_lost(given_rows: list[list[Row]], rule: JoinRule) -> None:
    named = frames(given_rows)
    account = JoinAccount()
    joined = join_shard(named, rule, account, ages_are_capped=False)
    originals = {row["lineage_id"]: row for _, events in named for row in events.iter_rows(named=True)}
    source_of = {row: number for number, (_, events) in enumerate(named) for row in events["lineage_id"]}
    moved = dict(joined.moved.iter_rows())
    kept = {row["lineage_id"]: row for row in joined.events.iter_rows(named=True)}
    assert joined.events.height == len(kept) == len(originals) - account.n_same_events
    assert set(kept) == set(originals) - set(moved)
    for old, new in moved.items():
        assert source_of[old] > source_of[new]
    for new, event in kept.items():
        members = [new, *(old for old, target in moved.items() if target == new)]
        assert len({source_of[member] for member in members}) == len(members)
        if len(members) == 1:
            assert event == originals[new]
        if len(members) == 2:
            assert are_one(*(originals[member] for member in members), rule)


@settings(max_examples=80)
@given(sources(), rules())
def test_of_two_sources_no_two_facts_that_are_one_stay_two(
    given_rows: list[list[Row]], rule: JoinRule
) -> None:
    named = frames(given_rows[:2])
    joined = join_shard(named, rule, JoinAccount(), ages_are_capped=False)
    moved = dict(joined.moved.iter_rows())
    matched = set(moved) | set(moved.values())
    alone = [
        [row for row in events.iter_rows(named=True) if row["lineage_id"] not in matched]
        for _, events in named
    ]
    assert not any(are_one(one, other, rule) for one in alone[0] for other in alone[1])
    told = {(row["lineage_id"], row["other_lineage_id"]) for row in joined.conflicts.iter_rows(named=True)}
    by_id = {row["lineage_id"]: row for rows in alone for row in rows}
    for one, other in told:
        pair = by_id[one], by_id[other]
        assert is_one_time(pair[0]["time"], pair[1]["time"], rule)
        assert not is_one_value(*pair, rule)


@settings(max_examples=40)
@given(sources(), rules())
def test_the_order_of_rows_within_a_source_changes_nothing(
    given_rows: list[list[Row]], rule: JoinRule
) -> None:
    named = frames(given_rows)
    turned = [(name, in_event_order(events.reverse())) for name, events in named]
    one, other = (join_shard(order, rule, JoinAccount(), ages_are_capped=False) for order in (named, turned))
    for frame, again in (
        (one.events, other.events),
        (one.moved, other.moved),
        (one.conflicts, other.conflicts),
    ):
        order = sorted(frame.columns)
        assert frame.sort(order, nulls_last=False).equals(again.sort(order, nulls_last=False))
