"""The population-wide phenotype model: states of whole histories, and what they foretell, kept in a folder.

Shapes: n case, H hidden, C concept, N (concept, horizon) pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, TypeAdapter
from torch import nn

from ontology.errors import ConfigurationError, Problem, TaskError
from phenotype.cases import Cases
from phenotype.networks.batches import bucketed
from phenotype.networks.config import GRUConfig, NetworkConfig, TransformerConfig
from phenotype.networks.model import design_of
from phenotype.networks.population_config import HazardsConfig
from phenotype.networks.population_network import PopulationNetwork
from phenotype.next_events import Tracked, track
from phenotype.predictor import BundleParts
from phenotype.sequences import Sequences, make_sequences
from phenotype.threads import torch_threads
from phenotype.vocabulary import Vocabulary

Floats = npt.NDArray[np.float64]
MUST_AGREE = (
    "kind",
    "position",
    "reading",
    "summaries",
    "exclude",
    "value_limit",
    "width",
    "n_layers",
    "n_heads",
)
"""Keys in which a task's network must be like the one that was pretrained."""
BodyConfig = TransformerConfig | GRUConfig
_BODY_CONFIG: TypeAdapter[BodyConfig] = TypeAdapter(Annotated[BodyConfig, Field(discriminator="kind")])
TASK_PARTS = ("head", "next_event")
"""Modules of a network that belong to a task, not to the body."""
_POSITIONS = 8192


@dataclass(frozen=True)
class PopulationModel:
    """A network that was trained to foretell what comes next in whole trajectories.

    Attributes:
        config: of the body, as trained.
        hazards: of the head.
        vocabulary: fitted on the subjects that were seen.
        concepts: the names that can be asked for, in order.
        leaves: those of them that events are recorded as, none above another; futures are of these.
        network: in evaluation mode.
        subjects: ids of all subjects whose records training or its stopping looked at, ascending.
        digest: of the folder that it was read from; empty where it was not.
        known_before: what became known then or later was not read; None: whole records were.
    """

    config: BodyConfig
    hazards: HazardsConfig
    vocabulary: Vocabulary
    concepts: tuple[str, ...]
    leaves: tuple[str, ...]
    network: PopulationNetwork
    subjects: pl.Series
    digest: str = ""
    known_before: datetime | None = None
    kind: ClassVar[str] = "population"

    @cached_property
    def tracked(self) -> Tracked:
        """Numbers of the concepts, token by token."""
        return track(self.vocabulary, self.concepts)

    def sequences(self, cases: Cases) -> Sequences:
        """What the network reads of each case."""
        return make_sequences(cases, self.vocabulary, self.config)

    def states(self, cases: Cases) -> npt.NDArray[np.float32]:
        """The deep phenotype of every case, (n, H), in the order of `cases.rows`."""
        return self.states_of(self.sequences(cases))

    def states_of(self, sequences: Sequences) -> npt.NDArray[np.float32]:
        """The state of every row, (n, H)."""
        design = design_of(self.config.kind)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = self.network.to(device)
        states = np.zeros((sequences.n_rows, self.config.width), dtype=np.float32)
        with torch_threads(self.config.n_threads), torch.inference_mode():
            for units in bucketed(design.lengths(sequences, self.config), _POSITIONS):
                batch = design.make_batch(sequences, units, self.config, None)
                tensors = cast("tuple[torch.Tensor, ...]", batch)
                moved = type(batch)(*(tensor.to(device) for tensor in tensors))
                states[batch.row.numpy()] = network.states(moved).float().cpu().numpy()
        return states

    def risks(self, cases: Cases, asked: Sequence[tuple[str, float]]) -> Floats:
        """P(the concept is recorded within so many hours) of every case, in one pass, (n, N).

        Args:
            cases: the rows.
            asked: concepts (codes, or what stands above them) with horizons in hours.

        Raises:
            ConfigurationError: concepts that the model does not foretell; every one is told.
        """
        places = self.places([concept for concept, _ in asked])
        states = torch.from_numpy(self.states(cases)).to(next(self.network.parameters()).device)
        hours = torch.tensor([hours for _, hours in asked], device=states.device)
        with torch_threads(self.config.n_threads), torch.inference_mode():
            risks = [
                self.network.hazards.risks(part, torch.tensor(places, device=states.device), hours)
                for part in torch.split(states, 4096)
            ]
        return np.asarray(torch.cat(risks).double().cpu().numpy() if risks else np.zeros((0, len(asked))))

    def places(self, concepts: Iterable[str]) -> list[int]:
        """Numbers of concepts.

        Raises:
            ConfigurationError: concepts that the model does not foretell.
        """
        number = {concept: place for place, concept in enumerate(self.concepts)}
        wanted = list(concepts)
        problems = [self._unknown(concept) for concept in sorted(set(wanted) - set(number))]
        if problems:
            raise ConfigurationError(problems)
        return [number[concept] for concept in wanted]

    def _unknown(self, concept: str) -> Problem:
        system = concept.split("//", maxsplit=1)[0]
        near = [one for one in self.concepts if one.split("//", maxsplit=1)[0] == system]
        shown = (near or list(self.concepts))[:12]
        return Problem(
            "the model does not foretell this code or concept",
            found=concept,
            allowed=f"one of {len(self.concepts)}, such as {', '.join(shown)}",
            next_step="ask for one of these, or pretrain with a larger hazards.n_concepts",
        )

    def check_fits(self, config: NetworkConfig) -> None:
        """Refuses a task's configuration that cannot start from this model.

        Raises:
            ConfigurationError: every key that differs.
        """
        given, own = config.model_dump(mode="json"), self.config.model_dump(mode="json")
        problems = [
            Problem(
                f"{key} is not that of the pretrained network",
                where=key,
                found=str(given.get(key)),
                allowed=str(own.get(key)),
                next_step="set it as in pretraining, or pretrain again",
            )
            for key in MUST_AGREE
            if given.get(key) != own.get(key)
        ]
        if problems:
            raise ConfigurationError(problems)

    def check_unseen(self, held_out: pl.Series) -> None:
        """Refuses held-out subjects whose records pretraining saw; only counts are told.

        Raises:
            TaskError: some were seen.
        """
        asked = held_out.cast(pl.Int64).unique()
        n_seen = int(asked.is_in(self.subjects.implode()).sum())
        if n_seen:
            raise TaskError(
                Problem(
                    "the pretrained network has seen the records of held-out patients",
                    where="pretrained",
                    found=f"{n_seen:,} of {len(asked):,} held-out patients among {len(self.subjects):,} seen",
                    allowed="none",
                    next_step="pretrain with leave_out naming the file of these splits, or split otherwise",
                )
            )

    def check_known_before(self, instant: datetime) -> None:
        """Refuses a model that was shown what became known at an instant or later.

        Raises:
            TaskError: it was.
        """
        if self.known_before is None or self.known_before > instant:
            until = f"before {self.known_before:%Y-%m-%d %H:%M}" if self.known_before else "whole records"
            raise TaskError(
                Problem(
                    "the pretrained network has read past the date that parts training from testing",
                    where="pretrained",
                    found=f"read: {until}",
                    allowed=f"before {instant:%Y-%m-%d %H:%M}, the splits' train_before",
                    next_step="pretrain with known_before set to that date",
                )
            )

    def parts(self) -> BundleParts:
        """Configuration, weights, vocabulary, concepts and the ids of the subjects that were seen."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return BundleParts(
            {
                "network": self.config.model_dump(mode="json"),
                "hazards": self.hazards.model_dump(mode="json"),
            }
            | ({"known_before": self.known_before.isoformat()} if self.known_before else {}),
            tensors,
            tables={
                "vocabulary": self.vocabulary.tokens,
                "concepts": pl.DataFrame(
                    {"concept": self.concepts, "is_leaf": [one in self.leaves for one in self.concepts]},
                    schema={"concept": pl.String, "is_leaf": pl.Boolean},
                ),
                "subjects": pl.DataFrame({"subject_id": self.subjects.cast(pl.Int64)}),
            },
        )

    @classmethod
    def from_parts(cls, parts: BundleParts, digest: str = "") -> PopulationModel:
        """The model that `parts` came from.

        Raises:
            ValueError: weights that do not fit the configuration, the vocabulary and the concepts.
        """
        config = _BODY_CONFIG.validate_python(parts.config["network"])
        hazards = HazardsConfig.model_validate(parts.config["hazards"])
        vocabulary = Vocabulary(parts.tables["vocabulary"])
        table = parts.tables["concepts"]
        concepts = tuple(table["concept"].to_list())
        leaves = tuple(table.filter("is_leaf")["concept"].to_list())
        network = make_population_network(config, hazards, vocabulary, concepts)
        try:
            network.load_state_dict({name: torch.tensor(array) for name, array in parts.tensors.items()})
        except RuntimeError as error:
            raise ValueError("the weights do not fit the network") from error
        subjects = parts.tables["subjects"]["subject_id"]
        known = parts.config.get("known_before")
        known_before = datetime.fromisoformat(known) if known else None
        return cls(
            config, hazards, vocabulary, concepts, leaves, network.eval(), subjects, digest, known_before
        )


def make_population_network(
    config: BodyConfig, hazards: HazardsConfig, vocabulary: Vocabulary, concepts: tuple[str, ...]
) -> PopulationNetwork:
    """An untrained network, its weights drawn from torch's generator."""
    body = design_of(config.kind).make_network(config, vocabulary)
    return PopulationNetwork(body, config.width, hazards, track(vocabulary, concepts))


