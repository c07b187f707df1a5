"""The value set of asterisk codes is WHO's list of asterisk categories."""

from __future__ import annotations

from ontology.codesystems.who_icd10 import ASTERISK_CATEGORIES
from ontology.valuesets.sets import load_valueset


def test_the_value_set_holds_the_asterisk_categories_and_what_stands_below_them() -> None:
    codes = [f"ICD10-NO//{category}.8" for category in ASTERISK_CATEGORIES]
    others = ["ICD10-NO//E11.2", "ICD10-NO//F54", "ICD10-NO//N18.3", "ICD10-NO//A41.9"]
    held = set(load_valueset("coding_asterisk").resolve([*codes, *others])["code"])
    assert held == set(codes)
    assert len(codes) == 83
    assert set(load_valueset("coding_not_asterisk").resolve([*codes, *others])["code"]) == set(others)
