"""Published splits as arrays of row numbers: every form gives the split it says, and a faulty one is told."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from experiments.splits import SplitConfig, make_splits
from ontology.errors import ConfigurationError, InputError, PestaError
from phenotype.trajectory import Dataset

CONFIG: TypeAdapter[SplitConfig] = TypeAdapter(SplitConfig)
SUBJECTS = [70, 11, 42, 93, 24, 55, 86, 37]
"""Row 0 of the published table is patient 70, row 1 patient 11, and so on."""
ROWS = {"train": [6, 0, 3, 1], "val": [7], "test": [2, 5, 4]}
EXPECTED = {"train": {86, 70, 93, 11}, "tuning": {37}, "held_out": {42, 55, 24}}


@pytest.fixture
def order(tmp_path: Path) -> Path:
    file = tmp_path / "outcomes.csv"
    pl.DataFrame({"died": [0] * 8, "subject_id": SUBJECTS}).write_csv(file)
    return file


def asked() -> pl.DataFrame:
    return pl.DataFrame(
        {"subject_id": SUBJECTS, "prediction_time": [datetime(2020, 1, 1)] * 8},
        schema_overrides={"prediction_time": pl.Datetime("us")},
    )


def split_by(*, fold: int = 0, **fields: Any) -> dict[str, set[int]]:
    config = CONFIG.validate_python({"kind": "file", **fields})
    splits = make_splits(asked(), Dataset(Path("none")), config).filter(pl.col("fold") == fold)
    return {name: set(part["subject_id"]) for (name,), part in splits.group_by("split")}


def as_npz(path: Path) -> Path:
    np.savez(path / "a.npz", **{name: np.array(rows) for name, rows in ROWS.items()})  # type: ignore[arg-type]
    return path / "a.npz"


def as_npz_in_order(path: Path) -> Path:
    np.savez_compressed(path / "b.npz", *[np.array(rows, dtype=np.int32) for rows in ROWS.values()])
    return path / "b.npz"


def as_npz_with_long_names(path: Path) -> Path:
    names = {"idx_test": ROWS["test"], "idx_train": ROWS["train"], "idx_val": ROWS["val"]}
    np.savez(path / "c.npz", **{name: np.array(rows, float) for name, rows in names.items()})  # type: ignore[arg-type]
    return path / "c.npz"


def as_json(path: Path) -> Path:
    (path / "d.json").write_text(json.dumps(ROWS))
    return path / "d.json"


def as_json_lists(path: Path) -> Path:
    (path / "e.json").write_text(json.dumps(list(ROWS.values())))
    return path / "e.json"


@pytest.mark.parametrize("write", [as_npz, as_npz_in_order, as_npz_with_long_names, as_json, as_json_lists])
def test_each_form_gives_the_split_that_it_says(
    write: Callable[[Path], Path], order: Path, tmp_path: Path
) -> None:
    assert split_by(path=write(tmp_path), order=order) == EXPECTED


def test_an_array_of_equal_parts_is_read_row_by_row(order: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.array([[0, 1], [2, 3], [4, 5]]))
    assert split_by(path=tmp_path / "f.npy", order=order) == {
        "train": {70, 11},
        "tuning": {42, 93},
        "held_out": {24, 55},
    }


def test_without_tuning_rows_a_share_of_the_training_patients_tunes(order: Path, tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text(json.dumps({"train": [0, 1, 2, 3], "test": [4, 5, 6, 7]}))
    found = split_by(path=tmp_path / "g.json", order=order, tuning_fraction=0.5)
    assert len(found["train"]) == len(found["tuning"]) == 2
    assert found["train"] | found["tuning"] == {70, 11, 42, 93}


def test_several_files_are_several_folds_and_so_are_several_objects(order: Path, tmp_path: Path) -> None:
    turned = {"train": ROWS["test"], "val": ROWS["val"], "test": ROWS["train"]}
    (tmp_path / "h.json").write_text(json.dumps([ROWS, turned]))
    (tmp_path / "i.json").write_text(json.dumps(turned))
    for path in (tmp_path / "h.json", [as_npz(tmp_path), tmp_path / "i.json"]):
        assert CONFIG.validate_python({"kind": "file", "path": path, "order": order}).n_folds == 2  # type: ignore[union-attr]
        assert split_by(path=path, order=order) == EXPECTED
        assert split_by(fold=1, path=path, order=order)["held_out"] == EXPECTED["train"]


def test_the_order_may_have_the_sources_ids(tmp_path: Path) -> None:
    """As `pesta reidentify` tells them; the record of row 3 was not ingested, and is left out."""
    records = [f"1325{row}" for row in range(8)]
    (tmp_path / "records.txt").write_text("\n".join(records) + "\n")
    known = [row for row in range(8) if row != 3]
    who = {"source_id": [records[row] for row in known], "subject_id": [SUBJECTS[row] for row in known]}
    pl.DataFrame(who).sample(fraction=1, shuffle=True, seed=1).write_csv(tmp_path / "who.csv")
    found = split_by(path=as_npz(tmp_path), order=tmp_path / "records.txt", who=tmp_path / "who.csv")
    assert found == {**EXPECTED, "train": {86, 70, 11}}


def test_objects_are_not_unpickled_and_the_next_step_makes_them_plain(order: Path, tmp_path: Path) -> None:
    """The form of Raindrop's splits: numpy.save of three arrays of unequal length. Its line is followed."""
    ragged = np.empty(3, dtype=object)
    ragged[:] = [np.array(rows) for rows in ROWS.values()]
    file = tmp_path / "phy12_split1.npy"
    np.save(file, ragged, allow_pickle=True)
    with pytest.raises(ConfigurationError, match="not unpickled") as told:
        split_by(path=file, order=order)
    line = told.value.problems[0].next_step or ""
    code = line.partition('python -c "')[2].removesuffix('"')
    assert "allow_pickle=True" in code
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert split_by(path=tmp_path / "phy12_split1.npz", order=order) == EXPECTED


