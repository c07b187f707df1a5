"""What comes next: equal to a loop over events, censored at the end of the record, values as bins."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotype.next_events import frequent_concepts, next_events, track
from phenotype.vocabulary import Vocabulary, fit_vocabulary

HOUR = int(3.6e9)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Codes of three systems; LAB//X has values 1-4 in two bins."""
    kinds = ["ICD10//A41.9", "ICD10//A41.0", "ICD10//J18.9", "LAB//X", "MEDS_DEATH", "SEX//male"]
    n = [3, 3, 3, 4, 1, 4]
    rows = [
        (s, kind, float(s + 1) if kind == "LAB//X" else None)
        for kind, m in zip(kinds, n, strict=True)
        for s in range(m)
    ]
    frame = pl.DataFrame(rows, schema=["subject_id", "code", "numeric_value"], orient="row")
    return fit_vocabulary(frame.with_columns(text_value=pl.lit(None, pl.String)).lazy(), 1, 2)


def token_of(vocabulary: Vocabulary, code: str) -> int:
    return vocabulary.tokens["token"].to_list().index(code)


def test_concepts_that_say_the_same_are_kept_once_and_death_always_is(vocabulary: Vocabulary) -> None:
    dated = np.array(
        [
            token_of(vocabulary, c)
            for c in ("ICD10//A41.9", "ICD10//A41.0", "ICD10//J18.9", "LAB//X", "MEDS_DEATH")
        ]
    )
    every = frequent_concepts(vocabulary, dated, 99)
    # ICD10//A is ICD10//A41 for these patients, J and J18 are J18.9, LAB is LAB//X; SEX is never dated.
    assert every == (
        "ICD10",
        "ICD10//A41",
        "ICD10//A41.0",
        "ICD10//A41.9",
        "ICD10//J18.9",
        "LAB//X",
        "MEDS_DEATH",
    )
    assert frequent_concepts(vocabulary, dated, 2) == ("LAB//X", "MEDS_DEATH")


def test_the_next_event_of_every_concept_is_the_one_that_a_loop_finds(vocabulary: Vocabulary) -> None:
    draw = np.random.default_rng(1)
    dated = np.arange(vocabulary.tokens.height)
    tracked = track(vocabulary, frequent_concepts(vocabulary, dated, 99))
    names, lists = vocabulary.tokens["token"].to_list(), vocabulary.tokens["concepts"].to_list()
    offsets = vocabulary.bin_offsets
    for _ in range(20):
        n = int(draw.integers(1, 40))
        token = draw.integers(0, len(names), n)
        known = np.sort(draw.integers(0, 30, n)) * HOUR
        bins = np.where(np.diff(offsets)[token] > 0, offsets[token] + draw.integers(0, 2, n), 0)
        bins = np.where(draw.random(n) < 0.3, 0, bins)
        times = np.sort(draw.integers(0, 30, 5)) * HOUR
        end = int(draw.integers(10, 35)) * HOUR
        found = next_events(tracked, token, bins, known, times, end)
        for r, time in enumerate(times):
            for c, concept in enumerate(tracked.concepts):
                after = [
                    k for t, k in zip(token, known, strict=True) if concept in lists[t] and time < k <= end
                ]
                assert found.is_seen[r, c] == bool(after)
                assert found.hours[r, c] == pytest.approx(
                    max(((min(after) if after else end) - time) / HOUR, 0)
                )
            for m, c in enumerate(tracked.valued):
                after = [
                    (k, i)
                    for i, (t, k) in enumerate(zip(token, known, strict=True))
                    if names[t] == tracked.concepts[c] and bins[i] and time < k <= end
                ]
                expected = bins[min(after)[1]] - offsets[token[min(after)[1]]] if after else -1
                assert found.mark[r, m] == expected


def test_what_is_known_at_the_time_is_past_and_what_lies_behind_the_end_is_not_seen(
    vocabulary: Vocabulary,
) -> None:
    tracked = track(vocabulary, ("MEDS_DEATH",))
    death = np.array([token_of(vocabulary, "MEDS_DEATH")])
    known, nothing = np.array([10 * HOUR]), np.zeros(1, dtype=np.int64)
    times = np.array([4, 10, 12]) * HOUR
    at_end = next_events(tracked, death, nothing, known, times, 10 * HOUR)
    assert at_end.is_seen[:, 0].tolist() == [True, False, False]
    assert at_end.hours[:, 0].tolist() == [6, 0, 0]
    before_end = next_events(tracked, death, nothing, known, times, 9 * HOUR)
    assert before_end.is_seen[:, 0].tolist() == [False, False, False]
    assert before_end.hours[:, 0].tolist() == [5, 0, 0]


def test_a_patient_without_events_has_only_an_end(vocabulary: Vocabulary) -> None:
    tracked = track(vocabulary, ("LAB//X", "MEDS_DEATH"))
    nothing = np.zeros(0, dtype=np.int64)
    found = next_events(tracked, nothing, nothing, nothing, np.array([0, 2 * HOUR]), 3 * HOUR)
    assert found.hours.tolist() == [[3, 3], [1, 1]]
    assert not found.is_seen.any()
    assert found.mark.tolist() == [[-1], [-1]]
