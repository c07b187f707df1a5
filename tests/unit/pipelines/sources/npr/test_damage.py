"""A thousand damaged messages: no crash, no hang, and every element is a row or has a fate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def mutations() -> ModuleType:
    """The mutator and its judge, which `make verify` runs on 100,000 messages."""
    path = Path(__file__).parents[4] / "benchmarks" / "npr_mutations.py"
    spec = importlib.util.spec_from_file_location("npr_mutations", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_thousand_damaged_messages_are_accounted_for(mutations: ModuleType) -> None:
    assert mutations.run(1_000_000, 1_000) == []


def test_the_judge_sees_what_is_lost(mutations: ModuleType, tmp_path: Path) -> None:
    """An undamaged message has as many elements of each name as lxml finds, and the mutator does damage."""
    raw = mutations.whole(mutations.random.Random(3))
    assert list(mutations.judged(raw, tmp_path)) == []
    counts, is_whole = mutations.counted(raw)
    assert is_whole
    assert counts["Enhet"] == raw.count(b"<Enhet ")
    assert counts["Tilstand"] == raw.count(b"<Tilstand ")
    assert len({mutations.damaged(seed) for seed in range(200)}) > 190
