"""Bundles: equal predictions after a round trip, no torch for trees, every foul folder refused by name."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.errors import BundleError
from phenotype.bundle import load_bundle, save_bundle
from phenotype.bundle_guard import FORMAT_NUMBER, Migration, migrate
from phenotype.calibration import fit_calibrator
from phenotype.cohort import RiskCohort
from phenotype.feature_spec import FeatureSpec
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.predictor import predict_risks
from phenotype.trees import LightGBMConfig, fit_lightgbm
from phenotype.ward import WardConfig, fit_ward

SPEC = FeatureSpec(windows=("full",), aggregations=("count", "mean", "last"), min_subjects=5)
KINDS = ["ward", "logistic", "lightgbm"]


@pytest.fixture(scope="module")
def models(planted):
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    trees = LightGBMConfig(features=SPEC, n_seeds=2, learning_rate=0.1, max_trees=20)
    return {
        "ward": fit_ward(*rows, WardConfig(score="SCORE//TEST"), seed=0),
        "logistic": fit_logistic(*rows, LogisticConfig(features=SPEC), seed=0),
        "lightgbm": fit_lightgbm(*rows, trees, seed=0),
    }


def _save(folder: Path, planted, model) -> Path:
    risks = model.predict(planted.tuning)
    calibrator = fit_calibrator(risks, planted.tuning_labels, planted.tuning.rows["subject_id"].to_numpy())
    cohort = RiskCohort.of_risks(planted.tuning.rows.select("subject_id").with_columns(risk=risks))
    return save_bundle(
        folder,
        model,
        task={"name": "planted"},
        calibrator=calibrator,
        thresholds={"alert_rate_0.05": 0.8},
        card={"title": "A planted signal: æøå"},
        cohort=cohort,
    )


@pytest.fixture
def saved(tmp_path, planted, models) -> Path:
    return _save(tmp_path / "bundle", planted, models["lightgbm"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_bundle_predicts_the_same_bits(tmp_path, planted, models, kind: str) -> None:
    folder = _save(tmp_path / kind, planted, models[kind])
    bundle = load_bundle(folder)
    assert (
        bundle.model.predict(planted.held_out).tobytes() == models[kind].predict(planted.held_out).tobytes()
    )
    assert bundle.info.kind == kind
    assert bundle.info.format_number == FORMAT_NUMBER
    assert bundle.info.thresholds == {"alert_rate_0.05": 0.8}
    assert bundle.info.card["title"] == "A planted signal: æøå"
    assert bundle.task == {"name": "planted"}
    assert bundle.info.cohort is not None
    assert bundle.info.cohort.everybody.n_subjects == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_process_predicts_the_same_without_torch(tmp_path, planted, models, kind: str) -> None:
    folder = _save(tmp_path / kind, planted, models[kind])
    planted.held_out.rows.write_parquet(tmp_path / "rows.parquet")
    script = """
import sys
from pathlib import Path
import polars as pl
from phenotype.bundle import load_bundle
from phenotype.cases import Cases
from phenotype.predictor import predict_risks
from phenotype.trajectory import open_dataset
bundle, dataset, rows, out = map(Path, sys.argv[1:])
cases = Cases(open_dataset(dataset), pl.read_parquet(rows))
predict_risks(load_bundle(bundle), cases).write_parquet(out)
print(sorted({"torch", "lightning", "mlflow", "sklearn.linear_model"} & set(sys.modules)))
"""
    arguments = [
        str(folder),
        str(planted.path),
        str(tmp_path / "rows.parquet"),
        str(tmp_path / "out.parquet"),
    ]
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    loaded = json.loads(finished.stdout.strip().replace("'", '"'))
    assert not {"torch", "lightning", "mlflow"} & set(loaded)
    elsewhere = pl.read_parquet(tmp_path / "out.parquet")
    here = predict_risks(load_bundle(folder), planted.held_out)
    assert elsewhere.equals(here)
    assert elsewhere["risk"].to_numpy().tobytes() == here["risk"].to_numpy().tobytes()


def test_the_same_model_makes_the_same_bytes(tmp_path, planted, models) -> None:
    first = _save(tmp_path / "a", planted, models["lightgbm"])
    second = _save(tmp_path / "b", planted, models["lightgbm"])
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_saving_again_replaces_the_bundle_and_leaves_nothing_else(saved, planted, models) -> None:
    _save(saved, planted, models["ward"])
    assert load_bundle(saved).info.kind == "ward"
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


def test_a_failed_save_leaves_the_old_bundle(saved, planted, models) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_bundle(
            saved,
            models["ward"],
            task={"horizon": float("nan")},
            calibrator=load_bundle(saved).calibrator,
            thresholds={},
            card={},
        )
    assert load_bundle(saved).info.kind == "lightgbm"
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


class _Bomb:
    """Unpickling this makes a file; a bundle that is only looked at never does."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["model.pkl", "weights.pt", "extra.json", "trees_0.txt", "x.safetensors"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_dropped_into_a_bundle_is_refused_and_never_run(saved, name: str, protocol: int) -> None:
    bomb = saved.parent / "exploded"
    (saved / name).write_bytes(pickle.dumps(_Bomb(bomb), protocol=protocol))
    with pytest.raises(BundleError) as refused:
        load_bundle(saved)
    assert name in str(refused.value)
    assert not bomb.exists()


