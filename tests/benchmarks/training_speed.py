"""Training on one core: real events a second of length-bucketed batches, against padding all to 256.

The same causal transformer (width 128, 4 layers, 4 heads, vocabulary 4,096), the same patients
(`long_tailed`), the same step: batch from the store, loss, gradients, clipping, AdamW, at most 2,056 columns
a step (8 units of 256 positions and a read-out). Both ways take turns in one process with one thread, a few
steps each, and the medians of their events by processor second are compared; once foreseeing next events,
once for the risk only.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import finish
from long_tailed import MOST_EVENTS, make_dataset

from phenotype.networks.config import TransformerConfig
from phenotype.trajectory import open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

if TYPE_CHECKING:
    from phenotype.networks.batches import SequenceBatch
    from phenotype.networks.network import Network
    from phenotype.sequences import Sequences

N_PATIENTS, N_ROUNDS, N_STEPS = 2_000, 9, 4
COLUMNS = MOST_EVENTS + 1
BUDGET = 8 * COLUMNS
BARS = {"next event": 1.8, "risk": 2.3}
_WEIGHTS = {"next event": 0.2, "risk": 0.0}


def config(next_event_weight: float) -> TransformerConfig:
    """The network of both ways."""
    return TransformerConfig.model_validate(
        {
            "width": 128,
            "n_layers": 4,
            "n_heads": 4,
            "dropout": 0.1,
            "max_positions": MOST_EVENTS,
            "min_subjects": 1,
            "batch_positions": BUDGET,
            "summaries": False,
            "next_event_weight": next_event_weight,
        }
    )


def padded(batch: SequenceBatch, width: int) -> SequenceBatch:
    """A batch with padding behind every unit's columns, up to `width` of them."""
    import torch
    import torch.nn.functional as F  # noqa: N812 the field's name

    n_units, narrow = batch.kind.shape

    def wider(values: torch.Tensor, filling: float) -> torch.Tensor:
        return F.pad(values, (0, width - narrow), value=filling)

    def starts(values: torch.Tensor, n_summed: int) -> torch.Tensor:
        of_units = values.view(n_units, narrow)
        ends = torch.cat([of_units[1:, 0], torch.tensor([n_summed])])
        return torch.cat([of_units, ends[:, None].expand(-1, width - narrow)], dim=1).flatten()

    def moved(flat: torch.Tensor) -> torch.Tensor:
        return flat // narrow * width + flat % narrow

    return batch._replace(
        code_start=starts(batch.code_start, len(batch.code)),
        value_start=starts(batch.value_start, len(batch.value_bin)),
        hours=wider(batch.hours, 0.0),
        clock_hours=wider(batch.clock_hours, 0.0),
        gap_hours=wider(batch.gap_hours, 0.0),
        kind=wider(batch.kind, 0),
        rank=wider(batch.rank, 1 << 30),
        age=wider(batch.age, float("nan")),
        read_out=moved(batch.read_out),
        next_position=moved(batch.next_position),
    )


def stepper(sequences: Sequences, settings: TransformerConfig, vocabulary: Vocabulary) -> Callable[..., int]:
    """A function that trains one step on some units and says how many events they have."""
    import torch

    from phenotype.networks.causal_transformer import DESIGN
    from phenotype.networks.targets import RowTargets

    torch.manual_seed(0)
    network: Network = DESIGN.make_network(settings, vocabulary).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    targets = RowTargets.of_labels(np.arange(sequences.n_rows) % 7 == 0)

    def step(units: np.ndarray, *, pads: bool) -> int:
        batch: Any = DESIGN.make_batch(sequences, units, settings, None)
        batch = padded(batch, COLUMNS) if pads else batch
        loss = network.loss(batch, targets.tensors(batch.row.numpy()))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return int(sequences.n_events()[units].sum())

    return step


def rates(out: Path, next_event_weight: float, n_rounds: int) -> dict[str, float]:
    """Median events by processor second: bucketed, and padded to the longest."""
    import torch

    from phenotype.networks.batches import bucketed, lengths
    from phenotype.sequences import windows
    from phenotype.token_store import tokenise

    torch.set_num_threads(1)
    dataset = open_dataset(make_dataset(out / str(N_PATIENTS), N_PATIENTS))
    vocabulary = fit_vocabulary(dataset.events(), 1, 10)
    settings = config(next_event_weight)
    sequences = windows(tokenise(dataset, vocabulary, settings, out / "stores"), settings)
    step = stepper(sequences, settings, vocabulary)
    order = np.random.default_rng(0)
    batches = {
        "bucketed": bucketed(lengths(sequences, settings), BUDGET, order),
        "padded": bucketed(np.full(sequences.n_units, COLUMNS), BUDGET, order),
    }
    found: dict[str, list[float]] = {way: [] for way in batches}
    for number in range(-1, n_rounds):
        for way, units in batches.items():
            started, n_events = time.process_time(), 0
            for place in range(N_STEPS):
                n_events += step(units[(number * N_STEPS + place) % len(units)], pads=way == "padded")
            if number >= 0:
                found[way].append(n_events / (time.process_time() - started))
    return {way: statistics.median(each) for way, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder for the dataset and its store; kept"
    )
    parser.add_argument("--rounds", type=int, default=N_ROUNDS, help="turns of each way")
    given = parser.parse_args()
    is_shown, figures = True, []
    for what, bar in BARS.items():
        measured = rates(given.out, _WEIGHTS[what], given.rounds)
        ratio = measured["bucketed"] / measured["padded"]
        is_shown &= ratio >= bar
        figures.append(
            f"{what}: {measured['bucketed']:,.0f} events by core second bucketed, "
            f"{measured['padded']:,.0f} padded, {ratio:.2f} times (bar {bar})"
        )
    finish(is_shown=is_shown, figures="; ".join(figures))


if __name__ == "__main__":
    main()
