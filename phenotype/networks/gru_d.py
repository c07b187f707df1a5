"""GRU-D: a recurrent network on a grid, whose memory and carried values decay while nothing is measured.

Beside the recurrence a layer reads running summaries of each variable, as trees do. Every row is answered
from the last time point that it sees and from the hours since then, so one pass answers all rows of a stay.

Shapes: U unit, T time point, V variable, F feature, H hidden, R row that is answered, O output.

**Source:** Che et al. 2018, doi:10.1038/s41598-018-24271-9: the decays of inputs and hidden states and the
cell of GRU-D, with medians in place of means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from phenotype.networks.grid_views import Grid, latest, running_counts, running_summaries, spread
from phenotype.networks.grids import GridBatch, lengths, make_batch
from phenotype.networks.gru_d_config import GRUDConfig
from phenotype.networks.heads import BinaryHead, auxiliary_loss
from phenotype.networks.network import Design, Network, Targets

if TYPE_CHECKING:
    from phenotype.vocabulary import Vocabulary

__all__ = ["DESIGN", "GRUDConfig", "GRUDNetwork"]
HOURS_A_DAY = 24.0
_STATIC_WIDTH = 8
_N_SUMMARIES = 5
_CLOCK_WIDTH = 3
_AGE_CENTRE, _AGE_SCALE, _AGE_WIDTH = 60.0, 20.0, 2


class DecayingCell(nn.Module):
    """The recurrence: hidden states (U, T, H) from what each time point is told and the variables' gaps.

    Args:
        n_features: F, of each time point.
        n_variables: V.
        width: H.
    """

    def __init__(self, n_features: int, n_variables: int, width: int) -> None:
        super().__init__()
        self.decay = nn.Linear(n_variables, width)
        self.told = nn.Linear(n_features, 3 * width)
        self.kept = nn.Parameter(torch.empty(3 * width, width))
        nn.init.uniform_(self.decay.weight, 0.0, 0.1 / n_variables)
        nn.init.zeros_(self.decay.bias)
        for gate in range(3):
            nn.init.orthogonal_(self.kept.data[gate * width : (gate + 1) * width])

    def forward(self, features: Tensor, gap: Tensor) -> Tensor:
        """(U, T, F) and hours (U, T, V) -> (U, T, H)."""
        width = self.kept.shape[1]
        decays = torch.exp(-F.relu(self.decay(gap / HOURS_A_DAY))).unbind(1)
        told = self.told(features)
        gates, candidates = told[..., : 2 * width].unbind(1), told[..., 2 * width :].unbind(1)
        to_gates, to_candidate = self.kept[: 2 * width].t(), self.kept[2 * width :].t()
        state, states = features.new_zeros(len(features), width), []
        for decay, gate, candidate in zip(decays, gates, candidates, strict=True):
            state = state * decay
            reset, update = torch.sigmoid(torch.addmm(gate, state, to_gates)).chunk(2, -1)
            proposed = torch.tanh(torch.addmm(candidate, reset * state, to_candidate))
            state = state + update * (proposed - state)
            states.append(state)
        return torch.stack(states, 1)


class GRUDNetwork(Network):
    """Batch -> outputs of each row.

    Args:
        config: sizes, and what is told beside values.
        vocabulary: what can be read.
    """

    variable: Tensor

    def __init__(self, config: GRUDConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config, self.tells = config, frozenset(config.tells)
        variable, self.n_variables = choose_variables(vocabulary, config.max_variables)
        self.register_buffer("variable", variable)
        V, H = self.n_variables, config.width
        n_features = self._n_features()
        self.value_decay = nn.Parameter(torch.zeros(2, V))
        self.static = nn.Embedding(vocabulary.tokens.height, 2 * _STATIC_WIDTH)
        self.cell = DecayingCell(n_features, V, H)
        self.norm = nn.LayerNorm(H)
        self.drop = nn.Dropout(config.dropout)
        if config.side_width:
            n_counts = 2 * V * ("counts" in self.tells)
            self.side = nn.Linear(n_features + _N_SUMMARIES * V + n_counts, config.side_width)
        n_of_row = 1 + _AGE_WIDTH * ("age" in self.tells) + _STATIC_WIDTH * ("static" in self.tells)
        self.join = nn.Linear(H + config.side_width + n_of_row, H)
        self.head = BinaryHead(H, len(config.auxiliary))
        nn.init.normal_(self.static.weight, std=0.1)

    def _n_features(self) -> int:
        V, tells = self.n_variables, self.tells
        of_variables = 1 + 2 * ("presence" in tells) + ("recency" in tells) + ("counts" in tells)
        return V * of_variables + _CLOCK_WIDTH * ("clock" in tells) + _STATIC_WIDTH * ("static" in tells)

    def forward(self, batch: GridBatch) -> Tensor:
        """Outputs, (R, O)."""
        grid = spread(batch, self.variable, self.n_variables)
        if self.training:
            grid = self._elsewhere(grid)
        static = self._static(batch)
        features, gap, carried = self._features(grid, static)
        states = self.norm(self.cell(self._thinned(features), gap))
        parts = [self._read(states, batch)]
        if self.config.side_width:
            told = torch.cat([features, *self._summaries(grid, carried)], -1)
            parts.append(self._read(F.gelu(self.side(self._thinned(told))), batch))
        joined = torch.cat([self.drop(torch.cat(parts, -1)), *self._of_row(batch, static)], -1)
        outputs: Tensor = self.head(self.drop(F.gelu(self.join(joined))))
        return outputs

    def loss(self, batch: GridBatch, targets: Targets) -> Tensor:
        """The task's loss, and those of auxiliary targets."""
        outputs = self(batch)
        loss = self.head.loss(outputs, targets)
        if targets.auxiliary.shape[1]:
            loss = loss + self.config.auxiliary_weight * auxiliary_loss(outputs[:, 1:], targets)
        return loss

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Makes an untrained network answer with the prevalence."""
        self.head.start_from(prevalence, horizon_hours)

    def _features(self, grid: Grid, static: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each time point is told (U, T, F), the variables' gaps, and the values as they decayed."""
        last = latest(grid)
        rate, least = self.value_decay
        decay = torch.exp(-F.relu(rate * last.since / HOURS_A_DAY + least))
        carried = torch.where(grid.observed > 0, grid.value, decay * last.value)
        told = [carried]
        if "presence" in self.tells:
            told += [grid.observed, last.seen]
        if "recency" in self.tells:
            told.append(last.seen * torch.exp(-2 * last.since / HOURS_A_DAY))
        if "counts" in self.tells:
            told.append(torch.log1p(grid.observed.cumsum(1)) / 3)
        if "clock" in self.tells:
            hours = grid.hours
            days = (hours / HOURS_A_DAY).clamp(max=5)
            told.append(torch.stack([torch.log1p(hours) / 3, days, (hours < 4).float()], -1))
        if "static" in self.tells:
            told.append(static[:, None].expand(*grid.hours.shape, _STATIC_WIDTH))
        return torch.cat(told, -1), last.gap, carried

    def _static(self, batch: GridBatch) -> Tensor:
        """The undated facts of each unit, summed, (U, ...)."""
        presence, slope = self.static(batch.static_token).chunk(2, -1)
        facts = presence + slope * batch.static_value.unsqueeze(-1)
        empty: Tensor = facts.new_zeros(len(batch.hours), _STATIC_WIDTH)
        return empty.index_add(0, batch.static_unit, facts)

    def _of_row(self, batch: GridBatch, static: Tensor) -> list[Tensor]:
        """What each row is told of no time point: hours since its last one, age, static facts; (R, ...)."""
        waited = batch.read_hours - self._read(batch.hours.unsqueeze(-1), batch).squeeze(-1)
        found = [torch.log1p(waited.clamp(min=0)).unsqueeze(-1)]
        if "age" in self.tells:
            is_known = ~batch.age.isnan()
            scaled = torch.where(is_known, (batch.age - _AGE_CENTRE) / _AGE_SCALE, 0.0)
            found.append(torch.stack([scaled, is_known.float()], -1))
        if "static" in self.tells:
            found.append(static[batch.unit])
        return found

    def _summaries(self, grid: Grid, carried: Tensor) -> list[Tensor]:
        found = running_summaries(grid, carried, self.config.window_hours)
        if "counts" in self.tells:
            count, late = running_counts(grid, self.config.window_hours)
            found += [torch.log1p(count) / 3, torch.log1p(late) / 1.5]
        return found

    def _read(self, columns: Tensor, batch: GridBatch) -> Tensor:
        """The last column that each row sees, (U, T, ...) -> (R, ...); zeros where it sees none."""
        return columns.flatten(0, 1)[batch.read_column] * batch.sees.unsqueeze(-1)

    def _thinned(self, told: Tensor) -> Tensor:
        """Inputs (U, T, F); in training a third of config.dropout of them dropped, at all times alike."""
        share = self.config.dropout / 3
        if not self.training or share == 0:
            return told
        is_kept = torch.rand(len(told), 1, told.shape[-1], device=told.device) >= share
        return told * (is_kept / (1 - share))

    def _elsewhere(self, grid: Grid) -> Grid:
        """The grid as another hospital might have recorded it: other levels, some variables never taken."""
        U, _, V = grid.value.shape
        value, observed = grid.value, grid.observed
        if self.config.level_shift:
            shift = self.config.level_shift * torch.randn(U, 1, V, device=value.device)
            value = value + shift * (observed * (value != 0))
        if self.config.habit_dropout:
            share = 2 * self.config.habit_dropout * torch.rand(U, 1, 1, device=value.device)
            is_taken = (torch.rand(U, 1, V, device=value.device) >= share).float()
            value, observed = value * is_taken, observed * is_taken
        return Grid(value, observed, grid.hours)


def choose_variables(vocabulary: Vocabulary, n_most: int) -> tuple[Tensor, int]:
    """The variable of each token (that of no variable is their number), and how many variables there are.

    The tokens that most training patients have are the variables, equals in the order of their names. Those
    above other tokens come last: rare codes alone are read as them.
    """
    concepts = vocabulary.tokens["concepts"].to_list()
    above = {one for of_token in concepts for one in of_token[1:]}
    is_above = np.array([token in above for token in vocabulary.tokens["token"]], dtype=bool)
    order = np.lexsort((-vocabulary.tokens["n_subjects"].to_numpy(), is_above))[:n_most]
    variable = torch.full((len(concepts),), len(order), dtype=torch.int64)
    variable[torch.from_numpy(order)] = torch.arange(len(order))
    return variable, len(order)


def _make_network(config: GRUDConfig, vocabulary: Vocabulary) -> GRUDNetwork:
    return GRUDNetwork(config, vocabulary)


DESIGN = Design(make_network=_make_network, make_batch=make_batch, lengths=lengths)
