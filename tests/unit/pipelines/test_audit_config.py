"""What an audit is asked to do: options that contradict each other are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.errors import ConfigurationError, PestaError
from pipelines.audit_config import load_audit_config
from pipelines.audit_parts import check_settings


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


@pytest.mark.parametrize("key", ["money.prices=[{}]", "money.weights={}", "rates.settings={}", "facts={}"])
def test_a_file_that_a_later_part_cannot_read_is_told_before_any_work(key, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("prices: [\n", "utf-8")
    check_settings(load_audit_config("default"))
    with pytest.raises(PestaError):
        check_settings(load_audit_config("default", [key.format(broken)]))
