"""Reasons of the most probable findings of expectations: the models that made them are asked once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.coding_asked import Asked, ask, names_of
from experiments.coding_models import trees_of_fold
from experiments.coding_screening import associated
from experiments.coding_trees import Answers, TreesOfFold, booster_of
from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import doubts_of
from phenotype.coding.expected.groups import all_stays, grouped_codes
from phenotype.coding.expected.reasons import (
    CHANCE,
    Reason,
    Telling,
    hindsight_reason,
    network_reasons,
    tree_reasons,
    unit_reason,
    with_reasons,
)
from phenotype.coding.findings import Found
from phenotype.explain.record import Record
from phenotype.feature_matrix import FeatureMatrix
from phenotype.link import logit
from phenotype.trajectory import Dataset, known_time

Ints = npt.NDArray[np.int64]
N_FIRST, N_LEFT_OUT, N_OF_NETWORK = 5, 12, 3
"""Findings of each kind that the network is asked about, features of the trees whose codes are left out,
and how many of them are told."""
ANSWER_OF = {"missing": 1, "unsupported": 1, "main_condition": 0, "unspecific": 2}
"""Which third of `Asked.answers` each kind of finding is about."""


def explain_findings(  # noqa: PLR0917 what was trained, and what was found
    found: Found,
    dataset: Dataset,
    record: CodedRecord,
    expected: pl.DataFrame,
    config: ExpectedConfig,
    folder: Path,
    ontology: Ontology,
) -> Found:
    """The findings with reasons and evidence of the most probable ones of each kind.

    Args:
        found: of `expected_findings`.
        dataset: whose trajectories were read.
        record: its coded record.
        expected: what `train_expected` gave.
        config: the settings of the training.
        folder: where the training kept its models.
        ontology: which group a code belongs to.

    Returns:
        Found; findings beyond `config.findings.n_explained` of their kind have no reasons.
    """
    told = _chosen(found, record, expected, config)
    if not told.height:
        return found
    asked = ask(dataset, record, config, folder, ontology)
    matrix = asked.features(config)
    rows = asked.groups.stays.select("stay_id", "prediction_time").with_row_index("row")
    told = told.join(rows, on="stay_id", how="inner").sort("finding_id")
    events = _events(asked, told)
    codings = _codings(record, config, ontology, told)
    contributions = _contributions(asked, matrix, told, config.findings.chance_rate)
    names = names_of(dataset)
    of_network = _left_out(asked, config, told, contributions)
    stays = all_stays(record)
    reasons: dict[str, list[Reason]] = {}
    for finding in told.iter_rows(named=True):
        phi, codes = contributions[finding["finding_id"]]
        known = events.filter(
            pl.col("subject_id") == finding["subject_id"],
            known_time().is_null() | (known_time() <= finding["prediction_time"]),
        )
        telling = _telling(finding, known, names, asked, config)
        some = tree_reasons(phi, codes, telling)
        if finding["finding_id"] in of_network:
            some += network_reasons(of_network[finding["finding_id"]], telling, N_OF_NETWORK)
        has_others = (stays["subject_id"] == finding["subject_id"]).sum() > 1
        if has_others and finding["kind"] in {"missing", "unsupported"}:
            some.append(_of_other_stays(finding, codings, telling))
        unit = unit_reason(finding["kind"], finding["unit_ratio"])
        reasons[finding["finding_id"]] = [*some, *([unit] if unit else [])]
    return with_reasons(found, reasons)


def _telling(
    finding: dict[str, Any], known: pl.DataFrame, names: dict[str, str], asked: Asked, config: ExpectedConfig
) -> Telling:
    """How one finding's reasons are told; known: the patient's events that were known."""
    return Telling(
        Record(known, finding["prediction_time"]),
        names,
        asked.circumstances,
        -1 if finding["kind"] == "unsupported" else 1,
        config.findings.n_reasons,
        config.findings.min_contribution,
    )


def _of_other_stays(finding: dict[str, Any], codings: pl.DataFrame, telling: Telling) -> Reason:
    """What the patient's other stays were coded with changes of the expectation."""
    elsewhere = codings.filter(
        pl.col("subject_id") == finding["subject_id"],
        pl.col("stay_id") != finding["stay_id"],
        pl.col("concept") == finding["concept"],
    )
    before, after = (float(logit(np.array([finding[name]]))[0]) for name in ("other", "hindsight"))
    return hindsight_reason(finding["concept"], before, after, elsewhere, telling)


