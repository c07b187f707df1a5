"""What a causal transformer is made of: event embedding, attention turned by hours, features of time.

Shapes: B row, T position, E event, H hidden, N head, D unit of a head, V token, A ancestor, F frequency.

**Source:** RMSNorm, Zhang and Sennrich 2019 (10.48550/arXiv.1910.07467); SwiGLU, Shazeer 2020
(10.48550/arXiv.2002.05202); rotary angles, Su et al. 2021 (10.48550/arXiv.2104.09864), driven by hours here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from phenotype.networks.batches import SequenceBatch

if TYPE_CHECKING:
    from phenotype.networks.config import TransformerConfig

SHORTEST_HOURS, LONGEST_HOURS = 1.0, 87_660.0
"""Periods of the rotary angles: 1 hour to 10 years."""
_LOG_HOUR_PERIODS = 2.0 ** torch.arange(-1, 5)
_YEAR_PERIODS = torch.tensor([5.0, 10.0, 20.0, 40.0, 80.0, 160.0])
N_TIME_FEATURES = 2 * (2 * len(_LOG_HOUR_PERIODS) + 1)
N_AGE_FEATURES = 2 * len(_YEAR_PERIODS) + 2


class EventEmbedding(nn.Module):
    """Events as vectors (code with its ancestors, value bin, value times a slope of the code), summed."""

    def __init__(self, width: int, n_concepts: int, n_tokens: int, n_bins: int) -> None:
        super().__init__()
        self.concept = nn.Embedding(n_concepts + 1, width)
        self.value_bin = nn.Embedding(n_bins, width)
        self.slope = nn.Embedding(n_tokens, width)
        for table, std in ((self.concept, 0.2), (self.value_bin, 0.1), (self.slope, 0.1)):
            nn.init.normal_(table.weight, std=std)

    def forward(self, batch: SequenceBatch, concept_ids: Tensor) -> Tensor:
        """(S, H)."""
        is_one = (concept_ids > 0)[:, :, None]
        codes = (self.concept(concept_ids) * is_one).sum(1)
        sums = _summed(codes, batch.code, batch.code_start, batch.code_weight)
        sums = sums + _summed(self.value_bin.weight, batch.value_bin, batch.value_start, batch.value_weight)
        slopes = batch.value_weight * batch.value
        return sums + _summed(self.slope.weight, batch.value_code, batch.value_start, slopes)


def _summed(table: Tensor, index: Tensor, start: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of a table's rows, one for each start."""
    return F.embedding_bag(index, table, start, mode="sum", per_sample_weights=weight)


class Block(nn.Module):
    """Pre-norm attention and SwiGLU, each added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width)
        self.attention = Attention(config)
        self.feed_norm = nn.RMSNorm(config.width)
        inner = 8 * math.ceil(config.width / 3)
        self.gate_up = nn.Linear(config.width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, config.width, bias=False)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        x = x + self.drop(self.attention(self.attention_norm(x), rotary, mask))
        return self._feed(x)

    def read(self, x: Tensor, rotary: Tensor, read_out: Tensor) -> Tensor:
        """(B, T, H) -> (B, H): this block at the read-out alone, which sees all positions up to its own."""
        each = torch.arange(len(x), device=x.device)
        seen = torch.arange(x.shape[1], device=x.device) <= read_out[:, None]
        attended = self.attention.read(self.attention_norm(x), rotary, seen, read_out)
        return self._feed(x[each, read_out] + self.drop(attended))

    def _feed(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(self.feed_norm(x)).chunk(2, dim=-1)
        return x + cast("Tensor", self.drop(self.down(F.silu(gate) * up)))


class Attention(nn.Module):
    """Attention over earlier positions, queries and keys turned by their hours."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.head_width = config.width // config.n_heads
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H); without a mask a position sees itself and those before it."""
        q = _turn(self._heads(self.query(x)), rotary)
        k, v = self._keys_values(x, rotary)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return cast("Tensor", self.out(y.transpose(1, 2).flatten(2)))

    def read(self, x: Tensor, rotary: Tensor, seen: Tensor, read_out: Tensor) -> Tensor:
        """(B, T, H), seen (B, T) -> (B, H); the read-out stands at hour 0 and is not turned."""
        each = torch.arange(len(x), device=x.device)
        q = self._heads(self.query(x[each, read_out])[:, None])
        k, v = self._keys_values(x, rotary)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        return cast("Tensor", self.out(y.flatten(1)))

    def _keys_values(self, x: Tensor, rotary: Tensor) -> tuple[Tensor, Tensor]:
        k, v = self.key_value(x).chunk(2, dim=-1)
        return _turn(self._heads(k), rotary), self._heads(v)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, H) -> (B, N, T, D)."""
        return x.view(*x.shape[:-1], self.n_heads, self.head_width).transpose(1, 2)


def rotary_angles(hours: Tensor, head_width: int) -> Tensor:
    """Complex units, (B, 1, T, D / 2), turned by hours over log-spaced periods; turns go in float64."""
    n = head_width // 2
    steps = torch.arange(n, dtype=torch.float64, device=hours.device) / max(n - 1, 1)
    periods = SHORTEST_HOURS * (LONGEST_HOURS / SHORTEST_HOURS) ** steps
    turns = torch.remainder(hours[:, None, :, None] / periods, 1.0).float()
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)


def _turn(x: Tensor, rotary: Tensor) -> Tensor:
    """(B, N, T, D) with each pair of neighbouring units turned."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotary).flatten(-2)


def time_features(batch: SequenceBatch) -> Tensor:
    """Fourier features of log(1 + hours) to the prediction time and of the gap before, (B, T, 4F + 2)."""
    both = torch.stack([-batch.hours.float(), batch.gap_hours], dim=-1).clamp(min=0).log1p()
    angles = both[..., None] * (2 * math.pi / _LOG_HOUR_PERIODS.to(both.device))
    features = torch.cat([both[..., None] / 4, angles.sin(), angles.cos()], dim=-1)
    return features.flatten(-2)


def age_features(age: Tensor) -> Tensor:
    """Fourier features of the age and whether it is known, (B, 2F + 2); all 0 where it is not."""
    is_known = ~age.isnan()
    years = torch.where(is_known, age, torch.zeros_like(age))[:, None]
    angles = years * (2 * math.pi / _YEAR_PERIODS.to(age.device))
    features = torch.cat([torch.ones_like(years), years / 50 - 1, angles.sin(), angles.cos()], dim=-1)
    return features * is_known[:, None]
