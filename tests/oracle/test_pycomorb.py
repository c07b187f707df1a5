"""Charlson, Elixhauser and hospital frailty against pycomorb on 20,000 random code sets each.

Half of the codes of a set are drawn from all codes of the list, half from those that belong to the index.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
import pytest

from ontology.release import embedded_ontology
from ontology.valuesets.sets import Resolver, load_family, load_valueset
from phenotype.scores.comorbidity import family_score

pycomorb = pytest.importorskip("pycomorb")

N_SETS = 20_000
NORWEGIAN_LIST = Path(__file__).parents[2] / ".." / "shared/kodeverk/navikt-diagnosekoder/ICD10_2026.json"
NOT_IN_ICD9CM = ("497", "498", "499")
"""Codes that do not exist; Quan's range 490-505 spans them, and pycomorb has them in one of two tables."""
SWEDISH_MILD_LIVER = ("B15", "B16", "B17", "B18", "B19", "K70.3", "K70.9", "K73", "K74.6", "K75.4")
CHARLSON = {"charlson_1987": "charlson", "quan_2011": "quan", "schneeweiss_2003": "schneeweiss"}


def who_codes() -> list[str]:
    ontology = embedded_ontology()
    levels = {"category", "subcategory"}
    names = [name for name in ontology.graph.names if name.startswith("ICD10//")]
    return [name.removeprefix("ICD10//") for name in names if ontology.level(name) in levels]


def norwegian_codes() -> list[str]:
    if not NORWEGIAN_LIST.exists():
        pytest.skip(f"needs {NORWEGIAN_LIST.name} in shared/kodeverk")
    codes = [entry["code"] for entry in json.loads(NORWEGIAN_LIST.read_text("utf-8"))]
    return [f"{code[:3]}.{code[3:]}" if len(code) > 3 else code for code in codes]


def american_codes() -> list[str]:
    """All codes that ICD-9-CM's form allows: three digits, or V and two, with up to two digits behind."""
    stems = [f"{number:03d}" for number in range(1, 1000)] + [f"V{number:02d}" for number in range(1, 92)]
    ends = [f".{digit}" for digit in range(10)] + [f".{number:02d}" for number in range(100)]
    return [stem + end for stem in stems if stem not in NOT_IN_ICD9CM for end in ["", *ends]]


def random_sets(codes: Sequence[str], known: Sequence[str], seed: int) -> pl.DataFrame:
    """id and code: as many sets as N_SETS says, of 1 to 20 different codes each."""
    draw = random.Random(seed)
    rows = [
        (number, code)
        for number in range(N_SETS)
        for code in sorted(
            {draw.choice(known if draw.random() < 0.5 else codes) for _ in range(draw.randint(1, 20))}
        )
    ]
    return pl.DataFrame(rows, schema={"id": pl.Int64, "code": pl.String}, orient="row")


def codes_of(family: str, codes: Iterable[str], system: str) -> pl.DataFrame:
    """The codes of each group, auxiliary ones too: code, group."""
    resolver = Resolver([f"{system}//{code}" for code in codes])
    parts = [
        resolver.resolve(load_valueset(f"{family}/{name}")).select("code", group=pl.lit(name))
        for name in load_family(family).groups
    ]
    return pl.concat(parts).with_columns(pl.col("code").str.strip_prefix(f"{system}//"))


def our_scores(sets: pl.DataFrame, family: str, system: str, weighting: str) -> pl.DataFrame:
    groups = codes_of(family, sets["code"].unique(), system)
    seen = sets.join(groups, on="code").select("id", "group")
    scored = family_score(seen, load_family(family), weighting).select("id", "score")
    ids = sets.select("id").unique()
    return ids.join(scored, on="id", how="left").with_columns(pl.col("score").fill_null(0.0)).sort("id")


def drawn(family: str, system: str, codes: Sequence[str], seed: int) -> pl.DataFrame:
    return random_sets(codes, codes_of(family, codes, system)["code"].unique().sort().to_list(), seed)


def assert_equal(ours: pl.DataFrame, theirs: pl.DataFrame, column: str) -> None:
    expected = theirs.select("id", score=pl.col(column).cast(pl.Float64).round(6)).sort("id")
    different = ours.join(expected, on="id", suffix="_theirs").filter(
        pl.col("score") != pl.col("score_theirs")
    )
    assert ours.height == expected.height == N_SETS
    assert ours["score"].n_unique() > 10
    assert different.is_empty(), different.head(10)


