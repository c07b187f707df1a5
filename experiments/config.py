"""The typed run configuration: YAML in, everything resolved out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from experiments.evaluation_config import EvaluationConfig
from experiments.fitting import AnyModelConfig, ModelConfig
from experiments.quality_demand import QualityDemand
from experiments.search_config import Choice, SearchConfig
from experiments.split_config import Seed, SplitConfig
from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem
from phenotype.features import FeatureSpec
from phenotype.tasks import Task, load_aces_task, load_task

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
"""A model's name is also a folder's."""


class Settings(BaseModel):
    """The base of all configuration: frozen, and unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReasonsConfig(Settings):
    """Which predictions are explained.

    Attributes:
        models: names of models to explain; empty means every model that can be.
        n_highest: held-out subjects with the highest risk, per task.
        n_lowest: held-out subjects with the lowest risk, per task.
        subjects: further subject ids, wherever they were split.
        n_population: held-out rows drawn at random, for the cohort's own ranking of reasons (trees and
            linear only).
    """

    models: tuple[str, ...] = ()
    n_highest: int = Field(3, ge=0)
    n_lowest: int = Field(2, ge=0)
    subjects: tuple[int, ...] = ()
    n_population: int = Field(200, ge=0)


class TrackingConfig(Settings):
    """Where MLflow keeps the run.

    Attributes:
        enabled: false leaves MLflow out.
        uri: a tracking URI; null means sqlite beside the run folder.
        study: the MLflow experiment's name; null means the run's name.
    """

    enabled: bool = True
    uri: str | None = None
    study: str | None = None


class EngineConfig(Settings):
    """What runs the fits of tasks and folds.

    Attributes:
        kind: `inline` in this process one after another; `local` in worker processes; `dask` on a cluster
            with open
            ports; `slurm` as job arrays.
        workers: worker processes or jobs at a time.
        address: Dask's scheduler address.
        options: keyword arguments for submitit's executor (partition, timeout, memory), by their own names.
    """

    kind: Literal["inline", "local", "dask", "slurm"] = "inline"
    workers: int = Field(1, ge=1)
    address: str | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)


class AcesTaskConfig(Settings):
    """A task that is written for ACES, with what its file does not say.

    Attributes:
        aces: the task's file.
        predicates: the dataset's predicates file that completes it; null where the task is whole.
        name: what the task is called here; null means the file's name.
        title: its heading; null means its name in words.
    """

    aces: Path
    predicates: Path | None = None
    name: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$")
    title: str | None = None

    def resolved(self) -> AcesTaskConfig:
        """The same with whole paths, so that a run can be gone on with from anywhere."""
        completing = self.predicates and self.predicates.resolve()
        return self.model_copy(update={"aces": self.aces.resolve(), "predicates": completing})


TaskChoice = str | AcesTaskConfig


def read_task(choice: TaskChoice) -> Task:
    """The task that a run configuration names.

    Raises:
        ConfigurationError: no such task, or a fault in it; every fault is listed.
    """
    if isinstance(choice, str):
        return load_task(choice)
    return load_aces_task(choice.aces, choice.predicates, name=choice.name, title=choice.title)


