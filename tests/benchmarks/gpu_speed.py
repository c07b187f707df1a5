"""Training on a GPU: real events a second, memory, and the share of the device's arithmetic that is used.

Two causal transformers (width 128 with 4 layers; width 768 with 12 layers, about 110 million parameters with
their tables) on the patients of `long_tailed`, in bfloat16, columns packed end to end: loss with next events,
gradients, clipping, AdamW. Batches lie on the device beforehand: the network alone is measured (loader_speed
measures the loader). Model FLOPs are 6 for each weight of the body and each column, and 12 * width for each
layer and each pair of columns that attends (half of them where causal).

A machine without a CUDA device says so; `--trial` runs the script itself there, on a few small batches.

**Source:** model FLOPs, Chowdhery et al. 2022 (10.48550/arXiv.2204.02311), appendix B; peaks, the makers'
data sheets, dense bfloat16.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from harness import finish
from long_tailed import MOST_EVENTS, make_dataset

from phenotype.networks.config import TransformerConfig
from phenotype.trajectory import open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

if TYPE_CHECKING:
    import torch

    from phenotype.networks.batches import SequenceBatch
    from phenotype.networks.network import Network
    from phenotype.sequences import Sequences

N_PATIENTS, N_BATCHES, N_WARM, N_STEPS = 20_000, 8, 5, 30
SIZES = {"4 layers of 128": (128, 4, 4, 131_072), "12 layers of 768": (768, 12, 12, 32_768)}
"""Width, layers, heads, columns a step."""
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "A10": 125e12, "V100": 125e12}
"""FLOPs a second, dense, bfloat16 (V100: float16)."""


@dataclass(frozen=True)
class Measured:
    """One network's speed.

    Attributes:
        events_a_second: real ones.
        memory_gb: the most that was taken.
        utilisation: model FLOPs a second over the device's peak; None where the peak is not known.
        loss: of the last step.
    """

    events_a_second: float
    memory_gb: float
    utilisation: float | None
    loss: float

    @property
    def words(self) -> str:
        """For a line of figures."""
        share = "peak not known" if self.utilisation is None else f"{self.utilisation:.1%} of model FLOPs"
        return f"{self.events_a_second:,.0f} events/s, {self.memory_gb:.1f} GB, {share}"


def config(width: int, n_layers: int, n_heads: int, columns: int) -> TransformerConfig:
    """A causal transformer that foresees next events."""
    return TransformerConfig.model_validate(
        {
            "width": width,
            "n_layers": n_layers,
            "n_heads": n_heads,
            "dropout": 0.1,
            "max_positions": MOST_EVENTS,
            "min_subjects": 1,
            "batch_positions": columns,
            "summaries": False,
            "next_event_weight": 0.2,
        }
    )


def model_flops(network: Network, batch: SequenceBatch, settings: TransformerConfig) -> float:
    """Of one step: forward and backward through the body, and through the codes that are told apart."""
    import torch

    body = sum(part.numel() for name, part in network.named_parameters() if name.startswith("blocks."))
    lengths = batch.length.double()
    pairs = float((lengths * (lengths + 1) / 2).sum())
    attention = 12 * settings.n_layers * settings.width * pairs
    n_foreseeing = len(torch.unique(batch.next_position))
    codes = 6 * settings.width * len(network.embedding.events.concept_ids) * n_foreseeing  # type: ignore[union-attr]
    return 6 * body * float(lengths.sum()) + attention + codes


def batches_of(
    sequences: Sequences, settings: TransformerConfig, device: torch.device, n_batches: int
) -> list[SequenceBatch]:
    """Some batches of an epoch, on the device."""
    import torch

    from phenotype.networks.batches import SequenceBatch, bucketed, lengths, make_batch

    order = np.random.default_rng(0)
    units = bucketed(lengths(sequences, settings), settings.batch_positions, order)[:n_batches]
    made = (make_batch(sequences, each, settings) for each in units)
    return [SequenceBatch(*(torch.as_tensor(part).to(device) for part in batch)) for batch in made]


def measure(
    sequences: Sequences,
    vocabulary: Vocabulary,
    settings: TransformerConfig,
    device: torch.device,
    n_steps: int,
) -> Measured:
    """Trains some steps and takes the time of all but the first."""
    import torch

    from phenotype.networks.causal_transformer import DESIGN
    from phenotype.networks.targets import RowTargets

    torch.manual_seed(0)
    network = DESIGN.make_network(settings, vocabulary).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    targets = RowTargets.of_labels(np.arange(sequences.n_rows) % 7 == 0)
    batches = batches_of(sequences, settings, device, N_BATCHES)
    answers = [targets.tensors(batch.row.cpu().numpy()) for batch in batches]
    wanted = [type(each)(*(part.to(device) for part in each)) for each in answers]
    costs = [model_flops(network, batch, settings) for batch in batches]
    flops, n_events = 0.0, 0
    started, loss = 0.0, torch.zeros(())
    for step in range(N_WARM + n_steps):
        if step == N_WARM:
            _wait(device)
            started, flops, n_events = time.perf_counter(), 0.0, 0
        batch, target = batches[step % len(batches)], wanted[step % len(batches)]
        with torch.autocast(device.type, torch.bfloat16):
            loss = network.loss(batch, target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        n_events += len(batch.code)
        flops += costs[step % len(batches)]
    _wait(device)
    seconds = time.perf_counter() - started
    taken = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    peak = _peak(device)
    return Measured(n_events / seconds, taken, peak and flops / seconds / peak, float(loss.detach()))


def _wait(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def _peak(device: torch.device) -> float | None:
    """FLOPs a second that the device's maker promises."""
    import torch

    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def main() -> None:
    import torch

    from phenotype.sequences import windows
    from phenotype.token_store import tokenise

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder for the dataset and its store; kept"
    )
    parser.add_argument("--trial", action="store_true", help="a few small batches on any device")
    given = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not given.trial:
        finish(is_shown=None, figures="not run: no CUDA device is present")
    device = torch.device("cuda" if has_gpu else "cpu")
    n_patients = 200 if given.trial else N_PATIENTS
    dataset = open_dataset(make_dataset(given.out / str(n_patients), n_patients))
    vocabulary = fit_vocabulary(dataset.events(), 1, 10)
    found: dict[str, Measured] = {}
    for name, (width, n_layers, n_heads, columns) in SIZES.items():
        settings = config(width, n_layers, n_heads, columns)
        if given.trial:
            settings = config(32, 2, 2, 2_048)
        store = tokenise(dataset, vocabulary, settings, given.out / "stores")
        n_steps = 2 if given.trial else N_STEPS
        if has_gpu:
            torch.cuda.reset_peak_memory_stats()
        found[name] = measure(windows(store, settings), vocabulary, settings, device, n_steps)
    words = "; ".join(f"{name}: {measured.words}" for name, measured in found.items())
    is_sound = all(math.isfinite(measured.loss) for measured in found.values())
    where = torch.cuda.get_device_name(device) if has_gpu else "no CUDA device, a trial of the script"
    finish(is_shown=is_sound if has_gpu and not given.trial else None, figures=f"{where}: {words}")


if __name__ == "__main__":
    main()
