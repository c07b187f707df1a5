"""Predicted held against coded: findings of what is missing, unsupported, wrongly main, or too unspecific."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.errors import Errors, all_errors
from phenotype.coding.expected.grid import Grid, grid_of
from phenotype.coding.expected.groups import grouped_codes
from phenotype.coding.expected.items import items_of
from phenotype.coding.expected.naming import title_of
from phenotype.coding.findings import FINDING_ITEMS, FINDINGS, Found, with_finding_ids

Floats = npt.NDArray[np.float64]
EXPECTED = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "unit": pl.String(),
        "year": pl.Int32(),
        "fold": pl.Int32(),
        "concept": pl.String(),
        "probability": pl.Float64(),
        "probability_main": pl.Float64(),
        "probability_other": pl.Float64(),
        "probability_specific": pl.Float64(),
        "probability_hindsight": pl.Float64(),
        "probability_trees": pl.Float64(),
        "probability_network": pl.Float64(),
        "is_coded": pl.Boolean(),
        "is_main": pl.Boolean(),
        "is_specific": pl.Boolean(),
    }
)
"""One row a judged stay and group of codes; unit and year are those of the contact that ended last.
probability: that the stay is coded with the group, by the trees and, where it was trained, the network,
out of fold by patient and calibrated; probability_main: as a main condition; probability_other: as another
one, where it is not the main one; probability_specific: by more than the group's unspecified code, where
it is coded;
probability_hindsight: as another condition, knowing what the patient's other stays were coded with,
earlier and later. is_coded: whether it is; is_main: whether a contact of the stay has it as the main one;
is_specific: whether by more than the unspecified code."""
DOUBTS = pl.Schema(
    {
        "kind": pl.String(),
        "stay_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "concept": pl.String(),
        "probability": pl.Float64(),
        "expected": pl.Float64(),
        "is_label_issue": pl.Boolean(),
        "unit_ratio": pl.Float64(),
    }
)
"""kind: as in `findings.KINDS`; probability: that the coding is wrong; expected: what the models expect of
the group; is_label_issue: whether confident learning doubts the answer, too; unit_ratio: how many times as
often as all units the stay's unit errs so: the mean over all stays of a group is 1."""
WORDS = {
    "missing": "{label}: probable, not coded",
    "unsupported": "{label}: coded, improbable",
    "main_condition": "{label}: explains the care better than the coded main condition",
    "unspecific": "{label}: a more specific code is probable",
}
SOURCES = {
    "missing": "KV-OTHER: conditions examined, treated or considered are coded (ehelse.no)",
    "unsupported": "KV-OTHER: other conditions are coded for the care they had (ehelse.no)",
    "main_condition": "KV-MAIN: the condition that care was mainly given for (ehelse.no)",
    "unspecific": "KV-DOC: as specific as is documented (ehelse.no)",
}


def doubts_of(expected: pl.DataFrame, config: ExpectedConfig) -> pl.DataFrame:
    """Every doubt at or above the configured probabilities, columns of DOUBTS, the most probable first.

    Args:
        expected: columns of EXPECTED.
        config: the settings.
    """
    if not expected.height:
        return pl.DataFrame(schema=DOUBTS)
    grid = grid_of(expected)
    errors = all_errors(grid, config.noise)
    other = errors["other"]
    coded_other = grid.is_other
    of_kind = {
        "missing": (other, ~grid.is_coded, grid.hindsight, other.left_out),
        "unsupported": (other, coded_other, grid.hindsight, other.added),
        "main_condition": (
            errors["main_condition"],
            _likeliest(errors["main_condition"].wrong, may_be_main(grid, config.findings.min_main_share)),
            grid.main,
            errors["main_condition"].left_out,
        ),
        "unspecific": (
            errors["unspecific"],
            grid.is_coded & ~grid.is_specific,
            grid.specific,
            errors["unspecific"].left_out,
        ),
    }
    frames = [
        _doubts(grid, kind, found, asked, expectation, ratio, config)
        for kind, (found, asked, expectation, ratio) in of_kind.items()
    ]
    return pl.concat(frames)


def expected_findings(
    record: CodedRecord, expected: pl.DataFrame, config: ExpectedConfig, ontology: Ontology
) -> Found:
    """Findings of what is coded otherwise than expected, without reasons.

    Args:
        record: what was coded.
        expected: columns of EXPECTED.
        config: the settings.
        ontology: what codes are called.
    """
    doubts = doubts_of(expected, config).with_row_index("doubt")
    if not doubts.height:
        return Found.nothing()
    owners = record.contacts.select("contact_id", "subject_id", "unit", "year")
    codes = grouped_codes(record, config, ontology).join(
        owners.select("contact_id", "subject_id"), on="contact_id", how="left", maintain_order="left"
    )
    last = (
        record.contacts.join(record.codes.select("contact_id").unique(), on="contact_id", how="semi")
        .sort("judged_time", "contact_id", nulls_last=False)
        .group_by("stay_id", maintain_order=True)
        .agg(pl.col("contact_id").last())
    )
    items = items_of(doubts, codes, last).join(
        doubts.select("doubt", "kind", "concept"), on="doubt", how="left"
    )
    items = with_finding_ids(
        items.with_columns(rule_id=pl.concat_str(pl.lit("expected/"), "concept")), "doubt"
    )
    findings = _findings(doubts, items, owners, codes, ontology)
    told = items.select(pl.col(name).cast(dtype) for name, dtype in FINDING_ITEMS.items())
    return Found(
        findings.sort("finding_id"),
        told.sort("finding_id", "contact_id", "group_no", "code_no", "code", nulls_last=True),
        Found.nothing().reasons,
    )


