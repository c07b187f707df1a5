"""A trained network of any kind with the vocabulary that it reads: risks, coalitions, and a bundle's parts.

Shapes: R row that is answered, O output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ontology.errors import BundleError, ConfigurationError, Problem
from phenotype.cases import Cases
from phenotype.link import sigmoid
from phenotype.networks.batches import bucketed
from phenotype.networks.network import Design, Network
from phenotype.networks.older_weights import numbered_transformer
from phenotype.predictor import BundleParts
from phenotype.sequences import Ints, Sequences, make_sequences
from phenotype.threads import torch_threads
from phenotype.vocabulary import Vocabulary

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

DESIGNS = {
    "transformer": ("phenotype.networks.causal_transformer", "TransformerConfig"),
    "gru": ("phenotype.networks.gru", "GRUConfig"),
    "two_axis": ("phenotype.networks.two_axis", "TwoAxisConfig"),
    "gru_d": ("phenotype.networks.gru_d", "GRUDConfig"),
}
"""Kind of network -> the module whose DESIGN makes it, and the name of its configuration there."""
_PREDICT_POSITIONS = 8192


def design_of(kind: str) -> Design:
    """The design of a kind of network; its module is imported now and not before.

    Raises:
        ConfigurationError: no network has this kind.
    """
    if kind not in DESIGNS:
        raise ConfigurationError(Problem("unknown kind of network", "kind", kind, ", ".join(DESIGNS)))
    return cast("Design", import_module(DESIGNS[kind][0]).DESIGN)


@dataclass(frozen=True)
class NetworkModel:
    """Trained networks of one design, with the vocabulary that they read.

    Attributes:
        config: as trained.
        vocabulary: fitted on the training patients.
        networks: one for each seed, in evaluation mode; their logits are averaged. They predict on a GPU
            where there is one.
    """

    config: NetworkConfig
    vocabulary: Vocabulary
    networks: tuple[Network, ...]

    @property
    def kind(self) -> str:
        """The kind of network."""
        return self.config.kind

    @property
    def design(self) -> Design:
        """How its batches are made."""
        return design_of(self.config.kind)

    def predict(self, cases: Cases) -> npt.NDArray[np.float64]:
        """Sigmoid of the logits, (n,)."""
        return sigmoid(self.logits(self.sequences(cases)))

    def sequences(self, cases: Cases, *, alone: bool = False) -> Sequences:
        """What the networks read of each case; alone: each row is a unit of its own."""
        return make_sequences(cases, self.vocabulary, self.config, alone=alone)

    def logits(self, sequences: Sequences) -> npt.NDArray[np.float64]:
        """The logit of the task's risk of each row, (n,)."""
        return self._answer(sequences, _risk)

    def risks_at(self, cases: Cases, hours: Iterable[float]) -> npt.NDArray[np.float64]:
        """The uncalibrated risk within so many hours of each prediction, (n, number of hours).

        Args:
            cases: n rows.
            hours: above 0 and at most the horizon that the networks were trained for.

        Raises:
            ConfigurationError: networks that tell the risk at their horizon alone, or hours past it.
        """
        sequences = self.sequences(cases)
        reads = [partial(_risk_at, hours=one) for one in hours]
        return sigmoid(np.stack([self._answer(sequences, read) for read in reads], axis=1))

    def coalition_logits(
        self, sequences: Sequences, row: int, keep: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """The logit of one row as if only some of its events had been recorded, (N,).

        Args:
            sequences: from `sequences(cases, alone=True)`: row and unit are the same.
            row: which row.
            keep: (N, E) events kept in each of N coalitions; E is `sequences.n_events()[row]`.
        """
        groups = bucketed(keep.sum(1) + 1, _PREDICT_POSITIONS)
        make_batch = self.design.make_batch
        batches = (
            make_batch(sequences, np.full(len(some), row), self.config, keep[some].ravel()) for some in groups
        )
        logits = np.zeros(len(keep))
        for some, (_, answers) in zip(groups, self._run(batches, _risk), strict=True):
            logits[some] = answers
        return logits

    def _answer(
        self, sequences: Sequences, read: Callable[[Network, Tensor], Tensor]
    ) -> npt.NDArray[np.float64]:
        """What is read from the outputs for each row, (n,)."""
        design = self.design
        groups = bucketed(design.lengths(sequences, self.config), _PREDICT_POSITIONS)
        batches = (design.make_batch(sequences, units, self.config, None) for units in groups)
        found = np.zeros(sequences.n_rows)
        for rows, answers in self._run(batches, read):
            found[rows] = answers
        return found

    def _run(
        self, batches: Iterable[Any], read: Callable[[Network, Tensor], Tensor]
    ) -> list[tuple[Ints, npt.NDArray[np.float64]]]:
        """Of each batch its rows and the mean over networks of what is read from their outputs."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        networks = [network.to(device) for network in self.networks]
        found = []
        with torch_threads(self.config.n_threads), torch.inference_mode():
            for batch in batches:
                moved = type(batch)(*(tensor.to(device) for tensor in batch))
                answers = [read(network, network(moved)).double() for network in networks]
                found.append((batch.row.numpy(), torch.stack(answers).mean(0).cpu().numpy()))
        return found

    def parts(self) -> BundleParts:
        """The configuration, the weights by number of the network, the vocabulary as a table.

        Of a pretrained body the folder's name is kept: its path says where somebody works.
        """
        tensors = {
            f"{number}.{name}": tensor.detach().cpu().numpy()
            for number, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }
        config = self.config.model_dump(mode="json")
        if config.get("pretrained"):
            config["pretrained"] = Path(config["pretrained"]).name
        return BundleParts(config, tensors, tables={"vocabulary": self.vocabulary.tokens})

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model of a bundle's parts.

        Raises:
            ValueError: weights that do not fit the configuration and the vocabulary.
            BundleError: a kind of network that this version does not know.
        """
        kind = parts.config.get("kind", "")
        if kind not in DESIGNS:
            raise BundleError(Problem("unknown kind of network", "model.json", str(kind), ", ".join(DESIGNS)))
        config = config_class(kind).model_validate(parts.config)
        vocabulary = Vocabulary(parts.tables["vocabulary"])
        if any(not name.partition(".")[0].isdecimal() for name in parts.tensors):
            parts = numbered_transformer(parts)
        numbers = sorted({int(name.partition(".")[0]) for name in parts.tensors})
        networks = tuple(_loaded(config, vocabulary, _numbered(parts, number)) for number in numbers)
        return cls(config, vocabulary, networks)


def config_class(kind: str) -> type[NetworkConfig]:
    """The class of a kind's configuration."""
    module, name = DESIGNS[kind]
    return cast("type[NetworkConfig]", getattr(import_module(module), name))


def _numbered(parts: BundleParts, number: int) -> dict[str, npt.NDArray[Any]]:
    """The tensors of one network, by their own names."""
    prefix = f"{number}."
    found = ((name, array) for name, array in parts.tensors.items() if name.startswith(prefix))
    return {name.removeprefix(prefix): array for name, array in found}


def _loaded(config: NetworkConfig, vocabulary: Vocabulary, tensors: dict[str, npt.NDArray[Any]]) -> Network:
    network = design_of(config.kind).make_network(config, vocabulary)
    try:
        network.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
    except RuntimeError as error:
        raise ValueError("the weights do not fit the network") from error
    return network.eval()


def _risk_at(network: Network, outputs: Tensor, hours: float) -> Tensor:
    return network.risk_at(outputs, hours)


def _risk(network: Network, outputs: Tensor) -> Tensor:
    return network.risk(outputs)
