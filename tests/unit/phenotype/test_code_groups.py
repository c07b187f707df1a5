"""A model whose features roll codes up predicts by the ontology that it was fitted with, and by no other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ontology.assembling import embedded_ontology, ontology_of
from ontology.concepts import CodeSystem, concept_rows
from ontology.errors import ConfigurationError
from ontology.in_use import ontology_in_use
from ontology.release import write_ontology
from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import Calibrator
from phenotype.cases import Cases
from phenotype.code_groups import concepts_above, replaced_codes
from phenotype.feature_spec import FeatureSpec
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.predictor import predict_risks


def rolled(*levels: str, system: str = "ATC", keep_codes: bool = False) -> FeatureSpec:
    rules = [{"system": system, "level": level, "keep_codes": keep_codes} for level in levels]
    return FeatureSpec.model_validate(
        {"windows": ("full",), "aggregations": ("count", "last"), "min_subjects": 5, "roll_up": rules}
    )


@pytest.fixture(scope="module")
def bundle(planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the drug as ATC//J01 only, fitted with the embedded ontology."""
    config = LogisticConfig(features=rolled("therapeutic_subgroup"))
    parts = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    model = fit_logistic(*parts, config, seed=0)
    assert {"ATC//J01"} == {name.split(" ")[0] for name in model.columns.table["name"] if "ATC" in name}
    place = tmp_path_factory.mktemp("bundle") / "b"
    return save_bundle(place, model, task={}, calibrator=Calibrator(), thresholds={}, card={})


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that differs from the embedded one by one concept."""
    more = CodeSystem(concept_rows("ICD10", pl.DataFrame({"code": ["Z99.99"]})))
    place = tmp_path_factory.mktemp("ontology") / "another"
    write_ontology(ontology_of([embedded_ontology().system, more]), place)
    return place


def risks(bundle: Path, cases: Cases) -> pl.Series:
    """As a fresh process gives them: nothing kept from an earlier prediction."""
    return predict_risks(load_bundle(bundle), Cases(cases.dataset, cases.rows))["risk"]


def test_a_bundle_is_refused_under_another_ontology_and_predicts_under_its_own(
    planted, bundle: Path, another: Path, tmp_path: Path
) -> None:
    before = risks(bundle, planted.held_out)
    with ontology_in_use(another), pytest.raises(ConfigurationError, match="another ontology") as caught:
        risks(bundle, planted.held_out)
    assert embedded_ontology().digest[:12] in str(caught.value)
    assert "PESTA_ONTOLOGY" in str(caught.value)
    write_ontology(embedded_ontology(), tmp_path / "same")
    with ontology_in_use(tmp_path / "same"):
        assert risks(bundle, planted.held_out).equals(before)
    assert risks(bundle, planted.held_out).equals(before)


def test_one_patient_alone_gets_the_risk_that_everybody_gives(planted, bundle: Path) -> None:
    together = risks(bundle, planted.held_out)
    for row in (0, 1, 2, 3, 50):
        alone = Cases(planted.held_out.dataset, planted.held_out.rows[row : row + 1])
        assert risks(bundle, alone)[0] == pytest.approx(together[row], rel=1e-12)


def test_codes_of_an_asked_for_level_stay_beside_those_that_are_replaced() -> None:
    spec = rolled("therapeutic_subgroup", "substance")
    codes = ["ATC//J01", "ATC//J01CF05", "ATC//j01cf05", "ATC//nonsense", "LAB//crp"]
    groups = concepts_above(codes, spec)
    assert set(groups.rows()) == {
        ("ATC//J01CF05", "ATC//J01"),
        ("ATC//j01cf05", "ATC//J01"),
        ("ATC//j01cf05", "ATC//J01CF05"),
    }
    assert replaced_codes(groups, spec) == {"ATC//j01cf05"}
