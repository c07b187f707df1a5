"""How a population-wide phenotype model is pretrained: data, read-outs, hazards, network; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, field_validator

from experiments.split_config import Seed
from ontology.configuration import find_config, read_yaml, validate
from phenotype.networks.config import GRUConfig, TransformerConfig
from phenotype.networks.population_config import HazardsConfig
from phenotype.task_parts import LONGEST_HOURS

ROOM = "pretraining"
_OF_TASKS = (
    "head",
    "n_intervals",
    "n_causes",
    "next_event_weight",
    "pretrained",
    "frozen",
    "auxiliary",
    "auxiliary_weight",
    "max_rows_per_subject",
    "n_seeds",
    "other_fold_seeds",
    "stop_on",
)
"""Settings of a network that pretraining has no use for: they are a task's."""
BodyConfig = TransformerConfig | GRUConfig


class ReadOutsConfig(BaseModel):
    """At which times of a trajectory the network is asked what comes next.

    Whether a time is drawn follows from the past alone, never from what came after: the hazards stay honest.

    Attributes:
        share: of the times at which something became known.
        lagged: share of the drawn times that are moved to a while later, into silence.
        longest_lag_hours: the longest such while; drawn log-uniformly from a tenth of an hour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    share: float = Field(default=0.2, gt=0, le=1)
    lagged: float = Field(default=0.5, ge=0, le=1)
    longest_lag_hours: float = Field(default=17_532.0, gt=0.1, le=LONGEST_HOURS)


class PretrainingConfig(BaseModel):
    """One pretraining, from a dataset to a folder that tasks start from.

    Relative paths are read from the folder that the command is given in.

    Attributes:
        name: a short name.
        dataset: the dataset's folder.
        leave_out: a file of splits (subject_id, split); subjects that it holds out in any fold are never
            seen. Null: all subjects are, and no task of theirs may start from the model.
        known_before: what became known then or later is not read: the train_before of the splits by time of
            the tasks that shall start from the model. Null: whole records are.
        tuning_fraction: share of the subjects that decide when to stop.
        hazards: what is foretold.
        read_outs: at which times.
        network: the body and its training; `reading: shared` reads a whole window in one pass.
        seed: of everything random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    dataset: Path
    leave_out: Path | None = None
    known_before: NaiveDatetime | None = None
    tuning_fraction: float = Field(default=0.05, gt=0, lt=1)
    hazards: HazardsConfig = HazardsConfig()
    read_outs: ReadOutsConfig = ReadOutsConfig()
    network: Annotated[BodyConfig, Field(discriminator="kind")] = TransformerConfig(
        reading="shared", summaries=False
    )
    seed: Seed = 0

    @field_validator("network")
    @classmethod
    def _asks_for_nothing_of_a_task(cls, network: BodyConfig) -> BodyConfig:
        fields = type(network).model_fields
        set_here = [name for name in _OF_TASKS if getattr(network, name) != fields[name].default]
        if set_here:
            names = ", ".join(set_here)
            raise ValueError(
                f"{names}: of no use in pretraining; set them in the run whose task starts from it"
            )
        return network


def load_pretraining_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> PretrainingConfig:
    """A pretraining's configuration with the command line's overrides in place.

    Args:
        name_or_path: a path, or the name of a file in configs/pretraining/.
        overrides: `a.b=value` texts; the value is read as YAML.

    Raises:
        ConfigurationError: every fault of the file and the overrides, at once.
    """
    from experiments.config import with_overrides

    content = with_overrides(read_yaml(find_config(ROOM, name_or_path)), overrides)
    return validate(PretrainingConfig, content, where=str(name_or_path))
