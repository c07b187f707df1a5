"""Circles, edges into nothing and double texts are told exactly, in fifty seeded corruptions."""

from __future__ import annotations

import random
from datetime import date

import networkx as nx
import polars as pl
import pytest

from ontology.concepts import CONCEPTS, EDGES, CodeSystem, concept_rows
from ontology.faults import FAULTS, find_faults


def sound(seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Names and edges without a fault: every edge leads to a smaller number."""
    draw = random.Random(seed)
    names = [f"A//{i:03d}" for i in range(draw.randint(20, 120))]
    pairs = {
        (names[i], names[draw.randrange(i)]) for i in range(1, len(names)) for _ in range(draw.randint(1, 2))
    }
    return names, sorted(pairs)


def system_of(
    names: list[str], pairs: list[tuple[str, str]], texts: list[tuple[str, str, str | None]] | None = None
) -> CodeSystem:
    rows = [(name.split("//")[1], f"text of {name}", "en") for name in names]
    rows += [(name.split("//")[1], text, language) for name, text, language in texts or []]
    listed = pl.DataFrame(rows, schema=["code", "label", "language"], orient="row")
    edges = pl.DataFrame([(*pair, "is_a") for pair in pairs], schema=EDGES, orient="row")
    return CodeSystem(concept_rows("A", listed), edges)


def test_a_sound_system_has_no_faults() -> None:
    for seed in range(20):
        assert find_faults(system_of(*sound(seed))).is_empty()


@pytest.mark.parametrize("seed", range(50))
def test_a_corruption_is_told_exactly(seed: int) -> None:
    """Expected circles by networkx; orphans and double texts as they were put in."""
    draw = random.Random(1000 + seed)
    names, pairs = sound(seed)
    backward = [(above, below) for below, above in draw.sample(pairs, draw.randint(0, 3))]
    loops = [(name, name) for name in draw.sample(names, draw.randint(0, 2))]
    loose = [(draw.choice(names), f"A//x{i}") for i in range(draw.randint(0, 3))]
    loose += [(f"A//y{i}", draw.choice(names)) for i in range(draw.randint(0, 3))]
    doubled = draw.sample(names, draw.randint(0, 4))
    whole = [*pairs, *backward, *loops, *loose]
    draw.shuffle(whole)
    found = find_faults(system_of(names, whole, [(name, "another text", "en") for name in doubled]))

    graph = nx.DiGraph([*pairs, *backward, *loops])
    circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
    circles += [{name} for name, _ in loops if not any(name in part for part in circles)]
    expected = {("cycle", name, min(part)) for part in circles for name in part}
    expected |= {("orphan", *edge) for edge in loose} | {("duplicate", name, "en") for name in doubled}
    assert found.schema == FAULTS
    assert found.rows() == sorted(expected)


def one_code(*rows: tuple[str, str | None, date | None, date | None]) -> CodeSystem:
    told = [
        ("A//1", "A", "1", label, language, None, first, last, []) for label, language, first, last in rows
    ]
    return CodeSystem(pl.DataFrame(told, schema=CONCEPTS, orient="row"))


Y = [date(year, 1, 1) for year in range(2020, 2026)]


@pytest.mark.parametrize(
    ("first", "second", "is_double"),
    [
        ((Y[0], Y[1]), (Y[1], Y[2]), True),
        ((Y[0], date(2020, 12, 31)), (Y[1], Y[2]), False),
        ((None, Y[1]), (Y[2], None), False),
        ((None, Y[2]), (Y[2], None), True),
        ((None, None), (Y[2], Y[3]), True),
        ((Y[0], None), (Y[3], Y[4]), True),
    ],
)
def test_two_texts_are_a_fault_only_on_the_same_day(
    first: tuple[date | None, date | None], second: tuple[date | None, date | None], *, is_double: bool
) -> None:
    found = find_faults(one_code(("old", "nb", *first), ("new", "nb", *second)))
    assert found.rows() == ([("duplicate", "A//1", "nb")] if is_double else [])


def test_texts_in_two_languages_or_the_same_text_twice_are_no_fault() -> None:
    assert find_faults(one_code(("a", "nb", None, None), ("b", "en", None, None))).is_empty()
    assert find_faults(one_code(("a", "nb", Y[0], Y[2]), ("a", "nb", Y[1], Y[3]))).is_empty()


def test_two_texts_without_a_language_are_a_fault() -> None:
    assert find_faults(one_code(("a", None, None, None), ("b", None, None, None))).rows() == [
        ("duplicate", "A//1", None)
    ]
