"""Futures sampled from a population-wide model, on request: what might be recorded next, event after event.

Each future is one possible continuation; shares among many futures are noisy where a risk read in one pass is
not. Codes that are recorded together in life come one after the other here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from phenotype.cases import ROWS, Cases
from phenotype.networks.marked_hazards import interval_of
from phenotype.networks.population import PopulationModel
from phenotype.ranges import Ints
from phenotype.sequences import make_sequences, readable_events
from phenotype.threads import torch_threads
from phenotype.tokens import NEVER, Tokens, tokens_of
from phenotype.trajectory import DEATH_CODE, INSTANT, Dataset
from phenotype.vocabulary import Vocabulary

FUTURES = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "future": pl.Int32(),
        "time": INSTANT,
        "code": pl.String(),
        "numeric_value": pl.Float32(),
    }
)
"""numeric_value is the middle of the drawn value bin, null where the code has no value."""
MICROSECONDS_PER_HOUR = 3.6e9
_NOWHERE = Dataset(Path())
"""Futures lie in no dataset: their tokens are given."""


def sample_futures(  # noqa: PLR0917 of what, how many, until when, by which chance
    model: PopulationModel,
    cases: Cases,
    n_futures: int,
    horizon_hours: float,
    seed: int,
    max_events: int = 1000,
) -> pl.DataFrame:
    """Futures of every case until the horizon, death, or max_events events.

    Args:
        model: the pretrained model.
        cases: the rows; a future begins at the prediction time, with what was known then.
        n_futures: of each case.
        horizon_hours: where they end.
        seed: the same seed gives the same futures, whatever other cases are asked.
        max_events: of one future.

    Returns:
        Columns of FUTURES, sorted by subject_id, prediction_time, future and time.

    **Source:** inversion of the cumulative hazard, Bender et al. 2005, doi:10.1002/sim.2059.
    """
    events = readable_events(cases, model.config).collect(engine="in-memory")
    tokens = tokens_of(events, model.vocabulary, model.config)
    drawer = _Drawer.of(model)
    parts = [pl.DataFrame(schema=FUTURES)]
    for subject, time in cases.rows.select("subject_id", "prediction_time").iter_rows():
        begin = int(pl.Series([time], dtype=INSTANT).cast(pl.Int64)[0])
        futures = [
            _Future(np.random.default_rng([seed, abs(subject), abs(begin), number]), begin)
            for number in range(n_futures)
        ]
        found = np.flatnonzero(tokens.subject == subject)
        place = int(found[0]) if len(found) else -1
        end = begin + int(horizon_hours * MICROSECONDS_PER_HOUR)
        going = list(futures)
        for _ in range(max_events):
            if not going:
                break
            states = drawer.states(tokens, place, begin, going)
            going = [
                future for future, state in zip(going, states, strict=True) if drawer.step(future, state, end)
            ]
        for number, future in enumerate(futures):
            parts.append(drawer.told(future, subject, begin, number))
    return pl.concat(parts).sort("subject_id", "prediction_time", "future", "time", maintain_order=True)


@dataclass
class _Future:
    """One future as far as it was drawn.

    Attributes:
        draw: its own chance.
        now: microseconds of its last event.
        token, value_bin, known: of its events.
    """

    draw: np.random.Generator
    now: int

    def __post_init__(self) -> None:
        self.token: list[int] = []
        self.value_bin: list[int] = []
        self.known: list[int] = []


@dataclass(frozen=True)
class _Drawer:
    """Draws next events from states.

    Attributes:
        model: whose hazards.
        leaf: (L,) numbers of the concepts that are drawn.
        token: (L,) their tokens.
        mark: (L,) their places among valued concepts, -1 for none.
        middle: (bins,) robust z-score and plain value of each bin's middle.
    """

    model: PopulationModel
    leaf: Ints
    token: Ints
    mark: Ints
    middle: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

    @classmethod
    def of(cls, model: PopulationModel) -> _Drawer:
        """Of a model's leaves."""
        names = {name: token for token, name in enumerate(model.vocabulary.tokens["token"])}
        number = {concept: place for place, concept in enumerate(model.concepts)}
        token = np.array([names[leaf] for leaf in model.leaves], dtype=np.int64)
        leaf = np.array([number[leaf] for leaf in model.leaves], dtype=np.int64)
        return cls(model, leaf, token, model.tracked.mark_of_token[token], _middles(model.vocabulary))

    def states(self, tokens: Tokens, place: int, begin: int, futures: list[_Future]) -> torch.Tensor:
        """The state of each future at its last event, (F, H)."""
        grown = _grown(tokens, place, begin, futures, self.middle[0])
        rows = pl.DataFrame(
            {
                "subject_id": np.arange(len(futures)),
                "prediction_time": pl.Series([future.now for future in futures]).cast(INSTANT),
                "contact_id": pl.Series([None] * len(futures), dtype=pl.Int64),
            },
            schema=ROWS,
        )
        model = self.model
        sequences = make_sequences(
            Cases(_NOWHERE, rows), model.vocabulary, model.config, alone=True, store=grown
        )
        return torch.from_numpy(model.states_of(sequences))

    def step(self, future: _Future, state: torch.Tensor, end: int) -> bool:
        """Draws the next event; false where the future is over."""
        hazards = self.model.network.hazards
        with torch_threads(1), torch.inference_mode():
            rates = hazards.log_hazards(state[None])[0, self.leaf].double().exp().numpy()
            edges = hazards.edges.double().numpy()
            waits = waiting_hours(rates, edges, future.draw.exponential(size=len(rates)))
            first = int(np.argmin(waits))
            if future.now + waits[first] * MICROSECONDS_PER_HOUR > end:
                return False
            value_bin = self._value_bin(first, float(waits[first]), state, future.draw)
        future.now += max(int(waits[first] * MICROSECONDS_PER_HOUR), 1)
        future.token.append(int(self.token[first]))
        future.value_bin.append(value_bin)
        future.known.append(future.now)
        return bool(self.model.concepts[self.leaf[first]] != DEATH_CODE)

    def _value_bin(self, leaf: int, wait: float, state: torch.Tensor, draw: np.random.Generator) -> int:
        """The value bin of an event that comes after a wait; 0 where the code has no values."""
        if self.mark[leaf] < 0:
            return 0
        hazards, tracked = self.model.network.hazards, self.model.tracked
        interval = interval_of(torch.tensor([[wait]]), hazards.edges).expand(1, len(tracked.valued))
        shares = hazards.mark_logits(state[None], interval)[0, self.mark[leaf]].double().softmax(-1).numpy()
        chosen = int(np.searchsorted(np.cumsum(shares), draw.random()))
        last = int(tracked.n_bins[self.mark[leaf]]) - 1
        return int(tracked.first_bin[self.token[leaf]]) + min(chosen, last)

    def told(self, future: _Future, subject: int, begin: int, number: int) -> pl.DataFrame:
        """A future as rows of FUTURES."""
        names = self.model.vocabulary.tokens["token"]
        n = len(future.known)
        values = self.middle[1][np.array(future.value_bin, dtype=np.int64)]
        return pl.DataFrame(
            {
                "subject_id": [subject] * n,
                "prediction_time": pl.Series([begin] * n, dtype=pl.Int64).cast(INSTANT),
                "future": pl.Series([number] * n, dtype=pl.Int32),
                "time": pl.Series(future.known, dtype=pl.Int64).cast(INSTANT),
                "code": names[future.token].to_list(),
                "numeric_value": pl.Series(values, dtype=pl.Float32).fill_nan(None),
            },
            schema=FUTURES,
        )


