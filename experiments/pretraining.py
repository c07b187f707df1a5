"""Pretrains a population-wide phenotype model on whole trajectories: data, training, the folder it leaves."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from experiments.pretraining_config import PretrainingConfig
from experiments.pretraining_data import (
    Seen,
    TrajectoryRows,
    make_rows,
    marginal_rates,
    readable_dataset,
    records_of,
    seen_subjects,
)
from experiments.training_data import Labelled, RowData
from experiments.training_loop import train_to_its_end
from experiments.training_module import TUNING_SCORE, TrainedNetwork
from ontology.errors import Problem, TaskError
from phenotype.networks.model import design_of
from phenotype.networks.population import PopulationModel, make_population_network, save_population
from phenotype.networks.population_folder import check_place
from phenotype.networks.population_network import PopulationNetwork
from phenotype.next_events import frequent_concepts, recorded_leaves, track
from phenotype.sequences import without
from phenotype.token_store import tokenise
from phenotype.trajectory import Dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

logger = logging.getLogger(__name__)
Say = Callable[[str], None]
_N_MARGINAL = 20_000
"""Read-outs that tell how often things happen at all; the network begins from that."""


def pretrain(config: PretrainingConfig, dataset: Dataset, out: Path, say: Say = logger.info) -> Path:
    """A folder with a population-wide phenotype model; `load_population` reads it.

    On a CPU equal data, settings and seed give equal weights, bit for bit; a pretraining that was killed goes
    on from its last epoch.

    Args:
        config: the settings.
        dataset: where the trajectories are.
        out: the folder to write; tokens and checkpoints lie in .OUT.work beside it until it is whole.
        say: is told what is being done, in plain lines.

    Raises:
        ConfigurationError: something else than a pretrained model stands in `out`, or an instant is given
            for a dataset without true dates.
        TaskError: too few subjects, no code that is frequent enough, or a training that diverged.
    """
    check_place(Path(out))
    work = Path(out).with_name(f".{Path(out).name}.work")
    dataset = readable_dataset(dataset, config)
    seen = seen_subjects(dataset, config)
    vocabulary = _vocabulary(dataset, seen, config)
    stores = [
        tokenise(dataset, vocabulary, config.network, work / "tokens", subjects=subjects.to_numpy())
        for subjects in (seen.train, seen.tuning)
    ]
    dated = np.unique(stores[0].token[stores[0].step >= 0]).astype(np.int64)
    tracked = track(vocabulary, frequent_concepts(vocabulary, dated, config.hazards.n_concepts))
    concepts = tracked.concepts
    train, tuning = (
        make_rows(dataset, store, vocabulary, tracked, config, np.random.default_rng([config.seed, part]))
        for part, store in enumerate(stores)
    )
    say(
        f"{len(seen.train):,} subjects to learn from, {len(seen.tuning):,} to tune; "
        f"{train.sequences.n_rows:,} read-outs, {len(concepts)} concepts, {len(tracked.valued)} with values"
    )
    data = TrajectoryData(train, tuning, config)
    module = _trained(config, vocabulary, concepts, data, work / data.digest(vocabulary), say)
    network = cast("PopulationNetwork", module.best_network())
    leaves = recorded_leaves(vocabulary, dated, concepts)
    model = PopulationModel(
        config.network,
        config.hazards,
        vocabulary,
        concepts,
        leaves,
        network,
        seen.subjects,
        known_before=config.known_before,
    )
    folder = save_population(Path(out), model, _card(config, seen, train, module))
    shutil.rmtree(work, ignore_errors=True)
    return folder


class TrajectoryData(RowData):
    """Batches of windows of whole trajectories.

    Args:
        train: read-outs of the subjects to learn from.
        tuning: read-outs of those that decide when to stop.
        config: the settings.
    """

    def __init__(self, train: TrajectoryRows, tuning: TrajectoryRows, config: PretrainingConfig) -> None:
        rows = cast("Any", train), cast("Any", tuning)
        super().__init__(*rows, design_of(config.network.kind), config.network, config.seed)
        self.pretraining = config

    def digest(self, vocabulary: Vocabulary, begun_from: str = "") -> str:
        """A name for this training: data, settings and seed; equal names mean equal weights."""
        settings = self.pretraining.model_dump(mode="json", exclude={"dataset", "leave_out", "name"})
        total = sha256((json.dumps(settings, sort_keys=True) + begun_from).encode())
        total.update(vocabulary.tokens.write_json().encode())
        total.update(self.train.digest().encode() + self.tuning.digest().encode())
        return total.hexdigest()[:16]


class Pretraining(TrainedNetwork):
    """A network in pretraining: judged by the loss of the tuning subjects' read-outs."""

    def on_validation_epoch_start(self) -> None:
        """The averaged weights are judged without dropout."""
        self.averaged.eval()
        self.lost = torch.zeros(2, dtype=torch.float64, device=self.device)

    def validation_step(self, batch: Labelled, batch_idx: int) -> None:
        """The averaged weights' loss."""
        n_rows = len(batch.batch.row)
        loss = self.averaged.loss(batch.batch, batch.targets).double() * n_rows
        self.lost += torch.stack([loss, loss.new_tensor(float(n_rows))])

    def on_validation_epoch_end(self) -> None:
        """Keeps the averaged weights where they are the best so far."""
        lost, n_rows = cast("Tensor", self.trainer.strategy.reduce(self.lost, reduce_op="sum")).tolist()
        score = lost / max(n_rows, 1)
        loss = cast("Tensor", self.trainer.strategy.reduce(self.epoch_loss, reduce_op="sum"))
        self.tuning_scores[self.current_epoch] = score
        self.train_losses[self.current_epoch] = loss / (self.n_steps / self.config.max_epochs)
        self.log(TUNING_SCORE, torch.tensor(score, dtype=torch.float64), prog_bar=True)
        if score < self.best_score:
            self.best_score.fill_(score)
            self.best.load_state_dict(self.averaged.state_dict())


