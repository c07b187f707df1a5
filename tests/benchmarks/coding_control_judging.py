"""Findings of an audit held against the truth of a simulated hospital: cases, precision and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import average_precision_score

from phenotype.contacts import join_stays
from phenotype.trajectory import open_dataset

Floats = npt.NDArray[np.float64]
N_FIRST = 200
EXPECTATION_FAMILIES = {"dropped_secondary": "missing", "added_secondary": "unsupported"}
"""Family -> the kind of findings that can tell it; the other families break rules."""
FAMILY_OF_RULES = {
    "main_swap": ("au_25_3262",),
    "open_endoscopic": ("au_25_3263",),
    "once_only": ("au_25_3267",),
    "place_default": ("au_25_3268",),
    "z03_u07_main": ("kv_covid_main", "kv_z03_main"),
    "double_sepsis": ("sepsis_double",),
    "retired_code": ("kv_valid", "retired_"),
    "asterisk_alone": ("kv_ast", "kv_multi"),
    "stay_splitting": ("stay_splitting",),
    "leave_equals_stay": ("au_17_28390",),
}
"""Family -> beginnings of the ids of the rules that are about it."""
FAMILIES = (*FAMILY_OF_RULES, *EXPECTATION_FAMILIES)
WITHOUT_TRUTH = frozenset(["J96", "D69", "F05", "I95", "E87", "R65", "R57", "A40", "A41", "N08", "F00"])
"""Categories that the simulator codes by chance given how ill a patient is, or by style (sepsis), or as the
asterisk of another: nobody knows if they are missing. B95-B98, the organisms, are the same."""
CATEGORY = r"(?:^|//)([A-Z]\d\d)"


@dataclass(frozen=True)
class Judged:
    """An audit of a simulated hospital beside its truth.

    Attributes:
        cases: error_id, family, is_error, category, stays (list): planted errors and look-alikes.
        honest: stay_id, category that are left out honestly.
        found: finding_id, rule_id, kind, probability, stay_id, category; a row a finding and stay.
        folder: the audit's.
    """

    cases: pl.DataFrame
    honest: pl.DataFrame
    found: pl.DataFrame
    folder: Path

    def of_family(self, family: str) -> pl.DataFrame:
        """The cases of one family, in order."""
        return self.cases.filter(family=family).sort("error_id")


def read_judged(dataset: Path, truth: Path, audit: Path) -> Judged:
    """Read what was planted and what was found."""
    stays = join_stays(open_dataset(dataset).contacts()).select("contact_id", "stay_id")
    told = pl.read_parquet(truth).join(stays, on="contact_id", how="left")
    category = pl.coalesce("code", "right_code").str.extract(CATEGORY)
    cases = (
        told.filter(pl.col("kind") != "honest")
        .sort("error_id", "contact_id")
        .group_by("error_id", maintain_order=True)
        .agg(
            pl.col("family", "is_error").first(),
            category.drop_nulls().first().alias("category"),
            pl.col("stay_id").unique().sort().alias("stays"),
        )
    )
    honest = told.filter(kind="honest").select("stay_id", category.alias("category")).unique()
    findings = pl.read_parquet(audit / "findings.parquet").select(
        "finding_id", "rule_id", "kind", "probability"
    )
    items = pl.read_parquet(audit / "finding_items.parquet").join(stays, on="contact_id", how="left")
    about = pl.when(kind="missing").then(pl.coalesce("suggested_code", "code")).otherwise("code")
    found = (
        items.join(findings, on="finding_id")
        .with_columns(about.str.extract(CATEGORY).alias("category"))
        .with_columns(pl.coalesce("category", pl.col("rule_id").str.extract(CATEGORY)).alias("category"))
        .select(*findings.columns, "stay_id", "category")
        .unique()
        .sort("finding_id", "stay_id", "category", nulls_last=True)
    )
    return Judged(cases, honest, found, audit)


def about_family(found: pl.DataFrame, family: str) -> pl.DataFrame:
    """The findings that are about a family of errors."""
    kind = EXPECTATION_FAMILIES.get(family)
    if kind:
        return found.filter(kind=kind)
    starts = pl.any_horizontal(pl.col("rule_id").str.starts_with(start) for start in FAMILY_OF_RULES[family])
    return found.filter(pl.col("kind") == "rule", starts)


def scores(cases: pl.DataFrame, found: pl.DataFrame, *, by_category: bool) -> Floats:
    """The highest probability of a finding about each case, 0 without one, (n_cases,)."""
    rows = cases.select("error_id", "category", stay_id="stays").explode("stay_id")
    keys = ["stay_id", "category"] if by_category else ["stay_id"]
    best = (
        rows.join(found.filter(pl.col("probability").is_not_null()), on=keys)
        .group_by("error_id")
        .agg(pl.col("probability").max())
    )
    joined = cases.join(best, on="error_id", how="left", maintain_order="left")
    return joined["probability"].fill_null(0.0).to_numpy()


def family_scores(judged: Judged, family: str) -> Floats:
    """The scores of a family's cases by the findings that are about it."""
    return scores(
        judged.of_family(family),
        about_family(judged.found, family),
        by_category=family in EXPECTATION_FAMILIES,
    )


