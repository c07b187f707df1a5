"""Every innocent explanation that a shipped rule or measure looks at has a name in both languages."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.rates.measures import load_measures
from phenotype.coding.rules.rules import load_rules

FILE = Path(str(resources.files("configs"))) / "coding" / "innocent_explanations.yaml"


def test_names_that_rules_and_measures_use_are_in_the_file():
    names = CaseNames.of(load_rules(None), load_measures(None))
    used = {
        name for told in (names.innocent, names.measure_innocent) for one in told.values() for name in one
    }
    known = InnocentExplanations.load(FILE).explanations
    assert used
    assert used - set(known) == set()
    for name, explanation in known.items():
        assert explanation.title.nb != explanation.title.en, name


def test_an_explanation_of_ones_own_rule_is_called_by_its_title():
    explanations = InnocentExplanations.load(FILE)
    assert explanations.get("own_reason", "a reason of our own").title.nb == "a reason of our own"
    assert explanations.get("own_reason").title.en == "Own reason"
