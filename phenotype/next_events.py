"""What comes next after each prediction row: when every tracked concept is recorded again, and its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.ranges import Ints
from phenotype.tokens import Tokens
from phenotype.trajectory import DEATH_CODE
from phenotype.vocabulary import Vocabulary

MICROSECONDS_PER_HOUR = 3.6e9


@dataclass(frozen=True)
class Tracked:
    """The concepts whose next event is foretold.

    Attributes:
        concepts: C names, in name order.
        of_token: (V, A) numbers of the tracked concepts that an event with each token is, -1 for none.
        valued: (M,) numbers of those whose values are read.
        mark_of_token: (V,) place in `valued` of each token's own concept, -1 for none.
        first_bin: (V,) first value bin of each token.
        n_bins: (M,) value bins of each valued concept.
    """

    concepts: tuple[str, ...]
    of_token: Ints
    valued: Ints
    mark_of_token: Ints
    first_bin: Ints
    n_bins: Ints


class Next(NamedTuple):
    """What came after each of R rows.

    Attributes:
        hours: (R, C) float32 until the concept's next event, or until the record ends.
        is_seen: (R, C) whether it was the event.
        mark_hours: (R, M) float32 until the next event of each valued concept that has a value.
        mark: (R, M) its value bin, counted from 0; -1 where none is seen.
    """

    hours: npt.NDArray[np.float32]
    is_seen: npt.NDArray[np.bool_]
    mark_hours: npt.NDArray[np.float32]
    mark: Ints


def frequent_concepts(vocabulary: Vocabulary, dated_tokens: Ints, n_concepts: int) -> tuple[str, ...]:
    """At most n_concepts concepts in name order: those that most patients have, and death.

    A concept that always comes with exactly one concept below it (a chapter of which one code is known) says
    nothing more and is left out. What only the ontology has counts as many patients as its commonest code.

    Args:
        vocabulary: of the training patients.
        dated_tokens: tokens that stand at a time in training; concepts of undated facts never come next.
        n_concepts: how many.
    """
    tokens = vocabulary.tokens
    members: dict[str, set[int]] = {}
    lists = tokens["concepts"].to_list()
    for token in sorted({int(one) for one in dated_tokens}):
        for concept in lists[token]:
            members.setdefault(concept, set()).add(token)
    alike: dict[frozenset[int], list[str]] = {}
    for concept, of in sorted(members.items()):
        alike.setdefault(frozenset(of), []).append(concept)
    nearest = [min(names, key=lists[min(of)].index) for of, names in alike.items()]
    counts = dict(zip(tokens["token"], tokens["n_subjects"], strict=True))
    of_token = tokens["n_subjects"].to_list()
    n_subjects = {name: counts.get(name) or max(of_token[one] for one in members[name]) for name in nearest}
    kept = sorted(nearest, key=lambda name: (name != DEATH_CODE, -n_subjects[name], name))
    return tuple(sorted(kept[:n_concepts]))


def recorded_leaves(vocabulary: Vocabulary, dated_tokens: Ints, concepts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the concepts that events are recorded as and that have no other such concept below them."""
    names, lists = vocabulary.tokens["token"].to_list(), vocabulary.tokens["concepts"].to_list()
    recorded = {names[token]: lists[token] for token in np.unique(dated_tokens).tolist()}
    wanted = set(concepts) & set(recorded)
    above = {one for name in wanted for one in recorded[name][1:]}
    return tuple(sorted(wanted - above))


def track(vocabulary: Vocabulary, concepts: tuple[str, ...]) -> Tracked:
    """Numbers of these concepts and of their values, token by token."""
    number = {concept: place for place, concept in enumerate(concepts)}
    lists = [[number[one] for one in of if one in number] for of in vocabulary.tokens["concepts"].to_list()]
    of_token = np.full((len(lists), max(map(len, lists), default=1) or 1), -1, dtype=np.int64)
    for token, of in enumerate(lists):
        of_token[token, : len(of)] = of
    offsets = vocabulary.bin_offsets
    n_bins = np.diff(offsets)
    own = np.array([number.get(name, -1) for name in vocabulary.tokens["token"]], dtype=np.int64)
    tokens = np.flatnonzero((own >= 0) & (n_bins > 0))
    mark_of_token = np.full(len(lists), -1, dtype=np.int64)
    mark_of_token[tokens] = np.arange(len(tokens))
    return Tracked(
        concepts, of_token, own[tokens], mark_of_token, offsets[:-1].astype(np.int64), n_bins[tokens]
    )