class Trap:
    """Tells when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize("name", ["trap.npy", "trap.npz"])
def test_no_code_of_a_split_file_runs(name: str, order: Path, tmp_path: Path) -> None:
    trapped = np.array([Trap()] * 3, dtype=object)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, trapped, allow_pickle=True)
    with pytest.raises(ConfigurationError, match="not unpickled"):
        split_by(path=tmp_path / name, order=order)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": [0, 1], "test": [1, 2]}, "train and held_out share rows"),
        ({"train": [0, 0, 1], "test": [2]}, "1 rows twice"),
        ({"train": [0, 1], "test": [8]}, "reach past the order"),
        ({"train": [0, -1], "test": [2]}, "numbers below 0"),
        ({"train": [0.5, 1], "test": [2]}, "other than whole numbers"),
        ({"train": [True, False], "test": [2]}, "a mask"),
        ({"train": ["a"], "test": [2]}, "other than whole numbers"),
        ({"train": [[0], [1, 2]], "test": [2]}, "lists within lists"),
        ({"train": [0], "part": [2]}, "which array is which"),
        ({"train": [0], "val": [2]}, "which array is which"),
        ({"train": [0], "idx_train": [1], "test": [2]}, "which array is which"),
        ([[0], [1], [2], [3]], "4 arrays without a name"),
        ([], "which array is which|0 arrays"),
        ({}, "which array is which"),
        (7, "which array is which"),
    ],
)
def test_a_faulty_split_is_refused(given: object, message: str, order: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(given))
    with pytest.raises(ConfigurationError) as told:
        split_by(path=tmp_path / "x.json", order=order)
    assert any(re.search(message, f"{one.what} {one.found}") for one in told.value.problems)


@pytest.mark.parametrize("name", ["cut.npz", "cut.npy", "cut.json", "pickle.npy", "none.npz"])
def test_a_broken_split_file_is_told(name: str, order: Path, tmp_path: Path) -> None:
    whole = {"npz": as_npz(tmp_path).read_bytes(), "json": as_json(tmp_path).read_bytes()}
    np.save(tmp_path / "whole.npy", np.zeros((3, 4), np.int64))
    whole["npy"] = (tmp_path / "whole.npy").read_bytes()
    if name.startswith("cut"):
        content = whole[name.partition(".")[2]]
        (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    elif name.startswith("pickle"):
        (tmp_path / name).write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(InputError, match="cannot be read"):
        split_by(path=tmp_path / name, order=order)


def test_faults_of_all_files_are_told_at_once(order: Path, tmp_path: Path) -> None:
    for name, rows in (("a", [8]), ("b", [9])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"train": [0], "val": [1], "test": rows}))
    with pytest.raises(ConfigurationError) as told:
        split_by(path=[tmp_path / "a.json", tmp_path / "b.json"], order=order)
    assert [problem.found for problem in told.value.problems] == ["row 8", "row 9"]


def test_arrays_drawn_by_row_and_not_by_patient_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"subject_id": [70, 70, 42]}).write_parquet(tmp_path / "twice.parquet")
    (tmp_path / "x.json").write_text(json.dumps({"train": [0], "test": [1, 2]}))
    with pytest.raises(ConfigurationError, match="rows of one patient stand in two splits"):
        split_by(path=tmp_path / "x.json", order=tmp_path / "twice.parquet")


def test_arrays_without_an_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="whose rows they number"):
        split_by(path=as_json(tmp_path))
    with pytest.raises(ValueError, match="give the order as well"):
        split_by(path=as_json(tmp_path), who=tmp_path / "who.csv")


def test_an_order_that_says_nobody_is_refused(order: Path, tmp_path: Path) -> None:
    path = as_json(tmp_path)
    who = tmp_path / "who.csv"
    pl.DataFrame({"source_id": ["none"], "subject_id": [1]}).write_csv(who)
    (tmp_path / "names.txt").write_text("a\nb\n")
    (tmp_path / "ids.xlsx").write_text("")
    faulty: list[tuple[dict[str, Any], type[PestaError], str]] = [
        ({"order": tmp_path / "names.txt"}, ConfigurationError, "without a subject_id"),
        ({"order": order, "who": who}, ConfigurationError, "nobody of the order"),
        ({"order": order, "who": order}, ConfigurationError, "lacks columns"),
        ({"order": tmp_path / "absent.csv"}, InputError, "cannot be read"),
        ({"order": tmp_path / "ids.xlsx"}, ConfigurationError, "another form"),
    ]
    for fields, kind, message in faulty:
        with pytest.raises(kind, match=message):
            split_by(path=path, **fields)


def test_paths_are_whole_so_that_a_run_goes_on_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = CONFIG.validate_python(
        {"kind": "file", "path": ["a.npz", "b.npz"], "order": "o.csv", "who": "w.csv"}
    )
    dumped = one.model_dump(mode="json")
    assert dumped["path"] == [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]
    assert (dumped["order"], dumped["who"]) == (str(tmp_path / "o.csv"), str(tmp_path / "w.csv"))
    assert CONFIG.validate_python(dumped) == one
