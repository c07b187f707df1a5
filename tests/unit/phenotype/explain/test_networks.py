"""A network's reasons: they add up at every level, start from the empty history, and blame what matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from ontology.labels import domain_of
from phenotype.cases import Cases
from phenotype.explain.concepts import EXPLANATIONS
from phenotype.explain.networks import explain_network
from phenotype.networks.causal_transformer import make_network
from phenotype.networks.config import TransformerConfig
from phenotype.networks.model import NetworkModel, config_class, design_of
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

KEYS = ["subject_id", "prediction_time"]


class Planted(Protocol):
    path: Path
    train: Cases
    held_out: Cases


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


@pytest.fixture(scope="module")
def model(planted: Planted) -> NetworkModel:
    """Random weights, all of which matter: strong interactions."""
    config = TransformerConfig(width=16, min_subjects=5)
    vocabulary = fit_vocabulary(planted.train.events(), config.min_subjects, config.n_bins)
    torch.manual_seed(0)
    network = make_network(config, vocabulary)
    torch.nn.init.normal_(network.head.out.weight)
    return NetworkModel(config, vocabulary, (network.eval(),))


@pytest.fixture(scope="module")
def few(planted: Planted) -> Cases:
    return Cases(planted.held_out.dataset, planted.held_out.rows[:6])


@pytest.fixture(scope="module")
def explanations(model: NetworkModel, few: Cases) -> pl.DataFrame:
    return explain_network(model, few)


def logits(model: NetworkModel, cases: Cases) -> npt.NDArray[np.float64]:
    risks = model.predict(cases)
    return np.log(risks) - np.log1p(-risks)


def test_base_and_root_give_the_prediction(
    model: NetworkModel, few: Cases, explanations: pl.DataFrame
) -> None:
    assert explanations.schema == EXPLANATIONS
    ends = explanations.filter(pl.col("node").is_in(["", "base"])).group_by(KEYS, maintain_order=True)
    assert ends.agg(pl.len())["len"].to_list() == [2] * 6
    np.testing.assert_allclose(ends.agg(pl.col("phi").sum())["phi"], logits(model, few), atol=1e-5)


def test_the_base_is_the_empty_history(
    model: NetworkModel, explanations: pl.DataFrame, planted: Planted, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    pl.DataFrame(schema=EVENTS).write_parquet(tmp_path / "data" / "0.parquet")
    empty = logits(model, Cases(open_dataset(tmp_path), planted.held_out.rows[:1]))
    bases = explanations.filter(pl.col("node") == "base")["phi"].to_numpy()
    np.testing.assert_allclose(bases, np.repeat(empty, 6), atol=1e-5)


def test_children_add_up_to_their_parent(explanations: pl.DataFrame) -> None:
    below = explanations.filter(pl.col("parent").is_not_null())
    sums = below.group_by([*KEYS, "parent"]).agg(pl.col("phi").sum().alias("of_children"))
    joined = sums.join(explanations, left_on=[*KEYS, "parent"], right_on=[*KEYS, "node"])
    assert joined.height == sums.height
    assert (joined["of_children"] - joined["phi"]).abs().max() < 1e-5  # type: ignore[operator]


def test_nodes_are_codes_under_their_domains(few: Cases, explanations: pl.DataFrame) -> None:
    """The codes told are the codes recorded by then; the score and what came later are not among them."""
    seen = few.events().filter(pl.col("time").is_null() | (pl.col("time") <= few.rows["prediction_time"][0]))
    recorded = seen.filter(~pl.col("code").str.starts_with("SCORE//")).select("subject_id", "code").unique()
    told = explanations.filter(pl.col("node").str.contains("//") | (pl.col("node") == "AGE"))
    assert set(told.select("subject_id", "node").rows()) == set(recorded.collect().rows())
    assert all(domain_of(node) == parent for node, parent in told.select("node", "parent").rows())


def test_domains_are_exact_and_codes_carry_error_bars(explanations: pl.DataFrame) -> None:
    exact = explanations.filter("is_exact")
    assert (exact["low"] == exact["phi"]).all()
    assert (exact["high"] == exact["phi"]).all()
    assert explanations.filter(pl.col("parent") == "")["is_exact"].all()
    sampled = explanations.filter(~pl.col("is_exact"))
    assert sampled.height > 0
    assert (sampled["low"] < sampled["phi"]).all()


def test_a_domain_equals_all_orders_of_deleting(model: NetworkModel, few: Cases, tmp_path: Path) -> None:
    """Of two domains, one is worth the mean of what it adds first and last, here from edited datasets."""
    events = few.events().collect()
    row = few.rows[:1]
    domains = sorted({domain_of(code) for code in events["code"]} - {"Scores"})
    kept = {"Demographics", next(domain for domain in domains if domain != "Demographics")}
    of_patient = events.filter(pl.col("subject_id") == row["subject_id"][0])
    in_domain = {
        domain: pl.Series([domain_of(code) == domain for code in of_patient["code"]]) for domain in kept
    }

    def value(*present: str) -> float:
        folder = tmp_path / "-".join(present) / "data"
        folder.mkdir(parents=True)
        chosen = [of_patient.filter(in_domain[domain]) for domain in present]
        pl.concat([pl.DataFrame(schema=of_patient.schema), *chosen]).write_parquet(folder / "0.parquet")
        return float(logits(model, Cases(open_dataset(folder.parent), row))[0])

    one, other = sorted(kept)
    expected = (value(one) - value() + value(one, other) - value(other)) / 2
    found = explain_network(model, Cases(open_dataset(tmp_path / f"{one}-{other}"), row))
    assert found.filter(pl.col("node") == one)["phi"].item() == pytest.approx(expected, abs=1e-5)


def test_only_the_largest_codes_are_told_on_request(model: NetworkModel, few: Cases) -> None:
    told = explain_network(model, few, 2).filter(~pl.col("parent").is_in([""]))
    assert told.group_by(KEYS).len()["len"].to_list() == [2] * 6


def test_the_same_rows_have_the_same_reasons(
    model: NetworkModel, few: Cases, explanations: pl.DataFrame
) -> None:
    alone = explain_network(model, Cases(few.dataset, few.rows[3:4]))
    together = explanations.filter(pl.col("subject_id") == few.rows["subject_id"][3])
    assert alone["node"].to_list() == together["node"].to_list()
    np.testing.assert_allclose(alone["phi"], together["phi"], atol=1e-5)


def test_no_rows_have_no_reasons(model: NetworkModel, few: Cases) -> None:
    assert explain_network(model, Cases(few.dataset, few.rows[:0])).equals(pl.DataFrame(schema=EXPLANATIONS))


@pytest.mark.parametrize(
    ("kind", "reading", "head"), [("transformer", "shared", "hazards"), ("gru", "alone", "binary")]
)
def test_every_network_is_explained_by_the_same_game(
    planted: Planted, few: Cases, kind: str, reading: str, head: str
) -> None:
    """Rows of one pass are explained each alone: base and root give the risk that the one pass gave."""
    config = config_class(kind).model_validate(
        {"width": 16, "min_subjects": 5, "reading": reading, "head": head}
    )
    vocabulary = fit_vocabulary(planted.train.events(), config.min_subjects, config.n_bins)
    torch.manual_seed(0)
    network: Any = design_of(kind).make_network(config, vocabulary)
    torch.nn.init.normal_(network.head.out.weight)
    model = NetworkModel(config, vocabulary, (network.eval(),))
    found = explain_network(model, few, n_pairs=3)
    assert found["model"].unique().to_list() == [kind]
    ends = found.filter(pl.col("node").is_in(["", "base"])).group_by(KEYS, maintain_order=True)
    np.testing.assert_allclose(ends.agg(pl.col("phi").sum())["phi"], logits(model, few), atol=1e-5)
