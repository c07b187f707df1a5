"""Weights of earlier bundles under today's names and in today's order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from phenotype.predictor import BundleParts

_MOVED = ("events.", "kind.", "since.", "age.", "summary.")


def numbered_transformer(parts: BundleParts) -> BundleParts:
    """A transformer of bundle format 1: one network without a number, queries apart, neighbours turned.

    Today names carry the number of the network; one matrix gives queries, keys and values; and unit i of a
    head is turned with unit i + D / 2, where units 2 i and 2 i + 1 were turned together.
    """
    tensors: dict[str, npt.NDArray[Any]] = {}
    n_heads = int(parts.config["n_heads"])
    for name, array in parts.tensors.items():
        if name.endswith(".attention.query.weight"):
            stem = name.removesuffix("query.weight")
            key, value = np.split(parts.tensors[f"{stem}key_value.weight"], 2)
            turned = [_halves_apart(one, n_heads) for one in (array, key)]
            tensors[f"0.{stem}query_key_value.weight"] = np.concatenate([*turned, value])
        elif name.startswith("risk."):
            tensors[f"0.head.out.{name.removeprefix('risk.')}"] = array
        elif not name.endswith(".attention.key_value.weight"):
            tensors[f"0.{'embedding.' * name.startswith(_MOVED)}{name}"] = array
    return replace(parts, tensors=tensors)


def _halves_apart(weight: npt.NDArray[Any], n_heads: int) -> npt.NDArray[Any]:
    """The rows of each head: first all even ones, then all odd ones."""
    heads = weight.reshape(n_heads, -1, 2, weight.shape[1])
    return heads.swapaxes(1, 2).reshape(weight.shape)
