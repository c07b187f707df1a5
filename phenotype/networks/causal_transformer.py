"""A causal transformer whose positions are hours, not indices, with one risk read-out at the prediction time.

Shapes: B row, T position, E event, H hidden, V token, A ancestor.

**Source:** Vaswani et al. 2017 (10.48550/arXiv.1706.03762), decoder only, pre-norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from phenotype.cases import Cases
from phenotype.link import sigmoid
from phenotype.networks.batches import SequenceBatch, bucketed, make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.networks.layers import (
    N_AGE_FEATURES,
    N_TIME_FEATURES,
    Block,
    EventEmbedding,
    age_features,
    rotary_angles,
    time_features,
)
from phenotype.networks.sums import N_SUMMARIES
from phenotype.predictor import BundleParts
from phenotype.sequences import Ints, Sequences, make_sequences
from phenotype.threads import torch_threads
from phenotype.vocabulary import Vocabulary

_N_KINDS = 5
_PREDICT_POSITIONS = 8192


class CausalTransformer(nn.Module):
    """Events -> one logit a row.

    Args:
        config: sizes.
        concept_ids: (V, A) concepts of each token, 0 for none.
        n_bins: value bins of all tokens, the one for no value included.
    """

    concept_ids: Tensor

    def __init__(self, config: TransformerConfig, concept_ids: npt.NDArray[np.int64], n_bins: int) -> None:
        super().__init__()
        self.sees_ties = config.position == "event"
        self.register_buffer("concept_ids", torch.from_numpy(concept_ids), persistent=False)
        self.events = EventEmbedding(config.width, int(concept_ids.max(initial=0)), len(concept_ids), n_bins)
        self.summary = nn.Linear(N_SUMMARIES * config.width, config.width)
        self.kind = nn.Embedding(_N_KINDS, config.width)
        self.since = nn.Linear(N_TIME_FEATURES, config.width)
        self.age = nn.Linear(N_AGE_FEATURES, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(config.width)
        self.drop = nn.Dropout(config.dropout)
        self.risk = nn.Linear(config.width, 1)
        nn.init.normal_(self.kind.weight, std=0.1)
        nn.init.zeros_(self.risk.weight)

    def start_from(self, prevalence: float) -> None:
        """Makes an untrained network answer with the prevalence."""
        odds = min(max(prevalence, 1e-4), 1 - 1e-4)
        nn.init.constant_(self.risk.bias, math.log(odds / (1 - odds)))

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Logits, (B,)."""
        B, T = batch.kind.shape
        each = torch.arange(B, device=batch.kind.device)
        sums = self.events(batch, self.concept_ids)
        summary = self.summary(sums[B * T :].view(N_SUMMARIES, B, -1).transpose(0, 1).flatten(1))
        x = sums[: B * T].view(B, T, -1) + self.kind(batch.kind) + self.since(time_features(batch))
        x = x + self.age(age_features(batch.age))[:, None]
        x = x.index_put((each, batch.read_out), summary, accumulate=True)
        x = self.drop(x)
        rotary = rotary_angles(batch.hours, cast("Block", self.blocks[0]).attention.head_width)
        mask = (batch.rank[:, None, None, :] <= batch.rank[:, None, :, None]) if self.sees_ties else None
        *lower, last = (cast("Block", block) for block in self.blocks)
        for block in lower:
            x = block(x, rotary, mask)
        return cast("Tensor", self.risk(self.drop(self.norm(last.read(x, rotary, batch.read_out)))))[:, 0]


@dataclass(frozen=True)
class TransformerModel:
    """A trained network with the vocabulary that it reads.

    Attributes:
        config: as trained.
        vocabulary: fitted on the training patients.
        network: in evaluation mode; it predicts on a GPU where there is one.
    """

    config: TransformerConfig
    vocabulary: Vocabulary
    network: CausalTransformer
    kind: ClassVar[str] = "transformer"

    def predict(self, cases: Cases) -> npt.NDArray[np.float64]:
        """Sigmoid of the logits, (n,)."""
        return sigmoid(self.logits(self.sequences(cases)))

    def sequences(self, cases: Cases) -> Sequences:
        """What the network reads of each case."""
        return make_sequences(cases, self.vocabulary, self.config)

    def logits(self, sequences: Sequences) -> npt.NDArray[np.float64]:
        """One logit for each row, (n,)."""
        groups = bucketed(sequences.n_positions(), _PREDICT_POSITIONS)
        batches = (make_batch(sequences, rows, self.config.position) for rows in groups)
        return self._run(groups, batches, sequences.n_rows)

    def coalition_logits(
        self, sequences: Sequences, row: int, keep: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """The logit of one row as if only some of its events had been recorded, (N,).

        Args:
            sequences: from `sequences(cases)`.
            row: which row.
            keep: (N, E) events kept in each of N coalitions; E is `sequences.n_events()[row]`.
        """
        groups = bucketed(keep.sum(1) + 1, _PREDICT_POSITIONS)
        batches = (
            make_batch(sequences, np.full(len(rows), row), self.config.position, keep[rows].ravel())
            for rows in groups
        )
        return self._run(groups, batches, len(keep))

    def _run(
        self, groups: Sequence[Ints], batches: Iterable[SequenceBatch], n: int
    ) -> npt.NDArray[np.float64]:
        logits = np.zeros(n)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = self.network.to(device)
        with torch_threads(self.config.n_threads), torch.inference_mode():
            for rows, batch in zip(groups, batches, strict=True):
                moved = SequenceBatch(*(tensor.to(device) for tensor in batch))
                logits[rows] = network(moved).double().cpu().numpy()
        return logits

    def parts(self) -> BundleParts:
        """The configuration, the weights, the vocabulary as a table."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return BundleParts(
            self.config.model_dump(mode="json"), tensors, tables={"vocabulary": self.vocabulary.tokens}
        )

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model of a bundle's parts.

        Raises:
            ValueError: weights that do not fit the configuration and the vocabulary.
        """
        config = TransformerConfig.model_validate(parts.config)
        vocabulary = Vocabulary(parts.tables["vocabulary"])
        network = make_network(config, vocabulary)
        try:
            network.load_state_dict({name: torch.tensor(array) for name, array in parts.tensors.items()})
        except RuntimeError as error:
            raise ValueError("the weights do not fit the network") from error
        return cls(config, vocabulary, network.eval())


def make_network(config: TransformerConfig, vocabulary: Vocabulary) -> CausalTransformer:
    """A network of the configured size, its weights drawn from torch's generator."""
    return CausalTransformer(config, vocabulary.concept_ids, vocabulary.n_bins)
