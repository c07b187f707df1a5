"""One model for every kind of network: several seeds, a bundle's parts, and bundles of earlier formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file

from ontology.errors import BundleError, ConfigurationError
from phenotype.networks.model import NetworkModel, design_of
from phenotype.predictor import BundleParts

FORMAT_1 = Path(__file__).parent / "format_1"
"""Parts of bundles that pesta wrote in format 1, and the risks that it told, one a line."""


@pytest.mark.parametrize("position", ["time_point", "event"])
def test_a_bundle_of_format_1_tells_the_risks_that_it_told(small: Any, tmp_path: Path, position: str) -> None:
    parts = BundleParts(
        json.loads((FORMAT_1 / f"{position}.json").read_text("utf-8")),
        load_file(FORMAT_1 / f"{position}.safetensors"),
        tables={"vocabulary": pl.read_parquet(FORMAT_1 / f"{position}.parquet")},
    )
    cases = small.cases(tmp_path, small.history())
    expected = np.loadtxt(FORMAT_1 / f"{position}.txt")
    assert expected.std() > 0.05
    np.testing.assert_allclose(NetworkModel.from_parts(parts).predict(cases), expected, atol=1e-6)


def test_the_logits_of_seeds_are_averaged(small: Any, tmp_path: Path) -> None:
    cases = small.cases(tmp_path, small.history())
    one = small.untrained(cases)
    other = small.untrained(cases)
    torch.nn.init.normal_(other.networks[0].head.out.weight)
    both = NetworkModel(one.config, one.vocabulary, one.networks + other.networks)
    sequences = one.sequences(cases)
    expected = (one.logits(sequences) + other.logits(sequences)) / 2
    np.testing.assert_allclose(both.logits(sequences), expected, atol=1e-6)
    keep = np.random.default_rng(0).random((5, int(sequences.n_events()[4]))) < 0.5
    coalitions = [model.coalition_logits(sequences, 4, keep) for model in (one, other, both)]
    np.testing.assert_allclose(coalitions[2], (coalitions[0] + coalitions[1]) / 2, atol=1e-6)


@pytest.mark.parametrize("kind", ["transformer", "gru"])
@pytest.mark.parametrize("head", ["binary", "hazards"])
def test_parts_carry_every_seed(small: Any, tmp_path: Path, kind: str, head: str) -> None:
    cases = small.cases(tmp_path, small.history())
    settings = {"head": head, "next_event_weight": 0.1}
    one, other = (small.untrained(cases, kind, **settings) for _ in range(2))
    torch.nn.init.normal_(other.networks[0].head.out.weight)
    both = NetworkModel(one.config, one.vocabulary, one.networks + other.networks)
    parts = both.parts()
    read = BundleParts(json.loads(json.dumps(parts.config)), parts.tensors, tables=parts.tables)
    again = NetworkModel.from_parts(read)
    assert (again.kind, len(again.networks)) == (kind, 2)
    np.testing.assert_array_equal(again.predict(cases), both.predict(cases))
    if head == "hazards":
        np.testing.assert_array_equal(again.risks_at(cases, [2.0]), both.risks_at(cases, [2.0]))


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="transformer, gru"):
        design_of("oracle")
    with pytest.raises(BundleError, match="unknown kind of network"):
        NetworkModel.from_parts(BundleParts({"kind": "oracle"}))
