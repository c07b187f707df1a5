"""Comorbidity indices: what counts, what hides what, and what it weighs."""

from __future__ import annotations

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from ontology.valuesets.sets import load_family
from phenotype.scores.comorbidity import band_of, counted_groups, family_score


def seen(*groups: str, unit: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"stay_id": [unit] * len(groups), "group": list(groups)})


def score(family: str, *groups: str, weighting: str | None = None) -> float:
    return float(family_score(seen(*groups), load_family(family), weighting)["score"].item())


@pytest.mark.parametrize(
    ("groups", "charlson", "quan"),
    [
        (["myocardial_infarction"], 1, 0),
        (["diabetes_uncomplicated"], 1, 0),
        (["diabetes_uncomplicated", "diabetes_complicated"], 2, 1),
        (["mild_liver_disease", "severe_liver_disease"], 3, 4),
        (["malignancy", "metastatic_cancer"], 6, 6),
        (["hemiplegia", "congestive_heart_failure"], 3, 4),
        (["hiv_aids", "renal_disease", "dementia"], 9, 7),
    ],
)
def test_charlson_weights_as_published_and_the_severe_form_hides_the_mild(
    groups: list[str], charlson: float, quan: float
) -> None:
    """Points by hand from the tables of 1987 and 2011."""
    assert score("charlson_quan", *groups) == charlson
    assert score("charlson_quan", *groups, weighting="quan_2011") == quan


def test_ascites_makes_a_mild_liver_disease_severe_and_is_nothing_alone() -> None:
    assert score("charlson_nordic", "ascites") == 0
    assert score("charlson_nordic", "mild_liver_disease") == 1
    assert score("charlson_nordic", "mild_liver_disease", "ascites") == 3
    assert score("charlson_nordic", "severe_liver_disease", "ascites") == 3
    assert counted_groups(seen("ascites"), load_family("charlson_nordic")).is_empty()


def test_frailty_is_a_sum_of_tenths_that_is_exact_and_falls_in_bands() -> None:
    """F00 and G81 give 7.1 + 4.4, N39 3.2 (Gilbert 2018); below 5, 5 to 15, above 15."""
    frailty = load_family("hospital_frailty")
    assert len(frailty.groups) == 109
    assert score("hospital_frailty", "f00", "g81") == 11.5
    assert score("hospital_frailty", "n39") == 3.2
    table = pl.DataFrame({"score": [0.0, 4.9, 5.0, 15.0, 15.1, None]})
    bands = table.select(band_of(pl.col("score"), frailty)).to_series().to_list()
    assert bands == ["low", "low", "intermediate", "intermediate", "high", None]


def test_a_score_does_not_depend_on_the_order_or_number_of_rows() -> None:
    family = load_family("elixhauser_quan")
    rows = pl.concat(
        [seen(*list(family.groups)[start:], unit=unit) for unit, start in enumerate((0, 5, 20), start=1)]
    )
    once = family_score(rows, family)
    assert once.equals(family_score(pl.concat([rows.reverse(), rows.sample(50, seed=1)]), family))
    assert once["stay_id"].to_list() == [1, 2, 3]


def test_unknown_weights_are_met_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="quan_2011"):
        score("charlson_quan", "dementia", weighting="nilssen")
    with pytest.raises(ConfigurationError, match="not scored"):
        score("infection", "lung")
