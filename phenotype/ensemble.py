"""An ensemble: the weighted mean of calibrated logits of models that were fitted on the same fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ontology.errors import Problem, TaskError
from phenotype.calibration import Calibrator, fit_logistic_calibrator
from phenotype.cases import Cases
from phenotype.link import log_loss, logit, sigmoid
from phenotype.predictor import BundleParts, Model, model_class

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


class EnsembleConfig(BaseModel):
    """An ensemble of models of the same run.

    Attributes:
        members: names of models that stand before it in the run.
        weights: "equal", or "tuned": non-negative and fitted on the tuning rows, which pays where there are
            many of them and the members differ in worth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[str, ...] = Field(min_length=1)
    weights: Literal["equal", "tuned"] = "equal"

    @field_validator("members")
    @classmethod
    def _each_once(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise ValueError(f"members named twice: {', '.join(twice)}")
        return members


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        name: in the run.
        model: as fitted.
        calibrator: "logistic" or "none", so that the ensemble's logit is affine in the members' logits.
    """

    name: str
    model: Model
    calibrator: Calibrator

    def logits(self, cases: Cases) -> Floats:
        """Calibrated logits, (n,)."""
        return logit(self.calibrator.apply(self.model.predict(cases)))


@dataclass(frozen=True)
class EnsembleModel:
    """Members and the weight of each.

    Attributes:
        config: as fitted.
        members: in the order of the configuration.
        weights: one each, >= 0, together 1.
    """

    config: EnsembleConfig
    members: tuple[Member, ...]
    weights: tuple[float, ...]
    kind: ClassVar[str] = "ensemble"

    def predict(self, cases: Cases) -> Floats:
        """Sigmoid of the weighted mean of the members' calibrated logits, (n,)."""
        logits = np.stack([member.logits(cases) for member in self.members])
        return sigmoid(np.asarray(self.weights) @ logits)

    @property
    def scales(self) -> tuple[float, ...]:
        """What one unit of each member's own logit adds to the ensemble's: its weight times its slope."""
        return tuple(
            weight * member.calibrator.slope
            for weight, member in zip(self.weights, self.members, strict=True)
        )

    @property
    def intercept(self) -> float:
        """The ensemble's logit where every member's own logit is 0."""
        return sum(
            weight * member.calibrator.intercept
            for weight, member in zip(self.weights, self.members, strict=True)
        )

    def parts(self) -> BundleParts:
        """The members' own parts, theirs by number: nothing outside the bundle is needed."""
        described, whole = [], BundleParts({})
        for number, member in enumerate(self.members):
            parts = member.model.parts()
            described.append(
                {
                    "name": member.name,
                    "kind": member.model.kind,
                    "config": parts.config,
                    "calibrator": member.calibrator.model_dump(mode="json"),
                }
            )
            before = _prefix(number)
            whole.tensors.update({before + name: tensor for name, tensor in parts.tensors.items()})
            whole.texts.update({before + name: text for name, text in parts.texts.items()})
            whole.tables.update({before + name: table for name, table in parts.tables.items()})
        whole.config.update(
            settings=self.config.model_dump(mode="json"), weights=list(self.weights), members=described
        )
        return whole

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The ensemble of a bundle's parts.

        Raises:
            ValueError: weights that do not fit the members, or members that do not fit their parts.
        """
        config = EnsembleConfig.model_validate(parts.config["settings"])
        weights = tuple(float(weight) for weight in parts.config["weights"])
        described = parts.config["members"]
        if not len(described) == len(weights) == len(config.members):
            raise ValueError("the weights do not fit the members")
        members = tuple(_member(number, each, parts) for number, each in enumerate(described))
        return cls(config, members, weights)


def fit_ensemble(
    config: EnsembleConfig, members: Mapping[str, Model], tuning: Cases, labels: Labels
) -> EnsembleModel:
    """An ensemble of fitted models; each gets a logistic calibrator, so that logits share one scale.

    Args:
        config: the settings.
        members: fitted models by name; those that the configuration does not name are left alone.
        tuning: rows that no member was trained on.
        labels: (n,); one-sided labels fit neither calibrators nor weights.

    Raises:
        TaskError: a model that the configuration names is not there.
    """
    absent = [name for name in config.members if name not in members]
    if absent:
        raise TaskError(
            Problem(
                "an ensemble's members are not fitted",
                where="members",
                found=", ".join(absent),
                allowed=", ".join(members) or "none is there",
                next_step="name models that stand before the ensemble in the run",
            )
        )
    is_two_sided = bool(labels.any() and not labels.all())
    fitted, logits = [], []
    for name in config.members:
        risks = members[name].predict(tuning)
        calibrator = fit_logistic_calibrator(risks, labels) if is_two_sided else Calibrator()
        fitted.append(Member(name, members[name], calibrator))
        logits.append(logit(calibrator.apply(risks)))
    equal = np.full(len(fitted), 1 / len(fitted))
    is_tuned = config.weights == "tuned" and is_two_sided
    weights = tuned_weights(np.stack(logits), labels) if is_tuned else equal
    return EnsembleModel(config, tuple(fitted), tuple(weights.tolist()))


def tuned_weights(logits: Floats, labels: Labels) -> Floats:
    """Weights >= 0 that sum to 1, in proportion to those of the likeliest non-negative logistic regression.

    Args:
        logits: (M, n) of M members.
        labels: (n,), both outcomes present.

    **Source:** Breiman 1996, "Stacked regressions", doi:10.1007/BF00117832: stacking weights are held
    non-negative.
    """
    from scipy.optimize import minimize

    targets = labels.astype(np.float64)
    n_members = len(logits)

    def loss_and_slope(weights: Floats) -> tuple[float, Floats]:
        total = weights[:-1] @ logits + weights[-1]
        residual = (sigmoid(total) - targets) / len(targets)
        return log_loss(total, targets), np.append(logits @ residual, residual.sum())

    start = np.append(np.full(n_members, 1 / n_members), 0.0)
    bounds = [(0.0, None)] * n_members + [(None, None)]
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-10)
    weights = np.asarray(found.x[:-1], dtype=np.float64)
    if weights.sum() <= 0:
        return np.full(n_members, 1 / n_members)
    return np.asarray(weights / weights.sum())


def _prefix(number: int) -> str:
    return f"member{number}_"


def _member(number: int, described: Mapping[str, Any], parts: BundleParts) -> Member:
    before = _prefix(number)

    def own(held: Mapping[str, Any]) -> dict[str, Any]:
        """What is this member's, by its own names."""
        return {name.removeprefix(before): one for name, one in held.items() if name.startswith(before)}

    own_parts = BundleParts(
        dict(described["config"]), own(parts.tensors), own(parts.texts), own(parts.tables)
    )
    model = model_class(described["kind"]).from_parts(own_parts)
    return Member(str(described["name"]), model, Calibrator.model_validate(described["calibrator"]))
