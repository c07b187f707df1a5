"""docs/quality.md says what is shipped."""

from __future__ import annotations

from pathlib import Path

from pipelines.quality.catalogue import with_catalogue
from pipelines.quality.model import load_checks

PAGE = Path(__file__).parents[4] / "docs" / "quality.md"


def test_the_catalogue_is_current():
    page = PAGE.read_text("utf-8")
    assert with_catalogue(page) == page, "run: python -m pipelines.quality.catalogue docs/quality.md"


def test_every_check_stands_in_it_once():
    page = PAGE.read_text("utf-8")
    for check in load_checks():
        assert page.count(f"\n| `{check.id}` |") == 1, check.id


def test_what_is_outside_the_marks_stays():
    page = "before\n<!-- generated: columns -->\nold\n<!-- end -->\nafter"
    told = with_catalogue(page)
    assert told.startswith("before\n<!-- generated: columns -->\n\n| table | columns |")
    assert told.endswith("\n\n<!-- end -->\nafter")
    assert "old" not in told
