"""The table of phenotypes gives no small count away."""

from __future__ import annotations

import pytest

from phenotype.report.phenotypes import PhenotypeCount
from pipelines.render.pages import render_page


@pytest.mark.parametrize(
    ("patients", "is_told"),
    [
        ({"confirmed": "< 5", "excluded": "200"}, False),  # 203 rows, one a patient: 3 confirmed
        ({"confirmed": "12", "excluded": "191"}, True),
        ({"confirmed": "< 5"}, True),  # many rows of few patients
    ],
)
def test_the_number_of_rows_does_not_give_a_small_count_by_subtraction(
    patients: dict[str, str], *, is_told: bool
) -> None:
    count = PhenotypeCount(name="one", title="One", version="1", patients=patients, rows="203")
    page = render_page(
        "index.html", title="A run", sections=[], phenotypes=[count], not_judged=[], n_phenotypes=1,
        provenance={}, today="",
    )  # fmt: skip
    assert ("203" in page) is is_told
