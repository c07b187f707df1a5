"""Foreseeing the next events: likelihood, gradients in pieces, a sample of codes, and what is not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch
from torch import Tensor

from phenotype.networks import next_event
from phenotype.networks.batches import make_batch
from phenotype.networks.network import Targets
from phenotype.networks.next_event import Following, NextEvent, unlikely_in_cache
from phenotype.networks.stream import share_of_next_events
from phenotype.vocabulary import TOKENS, Vocabulary


def vocabulary(n_tokens: int) -> Vocabulary:
    """Every third token has three bins of values."""
    edges = [[0.0, 1.0] if token % 3 == 0 else None for token in range(n_tokens)]
    names = [f"T//{token:05d}" for token in range(n_tokens)]
    frame = pl.DataFrame({"token": names, "n_subjects": 1, "concepts": [[name] for name in names]})
    scales = frame.with_columns(
        pl.lit(0.0).alias("median"), pl.lit(1.0).alias("scale"), pl.Series("edges", edges), unit=None
    )
    return Vocabulary(scales.select(pl.col(name).cast(dtype) for name, dtype in TOKENS.items()))


def drawn(n_tokens: int, n: int = 40, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """A head with random weights, states of 16 positions, and what they foresee."""
    torch.manual_seed(0)
    words = vocabulary(n_tokens)
    head = NextEvent(8, words).to(dtype)
    for weight in head.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    code = torch.randint(0, n_tokens, (n,))
    offsets = torch.from_numpy(words.bin_offsets)
    value_bin = torch.where(code % 3 == 0, offsets[code] + torch.randint(0, 3, (n,)), 0)
    place = torch.randint(0, 16, (n,))
    return {
        "head": head,
        "states": torch.randn(16, 8, dtype=dtype, requires_grad=True),
        "following": Following(place, code, value_bin, torch.rand(n, dtype=dtype)),
        "codes": torch.randn(n_tokens, 8, dtype=dtype, requires_grad=True),
        "bins": torch.randn(words.n_bins, 8, dtype=dtype, requires_grad=True),
    }


def by_hand(parts: dict[str, Any], offsets: npt.NDArray[np.int64]) -> float:
    """Event by event: less the log of the code's share of all codes, and of the bin's of the code's bins."""
    head, states, codes, bins = (parts[name] for name in ("head", "states", "codes", "bins"))
    total = 0.0
    for place, code, value_bin, share in zip(*(part.tolist() for part in parts["following"]), strict=True):
        scores = torch.exp(codes @ head.code(states[place]) + head.code_level)
        likelihood = scores[code] / scores.sum()
        if value_bin:
            own = slice(int(offsets[code]), int(offsets[code + 1]))
            marks = torch.exp(bins[own] @ head.bin(states[place]) + head.bin_level[own])
            likelihood = likelihood * marks[value_bin - own.start] / marks.sum()
        total -= share * likelihood.log().item()
    return total


def test_the_loss_is_that_of_each_event_by_hand() -> None:
    parts = drawn(30)
    expected = by_hand(parts, vocabulary(30).bin_offsets)
    head = parts.pop("head")
    assert head(**parts).item() == pytest.approx(expected, rel=1e-10)
    with torch.no_grad():
        assert head(**parts).item() == pytest.approx(expected, rel=1e-10), "also without gradients"


