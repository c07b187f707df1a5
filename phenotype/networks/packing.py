"""Document-masked packing: a batch's columns end to end without padding, attending within their units only.

Shapes: U unit, T column, P column in use, N head, D unit of a head.

**Source:** Dao 2023 (10.48550/arXiv.2307.08691), FlashAttention-2, whose kernels take units of different
length as they are; `torch.nn.attention.varlen`.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor

from phenotype.networks.batches import SequenceBatch
from phenotype.networks.positions import PADDING, READ_OUT

_HALF = (torch.bfloat16, torch.float16)


class Packed(NamedTuple):
    """How a batch's columns lie end to end.

    Attributes:
        columns: (P,) int64 flat columns (unit * T + column) that are in use, unit by unit.
        place: (U * T,) int64 where each flat column lies among them; 0 for padding.
        starts: (U + 1,) int32 where each unit's columns begin.
        longest: T, at least as long as any unit.
        seen: (U, 1, T, T) whether a column (third) sees another (fourth); None: all of its unit up to itself.
    """

    columns: Tensor
    place: Tensor
    starts: Tensor
    longest: int
    seen: Tensor | None


def pack(batch: SequenceBatch, *, is_causal: bool) -> Packed:
    """How the columns of a batch lie end to end.

    Args:
        batch: as `make_batch` makes it.
        is_causal: whether every column sees exactly those of its unit up to itself (each row read alone, one
            position a time point); else ranks say.
    """
    is_used = (batch.kind != PADDING).flatten()
    columns = is_used.nonzero()[:, 0]
    place = is_used.cumsum(0) - 1
    starts = F.pad(batch.length.cumsum(0), (1, 0)).int()
    seen = None if is_causal else sees(batch)[:, None]
    return Packed(columns, place.clamp(min=0), starts, batch.kind.shape[1], seen)


def sees(batch: SequenceBatch) -> Tensor:
    """Whether each column (second) of a unit sees another (third), (U, T, T): by rank, read-outs unseen."""
    is_earlier = batch.rank[:, None, :] <= batch.rank[:, :, None]
    itself = torch.eye(batch.kind.shape[1], dtype=torch.bool, device=batch.kind.device)
    return (is_earlier & (batch.kind != READ_OUT)[:, None, :]) | itself


def attend(q: Tensor, k: Tensor, v: Tensor, packed: Packed) -> Tensor:
    """Attention of packed columns within their units, (P, N, D) each -> (P, N, D) in the type of v.

    Where units are causal and numbers are half precision on a CUDA device, a kernel that takes units of
    different length does it without padding; elsewhere units are padded to the longest.
    """
    q, k = q.to(v.dtype), k.to(v.dtype)
    if is_without_padding(v, packed):
        return _attend_varlen(q, k, v, packed)
    n_units, width = len(packed.starts) - 1, packed.longest
    q, k, v = (_padded(part, packed, n_units) for part in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=packed.seen, is_causal=packed.seen is None)
    return y.transpose(1, 2).reshape(n_units * width, *y.shape[1::2])[packed.columns]


def is_without_padding(v: Tensor, packed: Packed) -> bool:
    """Whether the kernel for units of different length serves here."""
    return v.is_cuda and v.dtype in _HALF and packed.seen is None


def _attend_varlen(q: Tensor, k: Tensor, v: Tensor, packed: Packed) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    starts, longest = packed.starts, packed.longest
    y = varlen_attn(q, k, v, starts, starts, longest, longest, window_size=(-1, 0))
    return cast("Tensor", y)


def _padded(x: Tensor, packed: Packed, n_units: int) -> Tensor:
    """(P, N, D) -> (U, N, T, D), zeros where a unit is shorter."""
    flat = x.new_zeros(n_units * packed.longest, *x.shape[1:]).index_copy(0, packed.columns, x)
    return flat.view(n_units, packed.longest, *x.shape[1:]).transpose(1, 2)
