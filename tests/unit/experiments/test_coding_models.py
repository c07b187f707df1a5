"""Expectations: what they find, what they may not read, that they come back equal, and what they refuse."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from experiments.coding_models import train_expected
from experiments.coding_reasons import explain_findings
from ontology.errors import ConfigurationError, InputError
from ontology.release import active_ontology
from phenotype.coding.coded_record import CodedRecord, ContactFacts, read_coded_record
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import EXPECTED, expected_findings
from phenotype.coding.expected.groups import not_judged
from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS
from phenotype.trajectory import Dataset

CONFIG = ExpectedConfig.model_validate(
    {
        "groups": {"min_stays": 20, "min_subjects": 10},
        "features": {"windows": ["7d", "full"], "aggregations": ["count", "max", "time_since"]},
        "trees": {"max_trees": 30, "min_leaf_rows": 10, "feature_share": 0.5},
        "n_folds": 3,
        "findings": {"n_explained": 40},
    }
)
NO_FACTS = ContactFacts(facts={})
MADE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("coding_hospital.py"))))
Hospital = Any


def record_of(dataset: Dataset) -> CodedRecord:
    return read_coded_record(dataset, active_ontology(), NO_FACTS)


def expected_of(hospital: Hospital, folder: Path, config: ExpectedConfig = CONFIG) -> pl.DataFrame:
    return train_expected(hospital.dataset, record_of(hospital.dataset), config, folder, active_ontology())


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return MADE.make_hospital(tmp_path_factory.mktemp("hospital") / "dataset")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def expected(hospital: Hospital, work: Path) -> pl.DataFrame:
    return expected_of(hospital, work)


def test_every_stay_and_group_is_answered_once(expected: pl.DataFrame, hospital: Hospital) -> None:
    assert expected.schema == EXPECTED
    n_stays = hospital.dataset.contacts().height
    assert sorted(expected["concept"].unique()) == ["ICD10//E11", "ICD10//I10", "ICD10//J18", "ICD10//S72"]
    assert expected.height == n_stays * 4
    assert expected["probability"].is_between(0, 1).all()
    assert expected.group_by("subject_id").agg(pl.col("fold").n_unique())["fold"].max() == 1


def test_what_care_shows_is_expected(expected: pl.DataFrame) -> None:
    diabetes = expected.filter(concept="ICD10//E11")
    assert roc_auc_score(diabetes["is_coded"], diabetes["probability"]) > 0.9
    hip = expected.filter(concept="ICD10//S72")
    assert roc_auc_score(hip["is_coded"], hip["probability"]) > 0.99
    share = diabetes["is_coded"].mean()
    assert diabetes["probability"].mean() == pytest.approx(share, abs=0.03)


def test_a_stay_s_own_codes_change_none_of_its_answers(
    hospital: Hospital, expected: pl.DataFrame, work: Path, tmp_path: Path
) -> None:
    """A patient's last stay is coded otherwise: the models that answer for it answer the same, bit for bit.

    They are trained on other patients, so nothing but what they read of the stay could tell. Its
    neighbours' codes do tell: the stays before it answer otherwise by hindsight.
    """
    stay = int(hospital.dataset.contacts().filter(subject_id=3)["contact_id"].max() or 0)
    there = pl.col("contact_id") == stay
    change = pl.when(there & (pl.col("code") == MADE.DIABETES)).then(pl.lit("J44.9")).otherwise("code")
    for main, other in (("J18.9", "S72.0"), ("S72.0", "J18.9")):
        change = pl.when(there & (pl.col("code") == main)).then(pl.lit(other)).otherwise(change)
    other = MADE.make_hospital(tmp_path / "dataset", change=change)
    after = expected_of(other, tmp_path / "work")
    own = pl.col("stay_id") == stay
    assert expected.filter(own)["is_coded"].to_list() != after.filter(own)["is_coded"].to_list()
    fold = int(expected.filter(own)["fold"][0])
    logits = [np.load(next(place.glob(f"*/trees/{fold}.npy"))) for place in (work, tmp_path / "work")]
    stays = expected.filter(fold=fold).select("subject_id", "stay_id").unique().sort("subject_id", "stay_id")
    row = int(np.flatnonzero((stays["stay_id"] == stay).to_numpy())[0])
    assert np.array_equal(logits[0][row], logits[1][row])
    for name in ("probability", "probability_main", "probability_other"):
        np.testing.assert_allclose(expected.filter(own)[name], after.filter(own)[name], atol=0.02)


def test_what_may_not_explain_a_coding_is_not_read(
    hospital: Hospital, expected: pl.DataFrame, tmp_path: Path
) -> None:
    """A payer that tells who has diabetes changes nothing, bit for bit; where everything is read it does."""
    (tmp_path / "dataset" / "data").mkdir(parents=True)
    for name in ("contacts", "codings"):
        pl.read_parquet(hospital.dataset.path / f"{name}.parquet").write_parquet(
            tmp_path / "dataset" / f"{name}.parquet"
        )
    events = pl.read_parquet(hospital.dataset.path / "data" / "0.parquet")
    payers = events.filter(code="LAB//glucose").with_columns(
        code=pl.when(pl.col("subject_id") % 3 == 0)
        .then(pl.lit("MIMIC3//INSURANCE//one"))
        .otherwise(pl.lit("MIMIC3//INSURANCE//other")),
        numeric_value=pl.lit(None, pl.Float32),
    )
    pl.concat([events, payers]).sort("subject_id", "time", "code").write_parquet(
        tmp_path / "dataset" / "data" / "0.parquet"
    )
    paid = SimpleNamespace(dataset=Dataset(tmp_path / "dataset"))
    assert expected_of(paid, tmp_path / "work").equals(expected)
    everything = CONFIG.model_copy(update={"circumstances": None})
    assert not expected_of(paid, tmp_path / "work", everything).equals(expected)


def test_it_is_taken_up_and_comes_back_equal(
    expected: pl.DataFrame, hospital: Hospital, work: Path, tmp_path: Path
) -> None:
    """Anew in another folder; and where the answers of a fold and the table were lost."""
    assert expected_of(hospital, tmp_path).equals(expected)
    (place,) = tmp_path.iterdir()
    (place / "expected-trees.parquet").unlink()
    (place / "trees" / "1.npy").unlink()
    assert expected_of(hospital, tmp_path).equals(expected)


def test_findings_are_what_was_planted(expected: pl.DataFrame, hospital: Hospital) -> None:
    found = expected_findings(record_of(hospital.dataset), expected, CONFIG, active_ontology())
    assert found.findings.schema == FINDINGS
    assert found.items.schema == FINDING_ITEMS
    told = found.items.join(found.findings, on="finding_id").sort("probability", descending=True)
    diabetes = told.filter(rule_id="expected/ICD10//E11")
    missing = diabetes.filter(kind="missing").head(len(hospital.missing) // 2)
    assert len(set(missing["contact_id"]) & hospital.missing) / missing.height > 0.9
    assert missing["code"].null_count() == missing.height
    assert missing["group_no"].null_count() == missing.height
    assert set(missing["suggested_code"]) == {"ICD10-NO//E11.9"}
    added = diabetes.filter(kind="unsupported").head(len(hospital.added))
    assert len(set(added["contact_id"]) & hospital.added) / max(len(hospital.added), 1) > 0.6
    assert set(added["code"]) == {"ICD10-NO//E11.9"}
    assert added["suggested_code"].null_count() == added.height


def test_reasons_tell_the_care_and_where_it_stands(
    expected: pl.DataFrame, hospital: Hospital, work: Path
) -> None:
    record = record_of(hospital.dataset)
    found = expected_findings(record, expected, CONFIG, active_ontology())
    told = explain_findings(found, hospital.dataset, record, expected, CONFIG, work, active_ontology())
    assert told.reasons.schema == FINDING_REASONS
    is_told = pl.col("finding_id").is_in(told.reasons["finding_id"].unique().implode())
    first = told.findings.filter(is_told, kind="missing", rule_id="expected/ICD10//E11").head(1)
    reasons = told.reasons.filter(finding_id=first["finding_id"][0])
    assert reasons["rank"].to_list() == list(range(1, reasons.height + 1))
    assert reasons["contribution"].abs().is_sorted(descending=True)
    assert {"ATC//A10AE04", "LAB//glucose"} & set(reasons["concept"].head(3))
    care = reasons.filter(pl.col("concept").is_in(["ATC//A10AE04", "LAB//glucose"]))
    assert care["evidence"].list.len().min() >= 1
    assert set(care["evidence"].explode()) <= set(first["evidence"][0])
    n_told = told.reasons["finding_id"].n_unique()
    assert n_told <= 40 * told.findings["kind"].n_unique()


def test_what_goes_with_a_group_by_chance_alone_is_told_together(
    expected: pl.DataFrame, hospital: Hospital, work: Path
) -> None:
    """Insulin and glucose tell of diabetes; CRP, which tells of the main condition alone, does not."""
    findings = CONFIG.findings.model_copy(update={"chance_rate": 0.001})
    config = CONFIG.model_copy(update={"findings": findings})
    record = record_of(hospital.dataset)
    found = expected_findings(record, expected, config, active_ontology())
    told = explain_findings(found, hospital.dataset, record, expected, config, work, active_ontology())
    missing = told.findings.filter(kind="missing", rule_id="expected/ICD10//E11")
    concepts = told.reasons.join(missing, on="finding_id", how="semi")["concept"].unique()
    assert {"ATC//A10AE04", "LAB//glucose"} & set(concepts)
    assert "LAB//crp" not in set(concepts)


def test_what_is_not_judged_is_counted(hospital: Hospital) -> None:
    record = record_of(hospital.dataset)
    only_day = CONFIG.model_copy(update={"care_levels": ("day",)})
    told = not_judged(record, only_day)
    assert told["judged"].sum() == 0
    assert told["not_judgeable"].sum() == record.contacts.height
    assert set(told["reason"]) == {"care level that is not judged"}
    assert not_judged(record, CONFIG)["judged"].sum() == record.contacts.height


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [("contacts", InputError, "no contacts"), ("codings", InputError, "no diagnosis is coded")],
)
def test_data_that_tell_nothing_are_refused(
    hospital: Hospital, tmp_path: Path, table: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/0", "contacts", "codings"):
        frame = pl.read_parquet(hospital.dataset.path / f"{name}.parquet")
        (frame.clear() if name == table else frame).write_parquet(tmp_path / f"{name}.parquet")
    broken = SimpleNamespace(dataset=Dataset(tmp_path))
    with pytest.raises(error, match=words):
        expected_of(broken, tmp_path / "work")


def test_one_stay_is_too_few(hospital: Hospital, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/0", "contacts", "codings"):
        frame = pl.read_parquet(hospital.dataset.path / f"{name}.parquet")
        keep = pl.col("contact_id") == 1 if "contact_id" in frame.columns else pl.lit(value=True)
        frame.filter(keep).write_parquet(tmp_path / f"{name}.parquet")
    one = SimpleNamespace(dataset=Dataset(tmp_path))
    with pytest.raises(InputError, match="coded often enough"):
        expected_of(one, tmp_path / "work")
    few = CONFIG.model_copy(
        update={"groups": CONFIG.groups.model_copy(update={"min_stays": 2, "min_subjects": 2})}
    )
    frame = pl.read_parquet(hospital.dataset.path / "contacts.parquet").filter(pl.col("subject_id") < 2)
    frame.write_parquet(tmp_path / "contacts.parquet")
    pl.read_parquet(hospital.dataset.path / "codings.parquet").join(
        frame.select("contact_id"), on="contact_id"
    ).write_parquet(tmp_path / "codings.parquet")
    with pytest.raises(ConfigurationError, match="fewer patients"):
        expected_of(one, tmp_path / "work2", few)