def next_events(  # noqa: PLR0917 the arrays of one patient
    tracked: Tracked, token: Ints, value_bin: Ints, known: Ints, times: Ints, end: int
) -> Next:
    """What came after each time in one patient's record.

    Args:
        tracked: the concepts.
        token: (E,) of all dated events of the patient, in the order in which they became known.
        value_bin: (E,) 0 for no value.
        known: (E,) microseconds, ascending.
        times: (R,) microseconds, ascending; an event counts if it became known after the time.
        end: microseconds until which the record is known; later events are not seen.
    """
    n_seen = int(np.searchsorted(known, end, side="right"))
    token, value_bin, known = token[:n_seen], value_bin[:n_seen], known[:n_seen]
    row = np.searchsorted(times, known, side="left") - 1
    after = np.flatnonzero(row >= 0)
    concept = tracked.of_token[token[after]]
    place, level = np.nonzero(concept >= 0)
    found = _earliest(
        row[after][place], concept[place, level], after[place], len(times), len(tracked.concepts)
    )
    mark = tracked.mark_of_token[token[after]]
    has_mark = (mark >= 0) & (value_bin[after] > 0)
    marked = _earliest(row[after][has_mark], mark[has_mark], after[has_mark], len(times), len(tracked.valued))
    hours, is_seen = _hours(found, known, times, end)
    mark_hours, is_marked = _hours(marked, known, times, end)
    bins = np.full(marked.shape, -1, dtype=np.int64)
    event = marked[is_marked]
    bins[is_marked] = value_bin[event] - tracked.first_bin[token[event]]
    return Next(hours, is_seen, mark_hours, bins)


def _earliest(row: Ints, column: Ints, event: Ints, n_rows: int, n_columns: int) -> Ints:
    """The first event at or after each row in each column, (n_rows, n_columns); a huge number for none.

    Args:
        row: the last row before each event.
        column: of each event.
        event: numbers of events, ascending.
        n_rows: R.
        n_columns: C or M.
    """
    first = np.full((n_rows, n_columns), np.iinfo(np.int64).max)
    np.minimum.at(first, (row, column), event)
    return np.asarray(np.minimum.accumulate(first[::-1], axis=0)[::-1])


def _hours(
    event: Ints, known: Ints, times: Ints, end: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Hours from each row's time to its events, or to the end where there is none; and whether there is."""
    is_seen = event < len(known)
    at = np.full(event.shape, end, dtype=np.int64)
    at[is_seen] = known[event[is_seen]]
    hours = np.maximum((at - times[:, None]) / MICROSECONDS_PER_HOUR, 0)
    return hours.astype(np.float32), is_seen


def next_of_rows(tokens: Tokens, tracked: Tracked, place: Ints, times: Ints, ends: Ints) -> Next:
    """What came after each row.

    Args:
        tokens: whole records, later events included.
        tracked: the concepts.
        place: (R,) number in `tokens.subject` of each row's patient; equal numbers stand together.
        times: (R,) microseconds, ascending within a patient.
        ends: (P,) microseconds until which each patient's record is known.
    """
    opens = np.flatnonzero(np.diff(place, prepend=-1))
    parts = []
    for first, last in zip(opens, [*opens[1:], len(place)], strict=True):
        subject = place[first]
        events = slice(tokens.dated_start[subject], tokens.stop[subject])
        parts.append(
            next_events(
                tracked,
                tokens.token[events].astype(np.int64),
                tokens.value_bin[events].astype(np.int64),
                tokens.known[events],
                times[first:last],
                int(ends[subject]),
            )
        )
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return next_events(tracked, nothing, nothing, nothing, nothing, 0)
    return Next(
        np.concatenate([part.hours for part in parts]),
        np.concatenate([part.is_seen for part in parts]),
        np.concatenate([part.mark_hours for part in parts]),
        np.concatenate([part.mark for part in parts]),
    )