def begin_from(network: nn.Module, population: PopulationModel, *, frozen: bool) -> None:
    """Gives a task's network the body that was pretrained.

    Args:
        network: of a configuration that `population.check_fits`, and of its vocabulary.
        population: the pretrained model.
        frozen: the body is not trained on: its weights take no gradient, and it drops nothing out.
    """
    state = network.state_dict()
    body = population.network.body.state_dict()
    shared = [name for name in state if name.split(".", maxsplit=1)[0] not in TASK_PARTS]
    network.load_state_dict(state | {name: body[name] for name in shared})
    if frozen:
        for name, module in network.named_children():
            if name not in TASK_PARTS:
                module.requires_grad_(requires_grad=False)


def save_population(folder: Path, model: PopulationModel, card: dict[str, Any]) -> Path:
    """Writes a pretrained model as a plain folder; see `phenotype.networks.population_folder`."""
    from phenotype.networks.population_folder import write_folder

    return write_folder(folder, model.parts(), card)


def load_population(folder: Path) -> PopulationModel:
    """A pretrained model whose every file is as it was written.

    Raises:
        BundleError: no such folder, or files that are damaged, foreign or missing.
    """
    from phenotype.networks.population_folder import read_folder, refused_parts

    parts, digest = read_folder(Path(folder))
    try:
        return PopulationModel.from_parts(parts, digest)
    except (KeyError, TypeError, ValueError) as error:
        raise refused_parts(Path(folder), error) from error
