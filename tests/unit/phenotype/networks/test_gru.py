"""What the recurrent network promises beside what every kind does: read-outs leave no trace; time points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from phenotype.networks.batches import make_batch
from phenotype.networks.config import GRUConfig


def test_read_outs_leave_no_trace(small: Any, tmp_path: Path) -> None:
    """Twelve risks of one pass are those of twelve passes: no step of a read-out is carried on."""
    rows = [(subject, float(hours)) for subject in range(30) for hours in range(12)]
    cases = small.cases(tmp_path, small.history(), rows)
    model = small.untrained(cases, "gru", reading="shared", max_positions=64)
    together, apart = model.sequences(cases), model.sequences(cases, alone=True)
    assert together.n_units < apart.n_units
    np.testing.assert_allclose(model.logits(together), model.logits(apart), atol=1e-5)


def test_a_read_out_is_the_next_step_of_the_recurrence(small: Any, tmp_path: Path) -> None:
    """Read alone, a read-out stands where the recurrence would go on: torch's own GRU over all columns."""
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, "gru", max_positions=64)
    network: Any = model.networks[0]
    sequences = model.sequences(cases)
    with torch.no_grad():
        for row in range(0, sequences.n_rows, 9):
            batch = make_batch(sequences, np.array([row]), model.config)
            x = network.embedding(batch, network.embedding.events.codes())
            expected = x
            for layer in network.layers:
                expected = expected + layer.gru(layer.norm(expected))[0]
            found = network.read(x, batch)
            torch.testing.assert_close(found, expected[:, -1], atol=1e-5, rtol=1e-5)


def test_a_long_history_is_read_to_its_beginning(small: Any, tmp_path: Path) -> None:
    """The first of 600 hours shows in the risk, and is a position of its own."""
    rows = [(0, small.hour(float(n)), f"LAB//{n % 5}", float(n % 7), None) for n in range(600)]
    cases = small.cases(tmp_path, small.events(rows), [(0, 600.0)])
    model = small.untrained(cases, "gru", max_positions=1024, summaries=False)
    sequences = model.sequences(cases)
    assert sequences.recent_start[0] == sequences.older_start[0]
    keep = np.ones((2, 600), dtype=bool)
    keep[1, 580] = False
    all_of_them, without = model.coalition_logits(sequences, 0, keep)
    assert abs(all_of_them - without) > 1e-4


@pytest.mark.parametrize("reading", ["alone", "shared"])
def test_it_runs_in_any_precision(small: Any, tmp_path: Path, reading: str) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, "gru", reading=reading, next_event_weight=0.2)
    sequences, network = model.sequences(cases), model.networks[0]
    batch = make_batch(sequences, np.arange(sequences.n_units), model.config)
    share = torch.ones(len(batch.next_code)) / 100
    with torch.no_grad():
        single, loss = network(batch, share)
        torch.testing.assert_close(network(batch), single, atol=1e-5, rtol=1e-5)
        double, double_loss = network.double()(batch, share)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(double_loss.float(), loss, atol=1e-5, rtol=1e-5)


def test_single_events_as_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="time_point"):
        GRUConfig.model_validate({"position": "event"})
