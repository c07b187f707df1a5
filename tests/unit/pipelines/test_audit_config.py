"""What an audit is asked to do: options that contradict each other are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from pipelines.audit_config import load_audit_config


def test_weights_are_refused_where_the_toy_grouper_has_its_own():
    config = load_audit_config("default", ["money.grouper=toy"])
    options = {"rules": None, "prices": (), "reviews": (), "ontology": None}
    with pytest.raises(ConfigurationError, match="toy"):
        config.with_options(weights=Path("weights.csv"), **options)
    assert config.with_options(weights=None, **options).money == config.money


def test_weights_are_refused_where_money_is_left_out():
    config = load_audit_config("default", ["money=null"])
    with pytest.raises(ConfigurationError, match="left out"):
        config.with_options(weights=Path("w.csv"), rules=None, prices=(), reviews=(), ontology=None)
