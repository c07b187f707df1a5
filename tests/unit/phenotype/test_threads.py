"""Threads follow what the process was given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from phenotype.threads import one_algebra_thread, thread_count, torch_threads


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PESTA_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({}, 8),
    ],
)
def test_the_quota_bounds_the_affinity(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert thread_count(tmp_path) == expected


def test_the_knob_goes_before_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PESTA_THREADS", "5")
    assert thread_count(tmp_path) == 5


@pytest.mark.parametrize("wish", ["0", "two", "-1", ""])
def test_a_wrong_knob_is_told(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv("PESTA_THREADS", wish)
    with pytest.raises(ConfigurationError, match="PESTA_THREADS"):
        thread_count()


def test_torch_gets_its_threads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("PESTA_THREADS", "3")
    before = torch.get_num_threads()
    with torch_threads(8):
        assert torch.get_num_threads() == 3
    with torch_threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def algebra_threads() -> set[int]:
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_inside_and_its_own_again_outside() -> None:
    import numpy as np
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, user_api="blas"):
        with one_algebra_thread():
            assert float(np.linalg.det(np.eye(3))) == 1.0
            assert algebra_threads() == {1}
        assert algebra_threads() == {2}