@pytest.mark.parametrize("rows_in_cache", [1, 27, 1 << 19])
def test_gradients_in_pieces_are_those_of_the_whole(
    rows_in_cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many positions are worked on at once; gradcheck compares with differences of the loss."""
    monkeypatch.setattr(next_event, "_ROWS_IN_CACHE", rows_in_cache)
    parts = drawn(9)
    level = torch.randn(9, dtype=torch.float64, requires_grad=True)
    following = parts["following"]
    assert torch.autograd.gradcheck(
        lambda states, codes, levels: unlikely_in_cache(states, codes, levels, following),
        (parts["states"], parts["codes"], level),
    )


def test_a_sample_of_codes_stands_for_all_of_them() -> None:
    """1 / likelihood, the partition sum over the score, is the whole softmax's in the mean of samples."""
    parts = drawn(400, n=1)
    head, following = parts.pop("head"), parts["following"]
    following = following._replace(share=torch.ones_like(following.share), value_bin=following.code * 0)
    given = parts | {"following": following}
    with torch.no_grad():
        exact = head(**given).exp().item()
        head.n_classes = 50
        sampled = [head(**given).exp().item() for _ in range(3000)]
    error = float(np.std(sampled) / np.sqrt(len(sampled)))
    assert abs(np.mean(sampled) - exact) < 4 * error
    assert error < 0.05 * exact


@pytest.mark.parametrize(
    ("kind", "position"), [("transformer", "time_point"), ("transformer", "event"), ("gru", "time_point")]
)
@pytest.mark.parametrize("reading", ["alone", "shared"])
def test_what_is_foreseen_is_not_seen(
    small: Any, tmp_path: Path, kind: str, position: str, reading: str
) -> None:
    """The state that foresees a time point is the same whatever comes at it and after it."""
    events = small.history()
    cases = small.cases(tmp_path / "a", events)
    settings = {"position": position, "reading": reading, "next_event_weight": 0.2, "max_positions": 64}
    model = small.untrained(cases, kind, summaries=False, **settings)
    known = pl.coalesce("known_time", "time")
    is_from_6 = (known >= small.hour(6.0)).fill_null(value=False)
    swapped = pl.when(is_from_6 & (pl.col("code") != "MEDS_BIRTH")).then(pl.lit("LAB//0")).otherwise("code")
    other = small.cases(tmp_path / "b", events.with_columns(code=swapped))
    network: Any = model.networks[0]
    found = []
    for some in (cases, other):
        sequences = model.sequences(some)
        batch = make_batch(sequences, np.arange(sequences.n_units), model.config)
        with torch.no_grad():
            x = network.embedding(batch, network.embedding.events.codes())
            columns = network.read_all(x, batch)
        found.append((batch, columns))
    (batch, columns), (_, changed) = found
    hours = batch.gap_hours.new_tensor(6.0)
    origin = _hour_of(batch, model.sequences(cases), reading)
    is_before = origin.flatten()[batch.next_position] < hours
    assert 0 < int(is_before.sum()) < len(is_before)
    places = batch.next_position[is_before]
    torch.testing.assert_close(columns[places], changed[places], atol=1e-6, rtol=1e-6)


def _hour_of(batch: Any, sequences: Any, reading: str) -> Tensor:
    """Hours since the start of each column, (U, T), from the prediction time or the window's first event."""
    start = np.datetime64("2020-01-01", "us").astype(np.int64)
    row = sequences.first_row[:-1]
    if reading == "alone":
        origin = (sequences.prediction[row] - start) / 3.6e9
    else:
        first = np.minimum(sequences.recent_start, len(sequences.known) - 1)
        has = sequences.end > sequences.recent_start
        origin = np.where(has, (sequences.known[first] - start) / 3.6e9, 0.0)
    hours: Tensor = torch.from_numpy(origin)[:, None] + batch.hours
    return torch.where(batch.kind == 3, hours, torch.zeros_like(hours))


def test_units_count_as_much_as_their_rows(small: Any, tmp_path: Path) -> None:
    """Losses of parts add up to the whole's by the weights of their rows."""
    rows = [(subject, float(hours)) for subject in range(30) for hours in range(0, 12, 2)]
    cases = small.cases(tmp_path, small.history(), rows)
    model = small.untrained(cases, reading="shared", next_event_weight=0.3, max_positions=64)
    sequences, network = model.sequences(cases), model.networks[0]
    weight = torch.from_numpy(np.random.default_rng(0).random(len(rows)).astype(np.float32))

    def loss(units: Any) -> tuple[float, float]:
        batch = make_batch(sequences, units, model.config)
        own = weight[batch.row]
        label = (batch.row % 3 == 0).float()
        targets = Targets(label, label.long(), torch.ones_like(own), own, torch.zeros(len(own), 0))
        return network.loss(batch, targets).item(), own.sum().item()

    units = np.arange(sequences.n_units)
    whole, total = loss(units)
    parts = [loss(some) for some in (units[:7], units[7:19], units[19:])]
    assert whole == pytest.approx(sum(part * share for part, share in parts) / total, rel=1e-5)


def test_time_points_count_alike_within_a_unit(small: Any, tmp_path: Path) -> None:
    """1 h (static facts foresee it), 2 h with three events, 3 h: each of three hours counts a third."""
    rows = [(0, None, "SEX//male", None, None)]
    rows += [
        (0, small.hour(h), code, None, None) for h, code in [(1, "A"), (2, "A"), (2, "B"), (2, "C"), (3, "B")]
    ]
    cases = small.cases(tmp_path, small.events(rows), [(0, 4.0)])
    model = small.untrained(cases, next_event_weight=0.2)
    batch = make_batch(model.sequences(cases), np.array([0]), model.config)
    share = share_of_next_events(batch, torch.tensor([2.5]))
    assert share.tolist() == pytest.approx([1 / 3, 1 / 9, 1 / 9, 1 / 9, 1 / 3])