def test_a_pickle_that_the_manifest_lists_is_refused_too(saved) -> None:
    bomb = saved.parent / "exploded"
    (saved / "tensors.safetensors").write_bytes(pickle.dumps(_Bomb(bomb)))
    _relist(saved)
    with pytest.raises(BundleError, match="pickle"):
        load_bundle(saved)
    assert not bomb.exists()


def _relist(folder: Path, **changes: object) -> None:
    """Makes the manifest agree with the folder again, as somebody who means harm would."""
    manifest = json.loads((folder / "model.json").read_text("utf-8")) | changes
    manifest["files"] = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != "model.json"
    }
    del manifest["digest"]
    text = json.dumps(manifest, sort_keys=True, ensure_ascii=False)
    manifest["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest), "utf-8")


def test_every_damaged_missing_and_foreign_file_is_named_at_once(saved) -> None:
    (saved / "trees_0.txt").write_text("tree\n")
    (saved / "card.json").unlink()
    (saved / "notes.md").write_text("hello")
    (saved / "folder").mkdir()
    with pytest.raises(BundleError) as refused:
        load_bundle(saved)
    assert len(refused.value.problems) == 4
    for name in ("trees_0.txt", "card.json", "notes.md", "folder"):
        assert name in str(refused.value)


@pytest.mark.parametrize("file", ["calibrator.json", "columns.parquet", "trees_1.txt", "task.json"])
def test_one_changed_byte_is_found(saved, file: str) -> None:
    content = bytearray((saved / file).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / file).write_bytes(content)
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(saved)


def test_a_changed_manifest_is_found(saved) -> None:
    manifest = json.loads((saved / "model.json").read_text("utf-8"))
    manifest["config"]["n_seeds"] = 1
    (saved / "model.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match="manifest was changed"):
        load_bundle(saved)


@pytest.mark.parametrize("number", [FORMAT_NUMBER + 1, 0, "1", None, True])
def test_an_unknown_format_number_is_refused_and_told(saved, number: object) -> None:
    _relist(saved, format_number=number)
    with pytest.raises(BundleError) as refused:
        load_bundle(saved)
    assert repr(number) in refused.value.problems[0].found
    assert str(FORMAT_NUMBER) in refused.value.problems[0].allowed


def test_an_unknown_kind_is_refused_and_the_known_ones_told(saved) -> None:
    _relist(saved, kind="oracle")
    with pytest.raises(BundleError, match="ward, logistic, lightgbm, transformer"):
        load_bundle(saved)


def test_a_relisted_text_that_is_no_model_is_refused(saved) -> None:
    (saved / "trees_0.txt").write_text("not a tree\n")
    _relist(saved)
    with pytest.raises(BundleError, match="do not fit together"):
        load_bundle(saved)


def test_no_folder_and_no_bundle_are_told_apart(tmp_path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"without model\.json"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(BundleError, match="not a bundle"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(BundleError, match="not readable as JSON"):
        load_bundle(tmp_path)


def test_a_link_out_of_the_folder_is_refused(saved) -> None:
    target = saved.parent / "elsewhere.json"
    shutil.copy(saved / "card.json", target)
    (saved / "card.json").unlink()
    (saved / "card.json").symlink_to(target)
    with pytest.raises(BundleError, match="not a plain file"):
        load_bundle(saved)


def test_migrations_are_taken_in_order_and_told() -> None:
    steps = (
        Migration("names the unit", 2, lambda manifest: manifest | {"unit": "h"}),
        Migration("renames kind", 1, lambda manifest: {"format_number": 1, "kind": manifest["sort"]}),
    )
    manifest, taken = migrate({"format_number": 1, "sort": "ward"}, steps, target=3)
    assert manifest == {"format_number": 3, "kind": "ward", "unit": "h"}
    assert taken == ("renames kind", "names the unit")
    with pytest.raises(BundleError, match="too old"):
        migrate({"format_number": 1}, steps[:1], target=3)


def test_arrays_keep_their_bits(tmp_path, planted, models) -> None:
    weights = load_bundle(_save(tmp_path / "b", planted, models["logistic"])).model.parts().tensors["weights"]
    assert weights.dtype == np.float64
    assert weights.tobytes() == models["logistic"].weights.tobytes()