def charlson(sets: pl.DataFrame, **choices: str) -> pl.DataFrame:
    scored: pl.DataFrame = pycomorb.CharlsonComorbidityIndex(sets.with_columns(age=pl.lit(40)), **choices)
    return scored


@pytest.mark.parametrize("weighting", CHARLSON)
@pytest.mark.parametrize("edition", ["ICD10", "ICD10-NO", "ICD9CM"])
def test_charlson_by_quan_with_each_weighting(edition: str, weighting: str) -> None:
    codes = {"ICD10": who_codes, "ICD10-NO": norwegian_codes, "ICD9CM": american_codes}[edition]()
    sets = drawn("charlson_quan", edition, codes, seed=1)
    version = "icd9" if edition == "ICD9CM" else "icd10"
    theirs = charlson(sets, implementation="quan", weights=CHARLSON[weighting], icd_version=version)
    assert_equal(our_scores(sets, "charlson_quan", edition, weighting), theirs, "Charlson Comorbidity Index")


@pytest.mark.parametrize("edition", ["ICD10", "ICD10-NO"])
def test_the_swedish_charlson_but_for_two_things_that_are_said(edition: str) -> None:
    """R18 makes a mild liver disease severe and is nothing alone (the authors' scripts); pycomorb counts it.

    Z21 of WHO and Norway is what Z21.9 is in Sweden; pycomorb has Z21.9 only.
    """
    codes = who_codes() if edition == "ICD10" else norwegian_codes()
    sets = drawn("charlson_nordic", edition, codes, seed=2)
    is_liver = pl.any_horizontal(pl.col("code").str.starts_with(code) for code in SWEDISH_MILD_LIVER)
    as_said = sets.filter(~pl.col("code").str.starts_with("R18") | is_liver.any().over("id")).with_columns(
        code=pl.when(pl.col("code") == "Z21").then(pl.lit("Z21.9")).otherwise("code")
    )
    without = set(sets["id"]) - set(as_said["id"])
    empty = pl.DataFrame({"id": sorted(without), "code": ["Z99.9"] * len(without)}, schema=sets.schema)
    theirs = charlson(pl.concat([as_said, empty]), implementation="sweden", weights="charlson")
    assert_equal(
        our_scores(sets, "charlson_nordic", edition, "charlson_1987"), theirs, "Charlson Comorbidity Index"
    )
    plain = charlson(sets, implementation="sweden", weights="charlson")
    changed = sets.filter((pl.col("code") == "Z21") | pl.col("code").str.starts_with("R18"))["id"].unique()
    untouched = ~pl.col("id").is_in(changed.implode())
    both = plain.join(theirs, on="id", suffix="_as_said").filter(untouched)
    assert both["Charlson Comorbidity Index"].equals(both["Charlson Comorbidity Index_as_said"])


@pytest.mark.parametrize("edition", ["ICD10", "ICD10-NO"])
def test_hospital_frailty(edition: str) -> None:
    codes = who_codes() if edition == "ICD10" else norwegian_codes()
    sets = drawn("hospital_frailty", edition, [*codes, "U80", "U80.0"], seed=3)
    theirs = pycomorb.HospitalFrailtyRiskScore(sets)
    assert_equal(our_scores(sets, "hospital_frailty", edition, "gilbert_2018"), theirs, "HFRS Score")


@pytest.mark.parametrize("edition", ["ICD10", "ICD10-NO", "ICD9CM"])
def test_elixhauser_by_quan_in_points_and_in_number_of_groups(edition: str) -> None:
    codes = {"ICD10": who_codes, "ICD10-NO": norwegian_codes, "ICD9CM": american_codes}[edition]()
    sets = drawn("elixhauser_quan", edition, codes, seed=4)
    version = "icd9" if edition == "ICD9CM" else "icd10"
    theirs = pycomorb.ElixhauserComorbidityIndex(
        sets, implementation="quan", weights="van_walraven", icd_version=version, return_categories=True
    )
    points = "Elixhauser Comorbidity Index"
    ours = our_scores(sets, "elixhauser_quan", edition, "van_walraven_2009")
    assert_equal(ours, theirs, points)
    groups = [name for name in theirs.columns if name not in {"id", points}]
    number = theirs.select("id", n_groups=pl.sum_horizontal(groups))
    assert_equal(our_scores(sets, "elixhauser_quan", edition, "count"), number, "n_groups")
