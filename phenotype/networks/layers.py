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
    """One vector an event (code with its ancestors, value bin, value), summed by position."""

    def __init__(self, width: int, n_concepts: int, n_tokens: int, n_bins: int) -> None:
        super().__init__()
        self.concept = nn.Embedding(n_concepts + 1, width, padding_idx=0)
        self.value_bin = nn.Embedding(n_bins, width, padding_idx=0)
        self.slope = nn.Embedding(n_tokens, width)
        self.value = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width, bias=False))
        for table, std in ((self.concept, 0.2), (self.value_bin, 0.1), (self.slope, 0.1)):
            nn.init.normal_(table.weight, std=std)
        with torch.no_grad():
            self.concept.weight[0] = 0
            self.value_bin.weight[0] = 0

    def forward(self, batch: SequenceBatch, concept_ids: Tensor) -> Tensor:
        """Sums by position, (B * T, H)."""
        codes = self.concept(concept_ids).sum(1)
        z = batch.value[:, None]
        valued = (
            self.value_bin(batch.value_bin)
            + batch.has_value[:, None] * self.value(z)
            + self.slope(batch.token) * z
        )
        events = (codes[batch.token] + valued) * batch.weight[:, None]
        sums = events.new_zeros(batch.kind.numel(), events.shape[1])
        return cast("Tensor", sums.index_add(0, batch.place, events))


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

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        x = x + self.drop(self.attention(self.attention_norm(x), rotary, mask))
        gate, up = self.gate_up(self.feed_norm(x)).chunk(2, dim=-1)
        return x + cast("Tensor", self.drop(self.down(F.silu(gate) * up)))


class Attention(nn.Module):
    """Attention over earlier positions, queries and keys turned by their hours."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.head_width = config.width // config.n_heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H); without a mask a position sees itself and those before it."""
        B, T, H = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_heads, self.head_width).permute(2, 0, 3, 1, 4)
        q, k = _turn(q, rotary), _turn(k, rotary)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return cast("Tensor", self.out(y.transpose(1, 2).reshape(B, T, H)))


def rotary_angles(hours: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine, (B, 1, T, D / 2), of hours over log-spaced periods; whole turns go in float64."""
    n = head_width // 2
    steps = torch.arange(n, dtype=torch.float64, device=hours.device) / max(n - 1, 1)
    periods = SHORTEST_HOURS * (LONGEST_HOURS / SHORTEST_HOURS) ** steps
    turns = torch.remainder(hours[:, None, :, None].double() / periods, 1.0).float()
    return torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)


def _turn(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """(B, N, T, D) with each pair of units turned."""
    cosine, sine = rotary
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)


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