def waiting_hours(
    rates: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], exponentials: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """When cumulative hazards reach unit exponentials, hours, (L,).

    Args:
        rates: (L, K) hazards an hour.
        edges: (K,) hours at which intervals begin.
        exponentials: (L,).
    """
    lengths = np.append(np.diff(edges), np.inf)
    inside = rates[:, :-1] * lengths[:-1]
    reached = np.concatenate([np.zeros((len(rates), 1)), np.cumsum(inside, axis=1)], axis=1)
    interval = (reached[:, 1:] <= exponentials[:, None]).sum(axis=1)
    each = np.arange(len(rates))
    with np.errstate(divide="ignore"):
        further = (exponentials - reached[each, interval]) / rates[each, interval]
    return np.asarray(edges[interval] + further)


def _middles(vocabulary: Vocabulary) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The middle of each value bin as z-score and as value; outer bins are as wide as their neighbours."""
    scores = np.zeros(vocabulary.n_bins, dtype=np.float32)
    values = np.full(vocabulary.n_bins, np.nan, dtype=np.float32)
    columns = (vocabulary.tokens[name].to_list() for name in ("median", "scale", "edges"))
    for first, median, scale, edges in zip(vocabulary.bin_offsets[:-1], *columns, strict=True):
        if edges is None:
            continue
        inner = np.array(edges)
        widths = np.diff(inner) if len(inner) > 1 else np.array([scale])
        ends = np.concatenate([inner[:1] - widths[:1], inner, inner[-1:] + widths[-1:]])
        middle = (ends[:-1] + ends[1:]) / 2
        values[first : first + len(middle)] = middle
        scores[first : first + len(middle)] = (middle - median) / scale
    return scores, values


def _grown(
    tokens: Tokens, place: int, begin: int, futures: list[_Future], scores: npt.NDArray[np.float32]
) -> Tokens:
    """Tokens of one subject's history with each future behind it, as so many subjects from 0 on."""
    start, dated, stop, age_event = (
        int(part[place]) if place >= 0 else absent
        for part, absent in (
            (tokens.start, 0),
            (tokens.dated_start, 0),
            (tokens.stop, 0),
            (tokens.age_event, -1),
        )
    )
    stop = start + int(np.searchsorted(tokens.known[start:stop], begin, side="right"))
    lengths = np.array([stop - start + len(future.known) for future in futures])
    starts = np.cumsum(lengths) - lengths
    n_futures = len(futures)

    def joined(values: npt.NDArray[Any], added: Callable[[_Future], Any]) -> npt.NDArray[Any]:
        """The history's values and each future's behind them, future after future."""
        parts = [
            np.concatenate([values[start:stop], np.asarray(added(one), values.dtype)]) for one in futures
        ]
        return np.concatenate(parts)

    n_points = int(tokens.step[stop - 1]) + 1 if stop > dated else 0
    return replace(
        tokens,
        subject=np.arange(n_futures),
        start=starts,
        dated_start=starts + dated - start,
        stop=starts + lengths,
        age_event=np.where(age_event >= 0, starts + age_event - start, -1),
        born=np.full(n_futures, tokens.born[place] if place >= 0 else NEVER),
        years=np.full(n_futures, tokens.years[place] if place >= 0 else np.nan),
        token=joined(tokens.token, lambda one: one.token),
        value_bin=joined(tokens.value_bin, lambda one: one.value_bin),
        value=joined(tokens.value, lambda one: scores[np.array(one.value_bin, dtype=np.int64)]),
        known=joined(tokens.known, lambda one: one.known),
        step=joined(tokens.step, lambda one: n_points + np.arange(len(one.known))),
        code=joined(tokens.code, lambda one: np.zeros(len(one.known))),
    )
