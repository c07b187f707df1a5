"""What is summed for a batch: events into columns, and summaries of each row's history for its read-out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.networks.clocks import MICROSECONDS_PER_HOUR
from phenotype.networks.positions import Layout, Picked
from phenotype.ranges import end_to_end
from phenotype.sequences import Ints, Sequences

SUMMARY_HOURS = (24.0, 720.0)
"""Look-behind windows that are summarised for the read-out beside the whole history."""
N_SUMMARIES = 1 + 2 * (1 + len(SUMMARY_HOURS))


class Sums(NamedTuple):
    """What is summed where: sum, token, weight, and the event whose value counts (-1: none)."""

    place: Ints
    token: npt.NDArray[np.integer]
    weight: npt.NDArray[np.float32]
    event: Ints


def sum_up(
    sequences: Sequences, units: Ints, layout: Layout, picked: Picked, *, with_summaries: bool
) -> Sums:
    """Columns and the log counts of what is older, then the summaries; ascending by sum.

    Args:
        sequences: where the events are.
        units: (U,) the batch's units; where there are summaries, each has one row.
        layout: where everything stands.
        picked: the events that are read.
        with_summaries: whether the read-outs are given summaries.
    """
    token = sequences.token[picked.event]
    parts = [Sums(layout.column, token, np.ones(len(token), np.float32), picked.event)]
    older = picked.part(1)
    if len(older):
        single = np.concatenate([end_to_end(picked.cut[:, n], np.diff(picked.cut)[:, n]) for n in (0, 2)])
        parts = [_chosen(parts[0], single)]
        place, tokens, counts = _count(layout.column[older], token[older])
        parts.append(_logs(place, tokens, counts))
    if with_summaries:
        parts += _summaries(sequences, units, layout, picked, token)
    if len(parts) == 1:
        return parts[0]
    together = Sums(
        place=np.concatenate([part.place for part in parts]),
        token=np.concatenate([part.token for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        event=np.concatenate([part.event for part in parts]),
    )
    return _chosen(together, np.argsort(together.place, kind="stable"))


def _chosen(sums: Sums, which: Ints) -> Sums:
    """Some of the sums' parts, in this order."""
    return Sums(sums.place[which], sums.token[which], sums.weight[which], sums.event[which])


def _summaries(
    sequences: Sequences, units: Ints, layout: Layout, picked: Picked, tokens: npt.NDArray[np.int32]
) -> list[Sums]:
    """Each code's latest events; mean and log count of each code, in the history and in each window of it."""
    n_units, begin = len(units), layout.kind.size
    owner, event, token = picked.owner, picked.event, tokens.astype(np.int64)
    n_tokens = int(token.max(initial=0)) + 1
    known = sequences.known[event]
    keys, group = np.unique(owner * n_tokens + token, return_inverse=True)
    latest = np.full(len(keys), np.iinfo(np.int64).min)
    np.maximum.at(latest, group, known)
    parts = [_mean(begin, owner, token, event, group, np.flatnonzero(known == latest[group]))]
    is_static = np.zeros(len(event), dtype=bool)
    is_static[picked.part(0)] = True
    prediction = sequences.prediction[sequences.first_row[units]][owner]
    since = prediction - np.where(is_static, prediction, known)
    hours_ago = np.where(is_static, np.inf, since / MICROSECONDS_PER_HOUR)
    for number, window in enumerate((np.inf, *SUMMARY_HOURS)):
        within = np.flatnonzero(hours_ago <= window)
        start = begin + (1 + 2 * number) * n_units
        parts.append(_mean(start, owner, token, event, group, within))
        in_owner, in_token, counts = _count(owner[within], token[within])
        parts.append(_logs(start + n_units + in_owner, in_token, counts))
    return parts


def _mean(begin: int, owner: Ints, token: Ints, event: Ints, group: Ints, chosen: Ints) -> Sums:  # noqa: PLR0917
    """Of each row, the sum over codes of the mean of the chosen events; `group` numbers row and code."""
    counts = np.bincount(group[chosen], minlength=1)
    weight = (1 / counts[group[chosen]]).astype(np.float32)
    return Sums(begin + owner[chosen], token[chosen], weight, event[chosen])


def _logs(place: Ints, token: Ints, counts: Ints) -> Sums:
    """Counted tokens, weighted by log(1 + count)."""
    return Sums(place, token, np.log1p(counts).astype(np.float32), np.full(len(counts), -1))


def _count(place: Ints, token: npt.NDArray[np.integer]) -> tuple[Ints, Ints, Ints]:
    """How often each token stands in each place: place, token, count."""
    n_tokens = int(token.max(initial=0)) + 1
    keys, counts = np.unique(place * n_tokens + token, return_counts=True)
    return keys // n_tokens, keys % n_tokens, counts
