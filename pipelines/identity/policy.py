"""What a dataset may still tell of a person: dates, ages and free text, as a policy read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate

DEFAULT_POLICY = "plain"
AS_RECORDED, SHIFTED = "as recorded", "shifted"


class _Strict(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DateShift(_Strict):
    """How every date of a subject is moved: by one number of whole days, drawn with the project's key.

    Attributes:
        most_days: the furthest, forwards or backwards.
        whole_weeks: whether weekdays are kept.
        season_weeks: whether the time of the year is kept, give or take that many weeks.
        window_cut_days: by how many days at most each end of an observation window is drawn in, since the
            true end of an extract is known to many and would tell the shift.
    """

    most_days: Annotated[int, Field(ge=1, le=36_525)]
    whole_weeks: bool = False
    season_weeks: Annotated[int, Field(ge=0, le=26)] | None = None
    window_cut_days: Annotated[int, Field(ge=0, le=3_653)] = 0


class IdentityPolicy(_Strict):
    """What is done to facts of persons before anything of them is written.

    Attributes:
        format: of the policy language.
        name: the file's where it is not given.
        title: what it is for.
        date_shift: dates as recorded where it is not given.
        oldest_age: in years: whoever is older at the last record was born, for all that the dataset says, on
            1 January of the year that makes the age at the last record one more than this.
        age_codes: codes whose value is an age in years, which is then no more than one above oldest_age.
        free_text: whether texts of events that a mapping calls free text are kept.
    """

    format: Literal[1] = 1
    name: str
    title: str
    date_shift: DateShift | None = None
    oldest_age: Annotated[int, Field(ge=1, le=130)] | None = None
    age_codes: tuple[str, ...] = ()
    free_text: Literal["drop", "keep"] = "drop"

    def metadata(self) -> dict[str, Any]:
        """What dataset.json says: the policy and its measures, never a subject's shift."""
        return {
            "dates": SHIFTED if self.date_shift else AS_RECORDED,
            "identity_policy": self.model_dump(mode="json", exclude={"format", "title"}),
        }


def load_policy(name_or_path: str | Path | None = None) -> IdentityPolicy:
    """The policy of a shipped name (configs/identity), or of a YAML file; the default where none is given.

    Raises:
        ConfigurationError: no such policy, or faults in the file, all at once.
    """
    file = find_config("identity", name_or_path or DEFAULT_POLICY)
    return validate(IdentityPolicy, {"name": file.stem, **read_yaml(file)}, where=file.name)
