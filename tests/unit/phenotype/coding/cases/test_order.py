"""Which stays are opened first: once each, by what they bring less what they cost, at a capacity."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from phenotype.coding.cases.order import Capacity, Effort, order_stays, recovery_curve, within_capacity
from phenotype.coding.findings import Found

FRAMES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "coding_frames.py")))
finding = FRAMES.finding
found_of = FRAMES.found_of
item = FRAMES.item
record_of = FRAMES.record_of

EFFORT = Effort(hours_a_stay=1, hours_a_further_finding=0.5, nok_an_hour=1000, source="test")


def order(found: Found, contacts: list[tuple[int, int, int]], **how):
    return order_stays(found, record_of(contacts).contacts, EFFORT, **how)


def priced(finding_id: str, probability: float | None, amount: float | None, **more):
    return finding(finding_id, probability=probability, amount_low_nok=amount, amount_high_nok=amount, **more)


def test_expected_recovery_less_cost_decides_and_money_in_the_hospitals_favour_does_not():
    # Stay: chance x amount - cost = 10: .5 x 40 000 - 1000 = 19 000; 20: .9 x 10 000 - 1000 = 8 000;
    # 30: .9 x 1 000 - 1000 < 0; 40: no price, .3; 50: 60 000 in the hospital's favour at .5, so nothing comes
    # back: it ranks with 40, by probability.
    found = found_of(
        [
            priced("a", 0.5, 40e3),
            priced("b", 0.9, 10e3),
            priced("c", 0.9, 1e3),
            priced("d", 0.3, None),
            priced("e", 0.5, -60e3),
        ],
        [item(name, contact) for name, contact in zip("abcde", range(1, 6), strict=True)],
    )
    stays = order(found, [(n, 10 * n, n) for n in range(1, 6)])
    assert stays["stay_id"].to_list() == [10, 20, 50, 40, 30]
    assert stays["net_nok"].to_list() == [19e3, 8e3, -31e3, None, pytest.approx(-100)]
    assert stays["pays"].to_list() == [True, True, False, None, False]
    assert stays["expected_nok"].to_list()[2] == -30e3
    by_chance = order(found, [(n, 10 * n, n) for n in range(1, 6)], by="probability")
    assert by_chance["stay_id"].to_list() == [20, 30, 10, 50, 40]


def test_several_findings_on_a_stay_are_one_opening():
    # Two doubts about one code of contact 1 are one chance, the larger; contact 2 is another of the stay.
    found = found_of(
        [priced("a", 0.5, 8e3), priced("b", 0.8, 4e3), priced("c", 0.5, 10e3)],
        [item("a", 1), item("b", 1), item("c", 2)],
    )
    (stay,) = order(found, [(1, 10, 7), (2, 10, 7)]).to_dicts()
    assert stay["finding_ids"] == ["b", "a", "c"]
    assert stay["probability"] == pytest.approx(1 - 0.2 * 0.5)
    # Contact 1 is settled once: .5 x 8 000 = 4 000 weighs more than .8 x 4 000 = 3 200.
    assert stay["expected_nok"] == pytest.approx(4e3 + 5e3)
    assert stay["hours"] == pytest.approx(1 + 2 * 0.5)


def test_a_finding_about_two_stays_is_opened_at_one_and_names_the_other():
    found = found_of([priced("a", 0.9, 10e3)], [item("a", 1), item("a", 2)])
    (stay,) = order(found, [(1, 10, 7), (2, 20, 7)]).to_dicts()
    assert (stay["stay_id"], stay["other_stay_ids"], stay["hours"]) == (10, [20], 2.0)


def test_stays_behind_a_rate_come_last_in_an_order_that_does_not_depend_on_their_ids():
    rate = finding("z", "m", kind="unit_rate", probability=None, amount_low_nok=1e6, amount_high_nok=1e6)
    found = found_of(
        [rate, priced("a", 0.01, None)], [*(item("z", n, None) for n in range(1, 101)), item("a", 200)]
    )
    stays = order(found, [*((n, n, n) for n in range(1, 101)), (200, 200, 200)])
    assert stays["stay_id"].to_list()[0] == 200
    behind = stays["stay_id"].to_list()[1:]
    assert sorted(behind) == list(range(1, 101))
    assert 15 < sum(n > 50 for n in behind[:50]) < 35
    # The money of a rate is settled by the rate, not at one of its stays.
    assert stays["amount_low_nok"].null_count() == 101


def test_the_order_does_not_depend_on_the_order_of_rows():
    rows = [priced(f"f{n:03}", (n * 37 % 100) / 100, 1e4 * (n % 7) if n % 3 else None) for n in range(200)]
    items = [item(f"f{n:03}", n // 2) for n in range(200)]
    contacts = [(n, n // 2, n) for n in range(100)]
    usual = order(found_of(rows, items), contacts)
    shuffled = random.Random(1)
    shuffled.shuffle(rows), shuffled.shuffle(items), shuffled.shuffle(contacts)
    assert order(found_of(rows, items), contacts).equals(usual)


def test_a_capacity_takes_the_first_and_a_share_at_random_from_the_rest():
    found = found_of(
        [priced(f"f{n:04}", 0.5, None) for n in range(1000)], [item(f"f{n:04}", n) for n in range(1000)]
    )
    stays = order(found, [(n, n, n) for n in range(1000)])
    chosen = within_capacity(stays, Capacity(stays=100, random_share=0.2))
    assert chosen["how"].to_list() == ["ranked"] * 80 + ["random"] * 20
    assert chosen["rank"].to_list()[:80] == list(range(1, 81))
    drawn = chosen["rank"].to_list()[80:]
    assert len(set(drawn)) == 20
    assert min(drawn) > 80
    # 20 of 920 at random: their middle is near the middle of the rest.
    assert 350 < sum(drawn) / 20 < 750
    behind_a_rate = stays.with_columns(
        probability=pl.when(pl.col("rank") <= 100).then("probability"), pays=pl.lit(None, pl.Boolean)
    )
    assert within_capacity(behind_a_rate, Capacity(stays=90, random_share=0.5))["rank"].max() <= 100
    assert within_capacity(stays, Capacity(stays=None, hours=10.0)).height == 10
    assert within_capacity(stays, Capacity(stays=5, hours=10.0)).height == 5
    assert within_capacity(stays, Capacity(stays=0)).height == 0


def test_the_curve_adds_up_what_the_first_stays_bring():
    found = found_of([priced("a", 0.5, 40e3), priced("b", 0.9, -10e3)], [item("a", 1), item("b", 2)])
    curve = recovery_curve(order(found, [(1, 1, 1), (2, 2, 2)]))
    assert curve["expected_nok"].to_list() == [20e3, 20e3]
    assert curve["favour_nok"].to_list() == [0.0, 9e3]
    assert curve["cost_nok"].to_list() == [1000, 2000]
    assert curve["expected_right"].to_list() == pytest.approx([0.5, 1.4])


def test_without_findings_there_is_nothing_to_open():
    assert order(Found.nothing(), []).height == 0
    assert within_capacity(order(Found.nothing(), []), Capacity(stays=10)).height == 0
