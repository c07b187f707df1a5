"""Errors carry every problem, also across processes, and several attempts can be told together."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from ontology.errors import InputError, PestaError, Problem, StorageError, TaskError, gathered_problems

TWO = (Problem("first", where="a"), Problem("second", found="b", next_step="c"))


def fail() -> None:
    raise TaskError(TWO)


def attempt_all(kinds: Sequence[type[PestaError]]) -> None:
    with gathered_problems() as attempt:
        for number, kind in enumerate(kinds):
            with attempt():
                raise kind(Problem(f"attempt {number}"))


def test_an_error_from_a_worker_process_arrives_with_its_problems() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(TaskError) as caught:
        pool.submit(fail).result()
    assert caught.value.problems == TWO


def test_every_kind_of_error_survives_pickling_and_has_its_own_exit_status() -> None:
    kinds = PestaError.__subclasses__()
    for kind in kinds:
        copied = pickle.loads(pickle.dumps(kind(TWO)))  # noqa: S301 our own bytes
        assert (type(copied), copied.problems, str(copied)) == (kind, TWO, str(kind(TWO)))
    statuses = [kind.exit_status for kind in kinds]
    assert len(set(statuses)) == len(statuses)
    assert StorageError.exit_status in statuses


def test_the_problems_of_several_attempts_are_raised_together() -> None:
    with pytest.raises(TaskError) as caught:
        attempt_all((TaskError, InputError, InputError))
    assert [problem.what for problem in caught.value.problems] == ["attempt 0", "attempt 1", "attempt 2"]


def test_nothing_is_raised_where_all_attempts_succeed_and_other_faults_pass_at_once() -> None:
    with gathered_problems() as attempt, attempt():
        pass
    with pytest.raises(ZeroDivisionError), gathered_problems() as attempt, attempt():
        _ = 1 / 0
