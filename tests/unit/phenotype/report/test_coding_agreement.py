"""Codes beside phenotypes on the first page: figures as counted, none about few patients."""

from __future__ import annotations

from typing import Any

import polars as pl

from phenotype.coding.rates.agreement import AGREEMENT
from phenotype.report.coding_agreement import AgreementLine, agreement_tables
from phenotype.report.suppression import HIDDEN


def _row(unit: str, period: str, both: int, phenotype_only: int, coded_only: int) -> dict[str, Any]:
    n = both + phenotype_only + coded_only + 100
    return {
        "pair": "sepsis", "unit_id": unit, "period": period, "n": n, "both": both,
        "phenotype_only": phenotype_only, "coded_only": coded_only, "neither": 100, "not_judgeable": 7,
        "sensitivity": both / (both + phenotype_only), "sensitivity_low": 0.1, "sensitivity_high": 0.4,
        "ppv": both / (both + coded_only), "ppv_low": 0.6, "ppv_high": 0.9, "kappa": 0.25,
        "kappa_low": 0.1, "kappa_high": 0.4,
    }  # fmt: skip


def _lines(*rows: dict[str, Any]) -> dict[str, AgreementLine]:
    whole = _row(
        "all", "all", *(sum(row[name] for row in rows) for name in ("both", "phenotype_only", "coded_only"))
    )
    (table,) = agreement_tables(pl.DataFrame([whole, *rows], schema=AGREEMENT), {"sepsis": "Sepsis coded"})
    assert table.title == "Sepsis coded"
    assert table.not_judgeable == "7"
    return {line.where: line for line in table.lines}


def test_figures_are_told_as_they_were_counted() -> None:
    lines = _lines(_row("A", "all", 20, 60, 10), _row("B", "all", 30, 30, 30))
    assert lines["A"].sensitivity == "25% (10 to 40)"
    assert lines["B"].both == "30"
    assert lines["All"].both == "50"


def test_a_small_count_hides_its_row_and_the_smallest_other_which_would_give_it_away() -> None:
    lines = _lines(_row("A", "all", 3, 60, 10), _row("B", "all", 30, 30, 30), _row("C", "all", 5, 9, 6))
    assert (lines["A"].both, lines["A"].sensitivity) == (HIDDEN, HIDDEN)
    assert lines["C"].both == HIDDEN
    assert lines["B"].both == "30"


def test_a_pair_that_nobody_could_judge_has_no_table() -> None:
    nothing = _row("all", "all", 1, 1, 1) | {"n": 0}
    assert agreement_tables(pl.DataFrame([nothing], schema=AGREEMENT), {}) == ()
