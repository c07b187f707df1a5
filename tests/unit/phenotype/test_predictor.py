"""The one code path from a bundle to risks, and models found by their kind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ontology.errors import BundleError
from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import Calibrator
from phenotype.cases import Cases
from phenotype.networks.model import DESIGNS, NetworkModel, config_class
from phenotype.predictor import KINDS, model_class, predict_risks
from phenotype.ward import WardConfig, WardModel, fit_ward


def test_risks_are_the_calibrated_predictions_in_row_order(tmp_path, planted) -> None:
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    model = fit_ward(*rows, WardConfig(score="SCORE//TEST"), seed=0)
    calibrator = Calibrator(method="isotonic", knots=(0.0, 0.5, 1.0), levels=(0.1, 0.2, 0.9))
    folder = save_bundle(tmp_path / "b", model, task={}, calibrator=calibrator, thresholds={}, card={})
    risks = predict_risks(load_bundle(folder), planted.held_out)
    assert risks.columns == ["subject_id", "prediction_time", "risk"]
    assert risks.select("subject_id", "prediction_time").equals(
        planted.held_out.rows.select("subject_id", "prediction_time")
    )
    expected = np.interp(model.predict(planted.held_out), [0, 0.5, 1], [0.1, 0.2, 0.9])
    np.testing.assert_array_equal(risks["risk"], expected)


def test_no_rows_give_no_risks(tmp_path, planted) -> None:
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    model = fit_ward(*rows, WardConfig(score="SCORE//TEST"), seed=0)
    nobody = Cases(planted.held_out.dataset, planted.held_out.rows.clear())
    folder = save_bundle(tmp_path / "b", model, task={}, calibrator=Calibrator(), thresholds={}, card={})
    assert predict_risks(load_bundle(folder), nobody).height == 0


def test_every_kind_is_found_and_says_its_name() -> None:
    assert model_class("ward") is WardModel
    for kind in KINDS:
        if model_class(kind) is NetworkModel:
            assert config_class(kind)(kind=kind).kind == kind
        else:
            assert model_class(kind).kind == kind
    assert {kind for kind in KINDS if model_class(kind) is NetworkModel} == set(DESIGNS)


def test_an_unknown_kind_is_told_with_the_known_ones() -> None:
    with pytest.raises(BundleError, match="lightgbm"):
        model_class("oracle")


def test_asking_for_the_protocol_loads_no_heavy_library() -> None:
    script = (
        "import sys, phenotype.predictor, phenotype.bundle, experiments.fitting\n"
        "print(*sorted({'torch', 'lightgbm', 'sklearn', 'mlflow', 'lightning'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == []
