"""What stays were coded with, by group of codes: the stays and groups that are judged, and what is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import InputError, Problem
from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.view import JUDGED, groups_of
from phenotype.coding.findings import RULE_COVERAGE

Bools = npt.NDArray[np.bool_]
RULE = "expected"
UNSPECIFIC_FORM = r"^ICD10[^/]*//.*\.9$"
"""ICD-10's rest category of what is not specified further stands at .9 by convention."""
UNSPECIFIC_WORDS = ("unspecified", "uspesifisert", "not specified")
GROUPED_CODES = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "contact_id": pl.Int64(),
        "group_no": pl.Int32(),
        "code_no": pl.Int32(),
        "is_main": pl.Boolean(),
        "code": pl.String(),
        "is_unspecific": pl.Boolean(),
        "concept": pl.String(),
        "lineage_id": pl.Int64(),
    }
)


@dataclass(frozen=True)
class CodedGroups:
    """Stays x groups.

    Attributes:
        stays: columns of JUDGED, unit and year of the contact that ended last; sorted by subject_id,
            prediction_time, stay_id.
        groups: concept, n_stays, n_main, n_subjects; sorted by concept.
        coded: (n, K) whether the stay has a code of the group.
        main: (n, K) whether one of its contacts has it as the main condition.
        specific: (n, K) whether it has a code of the group that is not the unspecified one.
    """

    stays: pl.DataFrame
    groups: pl.DataFrame
    coded: Bools
    main: Bools
    specific: Bools

    @property
    def concepts(self) -> list[str]:
        """The groups' concepts, in order."""
        return self.groups["concept"].to_list()


def all_stays(record: CodedRecord) -> pl.DataFrame:
    """Every stay with a start and a patient: columns of JUDGED and care_level, unit, year.

    A stay without an end, or with one before its start, is told until the last instant that its contacts
    name.
    """
    last = pl.max_horizontal("start_time", "end_time")
    ends = (
        record.contacts.filter(pl.col("start_time").is_not_null() & pl.col("subject_id").is_not_null())
        .sort("judged_time", "contact_id", nulls_last=False)
        .group_by("stay_id", maintain_order=True)
        .agg(last.max().alias("prediction_time"), pl.col("unit", "year").last())
    )
    return (
        record.stays.select("stay_id", "subject_id", "start_time", "care_level")
        .join(ends, on="stay_id", how="inner")
        .select(*JUDGED.names(), "care_level", "unit", "year")
        .sort("subject_id", "prediction_time", "stay_id")
    )


def grouped_codes(record: CodedRecord, config: ExpectedConfig, ontology: Ontology) -> pl.DataFrame:
    """Every coded diagnosis that belongs to a group, columns of GROUPED_CODES, in the record's order."""
    diagnoses = record.codes.filter(pl.col("role") != "procedure")
    groups = groups_of(diagnoses["code"].drop_nulls().unique().sort(), dict(config.groups.levels), ontology)
    return (
        diagnoses.join(groups, on="code", how="inner", maintain_order="left")
        .join(_unspecific(diagnoses["code"], ontology), on="code", how="left", maintain_order="left")
        .with_columns(is_main=pl.col("role") == "main")
        .select(pl.col(name).cast(dtype) for name, dtype in GROUPED_CODES.items())
    )


def coded_groups(record: CodedRecord, config: ExpectedConfig, ontology: Ontology) -> CodedGroups:
    """What the judged stays were coded with.

    Raises:
        InputError: no contacts, no diagnoses, or no group that is coded often enough.
    """
    _check(record)
    stays = judged_stays(record, config)
    codes = grouped_codes(record, config, ontology).join(
        stays.select("stay_id", "subject_id"), on="stay_id", how="inner"
    )
    counts = (
        codes.group_by("concept")
        .agg(
            pl.col("stay_id").n_unique().alias("n_stays"),
            pl.col("stay_id").filter("is_main").n_unique().alias("n_main"),
            pl.col("subject_id").n_unique().alias("n_subjects"),
        )
        .filter(~pl.col("concept").is_in(config.groups.exclude))
        .filter(
            (pl.col("n_stays") >= config.groups.min_stays)
            & (pl.col("n_subjects") >= config.groups.min_subjects)
        )
        .sort("n_stays", "concept", descending=[True, False])
        .head(config.groups.max_groups)
        .sort("concept")
    )
    if not counts.height:
        raise InputError(_no_group(codes, config))
    row, column = _places(codes, stays, counts)
    shape = (stays.height, counts.height)
    told = codes.join(counts, on="concept", how="semi", maintain_order="left")
    marks = []
    for wanted in (pl.lit(value=True), pl.col("is_main"), ~pl.col("is_unspecific")):
        some = told.select(wanted.alias("_")).to_series().to_numpy()
        some = np.broadcast_to(some, told.height)
        mark = np.zeros(shape, dtype=bool)
        mark[row[some], column[some]] = True
        marks.append(mark)
    return CodedGroups(stays, counts, marks[0], marks[1], marks[2])


def judged_stays(record: CodedRecord, config: ExpectedConfig) -> pl.DataFrame:
    """The stays of the configured care levels that have a diagnosis: others were not coded at all."""
    told = record.codes.filter(pl.col("role") != "procedure").select("stay_id").unique()
    stays = all_stays(record).join(told, on="stay_id", how="semi", maintain_order="left")
    if config.care_levels is not None:
        stays = stays.filter(pl.col("care_level").is_in(config.care_levels))
    return stays


def not_judged(record: CodedRecord, config: ExpectedConfig) -> pl.DataFrame:
    """What expectations were asked about and could not judge, by unit and year: columns of RULE_COVERAGE."""
    judged = judged_stays(record, config).select("stay_id", _judged=pl.lit(value=True))
    has_code = record.codes.filter(pl.col("role") != "procedure").select("stay_id").unique()
    placed = all_stays(record).select("stay_id", _placed=pl.lit(value=True))
    reason = (
        pl.when(pl.col("_placed").is_null())
        .then(pl.lit("no patient or no start"))
        .when(pl.col("_coded").is_null())
        .then(pl.lit("no diagnosis in the stay"))
        .when(pl.col("_judged").is_null())
        .then(pl.lit("care level that is not judged"))
    )
    asked = (
        record.contacts.select("stay_id", "unit", "year")
        .join(judged, on="stay_id", how="left")
        .join(placed, on="stay_id", how="left")
        .join(has_code.with_columns(_coded=pl.lit(value=True)), on="stay_id", how="left")
        .with_columns(reason=reason)
    )
    return (
        asked.group_by("unit", "year", "reason")
        .agg(n=pl.len())
        .select(
            rule_id=pl.lit(RULE),
            unit_id="unit",
            period=pl.col("year").cast(pl.String),
            judged=pl.when(pl.col("reason").is_null()).then("n").otherwise(0),
            broken=pl.lit(0),
            not_judgeable=pl.when(pl.col("reason").is_not_null()).then("n").otherwise(0),
            reason="reason",
        )
        .select(pl.col(name).cast(dtype) for name, dtype in RULE_COVERAGE.items())
        .sort("unit_id", "period", "reason", nulls_last=False)
    )


def _unspecific(codes: pl.Series, ontology: Ontology) -> pl.DataFrame:
    """Code and is_unspecific: the rest category of its group, by its last character or by its name."""
    distinct = codes.drop_nulls().unique().sort()
    names = [(ontology.label(code, "en") or "").lower() for code in distinct]
    by_name = [any(word in name for word in UNSPECIFIC_WORDS) for name in names]
    return pl.DataFrame({"code": distinct, "_by_name": pl.Series(by_name, dtype=pl.Boolean)}).select(
        "code", is_unspecific=pl.col("_by_name") | pl.col("code").str.contains(UNSPECIFIC_FORM)
    )


def _places(
    codes: pl.DataFrame, stays: pl.DataFrame, counts: pl.DataFrame
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    numbered = codes.join(
        counts.select("concept").with_row_index("_column"), on="concept", how="inner", maintain_order="left"
    ).join(stays.select("stay_id").with_row_index("_row"), on="stay_id", how="left", maintain_order="left")
    return numbered["_row"].to_numpy().astype(np.int64), numbered["_column"].to_numpy().astype(np.int64)


def _check(record: CodedRecord) -> None:
    if not record.contacts.height:
        raise InputError(
            Problem(
                "the dataset has no contacts",
                where="contacts.parquet",
                found="0 contacts",
                allowed="contacts with codes: predicted is held against coded by contact",
                next_step="ingest a source that tells contacts, or leave expectations out of the audit",
            )
        )
    if not record.codes.filter(pl.col("role") != "procedure").height:
        raise InputError(
            Problem(
                "no diagnosis is coded in this dataset",
                where="codings.parquet",
                found=f"{record.codes.height} codes, none of them a main or other condition",
                allowed="coded diagnoses",
                next_step="ingest a source that tells diagnoses, or leave expectations out of the audit",
            )
        )


def _no_group(codes: pl.DataFrame, config: ExpectedConfig) -> Problem:
    commonest = codes.group_by("concept").agg(n=pl.col("stay_id").n_unique())["n"].sort()
    n_stays = commonest.to_list()[-1] if len(commonest) else 0
    return Problem(
        "no group of codes is coded often enough to expect it",
        where="groups.min_stays, groups.min_subjects",
        found=f"{codes['concept'].n_unique()} groups, the commonest in {n_stays} stays",
        allowed=f"{config.groups.min_stays} stays of {config.groups.min_subjects} patients",
        next_step="lower these, use more data, or look whether groups.levels names the systems of the codes",
    )
