"""Events of many subjects as a network's tokens: flat arrays, each subject's events in one range."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.ranges import Ints
from phenotype.trajectory import BIRTH_CODE, EVENT_ORDER, known_time
from phenotype.vocabulary import Vocabulary

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

AGE_CODE = "AGE"
NEVER = np.int64(np.iinfo(np.int64).min)
"""In place of an instant, where there is none."""


@dataclass(frozen=True)
class TokenisedEvents:
    """E events of many subjects, end to end; a subject's stand static facts first, then by when known.

    Attributes:
        token, value_bin: (E,) int32 ids; bin 0 is no value.
        value: (E,) float32 robust z-score, 0 where there is no value.
        known: (E,) int64 microseconds, NEVER for static facts.
        step: (E,) int32 number of the event's time point among its subject's, -1 for static facts.
        code: (E,) int32 number in `codes`.
        codes: the events' own codes, sorted.
    """

    token: npt.NDArray[np.int32]
    value_bin: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    known: Ints
    step: npt.NDArray[np.int32]
    code: npt.NDArray[np.int32]
    codes: list[str]

    def events(self) -> dict[str, Any]:
        """The arrays of events, and the codes' names, by their names here."""
        return {name: getattr(self, name) for name in EVENT_FIELDS}


EVENT_FIELDS = tuple(field.name for field in fields(TokenisedEvents))
"""What is held of events, not of subjects, units or rows."""


@dataclass(frozen=True)
class Tokens(TokenisedEvents):
    """Events of P subjects, each subject's in one range.

    Attributes:
        subject: (P,) int64, ascending.
        start, dated_start, stop: (P,) int64; `[start, dated_start)` are static facts, then come dated ones.
        age_event: (P,) the event that tells the age (a birth before an age in years), -1 where none does.
        born: (P,) microseconds of the birth, NEVER where none is recorded.
        years: (P,) float64 age in years as a static fact, NaN where none is recorded or a birth is.
        made_with: `reading_digest` of the vocabulary and the settings.
    """

    subject: Ints
    start: Ints
    dated_start: Ints
    stop: Ints
    age_event: Ints
    born: Ints
    years: npt.NDArray[np.float64]
    made_with: str

    def release(self) -> None:
        """Gives back what was read, where the arrays lie on disk; here they lie in memory."""


def reading_digest(vocabulary: Vocabulary, config: NetworkConfig) -> str:
    """A name for what tokens depend on beside the events."""
    read = json.dumps([vocabulary.tokens.write_json(), sorted(config.exclude), config.value_limit])
    return hashlib.sha256(read.encode()).hexdigest()


def tokens_of(
    events: pl.DataFrame, vocabulary: Vocabulary, config: NetworkConfig, codes: pl.Series | None = None
) -> Tokens:
    """The tokens of all events that the vocabulary can read, the same for any order of rows.

    The birth and undated facts are static.

    Args:
        events: columns of `phenotype.trajectory.EVENTS`.
        vocabulary: what can be read, and how values are scaled.
        config: whose value_limit ends the scores, and whose exclude left events out.
        codes: sorted and unique, all codes of the events among them; None: the events' own.
    """
    events = vocabulary.encode(events).with_columns(_known_or_static())
    events = events.sort("subject_id", "_known", *EVENT_ORDER[1:], nulls_last=False, maintain_order=True)
    names = events["code"].unique().sort() if codes is None else codes
    token = events["token"].to_numpy()
    values = events["numeric_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    read = np.where(events["reads_value"].to_numpy(), values, np.nan)
    bins, scores = vocabulary.read_values(token, read, config.value_limit)
    known = events["_known"].cast(pl.Int64).fill_null(int(NEVER)).to_numpy().copy()
    owners = events["subject_id"].to_numpy()
    start = np.flatnonzero(np.diff(owners, prepend=owners[:1] - 1)) if len(owners) else np.zeros(0, np.int64)
    stop = np.append(start[1:], len(owners))[: len(start)]
    owner = np.repeat(np.arange(len(start)), stop - start)
    n_static = np.bincount(owner[known == NEVER], minlength=len(start))
    age_event, born, years = _ages(events, values, start, start + n_static)
    return Tokens(
        subject=owners[start],
        start=start,
        dated_start=start + n_static,
        stop=stop,
        age_event=age_event,
        born=born,
        years=years,
        token=token,
        value_bin=bins,
        value=scores,
        known=known,
        step=_steps(known, owner, start),
        code=events["code"].replace_strict(names, np.arange(len(names)), return_dtype=pl.Int32).to_numpy(),
        codes=names.to_list(),
        made_with=reading_digest(vocabulary, config),
    )


def _known_or_static() -> pl.Expr:
    """When an event became known; null for undated facts and for the birth, which is always known."""
    return pl.when(pl.col("code") != BIRTH_CODE).then(known_time()).alias("_known")


def _steps(known: Ints, owner: Ints, start: Ints) -> npt.NDArray[np.int32]:
    """Of each event the number of its time point among its subject's dated ones, -1 for static facts."""
    opens = known != NEVER
    opens[1:] &= (known[1:] != known[:-1]) | (owner[1:] != owner[:-1])
    number = np.cumsum(opens)
    before = number[start] - opens[start] if len(start) else number
    return np.asarray(number - before[owner] - 1 if len(owner) else number, dtype=np.int32)


def _ages(
    events: pl.DataFrame, values: npt.NDArray[np.float64], start: Ints, dated_start: Ints
) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    """Of each subject: the static event that tells the age, the birth, and the age in years."""
    born = events["time"].cast(pl.Int64).fill_null(int(NEVER)).to_numpy()
    is_birth = (events["code"] == BIRTH_CODE).to_numpy() & (born != NEVER)
    is_age = (events["code"] == AGE_CODE).to_numpy() & np.isfinite(values) & (born == NEVER)

    def last_static(is_wanted: npt.NDArray[np.bool_]) -> Ints:
        """The last such event among each subject's static facts, -1 where there is none."""
        number = np.maximum.accumulate(np.where(is_wanted, np.arange(len(born)), -1))
        found = np.full(len(start), -1, dtype=np.int64)
        some = np.flatnonzero(dated_start > start)
        found[some] = number[dated_start[some] - 1]
        return np.where(found >= start, found, -1)

    birth, age = last_static(is_birth), last_static(is_age)
    has_birth, has_age = birth >= 0, (birth < 0) & (age >= 0)
    return (
        np.where(has_birth, birth, age),
        np.where(has_birth, born[birth] if len(born) else NEVER, NEVER),
        np.where(has_age, values[age] if len(born) else np.nan, np.nan),
    )
