"""A causal transformer whose positions are hours, not indices, with a read-out for each prediction time.

Columns see the columns that are not after them; a read-out sees what was known at its time, and nothing sees
a read-out. On a CPU units are padded to a length; on a GPU they are packed end to end.

Shapes: U unit, T column, P packed column, R read-out, W most read-outs of a unit, H hidden, N head, D unit of
a head.

**Source:** Vaswani et al. 2017 (10.48550/arXiv.1706.03762), decoder only, pre-norm.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from phenotype.networks.batches import SequenceBatch, lengths, make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.networks.layers import Attend, Block, Rotary, rotary_angles
from phenotype.networks.network import Design
from phenotype.networks.packing import Packed, pack, sees
from phenotype.networks.packing import attend as attend_packed
from phenotype.networks.positions import PADDING, READ_OUT
from phenotype.networks.stream import StreamNetwork

if TYPE_CHECKING:
    from phenotype.vocabulary import Vocabulary


class CausalTransformer(StreamNetwork):
    """Batch -> outputs of each row.

    Args:
        config: sizes.
        vocabulary: what is read.

    Attributes:
        always_packs: whether columns are packed end to end on a CPU too, where it gains nothing.
    """

    def __init__(self, config: TransformerConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.head_width = config.width // config.n_heads
        self.may_have_ties = config.position == "event"
        self.always_packs = False

    def read(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """(U, T, H) -> (R, H): the last block at the read-outs alone."""
        *lower, last = (cast("Block", block) for block in self.blocks)
        if x.is_cuda or self.always_packs:
            packed, x, rotary, attend = self._packed(x, batch)
            chosen, at_last = packed.place[batch.read_out], attend
        else:
            rotary, attend = rotary_angles(batch.hours, self.head_width, x.dtype), self._reach(batch, x)
            chosen, at_last = batch.read_out, read_outs_attend(batch)
        for block in lower:
            x = block(x, rotary, attend)
        return last.read(x, rotary, at_last, chosen, is_for_chosen=at_last is not attend)

    def read_all(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """(U, T, H) -> (U * T, H)."""
        packed: Packed | None = None
        if x.is_cuda or self.always_packs:
            packed, x, rotary, attend = self._packed(x, batch)
        else:
            rotary, attend = rotary_angles(batch.hours, self.head_width, x.dtype), self._reach(batch, x)
        for block in self.blocks:
            x = block(x, rotary, attend)
        return x.flatten(0, 1) if packed is None else x[packed.place]

    def _is_ordered(self, batch: SequenceBatch) -> bool:
        """Whether all columns of all units see exactly those up to themselves."""
        return len(batch.row) == len(batch.kind) and not (self.may_have_ties and has_ties(batch))

    def _reach(self, batch: SequenceBatch, x: Tensor) -> Attend:
        """How padded columns see one another."""
        if self._is_ordered(batch):
            return causal
        bias = torch.zeros(1, dtype=x.dtype, device=x.device)
        bias = bias.masked_fill(~sees(batch), -torch.inf)[:, None]
        return lambda q, k, v: _attend(q, k, v, bias.to(v.dtype))

    def _packed(self, x: Tensor, batch: SequenceBatch) -> tuple[Packed, Tensor, Rotary, Attend]:
        """Columns end to end: how they lie, (P, H), their angles, how they see one another."""
        packed = pack(batch, is_causal=self._is_ordered(batch))
        rotary = rotary_angles(batch.hours.flatten()[packed.columns], self.head_width, x.dtype)
        return packed, x.flatten(0, 1)[packed.columns], rotary, partial(attend_packed, packed=packed)


def has_ties(batch: SequenceBatch) -> bool:
    """Whether any two positions of a unit are simultaneous."""
    later = batch.kind[:, 1:]
    is_position = (later != PADDING) & (later != READ_OUT)
    return bool((is_position & (batch.rank[:, 1:] <= batch.rank[:, :-1])).any())


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each column sees itself and those before it, (U, T, N, D)."""
    q, k, v = (part.to(v.dtype).transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention (U, T, N, D) where the mask, true or added to the scores, lets a column see another."""
    q, k, v = (part.to(v.dtype).transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def read_outs_attend(batch: SequenceBatch) -> Attend:
    """Attention of the read-outs alone: queries (R, N, D), keys and values (U, T, N, D) -> (R, N, D)."""
    U, T = batch.kind.shape
    R = len(batch.row)
    unit, column = batch.read_out // T, batch.read_out % T
    if R == U:
        alone = _seen_by(batch, unit, column)[:, None, None, :]
        return lambda q, k, v: _attend(q[:, None], k, v, alone)[:, 0]
    n_before = torch.zeros(U + 1, dtype=torch.int64, device=unit.device)
    n_before[1:] = torch.bincount(unit, minlength=U).cumsum(0)
    number = torch.arange(R, device=unit.device) - n_before[unit]
    W = int(number.max()) + 1 if R else 0
    mask = torch.ones((U, W, T), dtype=torch.bool, device=unit.device)
    mask = mask.index_put((unit, number), _seen_by(batch, unit, column))[:, None]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Read-outs padded to the most of a unit."""
        padded = q.new_zeros((U, W, *q.shape[1:])).index_put((unit, number), q)
        attended = _attend(padded, k, v, mask)
        return attended[unit, number]

    return attend


def _seen_by(batch: SequenceBatch, unit: Tensor, column: Tensor) -> Tensor:
    """Which columns of its unit each read-out sees, (R, T)."""
    is_earlier = batch.rank[unit] <= batch.rank[unit, column][:, None]
    itself = torch.arange(batch.rank.shape[1], device=unit.device) == column[:, None]
    return (is_earlier & (batch.kind != READ_OUT)[unit]) | itself


def make_network(config: TransformerConfig, vocabulary: Vocabulary) -> CausalTransformer:
    """A network of the configured size, its weights drawn from torch's generator."""
    return CausalTransformer(config, vocabulary)


DESIGN = Design(make_network, make_batch, lengths)
