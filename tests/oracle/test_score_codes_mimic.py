"""The MIMIC items of the score map mean what we take them for, by MIMIC's own dictionaries."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from phenotype.scores.codes import load_score_codes

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "mimic-iii-demo"

# Words that the item's label must have (any case); typed from what each component is.
LABELS = {
    "respiratory_rate": r"resp.* rate",
    "spo2": r"spo2|O2 saturation pulseoxymetry",
    "oxygen_flow": r"O2 flow",
    "fio2": r"fio2|inspired o2 fraction",
    "systolic_bp": r"systolic",
    "diastolic_bp": r"diastolic",
    "mean_bp": r"mean",
    "heart_rate": r"heart rate",
    "temperature": r"temperature",
    "gcs": r"gcs total",
    "gcs_eyes": r"eye opening",
    "gcs_verbal": r"verbal response",
    "gcs_motor": r"motor response",
    "pao2_mmhg": r"arterial (pao2|o2 pressure)",
    "ventilation": r"peep",
    "platelets": r"platelet count",
    "bilirubin_mg_dl": r"bilirubin, total",
    "creatinine_mg_dl": r"creatinine",
    "urine": r"urine|foley|void|cath|nephrostomy|suprapubic|ureteral stent|ileoconduit",
    "noradrenaline": r"norepinephrine|levophed",
    "adrenaline": r"^epinephrine",
    "dopamine": r"dopamine",
    "dobutamine": r"dobutamine",
}


def dictionary(name: str) -> dict[str, str]:
    table = pl.read_csv(FOLDER / f"{name}.csv", infer_schema=False)
    table = table.rename({column: column.lower() for column in table.columns})
    return dict(table.select("itemid", "label").iter_rows())


@pytest.mark.skipif(not FOLDER.is_dir(), reason="shared/data/mimic-iii-demo is not beside the checkout")
def test_items_have_the_labels_of_their_component() -> None:
    items, laboratory = dictionary("D_ITEMS"), dictionary("D_LABITEMS")
    checked, wrong = 0, []
    for name, component in load_score_codes().components.items():
        for source in component.codes:
            found = re.fullmatch(r"MIMIC[34]//(\w+)//(\d+)", source.code)
            if found is None:
                continue
            held = laboratory if found[1] == "LAB" else items
            label = held.get(found[2])
            if label is None or not re.search(LABELS[name], label, re.IGNORECASE):
                wrong.append((name, source.code, label))
            checked += 1
    assert wrong == []
    assert checked > 100


def test_no_code_measures_two_components_and_none_stands_twice() -> None:
    codes = [
        source.code for component in load_score_codes().components.values() for source in component.codes
    ]
    assert len(codes) == len(set(codes))