def may_be_main(grid: Grid, min_share: float) -> npt.NDArray[np.bool_]:
    """Which groups may be told to explain a stay better than its coded main condition, (n, K).

    Those that are not the main one here, are expected as the main one more than what is coded so, and are no
    mere companions of others. Where the coded main condition is of no judged group nothing is known of how
    well it explains the stay, and nothing is told.

    Args:
        grid: expectations and codes.
        min_share: of the stays that a group is coded in, so many have it as the main condition.
    """
    coded_as_main = np.where(grid.is_main, grid.main, -1.0).max(1, initial=-1.0)
    is_known = coded_as_main >= 0
    n_coded, n_main = grid.is_coded.sum(0), grid.is_main.sum(0)
    is_a_main_one = n_main >= min_share * np.maximum(n_coded, 1)
    is_better = grid.main > coded_as_main[:, None]
    return np.asarray(~grid.is_main & is_known[:, None] & is_better & is_a_main_one)


def _likeliest(wrong: Floats, asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of each stay the one group among those asked that is likeliest wrong."""
    held = np.where(asked & ~np.isnan(wrong), wrong, -1.0)
    best = held.argmax(1)
    is_best = np.zeros_like(asked)
    is_best[np.arange(len(held)), best] = held.max(1, initial=-1.0) > 0
    return is_best


def _doubts(  # noqa: PLR0917 one kind of doubt with all that tells of it
    grid: Grid,
    kind: str,
    errors: Errors,
    asked: npt.NDArray[np.bool_],
    expectation: Floats,
    ratio: Floats,
    config: ExpectedConfig,
) -> pl.DataFrame:
    floor = config.findings.min_probability.get(kind, 1.0)
    row, group = np.nonzero(asked & (np.nan_to_num(errors.wrong, nan=-1.0) >= floor))
    found = pl.DataFrame(
        {
            "kind": [kind] * len(row),
            "stay_id": grid.stays["stay_id"].gather(row),
            "subject_id": grid.stays["subject_id"].gather(row),
            "concept": pl.Series(grid.concepts, dtype=pl.String).gather(group),
            "probability": errors.wrong[row, group],
            "expected": expectation[row, group],
            "is_label_issue": errors.is_label_issue[row, group],
            "unit_ratio": ratio[row, group] / ratio.mean(0)[group],
        },
        schema=DOUBTS,
    )
    is_coded = pl.lit(kind == "unsupported")
    surprise = pl.when(is_coded).then(1 - pl.col("expected")).otherwise("expected")
    ordered = found.with_columns(_surprise=surprise).sort(
        "probability", "_surprise", "stay_id", "concept", descending=[True, True, False, False]
    )
    return ordered.drop("_surprise").head(config.findings.max_findings)


def _findings(
    doubts: pl.DataFrame, items: pl.DataFrame, owners: pl.DataFrame, codes: pl.DataFrame, ontology: Ontology
) -> pl.DataFrame:
    """Columns of FINDINGS, one row a doubt that has an item."""
    first = (
        items.sort("doubt", "contact_id", "group_no", "code_no", nulls_last=True)
        .unique("doubt", keep="first", maintain_order=True)
        .select("doubt", "finding_id", "contact_id", "rule_id")
        .join(owners, on="contact_id", how="left")
    )
    elsewhere = (
        doubts.filter(pl.col("kind") == "unsupported")
        .select("doubt", "stay_id", "subject_id", "concept")
        .join(
            codes.select("subject_id", "concept", _stay="stay_id"), on=["subject_id", "concept"], how="inner"
        )
        .filter(pl.col("_stay") != pl.col("stay_id"))
        .select("doubt", _elsewhere=pl.lit(value=True))
        .unique()
    )
    labels = {concept: title_of(concept, ontology) for concept in doubts["concept"].unique()}
    titles = [
        WORDS[kind].format(label=labels[concept])
        for kind, concept in doubts.select("kind", "concept").iter_rows()
    ]
    return (
        doubts.with_columns(title=pl.Series(titles, dtype=pl.String))
        .join(first.drop("subject_id"), on="doubt", how="inner")
        .join(elsewhere, on="doubt", how="left")
        .with_columns(
            rule_version=pl.lit("1"),
            severity=pl.lit("review"),
            unit_id="unit",
            period=pl.col("year").cast(pl.String),
            amount_low_nok=None,
            amount_high_nok=None,
            innocent_explanations=pl.when(pl.col("_elsewhere"))
            .then(pl.lit(["documented_elsewhere"]))
            .otherwise(pl.lit([], dtype=pl.List(pl.String))),
            evidence=pl.lit([], dtype=pl.List(pl.Int64)),
            source=pl.col("kind").replace_strict(SOURCES, return_dtype=pl.String),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items())
    )
