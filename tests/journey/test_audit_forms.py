"""One hospital in four forms: rules find the same, but for what a form cannot hold, and that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.simulate.forms import FORMS
from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import load_scenario

Pesta = Callable[..., int]
RULES_ALONE = [
    word
    for part in ("expected", "rates", "drift", "agreement", "money")
    for word in ("--set", f"{part}=null")
]
CANNOT_HOLD = {
    "npr": {"au_17_28390_leave", "au_25_3268_place", "ph_6_indirect", "sepsis_organism_grown"},
    "fhir": {
        "au_17_28390_leave", "au_25_3268_place", "ph_6_indirect", "kv_ast_first", "kv_covid_main",
        "kv_multi_2024", "kv_z03_main", "au_25_3262_spine_main", "stay_splitting",
    },
    "omop": {
        "au_17_28390_leave", "au_25_3268_place", "ph_6_indirect", "kv_ast_first", "kv_covid_main",
        "kv_multi_2024", "kv_z03_main", "au_25_3262_spine_main", "stay_splitting",
    },
}  # fmt: skip
"""Rules that may judge fewer contacts. The forms lack facts about contacts (leave, place, kind), NPR-melding
has no blood cultures, FHIR and OMOP no order of codes in a group, OMOP no urgency."""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, pesta: Pesta) -> Path:
    """A folder with an audit of each form, named as the form."""
    folder = tmp_path_factory.mktemp("forms")
    simulate(150, 3, folder / "hospital", load_scenario("coding-errors-5"), forms=FORMS)
    for form in FORMS:
        mapping = "simulated-hospital" if form == "extract" else f"simulated-hospital-{form}"
        dataset, key = folder / f"dataset-{form}", folder / "project.key"
        source = folder / "hospital" / form
        assert pesta("ingest", mapping, source, "--out", dataset, "--key", key, "--quiet") == 0
        words = ("--data", dataset, "--out", folder / form, *RULES_ALONE, "--quiet")
        assert pesta("audit", *words) == 0
    return folder


def broken(audit: Path) -> pl.DataFrame:
    """Each rule with the contacts that break it."""
    rules = pl.read_parquet(audit / "findings.parquet").select("finding_id", "rule_id")
    items = pl.read_parquet(audit / "finding_items.parquet")
    return items.join(rules, on="finding_id").select("rule_id", "contact_id").unique()


def counted(audit: Path) -> pl.DataFrame:
    """judged, broken and not_judgeable of each rule, unit and year."""
    coverage = pl.read_parquet(audit / "rule_coverage.parquet")
    return coverage.group_by("rule_id", "unit_id", "period").agg(
        pl.col("judged", "broken", "not_judgeable").sum()
    )


@pytest.mark.parametrize("form", [form for form in FORMS if form != "extract"])
def test_a_form_gives_the_findings_of_the_extract_or_says_what_it_cannot_judge(
    audited: Path, form: str
) -> None:
    here, whole = broken(audited / form), broken(audited / "extract")
    assert here.join(whole, on=["rule_id", "contact_id"], how="anti").height == 0
    missing = whole.join(here, on=["rule_id", "contact_id"], how="anti")
    assert set(missing["rule_id"]) <= CANNOT_HOLD[form]
    assert here.height > 0.5 * whole.height
    key = ["rule_id", "unit_id", "period"]
    both = counted(audited / "extract").join(
        counted(audited / form), on=key, how="full", suffix="_here", coalesce=True
    )
    both = both.with_columns(pl.exclude(key).fill_null(0))
    n_asked = pl.col("judged") + pl.col("not_judgeable")
    n_asked_here = pl.col("judged_here") + pl.col("not_judgeable_here")
    assert both.filter(n_asked_here < n_asked).height == 0
    not_said = both.filter(pl.col("broken") - pl.col("broken_here") > pl.col("not_judgeable_here"))
    assert not_said.height == 0
    differing = both.filter(pl.col("judged") != pl.col("judged_here"))
    assert set(differing["rule_id"]) <= CANNOT_HOLD[form]


def test_a_rule_that_nobody_could_be_judged_by_says_why_in_each_form(audited: Path) -> None:
    why = {
        ("npr", "sepsis_organism_grown"): "the dataset has none of the codes asked for",
        ("omop", "stay_splitting"): "urgency is not told",
        ("fhir", "kv_multi_2024"): "the order of codes is not told",
        ("fhir", "au_25_3268_place"): "place is not told",
    }
    for (form, rule), reason in why.items():
        coverage = pl.read_parquet(audited / form / "rule_coverage.parquet").filter(rule_id=rule)
        assert coverage["judged"].sum() == 0
        assert set(coverage["reason"]) == {reason}
        assert coverage["not_judgeable"].sum() > 0
