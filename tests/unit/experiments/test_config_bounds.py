"""No setting takes a number that is none or without end, nor one that no machine or calendar can bear."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from experiments.config import RunConfig, load_run_config
from experiments.pretraining_config import PretrainingConfig, load_pretraining_config
from ontology.configuration import find_config
from phenotype.networks.config import AuxiliaryTarget, GRUConfig, NetworkConfig, TransformerConfig
from phenotype.networks.population_config import HazardsConfig
from phenotype.tasks import Task


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configuration classes that an annotation is built of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from models_in(argument)


def all_models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """A configuration and all configurations in it."""
    found: set[type[BaseModel]] = set()
    ahead = [root]
    while ahead:
        model = ahead.pop()
        if model not in found:
            found.add(model)
            for field in model.model_fields.values():
                ahead += models_in(field.annotation)
    return found


def takes_floats(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return takes_floats(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return any(takes_floats(part) for part in get_args(annotation))
    return annotation is float


FLOATS = sorted(
    {
        (model, name)
        for root in (RunConfig, PretrainingConfig, Task)
        for model in all_models(root)
        if not model.__module__.startswith("phenotype.aces")
        for name, field in model.model_fields.items()
        if takes_floats(field.annotation)
    },
    key=lambda pair: (pair[0].__name__, pair[1]),
)


def test_the_settings_are_found() -> None:
    named = {f"{model.__name__}.{name}" for model, name in FLOATS}
    assert {"TransformerConfig.learning_rate", "GRUDConfig.level_shift", "LightGBMConfig.l2"} <= named
    assert {"AuxiliaryTarget.within_days", "TimeSplit.gap_days", "Task.horizon_hours"} <= named
    assert {"HazardsConfig.longest_hours", "ReadOutsConfig.longest_lag_hours"} <= named


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_no_number_is_none_or_without_end(value: float) -> None:
    taken = []
    for model, name in FLOATS:
        with pytest.raises(ValidationError) as told:
            model.model_validate({name: value})
        if not any(fault["loc"] == (name,) for fault in told.value.errors()):
            taken.append(f"{model.__name__}.{name}")
    assert taken == []


@pytest.mark.parametrize(
    ("model", "setting", "value"),
    [
        (TransformerConfig, "max_positions", 10**7),
        (TransformerConfig, "width", 10**6),
        (TransformerConfig, "learning_rate", 1e9),
        (GRUConfig, "max_positions", 10**7),
        (GRUConfig, "n_layers", 10**6),
        (NetworkConfig, "batch_positions", 10**12),
        (NetworkConfig, "n_seeds", 10**6),
        (AuxiliaryTarget, "within_days", 1e300),
        (HazardsConfig, "longest_hours", 1e300),
        (RunConfig, "seed", 2**70),
        (PretrainingConfig, "seed", 2**70),
        (Task, "horizon_hours", 1e300),
        (Task, "blanking_hours", 1e300),
    ],
)
def test_what_nothing_can_bear_is_refused(model: type[BaseModel], setting: str, value: float) -> None:
    with pytest.raises(ValidationError) as told:
        model.model_validate({setting: value})
    assert "less than or equal" in {f["loc"]: f["msg"] for f in told.value.errors()}[setting,]


@pytest.mark.parametrize("split", [{"kind": "random", "seed": -1}, {"kind": "folds", "seed": 2**40}])
def test_seeds_are_what_every_library_takes(split: dict[str, Any]) -> None:
    content = {
        "name": "r",
        "dataset": "d",
        "tasks": ["t"],
        "models": {"m": {"kind": "ward"}},
        "splits": split,
    }
    with pytest.raises(ValidationError, match=r"splits\.\w+\.seed"):
        RunConfig.model_validate(content)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("head", "hazards"),
        ("next_event_weight", 0.1),
        ("n_seeds", 2),
        ("stop_on", "auroc"),
        ("max_rows_per_subject", None),
        ("auxiliary", [{"code": "MEDS_DEATH", "within_days": 30}]),
        ("pretrained", "model"),
    ],
)
def test_what_pretraining_would_ignore_is_refused(key: str, value: object) -> None:
    network = {"kind": "transformer", "reading": "shared", key: value}
    with pytest.raises(ValidationError, match=f"{key}: of no use in pretraining; set them in the run"):
        PretrainingConfig.model_validate({"name": "p", "dataset": "d", "network": network})


def test_shipped_configurations_are_within_bounds() -> None:
    for file in find_config("runs", "demo").parent.glob("*.yaml"):
        load_run_config(file)
    for file in find_config("pretraining", "simulated").parent.glob("*.yaml"):
        config = load_pretraining_config(file)
        again = PretrainingConfig.model_validate(config.model_dump(mode="json"))
        assert again == config
