"""What every model promises, where each kind of model lives, and the one code path from a bundle to risks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import BundleError, Problem
from phenotype.cases import Cases

if TYPE_CHECKING:
    from phenotype.bundle import Bundle

_NETWORK = ("phenotype.networks.model", "NetworkModel")
KINDS: Mapping[str, tuple[str, str]] = {
    "ward": ("phenotype.ward", "WardModel"),
    "logistic": ("phenotype.logistic", "LogisticModel"),
    "lightgbm": ("phenotype.trees", "LightGBMModel"),
    "transformer": _NETWORK,
    "gru": _NETWORK,
    "gru_d": _NETWORK,
    "two_axis": _NETWORK,
    "ensemble": ("phenotype.ensemble", "EnsembleModel"),
}
"""Kind of model -> module and class; the module is imported when a model of that kind is asked for."""


@dataclass(frozen=True)
class BundleParts:
    """All that a model needs to be itself again, in forms that carry no code.

    Attributes:
        config: what fits in JSON: settings, column names, vocabularies of modest size.
        tensors: arrays by name, saved as safetensors.
        texts: plain text by name, such as LightGBM's own text model.
        tables: frames by name, saved as parquet.
    """

    config: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)


class Model(Protocol):
    """A fitted model: risks for cases, and the parts that a bundle keeps of it."""

    @property
    def kind(self) -> str:
        """Which kind of model it is."""
        ...

    def predict(self, cases: Cases) -> npt.NDArray[np.float64]:
        """The uncalibrated risk in [0, 1] of every case, (n,) float64, in the order of `cases.rows`."""
        ...

    def parts(self) -> BundleParts:
        """What a bundle saves of this model."""
        ...

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model that `parts` came from, with equal predictions."""
        ...


def model_class(kind: str) -> type[Model]:
    """The class of a kind of model, imported now and not before.

    Raises:
        BundleError: no such kind of model.
    """
    if kind not in KINDS:
        raise BundleError(
            Problem(
                "unknown kind of model",
                found=kind,
                allowed=", ".join(KINDS),
                next_step="use a version of pesta that knows this kind",
            )
        )
    module, name = KINDS[kind]
    return cast("type[Model]", getattr(import_module(module), name))


def predict_risks(bundle: Bundle, cases: Cases) -> pl.DataFrame:
    """The calibrated risk of every case: the one code path that runs, scoring and services share.

    Args:
        bundle: a loaded bundle.
        cases: rows sorted by (subject_id, prediction_time).

    Returns:
        subject_id, prediction_time, risk (Float64 in [0, 1]), in the order of `cases.rows`.
    """
    risks = bundle.calibrator.apply(bundle.model.predict(cases))
    return cases.rows.select("subject_id", "prediction_time").with_columns(
        pl.Series("risk", risks, pl.Float64)
    )
