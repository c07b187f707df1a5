"""The context of random histories, against the rule written out in plain loops."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from phenotype.context import n_time_points, row_windows, whole_windows
from phenotype.networks.config import TransformerConfig

Position = Literal["time_point", "event"]
N_SUBJECTS = 40


def histories(seed: int) -> tuple[Any, list[list[int]]]:
    """Instants of each subject's dated events, ascending with ties, end to end with nothing static."""
    draw = np.random.default_rng(seed)
    instants = [sorted(draw.integers(0, 12, draw.integers(0, 25)).tolist()) for _ in range(N_SUBJECTS)]
    stop = np.cumsum([len(known) for known in instants])
    start = np.append(0, stop[:-1])
    steps = [sorted(set(known)).index(at) for known in instants for at in known]
    tokens = SimpleNamespace(
        subject=np.arange(N_SUBJECTS),
        dated_start=start,
        stop=stop,
        known=np.concatenate(instants).astype(np.int64),
        step=np.array(steps, dtype=np.int32),
        release=lambda: None,
    )
    return tokens, instants


def context(known: list[int], longest: int, position: Position) -> int:
    """Where the last positions of these events begin."""
    if not known:
        return 0
    places = sorted({known.index(at) for at in known}) if position == "time_point" else [*range(len(known))]
    n, half = len(places), max(longest // 2, 1)
    first = 0 if n <= longest else places[-(-(n - longest) // half) * half]
    opening = known.index(known[first])
    if opening == first:
        return first
    later = [place for place, at in enumerate(known) if at > known[first]]
    return later[0] if later else opening


@pytest.mark.parametrize("position", ["time_point", "event"])
@pytest.mark.parametrize("longest", [1, 2, 5, 8])
def test_the_context_begins_where_the_rule_says(position: Position, longest: int) -> None:
    tokens, instants = histories(longest)
    config = TransformerConfig(position=position, max_positions=longest)
    for asked in range(-1, 14):
        limit = np.full(N_SUBJECTS, asked)
        begin, end = row_windows(tokens, tokens.dated_start, tokens.stop, limit, config)
        for subject, known in enumerate(instants):
            seen = [at for at in known if at <= asked]
            start = int(tokens.dated_start[subject])
            assert int(end[subject]) - start == len(seen)
            assert int(begin[subject]) - start == context(seen, longest, position)


@pytest.mark.parametrize("position", ["time_point", "event"])
def test_a_context_holds_between_half_and_all_of_the_positions(position: Position) -> None:
    """Where no instant has two events: of p > 8 positions at least 5 and at most 8 are read."""
    tokens = SimpleNamespace(known=np.arange(100), step=np.arange(100, dtype=np.int32), release=lambda: None)
    config = TransformerConfig(position=position, max_positions=8)
    prediction = np.arange(8, 100)
    nothing, all_of_them = np.zeros(92, dtype=np.int64), np.full(92, 100)
    begin, end = row_windows(tokens, nothing, all_of_them, prediction, config)  # type: ignore[arg-type]
    held = n_time_points(tokens, begin, end)  # type: ignore[arg-type]
    assert (held.min(), held.max()) == (5, 8)
    assert len(np.unique(begin)) == 23, "92 hours, four at a time"


@pytest.mark.parametrize("position", ["time_point", "event"])
@pytest.mark.parametrize("longest", [1, 3, 7])
def test_windows_hold_all_and_part_no_instant(position: Position, longest: int) -> None:
    tokens, instants = histories(10 + longest)
    config = TransformerConfig(position=position, max_positions=longest)
    owner, begin, end, last = whole_windows(tokens, config)
    assert sorted(set(owner.tolist())) == [subject for subject, known in enumerate(instants) if known]
    held = [number for a, b in zip(begin, end, strict=True) for number in range(a, b)]
    assert held == list(range(len(tokens.known)))
    for subject in range(N_SUBJECTS):
        windows = [tokens.known[a:b].tolist() for a, b in zip(begin, end, strict=True)]
        mine = [window for window, who in zip(windows, owner, strict=True) if who == subject]
        assert all(one[-1] < other[0] for one, other in pairwise(mine))
    assert last.tolist() == tokens.known[end - 1].tolist()
