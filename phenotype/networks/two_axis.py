"""Attention along time within each variable, then an ensemble of networks along variables.

Shapes: R row, V variable, C cell, F summary, G group of summaries (of all events, then of each look-behind),
D width of a window, Q query, M member, H hidden, O output of a member.

**Source:** attention along two axes: Labach et al. 2023 (DuETT, 10.48550/arXiv.2304.13017), Zhang et al. 2023
(Warpformer, 10.48550/arXiv.2306.09368); gates that a penalty shuts: Scardapane et al. 2017
(10.1016/j.neucom.2017.02.029), Lemhadri et al. 2021 (LassoNet, 10.48550/arXiv.1907.12207).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from phenotype.networks.network import Design, Keep, Network, Targets, log_odds, weighted_mean
from phenotype.networks.panels import N_PARTS, N_SUMMARIES, PanelBatch, make_panel
from phenotype.networks.two_axis_config import TwoAxisConfig
from phenotype.networks.two_axis_layers import MemberLinear, Scales
from phenotype.sequences import Ints, Sequences
from phenotype.vocabulary import Vocabulary

_ROW_POSITIONS = 64
_EVENTS_A_POSITION = 32
_ROWS_MEASURED = 20_000
_ROWS_A_CHUNK = 1000
_LARGEST_SCORE = 20.0
_SMALLEST_TOTAL = 1e-12


class Places(NamedTuple):
    """Where cells stand in R * V places, the last one beyond them for cells that are not read.

    Attributes:
        cell: (C,) int64 row * V + variable; R * V where it is not read.
        variable: (C,) int64, 0 where it is not read.
    """

    cell: Tensor
    variable: Tensor


class VariableAttention(nn.Module):
    """Each variable of a row attends to those of the row that have events.

    Args:
        width: of what a variable says.
        n_heads: a divisor of the width.
        config: sizes.
    """

    def __init__(self, width: int, n_heads: int, config: TwoAxisConfig) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, config.dropout
        self.norm = nn.LayerNorm(width)
        self.name = nn.Linear(config.time_width, width)
        self.asks, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, is_read: Tensor, names: Tensor) -> Tensor:
        """(R, V, width), (R, V), (V, D) -> (R, V, width)."""
        R, V, width = x.shape
        asked = self.asks(self.norm(x) + self.name(names))
        q, k, v = asked.view(R, V, 3, self.n_heads, width // self.n_heads).permute(2, 0, 3, 1, 4)
        itself = torch.eye(V, dtype=torch.bool, device=x.device)
        heard = F.scaled_dot_product_attention(q, k, v, (is_read[:, None] | itself)[:, None])
        heard = self.out(heard.transpose(1, 2).reshape(R, V, width))
        return x + F.dropout(heard, self.dropout, self.training)


class TimeAttention(nn.Module):
    """Each variable attends to its own windows of time.

    Args:
        config: sizes.
        n_variables: V.
    """

    def __init__(self, config: TwoAxisConfig, n_variables: int) -> None:
        super().__init__()
        D, Q = config.time_width, config.n_queries
        self.n_variables, self.n_queries = n_variables, Q
        self.scales = Scales(n_variables, N_PARTS)
        self.parts = nn.Linear(N_PARTS + 1, D)
        self.window = nn.Embedding(len(config.window_hours) + 1, D)
        self.variable = nn.Embedding(n_variables, D)
        self.inner = nn.Linear(D, D)
        self.query = nn.Linear(D, Q)
        self.out = nn.Parameter(torch.randn(n_variables, Q * D, config.variable_width) / math.sqrt(Q * D))
        self.out_bias = nn.Parameter(torch.randn(n_variables, config.variable_width) * 0.1)
        self.between = nn.ModuleList(
            VariableAttention(Q * D, Q, config) for _ in range(config.variable_layers)
        )
        nn.init.normal_(self.window.weight, std=0.3)
        nn.init.normal_(self.variable.weight, std=0.3)

    def forward(self, batch: PanelBatch, places: Places) -> Tensor:
        """What each variable says of its windows, (R, V, variable_width)."""
        cell, variable = places.cell[batch.window_cell], places.variable[batch.window_cell]
        n_cells = len(batch.row) * self.n_variables
        has_value = batch.parts[:, :1].isfinite().float()
        x = self.parts(torch.cat([self.scales.of(batch.parts, variable), has_value], -1))
        x = F.gelu(x + self.variable(variable) + self.window(batch.window))
        x = F.gelu(self.inner(x))
        weight = self.query(x).clamp(-_LARGEST_SCORE, _LARGEST_SCORE).exp()
        read = torch.cat([weight, (weight[:, :, None] * x[:, None]).flatten(1)], 1)
        sums = read.new_zeros(n_cells + 1, read.shape[1]).index_add(0, cell, read)[:n_cells]
        total, sums = sums[:, : self.n_queries], sums[:, self.n_queries :]
        pooled = sums.view(n_cells, self.n_queries, x.shape[1]) / total[:, :, None].clamp(min=_SMALLEST_TOTAL)
        pooled = pooled.view(len(batch.row), self.n_variables, self.n_queries * x.shape[1])
        if len(self.between):
            is_read = (total[:, 0] > 0).view(len(batch.row), self.n_variables)
            for layer in self.between:
                pooled = layer(pooled, is_read, self.variable.weight)
        return F.gelu(torch.einsum("rvi,vio->rvo", pooled, self.out) + self.out_bias)


class TwoAxisNetwork(Network):
    """Panels -> outputs of every member.

    Args:
        config: sizes.
        vocabulary: its tokens are the variables.
    """

    variable: Tensor
    offset: Tensor

    def __init__(self, config: TwoAxisConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        variable = read_variables(config, vocabulary)
        self.n_variables = V = int(variable.max(initial=-1)) + 1
        self.register_buffer("variable", torch.from_numpy(variable), persistent=False)
        self.register_buffer("offset", torch.from_numpy(zero_scores(vocabulary)), persistent=False)
        M, H, n_out = config.n_members, config.width, 1 + len(config.auxiliary)
        self.config = config
        self.n_groups = 1 + len(config.summary_hours)
        self.scales = Scales(V, self.n_groups * (N_SUMMARIES + 1))
        self.age = Scales(1, 1)
        self.windows = TimeAttention(config, V) if config.n_queries else None
        n_of_windows = config.variable_width if config.n_queries else 0
        n_in = 2 + V * (self.n_groups * (N_SUMMARIES + 2) + n_of_windows)
        self.layers = nn.ModuleList(
            MemberLinear(H if number else n_in, H, M, draws_signs=number == 0)
            for number in range(config.n_layers)
        )
        self.gate = nn.Parameter(torch.ones(n_in)) if config.gate_penalty else None
        self.out = nn.Parameter(torch.randn(M, H, n_out) * 0.01)
        self.out_bias = nn.Parameter(torch.zeros(M, n_out))

    def forward(self, batch: PanelBatch) -> Tensor:
        """Each member's outputs, (R, M * O)."""
        places = self.places(batch)
        summaries = self.summaries(batch, places)
        absent = summaries[:, :, :: N_SUMMARIES + 1].isnan().float()
        age = batch.age[:, None]
        read = [
            self.age(age[:, None])[:, 0],
            age.isnan().float(),
            torch.cat([self.scales(summaries), absent], -1).flatten(1),
        ]
        if self.windows is not None:
            read.append(self.windows(batch, places).flatten(1))
        x = torch.cat(read, 1)
        if self.gate is not None:
            x = x * self.gate
        x = F.dropout(x, self.config.input_dropout, self.training)
        x = x[:, None].expand(-1, self.config.n_members, -1)
        for layer in self.layers:
            x = F.dropout(F.relu(layer(x)), self.config.dropout, self.training)
        return (torch.einsum("rmh,mho->rmo", x, self.out) + self.out_bias).flatten(1)

    def places(self, batch: PanelBatch) -> Places:
        """Where the batch's cells stand."""
        variable = self.variable[batch.cell_token]
        is_read = variable >= 0
        nowhere = len(batch.row) * self.n_variables
        cell = torch.where(is_read, batch.cell_row * self.n_variables + variable, nowhere)
        return Places(cell, variable.clamp(min=0))

    def summaries(self, batch: PanelBatch, places: Places) -> Tensor:
        """Each group's summaries and, after them, the sum of its values counted from the unit's zero.

        Returns:
            (R, V, G * (F + 1)).
        """
        of_groups = batch.summaries.view(len(batch.cell_token), self.n_groups, N_SUMMARIES)
        offset = self.offset[batch.cell_token][:, None, None]
        total = torch.expm1(of_groups[:, :, :1]) * (of_groups[:, :, 1:2] + offset)
        told = torch.cat([of_groups, total], 2).flatten(1)
        n_cells = len(batch.row) * self.n_variables
        dense = told.new_full((n_cells + 1, told.shape[1]), math.nan).index_copy(0, places.cell, told)
        return dense[:n_cells].view(len(batch.row), self.n_variables, told.shape[1])

    def risk(self, outputs: Tensor) -> Tensor:
        """The mean over members of the logit of the task's risk, (R,)."""
        return self._by_member(outputs)[:, :, 0].mean(1)

    def loss(self, batch: PanelBatch, targets: Targets) -> Tensor:
        """Members' mean cross-entropy, of the label and known auxiliary targets, and the gates' penalty."""
        outputs = self._by_member(self(batch))
        wanted = torch.cat([targets.label[:, None], targets.auxiliary], 1)
        is_known = ~wanted.isnan()
        share = is_known.float()
        share[:, 1:] *= self.config.auxiliary_weight
        expected = wanted.nan_to_num(0.0)[:, None].expand_as(outputs)
        losses = F.binary_cross_entropy_with_logits(outputs, expected, reduction="none").mean(1)
        loss = weighted_mean((losses * share).sum(1), targets.weight)
        return loss if self.gate is None else loss + self.config.gate_penalty * self.gate.abs().sum()

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Makes an untrained network answer with the prevalence."""
        nn.init.constant_(self.out_bias, -1.5)
        with torch.no_grad():
            self.out_bias[:, 0] = log_odds(prevalence)

    def _by_member(self, outputs: Tensor) -> Tensor:
        n_members = self.config.n_members
        return outputs.view(len(outputs), n_members, outputs.shape[1] // n_members)


def read_variables(config: TwoAxisConfig, vocabulary: Vocabulary) -> Ints:
    """The variable of each token, -1 where too many others are more frequent, (V',)."""
    n_subjects = vocabulary.tokens["n_subjects"].to_numpy()
    commonest = np.argsort(-n_subjects, kind="stable")[: config.max_variables]
    variables = np.full(len(n_subjects), -1, dtype=np.int64)
    variables[np.sort(commonest)] = np.arange(len(commonest))
    return variables


def zero_scores(vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """How many scales the median of each token's values lies above 0, 0 where it has none, (V',)."""
    median, scale = (
        vocabulary.tokens[name].fill_null(value).to_numpy()
        for name, value in (("median", 0.0), ("scale", 1.0))
    )
    return np.asarray(np.clip(median / scale, -1e6, 1e6), dtype=np.float32)


def prepare(network: TwoAxisNetwork, sequences: Sequences, config: TwoAxisConfig) -> None:
    """Sets the scales from training rows.

    Args:
        network: fresh.
        sequences: of training rows; of more than 20,000 so many are drawn, always the same.
        config: the settings.
    """
    units = np.arange(sequences.n_units)
    if len(units) > _ROWS_MEASURED:
        units = np.sort(np.random.default_rng(0).choice(units, _ROWS_MEASURED, replace=False))
    summaries: list[Tensor] = []
    variables: list[Tensor] = []
    parts: list[Tensor] = []
    owners: list[Tensor] = []
    ages: list[Tensor] = []
    for some in np.array_split(units, max(1, len(units) // _ROWS_A_CHUNK)):
        batch = make_batch(sequences, some, config)
        places = network.places(batch)
        is_read = places.cell < len(some) * network.n_variables
        dense = network.summaries(batch, places).flatten(0, 1)
        summaries.append(dense[places.cell[is_read]])
        variables.append(places.variable[is_read])
        of_read = is_read[batch.window_cell]
        parts.append(batch.parts[of_read])
        owners.append(places.variable[batch.window_cell][of_read])
        ages.append(batch.age)
    age = torch.cat(ages)[:, None]
    network.age.measure(age, torch.zeros(len(age), dtype=torch.int64))
    network.scales.measure(torch.cat(summaries), torch.cat(variables))
    if network.windows is not None:
        network.windows.scales.measure(torch.cat(parts), torch.cat(owners))


def make_network(config: TwoAxisConfig, vocabulary: Vocabulary) -> TwoAxisNetwork:
    """A network of the configured size, its weights drawn from torch's generator."""
    return TwoAxisNetwork(config, vocabulary)


def make_batch(
    sequences: Sequences, units: Ints, config: TwoAxisConfig, keep: Keep | None = None
) -> PanelBatch:
    """The panel of some units."""
    return make_panel(sequences, units, config.window_hours, keep, config.summary_hours)


def lengths(sequences: Sequences, config: TwoAxisConfig) -> Ints:
    """What each unit costs: 64 positions for its variables, more where events are very many, (U,)."""
    return np.maximum(_ROW_POSITIONS, sequences.n_events() // _EVENTS_A_POSITION)


DESIGN = Design(make_network, make_batch, lengths, prepare)
