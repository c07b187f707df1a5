"""Fits a network of any kind: vocabulary, rows, one training a seed, each resumed where it was killed."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.training_data import RowData, choose_rows
from experiments.training_loop import train_to_its_end
from experiments.training_module import TrainedNetwork
from experiments.training_scores import measure_for
from experiments.training_trainer import OnEpoch, is_compiled
from ontology.errors import Problem, TaskError
from phenotype.cases import Cases
from phenotype.fitting_rows import check_labels
from phenotype.networks.config import NetworkConfig
from phenotype.networks.model import NetworkModel, design_of
from phenotype.networks.network import Network
from phenotype.networks.targets import RowTargets
from phenotype.sequences import readable_events
from phenotype.token_store import TokenStore, tokenise
from phenotype.vocabulary import Vocabulary, fit_vocabulary

if TYPE_CHECKING:
    from phenotype.networks.population import PopulationModel

logger = logging.getLogger(__name__)


def fit_network(  # noqa: PLR0917 every fit takes these in this order
    config: NetworkConfig,
    train: Cases,
    train_targets: RowTargets,
    tuning: Cases,
    tuning_targets: RowTargets,
    seed: int,
    folder: Path,
    on_epoch: OnEpoch | None = None,
) -> NetworkModel:
    """Networks at their best tuning scores; on a CPU equal arguments give equal weights, bit for bit.

    Args:
        config: the settings; `n_seeds` networks are trained and answer together.
        train: training rows; the vocabulary is fitted on their patients alone.
        train_targets: what came of them.
        tuning: rows that decide when to stop.
        tuning_targets: what came of them; where their labels are one-sided the log loss decides.
        seed: of the first network's weights, its order of rows, dropout and event dropout.
        folder: for checkpoints, one after each epoch. A training that was killed is taken up there if its
            data, settings and seed are the same, and ends with the weights that it would have had.
        on_epoch: is told each epoch's number and tuning score (lower is better), seed after seed.

    Raises:
        TaskError: one-sided training labels, no code that is frequent enough, or a training that diverged.
    """
    check_labels(train_targets.labels, tuning_targets.labels)
    population = _pretrained(config)
    vocabulary = (
        population.vocabulary
        if population
        else fit_vocabulary(readable_events(train, config), config.min_subjects, config.n_bins)
    )
    if not vocabulary.tokens.height:
        raise _nothing_to_read(config)
    if config.auxiliary:
        from phenotype.networks.auxiliary import auxiliary_targets

        train_targets = replace(train_targets, auxiliary=auxiliary_targets(train, config.auxiliary))
    stores = [_tokens(cases, vocabulary, config, Path(folder)) for cases in (train, tuning)]
    judged = choose_rows(tuning, tuning_targets, vocabulary, config, seed, stores[1])
    networks = []
    for number in range(config.n_seeds):
        learnt = choose_rows(train, train_targets, vocabulary, config, seed + number, stores[0])
        data = RowData(learnt, judged, design_of(config.kind), config, seed + number)
        networks.append(
            train_network(data, vocabulary, Path(folder), population=population, on_epoch=on_epoch)
        )
    return NetworkModel(config, vocabulary, tuple(networks))


def _tokens(cases: Cases, vocabulary: Vocabulary, config: NetworkConfig, folder: Path) -> TokenStore:
    """The events of these patients as tokens on disk, made once for all networks."""
    subjects = cases.rows["subject_id"].unique().sort().to_numpy()
    return tokenise(cases.dataset, vocabulary, config, folder / "tokens", subjects=subjects)


def train_network(
    data: RowData,
    vocabulary: Vocabulary,
    folder: Path,
    *,
    population: PopulationModel | None = None,
    on_epoch: OnEpoch | None = None,
) -> Network:
    """One network, trained to its end from where its checkpoint stands, at its best tuning score.

    Args:
        data: rows, design, settings and seed.
        vocabulary: what its tokens mean.
        folder: for checkpoints; each training has a folder of its own in it, named by all that it depends on.
        population: a population-wide model whose body it begins with.
        on_epoch: is told each epoch's number and tuning score, also of epochs that were trained before; not
            of one that diverged.

    Raises:
        TaskError: the training diverged.
    """
    config = data.config

    def make_training() -> TrainedNetwork:
        """The untrained network, or the one that begins with what was learnt of the population."""
        network = data.design.make_network(config, vocabulary)
        if data.design.prepare:
            data.design.prepare(network, data.train.sequences, config)
        network.start_from(data.prevalence, data.train.targets.horizon_hours)
        if population:
            from phenotype.networks.population import begin_from

            begin_from(network, population, frozen=getattr(config, "frozen", False))
        measure = measure_for(data.tuning.targets.labels, config.stop_on)
        if measure != config.stop_on:
            logger.warning("%s: tuning rows are one-sided, so the log loss decides", config.kind)
        return TrainedNetwork(network, config, data.seed, data.n_steps, measure, compiles=is_compiled(config))

    place = Path(folder) / data.digest(vocabulary, population.digest if population else "")
    return train_to_its_end(make_training, data, place, on_epoch).best_network()


def _pretrained(config: NetworkConfig) -> PopulationModel | None:
    """The population-wide model that the configuration names, once it is seen to fit."""
    place = getattr(config, "pretrained", None)
    if place is None:
        return None
    from phenotype.networks.population import load_population

    population = load_population(place)
    population.check_fits(config)
    return population


def _nothing_to_read(config: NetworkConfig) -> TaskError:
    return TaskError(
        Problem(
            "the network has nothing to read: no code is frequent enough",
            where="min_subjects",
            found=f"no code among {config.min_subjects} training patients",
            allowed="at least one code that so many training patients have",
            next_step="lower min_subjects, or use more patients",
        )
    )