def _chosen(
    found: Found, record: CodedRecord, expected: pl.DataFrame, config: ExpectedConfig
) -> pl.DataFrame:
    """The findings that are explained, with finding_id, columns of DOUBTS, fold, other and hindsight."""
    own = found.findings.filter(pl.col("rule_id").str.starts_with("expected/"))
    stay = (
        found.items.join(record.contacts.select("contact_id", "stay_id"), on="contact_id", how="left")
        .sort("finding_id", "contact_id")
        .unique("finding_id", keep="first", maintain_order=True)
        .select("finding_id", "stay_id")
    )
    ranked = (
        own.select("finding_id", "kind", "rule_id")
        .join(stay, on="finding_id", how="inner")
        .with_columns(concept=pl.col("rule_id").str.strip_prefix("expected/"))
        .join(
            doubts_of(expected, config).with_row_index("_place"),
            on=["kind", "stay_id", "concept"],
            how="inner",
        )
        .sort("kind", "_place")
        .group_by("kind", maintain_order=True)
        .head(config.findings.n_explained)
    )
    of_stay = expected.select(
        "stay_id", "concept", "fold", other="probability_other", hindsight="probability_hindsight"
    )
    return ranked.join(of_stay, on=["stay_id", "concept"], how="left")


def _left_out(
    asked: Asked,
    config: ExpectedConfig,
    told: pl.DataFrame,
    contributions: dict[str, tuple[npt.NDArray[np.float64], list[str]]],
) -> dict[str, dict[str, float]]:
    """What the codes that tell the trees most add for the network, of the findings that stand first."""
    if config.network is None:
        return {}
    from experiments.coding_networks import left_out

    first = told.sort("kind", "_place").group_by("kind", maintain_order=True).head(N_FIRST)
    place = {concept: number for number, concept in enumerate(asked.groups.concepts)}
    found: dict[str, dict[str, float]] = {}
    for (fold,), some in sorted(first.partition_by("fold", as_dict=True).items()):
        questions = {}
        for one in some.iter_rows(named=True):
            answer = ANSWER_OF[one["kind"]] * len(place) + place[one["concept"]]
            phi, codes = contributions[one["finding_id"]]
            told_most = [
                codes[int(number)]
                for number in np.argsort(-np.abs(phi), kind="stable")[:N_LEFT_OUT]
                if codes[int(number)] != CHANCE
            ]
            questions[str(one["finding_id"])] = (int(one["row"]), answer, told_most)
        found |= left_out(asked, config, config.network, int(str(fold)), questions)
    return found


def _events(asked: Asked, told: pl.DataFrame) -> pl.DataFrame:
    """The view's events of the patients of these findings."""
    subjects = told.select("subject_id").unique().lazy()
    return asked.cases.dataset.events().join(subjects, on="subject_id", how="semi").collect()


def _codings(
    record: CodedRecord, config: ExpectedConfig, ontology: Ontology, told: pl.DataFrame
) -> pl.DataFrame:
    """subject_id, stay_id, concept, time and lineage_id of the codes of these patients."""
    stays = all_stays(record).select("stay_id", "subject_id", time="prediction_time")
    return (
        grouped_codes(record, config, ontology)
        .join(stays, on="stay_id", how="inner")
        .join(told.select("subject_id").unique(), on="subject_id", how="semi")
        .select("subject_id", "stay_id", "concept", "time", "lineage_id")
        .sort("subject_id", "time", "lineage_id")
    )


def _contributions(
    asked: Asked, matrix: FeatureMatrix, told: pl.DataFrame, chance_rate: float | None
) -> dict[str, tuple[npt.NDArray[np.float64], list[str]]]:
    """Of each finding the contributions of the features, and their codes, or CHANCE."""
    answers = asked.answers()
    place = {concept: number for number, concept in enumerate(asked.groups.concepts)}
    found: dict[str, tuple[npt.NDArray[np.float64], list[str]]] = {}
    for (fold,), of_fold in sorted(told.partition_by("fold", as_dict=True).items()):
        trees = trees_of_fold(asked, int(str(fold)))
        named: dict[int, list[str]] = {}
        values = trees.columns.dense(matrix, of_fold["row"].to_numpy().astype(np.int64))
        for number, finding in enumerate(of_fold.iter_rows(named=True)):
            answer = ANSWER_OF[finding["kind"]] * len(place) + place[finding["concept"]]
            if answer not in named:
                train = asked.folds[int(str(fold))][0]
                named[answer] = _named(trees, matrix, train, answers[answer], chance_rate)
            codes, booster = named[answer], booster_of(trees.texts[answer])
            phi = np.zeros(len(codes))
            if booster is not None:
                answered = booster.predict(values[number : number + 1], pred_contrib=True, num_threads=1)
                phi = np.asarray(answered, dtype=np.float64)[0, :-1]
            found[finding["finding_id"]] = (phi, codes)
    return found


def _named(
    trees: TreesOfFold, matrix: FeatureMatrix, train: Ints, answer: Answers, chance_rate: float | None
) -> list[str]:
    """The codes of a fold's features; CHANCE of those that go with an answer no more than by chance."""
    codes: list[str] = trees.columns.table["code"].to_list()
    if chance_rate is None:
        return codes
    rows = train[answer.asked[train]]
    is_latest = (trees.columns.table["aggregation"] == "time_since").to_numpy()
    is_told = associated(trees.columns.dense(matrix, rows), answer.labels[rows], is_latest, chance_rate)
    return [code if is_one else CHANCE for code, is_one in zip(codes, is_told, strict=True)]
