"""A network's reasons: attributions to codes and domains by leaving events out, with error bars."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.labels import domain_of
from phenotype.cases import Cases
from phenotype.explain.concepts import BASE, EXPLANATIONS, KEYS, ROOT, TREE
from phenotype.explain.games import DeletionGame
from phenotype.explain.owen import OwenValues, PlayerTree, owen_values

if TYPE_CHECKING:
    from phenotype.networks.model import NetworkModel
    from phenotype.sequences import Sequences

PAIRS = 8


@dataclass(frozen=True)
class CodeTree:
    """Root, domains, codes: the players of one row and what their nodes are called.

    Attributes:
        tree: players are codes.
        names: of each node.
        player: (E,) the code, among this row's, of each of its events.
    """

    tree: PlayerTree
    names: tuple[str, ...]
    player: npt.NDArray[np.int64]


def explain_network(
    model: NetworkModel, cases: Cases, n: int | None = None, *, n_pairs: int = PAIRS, seed: int = 0
) -> pl.DataFrame:
    """Owen values of each row's codes within their domains, for the game of leaving events out.

    Args:
        model: the network.
        cases: the rows to explain; one takes about 2 * n_pairs * (number of codes) evaluations.
        n: only the n codes with the largest absolute phi of each row are told; domains still hold all.
        n_pairs: antithetic pairs of orders below the domains.
        seed: of the orders, with the row.

    Returns:
        Columns of EXPLANATIONS (`phenotype.explain.concepts`), sorted by subject_id, prediction_time, node;
        phi on the logit scale of the uncalibrated risk. The root holds what all events add to `base`, the
        logit of an empty history; every other inner node's phi is the sum of its children's.
    """
    sequences = model.sequences(cases, alone=True)
    keys = cases.rows.select(KEYS)
    records: list[dict[str, Any]] = []
    for row, key in enumerate(keys.iter_rows(named=True)):
        codes = code_tree(sequences, row)
        game = DeletionGame(model, sequences, row, codes.player)
        drawn = sha256(f"{seed} {key['subject_id']} {key['prediction_time']}".encode()).digest()
        generator = np.random.default_rng(int.from_bytes(drawn[:8]))
        values = owen_values(game, codes.tree, n_pairs=n_pairs, generator=generator)
        records += [key | node for node in _nodes(codes, values, n)]
    frame = pl.DataFrame(records, schema_overrides={"parent": pl.String}, infer_schema_length=None)
    if not records:
        return pl.DataFrame(schema=EXPLANATIONS)
    told = frame.with_columns(model=pl.lit(model.kind), tree=pl.lit(TREE))
    return told.select(pl.col(name).cast(dtype) for name, dtype in EXPLANATIONS.items()).sort(*KEYS, "node")


def code_tree(sequences: Sequences, row: int) -> CodeTree:
    """The codes of one row's events under their domains."""
    events = slice(int(sequences.static_start[row]), int(sequences.end[row]))
    present, player = np.unique(sequences.code[events], return_inverse=True)
    codes = [sequences.codes[code] for code in present]
    domains = sorted({domain_of(code) for code in codes})
    places = {domain: place + 1 for place, domain in enumerate(domains)}
    parents = [0] + [0] * len(domains) + [places[domain_of(code)] for code in codes]
    leaves = range(1 + len(domains), len(parents))
    return CodeTree(
        PlayerTree(tuple(parents), tuple(leaves)), (ROOT, *domains, *codes), player.astype(np.int64)
    )


def _nodes(codes: CodeTree, values: OwenValues, n: int | None) -> list[dict[str, Any]]:
    """The base and every node that is told, as rows of EXPLANATIONS without their keys."""
    first_leaf = len(codes.names) - len(codes.tree.leaves)
    by_size = np.argsort(-np.abs(values.phi[first_leaf:]), kind="stable") + first_leaf
    told = [*range(first_leaf), *(int(node) for node in by_size[:n])]
    base = {"node": BASE, "parent": None, "phi": values.empty, "low": values.empty, "high": values.empty}
    nodes = [
        {
            "node": codes.names[node],
            "parent": codes.names[codes.tree.parents[node]] if node else None,
            "phi": float(values.phi[node]),
            "low": float(values.low[node]),
            "high": float(values.high[node]),
            "is_exact": bool(values.is_exact[node]),
        }
        for node in told
    ]
    return [base | {"is_exact": True}, *nodes]
