"""docs/tasks.md says what the task files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from phenotype.attrition import STEPS
from phenotype.task_text import describe_task, task_document
from phenotype.tasks import load_task, task_names

DOCUMENT = Path(__file__).parents[3] / "docs" / "tasks.md"


def test_the_document_holds_every_task_as_its_file_says() -> None:
    text = DOCUMENT.read_text("utf-8")
    _, _, tasks = text.partition("## Shipped tasks\n\n")
    assert tasks == task_document(), "write task_document() below '## Shipped tasks' in docs/tasks.md"


def test_the_document_explains_every_reason() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert all(f"| `{step}` | {meaning} |" in text for step, meaning in STEPS.items())


@pytest.mark.parametrize("name", task_names())
def test_a_task_is_described_without_gaps(name: str) -> None:
    text = describe_task(load_task(name))
    for sentence in (text.who, text.when, text.what, text.definition, text.reported_apart, text.source):
        assert "{" not in sentence
        assert "0 hours" not in sentence.replace("0.", "")
    assert set(text.left_out) <= set(STEPS)
    assert text.left_out == tuple(step for step in STEPS if step in text.left_out)
