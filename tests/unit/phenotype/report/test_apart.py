"""What is reported apart: small cells stay hidden, also where subtraction would find them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from phenotype.explain.concepts import EXPLANATIONS
from phenotype.report.apart import censored_words, seen_of, strata_of
from phenotype.report.importance import importance_of


def models(auroc: float, n_rows: int, n_subjects: int, n_positive: int) -> dict[str, Any]:
    fold = {"fold": 0, "n_rows": n_rows, "n_subjects": n_subjects, "n_positive": n_positive}
    intervals = {"auroc": {"low": auroc - 0.1, "high": auroc + 0.1}}
    return {"m": {"kind": "lightgbm", "folds": [fold], "mean": {"auroc": auroc}, "intervals": intervals}}


def test_a_run_without_seen_patients_says_nothing_of_them() -> None:
    assert seen_of({"models": models(0.8, 900, 300, 40)}) is None


def test_figures_with_and_without_seen_patients_stand_beside_each_other() -> None:
    seen = seen_of(
        {
            "models": models(0.8, 900, 300, 40),
            "without_seen_patients": {"models": models(0.7, 400, 150, 20)},
        }
    )
    assert seen is not None
    assert seen.unseen == "400 predictions of 150 patients, 20 with the outcome"
    (row,) = seen.rows
    assert row.everybody is not None
    assert row.unseen is not None
    assert (row.everybody.words, row.unseen.words) == ("0.800", "0.700")
    assert row.unseen.interval == "0.600 to 0.800"


@pytest.mark.parametrize(
    ("n_positive", "said"),
    [(3, "< 5 with the outcome"), (37, "hidden with the outcome"), (40, "40 with the outcome")],
)
def test_few_outcomes_among_the_unseen_or_the_seen_are_not_told(n_positive: int, said: str) -> None:
    """40 in all: 37 would leave 3 seen ones to be found by subtraction."""
    seen = seen_of(
        {
            "models": models(0.8, 900, 300, 40),
            "without_seen_patients": {"models": models(0.7, 400, 150, n_positive)},
        }
    )
    assert seen is not None
    assert seen.unseen.endswith(said)
    assert (seen.rows[0].unseen is None) == (n_positive < 5)


def test_strata_in_plain_words_with_small_cells_hidden() -> None:
    strata = strata_of(
        [
            {"stratum": "hospital_onset", "n_rows": 241, "n_subjects": 215, "n_labelled": 241},
            {"stratum": "positive_at_start", "n_rows": 30, "n_subjects": 4, "n_labelled": 30},
            {"stratum": "of_its_own", "n_rows": 50, "n_subjects": 20, "n_labelled": 48},
        ]
    )
    assert [(row.n_rows, row.n_subjects, row.n_labelled) for row in strata] == [
        ("241", "215", "241"),
        ("hidden", "< 5", "hidden"),
        ("50", "20", "hidden"),
    ]
    assert strata[0].words == "the outcome began in hospital"
    assert strata[2].words == "of its own"


def test_censored_rows_are_told_but_not_counted_when_few() -> None:
    assert censored_words(0) == ""
    assert censored_words(None) == ""
    assert censored_words(3).startswith("Fewer than 5 predictions")
    assert censored_words(12).startswith("12 predictions")


def explained(n_subjects: int) -> pl.DataFrame:
    """Each patient: lactate +0.4 or −0.4 by turns, heart rate +0.09, the first one also a drug of 1.0."""
    when = dt.datetime(2024, 3, 1)
    rows: list[dict[str, Any]] = []
    for subject in range(n_subjects):
        sign = 1 if subject % 2 else -1
        nodes = [
            ("", None, 0.0),
            ("base", None, -2.0),
            ("Laboratory", "", sign * 0.4),
            ("PHYSIONET2012//Lactate", "Laboratory", sign * 0.4),
            ("PHYSIONET2012//Lactate//last", "PHYSIONET2012//Lactate", sign * 0.4),
            ("Vital signs", "", 0.09),
            ("PHYSIONET2012//HR", "Vital signs", 0.09),
        ]
        if subject == 0:
            nodes += [("Drugs", "", 1.0), ("ATC//C01CA03", "Drugs", 1.0)]
        rows += [
            dict.fromkeys(EXPLANATIONS.names())
            | {"subject_id": subject, "prediction_time": when, "node": node, "parent": parent, "phi": phi}
            for node, parent, phi in nodes
        ]
    return pl.DataFrame(rows, schema=EXPLANATIONS)


def test_codes_are_ranked_by_mean_size_whichever_their_sign() -> None:
    """10 patients: lactate 0.4, heart rate 0.09, noradrenaline 1.0 once, so 0.1 on average."""
    found = importance_of(explained(10), "Trees")
    assert found is not None
    assert (found.n_rows, found.n_subjects) == (10, 10)
    assert [(used.label, used.domain, round(used.size, 6)) for used in found.codes] == [
        ("Lactate", "Laboratory", 0.4),
        ("Noradrenalin", "Drugs", 0.1),
        ("Heart rate", "Vital signs", 0.09),
    ]
    assert [used.is_care for used in found.codes] == [False, True, False]


def test_row_order_does_not_matter_and_few_patients_give_no_ranking() -> None:
    assert importance_of(explained(10), "Trees") == importance_of(explained(10).reverse(), "Trees")
    assert importance_of(explained(4), "Trees") is None
