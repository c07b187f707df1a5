"""What is summed for a batch: events into positions, and summaries of each row's history for its read-out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.networks.positions import MICROSECONDS_PER_HOUR, STATIC, Layout, Picked
from phenotype.sequences import Ints, Sequences

SUMMARY_HOURS = (24.0, 720.0)
"""Look-behind windows that are summarised for the read-out beside the whole history."""
N_SUMMARIES = 1 + 2 * (1 + len(SUMMARY_HOURS))


class Sums(NamedTuple):
    """What is summed where: sum, token, weight, and the event whose value counts (-1: none)."""

    place: Ints
    token: Ints
    weight: npt.NDArray[np.float64]
    event: Ints


def sum_up(sequences: Sequences, rows: Ints, layout: Layout, picked: Picked) -> Sums:
    """Positions, the log counts of what is older, and the summaries of the history."""
    n_rows, width = layout.kind.shape
    owner, event = picked.owner, picked.event
    token = sequences.token[event].astype(np.int64)
    n_tokens = int(token.max(initial=0)) + 1
    is_older = ~picked.is_static & ~picked.is_recent
    older_owner, older_token, older_counts = _count(owner[is_older], token[is_older], n_tokens)
    older_column = (layout.kind[:, 0] == STATIC).astype(np.int64)
    single = np.flatnonzero(~is_older)
    place = (owner * width + layout.column)[single]
    older_place = older_owner * width + older_column[older_owner]
    parts = [
        Sums(place, token[single], np.ones(len(single)), event[single]),
        Sums(older_place, older_token, np.log1p(older_counts), np.full(len(older_counts), -1)),
    ]
    keys, group = np.unique(owner * n_tokens + token, return_inverse=True)
    latest = np.full(len(keys), np.iinfo(np.int64).min)
    np.maximum.at(latest, group, sequences.known[event])
    begin = n_rows * width
    last = np.flatnonzero(sequences.known[event] == latest[group])
    parts.append(_mean(begin, owner, token, event, group, last))
    prediction = sequences.prediction[rows][owner]
    since = prediction - np.where(picked.is_static, prediction, sequences.known[event])
    hours_ago = np.where(picked.is_static, np.inf, since / MICROSECONDS_PER_HOUR)
    for number, window in enumerate((np.inf, *SUMMARY_HOURS)):
        within = np.flatnonzero(hours_ago <= window)
        start = begin + (1 + 2 * number) * n_rows
        parts.append(_mean(start, owner, token, event, group, within))
        in_owner, in_token, counts = _count(owner[within], token[within], n_tokens)
        nothing = np.full(len(counts), -1)
        parts.append(Sums(start + n_rows + in_owner, in_token, np.log1p(counts), nothing))
    return Sums(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _mean(begin: int, owner: Ints, token: Ints, event: Ints, group: Ints, chosen: Ints) -> Sums:  # noqa: PLR0917
    """Of each row, the sum over codes of the mean of the chosen events; `group` numbers row and code."""
    counts = np.bincount(group[chosen], minlength=1)
    return Sums(begin + owner[chosen], token[chosen], 1 / counts[group[chosen]], event[chosen])


def _count(owner: Ints, token: Ints, n_tokens: int) -> tuple[Ints, Ints, Ints]:
    """How often each token stands in each row: row, token, count."""
    keys, counts = np.unique(owner * n_tokens + token, return_counts=True)
    return keys // n_tokens, keys % n_tokens, counts