def precision_of_first(is_error: npt.NDArray[np.bool_], score: Floats, n_first: int) -> float:
    """Share of errors among the first cases by score; of equal scores the expectation over their orders."""
    order = np.argsort(-score, kind="stable")
    ranked, errors = score[order], is_error[order].astype(np.float64)
    cut = ranked[min(n_first, len(ranked)) - 1]
    above, equal = ranked > cut, ranked == cut
    left = min(n_first, len(ranked)) - above.sum()
    return float((errors[above].sum() + left * errors[equal].mean()) / min(n_first, len(ranked)))


def average_precision(is_error: npt.NDArray[np.bool_], score: Floats) -> float:
    """Average precision; cases of equal score count as one step."""
    return float(average_precision_score(is_error, score))


@dataclass(frozen=True)
class FamilyFigures:
    """How one family was found.

    Attributes:
        n_errors, n_alike: planted errors and look-alikes.
        n_first: how many cases are opened: 200, or as many as there are errors where they are fewer.
        precision: among the first so many.
        recall: share of the errors that any finding about the family touches.
        average_precision: over errors and look-alikes.
        n_elsewhere: findings about the family on stays that are neither, and not left out honestly.
        of_stays: average precision where any finding about the family counts for a stay, whatever condition
            it is about; the same for families that break rules.
    """

    n_errors: int
    n_alike: int
    n_first: int
    precision: float
    recall: float
    average_precision: float
    n_elsewhere: int
    of_stays: float


def family_figures(judged: Judged, family: str) -> FamilyFigures:
    """Precision, recall and average precision of one family."""
    cases, score = judged.of_family(family), family_scores(judged, family)
    is_error = cases["is_error"].to_numpy()
    n_errors = int(is_error.sum())
    n_first = min(N_FIRST, n_errors)
    found = about_family(judged.found, family)
    keys = ["stay_id", "category"] if family in EXPECTATION_FAMILIES else ["stay_id"]
    mine = cases.select("category", stay_id="stays").explode("stay_id")
    elsewhere = found.join(mine, on=keys, how="anti")
    if family == "dropped_secondary":
        elsewhere = elsewhere.join(judged.honest, on=keys, how="anti")
    elsewhere = elsewhere.filter(has_truth())
    return FamilyFigures(
        n_errors,
        len(is_error) - n_errors,
        n_first,
        precision_of_first(is_error, score, n_first),
        float((score[is_error] > 0).mean()),
        average_precision(is_error, score),
        elsewhere["finding_id"].n_unique(),
        average_precision(is_error, scores(cases, found, by_category=False)),
    )


def has_truth() -> pl.Expr:
    """Whether the simulator knows if the category of a finding is right; rules always."""
    unknown = pl.col("category").is_in(list(WITHOUT_TRUTH)) | pl.col("category").str.starts_with("B9")
    return (pl.col("kind") == "rule") | ~unknown.fill_null(value=True)
