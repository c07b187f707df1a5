"""A case page says of each stay what is doubted in it, and nothing of others behind the same rate."""

from __future__ import annotations

import runpy
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import polars as pl

from phenotype.coding.cases.cases import make_cases
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.report.coding_case import CaseBook

FRAMES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "coding" / "coding_frames.py")))
EXPLANATIONS = Path(str(resources.files("configs"))) / "coding" / "innocent_explanations.yaml"


def test_a_stay_behind_a_rate_names_its_own_contacts_and_no_money_of_the_whole_rate():
    rate = FRAMES.finding(
        "f", "depth", kind="unit_rate", probability=None, amount_low_nok=9000.0, amount_high_nok=9000.0
    )
    found = FRAMES.found_of([rate], [FRAMES.item("f", n, code=None) for n in range(6)])
    record = FRAMES.record_of([(n, n // 2, n // 2) for n in range(6)])
    names = CaseNames.of([], [FRAMES.measure_of("depth")])
    (case,) = make_cases(
        found,
        FRAMES.units_of([]),
        record,
        coverage=FRAMES.coverage_of([]),
        names=names,
        effort=Effort(hours_a_stay=1, hours_a_further_finding=0.5, nok_an_hour=1000, source="test"),
    )
    chosen = pl.DataFrame(schema={"stay_id": pl.Int64, "how": pl.String})
    book = CaseBook(
        found, names, InnocentExplanations.load(EXPLANATIONS), contacts=record.contacts, chosen=chosen
    )
    assert case.openings["hours"].to_list() == [1.0, 1.0, 1.0]
    told = {stay.stay: [(one.contact, one.amount) for one in stay.findings] for stay in book.stays(case)}
    assert told == {"0": [("0, 1", "–")], "1": [("2, 3", "–")], "2": [("4, 5", "–")]}
