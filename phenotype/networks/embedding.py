"""Events and times as vectors: code with its ancestors, value bin, value, hours, gap, age.

Shapes: U unit, T column, S sum of events, H hidden, V token, A ancestor, F frequency.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from phenotype.networks.sums import N_SUMMARIES

if TYPE_CHECKING:
    from phenotype.networks.batches import SequenceBatch
    from phenotype.networks.config import StreamConfig
    from phenotype.vocabulary import Vocabulary

_N_KINDS = 5
_LOG_HOUR_PERIODS = 2.0 ** torch.arange(-1, 5)
_YEAR_PERIODS = torch.tensor([5.0, 10.0, 20.0, 40.0, 80.0, 160.0])
N_TIME_FEATURES = 2 * (2 * len(_LOG_HOUR_PERIODS) + 1)
N_AGE_FEATURES = 2 * len(_YEAR_PERIODS) + 2


class EventEmbedding(nn.Module):
    """Events as vectors (code with its ancestors, value bin, value times a slope of the code), summed.

    Args:
        width: H.
        vocabulary: what is read.
    """

    concept_ids: Tensor

    def __init__(self, width: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        ids = torch.from_numpy(vocabulary.concept_ids)
        self.register_buffer("concept_ids", ids, persistent=False)
        n_concepts = int(ids.max()) if ids.numel() else 0
        self.concept = nn.Embedding(n_concepts + 1, width, padding_idx=0)
        self.value_bin = nn.Embedding(vocabulary.n_bins, width)
        self.slope = nn.Embedding(len(ids), width)
        for table, std in ((self.concept, 0.2), (self.value_bin, 0.1), (self.slope, 0.1)):
            nn.init.normal_(table.weight, std=std)

    def codes(self) -> Tensor:
        """A vector for each token: its own and its ancestors', summed, (V, H)."""
        return F.embedding_bag(self.concept_ids, self.concept.weight, mode="sum", padding_idx=0)

    def forward(self, batch: SequenceBatch, codes: Tensor) -> Tensor:
        """Sums of embeddings, (S, H); codes as `codes` gives them."""
        sums = _summed(codes, batch.code, batch.code_start, batch.code_weight)
        if not batch.value_bin.numel():
            return sums
        bins = self.value_bin.weight
        sums = sums + _summed(bins, batch.value_bin, batch.value_start, batch.value_weight)
        slopes = batch.value_weight * batch.value
        return sums + _summed(self.slope.weight, batch.value_code, batch.value_start, slopes)


def _summed(table: Tensor, index: Tensor, start: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of a table's rows, one for each start."""
    return F.embedding_bag(index, table, start, mode="sum", per_sample_weights=weight.to(table.dtype))


class PositionEmbedding(nn.Module):
    """A batch's columns as vectors: what is summed there, its kind, its times, and summaries at read-outs.

    Args:
        config: width and summaries.
        vocabulary: what is read.
    """

    def __init__(self, config: StreamConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.events = EventEmbedding(config.width, vocabulary)
        self.kind = nn.Embedding(_N_KINDS, config.width)
        self.since = nn.Linear(N_TIME_FEATURES, config.width)
        self.age = nn.Linear(N_AGE_FEATURES, config.width)
        self.has_summaries, self.is_alone = config.summaries, config.reading == "alone"
        if config.summaries:
            self.summary = nn.Linear(N_SUMMARIES * config.width, config.width)
        nn.init.normal_(self.kind.weight, std=0.1)

    def forward(self, batch: SequenceBatch, codes: Tensor) -> Tensor:
        """(U, T, H)."""
        U, T = batch.kind.shape
        H, dtype = self.kind.weight.shape[1], self.kind.weight.dtype
        sums = self.events(batch, codes)
        x = sums[: U * T].view(U, T, H) + self.kind(batch.kind) + self.since(time_features(batch).to(dtype))
        ages = batch.age[:, :1] if self.is_alone else batch.age
        x = x + self.age(age_features(ages).to(dtype))
        if not self.has_summaries:
            return cast("Tensor", x)
        R = len(batch.row)
        own = self.summary(sums[U * T :].view(N_SUMMARIES, R, H).transpose(0, 1).flatten(1))
        x = x.flatten(0, 1).index_add(0, batch.read_out, own.to(x.dtype))
        return cast("Tensor", x.view(U, T, H))


def time_features(batch: SequenceBatch) -> Tensor:
    """Fourier features of log(1 + hours) on the clock and of the gap before, (U, T, 4F + 2)."""
    both = torch.stack([batch.clock_hours, batch.gap_hours], dim=-1).clamp(min=0).log1p()
    angles = both[..., None] * (2 * math.pi / _LOG_HOUR_PERIODS.to(both.device))
    features = torch.cat([both[..., None] / 4, angles.sin(), angles.cos()], dim=-1)
    return features.flatten(-2)


def age_features(age: Tensor) -> Tensor:
    """Fourier features of ages in years and whether they are known, (*, 2F + 2); all 0 where not."""
    is_known = ~age.isnan()
    years = torch.where(is_known, age, torch.zeros_like(age))[..., None]
    angles = years * (2 * math.pi / _YEAR_PERIODS.to(age.device))
    features = torch.cat([torch.ones_like(years), years / 50 - 1, angles.sin(), angles.cos()], dim=-1)
    return features * is_known[..., None]
