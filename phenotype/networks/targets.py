"""What came of each prediction row, as arrays: the label, which event came first, and when.

Shapes: n row, K auxiliary target.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.discharges import DISCHARGE
from phenotype.outcomes import CENSORED
from phenotype.ranges import Ints

if TYPE_CHECKING:
    from phenotype.networks.network import Targets

COMPETING = ("death", DISCHARGE)
"""What may come instead of an outcome, in the order of their numbers, from 2 on."""


def _nothing() -> npt.NDArray[np.float32]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class RowTargets:
    """What came of n rows.

    Attributes:
        labels: (n,) bool, the task's label.
        event: (n,) int64; 0 nothing was seen until `hours`, 1 the outcome, 2 and on what competes with it.
        hours: (n,) float64 after the prediction time, within the horizon.
        weight: (n,) float32, how much each row counts in training.
        horizon_hours: until when the outcome counts.
        auxiliary: (n, K) float32, NaN where unknown.
    """

    labels: npt.NDArray[np.bool_]
    event: Ints
    hours: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float32]
    horizon_hours: float = 1.0
    auxiliary: npt.NDArray[np.float32] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        if not self.auxiliary.size:
            object.__setattr__(self, "auxiliary", np.zeros((len(self.labels), 0), dtype=np.float32))

    @classmethod
    def of_labels(cls, labels: npt.NDArray[np.bool_], horizon_hours: float | None = None) -> Self:
        """Rows of which no more is known than the label: it came, or did not, by the horizon (1 if null)."""
        horizon = horizon_hours or 1.0
        labels = np.asarray(labels, dtype=bool)
        hours = np.full(len(labels), horizon)
        return cls(labels, labels.astype(np.int64), hours, np.ones(len(labels), dtype=np.float32), horizon)

    @classmethod
    def of_outcomes(
        cls, labels: npt.NDArray[np.bool_], outcomes: pl.DataFrame, horizon_hours: float | None
    ) -> Self:
        """Rows with what came first, and when.

        The label says whether it is the outcome; another event competes; no event means that nothing came
        until the horizon, or until the record ended. An event without an hour counts at the horizon.

        Args:
            labels: (n,).
            outcomes: columns of `phenotype.outcomes.OUTCOMES`, one row for each label, in its order.
            horizon_hours: of the task; null where the stay's end is the horizon: then the latest hour at
                which an event was seen, for a stay that ended without one has outlived all hours.

        Returns:
            Targets of weight 1.
        """
        labels = np.asarray(labels, dtype=bool)
        seen, until = (
            outcomes[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            for name in ("event_hours", "censored_hours")
        )
        horizon = horizon_hours or max(float(np.nanmax(seen, initial=0.0)), 1.0)
        name = outcomes["event"].fill_null("").to_numpy()
        competes = (name != "") & (name != CENSORED) & ~labels
        number = np.ones(len(labels), dtype=np.int64)
        for place, one in enumerate(COMPETING):
            number[name == one] = 2 + place
        event = np.where(labels, 1, np.where(competes, np.maximum(number, 2), 0))
        hours = np.where(event > 0, seen, np.where(name == CENSORED, until, np.nan))
        hours = np.clip(np.where(np.isnan(hours), horizon, hours), 0.0, horizon)
        return cls(labels, event, hours, np.ones(len(labels), dtype=np.float32), horizon)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_determined(self) -> npt.NDArray[np.bool_]:
        """Rows of which it is known what came first, or that nothing came until the horizon, (n,)."""
        return np.asarray((self.event > 0) | (self.hours >= self.horizon_hours))

    def take(self, rows: Ints) -> Self:
        """The targets of some rows."""
        arrays = {
            name.name: getattr(self, name.name) for name in fields(self) if name.name != "horizon_hours"
        }
        return replace(self, **{name: array[rows] for name, array in arrays.items()})

    def tensors(self, rows: Ints) -> Targets:
        """The targets of some rows as tensors."""
        import torch

        from phenotype.networks.network import Targets

        return Targets(
            label=torch.from_numpy(self.labels[rows].astype(np.float32)),
            event=torch.from_numpy(self.event[rows]),
            hours=torch.from_numpy(self.hours[rows].astype(np.float32)),
            weight=torch.from_numpy(self.weight[rows]),
            auxiliary=torch.from_numpy(self.auxiliary[rows]),
        )