def _trained(  # noqa: PLR0917 what is trained on what, where
    config: PretrainingConfig,
    vocabulary: Vocabulary,
    concepts: tuple[str, ...],
    data: TrajectoryData,
    place: Path,
    say: Say,
) -> Pretraining:
    """The training brought to its end from where its checkpoint stands."""

    def tell(epoch: int, score: float) -> None:
        """One line an epoch."""
        say(f"  epoch {epoch + 1} of at most {config.network.max_epochs}: tuning loss {score:.4f}")

    return train_to_its_end(
        lambda: _module(config, vocabulary, concepts, data), data, place, tell, tells_past=False
    )


def _module(
    config: PretrainingConfig, vocabulary: Vocabulary, concepts: tuple[str, ...], data: TrajectoryData
) -> Pretraining:
    """An untrained network that answers with what all training subjects together show."""
    network = make_population_network(config.network, config.hazards, vocabulary, concepts)
    rates, marks = marginal_rates(
        cast("TrajectoryRows", data.train), config.hazards.edges, _N_MARGINAL, config.seed
    )
    network.hazards.start_from(torch.from_numpy(rates), torch.from_numpy(marks))
    return Pretraining(network, config.network, config.seed, data.n_steps, "log_loss")


def _vocabulary(dataset: Dataset, seen: Seen, config: PretrainingConfig) -> Vocabulary:
    events = without(records_of(dataset, seen.train), config.network.exclude)
    vocabulary = fit_vocabulary(events, config.network.min_subjects, config.network.n_bins)
    if not vocabulary.tokens.height:
        raise TaskError(
            Problem(
                "the network has nothing to read: no code is frequent enough",
                where="network.min_subjects",
                found=f"no code among {config.network.min_subjects} of {len(seen.train)} subjects",
                allowed="at least one code that so many subjects have",
                next_step="lower network.min_subjects, or use more data",
            )
        )
    return vocabulary


def _card(
    config: PretrainingConfig, seen: Seen, train: TrajectoryRows, module: TrainedNetwork
) -> dict[str, Any]:
    """How the model was made, without paths of this machine or ids."""
    scores = [score for score in module.tuning_scores.tolist() if score == score]  # noqa: PLR0124 not NaN
    return {
        "name": config.name,
        "seed": config.seed,
        "n_subjects": {"train": len(seen.train), "tuning": len(seen.tuning)},
        "n_read_outs": train.sequences.n_rows,
        "n_concepts": len(train.tracked.concepts),
        "leaves_out": config.leave_out is not None,
        "tuning_losses": scores,
        "use": "for research, not a diagnosis",
    }
