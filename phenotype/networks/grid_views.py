"""What a grid tells of each variable at each time point: what was last measured, when, and running summaries.

Everything at a time point follows from it and from what stands before it.

Shapes: U unit, T time point, V variable.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from phenotype.networks.grids import GridBatch

_LOWEST, _HIGHEST = -1e9, 1e9


class Grid(NamedTuple):
    """Variables at time points.

    Attributes:
        value: (U, T, V) mean of the values measured at the time point, 0 where there is none.
        observed: (U, T, V) float32, 1 where the variable was recorded at the time point.
        hours: (U, T).
    """

    value: Tensor
    observed: Tensor
    hours: Tensor


class Latest(NamedTuple):
    """The latest record of each variable at each time point, all (U, T, V).

    Attributes:
        value: the latest value, at the time point or before; 0 where there is none.
        seen: float32, 1 where the variable was ever recorded.
        since: hours since the latest record, 0 where it is at the time point; since the first time point
            where there is none.
        gap: hours since the latest record before the time point, the delta of GRU-D.
    """

    value: Tensor
    seen: Tensor
    since: Tensor
    gap: Tensor


def spread(batch: GridBatch, variable: Tensor, n_variables: int) -> Grid:
    """The cells of a batch as a grid.

    Args:
        batch: events of any tokens.
        variable: int64, the variable of each token of the vocabulary, n_variables where it is none.
        n_variables: V.
    """
    shape = (*batch.hours.shape, n_variables + 1)
    cell = batch.column * (n_variables + 1) + variable[batch.token]
    empty = batch.value.new_zeros(shape).flatten()
    n_values = empty.index_add(0, cell, batch.has_value.float()).view(shape)[..., :-1]
    total = empty.index_add(0, cell, batch.value).view(shape)[..., :-1]
    n_records = empty.index_add(0, cell, torch.ones_like(batch.value)).view(shape)[..., :-1]
    return Grid(total / n_values.clamp(min=1), (n_records > 0).float(), batch.hours)


def latest(grid: Grid) -> Latest:
    """What was last recorded of each variable.

    **Source:** Che et al. 2018, doi:10.1038/s41598-018-24271-9, section 2.1 for the gap: 0 at the first time
    point, then the time between the last two, added up while nothing is measured.
    """
    n_times = grid.hours.shape[1]
    number = torch.arange(n_times, device=grid.hours.device).view(1, -1, 1)
    at = torch.where(grid.observed > 0, number, -1).cummax(1).values
    before = torch.cat([torch.full_like(at[:, :1], -1), at[:, :-1]], dim=1)
    hours = grid.hours.unsqueeze(-1)
    seen = (at >= 0).float()
    since = hours - torch.gather(hours.expand_as(grid.value), 1, at.clamp(min=0))
    gap = hours - torch.gather(hours.expand_as(grid.value), 1, before.clamp(min=0))
    return Latest(torch.gather(grid.value, 1, at.clamp(min=0)) * seen, seen, since, gap)


def running_counts(grid: Grid, window_hours: float) -> tuple[Tensor, Tensor]:
    """How often each variable was recorded up to each time point, ever and within the last window."""
    count = grid.observed.cumsum(1)
    return count, _of_window(count, _window_start(grid.hours, window_hours))


def running_summaries(grid: Grid, carried: Tensor, window_hours: float) -> list[Tensor]:
    """Of each variable's values up to each time point: mean, standard deviation, highest, lowest, late mean.

    Args:
        grid: variables at time points.
        carried: (U, T, V) what stands for the mean of a window without values.
        window_hours: of the late mean.

    Returns:
        Five tensors (U, T, V), 0 where there is nothing yet.
    """
    is_observed = grid.observed > 0
    count, total = grid.observed.cumsum(1), (grid.value * grid.observed).cumsum(1)
    mean = total / count.clamp(min=1)
    square = (grid.value.square() * grid.observed).cumsum(1) / count.clamp(min=1)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    highest = torch.where(is_observed, grid.value, _LOWEST).cummax(1).values
    lowest = torch.where(is_observed, grid.value, _HIGHEST).cummin(1).values
    start = _window_start(grid.hours, window_hours)
    late_count = _of_window(count, start)
    late_mean = torch.where(late_count > 0, _of_window(total, start) / late_count.clamp(min=1), carried)
    ever = count > 0
    return [mean, deviation, torch.where(ever, highest, 0.0), torch.where(ever, lowest, 0.0), late_mean]


def _window_start(hours: Tensor, window_hours: float) -> Tensor:
    """Of each time point the number of the first one that lies less than a window before it, (U, T)."""
    return torch.searchsorted(hours.contiguous(), (hours - window_hours).contiguous(), right=True)


def _of_window(running: Tensor, start: Tensor) -> Tensor:
    """What a running sum (U, T, V) grew by since the start of each time point's window."""
    before = (start - 1).clamp(min=0).unsqueeze(-1).expand_as(running)
    had = torch.gather(running, 1, before) * (start > 0).unsqueeze(-1)
    return running - had
