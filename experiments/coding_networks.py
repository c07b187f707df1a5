"""One network for all groups of codes: the two-axis network with an output for every answer, out of fold.

Shapes: R row, O answer.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from experiments.coding_asked import Asked, save_array
from experiments.coding_trees import Answers
from experiments.pretraining import Pretraining
from experiments.training_data import RowData, choose_rows
from experiments.training_loop import train_to_its_end
from ontology.errors import Problem, TaskError
from phenotype.cases import Cases
from phenotype.coding.expected.config import ExpectedConfig, NetworkSettings
from phenotype.networks.batches import bucketed
from phenotype.networks.config import AuxiliaryTarget
from phenotype.networks.network import log_odds
from phenotype.networks.targets import RowTargets
from phenotype.networks.two_axis import DESIGN, TwoAxisNetwork
from phenotype.networks.two_axis_config import TwoAxisConfig
from phenotype.sequences import make_sequences, readable_events
from phenotype.threads import torch_threads
from phenotype.token_store import tokenise
from phenotype.vocabulary import Vocabulary, fit_vocabulary

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PREDICT_POSITIONS = 8192
FOLDER = "network"


class GroupsNetwork(TwoAxisNetwork):
    """Panels -> the logit of every answer.

    Args:
        config: sizes; it has an auxiliary target for every answer but the first.
        vocabulary: its tokens are the variables.
        shares: (O,) of the training rows that each answer is yes of: where the outputs begin.
    """

    def __init__(self, config: TwoAxisConfig, vocabulary: Vocabulary, shares: Floats) -> None:
        super().__init__(config, vocabulary)
        with torch.no_grad():
            self.out_bias.copy_(torch.tensor([log_odds(float(share)) for share in shares])[None])

    def answers(self, outputs: Tensor) -> Tensor:
        """The mean over members of each answer's logit, (R, M * O) -> (R, O)."""
        n_members = self.config.n_members
        return outputs.view(len(outputs), n_members, outputs.shape[1] // n_members).mean(1)


def network_config(settings: NetworkSettings, n_answers: int, exclude: tuple[str, ...]) -> TwoAxisConfig:
    """The two-axis network's settings with room for so many answers."""
    others = tuple(AuxiliaryTarget(code=f"answer {number}", within_days=1) for number in range(1, n_answers))
    return TwoAxisConfig(
        max_variables=settings.max_variables,
        width=settings.width,
        n_members=settings.n_members,
        n_queries=settings.n_queries,
        max_epochs=settings.max_epochs,
        patience=settings.patience,
        learning_rate=settings.learning_rate,
        min_subjects=settings.min_subjects,
        exclude=exclude,
        auxiliary=others,
        max_rows_per_subject=None,
    )


def answers_of_network(asked: Asked, config: ExpectedConfig, settings: NetworkSettings) -> Floats:
    """(n, 3 K) logits out of fold, column by column as `Asked.answers`.

    Raises:
        TaskError: no code is frequent enough, or the training diverged.
    """
    answers = asked.answers()
    folder = asked.place / FOLDER / settings.digest
    folder.mkdir(parents=True, exist_ok=True)
    logits = np.empty((len(asked.row), len(answers)))
    for number, (train, tuning, held_out) in enumerate(asked.folds):
        file = folder / f"{number}.npy"
        if not file.exists():
            of_network = network_config(settings, len(answers), config.exclude)
            network, vocabulary = fit_groups(
                asked, of_network, answers, train, tuning, config.seed + number, folder / f"fold-{number}"
            )
            save_array(file, _logits(network, vocabulary, of_network, asked, held_out))
            logger.info("expectations: network of fold %d of %d", number + 1, config.n_folds)
        logits[held_out] = np.load(file)
    return logits


def fit_groups(  # noqa: PLR0917 what is trained on what, where
    asked: Asked,
    config: TwoAxisConfig,
    answers: list[Answers],
    train: Ints,
    tuning: Ints,
    seed: int,
    folder: Path,
) -> tuple[GroupsNetwork, Vocabulary]:
    """The network of one fold at its best tuning loss, taken up where its checkpoint stands.

    Args:
        asked: stays, groups, view.
        config: of `network_config`.
        answers: of all stays.
        train: numbers of the training stays.
        tuning: numbers of the stays that decide when to stop.
        seed: of weights, order and dropout.
        folder: for tokens and checkpoints.
    """
    parts = [_rows(asked, answers, some) for some in (train, tuning)]
    vocabulary = fit_vocabulary(readable_events(parts[0][0], config), config.min_subjects, config.n_bins)
    if not vocabulary.tokens.height:
        raise TaskError(
            Problem(
                "the network has nothing to read: no code is frequent enough",
                where="network.min_subjects",
                found=f"no code among {config.min_subjects} training patients",
                allowed="at least one code that so many training patients have",
                next_step="lower min_subjects, use more patients, or leave the network out",
            )
        )
    told = []
    for cases, targets in parts:
        subjects = cases.rows["subject_id"].unique().sort().to_numpy()
        store = tokenise(cases.dataset, vocabulary, config, folder / "tokens", subjects=subjects)
        told.append(choose_rows(cases, targets, vocabulary, config, seed, store))
    shares = _shares(answers, train)
    data = RowData(told[0], told[1], DESIGN, config, seed)

    def module() -> Pretraining:
        """The network with the scales of its training rows."""
        torch.manual_seed(seed)
        network = GroupsNetwork(config, vocabulary, shares)
        if DESIGN.prepare:
            DESIGN.prepare(network, data.train.sequences, config)
        return Pretraining(network, config, seed, data.n_steps, "log_loss")

    trained = train_to_its_end(module, data, folder / data.digest(vocabulary))
    return cast("GroupsNetwork", trained.best_network()), vocabulary


def left_out(
    asked: Asked,
    config: ExpectedConfig,
    settings: NetworkSettings,
    fold: int,
    questions: dict[str, tuple[int, int, list[str]]],
) -> dict[str, dict[str, float]]:
    """How much less a fold's network expects each answer with all events of one code left out.

    Args:
        asked: stays, groups, view.
        config: the settings.
        settings: of the network.
        fold: whose network answers; it was trained before, or is now.
        questions: name -> number of the stay, number of the answer, codes that are left out one by one.

    Returns:
        name -> code -> the logit with all events less that without those of the code.

    **Source:** deletion of what was recorded, as the network is trained with (`phenotype.explain.games`).
    """
    answers = asked.answers()
    train, tuning, _ = asked.folds[fold]
    of_network = network_config(settings, len(answers), config.exclude)
    place = asked.place / FOLDER / settings.digest / f"fold-{fold}"
    network, vocabulary = fit_groups(asked, of_network, answers, train, tuning, config.seed + fold, place)
    found = {}
    with torch_threads(of_network.n_threads), torch.inference_mode():
        for name, (stay, answer, wanted) in questions.items():
            row = asked.cases.rows[int(asked.row[stay])]
            sequences = make_sequences(Cases(asked.cases.dataset, row), vocabulary, of_network, alone=True)
            start = int(sequences.static_start[0])
            code = sequences.code[start : start + int(sequences.n_events()[0])]
            codes = np.array(
                [one for one in np.unique(code) if sequences.codes[int(one)] in wanted], np.int64
            )
            keep = np.concatenate([np.ones((1, len(code)), bool), code[None] != codes[:, None]])
            batch = DESIGN.make_batch(sequences, np.zeros(len(keep), np.int64), of_network, keep.ravel())
            logits = network.answers(network(batch))[:, answer].double().numpy()
            found[name] = {
                sequences.codes[int(one)]: float(logits[0] - logits[place + 1])
                for place, one in enumerate(codes)
            }
    return found


def _rows(asked: Asked, answers: list[Answers], stays: Ints) -> tuple[Cases, RowTargets]:
    """The prediction rows of some stays, each once, with the answers; NaN where it is not asked."""
    rows, first = np.unique(asked.row[stays], return_index=True)
    chosen = stays[first]
    labels = np.stack([answer.labels[chosen] for answer in answers], axis=1).astype(np.float32)
    is_asked = np.stack([answer.asked[chosen] for answer in answers], axis=1)
    labels[~is_asked] = np.nan
    targets = RowTargets.of_labels(answers[0].labels[chosen])
    return Cases(asked.cases.dataset, asked.cases.rows[rows]), replace(
        targets, auxiliary=labels[:, 1:].copy()
    )


def _shares(answers: list[Answers], train: Ints) -> Floats:
    return np.array(
        [
            (answer.labels[train] & answer.asked[train]).sum() / max(int(answer.asked[train].sum()), 1)
            for answer in answers
        ]
    )


def _logits(
    network: GroupsNetwork, vocabulary: Vocabulary, config: TwoAxisConfig, asked: Asked, stays: Ints
) -> Floats:
    """The logits of every answer of some stays, (m, O)."""
    rows, place = np.unique(asked.row[stays], return_inverse=True)
    sequences = make_sequences(Cases(asked.cases.dataset, asked.cases.rows[rows]), vocabulary, config)
    found = np.empty((sequences.n_rows, network.out.shape[-1]))
    with torch_threads(config.n_threads), torch.inference_mode():
        for units in bucketed(DESIGN.lengths(sequences, config), _PREDICT_POSITIONS):
            batch = DESIGN.make_batch(sequences, units, config, None)
            found[batch.row.numpy()] = network.answers(network(batch)).double().numpy()
    return np.asarray(found[place])
