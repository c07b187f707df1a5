"""What a transformer is made of: attention turned by hours, and gated layers.

Shapes: * any leading dimensions (unit and column, or packed column), H hidden, N head, D unit of a head.

**Source:** RMSNorm, Zhang and Sennrich 2019 (10.48550/arXiv.1910.07467); SwiGLU, Shazeer 2020
(10.48550/arXiv.2002.05202); rotary angles, Su et al. 2021 (10.48550/arXiv.2104.09864), driven by hours here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

if TYPE_CHECKING:
    from phenotype.networks.config import TransformerConfig

SHORTEST_HOURS, LONGEST_HOURS = 1.0, 87_660.0
"""Periods of the rotary angles: 1 hour to 10 years."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys, values (*, N, D) -> what each query gathers, (*, N, D)."""
Rotary = tuple[Tensor, Tensor]
"""Cosine and signed sine, (*, 1, D), by which queries and keys are turned."""


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

    def forward(self, x: Tensor, rotary: Rotary, attend: Attend) -> Tensor:
        """(*, H) -> (*, H)."""
        x = x + self.drop(self.attention(self.attention_norm(x), rotary, attend))
        return self._feed(x)

    def read(
        self, x: Tensor, rotary: Rotary, attend: Attend, chosen: Tensor, *, is_for_chosen: bool
    ) -> Tensor:
        """This block at some columns, (*, H) -> (R, H).

        Args:
            x: (*, H).
            rotary: of all columns.
            attend: for the queries of all columns, or of the chosen ones alone, (R, N, D) -> (R, N, D).
            chosen: (R,) flat columns.
            is_for_chosen: `attend` takes the queries of the chosen columns alone.
        """
        attended = self.attention.read(
            self.attention_norm(x), rotary, attend, chosen, is_for_chosen=is_for_chosen
        )
        return self._feed(x.reshape(-1, x.shape[-1])[chosen] + self.drop(attended))

    def _feed(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(self.feed_norm(x)).chunk(2, dim=-1)
        return x + cast("Tensor", self.drop(self.down(F.silu(gate) * up)))


class Attention(nn.Module):
    """Attention whose queries and keys are turned by their hours; one projection gives all three."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.n_heads, self.width = config.n_heads, config.width
        self.head_width = config.width // config.n_heads
        self.query_key_value = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotary: Rotary, attend: Attend) -> Tensor:
        """(*, H) -> (*, H)."""
        return cast("Tensor", self.out(attend(*self._turned(x, rotary)).flatten(-2)))

    def read(
        self, x: Tensor, rotary: Rotary, attend: Attend, chosen: Tensor, *, is_for_chosen: bool
    ) -> Tensor:
        """(*, H) -> (R, H) at the chosen flat columns."""
        if not is_for_chosen:
            y = attend(*self._turned(x, rotary)).flatten(-2)
            return cast("Tensor", self.out(y.reshape(-1, self.width)[chosen]))
        weight = self.query_key_value.weight
        at = x.reshape(-1, self.width)[chosen]
        own = (part.expand(*x.shape[:-1], 1, -1).reshape(-1, 1, part.shape[-1])[chosen] for part in rotary)
        q = _turn(self._heads(F.linear(at, weight[: self.width])), (next(own), next(own)))
        k, v = F.linear(x, weight[self.width :]).chunk(2, dim=-1)
        y = attend(q, _turn(self._heads(k), rotary), self._heads(v))
        return cast("Tensor", self.out(y.flatten(-2)))

    def _turned(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values (*, N, D), the first two turned."""
        both, v = self.query_key_value(x).split((2 * self.width, self.width), dim=-1)
        turned = _turn(both.reshape(*both.shape[:-1], 2 * self.n_heads, self.head_width), rotary)
        q, k = turned.chunk(2, dim=-2)
        return q, k, self._heads(v)

    def _heads(self, x: Tensor) -> Tensor:
        """(*, H) -> (*, N, D)."""
        return x.reshape(*x.shape[:-1], self.n_heads, self.head_width)


def rotary_angles(hours: Tensor, head_width: int, dtype: torch.dtype = torch.float32) -> Rotary:
    """Cosine and signed sine, (*, 1, D), of hours (*) over log-spaced periods; turns go in float64.

    Unit i of a head is turned with unit i + D / 2.
    """
    n = head_width // 2
    steps = torch.arange(n, dtype=torch.float64, device=hours.device) / max(n - 1, 1)
    periods = SHORTEST_HOURS * (LONGEST_HOURS / SHORTEST_HOURS) ** steps
    angles = 2 * math.pi * torch.remainder(hours[..., None, None].double() / periods, 1.0).to(dtype)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)


def _turn(x: Tensor, rotary: Rotary) -> Tensor:
    """(*, N, D) with each pair of units turned."""
    cosine, sine = rotary
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([second, first], dim=-1) * sine