class RunConfig(Settings):
    """One experiment, from dataset to report.

    Relative paths are read from the folder that the command is given in; the run's run.yaml has whole ones.

    Attributes:
        name: a short name, used for folders and in MLflow.
        title: what the report is called; null means the name.
        dataset: the dataset's folder.
        tasks: names in configs/tasks/ or paths of task files, also of files for ACES; or a mapping `aces`,
            `predicates`, `name`, `title`, for an ACES task that a dataset's predicates complete.
        ontology: the folder of a built ontology; null means the one in use, else the embedded one.
        quality: the quality checks that the dataset must pass before the run begins.
        phenotypes: names in configs/phenotypes/ or paths of definition files, derived for the report; `all`
            for every one that comes with Pesta.
        features: the features that models use unless they name their own.
        models: model name -> configuration, in the order of the report.
        search: the settings of one model that are tried on each fold's training and tuning rows before it is
            fitted; held-out rows are never looked at.
        splits: how rows are split into train, tuning and held_out.
        evaluation: intervals, alert rates, subgroups.
        reasons: whose predictions are explained.
        tracking: MLflow.
        engine: what runs the fits.
        seed: of everything random that has no seed of its own.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str | None = None
    dataset: Path
    tasks: tuple[TaskChoice, ...] = Field(min_length=1)
    ontology: Path | None = None
    quality: QualityDemand = QualityDemand()
    phenotypes: Literal["all"] | tuple[str, ...] = ()
    features: FeatureSpec = FeatureSpec()
    models: dict[ModelName, ModelConfig] = Field(min_length=1)
    search: SearchConfig | None = None
    splits: SplitConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    reasons: ReasonsConfig = ReasonsConfig()
    tracking: TrackingConfig = TrackingConfig()
    engine: EngineConfig = EngineConfig()
    seed: Seed = 0

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        named = [choice for choice in self.tasks if isinstance(choice, str)]
        twice = sorted({name for name in named if named.count(name) > 1})
        unknown = sorted(set(self.reasons.models) - set(self.models))
        faults = [f"tasks names {name} twice" for name in twice]
        faults += [f"reasons.models names {name}, which is not among the models" for name in unknown]
        faults += self._member_faults()
        faults += self.search.faults(self.models) if self.search else []
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _member_faults(self) -> list[str]:
        """Members of ensembles that do not stand before them."""
        names = list(self.models)
        return [
            f"models.{name} names the member {member}, which does not stand before it among the models"
            for place, (name, settings) in enumerate(self.models.items())
            for member in getattr(settings, "members", ())
            if member not in names[:place]
        ]

    @property
    def n_folds(self) -> int:
        """How many outer folds the splits make."""
        return int(getattr(self.splits, "n_folds", 1))

    def bodies(self, name: str) -> tuple[Path, ...]:
        """Folders of the pretrained bodies that a model may start from, also by a search's choice."""
        tried = self.search.space.get("pretrained") if self.search and self.search.model == name else None
        named = (getattr(self.models[name], "pretrained", None), *getattr(tried, "values", ()))
        return tuple(Path(place) for place in named if place is not None)

    def with_whole_paths(self) -> RunConfig:
        """The same with every path whole, so that a run can be gone on with from anywhere; names stay."""
        phenotypes = self.phenotypes
        places = {
            "dataset": self.dataset.resolve(),
            "ontology": self.ontology and self.ontology.resolve(),
            "tasks": tuple(_whole(one) if isinstance(one, str) else one.resolved() for one in self.tasks),
            "phenotypes": phenotypes if phenotypes == "all" else tuple(map(_whole, phenotypes)),
            "models": {name: _with_whole_body(settings) for name, settings in self.models.items()},
            "search": self.search and _with_whole_bodies(self.search),
        }
        return self.model_copy(update=places)


def _with_whole_body(settings: AnyModelConfig) -> AnyModelConfig:
    """A model's settings with the whole path of the pretrained body that it names."""
    pretrained = getattr(settings, "pretrained", None)
    return (
        settings if pretrained is None else settings.model_copy(update={"pretrained": pretrained.resolve()})
    )


def _with_whole_bodies(search: SearchConfig) -> SearchConfig:
    """A search with whole paths of the pretrained bodies that it tries."""
    tried = search.space.get("pretrained")
    if not isinstance(tried, Choice):
        return search
    values = tuple(value if value is None else str(Path(value).resolve()) for value in tried.values)
    space = search.space | {"pretrained": tried.model_copy(update={"values": values})}
    return search.model_copy(update={"space": space})


def _whole(name_or_path: str) -> str:
    """A path of a YAML file that is there, made whole as `find_config` finds it; a name as it is."""
    given = Path(name_or_path)
    return str(given.resolve()) if given.suffix in {".yaml", ".yml"} and given.exists() else name_or_path


def load_run_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """A run configuration with the command line's overrides in place.

    Args:
        name_or_path: a path, or the name of a file in configs/runs/.
        overrides: `a.b=value` texts; the value is read as YAML.

    Raises:
        ConfigurationError: every fault of the file and the overrides, at once.
    """
    path = find_config("runs", name_or_path)
    content = with_overrides(read_yaml(path), overrides)
    return validate(RunConfig, content, where=str(name_or_path))


def with_overrides(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The content with `a.b=value` texts written over it; keys on the way are made.

    Raises:
        ConfigurationError: an override without `=`, or one that goes through something that holds no keys.
    """
    faults: list[Problem] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            faults.append(
                Problem(
                    "not an override",
                    where="--set",
                    found=override,
                    allowed="a.b=value",
                    next_step="write the key, an equals sign and the value, without spaces",
                )
            )
            continue
        *parents, last = key.split(".")
        place: Any = content
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            faults.append(
                Problem(
                    "this key holds no keys",
                    where=f"--set {key}",
                    allowed="a key of a mapping",
                    next_step="see the run's YAML file for the keys that there are",
                )
            )
            continue
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = getattr(error, "problem", None) or "no YAML"
            faults.append(
                Problem(
                    "the value of this override is not YAML",
                    where=f"--set {key}",
                    found=str(reason),
                    allowed="a number, a text, true, false, null, [a, b] or {a: b}",
                    next_step="put quotes around a text with special signs",
                )
            )
    if faults:
        raise ConfigurationError(faults)
    return content


def resolved_yaml(config: RunConfig) -> str:
    """The whole configuration with every default written out, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
