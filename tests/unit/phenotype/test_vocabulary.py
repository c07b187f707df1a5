"""Tokens, their ancestors and values: counted by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotype.vocabulary import Vocabulary, ancestors, fit_vocabulary

SCHEMA = {"subject_id": pl.Int64, "code": pl.String, "numeric_value": pl.Float32, "text_value": pl.String}


def events(rows: list[tuple[int, str, float | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ICD10-NO//A41.9", ["ICD10-NO//A41", "ICD10-NO//A", "ICD10-NO"]),
        ("ICD10-NO//A41", ["ICD10-NO//A", "ICD10-NO"]),
        ("ATC//J01CF05", ["ATC//J01CF", "ATC//J01C", "ATC//J01", "ATC//J", "ATC"]),
        ("NCSP//JAB30", ["NCSP//JAB", "NCSP//JA", "NCSP//J", "NCSP"]),
        ("LAB//50912//mg/dL", ["LAB//50912", "LAB"]),
        ("MEDS_BIRTH", []),
    ],
)
def test_ancestors_follow_the_code_system(code: str, expected: list[str]) -> None:
    assert ancestors(code) == expected


def test_rare_codes_are_read_as_their_nearest_frequent_ancestor() -> None:
    """Three patients make a token: A41.9 has three; A40.1 and A40 one; A has four in all; E11 one."""
    seen = events(
        [(subject, "ICD10-NO//A41.9", None, None) for subject in (1, 2, 3)]
        + [(4, "ICD10-NO//A40.1", None, None), (5, "ICD10-NO//E11.9", None, None)]
        + [(6, "RARE//X", None, None)]
    )
    vocabulary = fit_vocabulary(seen.lazy(), min_subjects=3, n_bins=4)
    counts = dict(zip(vocabulary.tokens["token"], vocabulary.tokens["n_subjects"], strict=True))
    assert counts == {"ICD10-NO": 5, "ICD10-NO//A": 4, "ICD10-NO//A41": 3, "ICD10-NO//A41.9": 3}
    names = vocabulary.tokens["token"].to_list()
    read = vocabulary.encode(seen)
    assert [names[token] for token in read["token"]] == [
        *["ICD10-NO//A41.9"] * 3,
        "ICD10-NO//A",
        "ICD10-NO",
    ], "RARE//X has no frequent ancestor and is left out"
    concepts = dict(zip(names, vocabulary.tokens["concepts"].to_list(), strict=True))
    assert concepts["ICD10-NO//A41.9"] == ["ICD10-NO//A41.9", "ICD10-NO//A41", "ICD10-NO//A", "ICD10-NO"]


def test_frequent_texts_are_tokens_of_their_own_and_rare_ones_their_code() -> None:
    seen = events(
        [(subject, "CULTURE//growth", None, "E. coli") for subject in (1, 2)]
        + [(3, "CULTURE//growth", None, "S. aureus"), (4, "CULTURE//growth", None, "x" * 500)]
    )
    vocabulary = fit_vocabulary(seen.lazy(), min_subjects=2, n_bins=4)
    names = vocabulary.tokens["token"].to_list()
    assert names == ["CULTURE", "CULTURE//growth", "CULTURE//growth==E. coli"]
    assert [names[token] for token in vocabulary.encode(seen)["token"]] == [
        "CULTURE//growth==E. coli",
        "CULTURE//growth==E. coli",
        "CULTURE//growth",
        "CULTURE//growth",
    ]


def test_values_become_robust_scores_and_quantile_bins() -> None:
    """0, 1, ... 100: median 50, quartiles 25 and 75, so the scale is 50 / 1.349; 4 bins cut at 25, 50, 75."""
    seen = events([(value, "LAB//X", float(value), None) for value in range(101)])
    vocabulary = fit_vocabulary(seen.lazy(), min_subjects=5, n_bins=4)
    token = vocabulary.tokens["token"].to_list().index("LAB//X")
    row = vocabulary.tokens.row(token, named=True)
    assert (row["median"], row["scale"], row["edges"]) == (
        50.0,
        pytest.approx(50 / 1.349),
        [25.0, 50.0, 75.0],
    )
    values = np.array([-1e9, 24.9, 25.0, 60.0, 99.0, 1e9, np.nan])
    bins, scores = vocabulary.read_values(np.full(7, token, dtype=np.int32), values)
    assert bins.tolist() == [1, 1, 2, 3, 4, 4, 0]
    np.testing.assert_allclose(
        scores, [-5, -25.1 * 1.349 / 50, -25 * 1.349 / 50, 10 * 1.349 / 50, 49 * 1.349 / 50, 5, 0], rtol=1e-6
    )


def test_a_value_that_hardly_varies_keeps_a_scale() -> None:
    seen = events([(n, "LAB//FLAT", 0.0, None) for n in range(9)] + [(9, "LAB//FLAT", 1.0, None)])
    constant = events([(n, "LAB//ONE", 7.0, None) for n in range(10)])
    tokens = fit_vocabulary(pl.concat([seen, constant]).lazy(), min_subjects=5, n_bins=4).tokens
    scales = dict(zip(tokens["token"], tokens["scale"], strict=True))
    assert scales["LAB//FLAT"] == pytest.approx(np.std([0] * 9 + [1], ddof=1))
    assert scales["LAB//ONE"] == 1.0


def test_values_of_rarer_codes_are_not_read_on_their_ancestors_scale() -> None:
    seen = events([(n, "LAB//A", float(n), None) for n in range(10)] + [(10, "LAB//B", 5.0, None)])
    vocabulary = fit_vocabulary(seen.lazy(), min_subjects=5, n_bins=4)
    read = vocabulary.encode(seen)
    assert read["reads_value"].to_list() == [True] * 10 + [False]


def test_any_order_of_rows_gives_the_same_vocabulary() -> None:
    draw = np.random.default_rng(0)
    rows = [(int(s), f"LAB//{s % 7}", float(draw.normal()), None) for s in draw.integers(0, 50, 400)]
    one = fit_vocabulary(events(rows).lazy(), min_subjects=5, n_bins=10)
    other = fit_vocabulary(
        events(rows).sample(fraction=1, shuffle=True, seed=1).lazy(), min_subjects=5, n_bins=10
    )
    assert one.tokens.equals(other.tokens)


def test_nothing_frequent_is_an_empty_vocabulary() -> None:
    vocabulary = fit_vocabulary(events([(1, "A//B", 1.0, None)]).lazy(), min_subjects=5, n_bins=4)
    assert (vocabulary.tokens.height, vocabulary.concepts, vocabulary.n_bins) == (0, [], 1)
    assert vocabulary.encode(events([(1, "A//B", 1.0, None)])).height == 0
    assert isinstance(vocabulary, Vocabulary)


def measured(rows: list[tuple[int, str, float | None, str | None]]) -> pl.DataFrame:
    """Subject, code, value, unit."""
    names = {"subject_id": pl.Int64, "code": pl.String, "numeric_value": pl.Float32, "unit": pl.String}
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(text_value=pl.lit(None, pl.String))


def test_values_are_read_in_the_unit_that_most_patients_have() -> None:
    """0 to 100 g/L; then 5 g/dL is 50 g/L, 50 without a unit is 50 g/L, and 5 mmol/L cannot be converted."""
    usual = [(n, "LAB//HB", float(n), "g/L") for n in range(101)]
    other = [(1, "LAB//HB", 5.0, "g/dL"), (2, "LAB//HB", 50.0, None), (3, "LAB//HB", 5.0, "mmol/L")]
    vocabulary = fit_vocabulary(measured(usual).lazy(), min_subjects=5, n_bins=4)
    read = vocabulary.encode(measured(other))
    assert read["numeric_value"].to_list() == [pytest.approx(50.0), 50.0, None]
    assert read["reads_value"].to_list() == [True] * 3, "that it was measured is read of all three"
    assert vocabulary.units.rows() == [("LAB//HB", "g/L")]


def test_training_values_in_other_units_count_in_the_usual_one() -> None:
    """Half as many in g/dL, a tenth of the number: the median is that of one unit throughout."""
    usual = [(n, "LAB//HB", float(n), "g/L") for n in range(101)]
    tenth = [(n, "LAB//HB", n / 10, "g/dL") for n in range(101) if n % 2]
    both = fit_vocabulary(measured(usual + tenth).lazy(), min_subjects=5, n_bins=4).tokens
    one = fit_vocabulary(measured(usual).lazy(), min_subjects=5, n_bins=4).tokens
    name = pl.col("token") == "LAB//HB"
    assert both.filter(name)["median"].item() == pytest.approx(one.filter(name)["median"].item(), abs=0.5)


def test_a_vocabulary_of_an_earlier_bundle_has_no_units() -> None:
    vocabulary = fit_vocabulary(measured([(n, "LAB//X", 1.0, "g/L") for n in range(9)]).lazy(), 5, 4)
    earlier = Vocabulary(vocabulary.tokens.drop("unit"))
    read = earlier.encode(measured([(1, "LAB//X", 7.0, "mg/dL")]))
    assert read["numeric_value"].to_list() == [7.0]


def test_blocks_and_editions_stand_above_codes() -> None:
    """A41.9 and A40.1 are in block A30-A49 of ICD-10; B20 is not, but in the same chapter, I; nor is a drug.

    **Source:** ICD-10, chapter I, blocks A30-A49 and B20-B24.
    """
    codes = ["ICD10-NO//A41.9", "ICD10//A41.9", "ICD10-NO//A40.1", "ICD10-NO//B20", "ATC//J01CF05"]
    seen = events([(subject, code, None, None) for subject in (1, 2) for code in codes])
    tokens = fit_vocabulary(seen.lazy(), min_subjects=2, n_bins=4).tokens
    concepts = dict(zip(tokens["token"], map(set, tokens["concepts"].to_list()), strict=True))
    for code in codes[:3]:
        assert {"ICD10//A30-A49", "ICD10//I"} <= concepts[code]
    assert "ICD10//A30-A49" not in concepts["ICD10-NO//B20"]
    assert "ICD10//I" in concepts["ICD10-NO//B20"]
    assert "ICD10//A41.9" in concepts["ICD10-NO//A41.9"], "one code of two editions"
    assert not any(concept.startswith("ICD10") for concept in concepts["ATC//J01CF05"])
