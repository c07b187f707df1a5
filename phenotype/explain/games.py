"""Value functions of explanations: what a model says when only some of the players had been recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from phenotype.networks.model import NetworkModel
    from phenotype.sequences import Sequences


@dataclass(frozen=True)
class DeletionGame:
    """One prediction row as a game: a coalition's value is the logit with all other events deleted.

    Deleted, not blanked: positions that lose all their events are gone, counts of older events shrink, and an
    age whose event is left out is unknown. Training with event dropout makes such histories familiar.

    Attributes:
        model: the network.
        sequences: made by `model.sequences` with alone=True.
        row: which row of them.
        player: (E,) the player that each of the row's events belongs to.
    """

    model: NetworkModel
    sequences: Sequences
    row: int
    player: npt.NDArray[np.int64]

    def __call__(self, coalitions: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """The logit of each coalition, (N,).

        Args:
            coalitions: (N, M) players that are in.
        """
        return self.model.coalition_logits(self.sequences, self.row, coalitions[:, self.player])
