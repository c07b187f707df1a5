"""Foreseeing the codes of the time point that comes next, and the value bin of each: a likelihood.

Shapes: P position that foresees, N event that is foreseen, H hidden, V token, Q value bin of one token.

**Source:** code and value as one token, arXiv 2603.15644 and 2604.16775; the value as a mark of the event:
ORA (10.48550/arXiv.2602.00541). A sample of classes that stands for the rest: Jean et al. 2015
(10.48550/arXiv.1412.2007).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

if TYPE_CHECKING:
    from phenotype.vocabulary import Vocabulary

N_CLASSES = 8192
"""Codes that the next one is told apart from at once."""
_ROWS_IN_CACHE = 1 << 19
"""Logits that are worked on at once on a CPU: 2 MiB of float32."""


class Following(NamedTuple):
    """Events that are foreseen.

    Attributes:
        place: (N,) the position that foresees each.
        code: (N,) its token.
        value_bin: (N,) its value's bin, 0 where it has none.
        share: (N,) how much it counts.
    """

    place: Tensor
    code: Tensor
    value_bin: Tensor
    share: Tensor


class NextEvent(nn.Module):
    """States of positions -> how unlikely they found what came next.

    The likelihood of an event is that of its code among all codes, times that of its value's bin among the
    code's own: that of a token made of both. Codes and bins are told by the vectors with which they are read.

    Args:
        width: of a state.
        vocabulary: the tokens and their value bins.
        n_classes: codes that the next one is told apart from; where there are more, all that come next in the
            batch and a sample of the others, which stands for all of these.
    """

    bin_offsets: Tensor

    def __init__(self, width: int, vocabulary: Vocabulary, n_classes: int = N_CLASSES) -> None:
        super().__init__()
        self.n_tokens, self.n_classes = vocabulary.tokens.height, n_classes
        offsets = vocabulary.bin_offsets
        self.widest = int(np.diff(offsets).max(initial=0))
        self.register_buffer("bin_offsets", torch.from_numpy(offsets.copy()), persistent=False)
        self.code = nn.Linear(width, width, bias=False)
        self.bin = nn.Linear(width, width, bias=False)
        self.code_level = nn.Parameter(torch.zeros(self.n_tokens))
        self.bin_level = nn.Parameter(torch.zeros(vocabulary.n_bins))

    def forward(self, states: Tensor, following: Following, codes: Tensor, bins: Tensor) -> Tensor:
        """The sum over events of share times less the log likelihood.

        Args:
            states: (P, H).
            following: what is foreseen.
            codes: (V, H), by which codes are read.
            bins: vectors by which value bins are read.
        """
        own = self.code(states)
        if self.n_tokens > self.n_classes:
            total = self._sampled(own, following, codes)
        elif own.is_cuda or not torch.is_grad_enabled():
            logits = own @ codes.T + self.code_level
            total = _unlikely(logits, following.place, following.code, following.share)
        else:
            own = own.to(codes.dtype)
            with torch.autocast("cpu", enabled=False):
                total = unlikely_in_cache(own, codes, self.code_level, following)
        return total + self._marks(self.bin(states), following, bins)

    def _sampled(self, states: Tensor, following: Following, codes: Tensor) -> Tensor:
        """Codes among those that come next in the batch and a sample of the others."""
        present, number = torch.unique(following.code, return_inverse=True)
        is_other = torch.ones(self.n_tokens, dtype=torch.bool, device=codes.device)
        is_other[present] = False
        others = is_other.nonzero()[:, 0]
        drawn = others[torch.randperm(len(others), device=codes.device)[: self.n_classes]]
        classes = torch.cat([present, drawn])
        stands_for = torch.ones(len(classes), device=codes.device)
        stands_for[len(present) :] = len(others) / max(len(drawn), 1)
        logits = states @ codes[classes].T + self.code_level[classes] + stands_for.log()
        return _unlikely(logits, following.place, number, following.share)

    def _marks(self, states: Tensor, following: Following, bins: Tensor) -> Tensor:
        """Value bins of the events that have values, each among its code's own."""
        valued = (following.value_bin > 0).nonzero()[:, 0]
        code = following.code[valued]
        first = self.bin_offsets[code]
        last = self.bin_offsets[code + 1] - 1
        every = torch.arange(self.widest, device=code.device) + first[:, None]
        own = torch.minimum(every, last[:, None])
        logits = torch.einsum("nh,nqh->nq", states[following.place[valued]], bins[own]) + self.bin_level[own]
        logits = _exact(logits).masked_fill(every > last[:, None], -torch.inf)
        losses = F.cross_entropy(logits, following.value_bin[valued] - first, reduction="none")
        return (losses * following.share[valued]).sum()


def _unlikely(logits: Tensor, place: Tensor, code: Tensor, share: Tensor) -> Tensor:
    """The weighted sum of less the log of softmax, (P, V) at N (position, code) pairs."""
    return -(F.log_softmax(_exact(logits), dim=1)[place, code] * share).sum()


def _exact(logits: Tensor) -> Tensor:
    """In float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def unlikely_in_cache(states: Tensor, codes: Tensor, level: Tensor, following: Following) -> Tensor:
    """The weighted sum of less the log of softmax(states @ codes.T + level), some positions at a time.

    The logits of all positions never lie in memory together, and gradients are found on the way: on a CPU
    that is what the time goes to.
    """
    total = _InCache.apply(  # type: ignore[no-untyped-call]
        states, codes, level, following.place, following.code, following.share
    )
    return cast("Tensor", total)


class _InCache(torch.autograd.Function):
    """`unlikely_in_cache` as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, codes: Tensor, level: Tensor, *following: Tensor) -> Tensor:
        """The loss; its gradients are kept for `backward`."""
        order = following[0].argsort(stable=True)
        place, code, share = (part[order] for part in following)
        of_states, of_codes, of_level = (torch.zeros_like(part) for part in (states, codes, level))
        total = states.new_zeros(())
        step = max(_ROWS_IN_CACHE // max(len(codes), 1), 1)
        starts = range(0, len(states), step)
        cuts = torch.searchsorted(place, torch.tensor([*starts, len(states)])).tolist()
        for start, first, stop in zip(starts, cuts[:-1], cuts[1:], strict=True):
            some = states[start : start + step]
            row, column, weight = place[first:stop] - start, code[first:stop], share[first:stop]
            weight = weight.to(states.dtype)
            logits = torch.addmm(level, some, codes.T)
            highest = logits.amax(1)
            picked = logits[row, column]
            sums = logits.sub_(highest[:, None]).exp_().sum(1)
            total += (weight * (sums.log() + highest)[row]).sum() - (weight * picked).sum()
            weights = torch.zeros_like(sums).index_add(0, row, weight)
            slope = logits.mul_((weights / sums)[:, None])
            slope.index_put_((row, column), -weight, accumulate=True)
            torch.mm(slope, codes, out=of_states[start : start + step])
            of_codes.addmm_(slope.T, some)
            of_level += slope.sum(0)
        ctx.save_for_backward(of_states, of_codes, of_level)
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients that were kept, times that of the loss."""
        return *(slope * part for part in ctx.saved_tensors), None, None, None
