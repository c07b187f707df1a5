"""When facts of two sources are one fact, as a rule read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate

Coarsest = Literal["none", "second", "minute", "day"]
SECONDS_OF: dict[Coarsest, int] = {"none": 0, "second": 1, "minute": 60, "day": 86_400}


class _Strict(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeRule(_Strict):
    """When two times are the same.

    Attributes:
        tolerance_seconds: how far apart they may be.
        coarser: the coarsest precision that counts: a time that is a whole minute (a whole day) is the same
            as any time in that minute (that day) where it is "minute" ("day").
    """

    tolerance_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    coarser: Coarsest = "minute"


class ValueRule(_Strict):
    """When two values are the same, once they have one unit.

    Attributes:
        relative_tolerance: how far apart they may be, as a share of the larger.
    """

    relative_tolerance: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.005


class ContactRule(_Strict):
    """When contacts with different ids are one.

    Attributes:
        tolerance_minutes: how far apart their starts, and their ends, may be.
    """

    tolerance_minutes: Annotated[int, Field(ge=0, le=1_440)] = 15


class JoinRule(_Strict):
    """How datasets are joined.

    Attributes:
        format: of the rule language.
        title: what it is for.
        time, value, contacts: what is the same.
        analytes: what a code measures, where its values come in units of different dimension.
        known_time: of those that sources state for one fact, which counts: the latest tells no model anything
            too early; the earliest suits sources of which one only repeats the other later.
        one_per_subject: beginnings of codes of facts without time, of which a subject has one code.
    """

    format: Literal[1] = 1
    title: str = ""
    time: TimeRule = TimeRule()
    value: ValueRule = ValueRule()
    contacts: ContactRule = ContactRule()
    known_time: Literal["latest", "earliest"] = "latest"
    analytes: dict[str, str] = Field(default_factory=dict)
    one_per_subject: tuple[str, ...] = ("GENDER", "SEX")


def load_rule(name_or_path: str | Path | None = None) -> JoinRule:
    """The rule of a shipped name (configs/joining), or of a YAML file; the default where none is given.

    Raises:
        ConfigurationError: no such rule, or faults in the file, all at once.
    """
    file = find_config("joining", name_or_path or "default")
    return validate(JoinRule, read_yaml(file), where=file.name)
